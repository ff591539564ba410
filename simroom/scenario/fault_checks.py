"""What the models cannot see of faults and scripts: names of nothing, instants that never come, what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from simroom.scenario.cast import Fit, Nodes, Sessions
from simroom.scenario.datafile import DataFileError
from simroom.scenario.explain import LISTED_MAX, value_at
from simroom.scenario.faults import Fault, RoomCodes
from simroom.scenario.languages import canonical, chosen_languages
from simroom.scenario.nearest import nearest
from simroom.scenario.nodes import NodeGroup
from simroom.scenario.people import Member, SessionGroup, Speaker
from simroom.scenario.printable import quoted
from simroom.scenario.rooms import Room
from simroom.scenario.script import Connect, Join, OfMember, OfNode, ScriptLine, Speak
from simroom.scenario.speech import Meeting
from simroom.scenario.targets import Targets
from simroom.scenario.units import format_duration
from simroom.scenario.yaml12 import DataPath

if TYPE_CHECKING:
    from simroom.scenario.checks import Checker

SHOWN_MAX: Final = 20
"""So many of the names that there are stand in an error."""


def check_happenings(checker: Checker) -> None:
    """Note what is wrong with the faults and the script of a scenario."""
    checks = _Checks(checker)
    for index, fault in enumerate(checker.parts.faults):
        if fault is not None:
            checks.fault(("faults", index), fault)
    checks.world()
    for index, line in enumerate(checker.parts.script):
        if line is not None:
            checks.line(("script", index), line)


class _Checks:
    """The checks, with what they need to know of the whole.

    Names are looked up only where everything that could bear them could be read.
    """

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._note = checker.note
        self._duration = checker.parts.duration
        self._nodes = _nodes_of(checker)
        self._sessions = _sessions_of(checker)
        self._joined = _first_connected(checker.parts.script)
        self._languages: list[str] | None = None
        self._known: dict[tuple[str, str], Fit] = {}

    # --- faults

    def fault(self, path: DataPath, fault: Fault) -> None:
        """A fault at ``path``."""
        self._checker.not_after_the_end((*path, "at"), fault.at, drain=False)
        duration = self._duration
        if duration is not None:
            if fault.begin is not None and fault.begin >= duration:
                expected = f"an instant before `duration` ({format_duration(duration)})"
                self._note((*path, "from"), format_duration(fault.begin), expected)
            if fault.until is not None and fault.until > duration:
                expected = f"at most `duration` ({format_duration(duration)}), when all faults end"
                self._note((*path, "until"), format_duration(fault.until), expected)
        self._names((*path, fault.kind), fault.action)

    def world(self) -> None:
        """What always holds can hold in one way only, and rooms need codes."""
        seen: set[str] = set()
        rooms = self._checker.parts.rooms
        for index, fault in enumerate(self._checker.parts.faults):
            if fault is None or (fault.ties is None and fault.room_codes is None):
                continue
            path: DataPath = ("faults", index, fault.kind)
            if fault.kind in seen:
                self._checker.note_key(path, f"`{fault.kind}` again", f"`{fault.kind}` once: it always holds")
            seen.add(fault.kind)
            if isinstance(fault.action, RoomCodes) and None not in rooms:
                needed = sum(room.count for room in rooms if room is not None)
                if fault.action.count < needed:
                    expected = f"at least {needed}, the number of rooms: no two that live share a code"
                    self._note(self._inside(path, "count"), str(fault.action.count), expected)

    # --- a script

    def line(self, path: DataPath, line: ScriptLine) -> None:
        """A line of the script at ``path``."""
        duration, action = self._duration, line.action
        inside: DataPath = (*path, line.kind)
        if duration is not None and line.at >= duration:
            expected = f"an instant before `duration` ({format_duration(duration)})"
            self._note((*path, "at"), format_duration(line.at), expected)
        elif duration is not None and isinstance(action, Speak) and line.at + action.length > duration:
            found = f"speech from {format_duration(line.at)} to {format_duration(line.at + action.length)}"
            expected = f"speech that ends by `duration` ({format_duration(duration)})"
            self._note(self._inside(inside, "length"), found, expected)
        if isinstance(action, OfNode):
            self._single(inside, "node", action.node)
        elif isinstance(action, OfMember):
            self._single(inside, "member", action.member)
        else:
            self._names(inside, action)
        if isinstance(action, Speak):
            self._speech(path, line.at, action)

    def _speech(self, path: DataPath, at: int, speak: Speak) -> None:
        joined = self._joined.get(speak.member)
        if joined is not None and at < joined:
            found = f"{format_duration(at)}, before {quoted(speak.member)} has joined"
            self._note((*path, "at"), found, f"an instant from {format_duration(joined)} on, when its `join` is")
        for key, values in (("service", speak.service), ("fails", speak.fails)):
            for tag in values if isinstance(values, dict) else ():
                self._language((*path, "speak", key, tag), tag)

    def _language(self, path: DataPath, tag: str) -> None:
        if self._languages is None:
            self._languages = _languages_of(self._checker)
        known = self._languages
        if known and canonical(tag) not in known:
            expected = "a language that is translated into here: " + ", ".join(known[:SHOWN_MAX])
            primary = canonical(tag, primary=True)
            hint = primary if primary in known else nearest(tag, known)
            self._checker.note_key(path, quoted(tag), expected, hint)

    # --- names

    def _names(self, path: DataPath, action: object) -> None:
        """The names of those that an action happens to."""
        for key in ("nodes", "sessions"):
            targets = getattr(action, key, None)
            if not isinstance(targets, Targets) or targets.names is None:
                continue
            if self._inside(path, "member") != path:
                self._single(path, "member", targets.names[0])
            else:
                for position, name in enumerate(targets.names):
                    self._name(self._path_of(path, key, position), key, name)

    def _name(self, path: DataPath, key: str, name: str) -> None:
        fit = self._fit(key, name)
        if fit is not None and not fit:
            what = "a node or a group of nodes" if key == "nodes" else "a room, a member (room/member) or a session"
            self._unknown(path, quoted(name), what, name, self._suggestions(key))

    def _single(self, path: DataPath, key: str, name: str) -> None:
        family = "nodes" if key == "node" else "sessions"
        fit = self._fit(family, name)
        if fit is None or fit.one:
            return
        single = [one for one in self._suggestions(family) if self._is_single(family, one)]
        what = "the name of one node" if key == "node" else "the name of one member (room/member) or session"
        found = f"{quoted(name)}, which is several" if fit.several else quoted(name)
        self._unknown(self._inside(path, key), found, what, name, single)

    def _unknown(self, path: DataPath, found: str, what: str, name: str, names: Sequence[str]) -> None:
        """Note a name that does not do; of very many that would, only the nearest is told."""
        hint = nearest(name, names)
        if hint is not None and len(names) > LISTED_MAX:
            self._note(path, found, what, hint)
        else:
            self._note(path, found, f"{what}: {_few(names)}", hint)

    def _is_single(self, family: str, name: str) -> bool:
        fit = self._fit(family, name)
        return fit is not None and fit.one

    def _fit(self, family: str, name: str) -> Fit | None:
        """What a name stands for; None: nobody can say."""
        known = self._nodes if family == "nodes" else self._sessions
        if known is None:
            return None
        fit = self._known.get((family, name))
        if fit is None:
            fit = self._known[family, name] = known.fit(name)
        return fit

    def _suggestions(self, family: str) -> list[str]:
        known = self._nodes if family == "nodes" else self._sessions
        return [] if known is None else known.suggestions()

    # --- places

    def _inside(self, path: DataPath, key: str) -> DataPath:
        """Where ``key`` stands in the mapping at ``path``, or what stands for it in a short form."""
        raw = self._raw(path)
        return (*path, key) if isinstance(raw, dict) and key in raw else path

    def _path_of(self, path: DataPath, key: str, position: int) -> DataPath:
        """Where a name stands, by its position among the names, in whichever form they are given."""
        where = self._inside(path, key)
        if isinstance(self._raw(where), dict):
            where = self._inside(where, "of")
        return (*where, position) if isinstance(self._raw(where), (list, tuple)) else where

    def _raw(self, path: DataPath) -> Any:
        return value_at(self._checker.data, path)


def _few(names: Sequence[str]) -> str:
    return ", ".join(quoted(name)[1:-1] for name in names[:SHOWN_MAX]) or "there is none"


# --- what the whole has ------------------------------------------------------------------------------------------


def _nodes_of(checker: Checker) -> Nodes | None:
    groups = [group for group in checker.parts.nodes if isinstance(group, NodeGroup)]
    return Nodes(groups) if len(groups) == len(checker.parts.nodes) else None


def _sessions_of(checker: Checker) -> Sessions | None:
    rooms = [room for room in checker.parts.rooms if isinstance(room, Room)]
    groups = [group for group in checker.parts.sessions if isinstance(group, SessionGroup)]
    if len(rooms) < len(checker.parts.rooms) or len(groups) < len(checker.parts.sessions):
        return None
    try:
        return Sessions([(room, _speakers_of(checker, room)) for room in rooms], groups)
    except DataFileError:
        return None


def _speakers_of(checker: Checker, room: Room) -> Sequence[str]:
    """The speakers of the room's meeting; those under ``rest`` are named in its file only."""
    return checker.files.speakers(room.speech.meeting) if isinstance(room.speech, Meeting) else ()


