"""The search for failures: random scenarios in parallel, and each that fails cut down, told once, and written.

Results come in order of seed, whichever worker was quicker, so one worker and many find, write and say the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from simroom import __version__
from simroom.scenario.effective import with_paths
from simroom.scheduler.port import SchedulerFactory
from simroom.study import fuzz_state, regressions
from simroom.study.drawing import drawn, drawn_around, text_of, tidied
from simroom.study.fuzz_state import Finding, Tally
from simroom.study.pool import Answer, Pool, elsewhere, streamed
from simroom.study.reduction import Reduced, Retold, reducing, retold, shape_of
from simroom.study.shrink import operations
from simroom.study.trial import CRASH, ENDLESS, Data, Trial, broken_off, tried

Resolve = Callable[[], SchedulerFactory | None]
"""Finds the scheduler in whichever process it is called; must survive pickling."""

LIMIT_SECONDS: Final = 30.0
"""How long one scenario may take by the clock on the wall."""
SHRINK_SECONDS: Final = 60.0
"""How long making one finding small may take."""
_GRACE_SECONDS: Final = 30.0
_HASH_SEED: Final = 4_242
"""Any that is not the one of this process will do."""


class Around(Struct, frozen=True):
    """A scenario to draw around.

    Attributes:
        data: What its file holds.
        base: The folder that paths in it are relative to, as a whole path.
    """

    data: Data
    base: str


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be searched, and how.

    Attributes:
        start: The first seed.
        count: How many seeds; None: until the time is over.
        seconds: How long to begin new ones; None: until all are done.
        around: None: scenarios are drawn freely.
        resolve: None: simroom's own scheduler.
        words: Options with which the same is searched again: scheduler, bug, scenario to draw around.
        run_words: Options with which ``simroom run`` uses the same scheduler.
        jobs: Processes at once.
        findings_max: Findings after which the search ends.
        out: Where findings are written.
        state: Where the progress is kept; None: nowhere.
        tries_max: Scenarios tried to make one finding small.
        limit_seconds: How long one scenario may take by the clock on the wall.
        shrink_seconds: How long making one finding small may take.
    """

    start: int
    count: int | None
    seconds: float | None
    around: Around | None
    resolve: Resolve | None
    words: tuple[str, ...]
    run_words: tuple[str, ...]
    jobs: int
    findings_max: int
    out: Path
    state: Path | None
    tries_max: int
    limit_seconds: float = LIMIT_SECONDS
    shrink_seconds: float = SHRINK_SECONDS


class Listener(Protocol):
    """Who hears how the search goes."""

    def tried(self, tally: Tally) -> None:
        """One more scenario was tried."""
        ...

    def failed(self, trial: Trial, file: Path) -> None:
        """One fails; it is written as it is, and will now be made small."""
        ...

    def smaller(self, reduced: Reduced) -> None:
        """It has become smaller."""
        ...

    def found(self, finding: Finding) -> None:
        """It is as small as it gets, and written."""
        ...

    def repeated(self, seed: int, earlier: int) -> None:
        """It is an earlier finding once more."""
        ...


def fuzz(plan: Plan, listener: Listener, tally: Tally | None = None) -> Tally:
    """Search until there are findings enough, or nothing is left to try.

    Args:
        plan: What to search.
        listener: Who hears of it.
        tally: Where an earlier search of the same kind was; None: this is the first. It is changed in place, so that
            whoever interrupts the search knows what was done.

    Returns:
        ``tally``, or a new one.

    Raises:
        OSError: A finding or the state cannot be written.
        KeyboardInterrupt: From outside; the state is kept.
    """
    tally = tally if tally is not None else Tally(start=plan.start, next_seed=plan.start)
    enough = len(tally.findings) + plan.findings_max
    first = tally.next_seed
    with Pool(plan.jobs) as pool:
        tasks = (partial(attempted, plan.around, plan.resolve, seed) for seed in _seeds(plan, first))
        for answer in pool.in_order(tasks, limit_seconds=plan.limit_seconds):
            trial = _trial(answer, first + answer.position, plan)
            if answer.fate == "done" and answer.why is not None:
                tally.deaths[trial.seed] = answer.why
            if trial.failed:
                _found(plan, trial, tally, listener)
            tally.add(trial)
            if plan.state is not None:
                fuzz_state.save(plan.state, regressions.again(plan.start, plan.words), __version__, tally)
            listener.tried(tally)
            if len(tally.findings) >= enough:
                break
    return tally


def _seeds(plan: Plan, first: int) -> Iterator[int]:
    """The seeds still to be tried, as long as there is time."""
    until = None if plan.seconds is None else time.monotonic() + plan.seconds
    seed = first
    while (plan.count is None or seed < plan.start + plan.count) and (until is None or time.monotonic() < until):
        yield seed
        seed += 1


