"""Two ways of running a scenario, run or read back, and compared: two settings, two schedulers, or two run folders."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simroom import __version__
from simroom.scenario.load import load
from simroom.scenario.problems import ScenarioError
from simroom.scenario.schema import Scenario
from simroom.study.baseline import sections
from simroom.study.compare import Comparison, Runs, Way, held
from simroom.study.difference import MARGIN, WORDS, Difference, DifferenceWord, Goal, difference, goals
from simroom.study.estimate import EVENT_BUDGET, estimate
from simroom.study.executors import Executor
from simroom.study.expect import Expectation, read_all
from simroom.study.explain import ByName, explained, session_names
from simroom.study.life import Life
from simroom.study.pool import Answer, Task
from simroom.study.recorded import Recorded, recorded_routes
from simroom.study.replication import ScenarioSource, factory_of, seed_of
from simroom.study.routes import Route
from simroom.study.rows import csv_name
from simroom.study.runs import Blame, Crash, Ran, ran
from simroom.study.words import listed

REPLICATIONS: Final = 10
"""Over which figures are compared, unless another number is asked for."""
ROUTES_MAX: Final = 1_000_000
"""Jobs of a run that are compared one by one."""

VIOLATIONS: Final = Goal("violations", "count", "less")


class Asked(Struct, frozen=True):
    """One way that is to be run.

    Attributes:
        label: What it is called.
        source: The scenario, sound.
        scheduler: ``package.module:factory``; None: simroom's, or the scenario's ``bug``.
    """

    label: str
    source: ScenarioSource
    scheduler: str | None


class RunError(Exception):
    """A way could not be run; the message says why.

    Attributes:
        blame: Whose fault it is.
        trace: The traceback; empty: there is none.
    """

    def __init__(self, message: str, blame: Blame, trace: str = "") -> None:
        super().__init__(message)
        self.blame = blame
        self.trace = trace


# --- two ways that are run ---------------------------------------------------------------------------------------


def run_both(
    before: Asked,
    after: Asked,
    executor: Executor,
    *,
    seed: int | None = None,
    replications: int = REPLICATIONS,
    margin: float = MARGIN,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Run a scenario in two ways, with the same seeds, and compare.

    Args:
        before: The first way.
        after: The second way.
        executor: Who runs them.
        seed: Of the first replication; None: of the first way's scenario.
        replications: Of each way.
        margin: By what share of its mean a figure may be worse.
        progress: Called after each run, with how many are done and how many there are.

    Raises:
        ScenarioError: A scenario cannot be loaded.
        RunError: A run came to no end.
    """
    scenarios = before.source.load(), after.source.load()
    first = scenarios[0].seed if seed is None else seed
    seeds = tuple(seed_of(first, number) for number in range(replications))
    tasks: list[Task] = [
        partial(ran, way.source, number, own, way.scheduler, ROUTES_MAX if number == 0 else 0)
        for number, own in enumerate(seeds)
        for way in (before, after)
    ]
    done: list[Ran] = []
    with closing(_closable(executor.map_in_order(tasks))) as answers:
        for answer in answers:
            done.append(_finished(answer, (before, after)[answer.position % 2]))
            if progress is not None:
                progress(len(done), len(tasks))
    old, new = done[0::2], done[1::2]
    runs = held(old[0].routes, new[0].routes)
    expectations = [one for scenario in scenarios for one in read_all(scenario.expect)[0]]
    return Comparison(
        before=_way(before, old),
        after=_way(after, new),
        seeds=seeds,
        runs=runs,
        lives=_lives(runs, (before, after), scenarios, first),
        differences=_differences([_by_name(one) for one in old], [_by_name(one) for one in new], expectations, margin),
        notes=_notes(scenarios, old, new),
    )


def _closable(answers: Iterable[Answer[Any]]) -> Generator[Answer[Any], None, None]:
    """The same as a generator, which can be closed, whatever kind of iterator an executor gives."""
    yield from answers


def _finished(answer: Answer[Any], way: Asked) -> Ran:
    result = answer.result
    if isinstance(result, Ran):
        return result
    if isinstance(result, Crash):
        raise RunError(f"{way.label}: {result.what}", result.blame, result.trace)
    why = "it took too long" if answer.fate == "hung" else f"its process died twice: {answer.why}"
    raise RunError(f"{way.label}: {why}", "machine")


def _way(asked: Asked, done: Sequence[Ran]) -> Way:
    first = done[0].replication
    return Way(
        label=asked.label,
        file=asked.source.path or "",
        version=__version__,
        seed=first.seed,
        verdict=first.word,
        violations=first.violation_count,
        trace_hash=first.trace_hash,
    )


def _by_name(one: Ran) -> Mapping[str, float | None]:
    return one.replication.values


def _lives(
    runs: Runs, ways: tuple[Asked, Asked], scenarios: tuple[Scenario, Scenario], seed: int
) -> tuple[Life | None, Life | None]:
    """The utterance of the first difference, told for both ways."""
    if runs.first is None:
        return None, None
    route = runs.first.route
    request = ByName(route.speaker, route.index, route.spoken_at)
    told = [
        explained(
            scenario, request, seed=seed, scheduler=None if way.scheduler is None else factory_of(way.scheduler)
        ).life
        for way, scenario in zip(ways, scenarios, strict=True)
    ]
    return told[0], told[1]


