"""Hops: how long a message is on its way, in order on each connection."""

from __future__ import annotations

from array import array
from typing import Final

from simroom.workload.distributions import TABLE_SHIFT, Sampler

MASK: Final = (1 << 64) - 1
MULTIPLIER: Final = 6364136223846793005  # Knuth's MMIX generator: cheap, and its upper bits are good enough here
INCREMENT: Final = 1442695040888963407


class Hop:
    """One direction of all connections: their distribution of delays, and each one's luck and last arrival.

    Connections are numbered densely, and those of one room lie side by side, so a fan-out touches little memory.

    Attributes:
        table: Delays by the upper bits of a connection's luck; ``tail_from`` and ``exact`` as a sampler has them.
        luck: The state of each connection's own chance.
        free_at: When the last message on each connection arrives.

    All attributes are for the hot paths, which do what ``arrival`` does without calling it.
    """

    __slots__ = ("_fixed", "exact", "free_at", "luck", "table", "tail_from")

    def __init__(self, sampler: Sampler) -> None:
        self._fixed = sampler.exact(0) if sampler.cv2 == 0 else None
        self.table = sampler.table
        self.tail_from = sampler.tail_from
        self.exact = sampler.exact
        self.luck = array("Q")
        self.free_at = array("q")

    def open(self, connection: int, luck: int) -> None:
        """A connection with the next number begins; 64 bits of luck are its own."""
        while len(self.luck) <= connection:
            self.luck.append(luck)
            self.free_at.append(0)

    def arrival(self, connection: int, now: int) -> int:
        """When a message sent now over the connection arrives: never before one that was sent over it earlier."""
        delay = self._fixed
        if delay is None:
            luck = self.luck
            luck[connection] = chance = (luck[connection] * MULTIPLIER + INCREMENT) & MASK
            place = chance >> TABLE_SHIFT
            delay = self.table[place] if place < self.tail_from else self.exact(chance)
        at = now + delay
        free_at = self.free_at
        if at < free_at[connection]:
            return free_at[connection]
        free_at[connection] = at
        return at
