"""``simroom calibrate``: fit a kind of node to a log of measured jobs."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct

from simroom.cli import exits
from simroom.report.calibration import content, report
from simroom.report.console import console, say, write
from simroom.scenario.datafile import DataFileError
from simroom.scenario.emit import dump
from simroom.scenario.printable import printable
from simroom.study.calibrate import calibrated, node_data
from simroom.study.joblog import read_log
from simroom.study.regressions import write as write_whole
from simroom.study.summary import dumps


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        log: The measured jobs.
        out: Where the node is written as YAML; None: it is only shown.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
    """

    log: Path
    out: Path | None = None
    as_json: bool = False
    colour: bool = True


def calibrate(options: Options) -> int:
    """Fit a node.

    Returns:
        The exit code.

    Raises:
        StopError: The log does not allow it, or the file cannot be written.
    """
    try:
        found = calibrated(options.log, read_log(options.log))
    except DataFileError as error:
        raise exits.StopError(str(error), exits.INVALID) from error
    if options.out is not None:
        head = f"# Fitted by simroom calibrate to {found.jobs:,} jobs of {printable(options.log.name)}.\n"
        try:
            write_whole(options.out, head + dump({"nodes": [node_data(found)]}))
        except OSError as error:
            raise exits.StopError(f"cannot write {options.out}: {error.strerror}", exits.COULD_NOT_RUN) from error
    if options.as_json:
        write(sys.stdout, dumps(content(found)))
    else:
        say(console(sys.stdout, colour=options.colour), report(found, options.log.name))
    return exits.PASSED
