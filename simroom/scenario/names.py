"""Names must tell things apart: within their list, once numbered, and as ``room/member`` in a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from simroom.scenario.printable import quoted

Note = Callable[[tuple[str | int, ...], str, str, str | None], None]

_NUMBERED: Final = re.compile(r"(.+)-([1-9][0-9]{0,8})", re.DOTALL)
_FULL_NAMES_MAX: Final = 200_000
"""Where names hold slashes, so many full names are compared one by one; with more people, slashes are refused."""


def is_name_of(groups: Sequence[tuple[str, int]], name: str) -> bool:
    """Whether one of the groups (name, count) has something of this name, once numbered."""
    match = _NUMBERED.fullmatch(name)
    for base, count in groups:
        if count == 1:
            if name == base:
                return True
        elif match is not None and match.group(1) == base and int(match.group(2)) <= count:
            return True
    return False


def check_names(data: dict[str, Any], note: Note) -> None:
    """Note each name that could be taken for another."""
    for section in ("rooms", "sessions", "nodes"):
        groups = data.get(section)
        if not isinstance(groups, list):
            continue
        _check_list([_named(group) for group in groups], (section,), note)
        if section == "rooms":
            for index, room in enumerate(groups):
                if isinstance(room, dict):
                    _check_members(room, index, note)
    _check_full_names(data, note)


def _named(group: object) -> tuple[str, int] | None:
    """Name and count of a group; None where it has no proper ones."""
    if not isinstance(group, dict) or not isinstance(group.get("name"), str):
        return None
    count = group.get("count", 1)
    return (group["name"], count) if isinstance(count, int) and not isinstance(count, bool) else (group["name"], 1)


def _check_members(room: dict[str, Any], index: int, note: Note) -> None:
    members = room.get("members")
    if not isinstance(members, list):
        return
    groups = [_named(group) for group in members]
    speakers = room.get("speakers")
    if isinstance(speakers, dict):
        for position, group in enumerate(groups):
            if group is not None and group[0] in speakers:
                path = ("rooms", index, "members", position, "name")
                note(path, f"the name {quoted(group[0])} again", "a name that no speaker has", None)
    _check_list(groups, ("rooms", index, "members"), note)


def _check_list(groups: Iterable[tuple[str, int] | None], path: tuple[str | int, ...], note: Note) -> None:
    """Two groups of one name, or a single thing with the name that one of a group gets by its number."""
    seen: dict[str, int] = {}
    listed = list(groups)
    for index, group in enumerate(listed):
        if group is None:
            continue
        name, _ = group
        if name in seen:
            note((*path, index, "name"), f"the name {quoted(name)} again", "a name that nothing before it has", None)
        seen.setdefault(name, index)
    several = [group for group in listed if group is not None and group[1] > 1]
    for index, group in enumerate(listed):
        if group is not None and group[1] == 1 and "-" in group[0] and is_name_of(several, group[0]):
            found = f"the name {quoted(group[0])}, which one of a group with a count gets too"
            note((*path, index, "name"), found, "another name", None)


def _check_full_names(data: dict[str, Any], note: Note) -> None:
    """With slashes in names, ``a/b`` may be a session, or member b of room a: compare the full names."""
    rooms = [room for room in _list(data, "rooms") if isinstance(room, dict)]
    sessions = _list(data, "sessions")
    names = [one for one in map(_named, [*rooms, *sessions]) if one is not None]
    names += [one for room in rooms for one in map(_named, _list(room, "members")) if one is not None]
    if not any("/" in name for name, _ in names):
        return
    full: dict[str, tuple[str | int, ...]] = {}
    for path, name in _full_names(data):
        if len(full) >= _FULL_NAMES_MAX:
            note(
                path, "names with slashes among very many", f"no slashes with {_FULL_NAMES_MAX:,} people or more", None
            )
            return
        if full.setdefault(name, path) != path:
            note(path, f"the full name {quoted(name)} again", "names that differ as room/member too", None)
            return


def _full_names(data: dict[str, Any]) -> Iterable[tuple[tuple[str | int, ...], str]]:
    for section in ("rooms", "sessions"):
        for index, group in enumerate(_list(data, section)):
            named = _named(group)
            if named is None:
                continue
            people = _people(group) if section == "rooms" else [""]
            for outer in numbered(*named):
                for person in people:
                    yield (section, index), outer + person


def _people(room: dict[str, Any]) -> list[str]:
    people = [f"/{name}" for name in room.get("speakers") or ()] if isinstance(room.get("speakers"), dict) else []
    position = 0
    for group in _list(room, "members"):
        count = group.get("count", 1) if isinstance(group, dict) else 1
        count = count if isinstance(count, int) and 0 < count <= _FULL_NAMES_MAX else 1
        named = _named(group)
        if named is None:
            people += [f"/m{position + number}" for number in range(1, count + 1)]
        else:
            people += [f"/{name}" for name in numbered(*named)]
        position += count
    return people


def numbered(name: str, count: int) -> Iterable[str]:
    """The names of the things of a group: its own for a single one, else with their numbers; not of very many all."""
    if count == 1:
        return [name]
    return (f"{name}-{number}" for number in range(1, min(count, _FULL_NAMES_MAX) + 1))


def _list(data: dict[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []
