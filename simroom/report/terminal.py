"""What a run says on the terminal: the verdict first, then what broke, then the numbers, then what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom.oracle.ledger import JobEnd
from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.report import figures
from simroom.scenario.printable import printable
from simroom.study.conclusion import Conclusion
from simroom.study.expect import Outcome
from simroom.study.measures import DELIVERY_KINDS, MEASURES
from simroom.study.summary import Source, Timing
from simroom.study.table import Table, Tags

VIOLATIONS_TOLD: Final = 5
ROWS_TOLD: Final = 10
"""Languages, room sizes or node groups listed before the rest is left to the summary."""

_LABEL_WIDTH: Final = 13
_NAME_WIDTH: Final = 15
_STYLES: Final = {
    "passed": "bold white on green4",
    "failed": "bold white on red3",
    "inconclusive": "bold black on yellow3",
    "interrupted": "bold black on yellow3",
}
_LATENCY_ROWS: Final = (
    ("delivery", "delivery_latency"),
    ("  uplink", "uplink_time"),
    ("  waiting", "waiting_time"),
    ("  service", "service_time"),
    ("    asr", "asr_time"),
    ("    nmt", "nmt_time"),
    ("    tts", "tts_time"),
    ("  hold", "hold_time"),
    ("  downlink", "downlink_time"),
    ("fan-out skew", "fan_out_skew"),
    ("playback lag", "playback_lag"),
)
_STAGES: Final = ("asr_time", "nmt_time", "tts_time")
_STATS: Final = ("mean", "p50", "p90", "p95", "p99", "max")

Row = tuple[str, Text]
"""A label at the left edge (may be empty) and what stands beside it."""


class Written(Struct, frozen=True):
    """What a run left behind.

    Attributes:
        folder: The run folder.
        files: Names of the files in it, in order.
    """

    folder: Path
    files: tuple[str, ...]


class Next(Struct, frozen=True):
    """Commands that fit this run, as one types them.

    Attributes:
        again: Runs the same again.
        inspect: Shows what the scenario comes to.
        explain: Tells the story of the first violation; None: there is none that a command tells.
    """

    again: str
    inspect: str
    explain: str | None = None


def report(
    table: Table,
    conclusion: Conclusion,
    source: Source,
    spent: Timing,
    *,
    written: Written | None = None,
    following: Next | None = None,
) -> list[RenderableType]:
    """The whole report of a run.

    Args:
        table: The run.
        conclusion: What it comes to.
        source: Which scenario it was.
        spent: How long it took.
        written: What it left behind; None: nothing.
        following: What to type next; None: nothing to say about it.
    """
    parts: list[RenderableType] = [Text(), *headline(table, conclusion, source, spent)]
    parts += _violations(table)
    parts += [Text(), _rows([*_fan_out(table), *_faults(table), *_jobs(table)])]
    steady = conclusion.steadiness
    if table.run.ledger.delivery_count:
        parts += [Text(), _rows(_at_least(table)) if steady.is_overloaded else _latencies(table)]
    parts += [
        Text(),
        _rows([*_playback(table), *_nodes(table, steady.word), *_expectations(conclusion.outcomes, source)]),
    ]
    violated = bool(table.run.verdict.violations)
    ending = [*_written(written), *_following(conclusion, following, violated=violated)]
    if ending:
        parts += [_rows(ending)]
    return [*parts, Text()]


# --- the verdict -------------------------------------------------------------------------------------------------


def headline(table: Table, conclusion: Conclusion, source: Source, spent: Timing) -> list[RenderableType]:
    """The word, why, which run it is, and what must not be overlooked."""
    run = table.run
    first = Text(" ")
    first.append(f" {conclusion.word.upper()} ", style=_STYLES[conclusion.word])
    first.append(" ")
    name = printable(source.name or source.stem)
    if run.scenario.bug is not None:
        name += f" · with the bug {run.scenario.bug}"
    title = Text(f"seed {run.seed} · {figures.long_time(max(0, run.ended_at - run.time_zero))} simulated")
    title.append(f" in {spent.wall_seconds:.1f} s")
    if spent.speed is not None:
        title.append(f" ({spent.speed:,.0f}{figures.TIMES})")
    if run.interrupted:
        title.append(" · PARTIAL", style="bold")
    if not conclusion.reasons:
        fits = len(first) + len(name) + len(title) + 3 <= 80
        lines = [first.append(name).append(" · ").append_text(title)] if fits else [first.append(name), _under(title)]
    else:
        reasons = [printable(reason) for reason in conclusion.reasons]
        lines = [first.append(reasons[0], style="bold"), *(Text(f"   {reason}") for reason in reasons[1:])]
        lines.append(Text(f"   {name} · ").append_text(title))
    if not conclusion.warnings:
        return list(lines)
    grid = Grid.grid()
    grid.add_column(width=3, no_wrap=True)
    grid.add_column(overflow="fold")
    for warning in conclusion.warnings:
        grid.add_row(Text(" !", style="bold"), Text(printable(warning), style="bold"))
    return [*lines, grid]


def _under(text: Text) -> Text:
    return Text("   ").append_text(text)


def _violations(table: Table) -> list[RenderableType]:
    verdict = table.run.verdict
    told = verdict.violations[:VIOLATIONS_TOLD]
    if not told:
        return []
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for violation in told:
        name = INVARIANTS.get(violation.invariant, violation.kind)
        # The longer names would leave too little room for the sentence beside them.
        key = f"{violation.invariant} {name}" if len(name) <= _LABEL_WIDTH else violation.invariant
        at = figures.clock(violation.at - table.run.time_zero)
        grid.add_row(Text(printable(key), style="bold"), Text(at), _told(violation))
    rest = verdict.violation_count - len(told)
    if rest > 0:
        grid.add_row(Text(f"{rest:,} more"), Text(), Text("the first ones are told in summary.json"))
    return [Text(), Padding(grid, (0, 0, 0, 3))]


def _told(violation: Violation) -> Text:
    """Whose speech, into what, what happened; and beneath it who and what else it is about."""
    about = ""
    if violation.speaker is not None:
        about = violation.speaker
        about += f" #{violation.utterance_index}" if violation.utterance_index is not None else ""
        about += f" → {violation.language}" if violation.language is not None else ""
        about += ": "
    text = Text(printable(about + violation.what))
    details = [
        f"{name} {value}"
        for name, value in (("room", violation.room), ("job", violation.job_id), ("node", violation.node))
        if value is not None
    ]
    if violation.recipients:
        shown = ", ".join(violation.recipients[:VIOLATIONS_TOLD])
        rest = len(violation.recipients) - VIOLATIONS_TOLD
        details.append(f"for {shown}" + (f" and {rest:,} more" if rest > 0 else ""))
    if details:
        text.append("\n" + printable(" · ".join(details)), style="dim")
    return text


# --- counts ------------------------------------------------------------------------------------------------------


def _fan_out(table: Table) -> Iterable[Row]:
    verdict = table.run.verdict
    utterances, jobs, deliveries = (int(_value(table, name)) for name in ("utterances", "jobs", "deliveries"))
    counted = figures.counted
    spread = (
        counted(utterances, "utterance"),
        counted(jobs, "job"),
        counted(deliveries, "delivery", "deliveries"),
    )
    yield "Fan-out", Text(" → ".join(spread))
    unspoken = table.run.unspoken
    if unspoken:
        yield "", Text(f"{unspoken:,} more unspoken: the speaker had no session when the speech would have ended")
    line = Text()
    for kind in DELIVERY_KINDS:
        number = verdict.counts.get(kind, 0)
        line.append(" · " if line else "")
        line.append(f"{kind.replace('_', ' ')} {number:,}", style="bold red" if number else "")
    for kind, number in verdict.counts.items():
        if kind not in DELIVERY_KINDS and number:
            line.append(f" · {printable(kind.replace('_', ' '))} {number:,}", style="bold red")
    yield "", line
    judged = [key for key in INVARIANTS if verdict.judgements.get(key, 0)]
    never = [key for key in INVARIANTS if key not in judged]
    total = sum(verdict.judgements.values())
    line = Text(f"{counted(len(judged), 'invariant')}, {counted(total, 'judgement')}")
    if never:
        line.append(f" · never judged: {', '.join(never)}", style="dim")
    yield "", line


def _faults(table: Table) -> Iterable[Row]:
    """How often each fault struck, those that are called alike together."""
    counts: dict[str, int] = {}
    for use in table.run.faults:
        counts[use.label] = counts.get(use.label, 0) + use.fired_count
    told = [f"{printable(label)} {count:,}{figures.TIMES}" for label, count in list(counts.items())[:ROWS_TOLD]]
    if len(counts) > ROWS_TOLD:
        told.append(f"{len(counts) - ROWS_TOLD:,} more")
    if told:
        yield "Faults", Text(" · ".join(told))


def _jobs(table: Table) -> Iterable[Row]:
    verdict = table.run.verdict
    line = Text()
    for end in JobEnd:
        name = end.name.lower()
        number = int(_value(table, f"jobs.{name}"))
        if number == 0 and end is not JobEnd.DELIVERED:
            continue
        line.append(" · " if line else "")
        line.append(f"{name.replace('_', ' ')} {number:,}")
    yield "Jobs", line
    if verdict.refusals:
        reasons = sorted(verdict.refusals.items(), key=lambda item: (-item[1], item[0]))
        total = sum(verdict.refusals.values())
        listed = ", ".join(f"{printable(reason)} {number:,}" for reason, number in reasons)
        yield "", Text(f"no node for {total:,}: {listed}")
    if any(verdict.uncounted.values()):
        listed = " · ".join(f"{printable(why)} {number:,}" for why, number in verdict.uncounted.items() if number)
        yield "", Text(f"results that counted for nothing: {listed}")


def _value(table: Table, name: str, stat: str | None = None, tags: Tags | None = None) -> int:
    value = MEASURES[name].compute(table, tags or {})[stat]
    return 0 if value is None else round(value)


# --- times -------------------------------------------------------------------------------------------------------


def _latencies(table: Table) -> RenderableType:
    """Latencies and their parts, by language and by room size, in one unit so that rows compare."""
    whole = MEASURES["delivery_latency"].compute(table, {})
    largest = whole["max"]
    # Below a second in all, hundredths of a second would hide what differs.
    unit, scale, places = ("ms", 1_000, 1) if largest is not None and largest < 1_000_000 else ("s", 1_000_000, 3)
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=_NAME_WIDTH, no_wrap=True, overflow="ellipsis")
    for _ in (*_STATS, "n"):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row(Text(f"Latency, {unit}", style="bold"), *(Text(stat, style="bold") for stat in (*_STATS, "n")))

    def add(label: str, measure: str, tags: Tags) -> None:
        values = MEASURES[measure].compute(table, tags)
        times = (values[stat] for stat in _STATS)
        shown = (figures.ABSENT if span is None else _span(float(span) / scale, places) for span in times)
        grid.add_row(Text(label), *(Text(text) for text in shown), Text(f"{values['n'] or 0:,}"))

    # A service that is drawn whole has no stages to show.
    staged = any(MEASURES[stage].compute(table, {})["max"] for stage in _STAGES[1:])
    for label, measure in _LATENCY_ROWS:
        if staged or measure not in _STAGES:
            add(label, measure, {})
    for tag, title in (("language", "by language"), ("room_size", "by room size"), ("mode", "by mode")):
        values = _heard(table, tag)
        if len(values) > 1:
            grid.add_row(Text(title, style="bold"))
            for value in values[:ROWS_TOLD]:
                add(f"  {printable(value)}", "delivery_latency", {tag: value})
            if len(values) > ROWS_TOLD:
                grid.add_row(Text(f"  {len(values) - ROWS_TOLD:,} more"))
    outer = Grid.grid()
    outer.add_row(grid)
    outer.add_row(Text(_warm_up_note(table), style="dim"))
    outer.add_row(Text("a single run has no interval: --replications 20 gives every figure one", style="dim"))
    return Padding(outer, (0, 0, 0, 1))


def _at_least(table: Table) -> Iterable[Row]:
    """What latencies are at least, in a run that was overloaded: it has none of its own."""
    label = "OVERLOADED"
    for name in ("delivery_latency", "waiting_time"):
        values = MEASURES[name].compute(table, {})
        spans = ((stat, values[stat]) for stat in ("mean", "p50", "p95", "max"))
        told = " · ".join(f"{stat} {figures.time(span)}" for stat, span in spans if span is not None)
        yield label, Text(f"{name} at least {told}")
        label = ""
    yield "", Text("the longer the run, the longer they get", style="dim")


def _span(value: float, places: int) -> str:
    """A span for the table; one of four digits and more needs no decimals, and would leave no room for the count."""
    return f"{value:,.{places}f}" if value < 1_000 else f"{value:,.0f}"


def _warm_up_note(table: Table) -> str:
    warm_up = table.run.scenario.warm_up
    cut = f"utterances that ended after {figures.long_time(warm_up)} of warm-up" if warm_up else "all utterances"
    return f"one sample a delivery, of {cut}; from the planned end of the speech; nearest-rank quantiles"


def _heard(table: Table, tag: str) -> list[str]:
    """The values of a tag in which something was delivered."""
    return [value for value in table.known(tag) if table.mask("delivery", {tag: value}).any()]


def _playback(table: Table) -> Iterable[Row]:
    longest = MEASURES["playback_queue"].compute(table, {})["max"]
    if longest is None:
        return
    waiting = f"at most {figures.counted(round(longest), 'result')} waiting at one listener"
    yield "Playback", Text(waiting if longest else "every result was heard as it came")


# --- nodes, expectations, what next ------------------------------------------------------------------------------


def _nodes(table: Table, word: str) -> Iterable[Row]:
    groups = table.known("node")
    label = "Nodes"
    for group in groups[:ROWS_TOLD]:
        shares = MEASURES["nodes.utilisation"].compute(table, {"node": group})
        text = Text(f"{_value(table, 'nodes.count', tags={'node': group}):,} {printable(group)}: ")
        if shares["mean"] is None:
            text.append("nothing measured")
        else:
            text.append(f"{figures.share(shares['mean'])} busy")
            low, high = shares["min"], shares["max"]
            if low is not None and high is not None:
                text.append(f" (min {figures.share(low)}, max {figures.share(high)})")
        if group == groups[:ROWS_TOLD][-1] and word != "unknown":
            text.append(f" · {word}", style="bold red" if word == "overloaded" else "")
        yield label, text
        label = ""
    if len(groups) > ROWS_TOLD:
        yield "", Text(f"{len(groups) - ROWS_TOLD:,} groups more")
    if not groups:
        yield label, Text("none")


def _expectations(outcomes: Sequence[Outcome], source: Source) -> Iterable[Row]:
    label = "Expectations"
    for outcome in outcomes:
        expectation = outcome.expectation
        text = Text()
        text.append("✓ " if outcome.passed else "✗ ", style="green" if outcome.passed else "bold red")
        text.append(printable(expectation.text), style="" if outcome.passed else "bold")
        text.append("   ", style="")
        if outcome.reason is not None:
            text.append(printable(outcome.reason))
        elif outcome.value is not None:
            shown = figures.exact if not outcome.passed else figures.value
            text.append(f"is {shown(outcome.value, expectation.unit)}")
        if not outcome.passed and expectation.line is not None:
            text.append(f"   ({printable(source.file)}:{expectation.line})")
        yield label, text
        label = ""


def _written(written: Written | None) -> Iterable[Row]:
    if written is not None:
        yield "Written", Text(f"{printable(str(written.folder))}/  {'  '.join(written.files)}")


def _following(conclusion: Conclusion, following: Next | None, *, violated: bool) -> Iterable[Row]:
    if following is None:
        return
    commands = [following.inspect if conclusion.word == "passed" else following.again]
    if violated and following.explain is not None:
        commands.insert(0, following.explain)
    label = "Next"
    for command in commands:
        if printable(command) == command:
            yield label, Text(command)
            label = ""


def _rows(rows: Iterable[Row]) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, style="bold"), text)
    return Padding(grid, (0, 0, 0, 1))
