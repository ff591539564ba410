"""Faults that real systems of this kind had, restated for rooms and nodes. Each names where it was reported."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simroom.scheduler.messages import RoomMembers, TranslationResult

from .harness import World, codes

# --- lost


def test_one_who_leaves_and_joins_again_at_once_is_a_member() -> None:
    """socketio/socket.io-redis-adapter#198: the leave landed after the join."""
    world = World()
    world.node("n1")
    code = world.room("bob:zh", "ana:en")
    world.at(1)
    world.leave("ana")
    world.at(1.001)
    world.join("ana:en", code)
    world.speak("bob")
    world.at(2)
    world.answer("bob#0>en")
    assert world.heard("ana") == ["bob#0>en"]


def test_one_members_leave_takes_nothing_from_those_who_stay() -> None:
    """GannettDigital/socket.io-ioredis#2: one left and the whole room was unsubscribed."""
    world = World()
    world.node("n1")
    world.room("cy:zh", "ana:en", "ben:en")
    world.at(5)
    world.leave("ana")
    world.at(6)
    world.speak("cy")
    world.answer("cy#0>en")
    assert world.heard("ben") == ["cy#0>en"]
    assert world.heard("ana") == []


def test_a_result_right_after_a_join_reaches_the_joiner_after_the_list_of_members() -> None:
    """livekit/livekit#3049: what was sent on the notice of joining came before its receiver was ready, and was lost."""
    world = World()
    world.node("n1")
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.join("cy:en", code)
    world.answer("ana#0>en")
    kinds = [type(message) for message in world.inbox("cy")[-2:]]
    assert kinds == [RoomMembers, TranslationResult]
    assert world.heard("cy") == ["ana#0>en"]


def test_a_node_killed_as_it_takes_a_job_loses_none() -> None:
    """rq/rq#2236: a kill between taking a job and saying so orphaned it."""
    world = World(tie_break="first")
    world.node("n1")
    world.node("n2")
    world.room("ana:zh", "ben:en")
    world.at(1)
    world.speak("ana")
    world.lose("n1")
    assert world.nodes_of("ana#0>en") == ["n1", "n2"]
    world.answer("ana#0>en")
    assert world.heard("ben") == ["ana#0>en"]


def test_a_job_that_runs_out_of_memory_at_its_last_step_is_completed_elsewhere() -> None:
    """inference-sim/inference-sim#183: 499 of 500 finished and nobody noticed."""
    world = World()
    world.node("n1", slots=300)
    world.node("n2", slots=300)
    world.session("ana")
    for _ in range(500):
        world.speak("ana")
    world.answer("ana#250>en", code="INTERNAL_ERROR")
    for job in list(world.given):
        world.answer(job)
    assert world.ended() == {"delivered": 500}
    assert len(world.heard("ana")) == 500


def test_one_failure_among_eight_leaves_the_other_seven() -> None:
    """opentargets/platform-mcp#24: one that raised aborted the whole batch."""
    world = World()
    world.node("n1", slots=8)
    world.room("ana:zh", "ben:en")
    for _ in range(8):
        world.speak("ana")
    for index in range(8):
        world.answer(f"ana#{index}>en", code="MODEL_CORRUPTED" if index == 3 else None)
    assert world.heard("ben") == [f"ana#{index}>en" for index in range(8) if index != 3]
    assert world.ended() == {"delivered": 7, "failed": 1}


# --- twice


def test_one_who_joins_three_times_gets_one_copy() -> None:
    """socketio/socket.io#379, socketio/socket.io#3516: N joins, N copies."""
    world = World()
    world.node("n1")
    code = world.room("bob:zh")
    for _ in range(3):
        world.join("ana:en", code)
    world.speak("bob")
    world.answer("bob#0>en")
    assert world.heard("ana") == ["bob#0>en"]
    assert world.members("bob") == ["bob", "ana"]
    world.leave("ana")
    assert world.members("bob") == ["bob"]


def test_the_time_of_an_attempt_does_not_run_while_its_job_waits() -> None:
    """celery/celery#2599, celery/celery#5935: jobs that merely waited were executed again."""
    world = World(on_no_node="queue", job_timeout=5)
    world.node("n1", slots=1)
    world.session("bob")
    world.room("ana:zh", "ben:en")
    for speaker in ("bob", "bob", "bob", "ana"):
        world.speak(speaker)
    for index in range(3):
        world.run(4)
        world.answer(f"bob#{index}>en")
    assert world.given["ana#0>en"][0].at == 12
    world.at(16)
    world.answer("ana#0>en")
    world.at(100)
    assert world.heard("ben") == ["ana#0>en"]
    assert world.nodes_of("ana#0>en") == ["n1"]


