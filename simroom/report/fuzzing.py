"""What a search for failures says: how far it is, each finding as it comes, and what it has come to."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import RenderableType
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from simroom import __version__
from simroom.report import figures
from simroom.report.console import console, say, write
from simroom.scenario.printable import printable
from simroom.study import regressions
from simroom.study.fuzz import Plan
from simroom.study.fuzz_state import Finding, Tally
from simroom.study.reduction import Reduced
from simroom.study.trial import Trial

SCHEMA_VERSION: Final = 1
_WIDTH: Final = 76
_REDRAW_SECONDS: Final = 0.1
_NOT_AGAIN: Final = "a process with another hash seed did not see the same: does hash() or a set decide?"
_FAILED: Final = "bold white on red3"
_PASSED: Final = "bold white on green4"
_STOPPED: Final = "bold black on yellow3"


class Teller:
    """Tells how a search goes: findings on stdout, and how far it is on stderr where that is a terminal.

    Use it as a context around the search.

    Args:
        plan: The search.
        tally: Where it begins.
        quiet: Nothing but findings and the last word.
        colour: Whether colours may be used.
    """

    def __init__(self, plan: Plan, tally: Tally, *, quiet: bool, colour: bool) -> None:
        self._plan = plan
        self._tally = tally
        self._out = console(sys.stdout, colour=colour)
        self._bar = _bar(colour=colour) if sys.stderr.isatty() and not quiet else None
        self._task: TaskID | None = None
        self._muted = quiet
        self._drawn_at = 0.0
        self._began_at = time.monotonic()
        self._before = tally.tried

    def __enter__(self) -> Self:
        """Start to draw."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()

    def tried(self, tally: Tally) -> None:
        """One more scenario was tried."""
        rate = (tally.tried - self._before) / max(0.001, time.monotonic() - self._began_at)
        self._draw(
            f"seed {tally.next_seed - 1:,} · {rate:,.0f}/s · {tally.jobs:,} jobs · {tally.deliveries:,} deliveries",
            tally.tried,
            soon=True,
        )

    def failed(self, trial: Trial, file: Path) -> None:
        """One fails."""
        self._draw(
            f"seed {trial.seed:,} fails, see {printable(file.name)}: making it smaller", self._tally.tried, soon=False
        )

    def smaller(self, reduced: Reduced) -> None:
        """It has become smaller."""
        left = figures.counted(reduced.operations, "operation")
        self._draw(f"making it smaller: {left} after {reduced.tries:,} tries", self._tally.tried, soon=True)

    def found(self, finding: Finding) -> None:
        """It is as small as it gets."""
        if self._bar is not None:
            self._bar.stop()
        if not self._muted:
            say(self._out, told(finding))
            write(sys.stdout, ways(finding, self._plan))
        if self._bar is not None:
            self._bar.start()

    def repeated(self, seed: int, earlier: int) -> None:
        """It is an earlier finding once more; how many there were is said at the end."""

    def _draw(self, text: str, done: int, *, soon: bool) -> None:
        """Draw the line, where ``soon`` is False at once."""
        now = time.monotonic()
        if self._bar is None or (soon and now - self._drawn_at < _REDRAW_SECONDS):
            return
        self._drawn_at = now
        if self._task is None:
            self._task = self._bar.add_task("", total=self._plan.count, told=text)
        self._bar.update(self._task, completed=done, told=text, refresh=True)

    def end(self, *, interrupted: bool) -> None:
        """Say what the search has come to."""
        say(self._out, outcome(self._tally, interrupted=interrupted))


def _bar(*, colour: bool) -> Bar:
    return Bar(
        BarColumn(bar_width=16),
        TextColumn("{task.fields[told]}", markup=False),
        console=console(sys.stderr, colour=colour),
        auto_refresh=False,
        transient=True,
    )


# --- in words ----------------------------------------------------------------------------------------------------


def told(finding: Finding) -> list[RenderableType]:
    """A finding: what went wrong, and what happened."""
    first = Text(" ")
    first.append(" FOUND ", style=_FAILED)
    first.append(f" {regressions.title(finding.sign)}", style="bold").append(f" · seed {finding.seed}")
    lines = [Text(), first, Text()]
    lines += [Text(f"   {line}") for told in finding.story or (finding.told,) for line in _hanging(printable(told))]
    others = [regressions.title(sign) for sign in finding.signature if sign != finding.sign]
    if others:
        also = f"before it was made small, also: {printable('; '.join(others))}"
        lines += [Text(f"   {line}") for line in textwrap.wrap(also, _WIDTH, subsequent_indent="  ")]
    if not finding.reproduced:
        lines.append(Text(f"   ! {_NOT_AGAIN}", style="bold"))
    return list(lines)


