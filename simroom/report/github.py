"""What GitHub Actions shows of a check: annotations on the lines that are at fault, and a summary of the step.

The log of a step is read for commands, so whatever a scenario brings into it must not look like one: all but our own is
printed between ``::stop-commands::`` and its token, and our own commands are escaped as the runner unescapes them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from simroom.report.check import command_line
from simroom.scenario.printable import printable
from simroom.study.checked import Case, Checked, Tally

ANNOTATIONS_MAX: Final = 9
"""GitHub shows ten of each step; the last one says how many more there are."""
SUMMARY_MAX: Final = 900_000
"""Bytes of a step summary: beyond 1 MiB GitHub shows nothing of it."""
_TEXT_MAX: Final = 2_000
_CELL_MAX: Final = 300
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,/=%()")
"""Characters that mean nothing to Markdown or HTML where they stand in the middle of a line of code."""


class Actions(Struct, frozen=True):
    """Where a step of GitHub Actions runs.

    Attributes:
        workspace: The root of the repository; None: it does not say.
        summary: The file that the step's summary is appended to; None: there is none.
    """

    workspace: Path | None
    summary: Path | None


def actions(environment: Mapping[str, str]) -> Actions | None:
    """The step that this runs in; None: it runs in none."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return None
    workspace, summary = environment.get("GITHUB_WORKSPACE"), environment.get("GITHUB_STEP_SUMMARY")
    return Actions(Path(workspace) if workspace else None, Path(summary) if summary else None)


# --- the log -----------------------------------------------------------------------------------------------------


def quietly(write: Callable[[str], None]) -> Callable[[], None]:
    """Let the runner take what follows for text only.

    Args:
        write: Writes to the step's log.

    Returns:
        Ends that.
    """
    # Nobody who wrote a scenario can know it.
    token = secrets.token_hex(16)
    write(f"::stop-commands::{token}\n")
    return lambda: write(f"::{token}::\n")


def marks(checked: Sequence[Checked], where: Actions) -> str:
    """Commands that mark what is wrong where it stands, the worst first; then how many more there are."""
    bad = [(one, case) for one in sorted(checked, key=lambda one: one.badness) for case in one.bad]
    lines = [_annotation(one, case, where) for one, case in bad[:ANNOTATIONS_MAX]]
    rest = len(bad) - ANNOTATIONS_MAX
    if rest > 0:
        lines.append(f"::error title=simroom check::{rest:,} more, in the log and the summary of this step")
    return "".join(f"{line}\n" for line in lines)


def _annotation(one: Checked, case: Case, where: Actions) -> str:
    level = "warning" if case.word == "inconclusive" else "error"
    title = case.name if one.name is None else f"{one.name}: {case.name}"
    command = command_line(case.following)
    message = "\n".join(printable(line) for line in (case.what or case.word, *case.details[:5]))
    if command is not None:
        message += f"\n{command}"
    places = {"file": _from_root(one.path, where.workspace), "line": str(case.line or 1), "title": title}
    said = ",".join(f"{key}={_property(value)}" for key, value in places.items())
    return f"::{level} {said}::{_message(message)}"


def _from_root(path: Path, workspace: Path | None) -> str:
    if workspace is None:
        return path.as_posix()
    try:
        return Path(os.path.relpath(path.resolve(), workspace.resolve())).as_posix()
    except ValueError:
        return path.as_posix()


def _message(text: str) -> str:
    """As the runner's ``escapeData``; line breaks are ours, everything else is printable already."""
    cut = text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
    return cut.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """As the runner's ``escapeProperty``."""
    return _message(printable(text)[:_CELL_MAX]).replace(":", "%3A").replace(",", "%2C")


def harmless(text: str) -> str:
    """JSON in which no string holds the mark of the runner's older commands; it means the same."""
    return text.replace("##[", "\\u0023#[")


# --- the summary -------------------------------------------------------------------------------------------------


def step_summary(tally: Tally, *, size_max: int = SUMMARY_MAX) -> str:
    """Markdown: the word, a table of what did not pass, and how many passed.

    Args:
        tally: What was checked.
        size_max: So many bytes it may have.
    """
    counts = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in tally.counts.items())
    head = f"### simroom check: {tally.word.replace('_', ' ')}\n\n{counts or 'nothing was checked'}"
    head += f" · {tally.wall_seconds:.1f} s\n"
    rows = ["\n| scenario | line | what | found | next |\n| --- | --- | --- | --- | --- |\n"]
    size = len(head.encode()) + len(rows[0]) + 200
    bad = [(one, case) for one in sorted(tally.checked, key=lambda one: one.badness) for case in one.bad]
    for position, (one, case) in enumerate(bad):
        row = _row(one, case)
        size += len(row.encode())
        if size > size_max:
            rows.append(f"\n{len(bad) - position:,} more are not shown here.\n")
            break
        rows.append(row)
    return head + ("".join(rows) if bad else "") + "\n"


def _row(one: Checked, case: Case) -> str:
    command = command_line(case.following)
    cells = (
        _code(one.path.as_posix()),
        "" if case.line is None else str(case.line),
        _code(case.name),
        _code(case.what or case.word),
        "" if command is None else _code(command),
    )
    return "| " + " | ".join(cells) + " |\n"


def _code(text: str) -> str:
    """Text as code, in which nothing is Markdown, a link, a mention or an element."""
    shown = printable(text)
    cut = shown if len(shown) <= _CELL_MAX else shown[: _CELL_MAX - 1] + "…"
    inner = "".join(character if character in _PLAIN else f"&#{ord(character)};" for character in cut)
    return f"<code>{inner}</code>"
