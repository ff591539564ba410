"""From measured times to the figures of a node: fixed part, real-time factor, spread, cold start, kind of GPU.

Pure fitting of plain columns. The model is the one that simulated nodes follow: a stage takes ``(fixed + rtf * length
of the utterance) * factor``, the factor lognormal with mean 1 and coefficient of variation ``spread``; the first job
after a start takes longer. Times and lengths share one unit, any unit; so do the results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from simroom.stats.robust import FactorFit, fit_factor, slope_of

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
GpuModel = Literal["serial", "shared", "batching"]

ROWS_MIN: Final = 5
"""Two figures and a spread from fewer rows would be guesses."""
ROWS_SHOWN: Final = 5
EXACT: Final = 1e-6
"""Relative errors below this are rounding: no model is better for them."""
NEAR: Final = 2.0
"""What one more figure costs in Akaike's criterion."""


class CalibrationError(ValueError):
    """Measurements that no figures can be taken from.

    Attributes:
        problem: What is wrong, in words.
        rows: Rows that it is about, counted from 1, ascending; empty where it is about all of them.
    """

    def __init__(self, problem: str, rows: Sequence[int] = ()) -> None:
        shown = ", ".join(map(str, rows[:ROWS_SHOWN]))
        more = f" and {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else ""
        where = f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}: " if rows else ""
        super().__init__(where + problem)
        self.problem = problem
        self.rows = tuple(rows)


class StageFit(Struct, frozen=True):
    """How long a stage takes.

    Attributes:
        fixed: What it takes whatever the length, 0 or above.
        rtf: Real-time factor: what it takes for each unit of the length, 0 or above.
        fixed_error: Standard error of ``fixed``; 0 where it is held at 0.
        rtf_error: Standard error of ``rtf``, likewise.
        spread: Coefficient of variation of the factor, 0 or above.
        spread_error: Standard error of ``spread``.
        r_squared: Share of the variance of the times that the fit explains, without the outliers; None where they do
            not vary.
        n: Rows fitted.
        outliers: Rows that count for nothing, counted from 1, ascending.
    """

    fixed: float
    rtf: float
    fixed_error: float
    rtf_error: float
    spread: float
    spread_error: float
    r_squared: float | None
    n: int
    outliers: tuple[int, ...]

    def mean_time(self, length: float) -> float:
        """Mean time of an utterance of this length."""
        return self.fixed + self.rtf * length


class ColdStart(Struct, frozen=True):
    """What first jobs after a start take beyond the others.

    Attributes:
        time: Median of the excess, 0 or above.
        standard_error: Of the median; None where there is only one first job.
        n: Number of first jobs.
        is_clear: Whether the excess stands out of the spread of the other jobs (3 standard deviations).
    """

    time: float
    standard_error: float | None
    n: int
    is_clear: bool


class Curve(Struct, frozen=True):
    """One model of a GPU, fitted to jobs that were sent at once.

    Attributes:
        model: ``serial``, ``shared`` or ``batching``.
        streams: Jobs at once without slowing each other, 1 or more; 1 but for ``serial``.
        fixed: Time of a batch whatever its size; 0 but for ``batching``.
        per_job: Time of one job alone (``serial``, ``shared``), or what a batch takes for each job.
        fixed_error: Standard error of ``fixed``.
        per_job_error: Standard error of ``per_job``.
        error: Mean absolute relative error of the times, 0 or above.
        r_squared: Share of the variance of the times that it explains, without outliers; None where they do not vary.
        criterion: Akaike's, with Laplace's distribution of the errors; less is better.
    """

    model: GpuModel
    streams: int
    fixed: float
    per_job: float
    fixed_error: float
    per_job_error: float
    error: float
    r_squared: float | None
    criterion: float


class Concurrency(Struct, frozen=True):
    """Which model of a GPU fits best.

    Attributes:
        best: Of the curves whose criterion is within ``NEAR`` of the smallest, the simplest: with the fewest figures.
        curves: The best curve of each model; ``best``, then the others by their criterion.
        lead: By how much the criterion of the second exceeds that of the best; under about 4 the second is not out
            of question (Burnham & Anderson 2002, 2.6), and it may be below 0 where a simpler curve was taken.
    """

    best: Curve
    curves: tuple[Curve, ...]
    lead: float


# --- checks -----------------------------------------------------------------------------------------------------


