"""GPUs that run jobs in order of arrival, a fixed number at once, none slowed by another."""

from __future__ import annotations

from heapq import heapreplace

from simroom.scheduler.messages import JobAssign, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.gpus import Done, Ended, Gpu, Lost, stage_times
from simroom.sim.pace import BackgroundLoad, Pace, Piece
from simroom.sim.service import Work


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
        *,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(engine, work, background, time_zero, done, pace=pace)
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
        whole = work[0] + work[1] + work[2]
        if self._pace is None:
            self._engine.call_at(self._finish_of(now, whole), self._finished, (message, now, work))
        else:
            self._pace.after(whole, self._finished, (message, now, work))

    def _finished(self, argument: tuple[JobAssign, int, tuple[int, int, int]]) -> None:
        message, began_at, work = argument
        self._free_stream()
        times = stage_times(began_at, self._engine.instant - began_at, work)
        if self.watcher is None:
            self._done((message, times))
        else:
            self.watcher([Ended(message, times, sum(work))])

    def _free_stream(self) -> None:
        """A job is here no longer: the next one begins, or the stream is free."""
        if self.waiting:
            self._begin(self.waiting.popleft())
        else:
            self.busy_area()
            self.running_count -= 1

    def abort(self) -> list[Lost]:
        """See ``Gpu.abort``."""
        now = self._engine.instant
        lost = []
        for piece in self._own_pace.pieces():
            if piece.argument[1] < now:
                lost.append(self._let_go(piece))
                self._free_stream()
        return lost

    def running(self) -> list[JobAssign]:
        """See ``Gpu.running``."""
        return [piece.argument[0] for piece in self._own_pace.pieces()]

    def _lose_running(self) -> list[Lost]:
        return [self._let_go(piece) for piece in self._own_pace.pieces()]

    def _let_go(self, piece: Piece) -> Lost:
        self._own_pace.drop(piece)
        message, _, work = piece.argument
        return Lost(message, self._done_of(piece, sum(work)))


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
