"""GPUs, each alone on an engine: held against recursions, references and each other, path by path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil
from operator import methodcaller
from random import Random
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from simroom.oracle.payload import Speech, speech
from simroom.scenario.nodes import NodeGroup
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import JobAssign, Pipeline, ServiceTimes
from simroom.sim.engine import Engine
from simroom.sim.gpus import Gpu
from simroom.sim.joint_gpus import BatchingGpu, SharedGpu
from simroom.sim.pace import BackgroundLoad, Pace
from simroom.sim.serial_gpus import PlannedGpu, SerialGpu
from simroom.sim.service import Exact, SetWork, Work
from simroom.stats.lindley import waits
from simroom.workload.background import SteadyBackground, SteppedBackground, WaveBackground
from simroom.workload.streams import mix

SECOND = 1_000_000
TIME_ZERO = 3 * SECOND
"""Background loads count from here, so that the shift is not left out."""
BACKGROUNDS: dict[str, BackgroundLoad | None] = {
    "none": None,
    "constant": SteadyBackground(0.3),
    "wave": WaveBackground(0.4, 0.5, 7 * SECOND),
    "steps": SteppedBackground([(2 * SECOND, 0.9), (4 * SECOND, 0.1), (5 * SECOND, 0.0), (30 * SECOND, 0.5)]),
    "trace": SteppedBackground([(number * 700_001, (number * 37 % 100) / 101) for number in range(60)]),
}


class Finished(NamedTuple):
    """A job that the GPU has finished."""

    at: int
    job_id: str
    attempt: int
    times: ServiceTimes

    @property
    def service_time(self) -> int:
        return self.times.asr_time + self.times.nmt_time + self.times.tts_time


class Job(NamedTuple):
    """A job and when it arrives."""

    at: int
    message: JobAssign


class Bench:
    """A GPU on an engine of its own."""

    def __init__(
        self,
        make: Callable[..., Gpu],
        service: Any,
        load: BackgroundLoad | None = None,
        *,
        disturbable: bool = False,
        **more: Any,
    ) -> None:
        gpu = {"model": "batching", "cap": 1} if "batching" in service else "serial"
        cold = more.pop("cold_start", 0)
        group = NodeGroup.model_validate({"name": "node", "gpu": gpu, "service": service, "cold_start": cold})
        self.engine = Engine()
        self.work = Work(group)
        self.finished: list[Finished] = []
        if disturbable:
            more["pace"] = Pace(self.engine, load, TIME_ZERO)
        self.gpu = make(self.engine, self.work, load, TIME_ZERO, self._done, **more)

    def _done(self, argument: tuple[JobAssign, ServiceTimes]) -> None:
        message, times = argument
        self.finished.append(Finished(self.engine.instant, message.job_id, message.attempt_id or 0, times))

    def take(self, jobs: Sequence[Job]) -> None:
        """Have the jobs arrive, and all of them finish."""
        for job in jobs:
            self.engine.call_at(job.at, self.gpu.take, job.message)
        self.engine.advance(10_000 * SECOND)

    def plan(self, jobs: Sequence[Job], notice: int) -> None:
        """Have the jobs arrive, each told of up to ``notice`` microseconds before it does."""
        assert isinstance(self.gpu, PlannedGpu)
        for job in jobs:
            self.engine.call_at(max(0, job.at - notice), lambda job: self.gpu.plan(job.message, job.at), job)  # type: ignore[attr-defined]
        self.engine.advance(10_000 * SECOND)


def job_of(number: int, at: int, duration: int = SECOND, attempt: int = 1) -> Job:
    audio = speech(f"token-{number}", number, duration, mix(99, number))
    pipeline = Pipeline(use_asr=True, use_nmt=True, use_tts=True)
    message = JobAssign(
        f"job-{number}", "session-1", number, "zh", "en", pipeline, audio, "pcm16", 16_000, "trace", attempt
    )
    return Job(at, message)


def stream_of_jobs(number: int, count: int = 300, mean_gap: int = SECOND // 2) -> list[Job]:
    """Jobs at random instants, no two at the same one, some in bursts, some as second attempts."""
    luck = Random(number)
    jobs, now = [], 0
    for serial in range(count):
        now += 1 + int(luck.expovariate(1 / mean_gap) * luck.choice((0.01, 1, 2)))
        jobs.append(job_of(serial, now, luck.randint(200_000, 5 * SECOND), luck.choice((1, 1, 1, 2))))
    return jobs


STAGES = {
    "asr": {"rtf": 0.13, "spread": 0.3},
    "nmt": {"fixed": "60ms", "spread": 0.1},
    "tts": {"fixed": "31ms", "rtf": 0.02},
}
SERVICES: dict[str, Any] = {
    "constant": "400ms",
    "uniform": {"uniform": {"from": "1us", "to": "900ms"}},
    "lognormal": {"lognormal": {"median": "250ms", "sigma": 1}},
    "stages": STAGES,
}
services = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
backgrounds = pytest.mark.parametrize("load", BACKGROUNDS.values(), ids=BACKGROUNDS)


# --- one after the other


@services
@pytest.mark.parametrize("streams", [1, 2, 4])
def test_each_job_waits_as_long_as_the_recursion_says(service: Any, streams: int) -> None:
    """Lindley's with one stream, Kiefer and Wolfowitz's with more, to the microsecond."""
    jobs = stream_of_jobs(1, mean_gap=SECOND // (2 * streams))
    bench = Bench(SerialGpu, service, streams=streams)
    needed = [sum(bench.work.of(job.message, cold=False)) for job in jobs]
    bench.take(jobs)
    began = {done.job_id: done.times.started_at for done in bench.finished}
    waited = [began[job.message.job_id] - job.at for job in jobs]
    assert max(waited) > 0
    assert waited == waits([job.at for job in jobs], needed, servers=streams)
    assert all(done.at == done.times.started_at + done.service_time for done in bench.finished)


@services
@backgrounds
def test_the_stages_add_up_to_the_whole_whatever_slows_them(service: Any, load: BackgroundLoad | None) -> None:
    bench = Bench(SerialGpu, service, load, streams=2)
    jobs = stream_of_jobs(2, 100)
    bench.take(jobs)
    by_id = {job.message.job_id: job.message for job in jobs}
    assert len(bench.finished) == 100
    for done in bench.finished:
        work = bench.work.of(by_id[done.job_id], cold=False)
        assert done.times.started_at + done.service_time == done.at
        assert min(done.times.asr_time, done.times.nmt_time, done.times.tts_time) >= 0
        if load is None:
            assert (done.times.asr_time, done.times.nmt_time, done.times.tts_time) == work
        else:
            assert done.service_time >= sum(work)
            # In the proportion of the work, rounded down; the last stage takes what is left.
            assert done.times.asr_time == work[0] * done.service_time // sum(work)


def test_a_background_of_a_quarter_makes_a_job_take_four_thirds_of_its_time() -> None:
    bench = Bench(SerialGpu, "900ms", SteadyBackground(0.25), streams=1)
    bench.take([job_of(0, 5)])
    assert bench.finished[0].at == 5 + 1_200_000


def test_a_background_that_changes_under_way_slows_only_what_is_left() -> None:
    load = SteppedBackground([(SECOND, 0.5), (3 * SECOND, 0.0)])
    bench = Bench(SerialGpu, "2500ms", load, streams=1)
    bench.take([job_of(0, TIME_ZERO)])
    # 1 s at full speed, 1 s of work in 2 s at half speed, .5 s at full speed.
    assert bench.finished[0].at == TIME_ZERO + 3_500_000


@backgrounds
@pytest.mark.parametrize("streams", [1, 3])
def test_busy_time_is_the_sum_of_service(load: BackgroundLoad | None, streams: int) -> None:
    bench = Bench(SerialGpu, SERVICES["uniform"], load, streams=streams)
    bench.take(stream_of_jobs(3))
    assert bench.gpu.busy_area() == sum(done.service_time for done in bench.finished)


def test_the_stream_that_was_lost_is_seen() -> None:
    """The comparison with the recursion can fail."""
    jobs = stream_of_jobs(1, mean_gap=SECOND // 8)
    bench = Bench(SerialGpu, "400ms", streams=3)
    bench.take(jobs)
    began = {done.job_id: done.times.started_at for done in bench.finished}
    waited = [began[job.message.job_id] - job.at for job in jobs]
    assert waited != waits([job.at for job in jobs], [400_000] * len(jobs), servers=4)


# --- planned


class Seen(NamedTuple):
    at: int
    busy_area: int
    arrived_count: int


def watched(bench: Bench, number: int) -> list[Seen]:
    """Have somebody look at the GPU at random instants, as heartbeats do."""
    luck = Random(number)
    seen: list[Seen] = []
    now = 0
    for _ in range(400):
        now += luck.randint(1, SECOND)
        bench.engine.call_at(
            now, lambda at: seen.append(Seen(at, bench.gpu.busy_area(), bench.gpu.arrived_count())), now
        )
    return seen


@services
@backgrounds
@pytest.mark.parametrize("streams", [1, 2, 3, 4])
def test_a_planned_gpu_does_what_a_serial_one_does(service: Any, load: BackgroundLoad | None, streams: int) -> None:
    jobs = stream_of_jobs(streams, mean_gap=SECOND // (2 * streams))
    serial = Bench(SerialGpu, service, load, streams=streams, cold_start="2s")
    planned = Bench(PlannedGpu, service, load, streams=streams, cold_start="2s")
    seen = watched(serial, 5), watched(planned, 5)
    serial.take(jobs)
    planned.plan(jobs, notice=40_000)
    assert planned.finished == serial.finished
    assert len(serial.finished) == len(jobs)
    assert seen[1] == seen[0]
    assert max(each.arrived_count for each in seen[0]) > streams, "nobody ever waited"


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_a_planned_gpu_has_room_when_a_serial_one_has(streams: int, most: int) -> None:
    jobs = stream_of_jobs(6, mean_gap=SECOND // 4)
    serial = Bench(SerialGpu, "400ms", streams=streams)
    planned = Bench(PlannedGpu, "400ms", streams=streams)
    refused: list[list[str]] = [[], []]

    def arrive(job: Job) -> None:
        if serial.gpu.has_room(most):
            serial.gpu.take(job.message)
        else:
            refused[0].append(job.message.job_id)

    def foresee(job: Job) -> None:
        assert isinstance(planned.gpu, PlannedGpu)
        if planned.gpu.has_room_at(job.at, most):
            planned.gpu.plan(job.message, job.at)
        else:
            refused[1].append(job.message.job_id)

    for job in jobs:
        serial.engine.call_at(job.at, arrive, job)
        planned.engine.call_at(max(0, job.at - 40_000), foresee, job)
    serial.engine.advance(10_000 * SECOND)
    planned.engine.advance(10_000 * SECOND)
    assert 0 < len(refused[0]) < len(jobs)
    assert refused[1] == refused[0]
    assert planned.finished == serial.finished


# --- shared


def processor_sharing(jobs: Sequence[tuple[int, int]], load: BackgroundLoad | None) -> list[int]:
    """When each (arrival, work) is done, with n running jobs each at 1/n of the speed; exact, ends rounded up.

    Plays it event by event in fractions: an arrival, a change of the load, or the job with the least left being done.
    """
    left: dict[int, Fraction] = {}
    ends = [0] * len(jobs)
    to_come = sorted(range(len(jobs)), key=lambda position: jobs[position][0], reverse=True)
    now = 0
    while left or to_come:
        speed = Fraction(1) if load is None else 1 - Fraction(load.load_at(now - TIME_ZERO))
        following = [jobs[to_come[-1]][0]] if to_come else []
        if load is not None and (change := load.next_change(now - TIME_ZERO)) is not None:
            following.append(change + TIME_ZERO)
        if left:
            following.append(now + ceil(min(left.values()) * len(left) / speed))
        then = min(following)
        for position in left:
            left[position] -= (then - now) * speed / max(1, len(left))
        now = then
        for position in [position for position, rest in left.items() if rest <= 0]:
            del left[position]
            ends[position] = now
        while to_come and jobs[to_come[-1]][0] == now:
            left[to_come[-1]] = Fraction(jobs[to_come[-1]][1])
            to_come.pop()
    return ends


@services
@backgrounds
def test_a_shared_gpu_divides_its_speed_among_the_running(service: Any, load: BackgroundLoad | None) -> None:
    jobs = stream_of_jobs(7, 150, mean_gap=SECOND * 3 // 4)
    bench = Bench(SharedGpu, service, load)
    needed = [(job.at, sum(bench.work.of(job.message, cold=False))) for job in jobs]
    bench.take(jobs)
    ends = {done.job_id: done.at for done in bench.finished}
    found = [ends[job.message.job_id] for job in jobs]
    expected = processor_sharing(needed, load)
    # The reference computes in fractions, the GPU in floats: an end may be rounded up to the next microsecond.
    assert max(abs(ours - theirs) for ours, theirs in zip(found, expected, strict=True)) <= 1
    assert expected != [at + work for at, work in needed], "nothing was ever shared"


def test_two_jobs_at_once_on_a_shared_gpu_take_twice_as_long_each() -> None:
    bench = Bench(SharedGpu, "1s")
    bench.take([job_of(0, 0), job_of(1, 0)])
    assert [done.at for done in bench.finished] == [2 * SECOND, 2 * SECOND]


def test_a_job_that_comes_half_way_slows_the_one_before_for_the_rest() -> None:
    bench = Bench(SharedGpu, "1s")
    bench.take([job_of(0, 0), job_of(1, SECOND // 2)])
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-0", 1_500_000), ("job-1", 2_000_000)]


@backgrounds
def test_a_shared_gpu_is_busy_while_it_has_a_job(load: BackgroundLoad | None) -> None:
    bench = Bench(SharedGpu, SERVICES["uniform"], load)
    jobs = stream_of_jobs(8, 100)
    bench.take(jobs)
    ends = {done.job_id: done.at for done in bench.finished}
    busy, until = 0, 0
    for job in jobs:
        end = ends[job.message.job_id]
        busy += max(0, end - max(job.at, until))
        until = max(until, end)
    assert bench.gpu.busy_area() == busy


def test_a_shared_gpu_has_room_for_everybody() -> None:
    bench = Bench(SharedGpu, "1s")
    bench.engine.call_at(0, bench.gpu.take, job_of(0, 0).message)
    bench.engine.advance(10)
    assert bench.gpu.running_count == 1
    assert bench.gpu.has_room(0)


# --- batching


BATCHING = {"batching": {"fixed": "90ms", "per_job": "20ms"}}


@pytest.mark.parametrize("cap", [1, 3, 8])
def test_batches_begin_as_the_one_before_ends_with_what_waits_and_take_a_plus_b_times_their_size(cap: int) -> None:
    jobs = stream_of_jobs(9, 400, mean_gap=60_000)
    bench = Bench(BatchingGpu, BATCHING, cap=cap)
    bench.take(jobs)
    expected: list[tuple[int, int, tuple[str, ...]]] = []
    position, free_at = 0, 0
    while position < len(jobs):
        begin = max(free_at, jobs[position].at)
        batch = [job for job in jobs[position:] if job.at <= begin][:cap]
        free_at = begin + 90_000 + 20_000 * len(batch)
        expected.append((begin, free_at, tuple(job.message.job_id for job in batch)))
        position += len(batch)
    found: dict[tuple[int, int], list[str]] = {}
    for done in bench.finished:
        assert (done.times.nmt_time, done.times.tts_time) == (0, 0)
        assert done.times.started_at + done.times.asr_time == done.at
        found.setdefault((done.times.started_at, done.at), []).append(done.job_id)
    assert [(begin, end, tuple(ids)) for (begin, end), ids in found.items()] == expected
    assert max(len(ids) for ids in found.values()) == cap
    assert bench.gpu.busy_area() == sum(end - begin for begin, end, _ in expected)


def test_jobs_of_one_instant_share_a_batch() -> None:
    bench = Bench(BatchingGpu, BATCHING, cap=8)
    bench.take([job_of(number, 50) for number in range(5)])
    assert {done.at for done in bench.finished} == {50 + 90_000 + 5 * 20_000}


def test_a_batch_under_a_background_load_takes_longer() -> None:
    bench = Bench(BatchingGpu, BATCHING, SteadyBackground(0.5), cap=8)
    bench.take([job_of(0, 0), job_of(1, 0)])
    assert {done.at for done in bench.finished} == {2 * 130_000}


def test_the_batch_that_is_about_to_begin_does_not_count_as_waiting() -> None:
    bench = Bench(BatchingGpu, BATCHING, cap=2)
    room: list[tuple[bool, bool, int]] = []

    def arrive(job: Job) -> None:
        room.append((bench.gpu.has_room(0), bench.gpu.has_room(1), bench.gpu.arrived_count()))
        bench.gpu.take(job.message)

    for number in range(5):
        bench.engine.call_at(50, arrive, job_of(number, 50))
    bench.engine.advance(50)
    assert room == [(True, True, 0), (True, True, 1), (False, True, 2), (False, False, 3), (False, False, 4)]
    assert bench.gpu.arrived_count() == 5
    assert (bench.gpu.running_count, len(bench.gpu.waiting)) == (2, 3)
    assert bench.gpu.has_room(4)
    assert not bench.gpu.has_room(3)


def test_a_batch_whose_jobs_are_all_cancelled_before_it_begins_is_none() -> None:
    bench = Bench(BatchingGpu, BATCHING, cap=2)
    bench.engine.call_at(50, bench.gpu.take, job_of(0, 50).message)
    bench.engine.call_at(50, lambda _: bench.gpu.waiting.clear())
    bench.engine.call_at(60, bench.gpu.take, job_of(1, 60).message)
    bench.engine.advance(SECOND)
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-1", 60 + 110_000)]
    assert bench.gpu.busy_area() == 110_000


# --- slowed, halted, stopped


class Turn(NamedTuple):
    """From ``at`` on the GPU takes ``factor`` times as long; None: it is halted."""

    at: int
    factor: Fraction | None


def turns_of(number: int, count: int = 40, mean_gap: int = 2 * SECOND) -> list[Turn]:
    """Random changes of the speed, some at one instant, some at the instant of an arrival or an end."""
    luck = Random(number)
    turns, now = [], 0
    for _ in range(count):
        now += luck.choice((0, 1, int(luck.expovariate(1 / mean_gap))))
        factor = luck.choice((None, Fraction(1), Fraction(3), Fraction(11, 10), Fraction(7, 3)))
        turns.append(Turn(now, factor))
    return [*turns, Turn(now + SECOND, Fraction(1))]


def disturb(bench: Bench, turns: Sequence[Turn]) -> None:
    """Have it happen, before whatever else happens at the same instant."""

    def turn(factor: Fraction | None) -> None:
        if factor is None:
            bench.gpu.halt()
        else:
            bench.gpu.slow(float(factor))
            bench.gpu.go_on()

    for each in turns:
        bench.engine.call_at(each.at, turn, each.factor)


def speeds(
    turns: Sequence[Turn], load: BackgroundLoad | None, begin: int
) -> Iterator[tuple[int, int | None, Fraction]]:
    """From when to when the GPU has what speed, from ``begin`` on; in fractions, from the shares as they are meant."""
    now = begin
    while True:
        factor = next((turn.factor for turn in reversed(turns) if turn.at <= now), Fraction(1))
        ends = [turn.at for turn in turns if turn.at > now]
        share = Fraction(1)
        if load is not None:
            share -= Fraction(load.load_at(now - TIME_ZERO)).limit_denominator(10**12)
            change = load.next_change(now - TIME_ZERO)
            if change is not None:
                ends.append(change + TIME_ZERO)
        end = min(ends) if ends else None
        yield now, end, Fraction(0) if factor is None else share / factor
        if end is None:
            return
        now = end


def done_at(work: int, turns: Sequence[Turn], load: BackgroundLoad | None, begin: int) -> int:
    """When work that begins at ``begin`` is done."""
    left = Fraction(work)
    for now, end, speed in speeds(turns, load, begin):
        if end is None or left <= speed * (end - now):
            return now + ceil(left / speed) if left else now
        left -= speed * (end - now)
    raise AssertionError("it never ends")


EXACT_LOADS = {name: BACKGROUNDS[name] for name in ("none", "constant", "steps")}
exact_loads = pytest.mark.parametrize("load", EXACT_LOADS.values(), ids=EXACT_LOADS)


def made(kind: str, load: BackgroundLoad | None = None, *, disturbable: bool = True, **more: Any) -> Bench:
    """A bench with one of the three kinds of GPU that can be disturbed."""
    if kind == "batching":
        return Bench(BatchingGpu, BATCHING, load, disturbable=disturbable, cap=4, **more)
    if kind == "shared":
        return Bench(SharedGpu, "400ms", load, disturbable=disturbable, **more)
    streams = 2 if kind == "two streams" else 1
    return Bench(SerialGpu, "400ms", load, disturbable=disturbable, streams=streams, **more)


KINDS = ("serial", "two streams", "shared", "batching")
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@backgrounds
def test_a_gpu_that_could_be_disturbed_and_is_not_does_what_another_does(
    kind: str, load: BackgroundLoad | None
) -> None:
    jobs = stream_of_jobs(20, 120, mean_gap=SECOND)
    benches = [made(kind, load, disturbable=flag, cold_start="2s") for flag in (False, True)]
    seen = [watched(bench, 5) for bench in benches]
    for bench in benches:
        bench.take(jobs)
    assert len(benches[0].finished) == len(jobs)
    assert [done.job_id for done in benches[1].finished] == [done.job_id for done in benches[0].finished]
    # One counts in floats, the other in fractions: an end may be rounded up to the next microsecond.
    off = [abs(done.at - other.at) for done, other in zip(*(bench.finished for bench in benches), strict=True)]
    assert max(off) <= (0 if load is None else 1)
    if load is None:
        assert seen[1] == seen[0]
    assert [each.arrived_count for each in seen[1]] == [each.arrived_count for each in seen[0]]


@exact_loads
@pytest.mark.parametrize("streams", [1, 2])
def test_a_serial_gpu_stretches_what_runs_exactly_from_the_moment_it_is_slowed(
    streams: int, load: BackgroundLoad | None
) -> None:
    for number in range(8):
        jobs = stream_of_jobs(30 + number, 60, mean_gap=SECOND)
        turns = turns_of(number)
        bench = Bench(SerialGpu, SERVICES["uniform"], load, disturbable=True, streams=streams)
        disturb(bench, turns)
        bench.take(jobs)
        free_at = [0] * streams
        expected, busy = [], 0
        for job in jobs:
            begin = max(min(free_at), job.at)
            end = done_at(sum(bench.work.of(job.message, cold=False)), turns, load, begin)
            free_at[free_at.index(min(free_at))] = end
            expected.append((job.message.job_id, begin, end))
            busy += sum(
                min(end, until or end) - now for now, until, speed in speeds(turns, load, begin) if now < end and speed
            )
        found = [(done.job_id, done.times.started_at, done.at) for done in bench.finished]
        assert sorted(found) == sorted(expected)
        assert all(done.times.started_at + done.service_time == done.at for done in bench.finished)
        assert bench.gpu.busy_area() == busy


@exact_loads
def test_a_batching_gpu_stretches_the_batch_that_runs(load: BackgroundLoad | None) -> None:
    for number in range(8):
        jobs = stream_of_jobs(40 + number, 100, mean_gap=SECOND // 4)
        turns = turns_of(number)
        bench = Bench(BatchingGpu, BATCHING, load, disturbable=True, cap=3)
        disturb(bench, turns)
        bench.take(jobs)
        expected = []
        position, free_at = 0, 0
        while position < len(jobs):
            begin = max(free_at, jobs[position].at)
            batch = [job for job in jobs[position:] if job.at <= begin][:3]
            free_at = done_at(90_000 + 20_000 * len(batch), turns, load, begin)
            expected += [(job.message.job_id, begin, free_at) for job in batch]
            position += len(batch)
        assert [(done.job_id, done.times.started_at, done.at) for done in bench.finished] == expected


def disturbed_sharing(jobs: Sequence[tuple[int, int]], turns: Sequence[Turn], load: BackgroundLoad | None) -> list[int]:
    """As ``processor_sharing``, on a GPU whose speed is changed."""
    left: dict[int, Fraction] = {}
    ends = [0] * len(jobs)
    to_come = sorted(range(len(jobs)), key=lambda position: jobs[position][0], reverse=True)
    now = 0
    while left or to_come:
        _, change, speed = next(speeds(turns, load, now))
        following = [jobs[to_come[-1]][0]] if to_come else []
        if change is not None:
            following.append(change)
        if left and speed:
            following.append(now + ceil(min(left.values()) * len(left) / speed))
        then = min(following)
        for position in left:
            left[position] -= (then - now) * speed / max(1, len(left))
        now = then
        for position in [position for position, rest in left.items() if rest <= 0]:
            del left[position]
            ends[position] = now
        while to_come and jobs[to_come[-1]][0] == now:
            left[to_come[-1]] = Fraction(jobs[to_come[-1]][1])
            to_come.pop()
    return ends


@exact_loads
def test_a_shared_gpu_stretches_all_that_run(load: BackgroundLoad | None) -> None:
    for number in range(4):
        jobs = stream_of_jobs(50 + number, 60, mean_gap=SECOND)
        turns = turns_of(number)
        bench = Bench(SharedGpu, SERVICES["uniform"], load, disturbable=True)
        disturb(bench, turns)
        needed = [(job.at, sum(bench.work.of(job.message, cold=False))) for job in jobs]
        bench.take(jobs)
        ends = {done.job_id: done.at for done in bench.finished}
        found = [ends[job.message.job_id] for job in jobs]
        expected = disturbed_sharing(needed, turns, load)
        assert max(abs(ours - theirs) for ours, theirs in zip(found, expected, strict=True)) <= 1


def test_a_job_that_is_slowed_half_way_takes_longer_for_the_rest_only() -> None:
    bench = Bench(SerialGpu, "1s", disturbable=True, streams=1)
    disturb(bench, [Turn(500_000, Fraction(11, 10)), Turn(3 * SECOND, Fraction(1))])
    bench.take([job_of(0, 0)])
    assert [done.at for done in bench.finished] == [500_000 + 550_000], "to the microsecond, whatever 1.1 is in binary"


@kinds
def test_a_halted_gpu_is_not_busy_and_goes_on_where_it_stood(kind: str) -> None:
    bench = made(kind)
    whole = 110_000 if kind == "batching" else 400_000
    disturb(bench, [Turn(100_000, None), Turn(5 * SECOND, Fraction(1))])
    bench.engine.call_at(0, bench.gpu.take, job_of(0, 0).message)
    bench.engine.advance(3 * SECOND)
    assert bench.gpu.busy_area() == 100_000
    assert bench.gpu.arrived_count() == 1
    bench.engine.advance(10 * SECOND)
    assert [done.at for done in bench.finished] == [4_900_000 + whole]
    assert bench.finished[0].service_time == 4_900_000 + whole, "the time in which it stood still is part of it"
    assert bench.gpu.busy_area() == whole


@kinds
def test_a_stopped_gpu_loses_what_is_here_and_says_how_much_was_done(kind: str) -> None:
    bench = made(kind)
    for number in range(7):
        at = 0 if number < 6 else 50_000
        bench.engine.call_at(at, bench.gpu.take, job_of(number, at).message)
    bench.engine.call_at(0, lambda _: bench.gpu.slow(2.0))
    bench.engine.advance(100_000)
    work = {
        "serial": [50_000, 0, 0, 0, 0, 0, 0],
        "two streams": [50_000, 50_000, 0, 0, 0, 0, 0],
        # 25 ms of work for six, then 25 ms for seven.
        "shared": [int(Fraction(25_000, 6) + Fraction(25_000, 7))] * 6 + [25_000 // 7],
        "batching": [12_500] * 4 + [0] * 3,
    }[kind]
    lost = bench.gpu.stop()
    assert [(each.message.job_id, each.work) for each in lost] == [(f"job-{at}", done) for at, done in enumerate(work)]
    assert bench.gpu.arrived_count() == 0
    busy = bench.gpu.busy_area()
    assert busy == (200_000 if kind == "two streams" else 100_000)
    bench.engine.advance(10 * SECOND)
    assert bench.finished == []
    assert bench.gpu.busy_area() == busy
    bench.engine.call_at(10 * SECOND, bench.gpu.take, job_of(9, 0).message)
    bench.engine.advance(20 * SECOND)
    assert [done.job_id for done in bench.finished] == ["job-9"]
    assert bench.finished[0].service_time == 2 * (110_000 if kind == "batching" else 400_000), "it is still slow"


def test_a_gpu_that_is_stopped_while_halted_works_again() -> None:
    bench = made("serial")
    disturb(bench, [Turn(100, None)])
    bench.engine.call_at(0, bench.gpu.take, job_of(0, 0).message)
    bench.engine.advance(1_000)
    assert [(each.message.job_id, each.work) for each in bench.gpu.stop()] == [("job-0", 100)]
    bench.engine.call_at(2_000, bench.gpu.take, job_of(1, 0).message)
    bench.engine.advance(SECOND)
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-1", 402_000)]
    assert bench.gpu.busy_area() == 100 + 400_000


def test_what_is_aborted_is_what_had_begun_before_and_others_begin_in_its_place() -> None:
    bench = made("two streams")
    for number in range(4):
        bench.engine.call_at(number * 10_000, bench.gpu.take, job_of(number, 0).message)
    bench.engine.advance(100_000)
    assert [message.job_id for message in bench.gpu.running()] == ["job-0", "job-1"]
    assert [(each.message.job_id, each.work) for each in bench.gpu.abort()] == [("job-0", 100_000), ("job-1", 90_000)]
    assert [message.job_id for message in bench.gpu.running()] == ["job-2", "job-3"]
    assert bench.gpu.abort() == [], "they have only just begun"
    bench.engine.advance(SECOND)
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-2", 500_000), ("job-3", 500_000)]
    assert bench.gpu.busy_area() == 2 * 500_000 - 10_000


def test_a_shared_gpu_aborts_all_that_runs_but_what_has_just_begun() -> None:
    bench = made("shared")
    for number, at in enumerate((0, 0, 100_000)):
        bench.engine.call_at(at, bench.gpu.take, job_of(number, 0).message)
    bench.engine.advance(100_000)
    assert [(each.message.job_id, each.work) for each in bench.gpu.abort()] == [("job-0", 50_000), ("job-1", 50_000)]
    assert [message.job_id for message in bench.gpu.running()] == ["job-2"]
    bench.engine.advance(SECOND)
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-2", 500_000)]


def test_a_batching_gpu_aborts_the_batch_and_begins_the_next_one() -> None:
    bench = made("batching")
    for number in range(5):
        bench.engine.call_at(0, bench.gpu.take, job_of(number, 0).message)
    bench.engine.advance(100_000)
    assert [message.job_id for message in bench.gpu.running()] == [f"job-{number}" for number in range(4)]
    assert [(each.message.job_id, each.work) for each in bench.gpu.abort()] == [
        (f"job-{number}", 25_000) for number in range(4)
    ]
    assert bench.gpu.abort() == [], "the next one has only just begun"
    bench.engine.advance(SECOND)
    assert [(done.job_id, done.at) for done in bench.finished] == [("job-4", 210_000)]
    assert bench.gpu.busy_area() == 210_000


@kinds
def test_jobs_that_end_together_are_told_of_together_with_their_part_of_the_work(kind: str) -> None:
    bench = made(kind)
    told: list[list[tuple[str, int]]] = []
    bench.gpu.watcher = lambda ended: told.append([(each.message.job_id, each.work) for each in ended])
    bench.take([job_of(number, 0) for number in range(3)])
    expected = {
        "serial": [[("job-0", 400_000)], [("job-1", 400_000)], [("job-2", 400_000)]],
        "two streams": [[("job-0", 400_000)], [("job-1", 400_000)], [("job-2", 400_000)]],
        "shared": [[("job-0", 400_000), ("job-1", 400_000), ("job-2", 400_000)]],
        "batching": [[("job-0", 50_000), ("job-1", 50_000), ("job-2", 50_000)]],
    }
    assert told == expected[kind]
    assert bench.finished == [], "whoever watches hears of them instead"


def test_the_parts_of_a_batch_add_up_to_the_whole() -> None:
    service = {"batching": {"fixed": "100us", "per_job": "0us"}}
    bench = Bench(BatchingGpu, service, disturbable=True, cap=8)
    told: list[int] = []
    bench.gpu.watcher = lambda ended: told.extend(each.work for each in ended)
    bench.take([job_of(number, 0) for number in range(7)])
    assert sum(told) == 100
    assert max(told) - min(told) == 1


def test_a_gpu_that_was_not_made_for_it_cannot_be_disturbed() -> None:
    for bench in (Bench(PlannedGpu, "1s", streams=1), made("serial", disturbable=False)):
        assert not bench.gpu.disturbable
        for act in (lambda gpu: gpu.slow(2.0), methodcaller("halt"), methodcaller("stop"), methodcaller("running")):
            with pytest.raises(RuntimeError, match="nothing can disturb"):
                act(bench.gpu)


# --- cold starts


COLD = {"asr": "3s", "nmt": "1s", "tts": "500ms"}


@pytest.mark.parametrize(
    ("make", "more"),
    [(SerialGpu, {"streams": 1}), (PlannedGpu, {"streams": 1}), (SharedGpu, {})],
    ids=["serial", "planned", "shared"],
)
def test_only_the_first_job_after_a_start_is_cold(make: Callable[..., Gpu], more: dict[str, Any]) -> None:
    bench = Bench(make, "200ms", cold_start=COLD, **more)
    jobs = [job_of(number, number * 20 * SECOND) for number in range(4)]
    if make is PlannedGpu:
        bench.plan(jobs, notice=1_000)
    else:
        bench.take(jobs)
    assert [done.service_time for done in bench.finished] == [4_700_000, 200_000, 200_000, 200_000]
    first = bench.finished[0].times
    assert (first.asr_time, first.nmt_time, first.tts_time) == (3_200_000, 1_000_000, 500_000)
    bench.gpu.cold = True  # it starts again
    bench.engine.call_at(bench.engine.instant + 1, bench.gpu.take, job_of(9, 0).message)
    bench.engine.advance(bench.engine.instant + 10 * SECOND)
    if make is not PlannedGpu:
        assert bench.finished[-1].service_time == 4_700_000


def test_only_the_first_batch_after_a_start_is_cold() -> None:
    bench = Bench(BatchingGpu, BATCHING, cap=4, cold_start="3s")
    bench.take([job_of(0, 0), job_of(1, 0), job_of(2, 20 * SECOND)])
    assert [done.service_time for done in bench.finished] == [3_130_000, 3_130_000, 110_000]


# --- what a script says, and the grid


def set_work(
    service: Any, exact: Exact | None = None, grid: int | None = None, *, primary_only: bool = False
) -> SetWork:
    gpu = {"model": "batching", "cap": 4} if "batching" in service else "serial"
    group = NodeGroup.model_validate({"name": "node", "gpu": gpu, "service": service, "cold_start": "5s"})
    return SetWork(group, exact, grid, Tags(primary_only=primary_only))


def key_of(number: int) -> int:
    audio = job_of(number, 0).message.audio
    assert isinstance(audio, Speech)
    return audio.key


def test_what_a_script_says_of_an_utterance_is_its_whole_service() -> None:
    exact = Exact()
    exact.note(key_of(0), 3 * SECOND, None)
    work = set_work("700ms", exact)
    assert work.of(job_of(0, 0).message, cold=False) == (3 * SECOND, 0, 0)
    assert work.of(job_of(0, 0).message, cold=True) == (3 * SECOND, 0, 0), "a cold start is no part of it"
    assert work.of(job_of(0, 0, attempt=2).message, cold=False) == (3 * SECOND, 0, 0)
    assert work.of(job_of(1, 0).message, cold=False) == (700_000, 0, 0)


def test_what_a_script_says_by_language_holds_for_that_language_as_languages_compare() -> None:
    exact = Exact()
    exact.note(key_of(0), {"EN": SECOND, "ja-JP": 2 * SECOND}, {"ja-jp": "INTERNAL_ERROR"})
    message = job_of(0, 0).message
    by_whole_tag, by_primary = Tags(primary_only=False), Tags(primary_only=True)
    assert exact.service_of(message, by_whole_tag) == SECOND
    assert exact.failure_of(message, by_whole_tag) is None
    for tags, language, service in ((by_whole_tag, "ja-JP", 2 * SECOND), (by_whole_tag, "ja", None)):
        japanese = structs.replace(message, tgt_lang=language)
        assert exact.service_of(japanese, tags) == service
        assert exact.failure_of(japanese, tags) == (None if service is None else "INTERNAL_ERROR")
    assert exact.service_of(structs.replace(message, tgt_lang="ja"), by_primary) == 2 * SECOND
    assert exact.service_of(structs.replace(message, audio="from elsewhere"), by_whole_tag) is None


def test_a_batch_takes_as_long_as_the_longest_that_is_said_of_any_job_in_it() -> None:
    exact = Exact()
    exact.note(key_of(0), 100_000, None)
    exact.note(key_of(1), 3 * SECOND, None)
    work = set_work(BATCHING, exact)
    messages = [job_of(number, 0).message for number in range(4)]
    assert work.of_batch(messages[2:], cold=False) == 130_000
    assert work.of_batch([messages[0], *messages[2:]], cold=False) == 130_000
    assert work.of_batch(messages, cold=False) == 3 * SECOND
    assert work.of_batch(messages[:1], cold=True) == 100_000
    assert work.of_batch([messages[0], messages[2]], cold=True) == 5 * SECOND + 110_000


def test_on_a_grid_what_is_drawn_is_rounded_up_stage_by_stage() -> None:
    plain, work = set_work(STAGES), set_work(STAGES, grid=10_000)
    for number in range(50):
        message = job_of(number, 0, duration=1_234_567).message
        for cold in (False, True):
            exactly = plain.of(message, cold=cold)
            assert work.of(message, cold=cold) == tuple(ceil(span / 10_000) * 10_000 for span in exactly)
    assert set_work(BATCHING, grid=100_000).of_batch([job_of(0, 0).message], cold=False) == 200_000
    assert set_work("700ms", grid=10_000).of(job_of(0, 0).message, cold=False) == (700_000, 0, 0)


# --- what a job asks for


def test_the_same_job_asks_the_same_of_every_node_and_another_attempt_something_else() -> None:
    service = {"lognormal": {"median": "250ms", "sigma": 1}}
    one, other = Bench(SerialGpu, service, streams=1).work, Bench(SharedGpu, service).work
    first = [one.of(job_of(number, 0).message, cold=False) for number in range(50)]
    again = [other.of(job_of(number, 0).message, cold=False) for number in range(50)]
    second = [one.of(job_of(number, 0, attempt=2).message, cold=False) for number in range(50)]
    assert first == again
    assert len(set(first)) == 50
    assert not set(first) & set(second)


def test_service_follows_the_length_of_the_speech() -> None:
    work = Bench(SerialGpu, {"asr": {"fixed": "100ms", "rtf": 0.5}, "nmt": {"rtf": 0.1}}, streams=1).work
    assert work.of(job_of(0, 0, duration=2 * SECOND).message, cold=False) == (1_100_000, 200_000, 0)
    assert work.of(job_of(0, 0, duration=0).message, cold=False) == (100_000, 0, 0)
