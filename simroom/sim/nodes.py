"""Nodes that faults can touch: they crash, stand still, forget models, lose work and messages, and recover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from simroom.oracle.payload import translated
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import ErrorCode, JobAssign, JobResult, Outgoing, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.gpus import Ended, Lost
from simroom.sim.gpus import Gpu as SimGpu
from simroom.sim.pace import BackgroundLoad
from simroom.sim.plain_nodes import NodeSpec, PlainNode
from simroom.sim.port import Port
from simroom.sim.service import Exact
from simroom.sim.troubles import LostWork, Troubles

__all__ = ["NodeSpec", "SimNode"]


class SimNode(PlainNode):
    """A node, and what faults do to it.

    Only a node whose GPU can be disturbed can be touched; any other does what ``PlainNode`` does and costs no more.
    What is done to a node says whether it changed anything.

    Attributes:
        assigned: As ever, but whoever sends a job looks it up at that time: it belongs to the present connection, and
            what was on its way over an earlier one is not heard.
        troubles: What may go wrong with single jobs and messages; None: nothing.
        lost_count: Jobs that went down with it. Each job that it has heard of is one of these, of ``job_count`` or
            of ``failed_count``, or is still here.
        wasted_work: What was done of jobs that were lost or failed, whole microseconds of an undisturbed GPU.
    """

    # What holds for all nodes that nothing has happened to stands in the class: an object with more than thirty
    # attributes of its own takes more memory, and every look at one of them more time.
    troubles: Troubles | None = None
    lost_count = 0
    wasted_work = 0
    _exact: Exact | None = None
    _returning = False  # it is down, and comes back by itself
    _paused = False
    _factor = 1.0
    _skew = 0
    _previous: JobAssign | None = None  # the job that ended last
    _beat_number = 0

    def __init__(
        self,
        name: str,
        number: int,
        spec: NodeSpec,
        engine: Engine,
        port: Port,
        key: int,
        background: BackgroundLoad | None,
        time_zero: int,
        tags: Tags,
        exact: Exact | None = None,
    ) -> None:
        super().__init__(name, number, spec, engine, port, key, background, time_zero, tags)
        self._tags = tags
        if exact is not None:
            self._exact = exact
        self._kept: list[tuple[Callable[[Any], None], Any]] = []  # what is to be done at the resume, in order
        self._evicted: list[int] = []  # holds on models that end with the faults at the latest

    def has(self, gpu: SimGpu) -> None:
        """Put the GPU in."""
        super().has(gpu)
        if gpu.disturbable:
            gpu.watcher = self._ended

    # --- down and up

    def crash(self, down_time: int | None) -> bool:
        """Lose the connection and everything that is here; False: the node is not up.

        Args:
            down_time: After so long it starts anew, whole microseconds; None: it does not.

        Raises:
            RuntimeError: The node cannot be touched; so with everything else that is done to it.
        """
        self._check_touchable()
        if not self._up:
            return False
        self._lose(self.gpu.stop())
        self.leave()
        if down_time is not None:
            self._returning = True
            self._engine.call_at(self._engine.instant + down_time, self._come_back, self._life)
        return True

    def stop(self) -> bool:
        """Crash for good; a node that is down does not come back by itself."""
        was_returning, self._returning = self._returning, False
        return self.crash(None) or was_returning

    def _come_back(self, life: int) -> None:
        if life == self._life and self._returning:
            self._begin()

    def _begin(self) -> None:
        self._returning = False
        self._previous = None
        if self.gpu.disturbable:
            self._lose(self.gpu.stop())  # what it worked on when it left
        super()._begin()

    def _connect(self, life: int) -> None:
        super()._connect(life)
        if self.gpu.disturbable and self.connection is not None:
            self.assigned = partial(self._arrived, self.connection)

    def drain(self) -> bool:
        """See ``PlainNode.drain``; a node that is down and comes back does so then."""
        if self._returning and not self._draining:
            self._draining = True
            return True
        return super().drain()

    def leave(self) -> bool:
        """End the connection, for good; False: the node was not there."""
        self._returning = False
        if self._paused:
            self._paused = False
            self.gpu.go_on()
        self._lose_kept_jobs()
        self._kept = []
        return super().leave()

    def cut(self) -> None:
        """See ``PlainNode.cut``; what came over the connection in a pause is gone with it."""
        self._check_touchable()
        if self.connection is not None:
            self._lose_kept_jobs()
            self._kept = [each for each in self._kept if each[0] not in (self._begin_job, self.deliver)]
        super().cut()

    def _lose(self, jobs: Sequence[Lost]) -> None:
        self.lost_count += len(jobs)
        self.wasted_work += sum(job.work for job in jobs)

    def _lose_kept_jobs(self) -> None:
        """Jobs that came in a pause are lost with the connection that they came over."""
        self.lost_count += sum(act == self._begin_job for act, _ in self._kept)

    # --- slow, standing still, forgetful

    def slow(self, factor: float) -> bool:
        """From now on work takes ``factor`` times as long, also what is under way; 1: as undisturbed.

        The factor stays through crashes, until another one is set. False: it is the same as before.
        """
        self._check_touchable()
        before, self._factor = self._factor, factor
        self.gpu.slow(factor)
        return factor != before

    def pause(self) -> bool:
        """Nothing is worked on, heard or sent until the resume; the connection stays. False: it is so already."""
        self._check_touchable()
        if self._paused or not self._up:
            return False
        self._paused = True
        self.gpu.halt()
        return True

    def resume(self) -> bool:
        """Go on, and do in order what would have been done meanwhile: hear what came, send the heartbeats due."""
        if not self._paused:
            return False
        self._paused = False
        self.gpu.go_on()
        kept, self._kept = self._kept, []
        for act, argument in kept:
            act(argument)
        return True

    def _keeps(self, act: Callable[[Any], None], argument: Any) -> bool:
        if self._paused:
            self._kept.append((act, argument))
        return self._paused

    def evict(self, models: Sequence[str] | None, load_time: int | None) -> bool:
        """Have models not ready; False: it has none of them, or is not up.

        The scheduler is told with the next heartbeat, as at the end of a warm-up. Jobs that are here are still done;
        those that come and need one of the models are refused.

        Args:
            models: ``asr``, ``nmt``, ``tts`` or pairs such as ``zh>en``; None: all.
            load_time: After so long they are loaded again, whole microseconds, and the next job is cold; None: when it
                heals.
        """
        self._check_touchable()
        hold = self._models.hold(models) if self._up else None
        if hold is None:
            return False
        self._evicted.append(hold)
        if load_time is not None:
            self._engine.call_at(self._engine.instant + load_time, self._loaded, hold)
        return True

    def _loaded(self, hold: int) -> None:
        if not self._keeps(self._loaded, hold) and self._models.release(hold):
            self.gpu.cold = True

    def skew(self, skew: int) -> bool:
        """From now on the timestamps of its heartbeats are off by so many microseconds; False: they were already."""
        self._check_touchable()
        before, self._skew = self._skew, skew
        return skew != before

    def heal(self) -> None:
        """End whatever is open: all is as it would be without faults, but for what has crashed for good."""
        if not self.gpu.disturbable:
            return
        self.resume()
        self.slow(1.0)
        self.skew(0)
        evicted, self._evicted = self._evicted, []
        for hold in evicted:
            self._loaded(hold)
        if self._returning:
            self._begin()

    def _check_touchable(self) -> None:
        if not self.gpu.disturbable:
            raise RuntimeError(f"node {self.name} was made as one that faults cannot touch")

    # --- what it hears and says

    def deliver(self, message: Outgoing) -> None:
        """Act on what has arrived, jobs aside."""
        if self.connection is not None and not self._keeps(self.deliver, message):
            super().deliver(message)

    def _arrived(self, connection: int, message: JobAssign) -> None:
        """A job has arrived at a node that can be touched, over a connection that may have ended meanwhile."""
        if connection != self.connection:
            return
        if self.troubles is not None and self.troubles.unheard(message, self._engine.instant):
            return
        if not self._keeps(self._begin_job, message):
            self._begin_job(message)

    def _begin_job(self, message: JobAssign) -> None:
        if self.connection is not None and self._models.lacks(message):
            self._answer_failure(message, ErrorCode.MODEL_NOT_AVAILABLE)
        else:
            self._take(message)

    def _send_beat(self, series: int) -> None:
        if series != self._beating or not self._registered or self.connection is None:
            return  # it was due in a pause, and at its end the node learned that it was taken for offline
        if self._keeps(self._send_beat, series):
            return
        number = self._beat_number
        self._beat_number = number + 1
        count = 1 if self.troubles is None else self.troubles.beat_count(number, self._engine.instant)
        if count:  # else what has changed is still to be told
            message = self._heartbeat(self._skew)
            for _ in range(count):
                self._send(message)

    def _answer(self, message: JobAssign, result: JobResult) -> None:
        count = 1 if self.troubles is None else self.troubles.result_count(message, self._engine.instant)
        for _ in range(count):
            self._send(result)

    # --- what becomes of its work

    def _ended(self, jobs: list[Ended]) -> None:
        """The GPU of a node that can be touched has finished jobs that end together."""
        now = self._engine.instant
        troubles = self.troubles if self._up else None
        if troubles is None:
            self._account(jobs, [None] * len(jobs), None)
            return
        for job in jobs:
            crash = troubles.crash(job.message, now)
            if crash is not None:
                self._lose([Lost(each.message, each.work) for each in jobs])
                self.crash(*crash)
                return
        self._account(jobs, [troubles.memory(job.message, now) for job in jobs], troubles)

    def _account(self, jobs: list[Ended], without_memory: list[LostWork | None], troubles: Troubles | None) -> None:
        """Answer jobs that have ended together; ``without_memory``: for which of them the GPU's was not enough."""
        whole_batch = "batch" in without_memory
        for place, job in enumerate(jobs):
            code = None if self._exact is None else self._exact.failure_of(job.message, self._tags)
            if whole_batch or without_memory[place] is not None:
                code = ErrorCode.INTERNAL_ERROR
            if code is not None:
                self._fail(job.message, job.work, code)
            else:
                self._report(job, [each.message for each in (*jobs[place + 1 :], *jobs[:place])], troubles)
        if whole_batch:
            for lost in self.gpu.abort():
                self._fail(lost.message, lost.work, ErrorCode.INTERNAL_ERROR)
        self._leave_when_done()

    def _report(self, job: Ended, ended: list[JobAssign], troubles: Troubles | None) -> None:
        """Answer a job, rightly or wrongly; ``ended``: the jobs that end together with it, the next one first."""
        message = job.message
        self.job_count += 1
        payload = None
        if troubles is not None:
            beside = [*ended, *self.gpu.running()]
            payload = troubles.wrong(message, beside, self._previous, self._engine.instant)
        self._previous = message
        if payload is None:
            payload = translated(message.audio, message.tgt_lang)
        self._answer(message, self._result(message, job.times, payload))

    def _result(self, message: JobAssign, times: ServiceTimes, payload: str) -> JobResult:
        """What ``done`` sends; written out there, because a call for every job of every run can be felt."""
        return JobResult(
            message.job_id,
            self.name,
            message.session_id,
            message.utterance_index,
            True,
            message.trace_id,
            "",
            payload,
            payload,
            "pcm16",
            times,
            attempt_id=message.attempt_id,
        )

    def _fail(self, message: JobAssign, work: int, code: str) -> None:
        self.wasted_work += work
        self._answer_failure(message, code)
