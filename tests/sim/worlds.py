"""Runs a scenario as the product does, then takes everybody's connection away, so that nothing may be left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from simroom.scenario.load import loads
from simroom.scenario.schema import Scenario
from simroom.scheduler.messages import Addressed, Incoming
from simroom.scheduler.port import PeerKind, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.sim.run import RunData, World, simulate

SECOND = 1_000_000
M = TypeVar("M")

Data = dict[str, Any]
"""A scenario as a file would hold it."""


class Outcome(NamedTuple):
    """What a run left behind, and what the scheduler says of itself."""

    run: RunData
    counts: dict[str, int]
    uncounted: dict[str, int]
    entry_count: int
    """What the scheduler still remembers after everybody has gone."""


def loaded(data: Data) -> Scenario:
    """Load a scenario from data, through the text that a file would have, with every check."""
    return loads(json.dumps(data), "scenario", Path())


def world_of(data: Data, seed: int = 1) -> World:
    """Make a world that has not begun, from data that are known to be good: five times as fast as from text."""
    return World(Scenario.model_validate(data), seed, Scheduler)


def all_leave(world: World) -> None:
    """Take every client's and node's connection away, and let everything pass that can still be due."""
    settings = world._scenario.scheduler.settings()
    for client in world._population.clients:
        client.closing = True  # nobody comes back
        client.drop()
    for node in world._nodes:
        node.leave()
    longest = max(settings.reconnect_grace, settings.abandon_after, settings.waiting_time_max, settings.job_timeout)
    world.engine.advance(world.engine.instant + 4 * longest + settings.room_expiry + 600 * SECOND)


def outcome(data: Data, seed: int = 1) -> Outcome:
    """Run a scenario to its end and beyond."""
    world = world_of(data, seed)
    world.pass_time(None)
    all_leave(world)
    run = world.result(interrupted=False)
    scheduler = world.scheduler
    assert isinstance(scheduler, Scheduler)
    return Outcome(run, scheduler.counts(), scheduler.uncounted(), scheduler.entry_count())


class Passed(NamedTuple):
    """Something that passed the scheduler's port."""

    at: int
    connection: int
    message: Any
    """What was said; None: the connection was opened (towards the scheduler) or ended (``closed``)."""
    closed: bool = False


class Tap:
    """A scheduler that writes down what passes its port, and leaves everything else to the real one.

    Attributes:
        said: What came to the scheduler, in order.
        sent: What it sent, one entry for each connection, in order.
    """

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self.real = Scheduler(settings, sources)
        self.said: list[Passed] = []
        self.sent: list[Passed] = []
        self.kinds: dict[int, PeerKind] = {}

    @property
    def next_deadline(self) -> int | None:
        return self.real.next_deadline

    def counts(self) -> dict[str, int]:
        return self.real.counts()

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        self.kinds[connection] = kind
        self.said.append(Passed(now, connection, None))
        return self._noted(self.real.opened(connection, kind, now), now)

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        self.said.append(Passed(now, connection, message))
        return self._noted(self.real.received(connection, message, now), now)

    def closed(self, connection: int, now: int) -> list[Addressed]:
        self.said.append(Passed(now, connection, None, closed=True))
        return self._noted(self.real.closed(connection, now), now)

    def wake(self, now: int) -> list[Addressed]:
        return self._noted(self.real.wake(now), now)

    def forget_after(self, at: int) -> None:
        """Forget what passed later: that everybody left is no part of a run."""
        self.said = [each for each in self.said if each.at <= at]
        self.sent = [each for each in self.sent if each.at <= at]

    def _noted(self, outputs: list[Addressed], now: int) -> list[Addressed]:
        self.sent.extend(Passed(now, connection, message) for to, message in outputs for connection in to)
        return outputs

    def heard(self, kind: type[M], connection: int | None = None) -> list[tuple[int, M]]:
        """Messages of one kind that came to the scheduler, with their instants; over one connection or any."""
        return _of_kind(self.said, kind, connection)

    def told(self, kind: type[M], connection: int | None = None) -> list[tuple[int, M]]:
        """Messages of one kind that the scheduler sent, likewise."""
        return _of_kind(self.sent, kind, connection)


def _of_kind(passed: list[Passed], kind: type[M], connection: int | None) -> list[tuple[int, M]]:
    return [
        (each.at, each.message)
        for each in passed
        if type(each.message) is kind and connection in (None, each.connection)
    ]


def tapped(data: Data, seed: int = 1) -> tuple[RunData, Tap]:
    """Run a scenario, with every check of a file, and listen at the scheduler's port."""
    taps: list[Tap] = []

    def factory(settings: Settings, sources: Sources) -> Tap:
        taps.append(Tap(settings, sources))
        return taps[-1]

    run = simulate(loaded(data), seed=seed, scheduler=factory)
    for tap in taps:
        tap.forget_after(run.ended_at)
    return run, taps[0]
