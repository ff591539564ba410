"""Two schedulers of one's own, for ``--scheduler own_scheduler:packed`` and ``--scheduler own_scheduler:forgetful``.

A scheduler is anything with the five calls of ``simroom.scheduler.port.SchedulerPort``: messages and the time go in,
``(connections, message)`` pairs come out. It is judged by the same oracle, from its messages alone.
"""

from __future__ import annotations

import msgspec

from simroom.scheduler.messages import Addressed, Incoming, TranslationResult
from simroom.scheduler.port import PeerKind, SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings


def packed(settings: Settings, sources: Sources) -> SchedulerPort:
    """The usual scheduler, which fills the first node before it uses the next, whatever the scenario says."""
    return Scheduler(msgspec.structs.replace(settings, tie_break="first"), sources)


def forgetful(settings: Settings, sources: Sources) -> SchedulerPort:
    """The usual scheduler with a fault: of several recipients it forgets the last one."""
    return Forgetful(Scheduler(settings, sources))


class Forgetful:
    """Passes everything on to another scheduler, and loses some of what that wants sent."""

    def __init__(self, inner: SchedulerPort) -> None:
        self._inner = inner

    @property
    def next_deadline(self) -> int | None:
        """When to be woken."""
        return self._inner.next_deadline

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        """A connection was opened."""
        return _forgotten(self._inner.opened(connection, kind, now))

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        """A message has come."""
        return _forgotten(self._inner.received(connection, message, now))

    def closed(self, connection: int, now: int) -> list[Addressed]:
        """A connection has ended."""
        return _forgotten(self._inner.closed(connection, now))

    def wake(self, now: int) -> list[Addressed]:
        """It is time."""
        return _forgotten(self._inner.wake(now))


def _forgotten(outputs: list[Addressed]) -> list[Addressed]:
    return [
        (to[:-1] if isinstance(message, TranslationResult) and len(to) > 1 else to, message) for to, message in outputs
    ]
