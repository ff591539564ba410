"""How sure a mean over replications is: Student-t intervals, paired differences, and what they decide.

The samples of one run depend on each other (a job that waits makes the next one wait), so an interval is made over
the means of independent replications, never over the samples of a run (Law, Simulation Modeling and Analysis, 9.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

from msgspec import Struct

from simroom.stats.special import student_t

Number = float | Fraction
"""A finite value: a whole number, an exact fraction or a float."""

Op = Literal["<", "<=", ">", ">=", "==", "!="]
Decision = Literal["holds", "fails", "inconclusive"]

CONFIDENCE: Final = 0.95
"""The share of intervals that contain the truth, unless another is asked for."""

REPLICATIONS_MAX: Final = 1_000_000
"""More replications than this are not suggested."""


class Interval(Struct, frozen=True):
    """A mean over independent values and how sure it is, in the values' own unit.

    Attributes:
        mean: Mean of the values; of a quantile of all samples, that quantile (see ``jackknife``).
        half_width: Half the width of the interval, 0 or above; 0 where all values are the same.
        n: Number of independent values, 2 or more.
        low: ``mean - half_width``.
        high: ``mean + half_width``.
        standard_error: Standard deviation of the mean, 0 or above.
        confidence: Share of such intervals that contain the truth, above 0 and below 1.
    """

    mean: float
    half_width: float
    n: int
    low: float
    high: float
    standard_error: float
    confidence: float

    def off_by(self, truth: float) -> float:
        """Distance of the mean from ``truth`` in standard errors; infinite where there is no error but a distance."""
        distance = abs(self.mean - truth)
        if self.standard_error == 0:
            return 0.0 if distance == 0 else math.inf
        return distance / self.standard_error


def _around(mean: float, standard_error: float, n: int, dof: float, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is above 0 and below 1, not {confidence}")
    half_width = student_t(0.5 + confidence / 2, dof) * standard_error
    return Interval(mean, half_width, n, mean - half_width, mean + half_width, standard_error, confidence)


def _checked(values: Sequence[Number]) -> list[float]:
    found = [float(value) for value in values]
    for place, value in enumerate(found, start=1):
        if not math.isfinite(value):
            raise ValueError(f"replication {place} has {value}, which is no number to take a mean of")
    return found


def _mean_and_variance(values: list[float]) -> tuple[float, float]:
    """Mean and sample variance; with two values or more."""
    n = len(values)
    mean = math.fsum(value / n for value in values)
    if all(value == values[0] for value in values):
        return values[0], 0.0  # not a trace of rounding where nothing varies
    return mean, math.fsum((value - mean) ** 2 for value in values) / (n - 1)


def interval(values: Sequence[Number], *, confidence: float = CONFIDENCE) -> Interval | None:
    """Student-t interval for the mean of independent values, such as one mean for each replication.

    Args:
        values: One finite number for each replication, in any order.
        confidence: Above 0 and below 1.

    Returns:
        The interval; None with fewer than two values, which say nothing about how far they vary.

    Raises:
        ValueError: A value is not finite, or the confidence is not a share.
    """
    found = _checked(values)
    n = len(found)
    if n < 2:
        return None
    mean, variance = _mean_and_variance(found)
    return _around(mean, math.sqrt(variance / n), n, n - 1, confidence)


def paired_difference(
    candidate: Sequence[Number], baseline: Sequence[Number], *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval for ``candidate - baseline`` where both met the same luck, replication by replication.

    Common random numbers make the two alike, so their differences vary less than either (Law, 11.2).

    Args:
        candidate: One value for each seed.
        baseline: One value for each of the same seeds, in the same order.
        confidence: Above 0 and below 1.

    Returns:
        The interval of the mean difference; None with fewer than two pairs.

    Raises:
        ValueError: There are not as many of one as of the other, or a value is not finite.
    """
    if len(candidate) != len(baseline):
        raise ValueError(f"{len(candidate)} replications cannot be paired with {len(baseline)}")
    pairs = zip(_checked(candidate), _checked(baseline), strict=True)
    return interval([ours - theirs for ours, theirs in pairs], confidence=confidence)


