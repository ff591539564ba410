"""Ids, codes, secrets and ties for a scheduler in virtual time: the same ones for the same seed."""

from __future__ import annotations

from typing import Final

from simroom.workload.streams import Stream, stream_key

EPOCH: Final = 1_767_225_600_000_000
"""What the engine's time 0 is taken for where a date is wanted: 2026-01-01T00:00:00Z, in microseconds since 1970."""


CODES: Final = 1_000_000
"""Room codes that there are: six digits."""
TRIES: Final = 4
"""So many draws for each of few codes, before a scheduler that refuses them all is offered more: all may be taken."""


class SimSources:
    """Counted ids and seeded chance.

    Args:
        seed: The run's.
        code_count: How many different room codes there are, 1..1,000,000.
    """

    def __init__(self, seed: int, *, code_count: int = CODES) -> None:
        self._code_count = code_count
        self._tries = 0
        self._codes = Stream(stream_key(seed, "scheduler/room_code"))
        self._tokens = Stream(stream_key(seed, "scheduler/token"))
        self._ties = Stream(stream_key(seed, "scheduler/tie"))
        self._sessions = 0
        self._rooms = 0
        self._nodes = 0
        self._jobs = 0

    def session_id(self) -> str:
        """``session-1``, ``session-2``, ..."""
        self._sessions += 1
        return f"session-{self._sessions}"

    def room_id(self) -> str:
        """``room-1``, ``room-2``, ..."""
        self._rooms += 1
        self._tries = 0
        return f"room-{self._rooms}"

    def room_code(self) -> str:
        """Six digits by chance; out of few, but never so few that all of them can be taken for ever."""
        self._tries += 1
        more = max(0, self._tries - TRIES * self._code_count)
        return f"{self._codes.below(min(CODES, self._code_count + more)):06}"

    def node_id(self) -> str:
        """``node-1``, ``node-2``, ..."""
        self._nodes += 1
        return f"node-{self._nodes}"

    def job_id(self) -> str:
        """``job-1``, ``job-2``, ..."""
        self._jobs += 1
        return f"job-{self._jobs}"

    def token(self) -> str:
        """Sixteen hexadecimal digits by chance."""
        return f"{self._tokens.bits():016x}"

    def unix_time(self, now: int) -> int:
        """The engine's time as microseconds since 1970."""
        return EPOCH + now

    def choose(self, count: int) -> int:
        """One of ``0..count-1`` by chance."""
        return self._ties.below(count)

    def last_draws(self) -> tuple[int, ...]:
        """One more draw of each stream: two runs that drew differently differ here."""
        return self._codes.bits(), self._tokens.bits(), self._ties.bits()
