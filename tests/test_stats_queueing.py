"""Closed forms of queueing theory against published numbers, each to the digits that were published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats import queueing
from simroom.stats.choices import choices_jobs, choices_jobs_refined, shortest_queue_time
from simroom.stats.published import Figure, figures
from simroom.stats.queueing import erlang_a, erlang_b, erlang_b_load, erlang_c

# --- one server


@pytest.mark.parametrize(
    ("load", "mm1", "md1", "hyperexponential"),
    [(0.5, 2, 1.5, 3.5), (0.7, 3.3333, 2.1667, 6.8333), (0.8, 5, 3, 11), (0.9, 10, 5.5, 23.5), (0.95, 20, 10.5, 48.5)],
)
def test_mean_times_in_the_system_of_one_server(load: float, mm1: float, md1: float, hyperexponential: float) -> None:
    assert round(queueing.mm1_time(load, 1), 4) == mm1
    assert round(queueing.md1_time(load, 1), 4) == md1
    assert round(queueing.mg1_time(load, 1, 4), 4) == hyperexponential
    assert queueing.mg1_time(load, 1, 1) == pytest.approx(queueing.mm1_time(load, 1), rel=1e-13)
    assert queueing.md1_wait(load, 1) == pytest.approx(load / (2 * (1 - load)), rel=1e-13)
    assert queueing.mm1_wait(load, 1) == pytest.approx(load / (1 - load), rel=1e-13)
    assert queueing.sharing_time(load, 1) == pytest.approx(queueing.mm1_time(load, 1), rel=1e-13)


def test_the_99th_percentile_of_mm1_is_the_logarithm_of_a_hundred_over_the_slack() -> None:
    assert queueing.mm1_time_quantile(0.99, 0.8, 1) == pytest.approx(math.log(100) / 0.2, rel=1e-12)
    assert queueing.mm1_time_quantile(0, 0.8, 1) == 0


def test_a_job_that_shares_the_server_takes_its_work_times_a_constant() -> None:
    assert queueing.sharing_time(0.75, 1, work=3) == pytest.approx(12)
    assert queueing.sharing_time(0.75, 1, work=0) == 0


def test_priorities_as_published_with_ciws_tests_of_the_literature() -> None:
    waits = queueing.priority_waits([0.2, 0.6], [1, 1], [2, 2])
    assert [wait + 1 for wait in waits] == pytest.approx([2.0, 6.0], rel=1e-12)


@given(st.lists(st.tuples(st.floats(0.01, 0.2), st.floats(0.1, 1), st.floats(1, 5)), min_size=1, max_size=5))
def test_priorities_do_not_change_the_work_that_waits(classes: list[tuple[float, float, float]]) -> None:
    """Kleinrock's conservation law: the sum of rho * W over the classes is that of first come, first served."""
    rates, means = [c[0] for c in classes], [c[1] for c in classes]
    seconds = [mean * mean * c[2] for mean, c in zip(means, classes, strict=True)]
    load = sum(rate * mean for rate, mean in zip(rates, means, strict=True))
    if load >= 0.99:
        return
    waits = queueing.priority_waits(rates, means, seconds)
    weighted = sum(rate * mean * wait for rate, mean, wait in zip(rates, means, waits, strict=True))
    residual = sum(rate * second for rate, second in zip(rates, seconds, strict=True)) / 2
    assert weighted == pytest.approx(load * residual / (1 - load), rel=1e-9)
    assert waits == sorted(waits)


def test_a_tandem_of_two_stations_as_jackson_says() -> None:
    assert queueing.tandem_time(1, [2, 3]) == 1.5


# --- several servers


@pytest.mark.parametrize(
    ("servers", "load", "waiting", "wait"),
    [
        (2, 1, 0.333333, 0.333333),
        (2, 1.8, 0.852632, 4.263158),
        (5, 4, 0.554113, 0.554113),
        (10, 9, 0.668732, 0.668732),
        (20, 18, 0.550769, 0.275385),
        (100, 95, 0.506457, 0.101291),
    ],
)
def test_the_share_that_waits_and_the_mean_wait(servers: int, load: float, waiting: float, wait: float) -> None:
    assert round(erlang_c(servers, load), 6) == waiting
    # The published .275385 is .2753845 rounded half up.
    assert queueing.mmc_wait(servers, load, 1) == pytest.approx(wait, abs=5.1e-7)


