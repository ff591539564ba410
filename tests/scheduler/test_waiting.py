"""Waiting for a node: bounded in number and in time, first come first served among those that fit."""

from __future__ import annotations

import pytest

from .harness import World, models


def scene(*, slots: int = 1, pairs: str | None = None, **settings: object) -> World:
    world = World(**{"on_no_node": "queue", **settings})
    world.node("n1", slots=slots, pairs=pairs)
    world.session("ana")
    return world


def speak(world: World, count: int, name: str = "ana") -> None:
    for _ in range(count):
        world.speak(name)


def placed(world: World) -> list[str]:
    """The jobs that were given to a node, in order of their first attempt."""
    return list(world.given)


def test_a_job_that_fits_nowhere_waits_and_is_placed_when_a_slot_becomes_free() -> None:
    world = scene()
    speak(world, 2)
    assert placed(world) == ["ana#0>en"]
    assert world.errors("ana") == []
    world.answer("ana#0>en")
    assert placed(world) == ["ana#0>en", "ana#1>en"]
    world.answer("ana#1>en")
    assert world.heard("ana") == ["ana#0>en", "ana#1>en"]


def test_waiting_jobs_are_served_first_come_first_served() -> None:
    world = scene()
    world.session("bob")
    world.speak("ana")
    for name in ("bob", "ana", "bob"):
        world.speak(name)
    expected = ["ana#0>en", "bob#0>en", "ana#1>en", "bob#1>en"]
    for count, job in enumerate(expected, 1):
        assert placed(world) == expected[:count]
        world.answer(job)


def test_a_waiting_job_that_does_not_fit_lets_younger_ones_that_do_go_before_it() -> None:
    world = scene(pairs="zh>en ja>en")
    world.session("bob", "fr")
    world.session("cy", "ja")
    world.speak("ana")
    for name in ("bob", "ana", "cy"):
        world.speak(name)
    world.answer("ana#0>en")
    world.answer("ana#1>en")
    assert placed(world) == ["ana#0>en", "ana#1>en", "cy#0>en"]
    world.node("n2", pairs="fr>en")
    assert world.nodes_of("bob#0>en") == ["n2"]


def test_a_new_job_that_fits_does_not_wait_behind_one_that_does_not() -> None:
    world = scene(pairs="zh>en")
    world.session("bob", "fr")
    world.speak("bob")
    world.speak("ana")
    assert placed(world) == ["ana#0>en"]


def test_as_many_waiting_jobs_are_placed_as_there_is_room_for() -> None:
    world = scene()
    speak(world, 4)
    world.node("n2", slots=2)
    assert [world.nodes_of(f"ana#{index}>en") for index in range(4)] == [["n1"], ["n2"], ["n2"], []]


@pytest.mark.parametrize("what", ["ready", "healthy again", "capability", "slot", "threshold", "abandoned", "back"])
def test_whatever_becomes_free_is_given_to_those_who_wait(what: str) -> None:
    world = World(on_no_node="queue", resource_threshold=0.5, job_timeout=10, max_attempts=1, abandon_after=5)
    world.session("ana")
    if what == "ready":
        world.register("n1")
        world.beat("n1")
        world.beat("n1")
    elif what == "capability":
        world.node("n1", pairs="ja>en")
    else:
        world.node("n1", slots=1)
    if what == "healthy again":
        world.load("n1", gpu=None)
        world.beat("n1")
        world.beat("n1")
    elif what == "threshold":
        world.load("n1", cpu=90)
    elif what == "back":
        world.lose("n1")
    elif what in ("slot", "abandoned"):
        world.speak("ana", tgt="ja")
    world.speak("ana")
    job = "ana#1>en" if what in ("slot", "abandoned") else "ana#0>en"
    assert world.nodes_of(job) == []
    if what == "ready":
        world.beat("n1")
    elif what in ("healthy again", "threshold"):
        world.load("n1")
    elif what == "capability":
        world.beat("n1", installed_models=models("zh>en"))
    elif what == "slot":
        world.answer("ana#0>ja", code="MODEL_CORRUPTED")
    elif what == "abandoned":
        world.at(14.9)
        assert world.nodes_of(job) == []
        world.at(15)
    elif what == "back":
        world.node("n1")
    assert world.nodes_of(job) == ["n1"]


