"""Random histories of peers that misbehave: the scheduler and the oracle agree on every answer, and nothing is kept."""

from __future__ import annotations

from collections import Counter

import pytest

from .histories import Habits, History, Judged, judged

AGREED = Habits()
"""Oddities on which scheduler and oracle do not agree yet, so that the rest can be held to the letter."""
NUMBERS = range(250)


def check(found: Judged) -> None:
    verdict = found.verdict
    assert verdict.violations == ()
    ends = {end: count for end, count in verdict.ends.items() if end != "lost"}  # nobody restarted the scheduler
    assert found.counts == {"created": verdict.created, "living": verdict.living, **ends}
    assert verdict.living == 0
    assert sum(found.uncounted.values()) == sum(verdict.uncounted.values())
    assert found.entry_count == 0


@pytest.mark.parametrize("tenth", range(10))
def test_peers_that_say_anything_at_any_time_break_no_rule_and_leave_nothing_behind(tenth: int) -> None:
    for number in NUMBERS[tenth::10]:
        check(judged(number, habits=AGREED))


def test_a_long_history_leaves_nothing_behind_either() -> None:
    check(judged(1, steps=2_000, habits=AGREED))


def test_the_histories_tried_here_end_jobs_in_every_way_and_are_refused_for_every_reason() -> None:
    """Otherwise they would show little."""
    seen: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for number in NUMBERS:
        history = History(number, habits=AGREED)
        verdict = history.run(150).verdict
        seen.update(verdict.ends | verdict.refusals | verdict.uncounted)
        said.update(word for line in history.log for word in line.split("code='")[1:2])
    ends = {"delivered", "no_recipient", "failed", "rejected", "expired", "dropped_late"}
    reasons = {
        "OFFLINE",
        "STATUS_NOT_READY",
        "NOT_IN_PUBLIC_POOL",
        "MODEL_NOT_AVAILABLE",
        "CAPACITY_EXCEEDED",
        "RESOURCE_THRESHOLD_EXCEEDED",
    }
    assert {name for name, count in seen.items() if count} >= ends | reasons | {"late", "unknown"}
    codes = {word.split("'")[0] for word in said}
    assert codes >= {
        "INVALID_MESSAGE",
        "INVALID_SESSION",
        "SESSION_CLOSED",
        "INVALID_PAIRING_CODE",
        "NO_GPU_AVAILABLE",
        "NODE_ID_CONFLICT",
        "INVALID_CAPABILITY_SCHEMA",
        "ROOM_NOT_FOUND",
        "ALREADY_IN_ROOM",
        "INVALID_ROOM_CODE",
        "ROOM_FULL",
    }
