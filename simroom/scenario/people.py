"""Who takes part: members of rooms, speakers of a meeting, single sessions, and what happens to them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from simroom.scenario.distributions import OptionalDistribution
from simroom.scenario.fields import (
    Count,
    Language,
    LanguageOrNone,
    Model,
    Name,
    Named,
    Number,
    SpokenLanguage,
    as_list,
)
from simroom.scenario.speech import SessionSpeech
from simroom.scenario.units import UnfitError
from simroom.scheduler.messages import Features


class FeatureFlags(Model):
    """Optional features of a session; each that is true asks for a module."""

    emotion_detection: bool = False
    """Emotion of the speaker."""
    voice_style_detection: bool = False
    """The speaker's voice, cloned."""
    speech_rate_detection: bool = False
    """How fast the speaker speaks."""
    speech_rate_control: bool = False
    """Translation at the speaker's rate."""
    speaker_identification: bool = False
    """Who of several speaks."""
    persona_adaptation: bool = False
    """Wording that suits the speaker."""

    @model_serializer(mode="wrap")
    def _only_those_wanted(self, inner: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, bool]:
        flags: dict[str, bool] = inner(self)
        return {name: on for name, on in flags.items() if on or info.mode != "json"}

    def message(self) -> Features:
        """The same as a part of the protocol's messages."""
        return Features(**self.model_dump())

    def wanted(self) -> tuple[str, ...]:
        """Names of those that are true, in the protocol's order."""
        return tuple(name for name, on in self.model_dump().items() if on)


class Change(Model):
    """A member chooses another language."""

    preferred_lang: LanguageOrNone
    """The new one; `none`: no language from now on."""


class Drop(Model):
    """The connection is lost without a farewell, and comes back (within the scheduler's grace: resumes)."""

    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until it is back. Default: it never is."""


class Leave(Model):
    """The member leaves the room and keeps the session."""

    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until the member is back in the room. Default: for good."""


class Close(Model):
    """The session ends itself in good order."""


class _Event(Model):
    at: OptionalDistribution = None
    """When it happens, once."""
    every: OptionalDistribution = None
    """Or how long from one time to the next, and from the beginning (or joining) to the first."""

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        """``close:`` means ``close: {}``, and ``drop: 2s`` means ``drop: {for: 2s}``."""
        if not isinstance(value, dict):
            return value
        event = dict(value)
        for action in ("drop", "leave", "close"):
            if action in event and event[action] is None:
                event[action] = {}
            elif action != "close" and isinstance(event.get(action), str):
                event[action] = {"for": event[action]}
        return event

    @model_validator(mode="after")
    def _one_time_and_one_action(self) -> Self:
        if (self.at is None) == (self.every is None):
            raise UnfitError("neither" if self.at is None else "both `at` and `every`", "one of `at` and `every`")
        actions = [name for name in type(self).model_fields if name not in ("at", "every")]
        given = [name for name in actions if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "no action"
            raise UnfitError(found, "one of " + ", ".join(f"`{name}`" for name in actions))
        if given == ["close"] and self.every is not None:
            raise UnfitError("`every` with `close`", "`at`: a session closes once")
        return self


class MemberEvent(_Event):
    """Something that happens to a member: exactly one of ``change``, ``drop``, ``leave``, ``close`` is not None."""

    change: Change | None = None
    """Choose another language."""
    drop: Drop | None = None
    """Lose the connection."""
    leave: Leave | None = None
    """Leave the room."""
    close: Close | None = None
    """End the session."""

    @property
    def action(self) -> Change | Drop | Leave | Close:
        """What happens."""
        action = self.change or self.drop or self.leave or self.close
        assert action is not None, "checked when the scenario was read"
        return action


class SessionEvent(_Event):
    """Something that happens to a single session: exactly one of ``drop`` and ``close`` is not None."""

    drop: Drop | None = None
    """Lose the connection."""
    close: Close | None = None
    """End the session."""

    @property
    def action(self) -> Drop | Close:
        """What happens."""
        action = self.drop or self.close
        assert action is not None, "checked when the scenario was read"
        return action


class _Person(Model):
    features: FeatureFlags = FeatureFlags()
    """Optional features."""
    auto_langs: Annotated[tuple[Language, ...], BeforeValidator(as_list), Field(min_length=1)] | None = None
    """Languages that a source of `auto` may turn out to be. Default: any."""
    pairing_code: Name | None = None
    """Code of the node this session is paired with, one of `scheduler: pairing`."""
    joins: OptionalDistribution = None
    """When it connects (and enters its room). Default: in the lead-in, before time 0."""


class Speaker(_Person):
    """A speaker of a meeting's file, as a member of the room."""

    speaks: SpokenLanguage
    """Language of the speech, or `auto`. Default: `preferred_lang`."""
    preferred_lang: LanguageOrNone = None
    """Language in which to hear the others; `none`: none. Default: `speaks`."""
    tgt_lang: Language
    """Target where the room does not decide. Default: `preferred_lang` where it is another language than `speaks`,
    else the first other language in the room."""
    display_name: Name | None = None
    """Name shown to the others. Default: the member's name."""
    events: Annotated[tuple[MemberEvent, ...], BeforeValidator(as_list)] = ()
    """What happens to this member."""


class Member(Speaker):
    """Members of a room who are alike."""

    name: Name | None = None
    """Name in reports; with a count above 1 numbered, `late-2`. Default: `m1`, `m2`, ... in order over the whole
    list."""
    count: Count = 1
    """How many members of this kind."""
    talks: Annotated[Number, Field(ge=0, le=1_000_000)] = 1.0
    """Weight as a speaker, relative to the others'; 0 only listens. Listed beside a meeting's speakers: always 0."""


class SessionGroup(Named):
    """Sessions outside rooms that are alike; each is translated for itself alone."""

    src_lang: SpokenLanguage
    """Language of the speech, or `auto`."""
    tgt_lang: Language
    """Language of the translation."""
    speech: SessionSpeech
    """When and how long each of them speaks."""
    features: FeatureFlags = FeatureFlags()
    """Optional features."""
    auto_langs: Annotated[tuple[Language, ...], BeforeValidator(as_list), Field(min_length=1)] | None = None
    """Languages that a source of `auto` may turn out to be. Default: any."""
    pairing_code: Name | None = None
    """Code of the node each is paired with, one of `scheduler: pairing`."""
    joins: OptionalDistribution = None
    """When each connects. Default: in the lead-in, before time 0."""
    events: Annotated[tuple[SessionEvent, ...], BeforeValidator(as_list)] = ()
    """What happens to each."""
