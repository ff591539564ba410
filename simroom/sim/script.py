"""The script of a scenario: each line happens at its instant, in the order of the file where several have the same."""

from __future__ import annotations

from simroom.oracle.payload import Speech
from simroom.scenario.faults import EventAction
from simroom.scenario.schema import Scenario
from simroom.scenario.script import (
    ComeBack,
    Connect,
    DrainNode,
    Join,
    Speak,
    StartNode,
    StopNode,
)
from simroom.sim.engine import Engine
from simroom.sim.faults import Cast, Faults, Planned
from simroom.sim.service import Exact
from simroom.sim.tally import Tallies
from simroom.sim.ties import rounded_up
from simroom.workload.streams import stream_key


class Script:
    """Plans the lines of a script.

    Args:
        scenario: Whose.
        seed: The run's.
        engine: Where time passes; it is at 0.
        cast: Who does what the lines say.
        faults: Has faults happen.
        exact: Is told what is said of an utterance's jobs.
        tallies: Where faults are counted.
        grid: Speech ends on multiples of it; 1: anywhere.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        engine: Engine,
        cast: Cast,
        faults: Faults,
        exact: Exact,
        tallies: Tallies,
        *,
        grid: int,
    ) -> None:
        self._cast = cast
        self._engine = engine
        self._faults = faults
        self._exact = exact
        for position, line in enumerate(scenario.script):
            at = scenario.lead_in + line.at
            action = line.action
            if isinstance(action, Speak):
                ended_at = rounded_up(at + action.length, grid)
                engine.call_at(ended_at, self._speak, (action, ended_at - action.length, ended_at))
            elif isinstance(action, EventAction):
                key = stream_key(seed, f"script/{position}/{line.kind}")
                planned = Planned(action, key, tallies.lines[position], scripted=True)
                engine.call_at(at, self._strike, planned)
            else:
                engine.call_at(at, self._act, action)

    def _strike(self, planned: Planned) -> None:
        self._faults.strike(planned, 0)

    def _speak(self, argument: tuple[Speak, int, int]) -> None:
        action, started_at, ended_at = argument
        message = self._cast.sessions[action.member].speak(started_at, ended_at)
        if message is not None and isinstance(message.audio, Speech):
            self._exact.note(message.audio.key, action.service, action.fails)

    def _act(self, action: Join | ComeBack | Connect | StartNode | DrainNode | StopNode) -> None:
        match action:
            case Join(member=name) | Connect(member=name):
                self._cast.sessions[name].connect()
            case ComeBack(member=name):
                self._cast.sessions[name].come_back()
            case StartNode(node=name):
                self._cast.nodes[name].start()
            case DrainNode(node=name):
                self._cast.nodes[name].drain()
            case StopNode(node=name):
                self._cast.nodes[name].stop()
