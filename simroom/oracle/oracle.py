"""The oracle: watches the scheduler's port and judges, exactly, at every step, from the messages alone.

It keeps a mirror of what the messages say, derives from it what the rules make follow, and compares that with what the
scheduler sent. It knows nothing of how the scheduler decides. After a breach it follows what the scheduler did, so that
one fault is reported for what it breaks and not for ever after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from simroom.oracle.accounts import Accounts
from simroom.oracle.answers import Answers
from simroom.oracle.clients import Clients
from simroom.oracle.clock import Clock
from simroom.oracle.debts import Debts
from simroom.oracle.ending import Ending
from simroom.oracle.findings import Findings
from simroom.oracle.fleet import Node
from simroom.oracle.leaks import Leaks
from simroom.oracle.ledger import NONE, Ledger
from simroom.oracle.leftovers import Leftovers
from simroom.oracle.liveness import Liveness
from simroom.oracle.mirror import Mirror
from simroom.oracle.node_life import NodeLife
from simroom.oracle.notices import Notices
from simroom.oracle.once import Once
from simroom.oracle.order import Order
from simroom.oracle.partials import Partials
from simroom.oracle.placing import Placing
from simroom.oracle.recipients import Recipients
from simroom.oracle.replies import Replies
from simroom.oracle.restart import Restart
from simroom.oracle.room_requests import RoomRequests
from simroom.oracle.sending import Sending
from simroom.oracle.sent import Sent
from simroom.oracle.session_requests import SessionRequests
from simroom.oracle.speaking import Speaking
from simroom.oracle.state import Link, Session
from simroom.oracle.tokens import Tokens
from simroom.oracle.usual import Entry, Usual
from simroom.oracle.verdict import Verdict
from simroom.oracle.words import Words
from simroom.oracle.wrong_answers import WrongAnswers
from simroom.scheduler.messages import (
    Addressed,
    AsrPartial,
    AudioChunk,
    ClientHeartbeat,
    ErrorCode,
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
    SessionClose,
    SessionInit,
    TranslationResult,
    TtsPlayEnded,
    Utterance,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)
from simroom.scheduler.port import PeerKind
from simroom.scheduler.settings import Settings

_OfSession = Callable[[Sent, Session, Any], None]
_OfNode = Callable[[Sent, Node, Any], None]


class Oracle:
    """The judge of one run. Every call says what the driver handed to the scheduler and what that returned for it.

    Args:
        settings: Those of the scheduler.
        ledger: Gets a row for each job as it ends, and for each utterance that does not bring one.
        kept_max: Violations kept in full; all are counted.
        punctual: The driver wakes the scheduler at the very instant it asks for, so what happens later than its due
            time is a breach. False where the driver may be late (real time).
        shortcuts: What is usual is judged the short way. Whether it is makes no difference but in time.
        remembering: Who said what is remembered from the start on, for a run in which nodes answer wrongly: so that
            words are known for whose they are. Else that begins with the first wrong answer, and what was said before
            and is over by then is not known. It takes time for each utterance.

    Attributes:
        sent_rows: Ledger row of the job for each ``TranslationResult`` in the last call's outputs, in order; ``NONE``
            where no such job is known. Reset by every call that takes outputs.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        kept_max: int = 1_000,
        punctual: bool = True,
        shortcuts: bool = True,
        remembering: bool = False,
    ) -> None:
        self._mirror = mirror = Mirror(settings, ledger, Findings(kept_max))
        self.sent_rows: list[int] = mirror.sent_rows
        self._peers = mirror.peers
        self._names: dict[int, str] = {}
        self._accounts = accounts = Accounts(mirror)
        self._debts = debts = Debts(mirror)
        self._words = words = Words(mirror, remembering=remembering)
        self._wrong_answers = wrong_answers = WrongAnswers(mirror, words)
        recipients = Recipients(mirror, debts)
        once = Once(mirror)
        leaks = Leaks(mirror)
        tokens = Tokens(mirror)
        self._replies = replies = Replies(mirror, leaks)
        self._clients = clients = Clients(mirror, once)
        sending = Sending(mirror, accounts, recipients, once, leaks, tokens, wrong_answers, clients)
        order = Order(mirror, accounts, sending)
        notices = Notices(mirror, accounts, debts)
        ending = Ending(mirror, accounts, notices, order)
        placing = Placing(mirror, accounts, recipients, tokens, notices, ending, debts)
        leftovers = Leftovers(mirror, accounts, replies, leaks, once, clients, sending, order, ending, placing, debts)
        self._conclude = leftovers.conclude
        self._answers = answers = Answers(
            mirror, accounts, wrong_answers, notices, order, ending, placing, self._conclude
        )
        self._speaking = speaking = Speaking(mirror, accounts, replies, placing, self._conclude)
        rooms = RoomRequests(mirror, replies, leaks, ending)
        self._partials = partials = Partials(mirror)
        self._sessions = sessions = SessionRequests(mirror, replies, rooms, recipients, sending, partials, debts)
        self._nodes = nodes = NodeLife(mirror, replies, answers)
        self._clock = Clock(mirror, sessions, rooms, nodes, placing, answers, order, punctual=punctual)
        self._restart = Restart(mirror, accounts, clients, debts)
        self._liveness = Liveness(mirror, accounts, debts)
        self._usual = Usual(mirror, accounts, speaking, answers, clients) if shortcuts else None
        self._of_session: dict[type, _OfSession] = {
            AudioChunk: speaking.chunk,
            ClientHeartbeat: sessions.heartbeat,
            TtsPlayEnded: self._play_ended,
            SessionClose: sessions.close,
            RoomCreate: rooms.create,
            RoomJoin: rooms.join,
            RoomLeave: rooms.leave,
            RoomLanguage: rooms.language,
            RoomRawVoicePreference: rooms.raw_voice,
            WebrtcOffer: rooms.signal,
            WebrtcAnswer: rooms.signal,
            WebrtcIce: rooms.signal,
        }
        self._of_node: dict[type, _OfNode] = {
            NodeHeartbeat: nodes.heartbeat,
            NodeControl: nodes.control,
            NodeError: self._node_error,
            AsrPartial: self._partial,
        }

    # --- at the scheduler's port

    def named(self, connection: int, name: str) -> None:
        """What the scenario calls the peer behind a connection; called before ``opened``."""
        self._names[connection] = name

    def opened(self, connection: int, kind: PeerKind, now: int, outputs: list[Addressed]) -> None:
        """A connection was opened."""
        sent = self._begin(now, outputs)
        self._peers[connection] = Link(kind, self._names.pop(connection, f"{kind}-{connection}"))
        self._conclude(sent)

    def received(self, connection: int, message: Incoming, now: int, outputs: list[Addressed]) -> None:
        """A message has come over a connection."""
        if self.sent_rows:
            self.sent_rows.clear()
        kind = type(message)
        if kind is Utterance and self._words.remembering:
            self._words.said(connection, message)  # type: ignore[arg-type]
        if self._usual is not None and now <= self._mirror.due and (kind is Utterance or kind is JobResult):
            self._usual.judge(((self.received, connection, message, now, outputs),))
            return
        sent = self._begin(now, outputs)
        if kind is Utterance:
            self._speaking.whole(sent, connection, message)  # type: ignore[arg-type]
        elif kind is JobResult:
            self._answers.whole(sent, connection, message)  # type: ignore[arg-type]
        else:
            self._other(sent, connection, message)
            self._conclude(sent)

    def judge(self, journal: Iterable[Entry]) -> None:
        """Judge what has passed the port, in order: a journal of calls of ``received`` and of anything else."""
        if self._words.remembering:
            journal = self._listened(journal)
        if self._usual is not None:
            self._usual.judge(journal)
            return
        for call, first, second, third, fourth in journal:
            call(first, second, third, fourth)

    def _listened(self, journal: Iterable[Entry]) -> Iterator[Entry]:
        """The same journal; what was said is remembered when its turn comes."""
        for entry in journal:
            if type(entry[2]) is Utterance:
                self._words.said(entry[1], entry[2])
            yield entry

    def closed(self, connection: int, now: int, outputs: list[Addressed]) -> None:
        """A connection has ended."""
        sent = self._begin(now, outputs)
        peer = self._peers.get(connection)
        if isinstance(peer, Session):
            self._sessions.dropped(sent, peer)
        elif isinstance(peer, Node):
            self._nodes.dropped(sent, peer)
        self._peers.pop(connection, None)
        self._mirror.nodes_at.pop((connection,), None)
        self._names.pop(connection, None)
        self._clients.closed()
        self._conclude(sent)

    def restarted(self, now: int) -> None:
        """The scheduler was restarted: a new one that knows nobody takes over, and nobody has a connection any more.

        Jobs that lived are lost. Nothing is expected of old connections; who comes over a new one is new.
        """
        sent = self._begin(now, [])
        self._conclude(sent)
        self._restart.at(now)

    def woken(self, now: int, outputs: list[Addressed]) -> None:
        """The scheduler was woken, after all messages of this instant."""
        if self.sent_rows:
            self.sent_rows.clear()
        sent = Sent(outputs, now)
        if now >= self._mirror.due:
            self._clock.pass_to(sent, now)
        self._conclude(sent)

    def _begin(self, now: int, outputs: list[Addressed]) -> Sent:
        # What has passed is dealt with before the message; what is due now, only when woken.
        if self.sent_rows:
            self.sent_rows.clear()
        sent = Sent(outputs, now)
        if now > self._mirror.due:
            self._clock.pass_to(sent, now - 1)
        return sent

    def _other(self, sent: Sent, connection: int, message: Incoming) -> None:
        kind = type(message)
        peer = self._peers.get(connection)
        if kind is SessionInit:
            self._sessions.init(sent, connection, message)  # type: ignore[arg-type]
        elif kind is NodeRegister:
            self._nodes.register(sent, connection, message)  # type: ignore[arg-type]
        elif isinstance(peer, Session):
            of_session = self._of_session.get(kind)
            if of_session is None:
                self._replies.perhaps(sent, connection)
            else:
                of_session(sent, peer, message)
        elif isinstance(peer, Node):
            of_node = self._of_node.get(kind)
            if of_node is None:
                self._replies.perhaps(sent, connection)
            else:
                of_node(sent, peer, message)
        else:
            self._replies.unknown_session(sent, connection)

    def _play_ended(self, sent: Sent, session: Session, message: TtsPlayEnded) -> None:
        if message.session_id != session.session_id:
            self._replies.refuse(sent, session.connection, ErrorCode.INVALID_SESSION)

    def _node_error(self, sent: Sent, node: Node, message: NodeError) -> None:
        """A node's own fault changes nothing by itself."""

    def _partial(self, sent: Sent, _node: Node, message: AsrPartial) -> None:
        self._partials.comes(sent, message)

    @property
    def living(self) -> int:
        """Jobs that have been made and have not ended."""
        return self._accounts.living

    @property
    def shortcut_count(self) -> int:
        """Answers that were right in every respect, judged at one look together with all of their arrivals."""
        return self._mirror.findings.usual

    # --- at the clients

    def arrived(self, connection: int, message: TranslationResult, row: int, now: int) -> None:
        """A result has reached the client behind a connection; ``row`` is its job's, from ``sent_rows``."""
        if row != NONE:
            self._clients.arrived(connection, message, now)

    def all_arrived(self, to: tuple[int, ...], message: TranslationResult, row: int, instants: list[int]) -> None:
        """As ``arrived`` for each connection in ``to``, at its instant: nothing could come between."""
        if row != NONE:
            self._clients.all_arrived(to, message, instants)

    # --- the end

    def finish(
        self,
        now: int,
        counts: Mapping[str, int] | None = None,
        *,
        drained: bool = True,
        entry_count: int | None = None,
        everybody_left: bool = False,
    ) -> Verdict:
        """Stop judging, and say what was found.

        Args:
            now: The last instant; whatever was due before it must have happened.
            counts: The scheduler's own books, where it offers any: ``created``, ``living`` and the ends' names, of what
                was since it was last restarted.
            drained: Nothing is on its way any more and nothing will be, so what has not arrived never will.
            entry_count: How much the scheduler says that it remembers (see ``Scheduler.entry_count``), where it does.
            everybody_left: All connections have been closed. Where besides everything has ended, by the messages, the
                scheduler must remember nothing.
        """
        if now > self._mirror.due:
            sent = Sent([], now)
            self._clock.pass_to(sent, now - 1)
            self._conclude(sent)
        if drained:
            self._clients.finish(now)
        if counts is not None:
            self._accounts.compare(counts, now)
        self._liveness.judge(now, counts, entry_count, drained=drained, everybody_left=everybody_left)
        self._accounts.close(now)
        wrong = self._wrong_answers
        return self._accounts.verdict(self._debts.stuck, self._liveness.unfinished, wrong.counts, wrong.deliveries)