def _notes(scenarios: tuple[Scenario, Scenario], old: Sequence[Ran], new: Sequence[Ran]) -> tuple[str, ...]:
    notes = []
    other = _sections_that_differ(*scenarios)
    if other:
        notes.append(f"the scenarios differ in {listed(other)}")
    left_out = max(old[0].more_routes, new[0].more_routes)
    if left_out:
        notes.append(f"of each run only the first {ROUTES_MAX:,} jobs are compared one by one")
    return tuple(notes)


def _sections_that_differ(one: Scenario, other: Scenario) -> list[str]:
    first, second = sections(one), sections(other)
    return [key for key in {**first, **second} if first.get(key) != second.get(key)]


def _differences(
    before: Sequence[Mapping[str, float | None]],
    after: Sequence[Mapping[str, float | None]],
    expectations: Iterable[Expectation],
    margin: float,
) -> tuple[Difference, ...]:
    """Of every figure that is compared and has a value; what is to be looked at first at the front."""
    compared = (VIOLATIONS, *(goal for goal in goals(expectations) if goal.name != VIOLATIONS.name))
    found = [
        difference(goal, [one.get(goal.name) for one in before], [one.get(goal.name) for one in after], margin=margin)
        for goal in compared
    ]
    # What must never happen is no matter of chance: one that the first way has not is one too many.
    found[0] = replace(found[0], word=_sign(found[0]))
    there = [one for one in found if one.before is not None or one.after is not None]
    return tuple(sorted(there, key=lambda one: WORDS.index(one.word)))


def _sign(violations: Difference) -> DifferenceWord:
    if violations.before is None or violations.after is None or violations.before == violations.after:
        return violations.word
    return "worse" if violations.after > violations.before else "better"


# --- two runs that were recorded ---------------------------------------------------------------------------------


def read_both(before: Recorded, after: Recorded, *, margin: float = MARGIN) -> Comparison:
    """Compare two run folders by what is recorded in them.

    The first difference is told by running again what was run, where that still comes to the same.

    Args:
        before: The first one.
        after: The second one.
        margin: By what share of its mean a figure may be worse.

    Raises:
        RecordError: The rows of one are damaged.
    """
    notes = list(_recorded_notes(before, after))
    runs = None
    if before.seed != after.seed:
        notes.append(f"their luck differs (seeds {before.seed} and {after.seed}): jobs are not compared one by one")
    elif before.has_rows and after.has_rows:
        runs = held(recorded_routes(before.folder), recorded_routes(after.folder))
    else:
        notes.append("the deliveries of one or both were not kept: jobs are not compared one by one")
    seeds = tuple(seed for seed in before.values if seed in after.values)
    if not seeds:
        notes.append("no replication of one has the seed of one of the other: their figures are not compared")
    lives: list[Life | None] = [None, None]
    if runs is not None and runs.first is not None:
        lives = [_recorded_life(one, runs.first.route, notes) for one in (before, after)]
    return Comparison(
        before=_recorded_way(before),
        after=_recorded_way(after),
        seeds=seeds,
        runs=runs,
        lives=(lives[0], lives[1]),
        differences=_differences(
            [before.values[seed] for seed in seeds], [after.values[seed] for seed in seeds], (), margin
        ),
        notes=tuple(notes),
    )


def _recorded_notes(before: Recorded, after: Recorded) -> Iterator[str]:
    if before.digest != after.digest:
        told = ""
        try:
            other = _sections_that_differ(load(before.scenario), load(after.scenario))
            told = f": they differ in {listed(other)}" if other else ""
        except ScenarioError:
            pass
        yield f"they are of different scenarios{told}"
    if before.version != after.version:
        yield f"they were recorded by simroom {before.version} and simroom {after.version}"
    for one in (before, after):
        if one.partial:
            yield f"{one.folder}: the run was interrupted"


def _recorded_way(one: Recorded) -> Way:
    return Way(
        label=str(one.folder),
        file=str(one.folder),
        version=one.version,
        seed=one.seed,
        verdict=one.verdict,
        violations=one.violations,
        trace_hash=one.trace_hash,
    )


def _recorded_life(one: Recorded, route: Route, notes: list[str]) -> Life | None:
    """An utterance of a recorded run, told by running that again; None, and a note, where it is another run now."""
    if one.scheduler is not None:
        notes.append(f"{one.folder}: it had a scheduler of its own, so it is not run again to tell more")
        return None
    try:
        scenario = load(one.scenario)
    except ScenarioError:
        notes.append(f"{one.folder}: its scenario cannot be run by this simroom, to tell more")
        return None
    speaker = next((name for name in session_names(scenario) if csv_name(name) == route.speaker), None)
    if speaker is None or estimate(scenario).events > EVENT_BUDGET:
        return None
    said = explained(scenario, ByName(speaker, route.index, route.spoken_at), seed=one.seed)
    if said.trace_hash != one.trace_hash:
        notes.append(f"{one.folder}: run again it comes to something else, so what was decided is not told in full")
        return None
    return said.life
