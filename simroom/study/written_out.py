"""Chance written out: a scenario in which everything that happens stands in its script, as it happened in a run.

What was said, by whom, when, and how long a node took over it comes from the ledger; what happened to people and nodes
at plain instants comes from the scenario, and when its faults struck from the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from simroom.oracle.ledger import NONE
from simroom.scenario.units import UnfitError, format_duration, parse_duration
from simroom.sim.run import RunData
from simroom.study.cuts import kind_of, numbered, with_single_ones

Data = dict[str, Any]
Line = tuple[int, Data]
"""When, microseconds from time 0, and what."""

_INSTANT_KINDS: Final = frozenset({"drop", "leave", "change", "close"})
_NODE_LINES: Final = (("starts", "start"), ("drains", "drain"), ("leaves", "stop"))
_STRUCK_MAX: Final = 50
"""A fault that struck more often is left as it is."""


def written_out(data: Data, run: RunData) -> Iterator[Data]:
    """Scenarios with more or less of the chance written out, those with most of it first; each must be tried.

    Args:
        data: The scenario as a file holds it.
        run: What happened in it.
    """
    single = with_single_ones(data)
    whole: tuple[Callable[[Data, RunData], Data], ...] = (_speech_and_service, _people, _nodes, _faults)
    yield _all(single, run, whole)
    yield _all(single, run, (_speech, *whole[1:]))
    for count in (2, 1):
        for some in combinations(whole[1:], count):
            yield _all(single, run, (_speech_and_service, *some))
            yield _all(single, run, (_speech, *some))
    for speech in (_speech_and_service, _speech):
        yield speech(single, run)
    yield single
    yield _speech(data, run)


def _all(data: Data, run: RunData, writers: tuple[Callable[[Data, RunData], Data], ...]) -> Data:
    for write in writers:
        data = write(data, run)
    return data


def _with_lines(data: Data, lines: list[Line]) -> Data:
    """The same with these lines in the script, in order of time after those of the same instant."""
    if not lines:
        return data
    script: list[Line] = [(_instant(line["at"]) or 0, line) for line in data.get("script") or ()]
    ordered = sorted([*script, *lines], key=lambda line: line[0])
    return {**data, "script": [{**line, "at": format_duration(at)} for at, line in ordered]}


def _line(at: int, kind: str, action: Any) -> Line:
    return at, {"at": format_duration(at), kind: action}


def _instant(value: Any) -> int | None:
    """A plain instant; None: it is drawn, or there is none."""
    try:
        return parse_duration(value)
    except UnfitError:
        return None


# --- speech ------------------------------------------------------------------------------------------------------


def _speech(data: Data, run: RunData) -> Data:
    return _with_speech(data, run, served=False)


def _speech_and_service(data: Data, run: RunData) -> Data:
    return _with_speech(data, run, served=True)


def _with_speech(data: Data, run: RunData, *, served: bool) -> Data:
    """The same with one line for each utterance.

    Args:
        data: The scenario.
        run: What was said in it.
        served: Whether the lines say how long a node takes, as it did.
    """
    utterances = {name: column.tolist() for name, column in run.ledger.utterances().items()}
    services = _services(run) if served else {}
    lines = []
    for row in range(run.ledger.utterance_count):
        if utterances["started_at"][row] == NONE:
            continue  # nobody said it: the scheduler made it up
        begun = max(0, utterances["started_at"][row] - run.time_zero)
        length = utterances["ended_at"][row] - run.time_zero - begun
        action: Data = {"member": run.ledger.sessions.names[utterances["speaker"][row]]}
        if length > 0:
            action["length"] = format_duration(length)
            action |= _service(services.get(row, {}))
            lines.append(_line(begun, "speak", action))
    if not lines:
        return data
    silent = dict(data)
    heard = {name: tuple(room.speakers or ()) for room in run.scenario.rooms for name in (room.name, *room.names())}
    for section in ("rooms", "sessions"):
        if section in silent:
            silent[section] = [_silent(group, heard) for group in silent[section]]
    return _with_lines(silent, lines)


def _silent(group: Data, heard: Mapping[str, Sequence[str]]) -> Data:
    """A group that says nothing by itself; the speakers of a meeting stay in the room, as members.

    Args:
        group: A room or a session.
        heard: The speakers of each meeting, by the name of its room.
    """
    quiet = {key: value for key, value in group.items() if key not in ("speech", "speakers")}
    speakers = group.get("speakers") or {}
    if speakers:
        named = [{"name": name, **speakers.get(name, speakers.get("rest", {}))} for name in heard[group["name"]]]
        quiet["members"] = [*named, *({"talks": 0, **one} for one in group.get("members") or ())]
    return quiet


def _services(run: RunData) -> dict[int, dict[str, int]]:
    """How long nodes took over each utterance, by language."""
    jobs = {name: column.tolist() for name, column in run.ledger.jobs().items()}
    services: dict[int, dict[str, int]] = {}
    for row in range(run.ledger.job_count):
        times = [jobs[stage][row] for stage in ("asr_time", "nmt_time", "tts_time")]
        if NONE not in times:
            language = run.ledger.languages.names[jobs["tgt_lang"][row]]
            services.setdefault(jobs["utterance"][row], {})[language] = sum(times)
    return services


def _service(by_language: dict[str, int]) -> Data:
    spans = {language: format_duration(span) for language, span in by_language.items()}
    if not spans:
        return {}
    alike = len(set(spans.values())) == 1
    return {"service": next(iter(spans.values())) if alike else spans}


# --- people, nodes and faults ------------------------------------------------------------------------------------


def _people(data: Data, _run: RunData) -> Data:
    """The same with lines for what happens to people, and for when they join, where that is at plain instants."""
    lines: list[Line] = []
    copy = dict(data)
    if "rooms" in copy:
        copy["rooms"] = [_room_without_events(room, lines) for room in copy["rooms"]]
    if "sessions" in copy:
        copy["sessions"] = [_without_events(group, numbered(group), lines) for group in copy["sessions"]]
    return _with_lines(copy, lines)


def _room_without_events(room: Data, lines: list[Line]) -> Data:
    if not room.get("members") or not all("name" in member for member in room["members"]):
        return room
    members = []
    for member in room["members"]:
        names = [f"{one}/{name}" for one in numbered(room) for name in numbered(member)]
        members.append(_without_events(member, names, lines))
    return {**room, "members": members}


def _without_events(person: Data, names: list[str], lines: list[Line]) -> Data:
    """Somebody without what happens to them at plain instants, which is added to the lines."""
    left = []
    for event in person.get("events") or ():
        at, kind = _instant(event.get("at")), kind_of(event)
        if at is None or kind not in _INSTANT_KINDS:
            left.append(event)
            continue
        action = event[kind] if isinstance(event[kind], dict) else {} if event[kind] is None else {"for": event[kind]}
        lines += [_line(at, kind, {"sessions": name, **action}) for name in names]
    rest = {key: value for key, value in person.items() if key != "events"}
    if left:
        rest["events"] = left
    joins = _instant(person.get("joins"))
    if joins is not None:
        lines += [_line(joins, "join", name) for name in names]
        del rest["joins"]
    return rest


def _nodes(data: Data, _run: RunData) -> Data:
    """The same with lines for when nodes start, drain and leave, where that is at plain instants."""
    lines: list[Line] = []
    nodes = []
    for node in data["nodes"]:
        rest = dict(node)
        for key, kind in _NODE_LINES:
            at = _instant(rest.get(key))
            if at is not None:
                lines += [_line(at, kind, name) for name in numbered(node)]
                del rest[key]
        nodes.append(rest)
    return _with_lines({**data, "nodes": nodes}, lines)


def _faults(data: Data, run: RunData) -> Data:
    """The same with a line for each time that a fault struck, where it strikes at instants."""
    lines: list[Line] = []
    left = []
    struck = run.faults if len(run.faults) >= len(data.get("faults") or ()) else ()
    for position, fault in enumerate(data.get("faults") or ()):
        kind = kind_of(fault)
        at = _instant(fault.get("at"))
        if at is not None:
            lines.append(_line(at, kind, fault[kind]))
        elif struck and ("at" in fault or "every" in fault) and struck[position].fired_count <= _STRUCK_MAX:
            lines += [_line(max(0, when - run.time_zero), kind, fault[kind]) for when in struck[position].at]
        else:
            left.append(fault)
    rest = {key: value for key, value in data.items() if key != "faults"}
    return _with_lines({**rest, "faults": left} if left else rest, lines)
