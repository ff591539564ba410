"""I3: results of one speaker, room and language go out in the order of their utterances."""

from __future__ import annotations

from simroom.oracle.accounts import Accounts
from simroom.oracle.ledger import JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.sending import Sending
from simroom.oracle.sent import Sent
from simroom.oracle.state import LIVING, Job, Lane
from simroom.scheduler.messages import JobResult


class Order:
    """Whose turn it is."""

    def __init__(self, mirror: Mirror, accounts: Accounts, sending: Sending) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._sending = sending
        self._ordering = mirror.settings.ordering
        self._max_hold = mirror.settings.max_hold
        self._drops_late = mirror.settings.late == "drop"

    def comes(self, sent: Sent, job: Job, result: JobResult) -> None:
        """A result has come for a living job that was not answered before."""
        self._mirror.findings.turns += 1
        lane = job.lane
        if job.passed:
            self._late(sent, job, result)
        elif self._ordering == "none" or lane.living[0] is job:
            self.remove(job)
            self._sending.send(sent, job, result)
            self.release(sent, lane)
        else:
            job.result = result
            self._mirror.settle(job)
            if self._ordering == "gap":
                due = sent.now + self._max_hold
                self._mirror.holds.append((due, job))
                self._mirror.hasten(due)

    def remove(self, job: Job) -> None:
        """The job no longer stands in order."""
        lane = job.lane
        (lane.passed if job.passed else lane.living).remove(job)
        self._mirror.tidy(lane)

    def release(self, sent: Sent, lane: Lane) -> None:
        """What is oldest now and holds a result must go out, and so on."""
        while lane.living and lane.living[0].result is not None:
            job = lane.living[0]
            result = job.result
            assert result is not None
            self.remove(job)
            self._sending.send(sent, job, result)

    def hold_ended(self, sent: Sent, job: Job) -> None:
        """A result has been held for long enough: older jobs without one lose their turn."""
        if job.end != LIVING or job.result is None:
            return
        lane = job.lane
        place = lane.living.index(job)
        for older in lane.living[:place]:
            if older.result is None:
                older.passed = True
                lane.passed.append(older)
                lane.living.remove(older)
        self.release(sent, lane)

    def against(self, sent: Sent, job: Job) -> None:
        """A held result was sent though it was not its turn."""
        result = job.result
        assert result is not None
        self.remove(job)
        self._sending.against_order(sent, job, result)
        self.release(sent, job.lane)

    def _late(self, sent: Sent, job: Job, result: JobResult) -> None:
        self.remove(job)
        if not self._drops_late:
            self._sending.send(sent, job, result)
        elif self._sending.due(sent, job):
            self._sending.against_order(sent, job, result)
        else:
            self._accounts.end(job, JobEnd.DROPPED_LATE, sent.now, 0, result.extra)
