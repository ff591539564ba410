"""What is wrong with a scenario: each problem as a value with its place, all of them in one error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from simroom.scenario.printable import printable

LISTED_MAX: Final = 100
"""Problems listed in full in the text of the error; a file with more is mostly one mistake made often."""
OVERRIDE: Final = "--set "
"""How the place of a problem begins that comes from an override, not from the file."""


class Place(NamedTuple):
    """A place in a text: file (or override), line and column, both from 1; sorts in the order of reading."""

    order: int
    line: int
    column: int
    file: str


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: The file, or ``--set key.path=value`` where an override is at fault.
        line: Line, from 1.
        column: Column in characters, from 1.
        path: Keys and names down to the value, with dots: ``rooms.standup.count``; empty for the whole file.
        found: What stands there.
        expected: What would be right.
        hint: What was probably meant, or None.
    """

    file: str
    line: int
    column: int
    path: str
    found: str
    expected: str
    hint: str | None = None

    def __str__(self) -> str:
        """One line, safe for a terminal."""
        place = self.file if self.file.startswith(OVERRIDE) else f"{self.file}:{self.line}:{self.column}"
        where = f"{place}: {self.path}" if self.path else place
        meant = f"; did you mean {self.hint}?" if self.hint else ""
        return printable(f"{where}: found {self.found}, expected {self.expected}{meant}")


class ScenarioError(ValueError):
    """A scenario cannot be used; everything that is wrong with it, in order of place.

    Attributes:
        problems: What is wrong, at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """A problem a line; of very many the first ones, and how many more there are."""
        lines = [str(problem) for problem in self.problems[:LISTED_MAX]]
        if len(self.problems) > LISTED_MAX:
            lines.append(f"... and at least {len(self.problems) - LISTED_MAX} more problems")
        return "\n".join(lines)


class Found(NamedTuple):
    """A problem with its place, before it is put in order; ``path`` as keys and positions, or as it is shown."""

    place: Place
    path: str | tuple[str | int, ...]
    found: str
    expected: str
    hint: str | None = None

    def problem(self, shown: Callable[[tuple[str | int, ...]], str]) -> Problem:
        """The same as it is reported; ``shown`` writes a path of keys and positions."""
        path = self.path if isinstance(self.path, str) else shown(self.path)
        file, line, column = self.place.file, self.place.line, self.place.column
        return Problem(file, line, column, path, self.found, self.expected, self.hint)


def in_order(found: Iterable[Found], shown: Callable[[tuple[str | int, ...]], str]) -> tuple[Problem, ...]:
    """The problems in order of place, each once."""
    ordered = sorted(found, key=lambda one: one.place)
    return tuple(dict.fromkeys(one.problem(shown) for one in ordered))
