"""A scenario as a whole: what is simulated, for how long, and what is expected of it.

Every instant counts from the end of ``lead_in``, in whole microseconds. How to walk it: see the package.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr, WithJsonSchema, model_validator

from simroom.scenario.bugs import BUG_NAMES
from simroom.scenario.distributions import Distribution, OptionalDistribution, constant
from simroom.scenario.effective import effective_data, with_paths
from simroom.scenario.emit import dump
from simroom.scenario.faults import Fault
from simroom.scenario.fields import Duration, Model, Name, Number, PositiveDuration, Text, as_list
from simroom.scenario.nearest import nearest
from simroom.scenario.nodes import NodeGroup
from simroom.scenario.people import SessionGroup
from simroom.scenario.printable import quoted
from simroom.scenario.rooms import Room
from simroom.scenario.script import ScriptLine, silent_unless_said
from simroom.scenario.section import SchedulerSection
from simroom.scenario.units import MINUTE, SECOND, UnfitError

HIGHEST_SEED: Final = 2**63 - 1
FAULTS_MAX: Final = 10_000
LINES_MAX: Final = 100_000


@dataclass(frozen=True)
class Expectation:
    """Something that is expected of a run, and where the file says so; two with the same text are equal.

    Attributes:
        text: What is expected, for example ``delivery_latency.p95 < 6s``.
        line: Line in the file, counted from 1; 0 where it does not come from the file (but from an override).
        column: Column in the file, counted from 1; 0 likewise.
    """

    text: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


def _expectation(value: object) -> object:
    if isinstance(value, str):
        return Expectation(value)
    if isinstance(value, Expectation):
        return value
    raise UnfitError(quoted(value), "what is expected as text, for example `violations == 0`")


def _known_version(value: object) -> object:
    if value == 1 and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UnfitError(quoted(value), "1, the version of the format that this program reads")


_BUGS: Final = tuple(bug.name for bug in BUG_NAMES)


def _known_bug(value: object) -> object:
    if value is None or (isinstance(value, str) and value in _BUGS):
        return value
    hint = nearest(value, _BUGS) if isinstance(value, str) else None
    raise UnfitError(quoted(value), f"the name of a bug, for example {_BUGS[3]}", hint)


_EXPECTATION_SCHEMA: Final = {"type": "string", "examples": ["violations == 0", "delivery_latency.p95 < 6s"]}


class Link(Model):
    """The way between a kind of peer and the scheduler; each message draws its own delay."""

    delay: OptionalDistribution = None
    """Delay of each message, both ways. Default: none at all."""
    up: OptionalDistribution = None
    """Or: delay of each message to the scheduler."""
    down: OptionalDistribution = None
    """Or: delay of each message from the scheduler."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.delay is not None and (self.up is not None or self.down is not None):
            raise UnfitError("`delay` beside `up` or `down`", "`delay`, or `up` and `down`").under("delay")
        return self

    @property
    def uplink(self) -> Distribution:
        """Delay of a message to the scheduler."""
        return self.up or self.delay or constant(0)

    @property
    def downlink(self) -> Distribution:
        """Delay of a message from the scheduler."""
        return self.down or self.delay or constant(0)


class Network(Model):
    """How long messages are on their way."""

    session: Link = Link()
    """Between sessions and the scheduler."""
    node: Link = Link()
    """Between nodes and the scheduler."""


class Playback(Model):
    """How recipients play what they get."""

    ratio: Annotated[Number, Field(gt=0, le=100)] = 1.0
    """Length of a translation over the length of the speech."""


