"""Sessions come, go, drop out and come back: what they ask for and what they must be told."""

from __future__ import annotations

from simroom.oracle.debts import Debts
from simroom.oracle.mirror import Mirror
from simroom.oracle.partials import Partials
from simroom.oracle.recipients import Recipients
from simroom.oracle.replies import Replies
from simroom.oracle.room_requests import RoomRequests
from simroom.oracle.sending import Sending
from simroom.oracle.sent import Sent
from simroom.oracle.state import Job, Link, Session
from simroom.scheduler.messages import (
    ClientHeartbeat,
    Error,
    ErrorCode,
    Resume,
    ServerHeartbeat,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    UiEvent,
)


class SessionRequests:
    """Follows the sessions."""

    def __init__(
        self,
        mirror: Mirror,
        replies: Replies,
        rooms: RoomRequests,
        recipients: Recipients,
        sending: Sending,
        partials: Partials,
        debts: Debts,
    ) -> None:
        self._mirror = mirror
        self._replies = replies
        self._rooms = rooms
        self._recipients = recipients
        self._sending = sending
        self._partials = partials
        self._debts = debts
        self._grace = mirror.settings.reconnect_grace
        self._pairing = mirror.settings.pairing

    # --- coming

    def init(self, sent: Sent, connection: int, message: SessionInit) -> None:
        """The first message of a connection."""
        link = self._mirror.peers.get(connection)
        if isinstance(link, Session):
            self._replies.refuse(sent, connection, ErrorCode.INVALID_MESSAGE)
        elif not isinstance(link, Link) or link.kind != "session" or link.state != "fresh":
            self._replies.unknown_session(sent, connection)
        elif message.resume is not None:
            self._resume(sent, connection, message.resume)
        else:
            self._begin(sent, connection, link, message)

    def _begin(self, sent: Sent, connection: int, link: Link, message: SessionInit) -> None:
        code = message.pairing_code
        if code is not None and code not in self._pairing:
            if self._replies.refuse(sent, connection, ErrorCode.INVALID_PAIRING_CODE):
                return
            ack = sent.take_to(SessionInitAck, connection)
        elif self._replies.refused(sent, connection, Error):
            return
        else:
            ack = self._replies.expect(sent, SessionInitAck, connection)
        if ack is None:
            return
        if ack.session_id in self._mirror.sessions:
            self._replies.wrong(sent.now, f"{link.name} was given the id of a living session", connection)
        number = self._mirror.ledger.sessions.number(link.name)
        session = Session(ack.session_id, link.name, number, connection)
        tags = self._mirror.tags
        session.src = tags.of(message.src_lang)
        session.tgt = tags.of(message.tgt_lang)
        session.features = message.features
        if message.auto_langs is not None:
            session.auto_langs = tuple(tags.of(tag) for tag in message.auto_langs)
        session.paired = None if code is None else self._pairing.get(code)
        session.token = ack.resume_token
        self._mirror.sessions[ack.session_id] = session
        self._mirror.peers[connection] = session

    def _resume(self, sent: Sent, connection: int, resume: Resume) -> None:
        session = self._mirror.sessions.get(resume.session_id)
        if session is None or session.token is None or session.token != resume.token:
            self._replies.refuse(sent, connection, ErrorCode.INVALID_SESSION)
            return
        if self._replies.refused(sent, connection, Error):
            return
        self._mirror.attach(session, connection)
        ack = self._replies.expect(sent, SessionInitAck, connection)
        if ack is not None:
            if ack.session_id != session.session_id:
                self._replies.wrong(sent.now, f"{session.name} came back and was given another id", connection)
            session.token = ack.resume_token or session.token
        if session.room is not None:
            self._replies.members_to(sent, session.room, (connection,))
        self._hand_over(sent, session)

    def _hand_over(self, sent: Sent, session: Session) -> None:
        connection = session.connection
        for kept in session.kept:
            if kept.kind is TranslationResult:
                job = kept.job
                assert job is not None
                if not self._recipients.names(job, session):
                    continue
                if not self._sending.replayed(sent, job, kept, connection) and not session.partials:
                    what = f"{session.name} came back and did not get what was kept for it"
                    self._mirror.findings.add("I1", "missing", sent.now, what, job=job, recipients=(session.name,))
                    self._debts.missed(job, (session,))
                elif sent.turned:
                    what = f"{session.name} came back and got what was kept for it out of order"
                    self._mirror.findings.add("I3", "out_of_order", sent.now, what, job=job, recipients=(session.name,))
            elif kept.kind is UiEvent:
                job = kept.job
                assert job is not None
                self._kept_other(sent, session, self._event_of(sent, job, connection))
            else:
                kind = kept.kind
                self._kept_other(sent, session, sent.take(kind, lambda to, _: to == (connection,)))
        self._partials.hand_over(sent, session)
        session.kept.clear()
        session.partials.clear()

    @staticmethod
    def _event_of(sent: Sent, job: Job, connection: int) -> object:
        return sent.take(UiEvent, lambda to, message: to == (connection,) and message.utterance_index == job.index)

    def _kept_other(self, sent: Sent, session: Session, taken: object) -> None:
        if taken is None and not session.partials:
            what = f"{session.name} came back and was not told what was kept for it"
            self._replies.wrong(sent.now, what, session.connection)

    # --- going

    def close(self, sent: Sent, session: Session, message: SessionClose) -> None:
        """The session ends itself."""
        connection = session.connection
        if message.session_id != session.session_id:
            self._replies.refuse(sent, connection, ErrorCode.INVALID_SESSION)
            return
        if self._replies.refused(sent, connection, Error):
            return
        self._replies.expect(sent, SessionCloseAck, connection)
        link = Link("session", session.name)
        link.state = "closed"
        self._end(sent, session)
        self._mirror.peers[connection] = link

    def dropped(self, sent: Sent, session: Session) -> None:
        """The session's connection has ended."""
        self._mirror.peers.pop(session.connection, None)
        if self._grace == 0:
            self._end(sent, session)
            return
        self._mirror.detach(session)
        due = sent.now + self._grace
        self._mirror.graces.append((due, session, session.detached))
        self._mirror.hasten(due)

    def grace_ended(self, sent: Sent, session: Session, detached: int) -> None:
        """The session did not come back in time, if it did not."""
        if not session.ended and session.detached == detached:
            self._end(sent, session)

    def _end(self, sent: Sent, session: Session) -> None:
        # It can be told nothing from here on, so it is out before the others hear of it.
        session.own = ()
        self._mirror.readdressed(session)
        self._rooms.out(sent, session)
        self._mirror.forget_session(session)

    # --- signs of life

    def heartbeat(self, sent: Sent, session: Session, message: ClientHeartbeat) -> None:
        """A sign of life; the rules leave open whether it is answered."""
        if message.session_id != session.session_id:
            self._replies.refuse(sent, session.connection, ErrorCode.INVALID_SESSION)
        else:
            sent.take_to(ServerHeartbeat, session.connection)
