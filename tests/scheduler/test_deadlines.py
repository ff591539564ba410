"""What is due and when: exact instants, the order within one, and a driver that was late."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import (
    JobAssign,
    NodeHeartbeat,
    NodeStatusNotice,
    RoomExpired,
    RoomMembers,
    TranslationResult,
    UiEvent,
)

from .harness import World, codes, registration, usage


def test_an_empty_scheduler_waits_for_nothing() -> None:
    world = World()
    assert world.scheduler.next_deadline is None
    world.session("ana")
    assert world.scheduler.next_deadline is None
    world.close("ana")
    world.at(1000)
    assert world.scheduler.next_deadline is None


def test_when_everything_has_ended_nothing_is_waited_for() -> None:
    world = World(reconnect_grace=5)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.drop("ana")
    world.drop("ben")
    world.lose("n1")
    world.at(200)
    assert world.scheduler.entry_count() == 0
    assert world.scheduler.next_deadline is None


def test_waking_early_or_needlessly_does_nothing() -> None:
    """Woken every tenth of a second or only when due: the same things at the same times."""
    records = []
    for restless in (False, True):
        world = World(
            job_timeout=3, abandon_after=2, max_hold=2, reconnect_grace=3, room_expiry=20, room_scan_interval=7,
            warmup_timeout=9, heartbeat_timeout=8, node_scan_interval=5, on_no_node="queue", waiting_time_max=4,
        )  # fmt: skip
        record = []
        world.at(3)
        for tenth in range(30, 500):
            world.at(tenth / 10, asleep=not restless)
            if restless:
                world.wake()
            if tenth == 31:
                world.node("n1", slots=1)
                world.register("n2")
                world.room("ana:zh", "ben:en", "cy:en")
            elif tenth in (35, 47, 60):
                world.speak("ana")
            elif tenth == 70:
                world.drop("ben")
                world.silence("n1")
            elif tenth == 200:
                world.silence("n2")
            if not restless and world.scheduler.next_deadline == world.now:
                world.wake()
            record.append((tenth, [message for _, message in world.sent]))
        records.append(record)
    assert records[0] == records[1]
    kinds = {type(message) for message in records[0][-1][1]}
    assert kinds > {RoomExpired, UiEvent, NodeStatusNotice, JobAssign, RoomMembers}


def test_what_is_due_is_done_in_order_of_its_due_time() -> None:
    """One late wake for a time-out at 10 s, a hold at 8 s and a grace at 9 s."""
    world = World(job_timeout=10, max_attempts=1, max_hold=5, reconnect_grace=6)
    world.node("n1", slots=9)
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")  # times out at 10
    world.speak("ana")
    world.at(3)
    world.answer("ana#1>en")  # held until 8
    world.drop("cy")  # has left at 9
    before = len(world.sent)
    world.oversleep(12)
    world.wake()
    kinds = [type(message) for _, message in world.sent[before:]]
    assert kinds == [TranslationResult, RoomMembers, UiEvent, UiEvent, UiEvent]
    assert world.ended() == {"delivered": 1, "expired": 3}


def test_at_one_instant_what_is_due_has_a_stated_order() -> None:
    """Everything at 30 s: node scan, warm-up, grace, time-out, abandoned, waiting, hold, room scan."""
    world = World(
        heartbeat_timeout=20, node_scan_interval=30, warmup_timeout=30, reconnect_grace=10, job_timeout=15,
        max_attempts=1, abandon_after=10, waiting_time_max=9, max_hold=8, room_expiry=5, room_scan_interval=30,
        on_no_node="queue",
    )  # fmt: skip
    world.register("warm")  # degraded at 30
    world.workers["warm"].usage = usage(gpu=None)
    world.node("silent")
    world.silence("silent")
    world.node("n1", slots=9, pairs="zh>en")
    world.node("n2", slots=1, pairs="fr>en")
    for name in ("warm", "n1", "n2"):
        world.workers[name].beats = False
    code = world.room("ana:zh", "ben:en")
    world.room("quiet:zh")
    world.session("fritz", "fr", "en")
    world.session("dan", "zh", "en")
    world.at(5)
    world.drain("silent")
    world.speak("fritz")  # out of time at 20; abandoned at 30
    world.at(15)
    world.speak("dan")  # out of time at 30
    world.speak("ana")
    world.speak("ana")
    world.at(20)
    world.session("cy", "zh", "en")
    world.join("cy:ja", code)
    world.drop("cy")  # has left at 30
    world.at(21)
    world.speak("fritz")  # waits until 30
    for name in ("warm", "n1", "n2"):
        world.beat(name)
    world.at(22)
    world.answer("ana#1>en")  # held until 30
    world.at(30, asleep=True)
    before = len(world.sent)
    world.wake()
    told = []
    for to, message in world.sent[before:]:
        who = "+".join(world.names[connection] for connection in to)
        what = getattr(message, "status", None) if isinstance(message, NodeStatusNotice) else None
        told.append((who, type(message).__name__, what or getattr(message, "error_code", None)))
    assert told == [
        ("silent", "NodeStatusNotice", "offline"),
        ("warm", "NodeStatusNotice", "degraded"),
        ("ana+ben", "RoomMembers", None),
        ("dan", "UiEvent", "JOB_TIMEOUT"),
        ("ana", "UiEvent", "JOB_TIMEOUT"),
        # ana's time-out lets the held result go; fritz's slot is free before his wait is over
        ("ben", "TranslationResult", None),
        ("n2", "JobAssign", None),
        ("quiet", "RoomExpired", None),
    ]


def test_a_slot_given_up_at_the_instant_a_wait_ends_goes_to_the_one_who_waited() -> None:
    world = World(on_no_node="queue", job_timeout=5, max_attempts=1, abandon_after=5, waiting_time_max=8)
    world.node("n1", slots=1)
    world.session("ana")
    world.speak("ana")
    world.at(2)
    world.speak("ana")
    world.at(10)
    assert world.nodes_of("ana#1>en") == ["n1"]
    assert world.ended() == {"expired": 1}


def test_a_time_out_at_the_instant_a_hold_ends_comes_first() -> None:
    world = World(job_timeout=10, max_attempts=1, max_hold=5, late="deliver")
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.at(5)
    world.speak("ana")
    world.answer("ana#1>en")
    world.at(10)
    kinds = [type(message) for _, message in world.sent[-2:]]
    assert kinds == [UiEvent, TranslationResult]
    assert world.heard("ben") == ["ana#1>en"]


def test_a_wait_given_up_at_the_instant_a_hold_ends_comes_first() -> None:
    world = World(on_no_node="queue", waiting_time_max=10, max_hold=5)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.at(5)
    world.node("n1", pairs="ja>en")
    world.speak("ana", src="ja")
    world.answer("ana#1>en")
    world.at(10)
    kinds = [type(message) for _, message in world.sent[-2:]]
    assert kinds == [UiEvent, TranslationResult]


def test_a_hold_that_ends_at_the_instant_of_a_scan_of_rooms_comes_first() -> None:
    world = World(room_expiry=20, room_scan_interval=60, max_hold=25, job_timeout=1000)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.at(35)
    world.speak("ana")
    world.speak("ana")
    world.answer("ana#1>en")
    world.at(60)
    assert world.heard("ben") == ["ana#1>en"]
    assert world.room_id("ana") is not None, "a result was sent just now"


def test_a_grace_that_is_over_at_the_instant_of_a_time_out_comes_first() -> None:
    world = World(reconnect_grace=10, job_timeout=10, max_attempts=1)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.drop("ben")
    world.at(10)
    kinds = [type(message) for _, message in world.sent[-2:]]
    assert kinds == [RoomMembers, UiEvent]


# --- messages and deadlines at one instant


def test_messages_of_an_instant_come_before_what_is_due_then() -> None:
    world = World(reconnect_grace=10, room_expiry=60, room_scan_interval=60, max_hold=5)
    world.node("n1")
    world.silence("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.speak("ana")
    world.at(5)
    world.answer("ana#1>en")
    world.at(10, asleep=True)
    world.answer("ana#0>en")
    world.wake()
    assert world.heard("ben") == ["ana#0>en", "ana#1>en"]
    world.drop("ben")
    world.at(20, asleep=True)
    assert codes(world.resume("ben")) == []
    world.wake()
    assert world.room_id("ben") is not None
    world.at(60, asleep=True)
    world.beat("n1")
    world.speak("ana")
    world.wake()
    assert world.status("n1") == "ready"
    assert world.room_id("ana") is not None


# --- a driver that was late


@pytest.mark.parametrize("first", ["received", "opened", "closed"])
def test_what_was_due_before_a_message_is_done_before_it(first: str) -> None:
    world = World(job_timeout=10, max_attempts=1)
    world.node("n1")
    world.session("ana")
    world.session("bob")
    world.speak("ana")
    world.oversleep(12)
    if first == "received":
        world.answer("ana#0>en")
    elif first == "opened":
        world.connect("session")
    else:
        world.drop("bob")
    assert world.errors("ana") == [("JOB_TIMEOUT", None)]
    assert world.heard("ana") == []


def test_a_late_result_of_an_overdue_attempt_comes_after_the_next_attempt() -> None:
    world = World(job_timeout=10, tie_break="first")
    world.node("n1")
    world.node("n2")
    world.session("ana")
    world.speak("ana")
    world.oversleep(12)
    world.answer("ana#0>en", attempt=1)
    assert world.nodes_of("ana#0>en") == ["n1", "n2"]
    assert world.heard("ana") == ["ana#0>en"]


def test_a_message_after_its_senders_grace_was_over_is_too_late() -> None:
    world = World(reconnect_grace=10)
    world.room("ana:zh", "ben:en")
    world.drop("ben")
    world.oversleep(11)
    assert codes(world.resume("ben")) == ["INVALID_SESSION"]
    assert world.members("ana") == ["ana"]


def test_a_heartbeat_after_its_node_should_have_been_found_silent_is_too_late() -> None:
    world = World()
    world.node("n1")
    world.oversleep(61)
    world.send(world.workers["n1"].connection, NodeHeartbeat("n1", 0, usage()))
    assert world.status("n1") == "offline"
    (ack,) = world.send(world.workers["n1"].connection, registration("n1"))
    assert ack.status == "registering"


def test_a_word_in_a_room_that_should_have_ended_is_too_late() -> None:
    world = World(room_expiry=50, room_scan_interval=60, heartbeat_timeout=1000)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.oversleep(61)
    world.speak("ana")
    assert world.got("ben", RoomExpired)
    assert list(world.given) == ["ana#0>en"], "as one outside rooms"
    world.answer("ana#0>en")
    assert world.heard("ben") == []


def test_a_late_look_at_the_nodes_sees_them_as_of_the_instant_it_was_due() -> None:
    """Silent for 40 s at the scan of 60 s, heard of again at 66 s: never offline, however late the driver was."""
    world = World()
    world.at(20)
    world.node("n1")
    world.silence("n1")
    world.oversleep(66)
    world.beat("n1")
    assert world.status("n1") == "ready"
    world.at(90)
    assert world.status("n1") == "ready"


def test_a_late_look_at_the_rooms_sees_them_as_of_the_instant_it_was_due() -> None:
    world = World(room_expiry=50, room_scan_interval=60)
    world.at(15)
    world.room("ana:zh", "ben:en")
    world.oversleep(66)
    world.speak("ana")
    assert world.room_id("ana") is not None
    world.at(115)
    assert world.room_id("ana") is not None


def test_a_driver_that_wakes_late_misses_nothing() -> None:
    world = World(job_timeout=10, max_attempts=2, abandon_after=5)
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.oversleep(44)
    world.wake()
    world.oversleep(1000)
    world.wake()
    assert world.ended() == {"expired": 1}
    assert world.status("n1") == "offline"
