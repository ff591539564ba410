"""Baselines: what a scenario came to once, and what has changed since.

Where a scenario is held to its routing, each result must reach whom it did and each job run where it did, whenever that
was. Figures must not be worse by more than a margin, judged seed by seed under the same luck.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, Literal

from msgspec import Struct

from simroom import __version__
from simroom.scenario.effective import effective_data
from simroom.scenario.schema import Scenario
from simroom.scenario.speech import Script, Silent
from simroom.stats.intervals import interval
from simroom.study.baseline_file import KIND, VERSION, Baseline, Measured, Once, Scene
from simroom.study.checked import Case, Checked, Commands
from simroom.study.difference import MARGIN, Difference, difference, goals
from simroom.study.effort import slowed
from simroom.study.expect import Expectation
from simroom.study.measures import Unit
from simroom.study.routes import Route
from simroom.study.runs import Ran
from simroom.study.steadiness import CROWDED

REPLICATIONS: Final = 10
"""Of a scenario in which chance plays a part, unless another number is asked for."""
ROUTES_TOLD: Final = 40
"""Jobs of the first replication that the file tells one by one."""
SAME: Final = "same-routing"
"""Tag of a scenario whose routing and selection must be as in the baseline."""
FREE: Final = "any-routing"
"""Tag of one whose routing and selection may change, though it is scripted."""
COUNTS: Final = ("utterances", "jobs", "deliveries", "violations")
_PLACES: Final = 6

Kind = Literal["routing", "selection"]


# --- making one --------------------------------------------------------------------------------------------------


def baseline_of(
    checked: Checked,
    scenario: Scenario,
    ran: Sequence[Ran],
    expectations: Sequence[Expectation],
    stability: str,
    scheduler: str | None,
) -> Baseline:
    """What a scenario comes to now.

    Args:
        checked: What became of it; every replication was finished.
        scenario: The scenario.
        ran: Its replications, the first one with its routes.
        expectations: What it expects.
        stability: Whether it kept up.
        scheduler: ``package.module:factory``; None: simroom's.
    """
    first = ran[0]
    return Baseline(
        schema_version=VERSION,
        simroom=__version__,
        kind=KIND,
        scenario=Scene(
            file=checked.path.as_posix(), name=scenario.name, hash=scenario.digest, sections=sections(scenario)
        ),
        scheduler=scheduler,
        verdict=checked.word,
        stability=stability,
        counts={name: int(first.replication.values.get(name) or 0) for name in COUNTS},
        replications=tuple(
            Once(
                one.replication.seed,
                one.replication.word,
                one.replication.routing_hash,
                one.replication.decision_hash,
            )
            for one in ran
        ),
        measures={goal.name: _measured(goal.name, goal.unit, ran) for goal in goals(expectations)},
        efforts=first.efforts,
        routes=tuple(route.told for route in first.routes),
        more_routes=first.more_routes,
    )


def _measured(name: str, unit: Unit, ran: Sequence[Ran]) -> Measured:
    values = _values(name, ran)
    there = [value for value in values if value is not None]
    around = interval(there)
    return Measured(
        unit=unit,
        mean=None if not there else _rounded(around.mean if around is not None else there[0]),
        low=None if around is None else _rounded(around.low),
        high=None if around is None else _rounded(around.high),
        values=values,
    )


def _values(name: str, ran: Sequence[Ran]) -> tuple[float | None, ...]:
    """A figure's value in each replication, rounded as the file has it, so that what is the same compares equal."""
    values = (one.replication.values.get(name) for one in ran)
    return tuple(None if value is None else _rounded(value) for value in values)


def _rounded(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, _PLACES)


def sections(scenario: Scenario) -> dict[str, str]:
    """A short hash of each section of the effective scenario, by its key."""
    data = effective_data(scenario)
    return {
        key: blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=4).hexdigest()
        for key, value in data.items()
    }


