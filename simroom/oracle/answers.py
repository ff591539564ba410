"""What becomes of attempts: answered, timed out, abandoned, or lost with their node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simroom.oracle.accounts import Accounts
from simroom.oracle.ending import Ending
from simroom.oracle.fleet import Node
from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.notices import Notices
from simroom.oracle.order import Order
from simroom.oracle.placing import Placing
from simroom.oracle.sent import Sent
from simroom.oracle.state import LIVING, Attempt, Job
from simroom.oracle.wrong_answers import WrongAnswers
from simroom.scheduler.messages import Error, ErrorCode, JobResult

RETRIED: Final = (ErrorCode.NODE_OVERLOADED, ErrorCode.MODEL_NOT_AVAILABLE, ErrorCode.INTERNAL_ERROR)
"""What a node may report for the job to be tried elsewhere."""


class Answers:
    """Follows attempts to their end."""

    def __init__(
        self,
        mirror: Mirror,
        accounts: Accounts,
        wrong_answers: WrongAnswers,
        notices: Notices,
        order: Order,
        ending: Ending,
        placing: Placing,
        conclude: Callable[[Sent], None],
    ) -> None:
        self._mirror = mirror
        self._fleet = mirror.fleet
        self._accounts = accounts
        self._wrong_answers = wrong_answers
        self._notices = notices
        self._order = order
        self._ending = ending
        self._placing = placing
        self._attempts_max = mirror.settings.max_attempts
        self._abandon_after = mirror.settings.abandon_after
        self._conclude = conclude
        self._findings = mirror.findings
        self._peers = mirror.peers

    # --- answered

    def whole(self, sent: Sent, connection: int, message: JobResult) -> None:
        """A node, or what is not one any more, answered."""
        node = self._peers.get(connection)
        if isinstance(node, Node):
            self.result(sent, node, message)
        else:
            self._accounts.uncount("not_given", message)
            self._ignore(sent, connection)
        self._conclude(sent)

    def _ignore(self, sent: Sent, connection: int) -> None:
        # From a connection that is nobody's any more, or not yet: whether that gets an error is left open.
        sent.take_to(Error, connection)

    def result(self, sent: Sent, node: Node, message: JobResult) -> None:
        """A node answered."""
        job = self._mirror.find(message.job_id)
        if job is None:
            self._accounts.uncount("unknown", message)
            return
        sent.about = job
        earlier = self._earlier(job, node, message.attempt_id)
        running = earlier is None and self._is_running(job, node, message.attempt_id)
        if earlier is None and not running and not self._was_given(job, node):
            self._accounts.uncount("not_given", message)
            return
        open_ended = job.end == LIVING and job.answered_at == NONE
        retried = running and not message.success and open_ended
        if earlier is not None:
            self._free(earlier)
        elif running:
            self._answer_running(job, node, remember=retried)
        if not open_ended or not (running or message.success):
            self._accounts.uncount("late", message)
            self._mirror.settle(job)
        elif message.success:
            # Under a number that its node was never given it counts all the same, and frees no slot.
            by = None if running else earlier or self._last_of(job, node)
            self._answered(sent, job, node, message, by)
        else:
            self._failed(sent, job, message)

    def _answered(self, sent: Sent, job: Job, node: Node, message: JobResult, by: Attempt | None) -> None:
        job.answered_at = sent.now
        job.by = by
        self._mirror.unqueue(job)
        self._wrong_answers.came(job, message.tts_audio or "", node.name)
        self._notices.moot(sent, job)
        self._mirror.settle(job)
        self._order.comes(sent, job, message)

    def _failed(self, sent: Sent, job: Job, message: JobResult) -> None:
        code = None if message.error is None else message.error.code
        if code in RETRIED and job.attempt < self._attempts_max:
            self._placing.place(sent, job)
        else:
            job.answered_at = sent.now
            self._ending.fail(sent, job, JobEnd.FAILED, code)

    def _is_running(self, job: Job, node: Node, attempt: int | None) -> bool:
        return job.running and job.node is node and (attempt is None or attempt == job.attempt)

    def _earlier(self, job: Job, node: Node, number: int | None) -> Attempt | None:
        given = [
            attempt
            for attempt in job.earlier or ()
            if attempt.node is node and (number is None or attempt.number == number)
        ]
        # Without a number it is the one that is still out; a node answers the older one first.
        out = [attempt for attempt in given if attempt.overdue != NONE]
        if out:
            return out[0]
        if number is None and self._is_running(job, node, None):
            return None
        return given[0] if given else None

    def _was_given(self, job: Job, node: Node) -> bool:
        return job.node is node or self._last_of(job, node) is not None

    @staticmethod
    def _last_of(job: Job, node: Node) -> Attempt | None:
        """The node's last attempt of the job; None: that is the last of all, or the node had none."""
        if job.node is node:
            return None
        return next((attempt for attempt in reversed(job.earlier or ()) if attempt.node is node), None)

    def _answer_running(self, job: Job, node: Node, *, remember: bool) -> None:
        if remember:
            self._placing.set_aside(job, NONE)
        else:
            job.running = False
            del self._mirror.running[job.id]
        self._fleet.loaded(node, -1)

    def _free(self, attempt: Attempt) -> None:
        if attempt.overdue != NONE:
            del self._mirror.overdue[attempt.overdue]
            attempt.overdue = NONE
            if attempt.node is not None:
                self._fleet.loaded(attempt.node, -1)

    # --- not answered

    def timed_out(self, sent: Sent, job: Job, due: int) -> None:
        """The running attempt's time ran out."""
        number = self._mirror.serial()
        attempt = self._placing.set_aside(job, number)
        abandoned_at = due + self._abandon_after
        self._mirror.overdue[number] = (abandoned_at, attempt)
        self._mirror.hasten(abandoned_at)
        self._mirror.settle(job)
        self._notices.timed_out(sent, attempt)
        if job.end != LIVING or job.answered_at != NONE:
            return
        if job.attempt < self._attempts_max:
            self._placing.place(sent, job)
        else:
            self._ending.fail(sent, job, JobEnd.EXPIRED, ErrorCode.JOB_TIMEOUT)

    def abandoned(self, attempt: Attempt) -> None:
        """The attempt has been overdue for so long that its slot is taken back."""
        self._free(attempt)
        self._mirror.settle(attempt.job)

    def lost(self, sent: Sent, nodes: list[Node]) -> None:
        """These nodes have gone offline together: what they were doing is over before any of it is tried again."""
        lost: dict[Node, list[Job]] = {node: [] for node in nodes}
        for _, attempt in list(self._mirror.overdue.values()):
            if attempt.node in lost:
                self.abandoned(attempt)
        for job in self._mirror.running.values():
            if job.node in lost:
                lost[job.node].append(job)
        for node, jobs in lost.items():
            self._fleet.loaded(node, -node.load)
            for job in jobs:
                self._placing.set_aside(job, NONE)
        for jobs in lost.values():
            for job in jobs:
                self._try_again(sent, job)

    def _try_again(self, sent: Sent, job: Job) -> None:
        if job.end != LIVING or job.answered_at != NONE:
            self._mirror.settle(job)
        elif job.attempt < self._attempts_max:
            self._placing.place(sent, job)
        else:
            self._ending.fail(sent, job, JobEnd.FAILED, ErrorCode.NODE_UNAVAILABLE)