def test_a_call_centre_as_in_pyworkforce_and_in_r() -> None:
    """10 erlangs, 14 agents, calls of 3 minutes."""
    rate, service_rate = 10 / 180, 1 / 180
    assert erlang_c(14, 10) == pytest.approx(0.1741319335950498, rel=1e-14)
    assert round(queueing.mmc_wait_at_most(20, 14, rate, service_rate), 8) == 0.88835002
    assert round(queueing.mmc_wait(14, rate, service_rate), 6) == 7.835937
    assert round(queueing.offered_load(rate, service_rate) / 14, 7) == 0.7142857
    assert queueing.mmc_wait_at_most(0, 14, rate, service_rate) == pytest.approx(1 - 0.1741319335950498)


@pytest.mark.parametrize(
    ("servers", "load"),
    [(1, 0.0101), (2, 0.1526), (5, 1.3608), (10, 4.4612), (20, 12.0306), (50, 37.9014), (100, 84.0642)],
)
def test_the_load_at_which_one_percent_is_lost(servers: int, load: float) -> None:
    found = erlang_b_load(servers, 0.01)
    assert round(found, 4) == load
    assert erlang_b(servers, found) == pytest.approx(0.01, rel=1e-12)


def test_erlang_b() -> None:
    assert (erlang_b(1, 1), erlang_b(2, 1), erlang_b(0, 3), erlang_b(3, 0)) == (0.5, 0.2, 1, 0)
    assert round(erlang_b(12, 10), 6) == 0.119739
    assert erlang_b(1000, 900) < 1e-4
    assert erlang_b_load(7, 0) == 0


@given(st.integers(1, 60), st.floats(0.01, 80))
def test_erlang_b_is_the_truncated_poisson_distribution(servers: int, load: float) -> None:
    terms = [math.exp(k * math.log(load) - math.lgamma(k + 1)) for k in range(servers + 1)]
    assert erlang_b(servers, load) == pytest.approx(terms[-1] / math.fsum(terms), rel=1e-10)


def test_erlang_a_as_in_pyworkforce() -> None:
    """10 erlangs, 14 agents, calls of 3 minutes, callers patient for 5 on average."""
    found = erlang_a(14, 10 / 3, 1 / 3, 5)
    assert round(found.wait_share, 5) == 0.14526
    assert round(found.abandon_share, 6) == 0.013984
    assert round(found.utilisation, 6) == 0.704297
    assert found.mean_wait == pytest.approx(found.waiting / (10 / 3))


@given(st.integers(1, 30), st.floats(0.05, 60), st.floats(0.05, 20))
def test_erlang_a_is_the_stationary_birth_and_death_process(servers: int, rate: float, patience: float) -> None:
    states = servers + 2000
    logs = [0.0]
    for n in range(1, states):
        logs.append(logs[-1] + math.log(rate) - math.log(min(n, servers) + max(0, n - servers) / patience))
    shares = np.exp(np.array(logs) - max(logs))
    shares /= shares.sum()
    waiting = float((shares * np.maximum(0, np.arange(states) - servers)).sum())
    busy = float((shares * np.minimum(np.arange(states), servers)).sum())
    found = erlang_a(servers, rate, 1, patience)
    assert found.wait_share == pytest.approx(float(shares[servers:].sum()), rel=1e-9)
    assert found.waiting == pytest.approx(waiting, rel=1e-9, abs=1e-12)
    assert found.utilisation == pytest.approx(busy / servers, rel=1e-9)
    assert found.abandon_share == pytest.approx(waiting / patience / rate, rel=1e-9, abs=1e-12)