def has_chance(ran: Sequence[Ran]) -> bool:
    """Whether replications differ in anything that is compared: else two of them say as much as any number."""
    first = ran[0].replication
    return any(
        (one.replication.values, one.replication.routing_hash, one.replication.decision_hash, one.replication.word)
        != (first.values, first.routing_hash, first.decision_hash, first.word)
        for one in ran
    )


def is_held_to_routing(scenario: Scenario) -> bool:
    """Whether the routing must be as in the baseline: where a tag says so, else where all that happens is scripted."""
    if SAME in scenario.tags or FREE in scenario.tags:
        return SAME in scenario.tags
    speeches = [*(room.speech for room in scenario.rooms), *(group.speech for group in scenario.sessions)]
    return bool(speeches) and all(isinstance(speech, (Script, Silent)) for speech in speeches)


# --- comparing with one ------------------------------------------------------------------------------------------


class Versus(Struct, frozen=True):
    """What a baseline makes of a scenario.

    Attributes:
        cases: One for the routing and the selection each, one for each figure that has another value.
        notes: What has changed and is no failure.
    """

    cases: tuple[Case, ...]
    notes: tuple[str, ...]


def against(
    baseline: Baseline,
    scenario: Scenario,
    ran: Sequence[Ran],
    expectations: Sequence[Expectation],
    stability: str,
    commands: Commands,
    *,
    scheduler: str | None = None,
    margin: float = MARGIN,
) -> Versus:
    """Compare what a scenario comes to now with its baseline.

    Args:
        baseline: Of this very scenario, with the seeds of ``ran``.
        scenario: The scenario.
        ran: Its replications, the first one with its routes.
        expectations: What it expects.
        stability: Whether it keeps up now.
        commands: What to type about it.
        scheduler: ``package.module:factory``; None: simroom's.
        margin: By what share of its mean a figure may be worse.
    """
    notes = []
    if baseline.simroom != __version__:
        notes.append(f"the baseline was made by simroom {baseline.simroom}")
    if baseline.scheduler != scheduler:
        notes.append(f"the baseline was made with {_scheduler(baseline.scheduler)}, this is {_scheduler(scheduler)}")
    if baseline.verdict != "passed":
        notes.append(f"the baseline is of a scenario that had not passed: {baseline.verdict.replace('_', ' ')}")
    cases = []
    kinds: tuple[Kind, ...] = ("routing", "selection")
    for kind in kinds:
        found = _changed(kind, baseline, ran, commands)
        if found.word == "passed" or is_held_to_routing(scenario):
            cases.append(found)
        else:
            notes.append(f"{kind} {found.what}")
    if stability == "overloaded" != baseline.stability:
        what = f"it was {baseline.stability}, and is overloaded: jobs pile up to the end"
        cases.append(Case("baseline: keeps up", "failed", what, None, "baseline", following=commands.inspect))
    if baseline.efforts is not None and ran[0].efforts is not None:
        cases.append(_effort(slowed(baseline.efforts, ran[0].efforts), commands))
    for one in _differences(baseline, ran, expectations, margin, crowded=stability == "overloaded"):
        cases.append(_case(one, ran, commands))
        if one.word == "better":
            notes.append(f"{one.goal.name} {one.told}")
    return Versus(tuple(cases), tuple(notes))


def _effort(slower: Sequence[str], commands: Commands) -> Case:
    """Whether the scheduler costs what it did."""
    name = "baseline: effort"
    if not slower:
        return Case(name, "passed", "as before", kind="baseline")
    what = "the scheduler takes more than it did"
    if len(slower) == 1:
        what = slower[0]
    details = tuple(slower) if len(slower) > 1 else ()
    renew = shlex.join(commands.of("baseline update"))
    return Case(name, "failed", what, None, "baseline", (*details, f"if that is meant: {renew}"))


