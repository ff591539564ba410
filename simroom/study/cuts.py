"""Leaving out parts of a scenario, and with each part what speaks of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final

from simroom.study.places import Data, Place, at, lists, mappings, with_value, without

_NODE_TIMES: Final = ("starts", "leaves", "drains")
_WHEN: Final = ("at", "every", "from", "until")
_OF_NODES: Final = frozenset(
    {
        *("crash", "slow", "pause", "evict", "clock", "flap", "start", "drain", "stop"),
        *("crash_after_work", "out_of_memory", "wrong_answer", "lose_heartbeats", "lose"),
    }
)
"""What happens to nodes, where everything else happens to sessions."""
_OF_NOBODY: Final = frozenset({"restart_scheduler", "ties", "room_codes"})
_NO_SHORT_FORM: Final = frozenset({"change", "lose"})
_TARGETS: Final = {
    "nodes": "nodes",
    "node": "nodes",
    "sessions": "sessions",
    "session": "sessions",
    "member": "sessions",
}
"""What the keys of a fault or a line name."""
_NEEDED: Final = frozenset({"simroom", "name", "duration", "nodes", "service"})
_SECTIONS: Final = ("nodes", "sessions", "rooms")

# --- operations --------------------------------------------------------------------------------------------------


def operations(data: Data) -> list[Place]:
    """Where everything that is done in a scenario stands: lines, faults, events, comings and goings of nodes."""
    places: list[Place] = [(key, position) for key in ("script", "faults") for position in range(len(_list(data, key)))]
    for section in ("rooms", "sessions"):
        for number, group in enumerate(_list(data, section)):
            speech = group.get("speech")
            lines = _list(speech, "script") if isinstance(speech, dict) else []
            places += [(section, number, "speech", "script", line) for line in range(len(lines))]
            places += [(section, number, "events", event) for event in range(len(_list(group, "events")))]
            for position, member in enumerate(_list(group, "members")):
                inside: Place = (section, number, "members", position, "events")
                places += [(*inside, event) for event in range(len(_list(member, "events")))]
    for number, node in enumerate(_list(data, "nodes")):
        places += [("nodes", number, key) for key in _NODE_TIMES if key in node]
    return places


def kind_at(data: Data, place: Place) -> str:
    """The kind of an operation: ``crash``, ``speak``, ``leaves``."""
    if place[-1] in _NODE_TIMES:
        return str(place[-1])
    if "speech" in place:
        return "speak"
    return kind_of(at(data, place))


def kind_of(entry: Data) -> str:
    """What a fault, an event or a line of a script does."""
    return next((key for key in entry if key not in _WHEN), "nothing")


def kinds(data: Data) -> list[str]:
    """The kinds of operation that there are but speaking, in the order of the file."""
    found = dict.fromkeys(kind_at(data, place) for place in operations(data))
    return [kind for kind in found if kind != "speak"]


def without_operations(data: Data, places: Sequence[Place]) -> Data:
    """A copy without some operations; where nothing is left to say, nobody speaks."""
    copy = without(data, places)
    for group in (*_list(copy, "rooms"), *_list(copy, "sessions")):
        speech = group.get("speech")
        if isinstance(speech, dict) and speech.get("script") == []:
            group["speech"] = "none"
    return copy


def with_silence(data: Data) -> Data:
    """A copy in which whoever is given no speech is silent, as they are beside a script."""
    copy = dict(data)
    for section in ("rooms", "sessions"):
        if section in copy:
            copy[section] = [{**group, "speech": group.get("speech", "none")} for group in copy[section]]
    return copy


# --- single things for groups ------------------------------------------------------------------------------------


def with_single_ones(data: Data) -> Data:
    """A copy in which every room, member, session and node stands for itself, under the name it had in its group."""
    copy = deepcopy(data)
    groups = {section: _numbers(_list(copy, section)) for section in _SECTIONS}
    for room in _list(copy, "rooms"):
        if isinstance(room.get("members"), list):
            room["members"] = list(_single_members(room["members"]))
    for section in _SECTIONS:
        if section in copy:
            copy[section] = [one for group in copy[section] for one in _single(group)]

    def singles(section: str, name: str) -> list[str]:
        if section == "nodes":
            return groups["nodes"].get(name, [name])
        return groups["rooms"].get(name) or groups["sessions"].get(name, [name])

    return with_targets(copy, singles)


def _numbers(groups: list[Data]) -> dict[str, list[str]]:
    """The names of those in each group of several, by the group's name."""
    return {group["name"]: numbered(group) for group in groups if group.get("count", 1) > 1}