def test_no_more_than_so_many_jobs_wait() -> None:
    world = scene(waiting_count_max=2)
    speak(world, 4)
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "CAPACITY_EXCEEDED")]
    assert world.ended() == {"rejected": 1}
    for index in (0, 1, 2):
        world.answer(f"ana#{index}>en")
    assert world.heard("ana") == ["ana#0>en", "ana#1>en", "ana#2>en"]


def test_a_new_attempt_for_which_there_is_no_place_to_wait_ends_as_failed() -> None:
    world = scene(waiting_count_max=1)
    speak(world, 2)
    world.drain("n1")
    world.answer("ana#0>en", code="NODE_OVERLOADED")
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "STATUS_NOT_READY")]
    assert world.ended() == {"failed": 1}


def test_a_place_to_wait_becomes_free_again() -> None:
    world = scene(waiting_count_max=1)
    speak(world, 2)
    world.answer("ana#0>en")
    world.speak("ana")
    assert world.errors("ana") == []
    world.speak("ana")
    assert len(world.errors("ana")) == 1


def test_a_job_waits_no_longer_than_so_long() -> None:
    world = scene(waiting_time_max=7, job_timeout=1000)
    world.speak("ana")
    world.at(2)
    world.speak("ana")
    world.at(4)
    world.speak("ana")
    world.at(8.999_999)
    assert world.errors("ana") == []
    world.at(9)
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", None)]
    assert world.ended() == {"expired": 1}
    world.at(10.9)
    world.answer("ana#0>en")
    assert placed(world) == ["ana#0>en", "ana#2>en"]
    assert world.ended() == {"expired": 1, "delivered": 1}


def test_a_job_that_waits_again_has_its_time_anew() -> None:
    world = scene(waiting_time_max=10)
    world.drain("n1")
    world.at(1)
    world.speak("ana")
    world.at(8)
    world.node("n2", slots=1)
    world.at(9)
    world.lose("n2")
    world.at(18.9)
    assert world.ended() == {}
    world.at(19)
    assert world.ended() == {"expired": 1}


def test_a_waiting_job_whose_turn_comes_with_nobody_to_tell_ends_without_a_node() -> None:
    world = scene()
    world.room("bob:zh", "cy:en")
    world.speak("ana")
    world.speak("bob")
    speak(world, 1)
    world.leave("cy")
    world.answer("ana#0>en")
    assert world.nodes_of("bob#0>en") == []
    assert world.ended() == {"delivered": 1, "no_recipient": 1}
    assert world.nodes_of("ana#1>en") == ["n1"], "the slot goes to the next"


def test_a_waiting_job_of_one_who_has_gone_ends_without_a_node() -> None:
    world = scene()
    world.session("bob")
    world.speak("ana")
    world.speak("bob")
    world.close("bob")
    assert world.ended() == {}
    world.answer("ana#0>en")
    assert world.nodes_of("bob#0>en") == []
    assert world.ended() == {"delivered": 1, "no_recipient": 1}


def test_a_waiting_job_is_for_those_who_are_there_when_its_turn_comes() -> None:
    world = scene()
    code = world.room("bob:zh", "cy:en")
    world.speak("ana")
    world.speak("bob")
    world.leave("cy")
    world.join("dan:en", code)
    world.answer("ana#0>en")
    world.answer("bob#0>en")
    assert world.heard("dan") == ["bob#0>en"]
    assert world.heard("cy") == []


def test_jobs_of_a_room_that_ends_wait_no_more() -> None:
    world = scene()
    world.room("bob:zh", "cy:en")
    world.speak("ana")
    world.speak("bob")
    world.leave("cy")
    world.leave("bob")
    assert world.ended() == {"no_recipient": 1}
    world.answer("ana#0>en")
    assert world.nodes_of("bob#0>en") == []


def test_waiting_results_keep_their_order_too() -> None:
    world = scene(ordering="strict")
    world.room("bob:zh", "cy:en")
    world.speak("ana")
    world.speak("bob")
    world.node("n2", pairs="ja>en")
    world.speak("bob", src="ja")
    world.answer("bob#1>en")
    assert world.heard("cy") == []
    world.answer("ana#0>en")
    world.answer("bob#0>en")
    assert world.heard("cy") == ["bob#0>en", "bob#1>en"]


def test_where_jobs_are_rejected_nothing_waits() -> None:
    world = scene(on_no_node="reject")
    speak(world, 2)
    world.answer("ana#0>en")
    assert placed(world) == ["ana#0>en"]
    assert world.ended() == {"delivered": 1, "rejected": 1}
