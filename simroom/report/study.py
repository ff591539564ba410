"""What a study says on the terminal: the verdict first, then every figure with its interval, then what to do next."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom.oracle.verdict import INVARIANTS
from simroom.report import figures
from simroom.report.console import console
from simroom.report.terminal import Written
from simroom.scenario.printable import printable
from simroom.study.judging import Judged
from simroom.study.measures import Unit
from simroom.study.replicate import Estimate, Precision, Progress, Study
from simroom.study.reported import HEADLINE
from simroom.study.study_record import StudyRecord

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

ROWS_TOLD: Final = 10
FAILURES_TOLD: Final = 5
_LABEL_WIDTH: Final = 13
_STYLES: Final = {
    "passed": "bold white on green4",
    "failed": "bold white on red3",
    "inconclusive": "bold black on yellow3",
    "interrupted": "bold black on yellow3",
}
_SIGNS: Final = {"holds": ("✓ ", "green"), "fails": ("✗ ", "bold red"), "inconclusive": ("? ", "bold yellow")}
_LATENCIES: Final = (
    ("delivery mean", f"{HEADLINE}.mean"),
    ("  p50", f"{HEADLINE}.p50"),
    ("  p90", f"{HEADLINE}.p90"),
    ("  p95", f"{HEADLINE}.p95"),
    ("  p99", f"{HEADLINE}.p99"),
    ("  max", f"{HEADLINE}.max"),
    ("uplink mean", "uplink_time.mean"),
    ("waiting mean", "waiting_time.mean"),
    ("service mean", "service_time.mean"),
    ("hold mean", "hold_time.mean"),
    ("downlink mean", "downlink_time.mean"),
)
_OTHERS: Final = (
    ("throughput", "throughput"),
    ("nodes busy", "nodes.utilisation.mean"),
    ("  busiest", "nodes.utilisation.max"),
)
_TROUBLES: Final = ("rejected", "failed", "expired", "dropped_late", "lost", "living")
"""Ends of jobs that are shown where there are any."""
_REDRAW_SECONDS: Final = 0.1

Row = tuple[str, Text]


def report(
    record: StudyRecord, *, written: Written | None = None, following: str | None = None
) -> list[RenderableType]:
    """The whole report of a study.

    Args:
        record: The study.
        written: What it left behind; None: nothing.
        following: What to type next; None: nothing to say about it.
    """
    study = record.study
    parts: list[RenderableType] = [Text(), *headline(record)]
    if study.replications:
        parts += [Text(), _rows([*_replications(study), *_stability(study), *_oracle(study), *_fan_out(study)])]
        parts += [Text(), _estimates(study)]
        parts += [Text(), _rows([*_precision(study), *_expectations(record)])]
    ending: list[Row] = []
    if written is not None:
        ending.append(("Written", Text(f"{printable(str(written.folder))}/  {'  '.join(written.files)}")))
    if following is not None and printable(following) == following:
        ending.append(("Next", Text(following)))
    return [*parts, _rows(ending), Text()] if ending else [*parts, Text()]


# --- the verdict -------------------------------------------------------------------------------------------------


def headline(record: StudyRecord) -> list[RenderableType]:
    """The word, why, which study it is, and what must not be overlooked."""
    study, conclusion = record.study, record.conclusion
    first = Text(" ")
    first.append(f" {conclusion.word.upper()} ", style=_STYLES[conclusion.word])
    first.append(" ")
    name = printable(record.source.name or record.source.stem)
    if study.scenario.bug is not None:
        name += f" · with the bug {study.scenario.bug}"
    title = Text(f"{figures.counted(len(study.replications), 'replication')} from seed {study.seed}")
    title.append(f" · {figures.long_time(study.scenario.duration)} each")
    title.append(f" · in {record.wall_seconds:.1f} s")
    if study.interrupted:
        title.append(" · PARTIAL", style="bold")
    if not conclusion.reasons:
        fits = len(first) + len(name) + len(title) + 3 <= 80
        if fits:
            lines = [first.append(name).append(" · ").append_text(title)]
        else:
            lines = [first.append(name), Text("   ").append_text(title)]
    else:
        reasons = [printable(reason) for reason in conclusion.reasons]
        lines = [first.append(reasons[0], style="bold"), *(Text(f"   {reason}") for reason in reasons[1:])]
        lines.append(Text(f"   {name} · ").append_text(title))
    lines += [Text(f" ! {printable(warning)}", style="bold") for warning in conclusion.warnings]
    return list(lines)


# --- what was done -----------------------------------------------------------------------------------------------


def _replications(study: Study) -> Iterable[Row]:
    words: dict[str, int] = {}
    for one in study.replications:
        words[one.word] = words.get(one.word, 0) + 1
    yield "Replications", Text(" · ".join(f"{word} {count:,}" for word, count in words.items()))
    for one in [one for one in study.replications if one.word == "failed"][:FAILURES_TOLD]:
        yield "", Text(printable(f"seed {one.seed}: {'; '.join(one.reasons)}"))
        for breach in one.violations[:1]:
            where = figures.clock(breach.at)
            yield "", Text(printable(f"  {breach.invariant} {where} {breach.what}"), style="dim")


def _stability(study: Study) -> Iterable[Row]:
    steady = study.steadiness
    counts = ", ".join(f"{count:,} {word}" for word, count in steady.counts.items() if count)
    style = "bold red" if steady.is_overloaded else ""
    yield (
        "Stability",
        Text(steady.word.upper() if steady.is_overloaded else steady.word, style=style).append(
            f" ({counts})" if len(study.replications) > 1 else "", style=""
        ),
    )
    worst = next((one.stability for one in study.replications if one.stability.word == steady.word), None)
    if worst is not None and worst.why is not None:
        yield "", Text(f"for example: {worst.why}")


def _oracle(study: Study) -> Iterable[Row]:
    total = sum(one.violation_count for one in study.replications)
    judged = [key for key in INVARIANTS if any(one.judgements.get(key, 0) for one in study.replications)]
    count = sum(sum(one.judgements.values()) for one in study.replications)
    line = Text(f"{figures.counted(total, 'violation')}", style="bold red" if total else "")
    line.append(f" · {figures.counted(len(judged), 'invariant')}, {figures.counted(count, 'judgement')}", style="")
    yield "Oracle", line


def _fan_out(study: Study) -> Iterable[Row]:
    means = [study.estimates[name].mean or 0.0 for name in ("utterances", "jobs", "deliveries")]
    utterances, jobs, deliveries = (f"{mean:,.0f}" if mean >= 100 else f"{mean:,.1f}" for mean in means)
    yield "Fan-out", Text(f"on average {utterances} utterances → {jobs} jobs → {deliveries} deliveries")


# --- figures -----------------------------------------------------------------------------------------------------


def _estimates(study: Study) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=24, no_wrap=True, overflow="ellipsis")
    for _ in range(5):
        grid.add_column(justify="right", no_wrap=True)
    titles = ("Figure", "", "95 % interval", "", "±", "n")
    grid.add_row(*(Text(title, style="bold") for title in titles))
    for label, name in (*_LATENCIES, *_by_language(study), *_OTHERS, *_troubles(study)):
        one = study.estimates.get(name)
        if one is not None and one.n:
            grid.add_row(Text(label), *(Text(cell) for cell in _cells(one)))
    outer = Grid.grid()
    outer.add_row(grid)
    outer.add_row(Text(_note(study), style="dim"))
    return Padding(outer, (0, 0, 0, 1))


def _by_language(study: Study) -> list[tuple[str, str]]:
    prefix, suffix = f"{HEADLINE}{{language=", "}.p95"
    names = [name for name in study.estimates if name.startswith(prefix) and name.endswith(suffix)]
    spelled = [(name, name.removeprefix(prefix).removesuffix(suffix)) for name in names]
    return [(f"  p95 {printable(language)}", name) for name, language in spelled if "," not in language][:ROWS_TOLD]


def _troubles(study: Study) -> list[tuple[str, str]]:
    names = [(f"jobs {end.replace('_', ' ')}", f"jobs.{end}") for end in _TROUBLES]
    return [(label, name) for label, name in names if study.estimates[name].mean]


def _cells(one: Estimate) -> tuple[str, str, str, str, str]:
    if one.at_least is not None:
        return (f"at least {_shown(one.at_least, one.unit)}", "OVERLOADED", "", "", f"{one.n:,}")
    around = one.interval
    if around is None:
        return _shown(one.value, one.unit), "no interval", "", "", f"{one.n:,}"
    share = figures.ABSENT if around.mean == 0 else f"{around.half_width / abs(around.mean) * 100:.1f} %"
    return (
        _shown(one.value, one.unit),
        f"{_shown(around.low, one.unit)}",
        f"{_shown(around.high, one.unit)}",
        share,
        f"{one.n:,}",
    )


def _note(study: Study) -> str:
    warm_up = study.scenario.warm_up
    cut = f"utterances that ended after {figures.long_time(warm_up)} of warm-up" if warm_up else "all utterances"
    return (
        f"Of {cut}; Student-t intervals over\nreplications. Percentiles and max: nearest rank, of all samples together."
    )


def _shown(value: float | None, unit: Unit) -> str:
    return figures.value(_number(value, unit), unit)


def _number(value: float | None, unit: Unit) -> int | Fraction | None:
    """As the formats want it: whole microseconds, whole counts, else a fraction."""
    if value is None:
        return None
    if unit == "time":
        return round(value * 1_000_000)
    return int(value) if value == int(value) and unit in ("count", "ratio") else Fraction(value)


# --- precision, expectations -------------------------------------------------------------------------------------


def _precision(study: Study) -> Iterable[Row]:
    found = study.precision
    if found is None:
        return
    yield "Precision", Text(printable(precise(found)))


def precise(found: Precision) -> str:
    """How narrow the intervals are, in words."""
    if found.reached is None:
        return f"{found.asked * 100:g} %: nothing is there that could become so narrow"
    width = figures.ABSENT if found.worst_precision is None else f"±{found.worst_precision * 100:.2f} %"
    return f"{found.asked * 100:g} % {'reached' if found.reached else 'not reached'}: {found.worst} {width}"


def _expectations(record: StudyRecord) -> Iterable[Row]:
    label = "Expectations"
    for outcome in record.conclusion.outcomes:
        expectation = outcome.expectation
        sign, style = _SIGNS[outcome.decision]
        text = Text()
        text.append(sign, style=style)
        text.append(printable(expectation.text), style="" if outcome.decision == "holds" else "bold")
        text.append(f"   {printable(_found(outcome))}", style="")
        if outcome.decision != "holds" and expectation.line is not None:
            text.append(f"   ({printable(record.source.file)}:{expectation.line})")
        yield label, text
        label = ""


def _found(outcome: Judged) -> str:
    """What an expectation was compared with, and what follows where it does not hold."""
    around, unit = outcome.estimate.interval, outcome.estimate.unit
    if outcome.for_each:
        return outcome.reason or f"in each replication ({_most(outcome)})"
    if around is None or outcome.estimate.at_least is not None or (outcome.reason and outcome.decision == "fails"):
        return outcome.reason or ""
    # A rounded end of the interval would look like the bound.
    shown = figures.value if outcome.decision == "holds" else figures.exact
    low, high = (shown(_number(end, unit) or 0, unit) for end in (around.low, around.high))
    said = f"is {low} to {high}"
    if outcome.decision == "inconclusive":
        said += f": inconclusive, {outcome.reason}"
        if outcome.further is not None:
            said += f"; about {figures.counted(outcome.further, 'replication')} more would tell"
    return said


def _most(outcome: Judged) -> str:
    """What it is at most, or everywhere."""
    one = outcome.estimate
    if one.is_of_samples:
        return f"at most {_shown(one.pooled, one.unit)}"
    return _shown(one.mean, one.unit)


def _rows(rows: Iterable[Row]) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, style="bold"), text)
    return Padding(grid, (0, 0, 0, 1))


# --- while it is going on ----------------------------------------------------------------------------------------


class StudyLine:
    """A line that says how far a study is. Use it as a context, and hand it to ``replicate`` as ``progress``."""

    def __init__(self, *, colour: bool) -> None:
        # Only for somebody who watches: it takes a while to import.
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        self._bar: Bar = Bar(
            TextColumn("{task.completed:,.0f} of {task.fields[most]}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[told]}", markup=False),
            console=console(sys.stderr, colour=colour),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        """Start to draw."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        self._bar.stop()

    def __call__(self, at: Progress) -> None:
        """Note how far the study is, and draw it if it is time to."""
        now = time.perf_counter()
        if now - self._drawn_at < _REDRAW_SECONDS and at.done < at.most:
            return
        self._drawn_at = now
        most = f"{at.most:,}" if at.precision is None else f"at most {at.most:,}"
        told = "replications" if at.precision is None else printable(precise(at.precision))
        if self._task is None:
            self._task = self._bar.add_task("", total=at.most, most=most, told=told)
        self._bar.update(self._task, completed=at.done, total=at.most, most=most, told=told, refresh=True)
