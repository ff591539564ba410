"""The kinds of field that scenario models are made of: how each is read, checked, written back and described.

A field reads what a file says (``250ms``), holds what the program computes with (250000) and writes text that reads
as the same value again. Models are frozen, refuse unknown keys and convert nothing silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

from simroom.scenario import units
from simroom.scenario.printable import quoted
from simroom.scenario.units import UnfitError

LONGEST_NAME: Final = 80
LARGEST_COUNT: Final = 1_000_000
AUTO: Final = "auto"
"""The language of a speaker that is to be found by listening."""

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")
TAG_PATTERN: Final = f"^{_TAG.pattern}$"
"""What a language tag looks like."""
_LANGUAGE_NAMES: Final = {
    "arabic": "ar",
    "chinese": "zh",
    "cn": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "japanese": "ja",
    "jp": "ja",
    "korean": "ko",
    "mandarin": "zh",
    "norwegian": "no",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "turkish": "tr",
}
"""What people write instead of a tag. ``cn`` and ``jp`` are countries and no language's tag."""


class Model(BaseModel):
    """Base of everything in a scenario: frozen, strict, and closed against unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )


class OneOf(Model):
    """Base of the members of a union that a file tells apart by their one key: ``{uniform: {from: 1s, to: 2s}}``.

    Each subclass has a ``kind``, whose only value is that key. Written back, the key is put around the rest again; a
    subclass that names its ``bare`` field is written as that field's value alone, ``{poisson: 6/min}``, and one that
    is ``alone`` even without its key: ``5ms``.
    """

    bare: ClassVar[str | None] = None
    short: ClassVar[str | None] = None
    """The field that a single value fills when reading, where it is not all there is to write."""
    alone: ClassVar[bool] = False

    @model_serializer(mode="wrap")
    def _around(self, inner: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        fields: dict[str, Any] = inner(self)
        if info.mode != "json":
            return fields
        kind = fields.pop("kind")
        inside = fields if self.bare is None else fields[self.bare]
        return inside if self.alone else {kind: inside}


class Unmarked(Model):
    """Base of the members of a union that a file tells apart by a key of their own; ``kind`` is not written back."""

    @model_serializer(mode="wrap")
    def _without_kind(self, inner: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        fields: dict[str, Any] = inner(self)
        if info.mode == "json":
            del fields["kind"]
        return fields


def kinds_of(*models: type[OneOf]) -> dict[str, str | None]:
    """Every kind of a union, in order, and the field that its value fills where that is no mapping (None: none)."""
    return {model.model_fields["kind"].default: model.bare or model.short for model in models}


def expand_one_of(value: object, bare_fields: dict[str, str | None], what: str, *, scalar: str | None = None) -> object:
    """Turn ``{uniform: {from: 1s}}`` into ``{kind: uniform, from: 1s}``, which a discriminated union tells apart.

    Args:
        value: What the file says, or a model, which is left as it is.
        bare_fields: Every kind there is, as ``kinds_of`` gives them.
        what: What is expected here, for the error.
        scalar: The kind meant where no kind is named, as in ``delay: 5ms``; None: a kind must be named.

    Raises:
        UnfitError: No kind, more than one, or an unknown one.
    """
    if isinstance(value, BaseModel):
        return value
    if not isinstance(value, dict):
        if scalar is not None and not isinstance(value, (list, type(None))):
            return {"kind": scalar, bare_fields[scalar]: value}
        if isinstance(value, str) and value in bare_fields and bare_fields[value] is None:
            return {"kind": value}
        raise UnfitError(quoted(value), what)
    if len(value) != 1:
        found = "an empty mapping" if not value else "the keys " + ", ".join(str(key) for key in value)
        raise UnfitError(found, f"one key: {what}")
    kind, inner = next(iter(value.items()))
    if kind not in bare_fields:
        raise UnknownKeyError(str(kind), tuple(bare_fields))
    bare = bare_fields[kind]
    if isinstance(inner, dict):
        return marked(inner, kind, kind)
    if bare is not None:
        return {"kind": kind, bare: inner}
    if inner is None:
        return {"kind": kind}
    raise UnfitError(quoted(inner), "a mapping", None)


def marked(mapping: dict[str, Any], kind: str, *inside: str) -> dict[str, Any]:
    """The mapping with its ``kind``, which a file itself must not name; ``inside`` leads to it from what was read."""
    if "kind" in mapping:
        keys = tuple(key for key in mapping if key != "kind")
        raise UnknownKeyError("kind", keys).under(*inside)
    return {**mapping, "kind": kind}


class UnknownKeyError(UnfitError):
    """A mapping has a key that means nothing there; ``keys`` are those that do."""

    def __init__(self, key: str, keys: tuple[str, ...]) -> None:
        super().__init__(f"the unknown key {quoted(key)}", "one of " + ", ".join(keys) if keys else "no such key")
        self.key = key
        self.keys = keys


def as_list(value: object) -> object:
    """A YAML list as a tuple; anything else is refused, so that one bad value gives one error."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, tuple):
        return value
    raise UnfitError(quoted(value), "a list")


