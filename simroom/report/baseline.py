"""What is said of baselines: what became of each, and what one of them holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom.report import figures
from simroom.report.check import headline, not_passed
from simroom.scenario.printable import printable
from simroom.study.amounts import amount
from simroom.study.baseline_file import Baseline, Renewed, RenewedWord
from simroom.study.checked import Tally

LISTED_MAX: Final = 60
ROUTES_SHOWN: Final = 40
_SAID: Final[dict[RenewedWord, str]] = {
    "new": "new",
    "changed": "changed",
    "same": "as it was",
    "kept": "left as it was: it does not pass",
    "none": "none: it does not pass",
}


class Shown(Struct, frozen=True):
    """A baseline that is shown.

    Attributes:
        scenario: The scenario's file.
        path: The baseline's.
        baseline: It; None: there is none that can be read.
        problem: Why it cannot be used; None: it can.
    """

    scenario: Path
    path: Path
    baseline: Baseline | None
    problem: str | None


def renewed(tally: Tally, each: Sequence[Renewed], *, quiet: bool) -> list[RenderableType]:
    """What became of baselines, those that are other now first; and of scenarios that did not pass."""
    counts = Counter(one.word for one in each)
    line = Text(f"   baselines: {', '.join(f'{counts[word]:,} {_SAID[word]}' for word in _SAID if counts[word])}")
    parts: list[RenderableType] = [Text(), headline(tally), line]
    if not quiet:
        parts += not_passed(tally)
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        told = [one for one in each if one.word != "same"]
        for one in told[:LISTED_MAX]:
            grid.add_row(Text(_SAID[one.word]), Text(printable(one.path.as_posix())))
        if len(told) > LISTED_MAX:
            grid.add_row(Text(f"{len(told) - LISTED_MAX:,} more", style="dim"), Text())
        if told:
            parts += [Text(), Padding(grid, (0, 0, 0, 3))]
    return [*parts, Text()]


def shown(each: Sequence[Shown]) -> list[RenderableType]:
    """Baselines: one in full, several in a line each."""
    if len(each) == 1 and each[0].baseline is not None:
        return [Text(), *_whole(each[0], each[0].baseline), Text()]
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for one in sorted(each, key=lambda one: (one.problem is None, one.scenario.as_posix())):
        mark = Text("✓", style="green") if one.problem is None else Text("✗", style="bold red")
        grid.add_row(
            mark, Text(printable(one.scenario.as_posix())), Text(printable(one.problem or _short(one.baseline)))
        )
    return [Text(), Padding(grid, (0, 0, 0, 1)), Text()]


def _short(baseline: Baseline | None) -> str:
    if baseline is None:
        return ""
    count = figures.counted(len(baseline.replications), "replication")
    return f"{baseline.verdict}, {count}, simroom {baseline.simroom}"


def _whole(one: Shown, baseline: Baseline) -> list[RenderableType]:
    first = Text(" ")
    first.append(printable(baseline.scenario.name), style="bold")
    first.append(printable(f"  {one.scenario.as_posix()}"), style="dim")
    parts: list[RenderableType] = [first, Text(printable(f"   {one.path.as_posix()}: {_short(baseline)}"))]
    if one.problem is not None:
        parts.append(Padding(Text(printable(one.problem), style="bold red"), (0, 0, 0, 3)))
    counts = ", ".join(f"{number:,} {name}" for name, number in baseline.counts.items())
    parts += [Text(printable(f"   {counts} with seed {baseline.seeds[0]}; {baseline.stability}")), Text()]
    parts.append(_measures(baseline))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(overflow="fold")
    for route in baseline.routes[:ROUTES_SHOWN]:
        grid.add_row(*(Text(printable(part)) for part in route))
    parts += [Text(), Padding(grid, (0, 0, 0, 3))]
    if baseline.more_routes:
        parts.append(Text(f"   {figures.counted(baseline.more_routes, 'job')} more, in the hashes only", style="dim"))
    return parts


def _measures(baseline: Baseline) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    for name, one in baseline.measures.items():
        around = ""
        if one.low is not None and one.high is not None and one.low != one.high:
            around = f"{amount(one.low, one.unit)} to {amount(one.high, one.unit)} at 95 %"
        grid.add_row(Text(printable(name)), Text(amount(one.mean, one.unit)), Text(around, style="dim"))
    return Padding(grid, (0, 0, 0, 3))
