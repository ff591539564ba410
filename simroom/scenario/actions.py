"""What can happen at an instant, by a fault or in a script: to nodes, sessions, the links to them, or everything."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from simroom.scenario.distributions import Distribution, OptionalDistribution, constant
from simroom.scenario.fields import (
    PAIR_SCHEMA,
    LanguageOrNone,
    Model,
    Number,
    PositiveDuration,
    Shift,
    Speed,
    as_list,
    parse_language_pair,
)
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.targets import Targets
from simroom.scenario.units import SECOND, UnfitError

MODEL_KINDS: Final = ("asr", "nmt", "tts")
"""The kinds of model that can be evicted as a whole."""
Way = Literal["both", "up", "down"]
"""Up is to the scheduler, down is from it."""

_TWO_TAGS: Final = re.compile("[a-z]{2}-[a-z]{2}")


# --- what all kinds have in common -------------------------------------------------------------------------------


class Action(Model):
    """Base of everything that can happen by a fault or in a script."""

    # Scenario checks all of them together; each by itself is hardly ever needed, and takes its time to get ready.
    model_config = ConfigDict(defer_build=True)

    kind: ClassVar[str]
    """Its key in a file."""
    short: ClassVar[str | None] = None
    """The field that is meant where a file gives no mapping but a single value or a list; None: there is none."""

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        if isinstance(value, (dict, BaseModel)):
            return value
        if cls.short is not None and value is not None:
            return {cls.model_fields[cls.short].alias or cls.short: value}
        raise UnfitError(quoted(value), cls.keys_in_words())

    @classmethod
    def keys_in_words(cls) -> str:
        """What a mapping that says it in full may have."""
        keys = [field.alias or name for name, field in cls.model_fields.items()]
        return "a mapping with " + ", ".join(f"`{key}`" for key in keys)


class OfNodes(Action):
    """Base of what happens to nodes."""

    short: ClassVar[str | None] = "nodes"
    nodes: Targets
    """Which nodes."""

    @property
    def targets(self) -> Targets:
        """Whom it happens to."""
        return self.nodes


class OfSessions(Action):
    """Base of what happens to sessions."""

    short: ClassVar[str | None] = "sessions"
    sessions: Targets
    """Which sessions."""

    @property
    def targets(self) -> Targets:
        """Whom it happens to."""
        return self.sessions


class OfLinks(Action):
    """Base of what happens on the way between the scheduler and nodes or sessions."""

    nodes: Targets | None = None
    """The links to which nodes; or `sessions`."""
    sessions: Targets | None = None
    """The links to which sessions; or `nodes`."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.nodes is None) == (self.sessions is None):
            found = "neither `nodes` nor `sessions`" if self.nodes is None else "both `nodes` and `sessions`"
            raise UnfitError(found, "one of `nodes` and `sessions`")
        return self

    @property
    def targets(self) -> Targets:
        """Whose links."""
        targets = self.nodes or self.sessions
        assert targets is not None, "checked when the scenario was read"
        return targets


# --- the kinds -----------------------------------------------------------------------------


class Crash(OfNodes):
    """The node stops: its jobs are lost and its connection is closed at once. It comes back as after a start, cold."""

    kind: ClassVar[str] = "crash"
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until it starts again. Default: it never does."""


class Slow(OfNodes):
    """The node works more slowly, on what it has too, while its heartbeats stay healthy."""

    kind: ClassVar[str] = "slow"
    factor: Annotated[Number, Field(ge=1.01, le=1_000)]
    """How many times as long its work takes."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long. Default: to the end of `duration`."""


