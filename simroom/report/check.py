"""What a check says: a table, the worst first, each with its line of the file and what to type next; and as JSON."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any, Final, Self

from rich.console import RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table as Grid
from rich.text import Text

from simroom import __version__
from simroom.report import figures
from simroom.report.console import console
from simroom.scenario.printable import printable, shortened
from simroom.study.checked import Case, Checked, CheckWord, Tally
from simroom.study.summary import SCHEMA_VERSION

BAD_TOLD: Final = 50
"""Scenarios that did not pass and are told one by one."""
PASSED_TOLD: Final = 60
"""Scenarios that passed and are listed; more are counted."""
CASES_TOLD: Final = 6
DETAILS_TOLD: Final = 5
_STYLES: Final[dict[str, str]] = {
    "crashed": "bold white on red3",
    "invalid": "bold white on red3",
    "failed": "bold white on red3",
    "over_time": "bold white on red3",
    "inconclusive": "bold black on yellow3",
    "interrupted": "bold black on yellow3",
    "not_run": "dim",
    "passed": "bold white on green4",
}
_SAID: Final[dict[CheckWord, str]] = {
    "crashed": "crashed",
    "invalid": "invalid",
    "failed": "failed",
    "over_time": "over time",
    "inconclusive": "inconclusive",
    "not_run": "not run",
    "passed": "passed",
}
_MARKS: Final = {"failed": "✗", "error": "✗", "inconclusive": "?", "passed": "✓"}
_LABEL_WIDTH: Final = 13


def command_line(words: Sequence[str]) -> str | None:
    """A command as one types it; None where there is none, or where somebody could be misled by what it shows."""
    command = shlex.join(words)
    return command if words and printable(command) == command else None


def report(tally: Tally, *, all_passed: bool = False) -> list[RenderableType]:
    """The whole report.

    Args:
        tally: What was checked.
        all_passed: List every scenario that passed, however many there are.
    """
    parts: list[RenderableType] = [Text(), headline(tally), *not_passed(tally)]
    passed = [one for one in _worst_first(tally) if one.word == "passed"]
    if passed:
        parts += [Text(), _passed(passed, len(passed) if all_passed else PASSED_TOLD)]
    return [*parts, Text()]


def not_passed(tally: Tally) -> list[RenderableType]:
    """What did not pass, the worst first."""
    bad = [one for one in _worst_first(tally) if one.word not in ("passed", "not_run")]
    parts: list[RenderableType] = []
    for one in bad[:BAD_TOLD]:
        parts += [Text(), *_bad(one)]
    if len(bad) > BAD_TOLD:
        parts += [Text(), Text(f"   {len(bad) - BAD_TOLD:,} more did not pass")]
    return parts


def _worst_first(tally: Tally) -> list[Checked]:
    return sorted(tally.checked, key=lambda one: one.badness)


def headline(tally: Tally) -> Text:
    """One line: the word, how many of what, how long it took."""
    line = Text(" ")
    line.append(f" {_shown(tally.word).upper()} ", style=_STYLES[tally.word])
    counts = tally.counts
    total = figures.counted(len(tally.checked), "scenario")
    said = ", ".join(f"{count:,} {_SAID[word]}" for word, count in counts.items())
    line.append(f" {total}: {said}" if len(counts) > 1 else f" {total} {_SAID[tally.worst]}")
    line.append(f" · {tally.wall_seconds:.1f} s", style="dim")
    if tally.left_out:
        line.append(f" · {figures.counted(tally.left_out, 'other YAML file')} left out", style="dim")
    return line


def _shown(word: str) -> str:
    return word.replace("_", " ")


def _bad(one: Checked) -> list[RenderableType]:
    first = Text(" ")
    first.append(f" {_SAID[one.word].upper()} ", style=_STYLES[one.word])
    first.append(f" {printable(one.path.as_posix())}" + (f":{one.line}" if one.line is not None else ""), style="bold")
    if one.name is not None:
        first.append(f"  {shortened(one.name)}", style="dim")
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1, no_wrap=True)
    grid.add_column(overflow="fold")
    told = one.bad[:CASES_TOLD]
    for case, after in zip(told, (*told[1:], None), strict=True):
        # What several have in common is said beneath the last of them.
        again = after is not None and after.following == case.following
        grid.add_row(Text(_MARKS[case.word], style="bold red"), _told(case, one, command=not again))
    if len(one.bad) > CASES_TOLD:
        grid.add_row(Text(), Text(f"{len(one.bad) - CASES_TOLD:,} more", style="dim"))
    for note in one.notes:
        grid.add_row(Text("·"), Text(printable(note), style="dim"))
    return [first, Padding(grid, (0, 0, 0, 3))]


def _told(case: Case, one: Checked, *, command: bool) -> Text:
    text = Text(printable(case.name), style="bold")
    text.append(f"   {printable(case.what)}", style="not bold")
    if case.line is not None and case.line != one.line:
        text.append(f"   (line {case.line})", style="not bold dim")
    for detail in case.details[:DETAILS_TOLD]:
        text.append(f"\n{printable(detail)}", style="not bold")
    typed = command_line(case.following) if command else None
    if typed is not None:
        text.append(f"\n{typed}", style="not bold cyan")
    return text


def _passed(passed: Sequence[Checked], shown: int) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    for one in passed[:shown]:
        text = Text(printable(one.path.as_posix()))
        for note in one.notes:
            text.append(f"\n· {printable(note)}", style="dim")
        grid.add_row(Text("✓ passed", style="green"), text, Text(f"{one.wall_seconds:.2f} s", style="dim"))
    if len(passed) > shown:
        grid.add_row(Text(), Text(f"{len(passed) - shown:,} more passed", style="dim"), Text())
    return Padding(grid, (0, 0, 0, 3))


class CheckLine:
    """A line that says how many scenarios are checked, for somebody who watches; use it as a context.

    Drawn only when called, never by a thread.
    """

    def __init__(self, *, colour: bool) -> None:
        self._bar = Bar(
            BarColumn(bar_width=16),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}{task.fields[told]}", markup=False),
            console=console(sys.stderr, colour=colour),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._bad = 0

    def __enter__(self) -> Self:
        """Start to draw."""
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Take the line away."""
        self._bar.stop()

    def __call__(self, checked: Checked, done: int, most: int) -> None:
        """Note one more."""
        self._bad += checked.word != "passed"
        told = f"  {shortened(checked.path.as_posix(), 50)}"
        if self._bad:
            told = f" · {self._bad:,} did not pass{told}"
        if self._task is None:
            self._task = self._bar.add_task("", total=most, told=told)
        self._bar.update(self._task, completed=done, total=most, told=told, refresh=True)


