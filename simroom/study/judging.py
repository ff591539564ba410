"""What a study comes to: each expectation judged on what the replications say together, and one word for all of it.

An expectation holds where its whole interval does, fails where none of it does, and is ``inconclusive`` where the bound
lies inside: more replications, or longer ones, would tell. What must never happen must not happen in any replication.
Replications that are over before the system has forgotten how it began decide nothing about latencies.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

from msgspec import Struct

from simroom.stats.intervals import Decision, against, further_replications
from simroom.stats.quantiles import SHARES, rank
from simroom.study.conclusion import Word
from simroom.study.expect import Expectation
from simroom.study.replicate import Estimate, Study
from simroom.study.replication import Replication, is_for_each
from simroom.study.reported import Figure, in_base_units, of_expectation
from simroom.study.steadiness import times_as_long

WARNINGS_TOLD: Final = 5
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Judged(Struct, frozen=True):
    """What became of an expectation.

    Attributes:
        expectation: The expectation.
        decision: ``holds``, ``fails`` or ``inconclusive``.
        for_each: Whether it had to hold in each replication, rather than for what they say together.
        estimate: What was measured.
        bound: What it is compared with, in base units.
        reason: Why it does not hold, where that is more than the interval; else None.
        seed: Of the first replication that shows it; None: no single one does.
        further: Replications more that would probably tell; None: no number would, or it is told already.
    """

    expectation: Expectation
    decision: Decision
    for_each: bool
    estimate: Estimate
    bound: float
    reason: str | None = None
    seed: int | None = None
    further: int | None = None


class StudyConclusion(Struct, frozen=True):
    """What a study comes to.

    Attributes:
        word: The word.
        reasons: Why it is not ``passed``, most important first; empty if it is.
        warnings: What a reader must not overlook, whatever the word.
        outcomes: Each expectation and what became of it, in the order of the scenario.
    """

    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    outcomes: tuple[Judged, ...]


def concluded(study: Study) -> StudyConclusion:
    """Judge the expectations and find the word."""
    outcomes = tuple(_judged(one, study) for one in study.expectations) if study.replications else ()
    failures = [*_failed(study), *_unmet(outcomes)]
    doubts = [*_doubtful(study), *_undecided(outcomes), *_too_wide(study)]
    word: Word = "passed"
    if study.interrupted:
        word = "interrupted"
        done = len(study.replications)
        failures.insert(0, f"the study was interrupted: what follows is of {_replications(done)}")
    elif failures:
        word = "failed"
    elif doubts:
        word = "inconclusive"
    return StudyConclusion(word, (*failures, *doubts), tuple(_warnings(study, outcomes)), outcomes)


def _replications(count: int) -> str:
    return f"{count:,} replication{'s' if count != 1 else ''}"


# --- expectations ------------------------------------------------------------------------------------------------


def _judged(expectation: Expectation, study: Study) -> Judged:
    figure = of_expectation(expectation)
    bound = in_base_units(expectation.bound, expectation.unit)
    assert bound is not None
    judged = Judged(expectation, "holds", is_for_each(expectation), study.estimates[figure.name], bound)
    missing = _missing(figure, study.replications)
    if missing is not None:
        return _with(judged, "fails", *missing)
    if judged.for_each:
        return _judged_in_each(judged, figure, study)
    if study.steadiness.is_overloaded and figure.is_crowded:
        return _with(judged, "fails", "overloaded: it grows with the length of the run, so there is no such value")
    around = judged.estimate.interval
    if around is None:
        return _with(judged, "inconclusive", "a single replication has no interval")
    if study.steadiness.is_too_short and figure.is_crowded:
        return _with(judged, "inconclusive", "the replications are too short for it")
    decision = against(around, expectation.operator, bound)
    if decision != "inconclusive":
        whole = judged.estimate.pooled
        if whole is not None and _COMPARE[expectation.operator](whole, bound) != (decision == "holds"):
            return _with(judged, "inconclusive", f"of all samples together it is {_shown(whole, judged)}")
        return _with(judged, decision)
    distance = abs(around.mean - bound)
    further = further_replications(around, absolute=distance) if distance > 0 else None
    return _with(judged, decision, "the bound lies inside the interval", further=further)


def _with(
    judged: Judged, decision: Decision, reason: str | None = None, seed: int | None = None, further: int | None = None
) -> Judged:
    return Judged(judged.expectation, decision, judged.for_each, judged.estimate, judged.bound, reason, seed, further)


def _missing(figure: Figure, replications: tuple[Replication, ...]) -> tuple[str, int] | None:
    """Why there is no value in some replication, and the seed of the first; None: all have one."""
    without = [one for one in replications if one.values.get(figure.name) is None]
    if not without:
        return None
    first = without[0]
    if not first.is_finished:
        why = "nothing is known of it"
    else:
        why = first.absent.get(figure.name, "no samples: there was nothing to measure")
    return f"{why} (in {len(without):,} of {_replications(len(replications))})", first.seed


def _judged_in_each(judged: Judged, figure: Figure, study: Study) -> Judged:
    compare = _COMPARE[judged.expectation.operator]
    against_it = [
        (one, value)
        for one in study.replications
        if (value := one.values[figure.name]) is not None and not compare(value, judged.bound)
    ]
    if not against_it:
        return judged
    first, value = against_it[0]
    where = f"in {len(against_it):,} of {_replications(len(study.replications))}; the first has seed {first.seed}"
    return _with(judged, "fails", f"is {_shown(value, judged)} {where}", first.seed)


def _shown(value: float, judged: Judged) -> str:
    unit = " s" if judged.estimate.unit == "time" else ""
    return f"{int(value) if value == int(value) else value:,}{unit}"


# --- the word ----------------------------------------------------------------------------------------------------


def _failed(study: Study) -> Iterator[str]:
    """What is wrong with replications by themselves, apart from expectations."""
    failed = [one for one in study.replications if one.word == "failed"]
    if failed:
        first = failed[0]
        yield (
            f"{len(failed):,} of {_replications(len(study.replications))} failed; "
            f"the first has seed {first.seed}: {'; '.join(first.reasons)}"
        )


def _unmet(outcomes: tuple[Judged, ...]) -> Iterator[str]:
    unmet = sum(outcome.decision == "fails" for outcome in outcomes)
    if unmet:
        yield f"{unmet:,} of {len(outcomes):,} expectations {'does' if unmet == 1 else 'do'} not hold"


def _doubtful(study: Study) -> Iterator[str]:
    if not study.replications:
        yield "no replication was finished"
    nothing = [one for one in study.replications if one.word == "inconclusive"]
    if nothing:
        yield f"in {len(nothing):,} of {_replications(len(study.replications))}: {nothing[0].reasons[0]}"


def _undecided(outcomes: tuple[Judged, ...]) -> Iterator[str]:
    count = sum(outcome.decision == "inconclusive" for outcome in outcomes)
    if count:
        yield f"{count:,} of {len(outcomes):,} expectations {'is' if count == 1 else 'are'} inconclusive"


def _too_wide(study: Study) -> Iterator[str]:
    found = study.precision
    if found is None or found.reached is not False or study.interrupted:
        return
    width = "unknown" if found.worst_precision is None else f"±{found.worst_precision * 100:.2g} %"
    more = "no number of replications would do"
    if found.further is not None:
        more = f"about {found.further:,} more would do"
    yield (
        f"a precision of {found.asked * 100:g} % was not reached with {_replications(len(study.replications))}: "
        f"{found.worst} is {width}; {more}"
    )


# --- warnings ----------------------------------------------------------------------------------------------------


def _warnings(study: Study, outcomes: tuple[Judged, ...]) -> Iterator[str]:
    count = len(study.replications)
    if count == 1:
        yield "a single replication has no interval: nothing says how far its figures are off"
    yield from _unsteady(study)
    if not study.steadiness.is_overloaded:
        yield from _too_short(study)
    if study.steadiness.warm_up.warning is not None:
        yield study.steadiness.warm_up.warning
    if study.precision is not None and study.precision.reached is None and count:
        yield f"nothing is there whose interval could become as narrow as {study.precision.asked * 100:g} %"
    unfinished = [one.stability.unfinished for one in study.replications if one.stability.unfinished]
    if unfinished:
        yield f"{sum(unfinished):,} jobs had not ended: latencies are of those that had"
    for outcome in outcomes:
        yield from _too_few_samples(outcome, study)
    told = Counter(warning for one in study.replications for warning in one.warnings)
    for warning, times in list(told.items())[:WARNINGS_TOLD]:
        yield warning if times == count else f"in {times:,} of {_replications(count)}: {warning}"
    if len(told) > WARNINGS_TOLD:
        yield f"{len(told) - WARNINGS_TOLD:,} warnings more, in summary.json"


def _unsteady(study: Study) -> Iterator[str]:
    steady, count = study.steadiness, len(study.replications)
    if steady.is_overloaded:
        yield (
            f"OVERLOADED: jobs pile up to the end in {steady.counts['overloaded']:,} of {_replications(count)}; "
            "latencies say how long a run was, and are told as what they are at least"
        )
    elif steady.word == "backlogged":
        yield "BACKLOGGED: most replications end with more jobs waiting than is usual in them"
    elif steady.counts["overloaded"]:
        yield (
            f"{steady.counts['overloaded']:,} of {_replications(count)} looked overloaded, "
            "no more than chance makes of so many"
        )


def _too_short(study: Study) -> Iterator[str]:
    steady = study.steadiness
    if steady.is_too_short and steady.memory is not None:
        times = times_as_long(steady.memory)
        yield (
            "TOO SHORT: the jobs in one tenth of a replication still depend on those in the tenth before (correlation "
            f"{steady.memory:.2f}), so latencies show how it began; make it {times} times as long at least"
        )


def _too_few_samples(outcome: Judged, study: Study) -> Iterator[str]:
    """Whether a percentile that is expected is but the largest of the samples."""
    figure = of_expectation(outcome.expectation)
    if not figure.is_percentile or figure.stat is None:
        return
    name = Figure(figure.measure, figure.tags, "n").name
    counts = [int(n) for one in study.replications if (n := one.values.get(name))]
    share: Fraction = SHARES[figure.stat]
    few = [n for n in counts if rank(share, n) == n]
    if few:
        yield (
            f"{figure.name}: a replication with {few[0]:,} samples has its largest there: longer replications "
            "would have a percentile"
        )
