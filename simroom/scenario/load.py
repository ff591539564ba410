"""Loads scenario files: the whole way from bytes to a scenario, or to everything that is wrong with them."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from simroom.scenario import overrides as override_paths
from simroom.scenario.checks import Checker, Parts
from simroom.scenario.explain import found_in, shown
from simroom.scenario.faults import Fault
from simroom.scenario.fields import Duration, PositiveDuration
from simroom.scenario.files import Files
from simroom.scenario.nearest import nearest
from simroom.scenario.nodes import NodeGroup
from simroom.scenario.people import SessionGroup
from simroom.scenario.printable import quoted
from simroom.scenario.problems import Found, Place, Problem, ScenarioError, in_order
from simroom.scenario.rooms import REST, Room
from simroom.scenario.schema import Expectation, Scenario
from simroom.scenario.script import ScriptLine, silent_unless_said
from simroom.scenario.section import SchedulerSection
from simroom.scenario.speech import Meeting
from simroom.scenario.yaml12 import LARGEST_FILE, Document, decode, read

__all__ = ["Expectation", "Problem", "Scenario", "ScenarioError", "load", "loads"]

ModelT = TypeVar("ModelT", bound=BaseModel)


def load(path: Path, *, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file.

    Args:
        path: The file. Paths in it are relative to its folder.
        overrides: Changes such as ``rooms.standup.count=30``, made in turn before anything is checked.

    Returns:
        The scenario, complete: defaults, profiles, languages that follow from others, a meeting's speakers.

    Raises:
        ScenarioError: The file cannot be read or used; all that is wrong with it, in order of line.
    """
    file = str(path)
    text, found = decode(_bytes(path, file), file)
    if found:
        raise ScenarioError(in_order(found, _dotted))
    return loads(text, file, path.parent, overrides=overrides)


def loads(text: str, name: str, base: Path, *, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario from text.

    Args:
        text: What the file would hold.
        name: What to call it in errors.
        base: The folder that paths in it are relative to.
        overrides: As for ``load``.

    Raises:
        ScenarioError: As for ``load``.
    """
    _, found = decode(text.encode("utf-8", errors="surrogatepass"), name)
    if found:
        raise ScenarioError(in_order(found, _dotted))
    document = read(text.removeprefix("\ufeff"), name)
    if document.fatal:
        raise ScenarioError(in_order(document.found, _dotted))
    override_paths.apply(document, tuple(overrides))
    if not isinstance(document.data, dict):
        place = document.values[()]
        wrong = Found(place, "", quoted(document.data), "a mapping that begins with `simroom: 1`")
        raise ScenarioError(in_order([*document.found, wrong], _dotted))
    return _checked(document, name, base)


def _checked(document: Document, name: str, base: Path) -> Scenario:
    scenario, found = _validated(document)
    files = Files(base)
    found += Checker(document, _parts(document.data, scenario), files).all()
    found += document.found
    if scenario is None or found:
        raise ScenarioError(in_order(found, lambda path: shown(document.data, path)))
    return _completed(scenario, document, files).placed(name, base, files.fingerprints)


def _validated(document: Document) -> tuple[Scenario | None, list[Found]]:
    try:
        return Scenario.model_validate(document.data), []
    except ValidationError as error:
        return None, found_in(error, document, Scenario)


def _completed(scenario: Scenario, document: Document, files: Files) -> Scenario:
    """Fill in what only the file and its data files know: who ``rest`` is, and the lines of the expectations."""
    rooms = tuple(_with_speakers(room, files) for room in scenario.rooms)
    found = [problem for index, room in enumerate(rooms) for problem in _namesakes(room, index, document)]
    if found:
        raise ScenarioError(in_order(found, lambda path: shown(document.data, path)))
    expect = []
    for position, expectation in enumerate(scenario.expect):
        place = document.values[("expect", position)]
        line, column = (place.line, place.column) if place.order == 0 else (0, 0)
        expect.append(Expectation(expectation.text.strip(), line, column))
    return scenario.model_copy(update={"rooms": rooms, "expect": tuple(expect)})


def _with_speakers(room: Room, files: Files) -> Room:
    if not isinstance(room.speech, Meeting) or room.speakers is None:
        return room
    rest = room.speakers.get(REST)
    speakers = {name: room.speakers.get(name, rest) for name in files.speakers(room.speech.meeting)}
    return room.changed(speakers=speakers)


def _namesakes(room: Room, index: int, document: Document) -> Iterator[Found]:
    """The members that are called like a speaker for whom ``rest`` stands."""
    speakers = set(room.speakers or ())
    position = 0
    for place, group in enumerate(room.members):
        names = {group.name} if group.name is not None else {f"m{position + n}" for n in range(1, group.count + 1)}
        position += group.count
        shared = sorted(name for name in names & speakers if name is not None)
        if shared:
            path = ("rooms", index, "members", place)
            at = document.values.get((*path, "name")) or document.values[path]
            found = f"the name {quoted(shared[0])}, which a speaker of the meeting's file has too"
            yield Found(at, (*path, "name"), found, "a name that no speaker has")


# --- parts, where the whole could not be made --------------------------------------------------------------------


def _parts(data: dict[str, Any], scenario: Scenario | None) -> Parts:
    if scenario is not None:
        return Parts(
            scenario.duration,
            scenario.warm_up,
            scenario.drain,
            scenario.rooms,
            scenario.sessions,
            scenario.nodes,
            scenario.scheduler,
            scenario.faults,
            scenario.script,
        )
    data = silent_unless_said(data)
    return Parts(
        _span(data.get("duration"), PositiveDuration),
        _span(data.get("warm_up", 0), Duration),
        _span(data.get("drain", "5min"), Duration),
        tuple(_made(Room, data.get("rooms"))),
        tuple(_made(SessionGroup, data.get("sessions"))),
        tuple(_made(NodeGroup, data.get("nodes"))),
        next(_made(SchedulerSection, [data.get("scheduler", {})]), None),
        tuple(_made(Fault, data.get("faults"))),
        tuple(_made(ScriptLine, data.get("script"))),
    )


def _span(value: object, kind: Any) -> int | None:
    adapter: TypeAdapter[int] = TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def _made(model: type[ModelT], items: object) -> Iterator[ModelT | None]:
    for item in items if isinstance(items, list) else ():
        try:
            yield model.model_validate(item)
        except ValidationError:
            yield None


# --- reading -----------------------------------------------------------------------------------------------------


def _bytes(path: Path, file: str) -> bytes:
    """The content of the file, at most one byte more than is allowed."""
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise _unreadable(file, "a folder", "a scenario file", None)
        with path.open("rb") as stream:
            return stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _unreadable(file, "no such file", "a scenario file", _similar(path)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise _unreadable(file, "a file that cannot be read", "a scenario file", None) from None


def _unreadable(file: str, found: str, expected: str, hint: str | None) -> ScenarioError:
    return ScenarioError(in_order([Found(Place(0, 1, 1, file), "", found, expected, hint)], _dotted))


def _similar(path: Path) -> str | None:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError:
        return None
    name = nearest(path.name, names)
    return None if name is None else str(path.parent / name)


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in path)