def test_a_late_completion_while_the_job_waits_for_another_attempt_takes_it_out_of_the_queue() -> None:
    """opentripplanner/OpenTripPlanner#2048: it was processed twice and its group declared done early."""
    world = World(on_no_node="queue", job_timeout=5, waiting_time_max=50)
    world.node("n1", slots=2)
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")
    world.at(5)  # both time out and wait for another node
    world.answer("ana#0>en")
    assert world.counts()["living"] == 1
    assert world.nodes_of("ana#0>ja") == ["n1", "n1"], "the slot that was freed is for the other language"
    world.answer("ana#0>ja", attempt=2)
    world.answer("ana#0>ja", attempt=1)
    world.at(100)
    assert world.nodes_of("ana#0>en") == ["n1"]
    assert (world.heard("ben"), world.heard("cy")) == (["ana#0>en"], ["ana#0>ja"])
    assert world.ended() == {"delivered": 2}


def test_one_join_and_one_leave_are_each_told_once() -> None:
    """phoenixframework/phoenix_pubsub_redis#26: events came once for each server, and zombies stayed."""
    world = World()
    code = world.room("ana:zh", "ben:en")
    before = {name: len(world.got(name, RoomMembers)) for name in ("ana", "ben")}
    world.join("cy:en", code)
    world.leave("cy")
    for name, count in before.items():
        lists = [len(shown.members) for shown in world.got(name, RoomMembers)[count:]]
        assert lists == [3, 2]


# --- to the wrong ones


def test_overlapping_jobs_of_one_node_keep_their_languages_apart() -> None:
    """sgl-project/sglang-omni#1279: one request's target leaked into another (the harness checks payloads)."""
    world = World()
    world.node("n1", slots=2)
    world.room("ana:en", "ben:fr", "cy:de")
    world.speak("ana")
    world.answer("ana#0>fr")
    world.answer("ana#0>de")
    assert (world.heard("ben"), world.heard("cy")) == (["ana#0>fr"], ["ana#0>de"])


def test_every_kind_of_node_is_told_the_speakers_language_as_the_source() -> None:
    """kizuna-ai-lab/sokuji#289: source and target were swapped for one kind of backend."""
    world = World()
    world.node("n1", pairs="zh>en en>zh", slots=1)
    world.node("n2", pairs="zh>en en>zh", slots=1, extra=["vad-1"], capability_state={})
    world.session("ana", "zh", "en")
    world.speak("ana")
    world.speak("ana")
    assigns = [world.given[f"ana#{index}>en"][0] for index in (0, 1)]
    assert [given.node for given in assigns] == ["n1", "n2"]
    assert {(given.assign.src_lang, given.assign.tgt_lang) for given in assigns} == {("zh", "en")}


def test_rooms_that_look_alike_share_nothing() -> None:
    """googollee/go-socket.io#319: rooms of one name in two namespaces shared their broadcasts."""
    world = World()
    world.node("n1")
    for tenant in ("t1", "t2"):
        world.session(f"{tenant}-ana", "zh", "en", tenant_id=tenant)
        world.room(f"{tenant}-ana:zh", f"{tenant}-ben:en")
    world.speak("t1-ana")
    world.answer("t1-ana#0>en")
    assert (world.heard("t1-ben"), world.heard("t2-ben")) == (["t1-ana#0>en"], [])
    world.leave("t1-ana")
    assert world.members("t2-ben") == ["t2-ana", "t2-ben"]


def test_a_job_of_a_room_that_ended_is_not_for_its_successor_with_the_same_people_and_code() -> None:
    """omnigent-ai/omnigent#5544: what was begun before the end was written into what was created anew."""
    world = World(reconnect_grace=10)
    world.node("n1")
    world.sources.codes.extend(["123456", "123456"])
    world.room("ana:zh", "ben:en", "cy:en")
    world.speak("ana")
    world.drop("cy")
    for name in ("ana", "ben"):
        world.leave(name)
    world.at(10)  # cy is gone too: the first room has ended
    world.room("ana:zh", "ben:en")
    world.answer("ana#0>en")
    assert world.heard("ben") == []
    assert world.heard("ana") == []
    assert world.ended() == {"no_recipient": 1}


