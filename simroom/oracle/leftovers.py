"""What the scheduler sent and no rule called for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simroom.oracle.accounts import Accounts
from simroom.oracle.clients import Clients
from simroom.oracle.debts import Debts
from simroom.oracle.ending import Ending
from simroom.oracle.fleet import DEGRADED, DRAINING, OFFLINE, READY, REGISTERING, Node
from simroom.oracle.leaks import Leaks
from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.once import Once
from simroom.oracle.order import Order
from simroom.oracle.placing import Placing
from simroom.oracle.replies import Replies
from simroom.oracle.sending import Sending
from simroom.oracle.sent import Sent
from simroom.oracle.state import LIVING, Job, Session
from simroom.scheduler.messages import (
    AsrPartial,
    Error,
    ErrorCode,
    JobAssign,
    JobCancel,
    NodeRegisterAck,
    NodeStatusNotice,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomMembers,
    SessionCloseAck,
    SessionInitAck,
    TranslationResult,
    UiEvent,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)

_Judge = Callable[[Sent, int, tuple[int, ...], Any], None]


class Leftovers:
    """Concludes a call: tries the waiting jobs, judges what is left, and hands out the ledger rows."""

    def __init__(
        self,
        mirror: Mirror,
        accounts: Accounts,
        replies: Replies,
        leaks: Leaks,
        once: Once,
        clients: Clients,
        sending: Sending,
        order: Order,
        ending: Ending,
        placing: Placing,
        debts: Debts,
    ) -> None:
        self._mirror = mirror
        self._findings = mirror.findings
        self._accounts = accounts
        self._replies = replies
        self._leaks = leaks
        self._once = once
        self._clients = clients
        self._sending = sending
        self._order = order
        self._ending = ending
        self._placing = placing
        self._debts = debts
        self._judges: dict[type, _Judge] = {
            TranslationResult: self._result,
            JobAssign: self._assign,
            UiEvent: self._event,
            NodeStatusNotice: self._status,
            RoomMembers: self._of_room,
            RoomExpired: self._of_room,
            WebrtcOffer: self._of_room,
            WebrtcAnswer: self._of_room,
            WebrtcIce: self._of_room,
            AsrPartial: self._partial,
            JobCancel: self._cancel,
        }
        for kind in (Error, RoomError, SessionInitAck, SessionCloseAck, RoomCreateAck, NodeRegisterAck):
            self._judges[kind] = self._reply

    def conclude(self, sent: Sent) -> None:
        """Everything that the input called for has been looked for."""
        mirror = self._mirror
        if mirror.waiting:
            self._placing.try_waiting(sent)
        for position, to, message in sent.rest():
            judge = self._judges.get(type(message))
            if judge is not None:  # what is not in the protocol, and heartbeats, are a scheduler's own affair
                judge(sent, position, to, message)
        rows = mirror.sent_rows
        for position, (_, message) in enumerate(sent.items):
            if type(message) is TranslationResult:
                rows.append(sent.rows.get(position, NONE))

    # --- results

    def _result(self, sent: Sent, position: int, to: tuple[int, ...], message: TranslationResult) -> None:
        job = self._known(sent, message.job_id)
        self._debts.heard(message.session_id, message.utterance_index, message.job_id)
        self._debts.sent(message.job_id, to)
        if job is None:
            self._unknown(to, message, sent.now)
        elif job.end != LIVING:
            self._sending.once_more(sent, job, position)
        elif job.result is not None:
            self._order.against(sent, job)
        else:
            self._unanswered(to, job, sent.now)

    def _known(self, sent: Sent, job_id: str) -> Job | None:
        about = sent.about
        if about is not None and about.id == job_id:
            return about
        return self._mirror.find(job_id) or self._clients.flying.get(job_id) or self._mirror.owed.get(job_id)

    def _unanswered(self, to: tuple[int, ...], job: Job, now: int) -> None:
        who = self._mirror.names(to)
        what = "a result was sent though no node has answered"
        self._findings.add("I1", "extra", now, what, job=job, recipients=who)

    def _unknown(self, to: tuple[int, ...], message: TranslationResult, now: int) -> None:
        """Nothing of this job is under way: it never was, or everybody has its result."""
        mirror = self._mirror
        lost = mirror.lost.get(message.job_id)
        if lost is not None:
            what = "it was lost as the scheduler was restarted, and its result was sent all the same"
            mirror.findings.add("I6", "accounts", now, what, job=lost, recipients=mirror.names(to))
            return
        speaker = mirror.sessions.get(message.session_id)
        again: list[int] = []
        outside: list[int] = []
        for connection in to:
            peer = mirror.peers.get(connection)
            (again if _together(peer, speaker) else outside).append(connection)
        for invariant, kind, connections, what in (
            ("I2", "duplicate", again, "got the result of a job that is long over"),
            ("I7", "leaked", outside, "got a result of people it is not in a room with"),
        ):
            if connections:
                who = mirror.names(tuple(connections))
                self._findings.add(
                    invariant,
                    kind,
                    now,
                    f"{', '.join(who[:3])} {what}",
                    speaker=None if speaker is None else speaker.name,
                    utterance_index=message.utterance_index,
                    language=message.tgt_lang,
                    recipients=who,
                    job_id=message.job_id,
                )

    # --- jobs

    def _assign(self, sent: Sent, _position: int, to: tuple[int, ...], message: JobAssign) -> None:
        if self._placing.out_of_turn(sent, to, message):
            return
        job = self._known(sent, message.job_id)
        if job is not None:
            self._accounts.wrong(job, sent.now, f"it was given out again, to {', '.join(self._mirror.names(to))}")
            if job.running:
                number = self._mirror.serial()
                attempt = self._placing.set_aside(job, number)
                due = sent.now + self._mirror.settings.job_timeout + self._mirror.settings.abandon_after
                self._mirror.overdue[number] = (due, attempt)
            self._placing.take_up(job, to, message, sent.now)
            return
        lost = self._mirror.lost.get(message.job_id)
        if lost is not None:
            who = ", ".join(self._mirror.names(to))
            self._accounts.wrong(lost, sent.now, f"it was lost as the scheduler was restarted, and given to {who}")
            return
        speaker = self._mirror.sessions.get(message.session_id)
        what = f"a job into {message.tgt_lang} was made that nobody wants"
        self._findings.add(
            "I1",
            "extra",
            sent.now,
            what,
            room=None if speaker is None else speaker.room,
            speaker=None if speaker is None else speaker.name,
            utterance_index=message.utterance_index,
            language=message.tgt_lang,
            job_id=message.job_id,
        )
        if speaker is not None:
            self._follow(sent, speaker, to, message)

    def _follow(self, sent: Sent, speaker: Session, to: tuple[int, ...], message: JobAssign) -> None:
        """The job is there all the same, so its result is judged like any other's."""
        mirror = self._mirror
        room = speaker.room
        if room is not None and len(room.members) == 1:
            room = None
        tags = mirror.tags
        mirror.prune(speaker, room)
        lane = mirror.lane(speaker, room, tags.of(message.tgt_lang))
        profile = mirror.fleet.profile(tags.of(message.src_lang), lane.tgt, (), speaker.auto_langs)
        row = sent.utterance_row
        if row == NONE:
            src = mirror.ledger.languages.number(tags.of(message.src_lang))
            row = mirror.ledger.utterance(speaker.number, NONE, message.utterance_index, src, NONE, sent.now)
        job = Job(lane, message.utterance_index, message.audio, row, profile, sent.now)
        self._accounts.created += 1
        lane.living.append(job)
        self._placing.take_up(job, to, message, sent.now)

    def _event(self, sent: Sent, _position: int, to: tuple[int, ...], message: UiEvent) -> None:
        if message.status == "ok":
            return  # a scheduler may tell more than it must
        self._debts.heard(message.session_id, message.utterance_index, message.job_id)
        job = self._known(sent, message.job_id) or self._placing.refused(message)
        if job is None or job.end != LIVING:
            what = f"{', '.join(self._mirror.names(to)[:3])} was told {message.error_code} of a job that had not failed"
            self._findings.add(
                "reply",
                "reply",
                sent.now,
                what,
                job=job,
                utterance_index=message.utterance_index,
                recipients=self._mirror.names(to),
                job_id=message.job_id,
            )
            return
        self._accounts.wrong(job, sent.now, f"the speaker was told that it failed ({message.error_code}); it lives")
        end = JobEnd.EXPIRED if message.error_code == ErrorCode.JOB_TIMEOUT else JobEnd.FAILED
        if not job.attempt:
            end = JobEnd.REJECTED
        self._ending.fail(sent, job, end, None, told=False)

    def _partial(self, sent: Sent, _position: int, to: tuple[int, ...], message: AsrPartial) -> None:
        speaker = self._mirror.sessions.get(message.session_id)
        who = self._mirror.names(to)
        if speaker is None or not to or to != speaker.own:
            what = "what the ASR heard went to others than the speaker"
            self._findings.add("I7", "leaked", sent.now, what, recipients=who, job_id=message.job_id)
        else:
            self._replies.wrong(sent.now, f"{who[0]} was sent what the ASR heard, again or for no reason", to[0])

    # --- the rest

    def _status(self, sent: Sent, _position: int, to: tuple[int, ...], message: NodeStatusNotice) -> None:
        peer = self._mirror.peers.get(to[0]) if to else None
        what = f"node {message.node_id} was told it is {message.status}; it is not"
        self._replies.wrong(sent.now, what, to[0] if to else None)
        known = (REGISTERING, READY, DEGRADED, DRAINING)
        if isinstance(peer, Node) and peer.status != OFFLINE and message.status in known:
            peer.status = message.status
            self._mirror.fleet.settle(peer)

    def _of_room(self, sent: Sent, _position: int, to: tuple[int, ...], message: Any) -> None:
        room = self._mirror.codes.get(message.room_code)
        outside = to if room is None else self._leaks.outsiders(to, room)
        if outside and room is not None:
            self._leaks.listing(outside, room, sent.now)
        if room is None or len(outside) < len(to):
            who = self._mirror.names(to)
            what = f"{', '.join(who[:3])} was sent a {type(message).__struct_config__.tag} for no reason"
            self._findings.add("reply", "reply", sent.now, what, room=room, recipients=who)

    def _cancel(self, sent: Sent, position: int, to: tuple[int, ...], message: JobCancel) -> None:
        job = self._known(sent, message.job_id)
        if job is not None and job.end == LIVING and job.running and message.attempt_id == job.attempt:
            who = ", ".join(self._mirror.names(to))
            self._accounts.wrong(job, sent.now, f"{who} was told to stop though the job lives")
        else:
            self._reply(sent, position, to, message)

    def _reply(self, sent: Sent, _position: int, to: tuple[int, ...], message: Any) -> None:
        code = getattr(message, "code", None)
        what = type(message).__struct_config__.tag if code is None else f"{type(message).__struct_config__.tag} {code}"
        who = self._mirror.names(to)
        self._findings.add(
            "reply", "reply", sent.now, f"{', '.join(who[:3])} was sent {what} for no reason", recipients=who
        )


def _together(peer: object, speaker: Session | None) -> bool:
    if speaker is None or not isinstance(peer, Session):
        return False
    return peer is speaker or (speaker.room is not None and peer.room is speaker.room)