def numbered(group: Data) -> list[str]:
    """The names of those in a group."""
    count = group.get("count", 1)
    return [group["name"]] if count == 1 else [f"{group['name']}-{number}" for number in range(1, count + 1)]


def _single(group: Data) -> Iterator[Data]:
    for name in numbered(group):
        yield {key: name if key == "name" else deepcopy(value) for key, value in group.items() if key != "count"}


def _single_members(members: list[Data]) -> Iterator[Data]:
    position = 0
    for group in members:
        count = group.get("count", 1)
        for number in range(1, count + 1):
            position += 1
            name = group.get("name", f"m{position}")
            if "name" in group and count > 1:
                name = f"{name}-{number}"
            rest = {key: deepcopy(value) for key, value in group.items() if key not in ("name", "count")}
            yield {"name": name, **rest}


# --- people and nodes --------------------------------------------------------------------------------------------


def without_group(data: Data, section: str, position: int) -> Data | None:
    """A copy without a room, a session or a node, or a group, and without what is done to it; None: it is gone."""
    groups = _list(data, section)
    if position >= len(groups):
        return None
    group = groups[position]
    gone = {group["name"], *numbered(group)}
    copy = without(data, [(section, position)])
    if section == "nodes":
        _forget_pairing(copy, gone)
    return without_names(copy, "nodes" if section == "nodes" else "sessions", gone)


def _forget_pairing(data: Data, gone: set[str]) -> None:
    pairing = data.get("scheduler", {}).get("pairing")
    if not pairing:
        return
    for code in [code for code, node in pairing.items() if node in gone]:
        del pairing[code]
        for _, mapping in mappings(data):
            if mapping.get("pairing_code") == code:
                del mapping["pairing_code"]
    if not pairing:
        del data["scheduler"]["pairing"]


def without_member(data: Data, room: int, position: int) -> Data | None:
    """A copy without a member (or a group of them), what they say and what is done to them; None: they are gone."""
    members = _list(_list(data, "rooms")[room], "members")
    if position >= len(members) or "name" not in members[position]:
        return None
    names = set(numbered(members[position]))
    rooms = numbered(data["rooms"][room])
    speech = data["rooms"][room].get("speech")
    said = _list(speech, "script") if isinstance(speech, dict) else []
    lines: list[Place] = [
        ("rooms", room, "speech", "script", line) for line, one in enumerate(said) if one.get("speaker") in names
    ]
    copy = without_operations(without(data, [("rooms", room, "members", position)]), lines)
    return without_names(copy, "sessions", {f"{one}/{name}" for one in rooms for name in names})


def without_names(data: Data, section: str, gone: set[str]) -> Data:
    """A copy in which no fault and no line speaks of these any more.

    Args:
        data: The scenario.
        section: ``nodes`` or ``sessions`` (which are members, rooms and sessions).
        gone: Names; that of a room stands for its members too.
    """

    def left(of: str, name: str) -> list[str]:
        is_gone = of == section and (name in gone or (section == "sessions" and name.partition("/")[0] in gone))
        return [] if is_gone else [name]

    return with_targets(data, left)


def with_targets(data: Data, change: Callable[[str, str], list[str]]) -> Data:
    """A copy in which what faults and lines happen to is changed.

    Args:
        data: The scenario.
        change: Takes ``nodes`` or ``sessions`` and a name; returns the names in its place. A fault or a line with
            nothing left to happen to is left out.
    """
    copy = dict(data)
    for key in ("script", "faults"):
        if key in copy:
            entries = [_retargeted(entry, change) for entry in copy[key]]
            copy[key] = [entry for entry in entries if entry is not None]
    return copy


