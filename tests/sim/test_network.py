"""Hops: in order on each connection, delayed as the distribution says, each connection with its own luck."""

from __future__ import annotations

from statistics import NormalDist, correlation, fmean

import pytest

from simroom.sim.network import Hop, delay_table
from simroom.workload.distributions import Sampler, constant, empirical, exponential, gamma, lognormal, uniform
from simroom.workload.streams import mix

APART = 10**9
"""Messages so far apart that none has to wait for the one before."""


def hop_of(sampler: Sampler, connections: int = 1, key: int = 1) -> Hop:
    hop = Hop(delay_table(sampler))
    for connection in range(connections):
        hop.open(connection, mix(key, connection))
    return hop


def delays(hop: Hop, count: int, connection: int = 0) -> list[int]:
    return [hop.arrival(connection, number * APART) - number * APART for number in range(count)]


@pytest.mark.parametrize("span", [0, 1, 5_000])
def test_a_constant_delay_is_the_same_for_every_message(span: int) -> None:
    assert set(delays(hop_of(constant(span)), 50)) == {span}


def test_no_message_overtakes_another_on_its_connection() -> None:
    hop = hop_of(lognormal(40_000, 1.2), connections=2)
    last = [0, 0]
    met = 0
    for number in range(4_000):
        connection = number % 2
        at = hop.arrival(connection, number * 1_000)
        assert at >= number * 1_000
        assert at >= last[connection]
        met += at == last[connection]
        last[connection] = at
    assert met > 1_000, "messages so close together must often wait for a slow one, or this shows nothing"


def test_a_slow_message_holds_up_only_its_own_connection() -> None:
    hop = hop_of(empirical([1_000] * 9 + [1_000_000]), connections=50)
    held = [connection for connection in range(50) if hop.arrival(connection, 0) == 1_000_000]
    assert 0 < len(held) < 50
    assert all(hop.arrival(connection, 1) >= 1_000_000 for connection in held)
    free = [connection for connection in range(50) if connection not in held]
    assert any(hop.arrival(connection, 2) <= 1_002 for connection in free)


# 20,000 draws: the standard error of a mean is cv / 141 of it, that of the distribution function at most .0036. The
# checks ask for four of them; for a right program with independent draws one in 16,000 seeds would fail each.
@pytest.mark.parametrize(
    "sampler",
    [uniform(1_000, 90_000), exponential(30_000), lognormal(40_000, 0.6), gamma(25_000, 0.5)],
    ids=["uniform", "exponential", "lognormal", "gamma"],
)
@pytest.mark.parametrize("key", [1, 2])
def test_the_delays_of_one_connection_are_distributed_as_asked_for(sampler: Sampler, key: int) -> None:
    count = 20_000
    drawn = sorted(delays(hop_of(sampler, key=key), count))
    assert fmean(drawn) == pytest.approx(sampler.mean, rel=4 * sampler.cv2**0.5 / count**0.5)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        quantile = sampler.exact(int(share * 2**64))
        below = sum(delay <= quantile for delay in drawn) / count
        assert below == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5 + 2e-4)


def test_a_lognormal_delay_has_the_99th_percentile_it_was_made_for() -> None:
    sigma = 0.7
    drawn = sorted(delays(hop_of(lognormal(40_000, sigma)), 40_000))
    found = drawn[len(drawn) * 99 // 100]
    # e**(.7 · 2.33) is 5.1 medians; the sample's percentile has a standard error of 1.2 % here.
    assert found == pytest.approx(40_000 * 2.718281828 ** (sigma * NormalDist().inv_cdf(0.99)), rel=0.05)


def test_one_message_tells_nothing_about_the_next_nor_about_other_connections() -> None:
    count = 20_000
    hop = hop_of(uniform(0, 1_000_000), connections=2)
    first, second = delays(hop, count, 0), delays(hop, count, 1)
    for lag in (1, 2, 3, 10):
        assert abs(correlation(first[:-lag], first[lag:])) < 4 / count**0.5
    assert abs(correlation(first, second)) < 4 / count**0.5


def test_the_first_messages_of_many_connections_are_as_different_as_any() -> None:
    count = 20_000
    hop = hop_of(uniform(0, 1_000_000), connections=count)
    firsts = [hop.arrival(connection, 0) for connection in range(count)]
    assert fmean(firsts) == pytest.approx(500_000, rel=4 / (12 * count) ** 0.5 * 2)
    assert abs(correlation(firsts[:-1], firsts[1:])) < 4 / count**0.5


def test_what_one_connection_meets_does_not_depend_on_the_others() -> None:
    alone = hop_of(exponential(30_000))
    among = hop_of(exponential(30_000), connections=3)
    found = []
    for number in range(200):
        among.arrival(1, number * APART)
        found.append(among.arrival(0, number * APART) - number * APART)
        among.arrival(2, number * APART)
    assert found == delays(alone, 200)


def test_connections_may_be_opened_with_gaps_between_their_numbers() -> None:
    """Sessions and nodes share one numbering, but not one hop."""
    sparse = Hop(delay_table(exponential(30_000)))
    sparse.open(7, mix(1, 0))
    assert delays(sparse, 100, 7) == delays(hop_of(exponential(30_000)), 100)
