"""GPUs on which jobs run together: all at once, each slowed by the others, or in batches that end as one."""

from __future__ import annotations

import math
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Final

from simroom.scheduler.messages import JobAssign, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.gpus import Done, Ended, Gpu, Lost, stage_times
from simroom.sim.pace import BackgroundLoad, Pace
from simroom.sim.service import Work

_TOLERANCE: Final = 1e-6
"""What is left of a job when it counts as done: the rounding of floats, far below a microsecond."""

_Share = tuple[float, int, JobAssign, int, tuple[int, int, int]]
"""A job that runs beside others: the work that each must have got for it to be done, its number in order of beginning,
the job, when it began, and its work."""


class SharedGpu(Gpu):
    """Processor sharing: n running jobs each run at 1/n of the speed.

    Virtual time is the work that every running job has got so far; a job is done when it has grown by the job's work.
    """

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
        super().__init__(engine, work, background, time_zero, done, pace=pace)
        self._attained = 0.0
        self._attained_at = 0
        self._progress = Fraction(0)
        self._running: list[_Share] = []
        self._number = 0
        self._round = 0

    def has_room(self, waiting_count_max: int) -> bool:  # noqa: ARG002 - nobody ever waits
        """Always: a job begins as it arrives."""
        return True

    def take(self, message: JobAssign) -> None:
        """Begin at once; everybody else is slowed."""
        self._advance()
        self.busy_area()
        self.running_count += 1
        work = self._work.of(message, cold=self._first())
        self._number += 1
        entry = (self._attained + sum(work), self._number, message, self._engine.instant, work)
        heappush(self._running, entry)
        self._plan()

    def _advance(self) -> None:
        if self._pace is not None:
            before, self._progress = self._progress, self._pace.progress()
            if self.running_count:
                self._attained += float(self._progress - before) / self.running_count
            return
        now = self._engine.instant
        if self.running_count:
            share = 1.0
            if self._background is not None:
                share -= self._background.load_at(self._attained_at - self._time_zero)
            self._attained += (now - self._attained_at) * share / self.running_count
        self._attained_at = now

    def _plan(self) -> None:
        """Come back when the next job is done or the background load changes, whichever is first."""
        self._round += 1
        if not self._running:
            return
        left = max(0.0, self._running[0][0] - self._attained) * self.running_count
        if self._pace is not None:
            self._pace.after(left - _TOLERANCE, self._look, self._round)
            return
        now = self._engine.instant
        share = 1.0
        change = None
        if self._background is not None:
            share -= self._background.load_at(now - self._time_zero)
            change = self._background.next_change(now - self._time_zero)
        at = now + math.ceil(left / share - _TOLERANCE)
        if change is not None and change + self._time_zero < at:
            at = change + self._time_zero
        self._engine.call_at(at, self._look, self._round)

    def _look(self, planned_in: int) -> None:
        if planned_in != self._round:
            return  # somebody came or went since
        self._advance()
        now = self._engine.instant
        done = []
        while self._running and self._running[0][0] <= self._attained + _TOLERANCE * max(1, self.running_count):
            done.append(heappop(self._running))
        if done:
            self.busy_area()
            self.running_count -= len(done)
        self._plan()
        if self.watcher is not None and done:
            self.watcher(
                [
                    Ended(message, stage_times(began_at, now - began_at, work), sum(work))
                    for _, _, message, began_at, work in done
                ]
            )
            return
        for _, _, message, began_at, work in done:
            self._done((message, stage_times(began_at, now - began_at, work)))

    def abort(self) -> list[Lost]:
        """See ``Gpu.abort``."""
        now = self._engine.instant
        self._advance()
        hit = [each for each in self._in_order() if each[3] < now]
        self.busy_area()
        self._running = [each for each in self._running if each[3] >= now]
        heapify(self._running)
        self.running_count = len(self._running)
        self._plan()
        return [self._lost(each) for each in hit]

    def running(self) -> list[JobAssign]:
        """See ``Gpu.running``."""
        return [each[2] for each in self._in_order()]

    def _lose_running(self) -> list[Lost]:
        self._advance()
        lost = [self._lost(each) for each in self._in_order()]
        self._running = []
        self._plan()
        return lost

    def _in_order(self) -> list[_Share]:
        return sorted(self._running, key=lambda each: each[1])

    def _lost(self, share: _Share) -> Lost:
        target, _, message, _, work = share
        return Lost(message, max(0, sum(work) - math.ceil(target - self._attained - _TOLERANCE)))


class BatchingGpu(Gpu):
    """Waiting jobs begin together, at most ``cap`` of them, and end together."""

    def __init__(
        self,
        engine: Engine,
        work: Work,
        background: BackgroundLoad | None,
        time_zero: int,
        done: Done,
        cap: int,
        *,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(engine, work, background, time_zero, done, pace=pace)
        self._cap = cap
        self._beginning = False

    def has_room(self, waiting_count_max: int) -> bool:
        """Whether a job that arrives now is in the batch that is about to begin, or waits as one of so many."""
        return len(self.waiting) < (waiting_count_max if self.running_count else self._cap + waiting_count_max)

    def take(self, message: JobAssign) -> None:
        """Begin a batch at once where none is running, else wait for the next one."""
        self.waiting.append(message)
        if not self.running_count and not self._beginning:
            # Jobs that arrive at the same instant share the batch: it begins after all of them have.
            self._beginning = True
            self._engine.call_at(self._engine.instant, self._begin)

    def _begin(self, _argument: object) -> None:
        self._beginning = False
        batch = [self.waiting.popleft() for _ in range(min(self._cap, len(self.waiting)))]
        if not batch:
            return  # all were cancelled at the instant at which they came
        self.busy_area()
        self.running_count = len(batch)
        now = self._engine.instant
        work = self._work.of_batch(batch, cold=self._first())
        if self._pace is None:
            self._engine.call_at(self._finish_of(now, work), self._finished, (batch, now, work))
        else:
            self._pace.after(work, self._finished, (batch, now, work))

    def _finished(self, argument: tuple[list[JobAssign], int, int]) -> None:
        batch, began_at, work = argument
        now = self._engine.instant
        self.busy_area()
        self.running_count = 0
        if self.waiting:
            self._begin(None)
        times = ServiceTimes(began_at, now - began_at, 0, 0)
        if self.watcher is not None:
            parts = _parted(work, len(batch))
            self.watcher([Ended(message, times, part) for message, part in zip(batch, parts, strict=True)])
            return
        for message in batch:
            self._done((message, ServiceTimes(began_at, now - began_at, 0, 0)))

    def running(self) -> list[JobAssign]:
        """See ``Gpu.running``."""
        return [message for piece in self._own_pace.pieces() for message in piece.argument[0]]

    def abort(self) -> list[Lost]:
        """See ``Gpu.abort``."""
        if all(piece.argument[1] == self._engine.instant for piece in self._own_pace.pieces()):
            return []
        self.busy_area()
        lost = self._lose_running()
        self.running_count = 0
        if self.waiting:
            self._begin(None)
        return lost

    def _lose_running(self) -> list[Lost]:
        lost: list[Lost] = []
        for piece in self._own_pace.pieces():
            self._own_pace.drop(piece)
            batch, _, work = piece.argument
            parts = _parted(self._done_of(piece, work), len(batch))
            lost += [Lost(message, part) for message, part in zip(batch, parts, strict=True)]
        return lost


def _parted(work: int, count: int) -> list[int]:
    """Divide the work of a batch among its jobs, as evenly as whole microseconds can be."""
    return [work * (place + 1) // count - work * place // count for place in range(count)]
