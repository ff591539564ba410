"""Random scenarios under the oracle's eyes: no violation, equal books, and nothing left behind."""

from __future__ import annotations

from collections import Counter

import pytest

from simroom.study.cuts import kind_of
from simroom.study.drawing import drawn
from simroom.study.trial import judged

from .worlds import Outcome, outcome

NUMBERS = range(60)


@pytest.fixture(scope="module")
def outcomes() -> dict[int, Outcome]:
    """Every scenario, run once."""
    return {number: outcome(drawn(number), number) for number in NUMBERS}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_random_scenario_breaks_no_rule_and_leaves_nothing_behind(number: int, outcomes: dict[int, Outcome]) -> None:
    found = outcomes[number]
    verdict = found.run.verdict
    assert judged(found.run).signature == ()
    assert found.run.halted is None
    assert verdict.living == 0
    assert found.entry_count == 0
    assert found.run.ledger.job_count == verdict.created
    if not any(kind_of(fault) == "restart_scheduler" for fault in drawn(number)["faults"]):
        # One that was started anew counts from then on.
        ends = {end: count for end, count in verdict.ends.items() if end != "lost"}
        assert found.counts == {"created": verdict.created, "living": verdict.living, **ends}
        assert sum(found.uncounted.values()) == sum(verdict.uncounted.values())


def test_the_same_random_scenario_runs_the_same_twice(outcomes: dict[int, Outcome]) -> None:
    for number in range(0, 12, 3):
        assert outcome(drawn(number), number).run.trace_hash == outcomes[number].run.trace_hash


def test_the_scenarios_tried_here_end_jobs_in_every_way(outcomes: dict[int, Outcome]) -> None:
    ends: Counter[str] = Counter()
    for found in outcomes.values():
        ends.update(found.run.verdict.ends)
        ends.update({f"uncounted {why}": count for why, count in found.run.verdict.uncounted.items()})
    named = ("delivered", "no_recipient", "failed", "rejected", "expired", "dropped_late", "lost")
    assert all(ends[end] > 0 for end in named), ends
    assert ends["uncounted late"] > 0
    assert ends["delivered"] > sum(ends.values()) / 4


def test_nearly_every_kind_of_fault_fires_in_the_scenarios_tried_here(outcomes: dict[int, Outcome]) -> None:
    fired: Counter[str] = Counter()
    for found in outcomes.values():
        fired.update({use.kind: use.fired_count for use in found.run.faults})
    assert sum(count > 0 for count in fired.values()) > len(fired) - 3, fired
