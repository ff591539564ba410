"""Reads YAML into plain data and the place of every key and value, strictly, from the parser's events.

Scalars follow YAML 1.2 whatever a ``%YAML`` directive says, so ``no`` is Norwegian and not False. What could surprise
(anchors, tags, merge keys, duplicate keys, a second document) or harm (depth, size, control characters) is refused
with its place. Nothing is ever constructed but dicts, lists, text, numbers, truth values and None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from simroom.scenario.printable import quoted
from simroom.scenario.problems import Found, Place
from simroom.scenario.syntax import reworded

LARGEST_FILE: Final = 1 << 20
DEEPEST: Final = 32
LARGEST_INTEGER: Final = 2**63 - 1
MOST_VALUES: Final = 200_000
"""Some seconds of reading; what a file of 1 MiB holds unless it means harm."""
MOST_COMPLAINTS: Final = 1_000
"""Reading stops there; a file with more is mostly one mistake made often."""

DataPath = tuple[str | int, ...]

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_RADIX: Final = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_BREAK: Final = re.compile("\r\n|\r|\n")


@dataclass
class Document:
    """Plain data with the place of everything in it.

    Attributes:
        data: What the text says.
        keys: Place of each key, by path; of a list's item, where it begins.
        values: Place of each value, by path; the whole is at ``()``.
        broken: Paths whose value could not be taken over and stands as None; nothing more need be said of them.
        found: What is wrong so far.
        fatal: Whether reading stopped there, and ``data`` is not to be used.
    """

    data: Any = None
    keys: dict[DataPath, Place] = field(default_factory=dict)
    values: dict[DataPath, Place] = field(default_factory=dict)
    broken: set[DataPath] = field(default_factory=set)
    found: list[Found] = field(default_factory=list)
    fatal: bool = False


class _StopReading(Exception):  # noqa: N818 - not an error: the one that stops reading has been noted already
    """Reading cannot go on."""


def decode(raw: bytes, file: str, order: int = 0) -> tuple[str, list[Found]]:
    """Turn a file's bytes into text that is fit to parse.

    Args:
        raw: The content; a UTF-8 byte order mark at its start is left out.
        file: Its name, for errors.
        order: Position of the file among all texts, for sorting errors.

    Returns:
        The text, and what is wrong with it (the text is then not to be used).
    """
    if len(raw) > LARGEST_FILE:
        place = Place(order, 1, 1, file)
        return "", [Found(place, "", f"a file of {len(raw):,} bytes", f"at most {LARGEST_FILE:,} bytes (1 MiB)")]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "", [Found(Place(order, 1, 1, file), "", "UTF-16 text", "UTF-8 text")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace").removeprefix("\ufeff")
        byte = raw[error.start]
        return "", [Found(_place_after(before, file, order), "", f"the byte 0x{byte:02x}", "UTF-8 text")]
    return text, refused_characters(text, file, order)


def refused_characters(text: str, file: str, order: int) -> list[Found]:
    """The first character that no scenario may hold unescaped, if there is one."""
    match = _FORBIDDEN.search(text)
    if match is None:
        return []
    place = _place_after(text[: match.start()], file, order)
    shown = f"the character U+{ord(match.group()):04X}"
    return [Found(place, "", shown, 'printable text (in double quotes an escape will do, such as "\\u001b")')]


def _place_after(before: str, file: str, order: int) -> Place:
    line, end = 1, 0
    for match in _BREAK.finditer(before):
        line, end = line + 1, match.end()
    return Place(order, line, len(before) - end + 1, file)


def read(text: str, file: str, order: int = 0, *, line: int = 1, column: int = 1) -> Document:
    """Read one document.

    Args:
        text: The text, as ``decode`` returns it.
        file: Its name, for errors.
        order: Position of the text among all texts, for sorting errors.
        line: Line of the text's first character within ``file``.
        column: Column of the text's first character within ``file``.

    Returns:
        The data with its places, and everything that is wrong with it. Raises nothing, whatever the text.
    """
    return _Reader(text, file, order, line, column).document()


class _Reader:
    """Builds a document from events."""

    def __init__(self, text: str, file: str, order: int, line: int, column: int) -> None:
        self._text = text
        self._file = file
        self._order = order
        self._line = line
        self._column = column
        self._result = Document()
        self._last = self._place(0, 0)

    def document(self) -> Document:
        result = self._result
        try:
            events = iter(YAML(typ="safe", pure=True).parse(self._text))
            self._read_stream(events)
        except _StopReading:
            result.fatal = True
        except MarkedYAMLError as error:
            found, expected, mark = reworded(error)
            place = self._last if mark is None else self._place(mark.line, mark.column)
            self._stop_at(place, found, expected)
        except Exception:
            self._stop_at(self._last, "something that is no YAML here or soon after", "YAML 1.2")
        return result

    def _stop_at(self, place: Place, found: str, expected: str) -> None:
        self._result.found.append(Found(place, "", found, expected))
        self._result.fatal = True

    def _place(self, line: int, column: int) -> Place:
        if line == 0:
            column += self._column - 1
        return Place(self._order, line + self._line, column + 1, self._file)

    def _read_stream(self, events: Iterator[Event]) -> None:
        result = self._result
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._note(self._at(event), (), "a second document", "one document a file")
                    return
            elif isinstance(event, NodeEvent):
                result.data = self._value(event, events, (), 1)
        if documents == 0:
            self._note(self._place(0, 0), (), "an empty file", "a scenario")
            raise _StopReading

    def _at(self, event: Event) -> Place:
        self._last = self._place(event.start_mark.line, event.start_mark.column)
        return self._last

    def _note(self, place: Place, path: DataPath, found: str, expected: str, hint: str | None = None) -> None:
        self._result.found.append(Found(place, path, found, expected, hint))
        if len(self._result.found) >= MOST_COMPLAINTS:
            raise _StopReading

    def _refuse(self, place: Place, path: DataPath, found: str, expected: str, hint: str | None = None) -> None:
        self._note(place, path, found, expected, hint)
        self._result.broken.add(path)

    def _value(self, event: NodeEvent, events: Iterator[Event], path: DataPath, depth: int) -> Any:
        place = self._at(event)
        self._result.values[path] = place
        if len(self._result.values) > MOST_VALUES:
            self._note(place, (), f"more than {MOST_VALUES:,} values", "a scenario that says it with counts")
            raise _StopReading
        if depth > DEEPEST:
            self._note(place, path[:3], f"more than {DEEPEST} levels", f"at most {DEEPEST} levels of nesting")
            raise _StopReading
        if isinstance(event, AliasEvent):
            self._refuse(place, path, f"the alias *{event.anchor}", "the value itself; aliases are not used here")
            return None
        if event.anchor is not None:
            self._refuse(place, path, f"the anchor &{event.anchor}", "the value alone; anchors are not used here")
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = quoted(str(tag).replace("tag:yaml.org,2002:", "!!"))
            self._refuse(place, path, f"the tag {shown}", "the value alone; tags are not used here")
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path, depth)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path, depth)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event, place, path)

    def _sequence(self, events: Iterator[Event], path: DataPath, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            assert isinstance(event, NodeEvent)
            inner = (*path, len(items))
            self._result.keys[inner] = self._at(event)
            items.append(self._value(event, events, inner, depth + 1))
        return items

    def _mapping(self, events: Iterator[Event], path: DataPath, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            assert isinstance(event, NodeEvent)
            key = self._key(event, events, path, depth)
            value_event = next(events)
            assert isinstance(value_event, NodeEvent)
            if key is None or key in items:
                self._skip(value_event, events, path, depth)
                continue
            self._result.keys[(*path, key)] = self._last_key
            items[key] = self._value(value_event, events, (*path, key), depth + 1)
        return items

    def _key(self, event: NodeEvent, events: Iterator[Event], path: DataPath, depth: int) -> str | None:
        """The key that an event says; None, and a note, where it is none or was there before."""
        place = self._last_key = self._at(event)
        if not isinstance(event, ScalarEvent):
            self._skip(event, events, path, depth)
            self._refuse(place, path, "a key that is no text", "a key that is text")
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse(place, path, "a key with an anchor or a tag", "a key that is text alone")
            return None
        key = str(event.value)
        if event.style is None:
            if key == "<<":
                self._refuse(place, path, "the merge key <<", "the keys themselves; merging is not done here")
                return None
            if key in _NULLS or key in _BOOLEANS or _is_number(key):
                self._refuse(place, path, f"the key {key or 'nothing'}", "a key that is text", f'"{key}"')
                return None
        earlier = self._result.keys.get((*path, key))
        if earlier is not None:
            self._note(
                place, (*path, key), f"the key {quoted(key)} again", f"each key once (it is in line {earlier.line} too)"
            )
            return None
        return key

    def _skip(self, event: NodeEvent, events: Iterator[Event], path: DataPath, depth: int) -> None:
        """Go past a value that belongs to no key."""
        level = depth
        current: Event = event
        while True:
            if isinstance(current, (SequenceStartEvent, MappingStartEvent)):
                level += 1
                if level > DEEPEST:
                    self._note(self._at(current), path[:3], f"more than {DEEPEST} levels", f"at most {DEEPEST} levels")
                    raise _StopReading
            elif isinstance(current, (SequenceEndEvent, MappingEndEvent)):
                level -= 1
            if level == depth:
                return
            current = next(events)

    def _scalar(self, event: ScalarEvent, place: Place, path: DataPath) -> Any:
        text = str(event.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._refuse(place, path, "half of a surrogate pair", "whole characters")
            return None
        if event.style is not None:
            return text
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _NOT_FINITE.fullmatch(text):
            self._refuse(place, path, text, "a finite number")
            return None
        if _INTEGER.fullmatch(text) or _RADIX.fullmatch(text):
            return self._integer(text, place, path)
        if _FLOAT.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                self._refuse(place, path, quoted(text), "a number that is not too large")
                return None
            return number
        return text

    def _integer(self, text: str, place: Place, path: DataPath) -> int | None:
        if len(text) <= 24:
            number = int(text, 0) if _RADIX.fullmatch(text) else int(text)
            if abs(number) <= LARGEST_INTEGER:
                return number
        self._refuse(place, path, quoted(text), f"a whole number of at most {LARGEST_INTEGER}")
        return None


def _is_number(text: str) -> bool:
    return bool(_NOT_FINITE.fullmatch(text) or _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text))
