"""Faults that the modelled system really had: our defaults are free of them; where a setting brings one back, it does.

Those that are about time alone (the slow first job, the ASR repeated for each language) are the simulation's to show.
"""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import NodeHeartbeat, RoomExpired

from .harness import World, codes, registration, usage


def test_every_language_of_every_utterance_arrives() -> None:
    """One expected index for each speaker, shared by two jobs: one of four results arrived, then silence."""
    world = World()
    world.node("n1")
    world.room("ana:zh", "ben:en", "cy:ja")
    for index in range(2):
        world.speak("ana")
        world.answer(f"ana#{index}>en")
        world.answer(f"ana#{index}>ja")
    assert world.heard("ben") == ["ana#0>en", "ana#1>en"]
    assert world.heard("cy") == ["ana#0>ja", "ana#1>ja"]


def test_results_released_together_each_go_to_their_own_recipients() -> None:
    """Results released together went to the recipients of the job that released them: C never got the second."""
    world = World()
    world.node("n1")
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.join("cy:en", code)
    world.speak("ana")
    world.answer("ana#1>en")
    world.answer("ana#0>en")
    assert world.heard("cy") == world.heard("ben") == ["ana#0>en", "ana#1>en"]


def test_results_released_together_keep_their_own_recipients_under_a_snapshot() -> None:
    world = World(membership="snapshot")
    world.node("n1")
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.join("cy:en", code)
    world.speak("ana")
    world.answer("ana#1>en")
    world.answer("ana#0>en")
    assert world.heard("ben") == ["ana#0>en", "ana#1>en"]
    assert world.heard("cy") == ["ana#1>en"]


@pytest.mark.parametrize("ordering", ["strict", "gap"])
@pytest.mark.parametrize("how", ["failed", "no node"])
def test_one_failure_does_not_mute_its_speaker(ordering: str, how: str) -> None:
    """One failed job, or one utterance without a node, muted the speaker for good."""
    world = World(ordering=ordering)
    world.room("ana:zh", "ben:en")
    if how == "no node":
        world.speak("ana")
        world.node("n1")
    else:
        world.node("n1")
        world.speak("ana")
        world.answer("ana#0>en", code="MODEL_CORRUPTED")
    for index in (1, 2, 3):
        world.speak("ana")
        world.answer(f"ana#{index}>en")
    assert world.heard("ben") == ["ana#1>en", "ana#2>en", "ana#3>en"]
    assert len(world.errors("ana")) == 1


@pytest.mark.parametrize(("max_attempts", "heard"), [(2, ["ana#0>en"]), (1, [])])
def test_jobs_of_a_node_that_dies_are_tried_again_or_at_least_accounted_for(
    max_attempts: int, heard: list[str]
) -> None:
    """Jobs of a node that died vanished: no retry, no error."""
    world = World(max_attempts=max_attempts)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.node("n2")
    world.lose("n1")
    if max_attempts == 2:
        world.answer("ana#0>en")
    assert world.heard("ben") == heard
    assert world.errors("ana") == ([] if heard else [("NODE_UNAVAILABLE", None)])


@pytest.mark.parametrize(("same_language", "errors"), [("skip", 0), ("translate", 3)])
def test_a_listener_with_the_speakers_language_costs_no_error(same_language: str, errors: int) -> None:
    """A zh→zh job that no node could do: an error for every utterance."""
    world = World(same_language=same_language)
    world.node("n1")
    world.room("ana:zh", "ben:zh", "cy:en")
    for _ in range(3):
        world.speak("ana")
    assert len(world.errors("ana")) == errors
    assert len(world.given) == 3


def test_a_member_without_a_language_hears_nothing_and_costs_nothing() -> None:
    """A member without a language, and nobody else has one: who hears what?"""
    world = World()
    world.node("n1")
    code = world.room("ana", "ben")
    world.speak("ana")
    assert world.counts()["created"] == 0
    world.join("cy:en", code)
    world.speak("ana")
    world.answer("ana#1>en")
    assert (world.heard("ana"), world.heard("ben"), world.heard("cy")) == ([], [], ["ana#1>en"])


@pytest.mark.parametrize(("grace", "jobs"), [(0, 0), (30, 3), (1_000_000, 10)])
def test_a_dropped_socket_leaves_no_ghost_beyond_its_grace(grace: float, jobs: int) -> None:
    """A dropped socket left a ghost member whose language's jobs went on for ever."""
    world = World(reconnect_grace=grace)
    world.node("n1", slots=100)
    world.room("ana:zh", "ben:en", "cy:ja")
    world.at(0.5)
    world.drop("cy")
    for second in range(10, 110, 10):
        world.at(second)
        world.speak("ana")
    assert sum(job.endswith(">ja") for job in world.given) == jobs
    assert sum(job.endswith(">en") for job in world.given) == 10


@pytest.mark.parametrize(("membership", "heard"), [("live", {"cy"}), ("snapshot", set())])
def test_a_joiner_between_dispatch_and_result_hears_it_unless_members_are_frozen(
    membership: str, heard: set[str]
) -> None:
    """A member who left between dispatch and result still received it, and a joiner missed it."""
    world = World(membership=membership)
    world.node("n1")
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ben")
    world.join("cy:en", code)
    world.answer("ana#0>en")
    assert {name for name in ("ana", "ben", "cy") if world.heard(name)} == heard


