"""The script of a scenario: what exactly happens, line by line, each at a stated instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, model_validator

from simroom.scenario.faults import SHARE_KINDS, WORLD_KINDS, Action, EventAction, Happening
from simroom.scenario.fields import (
    DURATION_SCHEMA,
    TAG_PATTERN,
    Duration,
    Name,
    PositiveDuration,
    parse_language,
    parse_name,
)
from simroom.scenario.languages import canonical
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.units import SECOND, UnfitError, format_duration, parse_duration
from simroom.scheduler.messages import ErrorCode

ERROR_CODES: Final = tuple(name for name in vars(ErrorCode) if name.isupper())
"""The protocol's error codes, any of which a node can be made to answer."""


# --- one value, or one for each language -------------------------------------------------------------------------


def _by_language(parse: Callable[[object], object]) -> Callable[[object], object]:
    """Read one value for all languages, or a mapping from language to value."""

    def read(value: object) -> object:
        if not isinstance(value, dict):
            return parse(value)
        if not value:
            raise UnfitError("an empty mapping", "a value for each language, for example {ja: 3s}")
        values: dict[str, object] = {}
        for language, inner in value.items():
            try:
                values[parse_language(language)] = parse(inner)
            except UnfitError as error:
                raise error.under(language) from None
        return values

    return read


def _written(write: Callable[[Any], str]) -> Callable[[Any], object]:
    def written(value: Any) -> object:
        if isinstance(value, dict):
            return {language: write(inner) for language, inner in value.items()}
        return None if value is None else write(value)

    return written


def _code(value: object) -> str:
    if isinstance(value, str) and value in ERROR_CODES:
        return value
    hint = nearest(value, ERROR_CODES) if isinstance(value, str) else None
    raise UnfitError(quoted(value), "an error code of the protocol, for example INTERNAL_ERROR", hint)


def _or_by_language(schema: dict[str, Any]) -> dict[str, Any]:
    values = {"type": "object", "patternProperties": {TAG_PATTERN: schema}, "additionalProperties": False}
    return {"anyOf": [schema, {**values, "minProperties": 1}]}


ServiceTimes = Annotated[
    int | dict[str, int],
    BeforeValidator(_by_language(parse_duration)),
    PlainSerializer(_written(format_duration), when_used="json"),
    WithJsonSchema(_or_by_language(DURATION_SCHEMA)),
]
"""Whole microseconds, or whole microseconds by language."""
Failures = Annotated[
    str | dict[str, str],
    BeforeValidator(_by_language(_code)),
    PlainSerializer(_written(str), when_used="json"),
    WithJsonSchema(_or_by_language({"enum": list(ERROR_CODES)})),
]
"""An error code, or error codes by language."""


def _in_language(values: Any, language: str) -> Any:
    """The value for a language; None where there is none for it."""
    if not isinstance(values, dict):
        return values
    wanted = canonical(language)
    return next((value for tag, value in values.items() if canonical(tag) == wanted), None)


# --- what only a script can say ----------------------------------------------------------------------------------


class OfMember(Action):
    """Base of what one session does, a member of a room or one outside."""

    short: ClassVar[str | None] = "member"
    member: Name
    """Who: `room/member`, or the name of a session outside rooms."""


class OfNode(Action):
    """Base of what one node does."""

    short: ClassVar[str | None] = "node"
    node: Name
    """Which node."""


class Join(OfMember):
    """Somebody connects, and enters the room. Who has such a line does not join without it."""

    kind: ClassVar[str] = "join"


class ComeBack(OfMember):
    """A member who has left the room enters it again."""

    kind: ClassVar[str] = "come_back"


class Connect(OfMember):
    """Somebody whose connection is lost connects again (within the scheduler's grace: resumes)."""

    kind: ClassVar[str] = "connect"


class Speak(OfMember):
    """Somebody says one utterance, which begins at the line's instant and ends `length` later."""

    kind: ClassVar[str] = "speak"
    length: PositiveDuration = SECOND
    """How long it lasts."""
    service: ServiceTimes | None = None
    """How long a node works on it, or by language, for example {ja: 3s, en: 1s}. Default: as the node is."""
    fails: Failures | None = None
    """The error code that a node answers, or by language. Default: it does not fail."""

    def service_in(self, language: str) -> int | None:
        """How long the job into this language takes, microseconds; None: as the node is."""
        span: int | None = _in_language(self.service, language)
        return span

    def failure_in(self, language: str) -> str | None:
        """The error code that the job into this language ends with; None: it does not fail."""
        code: str | None = _in_language(self.fails, language)
        return code


