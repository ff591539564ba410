"""From measured times to a node's figures: what was put in comes out, with errors that mean what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.calibration import (
    CalibrationError,
    GpuModel,
    first_jobs,
    fit_cold_start,
    fit_concurrency,
    fit_stage,
)
from simroom.stats.robust import slope_of


def factor(random: np.random.Generator, spread: float, n: int) -> np.ndarray:
    """Lognormal, mean 1, the given coefficient of variation."""
    sigma = math.sqrt(math.log1p(spread**2))
    return np.exp(random.normal(-(sigma**2) / 2, sigma, n))


def measured(seed: int, n: int, spread: float, outliers: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Lengths as in meetings, times of .1 s + .16 times the length, some of them 3 to 10 times too long."""
    random = np.random.default_rng(seed)
    lengths = random.lognormal(0.46, 1.0, n)
    times = (0.1 + 0.16 * lengths) * factor(random, spread, n)
    late = random.random(n) < outliers
    times[late] *= random.uniform(3, 10, int(late.sum()))
    return lengths, times


# --- one stage


@pytest.mark.parametrize(("n", "spread"), [(14, 0.3), (50, 0.1), (200, 0.3), (2000, 0.3)])
def test_the_figures_put_in_come_out_within_their_errors(n: int, spread: float) -> None:
    """60 measurements; the share within 2 standard errors is about .95 (.9 of few rows), give or take .03."""
    within = [0, 0, 0]
    for seed in range(60):
        found = fit_stage(*measured(seed, n, spread))
        within[0] += abs(found.fixed - 0.1) <= 2 * found.fixed_error
        within[1] += abs(found.rtf - 0.16) <= 2 * found.rtf_error
        within[2] += abs(found.spread - spread) <= 2 * found.spread_error
    assert min(within) >= 60 * 0.8, within


def test_standard_errors_are_how_far_the_figures_vary() -> None:
    """Over 300 measurements; the standard deviation of 300 values is itself known to 4 %."""
    found = [fit_stage(*measured(seed, 100, 0.2)) for seed in range(300)]
    for figure, error in (("fixed", "fixed_error"), ("rtf", "rtf_error")):
        vary = float(np.std([getattr(fit, figure) for fit in found]))
        said = float(np.mean([getattr(fit, error) for fit in found]))
        assert said == pytest.approx(vary, rel=0.17)


def test_the_fit_is_of_the_mean_and_not_of_the_median() -> None:
    """At a spread of .5 the median of the factor is .894: a fit of medians would be 11 % low, 20 standard errors."""
    found = fit_stage(*measured(1, 20_000, 0.5))
    assert found.mean_time(4) == pytest.approx(0.74, rel=0.02)
    assert found.spread == pytest.approx(0.5, rel=0.03)


def test_outliers_hardly_move_the_fit_and_are_named() -> None:
    lengths, times = measured(2, 200, 0.1)
    clean = fit_stage(lengths, times)
    assert clean.outliers == ()
    spoiled = times.copy()
    spoiled[[3, 70, 71, 150]] *= 10
    found = fit_stage(lengths, spoiled)
    assert found.outliers == (4, 71, 72, 151)
    assert found.rtf == pytest.approx(clean.rtf, rel=0.01)
    assert found.fixed == pytest.approx(clean.fixed, rel=0.03)
    assert found.spread == pytest.approx(clean.spread, rel=0.05)
    least_squares = np.polyfit(lengths, spoiled, 1)
    assert abs(least_squares[0] - 0.16) > 10 * abs(found.rtf - 0.16), "plain least squares is led astray"


def test_a_quarter_of_the_rows_may_be_ten_times_too_long() -> None:
    lengths, times = measured(3, 200, 0.1)
    times[::4] *= 10
    found = fit_stage(lengths, times)
    assert len(found.outliers) == 50
    assert found.rtf == pytest.approx(0.16, rel=0.05)


@given(st.floats(0.001, 100), st.floats(0.001, 10), st.sampled_from([1.0, 1e6, 1e-3]))
def test_times_on_a_line_give_that_line_in_any_unit(fixed: float, rtf: float, unit: float) -> None:
    lengths = np.linspace(0.5, 30, 12) * unit
    found = fit_stage(lengths, fixed * unit + rtf * lengths)
    assert found.fixed == pytest.approx(fixed * unit, rel=1e-6)
    assert found.rtf == pytest.approx(rtf, rel=1e-6)
    assert (found.spread, found.outliers, found.n) == (0, (), 12)
    assert found.r_squared == pytest.approx(1)


def test_a_part_that_would_be_negative_is_held_at_nought() -> None:
    lengths = np.linspace(1, 9, 20)
    proportional = fit_stage(lengths, 0.16 * lengths)
    assert (proportional.fixed, proportional.fixed_error) == (0, 0)
    assert proportional.rtf == pytest.approx(0.16)
    below = fit_stage(lengths, 0.16 * lengths - 0.05)
    assert below.fixed == 0
    assert 0.13 < below.rtf < 0.16
    shrinking = fit_stage(lengths, 10 - lengths)
    assert (shrinking.rtf, shrinking.rtf_error) == (0, 0)
    assert shrinking.fixed > 1
    constant = fit_stage(lengths, np.full(20, 3.0))
    assert (constant.fixed, constant.rtf, constant.r_squared) == (3, 0, None)


