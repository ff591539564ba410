"""Background load: what it is when, and when it changes."""

import math

import pytest

from simroom.scenario import nodes as wanted
from simroom.workload.background import (
    HIGHEST,
    PIECE_COUNT,
    Background,
    SteadyBackground,
    SteppedBackground,
    WaveBackground,
    background_of,
)

SECOND = 1_000_000


def followed(background: Background, until: int) -> list[tuple[int, float]]:
    """Every piece from 0 on: its first instant and its load."""
    found = []
    now: int | None = 0
    while now is not None and now < until:
        found.append((now, background.load_at(now)))
        now = background.next_change(now)
    return found


def test_a_steady_load_never_changes() -> None:
    background = SteadyBackground(0.25)
    assert (background.load_at(0), background.load_at(10**12), background.next_change(5)) == (0.25, 0.25, None)


def test_steps_are_0_before_the_first_and_the_last_one_stays() -> None:
    background = SteppedBackground([(10, 0.5), (20, 0.0), (30, 0.75)])
    assert followed(background, 10**9) == [(0, 0.0), (10, 0.5), (20, 0.0), (30, 0.75)]
    assert [background.load_at(now) for now in (9, 10, 19, 20, 29, 30, 10**12)] == [0, 0.5, 0.5, 0, 0, 0.75, 0.75]
    assert background.next_change(10) == 20
    assert background.next_change(30) is None


def test_a_trace_without_rows_is_no_load() -> None:
    assert followed(SteppedBackground([]), 100) == [(0, 0.0)]


def test_steps_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="change 3 is before change 2"):
        SteppedBackground([(0, 0.1), (5, 0.1), (4, 0.2)])


def test_of_two_steps_at_one_instant_the_last_one_counts() -> None:
    assert followed(SteppedBackground([(5, 0.1), (5, 0.2), (9, 0.3)]), 100) == [(0, 0.0), (5, 0.2), (9, 0.3)]


@pytest.mark.parametrize("period", [60 * SECOND, 1001, 64, 7, 1])
def test_a_wave_changes_exactly_when_it_says_so(period: int) -> None:
    background = WaveBackground(0.4, 0.3, period)
    pieces = followed(background, 3 * period)
    changes = [at for at, _ in pieces]
    assert changes == sorted(set(changes))
    if period < 2000:
        held = dict(pieces)
        load = held[0]
        for now in range(3 * period):
            load = held.get(now, load)
            assert background.load_at(now) == load
    if period >= PIECE_COUNT:
        assert len(pieces) == 3 * PIECE_COUNT


def test_a_wave_passes_its_mean_rising_at_0_and_keeps_its_mean_and_height() -> None:
    period = 64 * SECOND
    background = WaveBackground(0.4, 0.3, period)
    loads = [load for _, load in followed(background, period)]
    assert sum(loads) / len(loads) == pytest.approx(0.4, abs=1e-9)
    assert max(loads) == pytest.approx(0.7, abs=0.001)
    assert min(loads) == pytest.approx(0.1, abs=0.001)
    assert loads[0] < loads[1] < loads[8]
    for now in range(0, 2 * period, period // 500):
        sine = 0.4 + 0.3 * math.sin(2 * math.pi * now / period)
        assert background.load_at(now) == pytest.approx(sine, abs=0.3 * 0.05)


def test_no_load_leaves_a_job_without_any_gpu_nor_is_below_0() -> None:
    loads = [load for _, load in followed(WaveBackground(0.5, 0.9, 640), 640)]
    assert (min(loads), max(loads)) == (0.0, HIGHEST)
    assert SteadyBackground(1.0).load_at(0) == HIGHEST
    assert SteppedBackground([(0, 1.0)]).load_at(0) == HIGHEST


def test_a_wave_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="period"):
        WaveBackground(0.5, 0.1, 0)


def test_every_background_of_a_scenario_has_its_load() -> None:
    steady = background_of(wanted.SteadyLoad(load="25%"))
    wave = background_of(wanted.WaveLoad(mean="40%", amplitude="30%", period="64s"))
    steps = background_of(wanted.StepsLoad(steps=[wanted.Step(at="1s", load="50%"), wanted.Step(at="2s", load="0%")]))
    trace = background_of(wanted.TraceLoad(file="gpu.csv"), [(5, 0.5)])
    assert steady.load_at(0) == 0.25
    assert followed(wave, 64 * SECOND) == followed(WaveBackground(0.4, 0.3, 64 * SECOND), 64 * SECOND)
    assert followed(steps, 9 * SECOND) == [(0, 0), (SECOND, 0.5), (2 * SECOND, 0)]
    assert followed(trace, 9) == [(0, 0), (5, 0.5)]
    with pytest.raises(ValueError, match=r"gpu\.csv"):
        background_of(wanted.TraceLoad(file="gpu.csv"))
