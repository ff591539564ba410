"""A story on the terminal: the life of an utterance, somebody at an instant, or where a job would go.

One line a step, in time order, with the rule that decided behind it. Every name is made printable on its way here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.report import figures
from simroom.scenario.printable import printable, shortened
from simroom.scheduler.selection import NodeVerdict
from simroom.study.dry_run import Answer, Job
from simroom.study.explain import Explanation
from simroom.study.life import Absence, JobLife, Life, Receipt, Step
from simroom.study.stay import Stay
from simroom.study.trail import Verdicts
from simroom.study.words import listed

RECEIPTS_TOLD: Final = 12
NODES_TOLD: Final = 40
"""Nodes of a dry run that are listed one by one; the others are counted."""
_NAME_MAX: Final = 16
_PARTS: Final = (
    ("uplink", ("uplink_time",)),
    ("waiting", ("waiting_time",)),
    ("service", ("asr_time", "nmt_time", "tts_time")),
    ("hold", ("hold_time",)),
    ("downlink", ("downlink_time",)),
)


def story(said: Explanation, time_zero: int) -> list[RenderableType]:
    """The whole story.

    Args:
        said: What there is to say.
        time_zero: The scenario's time 0 on the engine's clock.
    """
    parts: list[RenderableType] = [Text()]
    if said.violation is not None:
        parts += [*_violation(said.violation, time_zero), Text()]
    if said.halted is not None:
        halted = Text(printable(f"! The run could not go on: {said.halted}. What had happened until then is told."))
        parts += [Padding(halted, (0, 0, 0, 1)), Text()]
    if said.life is not None:
        parts += _life(said.life, said.seed)
    elif said.stay is not None:
        parts += _stay(said.stay, said.seed)
    else:
        parts.append(Text(" It is about no one utterance and nobody in particular: there is no more to tell."))
    return [*parts, Text()]


def _violation(violation: Violation, time_zero: int) -> list[RenderableType]:
    name = INVARIANTS.get(violation.invariant, violation.kind)
    first = Text()
    first.append(f" {violation.invariant} ", style="bold white on red3")
    first.append(f" {name} · {figures.clock(violation.at - time_zero)} · ")
    first.append(printable(violation.what), style="bold")
    details = [
        f"{key} {value}"
        for key, value in (
            ("room", violation.room),
            ("speaker", violation.speaker),
            ("into", violation.language),
            ("job", violation.job_id),
            ("node", violation.node),
        )
        if value is not None
    ]
    if violation.recipients:
        details.append(f"for {listed(violation.recipients)}")
    parts: list[RenderableType] = [Padding(first, (0, 0, 0, 1))]
    if details:
        parts.append(Padding(Text(printable(" · ".join(details)), style="dim"), (0, 0, 0, 3)))
    return parts


# --- an utterance ------------------------------------------------------------------------------------------------


def _life(life: Life, seed: int) -> list[RenderableType]:
    where = "" if life.room is None else f" · room {life.room}"
    spoken = figures.time(life.ended_at - life.started_at)
    first = Text()
    first.append(printable(f"{life.speaker} #{life.utterance_index}"), style="bold")
    first.append(printable(f" · {life.src_lang}, {spoken} of speech{where} · seed {seed}"))
    parts: list[RenderableType] = [Padding(first, (0, 0, 0, 1))]
    parts += [Padding(Text(_fate(job, life.receipts)), (0, 0, 0, 3)) for job in life.jobs]
    parts += [Text(), _steps(life.steps)]
    if life.receipts:
        parts += [Text(), _receipts(life.receipts, life.receipt_count)]
    if life.absences:
        parts += [Text(), *_absences(life.absences)]
    return parts + _notes(life.notes)


def _fate(job: JobLife, receipts: Sequence[Receipt]) -> str:
    reached = sum(receipt.language == job.language for receipt in receipts)
    end = "unknown to the oracle" if job.end is None else job.end.replace("_", " ")
    if job.end == "delivered":
        end += f" to {reached:,}"
    return printable(f"{job.label}: {end}")


def _steps(steps: Iterable[Step]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, max_width=_NAME_MAX, overflow="ellipsis")
    grid.add_column(overflow="fold")
    for step in steps:
        text = Text("! " if step.wrong else "", style="bold red" if step.wrong else "")
        text.append(printable(step.what))
        if step.rule is not None:
            text.append(f"  [{printable(step.rule)}]", style="dim")
        grid.add_row(Text(figures.clock(step.at)), Text(printable(step.about), style="bold"), text)
        if step.verdicts is not None:
            grid.add_row(Text(), Text(), _verdicts(step.verdicts))
    return Padding(grid, (0, 0, 0, 1))


def _verdicts(verdicts: Verdicts) -> RenderableType:
    grid = _nodes(verdicts.shown)
    rest = verdicts.nodes - len(verdicts.shown)
    if rest > 0:
        counts = [f"{verdicts.fit:,} fit"] + [f"{count:,} {reason}" for reason, count in verdicts.reasons.items()]
        grid.add_row(Text(f"{rest:,} more", style="dim"), Text(), Text(f"of all: {', '.join(counts)}", style="dim"))
    if not verdicts.nodes:
        grid.add_row(Text("no node", style="dim"), Text(), Text())
    return Padding(grid, (0, 0, 0, 2))


def _nodes(nodes: Iterable[NodeVerdict]) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, max_width=_NAME_MAX, overflow="ellipsis")
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    for node in nodes:
        style = "bold" if node.chosen else "dim"
        if node.exclude_reason is not None:
            said = node.exclude_reason.value
            if said == "STATUS_NOT_READY":
                said += f" ({node.status.value})"
            said += ", and gets it" if node.chosen else ""
        else:
            said = "gets it" if node.chosen else "fits"
        load = Text(f"{node.jobs:,}/{node.slots:,}", style=style)
        grid.add_row(Text(printable(node.node_id), style=style), load, Text(said, style=style))
    return grid


def _receipts(receipts: Sequence[Receipt], count: int) -> RenderableType:
    """Who got it, and the parts of each latency, which add up."""
    slowest = max(receipt.latency for receipt in receipts)
    unit, scale, places = ("ms", 1_000, 1) if slowest < 1_000_000 else ("s", 1_000_000, 3)
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, max_width=_NAME_MAX, overflow="ellipsis")
    grid.add_column(no_wrap=True, max_width=10, overflow="ellipsis")
    grid.add_column(no_wrap=True)
    for _ in range(len(_PARTS) + 1):
        grid.add_column(justify="right", no_wrap=True)
    heads = ("Who got it", "", "when", f"after, {unit}", *(label for label, _ in _PARTS))
    grid.add_row(*(Text(head, style="bold") for head in heads))
    for receipt in receipts[:RECEIPTS_TOLD]:
        row = [
            Text(printable(_short(receipt.recipient))),
            Text(printable(receipt.language)),
            Text(figures.clock(receipt.arrived_at)),
            Text(f"{receipt.latency / scale:,.{places}f}"),
        ]
        for _, names in _PARTS:
            known = receipt.parts is not None
            whole = sum(receipt.parts[name] for name in names) if receipt.parts is not None else 0
            row.append(Text(f"{whole / scale:,.{places}f}" if known else figures.ABSENT))
        grid.add_row(*row)
    if count > RECEIPTS_TOLD:
        last = receipts[-1]
        grid.add_row(Text(f"{count - RECEIPTS_TOLD:,} more"), Text(), Text(figures.clock(last.arrived_at)))
    return Padding(grid, (0, 0, 0, 1))


def _short(name: str) -> str:
    """Somebody's own name, without that of the room."""
    return name.rpartition("/")[2] or name


