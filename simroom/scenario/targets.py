"""Whom a fault happens to: everything, what is named, or so many of it by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, Field, model_serializer, model_validator

from simroom.scenario.fields import LARGEST_COUNT, LONGEST_NAME, Model, Name, UnknownKeyError, as_list
from simroom.scenario.printable import quoted
from simroom.scenario.units import PERCENT_PATTERN, UnfitError, format_share, parse_share

if TYPE_CHECKING:
    from simroom.scenario.schema import Scenario

ALL: Final = "all"
NAMED_MAX: Final = 10_000

_WHAT: Final = "`all`, a name, a list of names, or so many by chance, for example {random: 2} or {random: 50%}"
_RANDOM: Final = "how many: a number from 1, or a percentage above 0%"


class Candidate(NamedTuple):
    """Something that faults can happen to.

    Attributes:
        name: Its own: ``desktop-1``, ``standup-3/m2``, ``solo-1``.
        groups: The other names that it answers to, together with others: ``desktop``; ``standup-3``, ``standup``.
    """

    name: str
    groups: tuple[str, ...]


class Targets(Model):
    """Whom something happens to."""

    names: Annotated[tuple[Name, ...], BeforeValidator(as_list), Field(min_length=1, max_length=NAMED_MAX)] | None = (
        Field(default=None, alias="of")
    )
    """Names of things or groups of things. Default: all there are."""
    count: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] | None = None
    """So many of them, by chance; all of them where there are fewer. Default: no chance, or `share` of them."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """This share of them, by chance. Default: no chance, or `count` of them."""

    @classmethod
    def of(cls, *names: str, count: int | None = None, share: float | None = None) -> Targets:
        """Those with these names (none: all), or of those ``count``, or a ``share`` in 0..1, by chance."""
        return cls.model_construct(names=names or None, count=count, share=share)

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, dict):
            return _named(value)
        for key in value:
            if key not in ("random", "of"):
                raise UnknownKeyError(str(key), ("random", "of"))
        if "random" not in value:
            raise UnfitError("no `random`", _RANDOM)
        named = _named(value["of"]) if "of" in value else {}
        try:
            return {**named, **_random(value["random"])}
        except UnfitError as error:
            raise error.under("random") from None

    @model_serializer
    def _as_a_file_says_it(self) -> Any:
        names = self._names_alone()
        if not self.by_chance:
            return names
        random = self.count if self.share is None else format_share(self.share)
        return {"random": random} if names == ALL else {"random": random, "of": names}

    def _names_alone(self) -> str | list[str]:
        if self.names is None:
            return ALL
        return self.names[0] if len(self.names) == 1 and self.names[0] != ALL else list(self.names)

    def __str__(self) -> str:
        """In a few words: ``desktop-1``, ``a, b``, ``2 of all``, ``50% of desktop``."""
        names = ALL if self.names is None else ", ".join(self.names)
        if self.count is not None:
            return f"{self.count} of {names}"
        return names if self.share is None else f"{format_share(self.share)} of {names}"

    @property
    def by_chance(self) -> bool:
        """Whether chance says which of those named are meant."""
        return self.count is not None or self.share is not None

    def among(self, candidates: Sequence[Candidate]) -> tuple[int, ...]:
        """The positions of those that are named, ascending, each once; which of them chance takes is not decided."""
        if self.names is None:
            return tuple(range(len(candidates)))
        names = frozenset(self.names)
        return tuple(
            position
            for position, candidate in enumerate(candidates)
            if candidate.name in names or not names.isdisjoint(candidate.groups)
        )

    def drawn_count(self, named: int) -> int:
        """How many of so many that are named it happens to: all, or as many as chance is to draw.

        A share of at least one is at least one; halves are rounded up.
        """
        if self.count is not None:
            return min(self.count, named)
        if self.share is None:
            return named
        return min(named, max(1, int(self.share * named + 0.5)))


def _named(value: object) -> dict[str, object]:
    if value == ALL:
        return {}
    if isinstance(value, str):
        return {"of": [value]}
    if isinstance(value, (list, tuple)):
        return {"of": value}
    raise UnfitError(quoted(value), _WHAT)


def _random(value: object) -> dict[str, object]:
    """How many by chance: a whole number is a count, a percentage or a fraction is a share."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= LARGEST_COUNT:
            return {"count": value}
        raise UnfitError(quoted(value), _RANDOM)
    try:
        share = parse_share(value)
    except UnfitError:
        raise UnfitError(quoted(value), _RANDOM) from None
    if share == 0:
        raise UnfitError(quoted(value), _RANDOM)
    return {"share": share}


_NAME_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"\S"}
_NAMES_SCHEMA: Final[list[dict[str, Any]]] = [
    _NAME_SCHEMA,
    {"type": "array", "items": _NAME_SCHEMA, "minItems": 1, "maxItems": NAMED_MAX},
]
_RANDOM_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": LARGEST_COUNT},
        {"type": "string", "pattern": PERCENT_PATTERN},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    ]
}
NAMES_SCHEMA: Final[dict[str, Any]] = {"anyOf": _NAMES_SCHEMA, "description": "a name, a list of names, or all"}
"""What a file may write for ``Targets`` that are a short form by themselves."""
TARGETS_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        *_NAMES_SCHEMA,
        {
            "type": "object",
            "properties": {"random": _RANDOM_SCHEMA, "of": {"anyOf": _NAMES_SCHEMA}},
            "required": ["random"],
            "additionalProperties": False,
        },
    ],
    "examples": [ALL, "desktop-1", {"random": 2}],
}
"""What a file may write for ``Targets`` elsewhere."""


def node_candidates(scenario: Scenario) -> tuple[Candidate, ...]:
    """Every node of the scenario, in its order."""
    return tuple(Candidate(name, (group.name,)) for group in scenario.nodes for name in group.names())


def session_candidates(scenario: Scenario) -> tuple[Candidate, ...]:
    """Every session of the scenario, in its order: the members of rooms, then the sessions outside."""
    return tuple(_sessions(scenario))


def _sessions(scenario: Scenario) -> Iterator[Candidate]:
    for room in scenario.rooms:
        kinds = [name for group in room.members for name in [group.name] * group.count]
        alone = [None] * len(room.speakers or ())
        roster = list(zip(room.roster(), [*alone, *kinds], strict=True))
        for name in room.names():
            for member, kind in roster:
                of_its_kind = () if kind is None else (f"{name}/{kind}",)
                yield Candidate(f"{name}/{member.name}", (*of_its_kind, name, room.name))
    for group in scenario.sessions:
        for name in group.names():
            yield Candidate(name, (group.name,))
