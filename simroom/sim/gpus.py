"""What all GPUs have in common: who waits, who runs, how busy they have been, what slows and what stops them.

Work is microseconds of an undisturbed GPU. Background load b leaves the share 1 - b for jobs; it is constant between
its changes, so when a piece of work will be done is known exactly when it begins. On a GPU that faults can slow or halt
it is not: such a one has a ``Pace``, which says when.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from simroom.scheduler.messages import JobAssign, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.pace import BackgroundLoad, Pace, Piece
from simroom.sim.service import Work

Done = Callable[[tuple[JobAssign, ServiceTimes]], None]
"""Called with each job as it is finished, and when it was worked on."""


class Ended(NamedTuple):
    """A job that the GPU has finished.

    Attributes:
        work: What it took of an undisturbed GPU, whole microseconds; of a batch, its part of the whole.
    """

    message: JobAssign
    times: ServiceTimes
    work: int


class Lost(NamedTuple):
    """A job that ended unfinished.

    Attributes:
        work: What was done of it, whole microseconds of an undisturbed GPU, rounded down.
    """

    message: JobAssign
    work: int


class Gpu(ABC):
    """What all GPUs have in common: who waits, and how busy it has been.

    Args:
        pace: Says when work is done; it knows the background. None: nothing ever slows, halts or stops this GPU.

    Attributes:
        waiting: Jobs that have arrived and not begun.
        running_count: Jobs that have begun and not finished.
        watcher: Told, instead of ``done``, of the jobs that end together, in order. None: nobody; ``done`` is called
            with each.
    """

    streams = 1

    def __init__(
        self,
        engine: Engine,
        work: Work,
        background: BackgroundLoad | None,
        time_zero: int,
        done: Done,
        *,
        pace: Pace | None = None,
    ) -> None:
        self._engine = engine
        self._work = work
        self._background = background
        self._time_zero = time_zero
        self._done = done
        self._pace = pace
        self._halted = False
        self.watcher: Callable[[list[Ended]], None] | None = None
        self.waiting: deque[JobAssign] = deque()
        self.running_count = 0
        self.cold = True
        self._busy_area = 0
        self._busy_since = 0

    @abstractmethod
    def take(self, message: JobAssign) -> None:
        """A job has arrived."""

    def arrived_count(self) -> int:
        """Jobs that have arrived and not ended."""
        return self.running_count + len(self.waiting)

    def has_room(self, waiting_count_max: int) -> bool:
        """Whether a job that arrives now can begin at once, or waits as one of at most so many."""
        return self.running_count < self.streams or len(self.waiting) < waiting_count_max

    def busy_area(self) -> int:
        """Busy streams integrated over time so far, microseconds."""
        now = self._engine.instant
        if not self._halted:
            self._busy_area += self._busy_streams() * (now - self._busy_since)
        self._busy_since = now
        return self._busy_area

    def _busy_streams(self) -> int:
        return 1 if self.running_count else 0

    # --- what faults do to it

    @property
    def disturbable(self) -> bool:
        """Whether all this can be done to it."""
        return self._pace is not None

    def slow(self, factor: float) -> None:
        """From now on work takes ``factor`` times as long, also what is under way; 1: as undisturbed."""
        self._own_pace.slow(factor)

    def halt(self) -> None:
        """Nothing is worked on, and the GPU is not busy, until ``go_on``."""
        self.busy_area()
        self._halted = True
        self._own_pace.halt()

    def go_on(self) -> None:
        """Go on after ``halt`` where everything stood."""
        self.busy_area()
        self._halted = False
        self._own_pace.go_on()

    def stop(self) -> list[Lost]:
        """Lose everything that is here: what runs, in the order in which it began, then what waits."""
        self.busy_area()
        lost = self._lose_running()
        lost += [Lost(message, 0) for message in self.waiting]
        self.waiting.clear()
        self.running_count = 0
        if self._halted:
            self.go_on()
        return lost

    @abstractmethod
    def abort(self) -> list[Lost]:
        """Lose what runs, in the order in which it began, but for what began at this very instant; others begin."""

    @abstractmethod
    def running(self) -> list[JobAssign]:
        """The jobs that run, in the order in which they began."""

    @abstractmethod
    def _lose_running(self) -> list[Lost]:
        """Have nothing run any more; returns what did, in the order in which it began."""

    @property
    def _own_pace(self) -> Pace:
        if self._pace is None:
            raise RuntimeError("this GPU was made for a node that nothing can disturb")
        return self._pace

    def _done_of(self, piece: Piece, whole: int) -> int:
        """How much of a piece of work has been done, rounded down."""
        return whole - math.ceil(self._own_pace.left_of(piece))

    # --- the rest

    def _finish_of(self, begin: int, work: int) -> int:
        """When ``work`` that has the GPU to itself from ``begin`` is done, rounded up."""
        background = self._background
        if background is None:
            return begin + work
        left = float(work)
        at = begin
        while True:
            share = 1.0 - background.load_at(at - self._time_zero)
            change = background.next_change(at - self._time_zero)
            if change is None or left <= share * (change + self._time_zero - at):
                return at + math.ceil(left / share - 1e-9)
            left -= share * (change + self._time_zero - at)
            at = change + self._time_zero

    def _first(self) -> bool:
        """Whether the job that begins now is the first since the start."""
        cold, self.cold = self.cold, False
        return cold


def stage_times(started_at: int, whole: int, work: tuple[int, int, int]) -> ServiceTimes:
    """Divide what a job took among its stages in the proportion of their work; the last takes what is left."""
    asr, nmt, tts = work
    total = asr + nmt + tts
    if total == whole:
        return ServiceTimes(started_at, asr, nmt, tts)
    if total == 0:
        return ServiceTimes(started_at, whole, 0, 0)
    asr = asr * whole // total
    nmt = nmt * whole // total
    return ServiceTimes(started_at, asr, nmt, whole - asr - nmt)
