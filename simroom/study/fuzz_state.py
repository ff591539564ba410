"""How far a search for failures is: what it has tried and found so far, kept in a small file so that it can go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from simroom.oracle.verdict import INVARIANTS
from simroom.study.regressions import write
from simroom.study.trial import Sign, Trial

SCHEMA_VERSION: Final = 1


class StateError(Exception):
    """The file is none of simroom's, or cannot be read; the message says which."""


class Finding(Struct, frozen=True, kw_only=True):
    """A scenario that fails.

    Attributes:
        sign: What went wrong first in the scenario as it is written.
        signature: All that went wrong in the scenario as it was drawn.
        told: What the scheduler raised or the first breach, in a sentence.
        story: What happened in the scenario as it is written, line by line.
        number: Of the breach among all in the scenario as it is written, counted from 1; None: it is none of them.
        file: Where it is written.
        operations: What is done in it, as counted; ``operations_before`` as it was drawn.
        tries: Scenarios tried to make it small.
        complete: Nothing more could be left out.
        reproduced: Another process with another hash seed saw the same; False: it did not.
        shape: Equal for findings that differ in numbers and names only.
    """

    seed: int
    sign: Sign
    signature: tuple[Sign, ...]
    told: str
    story: tuple[str, ...]
    number: int | None
    file: str
    operations: int
    operations_before: int
    tries: int
    complete: bool
    reproduced: bool
    shape: str


class Tally(Struct, kw_only=True):
    """What a search has come to so far.

    Attributes:
        next_seed: All before it, from ``start`` on, are done.
        tried: Scenarios tried; likewise ``utterances``, ``jobs`` and ``deliveries`` in them.
        judgements: How often each invariant was judged.
        ends: Jobs ended, by how.
        fired: How often each kind of fault fired, 0 included for those that were there.
        findings: Each told once, in order of seed.
        repeats: Seeds whose failure is that of an earlier finding, with its seed.
        deaths: Seeds at which a process died and the second one did not, with how.
    """

    start: int
    next_seed: int
    tried: int = 0
    utterances: int = 0
    jobs: int = 0
    deliveries: int = 0
    judgements: dict[str, int] = {}
    ends: dict[str, int] = {}
    fired: dict[str, int] = {}
    findings: list[Finding] = []
    repeats: dict[int, int] = {}
    deaths: dict[int, str] = {}

    def add(self, trial: Trial) -> None:
        """Count a scenario that was tried."""
        self.tried += 1
        self.next_seed = trial.seed + 1
        self.utterances += trial.utterances
        self.jobs += trial.jobs
        self.deliveries += trial.deliveries
        self.judgements = _sum(self.judgements, trial.judgements)
        self.ends = _sum(self.ends, trial.ends)
        self.fired = _sum(self.fired, trial.fired)

    @property
    def never_judged(self) -> tuple[str, ...]:
        """Invariants of which not one judgement was made."""
        return tuple(key for key in INVARIANTS if not self.judgements.get(key, 0))

    @property
    def never_fired(self) -> tuple[str, ...]:
        """Kinds of faults that were there and never fired."""
        return tuple(sorted(kind for kind, count in self.fired.items() if count == 0))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in (*one, *(key for key in other if key not in one))}


class _Saved(Struct, frozen=True):
    schema_version: int
    simroom: str
    command: str
    tally: Tally


def save(path: Path, command: str, version: str, tally: Tally) -> None:
    """Write the state, whole or not at all.

    Args:
        path: The file.
        command: The search, as one types it.
        version: Of simroom.
        tally: What it has come to.

    Raises:
        OSError: It cannot be written.
    """
    saved = _Saved(SCHEMA_VERSION, version, command, tally)
    write(path, msgspec.json.format(msgspec.json.encode(saved), indent=1).decode() + "\n")


def resumed(path: Path) -> Tally | None:
    """The state that an earlier search of the same kind has left; None: there is none.

    Raises:
        StateError: The file is there, and none of simroom's.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        saved = msgspec.json.decode(content, type=_Saved)
    except msgspec.DecodeError as error:
        raise StateError(f"{path} is not the state of a search by simroom fuzz: {error}") from error
    if saved.schema_version != SCHEMA_VERSION:
        raise StateError(f"{path} was written by another version of simroom ({saved.simroom})")
    return saved.tally
