"""Samplers: from 64 random bits to a span of time, by inverse transform, quickly and with honest tails.

A sampler with a table cuts 0..1 into 2**13 equally likely bins. All but the last 64 answer with their midpoint's
quantile, looked up; the last 64, the upper 1/128 of the probability, are computed from all 64 bits, because there
a midpoint would cut the tail off and with it much of the variance. What the table leaves out is the spread inside
a bin: under 2e-5 of the mean and 1e-4 of the variance for every distribution here. Monotone: more bits, more span.
So small a table because a large one costs more: eight tables of 2**16 fall out of the cache and take 230 ns a
look-up instead of 85.

In a hot loop, take the parts apart; this is all that a call does::

    i = bits >> TABLE_SHIFT
    span = table[i] if i < tail_from else exact(bits)

One draw of 64 bits can serve several samplers: `turned` gives the second the bits after the first one's 13.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from statistics import NormalDist
from typing import Final

from simroom.scenario import distributions as wanted

TABLE_SHIFT: Final = 51
"""How far 64 bits are shifted right to get their bin."""
TAIL_COUNT: Final = 64
"""How many of the uppermost bins are computed exactly."""
LONGEST: Final = 10**15
"""No draw is longer, microseconds (31 years): what is beyond would only overflow."""

_BIN_COUNT: Final = 1 << 64 - TABLE_SHIFT
_ALL: Final = 1 << 64
_MASK: Final = _ALL - 1
_BELOW_ONE: Final = 1 - 2.0**-53
_GRID_COUNT: Final = 4096
_DEEPEST: Final = 46.0
"""-log of a probability that 64 bits cannot reach (2**-65 is 45.05)."""
_normal_quantile: Final = NormalDist().inv_cdf


def turned(bits: int, draws: int) -> int:
    """Turn 64 bits so that the ones not used by earlier samplers come first.

    Args:
        bits: 64 random bits.
        draws: How many samplers have used these bits already, 1..3. Their bins are independent of the next one's.
    """
    shift = draws * (64 - TABLE_SHIFT)
    return (bits << shift | bits >> 64 - shift) & _MASK


class Sampler(ABC):
    """A distribution of spans, ready to draw from.

    Attributes:
        mean: Mean, microseconds (before rounding and the limit `LONGEST`).
        cv2: Squared coefficient of variation: variance over squared mean; 0 where the mean is 0.
        tail_from: Bins from here on are not in the table; 0 where there is no table.
    """

    __slots__ = ("_table", "cv2", "mean", "tail_from")

    def __init__(self, mean: float, cv2: float, tail_from: int) -> None:
        self.mean = mean
        self.cv2 = cv2
        self.tail_from = tail_from
        self._table: array[int] | None = None

    @abstractmethod
    def exact(self, bits: int) -> int:
        """The span that these 64 bits stand for, without a table.

        Args:
            bits: In ``0..2**64-1``.

        Returns:
            Whole microseconds, ``0..LONGEST``.
        """

    @property
    def table(self) -> array[int]:
        """The spans of the bins below ``tail_from``, microseconds; made when first asked for. Not to be changed."""
        if self._table is None:
            half = 1 << TABLE_SHIFT - 1
            self._table = self._made_table([(i << TABLE_SHIFT) + half for i in range(self.tail_from)])
        return self._table

    def _made_table(self, midpoints: list[int]) -> array[int]:
        return array("q", map(self.exact, midpoints))

    def __call__(self, bits: int) -> int:
        """Draw a span.

        Args:
            bits: 64 random bits, from a `Stream` or from `mix`.

        Returns:
            Whole microseconds, ``0..LONGEST``.
        """
        i = bits >> TABLE_SHIFT
        if i < self.tail_from:
            return (self._table or self.table)[i]
        return self.exact(bits)


class _Fixed(Sampler):
    """One span for ever."""

    __slots__ = ("_span",)

    def __init__(self, span: int) -> None:
        super().__init__(float(span), 0.0, 0)
        self._span = min(span, LONGEST)

    def exact(self, bits: int) -> int:  # noqa: ARG002 - a draw all the same
        return self._span


class _Even(Sampler):
    """Whole microseconds from low to high, both included, all equally likely."""

    __slots__ = ("_count", "_low")

    def __init__(self, low: int, high: int) -> None:
        count = high - low + 1
        mean = (low + high) / 2
        super().__init__(mean, (count * count - 1) / 12 / mean**2 if mean else 0.0, 0)
        self._low = low
        self._count = count

    def exact(self, bits: int) -> int:
        return self._low + (bits * self._count >> 64)


class _Listed(Sampler):
    """One of the spans of a list, all equally likely."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Sequence[int]) -> None:
        mean = math.fsum(spans) / len(spans)
        variance = math.fsum((span - mean) ** 2 for span in spans) / len(spans)
        super().__init__(mean, variance / mean**2 if mean else 0.0, 0)
        self._spans = sorted(min(span, LONGEST) for span in spans)

    def exact(self, bits: int) -> int:
        return self._spans[bits * len(self._spans) >> 64]


