"""Links in trouble: held up, cut, slowed or doubled; and the port of worlds in which that can happen.

A world without faults and scripts has the plain port: nothing here is on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec import Struct

from simroom.oracle.ledger import Ledger
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
from simroom.sim.engine import Engine
from simroom.sim.inbox import Come, Inbox
from simroom.sim.network import Hop
from simroom.sim.peers import GONE, Peer
from simroom.sim.port import JOURNAL_MAX, Port, UtteranceRow
from simroom.sim.tally import Tally
from simroom.workload.distributions import Sampler
from simroom.workload.streams import mix_one, stream_key

Way = Literal["up", "down"]
"""To the scheduler, or from it."""

_RESTARTED: Final = -1


class Chance(Struct, frozen=True):
    """Something that happens to a share of messages, each by a draw of its own.

    Attributes:
        key: What decides is made from these 64 bits and from what the message is about.
        below: How many of 2**64 draws it happens to.
        begin: The first instant at which it can, on the engine's clock; before ``end``.
        tally: Counts how often it did.
        by: How much; None: there is no how much.
    """

    key: int
    below: int
    begin: int
    end: int
    tally: Tally
    by: Sampler | None = None

    def strikes(self, about: str, now: int) -> int | None:
        """Whether it happens to what is sent now; then 64 bits to draw how much from."""
        if not self.begin <= now < self.end:
            return None
        bits = stream_key(self.key, about)
        if bits >= self.below:
            return None
        self.tally.fire(now)
        return mix_one(bits, 1)


class Link:
    """What can go wrong, and does at present, between one peer and the scheduler.

    Attributes:
        held_until: What is sent before arrives then at the earliest, by way.
        cut_count: Cuts that are under way, by way.
        inbox: Where what it is sent stands in line, if it can be a slow reader; None: it is none.
        delays: Chances that a message is late, by way.
        doubles: Chances that an utterance is sent twice.
        unheard: Its connections of which the scheduler will never hear.
        unended: Its connections that have ended during a cut, so that the scheduler does not know it yet.
    """

    __slots__ = ("cut_count", "delays", "doubles", "held_until", "inbox", "name", "sent_counts", "unended", "unheard")

    def __init__(self, name: str) -> None:
        self.name = name
        self.held_until: dict[Way, int] = {"up": 0, "down": 0}
        self.cut_count: dict[Way, int] = {"up": 0, "down": 0}
        self.inbox: Inbox | None = None
        self.delays: dict[Way, list[Chance]] = {"up": [], "down": []}
        self.doubles: list[Chance] = []
        self.unheard: list[int] = []
        self.unended: list[int] = []
        self.sent_counts: dict[str, int] = {}

    @property
    def is_cut(self) -> bool:
        """Whether what is sent is lost, one way at least."""
        return self.cut_count["up"] > 0 or self.cut_count["down"] > 0

    def about(self, message: Incoming | Outgoing) -> str:
        """What a message is about, in words that no other message over this link has.

        What comes of speech is known by its payload and attempt, whatever else is said; the rest is counted by kind.
        """
        match message:
            case Utterance(audio=audio):
                return f"{self.name} {audio}"
            case JobAssign(audio=audio, tgt_lang=tgt_lang, attempt_id=attempt):
                return f"{self.name} {audio} {tgt_lang} {attempt}"
            case JobResult(success=True, tts_audio=payload, attempt_id=attempt):
                return f"{self.name} {payload} {attempt}"
            case TranslationResult(tts_audio=payload):
                return f"{self.name} {payload}"
            case _:
                kind = str(message.__struct_config__.tag)
                count = self.sent_counts[kind] = self.sent_counts.get(kind, 0) + 1
                return f"{self.name} {kind} {count}"


class TroubledPort(Port):
    """A port of which links can be in trouble, and whose scheduler can be another one from some time on.

    Attributes:
        links: Of all peers that can ever be in trouble.
    """

    def __init__(
        self,
        engine: Engine,
        scheduler: SchedulerPort,
        oracle: Oracle,
        ledger: Ledger,
        hops: dict[tuple[PeerKind, str], Hop],
    ) -> None:
        super().__init__(engine, scheduler, oracle, ledger, hops)
        self.links: dict[Peer, Link] = {}
        self._first = 0
        """Connections before it ended with an earlier scheduler."""

    def link(self, peer: Peer) -> Link:
        """The link of a peer that can be in trouble."""
        link = self.links.get(peer)
        if link is None:
            link = self.links[peer] = Link(peer.name)
        return link

    # --- trouble

    def hold(self, peer: Peer, way: Way, until: int) -> None:
        """What the peer sends (``up``) or is sent (``down``) before ``until`` arrives then at the earliest."""
        held_until = self.link(peer).held_until
        held_until[way] = max(held_until[way], until)
        if peer.connection is not None:
            self._hold(self._hop(peer, way), peer.connection, until)

    def cut(self, peer: Peer, way: Way) -> None:
        """From now on what the peer sends, or is sent, is lost."""
        self.link(peer).cut_count[way] += 1

    def mend(self, peer: Peer, way: Way) -> None:
        """Take back one cut; with the last of them the connection breaks, which both sides notice."""
        link = self.link(peer)
        link.cut_count[way] -= 1
        if link.is_cut:
            return
        unended, link.unended = link.unended, []
        for connection in unended:
            super().close(peer, connection)
        if peer.connection is not None:
            self.close(peer, peer.connection)
            peer.cut()
        link.unheard.clear()

    def inbox(self, peer: Peer) -> Inbox:
        """The inbox of a peer that can be a slow reader."""
        link = self.link(peer)
        if link.inbox is None:
            link.inbox = Inbox(self._engine, peer)
        return link.inbox

    def restart(self, scheduler: SchedulerPort) -> None:
        """Go on with a scheduler that knows nobody: every connection has ended, without the old one's knowing."""
        now = self._engine.instant
        self.judge()
        self._oracle.restarted(now)
        self.trace.extend((now, len(self._numbers), _RESTARTED, 1))
        self._carries(scheduler)
        left = [
            (connection, peer)
            for connection, peer in enumerate(self._peers[self._first :], self._first)
            if peer.connection == connection
        ]
        self._first = len(self._numbers)
        for link in self.links.values():
            link.unheard.clear()
            link.unended.clear()
        for _, peer in left:
            peer.cut()

    # --- towards the scheduler

    def _announce(self, peer: Peer, connection: int) -> None:
        link = self.links.get(peer)
        if link is not None:
            for way in ("up", "down"):
                self._hold(self._hop(peer, way), connection, link.held_until[way])
            if link.cut_count["up"]:
                link.unheard.append(connection)
                return
        super()._announce(peer, connection)

    def close(self, peer: Peer, connection: int, unnoticed_time: int = 0) -> None:
        """End a connection from the peer's side; the scheduler hears of it once what is cut is mended."""
        link = self.links.get(peer)
        if link is not None and connection in link.unheard:
            self._peers[connection] = GONE[peer.kind]
        elif link is not None and link.cut_count["up"]:
            link.unended.append(connection)
        else:
            super().close(peer, connection, unnoticed_time)

    def send(self, peer: Peer, connection: int, message: Incoming) -> None:
        """Send a message to the scheduler."""
        at = self._up_arrival(peer, connection, message)
        if at is not None:
            self._engine.call_at(at, self._on_received, (connection, message))

    def answer(self, connection: int, message: JobResult) -> None:
        """Send a node's result to the scheduler."""
        at = self._up_arrival(self._peers[connection], connection, message)
        if at is not None:
            self._engine.call_at(at, self._on_answered, (connection, message))

    def speak(self, connection: int, message: Utterance, row: UtteranceRow) -> None:
        """Send an utterance to the scheduler, and by chance once more."""
        peer = self._peers[connection]
        at = self._up_arrival(peer, connection, message)
        if at is None:
            return
        self.airborne += 1
        self._engine.call_at(at, self._on_heard, (connection, message, row))
        link = self.links.get(peer)
        if link is None:
            return
        about = link.about(message)
        for chance in link.doubles:
            if chance.strikes(about, self._engine.instant) is not None:
                again = self._session_up.arrival(connection, self._engine.instant)
                self._engine.call_at(again, self._on_received, (connection, message))

    def _up_arrival(self, peer: Peer, connection: int, message: Incoming) -> int | None:
        """When a message sent now arrives at the scheduler; None: never."""
        link = self.links.get(peer)
        if link is None:
            return self._up[peer.kind].arrival(connection, self._engine.instant)
        if link.cut_count["up"] or connection in link.unheard:
            return None
        return self._late(self._up[peer.kind], link.delays["up"], link, connection, message)

    # --- at the scheduler: what comes over connections that ended with an earlier one vanishes

    def _opened(self, argument: tuple[int, PeerKind]) -> None:
        if argument[0] >= self._first:
            super()._opened(argument)

    def _closed(self, connection: int) -> None:
        if connection >= self._first:
            super()._closed(connection)
        else:
            self.airborne -= 1

    def _heard(self, argument: tuple[int, Utterance, UtteranceRow]) -> None:
        if argument[0] >= self._first:
            super()._heard(argument)
        else:
            self.airborne -= 1

    def _received(self, argument: tuple[int, Incoming]) -> None:
        if argument[0] >= self._first:
            super()._received(argument)

    def _answered(self, argument: tuple[int, JobResult]) -> None:
        if argument[0] >= self._first:
            super()._answered(argument)

    # --- from the scheduler

    def _after(self, outputs: list[Addressed], now: int) -> None:
        results = 0
        for to, message in outputs:
            if type(message) is JobAssign:
                if len(to) == 1:
                    self._assign(to[0], message)
            elif type(message) is TranslationResult:
                self._send_result(to, message, results, now)
                results += 1
            else:
                self._send_other(to, message, now)
        if self._scheduler.next_deadline != self._armed_at:
            self._arm(now)

    def _assign(self, connection: int, message: JobAssign) -> None:
        node = self._peers[connection]
        at = self._down_arrival(connection, message)
        if at is None:
            return
        if node.plan is not None:
            node.plan(message, at)
        else:
            self._engine.call_at(at, node.assigned, message)

    def _send_result(self, to: tuple[int, ...], message: TranslationResult, place: int, now: int) -> None:
        if not any(self._peers[connection] in self.links for connection in to):
            super()._send_result(to, message, place, now)
            return
        self.judge()
        row = self._oracle.sent_rows[place]
        for connection in to:
            argument = (self._peers[connection], connection, message, row)
            if self._carry(connection, message, self._result_arrived, argument):
                self.airborne += 1

    def _send_other(self, to: tuple[int, ...], message: Outgoing, now: int) -> None:
        if not to:
            return
        kind = type(message)
        code = self._codes.setdefault(kind, len(self._codes) + 2)
        self.trace.extend((now, to[0], code, len(to)))
        if kind is RoomMembers:
            # As in the plain port: the first is the one who enters.
            to = to[:1] if self._peers[to[0]].awaits_members else ()
        for connection in to:
            self._carry(connection, message, self._other_arrived, (self._peers[connection], connection, message))
        if len(self._journal) > JOURNAL_MAX:
            self.judge()

    def _carry(self, connection: int, message: Outgoing, act: Callable[[Any], None], argument: object) -> bool:
        """Have ``act`` called when a message sent now has been taken in; False: it never will be."""
        at = self._down_arrival(connection, message)
        if at is None:
            return False
        link = self.links.get(self._peers[connection])
        if link is None or link.inbox is None:
            self._engine.call_at(at, act, argument)
        else:
            self._engine.call_at(at, link.inbox.comes, Come(connection, message, act, argument))
        return True

    def _down_arrival(self, connection: int, message: Outgoing) -> int | None:
        """When a message sent now arrives at its peer; None: never."""
        peer = self._peers[connection]
        hop = self._down[peer.kind]
        link = self.links.get(peer)
        if link is None:
            return hop.arrival(connection, self._engine.instant)
        if link.cut_count["down"]:
            return None
        return self._late(hop, link.delays["down"], link, connection, message)

    # --- hops

    def _hop(self, peer: Peer, way: Way) -> Hop:
        return (self._up if way == "up" else self._down)[peer.kind]

    @staticmethod
    def _hold(hop: Hop, connection: int, until: int) -> None:
        hop.free_at[connection] = max(hop.free_at[connection], until)

    def _late(self, hop: Hop, delays: list[Chance], link: Link, connection: int, message: Incoming | Outgoing) -> int:
        """As ``Hop.arrival``, for a message that may by chance be late; those behind it wait for it."""
        now = self._engine.instant
        at = hop.arrival(connection, now)
        if not delays:
            return at
        about = link.about(message)
        for delay in delays:
            bits = delay.strikes(about, now)
            if bits is not None and delay.by is not None:
                at += delay.by(bits)
        hop.free_at[connection] = at
        return at
