"""Many scenarios checked at once: each run with its seeds, on as many processes as there are, and judged.

All replications of all scenarios are one stream of work, so that small scenarios keep every process busy; what comes of
it is in the order of the scenarios and does not depend on who was quicker.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simroom.study.baseline import ROUTES_TOLD, Versus, against, has_chance, refusal
from simroom.study.baseline_file import Baseline, BaselineError, place_of, read
from simroom.study.checked import (
    COMPLETED,
    VALID,
    Case,
    Checked,
    Commands,
    judged_cases,
    met_cases,
    run_case,
    word_of,
)
from simroom.study.difference import MARGIN
from simroom.study.estimate import EVENT_BUDGET, estimate
from simroom.study.executors import Executor
from simroom.study.finding import Broken, Opened
from simroom.study.judging import concluded
from simroom.study.pool import Answer, Task
from simroom.study.replicate import Asked, Study, replicate
from simroom.study.replication import Replication, Samples, ScenarioSource, seed_of
from simroom.study.runs import Crash, Ran, ran

LIMIT_SECONDS: Final = 600.0
"""So long the replications of a scenario may take together where nobody says otherwise."""
PROBLEMS_TOLD: Final = 20
_Answer = Answer[Ran | Crash]
PLACES_TOLD: Final = 5
SWEPT: Final = 16
"""After one in so many small runs memory is freed."""


class Settings(Struct, frozen=True):
    """How scenarios are to be run.

    Attributes:
        replications: Of each scenario, 1 or more. With baselines it is these that say how many and with which seeds.
        seed: Of the first replication; None: the scenario's own.
        overrides: ``key.path=value`` each, for all scenarios.
        scheduler: ``package.module:factory``; None: simroom's.
        limit_seconds: How long all replications of a scenario may take together.
        force: Run them however large they are.
        baselines: The folder of the baselines that they are held against; None: they are not.
        margin: By what share of its mean a figure may be worse than in the baseline.
        renewing: It is for baselines that are to be made.
    """

    replications: int = 1
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    scheduler: str | None = None
    limit_seconds: float = LIMIT_SECONDS
    force: bool = False
    baselines: Path | None = None
    margin: float = MARGIN
    renewing: bool = False

    def commands(self, path: Path) -> Commands:
        """What to type about a scenario that is run like this."""
        return Commands(path, self.overrides, self.scheduler)


class Plan(Struct, frozen=True):
    """What is to be done with one scenario.

    Attributes:
        found: The scenario, or what is wrong with it.
        seeds: Of its replications, in order; empty where it cannot be run.
        baseline: What it is held against; None: nothing.
        refused: Why there is no baseline that it could be held against; None: there is, or none is wanted.
    """

    found: Opened | Broken
    seeds: tuple[int, ...]
    baseline: Baseline | None = None
    refused: str | None = None


class Outcome(Struct, frozen=True):
    """What all replications of a scenario came to.

    Attributes:
        checked: What became of the scenario.
        study: Its replications together; None: it was not run to the end.
        ran: Its replications one by one; empty likewise.
    """

    checked: Checked
    study: Study | None = None
    ran: tuple[Ran, ...] = ()


def plan_of(found: Opened | Broken, settings: Settings) -> Plan:
    """What to do with a scenario: every replication with the seed that its number has, or that its baseline says."""
    if isinstance(found, Broken) or (not settings.force and _oversize(found) is not None):
        return Plan(found, ())
    first = found.scenario.seed if settings.seed is None else settings.seed
    plan = Plan(found, tuple(seed_of(first, number) for number in range(settings.replications)))
    if settings.baselines is None:
        return plan
    renew = shlex.join(settings.commands(found.path).of("baseline update"))
    try:
        baseline = read(place_of(found.path, settings.baselines), renew)
    except BaselineError as error:
        return replace(plan, refused=str(error))
    if baseline is None:
        return replace(plan, refused=f"there is no baseline of it: {renew} makes one")
    refused = refusal(baseline, found.scenario)
    if refused is not None:
        return replace(plan, refused=f"{refused}; {renew} makes it anew")
    return replace(plan, seeds=baseline.seeds, baseline=baseline)


def check(plans: Sequence[Plan], settings: Settings, executor: Executor) -> Generator[Outcome, None, None]:
    """Check scenarios.

    Args:
        plans: What to do, in order.
        settings: How.
        executor: Who runs them; it must give up a task after ``settings.limit_seconds``.

    Yields:
        What became of each, in the order of the plans, as it comes. Who has seen enough closes the iterator.
    """
    with closing(_answers(plans, settings, executor)) as answers:
        for plan, found in zip(plans, answers, strict=True):
            yield _outcome(plan, found, settings)


def explored(plans: Sequence[Plan], settings: Settings, executor: Executor) -> Generator[Outcome, None, None]:
    """Check scenarios as ``check`` does, with two replications where chance plays no part in any figure."""
    short = [replace(plan, seeds=plan.seeds[:2]) for plan in plans]
    with closing(_answers(short, settings, executor)) as answers:
        first = list(answers)
    more = [
        replace(plan, seeds=plan.seeds[2:] if _goes_on(found) else ()) for plan, found in zip(plans, first, strict=True)
    ]
    with closing(_answers(more, settings, executor, begin=2)) as answers:
        for plan, rest, begun, left in zip(plans, more, first, answers, strict=True):
            whole = plan if rest.seeds else replace(plan, seeds=plan.seeds[:2])
            yield _outcome(whole, [*begun, *left], settings)


def _goes_on(answers: Sequence[_Answer]) -> bool:
    done = [answer.result for answer in answers if isinstance(answer.result, Ran)]
    return len(done) == len(answers) > 0 and has_chance(done)


def _answers(
    plans: Sequence[Plan], settings: Settings, executor: Executor, begin: int = 0
) -> Generator[list[_Answer], None, None]:
    """Run all replications of all plans; yields those of each plan, in order. The first seeds have the number begin."""
    places = [(plan, number) for plan in plans for number in range(len(plan.seeds))]
    tasks = [
        _task(plan, number, begin, settings, swept=place % SWEPT == 0) for place, (plan, number) in enumerate(places)
    ]
    with closing(_closable(executor.map_in_order(tasks))) as answers:
        for plan in plans:
            yield [next(answers) for _ in plan.seeds]


def _task(plan: Plan, position: int, begin: int, settings: Settings, *, swept: bool) -> Task:
    source = ScenarioSource(str(plan.found.path), overrides=settings.overrides)
    number = begin + position
    first = number == 0
    told = ROUTES_TOLD if first else 0
    metered = first and _is_about_a_baseline(plan, settings)
    return partial(ran, source, number, plan.seeds[position], settings.scheduler, told, metered=metered, swept=swept)


def _closable(answers: Iterable[Answer[Any]]) -> Generator[Answer[Any], None, None]:
    """The same as a generator, which can be closed, whatever kind of iterator an executor gives."""
    yield from answers


# --- judging -----------------------------------------------------------------------------------------------------


def _outcome(plan: Plan, answers: Sequence[_Answer], settings: Settings) -> Outcome:
    found = plan.found
    if isinstance(found, Broken):
        return Outcome(_invalid(found))
    commands = settings.commands(found.path)
    blank = not_run(plan)
    oversize = None if settings.force else _oversize(found)
    if oversize is not None:
        case = Case(VALID, "error", oversize, kind="scenario", following=commands.inspect)
        return Outcome(replace(blank, word="invalid", cases=(case,)))
    for number, answer in enumerate(answers):
        bad = _unfinished(blank, answer, plan.seeds[number], commands, settings)
        if bad is not None:
            return Outcome(bad)
    done = [answer.result for answer in answers if isinstance(answer.result, Ran)]
    return _judged(blank, plan, found, done, commands, settings)


def _judged(
    blank: Checked, plan: Plan, found: Opened, done: Sequence[Ran], commands: Commands, settings: Settings
) -> Outcome:
    replications = tuple(one.replication for one in done)
    study = _together(found, replications, settings)
    cases = [run_case(done, found.expectations, commands)]
    # The seeds of a baseline are there for comparing; what is expected is expected of the scenario's own seed.
    if len(done) == 1 or _is_about_a_baseline(plan, settings):
        cases += met_cases(found.expectations, done[0], commands)
        warnings = replications[0].warnings
    else:
        conclusion = concluded(study)
        cases += judged_cases(conclusion.outcomes, blank.seeds, commands)
        warnings = conclusion.warnings
    versus = _versus(plan, found, done, study, commands, settings)
    cases += versus.cases
    checked = replace(
        blank,
        word=word_of(cases),
        cases=tuple(cases),
        warnings=warnings,
        notes=versus.notes,
        replications=replications,
        wall_seconds=sum(one.wall_seconds for one in replications),
    )
    if checked.wall_seconds > settings.limit_seconds:
        checked = _over_time(checked, f"took {checked.wall_seconds:.1f} s", commands, settings)
    return Outcome(checked, study, tuple(done))


def _is_about_a_baseline(plan: Plan, settings: Settings) -> bool:
    return plan.baseline is not None or settings.renewing


def _versus(
    plan: Plan, found: Opened, done: Sequence[Ran], study: Study, commands: Commands, settings: Settings
) -> Versus:
    """What the baseline makes of it; nothing where none is wanted."""
    if plan.refused is not None:
        renew = commands.of("baseline update")
        return Versus((Case("baseline", "inconclusive", plan.refused, None, "baseline", following=renew),), ())
    if plan.baseline is None:
        return Versus((), ())
    return against(
        plan.baseline,
        found.scenario,
        done,
        found.expectations,
        study.steadiness.word,
        commands,
        scheduler=settings.scheduler,
        margin=settings.margin,
    )


def _together(found: Opened, replications: Sequence[Replication], settings: Settings) -> Study:
    """Replications that have been run already, as a study of them."""
    source = ScenarioSource(str(found.path), overrides=settings.overrides)
    seeds = [one.seed for one in replications]
    return replicate(source, executor=_Done(replications), asked=Asked(len(seeds)), seeds=seeds)


class Here:
    """An executor that does one task after the other in this very process, however long each takes."""

    def map_in_order(self, tasks: Iterable[Task]) -> Iterator[Answer[Any]]:
        """As of ``Executor``; what a task raises is raised."""
        for position, task in enumerate(tasks):
            yield Answer(position, "done", task())


class _Done:
    """An executor that answers with what has been done already."""

    def __init__(self, replications: Sequence[Replication]) -> None:
        self._replications = replications

    def map_in_order(self, tasks: Iterable[Task]) -> Iterator[Answer[Any]]:
        """As of ``Executor``."""
        no_samples: Samples = {}
        for position, (replication, _) in enumerate(zip(self._replications, tasks, strict=True)):
            yield Answer(position, "done", (replication, no_samples))


def not_run(plan: Plan) -> Checked:
    """A scenario that was not come to."""
    found = plan.found
    if isinstance(found, Broken):
        return Checked(found.path, None, (), None, (), "not_run", ())
    return Checked(
        path=found.path,
        name=found.scenario.name,
        tags=found.tags,
        digest=found.scenario.digest,
        seeds=plan.seeds,
        word="not_run",
        cases=(),
    )


def _invalid(found: Broken) -> Checked:
    first, problems = found.problems[0], [str(one) for one in found.problems]
    told = problems[1 : PROBLEMS_TOLD + 1]
    if len(problems) - 1 > len(told):
        told.append(f"{len(problems) - 1 - len(told):,} more problems")
    case = Case(
        name=VALID,
        word="error",
        what=problems[0],
        line=first.line,
        kind="scenario",
        details=tuple(told),
        following=Commands(found.path).validate,
    )
    return Checked(found.path, None, (), None, (), "invalid", (case,))


def _unfinished(blank: Checked, answer: _Answer, seed: int, commands: Commands, settings: Settings) -> Checked | None:
    """A scenario of which a replication came to no end; None: this one did."""
    result = answer.result
    if isinstance(result, Ran):
        return None
    if answer.fate == "hung":
        return _over_time(blank, "was stopped", commands, settings)
    if isinstance(result, Crash):
        case = Case(COMPLETED, "error", result.what, None, "run", _places(result.trace), following=commands.run(seed))
        return replace(blank, word="crashed", cases=(case,), blame=result.blame)
    what = f"its process died twice: {answer.why}"
    case = Case(COMPLETED, "error", what, kind="run", following=commands.run(seed))
    return replace(blank, word="crashed", cases=(case,), blame="machine")


def _places(trace: str) -> tuple[str, ...]:
    """Where an exception came from, the innermost last: the places of a traceback, without its code."""
    places = [line.strip() for line in trace.splitlines() if line.lstrip().startswith("File ")]
    return tuple(places[-PLACES_TOLD:])


def _over_time(checked: Checked, what: str, commands: Commands, settings: Settings) -> Checked:
    told = f"{what}: it has {settings.limit_seconds:g} s"
    case = Case(COMPLETED, "failed", told, kind="run", following=commands.inspect)
    own = next((one for one in checked.cases if one.name == COMPLETED and one.word != "passed"), None)
    if own is not None:
        case = replace(own, details=(*own.details, told))
    others = tuple(one for one in checked.cases if one.name != COMPLETED)
    word = checked.word if checked.word in ("failed", "inconclusive") else "over_time"
    return replace(checked, word=word, cases=(case, *others))


def _oversize(found: Opened) -> str | None:
    """Why a scenario is larger than one would want to run; None: it is not."""
    events = estimate(found.scenario).events
    if events <= EVENT_BUDGET:
        return None
    return f"about {events:,} events, beyond the budget of {EVENT_BUDGET:,}: shorten it, or add --force"
