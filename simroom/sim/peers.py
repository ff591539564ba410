"""Who is at the far end of a connection, as the port sees it: somebody, or nobody any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from simroom.oracle.ledger import NONE
from simroom.scheduler.messages import JobAssign
from simroom.scheduler.port import PeerKind


class Peer(Protocol):
    """What is at the far end of a connection."""

    name: str
    number: int
    """Its number in the ledger."""
    connection: int | None
    """Its connection as it sees it; None: it has none."""
    luck: int
    """64 bits of chance that are its own."""

    @property
    def kind(self) -> PeerKind:
        """Which path it connects on."""
        ...

    @property
    def steady(self) -> bool:
        """Nothing in the scenario can take its connection away."""
        ...

    @property
    def awaits_members(self) -> bool:
        """It is entering a room and waits to be shown the members."""
        ...

    def deliver(self, message: Any) -> None:
        """A message has arrived."""
        ...

    def cut(self) -> None:
        """Its connection has ended at the far side or on the way, and it notices; it comes back by itself."""
        ...


class Gone:
    """Behind a connection that has ended. What a scheduler sends there all the same reaches nobody."""

    name: Final = ""
    number: Final = NONE
    connection: Final = None
    luck: Final = 0
    steady: Final = False
    awaits_members: Final = False
    plan: Final = None

    def __init__(self, kind: PeerKind) -> None:
        self.kind: Final = kind

    def deliver(self, message: Any) -> None:
        """Nobody hears it."""

    def assigned(self, message: JobAssign) -> None:
        """Nobody works on it."""


GONE: Final[Mapping[PeerKind, Gone]] = {"session": Gone("session"), "node": Gone("node")}
"""One for each kind: nobody is like nobody else."""
