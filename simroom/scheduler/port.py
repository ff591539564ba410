"""What a driver needs of a scheduler, ours or a user's own: the whole interface, and nothing else."""

from __future__ import annotations

from typing import Literal, Protocol

from simroom.scheduler.messages import Addressed, Incoming
from simroom.scheduler.settings import Settings

PeerKind = Literal["session", "node"]


class Sources(Protocol):
    """Where a scheduler gets what it may not make up itself: ids, secrets, codes and chance.

    Seeded streams in the simulation, ``secrets`` behind real sockets. Ids never repeat within one scheduler.
    """

    def session_id(self) -> str:
        """A fresh session id."""
        ...

    def room_id(self) -> str:
        """A fresh room id, unique for ever."""
        ...

    def room_code(self) -> str:
        """Six digits; may repeat, the scheduler asks again while a living room has it."""
        ...

    def node_id(self) -> str:
        """A fresh id for a node that brings none."""
        ...

    def job_id(self) -> str:
        """A fresh job id."""
        ...

    def token(self) -> str:
        """A secret with which a session can resume."""
        ...

    def unix_time(self, now: int) -> int:
        """The instant ``now`` in microseconds since 1970, for the few messages that carry a date."""
        ...

    def choose(self, count: int) -> int:
        """One of ``0..count-1`` by chance, for ties that are settled so."""
        ...


class SchedulerPort(Protocol):
    """A scheduler seen from its driver.

    Every call takes ``now`` (whole microseconds, never decreasing) and returns what is to be sent, in order: each
    item is ``(connections, message)``. The driver numbers connections, each number once. After every call the
    driver looks at ``next_deadline`` and calls ``wake`` then, *after* handing over all messages of that instant.
    Waking early or needlessly does nothing.
    """

    @property
    def next_deadline(self) -> int | None:
        """The instant by which ``wake`` must be called; None: nothing to wait for. May be earlier than needed."""
        ...

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        """A connection was opened on the sessions' or the nodes' path."""
        ...

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        """A well-formed message has come over an open connection."""
        ...

    def closed(self, connection: int, now: int) -> list[Addressed]:
        """A connection has ended; nothing can be sent over it any more."""
        ...

    def wake(self, now: int) -> list[Addressed]:
        """Do what is due at ``now``."""
        ...


class SchedulerFactory(Protocol):
    """What ``--scheduler package.module:factory`` names."""

    def __call__(self, settings: Settings, sources: Sources) -> SchedulerPort:
        """Make a scheduler that knows nobody yet; its clock starts at 0."""
        ...
