"""Where text goes: a terminal, a pipe or a log, each of which gets only what it can show.

Names from scenario files are made printable before they come here; nothing here reads markup, so a name cannot style
or steer anything. What the output's encoding lacks is written in ASCII.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final

from rich.console import Console, Group, RenderableType

from simroom.report import figures

WIDTH_MAX: Final = 100
"""Lines longer than this are hard to read; 80 columns are enough."""
LOG_WIDTH: Final = 100

_LINE_END: Final = re.compile(r" +$", re.MULTILINE)
"""Columns are filled up with spaces, which a pipe has no use for."""

_ASCII: Final = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "·": "|",
        "→": "->",
        figures.TIMES: "x",
        figures.ABSENT: "-",
        "µ": "u",
        "…": "...",
        "│": "|",
        "─": "-",
        "≤": "<=",
    }
)


def console(file: IO[str], *, colour: bool) -> Console:
    """A console on ``file``.

    Args:
        file: Where it writes.
        colour: False: no escape sequence at all. True: where ``file`` is a terminal that has colours, unless the
            environment says otherwise (``NO_COLOR``).
    """
    plain = not colour or bool(os.environ.get("NO_COLOR"))
    made = Console(
        file=file,
        color_system=None if plain else "auto",
        no_color=plain,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )
    made.width = min(made.width, WIDTH_MAX)
    return made


def say(to: Console, parts: Sequence[RenderableType]) -> None:
    """Write, in the characters that the output has. A reader that has gone (a closed pipe) is no error."""
    with to.capture() as captured:
        to.print(Group(*parts))
    write(to.file, _LINE_END.sub("", captured.get()))


def write(file: IO[str], text: str) -> None:
    """Write text to a stream whose encoding may lack some of it, and whose reader may have gone."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    try:
        file.write(text)
        file.flush()
    except BrokenPipeError:
        _forget(file)


def _forget(file: IO[str]) -> None:
    """Point a stream whose reader has gone at nothing, so that neither later writes nor the exit complain."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


def plain_text(parts: Sequence[RenderableType]) -> str:
    """The same as a log keeps it: no escape sequences, fixed width, no spaces at the ends of lines."""
    file = io.StringIO()
    to = Console(file=file, width=LOG_WIDTH, color_system=None, force_terminal=False, highlight=False, markup=False)
    to.print(Group(*parts))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def complain(text: str) -> None:
    """Write lines to stderr."""
    write(sys.stderr, text if text.endswith("\n") else text + "\n")
