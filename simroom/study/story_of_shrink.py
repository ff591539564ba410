"""What happened in a small failing run, in ten lines: who spoke, which job, on which node, and what went wrong."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.scenario.units import UnfitError, format_duration, parse_duration
from simroom.sim.run import RunData
from simroom.study.cuts import kind_of
from simroom.study.trial import Sign

LINES_MAX: Final = 10
_FIRST_TELLING: Final = 3
"""Of what is told of a run, the breach, what was said and what was done come before how jobs went."""


class _Happening(Struct, frozen=True):
    """One line of the story.

    Attributes:
        at: Whole microseconds from the scenario's time 0.
        order: What is told first of one instant.
        weight: The lightest lines go where there are too many.
    """

    at: int
    order: int
    text: str
    weight: int


def story(run: RunData, data: dict[str, Any], sign: Sign) -> list[str]:
    """Tell what happened.

    Args:
        run: The run, as small as it could be made.
        data: The scenario as a file holds it.
        sign: What went wrong.

    Returns:
        At most ``LINES_MAX`` lines in order of time, the last one being the breach, each with its instant.
    """
    found = [violation for violation in run.verdict.violations if (violation.invariant, violation.kind) == sign]
    happenings = [*_done(data), *_told_of_jobs(run, found[0] if found else None)]
    if found:
        happenings = [one for one in happenings if one.at <= found[0].at - run.time_zero]
        happenings.append(_Happening(found[0].at - run.time_zero, 9, _breach(found[0]), _FIRST_TELLING + 1))
    return _lines(happenings)


def story_of_error(data: dict[str, Any], error: str) -> list[str]:
    """Tell what was done in a run that was broken off, and how that ended."""
    happenings = _done(data)
    last = max((one.at for one in happenings), default=0)
    return [*_lines(happenings)[: LINES_MAX - 1], f"{_instant(last):>8}  at the earliest: {error}"]


def _lines(happenings: list[_Happening]) -> list[str]:
    ordered = sorted(happenings, key=lambda one: (one.at, one.order))
    while len(ordered) > LINES_MAX:
        lightest = min(range(len(ordered)), key=lambda place: (ordered[place].weight, place))
        del ordered[lightest]
    return [f"{_instant(one.at):>8}  {one.text}" for one in ordered]


def _instant(at: int) -> str:
    return format_duration(at) if at >= 0 else f"-{format_duration(-at)}"


# --- what the scenario does --------------------------------------------------------------------------------------


def _done(data: dict[str, Any]) -> list[_Happening]:
    """What the scenario itself has happen at plain instants, speaking aside."""
    found = []
    for entry in (*(data.get("script") or ()), *(data.get("faults") or ())):
        if kind_of(entry) != "speak":
            found += _entry(entry, None)
    for room in data.get("rooms") or ():
        for member in room.get("members") or ():
            found += _of_person(member, f"{room['name']}/{member.get('name', 'a member')}")
    for group in data.get("sessions") or ():
        found += _of_person(group, group["name"])
    for node in data["nodes"]:
        for key in ("starts", "leaves", "drains"):
            found += _at(node.get(key), f"node {node['name']} {key}")
    return found


def _of_person(person: dict[str, Any], name: str) -> list[_Happening]:
    joined = _at(person.get("joins"), f"{name} joins")
    return joined + [one for event in person.get("events") or () for one in _entry(event, name)]


def _entry(entry: dict[str, Any], who: str | None) -> list[_Happening]:
    kind = kind_of(entry)
    action = entry.get(kind)
    whom = "" if who is None else f"{who}: "
    details = "" if action in (None, {}) else f" {_flow(action)}"
    return _at(entry.get("at"), f"{whom}{kind.replace('_', ' ')}{details}")


def _flow(action: Any) -> str:
    """An action's details in words: ``nodes n, for 2s``."""
    if isinstance(action, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_flow(value)}" for key, value in action.items())
    if isinstance(action, list):
        return " and ".join(_flow(value) for value in action)
    return str(action)


def _at(instant: Any, text: str) -> list[_Happening]:
    try:
        return [_Happening(parse_duration(instant), 1, text, _FIRST_TELLING)]
    except UnfitError:
        return []  # not at a plain instant, or not at all


# --- what came of it ---------------------------------------------------------------------------------------------


def _told_of_jobs(run: RunData, violation: Violation | None) -> list[_Happening]:
    """Utterances, their jobs and the deliveries, in the ledger's words; those of the breach weigh more."""
    ledger = run.ledger
    zero = run.time_zero
    utterances = {name: column.tolist() for name, column in ledger.utterances().items()}
    jobs = {name: column.tolist() for name, column in ledger.jobs().items()}
    deliveries = {name: column.tolist() for name, column in ledger.deliveries().items()}
    sessions, languages = ledger.sessions.names, ledger.languages.names
    told = []
    for row in range(ledger.utterance_count):
        speaker, index = sessions[utterances["speaker"][row]], utterances["utterance_index"][row]
        begun, ended = utterances["started_at"][row] - zero, utterances["ended_at"][row] - zero
        concerned = violation is None or violation.speaker in (None, speaker)
        text = f"{speaker} #{index} speaks {languages[utterances['src_lang'][row]]} until {_instant(ended)}"
        told.append(_Happening(begun, 2, text, _FIRST_TELLING if concerned else 1))
    for row in range(ledger.job_count):
        utterance = jobs["utterance"][row]
        speaker, index = sessions[utterances["speaker"][utterance]], utterances["utterance_index"][utterance]
        language = languages[jobs["tgt_lang"][row]]
        concerned = violation is not None and (violation.speaker, violation.utterance_index, violation.language) == (
            speaker,
            index,
            language,
        )
        job, more = f"job {speaker} #{index} → {language}", 1 if concerned else 0
        told += _of_job(run, jobs, row, job, more)
        for place, of_job in enumerate(deliveries["job"]):
            if of_job == row:
                at = deliveries["arrived_at"][place] - zero
                told.append(_Happening(at, 6, f"{job} reaches {sessions[deliveries['recipient'][place]]}", 2 + more))
    return told


def _of_job(run: RunData, jobs: dict[str, list[int]], row: int, job: str, more: int) -> list[_Happening]:
    """How a job went, in the ledger's words; ``more`` is what it weighs beyond others."""
    zero = run.time_zero
    told = []
    node, attempts = jobs["node"][row], jobs["attempts"][row]
    if node != NONE and jobs["dispatched_at"][row] != NONE:
        again = f", attempt {attempts}" if attempts > 1 else ""
        text = f"{job} goes to node {run.ledger.nodes.names[node]}{again}"
        told.append(_Happening(jobs["dispatched_at"][row] - zero, 3, text, 2 + more))
    end = JobEnd(jobs["end"][row])
    if end is not JobEnd.LIVING:
        reached = f", sent to {jobs['recipients'][row]}" if end is JobEnd.DELIVERED else ""
        told.append(_Happening(jobs["ended_at"][row] - zero, 5, f"{job} ends as {end.name.lower()}{reached}", 1 + more))
    return told


def _breach(violation: Violation) -> str:
    """The breach in the oracle's words."""
    about = violation.speaker or ""
    about += "" if violation.utterance_index is None else f" #{violation.utterance_index}"
    about += "" if violation.language is None else f" → {violation.language}"
    about += ": " if about else ""
    name = INVARIANTS.get(violation.invariant, "")
    concerned = f" [{', '.join(violation.recipients)}]" if violation.recipients else ""
    return f"{violation.invariant} {name}: {about}{violation.what}{concerned}"
