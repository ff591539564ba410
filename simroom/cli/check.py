"""``simroom check``: find scenarios, run and judge them all, write what was asked for, tell, and leave with a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from msgspec import Struct

from simroom import api
from simroom.cli import exits, plugins
from simroom.report import check as telling
from simroom.report import github
from simroom.report.console import complain, console, plain_text, say, write
from simroom.report.junit import junit
from simroom.scenario.printable import printable
from simroom.scenario.units import UnfitError, parse_share
from simroom.study.checked import Checked, CheckWord, Tally
from simroom.study.difference import MARGIN
from simroom.study.executors import Local, processors
from simroom.study.finding import NotThereError, RevisionError
from simroom.study.folder import LOG_FILE, SUMMARY_FILE, FolderError, check_writable, run_folder
from simroom.study.summary import dumps
from simroom.study.whole_files import write_whole

FOLDER: Final = "check"
"""Name of the folder that a check leaves among the run folders."""
JUNIT_FILE: Final = "junit.xml"
_CODES: Final[dict[CheckWord, int]] = {
    "crashed": exits.COULD_NOT_RUN,
    "invalid": exits.INVALID,
    "failed": exits.FAILED,
    "over_time": exits.FAILED,
    "inconclusive": exits.INCONCLUSIVE,
    "not_run": exits.PASSED,
    "passed": exits.PASSED,
}


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for.

    Attributes:
        paths: Scenario files and folders.
        select: Patterns of paths; empty: all.
        tags: Scenarios with one of them; empty: all.
        not_tags: Scenarios with none of them.
        changed_since: A revision of git; None: whatever has changed.
        replications: Of each scenario; None: one, or as many as its baseline has.
        seed: Of the first replication; None: the scenario's.
        overrides: ``key.path=value`` each.
        scheduler: ``package.module:factory``; None: simroom's.
        budget_seconds: How long a scenario may take.
        jobs: Processes at work; None: one for each processor.
        fail_fast: Stop at the first that does not pass.
        force: Run them however large they are.
        out: Where run folders go; the check's own is among them.
        junit: The file for JUnit XML; None: none.
        as_json: Print JSON to stdout, and nothing else there.
        baselines: The folder of the baselines that scenarios are held against; None: they are not.
        margin: By what share of its mean a figure may be worse than in a baseline.
        all_passed: List all that passed.
        quiet: Print the verdict only, and no progress.
        colour: Whether colours may be used.
    """

    paths: tuple[Path, ...]
    select: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    changed_since: str | None = None
    replications: int | None = None
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    scheduler: str | None = None
    budget_seconds: float = 600.0
    jobs: int | None = None
    fail_fast: bool = False
    force: bool = False
    out: Path = Path("reports")
    junit: Path | None = None
    as_json: bool = False
    baselines: Path | None = None
    margin: float = MARGIN
    all_passed: bool = False
    quiet: bool = False
    colour: bool = True


def check(options: Options) -> int:
    """Check scenarios.

    Returns:
        The exit code.

    Raises:
        StopError: Nothing can be checked, or what was found cannot be written.
    """
    if options.baselines is not None and (options.replications is not None or options.seed is not None):
        raise exits.StopError(
            "--baseline runs the seeds of the baseline: --replications and --seed go with `simroom baseline update`",
            exits.INVALID,
        )
    if options.scheduler is not None:
        # Looked for here first, so that a mistake is told once and at once.
        plugins.factory(options.scheduler)
    try:
        check_writable(options.out, FOLDER)
    except FolderError as error:
        raise exits.StopError(str(error), exits.COULD_NOT_RUN) from error
    tally = _checked(options)
    if not tally.checked:
        raise exits.StopError(nothing(options, tally), exits.NOTHING_SELECTED)
    code = code_of(tally)
    failures = _written(tally, code, options)
    _tell(tally, code, options)
    if failures:
        raise exits.StopError("\n".join(failures), exits.COULD_NOT_RUN)
    return code


def share_of(text: str, option: str) -> float:
    """The share that an option gives, such as ``5%``.

    Raises:
        StopError: It is none.
    """
    try:
        return float(parse_share(text))
    except UnfitError as error:
        raise exits.StopError(f"{option}: found {error.found}, expected {error.expected}", exits.INVALID) from error