# --- out of order


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("gap", [(3, "ana#4>en"), (3, "ana#5>en"), (3, "ana#6>en")]),
        ("strict", [(3, "ana#4>en"), (3, "ana#5>en"), (3, "ana#6>en")]),
        ("none", [(1, "ana#6>en"), (2, "ana#5>en"), (3, "ana#4>en")]),
    ],
)
def test_results_of_three_nodes_come_in_order_or_with_three_inversions(
    ordering: str, expected: list[tuple[int, str]]
) -> None:
    """miguelgrinberg/Flask-SocketIO#1420, miguelgrinberg/python-socketio#382: 4, 5, 6 arrived as 6, 4, 5."""
    world = World(ordering=ordering)
    for name in ("n1", "n2", "n3"):
        world.node(name, slots=1)
    world.room("ana:zh", "ben:en")
    for index in (4, 5, 6):
        world.speak("ana", index)
    heard = []
    for second, index in ((1, 6), (2, 5), (3, 4)):
        world.at(second)
        before = len(world.heard("ben"))
        world.answer(f"ana#{index}>en")
        heard += [(second, result) for result in world.heard("ben")[before:]]
    assert heard == expected


def test_one_who_takes_nothing_holds_up_none_of_the_sixteen_others() -> None:
    """HKUDS/nanobot#5655, kubestellar/console#3368: one slow client blocked the fan-out to all."""
    world = World(reconnect_grace=10_000, kept_count_max=256, job_timeout=10)
    world.node("n1", slots=400)
    world.room("ana:zh", *(f"m{number}:en" for number in range(17)))
    world.drop("m7")
    for _ in range(300):
        world.speak("ana")
        index = len(world.given) - 1
        world.answer(f"ana#{index}>en")
    stream = [f"ana#{index}>en" for index in range(300)]
    for number in range(17):
        if number != 7:
            assert world.heard(f"m{number}") == stream
    world.resume("m7")
    assert world.heard("m7") == stream[-256:], "bounded, the oldest dropped"


# --- stale load


def test_two_picks_in_a_row_differ_where_nodes_tie() -> None:
    """jitsi/jicofo#943: the local correction between reports was there and never called."""
    for tie_break in ("first", "rotate", "random"):
        world = World(tie_break=tie_break)
        world.node("n1")
        world.node("n2")
        world.session("ana")
        world.speak("ana")
        world.speak("ana")
        assert world.nodes_of("ana#0>en") != world.nodes_of("ana#1>en")


def test_a_node_whose_heartbeats_stop_gets_no_new_jobs() -> None:
    """jitsi/jicofo#498: a node that reported late looked idle and got more."""
    world = World(load="reported")
    world.node("n1")
    world.node("n2")
    world.load("n2", jobs=3)
    world.silence("n1")
    world.session("ana")
    world.at(61)
    world.speak("ana")
    assert world.nodes_of("ana#0>en") == ["n2"]


def test_rooms_placed_while_empty_are_spread_by_count() -> None:
    """jitsi/jicofo#1300: rooms placed while empty piled up on one node and filled all at once."""
    world = World(sticky="room")
    for number in range(10):
        world.node(f"n{number}", slots=100)
    for room in range(30):
        world.room(f"s{room}:zh", f"l{room}:en")
    for room in range(30):
        world.speak(f"s{room}")
    assert {v.jobs for v in world.scheduler.where("zh", "en")} == {3}
    for room in range(30):
        for _ in range(4):
            world.speak(f"s{room}")
    assert {v.jobs for v in world.scheduler.where("zh", "en")} == {15}


def test_a_second_job_between_two_reports_finds_the_slot_taken() -> None:
    """livekit/agents#4884: load was sampled every half second, and a limit of one accepted two."""
    world = World()
    world.node("n1", slots=1)
    world.session("ana")
    world.speak("ana")
    world.at(0.1)
    world.speak("ana")
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "CAPACITY_EXCEEDED")]


def test_a_job_that_is_tried_again_on_its_own_node_frees_no_slot_for_anybody_in_between() -> None:
    """kubernetes/kubernetes#106545: delete and add were two steps, and a pick fell between them."""
    world = World(on_no_node="queue", max_attempts=3)
    world.node("n1", slots=1)
    world.session("ana")
    world.session("bob")
    world.speak("ana")
    world.speak("bob")
    world.at(1)
    world.answer("ana#0>en", code="INTERNAL_ERROR")
    assert world.jobs_on("n1") == 1
    assert sum(len(given) for given in world.given.values()) == 2


# --- fairness


