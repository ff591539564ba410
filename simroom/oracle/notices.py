"""What the speaker is told of a job that fails, and the node of an attempt that is moot."""

from __future__ import annotations

from typing import Final

from simroom.oracle.accounts import Accounts
from simroom.oracle.debts import Debts
from simroom.oracle.fleet import OFFLINE, Node
from simroom.oracle.ledger import NONE
from simroom.oracle.mirror import Mirror
from simroom.oracle.sent import Sent
from simroom.oracle.state import Attempt, Job, Kept
from simroom.scheduler.messages import JobCancel, UiEvent

ERROR: Final = "ERROR"
DISPATCHED: Final = "DISPATCHED"


class Notices:
    """Judges what is told about jobs, results aside."""

    def __init__(self, mirror: Mirror, accounts: Accounts, debts: Debts) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._debts = debts
        self._findings = mirror.findings
        self._all = mirror.settings.ui_events == "all"
        self._cancels = mirror.settings.cancel == "moot"

    # --- to the speaker

    def is_about(self, job: Job, message: UiEvent) -> bool:
        """Whether an event tells that this job has failed."""
        if message.event != ERROR or message.status != "error":
            return False
        if job.id:
            return message.job_id == job.id
        return (
            message.session_id == job.lane.speaker.session_id
            and message.utterance_index == job.index
            and self._mirror.find(message.job_id) is None
        )

    def told(self, sent: Sent, job: Job) -> bool:
        """Whether such an event is among what has not been accounted for."""
        return sent.find(UiEvent, lambda _, message: self.is_about(job, message)) >= 0

    def failed(self, sent: Sent, job: Job, code: str | None, hint: str | None = None) -> str | None:
        """The speaker, if still there, must be told that the job failed; returns the hint that it was given.

        Args:
            sent: What the scheduler sent.
            job: The job.
            code: None: any.
            hint: None: any.
        """
        speaker = job.lane.speaker
        taken = sent.take(UiEvent, lambda _, message: self.is_about(job, message))
        self._findings.replies += 1
        if taken is None:
            if speaker.own:
                self._accounts.wrong(job, sent.now, f"the job ended ({code}) and {speaker.name} was not told")
                self._debts.silent(job, sent.now)
            elif not speaker.ended:
                self._mirror.keep(speaker, Kept(UiEvent, job, code or ""))
            return None
        to, message = taken
        wrong = None
        if sent.turned:
            wrong = "the speaker was told before its turn"
        elif to != speaker.own:
            wrong = f"{', '.join(self._mirror.names(to)[:3])} was told, and not the speaker alone"
        elif code is not None and message.error_code != code:
            wrong = f"the speaker was told {message.error_code} instead of {code}"
        elif hint is not None and message.hint != hint:
            wrong = f"the speaker was told {message.hint} instead of {hint}"
        elif message.utterance_index != job.index or message.session_id != speaker.session_id:
            wrong = "the speaker was told of another utterance"
        if wrong is not None:
            self._findings.add("reply", "reply", sent.now, wrong, job=job, recipients=self._mirror.names(to))
        return message.hint

    def dispatched(self, sent: Sent, job: Job) -> None:
        """Where the speaker hears of every step, it must hear of this one."""
        if not self._all:
            return
        speaker = job.lane.speaker
        taken = sent.take(
            UiEvent,
            lambda to, message: to == speaker.own and message.event == DISPATCHED and message.job_id == job.id,
        )
        self._findings.replies += 1
        if taken is None:
            if speaker.own:
                what = f"{speaker.name} was not told that the job was dispatched"
                self._findings.add("reply", "reply", sent.now, what, job=job, recipients=(speaker.name,))
            elif not speaker.ended:
                self._mirror.keep(speaker, Kept(UiEvent, job, ""))

    # --- to nodes

    def moot(self, sent: Sent, job: Job) -> None:
        """The job has ended or is answered: its attempts in flight are moot."""
        if not self._cancels:
            return
        if job.running and not job.told:
            job.told = True
            self._cancelled(sent, job, job.node, job.attempt)
        for attempt in job.earlier or ():
            if attempt.overdue != NONE and not attempt.told:
                self.timed_out(sent, attempt)

    def timed_out(self, sent: Sent, attempt: Attempt) -> None:
        """The attempt's time ran out: it is moot."""
        if self._cancels and not attempt.told:
            attempt.told = True
            self._cancelled(sent, attempt.job, attempt.node, attempt.number)

    def _cancelled(self, sent: Sent, job: Job, node: Node | None, attempt: int) -> None:
        if node is None or node.connection is None or node.status == OFFLINE:
            return
        to = (node.connection,)
        taken = sent.take(
            JobCancel, lambda at, message: at == to and message.job_id == job.id and message.attempt_id == attempt
        )
        self._findings.replies += 1
        if taken is None:
            what = f"node {node.name} was not told that attempt {attempt} is moot"
            self._findings.add("reply", "reply", sent.now, what, job=job, node=node.name)
