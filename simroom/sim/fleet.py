"""From a scenario's nodes to simulated ones that live in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simroom.oracle.ledger import Ledger
from simroom.scenario.distributions import OptionalDistribution
from simroom.scenario.languages import pairs_of
from simroom.scenario.nodes import (
    Background,
    BatchingGpu,
    NodeGroup,
    SerialGpu,
    SteadyLoad,
    TraceLoad,
)
from simroom.scenario.people import SessionGroup, Speaker
from simroom.scenario.schema import Scenario
from simroom.scenario.traces import read_loads
from simroom.scheduler.messages import InstalledModel
from simroom.scheduler.modules import MODULE_OF_FEATURE, MODULES, expand
from simroom.sim import gpus
from simroom.sim.engine import Engine
from simroom.sim.nodes import NodeSpec, SimNode
from simroom.sim.port import Port
from simroom.sim.service import Work
from simroom.workload.background import background_of
from simroom.workload.distributions import Samplers
from simroom.workload.streams import mix, stream_key

_WARM_UP: Final = 1
_START: Final = 2
_LEAVE: Final = 3
_DRAIN: Final = 4
_NETWORK: Final = 5


def make_nodes(
    scenario: Scenario, seed: int, engine: Engine, port: Port, ledger: Ledger, samplers: Samplers
) -> list[SimNode]:
    """Make every node of the scenario, in its order, and plan its comings and goings."""
    nodes: list[SimNode] = []
    time_zero = scenario.lead_in
    modules = needed_modules(scenario)
    for group in scenario.nodes:
        key = stream_key(seed, f"node/{group.name}")
        models = models_of(group, pairs_of(scenario, group), modules)
        work = Work(group)
        # What nobody can take away from a node again can be planned as it is sent.
        plans = group.leaves is None and group.drains is None and scenario.scheduler.settings().cancel == "never"
        for number in range(group.count):
            name = group.name if group.count == 1 else f"{group.name}-{number + 1}"
            node_key = mix(key, number)
            background = None
            if group.gpu is not None:
                background = _background(group.gpu.background, scenario)
            node = SimNode(
                name,
                ledger.nodes.number(name),
                _spec(group, models, samplers.of(group.warm_up)(mix(node_key, _WARM_UP))),
                engine,
                port,
                mix(node_key, _NETWORK),
                background,
                time_zero,
            )
            node.has(_gpu(group, engine, work, background, time_zero, node.done, plans=plans))
            nodes.append(node)

            def at(when: OptionalDistribution, purpose: int, node_key: int = node_key) -> int | None:
                return None if when is None else time_zero + samplers.of(when)(mix(node_key, purpose))

            starts = at(group.starts, _START)
            engine.process(
                node.life(0 if starts is None else starts, at(group.leaves, _LEAVE), at(group.drains, _DRAIN))
            )
    return nodes


def _spec(group: NodeGroup, models: tuple[InstalledModel, ...], warm_up_time: int) -> NodeSpec:
    return NodeSpec(
        group=group.name,
        models=models,
        slots=group.slots,
        queue_count_max=group.queue_count_max,
        warm_up_time=warm_up_time,
        heartbeat_time=group.heartbeat.every,
        cpu=group.cpu,
        memory=group.memory,
        gpu_memory=group.gpu_memory,
        gpu_count=0 if group.gpu is None else group.gpu_count,
        public=group.public,
    )


def _gpu(
    group: NodeGroup,
    engine: Engine,
    work: Work,
    background: gpus.BackgroundLoad | None,
    time_zero: int,
    done: gpus.Done,
    *,
    plans: bool,
) -> gpus.Gpu:
    gpu = group.gpu
    if isinstance(gpu, BatchingGpu):
        return gpus.BatchingGpu(engine, work, background, time_zero, done, gpu.cap)
    if gpu is None or isinstance(gpu, SerialGpu):
        kind = gpus.PlannedGpu if plans else gpus.SerialGpu
        return kind(engine, work, background, time_zero, done, 1 if gpu is None else gpu.streams)
    return gpus.SharedGpu(engine, work, background, time_zero, done)


def _background(load: Background, scenario: Scenario) -> gpus.BackgroundLoad | None:
    """What a node's description says of other load on its GPU; None: there is none."""
    if isinstance(load, SteadyLoad) and load.load == 0:
        return None
    return background_of(load, read_loads(scenario.path(load.file)) if isinstance(load, TraceLoad) else None)


def needed_modules(scenario: Scenario) -> tuple[str, ...]:
    """The modules that the features of the scenario's people ask for, with what those need."""
    rooms = scenario.rooms
    people: list[Speaker | SessionGroup] = [
        *(speaker for room in rooms for speaker in (room.speakers or {}).values()),
        *(member for room in rooms for member in room.members),
        *scenario.sessions,
    ]
    wanted = (MODULE_OF_FEATURE[feature] for person in people for feature in person.features.wanted())
    return expand(dict.fromkeys(wanted))


def models_of(
    group: NodeGroup, pairs: Sequence[tuple[str, str]], modules: tuple[str, ...]
) -> tuple[InstalledModel, ...]:
    """The models of a node: one ASR, one NMT for each pair, one TTS for each target, one for each module."""
    chosen = modules if group.modules is None else expand(group.modules)
    models = [InstalledModel("asr", "asr", "1")]
    models += [InstalledModel(f"nmt-{src}-{tgt}", "nmt", "1", src, tgt) for src, tgt in pairs]
    targets = dict.fromkeys(tgt for _, tgt in pairs)
    models += [InstalledModel(f"tts-{tgt}", "tts", "1", None, tgt) for tgt in targets]
    ids = (MODULES[module].model_id for module in chosen)
    models += [InstalledModel(model_id, "other", "1") for model_id in ids if model_id is not None]
    return tuple(models)
