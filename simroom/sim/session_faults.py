"""Faults of sessions at an instant: they drop out, leave, change their language, close, read slowly, say more."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from simroom.scenario.faults import Burst, ChangeLanguage, CloseSession, DropConnection, LeaveRoom, SlowReader
from simroom.sim.clients import Client
from simroom.sim.engine import Engine
from simroom.sim.links import TroubledPort
from simroom.sim.strikes import LENGTH, NOTICED, UNTIL, Clock, Ends, Strike
from simroom.sim.ties import rounded_up
from simroom.workload.streams import mix

SessionFault = DropConnection | LeaveRoom | ChangeLanguage | CloseSession | SlowReader | Burst


class _Away(Struct, frozen=True):
    """Somebody is away, for the nth time: who has come back and is away again does not come back for the first."""

    client: Client
    times: int


class SessionFaults:
    """Has faults of sessions happen, and undone.

    Args:
        engine: Where time passes.
        clock: When faults are over.
        port: Where the clients' links are.
        grid: Speech ends on multiples of it; 1: anywhere.
    """

    def __init__(self, engine: Engine, clock: Clock, port: TroubledPort, *, grid: int) -> None:
        self._engine = engine
        self._clock = clock
        self._port = port
        self._grid = grid
        self._dropped: dict[Client, int] = {}
        self._left: dict[Client, int] = {}

    def happen(self, action: SessionFault, clients: Sequence[Client], strike: Strike) -> Ends:
        """Have a fault happen to these sessions."""
        match action:
            case DropConnection():
                return self._drop(action, clients, strike)
            case LeaveRoom():
                return self._leave(action, clients, strike)
            case ChangeLanguage(preferred_lang=language):
                return self._change(language, clients)
            case CloseSession():
                return self._close(clients)
            case SlowReader():
                return self._read_slowly(action, clients, strike)
            case Burst():
                return self._say_more(action, clients, strike)

    def _drop(self, action: DropConnection, clients: Sequence[Client], strike: Strike) -> Ends:
        ends: Ends = []
        clock = self._clock
        for client in clients:
            unnoticed_time = 0
            if action.noticed is not None:
                unnoticed_time = clock.until(action.noticed, strike.luck(NOTICED, client.name)) - clock.now
            if not client.drop(unnoticed_time):
                continue
            self._dropped[client] = times = self._dropped.get(client, 0) + 1
            luck = strike.luck(UNTIL, client.name)
            # In a script somebody is away until a line says otherwise.
            until = (clock.until_or_never if strike.scripted else clock.until)(action.duration, luck)
            if until is not None:
                self._engine.call_at(until, self._connect, _Away(client, times))
            ends.append(until)
        return ends

    def _connect(self, away: _Away) -> None:
        if self._dropped[away.client] == away.times:
            away.client.connect()

    def _leave(self, action: LeaveRoom, clients: Sequence[Client], strike: Strike) -> Ends:
        ends: Ends = []
        for client in clients:
            if not client.wants_in:
                continue
            client.leave()
            self._left[client] = times = self._left.get(client, 0) + 1
            until = self._clock.until_or_never(action.duration, strike.luck(UNTIL, client.name))
            if until is not None:
                self._engine.call_at(until, self._come_back, _Away(client, times))
            ends.append(until)
        return ends

    def _come_back(self, away: _Away) -> None:
        if self._left[away.client] == away.times:
            away.client.come_back()

    @staticmethod
    def _change(language: str | None, clients: Sequence[Client]) -> Ends:
        changing = [client for client in clients if client.room is not None and client.preferred_lang != language]
        for client in changing:
            client.change_language(language)
        return [None for _ in changing]

    @staticmethod
    def _close(clients: Sequence[Client]) -> Ends:
        # Who has not come yet has no session to close, and comes later all the same.
        closing = [
            client
            for client in clients
            if not client.closing and (client.connection is not None or client.session_id is not None)
        ]
        for client in closing:
            client.close()
        return [None for _ in closing]

    def _read_slowly(self, action: SlowReader, clients: Sequence[Client], strike: Strike) -> Ends:
        ends: Ends = []
        for client in clients:
            until = self._clock.until(action.duration, strike.luck(UNTIL, client.name))
            self._port.inbox(client).slow_down(action.rate)
            self._engine.call_at(until, self._read_faster, (client, action.rate))
            ends.append(until)
        return ends

    def _read_faster(self, argument: tuple[Client, int]) -> None:
        client, rate = argument
        self._port.inbox(client).speed_up(rate)

    def _say_more(self, action: Burst, clients: Sequence[Client], strike: Strike) -> Ends:
        clock = self._clock
        for client in clients:
            luck = strike.luck(LENGTH, client.name)
            for number in range(action.utterances):
                length = max(1, clock.draw(action.length, mix(luck, number)))
                at = rounded_up(clock.now + action.within * (number + 1) // action.utterances, self._grid)
                if at <= clock.heal_at:
                    self._engine.call_at(at, self._say, (client, at - length, at))
        return [min(clock.now + action.within, clock.heal_at) for _ in clients]

    @staticmethod
    def _say(argument: tuple[Client, int, int]) -> None:
        client, started_at, ended_at = argument
        client.speak(started_at, ended_at)