def _retargeted(entry: Data, change: Callable[[str, str], list[str]]) -> Data | None:
    kind = kind_of(entry)
    action = entry.get(kind)
    if kind in _OF_NOBODY:
        return entry
    if isinstance(action, (str, list)):
        names = _target(action, "nodes" if kind in _OF_NODES else "sessions", change)
        return None if names is None else {**entry, kind: names}
    if not isinstance(action, dict):
        return entry
    changed = dict(action)
    for key, section in _TARGETS.items():
        if key in changed:
            names = _target(changed[key], section, change)
            if names is None:
                return None
            changed[key] = names
    return {**entry, kind: changed}


def with_short_forms(data: Data) -> Data:
    """A copy in which faults and lines that say no more than to whom they happen say that alone: ``speak: r/a``."""
    copy = dict(data)
    for key in ("script", "faults"):
        if key in copy:
            copy[key] = [_shortened(entry) for entry in copy[key]]
    return copy


def _shortened(entry: Data) -> Data:
    kind = kind_of(entry)
    action = entry.get(kind)
    if kind in _NO_SHORT_FORM or not isinstance(action, dict) or len(action) != 1:
        return entry
    key, whom = next(iter(action.items()))
    return {**entry, kind: whom} if key in _TARGETS and isinstance(whom, (str, list)) else entry


def _target(value: Any, section: str, change: Callable[[str, str], list[str]]) -> Any:
    """The same target with other names; None: nothing is left of it."""
    if value == "all":
        return value
    if isinstance(value, dict):
        if "of" not in value:
            return value
        of = _target(value["of"], section, change)
        return None if of is None else {**value, "of": of}
    names = [new for name in ([value] if isinstance(value, str) else value) for new in change(section, name)]
    if not names:
        return None
    return names[0] if len(names) == 1 else names


def plain_nodes(data: Data) -> Iterator[Data]:
    """Copies in which all nodes, or one of them, take one job after the other, each for one second."""
    plain = [{"name": node["name"], "service": "1s"} for node in data["nodes"]]
    yield {**data, "nodes": [dict(node) for node in plain]}
    for position, node in enumerate(plain):
        yield with_value(data, ("nodes", position), node)


def with_written_failures(data: Data) -> Iterator[Data]:
    """Copies without the faults that make jobs fail by chance, in which one utterance, or every one, fails instead."""
    faults = [fault for fault in _list(data, "faults") if kind_of(fault) != "out_of_memory"]
    spoken = [place for place, line in enumerate(_list(data, "script")) if "speak" in line]
    if len(faults) == len(_list(data, "faults")):
        return
    for chosen in (spoken, *([place] for place in spoken)):
        script = list(data.get("script") or ())
        for place in chosen:
            action = script[place]["speak"]
            action = {"member": action} if isinstance(action, str) else action
            script[place] = {**script[place], "speak": {**action, "fails": "INTERNAL_ERROR"}}
        yield {**data, "faults": faults, "script": script}


# --- keys and lists ----------------------------------------------------------------------------------------------


def optional_keys(data: Data) -> list[Place]:
    """Keys that may be left out so that a default holds, outer ones first; some turn out to be needed."""
    whole = set(operations(data))
    found: list[Place] = []
    for place, mapping in mappings(data):
        kept = _kept(data, place, mapping, is_operation=place in whole)
        found += [(*place, key) for key in mapping if key not in kept and (*place, key) not in whole]
    return found


def _kept(data: Data, place: Place, mapping: Data, *, is_operation: bool) -> Collection[str]:
    """Keys of a mapping that are not left out by themselves."""
    if is_operation:
        return [key for key in mapping if key not in ("from", "until")]
    if place[:1] in (("script",), ("faults",)):
        return ()
    # Without a script, who is given no speech talks by chance.
    return _NEEDED if data.get("script") else _NEEDED | {"speech"}


def plain_lists(data: Data) -> list[Place]:
    """Lists of words: models, messages, pairs, languages, names of those to whom something happens."""
    return [place for place, items in lists(data) if items and all(isinstance(item, str) for item in items)]


def _list(data: Any, key: str) -> list[Any]:
    """A list of the data; empty where there is none."""
    found = data.get(key)
    return found if isinstance(found, list) else []
