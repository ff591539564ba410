"""Whether a system keeps up: known queues, bursts and outages, and how often the verdict errs.

Seeds are fixed. The counts asked for are wide of the rates in the module's table: how likely a right program would have
failed is said at each.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simroom.stats.stability import PARTS, Stability, services_needed, stability
from simroom.stats.timeweighted import Steps, present, steps

SECOND = 1_000_000


def judged(arrived: np.ndarray, ended: np.ndarray, seconds: float) -> Stability:
    jobs = present((arrived * SECOND).astype(np.int64), (ended * SECOND).astype(np.int64))
    found = stability(jobs, int(seconds * SECOND / 10), int(seconds * SECOND))
    assert found is not None
    return found


def poisson(random: np.random.Generator, rate: float, seconds: float) -> np.ndarray:
    return np.sort(random.random(random.poisson(rate * seconds))) * seconds


def ends_of(arrived: np.ndarray, services: np.ndarray) -> np.ndarray:
    """One server, first come, first served: Lindley's recursion, unrolled."""
    before = np.cumsum(services) - services
    return np.maximum.accumulate(arrived - before) + before + services


def verdicts(load: float, services: float, paths: int, seed: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in range(paths):
        random = np.random.default_rng([seed, path])
        arrived = poisson(random, load, services)
        found[judged(arrived, ends_of(arrived, random.exponential(1, len(arrived))), services).verdict] += 1
    return found


@pytest.mark.parametrize(("load", "services"), [(0.5, 500), (0.5, 5000), (0.9, 2000), (0.95, 5000), (0.95, 20_000)])
def test_a_queue_that_keeps_up_is_mostly_stable(load: float, services: float) -> None:
    """Alarms are raised for about 1.4 % of the paths at most: more than 6 of 100 with a probability below .1 %."""
    found = verdicts(load, services, 100, seed=1)
    assert found["stable"] >= 94, found
    assert found["overloaded"] <= 2, found


@pytest.mark.parametrize(
    ("load", "services", "least"), [(1.2, 1000, 45), (1.2, 5000, 50), (1.05, 10_000, 41), (1.05, 25_000, 49)]
)
def test_a_queue_that_does_not_keep_up_is_overloaded_once_it_can_be_told(
    load: float, services: float, least: int
) -> None:
    """Noticed on 98.8, 100, 94 and 100 % of the paths: fewer than ``least`` of 50 with a probability below .5 %."""
    assert verdicts(load, services, 50, seed=2)["overloaded"] >= least


def test_what_is_needed_to_notice_an_overload_is_what_it_takes() -> None:
    assert services_needed(0.05) == pytest.approx(9300, rel=0.01)
    assert services_needed(0.2) == pytest.approx(630, rel=0.01)
    # 19 of 20 are promised: fewer than 88 of 100 with a probability of about .2 %. A tenth of the path is not judged.
    assert verdicts(1.2, services_needed(0.2) / 1.2 / 0.9, 100, seed=3)["overloaded"] >= 88
    with pytest.raises(ValueError, match="surplus"):
        services_needed(0)


def burst(at: float, size: int, seed: int) -> Stability:
    """5,000 s at 60 % of the capacity, and so many jobs more at one instant."""
    random = np.random.default_rng(seed)
    arrived = np.sort(np.concatenate((poisson(random, 0.6, 5000), np.full(size, at))))
    return judged(arrived, ends_of(arrived, random.exponential(1, len(arrived))), 5000)


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_is_a_backlog_until_it_is_worked_off(seed: int) -> None:
    """500 jobs take 500 / .4 = 1,250 s; at the end of the window 250 of them are left, or none."""
    worked_off = burst(at=2000, size=500, seed=seed)
    assert worked_off.verdict == "stable"
    assert worked_off.peak > 300, "the peak is shown all the same"
    left_over = burst(at=4375, size=500, seed=seed)
    assert left_over.verdict == "backlogged"
    assert left_over.end < left_over.peak
    assert left_over.end > 20 * left_over.usual
    just_come = burst(at=4850, size=500, seed=seed)
    assert just_come.verdict == "backlogged", "one leap at the end is no growth"


def test_growth_that_has_turned_round_is_a_backlog_and_no_overload() -> None:
    """Up by 10 a part for 14 parts, then down by 9: it has grown beyond doubt, and is being worked off."""
    instants = np.arange(PARTS, dtype=np.int64) * 100 + 50
    rise = steps(instants, np.repeat([10, -9], [14, 6]))
    found = stability(rise, 0, PARTS * 100)
    assert found is not None
    assert found.p_value < 0.05
    assert found.growth > 50
    assert 0.5 < found.end / found.peak < 0.75
    assert found.verdict == "backlogged"
    steady = stability(steps(instants, np.full(PARTS, 10)), 0, PARTS * 100)
    assert steady is not None
    assert steady.verdict == "overloaded"


@pytest.mark.parametrize("seed", range(4))
def test_an_outage_is_a_backlog_until_it_is_made_up_for(seed: int) -> None:
    random = np.random.default_rng(seed)
    arrived, services = poisson(random, 0.5, 5000), random.exponential(1, 4000)
    for out_at, verdict in ((2000, "stable"), (4250, "backlogged")):
        ended, free_at = [], 0.0
        for at, service in zip(arrived.tolist(), services.tolist(), strict=False):
            start = max(at, free_at)
            if out_at <= start < out_at + 500:
                start = out_at + 500
            free_at = start + service
            ended.append(free_at)
        assert judged(arrived, np.array(ended), 5000).verdict == verdict


def test_batches_that_arrive_together_are_no_growth() -> None:
    """50 at a time: the variation between the parts is taken from them, not from a formula for single arrivals."""
    found: Counter[str] = Counter()
    for seed in range(60):
        random = np.random.default_rng(seed)
        arrived = np.repeat(poisson(random, 0.8 / 50, 3000), 50)
        found[judged(arrived, ends_of(arrived, random.exponential(1, len(arrived))), 3000).verdict] += 1
    assert found["stable"] >= 54, found


def test_a_clockwork_that_keeps_up_is_stable_and_one_that_does_not_is_overloaded() -> None:
    arrived = np.arange(2000) * 1.0
    assert judged(arrived, arrived + 0.9, 2000).verdict == "stable"
    assert judged(arrived, arrived + 1.0, 2000).verdict == "stable"
    late = judged(arrived, ends_of(arrived, np.full(2000, 1.2500003)), 2000)
    assert late.verdict == "overloaded"
    assert late.growth_share == pytest.approx(0.2, abs=0.01)
    assert late.p_value < 1e-12


def test_a_queue_that_empties_is_stable() -> None:
    arrived = np.zeros(1000)
    found = judged(arrived, ends_of(arrived, np.full(1000, 1.0)), 1100)
    assert found.verdict == "stable"
    assert found.growth < -500


def test_the_figures_that_the_verdict_rests_on_by_hand() -> None:
    # The level rises by one at the beginning of each part, from nought on.
    instants = np.arange(1, PARTS, dtype=np.int64) * 100
    found = stability(Steps(instants, np.arange(1, PARTS)), 0, PARTS * 100)
    assert found is not None
    assert found.means == tuple(range(PARTS))
    assert found.growth == pytest.approx(20)
    assert found.growth_share == pytest.approx(20 / 19)
    assert (found.usual, found.end, found.peak) == (9.5, 19, 19)
    assert found.verdict == "overloaded"


def test_growth_that_does_not_matter_is_none() -> None:
    # Three jobs more over the window, as steadily as can be.
    few = stability(steps(np.array([500, 1000, 1500]), np.array([1, 1, 1])), 0, 2000)
    assert few is not None
    assert few.verdict == "stable"
    # 20 jobs more of 10,000 that came: 2 in a thousand.
    arrived = np.sort(np.concatenate((np.arange(10_000) * 10, np.arange(20) * 5000 + 1)))
    left = np.where(arrived % 10 == 1, 10**9, arrived + 5)
    many = stability(present(arrived, left), 0, 100_000)
    assert many is not None
    assert many.p_value < 0.001
    assert many.growth == pytest.approx(20, abs=1.5)
    assert many.verdict == "stable"


def test_nothing_happening_is_stable_and_no_time_has_no_verdict() -> None:
    empty = steps(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    found = stability(empty, 0, 1000)
    assert found is not None
    assert (found.verdict, found.growth, found.growth_share, found.p_value) == ("stable", 0, None, 1)
    assert stability(empty, 0, PARTS - 1) is None
    assert stability(empty, 0, PARTS) is not None