def _first_connected(script: Sequence[ScriptLine | None]) -> dict[str, int]:
    """Of those who join by the script: when it first connects them."""
    joiners = {line.join.member for line in script if line is not None and line.join is not None}
    first: dict[str, int] = {}
    for line in script:
        if line is not None and isinstance(line.action, (Join, Connect)) and line.action.member in joiners:
            name = line.action.member
            first[name] = min(line.at, first.get(name, line.at))
    return first


def _languages_of(checker: Checker) -> list[str]:
    """Every language that a job can be into, canonical, ascending; empty: nobody can say."""
    parts = checker.parts
    found = [*_languages_in(parts.rooms, parts.sessions)]
    if None in parts.rooms or None in parts.sessions or None in parts.faults or None in parts.script:
        return []
    found += chosen_languages(one for one in (*parts.faults, *parts.script) if one is not None)
    primary = parts.scheduler is not None and parts.scheduler.settings().language_match == "primary"
    tags = {canonical(tag) for tag in found} | ({canonical(tag, primary=True) for tag in found} if primary else set())
    return sorted(tags)


def _languages_in(rooms: Sequence[Room | None], sessions: Sequence[SessionGroup | None]) -> Iterator[str]:
    for room in rooms:
        people: list[Member | Speaker] = [] if room is None else [*(room.speakers or {}).values(), *room.members]
        for person in people:
            changes = [event.change.preferred_lang for event in person.events if event.change is not None]
            yield from (tag for tag in (person.tgt_lang, person.preferred_lang, *changes) if tag is not None)
    yield from (group.tgt_lang for group in sessions if group is not None)