def test_with_endless_patience_erlang_a_is_erlang_c() -> None:
    found = erlang_a(5, 4, 1, 1e9)
    assert found.wait_share == pytest.approx(erlang_c(5, 4), rel=1e-6)
    assert found.mean_wait == pytest.approx(queueing.mmc_wait(5, 4, 1), rel=1e-6)
    overloaded = erlang_a(100, 500, 1, 50)
    assert overloaded.abandon_share == pytest.approx(0.8, rel=1e-9)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: queueing.mm1_time(1, 1),
        lambda: queueing.mm1_wait(2, 1),
        lambda: queueing.mg1_wait(1.5, 1, 1),
        lambda: queueing.sharing_time(1, 1),
        lambda: queueing.mmc_wait(2, 2, 1),
        lambda: queueing.mmc_wait_at_most(1, 2, 2.5, 1),
        lambda: queueing.priority_waits([0.5, 0.5], [1, 1], [2, 2]),
        lambda: queueing.tandem_time(1, [2, 1]),
        lambda: erlang_c(3, 3),
    ],
)
def test_an_overloaded_queue_has_no_steady_state(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match="no steady state"):
        ask()


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda: queueing.mm1_time(0, 1), "arrival rate is above 0"),
        (lambda: queueing.mm1_time(1, math.nan), "service rate is above 0"),
        (lambda: queueing.mg1_wait(0.5, 1, -1), "variation is 0 or above"),
        (lambda: queueing.mm1_time_quantile(1, 0.5, 1), "below 1"),
        (lambda: queueing.sharing_time(0.5, 1, work=-1), "work is 0 or above"),
        (lambda: queueing.priority_waits([], [], []), "need a class"),
        (lambda: queueing.priority_waits([0.1], [1], [0.5]), "below the square"),
        (lambda: queueing.priority_waits([0.1], [1], []), "shorter"),
        (lambda: queueing.tandem_time(1, []), "needs a station"),
        (lambda: erlang_b(-1, 1), "0 or above"),
        (lambda: erlang_b(1, -1), "0 or above"),
        (lambda: erlang_b_load(0, 0.1), "ithout a server"),
        (lambda: erlang_b_load(1, 1), "below 1"),
        (lambda: erlang_c(0, 0.5), "needs a server"),
        (lambda: erlang_a(0, 1, 1, 1), "needs a server"),
        (lambda: erlang_a(1, 1, 1, 0), "mean patience is above 0"),
        (lambda: queueing.mmc_wait_at_most(-1, 2, 1, 1), "wait is 0 or above"),
        (lambda: queueing.offered_load(1, 0), "service rate is above 0"),
        (lambda: choices_jobs(0, 0.5), "one node or more"),
        (lambda: choices_jobs(2, 1), "below 1"),
        (lambda: choices_jobs_refined(3, 0.5, 2), "no more than there are"),
        (lambda: shortest_queue_time(5, 0.5), "2 to 4"),
        (lambda: shortest_queue_time(2, 0.5, width=1), "differ"),
        (lambda: shortest_queue_time(4, 0.5, width=40), "states"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: object, problem: str) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match=problem):
        ask()


# --- choosing a node


@pytest.mark.parametrize(
    ("choices", "load", "published"),
    [(2, 0.7, 1.1301), (2, 0.9, 2.3527), (2, 0.95, 3.2139), (3, 0.9, 1.8251), (4, 0.95, 2.0771)],
)
def test_the_limit_of_many_nodes(choices: int, load: float, published: float) -> None:
    assert round(choices_jobs(choices, load), 4) == published


def test_one_choice_is_no_choice() -> None:
    assert choices_jobs(1, 0.8) / 0.8 == pytest.approx(queueing.mm1_time(0.8, 1))


def published(policy: str, nodes: int) -> list[Figure]:
    return [f for f in figures() if f.policy == policy and f.nodes == nodes and f.report_interval is None]


@pytest.mark.parametrize(("nodes", "off"), [(100, 0.0026), (50, 0.009), (20, 0.041)])
def test_a_finite_number_of_nodes_is_off_by_the_order_of_its_square(nodes: int, off: float) -> None:
    """What the first order leaves out is about 1 / nodes**2: four times as much at half as many nodes."""
    cases = published("choices", nodes)
    assert len(cases) == 5
    for case in cases:
        assert case.choices is not None
        found = choices_jobs_refined(case.choices, case.load, nodes) / case.load
        assert found == pytest.approx(case.time, rel=off)
        limit = choices_jobs(case.choices, case.load) / case.load
        assert abs(found - case.time) < abs(limit - case.time) / 3, "better than the limit"


def test_without_replacement_the_times_are_those_of_mitzenmachers_table() -> None:
    cases = published("choices_without_replacement", 100)
    assert [case.load for case in cases] == [0.5, 0.7, 0.8, 0.9, 0.95]
    for case in cases:
        found = choices_jobs_refined(2, case.load, 100, replacement=False) / case.load
        assert found == pytest.approx(case.time, rel=0.0011)
        with_replacement = choices_jobs_refined(2, case.load, 100) / case.load
        assert 0.003 < 1 - found / with_replacement < 0.0075