def as_number(value: object) -> object:
    """A plain number; text and truth values are refused."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else value
    raise UnfitError(quoted(value), "a number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    hint = f'"{quoted(value)}"' if isinstance(value, (bool, int, float)) else None
    raise UnfitError(quoted(value), "text", hint)


def parse_name(value: object) -> str:
    """Read a name.

    Raises:
        UnfitError: No text, blank, too long, or not Unicode.
    """
    text = _text(value)
    if not text.strip():
        raise UnfitError(quoted(text), "a name that is not blank")
    if len(text) > LONGEST_NAME:
        raise UnfitError(f"{len(text)} characters", f"a name of at most {LONGEST_NAME} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UnfitError(quoted(text), "text that is valid Unicode (no lone surrogates)")
    return text


def parse_language(value: object) -> str:
    """Read a language tag; the writer's own casing stays.

    Raises:
        UnfitError: Not a BCP 47 tag of two or three letters and optional subtags.
    """
    text = _text(value)
    if _TAG.fullmatch(text) and text.casefold() not in _LANGUAGE_NAMES:
        return text
    hint = _LANGUAGE_NAMES.get(text.casefold())
    if hint is None and _TAG.fullmatch(text.replace("_", "-")):
        hint = text.replace("_", "-")
    raise UnfitError(quoted(value), "a language tag such as en, ja or zh-CN", hint)


def _spoken_language(value: object) -> str:
    return AUTO if value == AUTO else parse_language(value)


def parse_language_pair(value: object) -> str:
    """Read a pair of languages, ``zh>en``.

    Raises:
        UnfitError: No ``>`` in it, or no language tag on either side of it.
    """
    text = _text(value)
    source, arrow, target = (part.strip() for part in text.partition(">"))
    if not arrow:
        raise UnfitError(quoted(value), "a pair of languages, for example zh>en")
    return f"{parse_language(source)}>{parse_language(target)}"


def or_none(parse: Callable[[object], object]) -> Callable[[object], object]:
    """``parse``, but the word ``none`` (or nothing at all, ``null``) is read as None."""

    def read(value: object) -> object:
        return None if value is None or value == "none" else parse(value)

    return read


def _none_as_word(value: object) -> object:
    return "none" if value is None else value


def _span_or_word(value: int | None) -> str:
    return "none" if value is None else units.format_duration(value)


def _above_zero(value: int) -> int:
    if value <= 0:
        raise UnfitError(units.format_duration(value), "more than 0s")
    return value


DURATION_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": units.DURATION_PATTERN}, {"const": 0}],
    "description": "a duration with its unit: us, ms, s, min, h",
    "examples": ["250ms", "1.5s", "30min"],
}
_SHARE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": units.PERCENT_PATTERN}, {"type": "number", "minimum": 0, "maximum": 1}],
    "description": "a percentage, or a share between 0 and 1",
    "examples": ["17%", 0.17],
}
_RATE_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": units.RATE_PATTERN,
    "description": "how often: per s, min or h",
    "examples": ["6/min"],
}
_SHIFT_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": units.SHIFT_PATTERN}, {"const": 0}],
    "description": "a duration with its unit, perhaps with a minus sign",
    "examples": ["250ms", "-5s"],
}
_SPEED_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": units.SPEED_PATTERN,
    "description": "bytes a second: B/s, kB/s or MB/s",
    "examples": ["1kB/s"],
}
_TAG_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": TAG_PATTERN,
    "description": "a language tag",
    "examples": ["en", "zh-CN"],
}
PAIR_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"^{_TAG.pattern} ?> ?{_TAG.pattern}$",
    "description": "source and target language",
    "examples": ["zh>en"],
}
_NONE_SCHEMA: Final[dict[str, Any]] = {"enum": ["none", None]}

Duration = Annotated[
    int,
    BeforeValidator(units.parse_duration),
    PlainSerializer(units.format_duration, when_used="json"),
    WithJsonSchema(DURATION_SCHEMA),
]
"""Whole microseconds, 0 or more."""
PositiveDuration = Annotated[Duration, AfterValidator(_above_zero)]
"""Whole microseconds, more than 0."""
DurationOrNone = Annotated[
    int | None,
    BeforeValidator(or_none(units.parse_duration)),
    PlainSerializer(_span_or_word, when_used="json"),
    WithJsonSchema({"anyOf": [*DURATION_SCHEMA["anyOf"], _NONE_SCHEMA]}),
]
"""Whole microseconds, or None, which a file writes as ``none``."""
Shift = Annotated[
    int,
    BeforeValidator(units.parse_shift),
    PlainSerializer(units.format_shift, when_used="json"),
    WithJsonSchema(_SHIFT_SCHEMA),
]
"""Whole microseconds, of either sign."""
Speed = Annotated[
    int,
    BeforeValidator(units.parse_speed),
    PlainSerializer(units.format_speed, when_used="json"),
    WithJsonSchema(_SPEED_SCHEMA),
]
"""Whole bytes per second, 1 or more."""
Rate = Annotated[
    float,
    BeforeValidator(units.parse_rate),
    PlainSerializer(units.format_rate, when_used="json"),
    WithJsonSchema(_RATE_SCHEMA),
]
"""Events per second, more than 0."""
Share = Annotated[
    float,
    BeforeValidator(units.parse_share),
    PlainSerializer(units.format_share, when_used="json"),
    WithJsonSchema(_SHARE_SCHEMA),
]
"""0..1."""
Number = Annotated[float, BeforeValidator(as_number)]
Whole = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Text = Annotated[str, BeforeValidator(_text), Field(max_length=4_000)]
Name = Annotated[
    str,
    BeforeValidator(parse_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"\S"}),
]
Language = Annotated[str, BeforeValidator(parse_language), WithJsonSchema(_TAG_SCHEMA)]
SpokenLanguage = Annotated[
    str,
    BeforeValidator(_spoken_language),
    WithJsonSchema({"anyOf": [{"const": AUTO}, _TAG_SCHEMA]}),
]
"""A language tag, or ``auto``."""
LanguageOrNone = Annotated[
    str | None,
    BeforeValidator(or_none(parse_language)),
    PlainSerializer(_none_as_word, when_used="json"),
    WithJsonSchema({"anyOf": [_TAG_SCHEMA, _NONE_SCHEMA]}),
]
"""A language tag, or None, which a file writes as ``none``."""
LanguagePair = Annotated[
    str,
    BeforeValidator(parse_language_pair),
    WithJsonSchema(PAIR_SCHEMA),
]
"""Two language tags, ``source>target``."""


class Named(Model):
    """Base of what a scenario has ``count`` of under one name."""

    name: Name
    """Name in reports; with a count above 1 each is numbered, ``standup-3``."""
    count: Count = 1
    """How many of this kind there are."""

    def names(self) -> tuple[str, ...]:
        """The name of each, in order: the plain name where there is one, else ``name-1``, ``name-2``, ...."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))

    def changed(self, **fields: object) -> Self:
        """A copy with other values of these fields, which are not checked again."""
        return self.model_copy(update=fields)