# --- JSON --------------------------------------------------------------------------------------------------------


def content(tally: Tally, outcome: int) -> dict[str, Any]:
    """A check as plain values in a stated order, the scenarios in the order in which they were found.

    Args:
        tally: What was checked.
        outcome: The exit code.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "simroom": __version__,
        "kind": "check",
        "verdict": tally.word,
        "exit_code": outcome,
        "partial": tally.interrupted,
        "counts": dict(tally.counts),
        "left_out": tally.left_out,
        "scenarios": [_checked(one) for one in tally.checked],
    }


def _checked(one: Checked) -> dict[str, Any]:
    return {
        "file": one.path.as_posix(),
        "name": one.name,
        "hash": one.digest,
        "tags": list(one.tags),
        "verdict": one.word,
        "seeds": list(one.seeds),
        "line": one.line,
        "cases": [_case(case) for case in one.cases],
        "warnings": list(one.warnings),
        "notes": list(one.notes),
        "replications": [
            {
                "seed": replication.seed,
                "verdict": replication.word,
                "violations": replication.violation_count,
                "events": replication.events,
                "trace_hash": replication.trace_hash,
                "routing_hash": replication.routing_hash,
                "decision_hash": replication.decision_hash,
            }
            for replication in one.replications
        ],
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "kind": case.kind,
        "verdict": case.word,
        "line": case.line,
        "what": case.what,
        "value": case.value,
        "details": list(case.details),
        "next": list(case.following),
    }
