"""Faults in a whole world: of links and sessions, when they strike and whom, and that everything heals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simroom.oracle.ledger import NONE
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    JobAssign,
    JobResult,
    NodeRegister,
    RoomCreateAck,
    RoomLanguage,
    RoomLeave,
    SessionClose,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    Utterance,
)
from simroom.sim.links import TroubledPort
from simroom.sim.port import Port
from simroom.sim.run import RunData, simulate
from simroom.sim.sources import SimSources
from simroom.sim.tally import NOTED_MAX, Tally
from simroom.sim.targets import Lots, touched_sessions
from simroom.sim.ties import rounded_up

from .test_clients import ZERO, clean, connections_of, heard_by, last_members, room
from .test_world import LIVELY, rows, run_of
from .worlds import SECOND, Data, Tap, loaded, outcome, tapped, world_of

REPOSITORY = Path(__file__).resolve().parents[2]

THREE: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}, "bo": {"speaks": "en"}}
EVERY_SECOND = [("mei", f"{at}s") for at in range(1, 29)]
"""Mei says half a second at each second; each result is sent .6 s after the second."""


def faulty(*faults: Data, says: list[tuple[str, str]] | None = None, **more: Any) -> Data:
    """Mei, and Anna and Bo who hear her in English; what goes wrong is said as in a file."""
    return room(THREE, EVERY_SECOND if says is None else says, faults=list(faults), **more)


def arrivals(run: RunData, name: str) -> list[float]:
    """When results arrived at a client, in seconds from time 0."""
    deliveries = run.ledger.deliveries()
    who = run.ledger.sessions.names.index(f"room/{name}")
    return [(at - ZERO) / SECOND for at in deliveries["arrived_at"][deliveries["recipient"] == who].tolist()]


def received(run: RunData) -> list[float]:
    """When utterances arrived at the scheduler, in seconds from time 0."""
    return [(at - ZERO) / SECOND for at in run.ledger.utterances()["received_at"].tolist()]


def fired(run: RunData) -> list[tuple[str, int]]:
    return [(use.label, use.fired_count) for use in run.faults]


def usual(begin: float, end: float) -> list[float]:
    """When a healthy recipient gets what Mei says, from ``begin`` until ``end``."""
    return [at + 0.6 for at in range(1, 29) if begin <= at + 0.6 < end]


# --- links


def test_what_is_sent_over_a_clogged_link_arrives_in_order_at_its_end() -> None:
    run, _ = clean(faulty({"at": "5s", "clog": {"sessions": "room/anna", "way": "down", "for": "3s"}}))
    assert arrivals(run, "anna") == [*usual(0, 5), 8, 8, 8, *usual(8, 99)]
    assert heard_by(run, "anna") == [("mei", index) for index in range(28)]
    assert arrivals(run, "bo") == usual(0, 99)
    (use,) = run.faults
    assert (use.label, use.kind, use.fired_count) == ("clog room/anna", "clog", 1)
    assert (use.at, use.until) == ((ZERO + 5 * SECOND,), (ZERO + 8 * SECOND,))


def test_a_clog_on_the_way_up_holds_up_what_is_said() -> None:
    run, _ = clean(faulty({"at": "5s", "clog": {"sessions": "room/mei", "way": "up", "for": "3s"}}))
    assert received(run) == [*(at + 0.5 for at in range(1, 5)), 8, 8, 8, *(at + 0.5 for at in range(8, 29))]
    assert arrivals(run, "anna") == [*usual(0, 5), 8.1, 8.1, 8.1, *usual(8, 99)]


def test_a_clogged_link_to_a_node_holds_up_its_jobs() -> None:
    run, tap = clean(faulty({"at": "5s", "clog": {"nodes": "node", "way": "down", "for": "3s"}}))
    late = [at for at, _ in tap.heard(JobResult) if ZERO + 5 * SECOND < at < ZERO + 8.5 * SECOND]
    assert late == 3 * [ZERO + 8_100_000]
    assert arrivals(run, "anna") == [*usual(0, 5), 8.1, 8.1, 8.1, *usual(8, 99)]


def test_a_clog_holds_up_the_new_connection_of_somebody_who_comes_back_meanwhile() -> None:
    faults = [
        {"at": "5s", "clog": {"sessions": "room/anna", "for": "5s"}},
        {"at": "6s", "drop": {"sessions": "room/anna", "for": "1s"}},
    ]
    _, tap = clean(faulty(*faults, scheduler={"reconnect_grace": "5s"}))
    old, new = connections_of(tap, "anna")
    assert [at for at, _ in tap.heard(SessionInit, new)] == [ZERO + 10 * SECOND]
    assert [each.at for each in tap.said if each.closed and each.connection == old] == [ZERO + 10 * SECOND]


def test_what_is_sent_during_a_partition_is_lost_and_its_end_breaks_the_connection() -> None:
    partition = {"at": "5s", "partition": {"sessions": "room/anna", "for": "3s"}}
    run, tap = clean(faulty(partition, scheduler={"reconnect_grace": "5s"}))
    old, new = connections_of(tap, "anna")
    # Sent to the old connection all the time: the scheduler cannot know.
    lost = [at for at, _ in tap.told(TranslationResult, old) if at > ZERO + 5 * SECOND]
    assert lost == [ZERO + int(at * SECOND) for at in (5.6, 6.6, 7.6)]
    assert [each.at for each in tap.said if each.closed] == [ZERO + 8 * SECOND]
    ((at, init),) = tap.heard(SessionInit, new)
    assert at == ZERO + 8 * SECOND
    assert init.resume is not None
    assert arrivals(run, "anna") == [*usual(0, 5), *usual(8, 99)]
    assert arrivals(run, "bo") == usual(0, 99)


def test_in_a_partition_one_way_the_other_way_goes_on() -> None:
    up = {"at": "5s", "partition": {"sessions": "room/mei", "way": "up", "for": "3s"}}
    says = [("mei", f"{at}s") for at in range(1, 29)] + [("anna", f"{at + 0.1:.1f}s") for at in range(1, 29)]
    run, tap = clean(faulty(up, says=says, scheduler={"reconnect_grace": "5s"}))
    heard = sorted({at for at, message in tap.heard(Utterance) if message.src_lang == "zh"})
    assert [at for at in heard if ZERO + 5 * SECOND < at < ZERO + 8 * SECOND] == []
    assert len([at for at in arrivals(run, "mei") if 5 < at < 8]) == 3
    assert len([each for each in tap.said if each.closed]) == 1


def test_a_connection_made_during_a_partition_is_never_heard_of() -> None:
    faults = [
        {"at": "5s", "partition": {"sessions": "room/anna", "for": "6s"}},
        {"at": "7s", "drop": {"sessions": "room/anna", "for": "1s"}},
        {"at": "9s", "drop": {"sessions": "room/anna", "for": "1s"}},
    ]
    run, tap = clean(faulty(*faults, scheduler={"reconnect_grace": "10s"}))
    opened = [each for each in tap.said if each.message is None and not each.closed]
    assert [(each.at - ZERO) / SECOND for each in opened if each.at > ZERO] == [11]
    assert [(each.at - ZERO) / SECOND for each in tap.said if each.closed] == [11]
    assert fired(run) == [("partition room/anna", 1), ("drop room/anna", 1), ("drop room/anna", 1)]
    assert arrivals(run, "anna") == [*usual(0, 5), *usual(11, 99)]


def test_overlapping_partitions_end_with_the_last_of_them() -> None:
    faults = [
        {"at": "5s", "partition": {"sessions": "room/anna", "for": "4s"}},
        {"at": "7s", "partition": {"sessions": "room/anna", "way": "down", "for": "4s"}},
    ]
    run, tap = clean(faulty(*faults, scheduler={"reconnect_grace": "10s"}))
    assert [(each.at - ZERO) / SECOND for each in tap.said if each.closed] == [11]
    assert arrivals(run, "anna") == [*usual(0, 5), *usual(11, 99)]


def test_a_node_behind_a_partition_comes_back_and_its_jobs_are_tried_again_elsewhere() -> None:
    data = faulty({"at": "5s", "partition": {"nodes": "node-1", "for": "3s"}}, scheduler={"job_timeout": "4s"})
    data["nodes"][0] |= {"count": 2, "slots": 2}
    run, tap = clean(data)
    assert run.verdict.ends["delivered"] == run.verdict.created == 28
    (closed,) = [each for each in tap.said if each.closed]
    assert closed.at == ZERO + 8 * SECOND
    registered = [at for at, message in tap.heard(NodeRegister) if message.node_id == "node-1"]
    assert len(registered) == 2
    assert registered[1] > ZERO + 8 * SECOND
    assert max(arrivals(run, "anna")) < 29


def test_delays_by_chance_strike_the_share_that_was_asked_for_and_keep_the_order() -> None:
    delay: Data = {"delay": {"sessions": "room/mei", "way": "up", "share": "30%", "by": "300ms"}}
    delay |= {"from": "5s", "until": "20s"}
    says = [("mei", f"{at / 10}s") for at in range(10, 280, 6)]
    run, _ = clean(faulty(delay, says=says))
    waits = [round(at - float(said[1][:-1]) - 0.5, 6) for at, said in zip(received(run), says, strict=True)]
    assert set(waits) == {0, 0.3}
    assert {wait for wait, said in zip(waits, says, strict=True) if not 4.5 <= float(said[1][:-1]) < 19.5} == {0}
    # 25 utterances, each with a chance of 30 %: fewer than 2 or more than 15 in one of 10,000 seeds.
    assert 2 <= run.faults[0].fired_count == waits.count(0.3) <= 15
    assert received(run) == sorted(received(run))


def test_what_comes_behind_a_late_message_waits_for_it() -> None:
    delay = {"delay": {"sessions": "room/anna", "way": "down", "share": 1, "by": "5s"}, "from": "5s", "until": "6s"}
    run, _ = clean(faulty(delay))
    assert arrivals(run, "anna") == [*usual(0, 5), *5 * [10.6], *usual(10.6, 99)]


def test_an_utterance_that_is_sent_twice_is_refused_once_and_translated_once() -> None:
    twice = {"duplicate": {"sessions": "room/mei", "messages": "utterance", "share": "50%"}}
    run, tap = clean(faulty(twice))
    again = run.faults[0].fired_count
    # 28 with a chance of one half: fewer than 4 or more than 24 in one of 10,000 seeds.
    assert 4 <= again <= 24
    assert len(tap.heard(Utterance)) == 28 + again
    assert [error.code for _, error in tap.told(Error)] == again * [ErrorCode.INVALID_MESSAGE]
    assert run.ledger.utterance_count == run.verdict.created == 28
    assert heard_by(run, "anna") == [("mei", index) for index in range(28)]


# --- sessions


@pytest.mark.parametrize("grace", ["0s", "10s"])
def test_the_scheduler_may_hear_of_a_lost_connection_after_the_client_is_back(grace: str) -> None:
    half_open = {"at": "5s", "drop": {"sessions": "room/anna", "for": "1s", "noticed": "4s"}}
    run, tap = clean(faulty(half_open, scheduler={"reconnect_grace": grace}))
    old, new = connections_of(tap, "anna")
    assert [each.at for each in tap.said if each.closed] == [ZERO + 9 * SECOND]
    assert tap.heard(SessionInit, new)[0][0] == ZERO + 6 * SECOND
    assert arrivals(run, "anna") == [*usual(0, 5), *usual(6, 99)]
    # Without a grace the one who is back is somebody else, and a ghost is told everything until the end is noticed.
    ghost = [at for at, _ in tap.told(TranslationResult, old) if at > ZERO + 6 * SECOND]
    assert len(ghost) == (3 if grace == "0s" else 0)


def test_a_dropped_connection_without_a_time_comes_back_when_everything_heals() -> None:
    _, tap = clean(faulty({"at": "5s", "drop": {"sessions": "room/anna"}}))
    _, new = connections_of(tap, "anna")
    assert [at for at, _ in tap.heard(SessionInit, new)] == [ZERO + 30 * SECOND]


def test_an_end_that_nobody_noticed_is_noticed_when_everything_heals() -> None:
    _, tap = clean(faulty({"at": "5s", "drop": {"sessions": "room/anna", "noticed": "10min"}}))
    assert [each.at for each in tap.said if each.closed] == [ZERO + 30 * SECOND]


def test_who_dropped_out_twice_comes_back_for_the_second_time_only() -> None:
    """The first absence would have ended within the second."""
    data = faulty({"at": "5s", "drop": {"sessions": "room/anna", "for": "10s"}}, scheduler={"reconnect_grace": "30s"})
    data["script"] = [{"at": "7s", "connect": "room/anna"}, {"at": "9s", "drop": {"member": "room/anna", "for": "11s"}}]
    _, tap = clean(data)
    inits = [(at - ZERO) / SECOND for at, _ in tap.heard(SessionInit) if at > ZERO]
    assert inits == [7, 20]


def test_members_leave_and_come_back_change_their_language_and_close() -> None:
    faults = [
        {"at": "3s", "leave": {"sessions": "room/anna", "for": "4s"}},
        {"at": "10s", "change": {"sessions": "room/anna", "preferred_lang": "ja"}},
        {"at": "15s", "close": {"sessions": ["room/anna", "room/bo"]}},
        {"at": "16s", "leave": {"sessions": "room/bo"}},
    ]
    run, tap = clean(faulty(*faults))
    assert [(at - ZERO) / SECOND for at, _ in tap.heard(RoomLeave)] == [3]
    assert [(at - ZERO) / SECOND for at, _ in tap.heard(RoomLanguage)] == [10]
    assert [(at - ZERO) / SECOND for at, _ in tap.heard(SessionClose)] == [15, 15]
    assert arrivals(run, "anna") == [*usual(0, 3), *usual(7, 15)]
    assert arrivals(run, "bo") == usual(0, 15)
    # Somebody who has closed has left for good: that changes nothing, and so does not count.
    assert [use.fired_count for use in run.faults] == [1, 1, 1, 1]


def test_a_slow_reader_takes_in_one_message_after_the_other_by_their_size() -> None:
    slow = {"at": "5s", "slow_reader": {"sessions": "room/anna", "rate": "100B/s", "for": "10s"}}
    run, tap = clean(faulty(slow))
    (anna,) = connections_of(tap, "anna")
    sizes = [len(msgspec.json.encode(message)) for _, message in tap.told(TranslationResult, anna)]
    assert all(100 < size < 400 for size in sizes)
    expected, free_at = list(usual(0, 5)), 5.0
    for place, sent_at in enumerate(usual(5, 15), len(expected)):
        free_at = max(free_at, sent_at) + sizes[place] / 100
        expected.append(min(free_at, 15.0))
    assert arrivals(run, "anna") == pytest.approx([*expected, *usual(15, 99)], abs=1e-5)
    assert arrivals(run, "bo") == usual(0, 99)


def test_a_slow_reader_who_loses_the_connection_has_nothing_left_to_read() -> None:
    faults = [
        {"at": "5s", "slow_reader": {"sessions": "room/anna", "rate": "50B/s", "for": "20s"}},
        {"at": "12s", "drop": {"sessions": "room/anna", "for": "1s"}},
    ]
    run, tap = clean(faulty(*faults, scheduler={"reconnect_grace": "5s"}))
    old, new = connections_of(tap, "anna")
    sizes = [len(msgspec.json.encode(message)) for _, message in tap.told(TranslationResult, old)[5:]]
    assert sizes[0] < 50 * (12 - 5.6) < sizes[0] + sizes[1], "one was read before, and not two"
    ((told_at, told),) = tap.told(SessionInitAck, new)
    assert told_at == ZERO + 13 * SECOND
    late = [at for at in arrivals(run, "anna") if at > 5]
    assert late[0] == pytest.approx(5.6 + sizes[0] / 50, abs=1e-5)
    # What was left of the old connection's is lost; the new one's first result comes behind its acknowledgement.
    assert late[1] > 13 + len(msgspec.json.encode(told)) / 50
    assert len(late) == 1 + len(tap.told(TranslationResult, new))


def test_a_burst_is_said_beside_what_is_said_anyway_evenly_and_not_after_the_end() -> None:
    faults = [
        {"at": "10s", "burst": {"sessions": "all", "utterances": 4, "within": "2s", "length": "300ms"}},
        {"at": "29s", "burst": {"sessions": "room/mei", "utterances": 10, "within": "2s", "length": "300ms"}},
    ]
    run, _ = clean(faulty(*faults, says=[("mei", "1s")]))
    utterances = run.ledger.utterances()
    ends = [(at - ZERO) / SECOND for at in utterances["ended_at"].tolist()]
    assert ends == [1.5, *sorted(3 * [10.5, 11, 11.5, 12]), 29.2, 29.4, 29.6, 29.8, 30]
    assert {int(length) for length in (utterances["ended_at"] - utterances["started_at"])[1:]} == {300_000}
    assert run.unspoken == 0


# --- when, and whom


def instants(run: RunData, place: int = 0) -> list[float]:
    return [(at - ZERO) / SECOND for at in run.faults[place].at]


def test_a_fault_that_comes_again_keeps_to_its_window() -> None:
    every = {"every": "4s", "from": "6s", "until": "18s", "leave": {"sessions": "room/anna", "for": "1s"}}
    run, _ = clean(faulty(every))
    assert instants(run) == [10, 14, 18]


def test_nothing_strikes_from_the_end_of_the_duration_on() -> None:
    run, _ = clean(faulty({"every": "10s", "leave": {"sessions": "room/bo", "for": "1s"}}))
    assert instants(run) == [10, 20]


def test_a_fault_is_counted_only_where_it_changed_anything() -> None:
    closed = [{"at": f"{at}s", "close": {"sessions": "room/anna"}} for at in (5, 6)]
    run, _ = clean(faulty(*closed, {"at": "7s", "change": {"sessions": "room/bo", "preferred_lang": "en"}}))
    assert [use.fired_count for use in run.faults] == [1, 0, 0]


def test_all_times_are_counted_and_the_first_hundred_are_noted() -> None:
    tally = Tally("crash node", "crash")
    for at in range(150):
        tally.fire(at, at + 1)
    use = tally.use()
    assert use.fired_count == 150
    assert use.at == tuple(range(NOTED_MAX))
    assert use.until == tuple(range(1, NOTED_MAX + 1))


@pytest.mark.parametrize(
    ("fault", "label"),
    [
        ({"crash": {"nodes": "node"}}, "crash node"),
        ({"slow": {"nodes": "all", "factor": 2}}, "slow all nodes"),
        ({"drop": {"sessions": {"random": 2}}}, "drop 2 of all sessions"),
        ({"leave": {"sessions": {"random": "50%", "of": "room"}}}, "leave 50% of room"),
        ({"clog": {"sessions": ["room/mei", "room/bo"]}}, "clog room/mei, room/bo"),
    ],
)
def test_a_fault_is_called_by_what_and_whom(fault: Data, label: str) -> None:
    run, _ = tapped(faulty({"at": "5s", **fault}))
    assert fired(run) == [(label, 1)]


def test_chance_chooses_as_many_as_it_is_told_and_another_time_others() -> None:
    every = {"every": "500ms", "change": {"sessions": {"random": 1}, "preferred_lang": "zh"}}
    members: dict[str, Data] = {f"m{number}": {"speaks": "en"} for number in range(20)}
    _, tap = clean(room(members, faults=[every]))
    changed = [message for _, message in tap.heard(RoomLanguage)]
    who = [each.connection for each in tap.said if type(each.message) is RoomLanguage]
    assert len(changed) == len(set(who)) > 10
    assert who != sorted(who)


def test_removing_one_never_changes_the_luck_of_the_others() -> None:
    names = [f"node-{number}" for number in range(40)]
    drawn = Lots().drawn
    for key in range(50):
        chosen = drawn(names, 5, key)
        assert len(chosen) == 5
        assert list(chosen) == sorted(chosen, key=names.index)
        for gone in (chosen[0], "node-39"):
            fewer = drawn([name for name in names if name != gone], 5, key)
            assert set(chosen) - {gone} <= set(fewer)
    counts = [sum(name in drawn(names, 5, key) for key in range(400)) for name in names]
    # Each is among the 5 of 40 in 50 of 400 times, with a deviation of 6.6.
    assert 20 < min(counts) <= max(counts) < 80
    assert drawn(names, 99, 1) == tuple(names)


def test_removing_a_fault_never_changes_when_another_strikes() -> None:
    often = [
        {"every": {"exponential": {"mean": "2s"}}, "leave": {"sessions": "room/anna", "for": "10ms"}},
        {"every": {"exponential": {"mean": "3s"}}, "clog": {"sessions": "room/bo", "for": "10ms"}},
    ]
    both, _ = clean(faulty(*often))
    one, _ = clean(faulty(often[0]))
    assert both.faults[0] == one.faults[0]
    assert both.faults[0].fired_count > 5


@pytest.mark.parametrize("kind", ["crash", "partition"])
def test_chance_leaves_at_least_one_node(kind: str) -> None:
    every = {"every": "3s", kind: {"nodes": {"random": 2}} | ({"for": "1h"} if kind == "partition" else {})}
    data = faulty(every)
    data["nodes"][0]["count"] = 4
    run, tap = clean(data)
    answered = [at for at, _ in tap.heard(JobResult)]
    assert run.faults[0].fired_count == 2
    assert max(answered) > ZERO + 28 * SECOND
    late = {message.node_id for at, message in tap.heard(JobResult) if at > ZERO + 15 * SECOND}
    assert len(late) == 1


def test_by_name_the_last_node_goes_too() -> None:
    run, _ = clean(faulty({"at": "5s", "crash": {"nodes": "all", "for": "2s"}}))
    assert run.faults[0].fired_count == 1
    assert run.verdict.refusals["OFFLINE"] == 2


# --- healing


def test_everything_that_has_no_end_of_its_own_ends_with_the_duration() -> None:
    faults = [
        {"at": "20s", "clog": {"sessions": "room/anna", "way": "down"}},
        {"at": "20s", "partition": {"sessions": "room/bo", "for": "1h"}},
        {"at": "25s", "pause": {"nodes": "node"}},
        {"at": "5s", "slow_reader": {"sessions": "room/mei", "rate": "1B/s", "for": "1h"}},
    ]
    run, tap = clean(faulty(*faults, scheduler={"reconnect_grace": "1min"}))
    assert not run.undrained
    assert {use.until for use in run.faults} == {(ZERO + 30 * SECOND,)}
    assert [each.at for each in tap.said if each.closed] == [ZERO + 30 * SECOND]
    assert arrivals(run, "anna")[20:] == pytest.approx([*9 * [30]][: len(arrivals(run, "anna")) - 20], abs=1)
    assert len(arrivals(run, "anna")) == 28


def test_a_crashed_node_that_was_to_come_back_later_comes_back_at_the_end() -> None:
    run, tap = clean(faulty({"at": "25s", "crash": {"nodes": "node", "for": "10min"}}, says=[]))
    registered = [at for at, _ in tap.heard(NodeRegister)]
    assert run.faults[0].until == (ZERO + 30 * SECOND,)
    assert len(registered) <= 2


# --- ties and codes


def test_with_ties_everything_happens_on_the_grid() -> None:
    data = deepcopy(LIVELY) | {"faults": [{"ties": "10ms"}]}
    run, tap = tapped(data)
    assert run.verdict.violations == ()
    assert run.faults == (), "it always holds: there is nothing to count"
    assert {each.at % 10_000 for each in (*tap.said, *tap.sent)} == {0}
    assert len(tap.heard(Utterance)) > 50
    spread = [at for at, _ in tap.heard(Utterance)] + [at for at, _ in tap.told(JobAssign)]
    assert len(set(spread)) < len(spread)
    plain = run_of(LIVELY)
    assert run.verdict.created == pytest.approx(plain.verdict.created, rel=0.1)


@pytest.mark.parametrize(("span", "grid", "expected"), [(0, 10, 0), (1, 10, 10), (10, 10, 10), (11, 10, 20), (7, 1, 7)])
def test_a_span_is_rounded_up_to_the_grid(span: int, grid: int, expected: int) -> None:
    assert rounded_up(span, grid) == expected


def test_few_room_codes_come_back_with_other_rooms() -> None:
    events = [{"every": "5s", "leave": "1s"}]
    members: dict[str, Data] = {"mei": {"speaks": "zh", "events": events}, "anna": {"speaks": "en", "events": events}}
    run, tap = clean(room(members, [("mei", f"{at}s") for at in range(1, 29)], faults=[{"room_codes": 2}]))
    created = [message for _, message in tap.told(RoomCreateAck)]
    assert len({ack.room_id for ack in created}) == len(created) > 3
    assert {ack.room_code for ack in created} == {"000000", "000001"}
    assert run.ledger.utterances()["room"].max() > NONE


def test_few_codes_never_make_a_scheduler_ask_for_ever() -> None:
    sources = SimSources(1, code_count=1)
    taken: list[str] = []
    for _ in range(5):
        code = sources.room_code()
        asked = 1
        while code in taken:
            code = sources.room_code()
            asked += 1
        assert asked < 100
        taken.append(code)
        sources.room_id()
    assert len(set(taken)) == 5


# --- the same and different


def test_faults_that_never_strike_change_nothing() -> None:
    """Everybody can be in trouble then, and the scheduler can be another one: nothing is foreseen any more."""
    idle = [
        {"every": "10h", "restart_scheduler": None},
        {"every": "10h", "drop": {"sessions": "all"}},
        {"delay": {"sessions": "all", "share": 0, "by": "1s"}},
        {"every": "10h", "crash": {"nodes": "all"}},
    ]
    plain, idling = run_of(LIVELY), run_of(deepcopy(LIVELY) | {"faults": idle})
    assert idling.events > plain.events
    assert rows(idling) == rows(plain)
    assert idling.trace_hash == plain.trace_hash
    assert [use.fired_count for use in idling.faults] == [0, 0, 0, 0]


def test_a_world_without_faults_has_nothing_about_trouble_on_its_way() -> None:
    assert type(world_of(LIVELY)._port) is Port
    fault = {"at": "5s", "leave": {"sessions": "pair-1", "for": "1s"}}
    world = world_of(deepcopy(LIVELY) | {"faults": [fault]})
    assert type(world._port) is TroubledPort
    steady = [client.name for client in world._population.clients if client.steady]
    assert steady == ["large/mei", "large/yuki", "pair-2/bo", "pair-2/carl", "solo-1", "solo-2"]


def test_whoever_can_be_touched_is_known_beforehand() -> None:
    def touched(*faults: Data, **more: Any) -> set[str]:
        return set(touched_sessions(loaded(faulty(*faults, **more))))

    everybody = {"room/mei", "room/anna", "room/bo"}
    assert touched() == set()
    assert touched({"at": "1s", "crash": {"nodes": "node"}}) == set()
    assert touched({"at": "1s", "partition": {"sessions": "room/bo"}}) == {"room/bo"}
    assert touched({"at": "1s", "drop": {"sessions": {"random": 1, "of": ["room/bo", "room/mei"]}}}) == {
        "room/bo",
        "room/mei",
    }
    assert touched({"delay": {"sessions": {"random": 1}, "share": "1%", "by": "1s"}}) == everybody
    assert touched({"at": "1s", "restart_scheduler": None}) == everybody
    assert touched(script=[{"at": "1s", "speak": "room/mei"}, {"at": "1s", "leave": "room/anna"}]) == {
        "room/mei",
        "room/anna",
    }


EVERYTHING: list[Data] = [
    {"at": "5s", "crash": {"nodes": "node-1", "for": "3s"}},
    {"every": "7s", "slow": {"nodes": {"random": 1}, "factor": 3, "for": "4s"}},
    {"every": {"exponential": {"mean": "9s"}}, "pause": {"nodes": {"random": "50%"}, "for": "2s"}},
    {"at": "12s", "evict": {"nodes": "node-2", "for": "3s"}},
    {"every": "8s", "clog": {"sessions": {"random": 2}, "for": "1s"}},
    {"at": "20s", "clog": {"nodes": "node-3", "way": "down"}},
    {"every": "6s", "partition": {"sessions": {"random": 1}, "for": {"uniform": {"from": "500ms", "to": "3s"}}}},
    {"at": "15s", "partition": {"nodes": {"random": 1}, "way": "up", "for": "5s"}},
    {"every": "4s", "drop": {"sessions": {"random": 1}, "for": "500ms", "noticed": "2s"}},
    {"every": "9s", "leave": {"sessions": {"random": 1}, "for": "3s"}},
    {"every": "9s", "change": {"sessions": {"random": 1}, "preferred_lang": "ja"}},
    {"at": "30s", "close": {"sessions": "solo-2"}},
    {"at": "10s", "slow_reader": {"sessions": "large", "rate": "300B/s", "for": "10s"}},
    {"at": "3s", "clock": {"nodes": "all", "skew": "-3s"}},
    {"at": "25s", "restart_scheduler": None},
    {"at": "18s", "flap": {"nodes": "node-1", "up": "2s", "down": "1s", "for": "8s"}},
    {"at": "9s", "burst": {"sessions": "all", "utterances": 5, "within": "2s", "length": "1s"}},
    {"crash_after_work": {"nodes": "node-2", "share": "5%", "for": "2s"}},
    {"out_of_memory": {"nodes": "all", "share": "3%"}},
    {"lose_heartbeats": {"nodes": "all", "share": "10%"}},
    {"delay": {"sessions": "all", "share": "20%", "by": {"exponential": {"mean": "300ms"}}}},
    {"delay": {"nodes": "all", "way": "down", "share": "20%", "by": "200ms"}, "from": "5s", "until": "20s"},
    {"lose": {"nodes": "all", "messages": ["job_result", "job_assign"], "share": "3%"}},
    {"duplicate": {"nodes": "all", "messages": ["job_result", "node_heartbeat"], "share": "10%"}},
    {"duplicate": {"sessions": "all", "messages": "utterance", "share": "20%"}},
    {"ties": "10ms"},
    {"room_codes": 4},
]
"""Every kind of fault that a node may have without being wrong, and every kind of the others."""


def troubled() -> Data:
    data = deepcopy(LIVELY) | {"faults": EVERYTHING}
    data["nodes"][0]["count"] = 4
    data["scheduler"] |= {"job_timeout": "5s", "heartbeat_timeout": "15s"}
    return data


@pytest.mark.parametrize("seed", range(6))
def test_with_everything_going_wrong_no_rule_is_broken_and_nothing_is_left_behind(seed: int) -> None:
    found = outcome(troubled(), seed)
    assert found.run.verdict.violations == ()
    assert not found.run.undrained
    assert found.entry_count == 0
    assert found.run.verdict.ends["delivered"] > 40


def test_every_fault_strikes_in_some_run() -> None:
    counts = [0] * (len(EVERYTHING) - 2)
    for seed in range(4):
        for place, use in enumerate(outcome(troubled(), seed).run.faults):
            counts[place] += use.fired_count
            assert all(earlier <= later for earlier, later in pairwise(use.at))
    assert min(counts) > 0, counts


def test_with_every_fault_the_hash_does_not_depend_on_the_process_or_its_hash_seed() -> None:
    program = (
        "from tests.sim.test_faults import troubled\n"
        "from tests.sim.worlds import outcome\n"
        "import json\n"
        "runs = [outcome(troubled(), seed).run for seed in range(3)]\n"
        "print(json.dumps([[run.trace_hash, [[use.label, use.at] for use in run.faults]] for run in runs]))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    told = [child.communicate(timeout=60)[0] for child in children]
    assert told[0] == told[1]
    assert len({json.dumps(each) for each in json.loads(told[0])}) == 3


# --- another scheduler


def test_after_a_restart_everybody_comes_back_and_is_served() -> None:
    run, tap = tapped(faulty({"at": "10s", "restart_scheduler": None}))
    assert run.verdict.violations == ()
    assert fired(run) == [("restart scheduler", 1)]
    assert tap.real is not None
    assert arrivals(run, "anna")[:9] == usual(0, 10)
    # Clients come back at once, the node after its five seconds, and it takes three heartbeats to be ready.
    again = [at for at in arrivals(run, "anna") if at > 10]
    assert again[0] < 20
    assert len(again) >= 9
    assert again == usual(again[0], 99)
    assert last_members(tap) != []


def test_what_was_in_flight_at_a_restart_is_lost_and_accounted_for() -> None:
    data = faulty({"at": "10s", "restart_scheduler": None}, scheduler={"job_timeout": "10s"})
    data["nodes"][0]["service"] = "2s"
    run, _ = tapped(data)
    assert run.verdict.violations == ()
    assert run.verdict.ends["lost"] == 2
    assert run.verdict.created == sum(run.verdict.ends.values())


def test_messages_of_before_a_restart_never_reach_the_scheduler_after_it() -> None:
    taps: list[Tap] = []
    data = faulty({"at": "10100ms", "restart_scheduler": None}, network={"session": {"delay": "1s"}})
    data["scheduler"] = {"reconnect_grace": "5s"}

    def factory(settings: Any, sources: Any) -> Tap:
        taps.append(Tap(settings, sources))
        return taps[-1]

    run = simulate(loaded(data), scheduler=factory)
    assert run.verdict.violations == ()
    first, second = taps
    known = {each.connection for each in first.said}
    assert known.isdisjoint({each.connection for each in second.said})
    assert {ack.session_id for _, ack in first.told(SessionInitAck)}.isdisjoint(
        {ack.session_id for _, ack in second.told(SessionInitAck)}
    )
    # They do not know that it is another one, so they ask to go on, and are refused.
    assert [error.code for _, error in second.told(Error)] == 3 * [ErrorCode.INVALID_SESSION]
