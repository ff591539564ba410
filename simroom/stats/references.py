"""Queues played exactly on given draws, one short function each: what a simulated queue must equal to the microsecond.

Time is whole. First come, first served with any number of servers is ``lindley.waits``. Where things happen at one
instant, ends come before what they make room for, and arrivals follow one after the other in the order given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from heapq import heappop, heappush, heapreplace
from math import ceil


def _check(arrivals: Sequence[int], servers: int, **columns: Sequence[int]) -> None:
    """Refuse what no queue could be fed with, naming the row (counted from 0)."""
    if servers < 1:
        raise ValueError("a queue needs a server")
    for row in range(1, len(arrivals)):
        if arrivals[row] < arrivals[row - 1]:
            raise ValueError(f"row {row}: an arrival at {arrivals[row]} comes after one at {arrivals[row - 1]}")
    for name, column in columns.items():
        if len(column) != len(arrivals):
            raise ValueError(f"{len(arrivals)} arrivals with {len(column)} {name}")
        for row, value in enumerate(column):
            if value < 0:
                raise ValueError(f"row {row}: {name} of {value} are negative")


def processor_sharing(arrivals: Sequence[int], works: Sequence[int]) -> list[int]:
    """When each job ends on a server that divides its speed evenly among all that are there.

    Computed in fractions. An end that falls between two whole instants is seen at the next one, and until it is seen
    the job takes its share, as on a machine whose clock ticks.

    Args:
        arrivals: Instants of arrival, never decreasing, shape ``(n,)``.
        works: Time each would need alone, 0 or above, in the same order.

    Returns:
        Instants of ending, in order of arrival.

    Raises:
        ValueError: The draws make no sense.
    """
    _check(arrivals, 1, works=works)
    ends = [0] * len(arrivals)
    running: list[tuple[Fraction, int]] = []  # what each will have got when it ends, and its row
    got = Fraction(0)  # what each of those running has got since the beginning
    now = 0

    def play(until: int | None) -> None:
        nonlocal got, now
        while running:
            seen_at = now + max(0, ceil((running[0][0] - got) * len(running)))
            if until is not None and seen_at > until:
                break
            got += Fraction(seen_at - now, len(running))
            now = seen_at
            while running and running[0][0] <= got:
                ends[heappop(running)[1]] = now
        if until is not None:
            got += Fraction(until - now, len(running)) if running else 0
            now = until

    if arrivals:
        now = arrivals[0]
    for row, (arrival, work) in enumerate(zip(arrivals, works, strict=True)):
        play(arrival)
        heappush(running, (got + work, row))
    play(None)
    return ends


def priorities(
    arrivals: Sequence[int], services: Sequence[int], classes: Sequence[int], *, servers: int = 1
) -> list[int]:
    """How long each job waits where a server that becomes free takes the most urgent, and nobody is interrupted.

    Args:
        arrivals: Instants of arrival, never decreasing, shape ``(n,)``.
        services: Time each needs, 0 or above.
        classes: How urgent each is, 0 or above: a smaller number goes first, within a number who came first.
        servers: How many serve at once, 1 or more.

    Returns:
        Waiting times, in order of arrival.

    Raises:
        ValueError: The draws make no sense.
    """
    _check(arrivals, servers, services=services, classes=classes)
    waits = [0] * len(arrivals)
    free_at = [arrivals[0] if arrivals else 0] * servers
    waiting: list[tuple[int, int]] = []

    def begin_next(at: int) -> None:
        _, row = heappop(waiting)
        waits[row] = at - arrivals[row]
        heapreplace(free_at, at + services[row])

    for row, arrival in enumerate(arrivals):
        while waiting and free_at[0] <= arrival:
            begin_next(free_at[0])
        heappush(waiting, (classes[row], row))
        if free_at[0] <= arrival:
            begin_next(arrival)
    while waiting:
        begin_next(free_at[0])
    return waits


def finite_room(
    arrivals: Sequence[int], services: Sequence[int], *, servers: int = 1, room: int = 0
) -> list[int | None]:
    """First come, first served where at most ``room`` wait: who comes to a full house is turned away.

    With no room at all it is Erlang's loss system.

    Args:
        arrivals: Instants of arrival, never decreasing, shape ``(n,)``.
        services: Time each needs, 0 or above.
        servers: How many serve at once, 1 or more.
        room: How many may wait, 0 or more, those in service not counted.

    Returns:
        Waiting times in order of arrival; None for who was turned away.

    Raises:
        ValueError: The draws make no sense.
    """
    _check(arrivals, servers, services=services)
    if room < 0:
        raise ValueError("a waiting room has no negative size")
    free_at = [arrivals[0] if arrivals else 0] * servers
    starts: deque[int] = deque()  # of those who waited when last looked at, in order
    waits: list[int | None] = []
    for arrival, service in zip(arrivals, services, strict=True):
        while starts and starts[0] <= arrival:
            starts.popleft()
        start = max(arrival, free_at[0])
        if start > arrival:
            if len(starts) >= room:
                waits.append(None)
                continue
            starts.append(start)
        heapreplace(free_at, start + service)
        waits.append(start - arrival)
    return waits


def with_patience(
    arrivals: Sequence[int], services: Sequence[int], patience: Sequence[int], *, servers: int = 1
) -> list[int | None]:
    """First come, first served where each leaves who has waited as long as its patience lasts.

    Whoever is going to leave holds nobody up, and who stays begins when a server is free: a job's fate depends only
    on those before it. A job whose turn comes at the very end of its patience is served.

    Args:
        arrivals: Instants of arrival, never decreasing, shape ``(n,)``.
        services: Time each needs, 0 or above.
        patience: How long each is ready to wait, 0 or above.
        servers: How many serve at once, 1 or more.

    Returns:
        Waiting times in order of arrival; None for who left, having waited for all its patience.

    Raises:
        ValueError: The draws make no sense.
    """
    _check(arrivals, servers, services=services, patience=patience)
    free_at = [arrivals[0] if arrivals else 0] * servers
    waits: list[int | None] = []
    for arrival, service, limit in zip(arrivals, services, patience, strict=True):
        start = max(arrival, free_at[0])
        if start - arrival > limit:
            waits.append(None)
            continue
        heapreplace(free_at, start + service)
        waits.append(start - arrival)
    return waits


def shortest_queue(arrivals: Sequence[int], services: Sequence[int], *, nodes: int) -> list[tuple[int, int]]:
    """Nodes that serve one after the other; each job goes to the one with the fewest jobs, ties in rotation.

    The pointer of the rotation stands after the node placed on last, whether there was a tie or not.

    Args:
        arrivals: Instants of arrival, never decreasing, shape ``(n,)``.
        services: Time each needs, 0 or above.
        nodes: How many nodes, 1 or more.

    Returns:
        For each job, in order of arrival, the node it went to (0..nodes-1) and how long it waited there.

    Raises:
        ValueError: The draws make no sense.
    """
    _check(arrivals, nodes, services=services)
    ends: list[deque[int]] = [deque() for _ in range(nodes)]  # of the jobs that are on each node, ascending
    pointer = 0
    found = []
    for arrival, service in zip(arrivals, services, strict=True):
        for node in ends:
            while node and node[0] <= arrival:
                node.popleft()
        order = [(pointer + step) % nodes for step in range(nodes)]
        chosen = min(order, key=lambda place: len(ends[place]))
        pointer = (chosen + 1) % nodes
        start = max(arrival, ends[chosen][-1]) if ends[chosen] else arrival
        ends[chosen].append(start + service)
        found.append((chosen, start - arrival))
    return found
