"""``simroom compare``: two run folders, two settings or two schedulers; how they differ, and which is better."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from simroom import api
from simroom.cli import crash, estimates, exits, plugins, scenarios
from simroom.report import compare as telling
from simroom.report.console import complain, console, say, write
from simroom.scenario.printable import printable
from simroom.study.compare import Comparison
from simroom.study.difference import MARGIN
from simroom.study.executors import Local, processors
from simroom.study.recorded import RecordError
from simroom.study.summary import dumps
from simroom.study.ways import REPLICATIONS, RunError

_CODES: Final = {
    "worse": exits.FAILED,
    "inconclusive": exits.INCONCLUSIVE,
    "different": exits.PASSED,
    "same": exits.PASSED,
}


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for.

    Attributes:
        before: A run folder or a scenario.
        after: Likewise; None: the scenario that is ``before``.
        overrides: ``key.path=value`` each, of the second way.
        both: ``key.path=value`` each, of both ways.
        schedulers: One: of the second way; two: of each way.
        seed: Of the first replication; None: the scenario's.
        replications: Of each way; None: as many as there usually are.
        margin: By what share of its mean a figure may be worse.
        jobs: Processes at work; None: one for each processor.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
        force: Run it however large it is.
    """

    before: Path
    after: Path | None = None
    overrides: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    seed: int | None = None
    replications: int | None = None
    margin: float = MARGIN
    jobs: int | None = None
    as_json: bool = False
    colour: bool = True
    force: bool = False


def compare(options: Options) -> int:
    """Compare two ways.

    Returns:
        The exit code: 0 nothing is worse, 1 something is, 4 it cannot be told.

    Raises:
        StopError: They cannot be compared.
    """
    try:
        found = _compared(options)
    except RecordError as error:
        raise exits.StopError(printable(str(error)), exits.INVALID) from error
    except RunError as error:
        raise _failed(error) from error
    code = _CODES[found.word]
    if options.as_json:
        write(sys.stdout, dumps(telling.content(found, code)))
    else:
        say(console(sys.stdout, colour=options.colour), telling.report(found))
    return code


def _compared(options: Options) -> Comparison:
    after = options.after or options.before
    if options.before.is_dir() or after.is_dir():
        return _folders(options)
    if len(options.schedulers) > 2:
        raise exits.StopError("--scheduler: at most two, one for each way", exits.INVALID)
    if options.after is None and not options.overrides and not options.schedulers:
        raise exits.StopError(
            "compare with what? Name a second scenario or run folder, or say --set or --scheduler", exits.INVALID
        )
    for reference in options.schedulers:
        # Looked for here first, so that a mistake is told once and at once.
        plugins.factory(reference)
    for path, sets in ((options.before, options.both), (after, (*options.both, *options.overrides))):
        scenario = scenarios.sound(path, sets).scenario
        if not options.force:
            estimates.refuse_oversize(path, scenario)
    first, second = (None, *options.schedulers)[-2:] if options.schedulers else (None, None)
    with Local(options.jobs or processors()) as executor:
        return api.compare(
            options.before,
            after,
            before_overrides=options.both,
            after_overrides=(*options.both, *options.overrides),
            before_scheduler=first,
            after_scheduler=second,
            seed=options.seed,
            replications=options.replications or REPLICATIONS,
            margin=options.margin,
            executor=executor,
        )


def _folders(options: Options) -> Comparison:
    if options.after is None or not (options.before.is_dir() and options.after.is_dir()):
        raise exits.StopError("a run folder is compared with another run folder", exits.INVALID)
    asked = (options.overrides, options.both, options.schedulers)
    if any(asked) or options.seed is not None or options.replications is not None:
        raise exits.StopError(
            "--set, --both, --scheduler, --seed and --replications go with scenarios; run folders have their own",
            exits.INVALID,
        )
    return api.compare(options.before, options.after, margin=options.margin)


def _failed(error: RunError) -> Exception:
    where = ""
    if error.trace:
        saved = crash.save(error)
        where = "" if saved is None else f"\nThe traceback is in {printable(str(saved))}"
        if saved is None:
            complain(error.trace)
    code = exits.CRASHED if error.blame == "simroom" else exits.COULD_NOT_RUN
    return exits.StopError(f"{printable(str(error))}{where}", code)
