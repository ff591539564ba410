"""A slow reader's inbox: what has come stands in line, each message takes its size over the rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Any

import msgspec
from msgspec import Struct

from simroom.scheduler.messages import Outgoing
from simroom.sim.engine import Engine
from simroom.sim.peers import Peer

_SECOND = 1_000_000


class Come(Struct, frozen=True, eq=False):
    """A message that has come over the network.

    Attributes:
        connection: Over which.
        act: What is called with ``argument`` when it has been taken in.
    """

    connection: int
    message: Outgoing
    act: Callable[[Any], None]
    argument: object


class Inbox:
    """The inbox of one peer.

    The size of a message is that of its JSON, as it would go over the wire; simulated speech is a few letters.
    """

    def __init__(self, engine: Engine, peer: Peer) -> None:
        self._engine = engine
        self._peer = peer
        self._rates: list[float] = []
        self._line: deque[Come] = deque()
        self._round = 0

    def slow_down(self, rate: float) -> None:
        """The peer reads this many bytes a second from now on, or fewer where it is slowed down twice."""
        self._rates.append(rate)
        self._read_first()

    def speed_up(self, rate: float) -> None:
        """Take back one slowing down; after the last one all that stands in line is taken in at once."""
        self._rates.remove(rate)
        if self._rates:
            self._read_first()
            return
        self._round += 1
        while self._line:
            self._take_in()

    def comes(self, come: Come) -> None:
        """A message has come."""
        if not self._rates:
            come.act(come.argument)
            return
        self._line.append(come)
        if len(self._line) == 1:
            self._read_first()

    def _read_first(self) -> None:
        """Begin to read what stands first in line; what came over a connection that is lost needs no time."""
        self._round += 1
        while self._line and self._line[0].connection != self._peer.connection:
            self._take_in()
        if self._line:
            size = len(msgspec.json.encode(self._line[0].message))
            at = self._engine.instant + ceil(size * _SECOND / min(self._rates))
            self._engine.call_at(at, self._read, self._round)

    def _read(self, begun_in: int) -> None:
        if begun_in == self._round:
            self._take_in()
            self._read_first()

    def _take_in(self) -> None:
        come = self._line.popleft()
        come.act(come.argument)
