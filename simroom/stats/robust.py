"""Fitting what is a weighted sum of known columns, times a lognormal factor, with outliers among the rows.

``value = (columns @ weights) * factor``, weights 0 or above, the factor lognormal with mean 1: the service of a job.
Fitted on the logarithm, where the factor is an addend of constant spread: an MM-type estimate (Yohai 1987), begun at
the medians of Theil (1950) and Sen (1968), refined by iteratively reweighted least squares with Tukey's bisquare, under
which a row ten times too large counts for nothing.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Floats = npt.NDArray[np.float64]

TUNING: Final = 4.685
"""Bisquare constant with 95 % efficiency where there are no outliers (Holland & Welsch 1977)."""
NORMAL: Final = 1.4826
"""A median absolute deviation times this is the standard deviation of a normal distribution."""
PAIRS_MAX: Final = 100_000
"""More pairs than this are not gone through one by one."""
_ROUNDS_MAX: Final = 200


class FactorFit(Struct, frozen=True):
    """A sum of columns times a lognormal factor.

    Attributes:
        weights: Of the columns, 0 or above, shape ``(columns,)``: of the mean, not of the median.
        errors: Their standard errors, shape ``(columns,)``; 0 of a weight that is held at 0.
        sigma: Standard deviation of the factor's logarithm, 0 or above.
        residuals: Logarithm of value / fitted median, of every row.
        outliers: Which rows count for nothing.
        r_squared: Share of the variance of the values that the fit explains, of the rows that count, 1 at most; None
            where the values do not vary.
    """

    weights: Floats
    errors: Floats
    sigma: float
    residuals: Floats
    outliers: npt.NDArray[np.bool_]
    r_squared: float | None

    @property
    def spread(self) -> float:
        """Coefficient of variation of the factor, 0 or above."""
        return float(np.sqrt(np.expm1(self.sigma**2)))


def slope_of(x: Floats, y: Floats) -> float:
    """The slope of Theil and Sen: the median of the slopes of pairs of rows.

    Of many rows, only pairs that are far apart in the order of ``x`` are taken, always the same ones.

    Args:
        x: Shape ``(n,)``, not all the same.
        y: Shape ``(n,)``.

    Returns:
        The slope.

    Raises:
        ValueError: All of ``x`` are the same.
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    n = len(x)
    if n * (n - 1) // 2 <= PAIRS_MAX:
        first, second = np.triu_indices(n, 1)
    else:
        offsets = n // 2 + np.arange(max(1, PAIRS_MAX // n))
        offsets = offsets[offsets < n]
        first = np.concatenate([np.arange(n - offset) for offset in offsets])
        second = np.concatenate([np.arange(offset, n) for offset in offsets])
    run = x[second] - x[first]
    apart = run > 0
    if not apart.any():
        raise ValueError("a slope needs two different values")
    return float(np.median((y[second] - y[first])[apart] / run[apart]))


def fit_factor(columns: Floats, values: Floats, begin: Floats) -> FactorFit:
    """Fit the weights of columns and the spread of the factor.

    Args:
        columns: 0 or above, each row with one above 0, shape ``(n, k)``; the columns not multiples of each other.
        values: Above 0, shape ``(n,)``, more than ``k``.
        begin: Weights to begin at, 0 or above, one above 0 for each row to be above 0; shape ``(k,)``.

    Returns:
        The fit.
    """
    free = np.ones(columns.shape[1], dtype=np.bool_)
    weights, scale = _refine(columns, values, begin, free)
    # A weight that wants to fall below nought is held there, and the others are fitted without it.
    while (weights[free] <= 0).any() and free.sum() > 1:
        worst = int(np.argmin(np.where(free, weights, np.inf)))
        free[worst] = False
        held = np.where(free, np.maximum(begin, 0), 0.0)
        ratio = values / np.maximum(columns @ np.where(free, 1.0, 0.0), 1e-300)
        if not (columns @ held > 0).all():
            held = np.where(free, float(np.median(ratio)), 0.0)
        weights, scale = _refine(columns, values, held, free)
    return _described(columns, values, weights, scale, free)


