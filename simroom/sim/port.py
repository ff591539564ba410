"""The scheduler's port in virtual time: hands messages in, judges, carries messages out, wakes it when it asks.

Every connection has one peer, a simulated client or node, and a number that is never used again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, Final

from simroom.oracle.ledger import NONE, Ledger
from simroom.oracle.oracle import Oracle
from simroom.scheduler.messages import (
    Addressed,
    Incoming,
    JobAssign,
    JobResult,
    Outgoing,
    RoomMembers,
    TranslationResult,
    Utterance,
)
from simroom.scheduler.port import PeerKind, SchedulerPort
from simroom.sim.engine import AFTER_MESSAGES, Engine
from simroom.sim.network import LAST_PLACE, Hop
from simroom.sim.peers import GONE, Peer
from simroom.sim.progress import Wakes
from simroom.workload.streams import mix

_OPENED: Final = 0
_CLOSED: Final = 1
_UP: Final = 1
_DOWN: Final = 2
_AGAIN: Final = 3
JOURNAL_MAX: Final = 100
"""So many entries are judged together: enough to stay in one kind of code, few enough to stay in the caches."""

UtteranceRow = tuple[int, int, int, int, int, int]
"""What the ledger notes of an utterance: speaker, room, index, source language, start and end."""

_Entry = tuple[Callable[[Any, Any, Any, Any], None], Any, Any, Any, Any]
"""A call of the oracle that is still to be made, with its four arguments."""


class Port:
    """Between the world and the scheduler.

    What passes the port is entered in a journal, which the oracle judges some hundred entries at a time: the same
    calls in the same order, only later, which keeps each side's code and data in the processor's caches.

    A result for a steady client is noted as arrived when it is sent: nothing between then and its arrival can change
    that it arrives or when, so it needs no entry of its own in the engine's queue.

    Attributes:
        airborne: Utterances and results that are on their way, and ends of connections.
    """

    def __init__(
        self,
        engine: Engine,
        scheduler: SchedulerPort,
        oracle: Oracle,
        ledger: Ledger,
        hops: dict[tuple[PeerKind, str], Hop],
    ) -> None:
        self._engine = engine
        self._oracle = oracle
        self._ledger = ledger
        self._session_up = hops["session", "up"]
        self._session_down = hops["session", "down"]
        self._node_up = hops["node", "up"]
        self._node_down = hops["node", "down"]
        self._up: dict[PeerKind, Hop] = {"session": self._session_up, "node": self._node_up}
        self._down: dict[PeerKind, Hop] = {"session": self._session_down, "node": self._node_down}
        # By connection, of all that there ever were: the peer, its number in the ledger, whether it is steady.
        self._peers: list[Any] = []
        self._numbers = array("l")
        self._steady = bytearray()
        self._node_up_arrays = self._node_up.arrays
        self._node_down_arrays = self._node_down.arrays
        self._fan_out_arrays = *self._session_down.arrays, self._steady
        self._codes: dict[type, int] = {}
        self._wakes = Wakes()
        self._journal: list[_Entry] = []
        self.trace = array("q")
        """Control messages as (instant, first connection, kind, how many); jobs and results are in the ledger."""
        self.airborne = 0
        # Bound once: a bound method is an object, and these are used for every message.
        self._on_received = self._received
        self._on_heard = self._heard
        self._on_answered = self._answered
        self._judge_received = oracle.received
        self._carries(scheduler)

    def _carries(self, scheduler: SchedulerPort) -> None:
        """From now on it is this scheduler that messages are carried to and from."""
        self._scheduler = scheduler
        self._receive = scheduler.received
        # A scheduler that writes down what it does may want to know what the scenario calls whom.
        self._tell_name: Callable[[int, str], None] | None = getattr(scheduler, "named", None)
        self._armed_at: int | None = None

    # --- towards the scheduler

    def open(self, peer: Peer) -> int:
        """Open a connection for a peer; returns its number. The scheduler hears of it after the way up.

        Nothing keeps the order between two connections, even of one peer: its new one may be there before the old
        one's end is noticed.
        """
        connection = len(self._numbers)
        self._numbers.append(peer.number)
        self._steady.append(peer.steady)
        self._peers.append(peer)
        self._oracle.named(connection, peer.name)
        if self._tell_name is not None:
            self._tell_name(connection, peer.name)
        luck = peer.luck
        peer.luck = mix(luck, _AGAIN)
        # Both kinds of hop: a scheduler may send to anybody what is not meant for its kind.
        for up in self._up.values():
            up.open(connection, mix(luck, _UP))
        for down in self._down.values():
            down.open(connection, mix(luck, _DOWN))
        self._announce(peer, connection)
        return connection

    def _announce(self, peer: Peer, connection: int) -> None:
        """Have the scheduler hear of a new connection."""
        at = self._up[peer.kind].arrival(connection, self._engine.instant)
        self._engine.call_at(at, self._opened, (connection, peer.kind))

    def close(self, peer: Peer, connection: int, unnoticed_time: int = 0) -> None:
        """End a connection from the peer's side; what it sent before arrives before.

        Args:
            peer: Whose it is.
            connection: Which.
            unnoticed_time: How much longer than the way up takes until the scheduler hears of it.
        """
        self.airborne += 1
        at = self._up[peer.kind].arrival(connection, self._engine.instant) + unnoticed_time
        self._engine.call_at(at, self._closed, connection)

    def send(self, peer: Peer, connection: int, message: Incoming) -> None:
        """Send a message to the scheduler."""
        engine = self._engine
        at = self._up[peer.kind].arrival(connection, engine.instant)
        engine.call_at(at, self._on_received, (connection, message))

    def answer(self, connection: int, message: JobResult) -> None:
        """Send a node's result to the scheduler: as ``send``, with ``Hop.arrival`` written out for the many."""
        table, places, steps, free_at = self._node_up_arrays
        places[connection] = spot = places[connection] + steps[connection] & LAST_PLACE
        engine = self._engine
        at = engine.instant + table[spot]
        before = free_at[connection]
        if at < before:
            at = before
        else:
            free_at[connection] = at
        engine.call_at(at, self._on_answered, (connection, message))

    def speak(self, connection: int, message: Utterance, row: UtteranceRow) -> None:
        """Send an utterance to the scheduler."""
        engine = self._engine
        self.airborne += 1
        at = self._session_up.arrival(connection, engine.instant)
        engine.call_at(at, self._on_heard, (connection, message, row))

    def call_later(self, span: int, act: Callable[[Any], None], argument: object) -> None:
        """Have ``act(argument)`` called in so many microseconds."""
        self._engine.call_at(self._engine.instant + span, act, argument)

    def call_at_arrival(self, connection: int, sent_at: int, act: Callable[[Any], None], argument: object) -> None:
        """Have an utterance made when it arrives at the scheduler; ``act`` counts it as landed and may ``hear`` it.

        For what is sent at ``sent_at`` over a connection that nothing takes away and nothing else is sent over before.
        """
        self.airborne += 1
        self._engine.call_at(self._session_up.arrival(connection, sent_at), act, argument)

    def _opened(self, argument: tuple[int, PeerKind]) -> None:
        connection, kind = argument
        now = self._engine.instant
        outputs = self._scheduler.opened(connection, kind, now)
        self._journal.append((self._oracle.opened, connection, kind, now, outputs))
        self.trace.extend((now, connection, _OPENED, 1))
        self._after(outputs, now)

    def _closed(self, connection: int) -> None:
        self.airborne -= 1
        now = self._engine.instant
        outputs = self._scheduler.closed(connection, now)
        self._journal.append((self._judge_closed, connection, None, now, outputs))
        self.trace.extend((now, connection, _CLOSED, 1))
        self._peers[connection] = GONE[self._peers[connection].kind]
        self._after(outputs, now)

    def _heard(self, argument: tuple[int, Utterance, UtteranceRow]) -> None:
        connection, message, row = argument
        self.airborne -= 1
        message.audio.row = self._ledger.utterance(*row)  # type: ignore[attr-defined]
        self.hear(connection, message)

    def hear(self, connection: int, message: Utterance) -> None:
        """An utterance has arrived at the scheduler, and has its row in the ledger."""
        now = self._engine.instant
        outputs = self._receive(connection, message, now)
        self._journal.append((self._judge_received, connection, message, now, outputs))
        self._after(outputs, now)
        if len(self._journal) > JOURNAL_MAX:
            self.judge()

    def _received(self, argument: tuple[int, Incoming]) -> None:
        connection, message = argument
        now = self._engine.instant
        outputs = self._receive(connection, message, now)
        self._journal.append((self._judge_received, connection, message, now, outputs))
        self._after(outputs, now)

    def _answered(self, argument: tuple[int, JobResult]) -> None:
        connection, message = argument
        now = self._engine.instant
        outputs = self._receive(connection, message, now)
        self._journal.append((self._judge_received, connection, message, now, outputs))
        if len(outputs) == 1:
            to, result = outputs[0]
            if type(result) is TranslationResult:  # the usual answer: a result and nothing else
                self._send_result(to, result, 0, now)
                if self._scheduler.next_deadline != self._armed_at:
                    self._arm(now)
                return
        self._after(outputs, now)

    def _woken(self, due: int) -> None:
        if due != self._armed_at:
            return  # an earlier deadline came up since, and with it another call
        self._armed_at = None
        now = self._engine.instant
        outputs = self._scheduler.wake(now)
        self._journal.append((self._judge_woken, None, None, now, outputs))
        self._after(outputs, now)
        if self._armed_at is not None and self._armed_at <= now:
            self._wakes.count(now, in_vain=not outputs)
            if len(self._journal) > JOURNAL_MAX:
                self.judge()

    # --- from the scheduler

    def _after(self, outputs: list[Addressed], now: int) -> None:
        if outputs:
            results = 0
            table, places, steps, free_at = self._node_down_arrays
            for to, message in outputs:
                kind = type(message)
                if kind is JobAssign:
                    try:
                        (connection,) = to
                    except ValueError:
                        continue  # a scheduler's mistake, and not one that can be carried out
                    places[connection] = spot = places[connection] + steps[connection] & LAST_PLACE
                    at = now + table[spot]
                    before = free_at[connection]
                    if at < before:
                        at = before
                    else:
                        free_at[connection] = at
                    node = self._peers[connection]
                    if node.plan is not None:
                        node.plan(message, at)
                    else:
                        self._engine.call_at(at, node.assigned, message)
                elif kind is TranslationResult:
                    self._send_result(to, message, results, now)  # type: ignore[arg-type]
                    results += 1
                else:
                    self._send_other(to, message, now)
        if self._scheduler.next_deadline != self._armed_at:
            self._arm(now)

    def _arm(self, now: int) -> None:
        """See to it that the scheduler is woken when it wants to be."""
        deadline = self._scheduler.next_deadline
        if deadline is not None and (self._armed_at is None or deadline < self._armed_at):
            self._armed_at = deadline
            self._engine.call_at(max(deadline, now), self._woken, deadline, AFTER_MESSAGES)

    def _send_result(self, to: tuple[int, ...], message: TranslationResult, place: int, now: int) -> None:
        table, places, steps, free_at, are_steady = self._fan_out_arrays
        instants = []
        steady = 1
        for connection in to:
            places[connection] = spot = places[connection] + steps[connection] & LAST_PLACE
            at = now + table[spot]
            before = free_at[connection]
            if at < before:
                at = before
            else:
                free_at[connection] = at
            instants.append(at)
            steady &= are_steady[connection]
        if steady:
            self._journal.append((self._judge_arrivals, to, message, place, instants))
        else:
            self._send_one_by_one(to, message, place, instants)

    def _send_one_by_one(
        self, to: tuple[int, ...], message: TranslationResult, place: int, instants: list[int]
    ) -> None:
        """Send a result to clients of which some may be gone when it arrives."""
        self.judge()
        row = self._oracle.sent_rows[place]
        for connection, at in zip(to, instants, strict=True):
            peer = self._peers[connection]
            if peer.steady:
                self._arrives(connection, message, row, at)
            else:
                self.airborne += 1
                self._engine.call_at(at, self._result_arrived, (peer, connection, message, row))

    def _result_arrived(self, argument: tuple[Peer, int, TranslationResult, int]) -> None:
        peer, connection, message, row = argument
        self.airborne -= 1
        if peer.connection == connection:  # else it was on its way when the connection was lost
            self._arrives(connection, message, row, self._engine.instant)

    def _arrives(self, connection: int, message: TranslationResult, row: int, at: int) -> None:
        self._journal.append((self._judge_arrival, connection, message, row, at))

    def _send_other(self, to: tuple[int, ...], message: Outgoing, now: int) -> None:
        if not to:
            return
        kind = type(message)
        code = self._codes.setdefault(kind, len(self._codes) + 2)
        self.trace.extend((now, to[0], code, len(to)))
        if kind is RoomMembers:
            # The first is the one who enters; the others only redraw their lists, and nothing follows from that.
            to = to[:1] if self._peers[to[0]].awaits_members else ()
        for connection in to:
            peer = self._peers[connection]
            hop = self._down[peer.kind]
            self._engine.call_at(hop.arrival(connection, now), self._other_arrived, (peer, connection, message))

        if len(self._journal) > JOURNAL_MAX:
            self.judge()

    def _other_arrived(self, argument: tuple[Peer, int, Outgoing]) -> None:
        peer, connection, message = argument
        if peer.connection == connection:
            peer.deliver(message)

    # --- judging

    @property
    def busy(self) -> bool:
        """Whether anything is on its way or being worked on."""
        self.judge()
        return self.airborne > 0 or self._oracle.living > 0

    def judge(self) -> None:
        """Have the oracle judge what has passed since it last did."""
        journal, self._journal = self._journal, []
        self._oracle.judge(journal)

    def _judge_closed(self, connection: int, _nothing: None, now: int, outputs: list[Addressed]) -> None:
        self._oracle.closed(connection, now, outputs)

    def _judge_woken(self, _nothing: None, _nor_this: None, now: int, outputs: list[Addressed]) -> None:
        self._oracle.woken(now, outputs)

    def _judge_arrivals(self, to: tuple[int, ...], message: TranslationResult, place: int, instants: list[int]) -> None:
        row = self._oracle.sent_rows[place]
        self._oracle.all_arrived(to, message, row, instants)
        if row != NONE:
            numbers = self._numbers
            self._ledger.deliveries_of(row, [numbers[connection] for connection in to], instants)

    def _judge_arrival(self, connection: int, message: TranslationResult, row: int, at: int) -> None:
        self._oracle.arrived(connection, message, row, at)
        if row != NONE:
            self._ledger.delivery(row, self._numbers[connection], at)


CALLS: Final[Mapping[CodeType, str]] = {
    Port.open.__code__: "a connection's name",
    Port._opened.__code__: "a connection was opened",
    Port._closed.__code__: "a connection has ended",
    Port.hear.__code__: "",
    Port._received.__code__: "",
    Port._answered.__code__: "",
    Port._woken.__code__: "it was woken",
    Port._after.__code__: "when to wake it",
    Port._arm.__code__: "when to wake it",
}
"""The functions in which a scheduler is called, and what for; empty: for a message."""
