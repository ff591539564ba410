"""Several replications of one scenario, and what they say together: every figure with its interval.

How many there are may be left to the wanted precision. It is looked at after each replication in turn, whichever was
finished first, so the number of processes changes nothing but the time it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Column
from simroom.scenario.schema import Scenario
from simroom.stats.intervals import Interval, further_replications, interval, relative_precision
from simroom.stats.quantiles import SHARES, pooled, quantiles
from simroom.study.executors import Executor
from simroom.study.expect import Expectation, read_all
from simroom.study.measures import Unit
from simroom.study.pool import Answer
from simroom.study.replication import (
    Replication,
    Samples,
    ScenarioSource,
    is_for_each,
    replicated,
    seed_of,
    unfinished,
)
from simroom.study.reported import HEADLINE, Figure, all_figures, of_expectation
from simroom.study.steadiness import StudySteadiness, together

COUNT: Final = 10
"""Replications before precision is looked at for the first time: of fewer, intervals are too uncertain themselves
(Law, Simulation Modeling and Analysis, 9.4.1)."""
COUNT_MAX: Final = 200
"""Replications at most where only the precision is given."""
POOLED_MAX: Final = 20_000_000
"""Samples of one figure that are kept over all replications, 8 bytes each; beyond that none are."""


class Asked(Struct, frozen=True):
    """How many replications were asked for.

    Attributes:
        count: So many; with ``precision``, at least so many.
        precision: Half the width of an interval as a share of its middle, above 0; None: whatever comes.
        count_max: With ``precision``, at most so many.
    """

    count: int
    precision: float | None = None
    count_max: int = COUNT_MAX


class Estimate(Struct, frozen=True):
    """A figure over all replications, in base units (seconds, shares 0..1).

    Attributes:
        name: Of the figure.
        unit: Of the figure.
        n: Replications that have a value.
        mean: Mean over them; None where there is none.
        interval: Student-t interval at 95 % over them; None with fewer than two.
        is_of_samples: Whether the figure is a percentile, or the largest, of samples: then ``mean`` is where the
            interval has its middle, and nothing to show.
        pooled: The percentile by nearest rank, or the largest, of all samples of all replications; None for other
            figures, and where the samples were not kept.
        at_least: The smallest value, where the system was overloaded and the figure grows with the length of the run;
            else None. Then mean and interval say nothing about the system.
    """

    name: str
    unit: Unit
    n: int
    mean: float | None
    interval: Interval | None
    is_of_samples: bool = False
    pooled: float | None = None
    at_least: float | None = None

    @property
    def value(self) -> float | None:
        """The one number to show: never a mean of percentiles, never a latency of an overloaded system."""
        if self.at_least is not None:
            return None
        return self.pooled if self.is_of_samples else self.mean


class Precision(Struct, frozen=True):
    """How narrow the intervals became that were to become narrow.

    Attributes:
        asked: Half the width as a share of the middle.
        names: Of which figures.
        reached: Whether all are that narrow; None: there was nothing left that could become narrow.
        worst: Name of the widest; None where that cannot be said.
        worst_precision: How wide it is, likewise as a share; None: infinitely, or unknown.
        further: Replications more that would probably do; 0: none; None: no number would.
    """

    asked: float
    names: tuple[str, ...]
    reached: bool | None
    worst: str | None
    worst_precision: float | None
    further: int | None


class Progress(Struct, frozen=True):
    """How far a study is.

    Attributes:
        done: Replications.
        most: How many there will be at most.
        precision: So far; None: none was asked for, or it is too early.
    """

    done: int
    most: int
    precision: Precision | None


class Study(Struct, frozen=True):
    """Replications, and what they say together.

    Attributes:
        scenario: What was run.
        seed: Of the first replication; the others follow from it.
        asked: How many were asked for.
        replications: In order; at least one, unless it was interrupted before that.
        expectations: Of the scenario, read.
        estimates: By name of the figure.
        steadiness: Whether the system kept up.
        precision: How narrow the intervals became; None: nobody asked.
        interrupted: It was stopped from outside; what had been finished in order is there.
    """

    scenario: Scenario
    seed: int
    asked: Asked
    replications: tuple[Replication, ...]
    expectations: tuple[Expectation, ...]
    estimates: dict[str, Estimate]
    steadiness: StudySteadiness
    precision: Precision | None
    interrupted: bool


def replicate(
    source: ScenarioSource,
    *,
    executor: Executor,
    asked: Asked,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    scheduler: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Study:
    """Run replications until there are enough.

    Args:
        source: The scenario, sound.
        executor: Who runs them.
        asked: How many.
        seed: Of the first; None: the scenario's own. The others' follow from it by their number.
        seeds: Or the seed of each, as many as ``asked`` can come to.
        scheduler: ``package.module:factory``; None: simroom's, or the scenario's ``bug``.
        progress: Called after each replication, in order. A ``KeyboardInterrupt`` raised in it, or by SIGINT, stops the
            study; what was finished in order is returned.

    Raises:
        ScenarioError: The scenario cannot be loaded.
        ValueError: Nothing, or something impossible, was asked for.
        WorkError: A replication raised.
    """
    scenario = source.load()
    expectations, _ = read_all(scenario.expect)
    first = scenario.seed if seed is None else seed
    most = asked.count if asked.precision is None else asked.count_max
    _check(asked, most, seeds)
    work = _Work(scenario, asked, expectations)
    tasks = (
        partial(replicated, source, number, _seed(first, seeds, number), scheduler, work.pooled)
        for number in range(most)
    )
    interrupted = False
    try:
        with closing(_closable(executor.map_in_order(tasks))) as answers:
            for answer in answers:
                work.add(answer, _seed(first, seeds, answer.position))
                precision = work.precision() if len(work.replications) >= asked.count else None
                if progress is not None:
                    progress(Progress(len(work.replications), most, precision))
                if precision is not None and precision.reached is not False:
                    break
    except KeyboardInterrupt:
        interrupted = True
    return work.study(first if seeds is None else seeds[0], interrupted=interrupted)


def _check(asked: Asked, most: int, seeds: Sequence[int] | None) -> None:
    if asked.count < 1:
        raise ValueError(f"a study has a replication, not {asked.count}")
    if asked.precision is not None and not (0 < asked.precision < 1 and 2 <= asked.count <= most):
        raise ValueError(
            "a precision is above 0 and below 1, and takes two replications or more, up to a larger number"
        )
    if seeds is not None and len(seeds) < most:
        raise ValueError(f"{len(seeds)} seeds are not enough for {most} replications")


def _seed(first: int, seeds: Sequence[int] | None, number: int) -> int:
    return seed_of(first, number) if seeds is None else seeds[number]


def _closable(
    answers: Iterator[Answer[tuple[Replication, Samples]]],
) -> Generator[Answer[tuple[Replication, Samples]], None, None]:
    """The same as a generator, which can be closed, whatever kind of iterator an executor gives."""
    yield from answers


class _Work:
    """A study while it is going on."""

    def __init__(self, scenario: Scenario, asked: Asked, expectations: Sequence[Expectation]) -> None:
        self.replications: list[Replication] = []
        self._scenario = scenario
        self._asked = asked
        self._expectations = tuple(expectations)
        expected = dict.fromkeys(of_expectation(one) for one in expectations if not is_for_each(one))
        self._wanted = tuple(expected) or (Figure(HEADLINE, (), "p95"),)
        self.pooled = tuple(dict.fromkeys(one.whole for one in expected if one.is_percentile))
        self._samples: dict[str, list[Column]] = {}
        self._lost: dict[str, None] = {}

    def add(self, answer: Answer[tuple[Replication, Samples]], seed: int) -> None:
        """One more is finished, or never will be."""
        if answer.result is None:
            why = "it took too long" if answer.fate == "hung" else f"its process died twice of it: {answer.why}"
            self.replications.append(unfinished(answer.position, seed, f"it could not be finished: {why}"))
            return
        replication, samples = answer.result
        self.replications.append(replication)
        for name, packed in samples.items():
            kept = self._samples.setdefault(name, [])
            if packed is None or sum(map(len, kept)) + len(packed) // 8 > POOLED_MAX:
                self._lost[name] = None
                kept.clear()
            if packed is not None and name not in self._lost:
                kept.append(np.frombuffer(packed, dtype="<i8"))

    def precision(self) -> Precision | None:
        """How narrow the intervals are by now; None: nobody asked."""
        asked = self._asked.precision
        if asked is None:
            return None
        crowded = self._steadiness().is_overloaded
        found: dict[str, Interval] = {}
        for figure in self._wanted:
            # What overload makes grow, and what is missing somewhere, will not become narrow.
            values = [one.values.get(figure.name) for one in self.replications if one.is_finished]
            if None in values or (crowded and figure.is_crowded):
                continue
            around = interval([value for value in values if value is not None])
            if around is not None:
                found[figure.name] = around
        if not found:
            return Precision(asked, tuple(one.name for one in self._wanted), None, None, None, None)
        worst = max(found, key=lambda name: _breadth(found[name]))
        further = [further_replications(around, relative=asked) for around in found.values()]
        return Precision(
            asked=asked,
            names=tuple(found),
            reached=all(count == 0 for count in further),
            worst=worst,
            worst_precision=relative_precision(found[worst]),
            further=None if None in further else max(count for count in further if count is not None),
        )

    def study(self, seed: int, *, interrupted: bool) -> Study:
        """What it has come to."""
        steady = self._steadiness()
        finished = [one for one in self.replications if one.is_finished]
        languages = tuple(dict.fromkeys(sorted(language for one in finished for language in one.languages)))
        if len(languages) == 1:
            languages = ()  # it would say the same twice
        return Study(
            scenario=self._scenario,
            seed=seed,
            asked=self._asked,
            replications=tuple(self.replications),
            expectations=self._expectations,
            estimates={
                one.name: self._estimate(one, finished, crowded=steady.is_overloaded and one.is_crowded)
                for one in all_figures(self._expectations, languages)
            },
            steadiness=steady,
            precision=self.precision(),
            interrupted=interrupted,
        )

    def _steadiness(self) -> StudySteadiness:
        finished = [one for one in self.replications if one.is_finished]
        return together(
            [one.stability for one in finished],
            [np.array(one.series) for one in finished],
            self._scenario,
        )

    def _estimate(self, figure: Figure, finished: Sequence[Replication], *, crowded: bool) -> Estimate:
        values = [value for one in finished if (value := one.values.get(figure.name)) is not None]
        around = interval(values)
        mean = around.mean if around is not None else values[0] if values else None
        return Estimate(
            name=figure.name,
            unit=figure.unit,
            n=len(values),
            mean=mean,
            interval=around,
            is_of_samples=figure.is_percentile or figure.is_largest,
            pooled=max(values, default=None) if figure.is_largest else self._pooled(figure),
            at_least=min(values) if crowded and values else None,
        )

    def _pooled(self, figure: Figure) -> float | None:
        kept = self._samples.get(figure.whole.name)
        if not kept or figure.stat is None or not figure.is_percentile:
            return None
        found = quantiles(pooled(kept), [SHARES[figure.stat]])
        return None if found is None else found[0] / 1_000_000


def _breadth(around: Interval) -> float:
    share = relative_precision(around)
    return share if share is not None else 0.0 if around.half_width == 0 else float("inf")
