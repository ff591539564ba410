"""Other names and languages for a scenario: as few languages as it needs, and names of one letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simroom.study.cuts import numbered, with_targets
from simroom.study.places import Data, Place, leaves, mapped

USUAL_LANGUAGES: Final = ("en", "ja", "zh", "de", "fr", "es", "ko", "it")
_TAGGED: Final = frozenset({"speaks", "preferred_lang", "src_lang", "tgt_lang", "languages", "auto_langs"})
_PAIRED: Final = frozenset({"pairs", "models"})
_BY_LANGUAGE: Final = frozenset({"service", "fails"})
"""Keys of a spoken line whose mapping may go by language."""
_NOT_A_LANGUAGE: Final = frozenset({"auto", "none"})
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


# --- languages ---------------------------------------------------------------------------------------------------


def languages(data: Data) -> list[str]:
    """The languages that somebody speaks or wants, in the order of the file."""
    found: dict[str, None] = {}
    for place, value in leaves(data):
        if _key(place) in _TAGGED and isinstance(value, str) and value not in _NOT_A_LANGUAGE:
            found[value] = None
    return list(found)


def _key(place: Place) -> str:
    """The last key on the way to a place, positions in lists aside."""
    return next((step for step in reversed(place) if isinstance(step, str)), "")


def with_languages(data: Data, others: Mapping[str, str]) -> Data:
    """The same with other languages.

    Args:
        data: The scenario.
        others: The new language by the old one; who is not named stays.
    """

    def changed(place: Place, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if _key(place) in _TAGGED:
            return others.get(value, value)
        if _key(place) in _PAIRED and ">" in value:
            return ">".join(others.get(tag.strip(), tag.strip()) for tag in value.split(">"))
        return value

    result: Data = _with_keys(mapped(data, changed), others)
    return result


def _with_keys(data: Any, others: Mapping[str, str], *, by_language: bool = False) -> Any:
    """The same with other languages as keys, where keys are languages."""
    if isinstance(data, list):
        return [_with_keys(item, others) for item in data]
    if not isinstance(data, dict):
        return data
    spoken = "member" in data
    return {
        others.get(key, key) if by_language else key: _with_keys(
            value, others, by_language=spoken and key in _BY_LANGUAGE
        )
        for key, value in data.items()
    }


def with_usual_languages(data: Data) -> Data:
    """The same with the best known languages, in the order in which the file names its own."""
    return with_languages(data, dict(zip(languages(data), USUAL_LANGUAGES, strict=False)))


# --- names -------------------------------------------------------------------------------------------------------


def with_short_names(data: Data) -> Data:
    """The same with members called a, b, c; rooms r, s, t; sessions x, y, z; and nodes n, or n1, n2."""
    members = {room["name"]: _short_members(room) for room in data.get("rooms") or ()}
    groups = {
        "rooms": _short(data.get("rooms") or [], _LETTERS[17:23]),
        "sessions": _short(data.get("sessions") or [], _LETTERS[23:]),
        "nodes": _short(data["nodes"], "n"),
    }
    renamed = dict(data)
    for section, names in groups.items():
        if section in data:
            renamed[section] = [{**group, "name": names[group["name"]]} for group in data[section]]
    if "rooms" in data:
        renamed["rooms"] = [
            _with_members(room, members[old["name"]]) for room, old in zip(renamed["rooms"], data["rooms"], strict=True)
        ]
    _repaired(renamed, _of_each(data["nodes"], groups["nodes"]))
    return with_targets(renamed, _translation(data, groups, members))


def _short(groups: list[Data], letters: str) -> dict[str, str]:
    """A letter for each group; numbers behind it where there are more groups than letters."""
    if len(groups) <= len(letters):
        return {group["name"]: letter for group, letter in zip(groups, letters, strict=False)}
    return {group["name"]: f"{letters[0]}{number}" for number, group in enumerate(groups, 1)}


def _short_members(room: Data) -> dict[str, str]:
    named = [group for group in room.get("members") or () if "name" in group]
    return _short(named, _LETTERS[:13])


def _with_members(room: Data, names: dict[str, str]) -> Data:
    if not names:
        return room
    each = _of_each([group for group in room["members"] if "name" in group], names)
    members = [{**one, "name": names[one["name"]]} if "name" in one else one for one in room["members"]]
    changed = {**room, "members": members}
    speech = room.get("speech")
    if isinstance(speech, dict) and "script" in speech:
        lines = [{**line, "speaker": each.get(line.get("speaker"), line.get("speaker"))} for line in speech["script"]]
        changed["speech"] = {**speech, "script": lines}
    return changed


def _of_each(groups: list[Data], names: dict[str, str]) -> dict[str, str]:
    """The new name of each group and of each one in it, by the old name."""
    translated = dict(names)
    for group in groups:
        news = numbered({**group, "name": names[group["name"]]})
        translated |= dict(zip(numbered(group), news, strict=True))
    return translated


def _repaired(data: Data, nodes: dict[str, str]) -> None:
    """Have pairing codes lead to the nodes' new names."""
    scheduler = data.get("scheduler")
    if isinstance(scheduler, dict) and "pairing" in scheduler:
        pairing = {code: nodes.get(name, name) for code, name in scheduler["pairing"].items()}
        data["scheduler"] = {**scheduler, "pairing": pairing}


def _translation(data: Data, groups: dict[str, dict[str, str]], members: dict[str, dict[str, str]]) -> Any:
    """What faults and lines call everybody from now on."""
    nodes = _of_each(data["nodes"], groups["nodes"])
    sessions = _of_each(data.get("sessions") or [], groups["sessions"])
    for room in data.get("rooms") or ():
        rooms = _of_each([room], {room["name"]: groups["rooms"][room["name"]]})
        named = [group for group in room.get("members") or () if "name" in group]
        people = _of_each(named, members[room["name"]])
        sessions |= rooms
        sessions |= {f"{old}/{who}": f"{new}/{name}" for old, new in rooms.items() for who, name in people.items()}

    def translated(section: str, name: str) -> list[str]:
        return [(nodes if section == "nodes" else sessions).get(name, name)]

    return translated
