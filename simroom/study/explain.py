"""Explains one thing of a run: runs it again, looks on, and tells the life of what was asked about.

A run is the same every time, so whatever is to be known of it can be found by running it once more. What is not known
by name (a job, a violation, the slowest delivery) is looked for in a first run, and followed in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import NONE
from simroom.oracle.verdict import Violation
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import SchedulerFactory
from simroom.scheduler.scheduler import Scheduler
from simroom.sim.run import Progress, RunData, simulate
from simroom.study.fan_out import beginning, changes
from simroom.study.follower import Follower
from simroom.study.job_story import JobStory
from simroom.study.life import Life, Scene, Steps
from simroom.study.reception import absences, arrivals, breaches
from simroom.study.recorder import Recording
from simroom.study.stay import Stay, stay_of
from simroom.study.table import Table
from simroom.study.trail import Trail
from simroom.study.words import counted, stopwatch

ARRIVALS_TOLD = 6
"""Arrivals of one result that are told one by one."""


class ByName(Struct, frozen=True):
    """An utterance: the first one of ``speaker`` with this number that arrives at ``since`` (from time 0) or later."""

    speaker: str
    index: int
    since: int | None = None


class ByJob(Struct, frozen=True):
    """The utterance of a job, and of its jobs this one."""

    job_id: str


class ByViolation(Struct, frozen=True):
    """What the violation with this number is about, counted from 1 in order of time."""

    number: int


class Slowest(Struct, frozen=True):
    """The delivery with the greatest latency, of the measured ones where there are any."""


class ByMember(Struct, frozen=True):
    """Somebody at an instant from time 0."""

    name: str
    at: int


Request = ByName | ByJob | ByViolation | Slowest | ByMember


class Explanation(Struct, frozen=True):
    """What there is to say.

    Attributes:
        trace_hash: Of the run that was explained.
        interrupted: It was stopped from outside, so there is nothing to say.
        halted: Why it could not go on and since when; None: it could. What happened before is told.
        violation: What was asked about; None: something else was.
        life: None: it is not about an utterance.
        stay: None: it is not about somebody at an instant.
        nothing: Why there is nothing to say; None: there is something.
    """

    seed: int
    trace_hash: str
    interrupted: bool
    halted: str | None
    violation: Violation | None
    life: Life | None
    stay: Stay | None
    nothing: str | None


def session_names(scenario: Scenario) -> Iterator[str]:
    """The names of everybody in a scenario, in its order: ``room/member``, and single sessions."""
    for room in scenario.rooms:
        members = [member.name for member in room.roster()]
        for name in _numbered(room.name, room.count):
            for member in members:
                yield f"{name}/{member}"
    for group in scenario.sessions:
        yield from _numbered(group.name, group.count)


def room_names(scenario: Scenario) -> Iterator[str]:
    """The names of the rooms in a scenario, in its order."""
    for room in scenario.rooms:
        yield from _numbered(room.name, room.count)


def _numbered(name: str, count: int) -> Iterator[str]:
    return iter([name]) if count == 1 else (f"{name}-{number + 1}" for number in range(count))


def scheduler_of(scenario: Scenario) -> SchedulerFactory:
    """What makes the scheduler that a scenario asks for: simroom's, or the broken one that it names."""
    if scenario.bug is None:
        return Scheduler
    from simroom.bugbank import BUGS  # noqa: PLC0415 - broken schedulers, for the few scenarios that ask for one

    return BUGS[scenario.bug].make


