"""Among the nodes that fit: the fewest jobs, ties, what counts as load, and who is preferred."""

from __future__ import annotations

import pytest

from simroom.scheduler.nodes import ExcludeReason

from .harness import World


def pick_in_turn(world: World, count: int, speaker: str = "ana") -> list[str]:
    """The nodes of so many utterances, none of which is answered."""
    nodes = []
    for _ in range(count):
        world.speak(speaker)
        last = max(world.given, key=lambda job: int(job.split("#")[1].split(">")[0]))
        nodes.append(world.nodes_of(last)[0])
    return nodes


def place_and_answer(world: World, speaker: str, index: int) -> str:
    """The node of one utterance, which is answered at once."""
    world.speak(speaker, index)
    job = f"{speaker}#{index}>en"
    world.answer(job)
    return world.nodes_of(job)[0]


# --- the fewest jobs, and ties


def test_the_node_with_the_fewest_jobs_is_taken() -> None:
    world = World(tie_break="first")
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    assert pick_in_turn(world, 4) == ["n1", "n2", "n3", "n1"]
    world.answer("ana#1>en")
    assert pick_in_turn(world, 1) == ["n2"]


def test_among_equals_first_takes_the_first_in_the_order_of_registration() -> None:
    world = World(tie_break="first")
    world.node("b")
    world.node("a")
    world.session("ana")
    assert [place_and_answer(world, "ana", index) for index in range(3)] == ["b", "b", "b"]


def test_among_equals_rotate_takes_the_next_after_the_one_placed_on_last() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    assert [place_and_answer(world, "ana", index) for index in range(5)] == ["n1", "n2", "n3", "n1", "n2"]


def test_the_pointer_passes_over_nodes_that_are_no_candidates() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    assert place_and_answer(world, "ana", 0) == "n1"
    world.drain("n2")
    assert [place_and_answer(world, "ana", index) for index in (1, 2, 3)] == ["n3", "n1", "n3"]


def test_there_is_one_pointer_for_all_languages_and_sessions() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    world.session("bob", src="ja")
    assert place_and_answer(world, "ana", 0) == "n1"
    assert place_and_answer(world, "bob", 0) == "n2"
    assert place_and_answer(world, "ana", 1) == "n3"


def test_asking_does_not_move_the_pointer() -> None:
    world = World()
    world.node("n1")
    world.node("n2")
    world.session("ana")
    for _ in range(3):
        assert world.would_go_to() == "n1"
        chosen = world.scheduler.selection.select_node_with_module_expansion("zh", "en")
        assert chosen is not None
        assert chosen.node_id == "n1"
    assert place_and_answer(world, "ana", 0) == "n1"


def test_a_refused_job_does_not_move_the_pointer() -> None:
    world = World()
    world.node("n1", pairs="zh>en")
    world.node("n2", pairs="zh>en")
    world.session("ana")
    world.session("bob", src="fr")
    assert place_and_answer(world, "ana", 0) == "n1"
    world.speak("bob")
    assert place_and_answer(world, "ana", 1) == "n2"


def test_a_preferred_placing_moves_the_pointer_too() -> None:
    world = World(pairing={"1234": "n2"})
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    world.session("bob", pairing_code="1234")
    assert place_and_answer(world, "bob", 0) == "n2"
    assert place_and_answer(world, "ana", 0) == "n3"


def test_a_new_attempt_moves_the_pointer_too() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    world.speak("ana")
    world.answer("ana#0>en", code="NODE_OVERLOADED")
    world.answer("ana#0>en")
    assert world.nodes_of("ana#0>en") == ["n1", "n2"]
    assert place_and_answer(world, "ana", 1) == "n3"


def test_a_node_that_registers_again_keeps_its_place() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    assert place_and_answer(world, "ana", 0) == "n1"
    world.lose("n2")
    world.node("n2")
    assert [v.node_id for v in world.scheduler.where("zh", "en")] == ["n1", "n2", "n3"]
    assert place_and_answer(world, "ana", 1) == "n2"
    assert place_and_answer(world, "ana", 2) == "n3"


def test_among_equals_random_leaves_the_choice_to_the_source_of_chance() -> None:
    world = World(tie_break="random")
    for name in ("n1", "n2", "n3", "n4"):
        world.node(name)
    world.drain("n2")
    world.session("ana")
    world.sources.choices.extend([2, 0])
    assert place_and_answer(world, "ana", 0) == "n4"
    assert place_and_answer(world, "ana", 1) == "n1"
    assert world.sources.asked_to_choose == [3, 3]


@pytest.mark.parametrize("tie_break", ["first", "rotate"])
def test_no_chance_is_drawn_where_ties_are_not_settled_by_it(tie_break: str) -> None:
    world = World(tie_break=tie_break)
    world.node("n1")
    world.node("n2")
    world.session("ana")
    pick_in_turn(world, 3)
    world.would_go_to()
    assert world.sources.asked_to_choose == []


@pytest.mark.parametrize("tie_break", ["first", "rotate", "random"])
def test_a_tie_is_only_among_those_with_equally_few_jobs(tie_break: str) -> None:
    world = World(tie_break=tie_break)
    world.node("n1")
    world.session("ana")
    pick_in_turn(world, 1)
    world.node("n2")
    assert pick_in_turn(world, 1) == ["n2"]


# --- what counts as load


def test_tracked_load_counts_from_dispatch_and_does_not_believe_the_node() -> None:
    world = World(load="tracked", tie_break="first")
    world.node("n1")
    world.node("n2")
    world.session("ana")
    world.load("n1", jobs=50)
    assert pick_in_turn(world, 2) == ["n1", "n2"]
    assert [world.jobs_on("n1"), world.jobs_on("n2")] == [1, 1]


