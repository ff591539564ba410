"""How large a scenario is: refused where it is larger than one would want, and shown by ``inspect``."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from simroom.cli import exits
from simroom.report import figures
from simroom.scenario.printable import printable
from simroom.scenario.schema import Scenario
from simroom.study.estimate import EVENT_BUDGET, Estimate, estimate


def refuse_oversize(path: Path, scenario: Scenario) -> None:
    """Refuse a scenario that would take too long, before anything of it runs.

    Raises:
        StopError: It is estimated beyond the budget.
    """
    size = estimate(scenario)
    if size.events > EVENT_BUDGET:
        raise exits.StopError(
            f"{printable(str(path))}: about {size.events:,} events, beyond the budget of {EVENT_BUDGET:,}: "
            f"{_largest(size)}.\nShorten it, or run it all the same with --force.",
            exits.INVALID,
        )


def _largest(size: Estimate) -> str:
    """What it is that makes it large."""
    return (
        f"{figures.counted(size.members + size.sessions, 'session')}, {figures.counted(size.nodes, 'node')}, "
        f"{figures.counted(size.utterances, 'utterance')}, {figures.counted(size.jobs, 'job')}, "
        f"{figures.counted(size.deliveries, 'delivery', 'deliveries')}"
    )


def _roughly(seconds: float) -> str:
    """A time that is known to within a factor of two or three."""
    if seconds < 1:
        return "less than a second"
    return f"about {figures.long_time(ceil(seconds) * 1_000_000)}"


def lines(size: Estimate) -> list[tuple[str, str]]:
    """What an estimate says, by label."""
    load = "no nodes" if size.offered_load is None else f"{size.offered_load:,.2f} erlangs on {size.streams:,} streams"
    people = [figures.counted(size.rooms, "room"), figures.counted(size.members, "member")]
    if size.sessions:
        people.append(figures.counted(size.sessions, "single session"))
    return [
        ("Takes part", " · ".join([*people, figures.counted(size.nodes, "node")])),
        (
            "Fan-out",
            f"about {figures.counted(size.utterances, 'utterance')} → {figures.counted(size.jobs, 'job')} → "
            f"{figures.counted(size.deliveries, 'delivery', 'deliveries')}",
        ),
        ("Offered load", load),
        ("Size", f"about {figures.counted(size.events, 'event')}, {_roughly(size.wall_seconds)} to run"),
    ]
