"""Faults: has those of a scenario happen when and to whom it says, counts them, and heals everything at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from simroom.scenario.faults import (
    Burst,
    ChangeLanguage,
    Clock,
    Clog,
    CloseSession,
    Crash,
    Delay,
    DropConnection,
    Duplicate,
    EventAction,
    Evict,
    Fault,
    Flap,
    LeaveRoom,
    Partition,
    Pause,
    RestartScheduler,
    Slow,
    SlowReader,
)
from simroom.scenario.schema import Scenario
from simroom.scenario.targets import Candidate, Targets, node_candidates, session_candidates
from simroom.sim import strikes
from simroom.sim.clients import Client
from simroom.sim.engine import Engine
from simroom.sim.fleet import touched_by_faults
from simroom.sim.link_faults import LinkFaults, chance_of, give
from simroom.sim.links import TroubledPort
from simroom.sim.node_faults import NodeFaults
from simroom.sim.nodes import SimNode
from simroom.sim.session_faults import SessionFaults
from simroom.sim.strikes import WHOM, Ends, Spans, Strike
from simroom.sim.tally import Tallies, Tally
from simroom.sim.targets import Lots, chosen_nodes, chosen_sessions, named
from simroom.workload.streams import mix, stream_key

_WHEN: Final = 7


class Cast(Struct, frozen=True):
    """Whom faults can happen to, by name, in the order of the scenario.

    Attributes:
        nodes: All nodes.
        sessions: All clients.
    """

    nodes: dict[str, SimNode]
    sessions: dict[str, Client]


class Planned(Struct, frozen=True):
    """Something that will happen, once or again and again.

    Attributes:
        key: All chance about it is made from these 64 bits.
        tally: Counts how often it struck.
        scripted: It is a line of a script.
    """

    action: EventAction
    key: int
    tally: Tally
    scripted: bool = False


class _Repeated(Struct, frozen=True):
    """Something that happens again and again: for the nth time, from 0; the last time not after ``end``."""

    planned: Planned
    gaps: Callable[[int], int]
    number: int
    end: int


class Faults:
    """Plans the faults of a scenario, and has faults happen.

    Args:
        scenario: Whose.
        seed: The run's.
        engine: Where time passes; it is at 0.
        port: Where the links are.
        cast: Whom they can happen to.
        samplers: Where spans are drawn from.
        tallies: Where they are counted.
        restart: Puts another scheduler in the place of the one that there is.
        grid: Speech ends on multiples of it; 1: anywhere.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        engine: Engine,
        port: TroubledPort,
        cast: Cast,
        samplers: Spans,
        tallies: Tallies,
        restart: Callable[[], None],
        *,
        grid: int,
    ) -> None:
        self._scenario = scenario
        self._engine = engine
        self._port = port
        self._cast = cast
        self._samplers = samplers
        self._restart = restart
        self._time_zero = scenario.lead_in
        self._heal_at = scenario.lead_in + scenario.duration
        clock = strikes.Clock(engine, samplers, self._heal_at)
        self._of_nodes = NodeFaults(engine, clock, self._is_last)
        self._of_sessions = SessionFaults(engine, clock, port, grid=grid)
        self._of_links = LinkFaults(engine, clock, port, self._is_last)
        self._gap_min = grid
        self._lots = Lots()
        self._nodes_named = _Named(node_candidates(scenario))
        self._sessions_named = _Named(session_candidates(scenario))
        for position, fault in enumerate(scenario.faults):
            key = stream_key(seed, f"fault/{position}/{fault.kind}")
            self._plan(fault, key, tallies.faults[position])
        self._touched_nodes = touched_by_faults(scenario)
        engine.call_at(self._heal_at, self._heal_last)

    # --- when

    def _plan(self, fault: Fault, key: int, tally: Tally) -> None:
        action = fault.action
        begin, end = (self._time_zero + at for at in fault.window(self._scenario.duration))
        if isinstance(action, Delay | Duplicate):
            self._give(action, key, (begin, end), tally)
        elif isinstance(action, EventAction):
            planned = Planned(action, key, tally)
            if fault.at is not None:
                at = self._time_zero + self._samplers.of(fault.at)(mix(key, 0, _WHEN))
                if at < self._heal_at:
                    self._engine.call_at(at, self._once, planned)
            elif fault.every is not None:
                self._follow(_Repeated(planned, self._samplers.of(fault.every), 0, end), begin)

    def _give(self, action: Delay | Duplicate, key: int, window: tuple[int, int], tally: Tally) -> None:
        if action.sessions is not None:
            peers: list[Client | SimNode] = [
                self._cast.sessions[name] for name in chosen_sessions(self._scenario, action.sessions, key)
            ]
        elif isinstance(action, Delay):
            peers = [self._cast.nodes[name] for name in chosen_nodes(self._scenario, action.targets, key)]
        else:
            return  # what nodes send twice is their own affair
        give(self._port, action, peers, chance_of(action, key, window, tally, self._samplers))

    def _once(self, planned: Planned) -> None:
        self.strike(planned, 0)

    def _follow(self, repeated: _Repeated, after: int) -> None:
        """Plan the next time after this instant."""
        at = after + max(self._gap_min, repeated.gaps(mix(repeated.planned.key, repeated.number, _WHEN)))
        if at <= repeated.end and at < self._heal_at:
            self._engine.call_at(at, self._again, repeated)

    def _again(self, repeated: _Repeated) -> None:
        self.strike(repeated.planned, repeated.number)
        following = _Repeated(repeated.planned, repeated.gaps, repeated.number + 1, repeated.end)
        self._follow(following, self._engine.instant)

    # --- striking

    def strike(self, planned: Planned, number: int) -> None:
        """Have it happen now, for the nth time from 0; where it changed anything, that counts."""
        action = planned.action
        by_chance = not isinstance(action, RestartScheduler) and action.targets.by_chance
        ends = self._happen(action, Strike(mix(planned.key, number), by_chance, planned.scripted))
        if ends:
            last = [end for end in ends if end is not None]
            planned.tally.fire(self._engine.instant, max(last) if len(last) == len(ends) else None)

    def _happen(self, action: EventAction, strike: Strike) -> Ends:
        match action:
            case RestartScheduler():
                self._restart()
                return [None]
            case Clog() | Partition():
                if action.sessions is not None:
                    return self._of_links.happen(action, self._clients(action.sessions, strike), strike)
                return self._of_links.happen(action, self._nodes(action.targets, strike), strike)
            case Crash() | Flap() | Slow() | Pause() | Evict() | Clock():
                return self._of_nodes.happen(action, self._nodes(action.targets, strike), strike)
            case LeaveRoom():
                clients = self._clients(action.targets, strike, _is_in_a_room)
                return self._of_sessions.happen(action, clients, strike)
            case DropConnection() | ChangeLanguage() | CloseSession() | SlowReader() | Burst():
                return self._of_sessions.happen(action, self._clients(action.targets, strike), strike)

    def _nodes(self, targets: Targets, strike: Strike) -> list[SimNode]:
        nodes = self._cast.nodes

        def can(name: str) -> bool:
            return nodes[name].connection is not None and not self._is_cut(nodes[name])

        return [nodes[name] for name in self._chosen(self._nodes_named, targets, strike, can)]

    def _clients(self, targets: Targets, strike: Strike, fits: Callable[[Client], bool] | None = None) -> list[Client]:
        clients = self._cast.sessions
        fits = fits or _is_there

        def can(name: str) -> bool:
            return fits(clients[name]) and not self._is_cut(clients[name])

        return [clients[name] for name in self._chosen(self._sessions_named, targets, strike, can)]

    def _chosen(self, named_by: _Named, targets: Targets, strike: Strike, can: Callable[[str], bool]) -> Sequence[str]:
        """Those who are named; where chance decides, among those of them to whom it can happen at present."""
        names = named_by.names(targets)
        if not targets.by_chance:
            return names
        possible = [name for name in names if can(name)]
        return self._lots.drawn(possible, targets.drawn_count(len(names)), mix(strike.key, WHOM))

    def _is_last(self, node: SimNode) -> bool:
        """Whether no other node is ready and within reach."""
        others = (other for other in self._cast.nodes.values() if other is not node)
        return not any(other.ready and not self._is_cut(other) for other in others)

    def _is_cut(self, peer: SimNode | Client) -> bool:
        link = self._port.links.get(peer)
        return link is not None and link.is_cut

    # --- healing

    def _heal_last(self, _argument: object) -> None:
        """Everything that is over by now comes to its own end first."""
        self._engine.call_at(self._heal_at, self._heal)

    def _heal(self, _argument: object) -> None:
        for name, node in self._cast.nodes.items():
            if name in self._touched_nodes:
                node.heal()


class _Named:
    """Who is meant by what a scenario says, found once for all that says the same."""

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        self._candidates = candidates
        self._found: dict[tuple[str, ...] | None, tuple[str, ...]] = {}

    def names(self, targets: Targets) -> tuple[str, ...]:
        """The names of those that are meant, whatever chance then says, in the order of the scenario."""
        found = self._found.get(targets.names)
        if found is None:
            found = self._found[targets.names] = named(self._candidates, targets)
        return found


def _is_there(client: Client) -> bool:
    return client.connection is not None and not client.closing


def _is_in_a_room(client: Client) -> bool:
    return _is_there(client) and client.wants_in
