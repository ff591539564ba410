"""Intervals over replications: by hand, against their promise, and what they decide."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.intervals import (
    REPLICATIONS_MAX,
    Decision,
    Interval,
    Op,
    against,
    further_replications,
    independent_difference,
    interval,
    jackknife,
    paired_difference,
    relative_precision,
)
from simroom.stats.quantiles import pooled_quantile
from simroom.stats.special import student_t


def found(values: list[float], confidence: float = 0.95) -> Interval:
    got = interval(values, confidence=confidence)
    assert got is not None
    return got


def test_an_interval_by_hand() -> None:
    """Law, Simulation Modeling and Analysis, example 4.27: ten values, t(9, .95) = 1.833, 1.34 +- .24 at 90 %."""
    got = found([1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09], confidence=0.9)
    assert got.mean == pytest.approx(1.343)
    assert got.standard_error == pytest.approx(math.sqrt(0.17 / 10), rel=0.02)
    assert round(got.half_width, 2) == 0.24
    assert (got.low, got.high) == (got.mean - got.half_width, got.mean + got.half_width)
    assert (got.n, got.confidence) == (10, 0.9)


def test_fewer_than_two_values_have_no_interval() -> None:
    assert interval([]) is None
    assert interval([3.0]) is None
    assert paired_difference([1], [2]) is None
    assert independent_difference([1, 2], [3]) is None
    assert jackknife(1, [1]) is None


def test_values_that_do_not_vary_have_an_interval_without_width() -> None:
    got = found([0.1] * 7)
    assert (got.low, got.mean, got.high, got.half_width) == (0.1, 0.1, 0.1, 0)


def test_exact_fractions_and_whole_microseconds_are_taken_as_they_are() -> None:
    assert interval([Fraction(1, 3), Fraction(2, 3)]) == interval([1 / 3, 2 / 3])
    assert found([10**15, 10**15 + 2]).standard_error == pytest.approx(1)


def test_ninety_five_of_a_hundred_intervals_contain_the_truth() -> None:
    """3,000 intervals of 5 values; the share contained has a standard deviation of .4 %, 4 of which are 1.6 %."""
    samples = np.random.default_rng(7).normal(3.0, 2.0, size=(3000, 5)).tolist()
    inside = sum(got.low <= 3.0 <= got.high for got in map(found, samples))
    assert inside / 3000 == pytest.approx(0.95, abs=0.016)


def test_pairs_that_met_the_same_luck_are_told_apart_where_others_are_not() -> None:
    luck = np.random.default_rng(3).normal(10, 3, size=20)
    baseline, candidate = luck.tolist(), (luck + 0.5 + np.arange(20) % 3 * 0.01).tolist()
    paired = paired_difference(candidate, baseline)
    apart = independent_difference(candidate, baseline)
    assert paired is not None
    assert apart is not None
    assert paired.mean == pytest.approx(apart.mean)
    assert against(paired, ">", 0) == "holds"
    assert against(apart, ">", 0) == "inconclusive"
    assert paired.half_width < apart.half_width / 100


def test_the_difference_of_independent_samples_is_welchs() -> None:
    """The example that encyclopaedias work out: t = -2.46 with 25.0 degrees of freedom."""
    ours = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
    theirs = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
    got = independent_difference(ours, theirs)
    assert got is not None
    assert got.mean / got.standard_error == pytest.approx(-2.46, abs=0.005)
    assert got.half_width / got.standard_error == pytest.approx(student_t(0.975, 25.0), abs=1e-4)


def test_a_jackknife_of_means_is_the_interval_of_the_mean() -> None:
    values = [3.0, 5.0, 4.0, 9.0, 1.0]
    without = [(sum(values) - value) / 4 for value in values]
    got, plain = jackknife(sum(values) / 5, without), found(values)
    assert got is not None
    assert got.mean == pytest.approx(plain.mean)
    assert got.half_width == pytest.approx(plain.half_width)


def test_the_interval_of_a_quantile_of_all_samples_contains_the_truth_as_often_as_it_says() -> None:
    """200 studies of 15 replications with 200 exponential samples each; 4 standard deviations of the share are 6 %."""
    random = np.random.default_rng(11)
    truth = math.log(20) * 1e6
    inside = 0
    for _ in range(200):
        replications = list((random.exponential(1e6, size=(15, 200))).astype(np.int64))
        got = pooled_quantile(replications, Fraction(95, 100))
        assert got is not None
        around = jackknife(got[0], [value for value in got[1] if value is not None])
        assert around is not None
        assert around.mean == got[0]
        inside += around.low <= truth <= around.high
    assert inside / 200 == pytest.approx(0.95, abs=0.062)


def test_the_precision_is_relative_to_the_mean() -> None:
    assert relative_precision(found([-9.0, -11.0])) == pytest.approx(student_t(0.975, 1) * 1 / 10)
    assert relative_precision(found([-1.0, 1.0])) is None


@given(st.lists(st.floats(1, 100), min_size=2, max_size=30), st.floats(0.001, 0.5))
def test_the_replications_suggested_are_the_fewest_that_suffice(values: list[float], wanted: float) -> None:
    got = found(values)
    more = further_replications(got, relative=wanted)
    deviation = got.standard_error * math.sqrt(got.n)

    def half_width(n: int) -> float:
        return student_t(0.975, n - 1) * deviation / math.sqrt(n)

    if more is None:
        assert half_width(REPLICATIONS_MAX) > wanted * got.mean
        return
    n = got.n + more
    assert half_width(n) <= wanted * got.mean * (1 + 1e-12)
    assert more == 0 or half_width(n - 1) > wanted * got.mean * (1 - 1e-12)


def test_a_width_may_be_wanted_in_the_values_own_unit() -> None:
    got = found([0.0, 1.0, -1.0, 2.0, -2.0])
    assert further_replications(got, absolute=100) == 0
    assert further_replications(got, relative=0.1) is None, "no share of a mean of nought is ever reached"
    more = further_replications(got, absolute=0.5)
    assert more is not None
    # About (1.96 * 1.58 / .5) ** 2 = 38.4, and a little more for Student's t.
    assert 38 <= got.n + more <= 43


@pytest.mark.parametrize(
    ("op", "limit", "decision"),
    [
        ("<", 13, "holds"), ("<", 12, "inconclusive"), ("<", 10, "inconclusive"), ("<", 8, "fails"), ("<", 7, "fails"),
        ("<=", 12, "holds"), ("<=", 11, "inconclusive"), ("<=", 8, "inconclusive"), ("<=", 7, "fails"),
        (">", 7, "holds"), (">", 8, "inconclusive"), (">", 12, "fails"), (">", 13, "fails"),
        (">=", 8, "holds"), (">=", 9, "inconclusive"), (">=", 12, "inconclusive"), (">=", 13, "fails"),
        ("==", 10, "inconclusive"), ("==", 13, "fails"), ("!=", 10, "inconclusive"), ("!=", 13, "holds"),
    ],
)  # fmt: skip
def test_a_limit_inside_the_interval_decides_nothing(op: Op, limit: float, decision: Decision) -> None:
    assert against(Interval(10, 2, 5, 8, 12, 1, 0.95), op, limit) == decision


@pytest.mark.parametrize(
    ("op", "limit", "decision"),
    [
        ("==", 0, "holds"), ("==", 1, "fails"), ("!=", 0, "fails"), ("!=", 1, "holds"),
        ("<=", 0, "holds"), ("<", 0, "fails"), (">=", 0, "holds"), (">", 0, "fails"),
    ],
)  # fmt: skip
def test_a_count_that_never_varies_is_decided_exactly(op: Op, limit: float, decision: Decision) -> None:
    assert against(found([0, 0, 0]), op, limit) == decision


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=9),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(-2, 12),
)
def test_an_opposite_operator_gives_the_opposite_decision(values: list[int], op: Op, limit: int) -> None:
    opposite: dict[Op, Op] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
    turned = {"holds": "fails", "fails": "holds", "inconclusive": "inconclusive"}
    got = found([float(value) for value in values])
    assert against(got, opposite[op], limit) == turned[against(got, op, limit)]


def test_the_distance_from_the_truth_is_in_standard_errors() -> None:
    assert found([9.0, 11.0]).off_by(13) == pytest.approx(3)
    assert found([2.0, 2.0]).off_by(2) == 0
    assert found([2.0, 2.0]).off_by(3) == math.inf


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="replication 2"):
        interval([1, math.nan])
    with pytest.raises(ValueError, match="replication 1"):
        interval([math.inf, 1])
    with pytest.raises(ValueError, match="confidence"):
        interval([1, 2], confidence=1)
    with pytest.raises(ValueError, match="paired"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="either"):
        further_replications(found([1, 2]))
    with pytest.raises(ValueError, match="either"):
        further_replications(found([1, 2]), relative=0.1, absolute=1)
    with pytest.raises(ValueError, match="above 0"):
        further_replications(found([1, 2]), relative=0)
    with pytest.raises(ValueError, match="operator"):
        against(found([1, 2]), "~", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number"):
        against(found([1, 2]), "<", math.nan)
