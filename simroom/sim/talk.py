"""What makes people speak: turn taking, a list of stretches of speech, or arrivals; one timer each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

from simroom.sim.clients import Client
from simroom.sim.engine import Engine
from simroom.workload.distributions import Sampler
from simroom.workload.streams import Stream
from simroom.workload.turn_taking import TurnTaking

AHEAD: Final = 8
"""Turns that are thought out together."""

Spoken = tuple[Client, int, int]
"""Who speaks, from when to when, on the engine's clock."""


class TurnTalk:
    """The talk of one room by turn taking: told turn by turn, in order of the ends.

    While everybody is there and nothing in the scenario takes anybody away, some turns are thought out together, each
    to be heard when it arrives: the same ones as one by one, at less cost.
    """

    __slots__ = ("_clients", "_engine", "_positions", "_talk", "_until", "_waiting")

    def __init__(self, engine: Engine, clients: Sequence[Client], talk: TurnTaking, until: int) -> None:
        self._engine = engine
        self._clients = clients
        self._positions = {client: position for position, client in enumerate(clients)}
        self._talk = talk
        self._until = until
        self._waiting = False

    def presence(self, client: Client) -> None:
        """Somebody has entered or left the room."""
        position = self._positions.get(client)
        if position is None:
            return
        self._talk.set_present(position, present=client.in_room)
        if self._waiting and client.in_room:
            self.begin(None)

    def begin(self, _argument: object) -> None:
        """Plan the next turn or turns; where nobody can speak, wait until somebody enters."""
        if all(client.in_room and client.steady for client in self._clients):
            self._plan_ahead()
            return
        turn = self._talk.next(self._engine.instant)
        self._waiting = turn is None
        if turn is not None and turn[2] <= self._until:
            self._engine.call_at(turn[2], self._ended, turn)

    def _plan_ahead(self) -> None:
        clients = self._clients
        now = self._engine.instant
        for _ in range(AHEAD):
            turn = self._talk.next(now)
            if turn is None:
                self._waiting = True
                return
            speaker, started_at, now = turn
            if now > self._until:
                return
            clients[speaker].will_speak(started_at, now)
        self._engine.call_at(now, self.begin)

    def _ended(self, turn: tuple[int, int, int]) -> None:
        speaker, started_at, ended_at = turn
        client = self._clients[speaker]
        if client.in_room:
            client.speak(started_at, ended_at)
        self.begin(None)


class ListedTalk:
    """Stretches of speech that are known beforehand, in order of their ends."""

    __slots__ = ("_engine", "_spoken")

    def __init__(self, engine: Engine, spoken: Iterator[Spoken]) -> None:
        self._engine = engine
        self._spoken = spoken

    def begin(self, _argument: object) -> None:
        """Plan the next one, if there is one."""
        following = next(self._spoken, None)
        if following is not None:
            self._engine.call_at(max(following[2], self._engine.instant), self._ended, following)

    def _ended(self, spoken: Spoken) -> None:
        client, started_at, ended_at = spoken
        client.speak(started_at, ended_at)
        self.begin(None)


def arriving(
    client: Client, ends: Iterator[int], lengths: Sampler, stream: Stream, longest: int | None, until: int
) -> Iterator[Spoken]:
    """Utterances that arrive by themselves, in order of their ends, whether or not earlier ones were answered.

    Args:
        client: Who speaks.
        ends: When utterances end; of one that is cut, when its first piece does. Ascending, on the engine's clock.
        lengths: How long they are, the pieces together.
        stream: Where the lengths come from, one draw each.
        longest: Longest piece; None: no cut.
        until: What ends later is not spoken.
    """
    rest: list[tuple[int, int, int]] = []  # ends of the pieces to come, a number that settles ties, starts
    number = 0
    for first_end in ends:
        if first_end > until:
            break
        while rest and rest[0][0] <= first_end:
            ended_at, _, started_at = heappop(rest)
            yield client, started_at, ended_at
        length = max(1, lengths(stream.bits()))
        first = length if longest is None or length <= longest else longest
        yield client, first_end - first, first_end
        begun, left = first_end, length - first
        while left > 0 and longest is not None:
            piece = min(left, longest)
            number += 1
            heappush(rest, (begun + piece, number, begun))
            begun += piece
            left -= piece
    while rest and rest[0][0] <= until:
        ended_at, _, started_at = heappop(rest)
        yield client, started_at, ended_at