def scenario(around: Around | None, seed: int) -> Data:
    """The random scenario of a seed."""
    return drawn(seed) if around is None else drawn_around(around.data, seed)


def attempted(around: Around | None, resolve: Resolve | None, seed: int) -> Trial:
    """Try one seed; done by a worker."""
    factory = None if resolve is None else resolve()
    base = None if around is None else Path(around.base)
    return tried(scenario(around, seed), scheduler=factory, base=base)


def _trial(answer: Answer[Trial], seed: int, plan: Plan) -> Trial:
    if answer.fate == "hung":
        return broken_off(seed, ENDLESS, f"no end in {plan.limit_seconds:g} s: its process was killed")
    if answer.fate == "died" or answer.result is None:
        why = answer.why or "it said nothing"
        return broken_off(seed, (CRASH, "the process"), f"two processes died of it, the second {why}")
    return answer.result


# --- a finding ---------------------------------------------------------------------------------------------------


def _found(plan: Plan, trial: Trial, tally: Tally, listener: Listener) -> None:
    """Write a failing scenario at once, make it small, and write it again."""
    data = tidied(scenario(plan.around, trial.seed))
    sign = trial.first
    assert sign is not None, "it has failed"
    file = regressions.place_for(plan.out, sign, trial.seed, plan.words)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    told = _told(trial)
    _write(plan, data, trial, file, [told])
    listener.failed(trial, file)
    reduced = Reduced(data, trial, 0, operations(data), complete=False)
    task = partial(reducing, data, _base(plan), plan.resolve, sign, plan.tries_max, plan.shrink_seconds)
    for reduced in streamed(task, limit_seconds=plan.shrink_seconds + _GRACE_SECONDS):
        listener.smaller(reduced)
    shape = shape_of(reduced.data, sign)
    for earlier in tally.findings:
        if earlier.shape == shape:
            if before is None:
                file.unlink(missing_ok=True)
            else:
                regressions.write(file, before)
            tally.repeats[trial.seed] = earlier.seed
            listener.repeated(trial.seed, earlier.seed)
            return
    again = _seen_again(plan, reduced, sign)
    story = again.story if again is not None else (told,)
    number = None if again is None else again.number
    _write(plan, reduced.data, trial, file, story, number)
    finding = Finding(
        seed=trial.seed,
        sign=sign,
        signature=trial.signature,
        told=told,
        story=tuple(story),
        number=number,
        file=str(file),
        operations=reduced.operations,
        operations_before=operations(data),
        tries=reduced.tries,
        complete=reduced.complete,
        reproduced=again is not None,
        shape=shape,
    )
    tally.findings.append(finding)
    listener.found(finding)


def _base(plan: Plan) -> Path:
    return Path() if plan.around is None else Path(plan.around.base)


def _seen_again(plan: Plan, reduced: Reduced, sign: tuple[str, str]) -> Retold | None:
    """What a fresh process with another hash seed sees; None: something else, or nothing."""
    task = partial(retold, reduced.data, _base(plan), plan.resolve, sign)
    again = elsewhere(task, hash_seed=_HASH_SEED, limit_seconds=plan.limit_seconds)
    if not isinstance(again, Retold) or sign not in again.signature:
        return None
    same = reduced.trial.trace_hash in (None, again.trace_hash)
    return again if same else None


def _told(trial: Trial) -> str:
    if trial.error is not None:
        return trial.error
    first = trial.violations[0]
    return f"{first.invariant}: {first.what}"


def _write(plan: Plan, data: Data, trial: Trial, file: Path, told: Sequence[str], number: int | None = None) -> None:
    assert trial.first is not None
    if plan.around is not None:
        data = _moved(data, Path(plan.around.base), file.parent)
    text = regressions.file_text(
        data,
        trial.first,
        trial.seed,
        words=plan.words,
        run_words=plan.run_words,
        path=file,
        told=told,
        number=number,
    )
    regressions.write(file, text)


def _moved(data: Data, base: Path, folder: Path) -> Data:
    """The same with its paths relative to another folder."""

    def seen(path: str) -> str:
        whole = (base / path).resolve()
        try:
            return Path(os.path.relpath(whole, folder.resolve())).as_posix()
        except ValueError:
            return whole.as_posix()  # on another drive

    moved: Data = with_paths(data, seen)
    return moved


def state_file(folder: Path, words: Sequence[str], start: int, around: Around | None) -> Path:
    """Where the progress of a search is kept: one file for each different one."""
    of_scenario = "" if around is None else text_of(around.data)
    mark = blake2b("\n".join((str(start), *words, of_scenario)).encode(), digest_size=4).hexdigest()
    return folder / f"fuzz-{mark}.json"