def _changed(kind: Kind, baseline: Baseline, ran: Sequence[Ran], commands: Commands) -> Case:
    """Whether what reached whom, or what ran where, is what it was."""
    name = f"baseline: {kind}"
    hashes = [
        (old.routing, new.replication.routing_hash)
        if kind == "routing"
        else (old.decisions, new.replication.decision_hash)
        for old, new in zip(baseline.replications, ran, strict=True)
    ]
    other = [position for position, (old, new) in enumerate(hashes) if old != new]
    if not other:
        return Case(name, "passed", "as before", kind="baseline")
    seed = ran[other[0]].replication.seed
    where = f"in {len(other):,} of {len(ran):,} replications" if len(ran) > 1 else ""
    subject = "results reach others" if kind == "routing" else "jobs run elsewhere"
    what = f"is another than in the baseline: {subject} {where}".rstrip()
    details, following = _first_route(baseline, ran[0], kind, commands)
    if 0 not in other:
        details, following = (f"the first that differs has seed {seed}",), commands.run(seed)
    renew = shlex.join(commands.of("baseline update"))
    return Case(name, "failed", what, None, "baseline", (*details, f"if that is meant: {renew}"), following=following)


def _first_route(
    baseline: Baseline, first: Ran, kind: Kind, commands: Commands
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first job that is told otherwise than it was, and the command that tells all of it."""
    seed = first.replication.seed
    parts = slice(0, 3, 2) if kind == "routing" else slice(0, 2)
    for position in range(max(len(first.routes), len(baseline.routes))):
        old = baseline.routes[position] if position < len(baseline.routes) else None
        new = first.routes[position] if position < len(first.routes) else None
        if old is not None and new is not None and old[parts] == new.told[parts]:
            continue
        was = "no such job" if old is None else ", ".join(old)
        details = (f"was {was}", f"is  {'no such job' if new is None else new.line}")
        return details, commands.run(seed) if new is None else _explain(new, seed, commands)
    return (f"the first {len(first.routes):,} jobs are as they were",), commands.run(seed)


def _explain(route: Route, seed: int, commands: Commands) -> tuple[str, ...]:
    return commands.of("explain", "--utterance", f"{route.speaker}#{route.index}", "--seed", str(seed))


def _differences(
    baseline: Baseline, ran: Sequence[Ran], expectations: Sequence[Expectation], margin: float, *, crowded: bool
) -> Iterator[Difference]:
    """The figures that the baseline has and that are still compared, those with another value or none."""
    for goal in goals(expectations):
        old = baseline.measures.get(goal.name)
        if old is None or old.unit != goal.unit:
            continue
        if crowded and goal.name.partition(".")[0].partition("{")[0] in CROWDED:
            continue  # it says how long the run was, and nothing about the system
        found = difference(goal, old.values, _values(goal.name, ran), margin=margin)
        if found.before is not None or found.after is not None:
            yield found


def _case(one: Difference, ran: Sequence[Ran], commands: Commands) -> Case:
    name = f"baseline: {one.goal.name}"
    if one.word == "worse":
        seed = ran[0].replication.seed
        following = commands.slowest(seed) if one.goal.unit == "time" else commands.run(seed)
        return Case(name, "failed", one.told, None, "baseline", value=one.after, following=following)
    if one.word == "inconclusive":
        details: tuple[str, ...] = ()
        following = ()
        if one.further is not None:
            following = commands.of("baseline update", "--replications", str(len(ran) + one.further))
            details = ("with the code as it was before, more replications would tell:",)
        return Case(name, "inconclusive", one.told, None, "baseline", details, one.after, following)
    return Case(name, "passed", one.told, None, "baseline", value=one.after)


def _scheduler(reference: str | None) -> str:
    return "simroom's scheduler" if reference is None else f"the scheduler {reference}"


def refusal(baseline: Baseline, scenario: Scenario) -> str | None:
    """Why a baseline is not of this scenario; None: it is."""
    if baseline.scenario.hash == scenario.digest:
        return None
    now, then = sections(scenario), baseline.scenario.sections
    other = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    told = ", ".join(other) if other else "a file that it refers to"
    return f"the baseline is of another scenario: {told} {'differ' if len(other) > 1 else 'differs'}"
