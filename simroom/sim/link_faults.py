"""Faults of links: at an instant they hold up or lose what is sent; by chance it is late or comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from simroom.scenario.faults import Clog, Delay, Duplicate, Partition
from simroom.scenario.faults import Way as AnyWay
from simroom.sim.clients import Client
from simroom.sim.engine import Engine
from simroom.sim.links import Chance, TroubledPort, Way
from simroom.sim.nodes import SimNode
from simroom.sim.strikes import UNTIL, Clock, Ends, Spans, Strike
from simroom.sim.tally import Tally

LinkFault = Clog | Partition
LinkPeer = Client | SimNode

_WAYS: Final[dict[AnyWay, tuple[Way, ...]]] = {"both": ("up", "down"), "up": ("up",), "down": ("down",)}
_DRAWS: Final = 1 << 64


class LinkFaults:
    """Has faults of links happen, and undone.

    Args:
        engine: Where time passes.
        clock: When faults are over.
        port: Where the links are.
        is_last: Whether a node is the last that is ready and can be reached: chance spares it.
    """

    def __init__(self, engine: Engine, clock: Clock, port: TroubledPort, is_last: Callable[[SimNode], bool]) -> None:
        self._engine = engine
        self._clock = clock
        self._port = port
        self._is_last = is_last

    def happen(self, action: LinkFault, peers: Sequence[LinkPeer], strike: Strike) -> Ends:
        """Have a fault happen to the links of these peers; it is over for all of them at once."""
        until = self._clock.until(action.duration, strike.luck(UNTIL, ""))
        ends: Ends = []
        for peer in peers:
            if isinstance(action, Partition):
                if strike.by_chance and isinstance(peer, SimNode) and self._is_last(peer):
                    continue
                for way in _WAYS[action.way]:
                    self._port.cut(peer, way)
                self._engine.call_at(until, self._mend, (peer, _WAYS[action.way]))
            else:
                for way in _WAYS[action.way]:
                    self._port.hold(peer, way, until)
            ends.append(until)
        return ends

    def _mend(self, argument: tuple[LinkPeer, tuple[Way, ...]]) -> None:
        peer, ways = argument
        for way in ways:
            self._port.mend(peer, way)


def chance_of(action: Delay | Duplicate, key: int, window: tuple[int, int], tally: Tally, samplers: Spans) -> Chance:
    """The chance that a message is late, or comes twice.

    Args:
        action: What the scenario says.
        key: 64 bits that are the fault's own.
        window: From when until when, on the engine's clock.
        tally: Counts how often it happens.
        samplers: Where the delay comes from.
    """
    by = samplers.of(action.by) if isinstance(action, Delay) else None
    return Chance(key, round(action.share * _DRAWS), *window, tally, by)


def give(port: TroubledPort, action: Delay | Duplicate, peers: Iterable[LinkPeer], chance: Chance) -> None:
    """Let a chance act on the links of these peers."""
    for peer in peers:
        link = port.link(peer)
        if isinstance(action, Duplicate):
            link.doubles.append(chance)
        else:
            for way in _WAYS[action.way]:
                link.delays[way].append(chance)
