"""What a scheduler costs: lines of Python it executes for a message, and how long they take.

Virtual time does not tell: selecting a node takes none of it. Lines are counted exactly, so they are the same on every
machine with the same version of Python, and a scan where there was a look-up shows at once. What lines do not show (a
sleep, a slow library) shows in the time, which is coarse: it is taken from the quicker calls, which nothing has
interrupted, and told in units of a fixed piece of work done beside it, so that slow machines and fast ones agree.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from msgspec import Struct

from simroom.scenario.schema import Scenario
from simroom.scheduler.messages import Addressed, Incoming
from simroom.scheduler.port import PeerKind, SchedulerFactory, SchedulerPort, Sources
from simroom.scheduler.settings import Settings
from simroom.sim.run import simulate
from simroom.study.estimate import estimate

EVENTS_MAX: Final = 60_000
"""A scenario that is estimated to have more events is not measured: counting lines takes its time."""
CALLS_MIN: Final = 20
"""Of fewer calls of a kind the time says nothing."""
TIMED_RUNS: Final = 3
_UNIT_STEPS: Final = 2_000
_UNIT_TRIES: Final = 15
_PLACES: Final = 2


class Effort(Struct, frozen=True, forbid_unknown_fields=True):
    """What a kind of call costs a scheduler.

    Attributes:
        calls: How many there were in the run.
        lines: Lines of Python executed for each, on average.
        time: Time for one of the quicker ones, in units of a fixed piece of work; None: there were too few.
    """

    calls: int
    lines: float
    time: float | None


class Efforts(Struct, frozen=True, forbid_unknown_fields=True):
    """What a scheduler costs in a run.

    Attributes:
        python: Version of Python, without its patch level; lines are those of this one.
        kinds: By kind of call: the name of the message, ``opened``, ``closed`` or ``wake``; in order of the alphabet.
    """

    python: str
    kinds: dict[str, Effort]


def efforts(scenario: Scenario, seed: int, scheduler: SchedulerFactory) -> Efforts | None:
    """Measure what a scheduler costs in a scenario, in some runs of it.

    Returns:
        None where the scenario is too large.
    """
    if estimate(scenario).events > EVENTS_MAX:
        return None
    counting = _Meter(_counted)
    simulate(scenario, seed=seed, scheduler=counting.around(scheduler), empties=False)
    found = {}
    times = _quick_times(scenario, seed, scheduler)
    for kind, lines in sorted(counting.calls.items()):
        quick = times.get(kind) if len(lines) >= CALLS_MIN else None
        found[kind] = Effort(
            calls=len(lines),
            lines=round(sum(lines) / len(lines), _PLACES),
            time=None if quick is None else round(quick, _PLACES),
        )
    return Efforts(f"{sys.version_info.major}.{sys.version_info.minor}", found)


def _quick_times(scenario: Scenario, seed: int, scheduler: SchedulerFactory) -> dict[str, float]:
    """By kind of call, the time of one of the quicker ones, the best of some runs."""
    best: dict[str, float] = {}
    for _ in range(TIMED_RUNS):
        unit = _unit()
        timing = _Meter(_timed)
        simulate(scenario, seed=seed, scheduler=timing.around(scheduler), empties=False)
        unit = min(unit, _unit())
        for kind, seconds in timing.calls.items():
            # What came after the first quarter may have been interrupted by something else on the machine.
            quick = sorted(seconds)[len(seconds) // 4] / unit
            best[kind] = min(quick, best.get(kind, quick))
    return best


# --- measuring ---------------------------------------------------------------------------------------------------

Outputs = list[Addressed]
Gauge = Callable[[Callable[[], Outputs]], tuple[Outputs, float]]
"""Makes a call; returns what that returns, and what it cost."""


def _timed(call: Callable[[], Outputs]) -> tuple[Outputs, float]:
    begun = time.perf_counter()
    outputs = call()
    return outputs, time.perf_counter() - begun


def _counted(call: Callable[[], Outputs]) -> tuple[Outputs, float]:
    count = 0

    def inside(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
        return inside

    before = sys.gettrace()
    sys.settrace(inside)
    try:
        outputs = call()
    finally:
        sys.settrace(before)
    # The one line of the call itself is no line of the scheduler's.
    return outputs, count - 1


def _unit() -> float:
    """Seconds that a fixed piece of work takes when nothing interrupts it: look-ups and small sums."""
    table = {number: number for number in range(64)}
    best = float("inf")
    for _ in range(_UNIT_TRIES):
        begun = time.perf_counter()
        total = 0
        for step in range(_UNIT_STEPS):
            total += table[step & 63]
        best = min(best, time.perf_counter() - begun)
    # In units of a hundred such steps, so that the figures are neither tiny nor huge.
    return best / (_UNIT_STEPS / 100)


class _Meter:
    """Notes what each call of a scheduler costs, by its kind."""

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge
        self.calls: defaultdict[str, list[float]] = defaultdict(list)

    def around(self, inner: SchedulerFactory) -> SchedulerFactory:
        """A factory of the same scheduler, measured."""

        def make(settings: Settings, sources: Sources) -> SchedulerPort:
            return _Measured(inner(settings, sources), self)

        return make

    def note(self, kind: str, call: Callable[[], Outputs]) -> Outputs:
        """Make a call, and note its cost."""
        outputs, cost = self.gauge(call)
        self.calls[kind].append(cost)
        return outputs


class _Measured:
    """A scheduler whose calls are measured; it works as if they were not."""

    def __init__(self, inner: SchedulerPort, meter: _Meter) -> None:
        self._inner = inner
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # whatever else the scheduler offers, such as its counts

    @property
    def next_deadline(self) -> int | None:
        """As the scheduler's."""
        return self._inner.next_deadline

    def opened(self, connection: int, kind: PeerKind, now: int) -> Outputs:
        """As the scheduler's."""
        return self._meter.note("opened", lambda: self._inner.opened(connection, kind, now))

    def received(self, connection: int, message: Incoming, now: int) -> Outputs:
        """As the scheduler's."""
        return self._meter.note(type(message).__name__, lambda: self._inner.received(connection, message, now))

    def closed(self, connection: int, now: int) -> Outputs:
        """As the scheduler's."""
        return self._meter.note("closed", lambda: self._inner.closed(connection, now))

    def wake(self, now: int) -> Outputs:
        """As the scheduler's."""
        return self._meter.note("wake", lambda: self._inner.wake(now))


