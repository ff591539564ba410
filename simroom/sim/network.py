"""Hops: how long a message is on its way, in order on each connection."""

from __future__ import annotations

from typing import Final

from simroom.workload.distributions import TABLE_SHIFT, Sampler

MASK: Final = (1 << 64) - 1
MULTIPLIER: Final = 6364136223846793005  # Knuth's MMIX generator: cheap, and its upper bits are good enough here
INCREMENT: Final = 1442695040888963407


class Hop:
    """One direction of all connections of a kind: its distribution of delays.

    Attributes:
        table: Delays by the upper bits of a way's luck; ``tail_from`` and ``exact`` as a sampler has them. For the hot
            paths, which do what ``arrival`` does without calling it.
    """

    __slots__ = ("_fixed", "exact", "table", "tail_from")

    def __init__(self, sampler: Sampler) -> None:
        self._fixed = sampler.exact(0) if sampler.cv2 == 0 else None
        self.table = sampler.table
        self.tail_from = sampler.tail_from
        self.exact = sampler.exact

    def arrival(self, way: Way, now: int) -> int:
        """When a message sent now over ``way`` arrives: never before one that was sent over it earlier."""
        delay = self._fixed
        if delay is None:
            way.luck = luck = (way.luck * MULTIPLIER + INCREMENT) & MASK
            place = luck >> TABLE_SHIFT
            delay = self.table[place] if place < self.tail_from else self.exact(luck)
        at = now + delay
        if at < way.free_at:
            return way.free_at
        way.free_at = at
        return at


class Way:
    """One direction of one connection: when its last message arrives, and its own luck."""

    __slots__ = ("free_at", "luck")

    def __init__(self, luck: int) -> None:
        self.luck = luck
        self.free_at = 0
