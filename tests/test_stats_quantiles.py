"""Nearest-rank quantiles: the rule to the letter, and what follows from it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.quantiles import SHARES, Spread, pooled, pooled_quantile, quantiles, rank, spread, total

samples = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=60)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(samples, st.fractions(0, 1))
def test_a_quantile_is_the_smallest_sample_that_enough_samples_do_not_exceed(
    values: list[int], share: Fraction
) -> None:
    needed = math.ceil(share * len(values))
    expected = min(v for v in values if sum(w <= v for w in values) >= needed)
    assert quantiles(column(values), [share]) == [expected]


@given(samples)
def test_quantiles_never_decrease_up_to_the_largest_sample(values: list[int]) -> None:
    got = spread(column(values))
    assert got is not None
    assert min(values) <= got.p50 <= got.p90 <= got.p95 <= got.p99 <= got.max == max(values)
    assert got.mean == Fraction(sum(values), len(values))


def test_equal_samples_are_not_lost() -> None:
    got = spread(column([10] * 99 + [1000]))
    assert got == Spread(n=100, mean=Fraction(1990, 100), p50=10, p90=10, p95=10, p99=10, max=1000)


def test_one_slow_node_does_not_move_the_quantile_of_all_samples() -> None:
    got = spread(column([10] * 1000 + [2000] * 10))
    assert got is not None
    assert (got.p95, got.p99, got.max) == (10, 10, 2000)


def test_shares_are_exact_where_floats_would_be_one_rank_off() -> None:
    # 0.95 * 20 and 0.07 * 100 are a hair too large as floats, whose ceiling is then the next rank.
    assert rank(SHARES["p95"], 20) == 19
    assert rank(Fraction(7, 100), 100) == 7
    assert rank(Fraction(0), 5) == 1


def test_the_order_of_the_samples_does_not_matter_and_they_are_left_alone() -> None:
    values = column([5, 1, 4, 2, 3])
    assert quantiles(values, [Fraction(1), Fraction(1, 2)]) == [5, 3]
    assert values.tolist() == [5, 1, 4, 2, 3]


def test_no_samples_give_none_and_not_a_number() -> None:
    assert spread(column([])) is None
    assert quantiles(column([]), [Fraction(1, 2)]) is None
    assert total(column([])) == 0


def test_a_sum_beyond_64_bits_is_exact() -> None:
    assert total(column([2**62, 2**62, 2**62])) == 3 * 2**62


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        rank(Fraction(3, 2), 10)
    with pytest.raises(ValueError, match="at least one"):
        rank(Fraction(1, 2), 0)


replications = st.lists(st.lists(st.integers(0, 50), max_size=12).map(column), max_size=6)


@given(replications, st.fractions(0, 1))
def test_a_quantile_over_replications_is_of_all_samples_together(parts: list[np.ndarray], share: Fraction) -> None:
    got = pooled_quantile(parts, share)
    everything = [value for part in parts for value in part.tolist()]
    assert pooled(parts).tolist() == everything
    if not everything:
        assert got is None
        return
    assert got is not None
    assert [got[0]] == quantiles(column(everything), [share])
    for number, without in enumerate(got[1]):
        others = column([v for other, part in enumerate(parts) if other != number for v in part.tolist()])
        expected = quantiles(others, [share])
        assert without == (None if expected is None else expected[0])


def test_the_mean_of_quantiles_is_not_the_quantile_of_all() -> None:
    parts = [column([1] * 99 + [1000]), column([500] * 10)]
    got = pooled_quantile(parts, SHARES["p95"])
    assert got == (500, [500, 1])
