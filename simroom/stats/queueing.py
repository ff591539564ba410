"""Closed forms of queueing theory: what simulated means must come close to.

Rates are per unit of time and times in that unit, whichever it is. Everything is for a queue in its steady state with
Poisson arrivals; an overloaded one has none, and asking for it is refused. Sources: Kleinrock, Queueing Systems I
(M/M/1, M/M/c, M/G/1), Cobham 1954 (priorities), Jackson 1957 (tandem), Palm 1957 and Garnett, Mandelbaum & Reiman 2002
(Erlang A), Kleinrock II 4.4 (processor sharing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name.replace('_', ' ')} is above 0, not {value}")


def _load(arrival_rate: float, service_rate: float, servers: int = 1) -> float:
    """The utilisation, once it is known that there is a steady state."""
    _positive(arrival_rate=arrival_rate, service_rate=service_rate)
    if servers < 1:
        raise ValueError("a queue needs a server")
    rho = arrival_rate / (servers * service_rate)
    if rho >= 1:
        raise ValueError(f"a queue at {rho:.6g} of its capacity has no steady state")
    return rho


def offered_load(arrival_rate: float, service_rate: float) -> float:
    """Arrivals times mean service, in erlangs: servers that would be busy if there were enough of them."""
    _positive(arrival_rate=arrival_rate, service_rate=service_rate)
    return arrival_rate / service_rate


# --- one server -------------------------------------------------------------------------------------------------


def mm1_time(arrival_rate: float, service_rate: float) -> float:
    """Mean time in the system of M/M/1, ``1 / (mu - lambda)``; that of processor sharing too."""
    _load(arrival_rate, service_rate)
    return 1 / (service_rate - arrival_rate)


def mm1_wait(arrival_rate: float, service_rate: float) -> float:
    """Mean wait in M/M/1, ``rho / (mu - lambda)``."""
    return _load(arrival_rate, service_rate) / (service_rate - arrival_rate)


def mm1_time_quantile(share: float, arrival_rate: float, service_rate: float) -> float:
    """Quantile of the time in the system of M/M/1, ``ln(1 / (1 - share)) / (mu - lambda)``; ``share`` below 1."""
    if not 0 <= share < 1:
        raise ValueError(f"the share of a quantile is 0 or above and below 1, not {share}")
    return -math.log1p(-share) * mm1_time(arrival_rate, service_rate)


def mg1_wait(arrival_rate: float, service_rate: float, scv: float) -> float:
    """Mean wait in M/G/1 (Pollaczek and Khinchine), ``lambda E[S^2] / (2 (1 - rho))``.

    Args:
        arrival_rate: Above 0.
        service_rate: 1 / mean service, above the arrival rate.
        scv: Squared coefficient of variation of service: 0 deterministic, 1 exponential.

    Returns:
        The mean wait.

    Raises:
        ValueError: There is no steady state, or an argument is outside its range.
    """
    rho = _load(arrival_rate, service_rate)
    if not 0 <= scv < math.inf:
        raise ValueError(f"a squared coefficient of variation is 0 or above, not {scv}")
    return rho / service_rate * (1 + scv) / (2 * (1 - rho))


def mg1_time(arrival_rate: float, service_rate: float, scv: float) -> float:
    """Mean time in the system of M/G/1, first come first served; arguments as of ``mg1_wait``."""
    return mg1_wait(arrival_rate, service_rate, scv) + 1 / service_rate


def md1_wait(arrival_rate: float, service_rate: float) -> float:
    """Mean wait in M/D/1, ``rho / (2 mu (1 - rho))``."""
    return mg1_wait(arrival_rate, service_rate, 0)


def md1_time(arrival_rate: float, service_rate: float) -> float:
    """Mean time in the system of M/D/1."""
    return mg1_time(arrival_rate, service_rate, 0)


def sharing_time(arrival_rate: float, service_rate: float, work: float | None = None) -> float:
    """Mean time in the system under processor sharing, whatever the law of the service.

    Args:
        arrival_rate: Above 0.
        service_rate: 1 / mean work, above the arrival rate.
        work: Of jobs that need this much alone, ``work / (1 - rho)``; None: of all jobs.

    Returns:
        The mean time.

    Raises:
        ValueError: There is no steady state, or the work is negative.
    """
    rho = _load(arrival_rate, service_rate)
    if work is not None and not 0 <= work < math.inf:
        raise ValueError(f"work is 0 or above, not {work}")
    return (1 / service_rate if work is None else work) / (1 - rho)


def priority_waits(
    arrival_rates: Sequence[float], mean_services: Sequence[float], second_moments: Sequence[float]
) -> list[float]:
    """Mean wait of each class in M/G/1 with priorities that interrupt nobody (Cobham 1954).

    Args:
        arrival_rates: Of each class, the most urgent first; above 0.
        mean_services: E[S] of each class, above 0.
        second_moments: E[S^2] of each class, at least the square of the mean (exponential: twice it).

    Returns:
        A mean wait for each class.

    Raises:
        ValueError: There are no classes, not as many of one as of the other, or no steady state.
    """
    classes = list(zip(arrival_rates, mean_services, second_moments, strict=True))
    if not classes:
        raise ValueError("priorities need a class")
    for rate, mean, second in classes:
        _positive(arrival_rate=rate, mean_service=mean)
        if second < mean * mean * (1 - 1e-12):
            raise ValueError(f"a second moment of {second} is below the square of the mean {mean}")
    residual = sum(rate * second for rate, _, second in classes) / 2
    _load(sum(rate * mean for rate, mean, _ in classes), 1)
    waits, above = [], 0.0
    for rate, mean, _ in classes:
        with_own = above + rate * mean
        waits.append(residual / ((1 - above) * (1 - with_own)))
        above = with_own
    return waits


def tandem_time(arrival_rate: float, service_rates: Sequence[float]) -> float:
    """Mean time through exponential stations one after the other (Jackson 1957): the sum of M/M/1 at each."""
    if not service_rates:
        raise ValueError("a tandem needs a station")
    return sum(mm1_time(arrival_rate, rate) for rate in service_rates)


# --- several servers --------------------------------------------------------------------------------------------


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals that a system without a waiting room turns away, whatever the law of the service.

    By the recursion ``B(n) = a B(n-1) / (n + a B(n-1))``, which neither overflows nor loses digits.

    Args:
        servers: 0 or more.
        load: Offered load in erlangs, 0 or above.

    Returns:
        0..1.

    Raises:
        ValueError: An argument is outside its range.
    """
    if servers < 0:
        raise ValueError("the number of servers is 0 or above")
    if not 0 <= load < math.inf:
        raise ValueError(f"an offered load is 0 or above, not {load}")
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def erlang_b_load(servers: int, blocked: float) -> float:
    """The offered load at which ``servers`` (1 or more) turn away the share ``blocked`` (0..1, below 1), in erlangs."""
    if servers < 1:
        raise ValueError("without a server every load is turned away")
    if not 0 <= blocked < 1:
        raise ValueError(f"the share turned away is 0 or above and below 1, not {blocked}")
    low, high = 0.0, 1.0
    while erlang_b(servers, high) < blocked:
        high *= 2
    while True:
        middle = (low + high) / 2
        if middle in {low, high}:
            return middle
        low, high = (middle, high) if erlang_b(servers, middle) < blocked else (low, middle)


