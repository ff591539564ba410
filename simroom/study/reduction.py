"""From a scenario that fails to one that a person can read: chance written out, cut down, seen again, retold.

Each function here is done by a process of its own, and takes and returns what survives the way there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom.scenario.problems import ScenarioError
from simroom.scheduler.port import SchedulerFactory
from simroom.study.drawing import text_of, tidied
from simroom.study.places import Place, mapped
from simroom.study.renaming import with_short_names, with_usual_languages
from simroom.study.shrink import operations, shrinking
from simroom.study.story_of_shrink import story, story_of_error
from simroom.study.trial import CRASH, ENDLESS, PATIENCE, Data, Sign, Trial, ran, scenario_of, tried
from simroom.study.written_out import written_out

_PATIENCE: Final = 0.5
"""Seconds for one answer of the scheduler in a smaller scenario."""
_PATIENCE_FOR_ENDLESS: Final = 1.5
"""The same where that there is no end is what is looked for: what only takes its time must not be taken for it."""
_PASSES: Final = 2
"""So often chance is written out and the scenario cut down."""


class Reduced(Struct, frozen=True):
    """A smaller scenario that still fails.

    Attributes:
        trial: What is wrong with it.
        tries: Scenarios tried for it.
        operations: What is still done in it.
        complete: Nothing more can be left out.
    """

    data: Data
    trial: Trial
    tries: int
    operations: int
    complete: bool


class Retold(Struct, frozen=True):
    """What a process saw of a scenario, and the story of it.

    Attributes:
        story: Line by line.
        number: Of the breach among all breaches of the run, counted from 1; None: it is none of them.
    """

    signature: tuple[Sign, ...]
    trace_hash: str | None
    story: tuple[str, ...]
    number: int | None


class Failing:
    """Whether a scenario fails in a given way.

    Args:
        sign: The way.
        base: The folder that paths are relative to.
        scheduler: None: simroom's.
        seconds: How long it may be asked, by the clock on the wall; afterwards it says False of everything.

    Attributes:
        last: The last trial that failed so; None: none did.
        spent: It was asked when its time was over.
    """

    def __init__(self, sign: Sign, base: Path, scheduler: SchedulerFactory | None, seconds: float) -> None:
        self.sign = sign
        self.last: Trial | None = None
        self.spent = False
        self._base = base
        self._scheduler = scheduler
        self._until = time.monotonic() + seconds

    def __call__(self, data: Data) -> bool:
        """Try it; what is no valid scenario does not fail."""
        if time.monotonic() > self._until:
            self.spent = True
            return False
        try:
            trial = tried(data, scheduler=self._scheduler, base=self._base, patience=_patience(self.sign))
        except ScenarioError:
            return False
        if self.sign not in trial.signature:
            return False
        self.last = trial
        return True


def _patience(sign: Sign) -> float:
    return _PATIENCE_FOR_ENDLESS if sign == ENDLESS else _PATIENCE


def reducing(
    data: Data,
    base: Path,
    resolve: Callable[[], SchedulerFactory | None] | None,
    sign: Sign,
    tries_max: int,
    seconds: float,
) -> Iterator[Reduced]:
    """Make a failing scenario small.

    Args:
        data: The scenario.
        base: The folder that paths in it are relative to.
        resolve: Finds the scheduler; None: simroom's.
        sign: The way in which it fails.
        tries_max: Scenarios tried at most.
        seconds: How long it may take by the clock on the wall.

    Yields:
        Smaller and smaller ones; none at all where this process cannot see the failure.
    """
    scheduler = None if resolve is None else resolve()
    failing = Failing(sign, base, scheduler, seconds)
    if not failing(data):
        return
    tries = 0
    for _ in range(_PASSES):
        # What is written out in a smaller scenario may fail where it did not in the whole one.
        written = explicit(data, base, scheduler, failing)
        if tries and written is data:
            return
        data = written
        for shrunk in shrinking(data, failing, tries_max=tries_max - tries):
            assert failing.last is not None
            data = shrunk.data
            complete = shrunk.complete and not failing.spent
            yield Reduced(data, failing.last, tries + shrunk.tries, shrunk.operations, complete)
        tries += shrunk.tries


def explicit(data: Data, base: Path, scheduler: SchedulerFactory | None, failing: Failing) -> Data:
    """The scenario with its chance written out as far as the failure survives it; itself where it does not."""
    # A run that was broken off has left no ledger; what simroom's own scheduler makes of the scenario is as good.
    run = ran(scenario_of(data, base), scheduler=None if failing.sign[0] == CRASH else scheduler, patience=_PATIENCE)
    before = text_of(data)
    candidates = (candidate for candidate in written_out(data, run) if text_of(candidate) != before)
    return next((candidate for candidate in candidates if failing(candidate)), data)


def retold(data: Data, base: Path, resolve: Callable[[], SchedulerFactory | None] | None, sign: Sign) -> Retold:
    """Run a scenario once more, and tell what happens in it."""
    scheduler = None if resolve is None else resolve()
    trial = tried(data, scheduler=scheduler, base=base, patience=_PATIENCE_FOR_ENDLESS if sign == ENDLESS else PATIENCE)
    if sign in {(violation.invariant, violation.kind) for violation in trial.violations}:
        run = ran(scenario_of(data, base), scheduler=scheduler)
        signs = [(violation.invariant, violation.kind) for violation in run.verdict.violations]
        return Retold(trial.signature, trial.trace_hash, tuple(story(run, data, sign)), signs.index(sign) + 1)
    told = () if trial.error is None else tuple(story_of_error(data, trial.error))
    return Retold(trial.signature, trial.trace_hash, told, None)


def shape_of(data: Data, sign: Sign) -> str:
    """A mark that is equal for scenarios that differ in numbers, times and names only, and fail in the same way."""

    def shapeless(_place: Place, value: Any) -> Any:
        if isinstance(value, str) and not value[:1].isdigit():
            return value
        return value if isinstance(value, bool) else "0"

    plain = with_usual_languages(with_short_names(tidied(data)))
    plain = {key: value for key, value in plain.items() if key not in ("name", "seed")}
    text = f"{sign[0]} {sign[1]} {operations(data)}\n{text_of(mapped(plain, shapeless))}"
    return blake2b(text.encode(), digest_size=8).hexdigest()
