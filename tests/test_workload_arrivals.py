"""Open arrivals: rates, burstiness, traces."""

import math
from itertools import islice

import pytest

from simroom.scenario import speech as wanted
from simroom.workload.arrivals import dealt, gaps_of, renewals, traced
from simroom.workload.distributions import constant, exponential, gamma
from simroom.workload.streams import Stream, stream_key

SECOND = 1_000_000


def first(count: int, stream_name: str, model: wanted.Poisson | wanted.GammaArrivals) -> list[int]:
    return list(islice(renewals(Stream(stream_key(1, stream_name)), gaps_of(model)), count))


def moments(instants: list[int]) -> tuple[float, float]:
    """Mean and coefficient of variation of the gaps, the first one from 0."""
    gaps = [after - before for before, after in zip([0, *instants], instants, strict=False)]
    mean = sum(gaps) / len(gaps)
    return mean, math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) / mean


def test_poisson_arrivals_have_their_rate_and_a_poisson_count_in_every_minute() -> None:
    """Fixed seed. 40,000 gaps: the mean within 5 standard deviations of .5 %, the dispersion within 5 of 3.1 %."""
    instants = first(40_000, "poisson", wanted.Poisson(rate="20/min"))
    mean, cv = moments(instants)
    assert mean == pytest.approx(3 * SECOND, rel=0.025)
    assert cv == pytest.approx(1, abs=0.035)
    minutes = instants[-1] // (60 * SECOND)
    counts = [0] * minutes
    for instant in instants:
        if instant < minutes * 60 * SECOND:
            counts[instant // (60 * SECOND)] += 1
    average = sum(counts) / minutes
    dispersion = sum((count - average) ** 2 for count in counts) / minutes / average
    assert dispersion == pytest.approx(1, abs=5 * math.sqrt(2 / minutes))


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_gamma_arrivals_have_their_rate_and_their_burstiness(cv: float) -> None:
    """Fixed seed. 40,000 gaps: a relative standard deviation of cv / 200 for the mean; 5 of them."""
    instants = first(40_000, "gamma", wanted.GammaArrivals(rate="2/s", cv=cv))
    mean, measured = moments(instants)
    assert mean == pytest.approx(SECOND / 2, rel=5 * cv / 200)
    assert measured == pytest.approx(cv, rel=0.06)
    assert instants == sorted(instants)


def test_regular_arrivals_come_at_equal_distances_after_the_start() -> None:
    gaps = gaps_of(wanted.Regular(every="250ms"))
    assert list(islice(renewals(Stream(1), gaps, started_at=7), 3)) == [250_007, 500_007, 750_007]


def test_the_gaps_of_a_scenario_are_the_distributions_they_are_called() -> None:
    bits = 0xDEADBEEF_01234567
    assert gaps_of(wanted.Poisson(rate="6/min"))(bits) == exponential(10 * SECOND)(bits)
    assert gaps_of(wanted.GammaArrivals(rate="4/s", cv=2.0))(bits) == gamma(SECOND / 4, 2)(bits)
    assert gaps_of(wanted.Regular(every="1s"))(bits) == constant(SECOND)(bits)


def test_arrivals_are_computed_only_as_they_are_asked_for() -> None:
    stream, twin = Stream(5), Stream(5)
    arriving = renewals(stream, exponential(SECOND))
    for _ in range(10):
        next(arriving)
        twin.bits()
    assert stream.bits() == twin.bits()


def test_a_trace_begins_at_the_start_keeps_its_ties_and_stops() -> None:
    assert list(traced([500, 500, 800, 2000], started_at=100)) == [100, 100, 400, 1600]


def test_the_scale_is_a_factor_on_the_rate() -> None:
    assert list(traced([0, 300, 1000], scale=2)) == [0, 150, 500]
    assert list(traced([0, 300, 1000], scale=0.5)) == [0, 600, 2000]


def test_a_repeated_trace_keeps_its_rate_from_round_to_round() -> None:
    instants = list(islice(traced([1000, 1000, 1400, 2200], repeat=True), 4 * 50))
    # Three gaps of 400 on average, so the next round is 400 after the end: 1,600 a round.
    assert instants[4:8] == [1600, 1600, 2000, 2800]
    assert instants[-1] == 49 * 1600 + 1200
    assert list(islice(traced([0, 300, 1000], scale=2, repeat=True), 6)) == [0, 150, 500, 750, 900, 1250]


@pytest.mark.parametrize("instants", [[], [7], [7, 7]])
def test_a_trace_without_length_is_told_once_even_if_it_is_to_be_repeated(instants: list[int]) -> None:
    assert list(traced(instants, repeat=True)) == [0] * len(instants)


def test_a_trace_out_of_order_is_refused_before_anything_arrives() -> None:
    with pytest.raises(ValueError, match="arrival 3 of the trace is before arrival 2"):
        traced([0, 5, 4])


@pytest.mark.parametrize("scale", [0, -1, math.nan])
def test_a_scale_that_is_not_above_0_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        traced([0, 5], scale=scale)


def test_a_trace_is_dealt_in_turn_and_nothing_gets_lost() -> None:
    trace = [0, 1, 1, 5, 8, 9, 20]
    hands = [list(dealt(trace, index, 3)) for index in range(3)]
    assert hands == [[0, 5, 20], [1, 8], [1, 9]]
