"""``simroom explain``: run a recorded run (or a scenario) again, and tell the life of one thing in it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom import __version__
from simroom.cli import estimates, exits, plugins, scenarios
from simroom.report.console import complain, console, say, write
from simroom.report.story import story
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import printable, quoted
from simroom.scenario.schema import HIGHEST_SEED, Scenario
from simroom.scenario.units import UnfitError, parse_duration
from simroom.scheduler.port import SchedulerFactory
from simroom.sim.run import Progress
from simroom.study.explain import (
    ByJob,
    ByMember,
    ByName,
    ByViolation,
    Explanation,
    Request,
    Slowest,
    explained,
    session_names,
)
from simroom.study.folder import SCENARIO_FILE, SUMMARY_FILE
from simroom.study.summary import dumps
from simroom.study.told import explanation

COMPARED_MAX: Final = 20_000
"""So many names are looked through for one that a mistyped name could have been."""
LARGEST_SUMMARY: Final = 256 * 1024 * 1024

_STOPWATCH: Final = re.compile(r"(-?)(?:(\d{1,6}):)?(\d{1,6}):(\d{2})(?:\.(\d{1,6}))?")
_ONE_OF: Final = "--utterance ROOM/MEMBER#INDEX, --job JOB, --member NAME --at TIME, --violation N or --slowest"


class Options(Struct, frozen=True):
    """What was asked for; exactly one of ``utterance``, ``job``, ``member``, ``violation`` and ``slowest``.

    Attributes:
        run: A run folder, or a scenario file.
        utterance: ``ROOM/MEMBER#INDEX`` or ``SESSION#INDEX``.
        job: A job's id.
        member: A session's name, with ``at``.
        at: An instant: a span from time 0 (``65s``) or as a stopwatch shows it (``01:05.000``).
        violation: Its number, from 1.
        seed: Of a scenario file only; None: the scenario's.
        overrides: Of a scenario file only.
        scheduler: ``package.module:factory``; None: simroom's.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
        force: Run it however large it is.
    """

    run: Path
    utterance: str | None
    job: str | None
    member: str | None
    at: str | None
    violation: int | None
    slowest: bool
    seed: int | None
    overrides: tuple[str, ...]
    scheduler: str | None
    as_json: bool
    colour: bool
    force: bool


class Recorded(Struct, frozen=True):
    """What a run folder says of its run.

    Attributes:
        version: Of simroom, as which it was recorded.
        partial: It was interrupted.
        scheduler: ``package.module:factory``; None: simroom's, or it does not say.
    """

    version: str
    seed: int
    trace_hash: str
    partial: bool
    scheduler: str | None


def explain(options: Options) -> int:
    """Tell the life of one thing of a run.

    Returns:
        The exit code: 0 told, 4 there is no such thing in the run, 130 interrupted.

    Raises:
        StopError: It cannot be told.
    """
    request = _request(options)
    path, recorded = _recorded(options)
    found = scenarios.sound(path, options.overrides)
    scenario = found.scenario
    _check_names(scenario, request)
    seed = options.seed if options.seed is not None else scenario.seed
    if recorded is not None:
        seed = recorded.seed
        _check_scheduler(recorded, options)
    if not options.force and recorded is None:
        estimates.refuse_oversize(path, scenario)
    factory = factory_of(options.scheduler)
    with blamed(options.scheduler), progress_line(colour=options.colour) as progress:
        said = explained(scenario, request, seed=seed, scheduler=factory, progress=progress)
    if said.interrupted:
        complain("Interrupted: there is nothing to tell of a part of a run.")
        return exits.INTERRUPTED
    if recorded is not None:
        _compare(recorded, said)
    if said.nothing is not None:
        complain(f"nothing found: {printable(said.nothing)}")
        return exits.INCONCLUSIVE
    _tell(said, scenario, recorded, options)
    return exits.PASSED


def _tell(said: Explanation, scenario: Scenario, recorded: Recorded | None, options: Options) -> None:
    if options.as_json:
        known = None if recorded is None else recorded.trace_hash
        write(sys.stdout, dumps(explanation(said, time_zero=scenario.lead_in, recorded_hash=known)))
    else:
        say(console(sys.stdout, colour=options.colour), story(said, scenario.lead_in))


# --- what is asked -----------------------------------------------------------------------------------------------


def _request(options: Options) -> Request:
    asked = [options.utterance, options.job, options.member, options.violation, options.slowest or None]
    if sum(one is not None for one in asked) != 1:
        raise exits.StopError(f"say what to explain: one of {_ONE_OF}", exits.INVALID)
    at = None if options.at is None else instant(options.at, "--at")
    if at is not None and options.member is None and options.utterance is None:
        raise exits.StopError("--at goes with --member or --utterance", exits.INVALID)
    if options.utterance is not None:
        name, hash_sign, number = options.utterance.rpartition("#")
        if not hash_sign or not name or not number.isascii() or not number.isdigit() or len(number) > 15:
            raise exits.StopError(
                f"--utterance: found {quoted(options.utterance)}, expected ROOM/MEMBER#INDEX or SESSION#INDEX, "
                "for example standup-3/mei#17",
                exits.INVALID,
            )
        return ByName(name, int(number), at)
    if options.job is not None:
        return ByJob(options.job)
    if options.member is not None:
        if at is None:
            raise exits.StopError("--member needs --at, for example --at 65s", exits.INVALID)
        return ByMember(options.member, at)
    if options.violation is not None:
        if options.violation < 1:
            raise exits.StopError("--violation: they are numbered from 1", exits.INVALID)
        return ByViolation(options.violation)
    return Slowest()


def instant(text: str, option: str) -> int:
    """An instant from time 0: a span with its unit, or as a stopwatch shows it (``01:05.250``, ``-00:02.000``).

    Raises:
        StopError: It is neither.
    """
    match = _STOPWATCH.fullmatch(text)
    if match is not None:
        sign, hours, minutes, seconds, fraction = match.groups()
        whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
        micros = whole * 1_000_000 + int((fraction or "0").ljust(6, "0"))
        return -micros if sign else micros
    try:
        return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)
    except UnfitError as error:
        hint = "" if error.hint is None else f"; did you mean {error.hint}?"
        expected = "an instant from time 0, for example 65s or 01:05.250"
        raise exits.StopError(f"{option}: found {error.found}, expected {expected}{hint}", exits.INVALID) from error


def _check_names(scenario: Scenario, request: Request) -> None:
    match request:
        case ByName(speaker=name):
            check_name(name, "--utterance", "session", session_names(scenario))
        case ByMember(name=name):
            check_name(name, "--member", "session", session_names(scenario))
            # What comes after the end of a run is not known before it, so that is told by the run.
        case _:
            pass


def check_name(name: str, option: str, what: str, names: Iterator[str] | Sequence[str]) -> None:
    """Refuse a name that the scenario has not, with the nearest that it has.

    Raises:
        StopError: It has none of that name.
    """
    known = list(names)
    if name in known:
        return
    meant = nearest(name, islice(known, COMPARED_MAX))
    hint = "" if meant is None else f"; did you mean {quoted(meant)}?"
    raise exits.StopError(f"{option}: no {what} is called {quoted(name)}{hint}", exits.INVALID)


# --- which run ---------------------------------------------------------------------------------------------------


def _recorded(options: Options) -> tuple[Path, Recorded | None]:
    """The scenario to run, and what was recorded of its run; None: there is only a scenario."""
    path = options.run
    folder = path.parent if path.name == SUMMARY_FILE else path
    if not folder.is_dir():
        return path, None
    if options.seed is not None or options.overrides:
        raise exits.StopError("--seed and --set go with a scenario file; a run folder has its own", exits.INVALID)
    return folder / SCENARIO_FILE, _summary(folder / SUMMARY_FILE)


def _summary(path: Path) -> Recorded:
    shown = printable(str(path))
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(LARGEST_SUMMARY))
    except FileNotFoundError as error:
        folder = printable(str(path.parent))
        raise exits.StopError(f"{folder} is no run folder: it has no {SUMMARY_FILE}", exits.INVALID) from error
    except OSError as error:
        raise exits.StopError(f"{shown}: {error.strerror or error}", exits.INVALID) from error
    except (ValueError, RecursionError) as error:
        raise exits.StopError(f"{shown} is no summary of simroom: it is not JSON", exits.INVALID) from error
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    version, seed, trace_hash = (fields.get(key) for key in ("simroom", "seed", "trace_hash"))
    whole = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= HIGHEST_SEED
    if not isinstance(version, str) or not isinstance(trace_hash, str) or not isinstance(seed, int) or not whole:
        raise exits.StopError(f"{shown} is no summary of simroom", exits.INVALID)
    scheduler = fields.get("scheduler")
    return Recorded(
        version=version,
        seed=seed,
        trace_hash=trace_hash,
        partial=fields.get("partial") is True,
        scheduler=scheduler if isinstance(scheduler, str) else None,
    )


def _check_scheduler(recorded: Recorded, options: Options) -> None:
    """A folder may say which code it ran, but only who types the command may say that it is to be run again."""
    if recorded.scheduler is None or options.scheduler is not None:
        return
    name = shlex.quote(printable(recorded.scheduler))
    raise exits.StopError(
        f"this run used a scheduler of its own; to run that again, add --scheduler {name}", exits.INVALID
    )


def _compare(recorded: Recorded, said: Explanation) -> None:
    """Warn where what is told is not what was recorded."""
    if said.trace_hash == recorded.trace_hash:
        return
    if recorded.partial:
        complain("The recorded run was interrupted; this is of the whole run.")
        return
    complain(
        "WARNING: this is not the run that was recorded: something else happened in it this time, so the code has "
        "changed, or it was run with another --scheduler.\n"
        f"Recorded by simroom {printable(recorded.version)}, trace hash "
        f"{printable(recorded.trace_hash)}; this is simroom {__version__}, trace hash {said.trace_hash}.\n"
        "What follows is of the run as it is now."
    )


# --- running it --------------------------------------------------------------------------------------------------


def factory_of(reference: str | None) -> SchedulerFactory | None:
    """The factory that was named; None: none was."""
    return None if reference is None else plugins.factory(reference)


@contextmanager
def blamed(reference: str | None) -> Iterator[None]:
    """Say of a scheduler of the user's own, where it raises, that it has.

    Raises:
        StopError: It has.
    """
    try:
        yield
    except exits.StopError:
        raise
    except Exception as error:
        if reference is not None and plugins.is_to_blame(reference, error):
            raise plugins.failed(reference, error) from error
        raise


@contextmanager
def progress_line(*, colour: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A line that says how far the run is, for somebody who watches; None where nobody does."""
    if not sys.stderr.isatty():
        yield None
        return
    # Only for somebody who watches: it takes a while to import.
    from simroom.report.progress import ProgressLine  # noqa: PLC0415

    with ProgressLine(colour=colour) as line:
        yield line
