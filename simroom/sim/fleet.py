"""From a scenario's nodes to simulated ones that live in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simroom.oracle.ledger import Ledger
from simroom.scenario import faults
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
from simroom.scenario.script import late_starters
from simroom.scenario.targets import Targets, node_candidates
from simroom.scenario.traces import read_loads
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import InstalledModel
from simroom.scheduler.modules import MODULE_OF_FEATURE, MODULES, expand
from simroom.sim import joint_gpus, serial_gpus
from simroom.sim.engine import Engine
from simroom.sim.gpus import Gpu
from simroom.sim.nodes import NodeSpec, SimNode
from simroom.sim.pace import BackgroundLoad, Pace
from simroom.sim.port import Port
from simroom.sim.service import Exact, SetWork, Work
from simroom.sim.tally import Tallies, Tally
from simroom.sim.targets import chosen_nodes
from simroom.sim.troubles import (
    CrashAfterWork,
    DoubledMessages,
    LostMessages,
    MessageName,
    OutOfMemory,
    Trouble,
    Troubles,
    WrongAnswer,
)
from simroom.workload.background import background_of
from simroom.workload.distributions import Samplers
from simroom.workload.streams import mix, stream_key

_WARM_UP: Final = 1
_START: Final = 2
_LEAVE: Final = 3
_DRAIN: Final = 4
_NETWORK: Final = 5


def make_nodes(
    scenario: Scenario,
    seed: int,
    engine: Engine,
    port: Port,
    ledger: Ledger,
    samplers: Samplers,
    *,
    tallies: Tallies | None = None,
    exact: Exact | None = None,
) -> list[SimNode]:
    """Make every node of the scenario, in its order, and plan its comings and goings.

    Args:
        scenario: What is simulated.
        seed: Where its chance comes from.
        engine: Whose time passes.
        port: Where the scheduler is.
        ledger: Where nodes get their numbers.
        samplers: What draws the scenario's spans.
        tallies: Told when a fault strikes that nodes see to; None: nobody wants to know.
        exact: What the script, if there is one, says of single utterances; None: nothing.
    """
    return _Maker(scenario, seed, engine, port, ledger, samplers, tallies, exact).nodes()


class _Maker:
    """Makes the nodes of one run."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        engine: Engine,
        port: Port,
        ledger: Ledger,
        samplers: Samplers,
        tallies: Tallies | None,
        exact: Exact | None,
    ) -> None:
        settings = scenario.scheduler.settings()
        self._scenario = scenario
        self._seed = seed
        self._engine = engine
        self._port = port
        self._ledger = ledger
        self._samplers = samplers
        self._exact = exact if scenario.script else None
        self._touched = touched_by_faults(scenario)
        self._cancels = settings.cancel != "never"
        self._tags = Tags(primary_only=settings.language_match == "primary")
        grids = [fault.ties.grid for fault in scenario.faults if fault.ties is not None]
        self._grid = grids[-1] if grids else None
        self._late = late_starters(scenario.script)
        self._troubles = troubles_of(scenario, seed, samplers, tallies)

    def nodes(self) -> list[SimNode]:
        """All of them, in the order of the scenario."""
        modules = needed_modules(self._scenario)
        nodes: list[SimNode] = []
        for group in self._scenario.nodes:
            key = stream_key(self._seed, f"node/{group.name}")
            models = models_of(group, pairs_of(self._scenario, group), modules)
            work = self._work(group)
            for number, name in enumerate(group.names()):
                nodes.append(self._node(group, name, mix(key, number), models, work))
        return nodes

    def _work(self, group: NodeGroup) -> Work:
        if self._exact is None and self._grid is None:
            return Work(group)
        return SetWork(group, self._exact, self._grid, self._tags)

    def _node(self, group: NodeGroup, name: str, key: int, models: tuple[InstalledModel, ...], work: Work) -> SimNode:
        background = None if group.gpu is None else _background(group.gpu.background, self._scenario)
        warm_up_time = self._samplers.of(group.warm_up)(mix(key, _WARM_UP))
        node = SimNode(
            name,
            self._ledger.nodes.number(name),
            _spec(group, models, warm_up_time),
            self._engine,
            self._port,
            mix(key, _NETWORK),
            background,
            self._scenario.lead_in,
            self._tags,
            self._exact,
        )
        node.has(self._gpu(group, work, background, node))
        troubles = self._troubles.get(name)
        if troubles is not None:
            languages = dict.fromkeys(model.tgt_lang for model in models if model.kind == "tts" and model.tgt_lang)
            node.troubles = Troubles(troubles, node.number, tuple(languages))
        starts = self._at(group.starts, key, _START)
        self._engine.process(
            node.life(
                None if name in self._late else 0 if starts is None else starts,
                self._at(group.leaves, key, _LEAVE),
                self._at(group.drains, key, _DRAIN),
            )
        )
        return node

    def _at(self, when: OptionalDistribution, key: int, purpose: int) -> int | None:
        return None if when is None else self._scenario.lead_in + self._samplers.of(when)(mix(key, purpose))

    def _gpu(self, group: NodeGroup, work: Work, background: BackgroundLoad | None, node: SimNode) -> Gpu:
        gpu = group.gpu
        engine, time_zero, done = self._engine, self._scenario.lead_in, node.done
        pace = Pace(engine, background, time_zero) if node.name in self._touched else None
        if isinstance(gpu, BatchingGpu):
            return joint_gpus.BatchingGpu(engine, work, background, time_zero, done, gpu.cap, pace=pace)
        if gpu is not None and not isinstance(gpu, SerialGpu):
            return joint_gpus.SharedGpu(engine, work, background, time_zero, done, pace=pace)
        streams = 1 if gpu is None else gpu.streams
        # What nobody can take away from a node again can be planned as it is sent.
        if pace is None and group.leaves is None and group.drains is None and not self._cancels:
            return serial_gpus.PlannedGpu(engine, work, background, time_zero, done, streams)
        return serial_gpus.SerialGpu(engine, work, background, time_zero, done, streams, pace=pace)


