"""Rooms: their members, by groups in the file and one by one for those who walk them, and whose turn it is."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, model_validator

from simroom.scenario.fields import AUTO, Named, as_list, parse_language
from simroom.scenario.people import Member, Speaker
from simroom.scenario.speech import Meeting, RoomSpeech, TurnTaking
from simroom.scenario.units import UnfitError

NO_LANGUAGE: Final = "none"
UNDETERMINED: Final = "und"
"""BCP 47's tag for a language that is not known."""
REST: Final = "rest"
"""The key among a meeting's speakers that stands for all who are not named."""


class Room(Named):
    """Rooms that are alike."""

    members: Annotated[tuple[Member, ...], BeforeValidator(as_list)] = ()
    """Who is in it, in order of joining; beside a meeting's speakers: who only listens."""
    speech: RoomSpeech = TurnTaking()
    """Who speaks when."""
    speakers: dict[str, Speaker] | None = None
    """For a meeting: each speaker of its file as a member; `rest` is everybody not named."""

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, value: Any) -> Any:
        return with_languages(_with_listeners(value)) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _speakers_of_a_meeting(self) -> Self:
        if isinstance(self.speech, Meeting):
            if not self.speakers:
                raise UnfitError(
                    "no `speakers`", "who the meeting's speakers are, for example speakers: {rest: {speaks: en}}"
                )
        elif self.speakers is not None:
            raise UnfitError("`speakers` without a meeting", "`speech: {meeting: ...}`, or `members`").under("speakers")
        return self

    def roster(self) -> tuple[Member, ...]:
        """Everybody in one such room, one by one, each with a name and a count of 1, in order of joining.

        The speakers of a meeting come first, under the names they have in its file; then the members. A member who
        only listens has ``talks`` 0.
        """
        roster = [_as_member(name, speaker) for name, speaker in (self.speakers or {}).items()]
        position = 0
        for group in self.members:
            for number in range(1, group.count + 1):
                position += 1
                name = group.name or f"m{position}"
                if group.name is not None and group.count > 1:
                    name = f"{name}-{number}"
                roster.append(group.model_copy(update={"name": name, "count": 1}))
        return tuple(roster)

    @property
    def member_count(self) -> int:
        """Members of one such room."""
        return len(self.speakers or ()) + sum(group.count for group in self.members)


def _as_member(name: str, speaker: Speaker) -> Member:
    fields = {field: getattr(speaker, field) for field in Speaker.model_fields}
    return Member.model_construct(**fields, name=name, count=1, talks=1.0)


def _with_listeners(room: dict[str, Any]) -> dict[str, Any]:
    """The data of a meeting's room with its members only listening; of any other room as it is."""
    speech, members = room.get("speech"), room.get("members")
    if not (isinstance(speech, dict) and "meeting" in speech and isinstance(members, list)):
        return room
    return {**room, "members": [{"talks": 0, **one} if isinstance(one, dict) else one for one in members]}


def with_languages(room: dict[str, Any]) -> dict[str, Any]:
    """The room's data with the languages filled in that follow from others; anything odd is left for the models.

    ``speaks`` and ``preferred_lang`` stand for each other. ``tgt_lang`` is ``preferred_lang`` where that is another
    language than ``speaks``, else the first other language in the room, else (nobody there speaks or wants another)
    the language itself for those who only listen; who talks must then say it.
    """
    members = room.get("members")
    speakers = room.get("speakers")
    groups = list(members) if isinstance(members, (list, tuple)) else []
    if isinstance(speakers, dict):
        groups = [*speakers.values(), *groups]
    people = [_with_own_languages(group) if isinstance(group, dict) else group for group in groups]
    known = all(isinstance(person, BaseModel) or _is_known(person) for person in people)
    languages = [
        person[key]
        for person in people
        if isinstance(person, dict)
        for key in ("speaks", "preferred_lang")
        if _is_language(person.get(key))
    ]
    filled = [_with_target(person, languages, known=known) if isinstance(person, dict) else person for person in people]
    result = dict(room)
    if isinstance(speakers, dict):
        result["speakers"] = dict(zip(speakers, filled, strict=False))
        filled = filled[len(speakers) :]
    if isinstance(members, (list, tuple)):
        result["members"] = filled
    return result


def _is_language(value: object) -> bool:
    try:
        return value != NO_LANGUAGE and bool(parse_language(value))
    except UnfitError:
        return False


def _is_known(person: object) -> bool:
    """Whether a person's languages are all fit to be looked at."""
    if not isinstance(person, dict):
        return False
    speaks, preferred = person.get("speaks"), person.get("preferred_lang")
    return (speaks == AUTO or _is_language(speaks)) and (preferred in (None, NO_LANGUAGE) or _is_language(preferred))


def _with_own_languages(person: dict[str, Any]) -> dict[str, Any]:
    speaks, preferred = person.get("speaks"), person.get("preferred_lang")
    if "preferred_lang" not in person and _is_language(speaks):
        return {**person, "preferred_lang": speaks}
    if "speaks" not in person and _is_language(preferred):
        return {**person, "speaks": preferred}
    return person


def _with_target(person: dict[str, Any], languages: list[str], *, known: bool) -> dict[str, Any]:
    """A person with ``tgt_lang``; where somebody's languages are at fault, with a stand-in, to be told of that only."""
    if "tgt_lang" in person:
        return person
    if not known:
        return {**person, "tgt_lang": UNDETERMINED}
    speaks, preferred = person["speaks"], person.get("preferred_lang")
    wanted: list[str] = [str(preferred), *languages] if _is_language(preferred) else languages
    for language in wanted:
        if language.casefold() != speaks.casefold():
            return {**person, "tgt_lang": language}
    if person.get("talks") == 0 and speaks != AUTO:
        return {**person, "tgt_lang": speaks}
    return person