def ways(finding: Finding, plan: Plan) -> str:
    """How small a finding is, and the commands that show it again, each on one line, so that it can be copied."""
    path = Path(finding.file)
    size = f"{finding.operations_before:,} → {figures.counted(finding.operations, 'operation')}"
    unfinished = "" if finding.complete else ", unfinished"
    rows = [
        ("Size", f"{size} in {figures.counted(finding.tries, 'try', 'tries')}{unfinished}"),
        ("Written", finding.file),
        ("See it", regressions.replay(path, plan.run_words)),
        ("Find it", regressions.again(finding.seed, plan.words)),
    ]
    if finding.number is not None:
        rows.insert(3, ("Explain", regressions.explanation(path, plan.run_words, finding.number)))
    return "\n" + "".join(f" {name:<9}{printable(value)}\n" for name, value in rows)


def _hanging(line: str) -> list[str]:
    """A line of a story in as many as it takes, the later ones under its text."""
    under = line.index(line.lstrip()[:1]) if line.strip() else 0
    under = line.find("  ", under) + 2 if "  " in line[under:] else under
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * under, break_on_hyphens=False) or [line]


def outcome(tally: Tally, *, interrupted: bool) -> list[RenderableType]:
    """What a search has come to."""
    word, style = ("FAILED", _FAILED) if tally.findings else ("PASSED", _PASSED)
    if interrupted and not tally.findings:
        word, style = "INTERRUPTED", _STOPPED
    first = Text(" ")
    first.append(f" {word} ", style=style).append(" ")
    first.append(f"{figures.counted(tally.tried, 'scenario')}, {_found(tally)}")
    if tally.tried:
        first.append(f" · seeds {tally.start:,} to {tally.next_seed - 1:,}")
    lines = [Text(), first, Text()]
    spread = (
        figures.counted(tally.utterances, "utterance"),
        figures.counted(tally.jobs, "job"),
        figures.counted(tally.deliveries, "delivery", "deliveries"),
    )
    rows = [("Fan-out", " → ".join(spread))]
    if tally.judgements:
        rows.append(("Judged", " · ".join(f"{key} {count:,}" for key, count in tally.judgements.items() if count)))
    if tally.never_judged:
        rows.append(("", f"never judged: {', '.join(tally.never_judged)}"))
    if tally.fired:
        rows.append(("Faults", " · ".join(f"{kind} {count:,}" for kind, count in sorted(tally.fired.items()) if count)))
    if tally.never_fired:
        rows.append(("", f"never fired: {', '.join(tally.never_fired)}"))
    if tally.repeats:
        rows.append(("Repeats", f"{figures.counted(len(tally.repeats), 'seed')} fail like one above: {_listed(tally)}"))
    for seed, why in tally.deaths.items():
        rows.append(("Died", f"a process at seed {seed}, {why}; the next one did not"))
    for name, value in rows:
        lines += _wrapped(name, printable(value))
    return [*lines, Text()]


def _found(tally: Tally) -> str:
    return figures.counted(len(tally.findings), "finding") if tally.findings else "no violation"


def _listed(tally: Tally) -> str:
    shown = [f"{seed} (like {earlier})" for seed, earlier in list(tally.repeats.items())[:5]]
    rest = len(tally.repeats) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def _wrapped(name: str, value: str, width: int = 70) -> list[Text]:
    """A row, broken between its parts where it is long."""
    lines, line = [], ""
    for part in value.split(" · "):
        joined = f"{line} · {part}" if line else part
        if len(joined) > width and line:
            lines.append(line)
            joined = part
        line = joined
    lines.append(line)
    return [Text(f" {name if number == 0 else '':<9}{text}") for number, text in enumerate(lines)]


# --- as values ---------------------------------------------------------------------------------------------------


def content(plan: Plan, tally: Tally, *, interrupted: bool) -> dict[str, Any]:
    """The outcome as plain values in a stated order."""
    return {
        "schema_version": SCHEMA_VERSION,
        "simroom": __version__,
        "verdict": "failed" if tally.findings else "interrupted" if interrupted else "passed",
        "start": tally.start,
        "next_seed": tally.next_seed,
        "tried": tally.tried,
        "utterances": tally.utterances,
        "jobs": tally.jobs,
        "deliveries": tally.deliveries,
        "judgements": tally.judgements,
        "never_judged": list(tally.never_judged),
        "ends": tally.ends,
        "faults": tally.fired,
        "never_fired": list(tally.never_fired),
        "findings": [_values(finding, plan) for finding in tally.findings],
        "repeats": {str(seed): earlier for seed, earlier in tally.repeats.items()},
        "deaths": {str(seed): why for seed, why in tally.deaths.items()},
    }


def _values(finding: Finding, plan: Plan) -> dict[str, Any]:
    return {
        "seed": finding.seed,
        "invariant": finding.sign[0],
        "kind": finding.sign[1],
        "signature": [list(sign) for sign in finding.signature],
        "what": finding.told,
        "number": finding.number,
        "story": list(finding.story),
        "file": finding.file,
        "operations": finding.operations,
        "operations_before": finding.operations_before,
        "tries": finding.tries,
        "complete": finding.complete,
        "reproduced": finding.reproduced,
        "again": regressions.again(finding.seed, plan.words),
        "replay": regressions.replay(Path(finding.file), plan.run_words),
    }
