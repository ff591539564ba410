"""Where a run's start-up ends: MSER-5 by default, Welch's moving average as the second opinion.

MSER (White, Simulation 69(6), 1997; with batches of five: Spratt 1998, White, Cobb & Spratt 2000) cuts where the
squared standard error of what is left is smallest: cutting more removes bias as long as there is some, and after
that only loses samples. It is the rule that comparisons of warm-up rules recommend (Hoad, Robinson & Davies 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Series = npt.NDArray[np.float64]
Method = Literal["mser-5", "welch"]

BATCH: Final = 5
"""Observations in a batch: MSER-5."""
BATCHES_MIN: Final = 10
"""With fewer batches no cut is trusted (Hoad, Robinson & Davies 2010)."""
LAST_BATCHES: Final = 5
"""As many batches at the end are never all that is left: their error may be small by accident (ibid.)."""


class Suggestion(Struct, frozen=True):
    """Where the start-up seems to end.

    Attributes:
        cut: Number of observations to leave out at the beginning, 0 or more and at most half of them.
        method: The rule that found it.
        is_enough: Whether the series is long enough to say so. Where it is not, the rule would have cut more than
            half, or there is too little to judge by: run longer.
    """

    cut: int
    method: Method
    is_enough: bool


def across(replications: Sequence[Sequence[float] | Series]) -> Series:
    """The mean series of several replications, position by position, as long as the shortest.

    Averaging over replications flattens chance and leaves the start-up, which all of them have (Welch 1983).

    Args:
        replications: One series for each replication; at least one.

    Returns:
        Shape ``(length of the shortest,)``.

    Raises:
        ValueError: There is none, or a value is not finite.
    """
    if not replications:
        raise ValueError("a mean series needs a replication")
    rows = [_checked(row) for row in replications]
    length = min(map(len, rows))
    found: Series = np.array([row[:length] for row in rows], dtype=np.float64).mean(axis=0)
    return found


def suggested(series: Sequence[float] | Series, *, method: Method = "mser-5") -> Suggestion:
    """Where to cut a series of observations, in order of time.

    Args:
        series: Observations at equal steps: delivery latencies in order of the ends of their utterances, or means
            of equal windows; shape ``(n,)``. Of several replications, their mean series (``across``).
        method: ``mser-5``, or ``welch``: the moving average with a window of a tenth of the series.

    Returns:
        The suggestion. A constant series needs no cut.

    Raises:
        ValueError: A value is not finite.
    """
    if method == "mser-5":
        return mser(series)
    found = _checked(series)
    return welch(found, window=max(1, len(found) // 10))


def mser(series: Sequence[float] | Series, *, batch: int = BATCH) -> Suggestion:
    """White's marginal standard error rule over means of batches.

    Args:
        series: Observations in order of time, shape ``(n,)``.
        batch: Observations in a batch, 1 or more. What does not fill a batch at the end is left out of the judgement.

    Returns:
        The cut, a whole number of batches; of equally good cuts the smallest.

    Raises:
        ValueError: A value is not finite, or a batch is empty.
    """
    if batch < 1:
        raise ValueError("a batch has an observation")
    found = _checked(series)
    count = len(found) // batch
    if count < 2:
        return Suggestion(0, "mser-5", is_enough=False)
    means = found[: count * batch].reshape(count, batch).mean(axis=1)
    # Relative to the last mean, and to the largest deviation, so that squares neither lose digits nor overflow.
    means = means - means[-1]
    scale = float(np.abs(means).max())
    if scale > 0:
        means = means / scale
    left = np.arange(count, 0, -1)
    sums = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum((means**2)[::-1])[::-1]
    # Differences of sums leave traces of rounding: they are not evidence for a cut.
    deviations = np.where(squares - sums**2 / left > 1e-12 * squares, squares - sums**2 / left, 0.0)
    errors = deviations / left.astype(float) ** 2
    judged = errors[: max(1, count - LAST_BATCHES + 1)]
    half = count // 2
    best = int(np.argmin(judged[: half + 1]))
    enough = count >= BATCHES_MIN and float(judged.min()) >= float(errors[best]) and best < half
    return Suggestion(best * batch, "mser-5", is_enough=enough)


def moving_average(series: Sequence[float] | Series, *, window: int) -> Series:
    """Welch's moving average: each value with up to ``window`` neighbours on either side (Welch 1983; Law, 9.5.1).

    Near the beginning the neighbourhood shrinks so as to stay symmetric.

    Args:
        series: Observations in order of time, shape ``(n,)``.
        window: Neighbours on either side, 0 or more.

    Returns:
        Shape ``(max(0, n - window),)``: where the neighbours to the right run out, it ends.

    Raises:
        ValueError: A value is not finite, or the window is negative.
    """
    if window < 0:
        raise ValueError("a window has no negative width")
    found = _checked(series)
    places = np.arange(max(0, len(found) - window))
    reach = np.minimum(places, window)
    offset = found[0] if len(found) else 0.0  # relative to it, so that equal values stay equal
    before = np.concatenate(([0.0], np.cumsum(found - offset)))
    smooth: Series = (before[places + reach + 1] - before[places - reach]) / (2 * reach + 1) + offset
    return smooth


def welch(series: Sequence[float] | Series, *, window: int) -> Suggestion:
    """Welch's rule without the eye: cut where the moving average first enters the band of its second half.

    Args:
        series: Observations in order of time, best the mean series of replications, shape ``(n,)``.
        window: Neighbours on either side, 0 or more.

    Returns:
        The cut. Not enough where the average still moves when its second half begins, or is shorter than twice the
        window.

    Raises:
        ValueError: A value is not finite, or the window is negative.
    """
    smooth = moving_average(series, window=window)
    half = len(smooth) // 2
    if half == 0:
        return Suggestion(0, "welch", is_enough=False)
    low, high = smooth[half:].min(), smooth[half:].max()
    cut = int(np.argmax((smooth >= low) & (smooth <= high)))
    return Suggestion(min(cut, half), "welch", is_enough=cut < half and half >= window)


def _checked(series: Sequence[float] | Series) -> Series:
    found = np.asarray(series, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError(f"a series has one dimension, not {found.ndim}")
    if not np.isfinite(found).all():
        place = int(np.argmin(np.isfinite(found)))
        raise ValueError(f"observation {place} is {found[place]}: a series is of finite numbers")
    return found
