"""One run of a scenario: a world is made, time passes in it, the oracle judges, and what happened is returned."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simroom.scenario.schema import Scenario
from simroom.scheduler.port import SchedulerFactory
from simroom.scheduler.scheduler import Scheduler
from simroom.sim.engine import Engine
from simroom.sim.outcome import NodeUse, Progress, RunData
from simroom.sim.port import CALLS
from simroom.sim.progress import PATIENCE, NoProgressError, watched
from simroom.sim.world import SLICE_COUNT, World

__all__ = ["SLICE_COUNT", "NodeUse", "Progress", "RunData", "World", "simulate"]


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    scheduler: SchedulerFactory | None = None,
    progress: Callable[[Progress], None] | None = None,
    patience: float = PATIENCE,
    empties: bool | None = None,
) -> RunData:
    """Run a scenario in virtual time.

    Args:
        scenario: What to simulate.
        seed: Where all chance comes from; None: the scenario's own.
        scheduler: Makes the scheduler; None: simroom's, or the broken one that the scenario names.
        progress: Called about ``SLICE_COUNT`` times. A ``KeyboardInterrupt`` raised in it, or SIGINT while time passes,
            stops the run, and what has happened so far is returned as interrupted.
        patience: Seconds of real time that the scheduler may take for one answer, before the run is halted; 0: for
            ever, as where signals cannot be caught.
        empties: After the run, which that is no part of, everybody leaves, and the scheduler must then remember
            nothing. None: where the scenario has faults, a script or a bug.

    Returns:
        The same for the same arguments, on every machine.
    """
    if empties is None:
        empties = bool(scenario.faults or scenario.script or scenario.bug)
    factory = scheduler or _factory(scenario)
    world = World(scenario, scenario.seed if seed is None else seed, factory, empties=empties)
    interrupted = False
    halted = None
    with (
        _long_lived_objects(),
        _interrupted_between_entries(world.engine),
        watched(world.engine, CALLS, patience),
    ):
        try:
            world.pass_time(progress)
        except KeyboardInterrupt:
            interrupted = True
        except NoProgressError as error:
            halted = f"{error.what} at {_clock(error.at - scenario.lead_in)}"
    return world.result(interrupted=interrupted, halted=halted)


def _factory(scenario: Scenario) -> SchedulerFactory:
    """What makes the scheduler that a scenario asks for."""
    if scenario.bug is None:
        return Scheduler
    from simroom.bugbank import BUGS  # noqa: PLC0415 - broken schedulers, for the few scenarios that ask for one

    return BUGS[scenario.bug].make


def _clock(at: int) -> str:
    """An instant in words; ``at`` counts from time 0."""
    seconds = f"{abs(at) / 1_000_000:.6f}".rstrip("0").rstrip(".")
    return f"{seconds} s" if at >= 0 else f"{seconds} s before time 0"


@contextmanager
def _interrupted_between_entries(engine: Engine) -> Iterator[None]:
    """Let the first SIGINT stop the engine between two entries, so that what is left behind is consistent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        engine.interrupt()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _long_lived_objects() -> Iterator[None]:
    """Let the garbage collector look less often: a run makes few cycles and millions of short-lived objects."""
    before = gc.get_threshold()
    gc.set_threshold(500_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
