"""The kill table: which bug was noticed after how many random scenarios, by what, and in how small a one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from simroom.oracle.verdict import INVARIANTS
from simroom.report import figures
from simroom.study.killing import Calm, Kill, Proof, Use, bank

SCENARIOS_TOLD: Final = 2
"""Of so few bugs the scenarios are shown too."""
TOLD_MAX: Final = 3
_STYLES: Final = {
    "passed": "bold white on green4",
    "failed": "bold white on red3",
    "interrupted": "bold black on yellow3",
}


def kill_table(proof: Proof, seconds: float) -> list[RenderableType]:
    """Everything that was found, the answer first.

    Args:
        proof: What was found.
        seconds: How long it took.
    """
    parts: list[RenderableType] = [_headline(proof, seconds), *_troubles(proof), Text(), _bugs(proof)]
    if len(proof.kills) + 1 == sum(1 for _ in bank()):  # of some bugs alone it would say nothing
        parts += [Text(), _invariants(proof.uses())]
    if len(proof.kills) <= SCENARIOS_TOLD:
        for kill in proof.kills:
            if kill.scenario is not None:
                text = Text(kill.scenario.rstrip(), no_wrap=True, overflow="ignore")
                parts += [Text(), Text(f"{kill.bug}:", style="bold"), text]
    return parts


def _headline(proof: Proof, seconds: float) -> Text:
    word = "interrupted" if not proof.complete else "passed" if proof.passed else "failed"
    text = Text(" ").append(f" {word.upper()} ", _STYLES[word])
    noticed = sum(kill.seed is not None for kill in proof.kills)
    text.append(f"  {noticed:,} of {figures.counted(len(proof.plan.bugs), 'bug')} noticed")
    text.append(f" · {len(proof.alarms):,} false alarms in {len(proof.calm):,} scenarios")
    return text.append(f" · {seconds:.0f} s")


def _troubles(proof: Proof) -> Iterable[Text]:
    """What must not be, each on its line."""
    for name in proof.missed:
        yield Text(f" ! {name} was not noticed", style="bold")
    for alarm in proof.alarms[:TOLD_MAX]:
        yield Text(f" ! an alarm with no bug: {_alarm(alarm)}", style="bold")
    if len(proof.alarms) > TOLD_MAX:
        yield Text(f" ! {len(proof.alarms) - TOLD_MAX:,} alarms more", style="bold")
    if proof.calm and not proof.canary_noticed:
        yield Text(" ! the canary, which loses every result, was not noticed", style="bold")


def _alarm(alarm: Calm) -> str:
    return f"seed {alarm.seed}: {', '.join(' '.join(sign) for sign in alarm.signature)}"


# --- the bugs ---


def _bugs(proof: Proof) -> RenderableType:
    numbers = {bug.name: bug.number for bug in bank()}
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True, min_width=2)
    grid.add_column(no_wrap=True, min_width=max(len(kill.bug) for kill in proof.kills) if proof.kills else 6)
    grid.add_column(justify="right", no_wrap=True, min_width=5)
    grid.add_column(overflow="fold")  # where much is breached at once, it takes two lines
    grid.add_column(justify="right", no_wrap=True, min_width=8)
    grid.add_row(*(Text(word, style="bold") for word in ("#", "Bug", "Seeds", "Noticed by", "Smallest")))
    for kill in proof.kills:
        grid.add_row(Text(str(numbers[kill.bug])), Text(kill.bug), *_fate(kill))
    if proof.calm:
        grid.add_row(Text(), Text("canary"), Text(), Text("noticed" if proof.canary_noticed else "NOT NOTICED"), Text())
    return Padding(grid, (0, 0, 0, 1))


def _fate(kill: Kill) -> tuple[Text, Text, Text]:
    if kill.seed is None:
        word = "survived, as it must" if not kill.missed else "SURVIVED"
        return Text(f"{kill.seeds:,}"), Text(word, style="bold"), Text(figures.ABSENT)
    shown = figures.ABSENT if kill.operations is None else f"{kill.operations:,}"
    return Text(f"{kill.seeds:,}"), Text(" ".join(kill.caught_by)), Text(shown)


# --- the invariants ---


def _invariants(uses: Sequence[Use]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(*(Text(word, style="bold") for word in ("Invariant", "Bugs", "Needed for")))
    for use in uses:
        grid.add_row(Text(_name(use.invariant)), Text(f"{use.caught:,}"), Text(needed_for(use)))
    return Padding(grid, (0, 0, 0, 1))


def _name(invariant: str) -> str:
    name = INVARIANTS[invariant]
    return f"{invariant} {name}" if len(name) <= len("fitting node") else invariant


def needed_for(use: Use) -> str:
    """Why an invariant is there: bugs that it alone notices, or scenarios in which it was the only one to."""
    if use.only:
        return f"alone notices {_listed(use.only)}"
    if use.alone:
        return f"the only one in some scenarios of {_listed(use.alone)}"
    return use.why or ("never alone" if use.caught else "nothing here breaches it")


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - TOLD_MAX
    return ", ".join(names[:TOLD_MAX]) + (f" and {rest:,} more" if rest > 0 else "")


# --- for the documentation ---


def bank_table() -> str:
    """The bank as a Markdown table: number, name, what is broken, and the invariants that must notice."""
    lines = ["| # | bug | what is broken | noticed by |", "| --- | --- | --- | --- |"]
    for bug in bank():
        what = f"{bug.what} Equivalent: {bug.equivalent}" if bug.equivalent else bug.what
        number = "canary" if bug.number == 0 else str(bug.number)
        told = " ".join(what.replace("``", "`").split())
        lines.append(f"| {number} | `{bug.name}` | {told} | {', '.join(bug.invariants)} |")
    return "\n".join(lines) + "\n"