def explained(
    scenario: Scenario,
    request: Request,
    *,
    seed: int,
    scheduler: SchedulerFactory | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Explanation:
    """Run a scenario again and tell of one thing in it.

    Args:
        scenario: What was run.
        request: What to tell of. Names must be the scenario's.
        seed: The seed of the run.
        scheduler: Made the scheduler; None: the scenario's.
        progress: As for ``simulate``; called anew where a second run is needed.
    """
    return _Explainer(scenario, seed, scheduler or scheduler_of(scenario), progress).explain(request)


class _Explainer:
    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        factory: SchedulerFactory,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._factory = factory
        self._progress = progress
        self._zero = scenario.lead_in

    def explain(self, request: Request) -> Explanation:
        match request:
            case ByName():
                return self._named(request)
            case ByJob():
                return self._job(request.job_id)
            case ByViolation():
                return self._violation(request.number)
            case Slowest():
                return self._slowest()
            case ByMember():
                return self._member(request.name, request.at + self._zero)

    def _run(self, recording: Recording) -> RunData:
        return simulate(
            self._scenario,
            seed=self._seed,
            scheduler=recording.around(self._factory),
            progress=self._progress,
        )

    def _said(
        self,
        run: RunData,
        *,
        violation: Violation | None = None,
        life: Life | None = None,
        stay: Stay | None = None,
        nothing: str | None = None,
    ) -> Explanation:
        return Explanation(
            seed=self._seed,
            trace_hash=run.trace_hash,
            interrupted=run.interrupted,
            halted=run.halted,
            violation=violation,
            life=life,
            stay=stay,
            nothing=nothing,
        )

    # --- what is asked for

    def _named(self, request: ByName) -> Explanation:
        since = 0 if request.since is None else request.since + self._zero
        follower = Follower(request.speaker, index=request.index, row=None, since=since)
        run = self._run(Recording(follower=follower))
        table = Table(run)
        row = NONE if follower.trail is None else follower.trail.spoken.row
        if row == NONE:
            row = _spoken(table, request, since)
        if run.interrupted or row == NONE:
            return self._said(run, nothing=_unspoken(table, request))
        notes = []
        if follower.others:
            when = ", ".join(stopwatch(at - self._zero) for at in follower.others[:3])
            others = counted(len(follower.others), "other utterance")
            notes.append(f"{others} of {request.speaker} had the number {request.index}, in another session: at {when}")
        return self._said(run, life=life_of(table, row, follower.trail, notes=notes))

    def _row(self, row: int, speaker: str, language: str | None, violation: Violation | None = None) -> Explanation:
        """Tell of the utterance in one row of the ledger, in a run of its own."""
        follower = Follower(speaker, index=None, row=row, since=0)
        run = self._run(Recording(follower=follower))
        if run.interrupted:
            return self._said(run, violation=violation, nothing="interrupted")
        life = life_of(Table(run), row, follower.trail, language=language)
        return self._said(run, violation=violation, life=life)

    def _job(self, job_id: str, violation: Violation | None = None) -> Explanation:
        recording = Recording(job_id=job_id)
        run = self._run(recording)
        row = recording.job_row
        if run.interrupted or row is None or row == NONE:
            last = "" if recording.last_job is None else f", the last one {recording.last_job}"
            nothing = f"no such job was made: there were {counted(run.verdict.created, 'job')}{last}"
            return self._said(run, violation=violation, nothing=nothing)
        speaker = run.ledger.sessions.names[int(run.ledger.utterances()["speaker"][row])]
        follower = Follower(speaker, index=None, row=row, since=0)
        run = self._run(Recording(follower=follower))
        ids = {} if follower.trail is None else follower.trail.spoken.jobs
        language = next((language for language, known in ids.items() if known == job_id), None)
        return self._said(run, violation=violation, life=life_of(Table(run), row, follower.trail, language=language))

    def _slowest(self) -> Explanation:
        run = self._run(Recording())
        table = Table(run)
        if run.interrupted or not len(table.deliveries["job"]):
            return self._said(run, nothing="nothing was delivered")
        latency = table.delivery_latency
        measured = table.mask("delivery", {}) & table.measured("delivery")
        chosen = np.flatnonzero(measured) if measured.any() else np.arange(len(latency))
        place = int(chosen[np.argmax(latency[chosen])])
        job = int(table.deliveries["job"][place])
        row = int(table.jobs["utterance"][job])
        speaker = run.ledger.sessions.names[int(table.utterances["speaker"][row])]
        return self._row(row, speaker, run.ledger.languages.names[int(table.jobs["tgt_lang"][job])])

    def _violation(self, number: int) -> Explanation:
        run = self._run(Recording())
        violations = run.verdict.violations
        if run.interrupted or number > len(violations):
            total = run.verdict.violation_count
            there = "there was no violation" if not total else f"there were {counted(total, 'violation')}"
            kept = f", of which the first {len(violations):,} can be told" if total > len(violations) else ""
            return self._said(run, nothing=there + kept)
        violation = violations[number - 1]
        table = Table(run)
        row = _row_of(table, violation)
        if row is not None and violation.speaker is not None:
            return self._row(row, violation.speaker, violation.language, violation)
        if violation.job_id is not None:
            return self._job(violation.job_id, violation)
        who = violation.speaker or next(iter(violation.recipients), None)
        if who in run.ledger.sessions.names and who is not None:
            return self._member(who, min(violation.at, run.ended_at), violation)
        return self._said(run, violation=violation)

    def _member(self, name: str, at: int, violation: Violation | None = None) -> Explanation:
        recording = Recording(member=name, instant=at)
        run = self._run(recording)
        if run.interrupted:
            return self._said(run, violation=violation, nothing="interrupted")
        if at > run.ended_at:
            over = stopwatch(run.ended_at - self._zero)
            return self._said(run, violation=violation, nothing=f"the run was over at {over}")
        return self._said(run, violation=violation, stay=stay_of(Table(run), recording))


def life_of(
    table: Table, row: int, trail: Trail | None, *, language: str | None = None, notes: list[str] | None = None
) -> Life:
    """Tell the life of one utterance.

    Args:
        table: The run.
        row: The utterance's row in the ledger.
        trail: What was kept of it; None: it never arrived.
        language: Tell of the job into this language only; None: of all.
        notes: What else is to be said.
    """
    scene = Scene(table, row, trail)
    jobs = tuple(job for job in scene.jobs if language in (None, job.language)) or scene.jobs
    steps = Steps(scene.time_zero)
    told = list(notes or ())
    beginning(scene, steps)
    for job in jobs:
        JobStory(scene, job, steps).tell()
    left_out = changes(scene, steps)
    receipts, receipt_count = arrivals(scene, jobs, steps, ARRIVALS_TOLD)
    breaches(scene, jobs, steps)
    absent = [absence for job in jobs for absence in absences(scene, job, receipts)]
    if left_out:
        told.append(f"{left_out:,} more comings and goings in the room are not told")
    if trail is not None and trail.dropped:
        told.append(f"{trail.dropped:,} more things happened to it than are kept")
    if len(jobs) < len(scene.jobs):
        others = ", ".join(job.label for job in scene.jobs if job not in jobs)
        told.append(f"its other jobs are not told: {others}")
    return Life(
        speaker=scene.speaker,
        utterance_index=scene.index,
        room=scene.room,
        src_lang=scene.src_lang,
        started_at=int(table.utterances["started_at"][row]) - scene.time_zero,
        ended_at=int(table.utterances["ended_at"][row]) - scene.time_zero,
        jobs=jobs,
        steps=steps.in_order(),
        receipts=tuple(receipts),
        receipt_count=receipt_count,
        absences=tuple(absent),
        notes=tuple(told),
    )


def _of_speaker(table: Table, speaker: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    names = table.run.ledger.sessions.names
    number = names.index(speaker) if speaker in names else NONE - 1
    return np.flatnonzero(table.utterances["speaker"] == number)


def _spoken(table: Table, request: ByName, since: int) -> int:
    """Row of an utterance that was spoken and never arrived; ``NONE``: there is none."""
    for row in _of_speaker(table, request.speaker).tolist():
        if table.utterances["utterance_index"][row] == request.index and table.utterances["ended_at"][row] >= since:
            return int(row)
    return NONE


def _unspoken(table: Table, request: ByName) -> str:
    rows = _of_speaker(table, request.speaker)
    if not len(rows):
        return f"{request.speaker} has said nothing"
    highest = int(table.utterances["utterance_index"][rows].max())
    later = "" if request.since is None else f" at {stopwatch(request.since)} or later"
    return f"{request.speaker} has said no #{request.index}{later}; the numbers go from #0 to #{highest}"


def _row_of(table: Table, violation: Violation) -> int | None:
    """The utterance that a violation is about: of those with its number the last one that had arrived by then."""
    if violation.speaker is None or violation.utterance_index is None:
        return None
    found = None
    for row in _of_speaker(table, violation.speaker).tolist():
        received = int(table.utterances["received_at"][row])
        if table.utterances["utterance_index"][row] != violation.utterance_index:
            continue
        if found is None or NONE != received <= violation.at:
            found = int(row)
    return found
