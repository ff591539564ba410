"""Fairness between groups: Jain's own examples and what follows from the definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.fairness import Fairness, fairness, group_means, jain_index


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 10**9))
def test_a_share_of_the_groups_that_has_everything_is_the_index(k: int, others: int, amount: int) -> None:
    """Jain, Chiu & Hawe: if k of n users share evenly and the others get nothing, the index is k / n."""
    assert jain_index([amount] * k + [0] * others) == Fraction(k, k + others)


def test_the_index_by_hand() -> None:
    # (50 + 30 + 50) ** 2 / (3 * (2500 + 900 + 2500)) = 16900 / 17700
    assert jain_index([50, 30, 50]) == Fraction(169, 177)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9), st.fractions(Fraction(1, 100), 100))
def test_the_index_lies_within_its_bounds_and_does_not_depend_on_the_unit(values: list[int], unit: Fraction) -> None:
    index = jain_index(values)
    assert index is not None
    assert Fraction(1, len(values)) <= index <= 1
    assert (index == 1) == (len(set(values)) == 1)
    assert jain_index([value * unit for value in values]) == index


def test_groups_are_compared_by_the_means_of_their_samples() -> None:
    group, samples = column([7, 3, 7, 9, 3]), column([10, 40, 20, 15, 20])
    assert group_means(group, samples) == {3: 30, 7: 15, 9: 15}
    found = fairness(group, samples)
    assert found == Fairness(groups=3, jain=Fraction(3600, 3 * (900 + 225 + 225)), ratio=Fraction(2), best=7, worst=3)


def test_a_group_with_many_samples_counts_no_more_than_one_with_few() -> None:
    few = fairness(column([0, 1]), column([10, 30]))
    many = fairness(column([0] * 1000 + [1]), column([10] * 1000 + [30]))
    assert few == many


def test_one_group_is_served_evenly() -> None:
    assert fairness(column([4, 4]), column([1, 9])) == Fairness(1, Fraction(1), Fraction(1), 4, 4)


def test_waits_of_nought_have_no_ratio_unless_all_are_nought() -> None:
    some = fairness(column([0, 1]), column([0, 5]))
    assert some == Fairness(2, Fraction(1, 2), None, 0, 1)
    assert fairness(column([0, 1]), column([0, 0])) == Fairness(2, Fraction(1), Fraction(1), 0, 0)


def test_no_samples_have_no_fairness() -> None:
    assert fairness(column([]), column([])) is None
    assert jain_index([]) is None


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or above"):
        jain_index([1, -1])
    with pytest.raises(ValueError, match="belong"):
        group_means(column([1]), column([1, 2]))
