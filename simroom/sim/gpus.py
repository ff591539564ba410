"""How a GPU works its jobs off: one after the other, all at once, or in batches; slowed by what else runs on it.

Work is microseconds of an undisturbed GPU. Background load b leaves the share 1 - b for jobs; it is constant between
its changes, so when a piece of work will be done is known exactly when it begins.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from typing import Protocol

from simroom.scheduler.messages import JobAssign, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.service import Work


class BackgroundLoad(Protocol):
    """What other programs take of a GPU, as a share by scenario time."""

    def load_at(self, now: int) -> float:
        """The share taken at ``now``, 0 or more and below 1."""
        ...

    def next_change(self, now: int) -> int | None:
        """The first instant after ``now`` at which it changes; None: it does not any more."""
        ...


Done = Callable[[tuple[JobAssign, ServiceTimes]], None]
"""Called with each job as it is finished, and when it was worked on."""


class Gpu(ABC):
    """What all GPUs have in common: who waits, and how busy it has been.

    Attributes:
        waiting: Jobs that have arrived and not begun.
        running_count: Jobs that have begun and not finished.
    """

    streams = 1

    def __init__(
        self, engine: Engine, work: Work, background: BackgroundLoad | None, time_zero: int, done: Done
    ) -> None:
        self._engine = engine
        self._work = work
        self._background = background
        self._time_zero = time_zero
        self._done = done
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
        self._busy_area += self._busy_streams() * (now - self._busy_since)
        self._busy_since = now
        return self._busy_area

    def _busy_streams(self) -> int:
        return 1 if self.running_count else 0

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


class SerialGpu(Gpu):
    """First come, first served; ``streams`` jobs at once without slowing each other."""

    def __init__(
        self,
        engine: Engine,
        work: Work,
        background: BackgroundLoad | None,
        time_zero: int,
        done: Done,
        streams: int,
    ) -> None:
        super().__init__(engine, work, background, time_zero, done)
        self.streams = streams

    def _busy_streams(self) -> int:
        return self.running_count

    def take(self, message: JobAssign) -> None:
        """Begin at once where a stream is free, else wait."""
        if self.running_count < self.streams:
            self.busy_area()
            self.running_count += 1
            self._begin(message)
        else:
            self.waiting.append(message)

    def _begin(self, message: JobAssign) -> None:
        now = self._engine.instant
        work = self._work.of(message, cold=self._first() if self.cold else False)
        finish = self._finish_of(now, work[0] + work[1] + work[2])
        self._engine.call_at(finish, self._finished, (message, stage_times(now, finish - now, work)))

    def _finished(self, argument: tuple[JobAssign, ServiceTimes]) -> None:
        if self.waiting:
            self._begin(self.waiting.popleft())
        else:
            self.busy_area()
            self.running_count -= 1
        self._done(argument)


class PlannedGpu(SerialGpu):
    """The same as ``SerialGpu`` for a node whose jobs nothing can take away again.

    First come, first served needs no look at the future: when a job is sent to the node it is known when it arrives,
    begins and ends. So a job needs one entry in the engine's queue, its end.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        background: BackgroundLoad | None,
        time_zero: int,
        done: Done,
        streams: int,
    ) -> None:
        super().__init__(engine, work, background, time_zero, done, streams)
        self._free_at = [0] * streams
        self._planned: list[tuple[int, int, int]] = []
        """Arrival, begin and end of jobs, in order of arrival; those that have ended go at the next look."""

    def plan(self, message: JobAssign, arrival: int) -> None:
        """A job has been sent to the node and arrives then, after all that were planned before."""
        begin = self._free_at[0]
        if begin < arrival:  # noqa: PLR1730 - a call of max costs more than the rest of the line
            begin = arrival
        asr, nmt, tts = work = self._work.of(message, cold=self.cold)
        self.cold = False
        if self._background is None:
            end = begin + asr + nmt + tts
            times = ServiceTimes(begin, asr, nmt, tts)
        else:
            end = self._finish_of(begin, asr + nmt + tts)
            times = stage_times(begin, end - begin, work)
        heapreplace(self._free_at, end)
        self._planned.append((arrival, begin, end))
        self._engine.call_at(end, self._done, (message, times))

    def has_room_at(self, instant: int, waiting_count_max: int) -> bool:
        """As ``has_room`` for a job that will arrive at ``instant``, after all that were planned before."""
        if self._free_at[0] <= instant:
            return True
        return sum(arrival <= instant < begin for arrival, begin, _ in self._unended()) < waiting_count_max

    def arrived_count(self) -> int:
        """Jobs that have arrived and not ended."""
        now = self._engine.instant
        return sum(arrival <= now for arrival, _, _ in self._unended())

    def busy_area(self) -> int:
        """Busy streams integrated over time so far, microseconds."""
        now = self._engine.instant
        unended = self._unended()
        return self._busy_area + sum(min(now, end) - begin for _, begin, end in unended if begin < now)

    def _unended(self) -> list[tuple[int, int, int]]:
        """The jobs that had not ended before the present instant."""
        now = self._engine.instant
        unended = []
        for job in self._planned:
            _, begin, end = job
            if end < now:
                self._busy_area += end - begin
            else:
                unended.append(job)
        self._planned = unended
        return unended


class SharedGpu(Gpu):
    """Processor sharing: n running jobs each run at 1/n of the speed.

    Virtual time is the work that every running job has got so far; a job is done when it has grown by the job's work.
    """

    def __init__(
        self, engine: Engine, work: Work, background: BackgroundLoad | None, time_zero: int, done: Done
    ) -> None:
        super().__init__(engine, work, background, time_zero, done)
        self._attained = 0.0
        self._attained_at = 0
        self._running: list[tuple[float, int, JobAssign, int, tuple[int, int, int]]] = []
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
        now = self._engine.instant
        share = 1.0
        change = None
        if self._background is not None:
            share -= self._background.load_at(now - self._time_zero)
            change = self._background.next_change(now - self._time_zero)
        left = max(0.0, self._running[0][0] - self._attained)
        at = now + math.ceil(left * self.running_count / share - 1e-6)
        if change is not None and change + self._time_zero < at:
            at = change + self._time_zero
        self._engine.call_at(at, self._look, self._round)

    def _look(self, planned_in: int) -> None:
        if planned_in != self._round:
            return  # somebody came or went since
        self._advance()
        now = self._engine.instant
        done = []
        while self._running and self._running[0][0] <= self._attained + 1e-6 * max(1, self.running_count):
            done.append(heappop(self._running))
        if done:
            self.busy_area()
            self.running_count -= len(done)
        self._plan()
        for _, _, message, began_at, work in done:
            self._done((message, stage_times(began_at, now - began_at, work)))


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
    ) -> None:
        super().__init__(engine, work, background, time_zero, done)
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
        work = self._work.of_batch(batch)
        if self._first():
            work += sum(self._work.of(batch[0], cold=True)) - self._work.batch_per_job
        self._engine.call_at(self._finish_of(now, work), self._finished, (batch, now))

    def _finished(self, argument: tuple[list[JobAssign], int]) -> None:
        batch, began_at = argument
        now = self._engine.instant
        self.busy_area()
        self.running_count = 0
        if self.waiting:
            self._begin(None)
        for message in batch:
            self._done((message, ServiceTimes(began_at, now - began_at, 0, 0)))
