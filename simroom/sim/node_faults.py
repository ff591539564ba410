"""Faults of nodes at an instant: they crash, flap, slow down, stand still, lose their models, have a wrong clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Final

from msgspec import Struct

from simroom.scenario.faults import Clock as WrongClock
from simroom.scenario.faults import Crash, Evict, Flap, Pause, Slow
from simroom.sim.engine import Engine
from simroom.sim.nodes import SimNode
from simroom.sim.strikes import DOWN, UNTIL, UP, Clock, Ends, Strike
from simroom.workload.streams import mix

NodeFault = Crash | Flap | Slow | Pause | Evict | WrongClock


SLOWEST: Final = 1_000.0
"""The largest factor that a scenario may write."""


class _Flapping(Struct, frozen=True):
    """A node that goes and comes, from now until ``until``."""

    node: SimNode
    action: Flap
    strike: Strike
    until: int
    round: int


class NodeFaults:
    """Has faults of nodes happen, and undone. What overlaps on one node adds up.

    Args:
        engine: Where time passes.
        clock: When faults are over.
        is_last: Whether a node is the last that is ready and can be reached: chance spares it.
    """

    def __init__(self, engine: Engine, clock: Clock, is_last: Callable[[SimNode], bool]) -> None:
        self._engine = engine
        self._clock = clock
        self._is_last = is_last
        self._factors: dict[SimNode, list[float]] = {}
        self._pauses: dict[SimNode, int] = {}

    def happen(self, action: NodeFault, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        """Have a fault happen to these nodes."""
        match action:
            case Crash():
                return self._crash(action, nodes, strike)
            case Flap():
                return self._flap(action, nodes, strike)
            case Slow():
                return self._slow(action, nodes, strike)
            case Pause():
                return self._pause(action, nodes, strike)
            case Evict():
                return self._evict(action, nodes, strike)
            case WrongClock():
                return self._set_clocks(action, nodes)

    def _crash(self, action: Crash, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        ends: Ends = []
        for node in nodes:
            if strike.by_chance and self._is_last(node):
                continue
            until = self._clock.until_or_never(action.duration, strike.luck(UNTIL, node.name))
            if node.crash(None if until is None else until - self._clock.now):
                ends.append(until)
        return ends

    def _flap(self, action: Flap, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        ends: Ends = []
        for node in nodes:
            until = self._clock.until(action.duration, strike.luck(UNTIL, node.name))
            if self._goes_down(_Flapping(node, action, strike, until, 0)):
                ends.append(until)
        return ends

    def _go_down_again(self, flapping: _Flapping) -> None:
        if self._clock.now < flapping.until:
            self._goes_down(flapping)

    def _goes_down(self, flapping: _Flapping) -> bool:
        """Crash, and see to it that it goes on from there; False: the crash changed nothing this time."""
        node, now = flapping.node, self._clock.now
        down = self._clock.draw(flapping.action.down, self._luck(flapping, DOWN))
        up = self._clock.draw(flapping.action.up, self._luck(flapping, UP))
        # Not longer than the flapping lasts; and the clock must move on, whatever was drawn.
        back = min(now + down, flapping.until)
        spared = flapping.strike.by_chance and self._is_last(node)
        struck = not spared and node.crash(back - now)
        following = _Flapping(node, flapping.action, flapping.strike, flapping.until, flapping.round + 1)
        self._engine.call_at(max(now + 1, back + up), self._go_down_again, following)
        return struck

    @staticmethod
    def _luck(flapping: _Flapping, what: int) -> int:
        return mix(flapping.strike.luck(what, flapping.node.name), flapping.round)

    def _slow(self, action: Slow, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        ends: Ends = []
        for node in nodes:
            until = self._clock.until(action.duration, strike.luck(UNTIL, node.name))
            factors = self._factors.setdefault(node, [])
            factors.append(action.factor)
            self._engine.call_at(until, self._no_longer_slow, (node, action.factor))
            node.slow(_together(factors))
            ends.append(until)
        return ends

    def _no_longer_slow(self, argument: tuple[SimNode, float]) -> None:
        node, factor = argument
        self._factors[node].remove(factor)
        node.slow(_together(self._factors[node]))

    def _pause(self, action: Pause, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        ends: Ends = []
        for node in nodes:
            until = self._clock.until(action.duration, strike.luck(UNTIL, node.name))
            self._pauses[node] = self._pauses.get(node, 0) + 1
            self._engine.call_at(until, self._no_longer_paused, node)
            if node.pause():
                ends.append(until)
        return ends

    def _no_longer_paused(self, node: SimNode) -> None:
        self._pauses[node] -= 1
        if not self._pauses[node]:
            node.resume()

    def _set_clocks(self, action: WrongClock, nodes: Sequence[SimNode]) -> Ends:
        for node in nodes:
            node.skew(action.skew)
        return [self._clock.heal_at for _ in nodes]

    def _evict(self, action: Evict, nodes: Sequence[SimNode], strike: Strike) -> Ends:
        ends: Ends = []
        for node in nodes:
            until = self._clock.until(action.duration, strike.luck(UNTIL, node.name))
            if node.evict(action.models, until - self._clock.now):
                ends.append(until)
        return ends


def _together(factors: Sequence[float]) -> float:
    """How slow a node is that is slowed in several ways: no slower than one way alone may make it."""
    return min(SLOWEST, prod(factors))
