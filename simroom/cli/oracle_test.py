"""``simroom oracle-test``: let every bug of the bank loose, and see whether the oracle notices."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from msgspec import Struct

from simroom.cli import exits
from simroom.report.console import complain, console, say, write
from simroom.report.killing import kill_table
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.study.killing import CLEAN, SEEDS, TRIES, Plan, Proof, bank, proof_data, proven
from simroom.study.summary import dumps

QUICK_CLEAN: Final = 100
"""Random scenarios with no bug where it is to be quick."""


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        bugs: Names, comma-separated; None: all.
        seeds: Random scenarios that a bug may take; None: as usual.
        clean: Random scenarios with no bug; None: as usual.
        quick: Fewer with no bug, and the others are left as large as they are.
        jobs: Processes at work; None: one for each processor.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
    """

    bugs: str | None = None
    seeds: int | None = None
    clean: int | None = None
    quick: bool = False
    jobs: int | None = None
    as_json: bool = False
    colour: bool = True


def oracle_test(options: Options) -> int:
    """Prove that the oracle notices what it must, and nothing else.

    Returns:
        The exit code: ``FAILED`` where a bug that is not signed off survived, the canary was not noticed, or a
        scenario with no bug raised an alarm; ``INTERRUPTED`` where it was stopped, after telling what was found.

    Raises:
        StopError: There is no such bug.
    """
    usual_clean = QUICK_CLEAN if options.quick else CLEAN
    plan = Plan(
        bugs=_names(options.bugs),
        seeds=SEEDS if options.seeds is None else options.seeds,
        clean=usual_clean if options.clean is None else options.clean,
        tries=0 if options.quick else TRIES,
        jobs=options.jobs or os.cpu_count() or 1,
    )
    begun = time.perf_counter()
    proof = proven(plan, _tell_progress if sys.stderr.isatty() else _tell_nothing)
    if sys.stderr.isatty():
        write(sys.stderr, "\r\x1b[K" if options.colour else "\r" + " " * 60 + "\r")
    if not proof.complete:
        complain("Interrupted: this is what was found so far.")
    if options.as_json:
        write(sys.stdout, dumps(proof_data(proof)))
    else:
        say(console(sys.stdout, colour=options.colour), kill_table(proof, time.perf_counter() - begun))
    if not proof.complete:
        return exits.INTERRUPTED
    return exits.PASSED if proof.passed else exits.FAILED


def _names(asked: str | None) -> tuple[str, ...]:
    known = tuple(bug.name for bug in bank() if bug.number)
    if asked is None:
        return known
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise exits.StopError("\n".join(map(_no_such, unknown)) or "--bugs: no name is given", exits.INVALID)
    return tuple(name for name in known if name in names)


def _no_such(name: str) -> str:
    like = nearest(name, [bug.name for bug in bank()])
    return f"--bugs: there is no bug {quoted(name)}" + (f"; did you mean {like}?" if like else "")


def _tell_progress(proof: Proof) -> None:
    done = f"{len(proof.calm):,} scenarios with no bug, {len(proof.kills):,} of {len(proof.plan.bugs):,} bugs"
    write(sys.stderr, f"\r{done}")


def _tell_nothing(_proof: Proof) -> None:
    pass
