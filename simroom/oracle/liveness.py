"""L1 to L4: whether everything came to its end, judged when all is over."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

import numpy as np

from simroom.oracle.accounts import Accounts
from simroom.oracle.debts import Debts, about, seconds
from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.state import LIVING, Job
from simroom.scheduler.settings import Settings

FAILURES: Final = (JobEnd.FAILED, JobEnd.REJECTED, JobEnd.EXPIRED, JobEnd.DROPPED_LATE)
"""Ends that must not keep later results of their key from being sent."""
UNFINISHED_MAX: Final = 10
"""So many jobs that still had time are told of."""


def bound_of(settings: Settings) -> int:
    """The longest that a job can live, whole microseconds from its making.

    Each attempt has its time, and before each it may have to wait for a node. Being held adds nothing, in whichever
    order: what a result is held for are older jobs, which end within their own bound.
    """
    waiting = settings.waiting_time_max if settings.on_no_node == "queue" else 0
    return settings.max_attempts * (settings.job_timeout + waiting)


class Liveness:
    """The judge of L1 to L4."""

    def __init__(self, mirror: Mirror, accounts: Accounts, debts: Debts) -> None:
        self._mirror = mirror
        self._findings = mirror.findings
        self._accounts = accounts
        self._debts = debts
        self._settings = mirror.settings
        self.unfinished: tuple[str, ...] = ()

    def judge(
        self,
        now: int,
        counts: Mapping[str, int] | None,
        entry_count: int | None,
        *,
        drained: bool,
        everybody_left: bool,
    ) -> None:
        """All is over: judge what has not come to its end.

        Args:
            now: The last instant.
            counts: The scheduler's own books, where it offers any.
            entry_count: How much it says that it remembers, likewise.
            drained: Nothing more will happen.
            everybody_left: No connection is open any more.
        """
        self._ends(now, counts, drained=drained)
        if drained:
            self._recipients(now)
            self._mutes(now)
        if everybody_left and entry_count is not None and self._is_over():
            self._emptiness(now, entry_count)

    # --- L1

    def _ends(self, now: int, counts: Mapping[str, int] | None, *, drained: bool) -> None:
        # A driver that is late makes every step late; there are two to an attempt, being given out and timing out.
        bound = bound_of(self._settings) + 2 * self._settings.max_attempts * self._mirror.lateness
        living = self._living()
        overdue = [job for job in living if now - job.made_at > bound]
        self._findings.in_the_end["L1"] = self._accounts.created - len(living) + len(overdue)
        for job in overdue:
            what = f"it has lived for {seconds(now - job.made_at)}, {seconds(bound)} is the most; it {self._wait(job)}"
            self._debts.breached("L1", now, what, job)
        silent_count = self._debts.silent_count
        self._debts.write_off(now, older_than=None if drained else now - bound)
        self.unfinished = tuple(f"{about(job)} {self._wait(job)}" for job in living if now - job.made_at <= bound)[
            :UNFINISHED_MAX
        ]
        more = 0 if counts is None else counts.get("living", 0) - len(living) - silent_count
        if more > 0:
            what = f"{more:,} jobs more live in the scheduler's own books than can, by the messages"
            self._debts.breached("L1", now, what.replace("1 jobs", "1 job", 1) if more == 1 else what)

    def _living(self) -> list[Job]:
        mirror = self._mirror
        tables = (mirror.running, mirror.aside, mirror.waiting)
        found = {job: None for job in chain.from_iterable(table.values() for table in tables) if job.end == LIVING}
        return sorted(found, key=lambda job: job.made_at)

    def _wait(self, job: Job) -> str:
        """What a living job waits for, as the end of a sentence about it."""
        if job.waiting_number != NONE:
            if self._mirror.fleet.any_fits(job.profile):
                return "waits for a node, though one fits"
            reason = self._mirror.fleet.furthest(job.profile)
            thing = "a slot" if reason == "CAPACITY_EXCEEDED" else "a node"
            return f"waits for {thing}: {reason}"
        if job.result is not None:
            older = next((other for other in job.lane.living if other is job or other.result is None), job)
            if older is job:
                return "is answered and held for nothing"
            return f"is answered and held for #{older.index}, which {self._wait(older)}"
        if job.running:
            node = "a node that is not known" if job.node is None else job.node.name
            return f"waits for the answer of {node} to attempt {job.attempt}"
        return "waits for nothing that is known"

    # --- L2

    def _recipients(self, now: int) -> None:
        missed = self._debts.recipients()
        count = sum(one.count for one in missed.values())
        self._findings.in_the_end["L2"] = self._findings.awaited + count
        for session, one in missed.items():
            results = "a result" if one.count == 1 else f"{one.count:,} results"
            which = "of" if one.count == 1 else "the first of"
            what = f"{session.name} never got {results} that it should have got, {which} {about(one.first)}"
            self._debts.breached("L2", now, what, recipients=(session.name,))

    # --- L3

    def _mutes(self, now: int) -> None:
        """Judge whether a failure was the last that was heard of its speaker in its language."""
        ended = self._accounts.ended
        self._findings.in_the_end["L3"] = sum(ended[end] for end in FAILURES)
        owed = {job.ledger_row: job for job in self._mirror.owed.values() if job.ledger_row != NONE}
        if not owed or not self._findings.in_the_end["L3"]:
            return
        ledger = self._mirror.ledger
        jobs, utterances = ledger.jobs(), ledger.utterances()
        of = jobs["utterance"]
        key = np.stack((utterances["speaker"][of], utterances["room"][of], jobs["tgt_lang"]))
        failed = np.isin(jobs["end"], FAILURES)
        reached = (jobs["end"] == JobEnd.DELIVERED) & (jobs["recipients"] > 0)
        told: dict[tuple[int, ...], None] = {}
        for row, job in owed.items():
            own = tuple(key[:, row].tolist())
            if own in told:
                continue
            same = (key == key[:, row, None]).all(axis=0)
            # What was said before this, and ended without a result before this was due.
            before = np.flatnonzero((same & failed & (of < of[row]))[:row])
            if len(before) == 0 or (same & reached)[before[-1] :].any():
                continue
            told[own] = None
            last = int(before[-1])
            count = sum(bool(same[other]) and other > last and of[other] > of[last] for other in owed)
            results = "a result that was due was" if count == 1 else f"{count:,} results that were due were"
            how = JobEnd(int(jobs["end"][last])).name.lower().replace("_", " ")
            index = utterances["utterance_index"][of[last]]
            self._debts.breached("L3", now, f"nothing came since #{index} ended as {how}: {results} never sent", job)

    # --- L4

    def _is_over(self) -> bool:
        """Whether nobody is there any more and nothing is under way."""
        mirror = self._mirror
        tables = (mirror.peers, mirror.sessions, mirror.rooms, mirror.running, mirror.aside, mirror.overdue)
        return not any(tables) and not mirror.waiting

    def _emptiness(self, now: int, entry_count: int) -> None:
        self._findings.in_the_end["L4"] = 1
        if entry_count != 0:
            entries = "1 entry" if entry_count == 1 else f"{entry_count:,} entries"
            what = f"everybody has left and everything has ended, and the scheduler still remembers {entries}"
            self._debts.breached("L4", now, what)
