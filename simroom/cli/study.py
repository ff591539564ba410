"""``simroom run`` with ``--replications`` or ``--precision``: replicate, judge, write, tell."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct
from rich.console import RenderableType

from simroom.cli import estimates, exits, plugins, scenarios
from simroom.cli import run as single
from simroom.report.console import complain, console, plain_text, say, write
from simroom.report.study import StudyLine, headline, report
from simroom.report.terminal import Written
from simroom.scenario.printable import printable
from simroom.scenario.schema import Scenario
from simroom.scenario.units import UnfitError, parse_share
from simroom.study.estimate import EVENT_BUDGET, estimate
from simroom.study.executors import Local, processors
from simroom.study.folder import FolderError, check_writable, folder_name
from simroom.study.judging import StudyConclusion, concluded
from simroom.study.pool import WorkError
from simroom.study.replicate import COUNT, COUNT_MAX, Asked, Study, replicate
from simroom.study.replication import ScenarioSource
from simroom.study.study_record import FILES, StudyRecord, study_summary, write_study
from simroom.study.summary import Source, dumps

FURTHER_MAX = 1_000
"""More replications more than this are not suggested: longer ones are what is wanted then."""


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        run: What a single run is asked for; the rows of deliveries are not written.
        replications: How many; None: as many as the precision takes.
        precision: Such as ``2%``; None: whatever comes.
        replications_max: With a precision, at most so many.
        jobs: Processes at once; None: one for each processor.
    """

    run: single.Options
    replications: int | None = None
    precision: str | None = None
    replications_max: int = COUNT_MAX
    jobs: int | None = None


def study(options: Options) -> int:
    """Run replications of a scenario.

    Returns:
        The exit code.

    Raises:
        StopError: It cannot be done.
    """
    asked = _asked(options)
    if asked.count == 1 and asked.precision is None:
        complain("One replication has no interval: what follows is judged by its values alone.")
        return single.run(options.run)
    run = options.run
    path = run.scenario or scenarios.quickstart()
    scenario = scenarios.sound(path, run.overrides).scenario
    seed = scenario.seed if run.seed is None else run.seed
    if not run.force:
        estimates.refuse_oversize(path, scenario)
        _refuse_oversize(path, scenario, asked)
    name = folder_name(f"{path.stem}-study", seed)
    try:
        check_writable(run.out, name)
    except FolderError as error:
        raise exits.StopError(str(error), exits.COULD_NOT_RUN) from error
    jobs = options.jobs or processors()
    started = time.perf_counter()
    done = _replicated(path, seed, asked, jobs, run)
    if done.interrupted:
        complain("Interrupted: writing the replications that were finished.")
    source = Source(name=scenario.name, file=path.name, hash=scenario.digest)
    record = StudyRecord(done, concluded(done), source, jobs, time.perf_counter() - started)
    return _written_and_told(record, name, _following(record, path, run), run)


def _asked(options: Options) -> Asked:
    if options.precision is None:
        return Asked(options.replications or COUNT)
    try:
        precision = parse_share(options.precision)
    except UnfitError as error:
        raise exits.StopError(f"--precision: found {error.found}, expected {error.expected}", exits.INVALID) from error
    if not 0 < precision < 1:
        raise exits.StopError("--precision: expected more than 0 % and less than 100 %, for example 2%", exits.INVALID)
    count = options.replications or min(COUNT, options.replications_max)
    if not 2 <= count <= options.replications_max:
        raise exits.StopError(
            "--precision: expected 2 replications or more, and --replications-max no smaller than --replications",
            exits.INVALID,
        )
    return Asked(count, precision, options.replications_max)


def _refuse_oversize(path: Path, scenario: Scenario, asked: Asked) -> None:
    """Refuse replications that would take too long together.

    Raises:
        StopError: They are estimated beyond the budget.
    """
    events = asked.count * estimate(scenario).events
    if events > EVENT_BUDGET:
        raise exits.StopError(
            f"{printable(str(path))}: {asked.count:,} replications of it have about {events:,} events, "
            f"beyond the budget of {EVENT_BUDGET:,}.\n"
            "Shorten it, ask for fewer, or run them all the same with --force.",
            exits.INVALID,
        )


def _replicated(path: Path, seed: int, asked: Asked, jobs: int, run: single.Options) -> Study:
    if run.scheduler is not None:
        # Looked for here first, so that a mistake is told once and at once.
        plugins.factory(run.scheduler)
    watching = sys.stderr.isatty() and not run.quiet
    watched = StudyLine(colour=run.colour) if watching else nullcontext()
    source = ScenarioSource(path=str(path), overrides=run.overrides)
    try:
        with watched as line, Local(jobs) as executor:
            return replicate(source, executor=executor, asked=asked, seed=seed, scheduler=run.scheduler, progress=line)
    except WorkError as error:
        if run.scheduler is None:
            raise
        # Which of the two it was is in the last line of what the worker had to say.
        last = printable(str(error).strip().splitlines()[-1])
        raise exits.StopError(f"--scheduler: raised in {run.scheduler!r}: {last}", exits.COULD_NOT_RUN) from error


def _written_and_told(record: StudyRecord, name: str, following: str | None, run: single.Options) -> int:
    parts: list[RenderableType] = report(record, written=Written(run.out / name, FILES), following=following)
    try:
        write_study(record, run.out, name, log=lambda: plain_text(parts))
    except FolderError as error:
        say(console(sys.stderr, colour=run.colour), report(record))
        raise exits.StopError(str(error), exits.COULD_NOT_RUN) from error
    if run.as_json:
        write(sys.stdout, dumps(study_summary(record)))
    elif run.quiet:
        say(console(sys.stdout, colour=run.colour), headline(record))
    else:
        say(console(sys.stdout, colour=run.colour), parts)
    return exits.BY_WORD[record.conclusion.word]


def _following(record: StudyRecord, path: Path, run: single.Options) -> str | None:
    """What to type next: the run that shows what is wrong, or more replications where those would tell."""
    named = [] if run.scenario is None else [str(path)]
    sets = [word for override in run.overrides for word in ("--set", override)]
    plugin = [] if run.scheduler is None else ["--scheduler", run.scheduler]
    begin, end = ["simroom", "run", *named], [*sets, *plugin]
    seed = _telling_seed(record)
    if seed is not None:
        return shlex.join([*begin, "--seed", str(seed), *end])
    further = _further(record.study, record.conclusion)
    if further:
        count = len(record.study.replications) + further
        return shlex.join([*begin, "--seed", str(record.study.seed), "--replications", str(count), *end])
    return None


def _telling_seed(record: StudyRecord) -> int | None:
    """Seed of the first replication that shows by itself what is wrong."""
    failed = [one.seed for one in record.study.replications if one.word == "failed"]
    shown = [outcome.seed for outcome in record.conclusion.outcomes if outcome.seed is not None]
    return next(iter([*failed, *shown]), None)


def _further(study: Study, conclusion: StudyConclusion) -> int | None:
    """Replications more that would probably tell."""
    wanted = [outcome.further for outcome in conclusion.outcomes if outcome.further is not None]
    if study.precision is not None and study.precision.reached is False and study.precision.further is not None:
        wanted.append(study.precision.further)
    most = max(wanted, default=0)
    return most if 0 < most <= FURTHER_MAX and not study.steadiness.is_too_short else None