class StartNode(OfNode):
    """A node starts. Where that is the first that a script says of the node, it does not start before."""

    kind: ClassVar[str] = "start"


class DrainNode(OfNode):
    """A node asks for no more jobs, and finishes what it has."""

    kind: ClassVar[str] = "drain"


class StopNode(OfNode):
    """A node's connection ends, and it is gone."""

    kind: ClassVar[str] = "stop"


# --- a line ------------------------------------------------------------------------------------------------------

ScriptAction = EventAction | Join | ComeBack | Connect | Speak | StartNode | DrainNode | StopNode

OF_ONE_MEMBER: Final = ("drop", "leave", "change", "close")
"""Kinds of fault that a script may say with ``member`` in place of ``sessions``."""


class ScriptLine(Happening):
    """Something that happens at an instant: exactly one kind is not None."""

    at: Duration
    """When."""
    join: Join | None = None
    """Somebody connects and enters the room."""
    come_back: ComeBack | None = None
    """A member enters the room again."""
    connect: Connect | None = None
    """Somebody connects again."""
    speak: Speak | None = None
    """Somebody speaks."""
    start: StartNode | None = None
    """A node starts."""
    drain: DrainNode | None = None
    """A node wants no more jobs."""
    stop: StopNode | None = None
    """A node goes for good."""

    @classmethod
    def elsewhere(cls, key: str) -> str | None:
        """What has no instant, and is a fault."""
        return f"`{key}` under `faults`: it has no instant" if key in (*SHARE_KINDS, *WORLD_KINDS) else None

    @model_validator(mode="before")
    @classmethod
    def _with_sessions(cls, value: Any) -> Any:
        """``leave: {member: a/b}`` means ``leave: {sessions: a/b}``."""
        if not isinstance(value, dict):
            return value
        line = dict(value)
        for kind in OF_ONE_MEMBER:
            action = line.get(kind)
            if isinstance(action, dict) and "member" in action and "sessions" not in action:
                line[kind] = {"sessions": _single(action["member"], kind), **_without(action, "member")}
        return line

    @model_validator(mode="after")
    def _one_kind(self) -> ScriptLine:
        self._given()
        return self

    @property
    def kind(self) -> str:
        """The key of its kind."""
        return self.action.kind

    @property
    def action(self) -> ScriptAction:
        """What happens."""
        action: ScriptAction = getattr(self, self._given())
        return action


def _single(value: object, kind: str) -> object:
    """The name of one member as a list, so that ``all`` is no more than a name here."""
    try:
        return [parse_name(value)]
    except UnfitError as error:
        raise error.under(kind, "member") from None


def _without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: inner for name, inner in mapping.items() if name != key}


SCRIPT_KINDS: Final = ScriptLine.kinds()
"""Everything that a line of a script can be."""


# --- what a script means for the rest ----------------------------------------------------------------------------


def silent_unless_said(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a scenario with a script, with nobody speaking by themselves where a file does not say that they do.

    Of a scenario without a script, and where the data are at fault: as they are.
    """
    if not isinstance(data.get("script"), list | tuple) or not data["script"]:
        return data
    filled = dict(data)
    for section in ("rooms", "sessions"):
        if isinstance(data.get(section), list):
            filled[section] = [{"speech": "none", **one} if isinstance(one, dict) else one for one in data[section]]
    return filled


def late_joiners(script: Iterable[ScriptLine]) -> frozenset[str]:
    """Names of the sessions that join by a line of the script, and not by themselves."""
    return frozenset(line.join.member for line in script if line.join is not None)


def late_starters(script: Iterable[ScriptLine]) -> frozenset[str]:
    """Names of the nodes of which a script first says that they start, and which are not there before."""
    first: dict[str, bool] = {}
    for line in sorted(script, key=_instant):
        if isinstance(line.action, OfNode):
            first.setdefault(line.action.node, isinstance(line.action, StartNode))
    return frozenset(name for name, starts in first.items() if starts)


def _instant(line: ScriptLine) -> int:
    return line.at