def _absences(absences: Sequence[Absence]) -> list[RenderableType]:
    """Who did not get it, those with the same reason together."""
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, max_width=_NAME_MAX, overflow="ellipsis")
    grid.add_column(overflow="fold")
    grouped: dict[tuple[str, str, bool], list[str]] = {}
    for absence in absences:
        label = absence.language if absence.job_id is None else f"{absence.language} {absence.job_id}"
        grouped.setdefault((label, absence.why, absence.wrong), []).append(_short(absence.name))
    before = None
    for (label, why, wrong), names in grouped.items():
        text = Text("! " if wrong else "", style="bold red" if wrong else "")
        text.append(printable(f"{listed(names)}: {why}"))
        grid.add_row(Text(printable(label) if label != before else ""), text)
        before = label
    return [Text(" Who did not", style="bold"), Padding(grid, (0, 0, 0, 1))]


def _notes(notes: Sequence[str]) -> list[RenderableType]:
    return [Text(), *(Padding(Text(printable(note), style="dim"), (0, 0, 0, 1)) for note in notes)] if notes else []


# --- somebody at an instant --------------------------------------------------------------------------------------


def _stay(stay: Stay, seed: int) -> list[RenderableType]:
    first = Text()
    first.append(printable(stay.name), style="bold")
    first.append(f" at {figures.clock(stay.at)} · seed {seed}")
    lines = [_presence(stay)]
    if stay.others:
        others = [
            f"{_short(seat.name)} {seat.lang or 'no language'}{'' if seat.connected else ' (not connected)'}"
            for seat in stay.others
        ]
        lines.append(f"with {listed(others, 12)}")
    parts: list[RenderableType] = [Padding(first, (0, 0, 0, 1))]
    parts += [Padding(Text(printable(line)), (0, 0, 0, 3)) for line in lines]
    parts += [Text(), _steps(stay.steps) if stay.steps else Text(" nothing was said to them or near them around then")]
    return parts + _notes(stay.notes)