def test_reported_load_is_what_the_last_heartbeat_said() -> None:
    world = World(load="reported", tie_break="first")
    world.node("n1")
    world.node("n2")
    world.session("ana")
    assert pick_in_turn(world, 3) == ["n1", "n1", "n1"]
    world.load("n1", jobs=3)
    assert pick_in_turn(world, 2) == ["n2", "n2"]
    world.load("n1", jobs=0)
    assert [world.jobs_on("n1"), world.jobs_on("n2")] == [0, 0]


def test_reported_load_also_decides_whether_a_slot_is_free() -> None:
    world = World(load="reported")
    world.node("n1", slots=2)
    world.session("ana")
    assert pick_in_turn(world, 5) == ["n1"] * 5
    assert world.scheduler.overcommitted_count() == 3
    world.load("n1", jobs=2)
    assert world.why_not("n1") is ExcludeReason.CAPACITY_EXCEEDED
    world.load("n1", jobs=1)
    assert world.why_not("n1") is None


def test_tracked_load_never_over_commits() -> None:
    world = World()
    world.node("n1", slots=2)
    world.session("ana")
    for _ in range(5):
        world.speak("ana")
    assert world.scheduler.overcommitted_count() == 0


# --- preferences


def test_a_paired_node_is_preferred_to_one_with_fewer_jobs() -> None:
    world = World(pairing={"1234": "n2"})
    world.node("n1")
    world.node("n2")
    (ack,) = world.session("ana", pairing_code="1234")
    assert ack.assigned_node_id == "n2"
    assert pick_in_turn(world, 3) == ["n2"] * 3


@pytest.mark.parametrize("why", ["unknown", "offline", "draining", "private", "models", "slots", "threshold"])
def test_a_paired_node_is_a_preference_and_bypasses_no_filter(why: str) -> None:
    world = World(pairing={"1234": "n2"}, resource_threshold=0.5)
    world.node("n1")
    if why != "unknown":
        pairs = "ja>en" if why == "models" else None
        world.node("n2", slots=1, accept_public_jobs=why != "private", pairs=pairs)
    world.session("bob", pairing_code="1234")
    if why == "offline":
        world.lose("n2")
    elif why == "draining":
        world.drain("n2")
    elif why == "slots":
        world.speak("bob")
    elif why == "threshold":
        world.load("n2", mem=51)
    world.session("ana", pairing_code="1234")
    world.speak("ana")
    assert world.nodes_of("ana#0>en") == ["n1"]


@pytest.mark.parametrize(("sticky", "expected"), [("none", ["n1", "n2", "n1"]), ("session", ["n1", "n1", "n1"])])
def test_a_sticky_session_stays_with_its_last_node(sticky: str, expected: list[str]) -> None:
    world = World(sticky=sticky)
    world.node("n1")
    world.node("n2")
    world.session("ana")
    assert [place_and_answer(world, "ana", index) for index in range(3)] == expected


def test_stickiness_never_forces_and_the_new_node_is_remembered() -> None:
    world = World(sticky="session", tie_break="first")
    world.node("n1", slots=1)
    world.node("n2")
    world.session("ana")
    assert pick_in_turn(world, 2) == ["n1", "n2"]
    world.answer("ana#0>en")
    world.answer("ana#1>en")
    assert pick_in_turn(world, 1) == ["n2"]
    world.drain("n2")
    assert pick_in_turn(world, 1) == ["n1"]


def test_a_sticky_room_shares_its_last_node_among_its_speakers() -> None:
    world = World(sticky="room", tie_break="first")
    world.node("n1")
    world.node("n2")
    world.room("ana:zh", "ben:ja", "cy:en")
    world.session("eve")
    world.drain("n1")
    world.speak("ana")
    world.node("n3")
    world.speak("ben")
    assert world.nodes_of("ana#0>en") == world.nodes_of("ana#0>ja") == ["n2"]
    assert world.nodes_of("ben#0>en") == world.nodes_of("ben#0>zh") == ["n2"]
    world.speak("eve")
    assert world.nodes_of("eve#0>en") == ["n3"], "no room, nothing to stick to"


def test_a_sticky_session_is_not_a_sticky_room() -> None:
    world = World(sticky="session", tie_break="first")
    world.node("n1")
    world.room("ana:zh", "ben:ja")
    world.speak("ana")
    world.node("n2")
    world.speak("ben")
    assert world.nodes_of("ben#0>zh") == ["n2"]
    world.speak("ana")
    assert world.nodes_of("ana#1>ja") == ["n1"]


def test_the_paired_node_comes_before_the_sticky_one() -> None:
    world = World(sticky="session", pairing={"1234": "n2"})
    world.node("n1")
    world.node("n2")
    world.session("ana", pairing_code="1234")
    world.drain("n2")
    assert place_and_answer(world, "ana", 0) == "n1"
    world.lose("n2")
    world.node("n2")
    assert place_and_answer(world, "ana", 1) == "n2"


def test_a_paired_node_is_preferred_again_once_every_fitting_node_was_tried() -> None:
    world = World(pairing={"1234": "n2"}, tie_break="first", max_attempts=3)
    world.node("n1")
    world.node("n2")
    world.session("ana", pairing_code="1234")
    world.speak("ana")
    world.answer("ana#0>en", code="NODE_OVERLOADED")
    world.answer("ana#0>en", code="NODE_OVERLOADED")
    assert world.nodes_of("ana#0>en") == ["n2", "n1", "n2"]
