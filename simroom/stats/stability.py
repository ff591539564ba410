"""Whether a system keeps up with what comes in: from the number of jobs in it over time.

The verdict:

- ``overloaded``: the number grows and still does at the end; latencies then say how long the run was, nothing else.
- ``backlogged``: it does not grow steadily, but ends far above its usual level: a burst or an outage not worked off.
- ``stable``: neither.

How it is reached. The window is divided into 20 parts. A queue at the edge of its capacity moves like a random walk:
what it gains in one part says nothing about the next. So the gains of the parts are put to a one-sided t test at 5 %,
which estimates their variation from themselves, however bursty the arrivals are. In a stable queue a part with a gain
is followed by one with a loss: its parts depend on each other, but to the side on which the test raises fewer alarms.
(A regression over the samples, or a rank test for trend, takes the slow wandering of a stable queue for a trend.)
Growth must also matter: 5 jobs and 1 % of the arrivals at least; and the end must be near the peak, at 3/4 of it.
The usual level is the median of the parts; "far above" is 8 times their spread (1.4826 times the median absolute
deviation, the standard deviation where they are normal), and 5 jobs at least.

What that gives, in simulated M/M/1 queues that start empty and are judged from 10 % of the run on (2,000 paths each,
1,000 in the last row; percent of them, overloaded / backlogged):

| services | rho .5 | .9 | .95 | 1 | 1.05 | 1.2 |
|---|---|---|---|---|---|---|
| 200 | 0.0 / 0.5 | 1.1 / 0.8 | 3.9 / 0.4 | 8.8 / 0.5 | 15.4 / 0.5 | 58.2 / 0.1 |
| 500 | 0.0 / 0.4 | 0.6 / 0.8 | 2.0 / 0.6 | 8.0 / 0.5 | 22.6 / 0.2 | 87.2 / 0.1 |
| 1,000 | 0.0 / 0.1 | 0.2 / 1.1 | 0.8 / 0.7 | 7.7 / 0.5 | 31.4 / 0.1 | 98.8 / 0.0 |
| 2,000 | 0.0 / 0.0 | 0.0 / 1.4 | 0.4 / 1.0 | 6.8 / 0.3 | 44.0 / 0.5 | 100.0 / 0.0 |
| 5,000 | 0.0 / 0.0 | 0.0 / 1.0 | 0.1 / 1.1 | 8.4 / 0.6 | 73.8 / 0.1 | 100.0 / 0.0 |
| 10,000 | 0.0 / 0.0 | 0.0 / 1.5 | 0.0 / 0.9 | 8.1 / 0.5 | 94.0 / 0.1 | 100.0 / 0.0 |
| 20,000 | 0.0 / 0.0 | 0.0 / 0.9 | 0.0 / 1.1 | 8.8 / 0.3 | 100.0 / 0.0 | 100.0 / 0.0 |

At rho = 1 there is no steady state, so no answer is wrong. A surplus of the share d over the capacity is noticed 19
times out of 20 once about ``23 / d**2`` services have been measured, since the surplus then stands
1.73 + 1.64 standard deviations of a random walk above nought: 9,300 services at 1.05, 630 at 1.2. Less cannot be told
from a queue that keeps up. A queue of bounded length that is full throughout does not grow: what it turns away is
counted elsewhere.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from simroom.stats.special import student_t, student_t_tail
from simroom.stats.timeweighted import Steps, areas, borders_of

Column = npt.NDArray[np.int64]
Verdict = Literal["stable", "backlogged", "overloaded"]

PARTS: Final = 20
LEVEL: Final = 0.05
GROWTH_MIN: Final = 5.0
"""Jobs: fewer more or less at the end are no pile, whatever the statistics say."""
SHARE_MIN: Final = 0.01
"""Of the arrivals. A system that is overloaded by the share d keeps about that share of them."""
PEAK_SHARE: Final = 0.75
"""What has fallen below this share of its peak is not growing any more."""
SPREADS: Final = 8.0
"""Spreads above the usual level. The means of parts of a busy queue are skewed, at worst about exponential: such a
variable exceeds its median by 8 of these spreads with a probability of ``exp(-.69 - 5.7)``, .2 %."""
NORMAL: Final = 1.4826


class Stability(Struct, frozen=True):
    """The verdict, and what it rests on.

    Attributes:
        verdict: ``stable``, ``backlogged`` or ``overloaded``.
        growth: Jobs by which the regression line over the means of the parts rises from begin to end.
        growth_share: ``growth`` / arrivals of the window; None where nothing arrived. Arrivals are the rises of the
            number: one that comes in the very microsecond in which another job ends does not show.
        p_value: How often a queue just at its capacity would gain as much, 0..1.
        usual: Median of the parts' mean numbers of jobs.
        end: Mean number of jobs in the last part.
        peak: The highest mean number of jobs of a part.
        means: Mean number of jobs of each part, in order of time.
    """

    verdict: Verdict
    growth: float
    growth_share: float | None
    p_value: float
    usual: float
    end: float
    peak: float
    means: tuple[float, ...]


def stability(jobs: Steps, begin: int, end: int) -> Stability | None:
    """Judge the number of jobs in the system.

    Args:
        jobs: The number of jobs in the system over time: those that came and have not ended. Of changes as plain
            arrays, ``Steps(instants, counts)``.
        begin: Start of the judged window: the end of the warm-up.
        end: End of the window: of the arrivals, before the system is drained.

    Returns:
        The verdict; None where the window is shorter than ``PARTS`` microseconds.
    """
    if end - begin < PARTS:
        return None
    borders = borders_of(begin, end, PARTS)
    widths = np.diff(borders).tolist()
    means = np.array([whole / width for whole, width in zip(areas(jobs, borders), widths, strict=True)])
    gains = np.diff([jobs.at(border) for border in borders.tolist()]).astype(np.float64)
    growth, share = _growth(means), None
    arrived = _arrived(jobs, begin, end)
    if arrived:
        share = growth / arrived
    p_value = _p_value(gains)
    usual, last, peak = float(np.median(means)), float(means[-1]), float(means.max())
    spread = NORMAL * float(np.median(np.abs(means - usual)))
    verdict: Verdict = "stable"
    if last - usual > max(GROWTH_MIN, SPREADS * spread):
        verdict = "backlogged"
    if p_value < LEVEL and growth >= max(GROWTH_MIN, SHARE_MIN * arrived):
        # It has grown; having fallen since, it is being worked off.
        verdict = "overloaded" if last >= PEAK_SHARE * peak else "backlogged"
    return Stability(verdict, growth, share, p_value, usual, last, peak, tuple(means.tolist()))


def _growth(means: npt.NDArray[np.float64]) -> float:
    """Rise of the least squares line over equal parts, from the beginning of the first to the end of the last."""
    places = np.arange(len(means)) - (len(means) - 1) / 2
    return float((places @ means) / (places @ places)) * len(means)


def _p_value(gains: npt.NDArray[np.float64]) -> float:
    """One-sided t test that the mean gain of a part is nought."""
    mean, deviation = float(gains.mean()), float(gains.std(ddof=1))
    if deviation == 0:
        return 0.0 if mean > 0 else 1.0
    return student_t_tail(mean / deviation * math.sqrt(len(gains)), len(gains) - 1)


def _arrived(jobs: Steps, begin: int, end: int) -> int:
    """Arrivals in the window, as far as the level shows them: its rises. Who comes just as another leaves is hidden."""
    rises = np.diff(jobs.levels, prepend=jobs.before)
    inside = (jobs.instants > begin) & (jobs.instants <= end)
    return int(np.maximum(rises[inside], 0).sum())


def services_needed(surplus: float) -> int:
    """Services after which an overload is noticed 19 times out of 20.

    Args:
        surplus: By which share arrivals exceed the capacity, above 0: .05 at a load of 1.05.

    Returns:
        Services in the judged window, for Poisson arrivals and exponential service.

    Raises:
        ValueError: There is no surplus.
    """
    if not surplus > 0:
        raise ValueError(f"a surplus is above 0, not {surplus}")
    distance = student_t(1 - LEVEL, PARTS - 1) + student_t(0.95, math.inf)
    return math.ceil((2 + surplus) * (distance / surplus) ** 2)
