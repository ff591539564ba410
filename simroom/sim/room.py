"""A room as its people know it, which is not always as the scheduler does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simroom.sim.clients import Client


class SimRoom:
    """A room as its people know it: by the code that they tell each other.

    Attributes:
        number: Its number in the ledger.
        code: None while nobody has opened it.
        opener: The client that is about to open it; None: nobody is.
        present_count: Clients that know themselves to be in it.
        on_presence: Called with a client as it enters or leaves; the room's talk follows it.
    """

    __slots__ = ("code", "name", "number", "on_presence", "opener", "present_count", "waiting")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.code: str | None = None
        self.opener: Client | None = None
        self.waiting: list[Client] = []
        self.present_count = 0
        self.on_presence: Callable[[Client], None] | None = None

    def opened(self, code: str) -> None:
        """The code is known: everybody who waited for it enters."""
        self.code = code
        self.opener = None
        waiting, self.waiting = self.waiting, []
        for client in waiting:
            client.enter()

    def opener_lost(self) -> None:
        """Whoever was about to open the room cannot: the next one does."""
        self.opener = None
        waiting, self.waiting = self.waiting, []
        for client in waiting:
            client.enter()

    def code_lost(self, code: str) -> None:
        """The code leads nowhere any more."""
        if self.code == code:
            self.code = None
