"""The simulated world held against known answers: exactly, path by path, and by intervals over replications.

Everything runs through the product's own scheduler, driver and oracle; nothing here simulates. A statistical row passes
where the distance from the truth is at most ``OFF_BY_MAX`` standard errors and the standard error is small enough, so
that a row cannot pass by being blunt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Final, Literal, Protocol

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Column, JobEnd
from simroom.scenario.schema import Scenario
from simroom.sim.run import RunData, simulate
from simroom.stats.intervals import Interval, interval
from simroom.stats.lindley import waits
from simroom.stats.quantiles import quantiles
from simroom.stats.references import processor_sharing, with_patience
from simroom.study.executors import Executor
from simroom.study.replication import seed_of
from simroom.study.truths import Case, Data, Sabotage, queue, spoilt
from simroom.workload.streams import stream_key

REPLICATIONS: Final = 20
OFF_BY_MAX: Final = 4.0
"""Over 20 replications a right program exceeds it with probability 8e-4 a row (Student's t, 19 degrees of freedom)."""
SHARP: Final = 0.005
"""The largest standard error in the long form, as a share of the truth."""
SHARP_QUICK: Final = 0.06
ROUNDS_MAX: Final = 12
"""The long form makes replications twice as long at most so often."""
_SECOND: Final = 1_000_000

Word = Literal["passed", "failed", "blunt"]


class Row(Struct, frozen=True):
    """What one queue came to.

    Attributes:
        found: Interval over the replications; None where there is none.
        jobs: Jobs measured, all replications together.
        word: ``blunt``: as far as can be seen right, but the standard error is too large to say so.
        off_by: Distance from the truth in standard errors, the truth's own included.
    """

    case: Case
    found: Interval | None
    jobs: int
    seconds: float
    word: Word
    off_by: float


class Path(Struct, frozen=True):
    """What an exact check came to.

    Attributes:
        difference: The first difference, in words; None: there is none, to the microsecond.
    """

    name: str
    source: str
    jobs: int
    difference: str | None


class Sample(Struct, frozen=True):
    """What one replication gives.

    Attributes:
        value: The statistic; None: no job was measured.
    """

    value: float | None
    jobs: int
    seconds: float


class Listener(Protocol):
    """Who hears how far the validation is."""

    def begun(self, name: str, jobs: int) -> None:
        """The replications of a queue begin, of so many jobs each."""
        ...

    def done(self, row: Row) -> None:
        """A queue is done."""
        ...

    def walked(self, path: Path) -> None:
        """A path is done."""
        ...


# --- by intervals ------------------------------------------------------------------------------------------------


def validate(
    cases: Sequence[Case],
    executor: Executor,
    *,
    seed: int,
    quick: bool,
    sabotage: Sabotage | None = None,
    sharp: float | None = None,
    listener: Listener | None = None,
) -> Iterator[Row]:
    """Hold the simulated world against what is known of these queues.

    Args:
        cases: The queues.
        executor: Does the replications.
        seed: Where all chance comes from.
        quick: Replications of a fixed small size, and ``SHARP_QUICK``; else they grow until they are sharp enough.
        sabotage: Spoil the simulated world in this way.
        sharp: Largest standard error, as a share of the truth; None: the form's own.
        listener: Hears of it.

    Yields:
        A row for each queue, as it is done.
    """
    limit = sharp if sharp is not None else SHARP_QUICK if quick else SHARP
    for case in cases:
        jobs, row, spent = case.jobs, None, 0.0
        own = stream_key(seed, f"validation/{case.name}") >> 1  # rows that share no luck err each for itself
        for _ in range(1 if quick else ROUNDS_MAX):
            if listener is not None:
                listener.begun(case.name, jobs)
            tasks = [partial(replicated, case, jobs, seed_of(own, number), sabotage) for number in range(REPLICATIONS)]
            samples: list[Sample] = [answer.result for answer in executor.map_in_order(tasks) if answer.result]
            spent += sum(sample.seconds for sample in samples)
            row = judged(case, samples, spent, limit)
            if row.word != "blunt" or row.found is None:
                break
            # The error falls with the root of the length; a little more, so that the next round is the last.
            needed = (row.found.standard_error / (limit * case.truth)) ** 2 * 1.3
            jobs = round(jobs * min(16.0, max(1.5, needed)))
        assert row is not None
        if listener is not None:
            listener.done(row)
        yield row


def judged(case: Case, samples: Sequence[Sample], seconds: float, sharp: float) -> Row:
    """The row that these replications give."""
    found = interval([sample.value for sample in samples if sample.value is not None])
    jobs = sum(sample.jobs for sample in samples)
    if found is None:
        return Row(case, None, jobs, seconds, "failed", float("inf"))
    error = (found.standard_error**2 + case.error**2) ** 0.5
    distance = abs(found.mean - case.truth)
    off_by = distance / error if error else (0.0 if distance == 0 else float("inf"))
    if off_by > OFF_BY_MAX:
        word: Word = "failed"
    else:
        word = "passed" if found.standard_error <= sharp * case.truth else "blunt"
    return Row(case, found, jobs, seconds, word, off_by)


def replicated(case: Case, jobs: int, seed: int, sabotage: Sabotage | None) -> Sample:
    """One replication; done by a worker."""
    begun = time.process_time()
    run = simulate(Scenario.model_validate(case.scenario(jobs, sabotage)), seed=seed)
    if run.verdict.violation_count or run.undrained:
        return Sample(None, 0, time.process_time() - begun)
    value, count = statistic(run, case.statistic)
    return Sample(value, count, time.process_time() - begun)


def statistic(run: RunData, what: str) -> tuple[float | None, int]:
    """What a run measured of a statistic, and of how many jobs."""
    jobs, utterances = run.ledger.jobs(), run.ledger.utterances()
    arrived_at = utterances["received_at"][jobs["utterance"]]
    measured = arrived_at >= run.time_zero + run.scenario.warm_up
    count = int(measured.sum())
    if count == 0:
        return None, 0
    if what == "blocked":
        return float((jobs["end"][measured] == JobEnd.REJECTED).mean()), count
    waited = (jobs["started_at"] - arrived_at)[measured]
    if what == "wait":
        return float(waited.mean()) / _SECOND, count
    if what == "waited":
        return float((waited > 0).mean()), count
    times = (jobs["answered_at"] - arrived_at)[measured]
    if what == "p99":
        found = quantiles(times, [Fraction(99, 100)])
        return None if found is None else found[0] / _SECOND, count
    return float(times.mean()) / _SECOND, count


# --- path by path ------------------------------------------------------------------------------------------------

_LONG: Final[Data] = {"duration": "20min", "warm_up": "0s"}


def paths(seed: int, sabotage: Sabotage | None = None) -> Iterator[Path]:
    """Hold single paths against references that get the same arrivals and services: no tolerance at all."""
    for name, source, data, servers in (
        ("M/M/1 0.95, waits", "Lindley", queue(0.95), 1),
        ("M/G/1 cv2=4 0.8, waits", "Lindley", queue(0.8, service={"lognormal": {"mean": "1s", "cv": 2}}), 1),
        ("M/M/4 a=3.8, waits", "Kiefer-Wolfowitz", queue(3.8, streams=4), 4),
    ):
        arrived_at, waited, service, run = _path(data, seed, sabotage)
        expected = waits(arrived_at, service, servers=servers)
        yield Path(name, source, len(waited), _first_difference(waited, expected) or _little(run))
    data = queue(0.8, gpu="shared", service="1s")
    arrived_at, waited, service, run = _path(data, seed, sabotage)
    ends = [at + wait + span for at, wait, span in zip(arrived_at, waited, service, strict=True)]
    expected = processor_sharing(arrived_at, [_SECOND] * len(arrived_at))
    yield Path("M/D/1 sharing 0.8, ends", "reference in fractions", len(ends), _first_difference(ends, expected, 1))
    yield _patience(seed, sabotage)


def _run(data: Data, seed: int, sabotage: Sabotage | None) -> RunData:
    spoiled = spoilt(data, sabotage) if sabotage is not None else data
    return simulate(Scenario.model_validate({**spoiled, **_LONG}), seed=seed)


def _path(data: Data, seed: int, sabotage: Sabotage | None) -> tuple[list[int], list[int], list[int], RunData]:
    """Arrivals, waits and services of the jobs of a run, in order of arrival, microseconds."""
    run = _run(data, seed, sabotage)
    jobs, utterances = run.ledger.jobs(), run.ledger.utterances()
    order = np.argsort(jobs["utterance"], kind="stable")
    columns: dict[str, Column] = {name: column[order] for name, column in jobs.items()}
    arrived_at = utterances["received_at"][columns["utterance"]]
    # What the clients saw: from the speech's end to the result, less the wait, is the service.
    service = columns["asr_time"] + columns["nmt_time"] + columns["tts_time"]
    waited = columns["answered_at"] - arrived_at - service
    return arrived_at.tolist(), waited.tolist(), service.tolist(), run


def _little(run: RunData) -> str | None:
    """Little's law on a path that begins and ends empty: the integral of the number in the system is all its times."""
    deliveries, jobs, utterances = run.ledger.deliveries(), run.ledger.jobs(), run.ledger.utterances()
    spoken_at = utterances["ended_at"][jobs["utterance"][deliveries["job"]]]
    heard_at = deliveries["arrived_at"]
    instants = np.concatenate((spoken_at, heard_at))
    steps = np.concatenate((np.ones(len(spoken_at), dtype=np.int64), np.full(len(heard_at), -1)))
    order = np.argsort(instants, kind="stable")
    area = int((np.cumsum(steps[order])[:-1] * np.diff(instants[order])).sum())
    times = int((heard_at - spoken_at).sum())
    return None if area == times else f"Little's law: {area} us in the system, {times} us in all its jobs"


def _patience(seed: int, sabotage: Sabotage | None) -> Path:
    """Jobs that wait for a slot of the scheduler's, at most so long."""
    data = queue(3.6, streams=4, slots=4, on_no_node="queue", waiting_time_max="500ms", waiting_count_max=1_000_000)
    run = _run(data, seed, sabotage)
    jobs, utterances = run.ledger.jobs(), run.ledger.utterances()
    order = np.argsort(jobs["utterance"], kind="stable")
    arrived_at = utterances["received_at"][jobs["utterance"][order]].tolist()
    delivered = (jobs["end"] == JobEnd.DELIVERED)[order].tolist()
    started_at = jobs["started_at"][order].tolist()
    service = (jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"])[order].tolist()
    # Who gives up is never served, so its service does not matter.
    services = [span if served else 1 for span, served in zip(service, delivered, strict=True)]
    expected = with_patience(arrived_at, services, [500_000] * len(arrived_at), servers=4)
    found = [
        start - arrival if served else -1
        for start, arrival, served in zip(started_at, arrived_at, delivered, strict=True)
    ]
    wanted = [-1 if wait is None else wait for wait in expected]
    return Path("M/M/4 a=3.6, patience .5 s", "reference", len(found), _first_difference(found, wanted))


def _first_difference(found: Sequence[int], expected: Sequence[int], tolerance: int = 0) -> str | None:
    if len(found) != len(expected):
        return f"{len(found)} jobs, {len(expected)} expected"
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if abs(one - other) > tolerance:
            return f"job {number}: {one} us, expected {other} us"
    return None
