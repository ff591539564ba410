"""``simroom fuzz``: search for scenarios that a scheduler fails, cut each down, write it, tell it."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from simroom.cli import exits, plugins, scenarios
from simroom.report import fuzzing
from simroom.report.console import complain, write
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import printable, quoted
from simroom.scenario.yaml12 import LARGEST_FILE, decode, read
from simroom.scheduler.port import SchedulerFactory
from simroom.study import fuzz as search
from simroom.study.fuzz_state import StateError, Tally, resumed
from simroom.study.pool import WorkError
from simroom.study.summary import dumps


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        seeds: How many scenarios; None: until the time is over, or ``SEEDS`` where no time is given.
        seconds: How long to begin new ones; None: until all are done.
        start: The first seed.
        jobs: Processes at once; None: one for each processor.
        source: A scenario to draw around; None: scenarios are drawn freely.
        out: Where findings are written.
        state: The folder that the progress is kept in.
        scheduler: ``package.module:factory``; None: simroom's.
        bug: Name of a bug of the bug bank; None: none.
        findings_max: Findings after which it ends.
        tries_max: Scenarios tried to make one finding small.
        limit_seconds: How long one scenario may take.
        resume: Go on where an earlier search with the same options was.
        as_json: Print the outcome as JSON to stdout, and nothing else there.
        quiet: Print findings and the last word only.
        colour: Whether colours may be used.
    """

    seeds: int | None = None
    seconds: float | None = None
    start: int = 1
    jobs: int | None = None
    source: Path | None = None
    out: Path = Path("scenarios/regressions")
    state: Path = Path("reports")
    scheduler: str | None = None
    bug: str | None = None
    findings_max: int = 1
    tries_max: int = 2_000
    limit_seconds: float = search.LIMIT_SECONDS
    resume: bool = False
    as_json: bool = False
    quiet: bool = False
    colour: bool = True


SEEDS = 1_000
"""So many scenarios where neither a number nor a time is given."""


def fuzz(options: Options) -> int:
    """Search.

    Returns:
        The exit code: 0 nothing found, 1 something found, 130 interrupted.

    Raises:
        StopError: It cannot be done.
    """
    plan = _plan(options)
    tally = Tally(start=plan.start, next_seed=plan.start)
    if options.resume:
        tally = _resumed(plan) or tally
    interrupted = False
    with fuzzing.Teller(plan, tally, quiet=options.quiet or options.as_json, colour=options.colour) as teller:
        try:
            search.fuzz(plan, teller, tally)
        except KeyboardInterrupt:
            interrupted = True
        except OSError as error:
            raise exits.StopError(f"cannot write: {error}", exits.COULD_NOT_RUN) from error
        except WorkError as error:
            raise _failed(options, error) from error
    if options.as_json:
        write(sys.stdout, dumps(fuzzing.content(plan, tally, interrupted=interrupted)))
    else:
        teller.end(interrupted=interrupted)
    if interrupted:
        complain("Interrupted: --resume goes on from here.")
        return exits.INTERRUPTED
    return exits.FAILED if tally.findings else exits.PASSED


def _plan(options: Options) -> search.Plan:
    if options.scheduler is not None and options.bug is not None:
        raise exits.StopError("--scheduler and --bug: one of them, not both", exits.INVALID)
    around = None if options.source is None else _around(options.source)
    words = _words(options)
    seeds = SEEDS if options.seeds is None and options.seconds is None else options.seeds
    return search.Plan(
        start=options.start,
        count=seeds,
        seconds=options.seconds,
        around=around,
        resolve=_resolve(options),
        words=(*(() if options.source is None else ("--from", str(options.source))), *words),
        run_words=words if options.bug is None else ("--set", f"bug={options.bug}"),
        jobs=options.jobs or os.cpu_count() or 1,
        findings_max=options.findings_max,
        out=options.out,
        state=search.state_file(options.state, words, options.start, around),
        tries_max=options.tries_max,
        limit_seconds=options.limit_seconds,
    )


def _words(options: Options) -> tuple[str, ...]:
    if options.scheduler is not None:
        return ("--scheduler", options.scheduler)
    return () if options.bug is None else ("--bug", options.bug)


def _resolve(options: Options) -> search.Resolve | None:
    """What finds the scheduler in a worker; it is looked for here first, so that a mistake is told once and at once."""
    if options.scheduler is not None:
        plugins.factory(options.scheduler)
        return partial(plugins.factory, options.scheduler)
    if options.bug is not None:
        return partial(_broken, _known_bug(options.bug))
    return None


def _known_bug(name: str) -> str:
    from simroom.bugbank import BUGS  # noqa: PLC0415 - only where one is asked for

    if name not in BUGS:
        hint = nearest(name, list(BUGS))
        meant = f"; did you mean {hint}?" if hint is not None else ""
        raise exits.StopError(f"--bug: found {quoted(name)}, expected a bug of the bug bank{meant}", exits.INVALID)
    return name


def _broken(name: str) -> SchedulerFactory:
    from simroom.bugbank import BUGS  # noqa: PLC0415 - in a worker, likewise

    return BUGS[name].make


def _around(path: Path) -> search.Around:
    """The scenario to draw around: checked like any other, then taken as its file has it.

    Raises:
        StopError: It has problems.
    """
    scenarios.sound(path, ())
    with path.open("rb") as file:
        text, _ = decode(file.read(LARGEST_FILE + 1), str(path))
    data: dict[str, Any] = read(text, str(path)).data
    return search.Around({key: value for key, value in data.items() if key != "bug"}, str(path.parent.resolve()))


def _resumed(plan: search.Plan) -> Tally | None:
    assert plan.state is not None
    try:
        return resumed(plan.state)
    except StateError as error:
        raise exits.StopError(printable(str(error)), exits.COULD_NOT_RUN) from error


def _failed(options: Options, error: WorkError) -> Exception:
    """A fault in a worker: the scheduler's own module if it cannot be had there, else simroom's."""
    last = printable(str(error).strip().splitlines()[-1])
    if options.scheduler is not None and "plugins" in str(error):
        return exits.StopError(f"--scheduler: cannot be had in a worker: {last}", exits.COULD_NOT_RUN)
    return error