def test_an_utterance_without_length_shows_the_fixed_part() -> None:
    found = fit_stage([0, 0, 1, 2, 3, 4], [0.1, 0.1, 0.3, 0.5, 0.7, 0.9])
    assert (found.fixed, found.rtf) == (pytest.approx(0.1), pytest.approx(0.2))


def test_the_share_explained_is_that_of_the_rows_that_count() -> None:
    lengths, times = measured(4, 500, 0.1)
    found = fit_stage(lengths, times)
    assert found.r_squared is not None
    assert found.r_squared == pytest.approx(1 - np.var(times - 0.1 - 0.16 * lengths) / np.var(times), abs=0.005)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=12))
def test_the_first_slope_is_the_median_over_all_pairs(points: list[tuple[int, int]]) -> None:
    x, y = np.array(points, dtype=float).T
    slopes = [(d - b) / (c - a) for row, (a, b) in enumerate(points) for c, d in points[row + 1 :] if a != c]
    if not slopes:
        with pytest.raises(ValueError, match="different"):
            slope_of(x, y)
        return
    assert slope_of(x, y) == pytest.approx(float(np.median(slopes)))


def test_many_rows_are_fitted_from_far_pairs_alone() -> None:
    random = np.random.default_rng(5)
    x = random.random(20_000)
    assert slope_of(x, 3 * x + random.normal(0, 0.1, 20_000)) == pytest.approx(3, abs=0.02)


# --- cold start


def test_first_jobs_are_those_that_began_first_on_their_node() -> None:
    assert first_jobs(["a", "b", "a", "b", "c"], [5, 3, 2, 3, 9]).tolist() == [False, True, True, False, True]


def test_what_first_jobs_take_more_comes_out() -> None:
    lengths, times = measured(6, 200, 0.1)
    nodes = [f"node-{row % 5}" for row in range(200)]
    firsts = first_jobs(nodes, range(200))
    times[firsts] += [5.5, 6.0, 6.5, 5.8, 6.2]
    times[100] *= 10
    fit, cold = fit_cold_start(lengths, times, firsts)
    assert cold is not None
    assert cold.time == pytest.approx(6.0, abs=0.1)
    assert cold.n == 5
    assert cold.is_clear
    assert cold.standard_error == pytest.approx(1.2533 * 0.39 / math.sqrt(5), rel=0.2)
    assert fit.rtf == pytest.approx(0.16, rel=0.05)
    assert (fit.n, fit.outliers) == (195, (101,)), "outliers are numbered as in the whole table"


def test_first_jobs_like_all_others_are_no_clear_cold_start() -> None:
    lengths, times = measured(7, 200, 0.1)
    _, cold = fit_cold_start(lengths, times, first_jobs([row % 5 for row in range(200)], range(200)))
    assert cold is not None
    assert not cold.is_clear
    assert cold.time < 0.1
    quick = times.copy()
    quick[:5] *= 0.5
    _, cold = fit_cold_start(lengths, quick, first_jobs([row % 5 for row in range(200)], range(200)))
    assert cold is not None
    assert cold.time == 0


def test_one_node_has_one_first_job_and_no_error_of_it() -> None:
    lengths, times = measured(8, 20, 0.1)
    times[0] += 7.6
    _, cold = fit_cold_start(lengths, times, first_jobs(["node"] * 20, range(20)))
    assert cold is not None
    assert (cold.n, cold.standard_error, cold.is_clear) == (1, None, True)
    _, none = fit_cold_start(lengths, times, np.zeros(20, dtype=bool))
    assert none is None


# --- several jobs at once


def bursts(
    model: str, spread: float, seed: int = 1, sizes: tuple[int, ...] = (1, 2, 4, 8)
) -> tuple[list[str], np.ndarray]:
    """Three bursts of each size on a node of the model; a job alone takes 1.5 s, a batch .087 + .0193 k."""
    names, times = [], []
    for size in sizes:
        for repeat in range(3):
            for rank in range(1, size + 1):
                names.append(f"{size}-{repeat}")
                times.append(
                    {
                        "serial": 1.5 * rank,
                        "two streams": 1.5 * math.ceil(rank / 2),
                        "shared": 1.5 * size,
                        "batching": 0.087 + 0.0193 * size,
                    }[model]
                )
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(times))
    return [names[row] for row in shuffled], np.array(times)[shuffled] * factor(random, spread, len(times))


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.2])
@pytest.mark.parametrize(
    ("model", "best", "streams"),
    [("serial", "serial", 1), ("two streams", "serial", 2), ("shared", "shared", 1), ("batching", "batching", 1)],
)
def test_the_model_that_made_the_times_is_found(model: str, best: GpuModel, streams: int, spread: float) -> None:
    for seed in range(5):
        found = fit_concurrency(*bursts(model, spread, seed))
        assert (found.best.model, found.best.streams) == (best, streams)
        assert [curve.model for curve in found.curves if curve.model != best] != []
        assert found.curves[0] is found.best
        assert {curve.model for curve in found.curves} == {"serial", "shared", "batching"}
        if model == "batching":
            assert found.best.per_job == pytest.approx(0.0193, abs=4 * found.best.per_job_error + 1e-9)
            assert found.best.fixed == pytest.approx(0.087, abs=4 * found.best.fixed_error + 1e-9)
            assert found.lead > 4
        else:
            assert found.best.per_job == pytest.approx(1.5, rel=0.1 if spread else 1e-9)


