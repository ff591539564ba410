"""Which names there are for faults and scripts to name: told without listing a million members."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from simroom.scenario.names import is_name_of, numbered
from simroom.scenario.nodes import NodeGroup
from simroom.scenario.people import Member, SessionGroup
from simroom.scenario.rooms import Room

OF_EACH_GROUP: Final = 20
"""So many names of each group are suggested."""
SUGGESTED_MAX: Final = 2_000
"""And so many altogether."""

_BY_POSITION: Final = re.compile("m([1-9][0-9]{0,8})")


class Fit(NamedTuple):
    """What a name stands for: one thing, or (a group, a room) several."""

    one: bool
    several: bool

    def __bool__(self) -> bool:
        return self.one or self.several


class Nodes:
    """The names of nodes and of groups of them."""

    def __init__(self, groups: Sequence[NodeGroup]) -> None:
        self._groups = [(group.name, group.count) for group in groups]

    def fit(self, name: str) -> Fit:
        """What ``name`` stands for."""
        return _fit(self._groups, name)

    def suggestions(self) -> list[str]:
        """Names that there are, the telling ones first, not all of very many."""
        return list(islice(_names(self._groups), SUGGESTED_MAX))


class Sessions:
    """The names of rooms, their members, and sessions outside rooms.

    Args:
        rooms: Each with the names of its meeting's speakers.
        groups: Sessions outside.
    """

    def __init__(self, rooms: Sequence[tuple[Room, Sequence[str]]], groups: Sequence[SessionGroup]) -> None:
        self._rooms = [(room.name, room.count, _People(room.members, speakers)) for room, speakers in rooms]
        self._groups = [(group.name, group.count) for group in groups]

    def fit(self, name: str) -> Fit:
        """What ``name`` stands for."""
        outside = _fit(self._groups, name)
        several = outside.several or bool(_fit([(room, count) for room, count, _ in self._rooms], name))
        one = outside.one
        for at, character in enumerate(name):
            if character == "/":
                member = self._member(name[:at], name[at + 1 :])
                one, several = one or member.one, several or member.several
        return Fit(one, several)

    def _member(self, room_name: str, name: str) -> Fit:
        for room, count, people in self._rooms:
            if is_name_of([(room, count)], room_name):
                return people.fit(name)
        return Fit(one=False, several=False)

    def suggestions(self) -> list[str]:
        """Names that there are, rooms first, not all of very many."""
        rooms = [(name, count) for name, count, _ in self._rooms]
        members = (
            f"{room}/{member}"
            for name, count, people in self._rooms
            for room in islice(numbered(name, count), OF_EACH_GROUP)
            for member in people.suggestions()
        )
        found = [*_names(rooms), *_names(self._groups), *islice(members, SUGGESTED_MAX)]
        return list(dict.fromkeys(found))[:SUGGESTED_MAX]


class _People:
    """The names of the members of one room."""

    def __init__(self, members: Sequence[Member], speakers: Sequence[str]) -> None:
        self._groups = [(name, 1) for name in speakers]
        self._groups += [(group.name, group.count) for group in members if group.name is not None]
        self._unnamed: list[range] = []
        """Positions, from 1, of those who are called ``m1``, ``m2``, ... after them."""
        position = 1
        for group in members:
            if group.name is None:
                self._unnamed.append(range(position, position + group.count))
            position += group.count

    def fit(self, name: str) -> Fit:
        match = _BY_POSITION.fullmatch(name)
        if match is not None and any(int(match[1]) in positions for positions in self._unnamed):
            return Fit(one=True, several=False)
        return _fit(self._groups, name)

    def suggestions(self) -> Iterator[str]:
        yield from (f"m{position}" for positions in self._unnamed for position in positions[:OF_EACH_GROUP])
        yield from _names(self._groups)


def _fit(groups: Sequence[tuple[str, int]], name: str) -> Fit:
    several = any(base == name and count > 1 for base, count in groups)
    return Fit(is_name_of(groups, name), several)


def _names(groups: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The groups' own names, and the first of those in them."""
    for base, count in groups:
        yield base
        if count > 1:
            yield from islice(numbered(base, count), OF_EACH_GROUP)
