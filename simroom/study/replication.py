"""One replication of a study: run where the work is done, brought down to what the study needs of it.

It is a whole run, judged by the oracle like any other. What comes back is small: figures, verdict and hashes, never the
ledger; the same for the same arguments, whichever process it was made in.
"""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Column
from simroom.scenario.load import load, loads
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import SchedulerFactory
from simroom.sim.run import RunData, simulate
from simroom.study import fingerprints, reported
from simroom.study.conclusion import Word, conclude
from simroom.study.expect import Expectation, judge, read_all
from simroom.study.reported import Figure, of_expectation
from simroom.study.steadiness import WINDOWS, Steadiness, WarmUp, latencies_over_time, steadiness
from simroom.study.table import Table
from simroom.workload.streams import stream_key

VIOLATIONS_TOLD: Final = 5
"""Violations of a replication that are told one by one; all are counted."""
SAMPLES_MAX: Final = 2_000_000
"""So many samples of one figure are handed over at most; of more, percentiles over all replications are not known."""


class ScenarioSource(Struct, frozen=True):
    """What it takes to load a scenario somewhere else.

    Attributes:
        path: The file; None: the scenario is ``text``.
        text: What the file would hold; None: it is read from ``path``.
        base: The folder that paths in ``text`` are relative to.
        overrides: ``key.path=value`` each.
    """

    path: str | None
    text: str | None = None
    base: str = "."
    overrides: tuple[str, ...] = ()

    def load(self) -> Scenario:
        """Load it.

        Raises:
            ScenarioError: It cannot be read or used.
        """
        if self.text is not None:
            return loads(self.text, self.path or "scenario", Path(self.base), overrides=self.overrides)
        if self.path is None:
            raise ValueError("a scenario comes from a file or from text")
        return load(Path(self.path), overrides=self.overrides)


class Breach(Struct, frozen=True):
    """A violation, as far as a study tells it; to see all of it, run the replication's seed."""

    invariant: str
    kind: str
    at: int
    what: str
    speaker: str | None
    utterance_index: int | None
    language: str | None


class Replication(Struct, frozen=True):
    """One replication.

    Attributes:
        number: Its place in the study, from 0 on.
        seed: What it was run with.
        word: What it comes to by itself, leaving expectations aside.
        reasons: Why it is not ``passed``, most important first.
        warnings: What must not be overlooked in it.
        violations: The first ones, instants from the scenario's time 0 on, at most ``VIOLATIONS_TOLD``.
        counts: All of them, by kind.
        judgements: How often each invariant was judged.
        values: By name of the figure, in base units; None: no samples.
        absent: By name, why a selection has no value: the run has no such thing.
        languages: Those in which something was delivered, in order of the alphabet.
        stability: Whether it kept up.
        series: Mean latency of each of ``WINDOWS`` parts of it, microseconds, NaN where there is none.
        simulated_time: From time 0 to its end, whole microseconds.
        events: Engine events.
        trace_hash: Of everything that happened; empty where it was not finished.
        routing_hash: Of what reached whom; likewise.
        decision_hash: Of what ran where; likewise.
        wall_seconds: How long it took: different every time.
    """

    number: int
    seed: int
    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    violations: tuple[Breach, ...]
    counts: dict[str, int]
    judgements: dict[str, int]
    values: dict[str, float | None]
    absent: dict[str, str]
    languages: tuple[str, ...]
    stability: Steadiness
    series: tuple[float, ...]
    simulated_time: int
    events: int
    trace_hash: str
    routing_hash: str
    decision_hash: str
    wall_seconds: float

    @property
    def is_finished(self) -> bool:
        """Whether it was run at all: no process died of it, nor took for ever."""
        return bool(self.trace_hash)

    @property
    def violation_count(self) -> int:
        """All violations."""
        return sum(self.counts.values())


Samples = dict[str, bytes | None]
"""Samples by name of the figure without its statistic, as 64-bit little-endian whole numbers of microseconds;
None: there were too many."""


def seed_of(seed: int, number: int) -> int:
    """Seed of replication ``number``: of the first the seed itself, of others a stream's by number.

    It depends on nothing else, so settings that are compared meet the same luck, replication by replication.
    """
    return seed if number == 0 else stream_key(seed, f"replication/{number}") >> 1


def is_for_each(expectation: Expectation) -> bool:
    """Whether an expectation must hold in every replication, rather than for the mean over them.

    So for what the oracle finds, whichever the comparison; for counts that must be, or not be, a certain number; and
    for the largest of all samples: ``violations == 0`` or ``delivery_latency.max < 10s`` in the mean would be no
    promise.
    """
    if of_expectation(expectation).is_largest:
        return True
    if expectation.stat is not None or expectation.unit != "count":
        return False
    name = expectation.measure.name
    return name == "violations" or name.startswith("deliveries.") or expectation.operator in ("==", "!=")


