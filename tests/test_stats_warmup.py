"""Where the start-up ends: by the rule's own formula, and on series whose start-up is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.warmup import LAST_BATCHES, Suggestion, across, moving_average, mser, suggested, welch


def plainly(values: list[float], batch: int) -> int:
    """MSER by its formula, with no regard to speed: the cut, in batches, among those of at most half."""
    means = [math.fsum(values[at : at + batch]) / batch for at in range(0, len(values) - batch + 1, batch)]
    n = len(means)
    errors = []
    for cut in range(min(n // 2, max(0, n - LAST_BATCHES)) + 1):
        left = means[cut:]
        mean = math.fsum(left) / len(left)
        errors.append(math.fsum((value - mean) ** 2 for value in left) / len(left) ** 2)
    return errors.index(min(errors))


def wandering(n: int, memory: float, seed: int) -> np.ndarray:
    """A stationary series that remembers the share ``memory`` of its last value."""
    noise = np.random.default_rng(seed).normal(0, 1, n)
    values = np.empty(n)
    values[0] = noise[0] / math.sqrt(1 - memory**2)
    for place in range(1, n):
        values[place] = memory * values[place - 1] + noise[place]
    return values


@given(st.lists(st.integers(-1000, 1000).map(lambda value: value + value % 7 / 7), min_size=10, max_size=120))
def test_the_cut_is_where_the_formula_is_smallest(values: list[float]) -> None:
    found = mser(values)
    expected = plainly(values, 5) * 5
    if found.cut != expected:  # two cuts that are equally good but for rounding
        means = np.array(values[: len(values) // 5 * 5]).reshape(-1, 5).mean(axis=1)
        errors = [means[cut // 5 :].var() / len(means[cut // 5 :]) for cut in (found.cut, expected)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-9, abs=1e-9)


def test_a_start_up_of_known_length_is_cut_and_little_more() -> None:
    values = wandering(1000, 0.5, seed=1)
    values[:200] += 8
    found = suggested(values)
    assert 200 <= found.cut <= 240
    assert found.is_enough
    assert found.method == "mser-5"


def test_a_start_up_that_fades_away_is_cut_where_it_no_longer_shows() -> None:
    values = 10 * np.exp(-np.arange(1000) / 50) + wandering(1000, 0.5, seed=2)
    found = suggested(values)
    assert found.is_enough
    left_over = 10 * math.exp(-found.cut / 50)
    assert 0.2 < left_over < 2


def test_series_without_a_start_up_are_hardly_cut() -> None:
    cuts = [suggested(wandering(500, 0.5, seed)) for seed in range(40)]
    assert sum(cut.is_enough for cut in cuts) >= 36
    assert sorted(cut.cut for cut in cuts)[30] <= 50


def test_a_queue_that_starts_empty_at_ninety_percent_loses_its_beginning() -> None:
    """The mean over 100 replications of the waits in M/M/1; the first wait is nought, the mean of all is 9."""
    random = np.random.default_rng(5)
    gaps, services = random.exponential(1 / 0.9, (10_000, 100)), random.exponential(1, (10_000, 100))
    waits = np.zeros((10_000, 100))
    for place in range(1, 10_000):
        waits[place] = np.maximum(0, waits[place - 1] + services[place - 1] - gaps[place])
    mean = across(list(waits.T))
    found = suggested(mean)
    assert found.is_enough
    assert 100 <= found.cut <= 1500
    assert abs(mean[found.cut :].mean() - 9) < abs(mean.mean() - 9)
    assert mean[: found.cut].mean() < 7


def test_a_series_that_never_settles_is_not_enough() -> None:
    ramp = np.arange(1000) / 10 + wandering(1000, 0.5, seed=3)
    assert suggested(ramp) == Suggestion(500, "mser-5", is_enough=False)
    assert not suggested(ramp, method="welch").is_enough


def test_a_start_up_of_half_the_series_is_not_enough_and_one_of_a_little_less_is() -> None:
    noise = np.tile([0.1, -0.1], 50)
    assert suggested(noise + np.repeat([9, 0], [50, 50])) == Suggestion(50, "mser-5", is_enough=False)
    assert suggested(noise + np.repeat([9, 0], [45, 55])) == Suggestion(45, "mser-5", is_enough=True)


def test_of_a_constant_series_nothing_is_cut() -> None:
    for value in (0, 3, -1e15 - 0.3, 0.1):
        assert suggested([value] * 100) == Suggestion(0, "mser-5", is_enough=True)
        assert suggested([value] * 100, method="welch") == Suggestion(0, "welch", is_enough=True)


@pytest.mark.parametrize("n", range(60))
def test_short_series_are_judged_without_a_fault_and_never_trusted(n: int) -> None:
    for values in ([1.0] * n, list(range(n)), [(-1.0) ** place for place in range(n)]):
        for method in ("mser-5", "welch"):
            found = suggested(values, method=method)
            assert 0 <= found.cut <= n / 2
    assert suggested([1.0] * n).is_enough == (n >= 50)


def test_huge_and_tiny_values_are_cut_alike() -> None:
    values = wandering(300, 0.5, seed=4)
    values[:60] += 20
    cuts = {suggested(values * scale + offset).cut for scale, offset in [(1, 0), (1e150, 0), (1e-150, 0), (1, 1e9)]}
    assert len(cuts) == 1


def test_welchs_average_by_hand() -> None:
    values = [1, 2, 6, 4, 5, 9, 7, 8]
    found = moving_average(values, window=2)
    assert found.tolist() == pytest.approx([1, 3, 18 / 5, 26 / 5, 31 / 5, 33 / 5])
    assert moving_average(values, window=0).tolist() == values
    assert moving_average([1, 2], window=3).tolist() == []


def test_welchs_cut_is_where_the_average_first_enters_the_band_it_stays_in() -> None:
    assert welch([9, 7, 5, 1, 2, 1, 2, 1, 2, 1], window=0) == Suggestion(3, "welch", is_enough=True)
    assert welch([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], window=0) == Suggestion(5, "welch", is_enough=False)


def test_replications_are_averaged_position_by_position_up_to_the_shortest() -> None:
    assert across([[1, 2, 3], [3, 4]]).tolist() == [2, 3]
    assert across([[], [1]]).tolist() == []


def test_what_is_no_series_is_refused() -> None:
    with pytest.raises(ValueError, match="observation 1"):
        suggested([1, math.nan, 2])
    with pytest.raises(ValueError, match="one dimension"):
        suggested(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="replication"):
        across([])
    with pytest.raises(ValueError, match="window"):
        moving_average([1], window=-1)
    with pytest.raises(ValueError, match="batch"):
        mser([1], batch=0)