def test_the_criterion_is_akaikes_and_charges_for_each_figure() -> None:
    found = fit_concurrency(*bursts("two streams", 0.1))
    figures = {"serial": 2, "shared": 1, "batching": 2}
    for curve in found.curves:
        assert curve.criterion == pytest.approx(2 * 45 * math.log(curve.error) + 2 * figures[curve.model])
    single = fit_concurrency(*bursts("serial", 0.1)).best
    assert single.criterion == pytest.approx(2 * 45 * math.log(single.error) + 2)


def test_two_at_once_that_take_twice_as_long_are_shared() -> None:
    """As measured on a T4: alone 1 s, two at once 2 s each."""
    found = fit_concurrency([1, 2, 3, 4, 4, 5, 5], [1.0, 1.02, 0.99, 2.0, 2.05, 1.98, 2.03])
    assert found.best.model == "shared"
    assert found.best.per_job == pytest.approx(1, rel=0.03)
    assert found.curves[2].model == "serial"


def test_one_late_answer_does_not_change_the_model() -> None:
    names, times = bursts("serial", 0.05, seed=3)
    times[7] *= 8
    assert fit_concurrency(names, times).best.model == "serial"


def test_jobs_that_do_not_slow_each_other_have_a_stream_each() -> None:
    names, times = bursts("shared", 0.0)
    sizes = {name: names.count(name) for name in names}
    alone = times / [sizes[name] for name in names]
    found = fit_concurrency(names, alone)
    assert (found.best.model, found.best.streams) == ("serial", 8)


# --- nonsense


@pytest.mark.parametrize(
    ("lengths", "times", "problem", "rows"),
    [
        ([1, 2, 3, 4, 5], [1, -2, 3, -4, 5], "rows 2, 4: the time is negative", (2, 4)),
        ([1, 2, 3, 4, 5], [1, 2, 0, 4, 5], "row 3: the time is nought", (3,)),
        ([1, 2, 3, 4, 5], [1, 2, math.nan, 4, math.inf], "rows 3, 5: the time is not a number", (3, 5)),
        ([1, -2, 3, 4, 5], [1, 2, 3, 4, 5], "row 2: the length is negative", (2,)),
        ([1, 2, math.nan, 4, 5], [1, 2, 3, 4, 5], "row 3: the length is not a number", (3,)),
        ([1, 2, 3, 4], [1, 2, 3, 4], "4 rows are too few", ()),
        ([], [], "0 rows are too few", ()),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5], "6 rows, where the times have 5", ()),
        ([2, 2, 2, 2, 2], [1, 2, 3, 4, 5], "all lengths are the same", ()),
        (list(range(9)), [-1] * 9, "rows 1, 2, 3, 4, 5 and 4 more: ", tuple(range(1, 10))),
    ],
)
def test_measurements_that_make_no_sense_are_refused_with_their_rows(
    lengths: list[float], times: list[float], problem: str, rows: tuple[int, ...]
) -> None:
    with pytest.raises(CalibrationError, match=problem) as caught:
        fit_stage(lengths, times)
    assert caught.value.rows == rows


def test_cold_starts_and_bursts_that_make_no_sense_are_refused() -> None:
    with pytest.raises(CalibrationError, match="3 rows besides first jobs are too few"):
        fit_cold_start([1, 2, 3, 4], [1, 2, 3, 4], np.array([True, False, False, False]))
    with pytest.raises(CalibrationError, match="1 rows are first or not"):
        fit_cold_start([1, 2, 3, 4], [1, 2, 3, 4], np.array([True]))
    with pytest.raises(CalibrationError, match="row 2: the start is not a number"):
        first_jobs(["a", "b"], [1, math.nan])
    with pytest.raises(CalibrationError, match="same size"):
        fit_concurrency([1, 1, 2, 2, 3, 3], [1, 2, 1, 2, 1, 2])
    with pytest.raises(CalibrationError, match="burst has 1 rows"):
        fit_concurrency([1], [1, 2, 3, 4, 5])
    with pytest.raises(CalibrationError, match="row 5: the time is negative"):
        fit_concurrency([1, 1, 2, 2, 3], [1, 1, 2, 2, -1])
    with pytest.raises(CalibrationError, match="a table"):
        fit_stage(np.ones((5, 2)), [1, 2, 3, 4, 5])
