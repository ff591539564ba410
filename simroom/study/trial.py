"""One scenario tried: run, judged, and what is wrong with it as one comparable value.

A scheduler that raises, or that never comes to an end, has failed as surely as one that breaks an invariant.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom.oracle.verdict import Violation
from simroom.scenario.load import loads
from simroom.scenario.problems import ScenarioError
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import SchedulerFactory
from simroom.scheduler.scheduler import Scheduler
from simroom.sim.progress import NoProgressError
from simroom.sim.run import Progress, RunData, simulate
from simroom.study.drawing import text_of

Data = dict[str, Any]
"""A scenario as a file would hold it."""
Sign = tuple[str, str]
"""What went wrong: an invariant and the kind of its breach; ``("crash", exception)``; ``("progress", how)``."""

EVENTS_MAX: Final = 3_000_000
"""Entries of the engine after which a run is taken for endless; a random scenario has some thousand."""
PATIENCE: Final = 5.0
"""Seconds for one answer of the scheduler, of which it gives thousands in some hundredths of a second."""
ENDLESS: Final[Sign] = ("progress", "endless")
CRASH: Final = "crash"
NOT_THE_SCHEDULERS: Final = frozenset({"leaked_by_node"})
"""Kinds of breach that are the doing of a node, whoever the scheduler is: they come of the fault ``wrong_answer``."""
TOLD_MAX: Final = 20


class Trial(Struct, frozen=True):
    """What became of one scenario.

    Attributes:
        seed: The seed it was run with.
        signature: What went wrong, without repetition, in order of the alphabet; empty: nothing.
        first: The one of ``signature`` that came first in the run; None: nothing went wrong.
        violations: The first ones, in order of time, at most ``TOLD_MAX``.
        violation_count: All of them.
        error: What the scheduler raised or why the run could not go on, on one line; None: neither.
        judgements: How often each invariant was judged.
        ends: Jobs ended, by how.
        fired: How often each kind of fault fired, 0 included for those that were there; by kind.
        utterances: How many there were; likewise ``jobs`` and ``deliveries``.
        trace_hash: Of everything that happened; None where the run was not finished.
    """

    seed: int
    signature: tuple[Sign, ...]
    first: Sign | None
    violations: tuple[Violation, ...]
    violation_count: int
    error: str | None
    judgements: dict[str, int]
    ends: dict[str, int]
    fired: dict[str, int]
    utterances: int
    jobs: int
    deliveries: int
    trace_hash: str | None

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.signature)


def tried(
    data: Data,
    *,
    seed: int | None = None,
    scheduler: SchedulerFactory | None = None,
    base: Path | None = None,
    patience: float = PATIENCE,
) -> Trial:
    """Run a scenario and say what is wrong with it.

    Args:
        data: The scenario. It must be valid; ``valid`` says whether it is.
        seed: None: the scenario's own.
        scheduler: Makes the scheduler; None: simroom's, or the scenario's ``bug``.
        base: The folder that paths in it are relative to; None: there are none in it.
        patience: Seconds that the scheduler may take for one answer, and half of what time may stand still.

    Raises:
        ScenarioError: ``data`` is no valid scenario.
    """
    scenario = scenario_of(data, base)
    seed = scenario.seed if seed is None else seed
    try:
        run = ran(scenario, seed=seed, scheduler=scheduler, patience=patience)
    except Exception as error:
        return broken_off(seed, (CRASH, type(error).__name__), _told(error))
    return judged(run)


def ran(
    scenario: Scenario,
    *,
    seed: int | None = None,
    scheduler: SchedulerFactory | None = None,
    patience: float = PATIENCE,
) -> RunData:
    """Run a scenario, to its end or until it is plain that there will be none; arguments as for ``tried``."""
    if scheduler is None and scenario.bug is None:
        scheduler = Scheduler  # named, so that it is also looked whether it forgets everybody in the end
    return simulate(scenario, seed=seed, scheduler=scheduler, progress=_stop_the_endless, patience=patience)


def judged(run: RunData) -> Trial:
    """What a finished run comes to."""
    verdict = run.verdict
    violations = [violation for violation in verdict.violations if violation.kind not in NOT_THE_SCHEDULERS]
    signs = [(violation.invariant, violation.kind) for violation in violations]
    if run.halted is not None:
        signs.append(ENDLESS)
    ledger = run.ledger
    fired: dict[str, int] = {}
    for use in run.faults:
        fired[use.kind] = fired.get(use.kind, 0) + use.fired_count
    return Trial(
        seed=run.seed,
        signature=tuple(sorted(set(signs))),
        first=signs[0] if signs else None,
        violations=tuple(violations[:TOLD_MAX]),
        violation_count=verdict.violation_count - sum(verdict.counts.get(kind, 0) for kind in NOT_THE_SCHEDULERS),
        error=run.halted,
        judgements=dict(verdict.judgements),
        ends=dict(verdict.ends),
        fired=fired,
        utterances=ledger.utterance_count,
        jobs=ledger.job_count,
        deliveries=ledger.delivery_count,
        trace_hash=run.trace_hash,
    )


def broken_off(seed: int, sign: Sign, error: str) -> Trial:
    """A trial that came to no end of its own."""
    return Trial(
        seed=seed,
        signature=(sign,),
        first=sign,
        violations=(),
        violation_count=0,
        error=error,
        judgements={},
        ends={},
        fired={},
        utterances=0,
        jobs=0,
        deliveries=0,
        trace_hash=None,
    )


def scenario_of(data: Data, base: Path | None = None) -> Scenario:
    """The scenario that the data are.

    Args:
        data: As for ``tried``.
        base: As for ``tried``. Where it is None, only what makes up the scenario is checked, which takes a twentieth
            of the time.

    Raises:
        ScenarioError: The data are no valid scenario (pydantic's ``ValidationError`` where ``base`` is None).
    """
    if base is None:
        return Scenario.model_validate(data)
    return loads(text_of(data), "scenario", base)


def valid(data: Data, base: Path | None = None) -> bool:
    """Whether the data are a scenario with which nothing is wrong, as a file that holds them would be judged."""
    try:
        loads(text_of(data), "scenario", base or Path())
    except ScenarioError:
        return False
    return True


def _stop_the_endless(at: Progress) -> None:
    if at.events > EVENTS_MAX:
        raise NoProgressError(f"more than {EVENTS_MAX:,} events, and no end", at.simulated_time)


def _told(error: Exception) -> str:
    """An exception on one line, with the function that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text} (in {frames[-1].name}, line {frames[-1].lineno} of {Path(frames[-1].filename).name})"