class _Inverse(Sampler):
    """A distribution known by its upper quantile: the span that is exceeded with probability q, 0 < q < 1."""

    __slots__ = ("_exceeded",)

    def __init__(self, mean: float, cv2: float, exceeded: Callable[[float], float]) -> None:
        super().__init__(mean, cv2, _BIN_COUNT - TAIL_COUNT)
        self._exceeded = exceeded

    def exact(self, bits: int) -> int:
        span = self._exceeded(_exceeding(bits))
        return int(span + 0.5) if span < LONGEST else LONGEST


class _Lognormal(_Inverse):
    """A lognormal: its table needs the normal quantiles of the midpoints, which are the same for all of them."""

    __slots__ = ("_mu", "_sigma")

    def __init__(self, mu: float, sigma: float) -> None:
        variance = sigma * sigma
        self._mu = mu
        self._sigma = sigma
        super().__init__(
            math.exp(mu + variance / 2),
            math.expm1(variance),
            # e**35 microseconds is beyond LONGEST.
            lambda q: math.exp(min(mu - sigma * _normal_quantile(q), 35.0)),
        )

    def _made_table(self, midpoints: list[int]) -> array[int]:
        # The same operations as in ``exact``, so the same numbers.
        mu, sigma, exp = self._mu, self._sigma, math.exp
        spans = (exp(min(mu - sigma * z, 35.0)) for z in _normal_quantiles(tuple(midpoints)))
        return array("q", [int(span + 0.5) if span < LONGEST else LONGEST for span in spans])


