"""The world of one run: made from a scenario, lived through, and told of."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Ledger
from simroom.oracle.oracle import Oracle
from simroom.scenario.faults import RoomCodes, Ties
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import PeerKind, SchedulerFactory, SchedulerPort
from simroom.sim.engine import Engine
from simroom.sim.faults import Cast, Faults
from simroom.sim.fleet import make_nodes
from simroom.sim.links import TroubledPort
from simroom.sim.network import Hop, delay_table
from simroom.sim.nodes import SimNode
from simroom.sim.outcome import NodeUse, Progress, RunData
from simroom.sim.population import Population
from simroom.sim.port import Port
from simroom.sim.script import Script
from simroom.sim.service import Exact
from simroom.sim.sources import CODES, SimSources
from simroom.sim.tally import Tallies
from simroom.sim.targets import touched_sessions
from simroom.sim.ties import SamplersOnGrid
from simroom.workload.distributions import Sampler, Samplers

SLICE_COUNT: Final = 200
"""Progress is told about so many times while people speak."""
DRAIN_STEP: Final = 1_000_000
"""After the end of the speech, how often it is looked whether everything has arrived."""


class _End(Struct, frozen=True):
    """How things stood when a run ended.

    Attributes:
        at: The instant, on the engine's clock.
        trace_length: So much of the port's trace is of the run.
    """

    at: int
    nodes: tuple[NodeUse, ...]
    events: int
    unspoken: int
    trace_length: int


class World:
    """Engine, scheduler, oracle, nodes and people of one run.

    Args:
        scenario: What there is in it.
        seed: Where all chance comes from.
        factory: Makes the scheduler.
        empties: In the end, when everything has arrived, everybody leaves, and the scheduler must then remember
            nothing.
    """

    def __init__(self, scenario: Scenario, seed: int, factory: SchedulerFactory, *, empties: bool = False) -> None:
        self._scenario = scenario
        self._seed = seed
        self._factory = factory
        settings = scenario.scheduler.settings()
        grid, code_count = _of_the_world(scenario)
        self.engine = Engine()
        self._sources = SimSources(seed, code_count=code_count)
        self.scheduler: SchedulerPort = factory(settings, self._sources)
        self._ledger = Ledger()
        # Whose words are whose is remembered only where nodes may mix them up.
        mixed_up = any(fault.kind == "wrong_answer" for fault in scenario.faults)
        self._oracle = Oracle(settings, self._ledger, remembering=mixed_up)
        samplers = Samplers() if grid == 1 else SamplersOnGrid(grid)
        self._tallies = Tallies(scenario)
        hops = _hops(scenario, samplers)
        arguments = (self.engine, self.scheduler, self._oracle, self._ledger, hops)
        # Nothing about trouble is on the way of a world in which there cannot be any.
        troubled = TroubledPort(*arguments) if scenario.faults or scenario.script else None
        self._port = troubled or Port(*arguments)
        exact = Exact()
        self._nodes = make_nodes(
            scenario,
            seed,
            self.engine,
            self._port,
            self._ledger,
            samplers,
            tallies=self._tallies,
            exact=exact if scenario.script else None,
        )
        self._population = Population(
            scenario,
            seed,
            self.engine,
            self._port,
            self._ledger,
            samplers,
            touched=touched_sessions(scenario),
            grid=grid,
        )
        self._population.settle()
        if troubled is not None:
            cast = Cast(
                {node.name: node for node in self._nodes},
                {client.name: client for client in self._population.clients},
            )
            restart = self._restarter(troubled)
            faults = Faults(scenario, seed, self.engine, troubled, cast, samplers, self._tallies, restart, grid=grid)
            Script(scenario, seed, self.engine, cast, faults, exact, self._tallies, grid=grid)
        self._default_slots = settings.max_concurrent_jobs
        self._busy_before = [0] * len(self._nodes)
        self._busy_after: list[int] | None = None
        self._undrained = False
        self._empties = empties
        self._end: _End | None = None
        self._is_empty = False

    def _restarter(self, port: TroubledPort) -> Callable[[], None]:
        """What puts a new scheduler in the place of the one that there is."""

        def restart() -> None:
            self.scheduler = self._factory(self._scenario.scheduler.settings(), self._sources)
            port.restart(self.scheduler)

        return restart

    def pass_time(self, progress: Callable[[Progress], None] | None) -> None:
        """Let people speak, wait until everything has arrived, and perhaps have everybody leave."""
        scenario = self._scenario
        time_zero = scenario.lead_in
        until = time_zero + scenario.duration
        self._pass(time_zero + scenario.warm_up, until, progress)
        self._busy_before = [node.gpu.busy_area() for node in self._nodes]
        self._pass(until, until, progress)
        self._busy_after = [node.gpu.busy_area() for node in self._nodes]
        self._drain(until + scenario.drain)
        if self._empties and not self._undrained:
            self._end = self._ended()
            self._everybody_leaves()

    def _drain(self, drained: int) -> None:
        """Wait until everything has arrived, until this instant at the longest."""
        while self._port.busy:
            if self.engine.instant >= drained:
                self._undrained = True
                return
            self.engine.advance(min(drained, self.engine.instant + DRAIN_STEP))
        last = self._ledger.last_arrival_at()
        if last is not None and last > self.engine.instant:
            self._undrained = last > drained
            self.engine.advance(min(drained, last))

    def _everybody_leaves(self) -> None:
        """Take everybody's connection away, and let everything pass that can still be due for them."""
        self.engine.advance(self.engine.instant + DRAIN_STEP)  # so that it is told apart from the run
        for client in self._population.clients:
            client.closing = True  # nobody comes back
            client.drop()
        for node in self._nodes:
            node.leave()
        settings = self._scenario.scheduler.settings()
        while self._port.airborne:
            self.engine.advance(self.engine.instant + DRAIN_STEP)
        self.engine.advance(self.engine.instant + settings.reconnect_grace + settings.abandon_after + DRAIN_STEP)
        self._port.judge()
        self._is_empty = True

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

    def _ended(self) -> _End:
        """The run ends now; what still happens is not part of it."""
        self._port.judge()
        after = self._busy_after or [node.gpu.busy_area() for node in self._nodes]
        return _End(
            at=self.engine.instant,
            nodes=tuple(
                self._use(node, after[place] - self._busy_before[place]) for place, node in enumerate(self._nodes)
            ),
            events=self.engine.count,
            unspoken=sum(client.unspoken_count for client in self._population.clients),
            trace_length=len(self._port.trace),
        )

    def result(self, *, interrupted: bool, halted: str | None = None) -> RunData:
        """What has happened so far; where the run was halted, the scheduler is asked for nothing any more."""
        end = self._end or self._ended()
        self._port.judge()
        self._ledger.end(end.at)
        asked = None if halted is not None else self.scheduler
        counts = getattr(asked, "counts", None)
        entry_count = getattr(asked, "entry_count", None)
        verdict = self._oracle.finish(
            self.engine.instant,
            None if counts is None else counts(),
            drained=not (interrupted or self._undrained or halted is not None),
            entry_count=None if entry_count is None else entry_count(),
            everybody_left=self._is_empty,
        )
        return RunData(
            scenario=self._scenario,
            seed=self._seed,
            ledger=self._ledger,
            verdict=verdict,
            time_zero=self._scenario.lead_in,
            ended_at=end.at,
            nodes=end.nodes,
            room_sizes=tuple(self._population.room_sizes),
            room_groups=tuple(self._population.room_groups),
            events=end.events,
            unspoken=end.unspoken,
            interrupted=interrupted,
            undrained=self._undrained,
            trace_hash=self._trace_hash(end.trace_length),
            playback_ratio=self._scenario.playback.ratio,
            faults=self._tallies.uses(),
            halted=halted,
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
            lost=node.lost_count,
            wasted_work=node.wasted_work,
        )

    def _trace_hash(self, trace_length: int) -> str:
        """Everything that happened, and one more draw of every stream, as 32 hexadecimal digits."""
        digest = blake2b(digest_size=16)
        for table in (self._ledger.utterances(), self._ledger.jobs(), self._ledger.deliveries()):
            for name, column in table.items():
                digest.update(name.encode())
                digest.update(column.astype("<i8").tobytes())
        digest.update(np.array(self._port.trace[:trace_length], dtype="<i8").tobytes())
        draws = [*self._sources.last_draws(), *(stream.bits() for stream in self._population.streams)]
        digest.update(np.array(draws, dtype="<u8").tobytes())
        return digest.hexdigest()


def _hops(scenario: Scenario, samplers: Samplers) -> dict[tuple[PeerKind, str], Hop]:
    """The hops of all kinds of peer, each way; those alike share a table."""
    network = scenario.network
    wanted: dict[tuple[PeerKind, str], Sampler] = {
        ("session", "up"): samplers.of(network.session.uplink),
        ("session", "down"): samplers.of(network.session.downlink),
        ("node", "up"): samplers.of(network.node.uplink),
        ("node", "down"): samplers.of(network.node.downlink),
    }
    tables = {sampler: delay_table(sampler) for sampler in dict.fromkeys(wanted.values())}
    return {way: Hop(tables[sampler]) for way, sampler in wanted.items()}


def _of_the_world(scenario: Scenario) -> tuple[int, int]:
    """The grid on which things happen (1: none), and how many room codes there are; the last word counts."""
    grid, code_count = 1, CODES
    for fault in scenario.faults:
        if isinstance(fault.action, Ties):
            grid = fault.action.grid
        elif isinstance(fault.action, RoomCodes):
            code_count = fault.action.count
    return grid, code_count