@pytest.mark.parametrize(
    ("nodes", "load", "time"),
    [
        (2, 0.5, 1.426321),
        (2, 0.7, 2.108197),
        (2, 0.8, 2.955737),
        (2, 0.9, 5.474913),
        (3, 0.5, 1.244836),
        (3, 0.7, 1.708876),
        (3, 0.8, 2.285548),
    ],
)
def test_joining_the_shortest_queue_exactly(nodes: int, load: float, time: float) -> None:
    assert round(shortest_queue_time(nodes, load), 6) == time


def cut_chain(load: float, longest: int) -> float:
    """Mean time where jobs that find both of two nodes with ``longest`` jobs are lost, from the chain as it stands.

    Level by level of the shorter queue, from the top down, each level's vector as a matrix times the one below it.
    """
    width = 41
    blocks = []
    for short in range(longest + 1):
        up, down, within = np.zeros((3, width, width))
        for more in range(width):
            if short + more > longest:
                within[more, more] = -1
                continue
            if more == 0:
                within[0, 1] += 2 * load * (short < longest)
                down[0, 1] += 2 * (short > 0)
            else:
                up[more, more - 1] += 2 * load
                within[more, more - 1] += 1
                if more < width - 1:
                    down[more, more + 1] += short > 0
            within[more, more] -= up[more].sum() + within[more].sum() + down[more].sum()
        blocks.append((up, within, down))
    ratios = [np.zeros((width, width))]
    for short in range(longest, 0, -1):
        below_down = ratios[-1] @ blocks[short + 1][2] if short < longest else 0
        ratios.append(blocks[short - 1][0] @ np.linalg.inv(-(blocks[short][1] + below_down)))
    ratios.reverse()
    vector = np.linalg.svd((blocks[0][1] + ratios[0] @ blocks[1][2]).T)[2][-1]
    total = jobs = 0.0
    for short in range(longest + 1):
        if short:
            vector = vector @ ratios[short - 1]
        total += vector.sum()
        jobs += vector @ (2 * short + np.arange(width))
    return float(jobs / total / (2 * load))


def test_the_published_time_at_95_percent_is_that_of_a_chain_cut_at_120_jobs_a_node() -> None:
    """The cut leaves 10.486071 of 10.486639: queues are longer than 120 more often than six digits allow."""
    assert round(cut_chain(0.95, 120), 6) == 10.486071
    assert round(cut_chain(0.95, 400), 6) == round(shortest_queue_time(2, 0.95), 6) == 10.486639
    assert shortest_queue_time(2, 0.95) == pytest.approx(10.486071, rel=1e-4)


@pytest.mark.parametrize(("nodes", "load", "width"), [(2, 0.95, 30), (3, 0.9, 10), (4, 0.5, 6)])
def test_differences_that_are_cut_off_do_not_matter(nodes: int, load: float, width: int) -> None:
    narrow = shortest_queue_time(nodes, load, width=width)
    assert narrow == pytest.approx(shortest_queue_time(nodes, load, width=width * 3 // 2), rel=1e-5)


@pytest.mark.parametrize("nodes", [2, 3, 4])
def test_the_shortest_queue_lies_between_one_line_for_all_and_a_random_choice(nodes: int) -> None:
    for load in (0.3, 0.6, 0.85):
        found = shortest_queue_time(nodes, load, width=8)
        assert queueing.mmc_time(nodes, nodes * load, 1) < found < choices_jobs(1, load) / load


def test_every_published_figure_has_a_source_and_the_stale_ones_their_shape() -> None:
    assert len(figures()) == 20 + 5 + 8 + 13
    assert all(figure.source and figure.time > 1 for figure in figures())
    stale = {(f.policy, f.report_interval): f.time for f in figures() if f.report_interval is not None}
    assert stale["shortest", 0.1] < stale["choices", 0.1]
    assert all(stale["shortest", every] > stale["choices", every] for every in (1.0, 2.0, 5.0, 10.0))
    assert stale["shortest", 2.0] < queueing.mm1_time(0.9, 1) < stale["shortest", 5.0]
