"""What a run comes to: one word, why, and what its reader must not overlook.

``passed`` only where no invariant was breached, every expectation holds, what was delivered was judged, and the run
came to its end. Everything short of that has another word.

Where the scenario names a bug, breaches are what it is there for: then the run passes if every expectation holds and
the bug was noticed. It was if any invariant was breached, or if the scenario itself expects something about violations
and that holds (as ``violations == 0`` does for a bug that nobody can notice there).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from simroom.oracle.verdict import HOWS, INVARIANTS
from simroom.study.expect import Expectation, Outcome, judge
from simroom.study.measures import DELIVERY_KINDS
from simroom.study.steadiness import Steadiness, steadiness
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
    "stuck": "of liveness",
    "leaked_by_node": "by nodes that leaked",
}
"""How each kind of violation is said; the first five are about deliveries."""


NODES_TOLD: Final = 3
FAULTS_TOLD: Final = 5
STUCK_TOLD: Final = 3
"""So many nodes, faults and things that are stuck are named in a sentence before the rest is counted."""


class Conclusion(Struct, frozen=True):
    """What a run comes to.

    Attributes:
        word: The word.
        reasons: Why it is not ``passed``, most important first; empty if it is.
        warnings: What a reader must not overlook, whatever the word.
        outcomes: Each expectation and what became of it, in the order of the scenario.
        steadiness: Whether the run kept up, and its start was left out.
    """

    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    steadiness: Steadiness


def conclude(table: Table, expectations: Sequence[Expectation]) -> Conclusion:
    """Judge the expectations and find the word."""
    run = table.run
    steady = steadiness(table)
    outcomes = judge(expectations, table, steady)
    if run.scenario.bug is None:
        failures = [*_halted(run), *_breaches(run), *_unjudged(table), *_undrained(run), *_unmet(outcomes)]
    else:
        failures = [*_halted(run), *_unmet(outcomes), *_unnoticed(run, outcomes)]
    doubts = [] if any(run.verdict.judgements.values()) else ["no invariant was judged: nothing happened to judge"]
    word: Word = "passed"
    if run.interrupted:
        word = "interrupted"
        failures.insert(0, "the run was interrupted: what follows is of the part that was simulated")
    elif failures:
        word = "failed"
    elif doubts:
        word = "inconclusive"
    return Conclusion(word, (*failures, *doubts), (*steady.warnings, *_warnings(table, outcomes)), outcomes, steady)


def _halted(run: RunData) -> list[str]:
    return [] if run.halted is None else [f"the run was halted: {run.halted}"]


def _unnoticed(run: RunData, outcomes: Sequence[Outcome]) -> list[str]:
    """Whether the scenario's bug went by without anything to show for it."""
    expected = any(outcome.passed and is_about_violations(outcome.expectation) for outcome in outcomes)
    if run.verdict.violation_count or expected or run.halted is not None:
        return []
    return [f"the bug {run.scenario.bug} was not noticed: no invariant was breached"]


def is_about_violations(expectation: Expectation) -> bool:
    """Whether an expectation says what the oracle must, or must not, find."""
    name = expectation.measure.name
    return name == "violations" or name in {f"deliveries.{kind}" for kind in DELIVERY_KINDS}


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
    if run.undrained and run.scenario.drain > 0 and not run.interrupted and run.halted is None:
        return [f"the run did not drain: {_left(run)} when it gave up waiting"]
    return []


def _left(run: RunData) -> str:
    living = run.verdict.living
    if living == 0:
        return "results were still on their way"
    waiting = run.verdict.unfinished[:STUCK_TOLD]
    those = f" ({'; '.join(waiting)}{'; …' if living > len(waiting) else ''})" if waiting else ""
    return f"{living:,} job{'s' if living != 1 else ''} had not ended{those}"


def _unmet(outcomes: Sequence[Outcome]) -> list[str]:
    unmet = sum(not outcome.passed for outcome in outcomes)
    if unmet == 0:
        return []
    return [f"{unmet:,} of {len(outcomes):,} expectations {'does' if unmet == 1 else 'do'} not hold"]


def _warnings(table: Table, outcomes: Sequence[Outcome]) -> list[str]:
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
    if run.scenario.bug is not None:
        warnings += _undrained(run)
    return [*warnings, *_wrong_answers(run), *_unfired(run), *_never_judged(table, outcomes)]


def _wrong_answers(run: RunData) -> list[str]:
    """What nodes answered wrongly, and which of them how often."""
    warnings = []
    for how, by_node in run.verdict.wrong_answers.items():
        count = sum(by_node.values())
        worst = sorted(by_node.items(), key=lambda item: -item[1])
        nodes = ", ".join(f"{node} ({number:,})" for node, number in worst[:NODES_TOLD])
        rest = len(worst) - NODES_TOLD
        more = f" and {rest:,} more" if rest > 0 else ""
        said = HOWS[how] if count > 1 else HOWS[how].replace("were ", "was ", 1)
        warnings.append(f"{count:,} result{'s' if count != 1 else ''} {said}: {nodes}{more}")
    return warnings


def _unfired(run: RunData) -> list[str]:
    """Faults that the scenario has and that never struck, though the run went to its end."""
    if run.interrupted or run.halted is not None:
        return []
    alike = Counter(use.label for use in run.faults)
    never = Counter(use.label for use in run.faults if not use.fired_count)
    told = [
        f"fault {label} never fired"
        if count == alike[label]
        else f"{count:,} of {alike[label]:,} faults {label} never fired"
        for label, count in list(never.items())[:FAULTS_TOLD]
    ]
    rest = len(never) - FAULTS_TOLD
    return [*told, f"{rest:,} more faults never fired"] if rest > 0 else told


def _never_judged(table: Table, outcomes: Sequence[Outcome]) -> list[str]:
    """Invariants that were never judged, where the scenario is about them.

    That is where an expectation names one, and where faults or a script are there to try what they can: the order, if
    the settings ask for any, and that nothing leaves a room, if there are rooms.
    """
    run = table.run
    named = [tags["invariant"] for outcome in outcomes if "invariant" in (tags := outcome.expectation.tags)]
    scenario = run.scenario
    if (scenario.faults or scenario.script) and run.ledger.delivery_count:
        named += ["I3"] if scenario.scheduler.settings().ordering != "none" else []
        named += ["I7"] if scenario.rooms else []
    return [
        f"invariant {key} ({INVARIANTS[key]}) was never judged"
        for key in INVARIANTS
        if key in named and not run.verdict.judgements.get(key, 0)
    ]