def _presence(stay: Stay) -> str:
    if not stay.in_session:
        return "no session"
    online = "connected" if stay.connected else "not connected, the session is kept"
    if not stay.room_size:
        return f"{online} · in no room"
    named = "a room" if stay.room is None else f"room {stay.room}"
    prefers = "no preferred_lang" if stay.lang is None else f"prefers {stay.lang}"
    return f"{online} · in {named} · {prefers}"


# --- a dry run ---------------------------------------------------------------------------------------------------


def dry_run(answer: Answer, job: Job, seed: int) -> list[RenderableType]:
    """Where a job would go, and every node's verdict."""
    who = "" if job.session is None else f" for {job.session}"
    where = "" if job.room is None else f" in {job.room}"
    first = Text()
    first.append(printable(f"{answer.src_lang} → {answer.tgt_lang}"), style="bold")
    first.append(printable(f"{who}{where} at {figures.clock(job.at)} · seed {seed}"))
    if answer.chosen is None:
        second = Text(f"nowhere: {answer.refusal}", style="bold")
    else:
        second = Text(printable(f"would go to {shortened(answer.chosen)}"), style="bold")
    second.append(f"  [{printable(answer.why)}]", style="dim")
    parts: list[RenderableType] = [Text(), Padding(first, (0, 0, 0, 1)), Padding(second, (0, 0, 0, 3)), Text()]
    shown = answer.nodes[:NODES_TOLD]
    if not any(node.chosen for node in shown):
        shown = (*shown[: NODES_TOLD - 1], *(node for node in answer.nodes if node.chosen))
    grid = _nodes(shown)
    rest = answer.nodes[len(shown) :]
    if rest:
        reasons: dict[str, int] = {}
        for node in answer.nodes:
            said = "fit" if node.exclude_reason is None else node.exclude_reason.value
            reasons[said] = reasons.get(said, 0) + 1
        counts = ", ".join(f"{count:,} {said}" for said, count in reasons.items())
        grid.add_row(Text(f"{len(rest):,} more", style="dim"), Text(), Text(f"of all: {counts}", style="dim"))
    if not answer.nodes:
        grid.add_row(Text("there is no node"), Text(), Text())
    return [*parts, Padding(grid, (0, 0, 0, 3)), *_notes(answer.notes), Text()]