def test_a_job_that_fits_nowhere_blocks_none_that_do_and_says_why() -> None:
    """kubernetes/kubernetes#106546, kubernetes/kubernetes#86373: an unschedulable job blocked small ones."""
    for on_no_node in ("reject", "queue"):
        world = World(on_no_node=on_no_node)
        world.node("n1", slots=10, pairs="zh>en")
        world.session("big", "zh", "ja")
        world.session("small", "zh", "en")
        world.speak("big")
        for _ in range(10):
            world.speak("small")
        assert len(world.given) == 10
        if on_no_node == "reject":
            assert world.errors("big") == [("NO_AVAILABLE_NODE", "MODEL_NOT_AVAILABLE")]
        else:
            world.at(30)
            assert world.errors("big") == [("NO_AVAILABLE_NODE", None)]


# --- coming and going


def test_the_late_end_of_a_first_connection_does_not_remove_the_second() -> None:
    """foxglove/foxglove-sdk#1194: a stale disconnect removed the new session, as only the identity was compared."""
    world = World()
    world.node("n1")
    world.room("bob:zh", "ana:en")
    old = world.connection("ana")
    world.at(5)
    world.resume("ana")
    world.at(6)
    world.disconnect(old)
    world.at(7)
    world.speak("bob")
    world.answer("bob#0>en")
    assert world.heard("ana") == ["bob#0>en"]


def test_the_last_of_several_quick_joins_wins() -> None:
    """phoenixframework/phoenix#1483, phoenixframework/phoenix#1615: the late end of the first closed the second."""
    world = World(reconnect_grace=10)
    world.node("n1")
    code = world.room("bob:zh", "ana:en")
    for _ in range(3):
        world.leave("ana")
        assert codes(world.join("ana:en", code)) == []
    connections = [world.connection("ana")]
    for _ in range(2):
        world.resume("ana")
        connections.append(world.connection("ana"))
    for connection in connections[:-1]:
        world.disconnect(connection)
    world.at(20)
    world.speak("bob")
    world.answer("bob#0>en")
    assert world.heard("ana") == ["bob#0>en"]
    assert world.members("ana") == ["bob", "ana"]


def test_one_who_left_while_i_was_away_is_not_on_my_list() -> None:
    """livekit/client-sdk-js#561: a member who left during my reconnect stayed in my list."""
    world = World(reconnect_grace=30)
    world.room("ana:zh", "ben:en", "cy:en")
    world.at(10)
    world.drop("ben")
    world.at(15)
    world.leave("cy")
    world.at(20)
    world.resume("ben")
    assert world.members("ben") == ["ana", "ben"]


def test_one_who_has_received_nothing_yet_can_come_back_too() -> None:
    """socketio/socket.io#5538: recovery needed an offset, which a client that got no message had not."""
    world = World(reconnect_grace=10)
    world.node("n1")
    world.room("bob:zh", "ana:en")
    world.at(4)
    world.speak("bob")
    world.at(5)
    world.drop("ana")
    world.at(6)
    world.answer("bob#0>en")
    world.at(7)
    world.resume("ana")
    assert world.members("ana") == ["bob", "ana"]
    assert world.heard("ana") == ["bob#0>en"]


def test_all_come_back_at_once_each_as_themselves_once() -> None:
    """gravitational/teleport#6889, jenkinsci/swarm-plugin#163: hundreds reconnected in the same second."""
    world = World(reconnect_grace=10)
    world.node("n1")
    names = [f"m{number}" for number in range(60)]
    world.room("ana:zh", *(f"{name}:en" for name in names))
    for name in names:
        world.drop(name)
    world.speak("ana")
    world.answer("ana#0>en")
    for name in names:
        world.resume(name)
    assert all(world.heard(name) == ["ana#0>en"] for name in names)
    assert world.members("m0") == ["ana", *names]


# --- trying again


def test_a_second_attempt_is_not_on_the_node_of_the_first() -> None:
    """kubernetes/ingress-nginx#11852: under concurrent traffic a retry could pick the same failed node."""
    world = World(job_timeout=5)
    world.node("dead", slots=50)
    world.node("ok", slots=50)
    world.session("ana")
    for _ in range(7):
        world.speak("ana")
    world.at(5)
    for index in range(7):
        first, second = world.nodes_of(f"ana#{index}>en")
        assert first != second


