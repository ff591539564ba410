"""Failing scenarios as files: with what happened on top, the expectation that it must not, and never half written."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from simroom.oracle.verdict import INVARIANTS
from simroom.scenario.printable import printable
from simroom.study.drawing import text_of
from simroom.study.trial import Sign

Data = dict[str, Any]

_FOUND_BY: Final = "# Found by: "
_WIDTH: Final = 110
_NUMBERS_MAX: Final = 100
_IN_ORDER: Final = (
    "simroom",
    "name",
    "seed",
    "duration",
    "lead_in",
    "drain",
    "rooms",
    "sessions",
    "nodes",
    "network",
    "playback",
    "scheduler",
    "faults",
    "script",
    "expect",
)


def again(seed: int, words: Sequence[str]) -> str:
    """The command that finds a finding again."""
    return shlex.join(["simroom", "fuzz", "--start", str(seed), "--seeds", "1", *words])


def replay(path: Path, words: Sequence[str]) -> str:
    """The command that runs a written finding."""
    return shlex.join(["simroom", "run", str(path), *words])


def explanation(path: Path, words: Sequence[str], number: int) -> str:
    """The command that explains a breach in a written finding step by step."""
    return shlex.join(["simroom", "explain", str(path), *words, "--violation", str(number)])


def title(sign: Sign) -> str:
    """What went wrong, in a few words: ``I1 recipients, missing``."""
    invariant, kind = sign
    name = INVARIANTS.get(invariant)
    if name is None:
        return f"{invariant}: {kind}"
    return f"{invariant} {name}" if kind in (invariant, name) else f"{invariant} {name}, {kind.replace('_', ' ')}"


def place_for(folder: Path, sign: Sign, seed: int, words: Sequence[str]) -> Path:
    """Where a finding is written: the file that it was written to before, else one that is not there yet."""
    stem = re.sub(r"[^a-z0-9]+", "-", f"{sign[0]} {sign[1]} {seed}".lower()).strip("-")
    for number in range(1, _NUMBERS_MAX):
        path = folder / (f"{stem}.yaml" if number == 1 else f"{stem}-{number}.yaml")
        if not path.exists() or _is_of(path, again(seed, words)):
            return path
    return folder / f"{stem}-{_NUMBERS_MAX}.yaml"


def _is_of(path: Path, command: str) -> bool:
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        return f"{_FOUND_BY}{printable(command)}" in (line.rstrip("\n") for line in file)
    return False


def file_text(
    data: Data,
    sign: Sign,
    seed: int,
    *,
    words: Sequence[str],
    run_words: Sequence[str],
    path: Path,
    told: Sequence[str],
    number: int | None = None,
) -> str:
    """The whole content of a finding's file.

    Args:
        data: The scenario.
        sign: What goes wrong in it.
        seed: The seed that it was found at.
        words: Options with which ``simroom fuzz`` finds it.
        run_words: Options with which ``simroom run`` shows it.
        path: Where the file will be.
        told: What happened, line by line.
        number: Of the breach among all in the run, counted from 1; None: that is not known, or it is none.
    """
    more = [] if number is None else [f"# Explain:  {printable(explanation(path, run_words, number))}"]
    head = [
        f"# {title(sign)}",
        "#",
        *_comments(told),
        "#",
        f"{_FOUND_BY}{printable(again(seed, words))}",
        *more,
        f"# See it:   {printable(replay(path, run_words))}",
    ]
    whole = {**data, "name": f"{title(sign)}, seed {seed}", "expect": ["violations == 0"]}
    ordered: Data = {key: whole[key] for key in _IN_ORDER if key in whole}
    return "\n".join(head) + "\n" + text_of({**ordered, **whole})


def _comments(told: Sequence[str]) -> list[str]:
    lines = []
    for line in told:
        text = printable(line)
        while len(text) > _WIDTH:
            cut = text.rfind(" ", 20, _WIDTH)
            cut = cut if cut > 0 else _WIDTH
            lines.append(f"#   {text[:cut]}")
            text = " " * 10 + text[cut:].strip()
        lines.append(f"#   {text}")
    return lines


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; its folder is made if need be.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
