"""``simroom validate-model``: hold the simulated world against queues whose answers are known."""

from __future__ import annotations

import sys
import time

from msgspec import Struct

from simroom.cli import exits
from simroom.report import validation as shown
from simroom.report.console import complain, console, say, write
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.units import UnfitError, parse_share
from simroom.study.executors import Local, processors
from simroom.study.summary import dumps
from simroom.study.truths import SABOTAGES, Case, Sabotage, cases
from simroom.study.validation import Path, Row, paths, validate

QUICK: frozenset[str] = frozenset(
    {
        "M/M/1 0.5",
        "M/D/1 0.5",
        "M/M/5 a=4 wait",
        "M/M/14 a=10 waited",
        "B(2; 1) exponential",
        "B(12; 10) constant",
        "M/G/1 sharing exponential 0.7",
        "best of 2 of 10, 0.7",
        "best of 2 of 100, 0.5, different ones",
        "shortest of 2, 0.5",
        "best of 2 of 100, 0.9, every 0.5 s",
    }
)
"""What the quick form tries: something of each group, in seconds."""


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        quick: A few queues, replications of a fixed small size.
        only: Words, of which one must be in a queue's name or group; empty: all.
        seed: Where all chance comes from.
        precision: Largest standard error as a share of the truth, such as ``.5%``; None: the form's own.
        sabotage: How to spoil the simulated world; None: not at all.
        jobs: Processes at work; None: one for each processor.
        as_json: Print JSON to stdout, and nothing else there.
        markdown: Print the table for a page.
        colour: Whether colours may be used.
    """

    quick: bool = False
    only: tuple[str, ...] = ()
    seed: int = 1
    precision: str | None = None
    sabotage: str | None = None
    jobs: int | None = None
    as_json: bool = False
    markdown: bool = False
    colour: bool = True


class _Told:
    """Tells on the terminal what is being done, where somebody watches."""

    def __init__(self, *, watched: bool) -> None:
        self._watched = watched

    def begun(self, name: str, jobs: int) -> None:
        """See ``study.validation.Listener``."""
        if self._watched:
            write(sys.stderr, f"\r\x1b[K{name}: replications of {jobs:,} jobs")

    def done(self, row: Row) -> None:
        """See ``study.validation.Listener``."""

    def walked(self, path: Path) -> None:
        """See ``study.validation.Listener``."""


def validate_model(options: Options) -> int:
    """Validate the simulated world.

    Returns:
        The exit code: ``FAILED`` where something differs from what is known, or is not sharp enough to say.

    Raises:
        StopError: There is no such queue or sabotage.
    """
    chosen = _chosen(options)
    sabotage = _sabotage(options.sabotage)
    sharp = _share(options.precision)
    walked: list[Path] = []
    rows: list[Row] = []
    begun = time.perf_counter()
    complete = True
    told = _Told(watched=sys.stderr.isatty() and not options.as_json)
    try:
        if not options.only or "path" in options.only:
            walked += paths(options.seed, sabotage)
        with Local(options.jobs or processors()) as executor:
            for row in validate(
                chosen, executor, seed=options.seed, quick=options.quick, sabotage=sabotage, sharp=sharp, listener=told
            ):
                rows.append(row)
    except KeyboardInterrupt:
        complete = False
        complain("Interrupted: this is what was done so far.")
    if sys.stderr.isatty():
        write(sys.stderr, "\r\x1b[K")
    if options.as_json:
        write(sys.stdout, dumps(shown.content(walked, rows, seed=options.seed, complete=complete)))
    elif options.markdown:
        write(sys.stdout, shown.markdown(rows))
    else:
        words = None if sabotage is None else SABOTAGES[sabotage]
        seconds = time.perf_counter() - begun
        parts = shown.table(walked, rows, seconds=seconds, complete=complete, sabotage=words)
        say(console(sys.stdout, colour=options.colour), parts)
    if not complete:
        return exits.INTERRUPTED
    return exits.PASSED if shown.passed(walked, rows) else exits.FAILED


def _chosen(options: Options) -> list[Case]:
    known = [case for case in cases() if not options.quick or case.name in QUICK]
    if not options.only:
        return known
    found = [case for case in cases() if any(word in case.name or word == case.group for word in options.only)]
    for word in options.only:
        if word != "path" and not any(word in case.name or word == case.group for case in found):
            names = [case.name for case in cases()] + [case.group for case in cases()]
            like = nearest(word, list(dict.fromkeys(names)))
            hint = f"; did you mean {quoted(like)}?" if like else ""
            raise exits.StopError(f"--only: there is no queue {quoted(word)}{hint}", exits.INVALID)
    return found


def _sabotage(word: str | None) -> Sabotage | None:
    if word is None:
        return None
    for known in SABOTAGES:
        if known == word:
            return known
    raise exits.StopError(f"--sabotage: found {quoted(word)}, expected {', '.join(SABOTAGES)}", exits.INVALID)


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = parse_share(text)
    except UnfitError as error:
        raise exits.StopError(f"--precision: found {error.found}, expected {error.expected}", exits.INVALID) from error
    if share <= 0:
        raise exits.StopError("--precision: found 0, expected a share above 0", exits.INVALID)
    return share