def _column(name: str, values: Sequence[float] | Floats, n: int) -> Floats:
    """A column of finite numbers with as many rows as the others."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise CalibrationError(f"{name} is a table, where a column is expected")
    if len(found) != n:
        raise CalibrationError(f"{name} has {len(found)} rows, where the times have {n}")
    _refuse(~np.isfinite(found), f"{name} is not a number")
    return found


def _refuse(wrong: Mask, problem: str) -> None:
    if wrong.any():
        raise CalibrationError(problem, (np.flatnonzero(wrong) + 1).tolist())


def _times(values: Sequence[float] | Floats, least: int) -> Floats:
    found = _column("the time", values, len(values))
    _refuse(found < 0, "the time is negative")
    _refuse(found == 0, "the time is nought: a stage that did not run is not a measurement of it")
    if len(found) < least:
        raise CalibrationError(f"{len(found)} rows are too few: at least {least} are needed")
    return found


# --- one stage --------------------------------------------------------------------------------------------------


def fit_stage(lengths: Sequence[float] | Floats, times: Sequence[float] | Floats) -> StageFit:
    """Fixed part, real-time factor and spread of a stage, with outliers among the rows.

    Args:
        lengths: Length of each utterance, 0 or above, shape ``(n,)``, not all the same.
        times: Time the stage took for it, above 0, in the same unit, shape ``(n,)``; at least ``ROWS_MIN``.

    Returns:
        The fit.

    Raises:
        CalibrationError: A value makes no sense, there are too few rows, or the lengths do not vary.
    """
    y = _times(times, ROWS_MIN)
    x = _column("the length", lengths, len(y))
    _refuse(x < 0, "the length is negative")
    if x.min() == x.max():
        raise CalibrationError("all lengths are the same: what is fixed cannot be told from what grows with the length")
    return _stage(_line(x, y), len(y))


def _line(x: Floats, y: Floats) -> FactorFit:
    """Fit ``fixed + rtf * x``, ``x`` 0 or above and not all the same."""
    slope = max(0.0, slope_of(x, y))
    fixed = max(0.0, float(np.median(y - slope * x)))
    if not (fixed + slope * x > 0).all():
        # The logarithm needs a start above nought everywhere, also for an utterance without length.
        fixed = 1e-3 * float(np.median(y))
    return fit_factor(np.column_stack((np.ones(len(x)), x)), y, np.array([fixed, slope]))


def _stage(found: FactorFit, n: int) -> StageFit:
    rows = (np.flatnonzero(found.outliers) + 1).tolist()
    used = max(1, n - len(rows) - 2)
    fixed, rtf = found.weights.tolist()
    fixed_error, rtf_error = found.errors.tolist()
    # The error of a logarithm's standard deviation, carried over to the coefficient of variation.
    spread = found.spread
    carried = found.sigma * math.exp(found.sigma**2) / spread if spread else 0.0
    spread_error = found.sigma / math.sqrt(2 * used) * carried
    return StageFit(fixed, rtf, fixed_error, rtf_error, spread, spread_error, found.r_squared, n, outliers=tuple(rows))


# --- cold start -------------------------------------------------------------------------------------------------


def first_jobs(nodes: Sequence[object], started_at: Sequence[float] | Floats) -> Mask:
    """Which rows are the first of their node.

    Args:
        nodes: Name or number of each job's node, shape ``(n,)``. A node that was started anew is another one.
        started_at: When each began, shape ``(n,)``; of equal instants the earlier row is the first.

    Returns:
        True for the first row of each node, shape ``(n,)``.

    Raises:
        CalibrationError: The two do not have the same length, or an instant is not a number.
    """
    at = _column("the start", started_at, len(nodes))
    found = np.zeros(len(nodes), dtype=np.bool_)
    seen: set[object] = set()
    for row in np.argsort(at, kind="stable").tolist():
        if nodes[row] not in seen:
            seen.add(nodes[row])
            found[row] = True
    return found


def fit_cold_start(
    lengths: Sequence[float] | Floats, times: Sequence[float] | Floats, firsts: Mask
) -> tuple[StageFit, ColdStart | None]:
    """A stage whose first jobs on each node took longer: the fit of the others, and the difference.

    Args:
        lengths: As of ``fit_stage``.
        times: As of ``fit_stage``.
        firsts: Which rows are first jobs, shape ``(n,)``.

    Returns:
        The fit of the rows that are not first jobs (its outliers are numbered as all rows are), and the cold start;
        None where there is no first job.

    Raises:
        CalibrationError: As of ``fit_stage``, for the rows that are not first jobs.
    """
    y = _times(times, 1)
    x = _column("the length", lengths, len(y))
    _refuse(x < 0, "the length is negative")
    if len(firsts) != len(y):
        raise CalibrationError(f"{len(firsts)} rows are first or not, where the times have {len(y)}")
    chosen = np.asarray(firsts, dtype=np.bool_)
    warm = np.flatnonzero(~chosen)
    if len(warm) < ROWS_MIN:
        raise CalibrationError(f"{len(warm)} rows besides first jobs are too few: at least {ROWS_MIN} are needed")
    fit = fit_stage(x[warm], y[warm])
    fit = _renumbered(fit, warm)
    if not chosen.any():
        return fit, None
    expected = fit.fixed + fit.rtf * x[chosen]
    excess = y[chosen] - expected
    n = len(excess)
    # Judged in standard deviations of a warm job; a spread of nought leaves rounding.
    noise = 3 * max(fit.spread, EXACT) * float(np.median(expected)) / math.sqrt(n)
    middle = float(np.median(excess))
    error = None
    if n > 1:
        # The standard error of a median of n normal values is about 1.2533 times that of their mean.
        error = 1.2533 * float(excess.std(ddof=1)) / math.sqrt(n)
    return fit, ColdStart(max(0.0, middle), error, n, is_clear=middle > noise)


def _renumbered(fit: StageFit, rows: npt.NDArray[np.int64]) -> StageFit:
    """The fit of some rows, its outliers numbered as in the whole table."""
    numbers = tuple(int(rows[number - 1]) + 1 for number in fit.outliers)
    return StageFit(
        fit.fixed,
        fit.rtf,
        fit.fixed_error,
        fit.rtf_error,
        fit.spread,
        fit.spread_error,
        fit.r_squared,
        fit.n,
        outliers=numbers,
    )


# --- several jobs at once ---------------------------------------------------------------------------------------


def fit_concurrency(bursts: Sequence[object], times: Sequence[float] | Floats) -> Concurrency:
    """Which model of a GPU explains how long jobs take that are sent at once.

    The measurement: bursts of different sizes of the same utterance, each sent to an idle, warm node; and for each
    job the time from sending to answer. Of a burst of k, the job that is answered as number r takes

    - ``serial``: ``per_job * ceil(r / streams)``: time grows by queueing,
    - ``shared``: ``per_job * k``: all take k times as long,
    - ``batching``: ``fixed + per_job * k``.

    Args:
        bursts: Name or number of each job's burst, shape ``(n,)``.
        times: Time of each job, above 0, shape ``(n,)``.

    Returns:
        The three models, best first.

    Raises:
        CalibrationError: A value makes no sense, there are too few rows, or all bursts have one size.
    """
    y = _times(times, ROWS_MIN)
    if len(bursts) != len(y):
        raise CalibrationError(f"the burst has {len(bursts)} rows, where the times have {len(y)}")
    size, rank = _bursts(bursts, y)
    if size.min() == size.max():
        raise CalibrationError("all bursts have the same size: the models cannot be told apart")
    curves = [_curve("serial", y, np.ceil(rank / streams), streams) for streams in range(1, int(size.max()) + 1)]
    best_serial = min(curves, key=lambda curve: (curve.criterion, curve.streams))
    found = [best_serial, _curve("shared", y, size, 1), _curve("batching", y, size, 1)]
    least = min(curve.criterion for curve in found)
    near = [curve for curve in found if curve.criterion <= least + NEAR]
    best = min(near, key=lambda curve: _parameters(curve.model, curve.streams))  # of equally simple ones the first
    others = sorted((curve for curve in found if curve is not best), key=lambda curve: curve.criterion)
    return Concurrency(best, (best, *others), others[0].criterion - best.criterion)


def _bursts(bursts: Sequence[object], times: Floats) -> tuple[Floats, Floats]:
    """The size of each row's burst, and as which of it the row was answered, counted from 1."""
    members: dict[object, list[int]] = {}
    for row in np.argsort(times, kind="stable").tolist():
        members.setdefault(bursts[row], []).append(row)
    size, rank = np.zeros(len(times)), np.zeros(len(times))
    for rows in members.values():
        size[rows] = len(rows)
        rank[rows] = np.arange(1, len(rows) + 1)
    return size, rank


def _parameters(model: GpuModel, streams: int) -> int:
    return 2 if model == "batching" or streams > 1 else 1


def _curve(model: GpuModel, times: Floats, multiple: Floats, streams: int) -> Curve:
    """Fit one model whose time grows with ``multiple``."""
    if model == "batching":
        found = _line(multiple, times)
        (fixed, per_job), (fixed_error, per_job_error) = found.weights.tolist(), found.errors.tolist()
    else:
        found = fit_factor(multiple[:, None], times, np.array([float(np.median(times / multiple))]))
        fixed, fixed_error = 0.0, 0.0
        per_job, per_job_error = float(found.weights[0]), float(found.errors[0])
    error = float(np.abs(found.residuals).mean())
    criterion = 2 * len(times) * math.log(max(error, EXACT)) + 2 * _parameters(model, streams)
    return Curve(
        model, streams, fixed, per_job, fixed_error, per_job_error, error, found.r_squared, criterion=criterion
    )
