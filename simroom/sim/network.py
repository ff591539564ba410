"""Hops: how long a message is on its way, in order on each connection."""

from __future__ import annotations

from array import array
from typing import Final

from simroom.workload.distributions import TABLE_SHIFT, Sampler

PLACES: Final = 1 << 64 - TABLE_SHIFT
"""Delays in the table of a hop: 8,192. What is rarer than 1 in 16,384 counts as if it were just that rare."""
LAST_PLACE: Final = PLACES - 1


class Hop:
    """One direction of all connections: their distribution of delays, and each one's luck and last arrival.

    The table holds equally likely delays (midpoints of quantiles) in a scattered order; a connection walks through it
    from a place of its own by steps of its own, odd, so that it meets every delay once before any twice. Connections
    are numbered densely, and those of one room lie side by side, so a fan-out touches little memory.

    Args:
        table: From ``delay_table``; hops alike share it.

    Attributes:
        table: Delays, microseconds, shape ``(PLACES,)``.
        place: Where in the table each connection stands.
        step: How far each connection goes with a message.
        free_at: When the last message on each connection arrives.

    All attributes are for the hot paths, which do what ``arrival`` does without calling it.
    """

    __slots__ = ("free_at", "place", "step", "table")

    def __init__(self, table: array[int]) -> None:
        self.table = table
        self.place = array("H")
        self.step = array("H")
        self.free_at = array("q")

    @property
    def arrays(self) -> tuple[array[int], array[int], array[int], array[int]]:
        """``table``, ``place``, ``step`` and ``free_at``: the same objects for as long as the hop lives."""
        return self.table, self.place, self.step, self.free_at

    def open(self, connection: int, luck: int) -> None:
        """A connection begins; 64 bits of luck are its own. Numbers come in ascending order."""
        while len(self.place) <= connection:
            self.place.append(luck & LAST_PLACE)
            self.step.append(luck >> 32 & LAST_PLACE | 1)
            self.free_at.append(0)

    def arrival(self, connection: int, now: int) -> int:
        """When a message sent now over the connection arrives: never before one that was sent over it earlier."""
        places = self.place
        places[connection] = place = places[connection] + self.step[connection] & LAST_PLACE
        at = now + self.table[place]
        free_at = self.free_at
        before = free_at[connection]
        if at < before:
            return before
        free_at[connection] = at
        return at


def delay_table(sampler: Sampler) -> array[int]:
    """The delays of a hop: the sampler's quantiles, in an order that is always the same and means nothing."""
    if sampler.cv2 == 0:
        return array("q", [sampler.exact(0)]) * PLACES
    half = 1 << TABLE_SHIFT - 1
    delays = list(sampler.table)
    delays += [sampler.exact((place << TABLE_SHIFT) + half) for place in range(len(delays), PLACES)]
    return array("q", [delays[_scattered(place)] for place in range(PLACES)])


def _scattered(place: int) -> int:
    """A fixed permutation of the places: shifts and odd factors, each of which can be undone."""
    place ^= place >> 7
    place = place * 0x0B4D & LAST_PLACE
    place ^= place >> 6
    place = place * 0x1A2B & LAST_PLACE
    return place ^ place >> 7