class Pause(OfNodes):
    """The node stands still, its connection open: afterwards what came is dealt with and what was due is sent."""

    kind: ClassVar[str] = "pause"
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long. Default: to the end of `duration`."""


def _model(value: object) -> str:
    if isinstance(value, str) and value in MODEL_KINDS:
        return value
    try:
        return parse_language_pair(value)
    except UnfitError as error:
        hint = error.hint
        if isinstance(value, str) and ">" not in value:
            hint = value.replace("-", ">") if _TWO_TAGS.fullmatch(value) else nearest(value, MODEL_KINDS)
        raise UnfitError(quoted(value), "asr, nmt, tts or a pair of languages such as zh>en", hint) from None


def listed(value: object) -> object:
    """A list; a single word is a list of one."""
    return (value,) if isinstance(value, str) else as_list(value)


def list_or_one_of(*items: dict[str, Any]) -> WithJsonSchema:
    """What a file may write where ``listed`` reads items such as these."""
    item = items[0] if len(items) == 1 else {"anyOf": list(items)}
    return WithJsonSchema({"anyOf": [*items, {"type": "array", "items": item, "minItems": 1}]})


class Evict(OfNodes):
    """The node's models are not ready until they are loaded again; jobs that come meanwhile are refused."""

    kind: ClassVar[str] = "evict"
    models: (
        Annotated[
            tuple[Annotated[str, BeforeValidator(_model)], ...],
            BeforeValidator(listed),
            Field(min_length=1, max_length=1_000),
            list_or_one_of({"enum": list(MODEL_KINDS)}, PAIR_SCHEMA),
        ]
        | None
    ) = None
    """Which: asr, nmt, tts, or pairs such as zh>en. Default: all."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long loading takes. Default: to the end of `duration`."""


class Clog(OfLinks):
    """Messages are held up, and arrive in order when it is over."""

    kind: ClassVar[str] = "clog"
    way: Way = "both"
    """Which way: up (to the scheduler), down (from it) or both."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long. Default: to the end of `duration`."""


class Partition(OfLinks):
    """What is sent is lost; when it is over both sides notice that the connection has ended, and it is made anew."""

    kind: ClassVar[str] = "partition"
    way: Way = "both"
    """Which way: up (to the scheduler), down (from it) or both."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long. Default: to the end of `duration`."""


class DropConnection(OfSessions):
    """The connection is lost without a farewell, and comes back (within the scheduler's grace: resumes)."""

    kind: ClassVar[str] = "drop"
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until it is back. Default: to the end of `duration`; in a script: until `connect`."""
    noticed: OptionalDistribution = None
    """How long until the scheduler hears of the loss; the client may be back before. Default: at once."""


class LeaveRoom(OfSessions):
    """The member leaves the room and keeps the session."""

    kind: ClassVar[str] = "leave"
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until the member is back in the room. Default: for good; in a script: until `come_back`."""


class ChangeLanguage(OfSessions):
    """The member chooses another language."""

    kind: ClassVar[str] = "change"
    short: ClassVar[str | None] = None
    preferred_lang: LanguageOrNone
    """The new one; `none`: no language from now on."""


class CloseSession(OfSessions):
    """The session ends itself in good order."""

    kind: ClassVar[str] = "close"


class SlowReader(OfSessions):
    """The session reads slowly: each message to it takes its size over the speed, one after the other."""

    kind: ClassVar[str] = "slow_reader"
    rate: Speed
    """How fast it reads."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long. Default: to the end of `duration`."""


class Clock(OfNodes):
    """The node's clock is off from now on: so are the times in its heartbeats."""

    kind: ClassVar[str] = "clock"
    skew: Shift
    """By how much; negative: it is slow. 0 sets it right."""


class RestartScheduler(Action):
    """The scheduler starts anew and knows nobody: every connection ends, jobs in flight are lost, all come back."""

    kind: ClassVar[str] = "restart_scheduler"


class Flap(OfNodes):
    """The node crashes, comes back, crashes again, and so on."""

    kind: ClassVar[str] = "flap"
    up: Distribution
    """How long it is up between two crashes."""
    down: Distribution
    """How long it is down each time."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long this goes on. Default: to the end of `duration`."""

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.up == constant(0) and self.down == constant(0):
            raise UnfitError("0s", "more than 0s, for `up` or for `down`").under("up")
        return self


class Burst(OfSessions):
    """Each session says more than it otherwise would."""

    kind: ClassVar[str] = "burst"
    utterances: Annotated[int, Field(ge=1, le=10_000)]
    """How many utterances more of each."""
    within: PositiveDuration = SECOND
    """The span in which they end, evenly spread."""
    length: Distribution = constant(SECOND)
    """Length of each."""


EventAction = (
    Crash
    | Slow
    | Pause
    | Evict
    | Clog
    | Partition
    | DropConnection
    | LeaveRoom
    | ChangeLanguage
    | CloseSession
    | SlowReader
    | Clock
    | RestartScheduler
    | Flap
    | Burst
)
