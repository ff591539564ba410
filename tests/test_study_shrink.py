"""Cutting down: what is left fails in the same way, is small, readable, and the same every time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simroom.bugbank import BUGS
from simroom.scheduler.port import SchedulerFactory
from simroom.study.drawing import drawn, text_of
from simroom.study.reduction import Reduced, reducing
from simroom.study.shrink import operations, shrunk
from simroom.study.trial import tried, valid

Data = dict[str, Any]
FOUND = {
    "everybody_gets_everything": 60,
    "released_to_releasers_recipients": 60,
    "slot_leaked_on_failure": 60,
    "retry_for_ever": 60,
}
"""Bugs, and the seeds among which each shows."""


def factory(name: str) -> SchedulerFactory:
    return BUGS[name].make


def reduced(name: str) -> tuple[Data, Reduced]:
    """The first random scenario in which the bug shows, and what is left of it."""
    for seed in range(1, FOUND[name]):
        trial = tried(drawn(seed), scheduler=BUGS[name].make)
        if trial.first is not None:
            data = drawn(seed)
            return data, list(reducing(data, Path(), partial(factory, name), trial.first, 800, 60))[-1]
    raise AssertionError(f"{name} does not show")


@pytest.mark.parametrize("name", FOUND)
def test_a_failing_scenario_is_cut_down_to_a_few_operations_that_fail_in_the_same_way(name: str) -> None:
    data, small = reduced(name)
    before = tried(data, scheduler=BUGS[name].make)
    after = tried(small.data, scheduler=BUGS[name].make)
    assert before.first in after.signature
    assert small.operations == operations(small.data) <= 10
    assert len(text_of(small.data)) < len(text_of(data))
    assert valid(small.data)
    assert not tried(small.data).failed, "with simroom's own scheduler nothing is wrong in it"


def test_the_same_scenario_is_cut_down_to_the_same_one_again() -> None:
    first, again = (text_of(reduced("everybody_gets_everything")[1].data) for _ in range(2))
    assert first == again


def speaks_twice(data: Data) -> bool:
    """Whether two utterances and a second member are left: a failure that is known to the letter."""
    script = data.get("script") or ()
    return valid(data) and sum("speak" in line for line in script) >= 2 and len(data["rooms"][0]["members"]) >= 2


def test_nothing_is_left_that_the_failure_does_not_need() -> None:
    data: Data = {
        "simroom": 1,
        "name": "much",
        "duration": "60s",
        "rooms": [{"name": "standup", "members": [{"name": f"m{n}", "speaks": ("en", "zh")[n % 2]} for n in range(5)]}],
        "nodes": [{"name": f"n{n}", "service": "1234ms"} for n in range(3)],
        "scheduler": {"max_attempts": 3, "sticky": "room"},
        "faults": [{"at": "3s", "crash": "n1"}, {"lose_heartbeats": {"nodes": "all", "share": "30%"}}],
        "script": [{"at": f"{second}s", "speak": f"standup/m{second % 5}"} for second in range(20)],
    }
    small = shrunk(data, speaks_twice)
    assert small.complete
    assert small.operations == 2
    assert "faults" not in small.data
    assert "scheduler" not in small.data
    assert len(small.data["rooms"][0]["members"]) == 2
    assert not small.data.get("nodes")


def test_the_tries_can_be_bounded() -> None:
    data = drawn(3)
    small = shrunk(data, bool, tries_max=5)
    assert small.tries <= 5