def erlang_c(servers: int, load: float) -> float:
    """Share of arrivals that wait in M/M/c.

    Args:
        servers: 1 or more.
        load: Offered load in erlangs, above 0 and below the number of servers.

    Returns:
        0..1.

    Raises:
        ValueError: There is no steady state.
    """
    rho = _load(load, 1, servers)
    blocked = erlang_b(servers, load)
    return blocked / (1 - rho * (1 - blocked))


def mmc_wait(servers: int, arrival_rate: float, service_rate: float) -> float:
    """Mean wait in M/M/c over all arrivals, ``C / (c mu - lambda)``."""
    _load(arrival_rate, service_rate, servers)
    return erlang_c(servers, arrival_rate / service_rate) / (servers * service_rate - arrival_rate)


def mmc_time(servers: int, arrival_rate: float, service_rate: float) -> float:
    """Mean time in the system of M/M/c."""
    return mmc_wait(servers, arrival_rate, service_rate) + 1 / service_rate


def mmc_wait_at_most(time: float, servers: int, arrival_rate: float, service_rate: float) -> float:
    """Share of arrivals in M/M/c that wait no longer than ``time`` (0 or above), ``1 - C exp(-(c mu - lambda) t)``."""
    if not time >= 0:
        raise ValueError(f"a wait is 0 or above, not {time}")
    _load(arrival_rate, service_rate, servers)
    waiting = erlang_c(servers, arrival_rate / service_rate)
    return 1 - waiting * math.exp(-(servers * service_rate - arrival_rate) * time)


class ErlangA(Struct, frozen=True):
    """M/M/c+M in its steady state: exponential patience, so it has one under any load.

    Attributes:
        wait_share: Share of arrivals that find every server busy, 0..1.
        abandon_share: Share of arrivals that leave before service, 0..1.
        utilisation: Share of server time that is busy, 0..1.
        waiting: Mean number waiting.
        mean_wait: Mean time waited by all arrivals, those that leave included.
    """

    wait_share: float
    abandon_share: float
    utilisation: float
    waiting: float
    mean_wait: float


def erlang_a(servers: int, arrival_rate: float, service_rate: float, mean_patience: float) -> ErlangA:
    """M/M/c+M by the balance of its birth and death process.

    Args:
        servers: 1 or more.
        arrival_rate: Above 0.
        service_rate: 1 / mean service, above 0.
        mean_patience: Mean time that an arrival is ready to wait, above 0.

    Returns:
        Shares and means.

    Raises:
        ValueError: An argument is outside its range.
    """
    _positive(arrival_rate=arrival_rate, service_rate=service_rate, mean_patience=mean_patience)
    if servers < 1:
        raise ValueError("a queue needs a server")
    # All relative to the state in which every server is busy and nobody waits: what is below it, by Erlang B...
    below = 1 / erlang_b(servers, arrival_rate / service_rate) - 1
    # ... and what is above it, state by state, until nothing is added any more. Terms grow as long as more arrive
    # than leave, so they are kept relative to their sum.
    above, weighted, term, number = 0.0, 0.0, 1.0, 0
    scale = 1.0
    while True:
        number += 1
        ratio = arrival_rate / (servers * service_rate + number / mean_patience)
        term *= ratio
        above += term
        weighted += number * term
        if above > 1e200:
            scale, above, weighted, term = scale / 1e200, above / 1e200, weighted / 1e200, term / 1e200
        if ratio < 1 and term * (number + 1) / (1 - ratio) < 1e-17 * min(weighted, above):
            break
    total = scale * (1 + below) + above
    waiting = weighted / total
    wait_share = (scale + above) / total
    abandon_share = waiting / mean_patience / arrival_rate
    utilisation = arrival_rate * (1 - abandon_share) / (servers * service_rate)
    return ErlangA(wait_share, abandon_share, utilisation, waiting, waiting / arrival_rate)