# --- comparing ---------------------------------------------------------------------------------------------------

LINES_FACTOR: Final = 1.25
"""So many times as many lines are no slowing down; ``LINES_MORE`` more are none either."""
LINES_MORE: Final = 10.0
TIME_FACTOR: Final = 2.0
"""So many times as long is no slowing down: machines differ, and what else they do."""
TIME_MORE: Final = 0.5
"""Nor is so much longer, in units."""


def slowed(before: Efforts, after: Efforts) -> list[str]:
    """What costs more than it did, in a sentence each; empty: nothing does.

    Lines are compared only if both are of one version of Python.
    """
    told = []
    for kind, new in after.kinds.items():
        old = before.kinds.get(kind)
        if old is None:
            continue
        if before.python == after.python and _grown(old.lines, new.lines, LINES_FACTOR, LINES_MORE):
            times = f", {new.lines / old.lines:.1f} times as many" if old.lines else ""
            told.append(
                f"{kind}: {new.lines:,.1f} lines of Python for each, which were {old.lines:,.1f}{times} "
                f"({LINES_FACTOR:g} times allowed)"
            )
        elif None not in (old.time, new.time) and _grown(old.time or 0, new.time or 0, TIME_FACTOR, TIME_MORE):
            times = f"{(new.time or 0) / old.time:.1f} times as long" if old.time else "longer"
            told.append(f"{kind}: each takes {times} as before ({TIME_FACTOR:g} times allowed)")
    return told


def _grown(old: float, new: float, factor: float, more: float) -> bool:
    return new > old * factor and new > old + more


def alike(before: Efforts, after: Efforts) -> bool:
    """Whether the second says nothing that the first does not, so that the first can be kept."""
    if before.python != after.python or before.kinds.keys() != after.kinds.keys():
        return False
    return all(
        (old.calls, old.lines) == (new.calls, new.lines) and _near(old.time, new.time)
        for old, new in zip(before.kinds.values(), after.kinds.values(), strict=True)
    )


def _near(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return old / TIME_FACTOR <= new <= old * TIME_FACTOR or abs(new - old) <= TIME_MORE
