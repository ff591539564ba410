"""Who speaks when: turn taking in a room, a real meeting, a script, or arrivals at a single session."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_serializer, model_validator

from simroom.scenario.distributions import AMI_UTTERANCE, Distribution, constant
from simroom.scenario.fields import (
    Duration,
    DurationOrNone,
    Model,
    Name,
    Number,
    OneOf,
    PositiveDuration,
    Rate,
    Share,
    Text,
    Unmarked,
    as_list,
    expand_one_of,
    kinds_of,
    marked,
)
from simroom.scenario.units import SECOND, UnfitError, format_duration

LONGEST: Final = 10 * SECOND
"""Where the modelled system's voice detector cuts an utterance that does not end."""


class _Cut(Model):
    """Base of speech that a voice detector may cut."""

    longest: DurationOrNone = LONGEST
    """An utterance longer than this is cut: it goes out in pieces of this length, each as it ends. `none`: never."""

    @model_validator(mode="after")
    def _longest_above_zero(self) -> Self:
        if self.longest == 0:
            raise UnfitError("0s", "more than 0s, or `none`").under("longest")
        return self


class TurnTaking(OneOf, _Cut):
    """Members take turns: lengths, silence and overlap as stated, the next speaker drawn by `talks`."""

    kind: Literal["turn_taking"] = "turn_taking"
    utterance: Distribution = AMI_UTTERANCE
    """Length of an utterance. Default: as in 170 AMI meetings."""
    silence: Annotated[Share, Field(lt=1)] = 0.17
    """Share of the time in which nobody speaks."""
    overlap: Annotated[Share, Field(lt=1)] = 0.11
    """Share of the time in which two or more speak."""


class Meeting(Unmarked, _Cut):
    """A real meeting: who spoke when, from an RTTM file."""

    kind: Literal["meeting"] = "meeting"
    meeting: Text
    """Path of the RTTM file, relative to the scenario's."""
    start: Duration = Field(default=0, alias="from")
    """Where in the meeting to begin; what comes before is left out."""
    end: Duration | None = Field(default=None, alias="to")
    """Where in the meeting to stop. Default: its end."""
    shift: Distribution = constant(0)
    """When the meeting begins. Where a room has a count, each draws its own."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise UnfitError(format_duration(self.end), f"more than `from` ({format_duration(self.start)})").under("to")
        return self


class Line(Model):
    """One utterance of a script."""

    at: Duration
    """When it begins."""
    length: PositiveDuration
    """How long it lasts; its result is due from `at` + `length`."""
    speaker: Name | None = None
    """Name of the member who speaks; not given for a single session."""


class Script(Unmarked, _Cut):
    """Exactly these utterances."""

    kind: Literal["script"] = "script"
    script: Annotated[tuple[Line, ...], BeforeValidator(as_list), Field(min_length=1, max_length=100_000)]
    """The utterances, in any order."""
    longest: DurationOrNone = None
    """An utterance longer than this is cut into pieces. Default: `none`, never."""


class Silent(Model):
    """Nobody speaks."""

    kind: Literal["none"] = "none"

    @model_serializer
    def _as_a_word(self) -> str:
        return "none"


class Poisson(OneOf):
    """Arrivals by pure chance, at a steady rate."""

    bare: ClassVar[str | None] = "rate"
    kind: Literal["poisson"] = "poisson"
    rate: Rate
    """Utterances of each session."""


class GammaArrivals(OneOf):
    """Arrivals whose gaps are gamma distributed."""

    kind: Literal["gamma"] = "gamma"
    rate: Rate
    """Utterances of each session."""
    cv: Annotated[Number, Field(gt=0, le=100)]
    """Coefficient of variation of the gaps: 1 is Poisson, more is burstier."""


class Regular(OneOf):
    """Arrivals at equal distances."""

    bare: ClassVar[str | None] = "every"
    kind: Literal["constant"] = "constant"
    every: PositiveDuration
    """Between two utterances of each session."""


class Trace(OneOf):
    """Arrivals from a file, dealt to the sessions of the group in turn."""

    short: ClassVar[str | None] = "file"
    kind: Literal["trace"] = "trace"
    file: Text
    """Path of the CSV file, relative to the scenario's."""
    scale: Annotated[Number, Field(gt=0, le=1_000_000)] = 1.0
    """Factor on the rate: 2 is twice as many a second, in half the time."""
    column: Text | None = None
    """The column that holds the times. Default: the first that looks like one."""


_ARRIVALS: Final = kinds_of(Poisson, GammaArrivals, Regular, Trace)


def _expand_arrivals(value: object) -> object:
    what = "how utterances arrive: " + ", ".join(_ARRIVALS) + ", for example {poisson: 6/min}"
    return expand_one_of(value, _ARRIVALS, what)


class Arrivals(Unmarked, _Cut):
    """Utterances of a single session come whether or not earlier ones were answered."""

    kind: Literal["arrivals"] = "arrivals"
    arrivals: Annotated[
        Poisson | GammaArrivals | Regular | Trace, Field(discriminator="kind"), BeforeValidator(_expand_arrivals)
    ]
    """The instants at which utterances end."""
    utterance: Distribution = AMI_UTTERANCE
    """Length of an utterance."""


def _expand_speech(value: object, kinds: tuple[str, ...]) -> object:
    """Name the kind of speech by the one key that only this kind has."""
    if isinstance(value, BaseModel):
        return value
    what = "how speech comes about: " + ", ".join(kinds)
    if value == "none":
        return {"kind": "none"}
    if not isinstance(value, dict):
        return expand_one_of(value, {kind: None if kind == "turn_taking" else kind for kind in kinds}, what)
    named = [kind for kind in kinds if kind in value]
    if len(named) != 1 or named[0] in ("none", "turn_taking"):
        return expand_one_of(value, dict.fromkeys(kinds), what)
    return marked(value, named[0])


def _expand_room_speech(value: object) -> object:
    return _expand_speech(value, ("turn_taking", "meeting", "script", "none"))


def _expand_session_speech(value: object) -> object:
    return _expand_speech(value, ("arrivals", "script", "none"))


RoomSpeech = Annotated[
    TurnTaking | Meeting | Script | Silent, Field(discriminator="kind"), BeforeValidator(_expand_room_speech)
]
SessionSpeech = Annotated[
    Arrivals | Script | Silent, Field(discriminator="kind"), BeforeValidator(_expand_session_speech)
]
