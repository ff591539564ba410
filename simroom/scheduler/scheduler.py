"""The scheduler behind its port: who may say what, and what is due when."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from simroom.scheduler.deadlines import Deadlines
from simroom.scheduler.dispatch import Dispatch
from simroom.scheduler.fleet import Fleet
from simroom.scheduler.languages import Tags
from simroom.scheduler.lobby import Lobby
from simroom.scheduler.messages import (
    Addressed,
    AsrPartial,
    AudioChunk,
    ClientHeartbeat,
    Error,
    ErrorCode,
    Features,
    Incoming,
    JobResult,
    NodeControl,
    NodeError,
    NodeHeartbeat,
    NodeRegister,
    RoomCreate,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomRawVoicePreference,
    ServerHeartbeat,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    TtsPlayEnded,
    Utterance,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)
from simroom.scheduler.nodes import Node
from simroom.scheduler.port import PeerKind, Sources
from simroom.scheduler.rooms import Rooms
from simroom.scheduler.routing import Routing
from simroom.scheduler.selection import NodeVerdict, Selection
from simroom.scheduler.sessions import Session
from simroom.scheduler.settings import Settings


class Unnamed(Struct, frozen=True):
    """A connection over which nobody has said yet who it is.

    Attributes:
        lapsed: The node that was taken for offline while this connection stayed open; None: there was none.
    """

    kind: PeerKind
    lapsed: Node | None = None


class Done(Enum):
    """A connection over which nothing more counts."""

    CLOSED = "its session was closed"
    SUPERSEDED = "its session has resumed on another connection"


_Peer = Session | Node | Unnamed | Done
_Due = tuple[int, int, Callable[[int, list[Addressed]], None]]


class Scheduler:
    """The scheduler and room router: messages and the time in, addressed messages and the next deadline out.

    It reads no clock and draws no chance; ids, codes and random ties come from ``sources``. Its memory is bounded by
    what lives: sessions, rooms, jobs and attempts that hold slots, and the nodes that were ever registered.
    """

    def __init__(self, settings: Settings, sources: Sources) -> None:
        tags = Tags(primary_only=settings.language_match == "primary")
        sessions: dict[str, Session] = {}
        nodes: dict[str, Node] = {}
        self._settings = settings
        self._tags = tags
        self._deadlines = Deadlines()
        self.rooms = Rooms(sessions)
        self.selection = Selection(settings, sources.choose)
        routing = Routing(settings.membership, settings.kept_count_max)
        self._routing = routing
        self._dispatch = Dispatch(settings, tags, self.selection, routing, self._deadlines, sources.job_id, nodes.get)
        self._lobby = Lobby(
            settings, sources, tags, self.selection, routing, self._dispatch, self._deadlines, sessions, self.rooms
        )
        self._fleet = Fleet(settings, sources, tags, self.selection, self._dispatch, self._deadlines, nodes)
        self._peers: dict[int, _Peer] = {}
        self._due_at = 0

    # --- the port

    @property
    def next_deadline(self) -> int | None:
        """When to call ``wake`` at the latest; None: nothing is waited for."""
        return self._deadlines.next

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        """A connection was opened on the sessions' or the nodes' path."""
        out: list[Addressed] = []
        self._catch_up(now, out)
        self._peers[connection] = Unnamed(kind)
        return out

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        """A well-formed message has come over an open connection."""
        out: list[Addressed] = []
        deadline = self._deadlines.next
        if deadline is not None and deadline < now:
            self._catch_up(now, out)
        peer = self._peers[connection]
        if type(peer) is Node:
            if type(message) is JobResult:
                self._dispatch.answered(peer, message, now, out)
            else:
                self._from_node(peer, message, now, out)
        elif type(peer) is Session:
            if type(message) is Utterance and message.session_id == peer.session_id:
                self._lobby.speak(peer, message, now, out)
            else:
                self._from_session(peer, message, now, out)
        elif not isinstance(peer, Session | Node):
            self._from_nobody(connection, peer, message, now, out)
        return out

    def closed(self, connection: int, now: int) -> list[Addressed]:
        """A connection has ended; nothing can be sent over it any more."""
        out: list[Addressed] = []
        self._catch_up(now, out)
        peer = self._peers.pop(connection)
        if type(peer) is Session:
            self._lobby.connection_lost(peer, now, out)
        elif type(peer) is Node:
            self._fleet.connection_lost(peer, now, out)
        return out

    def wake(self, now: int) -> list[Addressed]:
        """Do what is due at ``now``, in order of when it was due; at one instant in the order of ``_due``."""
        out: list[Addressed] = []
        self._do_due(now, now, out)
        return out

    # --- questions

    def where(
        self,
        src_lang: str,
        tgt_lang: str,
        features: Features | None = None,
        auto_langs: tuple[str, ...] | None = None,
    ) -> list[NodeVerdict]:
        """Where a job would go now and why not elsewhere, without placing it.

        Preferences (paired, sticky) belong to sessions and rooms and are not asked. Under ``tie_break: random`` the
        answer draws a tie.

        Returns:
            Every node in the order of registration.

        Raises:
            ModuleError: A feature's module cannot be expanded.
        """
        canonical = self._tags.canonical
        if auto_langs is not None:
            auto_langs = tuple(canonical(tag) for tag in auto_langs)
        needs = self.selection.needs(features, auto_langs)
        fitting = self.selection.fitting(canonical(src_lang), canonical(tgt_lang), needs)
        return self.selection.explain(fitting, self.selection.select(fitting))

    def counts(self) -> dict[str, int]:
        """Jobs ``created`` and ``living``, and ended ones by how they ended."""
        dispatch = self._dispatch
        ended = {end.value: count for end, count in dispatch.ended_count.items()}
        return {
            "created": dispatch.created_count,
            "living": dispatch.living_count,
            "delivered": dispatch.delivered_count,
            **ended,
        }

    def uncounted(self) -> dict[str, int]:
        """Results that counted for nothing: ``late``, of an ``unknown`` job, from a node ``not_given`` the job."""
        return dict(self._dispatch.uncounted_count)

    def overcommitted_count(self) -> int:
        """Jobs placed beyond a node's slots, which only ``load: reported`` allows."""
        return sum(node.overcommitted_count for node in self.selection.nodes)

    def entry_count(self) -> int:
        """Sessions, rooms, jobs, attempts and open connections remembered; 0 once everything has ended."""
        lobby = self._lobby
        return len(lobby.sessions) + len(self.rooms.by_code) + self._dispatch.entry_count + len(self._peers)

    # --- what is due

    def _due(self) -> list[_Due]:
        """When each kind of deadline is due next; the number settles which goes first at one instant."""
        due: list[_Due] = []
        for at, rank, act in (
            (self._fleet.scan_due(), 0, self._scan_nodes),
            (self._fleet.warm_up_due(), 1, self._fleet.end_warm_up),
            (self._lobby.grace_due(), 2, self._end_grace),
            (self._dispatch.attempt_due(), 3, self._dispatch.time_out_attempt),
            (self._dispatch.abandon_due(), 4, self._dispatch.abandon_attempt),
            (self._dispatch.waiting_due(), 5, self._dispatch.give_up_waiting),
            (self._dispatch.hold_due(), 6, self._dispatch.end_hold),
            (self._lobby.scan_due(), 7, self._scan_rooms),
        ):
            if at is not None:
                due.append((at, rank, act))
        return due

    def _catch_up(self, now: int, out: list[Addressed]) -> None:
        """Do what was due before ``now``: the driver was late, or there is no driver in between."""
        deadline = self._deadlines.next
        if deadline is not None and deadline < now:
            self._do_due(now - 1, now, out)

    def _do_due(self, until: int, now: int, out: list[Addressed]) -> None:
        while True:
            due = min(self._due(), default=None, key=_at_and_rank)
            if due is None or due[0] > until:
                self._deadlines.next = None if due is None else due[0]
                return
            self._due_at = due[0]
            due[2](now, out)

    def _scan_nodes(self, now: int, out: list[Addressed]) -> None:
        for connection, node in self._fleet.scan(self._due_at, now, out):
            self._peers[connection] = Unnamed("node", node)

    def _scan_rooms(self, now: int, out: list[Addressed]) -> None:
        del now  # a look at the rooms is as of when it was due
        self._lobby.scan(self._due_at, out)

    def _end_grace(self, now: int, out: list[Addressed]) -> None:
        del now  # leaving has no date
        self._lobby.end_grace(out)

    # --- who says what

    def _from_nobody(
        self, connection: int, peer: Unnamed | Done, message: Incoming, now: int, out: list[Addressed]
    ) -> None:
        if peer is Done.SUPERSEDED:
            return
        if isinstance(peer, Done):
            out.append(((connection,), Error(ErrorCode.SESSION_CLOSED, peer.value)))
        elif peer.kind == "session":
            if not isinstance(message, SessionInit):
                out.append(((connection,), Error(ErrorCode.INVALID_SESSION, "session_init comes first")))
                return
            session = self._init_or_resume(connection, message, out)
            if session is not None:
                self._peers[connection] = session
        elif isinstance(message, NodeRegister):
            node = self._fleet.register(connection, message, now, out)
            if node is not None:
                self._peers[connection] = node
        elif isinstance(message, JobResult):
            if peer.lapsed is not None and peer.lapsed.connection is None:
                self._dispatch.answered(peer.lapsed, message, now, out)
            else:
                self._dispatch.discount(message)
        elif not isinstance(message, NodeHeartbeat | AsrPartial | NodeError | NodeControl):
            out.append(((connection,), Error(ErrorCode.INVALID_MESSAGE, "node_register comes first")))

    def _init_or_resume(self, connection: int, message: SessionInit, out: list[Addressed]) -> Session | None:
        if message.resume is None:
            return self._lobby.init(connection, message, out)
        known = self._lobby.sessions.get(message.resume.session_id)
        old_connection = None if known is None else known.connection
        session = self._lobby.resume(connection, message, out)
        if session is not None and old_connection is not None:
            self._peers[old_connection] = Done.SUPERSEDED
        return session

    def _from_node(self, node: Node, message: Incoming, now: int, out: list[Addressed]) -> None:
        if type(message) is NodeHeartbeat:
            self._fleet.heartbeat(node, message, now, out)
        elif type(message) is AsrPartial:
            self._dispatch.partial(node, message, out)
        elif type(message) is NodeControl:
            self._fleet.control(node, message, now, out)
        elif type(message) is NodeRegister:
            out.append((node.to, self._fleet.refusal_again(message)))
        elif type(message) is not NodeError:
            out.append((node.to, Error(ErrorCode.INVALID_MESSAGE, "not for a registered node to send")))

    def _is_own(self, session: Session, session_id: str, out: list[Addressed]) -> bool:
        if session_id == session.session_id:
            return True
        out.append((session.to, Error(ErrorCode.INVALID_SESSION, "that is another session's id")))
        return False

    def _from_session(self, session: Session, message: Incoming, now: int, out: list[Addressed]) -> None:
        match message:
            case Utterance():
                self._is_own(session, message.session_id, out)
            case AudioChunk():
                if self._is_own(session, message.session_id, out):
                    self._lobby.hear(session, message, now, out)
            case ClientHeartbeat():
                if self._is_own(session, message.session_id, out):
                    out.append((session.to, ServerHeartbeat(session.session_id, message.timestamp)))
            case TtsPlayEnded():
                self._is_own(session, message.session_id, out)
            case SessionClose():
                if self._is_own(session, message.session_id, out):
                    self._close_session(session, out)
            case RoomCreate():
                self._lobby.create(session, message, now, out)
            case RoomJoin():
                self._lobby.join(session, message, now, out)
            case RoomLeave():
                self._lobby.leave(session, message, out)
            case RoomLanguage():
                self._lobby.change_language(session, message, out)
            case RoomRawVoicePreference():
                self._lobby.prefer_raw_voice(session, message, out)
            case WebrtcOffer() | WebrtcAnswer() | WebrtcIce():
                self._lobby.forward(session, message, out)
            case SessionInit():
                out.append((session.to, Error(ErrorCode.INVALID_MESSAGE, "a session is open already")))
            case _:
                out.append((session.to, Error(ErrorCode.INVALID_MESSAGE, "not for sessions to send")))

    def _close_session(self, session: Session, out: list[Addressed]) -> None:
        (connection,) = session.to
        self._peers[connection] = Done.CLOSED
        out.append((session.to, SessionCloseAck(session.session_id)))
        self._lobby.end_session(session, out)


def _at_and_rank(due: _Due) -> tuple[int, int]:
    return due[0], due[1]