def _bisquare(residuals: Floats, scale: float) -> Floats:
    """Tukey's weights, 0..1; with a scale of nought, 1 for who is exactly on the line and 0 for the rest."""
    ratio = np.abs(residuals) / max(TUNING * scale, 1e-9)
    return np.where(ratio < 1, (1 - np.minimum(ratio, 1) ** 2) ** 2, 0.0)


def _scale(residuals: Floats, parameters: int) -> float:
    """Spread of residuals by their median size, corrected for the parameters fitted to them."""
    n = len(residuals)
    return NORMAL * float(np.median(np.abs(residuals))) * math.sqrt(n / max(1, n - parameters))


def _refine(columns: Floats, values: Floats, begin: Floats, free: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Reweighted least squares on the logarithm; weights may come out at or below 0 as a sign to hold them there."""
    logs = np.log(values)
    weights = begin.astype(np.float64)
    count = int(free.sum())
    scale = 0.0
    for number in range(_ROUNDS_MAX):
        fitted = columns @ weights
        residuals = logs - np.log(fitted)
        if number == 0:
            # The start is right up to a factor: take the median of it out.
            weights = weights * np.exp(np.median(residuals))
            continue
        if number < _ROUNDS_MAX // 4:
            scale = _scale(residuals, count)  # later it stays, so that the rounds converge
        root = np.sqrt(_bisquare(residuals, scale))
        slopes = columns[:, free] / fitted[:, None]
        step = np.linalg.lstsq(slopes * root[:, None], residuals * root, rcond=None)[0]
        moved = weights.copy()
        moved[free] += step
        # Every row has to stay above nought. A weight that wants to go below it gets there in the limit.
        portion = 1.0
        while not (columns @ moved > 0.1 * fitted).all():
            portion /= 2
            moved[free] = weights[free] + portion * step
        done = np.abs(moved - weights).max() <= 1e-13 * np.abs(moved).max()
        weights = moved
        if done or (portion < 1 and (weights[free] < 0).any()):
            break
    return weights, scale


def _described(
    columns: Floats, values: Floats, weights: Floats, scale: float, free: npt.NDArray[np.bool_]
) -> FactorFit:
    """Spread, errors and share explained of a fit of the median."""
    weights = np.where(free, weights, 0.0)
    fitted = columns @ weights
    residuals = np.log(values) - np.log(fitted)
    ratio = np.abs(residuals) / max(TUNING * scale, 1e-9)
    outliers = ratio >= 1
    inside = ~outliers
    count, used = int(free.sum()), int(inside.sum())
    sigma = float(np.sqrt((residuals[inside] ** 2).sum() / max(1, used - count)))
    if sigma < 1e-9:
        sigma = 0.0  # rounding, not spread
    # The variance of an M-estimate (Huber & Ronchetti 2009, 7.6), with the bisquare's psi.
    psi = residuals * _bisquare(residuals, scale)
    slope = np.where(inside, (1 - np.minimum(ratio, 1) ** 2) * (1 - 5 * ratio**2), 0.0)
    n = len(values)
    curve = max(float(slope.mean()), 1e-3)
    variance = float((psi**2).sum()) / max(1, n - count) / curve**2
    slopes = columns[:, free] / fitted[:, None]
    errors = np.zeros(len(weights))
    errors[free] = np.sqrt(np.maximum(0, np.diag(np.linalg.pinv(slopes.T @ slopes)) * variance))
    # The mean of a lognormal factor is above its median, by a factor that is itself known only so well.
    lift = float(np.exp(sigma**2 / 2))
    lift_error = sigma**2 / np.sqrt(2 * max(1, used - count))
    errors = np.hypot(errors * lift, weights * lift * lift_error)
    weights = weights * lift
    kept = values[inside]
    total = float(((kept - kept.mean()) ** 2).sum()) if used else 0.0
    rest = float(((kept - fitted[inside] * lift) ** 2).sum())
    explained = 1 - rest / total if total > 0 else None
    return FactorFit(weights, np.where(sigma > 0, errors, 0.0), sigma, residuals, outliers, explained)