@cache
def _normal_quantiles(midpoints: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(_normal_quantile(_exceeding(bits)) for bits in midpoints)


def _exceeding(bits: int) -> float:
    """The probability of more than these 64 bits; from the upper end, where a float has its digits."""
    return min((_ALL - bits - 0.5) * 2.0**-64, _BELOW_ONE)


def constant(span: int) -> Sampler:
    """Always ``span`` microseconds."""
    _checked("span", span, lowest=0)
    return _Fixed(span)


def uniform(low: int, high: int) -> Sampler:
    """Any whole microsecond from ``low`` to ``high``, both included.

    Raises:
        ValueError: ``low`` is negative or above ``high``.
    """
    if not 0 <= low <= high:
        raise ValueError(f"a uniform span needs 0 <= low <= high, not {low} and {high}")
    return _Even(low, high)


def exponential(mean: float) -> Sampler:
    """Exponential with this mean, microseconds above 0."""
    _checked("mean", mean)
    return _Inverse(mean, 1.0, lambda q: -mean * math.log(q))


def lognormal(median: float, sigma: float) -> Sampler:
    """Lognormal: ``median`` in microseconds above 0, ``sigma`` of the natural logarithm, 0 or above."""
    mu = math.log(_checked("median", median))
    if _checked("sigma", sigma, lowest=0) == 0:
        return _Fixed(round(median))
    return _Lognormal(mu, sigma)


def gamma(mean: float, cv: float) -> Sampler:
    """Gamma: ``mean`` in microseconds, ``cv`` its coefficient of variation, both above 0.

    Quantiles are within 2e-5 of their value (or half a microsecond).
    """
    _checked("mean", mean)
    cv2 = _checked("cv", cv) ** 2
    spans, depths = _gamma_grid(1 / cv2)
    return _Inverse(mean, cv2, _inverse_of([span * mean * cv2 for span in spans], depths))


def hyperexponential(mean: float, cv: float) -> Sampler:
    """Two exponentials, mixed so that each contributes half of the mean (balanced means).

    Quantiles are within 2e-5 of their value (or half a microsecond).

    Args:
        mean: Microseconds above 0.
        cv: Coefficient of variation, 1 or above; at 1 it is the exponential.
    """
    _checked("mean", mean)
    cv2 = _checked("cv", cv, lowest=1) ** 2
    often = (1 + math.sqrt((cv2 - 1) / (cv2 + 1))) / 2
    # 1 - often, but without losing its digits where cv is large.
    seldom = 1 / (cv2 + 1) / (2 * often)
    short, long = mean / (2 * often), mean / (2 * seldom)

    def depth(span: float) -> float:
        return -math.log(often * math.exp(-span / short) + seldom * math.exp(-span / long))

    lowest = 1e-5 * short
    step = math.log(_DEEPEST * long / lowest) / (_GRID_COUNT - 2)
    spans = [0.0, *(lowest * math.exp(step * i) for i in range(_GRID_COUNT - 1))]
    return _Inverse(mean, cv2, _inverse_of(spans, [max(0.0, depth(span)) for span in spans]))


def empirical(spans: Sequence[int]) -> Sampler:
    """One of these spans (microseconds, 0 or above), all equally likely; one listed twice comes twice as often.

    Raises:
        ValueError: The list is empty or has a negative span.
    """
    if not spans or min(spans) < 0:
        raise ValueError("an empirical distribution needs at least one span, none of them negative")
    return _Listed(spans)


def sampler_of(model: wanted.Distribution) -> Sampler:
    """Make the sampler that a scenario's distribution asks for."""
    match model:
        case wanted.Constant():
            return constant(model.span)
        case wanted.Uniform():
            return uniform(model.low, model.high)
        case wanted.Exponential():
            return exponential(model.mean)
        case wanted.Lognormal():
            return lognormal(model.median, model.sigma)
        case wanted.Gamma():
            return gamma(model.mean, model.cv)
        case wanted.Hyperexponential():
            return hyperexponential(model.mean, model.cv)
        case wanted.Empirical():
            return empirical(model.spans)


class Samplers:
    """The samplers of one run: those that are asked for alike share one table."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[wanted.Distribution, Sampler] = {}

    def of(self, model: wanted.Distribution) -> Sampler:
        """The sampler of this distribution, the same object for equal ones."""
        sampler = self._known.get(model)
        if sampler is None:
            sampler = self._known[model] = sampler_of(model)
        return sampler


def _checked(name: str, value: float, *, lowest: float | None = None) -> float:
    fits = value > 0 if lowest is None else value >= lowest
    if not fits or not math.isfinite(value):
        raise ValueError(f"{name} must be {'above 0' if lowest is None else f'{lowest:g} or above'}, not {value}")
    return value


def _inverse_of(spans: list[float], depths: list[float]) -> Callable[[float], float]:
    """The upper quantile from a grid, linear between its points in -log of the upper probability ("depth").

    Args:
        spans: Ascending.
        depths: The depth of each span, ascending from where the table begins to beyond what 64 bits can reach.
    """
    last = len(spans) - 1

    def exceeded(q: float) -> float:
        depth = -math.log(q)
        i = bisect_right(depths, depth)
        if i == 0:
            return spans[0]
        if i > last:
            return spans[last]
        low = depths[i - 1]
        return spans[i - 1] + (spans[i] - spans[i - 1]) * (depth - low) / (depths[i] - low)

    return exceeded


def _gamma_grid(shape: float) -> tuple[list[float], list[float]]:
    """Spans (of a gamma with scale 1) and depths, for `_inverse_of`.

    Integrates over t = log x, where the density exp(shape·t - e**t) / Γ(shape) has no singularity, from the upper
    end downwards so that small upper probabilities keep their digits. Each cell by the trapezoid with its
    end-point correction, h⁴ in all.
    """
    low, high = _log_range(shape)
    step = (high - low) / (_GRID_COUNT - 1)
    times = [low + step * i for i in range(_GRID_COUNT)]
    spans = [math.exp(t) for t in times]
    constant_part = math.lgamma(shape)
    density = [math.exp(shape * t - x - constant_part) for t, x in zip(times, spans, strict=True)]
    slope = [y * (shape - x) for y, x in zip(density, spans, strict=True)]
    # Beyond the end, the first term of the asymptotic series.
    upper = density[-1] / max(1.0, spans[-1] - shape + 1)
    depths = [-math.log(upper)]
    cells = zip(pairwise(reversed(density)), pairwise(reversed(slope)), strict=True)
    for (right, left), (right_slope, left_slope) in cells:
        upper += step / 2 * (left + right) + step * step / 12 * (left_slope - right_slope)
        depths.append(-math.log(min(upper, 1.0)))
    depths.reverse()
    return spans, depths


def _log_range(shape: float) -> tuple[float, float]:
    """Where log x of a gamma with scale 1 has to be known.

    Upwards to probability 2**-66 at most, downwards to where less than 1e-7 or, for small shapes, nothing but
    numbers under a microsecond is left. Normal quantiles are turned into gamma's by Wilson and Hilferty's cube.
    """

    def cube(z: float) -> float:
        return 1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape))

    low = cube(-5.5)
    if low > 0.05:
        lowest = math.log(shape) + 3 * math.log(low)
    else:
        # The lower probability of x is at most x**shape / Γ(shape + 1).
        lowest = max(-40.0, (math.log(1e-8) + math.lgamma(shape + 1)) / shape)
    # For small shapes the cube is far off; x = 50 is beyond e**-46 for every shape up to 1.
    highest = max(50.0, shape * max(0.0, cube(10.5)) ** 3 + 25)
    return lowest, math.log(highest)
