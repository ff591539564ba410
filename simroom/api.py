"""simroom for programs: run a scenario, check many, compare two. What the command line and the pytest plugin call.

Everything that ``simroom`` itself offers (``simroom.run``, ``simroom.check`` and the rest of ``__all__``) is stable:
within a major version names and arguments stay, and values keep their meaning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from os import PathLike
from pathlib import Path

from msgspec import structs

from simroom.oracle.verdict import Violation
from simroom.scenario.problems import Problem, ScenarioError
from simroom.scheduler.port import SchedulerFactory
from simroom.sim.run import simulate
from simroom.study import check as checking
from simroom.study import finding
from simroom.study.baseline import REPLICATIONS, baseline_of
from simroom.study.baseline_file import FOLDER, BaselineError, Renewed, place_of, read, write
from simroom.study.checked import Case, Checked, Tally
from simroom.study.compare import Comparison
from simroom.study.conclusion import conclude
from simroom.study.difference import MARGIN
from simroom.study.effort import alike
from simroom.study.estimate import EVENT_BUDGET, estimate
from simroom.study.executors import Executor, Local
from simroom.study.record import Record
from simroom.study.recorded import recorded
from simroom.study.replication import ScenarioSource, factory_of
from simroom.study.result import Expected, Result
from simroom.study.routes import Route
from simroom.study.summary import Source, Timing
from simroom.study.table import Table
from simroom.study.ways import REPLICATIONS as COMPARED
from simroom.study.ways import Asked, read_both, run_both

__all__ = [
    "Case",
    "Checked",
    "Comparison",
    "Executor",
    "Expected",
    "OversizeError",
    "Problem",
    "Renewed",
    "Result",
    "Route",
    "ScenarioError",
    "Tally",
    "Violation",
    "check",
    "compare",
    "run",
    "update_baselines",
    "validate",
]

AnyPath = str | PathLike[str]
"""A path, as text or as ``pathlib`` has it."""


class OversizeError(ValueError):
    """A scenario is larger than one would want to run without being asked twice."""


def run(
    scenario: AnyPath | None = None,
    *,
    text: str | None = None,
    base: AnyPath = ".",
    seed: int | None = None,
    overrides: Sequence[str] = (),
    scheduler: str | SchedulerFactory | None = None,
    force: bool = False,
) -> Result:
    """Run a scenario in this process and judge it, as ``simroom run`` does; nothing is written.

    Args:
        scenario: Its file; None: it is ``text``.
        text: What a scenario file would hold.
        base: The folder that paths in ``text`` are relative to.
        seed: Where all chance comes from; None: the scenario's own.
        overrides: ``key.path=value`` each.
        scheduler: ``package.module:factory``, or what that names; None: simroom's.
        force: Run it however large it is.

    Returns:
        The same for the same arguments, on every machine.

    Raises:
        ScenarioError: The scenario has problems; all of them are told.
        OversizeError: It is very large.
        KeyboardInterrupt: It was stopped by Ctrl-C.
        ValueError: Neither a file nor a text was given, or both.
    """
    if (scenario is None) == (text is None):
        raise ValueError("a scenario is a file or a text")
    path = Path("scenario.yaml" if scenario is None else scenario)
    found = finding.opened(path, tuple(overrides), text=text, base=Path(base))
    if isinstance(found, finding.Broken):
        raise ScenarioError(found.problems)
    events = estimate(found.scenario).events
    if events > EVENT_BUDGET and not force:
        raise OversizeError(f"{path}: about {events:,} events, beyond the budget of {EVENT_BUDGET:,}; see `force`")
    factory = factory_of(scheduler) if isinstance(scheduler, str) else scheduler
    wall, processor = time.perf_counter(), time.process_time()
    ran = simulate(found.scenario, seed=seed, scheduler=factory)
    if ran.interrupted:
        raise KeyboardInterrupt
    spent = Timing(
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - processor,
        simulated_time=max(0, ran.ended_at - ran.time_zero),
        events=ran.events,
    )
    table = Table(ran)
    source = Source(name=found.scenario.name, file=path.name, hash=found.scenario.digest)
    return Result(Record(table, conclude(table, found.expectations), source, spent))


def validate(scenario: AnyPath, *, overrides: Sequence[str] = ()) -> tuple[Problem, ...]:
    """Everything that is wrong with a scenario file, in order of place; empty: nothing is."""
    found = finding.opened(Path(scenario), tuple(overrides))
    return found.problems if isinstance(found, finding.Broken) else ()


def check(
    *paths: AnyPath,
    select: Sequence[str] = (),
    tags: Sequence[str] = (),
    not_tags: Sequence[str] = (),
    changed_since: str | None = None,
    replications: int = 1,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    scheduler: str | None = None,
    limit_seconds: float = checking.LIMIT_SECONDS,
    jobs: int = 1,
    executor: Executor | None = None,
    fail_fast: bool = False,
    force: bool = False,
    baselines: AnyPath | None = None,
    margin: float = MARGIN,
    progress: Callable[[Checked, int, int], None] | None = None,
) -> Tally:
    """Run scenarios and judge them, as ``simroom check`` does.

    Args:
        paths: Scenario files, and folders in which every scenario is taken.
        select: Patterns; a scenario is taken whose path is like one of them. Empty: all.
        tags: A scenario is taken that has one of them. Empty: all.
        not_tags: A scenario is left out that has one of them.
        changed_since: A revision of git: only what can have another outcome since a branch left it is taken.
        replications: Of each scenario, each with its own seed.
        seed: Of the first replication; None: the scenario's own.
        overrides: ``key.path=value`` each, for all scenarios.
        scheduler: ``package.module:factory``; None: simroom's.
        limit_seconds: How long the replications of a scenario may take together.
        jobs: With 1 they are run in this process, one after the other. With more, so many processes are started for
            it, and a run that is over its time is stopped; a script that does so needs
            ``if __name__ == "__main__":``, as for everything in Python that starts processes.
        executor: Who runs them, in place of ``jobs``; it sees to the time limit itself.
        fail_fast: Stop at the first scenario that does not pass.
        force: Run scenarios however large they are.
        baselines: The folder of the baselines that they are held against, whose seeds they are run with; None: none.
        margin: By what share of its mean a figure may be worse than in the baseline.
        progress: Called with each scenario as it is checked, in order, with how many are done and how many there are.

    Returns:
        What became of each, in the order in which they were found. Ctrl-C ends it early, with what was done.

    Raises:
        NotThereError: A path leads nowhere.
        RevisionError: Git does not know the revision.
    """
    begun = time.perf_counter()
    settings = checking.Settings(
        replications=replications,
        seed=seed,
        overrides=tuple(overrides),
        scheduler=scheduler,
        limit_seconds=limit_seconds,
        force=force,
        baselines=None if baselines is None else Path(baselines),
        margin=margin,
    )
    found, left_out = _selected(paths, settings, select, tags, not_tags, changed_since)
    plans = [checking.plan_of(one, settings) for one in found]
    done: list[Checked] = []
    interrupted = False
    try:
        with _workers(executor, jobs, settings) as workers, closing(checking.check(plans, settings, workers)) as each:
            for outcome in each:
                done.append(outcome.checked)
                if progress is not None:
                    progress(outcome.checked, len(done), len(plans))
                if fail_fast and outcome.checked.word != "passed":
                    break
    except KeyboardInterrupt:
        interrupted = True
    done += [checking.not_run(plan) for plan in plans[len(done) :]]
    return Tally(tuple(done), time.perf_counter() - begun, interrupted, left_out)


def update_baselines(
    *paths: AnyPath,
    baselines: AnyPath = FOLDER,
    select: Sequence[str] = (),
    tags: Sequence[str] = (),
    not_tags: Sequence[str] = (),
    changed_since: str | None = None,
    replications: int = REPLICATIONS,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    scheduler: str | None = None,
    limit_seconds: float = checking.LIMIT_SECONDS,
    jobs: int = 1,
    executor: Executor | None = None,
    force: bool = False,
    even_failed: bool = False,
    progress: Callable[[Checked, int, int], None] | None = None,
) -> tuple[Tally, tuple[Renewed, ...]]:
    """Run scenarios and keep what they come to as their baselines, as ``simroom baseline update`` does.

    Args:
        paths: As for ``check``.
        baselines: The folder of the baselines.
        select: As for ``check``.
        tags: As for ``check``.
        not_tags: As for ``check``.
        changed_since: As for ``check``.
        replications: Of each scenario; of those in which chance plays no part in any figure, two.
        seed: As for ``check``.
        overrides: As for ``check``.
        scheduler: As for ``check``.
        limit_seconds: As for ``check``.
        jobs: As for ``check``.
        executor: As for ``check``.
        force: As for ``check``.
        progress: As for ``check``.
        even_failed: Keep what a scenario comes to that does not pass, too.

    Returns:
        What became of each scenario, and of the baseline of each.

    Raises:
        NotThereError: A path leads nowhere.
        RevisionError: Git does not know the revision.
        OSError: A baseline cannot be written; those before it are.
    """
    begun = time.perf_counter()
    settings = checking.Settings(
        replications=replications,
        seed=seed,
        overrides=tuple(overrides),
        scheduler=scheduler,
        limit_seconds=limit_seconds,
        force=force,
        renewing=True,
    )
    found, left_out = _selected(paths, settings, select, tags, not_tags, changed_since)
    plans = [checking.plan_of(one, settings) for one in found]
    done: list[Checked] = []
    renewed: list[Renewed] = []
    interrupted = False
    try:
        with (
            _workers(executor, jobs, settings) as workers,
            closing(checking.explored(plans, settings, workers)) as each,
        ):
            for plan, outcome in zip(plans, each, strict=True):
                done.append(outcome.checked)
                renewed.append(_renewed(plan, outcome, Path(baselines), scheduler, even_failed=even_failed))
                if progress is not None:
                    progress(outcome.checked, len(done), len(plans))
    except KeyboardInterrupt:
        interrupted = True
    done += [checking.not_run(plan) for plan in plans[len(done) :]]
    return Tally(tuple(done), time.perf_counter() - begun, interrupted, left_out), tuple(renewed)


def _renewed(
    plan: checking.Plan, outcome: checking.Outcome, folder: Path, scheduler: str | None, *, even_failed: bool
) -> Renewed:
    path = place_of(plan.found.path, folder)
    checked, study = outcome.checked, outcome.study
    kept = checked.word == "passed" or (even_failed and checked.word in ("failed", "inconclusive", "over_time"))
    if study is None or isinstance(plan.found, finding.Broken) or not kept:
        return Renewed(plan.found.path, path, "kept" if path.exists() else "none")
    found = plan.found
    steady = study.steadiness.word
    now = baseline_of(checked, found.scenario, outcome.ran, found.expectations, steady, scheduler)
    with suppress(BaselineError):
        old = read(path, "")
        if old is not None and old.efforts is not None and now.efforts is not None and alike(old.efforts, now.efforts):
            # Times are a little other each time; what says nothing new is no change to review.
            now = structs.replace(now, efforts=old.efforts)
    new = not path.exists()
    changed = write(path, now)
    return Renewed(plan.found.path, path, "new" if new else "changed" if changed else "same")


def _selected(
    paths: Sequence[AnyPath],
    settings: checking.Settings,
    select: Sequence[str],
    tags: Sequence[str],
    not_tags: Sequence[str],
    changed_since: str | None,
) -> tuple[list[finding.Opened | finding.Broken], int]:
    """The scenarios that are meant, and how many YAML files beside them are none."""
    there = finding.find([Path(path) for path in paths])
    found = [finding.opened(file, settings.overrides) for file in there.files if finding.is_named(file, select)]
    found = [one for one in found if finding.is_tagged(one, tags, not_tags)]
    if changed_since is not None and found:
        changes = finding.changed_since(changed_since, found[0].path.resolve().parent, settings.scheduler)
        found = [one for one in found if changes.touch(one)]
    return found, len(there.left_out)


def _workers(executor: Executor | None, jobs: int, settings: checking.Settings) -> AbstractContextManager[Executor]:
    """Who runs it: whoever was given, processes of this machine, or this process."""
    if executor is None and jobs > 1:
        return Local(jobs, limit_seconds=settings.limit_seconds)
    return nullcontext(executor or checking.Here())


def compare(
    before: AnyPath,
    after: AnyPath | None = None,
    *,
    before_overrides: Sequence[str] = (),
    after_overrides: Sequence[str] = (),
    before_scheduler: str | None = None,
    after_scheduler: str | None = None,
    seed: int | None = None,
    replications: int = COMPARED,
    margin: float = MARGIN,
    jobs: int = 1,
    executor: Executor | None = None,
) -> Comparison:
    """Compare two ways of running a scenario, or two run folders, as ``simroom compare`` does.

    Args:
        before: A scenario file, or a run folder.
        after: Likewise; None: the scenario file that ``before`` is.
        before_overrides: ``key.path=value`` each, of the first way.
        after_overrides: Of the second way.
        before_scheduler: ``package.module:factory`` of the first way; None: simroom's.
        after_scheduler: Of the second way.
        seed: Of the first replication; None: the first scenario's own.
        replications: Of each way, with the same seeds.
        margin: By what share of its mean a figure may be worse.
        jobs: As for ``check``.
        executor: As for ``check``.

    Returns:
        The first decision in which they differ, what moved, and what is better or worse.

    Raises:
        RecordError: A run folder is none, or is damaged.
        ScenarioError: A scenario cannot be used.
        RunError: A run came to no end.
    """
    first, second = Path(before), Path(before if after is None else after)
    if first.is_dir() or second.is_dir():
        return read_both(recorded(first), recorded(second), margin=margin)
    settings = checking.Settings()
    ways = (
        _asked(first, tuple(before_overrides), before_scheduler),
        _asked(second, tuple(after_overrides), after_scheduler),
    )
    with _workers(executor, jobs, settings) as workers:
        return run_both(*ways, workers, seed=seed, replications=replications, margin=margin)


def _asked(path: Path, overrides: tuple[str, ...], scheduler: str | None) -> Asked:
    words = [str(path), *(f"--set {one}" for one in overrides)]
    if scheduler is not None:
        words.append(f"--scheduler {scheduler}")
    return Asked(" ".join(words), ScenarioSource(str(path), overrides=overrides), scheduler)
