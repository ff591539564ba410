"""Whom a fault happens to: chance decides by names, so that removing one thing never changes another's luck."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest

from simroom.scenario.faults import RestartScheduler
from simroom.scenario.schema import Scenario
from simroom.scenario.script import OfMember
from simroom.scenario.targets import Candidate, Targets, node_candidates, session_candidates
from simroom.workload.streams import mix, stream_key


def named(candidates: Sequence[Candidate], targets: Targets) -> tuple[str, ...]:
    """The names of those that can be meant, in the order of the scenario."""
    return tuple(candidates[position].name for position in targets.among(candidates))


class Lots:
    """Draws lots among names, each time anew."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}

    def drawn(self, names: Sequence[str], count: int, key: int) -> tuple[str, ...]:
        """So many of these by chance, in their order; all, where there are no more.

        Args:
            names: Among whom.
            count: How many.
            key: 64 bits that belong to this draw.
        """
        if count >= len(names):
            return tuple(names)
        luckiest = frozenset(nsmallest(count, names, key=lambda name: mix(key, self._key(name))))
        return tuple(name for name in names if name in luckiest)

    def _key(self, name: str) -> int:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = stream_key(0, name)
        return key


def chosen_nodes(scenario: Scenario, targets: Targets, key: int) -> tuple[str, ...]:
    """The nodes that are meant for the whole run; chance, where it has a say, decides once."""
    return _chosen(node_candidates(scenario), targets, key)


def chosen_sessions(scenario: Scenario, targets: Targets, key: int) -> tuple[str, ...]:
    """The sessions that are meant for the whole run; chance, where it has a say, decides once."""
    return _chosen(session_candidates(scenario), targets, key)


def _chosen(candidates: Sequence[Candidate], targets: Targets, key: int) -> tuple[str, ...]:
    names = named(candidates, targets)
    return Lots().drawn(names, targets.drawn_count(len(names)), key) if targets.by_chance else names


def touched_sessions(scenario: Scenario) -> frozenset[str]:
    """The sessions that a fault or the script can do anything with; of all others everything can be foreseen."""
    candidates = session_candidates(scenario)
    touched: set[str] = set()
    for action in [*(fault.action for fault in scenario.faults), *(line.action for line in scenario.script)]:
        if isinstance(action, RestartScheduler):
            return frozenset(candidate.name for candidate in candidates)
        if isinstance(action, OfMember):
            touched.add(action.member)
        targets = getattr(action, "sessions", None)
        if targets is not None:
            touched.update(named(candidates, targets))
    return frozenset(touched)
