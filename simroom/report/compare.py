"""What a comparison says: the first decision in which two runs differ, what moved, and what is better or worse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom import __version__
from simroom.report import figures
from simroom.scenario.printable import printable, shortened
from simroom.study.compare import Comparison, Decision, Deliveries, Jobs, Way, What, fork
from simroom.study.difference import Difference, DifferenceWord
from simroom.study.life import Life, Step
from simroom.study.routes import Route
from simroom.study.summary import SCHEMA_VERSION
from simroom.study.trail import Verdicts

STEPS_TOLD: Final = 14
"""Steps told of each life from where the two part, and ``BEFORE_TOLD`` of what they have in common."""
BEFORE_TOLD: Final = 3
DECISIONS_TOLD: Final = 5
MOVED_TOLD: Final = 5
SAME_TOLD: Final = 12
_STYLES: Final = {
    "worse": "bold white on red3",
    "inconclusive": "bold black on yellow3",
    "different": "bold black on cyan3",
    "same": "bold white on green4",
}
_ABOUT: Final[dict[What, str]] = {
    "job": "which jobs an utterance makes",
    "selection": "where a job runs",
    "end": "how a job ends",
    "routing": "whom a result reaches",
}
_HEADS: Final[dict[DifferenceWord, str]] = {
    "worse": "Worse",
    "inconclusive": "Perhaps worse",
    "unknown": "Other",
    "better": "Better",
    "same": "No worse",
}
_LABEL_WIDTH: Final = 13


def report(found: Comparison) -> list[RenderableType]:
    """The whole report."""
    parts: list[RenderableType] = [Text(), *_headline(found)]
    for note in found.notes:
        parts.append(Padding(Text(f"· {printable(note)}", style="dim"), (0, 0, 0, 3)))
    runs = found.runs
    if runs is not None and runs.first is not None:
        parts += [Text(), *_first(runs.first, found)]
        parts += [Text(), *_more(runs.decisions[1:], runs.decision_count)]
    if runs is not None:
        parts += [_rows([*_jobs(runs.jobs), *_deliveries(runs.deliveries)])]
    parts += [Text(), *_differences(found)]
    return [*parts, Text()]


def _headline(found: Comparison) -> list[RenderableType]:
    line = Text(" ")
    line.append(f" {found.word.upper()} ", style=_STYLES[found.word])
    line.append(f" {_said(found)}")
    return [line, *_ways(found)]


def _said(found: Comparison) -> str:
    if found.word == "same":
        return "the same was decided about every job, and everybody got the same at the same time"
    if found.runs is None:
        return "compared by figures only"
    count = found.runs.decision_count
    if count == 0:
        return "the same was decided about every job, at other times"
    return f"{figures.counted(count, 'decision')} came out otherwise"


def _ways(found: Comparison) -> list[RenderableType]:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for name, way in (("before", found.before), ("after", found.after)):
        told = f"{way.verdict}, {figures.counted(way.violations, 'violation')}, seed {way.seed}"
        grid.add_row(Text(name, style="bold"), Text(printable(way.label)), Text(printable(told), style="dim"))
    return [Padding(grid, (0, 0, 0, 3))]


# --- the first difference ----------------------------------------------------------------------------------------


def _first(first: Decision, found: Comparison) -> list[RenderableType]:
    route = first.route
    head = Text(" ")
    head.append("First difference", style="bold")
    head.append(f"  {figures.clock(first.at)} ")
    head.append(printable(f"{route.speaker} #{route.index} → {route.language}"), style="bold")
    head.append(f": {_ABOUT[first.what]}")
    parts: list[RenderableType] = [head]
    before, after = found.lives
    if before is None or after is None:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, one in (("before", first.before), ("after", first.after)):
            grid.add_row(Text(name, style="bold"), Text(printable(_outcome(one))))
        parts.append(Padding(grid, (0, 0, 0, 3)))
        parts += _one_life(before, after)
        return parts
    return [*parts, *_fork(before, after)]


def _outcome(route: Route | None) -> str:
    return "no such job" if route is None else ", ".join(route.told[1:])


def _one_life(before: Life | None, after: Life | None) -> list[RenderableType]:
    """What can be told of the one side that can be run again."""
    for name, life in (("before", before), ("after", after)):
        if life is not None:
            return [Text(f"   {name}:", style="bold"), _steps(life.steps[:STEPS_TOLD])]
    return []


def _fork(before: Life, after: Life) -> list[RenderableType]:
    parted = fork(before, after)
    parts: list[RenderableType] = []
    left_out = len(parted.common) - BEFORE_TOLD
    if left_out > 0:
        parts.append(Text(f"   {figures.counted(left_out, 'step')} in common", style="dim"))
    parts.append(_steps(parted.common[-BEFORE_TOLD:]))
    for name, steps in (("before", parted.before), ("after", parted.after)):
        parts.append(Text(f"   {name}:", style="bold"))
        parts.append(_steps(steps[:STEPS_TOLD]) if steps else Text("      nothing more"))
        if len(steps) > STEPS_TOLD:
            parts.append(Text(f"      {figures.counted(len(steps) - STEPS_TOLD, 'step')} more", style="dim"))
    return parts


def _steps(steps: Iterable[Step]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, max_width=14, overflow="ellipsis")
    grid.add_column(overflow="fold")
    for step in steps:
        text = Text("! " if step.wrong else "", style="bold red" if step.wrong else "")
        text.append(printable(step.what))
        if step.rule is not None:
            text.append(f"  [{printable(step.rule)}]", style="dim")
        if step.verdicts is not None:
            text.append("\n" + _verdicts(step.verdicts), style="dim")
        grid.add_row(Text(figures.clock(step.at)), Text(printable(step.about), style="bold"), text)
    return Padding(grid, (0, 0, 0, 3))


def _verdicts(verdicts: Verdicts) -> str:
    told = []
    for node in verdicts.shown:
        why = node.exclude_reason.value if node.exclude_reason is not None else "fits"
        said = f"{node.node_id} {node.jobs}/{node.slots} {why if not node.chosen else 'gets it'}"
        told.append(printable(said))
    rest = verdicts.nodes - len(verdicts.shown)
    return " · ".join(told) + (f" · {rest:,} more nodes" if rest > 0 else "")


def _more(decisions: Sequence[Decision], count: int) -> list[RenderableType]:
    if not decisions:
        return []
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for one in decisions[:DECISIONS_TOLD]:
        route = one.route
        job = printable(f"{route.speaker} #{route.index} → {route.language}")
        part = {"job": slice(1, 3), "selection": slice(1, 2), "end": slice(2, 3), "routing": slice(2, 3)}[one.what]
        was = "no such job" if one.before is None else ", ".join(one.before.told[part])
        now = "no such job" if one.after is None else ", ".join(one.after.told[part])
        grid.add_row(Text(figures.clock(one.at)), Text(job), Text(printable(f"{was} → {now}")))
    rest = count - 1 - min(len(decisions), DECISIONS_TOLD)
    if rest > 0:
        grid.add_row(Text(), Text(f"{rest:,} more", style="dim"), Text())
    return [Text(" Then", style="bold"), Padding(grid, (0, 0, 1, 3))]


# --- what moved --------------------------------------------------------------------------------------------------


def _jobs(jobs: Jobs) -> Iterable[tuple[str, str]]:
    told = [f"{jobs.both:,} in both"]
    for count, what in (
        (jobs.elsewhere, "ran elsewhere"),
        (jobs.ended_otherwise, "ended otherwise"),
        (jobs.only_before, "only before"),
        (jobs.only_after, "only after"),
    ):
        if count:
            told.append(f"{count:,} {what}")
    yield "Jobs", " · ".join(told)


def _deliveries(deliveries: Deliveries) -> Iterable[tuple[str, str]]:
    told = [f"{deliveries.both:,} in both"]
    for count, what in (
        (deliveries.only_before, "only before"),
        (deliveries.only_after, "only after"),
        (deliveries.earlier, "earlier"),
        (deliveries.later, "later"),
    ):
        if count:
            told.append(f"{count:,} {what}")
    if deliveries.mean_shift is not None and (deliveries.earlier or deliveries.later):
        told.append(f"on average {_shift(round(deliveries.mean_shift))}")
    yield "Deliveries", " · ".join(told)
    for one in deliveries.most[:MOVED_TOLD]:
        name = shortened(one.recipient, 30)
        yield "", printable(f"{_shift(one.shift)}: {one.route.speaker} #{one.route.index} → {name}")


def _shift(shift: int) -> str:
    if shift == 0:
        return "no later"
    return f"{figures.time(abs(shift))} {'later' if shift > 0 else 'earlier'}"


def _rows(rows: Iterable[tuple[str, str]]) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, style="bold"), Text(text))
    return Padding(grid, (0, 0, 0, 1))


# --- figures -----------------------------------------------------------------------------------------------------


def _differences(found: Comparison) -> list[RenderableType]:
    count = len(found.seeds)
    if not count:
        return []
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    same = [one for one in found.differences if one.word == "same" and one.before == one.after]
    label: str | None = None
    for one in found.differences:
        if one in same:
            continue
        head = _HEADS[one.word]
        grid.add_row(Text(head if head != label else "", style=_style(one)), _figure(one))
        label = head
    if same:
        names = ", ".join(one.goal.name for one in same[:SAME_TOLD])
        grid.add_row(Text("Unchanged", style="bold"), Text(printable(names), style="dim"))
    head = f" after less before, over {figures.counted(count, 'seed')}"
    return [Text(head, style="dim"), Padding(grid, (0, 0, 0, 1))]


def _style(one: Difference) -> str:
    return {"worse": "bold red", "better": "bold green"}.get(one.word, "bold")


def _figure(one: Difference) -> Text:
    text = Text(printable(one.goal.name), style="bold")
    text.append(f"  {one.told}", style="not bold")
    return text


# --- JSON --------------------------------------------------------------------------------------------------------


def content(found: Comparison, outcome: int) -> dict[str, Any]:
    """A comparison as plain values in a stated order.

    Args:
        found: It.
        outcome: The exit code.
    """
    runs = found.runs
    return {
        "schema_version": SCHEMA_VERSION,
        "simroom": __version__,
        "kind": "comparison",
        "verdict": found.word,
        "exit_code": outcome,
        "before": _way(found.before),
        "after": _way(found.after),
        "seeds": list(found.seeds),
        "notes": list(found.notes),
        "first_difference": None if runs is None or runs.first is None else _decision(runs.first),
        "differences_in_decisions": None if runs is None else runs.decision_count,
        "decisions": [] if runs is None else [_decision(one) for one in runs.decisions],
        "jobs": None if runs is None else msgspec.to_builtins(runs.jobs),
        "deliveries": None if runs is None else _moved(runs.deliveries),
        "figures": [_difference(one) for one in found.differences],
    }


def _way(way: Way) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(way)
    return found


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "at_us": one.at,
        "what": one.what,
        "speaker": one.route.speaker,
        "utterance_index": one.route.index,
        "language": one.route.language,
        "before": _route(one.before),
        "after": _route(one.after),
    }


def _route(route: Route | None) -> dict[str, Any] | None:
    if route is None:
        return None
    return {
        "node": route.node,
        "attempts": route.attempts,
        "end": route.end,
        "ended_at_us": route.ended_at,
        "recipients": list(route.recipients),
    }


def _moved(deliveries: Deliveries) -> dict[str, Any]:
    return {
        "both": deliveries.both,
        "only_before": deliveries.only_before,
        "only_after": deliveries.only_after,
        "earlier": deliveries.earlier,
        "later": deliveries.later,
        "mean_shift_us": None if deliveries.mean_shift is None else round(deliveries.mean_shift),
        "most": [
            {
                "speaker": one.route.speaker,
                "utterance_index": one.route.index,
                "language": one.route.language,
                "recipient": one.recipient,
                "shift_us": one.shift,
            }
            for one in deliveries.most
        ],
    }


def _difference(one: Difference) -> dict[str, Any]:
    around = one.around
    return {
        "name": one.goal.name,
        "unit": one.goal.unit,
        "wanted": one.goal.wanted,
        "verdict": one.word,
        "before": one.before,
        "after": one.after,
        "low": None if around is None else around.low,
        "high": None if around is None else around.high,
        "confidence": None if around is None else around.confidence,
        "margin": one.margin,
        "seeds": one.pairs,
        "further_seeds": one.further,
        "told": one.told,
    }
