"""What a run comes to: one word, why, and what its reader must not overlook.

``passed`` only where no invariant was breached, every expectation holds, what was delivered was judged, and the run
came to its end. Everything short of that has another word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from simroom.study.expect import Expectation, Outcome, judge
from simroom.study.measures import DELIVERY_KINDS
from simroom.study.table import Table

if TYPE_CHECKING:
    from simroom.sim.run import RunData

Word = Literal["passed", "failed", "inconclusive", "interrupted"]

KIND_NAMES: Final = {
    "missing": "missing",
    "extra": "extra",
    "duplicate": "duplicate",
    "out_of_order": "out of order",
    "leaked": "leaked",
    "wrong_node": "on a wrong node",
    "accounts": "in the accounts",
    "payload": "of payload identity",
    "reply": "in replies",
}
"""How each kind of violation is said; the first five are about deliveries."""


class Conclusion(Struct, frozen=True):
    """What a run comes to.

    Attributes:
        word: The word.
        reasons: Why it is not ``passed``, most important first; empty if it is.
        warnings: What a reader must not overlook, whatever the word.
        outcomes: Each expectation and what became of it, in the order of the scenario.
    """

    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


def conclude(table: Table, expectations: Sequence[Expectation]) -> Conclusion:
    """Judge the expectations and find the word."""
    run = table.run
    outcomes = judge(expectations, table)
    failures = [*_breaches(run), *_unjudged(table), *_undrained(run), *_unmet(outcomes)]
    doubts = [] if any(run.verdict.judgements.values()) else ["no invariant was judged: nothing happened to judge"]
    word: Word = "passed"
    if run.interrupted:
        word = "interrupted"
        failures.insert(0, "the run was interrupted: what follows is of the part that was simulated")
    elif failures:
        word = "failed"
    elif doubts:
        word = "inconclusive"
    return Conclusion(word, (*failures, *doubts), tuple(_warnings(table)), outcomes)


def _breaches(run: RunData) -> list[str]:
    """What the oracle found, in words, deliveries first."""
    counts, deliveries = run.verdict.counts, run.ledger.delivery_count
    found = []
    for kind in (*DELIVERY_KINDS, *(kind for kind in counts if kind not in DELIVERY_KINDS)):
        count = counts.get(kind, 0)
        if count == 0:
            continue
        name = KIND_NAMES.get(kind, kind)
        if kind == "missing":
            # What is missing is not among the deliveries that came.
            found.append(f"{count:,} of {deliveries + count:,} deliveries missing")
        elif kind in DELIVERY_KINDS:
            found.append(f"{count:,} of {deliveries:,} deliveries {name}")
        else:
            found.append(f"{count:,} violation{'s' if count != 1 else ''} {name}")
    return found


def _unjudged(table: Table) -> list[str]:
    deliveries = table.run.ledger.delivery_count
    if deliveries and not table.run.verdict.judgements.get("I1", 0):
        return [f"{deliveries:,} deliveries, and the oracle judged the recipients of none"]
    return []


def _undrained(run: RunData) -> list[str]:
    if run.undrained and run.scenario.drain > 0 and not run.interrupted:
        return [f"the run did not drain: {_left(run)} when it gave up waiting"]
    return []


def _left(run: RunData) -> str:
    living = run.verdict.living
    if living == 0:
        return "results were still on their way"
    return f"{living:,} job{'s' if living != 1 else ''} had not ended"


def _unmet(outcomes: Sequence[Outcome]) -> list[str]:
    unmet = sum(not outcome.passed for outcome in outcomes)
    if unmet == 0:
        return []
    return [f"{unmet:,} of {len(outcomes):,} expectations {'does' if unmet == 1 else 'do'} not hold"]


def _warnings(table: Table) -> list[str]:
    run = table.run
    utterances, jobs, deliveries = run.ledger.utterance_count, len(table.jobs["end"]), run.ledger.delivery_count
    warnings = []
    if utterances == 0:
        warnings.append("NOTHING WAS SAID: no utterance was finished, so no job was made and nothing delivered")
    elif jobs == 0:
        warnings.append(f"NOTHING WAS TRANSLATED: not one of {utterances:,} utterances needed a job")
    elif deliveries == 0:
        warnings.append(f"NOTHING WAS DELIVERED: not one of {jobs:,} jobs reached anybody")
    elif not table.measured("delivery").any():
        warnings.append("NOTHING WAS MEASURED: every delivery is of an utterance that ended within the warm-up")
    if run.undrained and run.scenario.drain == 0:
        warnings.append(f"the scenario gives no time to drain: {_left(run)} when the run did")
    return warnings
