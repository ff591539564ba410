"""Whether a figure has become better or worse: two ways of running a scenario with the same luck, seed by seed.

Both met the same chance, so their difference varies less than either of them; its interval over the seeds decides.
Worse is what is worse by more than a stated margin and, by that interval, no chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum
from typing import Final, Literal

from msgspec import Struct

from simroom.stats.intervals import Interval, further_replications, paired_difference
from simroom.study.amounts import amount, change
from simroom.study.expect import Expectation
from simroom.study.measures import MEASURES, Unit
from simroom.study.reported import of_expectation

Wanted = Literal["less", "more", "neither"]
DifferenceWord = Literal["worse", "inconclusive", "better", "same", "unknown"]

WORDS: Final[tuple[DifferenceWord, ...]] = ("worse", "inconclusive", "unknown", "better", "same")
"""From what is to be looked at first."""
CONFIDENCE: Final = 0.999
"""Of the intervals that decide. Many figures of many scenarios are compared, so one in twenty would raise false alarms
all the time; one in a thousand does so seldom."""
MARGIN: Final = 0.05
"""A share of the figure that it may be worse by, where nobody says otherwise."""
UNHEARD: Final = 0.01
"""Seconds that nobody hears: a time may always be worse by so much."""
LESS: Final = (
    *(f"delivery_latency.{stat}" for stat in ("mean", "p50", "p95", "p99")),
    "hold_time.mean",
    "jobs.rejected",
    "jobs.failed",
    "jobs.expired",
    "jobs.dropped_late",
    "jobs.lost",
)
"""Figures of which less is better."""
MORE: Final = ("jobs.delivered", "deliveries", "throughput")
"""Figures of which more is better."""


class Goal(Struct, frozen=True):
    """A figure that is compared.

    Attributes:
        name: Of the figure.
        unit: Of its values.
        wanted: Which way is better.
    """

    name: str
    unit: Unit
    wanted: Wanted


class Difference(Struct, frozen=True):
    """A figure run in two ways, in base units.

    Attributes:
        goal: The figure.
        word: What has become of it.
        before: Mean of the first way; None: it had no value.
        after: Mean of the second way; likewise.
        around: Interval of the second less the first, over the pairs; None: there is only one pair, or none.
        margin: By how much it may be worse.
        pairs: Seeds with a value in both ways.
        further: Seeds more that would probably decide; None: no number would, or it is decided.
    """

    goal: Goal
    word: DifferenceWord
    before: float | None
    after: float | None
    around: Interval | None
    margin: float
    pairs: int
    further: int | None = None

    @property
    def told(self) -> str:
        """It in plain words."""
        unit = self.goal.unit
        if self.before is None or self.after is None:
            return f"{_absent(self.before, unit)} before, {_absent(self.after, unit)} now"
        moved = self.after - self.before
        if moved == 0 and self.word == "same":
            return f"{amount(self.after, unit)}, as before"
        said = f"{amount(self.before, unit)} → {amount(self.after, unit)}: {_HOW[self.word]}, {change(moved, unit)}"
        if self.before and unit != "share":
            said += f" ({moved / abs(self.before) * 100:+.1f} %)".replace("-", "\u2212")
        if self.around is None:
            return f"{said}, of a single pair"
        if self.around.low != self.around.high:
            low, high = change(self.around.low, unit), change(self.around.high, unit)
            said += f", {low} to {high} at {self.around.confidence * 100:g} % over {self.around.n:,} seeds"
        if self.word in ("worse", "inconclusive") and self.goal.wanted != "neither":
            said += f"; {amount(self.margin, unit)} allowed" if self.margin else "; none allowed"
        return said


_HOW: Final[dict[DifferenceWord, str]] = {
    "worse": "worse",
    "inconclusive": "perhaps worse",
    "better": "better",
    "same": "no worse",
    "unknown": "other",
}


def _absent(value: float | None, unit: Unit) -> str:
    return "no value" if value is None else amount(value, unit)


def goals(expectations: Iterable[Expectation]) -> tuple[Goal, ...]:
    """What is compared: the figures that always are, and those that are expected to be below or above something.

    Of other counts nobody knows whether more is better: what is expected of them is judged by itself.
    """
    found = {name: Goal(name, _unit(name), "less") for name in LESS}
    found |= {name: Goal(name, _unit(name), "more") for name in MORE}
    for one in expectations:
        figure = of_expectation(one)
        if one.unit != "count" and one.operator in ("<", "<=", ">", ">="):
            wanted: Wanted = "less" if one.operator in ("<", "<=") else "more"
            found.setdefault(figure.name, Goal(figure.name, figure.unit, wanted))
    return tuple(found.values())


def _unit(name: str) -> Unit:
    measure = MEASURES.get(name)
    if measure is not None:
        return measure.unit
    stem, _, stat = name.rpartition(".")
    return MEASURES[stem].unit_of(stat)


def difference(
    goal: Goal,
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Compare a figure.

    Args:
        goal: The figure.
        before: Its value for each seed, the first way; None: no value.
        after: For each of the same seeds, the second way.
        margin: By what share of its mean it may be worse, 0 or above.
        confidence: Of the interval that decides.

    Raises:
        ValueError: There are not as many of one as of the other.
    """
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one is not None and other is not None]
    means = _mean(before), _mean(after)
    if not pairs:
        # What had values and has none now is no improvement.
        word: DifferenceWord = "worse" if means[0] is not None else "unknown" if means[1] is not None else "same"
        return Difference(goal, word, *means, None, 0.0, 0)
    base = fsum(one for one, _ in pairs) / len(pairs)
    allowed = abs(base) * margin
    if goal.unit == "time":
        allowed = max(allowed, UNHEARD)
    around = paired_difference([other for _, other in pairs], [one for one, _ in pairs], confidence=confidence)
    moved = fsum(other - one for one, other in pairs) / len(pairs)
    shown = (base, base + moved) if len(pairs) == len(before) else means
    sign = -1 if goal.wanted == "more" else 1
    if goal.wanted == "neither":
        word = "same" if moved == 0 else "unknown"
    elif around is None:
        word = "same" if sign * moved <= allowed else "inconclusive"
    else:
        word = _decided(sign * around.mean, around.half_width, allowed)
    further = None
    if word == "inconclusive" and around is not None:
        # So narrow that neither nought nor the margin is inside.
        gap = min(abs(sign * around.mean - allowed), abs(around.mean)) or abs(around.mean)
        further = further_replications(around, absolute=gap) if gap > 0 else None
    return Difference(goal, word, *shown, around, allowed, len(pairs), further)


def _decided(worse_by: float, half_width: float, allowed: float) -> DifferenceWord:
    """The word for a figure that is worse by so much, give or take ``half_width``."""
    low, high = worse_by - half_width, worse_by + half_width
    if worse_by > allowed and low > 0:
        return "worse"
    if high < 0:
        return "better"
    return "same" if high <= allowed else "inconclusive"


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fsum(there) / len(there) if there else None