def test_a_node_whose_old_connection_is_dead_does_not_stay_online_by_it() -> None:
    """Refused for its old id, with heartbeats over the dead connection it stayed "online", idle, and got every job."""
    world = World()
    world.node("n1")
    world.node("n2")
    world.silence("n1")
    again = world.connect("node", "n1")
    for second in (10, 25, 40, 55):
        world.at(second)
        assert codes(world.send(again, registration("n1"))) == ["NODE_ID_CONFLICT"]
        world.send(again, NodeHeartbeat("n1", 0, usage()))
    world.at(60)
    assert world.status("n1") == "offline"
    world.send(again, NodeHeartbeat("n1", 0, usage()))
    assert world.status("n1") == "offline"
    world.session("ana")
    for _ in range(3):
        world.speak("ana")
    assert {given[0].node for given in world.given.values()} == {"n2"}
    assert codes(world.send(again, registration("n1"))) == []


@pytest.mark.parametrize(("load", "expected"), [("tracked", [5, 5]), ("reported", [10, 0])])
def test_jobs_between_two_heartbeats_are_spread_unless_only_reports_count(load: str, expected: list[int]) -> None:
    """Load known only from heartbeats every 15 s: 2 idle nodes, 10 jobs in 5 s: 10 and 0."""
    world = World(load=load, tie_break="first")
    for name in ("n1", "n2"):
        world.node(name, slots=10)
    world.session("ana")
    for half in range(10):
        world.at(half / 2)
        world.speak("ana")
    nodes = [given[0].node for given in world.given.values()]
    assert [nodes.count(name) for name in ("n1", "n2")] == expected


@pytest.mark.parametrize(("threshold", "ready"), [(None, True), (0.25, False)])
def test_the_systems_own_example_node_is_scheduled(threshold: float | None, ready: bool) -> None:
    """A 25 % threshold excluded the system's own example node: nothing was ever scheduled."""
    world = World() if threshold is None else World(resource_threshold=threshold)
    world.node("n1")
    world.load("n1", cpu=37.5, gpu=51.2, mem=40.8)
    world.session("ana")
    world.speak("ana")
    assert bool(world.given) is ready
    assert world.errors("ana") == ([] if ready else [("NO_AVAILABLE_NODE", "RESOURCE_THRESHOLD_EXCEEDED")])


def test_a_room_in_which_people_speak_does_not_expire_for_want_of_results() -> None:
    """Room expiry followed delivered results, not speech; after it a translation came back to its speaker."""
    world = World()
    world.room("ana:zh", "ben:en")
    for minute in range(0, 90, 10):
        world.at(minute * 60)
        world.speak("ana")  # no node at all
    assert world.got("ana", RoomExpired) == []
    world.node("n1")
    world.speak("ana")
    world.answer("ana#9>en")
    assert (world.heard("ana"), world.heard("ben")) == ([], ["ana#9>en"])


@pytest.mark.parametrize(("settings", "attempts"), [({}, 1), ({"job_timeout": 1, "max_attempts": 3}, 3)])
def test_a_time_out_shorter_than_the_service_repeats_attempts_and_still_delivers_once(
    settings: dict[str, float], attempts: int
) -> None:
    """Duplicate attempts, results thrown away, a retry storm."""
    world = World(**settings)
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    for attempt in (1, 2, 3):
        world.at(attempt + 1.5)  # each takes 2.5 s and began a second after the one before
        if len(world.nodes_of("ana#0>en")) >= attempt:
            world.answer("ana#0>en", attempt=attempt)
    assert len(world.nodes_of("ana#0>en")) == attempts
    assert world.heard("ben") == ["ana#0>en"]


@pytest.mark.parametrize(("settings", "heard"), [({}, ["ana#0>en"]), ({"max_attempts": 1}, [])])
def test_a_cold_start_longer_than_the_time_out_does_not_lose_the_first_utterance(
    settings: dict[str, int], heard: list[str]
) -> None:
    """Cold start 46 s against a late window of 30 s."""
    world = World(**settings)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.at(46)
    world.answer("ana#0>en", attempt=1)
    assert world.heard("ben") == heard


def test_a_code_that_collides_overwrites_no_living_room() -> None:
    """A code collision overwrote a living room."""
    world = World()
    world.node("n1")
    world.sources.codes.extend(["123456", "123456", "123456", "654321"])
    world.room("ana:zh", "ben:en")
    world.room("cy:zh", "dan:en")
    world.speak("ana")
    world.answer("ana#0>en")
    assert (world.heard("ben"), world.heard("dan")) == (["ana#0>en"], [])


@pytest.mark.parametrize(("sticky", "expected"), [("none", [2, 2, 2]), ("room", [6, 0, 0])])
def test_a_talkative_room_uses_every_node_unless_it_is_sticky(sticky: str, expected: list[int]) -> None:
    """A talkative room serialised on one GPU while others idled."""
    world = World(sticky=sticky)
    for name in ("n1", "n2", "n3"):
        world.node(name, slots=9)
    world.room("ana:zh", "ben:en")
    for _ in range(6):
        world.speak("ana")
    assert [world.jobs_on(name) for name in ("n1", "n2", "n3")] == expected