def test_a_node_that_beats_and_never_answers_gets_no_more_than_its_slots_until_they_are_abandoned() -> None:
    """ray-project/ray#61263, azrtydxb/Fastllm-proxy#19: a zombie passed its pings and got all the work for hours."""
    world = World(job_timeout=5, abandon_after=60)
    world.node("zombie", slots=2)
    world.node("ok", slots=100)
    world.session("ana")
    for second in range(1, 60):
        world.at(second)
        world.speak("ana")
        for job, given in list(world.given.items()):
            if given[-1].node == "ok" and given[-1].at < second and job not in world.heard("ana"):
                world.answer(job)
    assert world.nodes_of("ana#0>en")[0] == "zombie"
    assert sum(given[0].node == "zombie" for given in world.given.values()) == 2
    assert world.errors("ana") == []


def test_a_cancelled_job_gives_its_slot_back() -> None:
    """ray-project/ray#44644: a cancel that raced the start left the slot taken for ever."""
    world = World(cancel="moot", on_no_node="queue", job_timeout=10, abandon_after=5, waiting_time_max=60)
    world.node("n1", slots=1)
    world.session("dan")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.leave("ben")  # at the very instant of the start
    world.speak("dan")
    world.at(15)  # the node never says a word about the job it was told to forget
    assert world.nodes_of("dan#0>en") == ["n1"]


def test_a_draining_node_stays_until_the_last_of_its_jobs_has_ended() -> None:
    """livekit/agents#4268: a draining worker exited when the first of its calls ended."""
    world = World()
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.speak("ana")
    world.drain("n1")
    world.at(5)
    world.answer("ana#0>en")
    world.speak("ana")
    world.at(29)
    world.answer("ana#1>en")
    assert world.heard("ana") == ["ana#0>en", "ana#1>en"]
    assert world.nodes_of("ana#2>en") == []


def test_waiting_jobs_of_a_room_that_ended_take_no_node() -> None:
    """livekit/agents#1024: queued jobs of rooms already empty took workers later."""
    world = World(on_no_node="queue")
    world.session("dan")
    world.node("n1", slots=1)
    world.speak("dan")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.at(5)
    world.leave("ana")
    world.leave("ben")
    world.at(10)
    world.answer("dan#0>en")
    assert world.nodes_of("ana#0>en") == []
    assert world.ended() == {"delivered": 1, "no_recipient": 1}


# --- what a simulator got wrong


def test_a_stale_completion_of_a_job_that_has_moved_completes_it_once() -> None:
    """vllm-project/semantic-router#2900: slots were decremented and jobs counted twice."""
    world = World(job_timeout=4, tie_break="first")
    world.node("n1", slots=1)
    world.node("n2", slots=1)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.at(4)  # moved to n2
    assert world.nodes_of("ana#0>en") == ["n1", "n2"]
    world.at(7)
    world.answer("ana#0>en", attempt=1)
    world.answer("ana#0>en", attempt=2)
    world.answer("ana#0>en", attempt=1)
    assert world.heard("ben") == ["ana#0>en"]
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 0)
    assert world.ended() == {"delivered": 1}


def test_a_node_without_slots_for_a_while_starts_nothing_and_the_queue_goes_on_after() -> None:
    """CiwPython/Ciw#26: a schedule with no servers for a while crashed."""
    world = World(on_no_node="queue")
    world.node("n1", slots=1)
    world.session("ana")
    world.at(10)
    world.lose("n1")
    world.node("n1", slots=0)
    world.speak("ana")
    world.at(19)
    assert world.nodes_of("ana#0>en") == []
    world.lose("n1")
    world.at(20)
    world.node("n1", slots=1)
    assert world.nodes_of("ana#0>en") == ["n1"]


def test_where_every_job_is_rejected_nothing_is_waited_for() -> None:
    """oar-team/batsim#34: with every job rejected the simulator waited for ever."""
    world = World()
    world.session("ana")
    for _ in range(10):
        world.speak("ana")
    assert world.ended() == {"rejected": 10}
    assert world.scheduler.next_deadline is None


# --- the same history, the same bytes


def test_the_same_history_gives_the_same_bytes_whatever_the_seed_of_hashes() -> None:
    """dstl/Stone-Soup#1237, UCL/TLOmodel#419: the order of a set decided."""
    tests = Path(__file__).resolve().parents[1]
    digests = set()
    for seed in ("0", "1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
        }
        command = [sys.executable, "-m", "scheduler.history"]
        run = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert run.stdout.count(b"\n") > 300
        digests.add(hashlib.sha256(run.stdout).hexdigest())
    assert len(digests) == 1
