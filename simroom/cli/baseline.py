"""``simroom baseline``: keep what scenarios come to, and show what is kept."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from simroom import api
from simroom.cli import check as checking
from simroom.cli import exits, plugins
from simroom.report import baseline as telling
from simroom.report.console import complain, console, say, write
from simroom.scenario.printable import printable
from simroom.study import finding
from simroom.study.baseline import REPLICATIONS, refusal
from simroom.study.baseline_file import FOLDER, BaselineError, place_of, read
from simroom.study.checked import Commands
from simroom.study.executors import Local, processors
from simroom.study.summary import SCHEMA_VERSION, dumps


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for.

    Attributes:
        chosen: Which scenarios, and how they are run; of ``replications`` None: ``REPLICATIONS``.
        baselines: The folder of the baselines.
        even_failed: Keep what a scenario comes to that does not pass, too.
    """

    chosen: checking.Options
    baselines: Path = FOLDER
    even_failed: bool = False


def update(options: Options) -> int:
    """Run scenarios and keep what they come to.

    Returns:
        The exit code: as of a check; what does not pass is not kept.

    Raises:
        StopError: Nothing can be run, or a baseline cannot be written.
    """
    chosen = options.chosen
    if chosen.scheduler is not None:
        # Looked for here first, so that a mistake is told once and at once.
        plugins.factory(chosen.scheduler)
    try:
        executor = Local(chosen.jobs or processors(), limit_seconds=chosen.budget_seconds)
        with checking.refusals(), checking.progress_line(chosen) as told, executor:
            tally, renewed = api.update_baselines(
                *chosen.paths,
                baselines=options.baselines,
                select=chosen.select,
                tags=chosen.tags,
                not_tags=chosen.not_tags,
                changed_since=chosen.changed_since,
                replications=chosen.replications or REPLICATIONS,
                seed=chosen.seed,
                overrides=chosen.overrides,
                scheduler=chosen.scheduler,
                limit_seconds=chosen.budget_seconds,
                executor=executor,
                force=chosen.force,
                even_failed=options.even_failed,
                progress=told,
            )
    except OSError as error:
        what = f"{error.filename or options.baselines}: {error.strerror or error}"
        raise exits.StopError(f"cannot write a baseline: {printable(what)}", exits.COULD_NOT_RUN) from error
    if not tally.checked:
        raise exits.StopError(checking.nothing(chosen, tally), exits.NOTHING_SELECTED)
    code = checking.code_of(tally)
    if chosen.as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "kind": "baselines",
            "exit_code": code,
            "baselines": [
                {"scenario": one.scenario.as_posix(), "file": one.path.as_posix(), "baseline": one.word}
                for one in renewed
            ],
        }
        write(sys.stdout, dumps(content))
    else:
        say(console(sys.stdout, colour=chosen.colour), telling.renewed(tally, renewed, quiet=chosen.quiet))
    if tally.interrupted:
        complain("Interrupted: the baselines of what was run so far are written.")
    return code


class ShowOptions(Struct, frozen=True, kw_only=True):
    """What is to be shown.

    Attributes:
        paths: Scenario files and folders.
        select: Patterns of paths; empty: all.
        baselines: The folder of the baselines.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
    """

    paths: tuple[Path, ...]
    select: tuple[str, ...] = ()
    baselines: Path = FOLDER
    as_json: bool = False
    colour: bool = True


def show(options: ShowOptions) -> int:
    """Show baselines: of one scenario all of it, of several a line each.

    Returns:
        The exit code: 0 all have one that fits, 4 some have none.

    Raises:
        StopError: There is no scenario.
    """
    with checking.refusals():
        there = finding.find(options.paths)
    files = [file for file in there.files if finding.is_named(file, options.select)]
    if not files:
        raise exits.StopError("nothing selected: there is no such scenario", exits.NOTHING_SELECTED)
    shown = [_shown(file, options.baselines) for file in files]
    if options.as_json:
        content: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "kind": "baselines",
            "baselines": [
                {
                    "scenario": one.scenario.as_posix(),
                    "file": one.path.as_posix(),
                    "problem": one.problem,
                    "content": None if one.baseline is None else msgspec.to_builtins(one.baseline),
                }
                for one in shown
            ],
        }
        write(sys.stdout, dumps(content))
    else:
        say(console(sys.stdout, colour=options.colour), telling.shown(shown))
    return exits.INCONCLUSIVE if any(one.problem is not None for one in shown) else exits.PASSED


def _shown(file: Path, folder: Path) -> telling.Shown:
    path = place_of(file, folder)
    renew = shlex.join(Commands(file).of("baseline update"))
    try:
        baseline = read(path, renew)
    except BaselineError as error:
        return telling.Shown(file, path, None, str(error))
    if baseline is None:
        return telling.Shown(file, path, None, f"there is none: {renew} makes one")
    found = finding.opened(file)
    if isinstance(found, finding.Broken):
        return telling.Shown(file, path, baseline, f"the scenario has problems: {found.problems[0]}")
    refused = refusal(baseline, found.scenario)
    return telling.Shown(file, path, baseline, None if refused is None else f"{refused}; {renew} makes it anew")
