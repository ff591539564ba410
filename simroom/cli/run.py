"""``simroom run``: load, simulate, judge, write, tell; in that order, and each only if the one before could be done."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

from msgspec import Struct
from rich.console import RenderableType

from simroom.cli import estimates, exits, plugins, scenarios
from simroom.report.console import complain, console, plain_text, say, write
from simroom.report.terminal import Next, Written, headline, report
from simroom.scenario.schema import Scenario
from simroom.sim.run import Progress, RunData, simulate
from simroom.study.conclusion import conclude
from simroom.study.folder import FolderError, check_writable, folder_name
from simroom.study.record import Record, file_names, write_record
from simroom.study.rows import RowsFormat
from simroom.study.summary import Source, Timing, dumps, summary
from simroom.study.table import Table


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        scenario: The file; None: the quickstart.
        seed: None: the scenario's.
        overrides: ``key.path=value`` each.
        out: Where run folders go.
        as_json: Print the summary, and nothing else, to stdout.
        quiet: Print the verdict only, and no progress.
        colour: Whether colours may be used.
        rows: How the rows of deliveries are written.
        scheduler: ``package.module:factory``; None: simroom's.
        force: Run it however large it is.
    """

    scenario: Path | None
    seed: int | None
    overrides: tuple[str, ...]
    out: Path
    as_json: bool
    quiet: bool
    colour: bool
    rows: str
    scheduler: str | None
    force: bool


def run(options: Options) -> int:
    """Run a scenario.

    Returns:
        The exit code.

    Raises:
        StopError: It cannot be run.
    """
    path = options.scenario or scenarios.quickstart()
    found = scenarios.sound(path, options.overrides)
    scenario = found.scenario
    seed = scenario.seed if options.seed is None else options.seed
    if not options.force:
        estimates.refuse_oversize(path, scenario)
    name = folder_name(path.stem, seed)
    try:
        check_writable(options.out, name)
    except FolderError as error:
        raise exits.StopError(str(error), exits.COULD_NOT_RUN) from error
    ran, spent = _simulated(scenario, seed, options)
    if ran.interrupted:
        complain("Interrupted: writing what was simulated so far. Ctrl-C again to quit at once.")
    table = Table(ran)
    record = Record(table, conclude(table, found.expectations), _source(path, scenario, options.scheduler), spent)
    return _written_and_told(record, name, _following(path, seed, name, options), options)


def _simulated(scenario: Scenario, seed: int, options: Options) -> tuple[RunData, Timing]:
    factory = plugins.factory(options.scheduler) if options.scheduler is not None else None
    watching = sys.stderr.isatty() and not options.quiet
    if watching:
        # Only for somebody who watches: it takes a while to import.
        from simroom.report.progress import ProgressLine  # noqa: PLC0415

        watched: ProgressLine | nullcontext[None] = ProgressLine(colour=options.colour)
    else:
        watched = nullcontext()
    wall, processor = time.perf_counter(), time.process_time()
    try:
        with watched as line:
            ran = simulate(
                scenario, seed=seed, scheduler=factory, progress=cast("Callable[[Progress], None] | None", line)
            )
    except Exception as error:
        if options.scheduler is not None and plugins.is_to_blame(options.scheduler, error):
            raise plugins.failed(options.scheduler, error) from error
        raise
    return ran, Timing(
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - processor,
        simulated_time=max(0, ran.ended_at - ran.time_zero),
        events=ran.events,
    )


def _written_and_told(record: Record, name: str, following: Next, options: Options) -> int:
    rows = cast(RowsFormat, options.rows)
    written = Written(options.out / name, file_names(rows))
    parts: list[RenderableType] = report(
        record.table, record.conclusion, record.source, record.spent, written=written, following=following
    )
    try:
        write_record(record, options.out, name, rows=rows, log=lambda: plain_text(parts))
    except FolderError as error:
        # What was found is told all the same: it took its time to find.
        say(console(sys.stderr, colour=options.colour), parts[:-2])
        raise exits.StopError(str(error), exits.COULD_NOT_RUN) from error
    if options.as_json:
        write(sys.stdout, dumps(summary(record.table, record.conclusion, record.source)))
    elif options.quiet:
        say(console(sys.stdout, colour=options.colour), _verdict_only(record))
    else:
        say(console(sys.stdout, colour=options.colour), parts)
    return exits.BY_WORD[record.conclusion.word]


def _verdict_only(record: Record) -> list[RenderableType]:
    return headline(record.table, record.conclusion, record.source, record.spent)


def _source(path: Path, scenario: Scenario, scheduler: str | None) -> Source:
    return Source(name=scenario.name, file=path.name, hash=scenario.digest, scheduler=scheduler)


def _following(path: Path, seed: int, name: str, options: Options) -> Next:
    """Commands that show this very run again, and what its scenario comes to."""
    named = [] if options.scenario is None else [str(path)]
    sets = [word for override in options.overrides for word in ("--set", override)]
    plugin = [] if options.scheduler is None else ["--scheduler", options.scheduler]
    return Next(
        again=shlex.join(["simroom", "run", *named, "--seed", str(seed), *sets, *plugin]),
        inspect=shlex.join(["simroom", "inspect", str(path), *sets]),
        explain=shlex.join(["simroom", "explain", str(options.out / name), "--violation", "1", *plugin]),
    )
