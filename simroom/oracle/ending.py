"""Ends of jobs without a result: the speaker is told, attempts are moot, those behind are released."""

from __future__ import annotations

from simroom.oracle.accounts import Accounts
from simroom.oracle.ledger import JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.notices import Notices
from simroom.oracle.order import Order
from simroom.oracle.sent import Sent
from simroom.oracle.state import Job, Room


class Ending:
    """Ends jobs that bring nothing."""

    def __init__(self, mirror: Mirror, accounts: Accounts, notices: Notices, order: Order) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._notices = notices
        self._order = order

    def fail(
        self, sent: Sent, job: Job, end: JobEnd, code: str | None, hint: str | None = None, *, told: bool = True
    ) -> str | None:
        """The job must end so; returns the hint that the speaker was given.

        Args:
            sent: What the scheduler sent.
            job: The job.
            end: How it ends.
            code: What the speaker must be told; None: anything.
            hint: Likewise.
            told: False: the speaker need not be told (it was, or the silence has been judged).
        """
        given = self._notices.failed(sent, job, code, hint) if told else None
        self.silently(sent, job, end)
        self._order.release(sent, job.lane)
        return given

    def silently(self, sent: Sent, job: Job, end: JobEnd) -> None:
        """The job must end so, and nobody is told."""
        self._order.remove(job)
        self._mirror.unqueue(job)
        result = job.result
        self._notices.moot(sent, job)
        self._accounts.end(job, end, sent.now, 0, None if result is None else result.extra)

    def unheard(self, sent: Sent, job: Job) -> None:
        """The job must end as there is nobody to tell."""
        self.silently(sent, job, JobEnd.NO_RECIPIENT)
        self._order.release(sent, job.lane)

    def room(self, sent: Sent, room: Room) -> None:
        """The room has ended, and with it all of its jobs."""
        for lane in list(room.lanes.values()):
            for job in (*lane.living, *lane.passed):
                self.silently(sent, job, JobEnd.NO_RECIPIENT)
        self._mirror.close_room(room, sent.now)
