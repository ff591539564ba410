"""Simulated nodes: they register, warm up, beat, work, drain and leave."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final

from msgspec import Struct

from simroom.oracle.payload import translated
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    Features,
    Gpu,
    Hardware,
    Incoming,
    InstalledModel,
    JobAssign,
    JobCancel,
    JobError,
    JobResult,
    NodeControl,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
    Outgoing,
    ResourceUsage,
    ServiceTimes,
)
from simroom.scheduler.port import PeerKind
from simroom.sim.engine import Engine
from simroom.sim.gpus import BackgroundLoad, PlannedGpu
from simroom.sim.gpus import Gpu as SimGpu
from simroom.sim.port import Port

RETRY_TIME: Final = 5_000_000
"""How long a refused node waits before it registers again."""
CANCELLED: Final = "JOB_CANCELLED"
"""What a node answers to a job that was cancelled before it began."""


class NodeSpec(Struct, frozen=True):
    """What a node is, beyond its GPU.

    Attributes:
        slots: Jobs it takes at once; None: it does not say.
        queue_count_max: Jobs that may wait for its GPU; None: no limit.
        warm_up_time: From its start until its models are ready.
        heartbeat_time: Between two heartbeats.
        cpu: Share that it reports; likewise ``memory`` and ``gpu_memory``.
        gpu_count: 0: it has none.
    """

    group: str
    models: tuple[InstalledModel, ...]
    slots: int | None
    queue_count_max: int | None
    warm_up_time: int
    heartbeat_time: int
    cpu: float
    memory: float
    gpu_memory: float
    gpu_count: int
    public: bool


class SimNode:
    """One GPU node's far end."""

    kind: ClassVar[PeerKind] = "node"
    steady: ClassVar[bool] = False  # what is sent to it is acted on, so it needs its entry
    awaits_members: ClassVar[bool] = False

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
    ) -> None:
        self.name = name
        self.number = number
        self.spec = spec
        self.connection: int | None = None
        self.luck = key
        self.gpu: SimGpu
        self.plan: Callable[[JobAssign, int], None] | None = None
        self.job_count = 0
        self.failed_count = 0
        self.ready_area = 0
        self._engine = engine
        self._port = port
        self._background = background
        self._time_zero = time_zero
        self._registered = False
        self._draining = False  # it has asked for no more jobs
        self._drained = False  # and that was granted
        self._ready_since: int | None = None
        self._warm = False
        self._warm_told = False
        self._beat_area = 0
        self._beat_at = 0
        self._beating = 0

    def has(self, gpu: SimGpu) -> None:
        """Put the GPU in."""
        self.gpu = gpu
        if isinstance(gpu, PlannedGpu):
            self.plan = gpu.plan if self.spec.queue_count_max is None else self.planned

    # --- its life

    def life(self, starts: int, leaves: int | None, drains: int | None) -> Generator[Any, Any, None]:
        """The SimPy process of its comings and goings; instants on the engine's clock."""
        engine = self._engine
        yield engine.timeout(max(0, starts - engine.instant))
        self.start()
        if drains is not None and (leaves is None or drains < leaves):
            yield engine.timeout(max(0, drains - engine.instant))
            self.drain()
        if leaves is not None:
            yield engine.timeout(max(0, leaves - engine.instant))
            self.leave()

    def start(self) -> None:
        """Connect and register; the models begin to load."""
        self._warm = self.spec.warm_up_time == 0
        self._warm_told = self._warm
        self.gpu.cold = True
        if not self._warm:
            self._engine.call_at(self._engine.instant + self.spec.warm_up_time, self._warmed_up)
        self.connection = self._port.open(self)
        self._register(None)

    def drain(self) -> None:
        """Ask for no more jobs; once that is granted and the last one is done, it leaves."""
        self._draining = True
        if self._registered:
            self._send(NodeControl(self.name, "drain"))

    def leave(self) -> None:
        """End the connection."""
        if self.connection is not None:
            self._port.close(self, self.connection)
            self.connection = None
            self._registered = False
            self._note_ready(ready=False)

    def _warmed_up(self, _argument: object) -> None:
        self._warm = True

    def _register(self, _argument: object) -> None:
        if self.connection is None:
            return
        spec = self.spec
        gpus = tuple(Gpu("gpu", 24.0) for _ in range(spec.gpu_count))
        state = None if self._warm else {model.model_id: "downloading" for model in spec.models}
        self._send(
            NodeRegister(
                "simroom",
                "sim",
                Hardware(16, 64.0, gpus or None),
                spec.models,
                Features(),
                spec.public,
                node_id=self.name,
                capability_state=state,  # type: ignore[arg-type]
                max_concurrent_jobs=spec.slots,
            )
        )

    def _send(self, message: Incoming) -> None:
        if self.connection is not None:
            self._port.send(self, self.connection, message)

    # --- what it hears

    def deliver(self, message: Outgoing) -> None:
        """Act on what has arrived, jobs aside."""
        match message:
            case NodeRegisterAck():
                self._registered = True
                self._drained = False
                if self._draining:
                    self.drain()
                self._beating += 1
                self._beat_area = self.gpu.busy_area()
                self._beat_at = self._engine.instant
                self._beat(self._beating)
            case NodeStatusNotice(status=status):
                self._note_ready(ready=status == "ready")
                if status == "offline":
                    self._registered = False
                    self._register(None)
                elif status == "draining":
                    self._drained = True
                    self._leave_when_done()
            case Error(code=ErrorCode.NODE_ID_CONFLICT):
                self._engine.call_at(self._engine.instant + RETRY_TIME, self._register)
            case JobCancel():
                self._cancelled(message)
            case _:
                pass

    def _note_ready(self, *, ready: bool) -> None:
        now = self._engine.instant
        if self._ready_since is not None:
            self.ready_area += now - self._ready_since
        self._ready_since = now if ready else None

    def ready_time(self) -> int:
        """How long it has been ready so far, as it was told, whole microseconds."""
        running = 0 if self._ready_since is None else self._engine.instant - self._ready_since
        return self.ready_area + running

    # --- heartbeats

    def _beat(self, series: int) -> None:
        if series != self._beating or not self._registered or self.connection is None:
            return
        now = self._engine.instant
        state = None
        if self._warm and not self._warm_told:
            self._warm_told = True
            state = {model.model_id: "ready" for model in self.spec.models}
        spec = self.spec
        gpu = self.gpu
        self._send(
            NodeHeartbeat(
                self.name,
                now // 1_000,
                ResourceUsage(
                    spec.cpu * 100,
                    spec.memory * 100,
                    gpu.arrived_count(),
                    self._gpu_percent(now),
                    spec.gpu_memory * 100,
                ),
                None,
                state,  # type: ignore[arg-type]
            )
        )
        self._engine.call_at(now + spec.heartbeat_time, self._beat, series)

    def _gpu_percent(self, now: int) -> float:
        """Busy share since the last heartbeat, in percent; the background takes its part of what jobs leave."""
        area = self.gpu.busy_area()
        span = (now - self._beat_at) * self.gpu.streams
        busy = min(1.0, (area - self._beat_area) / span) if span else 0.0
        self._beat_area = area
        self._beat_at = now
        load = 0.0 if self._background is None else self._background.load_at(now - self._time_zero)
        return 100.0 * (busy + (1.0 - busy) * load)

    # --- jobs

    def assigned(self, message: JobAssign) -> None:
        """A job has arrived."""
        if self.connection is None:
            return  # it was on its way when the node left
        queue_count_max = self.spec.queue_count_max
        if queue_count_max is not None and not self.gpu.has_room(queue_count_max):
            self._overloaded(message)
        else:
            self.gpu.take(message)

    def planned(self, message: JobAssign, arrival: int) -> None:
        """A job has been sent to a steady node with a bounded queue and arrives then: plan it, or refuse it then."""
        gpu = self.gpu
        assert isinstance(gpu, PlannedGpu)
        assert self.spec.queue_count_max is not None
        if gpu.has_room_at(arrival, self.spec.queue_count_max):
            gpu.plan(message, arrival)
        else:
            self._engine.call_at(arrival, self._overloaded, message)

    def _overloaded(self, message: JobAssign) -> None:
        self._answer_failure(message, ErrorCode.NODE_OVERLOADED)

    def done(self, argument: tuple[JobAssign, ServiceTimes]) -> None:
        """The GPU has finished a job: send its result."""
        message, times = argument
        self.job_count += 1
        payload = translated(message.audio, message.tgt_lang)
        result = JobResult(
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
        if self.connection is not None:
            self._port.answer(self.connection, result)
        self._leave_when_done()

    def _leave_when_done(self) -> None:
        """Leave once no job is here and none can be on its way: what was sent before the grant came before it."""
        if self._drained and not self.gpu.arrived_count():
            self.leave()

    def _cancelled(self, message: JobCancel) -> None:
        """Let a job go that has not begun; one that runs is finished all the same."""
        for waiting in self.gpu.waiting:
            if waiting.job_id == message.job_id and waiting.attempt_id == message.attempt_id:
                self.gpu.waiting.remove(waiting)
                self._answer_failure(waiting, CANCELLED)
                self._leave_when_done()
                return

    def _answer_failure(self, message: JobAssign, code: str) -> None:
        self.failed_count += 1
        self._send(
            JobResult(
                message.job_id,
                self.name,
                message.session_id,
                message.utterance_index,
                False,
                message.trace_id,
                error=JobError(code, "not done"),
                attempt_id=message.attempt_id,
            )
        )
