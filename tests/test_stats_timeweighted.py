"""Averages over time in whole numbers, against the sum over every instant."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.lindley import waits
from simroom.stats.timeweighted import (
    Steps,
    area,
    areas,
    borders_of,
    by_window,
    largest,
    mean,
    present,
    steps,
    utilisation,
)

changes = st.lists(st.tuples(st.integers(-20, 20), st.integers(-3, 3)), max_size=25)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def level_at(rows: list[tuple[int, int]], before: int, instant: int) -> int:
    return before + sum(change for at, change in rows if at <= instant)


def made(rows: list[tuple[int, int]], before: int = 0) -> Steps:
    return steps(column([at for at, _ in rows]), column([change for _, change in rows]), before=before)


@given(changes, st.integers(-5, 5))
def test_the_level_is_the_sum_of_the_changes_so_far(rows: list[tuple[int, int]], before: int) -> None:
    found = made(rows, before)
    for instant in range(-22, 23):
        assert found.at(instant) == level_at(rows, before, instant)
    assert (np.diff(found.instants) > 0).all()
    assert (np.diff(found.levels, prepend=before) != 0).all()


@given(changes, st.integers(-5, 5), st.lists(st.integers(-25, 25), min_size=2, max_size=8).map(sorted))
def test_areas_are_the_sum_over_every_instant(rows: list[tuple[int, int]], before: int, borders: list[int]) -> None:
    found = made(rows, before)
    expected = [
        sum(level_at(rows, before, instant) for instant in range(begin, end)) for begin, end in pairwise(borders)
    ]
    assert areas(found, column(borders)) == expected
    assert area(found, borders[0], borders[-1]) == sum(expected)
    means = by_window(found, column(borders))
    for got, whole, begin, end in zip(means, expected, borders, borders[1:], strict=False):
        assert got == (None if begin == end else Fraction(whole, end - begin))
    begin, end = borders[0], borders[-1]
    highest = max(level_at(rows, before, instant) for instant in range(begin, max(end, begin + 1)))
    assert largest(found, begin, end) == highest


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=20))
def test_those_present_are_who_came_and_has_not_left(rows: list[tuple[int, int]]) -> None:
    arrived, left = [at for at, _ in rows], [at + stay for at, stay in rows]
    found = present(column(arrived), column(left))
    for instant in range(-1, 41):
        assert found.at(instant) == sum(at <= instant < until for at, until in zip(arrived, left, strict=True))
    assert area(found, -1, 50) == sum(stay for _, stay in rows)


def test_littles_law_holds_without_a_tolerance_on_a_path_that_begins_and_ends_empty() -> None:
    random = np.random.default_rng(1)
    arrived_at = np.cumsum(random.integers(0, 2_000_000, 500))
    service = random.integers(0, 1_800_000, 500)
    started_at = arrived_at + column(waits(arrived_at.tolist(), service.tolist()))
    ended_at = started_at + service
    begin, end = int(arrived_at[0]), int(ended_at[-1])
    assert area(present(arrived_at, ended_at), begin, end) == int((ended_at - arrived_at).sum())
    assert area(present(arrived_at, started_at), begin, end) == int((started_at - arrived_at).sum())
    assert utilisation(started_at, ended_at, begin, end, slots=1) == Fraction(int(service.sum()), end - begin)
    assert largest(present(started_at, ended_at), begin, end) == 1


def test_areas_that_do_not_fit_into_64_bits_are_exact() -> None:
    found = steps(column([0, 1 << 40]), column([1 << 40, 3]))
    end = (1 << 40) + (1 << 30)
    assert area(found, -5, end) == (1 << 80) + ((1 << 40) + 3) * (1 << 30)
    assert mean(found, 0, 1 << 40) == 1 << 40


def test_only_the_part_of_the_work_inside_the_window_is_busy_time() -> None:
    started, ended = column([0, 5, 20, 40]), column([10, 15, 30, 50])
    assert utilisation(started, ended, 8, 25, slots=2) == Fraction(2 + 7 + 5, 34)
    assert utilisation(started, ended, 31, 39, slots=1) == 0
    assert utilisation(started, ended, 8, 8, slots=1) is None
    assert mean(present(started, ended), 8, 8) is None


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))
def test_windows_are_as_equal_as_whole_numbers_allow(begin: int, width: int, count: int) -> None:
    if count > width:
        with pytest.raises(ValueError, match="windows"):
            borders_of(begin, begin + width, count)
        return
    borders = borders_of(begin, begin + width, count)
    assert (borders[0], borders[-1], len(borders)) == (begin, begin + width, count + 1)
    assert set(np.diff(borders).tolist()) <= {width // count, width // count + 1}


def test_nothing_that_changes_is_a_level_too() -> None:
    empty = steps(column([]), column([]), before=4)
    assert (area(empty, 0, 10), empty.at(3), largest(empty, 0, 10)) == (40, 4, 4)
    assert area(present(column([]), column([])), 0, 10) == 0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 leaves"):
        present(column([1, 5]), column([2, 4]))
    with pytest.raises(ValueError, match="left"):
        present(column([1]), column([]))
    with pytest.raises(ValueError, match="instants"):
        steps(column([1]), column([1, 1]))
    with pytest.raises(ValueError, match="borders"):
        areas(made([]), column([3]))
    with pytest.raises(ValueError, match="borders"):
        areas(made([]), column([3, 2]))
    with pytest.raises(ValueError, match="slot"):
        utilisation(column([]), column([]), 0, 1, slots=0)
    with pytest.raises(ValueError, match="window"):
        utilisation(column([]), column([]), 1, 0, slots=1)
    with pytest.raises(ValueError, match="starts"):
        utilisation(column([2]), column([1]), 0, 5, slots=1)