class Scenario(Model):
    """What is simulated, for how long, and what is expected of it."""

    simroom: Annotated[Literal[1], BeforeValidator(_known_version)]
    """Version of the format."""
    name: Name
    """Name of the scenario."""
    description: Text | None = None
    """What it is for."""
    tags: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Words to select it by."""
    seed: Annotated[int, Field(ge=0, le=HIGHEST_SEED)] = 1
    """Where all chance comes from; the same seed gives the same run."""
    duration: PositiveDuration
    """How long people speak."""
    warm_up: Duration = 0
    """Utterances that ended in this first part count for nothing in the figures."""
    lead_in: Duration = 90 * SECOND
    """Before time 0, for nodes to become ready and members to join. All other times count from its end."""
    drain: Duration = 5 * MINUTE
    """The longest that the run goes on after `duration`, for what is still on its way."""
    rooms: Annotated[tuple[Room, ...], BeforeValidator(as_list)] = ()
    """Rooms."""
    sessions: Annotated[tuple[SessionGroup, ...], BeforeValidator(as_list)] = ()
    """Sessions outside rooms."""
    nodes: Annotated[tuple[NodeGroup, ...], BeforeValidator(as_list)]
    """GPU nodes."""
    network: Network = Network()
    """Delays between them all."""
    playback: Playback = Playback()
    """How recipients play what they get."""
    scheduler: SchedulerSection = SchedulerSection()
    """Settings of the scheduler."""
    faults: Annotated[tuple[Fault, ...], BeforeValidator(as_list), Field(max_length=FAULTS_MAX)] = ()
    """What goes wrong, between time 0 and `duration`."""
    script: Annotated[tuple[ScriptLine, ...], BeforeValidator(as_list), Field(max_length=LINES_MAX)] = ()
    """What exactly happens, in any order. With a script, those whose `speech` is not stated say nothing else."""
    bug: Annotated[
        str | None, BeforeValidator(_known_bug), WithJsonSchema({"anyOf": [{"enum": list(_BUGS)}, {"type": "null"}]})
    ] = None
    """A scheduler that is broken in this way is run in place of simroom's, to see that it is noticed. Default: none."""
    expect: Annotated[
        tuple[
            Annotated[
                Expectation,
                BeforeValidator(_expectation),
                PlainSerializer(lambda expectation: expectation.text, when_used="json"),
                WithJsonSchema(_EXPECTATION_SCHEMA),
            ],
            ...,
        ],
        BeforeValidator(as_list),
    ] = ()
    """What must hold for the run to pass."""

    @model_validator(mode="before")
    @classmethod
    def _silent_unless_said(cls, value: Any) -> Any:
        return silent_unless_said(value) if isinstance(value, dict) else value

    _source: str = PrivateAttr(default="")
    _base: Path = PrivateAttr(default=Path())
    _references: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; where they were read from does not count."""
        if not isinstance(other, Scenario):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment]  # mappings inside have no hash either

    @property
    def source(self) -> str:
        """The file it was read from, as it was named; empty where it came from no file."""
        return self._source

    @property
    def base(self) -> Path:
        """The folder that paths in it are relative to."""
        return self._base

    def path(self, reference: str) -> Path:
        """Where a file that the scenario refers to is."""
        return self._base / reference

    def placed(self, source: str, base: Path, references: Mapping[str, str]) -> Self:
        """The same scenario, knowing where it was read from.

        Args:
            source: The file, as it was named.
            base: The folder that paths in it are relative to.
            references: SHA-256 of the content of each file it refers to, by the path as written.
        """
        copy = self.model_copy()
        copy._source, copy._base, copy._references = source, base, dict(references)
        return copy

    def effective(self, base: Path | None = None) -> str:
        """The scenario after defaults, profiles and overrides, as YAML that loads to the same scenario again.

        Args:
            base: The folder it will be written to, which the paths in it are then made relative to. None: paths as
                they are, for a text that stays beside the file it came from.
        """
        data = effective_data(self)
        if base is not None:
            data = with_paths(data, lambda path: _seen_from(base, self._base / path))
        return dump(data)

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides the outcome: the effective text, and the files that it refers to."""
        text = self.effective()
        for reference in sorted(self._references):
            text += f"{dump(reference)}: {self._references[reference]}\n"
        return hashlib.sha256(text.encode()).hexdigest()


def _seen_from(folder: Path, file: Path) -> str:
    """The path of ``file`` relative to ``folder``; where there is none (another drive), the whole path."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return file.resolve().as_posix()
