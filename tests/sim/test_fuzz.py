"""Random scenarios under the oracle's eyes: no violation, equal books, and nothing left behind."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from simroom.scheduler.settings import Settings

from . import fuzzing
from .worlds import Data, loaded, outcome

NUMBERS = range(60)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_random_scenario_breaks_no_rule_and_leaves_nothing_behind(number: int) -> None:
    found = outcome(fuzzing.scenario(number), number)
    verdict = found.run.verdict
    assert verdict.violations == ()
    assert found.counts == {"created": verdict.created, "living": verdict.living, **verdict.ends}
    assert verdict.living == 0
    assert sum(found.uncounted.values()) == sum(verdict.uncounted.values())
    assert found.entry_count == 0
    assert found.run.ledger.job_count == verdict.created


def test_the_random_scenarios_are_good_files() -> None:
    for number in range(12):
        loaded(fuzzing.scenario(number))


def test_the_same_random_scenario_runs_the_same_twice() -> None:
    for number in range(0, 12, 3):
        first, again = (outcome(fuzzing.scenario(number), number).run for _ in range(2))
        assert first.trace_hash == again.trace_hash


def _settings(data: Data) -> dict[str, Any]:
    return dict(data["scheduler"])


def test_the_random_scenarios_try_every_setting_and_every_end() -> None:
    """A fuzzer that tries nothing finds nothing: every choice and nearly every pair of choices comes up."""
    settings = [_settings(fuzzing.scenario(number)) for number in range(2_000)]
    tried = {name for each in settings for name in each}
    assert tried == set(Settings.__struct_fields__)
    for name, choices in (fuzzing.CHOICES | fuzzing.TINY).items():
        assert {each[name] for each in settings if name in each} >= set(choices), name
    names = list(fuzzing.CHOICES)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            pairs = {(each[first], each[second]) for each in settings}
            assert len(pairs) == len(set(fuzzing.CHOICES[first])) * len(set(fuzzing.CHOICES[second])), (first, second)


def test_the_scenarios_tried_here_end_jobs_in_every_way() -> None:
    ends: Counter[str] = Counter()
    for number in NUMBERS:
        verdict = outcome(fuzzing.scenario(number), number).run.verdict
        ends.update(verdict.ends)
        ends.update({f"uncounted {why}": count for why, count in verdict.uncounted.items()})
    assert all(ends[end] > 0 for end in ("delivered", "no_recipient", "failed", "rejected", "expired", "dropped_late"))
    assert ends["uncounted late"] > 0
    assert ends["delivered"] > sum(ends.values()) / 4
