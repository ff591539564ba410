"""One result on its way out: whom it must go to and what it must say, judged property by property."""

from __future__ import annotations

from simroom.oracle.accounts import Accounts
from simroom.oracle.clients import Clients
from simroom.oracle.leaks import Leaks
from simroom.oracle.ledger import JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.once import Once
from simroom.oracle.recipients import Recipients
from simroom.oracle.sent import Sent
from simroom.oracle.state import Job, Kept
from simroom.oracle.tokens import Tokens
from simroom.oracle.wrong_answers import WrongAnswers
from simroom.scheduler.messages import JobResult, TranslationResult


class Sending:
    """Judges results as they are sent, and ends their jobs."""

    def __init__(
        self,
        mirror: Mirror,
        accounts: Accounts,
        recipients: Recipients,
        once: Once,
        leaks: Leaks,
        tokens: Tokens,
        wrong_answers: WrongAnswers,
        clients: Clients,
    ) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._recipients = recipients
        self._once = once
        self._leaks = leaks
        self._tokens = tokens
        self._wrong_answers = wrong_answers
        self._clients = clients

    def send(self, sent: Sent, job: Job, result: JobResult) -> None:
        """The job's result must go out now; the job has left its lane."""
        audience = self._recipients.of(job)
        expected, away = audience.connections, audience.away
        to, message, positions = self._taken(sent, job)
        payload = result.tts_audio or ""
        self._count(job)
        if message is None and expected:
            self._recipients.missed(job, sent.now, "a result was due and was not sent")
            self._mirror.owe(job)
        elif message is not None:
            if sent.turned:
                self._early(sent, job)
            self._judge(job, expected, to, message, payload, sent.now)
            if message.tts_audio == payload:
                self._wrong_answers.went_out(job, payload, to, sent.now)
        reached = len(to) + len(away)
        room = job.lane.room
        if room is not None and (expected or reached):
            room.last_speaking_at = sent.now
        end = JobEnd.DELIVERED if expected or reached else JobEnd.NO_RECIPIENT
        self._accounts.end(job, end, sent.now, reached, result.extra)
        for session in away:
            self._mirror.keep(session, Kept(TranslationResult, job, payload))
        job.payload = payload
        self._record(sent, job, to, message, positions)

    def against_order(self, sent: Sent, job: Job, result: JobResult) -> None:
        """The job's result went out though it was not its turn; the job has left its lane, what follows is as ever."""
        self._early(sent, job)
        self.send(sent, job, result)

    def once_more(self, sent: Sent, job: Job, position: int) -> None:
        """A result went out whose job has ended already."""
        to, message = sent.items[position]
        sent.tick(position)
        assert isinstance(message, TranslationResult)
        self._count(job)
        if self._mirror.owed.pop(job.id, None) is None:
            connections = self._recipients.of(job).connections
            if job.end == JobEnd.DELIVERED:
                self._once.judge(job, to, sent.now)
                fresh = tuple(connection for connection in to if connection not in job.sent_to)
                self._recipients.judge(job, (), fresh, sent.now)
                self._leaks.judge(job, connections, fresh, sent.now)
            else:
                self._recipients.judge(job, (), to, sent.now)
                self._leaks.judge(job, connections, to, sent.now)
        job.payload = job.payload or message.tts_audio
        self._record(sent, job, to, message, [position])

    def replayed(self, sent: Sent, job: Job, kept: Kept, connection: int) -> bool:
        """A kept result must go out to a session that has come back; returns whether it did."""
        taken = sent.take(TranslationResult, lambda to, message: to == (connection,) and message.job_id == job.id)
        if taken is None:
            return False
        to, message = taken
        self._count(job)
        self._tokens.sent(job, message, kept.text, sent.now)
        if message.tts_audio == kept.text:
            self._wrong_answers.went_out(job, kept.text, to, sent.now)
        job.payload = kept.text
        self._record(sent, job, to, message, [sent.position])
        return True

    def due(self, sent: Sent, job: Job) -> bool:
        """Whether a result of this job is among what has not been accounted for."""
        return sent.find(TranslationResult, lambda _, message: message.job_id == job.id) >= 0

    def _taken(self, sent: Sent, job: Job) -> tuple[tuple[int, ...], TranslationResult | None, list[int]]:
        # One message to all, or the same object to one after another: the rules do not tell these apart.
        first = sent.take(TranslationResult, lambda _, message: message.job_id == job.id)
        if first is None:
            return (), None, []
        to, message = first
        turned = sent.turned
        positions = [sent.position]
        got = dict.fromkeys(to)
        while True:
            more = sent.take(
                TranslationResult,
                lambda to, other: other is message and not any(one in got for one in to),
            )
            if more is None:
                sent.turned = turned
                return tuple(to), message, positions
            to += more[0]
            got.update(dict.fromkeys(more[0]))
            positions.append(sent.position)

    def _judge(
        self,
        job: Job,
        expected: tuple[int, ...],
        to: tuple[int, ...],
        message: TranslationResult,
        payload: str,
        now: int,
    ) -> None:
        if to != expected:
            self._recipients.judge(job, expected, to, now)
            self._leaks.judge(job, expected, to, now)
            self._once.judge(job, to, now)
        self._tokens.sent(job, message, payload, now)

    def _record(
        self, sent: Sent, job: Job, to: tuple[int, ...], message: TranslationResult | None, positions: list[int]
    ) -> None:
        for position in positions:
            sent.rows[position] = job.ledger_row
        if message is not None:
            job.payload = message.tts_audio
            self._clients.sent(job, to)

    def _early(self, sent: Sent, job: Job) -> None:
        oldest = job.lane.living[0] if job.lane.living else None
        behind = "" if oldest is None else f"; #{oldest.index} is older and living"
        what = f"the result was sent out of its turn{behind}"
        self._mirror.findings.add("I3", "out_of_order", sent.now, what, job=job)

    def _count(self, job: Job) -> None:
        findings = self._mirror.findings
        findings.results += 1
        findings.room_results += job.lane.room is not None
