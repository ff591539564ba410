"""One run of a scenario that is checked, done where there is room for it and brought down to what the check needs."""

from __future__ import annotations

import gc
import time
import traceback
from typing import Final, Literal

from msgspec import Struct

from simroom.sim.run import simulate
from simroom.study.conclusion import Word, conclude
from simroom.study.effort import Efforts, efforts
from simroom.study.expect import read_all
from simroom.study.explain import scheduler_of
from simroom.study.replication import Replication, ScenarioSource, factory_of, summarised
from simroom.study.reported import in_base_units
from simroom.study.routes import Route, routes
from simroom.study.table import Table

SMALL: Final = 20_000
"""Engine events of a run of whose memory a few may pile up."""
Blame = Literal["simroom", "scheduler", "machine"]


class Met(Struct, frozen=True):
    """What became of an expectation in one run: an ``Outcome`` without what cannot be sent to another process.

    Attributes:
        passed: Whether it holds.
        value: What was measured, in base units; None: nothing was.
        reason: Why it fails, where that is more than the value; else None.
    """

    passed: bool
    value: float | None
    reason: str | None


class Ran(Struct, frozen=True):
    """One replication as a check needs it.

    Attributes:
        replication: It.
        word: What the run comes to, its expectations left aside.
        reasons: Why that is not ``passed``.
        met: Each expectation of the scenario, in order.
        routes: Its first jobs; empty unless they were asked for.
        more_routes: How many jobs there are besides; 0 likewise.
        efforts: What the scheduler cost; None: it was not asked, or the scenario is too large to measure.
    """

    replication: Replication
    word: Word
    reasons: tuple[str, ...]
    met: tuple[Met, ...]
    routes: tuple[Route, ...] = ()
    more_routes: int = 0
    efforts: Efforts | None = None


class Crash(Struct, frozen=True):
    """A run that raised.

    Attributes:
        what: The exception and its message.
        trace: The traceback.
        blame: Whose fault it is.
    """

    what: str
    trace: str
    blame: Blame


def ran(
    source: ScenarioSource,
    number: int,
    seed: int,
    scheduler: str | None,
    told: int = 0,
    *,
    metered: bool = False,
    swept: bool = True,
) -> Ran | Crash:
    """Run one replication; what raises is an answer too, so that the others go on.

    Args:
        source: The scenario, sound.
        number: Its place among the replications.
        seed: Where its chance comes from.
        scheduler: ``package.module:factory``; None: simroom's, or the scenario's ``bug``.
        told: How many of its jobs are told.
        metered: Measure what the scheduler costs, in runs of their own.
        swept: Free the memory of the run at once, also of a small one, of which that takes longer than the run itself.
    """
    try:
        found = _ran(source, number, seed, scheduler, told, metered=metered)
    except Exception as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        trace = "".join(traceback.format_exception(error))
        return Crash(what, trace, "scheduler" if _went_through(error, scheduler) else "simroom")
    # Worlds are full of cycles, and while one is simulated the collector looks at little.
    if swept or found.replication.events > SMALL:
        gc.collect()
    return found


def _ran(source: ScenarioSource, number: int, seed: int, scheduler: str | None, told: int, *, metered: bool) -> Ran:
    started = time.perf_counter()
    scenario = source.load()
    factory = scheduler_of(scenario) if scheduler is None else factory_of(scheduler)
    run = simulate(scenario, seed=seed, scheduler=factory)
    if run.interrupted:
        raise KeyboardInterrupt
    table = Table(run)
    expectations, _ = read_all(scenario.expect)
    replication = summarised(number, table, expectations, started)
    whole = conclude(table, expectations)
    # Those that hold still count: what is expected of violations decides whether a bug was noticed.
    alone = conclude(table, [one.expectation for one in whole.outcomes if one.passed])
    met = tuple(Met(one.passed, in_base_units(one.value, one.expectation.unit), one.reason) for one in whole.outcomes)
    return Ran(
        replication=replication,
        word=alone.word,
        reasons=alone.reasons,
        met=met,
        routes=tuple(routes(table, told)),
        more_routes=max(0, len(table.jobs["end"]) - told),
        efforts=efforts(scenario, seed, factory) if metered else None,
    )


def _went_through(error: BaseException, scheduler: str | None) -> bool:
    """Whether an error went through the scheduler of the user's own, or that could not even be had."""
    if scheduler is None:
        return False
    package = scheduler.partition(":")[0].partition(".")[0]
    if isinstance(error, ImportError) and error.name is not None and error.name.partition(".")[0] == package:
        return True
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            return True
        trace = trace.tb_next
    return False
