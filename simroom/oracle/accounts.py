"""I6: every job ends once and is accounted for; created = ended + living."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.state import LIVING, Job
from simroom.oracle.verdict import HOWS, Verdict
from simroom.scheduler.messages import JobResult, ServiceTimes

ENDS: Final = tuple(end for end in JobEnd if end is not JobEnd.LIVING)


class Accounts:
    """The books.

    Attributes:
        created: Jobs made, those refused at once included.
        ended: Jobs ended, by ``JobEnd``.
        refusals: Jobs that no node could take, by reason.
        uncounted: Results that counted for nothing, by why; ``uncounted_time`` the service of the successful ones.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._ledger = mirror.ledger
        self.created = 0
        self.ended = [0] * len(ENDS)
        self.refusals: dict[str, int] = {}
        self.uncounted: dict[str, int] = {}
        self.uncounted_time = 0
        # As they stood when the scheduler was last restarted: its own books have nothing of what was before.
        self._created_before = 0
        self._ended_before = [0] * len(ENDS)

    def begin_anew(self) -> None:
        """The scheduler was restarted; every job has ended, those that it had as lost."""
        self._created_before = self.created
        self._ended_before = list(self.ended)

    def end(self, job: Job, end: JobEnd, now: int, recipients: int, times: ServiceTimes | None) -> None:
        """Note that a job has ended; it must have left its lane."""
        self.ended[end] += 1
        self._mirror.findings.ends += 1
        job.ledger_row = self._note(job, end, now, recipients, times)
        job.end = int(end)
        job.result = None
        self._mirror.settle(job)

    def _note(self, job: Job, end: JobEnd, now: int, recipients: int, times: ServiceTimes | None) -> int:
        by = job.by
        node = job.node if by is None else by.node
        return self._ledger.job(
            job.row,
            job.lane.tgt_number,
            NONE if node is None else node.number,
            job.attempt,
            job.dispatched_at if by is None else by.dispatched_at,
            NONE if times is None else times.started_at,
            NONE if times is None else times.asr_time,
            NONE if times is None else times.nmt_time,
            NONE if times is None else times.tts_time,
            job.answered_at,
            now,
            end,
            recipients,
        )

    def refused(self, reason: str) -> None:
        """No node could take a job, for this reason."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def uncount(self, why: str, message: JobResult) -> None:
        """A result counted for nothing, and the work on it too."""
        self.uncounted[why] = self.uncounted.get(why, 0) + 1
        times = message.extra
        if message.success and times is not None:
            self.uncounted_time += times.asr_time + times.nmt_time + times.tts_time

    @property
    def living(self) -> int:
        """Jobs that have not ended."""
        return self.created - sum(self.ended)

    def wrong(self, job: Job, now: int, what: str) -> None:
        """A job was not accounted for as the rules say."""
        self._mirror.findings.add("I6", "accounts", now, what, job=job)

    def compare(self, counts: Mapping[str, int], now: int) -> None:
        """Judge the scheduler's own books against these."""
        own = {"created": self.created - self._created_before, "living": self.living}
        own.update({end.name.lower(): self.ended[end] - self._ended_before[end] for end in ENDS})
        for name, count in own.items():
            self._mirror.findings.ends += 1
            if name in counts and counts[name] != count:
                what = f"the scheduler counts {counts[name]:,} jobs {name}, by the messages there are {count:,}"
                self._mirror.findings.add("I6", "accounts", now, what)

    def close(self, now: int) -> None:
        """Write a row for each job that still lives, and let go of all jobs."""
        mirror = self._mirror
        lanes = []
        for job in chain(mirror.running.values(), mirror.aside.values(), mirror.waiting.values()):
            if job.end == LIVING and job.ledger_row == NONE:
                result = job.result
                job.ledger_row = self._note(job, JobEnd.LIVING, now, 0, None if result is None else result.extra)
            lanes.append(job.lane)
        for lane in lanes:
            lane.living.clear()
            lane.passed.clear()
        for table in (mirror.running, mirror.aside, mirror.waiting, mirror.overdue):
            table.clear()
        mirror.holds.clear()

    def verdict(
        self, stuck: Sequence[str], unfinished: tuple[str, ...], wrong: Mapping[str, dict[str, int]], deliveries: int
    ) -> Verdict:
        """The oracle's word; its arguments as in ``Verdict``, the last two ``wrong_answers``, ``wrong_deliveries``."""
        findings = self._mirror.findings
        ordered = self._mirror.settings.ordering != "none"
        return Verdict(
            violations=tuple(findings.violations),
            counts=dict(findings.counts),
            judgements=findings.judgements(ordered=ordered),
            ends={end.name.lower(): self.ended[end] for end in ENDS},
            refusals=dict(self.refusals),
            created=self.created,
            living=self.living,
            uncounted=dict(self.uncounted),
            uncounted_time=self.uncounted_time,
            breaches=dict(findings.breaches),
            stuck=tuple(stuck),
            unfinished=unfinished,
            wrong_answers={how: dict(wrong[how]) for how in HOWS if how in wrong},
            wrong_deliveries=deliveries,
        )
