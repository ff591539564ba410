"""What the models cannot see one by one: names, references between parts, files, and what can never happen.

Checks work on the models where those could be made, and on the bare data beside them, so that one bad field does not
hide the next mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from simroom.scenario.datafile import DataFileError
from simroom.scenario.distributions import Constant, Distribution
from simroom.scenario.explain import place_of
from simroom.scenario.fault_checks import check_happenings
from simroom.scenario.faults import Fault
from simroom.scenario.files import Files
from simroom.scenario.names import check_names, is_name_of
from simroom.scenario.nearest import nearest
from simroom.scenario.nodes import NodeGroup
from simroom.scenario.people import MemberEvent, SessionEvent, SessionGroup
from simroom.scenario.printable import quoted
from simroom.scenario.problems import Found
from simroom.scenario.rooms import REST, Room
from simroom.scenario.script import ScriptLine
from simroom.scenario.section import SchedulerSection
from simroom.scenario.speech import Meeting, Script, TurnTaking
from simroom.scenario.units import format_duration, format_share
from simroom.scenario.yaml12 import DataPath, Document

_EXPECTATION: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.]*(\{[^{}]*\})?(\.[A-Za-z0-9_]+)? *(==|!=|<=|>=|<|>) *[^ <>=!].*"
)
_EXPECTED: Final = "`measure op value`, for example `delivery_latency{language=ja}.p95 < 6s`"


class Parts(NamedTuple):
    """What of a scenario could be made into models; None where it could not."""

    duration: int | None
    warm_up: int | None
    drain: int | None
    rooms: tuple[Room | None, ...]
    sessions: tuple[SessionGroup | None, ...]
    nodes: tuple[NodeGroup | None, ...]
    scheduler: SchedulerSection | None
    faults: tuple[Fault | None, ...]
    script: tuple[ScriptLine | None, ...]


class Checker:
    """Collects what is wrong with a document whose parts are known."""

    def __init__(self, document: Document, parts: Parts, files: Files) -> None:
        self.document = document
        self.data: dict[str, Any] = document.data
        self.parts = parts
        self.files = files
        self.found: list[Found] = []

    def all(self) -> list[Found]:
        """Everything that is wrong."""
        self._something_to_do()
        self._times()
        check_names(self.data, self.note_key)
        for index, room in enumerate(self.parts.rooms):
            self._room(index, room)
        for index, group in enumerate(self.parts.sessions):
            self._sessions(index, group)
        for index, node in enumerate(self.parts.nodes):
            self._node(index, node)
        self._pairing()
        check_happenings(self)
        self._expectations()
        return self.found

    # --- notes ---------------------------------------------------------------------------------------------------

    def note(self, path: DataPath, found: str, expected: str, hint: str | None = None) -> None:
        """Note that the value at ``path`` is wrong."""
        if path not in self.document.broken:
            self.found.append(Found(place_of(self.document, path), path, found, expected, hint))

    def note_key(self, path: DataPath, found: str, expected: str, hint: str | None = None) -> None:
        """Note that what is called ``path`` is wrong, at its key."""
        place = self.document.keys.get(path) or place_of(self.document, path)
        if path not in self.document.broken:
            self.found.append(Found(place, path, found, expected, hint))

    # --- the whole -----------------------------------------------------------------------------------------------

    def _something_to_do(self) -> None:
        if not self.data.get("rooms") and not self.data.get("sessions"):
            self.note((), "neither `rooms` nor `sessions`", "somebody who speaks, under `rooms` or `sessions`")

    def _times(self) -> None:
        duration, warm_up = self.parts.duration, self.parts.warm_up
        if duration is not None and warm_up is not None and warm_up >= duration:
            expected = f"less than `duration` ({format_duration(duration)})"
            self.note(("warm_up",), format_duration(warm_up), expected)

    def not_after_the_end(self, path: DataPath, when: Distribution | None, *, drain: bool) -> None:
        """A fixed instant that the run does not reach is a mistake; a drawn one may be meant."""
        duration = self.parts.duration
        if not isinstance(when, Constant) or duration is None:
            return
        end = duration + (self.parts.drain or 0) if drain else duration
        if when.span >= end:
            what = "the end of the run" if drain else "`duration`"
            self.note(path, format_duration(when.span), f"an instant before {what} ({format_duration(end)})")

    def _events(self, path: DataPath, events: tuple[MemberEvent, ...] | tuple[SessionEvent, ...]) -> None:
        for position, event in enumerate(events):
            self.not_after_the_end((*path, "events", position, "at"), event.at, drain=True)

    # --- rooms ---------------------------------------------------------------------------------------------------

    def _room(self, index: int, room: Room | None) -> None:
        path: DataPath = ("rooms", index)
        raw = self.data["rooms"][index]
        meeting = raw.get("speech") if isinstance(raw, dict) else None
        if isinstance(meeting, dict) and isinstance(meeting.get("meeting"), str):
            self._meeting(path, meeting["meeting"], raw)
        if room is None:
            return
        for position, group in enumerate(room.members):
            self.not_after_the_end((*path, "members", position, "joins"), group.joins, drain=False)
            self._events((*path, "members", position), group.events)
            self._pairing_code((*path, "members", position, "pairing_code"), group.pairing_code)
        for name, speaker in (room.speakers or {}).items():
            self.not_after_the_end((*path, "speakers", name, "joins"), speaker.joins, drain=False)
            self._events((*path, "speakers", name), speaker.events)
            self._pairing_code((*path, "speakers", name, "pairing_code"), speaker.pairing_code)
        if isinstance(room.speech, TurnTaking):
            self._turn_taking(path, room, room.speech)
        elif isinstance(room.speech, Script):
            self._script((*path, "speech", "script"), room.speech, [str(member.name) for member in room.roster()])
        if not room.member_count:
            self.note_key(path, "a room with nobody in it", "`members`, at least one")

    def _turn_taking(self, path: DataPath, room: Room, speech: TurnTaking) -> None:
        if room.member_count and not any(group.talks for group in room.members):
            self.note_key(path, "a room in which nobody talks", "a member with `talks` above 0, or `speech: none`")
        if speech.silence + speech.overlap >= 1:
            shares = f"silence {format_share(speech.silence)} and overlap {format_share(speech.overlap)}"
            self.note((*path, "speech", "turn_taking"), shares, "less than 100% together")

    def _script(self, path: DataPath, speech: Script, names: list[str]) -> None:
        duration = self.parts.duration
        for position, line in enumerate(speech.script):
            where: DataPath = (*path, position)
            if line.speaker is None and names:
                self.note_key(where, "no `speaker`", "the name of a member: " + ", ".join(names[:20]))
            elif line.speaker is not None and not names:
                self.note_key((*where, "speaker"), "a `speaker`", "none: a session outside rooms speaks for itself")
            elif line.speaker is not None and line.speaker not in names:
                expected = "the name of a member: " + ", ".join(names[:20])
                self.note((*where, "speaker"), quoted(line.speaker), expected, nearest(line.speaker, names))
            if duration is not None and line.at >= duration:
                expected = f"an instant before `duration` ({format_duration(duration)})"
                self.note((*where, "at"), format_duration(line.at), expected)

    def _meeting(self, path: DataPath, reference: str, raw: dict[str, Any]) -> None:
        place: DataPath = (*path, "speech", "meeting")
        for position, member in enumerate(raw["members"] if isinstance(raw.get("members"), list) else ()):
            if isinstance(member, dict) and member.get("talks", 0) != 0:
                where: DataPath = (*path, "members", position, "talks")
                self.note(where, quoted(member["talks"]), "0: in a meeting those under `speakers` talk")
        try:
            heard = self.files.speakers(reference)
        except DataFileError as error:
            self._file(place, reference, error)
            return
        room = self.parts.rooms[path[1]] if isinstance(path[1], int) else None
        if room is not None and isinstance(room.speech, Meeting):
            last = self.files.end(reference)
            if room.speech.start >= last:
                expected = f"less than the meeting's end ({format_duration(last)})"
                self.note((*path, "speech", "from"), format_duration(room.speech.start), expected)
        speakers = raw.get("speakers")
        if not isinstance(speakers, dict):
            return
        for name in speakers:
            if name != REST and name not in heard:
                expected = "a speaker of the meeting: " + ", ".join(quoted(one) for one in heard[:30])
                self.note_key((*path, "speakers", name), quoted(name), expected, nearest(name, heard))
        missing = [name for name in heard if name not in speakers]
        if missing and REST not in speakers:
            found = "no entry for " + ", ".join(quoted(name) for name in missing[:30])
            self.note_key((*path, "speakers"), found, "every speaker of the meeting, or `rest` for the others")

    def _file(self, path: DataPath, reference: str, error: DataFileError) -> None:
        line = f" in line {error.line}" if error.line else ""
        self.note(path, f"{error.found}{line} ({quoted(reference)})", error.expected, self.files.similar(reference))

    # --- sessions and nodes --------------------------------------------------------------------------------------

    def _sessions(self, index: int, group: SessionGroup | None) -> None:
        path: DataPath = ("sessions", index)
        speech = self._mapping(self.data["sessions"][index], "speech")
        trace = self._mapping(speech, "arrivals").get("trace")
        self._trace((*path, "speech", "arrivals", "trace"), trace, loads=False)
        if group is None:
            return
        self.not_after_the_end((*path, "joins"), group.joins, drain=False)
        self._events(path, group.events)
        self._pairing_code((*path, "pairing_code"), group.pairing_code)
        if isinstance(group.speech, Script):
            self._script((*path, "speech", "script"), group.speech, [])

    def _node(self, index: int, node: NodeGroup | None) -> None:
        path: DataPath = ("nodes", index)
        background = self._mapping(self._mapping(self.data["nodes"][index], "gpu"), "background")
        self._trace((*path, "gpu", "background", "trace"), background.get("trace"), loads=True)
        if node is None:
            return
        for name in ("starts", "leaves", "drains"):
            self.not_after_the_end((*path, name), getattr(node, name), drain=True)

    def _trace(self, path: DataPath, trace: object, *, loads: bool) -> None:
        inner = trace if isinstance(trace, dict) else {"file": trace}
        reference, column = inner.get("file"), inner.get("column")
        if not isinstance(reference, str):
            return
        where = (*path, "file") if isinstance(trace, dict) else path
        try:
            if loads:
                self.files.loads(reference)
            else:
                self.files.arrivals(reference, column if isinstance(column, str) else None)
        except DataFileError as error:
            self._file(where, reference, error)

    @staticmethod
    def _mapping(data: object, key: str) -> dict[str, Any]:
        inner = data.get(key) if isinstance(data, dict) else None
        return inner if isinstance(inner, dict) else {}

    # --- pairing and expectations --------------------------------------------------------------------------------

    def _pairing_code(self, path: DataPath, code: str | None) -> None:
        scheduler = self.parts.scheduler
        if code is None or scheduler is None:
            return
        codes = list(scheduler.settings().pairing)
        if code not in codes:
            expected = "one of `scheduler: pairing`: " + (", ".join(codes[:20]) or "which has none")
            self.note(path, quoted(code), expected, nearest(code, codes))

    def _pairing(self) -> None:
        scheduler = self.parts.scheduler
        if scheduler is None or None in self.parts.nodes:
            return
        groups = [(node.name, node.count) for node in self.parts.nodes if node is not None]
        for code, name in scheduler.settings().pairing.items():
            if not is_name_of(groups, name):
                names = [base if count == 1 else f"{base}-{number}" for base, count, number in _examples(groups)]
                expected = "the name of a node: " + ", ".join(names[:20])
                self.note(("scheduler", "pairing", code), quoted(name), expected, nearest(name, names))

    def _expectations(self) -> None:
        expect = self.data.get("expect")
        for position, text in enumerate(expect if isinstance(expect, list) else ()):
            if isinstance(text, str) and not _EXPECTATION.fullmatch(text.strip()):
                hint = re.sub(r"(?<![=!<>])=(?!=)", "==", text) if text.count("=") == 1 else None
                self.note(("expect", position), quoted(text), _EXPECTED, hint if hint != text else None)


def _examples(groups: list[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    for base, count in groups:
        for number in range(1, min(count, 20) + 1):
            yield base, count, number