def code_of(tally: Tally) -> int:
    """The exit code of a check: the interruption, else what the worst scenario comes to."""
    if tally.interrupted:
        return exits.INTERRUPTED
    if any(one.blame == "simroom" for one in tally.checked):
        return exits.CRASHED
    return _CODES[tally.worst]


def _checked(options: Options) -> Tally:
    executor = Local(options.jobs or processors(), limit_seconds=options.budget_seconds)
    with refusals(), progress_line(options) as told, executor:
        return api.check(
            *options.paths,
            select=options.select,
            tags=options.tags,
            not_tags=options.not_tags,
            changed_since=options.changed_since,
            replications=options.replications or 1,
            seed=options.seed,
            overrides=options.overrides,
            scheduler=options.scheduler,
            limit_seconds=options.budget_seconds,
            executor=executor,
            fail_fast=options.fail_fast,
            force=options.force,
            baselines=options.baselines,
            margin=options.margin,
            progress=told,
        )


@contextmanager
def refusals() -> Iterator[None]:
    """Say of what cannot be found why.

    Raises:
        StopError: A path leads nowhere, or git does not know the revision.
    """
    try:
        yield
    except NotThereError as error:
        raise exits.StopError(printable(str(error)), exits.INVALID) from error
    except RevisionError as error:
        raise exits.StopError(f"--changed-since: {printable(str(error))}", exits.COULD_NOT_RUN) from error


def nothing(options: Options, tally: Tally) -> str:
    """Why no scenario was run."""
    where = ", ".join(printable(str(path)) for path in options.paths)
    chosen = options.select or options.tags or options.not_tags or options.changed_since is not None
    if chosen:
        return f"nothing selected: no scenario under {where} is meant by --select, --tag and --changed-since"
    more = f" ({tally.left_out:,} YAML files there have no `simroom:` in them)" if tally.left_out else ""
    return f"nothing selected: there is no scenario under {where}{more}"


def progress_line(options: Options) -> AbstractContextManager[Callable[[Checked, int, int], None] | None]:
    """A line that says how many scenarios are run, for somebody who watches; None where nobody does."""
    if options.quiet or not sys.stderr.isatty():
        return nullcontext()
    return telling.CheckLine(colour=options.colour)


# --- what comes of it --------------------------------------------------------------------------------------------


def _written(tally: Tally, code: int, options: Options) -> list[str]:
    """Write every report; returns what could not be written, in words."""
    failures = []
    xml = junit(sorted(tally.checked, key=lambda one: one.path.as_posix()))
    try:
        with run_folder(options.out, FOLDER) as folder:
            (folder / SUMMARY_FILE).write_text(dumps(telling.content(tally, code)), encoding="utf-8", newline="\n")
            (folder / JUNIT_FILE).write_bytes(xml)
            log = plain_text(telling.report(tally, all_passed=True))
            (folder / LOG_FILE).write_text(log, encoding="utf-8", newline="\n")
    except FolderError as error:
        failures.append(str(error))
    if options.junit is not None:
        try:
            write_whole(options.junit, xml)
        except OSError as error:
            failures.append(f"cannot write {printable(str(options.junit))}: {error.strerror or error}")
    where = github.actions(os.environ)
    if where is not None and where.summary is not None:
        try:
            with where.summary.open("a", encoding="utf-8", newline="\n") as file:
                file.write(github.step_summary(tally))
        except OSError as error:
            failures.append(f"cannot write the summary of the step: {error.strerror or error}")
    return failures


def _tell(tally: Tally, code: int, options: Options) -> None:
    where = github.actions(os.environ)
    if options.as_json:
        text = dumps(telling.content(tally, code))
        write(sys.stdout, text if where is None else github.harmless(text))
        if where is not None:
            write(sys.stderr, github.marks(tally.checked, where))
        return
    parts = [telling.headline(tally)] if options.quiet else telling.report(tally, all_passed=options.all_passed)
    ended = github.quietly(lambda text: write(sys.stdout, text)) if where is not None else None
    say(console(sys.stdout, colour=options.colour), parts)
    if ended is not None and where is not None:
        ended()
        write(sys.stdout, github.marks(tally.checked, where))
    if tally.interrupted:
        complain("Interrupted: what was checked so far is written.")