def touched_by_faults(scenario: Scenario) -> frozenset[str]:
    """Names of the nodes that a fault can happen to, whatever chance says; with a script, all of them.

    These are made to be disturbed, which costs: all others can be planned and need not look whether anything is wrong.
    """
    candidates = node_candidates(scenario)
    if scenario.script or any(fault.restart_scheduler is not None for fault in scenario.faults):
        return frozenset(candidate.name for candidate in candidates)
    touched: set[str] = set()
    for fault in scenario.faults:
        targets: Targets | None = getattr(fault.action, "nodes", None)
        if targets is not None:
            touched.update(candidates[position].name for position in targets.among(candidates))
    return frozenset(touched)


def troubles_of(scenario: Scenario, seed: int, samplers: Samplers, tallies: Tallies | None) -> dict[str, list[Trouble]]:
    """The troubles of each node that has any, by its name, in the order of the scenario."""
    troubles: dict[str, list[Trouble]] = {}
    for position, fault in enumerate(scenario.faults):
        luck = stream_key(seed, f"fault/{position}/{fault.kind}")
        tally = Tally("", fault.kind) if tallies is None else tallies.faults[position]
        trouble = _trouble(fault, scenario, luck, samplers, tally)
        targets: Targets | None = getattr(fault.action, "nodes", None)
        if trouble is not None and targets is not None:
            for name in chosen_nodes(scenario, targets, luck):
                troubles.setdefault(name, []).append(trouble)
    return troubles


def _trouble(fault: faults.Fault, scenario: Scenario, luck: int, samplers: Samplers, tally: Tally) -> Trouble | None:
    """What nodes have to see to of a fault; None: others do."""
    begin, until = (scenario.lead_in + at for at in fault.window(scenario.duration))
    match fault.action:
        case faults.CrashAfterWork(share=share, duration=duration):
            down = None if duration is None else samplers.of(duration)
            return CrashAfterWork(share=share, luck=luck, begin=begin, until=until, tally=tally, down=down)
        case faults.OutOfMemory(share=share, lost=lost):
            return OutOfMemory(share=share, luck=luck, begin=begin, until=until, tally=tally, lost=lost)
        case faults.WrongAnswer(share=share, how=how):
            return WrongAnswer(share=share, luck=luck, begin=begin, until=until, tally=tally, how=how)
        case faults.LoseHeartbeats(share=share):
            messages: tuple[MessageName, ...] = ("node_heartbeat",)
            return LostMessages(share=share, luck=luck, begin=begin, until=until, tally=tally, messages=messages)
        case faults.Lose(share=share, messages=messages):
            return LostMessages(share=share, luck=luck, begin=begin, until=until, tally=tally, messages=messages)
        case faults.Duplicate(share=share, messages=doubled):
            sent = tuple(name for name in doubled if name != "utterance")
            return DoubledMessages(share=share, luck=luck, begin=begin, until=until, tally=tally, messages=sent)
        case _:
            return None


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


def _background(load: Background, scenario: Scenario) -> BackgroundLoad | None:
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
    chosen = modules if group.modules is None else group.modules  # to the letter, so that one can lack what it needs
    models = [InstalledModel("asr", "asr", "1")]
    models += [InstalledModel(f"nmt-{src}-{tgt}", "nmt", "1", src, tgt) for src, tgt in pairs]
    targets = dict.fromkeys(tgt for _, tgt in pairs)
    models += [InstalledModel(f"tts-{tgt}", "tts", "1", None, tgt) for tgt in targets]
    ids = (MODULES[module].model_id for module in chosen)
    models += [InstalledModel(model_id, "other", "1") for model_id in ids if model_id is not None]
    return tuple(models)
