"""How often each fault of a scenario has struck, and when the first times were."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simroom.scenario.faults import EVENT_KINDS, WORLD_KINDS, Action
from simroom.scenario.schema import Scenario
from simroom.scenario.targets import Targets

NOTED_MAX: Final = 100
"""So many times are noted of each fault, for plots; all are counted."""


class FaultUse(Struct, frozen=True):
    """What a fault of a scenario came to.

    Attributes:
        label: What and whom, in a few words: ``crash desktop-1``.
        kind: Its key in the scenario, such as ``crash``.
        fired_count: How often it struck: an event once at each time at which it changed anything, a share once for
            each message or job.
        at: The first times, whole microseconds on the engine's clock, ascending; at most ``NOTED_MAX``.
        until: When each of those was over, likewise; None: it was over at once, or never.
    """

    label: str
    kind: str
    fired_count: int
    at: tuple[int, ...]
    until: tuple[int | None, ...]


class Tally:
    """The count of one fault.

    Args:
        label: As ``FaultUse.label``; likewise ``kind``.
    """

    __slots__ = ("_at", "_until", "count", "kind", "label")

    def __init__(self, label: str, kind: str) -> None:
        self.label = label
        self.kind = kind
        self.count = 0
        self._at: list[int] = []
        self._until: list[int | None] = []

    def fire(self, at: int, until: int | None = None) -> None:
        """It has struck at ``at``, which is never before an earlier time, and is over at ``until``."""
        self.count += 1
        if len(self._at) < NOTED_MAX:
            self._at.append(at)
            self._until.append(until)

    def use(self) -> FaultUse:
        """What it has come to so far."""
        return FaultUse(self.label, self.kind, self.count, tuple(self._at), tuple(self._until))


class Tallies:
    """The counts of all faults of a scenario, and of all lines of its script that are faults.

    Attributes:
        faults: By the position of the fault in the scenario.
        lines: By the position of the line in the script; other lines have none.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.faults = tuple(Tally(label_of(fault.action), fault.kind) for fault in scenario.faults)
        self.lines = {
            position: Tally(label_of(line.action), line.kind)
            for position, line in enumerate(scenario.script)
            if line.kind in EVENT_KINDS
        }

    def uses(self) -> tuple[FaultUse, ...]:
        """What all have come to, in order; those that always hold do not strike."""
        tallies = [*self.faults, *self.lines.values()]
        return tuple(tally.use() for tally in tallies if tally.kind not in WORLD_KINDS)


def label_of(action: Action) -> str:
    """What and whom, in a few words: ``crash desktop-1``, ``drop 2 of all sessions``."""
    kind = action.kind.replace("_", " ")
    targets: Targets | None = getattr(action, "targets", None)
    if targets is None:
        return kind
    those = "sessions" if getattr(action, "sessions", None) is not None else "nodes"
    return f"{kind} {targets} {those}" if targets.names is None else f"{kind} {targets}"
