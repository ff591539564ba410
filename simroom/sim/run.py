"""One run of a scenario: a world is made, time passes in it, the oracle judges, and what happened is returned."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Ledger
from simroom.oracle.oracle import Oracle
from simroom.oracle.verdict import Verdict
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import PeerKind, SchedulerFactory, SchedulerPort
from simroom.scheduler.scheduler import Scheduler
from simroom.sim.engine import Engine
from simroom.sim.fleet import make_nodes
from simroom.sim.network import Hop, delay_table
from simroom.sim.nodes import SimNode
from simroom.sim.population import Population
from simroom.sim.port import Port
from simroom.sim.sources import SimSources
from simroom.workload.distributions import Sampler, Samplers

SLICE_COUNT: Final = 200
"""Progress is told about so many times while people speak."""
DRAIN_STEP: Final = 1_000_000
"""After the end of the speech, how often it is looked whether everything has arrived."""


class NodeUse(Struct, frozen=True):
    """What became of one node.

    Attributes:
        name: Its own name; ``group`` the scenario's for its kind.
        slots: Jobs it takes at once.
        streams: Jobs that its GPU runs at once without slowing.
        jobs: Jobs it finished in the whole run; ``failed`` those it refused.
        busy_time: Busy streams integrated over the measured window, whole microseconds.
        ready_time: How long it was ready in the whole run, as it was told.
    """

    name: str
    group: str
    slots: int
    streams: int
    jobs: int
    busy_time: int
    ready_time: int
    failed: int


class Progress(Struct, frozen=True):
    """How far a run is.

    Attributes:
        simulated_time: On the engine's clock, the lead-in included; ``until`` where people stop speaking.
    """

    simulated_time: int
    until: int
    events: int
    utterances: int
    jobs: int
    deliveries: int


class RunData(Struct, frozen=True):
    """Everything that a run has left behind.

    Attributes:
        time_zero: The scenario's time 0 on the engine's clock.
        ended_at: Where the run stopped, on the engine's clock.
        nodes: In the order of the scenario.
        room_sizes: Members of each room, by its number in the ledger.
        room_groups: The scenario's name for its kind, likewise.
        events: Entries that the engine handled.
        unspoken: Utterances whose speaker had no session at their end.
        interrupted: It was stopped from outside.
        undrained: Something was still on its way when ``drain`` was over.
        trace_hash: Of everything that happened; equal for equal runs.
        playback_ratio: Length of a translation over the length of the speech.
    """

    scenario: Scenario
    seed: int
    ledger: Ledger
    verdict: Verdict
    time_zero: int
    ended_at: int
    nodes: tuple[NodeUse, ...]
    room_sizes: tuple[int, ...]
    room_groups: tuple[str, ...]
    events: int
    unspoken: int
    interrupted: bool
    undrained: bool
    trace_hash: str
    playback_ratio: float


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    scheduler: SchedulerFactory | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RunData:
    """Run a scenario in virtual time.

    Args:
        scenario: What to simulate.
        seed: Where all chance comes from; None: the scenario's own.
        scheduler: Makes the scheduler; None: simroom's.
        progress: Called about ``SLICE_COUNT`` times. A ``KeyboardInterrupt`` raised in it, or SIGINT while time passes,
            stops the run, and what has happened so far is returned as interrupted.

    Returns:
        The same for the same arguments, on every machine.
    """
    world = World(scenario, scenario.seed if seed is None else seed, scheduler or Scheduler)
    interrupted = False
    with _long_lived_objects(), _interrupted_between_entries(world.engine):
        try:
            world.pass_time(progress)
        except KeyboardInterrupt:
            interrupted = True
    return world.result(interrupted=interrupted)


class World:
    """Engine, scheduler, oracle, nodes and people of one run."""

    def __init__(self, scenario: Scenario, seed: int, factory: SchedulerFactory) -> None:
        self._scenario = scenario
        self._seed = seed
        settings = scenario.scheduler.settings()
        self.engine = Engine()
        self._sources = SimSources(seed)
        self.scheduler: SchedulerPort = factory(settings, self._sources)
        self._ledger = Ledger()
        self._oracle = Oracle(settings, self._ledger)
        samplers = Samplers()
        network = scenario.network
        wanted: dict[tuple[PeerKind, str], Sampler] = {
            ("session", "up"): samplers.of(network.session.uplink),
            ("session", "down"): samplers.of(network.session.downlink),
            ("node", "up"): samplers.of(network.node.uplink),
            ("node", "down"): samplers.of(network.node.downlink),
        }
        tables = {sampler: delay_table(sampler) for sampler in dict.fromkeys(wanted.values())}
        hops = {way: Hop(tables[sampler]) for way, sampler in wanted.items()}
        self._port = Port(self.engine, self.scheduler, self._oracle, self._ledger, hops)
        self._nodes = make_nodes(scenario, seed, self.engine, self._port, self._ledger, samplers)
        self._population = Population(scenario, seed, self.engine, self._port, self._ledger, samplers)
        self._population.settle()
        self._default_slots = settings.max_concurrent_jobs
        self._busy_before = [0] * len(self._nodes)
        self._busy_after: list[int] | None = None
        self._undrained = False

    def pass_time(self, progress: Callable[[Progress], None] | None) -> None:
        """Let people speak, then wait until everything has arrived."""
        scenario = self._scenario
        time_zero = scenario.lead_in
        until = time_zero + scenario.duration
        self._pass(time_zero + scenario.warm_up, until, progress)
        self._busy_before = [node.gpu.busy_area() for node in self._nodes]
        self._pass(until, until, progress)
        self._busy_after = [node.gpu.busy_area() for node in self._nodes]
        drained = until + scenario.drain
        while self._port.busy:
            if self.engine.instant >= drained:
                self._undrained = True
                return
            self.engine.advance(min(drained, self.engine.instant + DRAIN_STEP))
        last = self._ledger.last_arrival_at()
        if last is not None and last > self.engine.instant:
            self._undrained = last > drained
            self.engine.advance(min(drained, last))

    def _pass(self, to: int, until: int, progress: Callable[[Progress], None] | None) -> None:
        step = max(1, until // SLICE_COUNT)
        while self.engine.instant < to:
            self.engine.advance(min(to, self.engine.instant + step))
            self._port.judge()
            if progress is not None:
                progress(self._progress(until))

    def _progress(self, until: int) -> Progress:
        ledger = self._ledger
        return Progress(
            self.engine.instant,
            until,
            self.engine.count,
            ledger.utterance_count,
            ledger.job_count,
            ledger.delivery_count,
        )

    def result(self, *, interrupted: bool) -> RunData:
        """What has happened so far."""
        now = self.engine.instant
        self._port.judge()
        self._ledger.end(now)
        counts = getattr(self.scheduler, "counts", None)
        verdict = self._oracle.finish(
            now, counts() if counts is not None else None, drained=not (interrupted or self._undrained)
        )
        after = self._busy_after or [node.gpu.busy_area() for node in self._nodes]
        nodes = tuple(
            self._use(node, after[place] - self._busy_before[place]) for place, node in enumerate(self._nodes)
        )
        return RunData(
            scenario=self._scenario,
            seed=self._seed,
            ledger=self._ledger,
            verdict=verdict,
            time_zero=self._scenario.lead_in,
            ended_at=now,
            nodes=nodes,
            room_sizes=tuple(self._population.room_sizes),
            room_groups=tuple(self._population.room_groups),
            events=self.engine.count,
            unspoken=sum(client.unspoken_count for client in self._population.clients),
            interrupted=interrupted,
            undrained=self._undrained,
            trace_hash=self._trace_hash(),
            playback_ratio=self._scenario.playback.ratio,
        )

    def _use(self, node: SimNode, busy_time: int) -> NodeUse:
        spec = node.spec
        return NodeUse(
            name=node.name,
            group=spec.group,
            slots=spec.slots if spec.slots is not None else self._default_slots,
            streams=node.gpu.streams,
            jobs=node.job_count,
            busy_time=busy_time,
            ready_time=node.ready_time(),
            failed=node.failed_count,
        )

    def _trace_hash(self) -> str:
        """Everything that happened, and one more draw of every stream, as 32 hexadecimal digits."""
        digest = blake2b(digest_size=16)
        for table in (self._ledger.utterances(), self._ledger.jobs(), self._ledger.deliveries()):
            for name, column in table.items():
                digest.update(name.encode())
                digest.update(column.astype("<i8").tobytes())
        digest.update(np.array(self._port.trace, dtype="<i8").tobytes())
        draws = [*self._sources.last_draws(), *(stream.bits() for stream in self._population.streams)]
        digest.update(np.array(draws, dtype="<u8").tobytes())
        return digest.hexdigest()


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
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
