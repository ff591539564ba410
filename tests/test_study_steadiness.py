"""Whether runs were steady: on paper where it can be, else in queues whose behaviour is known."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
from test_study_example import SECOND, ZERO, Scribe, empty, example

from simroom.oracle.ledger import JobEnd
from simroom.stats.special import student_t
from simroom.study.steadiness import (
    BLOCKS,
    DISTANCE,
    LONG_MEMORY,
    WINDOWS,
    Series,
    WarmUp,
    jobs_over_time,
    latencies_over_time,
    mean_series,
    memory,
    steadiness,
    times_as_long,
    warm_up,
)
from simroom.study.table import Table

DURATION = 200 * SECOND


def noise(seed: int, count: int = WINDOWS) -> Series:
    """Independent latencies around one second, in microseconds."""
    return np.random.default_rng(seed).normal(1e6, 1e5, count)


# --- jobs over time ----------------------------------------------------------------------------------------------


def test_jobs_are_in_the_system_from_acceptance_to_their_end() -> None:
    jobs = jobs_over_time(Table(example()))

    def at(millis: int) -> int:
        return jobs.at(ZERO + millis * 1_000)

    # Accepted at 10.04 s into two languages; one ends at 11.15 s, the other, held, at 11.5 s.
    assert [at(10_000), at(10_100), at(10_200), at(11_200), at(11_600)] == [1, 3, 2, 1, 0]
    # Refused at once: never in the system. Failed a second later.
    assert [at(30_019), at(30_020), at(31_000)] == [0, 1, 0]
    # Never accepted as far as the ledger knows, so from the end of the speech; living when the run ends.
    assert [at(59_899), at(59_900), at(62_000)] == [0, 1, 1]


def test_a_run_with_nothing_in_it_is_unknown() -> None:
    found = steadiness(Table(empty()))
    assert (found.word, found.why, found.is_overloaded) == ("unknown", None, False)
    assert found.warm_up == WarmUp(10 * SECOND, None, None)
    assert steadiness(Table(example(ended_at=ZERO + 4 * SECOND, interrupted=True))).word == "unknown"


def test_unfinished_jobs_are_counted() -> None:
    assert steadiness(Table(example())).unfinished == 1


def piled(growth: int) -> Table:
    """Two utterances a second for 60 s, of which each job takes 1 s, and ``growth`` ms longer than the one before."""
    scribe = Scribe()
    for number in range(120):
        ended = number * 500
        row = scribe.utterance("solo", None, number, "zh", ended - 400, ended)
        scribe.received(row, ended)
        done = ended + 1_000 + growth * number
        scribe.job(
            row, "en", "n1", start=ended, stages=(500, 300, 200), answered=done, ended=done, to={"solo": done},
            end=JobEnd.DELIVERED,
        )  # fmt: skip
    return Table(example(ledger=scribe.ledger, ended_at=ZERO + 200 * SECOND, room_sizes=(), room_groups=()))


def test_jobs_that_pile_up_to_the_end_are_an_overload_and_it_is_said_by_how_much() -> None:
    found = steadiness(piled(growth=300))
    assert found.word == "overloaded"
    assert found.is_overloaded
    assert found.why is not None
    # At 60 s the jobs of the last 37.5 s are there: 120 n / (1 + .6 n) of them, less what the last part takes back.
    assert found.why.startswith("jobs in the system grew by ")
    assert found.why.endswith("% of those that came")
    assert found.warnings == (f"OVERLOADED: {found.why}; latencies say how long the run was",)
    kept_up = steadiness(piled(growth=0))
    assert (kept_up.word, kept_up.why) == ("stable", None)


# --- warm-up -----------------------------------------------------------------------------------------------------


def test_latencies_are_by_when_the_utterance_ended() -> None:
    series = latencies_over_time(Table(example()))
    assert len(series) == WINDOWS
    # 60 s in 200 parts of .3 s: utterances that ended at 9, 10 and 20 s.
    assert np.flatnonzero(~np.isnan(series)).tolist() == [30, 33, 66]
    assert series[[30, 33, 66]].tolist() == [1.2e6, pytest.approx((1.2 + 1.55 + 1.61) / 3 * 1e6), 0.65e6]


def test_a_start_up_is_found_and_a_warm_up_that_is_shorter_is_warned_of() -> None:
    series = noise(1)
    series[:30] += np.linspace(3e6, 0.5e6, 30)
    found = warm_up(series, DURATION, stated=10 * SECOND)
    # To the end of the start-up, and a batch of five more, which happens to look like it.
    assert found.suggested == 35 * SECOND
    assert found.is_too_short
    assert found.warning == "a warm-up of 10 s is shorter than the 35 s that MSER-5 suggests"
    long_enough = warm_up(series, DURATION, stated=30 * SECOND)
    assert (long_enough.suggested, long_enough.is_too_short, long_enough.warning) == (35 * SECOND, False, None)


def test_spans_are_said_as_one_says_them() -> None:
    said = WarmUp(stated=60 * SECOND, suggested=130 * SECOND, distance=9.0).warning
    assert said == "a warm-up of 1 min is shorter than the 2 min 10 s that MSER-5 suggests"
    said = WarmUp(stated=250_000, suggested=3_600 * SECOND, distance=-9.0).warning
    assert said == "a warm-up of 0.25 s is shorter than the 1 h that MSER-5 suggests"


def test_what_is_steady_from_the_first_instant_is_left_alone() -> None:
    """For independent values; what correlation makes of it is said at ``DISTANCE``."""
    alarms = sum(warm_up(noise(seed), DURATION, stated=0).is_too_short for seed in range(100))
    assert alarms <= 1
    constant = warm_up(np.full(WINDOWS, 1e6), DURATION, stated=0)
    assert (constant.suggested, constant.is_too_short) == (0, False)


def test_a_few_values_say_nothing() -> None:
    series = np.full(WINDOWS, np.nan)
    series[::20] = 1e6
    assert warm_up(series, DURATION, stated=0) == WarmUp(0, None, None)


def test_parts_in_which_nobody_spoke_are_skipped_and_counted_as_time() -> None:
    series = noise(2)
    series[:30] += 3e6
    series[5:25] = np.nan
    assert warm_up(series, DURATION, stated=0).suggested == 35 * SECOND


def test_a_mean_series_flattens_chance_and_leaves_the_start() -> None:
    rows = [noise(seed) for seed in range(100, 120)]
    assert not any(warm_up(row, DURATION, stated=0).is_too_short for row in rows)
    for row in rows:
        row[:20] += 0.5e5
    assert sum(warm_up(row, DURATION, stated=0).is_too_short for row in rows) <= 2
    rows[0][:] = np.nan
    mean = mean_series(rows)
    assert mean[100] == pytest.approx(np.mean([row[100] for row in rows[1:]]))
    assert warm_up(mean, DURATION, stated=0).is_too_short
    assert np.isnan(mean_series([np.full(WINDOWS, np.nan)] * 3)).all()


def test_the_distance_is_what_it_is_said_to_be() -> None:
    assert student_t(0.9995, BLOCKS - 1) == pytest.approx(DISTANCE, abs=5e-4)


# --- memory ------------------------------------------------------------------------------------------------------


def wandering(runs: int, seed: int, times: float) -> Series:
    """Tenths of runs of a process that forgets exponentially, each tenth ``times`` as long as its memory."""
    rng = np.random.default_rng(seed)
    steps = 200
    keeps = exp(-times / steps)
    found = np.empty((runs, 10))
    for run in range(runs):
        value = rng.normal()
        for tenth in range(10):
            total = 0.0
            for _ in range(steps):
                value = keeps * value + sqrt(1 - keeps**2) * rng.normal()
                total += value
            found[run, tenth] = total / steps
    return found


def test_memory_is_the_correlation_of_neighbouring_parts() -> None:
    """From 300 runs of nine pairs each: a standard error of about .02; the bounds are three of them."""
    times = 1.0
    expected = (1 - exp(-times)) ** 2 / (2 * (times - 1 + exp(-times)))
    assert memory(wandering(300, 1, times)) == pytest.approx(expected, abs=0.06)
    assert abs(memory(np.random.default_rng(1).normal(size=(300, 10))) or 1) < 0.06


def test_what_hardly_varies_has_no_memory() -> None:
    assert memory(np.random.default_rng(1).normal(0, 0.01, (10, 10))) is None
    assert memory(np.zeros((3, 10))) is None


def test_how_much_longer_follows_from_the_memory() -> None:
    def of(times: float) -> float:
        return (1 - exp(-times)) ** 2 / (2 * (times - 1 + exp(-times)))

    assert of(1.13) == pytest.approx(LONG_MEMORY, abs=0.01)
    assert [times_as_long(of(1.13 / times) + 1e-9) for times in (2.5, 4.5, 9.5, 24.5)] == [3, 5, 10, 25]
