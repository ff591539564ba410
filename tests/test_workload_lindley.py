"""The recursions that simulated queues are held against, themselves held against what is known otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.lindley import waits
from simroom.workload.distributions import exponential
from simroom.workload.streams import Stream


def test_one_server_serves_one_after_the_other() -> None:
    assert waits([0, 1, 2, 50], [10, 10, 1, 1]) == [0, 9, 18, 0]


def test_an_arrival_takes_the_server_that_is_free_first() -> None:
    assert waits([0, 0, 0, 5], [10, 4, 1, 1], servers=2) == [0, 0, 4, 0]
    assert waits([0, 0, 0], [10, 10, 10], servers=3) == [0, 0, 0]


def test_no_arrivals_wait_for_nothing() -> None:
    assert waits([], [], servers=2) == []


steps = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=30)


@given(steps, st.integers(1, 4))
def test_the_waits_are_those_of_a_queue_played_step_by_step(steps: list[tuple[int, int]], servers: int) -> None:
    arrivals, services, now = [], [], 0
    for gap, service in steps:
        now += gap
        arrivals.append(now)
        services.append(service)
    started: list[int] = []
    running: list[int] = []
    clock = 0
    while len(started) < len(arrivals):
        running = [until for until in running if until > clock]
        if len(running) < servers and arrivals[len(started)] <= clock:
            running.append(clock + services[len(started)])
            started.append(clock)
        else:
            clock += 1
    assert waits(arrivals, services, servers=servers) == [
        start - arrival for start, arrival in zip(started, arrivals, strict=True)
    ]


def test_the_mean_wait_at_half_load_is_what_pollaczek_and_khinchine_say() -> None:
    """M/M/1 at load .5 waits one mean service. Fixed seed; 40,000 waits, standard deviation of their mean about 2 %."""
    stream, gaps, services = Stream(20), exponential(2000), exponential(1000)
    now, arrivals, needed = 0, [], []
    for _ in range(40_000):
        now += gaps(stream.bits())
        arrivals.append(now)
        needed.append(services(stream.bits()))
    found = waits(arrivals, needed)
    assert sum(found) / len(found) == pytest.approx(1000, rel=0.1)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="server"):
        waits([0], [1], servers=0)
    with pytest.raises(ValueError, match="comes after"):
        waits([5, 4], [1, 1])
    with pytest.raises(ValueError, match="shorter than"):
        waits([5, 6], [1])