def independent_difference(
    candidate: Sequence[Number], baseline: Sequence[Number], *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval for ``candidate - baseline`` where the seeds differ: Welch's, with unequal variances.

    Args:
        candidate: One value for each replication.
        baseline: One value for each replication, as many as there are.
        confidence: Above 0 and below 1.

    Returns:
        The interval of the difference, with ``n`` of the smaller sample; None where one of them has fewer than two.

    Raises:
        ValueError: A value is not finite.
    """
    samples = _checked(candidate), _checked(baseline)
    if min(map(len, samples)) < 2:
        return None
    (mean, variance), (base_mean, base_variance) = map(_mean_and_variance, samples)
    parts = [variance / len(samples[0]), base_variance / len(samples[1])]
    total = sum(parts)
    n = min(map(len, samples))
    dof = n - 1.0
    if total > 0:
        # Welch and Satterthwaite; scaled by the total, so that tiny variances do not vanish when squared.
        dof = 1 / sum((part / total) ** 2 / (len(sample) - 1) for part, sample in zip(parts, samples, strict=True))
    return _around(mean - base_mean, math.sqrt(total), n, dof, confidence)


def jackknife(whole: Number, without: Sequence[Number], *, confidence: float = CONFIDENCE) -> Interval | None:
    """Interval for a figure that is not a mean, such as a quantile of the samples of all replications together.

    The delete-a-group jackknife (Shao & Tu 1995, 2.3): how far the figure moves as each replication is left out. The
    interval is centred on the figure of everything, so that what is shown is never a mean of quantiles.

    Args:
        whole: The figure of all replications together.
        without: The figure of all but one, for each replication.
        confidence: Above 0 and below 1.

    Returns:
        The interval around ``whole``; None with fewer than two replications.

    Raises:
        ValueError: A value is not finite.
    """
    centre, found = _checked([whole])[0], _checked(without)
    n = len(found)
    if n < 2:
        return None
    _, variance = _mean_and_variance(found)
    return _around(centre, math.sqrt(variance * (n - 1) ** 2 / n), n, n - 1, confidence)


def relative_precision(found: Interval) -> float | None:
    """Half the width as a share of the mean, 0 or above; None where the mean is 0."""
    return None if found.mean == 0 else found.half_width / abs(found.mean)


def further_replications(
    found: Interval, *, relative: float | None = None, absolute: float | None = None
) -> int | None:
    """How many replications more would probably make the interval narrow enough (Law, 9.4.1).

    It takes the spread seen so far for the true one; after running them, ask again.

    Args:
        found: The interval so far.
        relative: Wanted half width as a share of the mean, above 0. One of the two is given.
        absolute: Wanted half width in the values' unit, above 0.

    Returns:
        0 or more; None where no number up to ``REPLICATIONS_MAX`` suffices, as for a share of a mean of 0.

    Raises:
        ValueError: Both or neither are given, or the wanted width is not above 0.
    """
    if (relative is None) == (absolute is None):
        raise ValueError("either a relative or an absolute half width is wanted")
    asked = relative if relative is not None else absolute
    assert asked is not None
    if not asked > 0:
        raise ValueError(f"a wanted half width is above 0, not {asked}")
    wanted = asked * abs(found.mean) if relative is not None else asked
    if found.half_width <= wanted:
        return 0
    deviation = found.standard_error * math.sqrt(found.n)

    def suffices(n: int) -> bool:
        return student_t(0.5 + found.confidence / 2, n - 1) * deviation / math.sqrt(n) <= wanted

    if not suffices(REPLICATIONS_MAX):
        return None
    # The width shrinks with every replication, so the first number that suffices is found by halving.
    low, high = found.n, REPLICATIONS_MAX
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high - found.n


def against(found: Interval, op: Op, limit: float) -> Decision:
    """Whether what an interval says satisfies a limit, such as ``p95 < 2.5 s``.

    Args:
        found: The interval.
        op: How the value is compared with the limit.
        limit: In the unit of the interval.

    Returns:
        ``holds`` where every value of the interval satisfies it, ``fails`` where none does, else ``inconclusive``: the
        limit lies inside.

    Raises:
        ValueError: No such operator, or the limit is not a number.
    """
    if math.isnan(limit):
        raise ValueError("a limit is a number")
    low, high = found.low, found.high
    every: bool
    none: bool
    if op == "<":
        every, none = high < limit, low >= limit
    elif op == "<=":
        every, none = high <= limit, low > limit
    elif op == ">":
        every, none = low > limit, high <= limit
    elif op == ">=":
        every, none = low >= limit, high < limit
    elif op in {"==", "!="}:
        every, none = low == high == limit, not low <= limit <= high
        if op == "!=":
            every, none = none, every
    else:
        raise ValueError(f"no operator {op!r}")
    if every:
        return "holds"
    return "fails" if none else "inconclusive"
