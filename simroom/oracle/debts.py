"""What the scheduler still owes: a word about jobs that must have ended, and results to those who should have them.

A breach is told when it happens; whether it was made good later, late as that may be, shows only in the end.
"""

from __future__ import annotations

from typing import Final

from simroom.oracle.mirror import Mirror
from simroom.oracle.state import Job, Session

SILENT_MAX: Final = 1_000
"""So many jobs of which nothing was heard are waited for; the oldest beyond that are taken for stuck at once."""
UNPAID_MAX: Final = 10_000
"""So many results to one recipient are waited for; likewise."""


class Missed:
    """What one recipient never got.

    Attributes:
        count: Results.
        first: The first of their jobs.
    """

    __slots__ = ("count", "first")

    def __init__(self, first: Job) -> None:
        self.first = first
        self.count = 0


class Debts:
    """Open debts, each with the instant since when it is owed.

    Attributes:
        stuck: What never came to its end, in words, the first ones.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._findings = mirror.findings
        self.stuck: list[str] = []
        self._silent: dict[Job, int] = {}
        self._unpaid: dict[tuple[str, str], tuple[Session, Job]] = {}
        self._missed: dict[Session, Missed] = {}

    # --- words about ends

    def silent(self, job: Job, now: int) -> None:
        """The job must have ended, its speaker is there to be told, and nothing was heard."""
        self._silent[job] = now
        if len(self._silent) > SILENT_MAX:
            oldest = next(iter(self._silent))
            self._write_off(oldest, self._silent.pop(oldest), now)

    def heard(self, session_id: str, index: int, job_id: str) -> None:
        """The scheduler says something about a job, a result of it or that it has failed."""
        if not self._silent:
            return
        for job in self._silent:
            # What was never given out has no name that is known, and the event does not say its language.
            known = job.id == job_id if job.id else job.index == index and job.lane.session_id == session_id
            if known:
                del self._silent[job]
                return

    @property
    def silent_count(self) -> int:
        """Jobs that must have ended and of which nothing has been heard."""
        return len(self._silent)

    def write_off(self, now: int, *, older_than: int | None = None) -> None:
        """Nothing will be heard of these jobs any more: they are stuck.

        Args:
            now: The present.
            older_than: Only of jobs that were made before; None: of all.
        """
        for job, since in list(self._silent.items()):
            if older_than is None or job.made_at < older_than:
                del self._silent[job]
                self._write_off(job, since, now)

    def _write_off(self, job: Job, since: int, now: int) -> None:
        where = "it was never given to a node"
        if job.attempt:
            node = "a node that is not known" if job.node is None else job.node.name
            where = f"attempt {job.attempt} was given to {node}"
        self.breached("L1", now, f"nothing was heard of its end, due {seconds(now - since)} ago; {where}", job)

    # --- results

    def missed(self, job: Job, sessions: tuple[Session, ...]) -> None:
        """These should have got the job's result, and did not."""
        for session in sessions:
            self._unpaid[job.id, session.session_id] = (session, job)
        while len(self._unpaid) > UNPAID_MAX:
            self._tally(next(iter(self._unpaid)))

    def sent(self, job_id: str, to: tuple[int, ...]) -> None:
        """A result goes to these connections."""
        if self._unpaid:
            for connection in to:
                peer = self._mirror.peers.get(connection)
                if isinstance(peer, Session):
                    self._unpaid.pop((job_id, peer.session_id), None)

    def recipients(self) -> dict[Session, Missed]:
        """What is never sent any more, by who should have got it, in the order in which it was first missed."""
        while self._unpaid:
            self._tally(next(iter(self._unpaid)))
        return self._missed

    def _tally(self, key: tuple[str, str]) -> None:
        session, job = self._unpaid.pop(key)
        missed = self._missed.get(session)
        if missed is None:
            missed = self._missed[session] = Missed(job)
        missed.count += 1

    # --- what comes of them

    def breached(
        self, invariant: str, now: int, what: str, job: Job | None = None, recipients: tuple[str, ...] = ()
    ) -> None:
        """Something never came to its end: one of ``L1`` to ``L4`` is breached."""
        self._findings.add(invariant, "stuck", now, what, job=job, recipients=recipients)
        if len(self.stuck) < self._findings.kept_max:
            self.stuck.append(what if job is None else f"{about(job)}: {what}")

    def forget(self) -> None:
        """The scheduler was restarted: it owes nothing any more."""
        self._silent.clear()
        self._unpaid.clear()


def about(job: Job) -> str:
    """Whose speech a job is about, and into what."""
    return f"{job.lane.speaker.name} #{job.index} → {job.lane.tgt}"


def seconds(span: int) -> str:
    """A span in words."""
    return f"{span / 1_000_000:.3f} s"