def replicated(
    source: ScenarioSource, number: int, seed: int, scheduler: str | None = None, pooled: Sequence[Figure] = ()
) -> tuple[Replication, Samples]:
    """Run one replication.

    Args:
        source: The scenario.
        number: Its place in the study.
        seed: Where its chance comes from.
        scheduler: ``package.module:factory``; None: simroom's, or the scenario's ``bug``.
        pooled: Figures whose samples are wanted, besides those of the headline, also by language.

    Returns:
        It, and the samples of what is there.

    Raises:
        ScenarioError: The scenario cannot be loaded.
    """
    started = time.perf_counter()
    scenario = source.load()
    run = simulate(scenario, seed=seed, scheduler=None if scheduler is None else factory_of(scheduler))
    table = Table(run)
    expectations, _ = read_all(scenario.expect)
    found = summarised(number, table, expectations, started)
    wanted = dict.fromkeys((Figure(reported.HEADLINE), *reported.by_language(found.languages), *pooled))
    samples = {one.name: _packed(column) for one in wanted if (column := reported.samples_of(table, one)) is not None}
    del run, table
    # Worlds are full of cycles, and while one is simulated the collector looks at little.
    gc.collect()
    return found, samples


def summarised(number: int, table: Table, expectations: Sequence[Expectation], started: float) -> Replication:
    """A finished run as a replication; ``started`` is when, by ``time.perf_counter``, its work began."""
    run = table.run
    languages = _languages(table)
    values, absent = reported.values_of(table, reported.all_figures(expectations, languages))
    # What does not hold is told for all replications together; here only what is wrong with this one by itself.
    outcomes = judge([one for one in expectations if is_for_each(one)], table)
    conclusion = conclude(table, [outcome.expectation for outcome in outcomes if outcome.passed])
    steady = steadiness(table)
    return Replication(
        number=number,
        seed=run.seed,
        word=conclusion.word,
        reasons=conclusion.reasons,
        # Nor is what the study says of all of them.
        warnings=tuple(warning for warning in conclusion.warnings if warning not in steady.warnings),
        violations=_breaches(run),
        counts=dict(run.verdict.counts),
        judgements=dict(run.verdict.judgements),
        values=values,
        absent=absent,
        languages=languages,
        stability=steady,
        series=tuple(latencies_over_time(table).tolist()),
        simulated_time=max(0, run.ended_at - run.time_zero),
        events=run.events,
        trace_hash=run.trace_hash,
        routing_hash=fingerprints.routing_hash(table),
        decision_hash=fingerprints.decision_hash(table),
        wall_seconds=time.perf_counter() - started,
    )


def unfinished(number: int, seed: int, why: str) -> Replication:
    """A replication that came to no end: of it nothing is known but that it is a failure."""
    return Replication(
        number=number,
        seed=seed,
        word="failed",
        reasons=(why,),
        warnings=(),
        violations=(),
        counts={},
        judgements={},
        values={},
        absent={},
        languages=(),
        stability=Steadiness("unknown", None, WarmUp(0, None, None), 0),
        series=(float("nan"),) * WINDOWS,
        simulated_time=0,
        events=0,
        trace_hash="",
        routing_hash="",
        decision_hash="",
        wall_seconds=0.0,
    )


def factory_of(reference: str) -> SchedulerFactory:
    """What makes a scheduler, by ``package.module:factory``; whoever asks for it has seen to it that it can be had."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # workers begin where multiprocessing was imported, and go to the current folder then
    module, _, attribute = reference.partition(":")
    found: object = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return cast(SchedulerFactory, found)


def _breaches(run: RunData) -> tuple[Breach, ...]:
    return tuple(
        Breach(
            one.invariant,
            one.kind,
            one.at - run.time_zero,
            one.what,
            one.speaker,
            one.utterance_index,
            one.language,
        )
        for one in run.verdict.violations[:VIOLATIONS_TOLD]
    )


def _languages(table: Table) -> tuple[str, ...]:
    numbers = np.unique(table.jobs["tgt_lang"][table.deliveries["job"]]).tolist()
    return tuple(sorted(table.run.ledger.languages.names[number] for number in numbers))


def _packed(samples: Column) -> bytes | None:
    return samples.astype("<i8").tobytes() if len(samples) <= SAMPLES_MAX else None
