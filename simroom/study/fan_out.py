"""How an utterance begins: the speech, its arrival, and the jobs that are made of it, for whom and for whom not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simroom.scheduler.settings import Settings
from simroom.study.life import FACTS, MADE, SPEECH, Scene, Steps
from simroom.study.presence import Change, Moved, Seat
from simroom.study.trail import Again, Trail
from simroom.study.words import counted, listed, setting, span

CHANGES_SHOWN: Final = 20
"""Comings and goings in the room that are told step by step."""


def beginning(scene: Scene, steps: Steps) -> None:
    """Tell the speech, its arrival, and which jobs were made for whom."""
    utterances = {name: int(column[scene.row]) for name, column in scene.table.utterances.items()}
    who = scene.called(scene.speaker)
    begun, ended = utterances["started_at"], utterances["ended_at"]
    steps.add(begun, SPEECH, f"{who} begins to speak {scene.src_lang}")
    steps.add(ended, SPEECH, f"{who} has spoken for {span(ended - begun)}: #{scene.index} goes out")
    trail = scene.trail
    if trail is None:
        what = "it never arrived at the scheduler"
        steps.add(max(ended, min(scene.run.ended_at, ended)), MADE, what, rule="what is lost on the way is lost")
        return
    arrived = trail.spoken.at
    way = f"arrived after {span(arrived - ended)}"
    if trail.refused is not None:
        rule = "an index must be above every earlier one of the session" if trail.refused == "INVALID_MESSAGE" else None
        steps.add(arrived, MADE, f"{way}: refused, {trail.refused}", rule=rule)
        return
    steps.add(arrived, MADE, f"{way}, accepted{_where(scene, trail)}")
    for place, (what, rule) in enumerate(_fan_out(scene, trail), 1):
        steps.add(arrived, MADE, what, rule=rule, place=place)


def _where(scene: Scene, trail: Trail) -> str:
    if trail.seats is None:
        return "; the speaker is in no room"
    if trail.room_size == 1:
        return "; the speaker is alone in the room"
    others = trail.room_size - 1
    named = "the room" if scene.room is None else scene.room
    return f"; in {named} there {'is' if others == 1 else 'are'} {counted(others, 'other')}"


def _fan_out(scene: Scene, trail: Trail) -> Iterator[tuple[str, str | None]]:
    """One line for each job, and one for each reason why there is none for somebody."""
    settings = scene.settings
    jobs = trail.spoken.jobs
    single = trail.seats is None or trail.room_size == 1
    rule = "alone: one job, to the speaker only" if single else f"fan_out: {settings.fan_out}"
    others = [seat for seat in trail.seats or () if seat.name != scene.speaker]
    for language in dict.fromkeys([*trail.wanted, *jobs]):
        whom = [scene.speaker] if single else [seat.name for seat in others if seat.lang == language]
        names = listed(scene.all_called(whom))
        if language not in jobs:
            yield f"no job was made into {language}, though there should be one for {names}", rule
        elif language not in trail.wanted:
            yield f"{jobs[language]} into {language}, for which there is no reason", rule
        else:
            yield f"{jobs[language]} into {language} for {names}", rule
    if not single:
        yield from _uncounted(scene, trail, others)


def _uncounted(scene: Scene, trail: Trail, others: list[Seat]) -> Iterator[tuple[str, str | None]]:
    same = [seat.name for seat in others if seat.lang == trail.src_lang and seat.lang not in trail.wanted]
    none = [seat.name for seat in others if seat.lang is None]
    rest = [seat.name for seat in others if seat.lang not in (None, trail.src_lang) and seat.lang not in trail.wanted]
    if same:
        what = f"none for {listed(scene.all_called(same))}: {trail.src_lang} is what was spoken"
        yield what, f"same_language: {scene.settings.same_language}"
    if none:
        yield f"none for {listed(scene.all_called(none))}: no preferred_lang", "who has no language gets nothing"
    if rest:
        yield f"none for {listed(scene.all_called(rest))}", f"fan_out: {scene.settings.fan_out}"
    if not trail.spoken.jobs and not trail.wanted:
        yield "so no job at all", None


def changes(scene: Scene, steps: Steps) -> int:
    """Tell who came, went or changed language in the room meanwhile; returns how many of these are left out."""
    for place, fact in enumerate(scene.facts):
        if isinstance(fact, Again):
            once_more = "accepted" if fact.refused is None else f"refused, {fact.refused}"
            rule = "an index must be above every earlier one of the session"
            steps.add(fact.at, FACTS, f"it arrives once more: {once_more}", rule=rule, place=10 * place)
    told = [
        (place, fact)
        for place, fact in enumerate(scene.facts)
        if isinstance(fact, Change) and fact.at <= scene.over_at and fact.moved is not Moved.ENDED
    ]
    for place, change in told[:CHANGES_SHOWN]:
        steps.add(change.at, FACTS, f"{scene.called(change.name)} {moved(change, scene.settings)}", place=10 * place)
    return max(0, len(told) - CHANGES_SHOWN)


def moved(change: Change, settings: Settings) -> str:
    """What somebody did, in words."""
    language = "no language" if change.lang is None else change.lang
    match change.moved:
        case Moved.JOINED:
            return f"joined, and prefers {language}"
        case Moved.LEFT:
            return "left the room"
        case Moved.LANGUAGE:
            return f"prefers {language} from now on"
        case Moved.DETACHED:
            return f"lost the connection, and may come back within {setting(settings.reconnect_grace)}"
        case _:
            return change.moved.value
