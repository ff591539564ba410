"""Other policies than the fewest jobs: one by chance, the best of a few drawn by chance."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from simroom.scheduler.nodes import ExcludeReason

from .harness import World

NAMES = ("n1", "n2", "n3", "n4")


def fleet(*, slots: int = 4, **settings: object) -> World:
    """Four idle nodes and somebody who speaks."""
    world = World(**settings)
    for name in NAMES:
        world.node(name, slots=slots)
    world.session("ana")
    return world


def placed(world: World, index: int) -> str:
    """The node of an utterance that is not answered."""
    world.speak("ana", index)
    return world.nodes_of(f"ana#{index}>en")[0]


def draws(world: World, *choices: int) -> None:
    """Settle the next draws: which of those that are left, counted from 0 in the order of registration."""
    world.sources.choices = deque(choices)


def test_random_takes_whom_chance_names_however_loaded() -> None:
    world = fleet(policy="random")
    draws(world, 2, 2, 0)
    assert [placed(world, index) for index in range(3)] == ["n3", "n3", "n1"]


def test_random_draws_only_among_those_that_pass_every_filter() -> None:
    world = fleet(slots=1, policy="random")
    draws(world, 0, 0, 1)
    assert [placed(world, index) for index in range(3)] == ["n1", "n2", "n4"]
    assert world.why_not("n1") is ExcludeReason.CAPACITY_EXCEEDED


def test_of_two_drawn_the_one_with_fewer_jobs_is_taken() -> None:
    world = fleet(policy="choices")
    draws(world, 0, 2, 0, 0)
    assert placed(world, 0) == "n1"  # of n1 and n4, equals: the one drawn first
    assert placed(world, 1) == "n2"  # of n1 and, of the others, n2


def test_a_node_is_not_drawn_twice_unless_that_is_asked_for() -> None:
    world = fleet(policy="choices", choices_repeat=True)
    draws(world, 1, 1, 1, 1)
    assert [placed(world, index) for index in range(2)] == ["n2", "n2"]


def test_more_choices_than_nodes_is_the_fewest_jobs() -> None:
    world = fleet(policy="choices", choices_count=9)
    for index in range(8):
        draws(world, 0, 0, 0, 0)
        placed(world, index)
    assert [world.jobs_on(name) for name in NAMES] == [2, 2, 2, 2]


def test_choices_go_by_the_reported_load_where_that_counts() -> None:
    world = fleet(policy="choices", load="reported", choices_count=4)
    for name, jobs in zip(NAMES, (3, 1, 2, 3), strict=True):
        world.load(name, jobs=jobs)
    draws(world, 0, 0, 0, 0)
    assert placed(world, 0) == "n2"


@pytest.mark.parametrize("settings", [{"policy": "any"}, {}])
def test_any_is_the_fewest_jobs_for_this_scheduler(settings: dict[str, object]) -> None:
    world = fleet(**settings)
    assert Counter(placed(world, index) for index in range(8)) == dict.fromkeys(NAMES, 2)
