"""Scenarios as the command line uses them: loaded, with expectations that make sense, or refused in full."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from msgspec import Struct

from simroom.cli import exits
from simroom.scenario.load import load
from simroom.scenario.overrides import apply
from simroom.scenario.printable import printable
from simroom.scenario.problems import OVERRIDE, Problem, ScenarioError
from simroom.scenario.schema import Expectation as Stated
from simroom.scenario.schema import Scenario
from simroom.scenario.yaml12 import LARGEST_FILE, decode, read
from simroom.study.expect import Expectation, read_all

_QUICKSTART: Final = "quickstart.yaml"


class Sound(Struct, frozen=True):
    """A scenario without problems.

    Attributes:
        scenario: The scenario.
        expectations: What it expects, read.
    """

    scenario: Scenario
    expectations: tuple[Expectation, ...]


def quickstart() -> Path:
    """The scenario to start with: packaged, or beside the sources where simroom runs from them.

    Raises:
        StopError: It is in neither place.
    """
    packaged = Path(str(resources.files("simroom") / "data" / _QUICKSTART))
    beside = Path(__file__).resolve().parents[2] / "scenarios" / _QUICKSTART
    for path in (packaged, beside):
        if path.is_file():
            return path
    raise exits.StopError("there is no quickstart scenario in this installation; name a scenario", exits.COULD_NOT_RUN)


def problems_of(path: Path, overrides: Sequence[str] = ()) -> Sound | tuple[Problem, ...]:
    """Load a scenario and read its expectations: it, or everything that is wrong with it, in order of place."""
    problems: tuple[Problem, ...] = ()
    try:
        scenario = load(path, overrides=overrides)
        expectations, unfit = read_all(scenario.expect)
        if not unfit:
            return Sound(scenario, expectations)
    except ScenarioError as error:
        problems = error.problems
    # What is said twice of one place is said in the loader's words, which know the form and not the measures.
    places = {(problem.file, problem.line, problem.column) for problem in problems}
    more = [one for one in _unfit(path, overrides) if (one.file, one.line, one.column) not in places]
    from_file = [one for one in (*problems, *more) if not one.file.startswith(OVERRIDE)]
    from_overrides = [one for one in (*problems, *more) if one.file.startswith(OVERRIDE)]
    return (*sorted(from_file, key=lambda one: (one.line, one.column)), *from_overrides)


def _unfit(path: Path, overrides: Sequence[str]) -> list[Problem]:
    """What is wrong with the expectations of a file, also where something else in it keeps it from loading."""
    if not path.is_file():
        return []
    try:
        with path.open("rb") as file:
            text, refused = decode(file.read(LARGEST_FILE + 1), str(path))
    except OSError:
        return []
    document = read(text, str(path)) if not refused else None
    if document is None or document.fatal:
        return []
    apply(document, tuple(overrides))
    stated = document.data.get("expect") if isinstance(document.data, dict) else None
    problems = []
    for position, one in enumerate(stated if isinstance(stated, list) else ()):
        place = document.values.get(("expect", position))
        if isinstance(one, str) and place is not None:
            _, unfit = read_all([Stated(one, place.line, place.column)])
            problems += [
                Problem(
                    file=place.file,
                    line=place.line,
                    column=place.column,
                    path=f"expect.{position}",
                    found=problem.error.found,
                    expected=problem.error.expected,
                    hint=problem.error.hint,
                )
                for problem in unfit
            ]
    return problems


def sound(path: Path, overrides: Sequence[str]) -> Sound:
    """Load a scenario for use.

    Raises:
        StopError: It has problems; all of them are in the message.
    """
    found = problems_of(path, overrides)
    if isinstance(found, Sound):
        return found
    raise exits.StopError(told(path, found), exits.INVALID)


def told(path: Path, problems: Sequence[Problem]) -> str:
    """All problems of a file, one a line, and how many there are."""
    lines = str(ScenarioError(problems))
    count = len(problems)
    return f"{lines}\n{printable(str(path))}: {count:,} problem{'s' if count != 1 else ''}"
