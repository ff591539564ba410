"""Waiting times of first-come-first-served queues by their recursions: what a simulated queue must equal."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapreplace


def waits(arrivals: Iterable[int], services: Iterable[int], *, servers: int = 1) -> list[int]:
    """How long each customer waits before its service starts.

    Kiefer and Wolfowitz's recursion: an arrival takes the server that is free first. With one server it is
    Lindley's, ``W(n+1) = max(0, W(n) + S(n) - A(n))``. Exact, in the unit of its input.

    Args:
        arrivals: Instants of arrival, never decreasing.
        services: Time each needs, in the same order, 0 or above.
        servers: How many serve at once, 1 or more.

    Returns:
        One waiting time for each arrival, in order.

    Raises:
        ValueError: An arrival is before the one in front of it, there are not as many services as arrivals, or
            there is no server.
    """
    if servers < 1:
        raise ValueError("a queue needs a server")
    free_at: list[int] | None = None
    last = 0
    found = []
    for arrival, service in zip(arrivals, services, strict=True):
        if free_at is None:
            free_at = [arrival] * servers
        elif arrival < last:
            raise ValueError(f"an arrival at {arrival} comes after one at {last}")
        last = arrival
        started_at = max(arrival, free_at[0])
        heapreplace(free_at, started_at + service)
        found.append(started_at - arrival)
    return found
