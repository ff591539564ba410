"""Nodes as they are without faults: they register, warm up, beat, work, drain and leave."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final

from msgspec import Struct

from simroom.oracle.payload import translated
from simroom.scheduler.languages import Tags
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
from simroom.sim.gpus import Gpu as SimGpu
from simroom.sim.models import Models
from simroom.sim.pace import BackgroundLoad
from simroom.sim.port import Port
from simroom.sim.serial_gpus import PlannedGpu

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


class PlainNode:
    """One GPU node's far end, as long as nothing goes wrong.

    Attributes:
        name: Its id.
        number: Its number in the ledger.
        connection: None while it has none.
        luck: 64 bits of chance that are its own.
        assigned: Called with each job as it arrives.
        plan: Called with each job as it is sent, and its arrival, instead of ``assigned``; None: jobs are not planned.
        job_count: Jobs it finished; ``failed_count`` those it answered with an error.
        ready_area: How long it was ready, up to the last change.
    """

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
        tags: Tags,
    ) -> None:
        self.name = name
        self.number = number
        self.spec = spec
        self.connection: int | None = None
        self.luck = key
        self.gpu: SimGpu
        self.assigned: Callable[[JobAssign], None] = self._take
        self.plan: Callable[[JobAssign, int], None] | None = None
        self.job_count = 0
        self.failed_count = 0
        self.ready_area = 0
        self._engine = engine
        self._port = port
        self._background = background
        self._time_zero = time_zero
        self._models = Models(spec.models, tags)
        self._up = False
        self._life = 0  # counts starts and ends: what was meant for one life is not done in another
        self._registered = False
        self._draining = False  # it has asked for no more jobs
        self._drained = False  # and that was granted
        self._ready_since: int | None = None
        self._beat_area = 0
        self._beat_at = 0
        self._beating = 0

    def has(self, gpu: SimGpu) -> None:
        """Put the GPU in."""
        self.gpu = gpu
        if isinstance(gpu, PlannedGpu):
            self.plan = gpu.plan if self.spec.queue_count_max is None else self.planned

    @property
    def ready(self) -> bool:
        """Whether it is connected and was last told that it is ready."""
        return self._ready_since is not None

    # --- its life

    def life(self, starts: int | None, leaves: int | None, drains: int | None) -> Generator[Any, Any, None]:
        """The SimPy process of its comings and goings.

        Args:
            starts: When, on the engine's clock, like the others; None: not by itself.
            leaves: None: it does not.
            drains: None: it does not.
        """
        engine = self._engine
        if starts is not None:
            yield engine.timeout(max(0, starts - engine.instant))
            self.start()
        if drains is not None and (leaves is None or drains < leaves):
            yield engine.timeout(max(0, drains - engine.instant))
            self.drain()
        if leaves is not None:
            yield engine.timeout(max(0, leaves - engine.instant))
            self.leave()

    def start(self) -> bool:
        """Connect and register, and begin to load the models; False: it is there already."""
        if self._up:
            return False
        self._draining = False
        self._begin()
        return True

    def _begin(self) -> None:
        self._up = True
        self._life += 1
        self._drained = False
        self._models.begin()
        self.gpu.cold = True
        if self.spec.warm_up_time:
            at = self._engine.instant + self.spec.warm_up_time
            self._engine.call_at(at, self._warmed_up, self._models.hold(None))
        self._connect(self._life)

    def drain(self) -> bool:
        """Ask for no more jobs; once that is granted and the last one is done, it leaves. False: there is no need."""
        if self._draining or not self._up:
            return False
        self._draining = True
        if self._registered:
            self._ask_to_drain(self._life)
        return True

    def _ask_to_drain(self, life: int) -> None:
        if life == self._life and not self._keeps(self._ask_to_drain, life):
            self._send(NodeControl(self.name, "drain"))

    def leave(self) -> bool:
        """End the connection, for good; False: the node was not there."""
        was_up, self._up = self._up, False
        self._life += 1
        if self.connection is not None:
            self._port.close(self, self.connection)
            self._disconnected()
        return was_up

    def cut(self) -> None:
        """The connection has ended at the far side or on the way, which the port knows.

        The node notices, works on with what it has, and soon registers over a new one.
        """
        if self.connection is not None:
            self._disconnected()
            self._engine.call_at(self._engine.instant + RETRY_TIME, self._connect, self._life)

    def _disconnected(self) -> None:
        self.connection = None
        self._registered = False
        self._note_ready(ready=False)

    def _warmed_up(self, hold: int) -> None:
        if not self._keeps(self._warmed_up, hold):
            self._models.release(hold)

    def _connect(self, life: int) -> None:
        if life == self._life and self.connection is None and not self._keeps(self._connect, life):
            self.connection = self._port.open(self)
            self._register(self.connection)

    def _register(self, connection: int | None) -> None:
        if self.connection is None or connection != self.connection or self._keeps(self._register, connection):
            return
        spec = self.spec
        gpus = tuple(Gpu("gpu", 24.0) for _ in range(spec.gpu_count))
        self._send(
            NodeRegister(
                "simroom",
                "sim",
                Hardware(16, 64.0, gpus or None),
                spec.models,
                Features(),
                spec.public,
                node_id=self.name,
                capability_state=None if self._models.all_ready else self._models.state(),
                max_concurrent_jobs=spec.slots,
            )
        )
        self._models.untold = False

    def _send(self, message: Incoming) -> None:
        if self.connection is not None:
            self._port.send(self, self.connection, message)

    def _keeps(self, act: Callable[[Any], None], argument: Any) -> bool:  # noqa: ARG002 - it never does
        """Whether ``act(argument)`` is to be done later, because nothing can be done now."""
        return False

    # --- what it hears

    def deliver(self, message: Outgoing) -> None:
        """Act on what has arrived, jobs aside."""
        if self.connection is None or self._keeps(self.deliver, message):
            return
        match message:
            case NodeRegisterAck():
                self._registered = True
                self._drained = False
                if self._draining:
                    self._ask_to_drain(self._life)
                self._beating += 1
                self._beat_area = self.gpu.busy_area()
                self._beat_at = self._engine.instant
                self._beat(self._beating)
            case NodeStatusNotice(status=status):
                self._note_ready(ready=status == "ready")
                if status == "offline":
                    self._registered = False
                    self._register(self.connection)
                elif status == "draining":
                    self._drained = True
                    self._leave_when_done()
            case Error(code=ErrorCode.NODE_ID_CONFLICT):
                self._engine.call_at(self._engine.instant + RETRY_TIME, self._register, self.connection)
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
        self._send_beat(series)
        self._engine.call_at(self._engine.instant + self.spec.heartbeat_time, self._beat, series)

    def _send_beat(self, series: int) -> None:  # noqa: ARG002 - whoever puts it off looks whether it still counts
        self._send(self._heartbeat(0))

    def _heartbeat(self, skew: int) -> NodeHeartbeat:
        """The sign of life that is due now; ``skew``: how far its clock is off, microseconds."""
        now = self._engine.instant
        spec = self.spec
        models = self._models
        state = models.state() if models.untold else None
        models.untold = False
        return NodeHeartbeat(
            self.name,
            (now + skew) // 1_000,
            ResourceUsage(
                spec.cpu * 100,
                spec.memory * 100,
                self.gpu.arrived_count(),
                self._gpu_percent(now),
                spec.gpu_memory * 100,
            ),
            None,
            state,
        )

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

    def _take(self, message: JobAssign) -> None:
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
        result = JobResult(
            message.job_id,
            self.name,
            message.session_id,
            message.utterance_index,
            False,
            message.trace_id,
            error=JobError(code, "not done"),
            attempt_id=message.attempt_id,
        )
        self._answer(message, result)

    def _answer(self, message: JobAssign, result: JobResult) -> None:  # noqa: ARG002 - troubles want to know the job
        self._send(result)
