"""Policies in which chance has a say: what may be drawn, what may not, and that the short way agrees with the long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_oracle_history import History, clean
from test_oracle_placing import what
from test_oracle_usual import ran, same

from simroom.scenario.load import loads
from simroom.scheduler.port import SchedulerFactory, SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings

SCENARIO = """
simroom: 1
name: drawn
duration: 1min
sessions: [{name: s, count: 6, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 40/min}, utterance: 1s}}]
nodes: [{name: n, count: 5, slots: 3, service: {exponential: {mean: 900ms}}}]
scheduler: {policy: POLICY, choices_count: COUNT, choices_repeat: REPEAT}
"""


def test_chance_may_take_any_node_that_fits():
    history = History(policy="random")
    a, _b = (history.node(name, slots=4) for name in "ab")
    session = history.session("s")
    for number in range(3):
        history.say(session, (f"j{number}", a, "en"))
    assert clean(history.finish())


def test_chance_may_not_take_a_node_that_is_full():
    history = History(policy="random")
    a, _b = (history.node(name, slots=1) for name in "ab")
    session = history.session("s")
    for number in range(2):
        history.say(session, (f"j{number}", a, "en"))
    assert what(history) == "I4 a got it and is excluded: CAPACITY_EXCEEDED; b can be drawn"


def test_of_two_that_are_drawn_the_one_with_the_most_jobs_of_all_is_never_taken():
    history = History(policy="choices")
    a, _b, _c = (history.node(name, slots=4) for name in "abc")
    session = history.session("s")
    for number in range(2):
        history.say(session, (f"j{number}", a, "en"))
    assert what(history) == "I5 a got it; b, c can be drawn"


def test_with_three_choices_neither_of_the_two_with_the_most_is_taken():
    history = History(policy="choices", choices_count=3)
    a, b, _c, _d = (history.node(name, slots=4) for name in "abcd")
    session = history.session("s")
    for number, node in enumerate((a, b, a)):
        history.say(session, (f"j{number}", node, "en"))
    assert what(history) == "I5 a got it; c, d can be drawn"


def test_a_node_that_may_be_drawn_twice_may_always_be_taken():
    history = History(policy="choices", choices_repeat=True)
    a, _b = (history.node(name, slots=4) for name in "ab")
    session = history.session("s")
    for number in range(4):
        history.say(session, (f"j{number}", a, "en"))
    assert clean(history.finish())


def scenario(policy: str, count: int = 2, repeat: str = "false"):
    text = SCENARIO.replace("POLICY", policy).replace("COUNT", str(count)).replace("REPEAT", repeat)
    return loads(text, "drawn.yaml", Path())


def under(**changed: Any) -> SchedulerFactory:
    """A scheduler that goes by other settings than it was told."""

    def make(settings: Settings, sources: Sources) -> SchedulerPort:
        return Scheduler(
            Settings(**{**{f: getattr(settings, f) for f in settings.__struct_fields__}, **changed}), sources
        )

    return make


@pytest.mark.parametrize(
    ("policy", "count", "repeat"),
    [
        ("random", 2, "false"),
        ("choices", 2, "false"),
        ("choices", 3, "false"),
        ("choices", 2, "true"),
        ("any", 2, "false"),
    ],
)
def test_a_run_is_clean_and_judged_alike_the_short_way_and_the_long(monkeypatch, policy, count, repeat):
    short, long, shortcuts = ran(monkeypatch, scenario(policy, count, repeat))
    assert same(short, long)
    assert short.verdict.violations == ()
    assert shortcuts > 100


@pytest.mark.parametrize(
    ("policy", "factory", "is_found"),
    [
        ("least_connections", under(policy="random"), True),
        ("choices", under(policy="random"), True),
        ("random", under(policy="choices"), False),  # chance may have it so
        ("any", under(policy="random"), False),
        ("any", under(max_concurrent_jobs=9), False),
    ],
)
def test_a_scheduler_with_another_policy_is_found_where_the_policy_says_so(monkeypatch, policy, factory, is_found):
    short, long, _ = ran(monkeypatch, scenario(policy), factory)
    assert same(short, long)
    assert (short.verdict.counts["wrong_node"] > 0) == is_found
