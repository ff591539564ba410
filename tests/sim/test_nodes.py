"""Nodes in a whole world: what they say at the scheduler's port, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simroom.oracle.ledger import JobEnd
from simroom.scenario.schema import Scenario
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    JobAssign,
    JobCancel,
    JobResult,
    NodeControl,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
)
from simroom.scheduler.port import Sources
from simroom.scheduler.settings import Settings
from simroom.sim.run import RunData, simulate

from .worlds import SECOND, Data, Tap, tapped


def talkers(nodes: list[Data], *, count: int = 4, rate: str = "30/min", duration: str = "30s", **more: Any) -> Data:
    """Single sessions that keep nodes busy."""
    speech = {"arrivals": {"poisson": rate}, "utterance": "1s"}
    session = {"name": "talker", "count": count, "src_lang": "zh", "tgt_lang": "en", "speech": speech}
    return {
        "simroom": 1,
        "name": "nodes",
        "lead_in": "20s",
        "duration": duration,
        "sessions": [session],
        "nodes": nodes,
    } | more


def rush(nodes: list[Data], **more: Any) -> Data:
    """Eight utterances that end from 9.1 s to 9.8 s, so that at 10 s several nodes have several jobs."""
    data = talkers(nodes, **more)
    script = {"script": [{"at": f"{8100 + 100 * number}ms", "length": "1s"} for number in range(8)]}
    data["sessions"] = [{"name": "talker", "src_lang": "zh", "tgt_lang": "en", "speech": script}]
    return data


def quick(name: str = "node", **more: Any) -> Data:
    """A node that beats every second."""
    return {"name": name, "service": "700ms", "heartbeat": {"every": "1s"}} | more


def clean(data: Data, seed: int = 1) -> tuple[RunData, Tap]:
    """Run it; the oracle must have nothing to say."""
    run, tap = tapped(data, seed)
    assert run.verdict.violations == ()
    return run, tap


def connection_of(tap: Tap, node: str) -> int:
    """The connection over which a node registered first."""
    return next(
        each.connection for each in tap.said if type(each.message) is NodeRegister and each.message.node_id == node
    )


def closed_at(tap: Tap, connection: int) -> int | None:
    return next((each.at for each in tap.said if each.closed and each.connection == connection), None)


# --- warm-up


def test_a_node_is_ready_only_after_its_models_are_loaded_and_it_has_proven_healthy() -> None:
    _, tap = clean(talkers([quick(warm_up="12s", slots=8)]))
    ((registered_at, register),) = tap.heard(NodeRegister)
    assert registered_at == 0
    assert register.capability_state is not None
    assert set(register.capability_state.values()) == {"downloading"}
    assert set(register.capability_state) == {model.model_id for model in register.installed_models}
    told = [(at, beat.capability_state) for at, beat in tap.heard(NodeHeartbeat) if beat.capability_state is not None]
    assert told == [(12 * SECOND, dict.fromkeys(register.capability_state, "ready"))]
    assert [(at, notice.status) for at, notice in tap.told(NodeStatusNotice)] == [(14 * SECOND, "ready")]
    assert min(at for at, _ in tap.told(JobAssign)) >= 14 * SECOND


def test_a_node_without_warm_up_says_nothing_of_its_models_state() -> None:
    _, tap = clean(talkers([quick()]))
    ((_, register),) = tap.heard(NodeRegister)
    assert register.capability_state is None
    assert all(beat.capability_state is None for _, beat in tap.heard(NodeHeartbeat))
    assert [(at, notice.status) for at, notice in tap.told(NodeStatusNotice)] == [(2 * SECOND, "ready")]


def test_a_node_that_warms_up_for_too_long_is_degraded_and_ready_in_the_end() -> None:
    _, tap = clean(talkers([quick(warm_up="14s", slots=8)], scheduler={"warmup_timeout": "5s"}))
    statuses = [(at, notice.status) for at, notice in tap.told(NodeStatusNotice)]
    assert statuses == [(5 * SECOND, "degraded"), (14 * SECOND, "ready")]


# --- heartbeats


def test_heartbeats_come_as_often_as_the_scenario_says_from_registration_on() -> None:
    _, tap = clean(talkers([quick(starts="1500ms", heartbeat={"every": "3s"})]))
    beats = [at for at, _ in tap.heard(NodeHeartbeat)]
    assert beats[0] == 20 * SECOND + 1_500_000
    assert set(np.diff(beats)) == {3 * SECOND}


GPUS: dict[str, Data] = {
    "planned": {},
    "serial": {"leaves": "29s"},
    "two streams": {"gpu": {"model": "serial", "streams": 2}},
    "shared": {"gpu": "shared"},
    "batching": {
        "gpu": {"model": "batching", "cap": 4},
        "service": {"batching": {"fixed": "400ms", "per_job": "50ms"}},
    },
}


@pytest.mark.parametrize("more", GPUS.values(), ids=GPUS)
@pytest.mark.parametrize("background", [0, 0.25])
def test_gpu_percent_is_the_busy_share_since_the_last_heartbeat_and_the_backgrounds_part_of_the_rest(
    more: Data, background: float
) -> None:
    node = quick(slots=8, heartbeat={"every": "2s"}) | more
    gpu = node.get("gpu", "serial")
    model = gpu if isinstance(gpu, dict) else {"model": gpu}
    node["gpu"] = {"background": background, **model}
    run, tap = clean(talkers([node], rate="12/min"))
    jobs = run.ledger.jobs()
    worked = jobs["started_at"] >= 0
    begun = jobs["started_at"][worked]
    ended = begun + (jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"])[worked]
    streams = model.get("streams", 1)
    beats = tap.heard(NodeHeartbeat)
    last = beats[0][0]
    shares = []
    for at, beat in beats[1:]:
        if streams > 1:
            busy = float((np.minimum(ended, at) - np.maximum(begun, last)).clip(0).sum()) / (at - last) / streams
        else:
            busy = _covered(begun, ended, last, at) / (at - last)
        expected = 100 * (busy + (1 - busy) * background)
        assert beat.resource_usage.gpu_percent == pytest.approx(expected, abs=1e-9), at
        shares.append(busy)
        last = at
    assert 0 < max(shares) <= 1
    assert len(set(shares)) > 5


def _covered(begun: Any, ended: Any, low: int, high: int) -> int:
    """How much of a span is covered by spans that may overlap."""
    total, until = 0, low
    for begin, end in sorted(zip(begun.tolist(), ended.tolist(), strict=True)):
        total += max(0, min(end, high) - max(begin, until))
        until = max(until, min(end, high))
    return total


@pytest.mark.parametrize("more", GPUS.values(), ids=GPUS)
def test_running_jobs_are_those_that_have_come_and_not_been_answered(more: Data) -> None:
    node = quick(slots=8, **more)
    _, tap = clean(talkers([node], network={"session": {"delay": {"uniform": {"from": "0us", "to": "9ms"}}}}))
    assigned = sorted(at for at, _ in tap.told(JobAssign))
    answered = sorted(at for at, _ in tap.heard(JobResult))
    found = [beat.resource_usage.running_jobs for _, beat in tap.heard(NodeHeartbeat)]
    expected = [
        int(np.searchsorted(assigned, at) - np.searchsorted(answered, at)) for at, _ in tap.heard(NodeHeartbeat)
    ]
    assert found == expected
    assert max(found) > 1


def test_a_node_reports_the_use_of_everything_else_as_the_scenario_says() -> None:
    _, tap = clean(talkers([quick(cpu="37.5%", memory="40.8%", gpu_memory="50%")]))
    for _, beat in tap.heard(NodeHeartbeat):
        usage = beat.resource_usage
        assert (usage.cpu_percent, usage.mem_percent, usage.gpu_mem_percent) == (37.5, 40.8, 50.0)


# --- registration


def test_a_node_whose_id_is_taken_tries_again_until_it_is_free() -> None:
    """Two nodes of one name: a file cannot say so, but a node that comes back before its old connection is noticed."""
    nodes = [quick("twin", leaves="3s"), quick("twin", starts="0s")]
    taps: list[Tap] = []

    def factory(settings: Settings, sources: Sources) -> Tap:
        taps.append(Tap(settings, sources))
        return taps[-1]

    run = simulate(Scenario.model_validate(talkers(nodes)), scheduler=factory)
    assert run.verdict.violation_count == 0
    registrations = [at for at, _ in taps[0].heard(NodeRegister)]
    # The first one leaves at 23 s; the second asks at 20 s and every 5 s after a refusal.
    assert registrations == [0, 20 * SECOND, 25 * SECOND]
    assert [error.code for _, error in taps[0].told(Error)] == [ErrorCode.NODE_ID_CONFLICT]
    assert [at for at, _ in taps[0].told(NodeRegisterAck)] == [0, 25 * SECOND]
    assert max(at for at, _ in taps[0].told(JobAssign)) > 27 * SECOND


def test_a_node_that_was_taken_for_offline_registers_again_and_works_on() -> None:
    scheduler = {"heartbeat_timeout": "5s", "node_scan_interval": "1s", "health_check_count": 1, "on_no_node": "queue"}
    node = quick(heartbeat={"every": "8s"}, slots=8, service="200ms")
    run, tap = clean(talkers([node], network={"node": {"delay": "10ms"}}, scheduler=scheduler))
    statuses = [notice.status for _, notice in tap.told(NodeStatusNotice)]
    assert statuses[:4] == ["ready", "offline", "ready", "offline"]
    offline = [at for at, notice in tap.told(NodeStatusNotice) if notice.status == "offline"]
    registrations = [at for at, _ in tap.heard(NodeRegister)][1:]
    assert len(registrations) >= 4
    assert registrations == [at + 20_000 for at in offline[: len(registrations)]]
    assert len(tap.told(NodeRegisterAck)) == len(registrations) + 1
    assert len({each.connection for each in tap.said if type(each.message) is NodeRegister}) == 1
    beats = [at for at, _ in tap.heard(NodeHeartbeat)]
    assert min(np.diff(beats)) >= 6 * SECOND, "the old series of heartbeats has ended with the registration"
    assert run.verdict.ends["delivered"] == run.verdict.created


def test_a_node_without_a_gpu_is_refused_once_and_gives_up() -> None:
    run, tap = clean(talkers([quick("blind", gpu="none"), quick()]))
    assert [error.code for _, error in tap.told(Error)] == [ErrorCode.NO_GPU_AVAILABLE]
    assert len([1 for _, message in tap.heard(NodeRegister) if message.node_id == "blind"]) == 1
    assert run.nodes[0].jobs == 0


# --- coming and going


def test_a_late_node_is_not_there_before_it_starts() -> None:
    _, tap = clean(talkers([quick(), quick("late", starts="10s")]))
    late = connection_of(tap, "late")
    assert min(each.at for each in tap.said if each.connection == late) == 30 * SECOND
    assert min(at for at, _ in tap.told(JobAssign, late)) >= 32 * SECOND


def test_a_draining_node_finishes_what_it_has_and_leaves() -> None:
    nodes = [quick("steady"), quick("draining", service="2s", drains="10s")]
    run, tap = clean(rush(nodes, network={"node": {"delay": "30ms"}}))
    draining = connection_of(tap, "draining")
    assert [at for at, _ in tap.heard(NodeControl)] == [30 * SECOND + 30_000]
    assigned = tap.told(JobAssign, draining)
    assert len(assigned) == 4
    assert max(at for at, _ in assigned) <= 30 * SECOND + 30_000
    results = tap.heard(JobResult, draining)
    assert [message.job_id for _, message in results] == [message.job_id for _, message in assigned]
    assert all(message.success for _, message in results)
    assert results[-1][0] > 33 * SECOND, "it had several jobs when it was asked"
    assert closed_at(tap, draining) == results[-1][0]
    assert run.verdict.ends["delivered"] == run.verdict.created
    assert max(run.ledger.jobs()["attempts"]) == 1


def test_a_draining_node_waits_for_the_job_that_is_on_its_way() -> None:
    """It has asked and finished what it had, but a job was sent to it before its request came."""
    script = {"script": [{"at": "7900ms", "length": "1s"}, {"at": "9100ms", "length": "1s"}]}
    data = talkers([quick("draining", service="1s", drains="9990ms")], network={"node": {"delay": "200ms"}})
    data["sessions"] = [{"name": "talker", "src_lang": "zh", "tgt_lang": "en", "speech": script}]
    run, tap = clean(data)
    assert [at for at, _ in tap.told(JobAssign)] == [28_900_000, 30_100_000]
    assert [(notice.status, at) for at, notice in tap.told(NodeStatusNotice)][-1] == ("draining", 30_190_000)
    # The first is done at 30.1 s, between asking (29.99 s) and being told (30.39 s); the second arrives at 30.3 s.
    assert [at for at, _ in tap.heard(JobResult)] == [30_300_000, 31_500_000]
    assert run.verdict.ends["delivered"] == 2
    assert closed_at(tap, connection_of(tap, "draining")) == 31_500_000


def test_an_idle_node_that_drains_leaves_as_soon_as_that_is_granted() -> None:
    _, tap = clean(talkers([quick(), quick("idle", pairs=["ja>zh"], drains="5s")], network={"node": {"delay": "10ms"}}))
    assert closed_at(tap, connection_of(tap, "idle")) == 25 * SECOND + 30_000


def test_a_node_that_is_to_drain_before_it_is_registered_does_so_then() -> None:
    nodes = [quick(), quick("brief", starts="5s", drains="5s")]
    _, tap = clean(talkers(nodes, network={"node": {"delay": "10ms"}}))
    brief = connection_of(tap, "brief")
    assert tap.told(JobAssign, brief) == []
    assert [at for at, _ in tap.heard(NodeControl, brief)] == [25_030_000]
    assert closed_at(tap, brief) == 25_050_000


def test_a_node_that_leaves_first_does_not_drain() -> None:
    _, tap = clean(talkers([quick(), quick("gone", leaves="5s", drains="9s")]))
    assert tap.heard(NodeControl) == []
    assert closed_at(tap, connection_of(tap, "gone")) == 25 * SECOND


def test_what_a_leaving_node_had_is_tried_again_elsewhere() -> None:
    nodes = [quick("steady", slots=8), quick("leaving", leaves="10s")]
    run, tap = clean(rush(nodes))
    leaving = connection_of(tap, "leaving")
    assert closed_at(tap, leaving) == 30 * SECOND
    assert len(tap.heard(JobResult, leaving)) == 1
    lost = {message.job_id for _, message in tap.told(JobAssign, leaving)}
    lost -= {message.job_id for _, message in tap.heard(JobResult, leaving)}
    again = {message.job_id for at, message in tap.told(JobAssign, connection_of(tap, "steady")) if at == 30 * SECOND}
    assert len(lost) == 3
    assert again == lost
    assert run.verdict.ends["delivered"] == run.verdict.created


def test_a_node_is_counted_as_ready_from_when_it_was_told_so_until_it_leaves() -> None:
    run, _ = clean(talkers([quick(), quick("leaving", leaves="10s")], network={"node": {"delay": "10ms"}}))
    # Ready from the third heartbeat: 10 ms to register, 10 ms back, beats at .02, 1.02, 2.02 s, 10 ms each way again.
    assert run.nodes[1].ready_time == 30 * SECOND - (2_020_000 + 20_000)
    assert run.nodes[0].ready_time == run.ended_at - (2_020_000 + 20_000)


# --- bounded queues and cancelled jobs


@pytest.mark.parametrize("more", [{}, {"leaves": "3min"}], ids=["planned", "not planned"])
@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_job_beyond_the_queues_bound_is_answered_with_node_overloaded(most: int, more: Data) -> None:
    node = quick(service="1500ms", slots=100, queue_count_max=most, **more)
    run, tap = clean(talkers([node], scheduler={"max_attempts": 1}))
    refused = [message for _, message in tap.heard(JobResult) if not message.success]
    assert refused
    assert {message.error.code for message in refused if message.error is not None} == {ErrorCode.NODE_OVERLOADED}
    assert run.nodes[0].failed == len(refused) == run.verdict.ends["failed"]
    assert run.nodes[0].jobs == run.verdict.ends["delivered"]
    here = 0
    by_id = {message.job_id: message.success for _, message in tap.heard(JobResult)}
    steps = [(at, 1, message.job_id) for at, message in tap.told(JobAssign)]
    steps += [(at, -1, message.job_id) for at, message in tap.heard(JobResult) if message.success]
    for _, step, job_id in sorted(steps):
        if step == 1:
            assert by_id[job_id] == (here < 1 + most), job_id
            here += by_id[job_id]
        else:
            here -= 1


def test_an_overloaded_nodes_job_is_tried_on_another_one() -> None:
    nodes = [quick("small", service="1500ms", slots=100, queue_count_max=0), quick("large", slots=100, service="100ms")]
    run, _ = clean(talkers(nodes))
    jobs = run.ledger.jobs()
    assert run.nodes[0].failed > 0
    assert (jobs["end"] == JobEnd.DELIVERED).all()
    assert {run.ledger.nodes.names[node] for node in jobs["node"][jobs["attempts"] == 2]} == {"large"}


def test_a_cancelled_job_that_waits_is_let_go_and_one_that_runs_is_finished() -> None:
    script = {"script": [{"at": f"{at}ms", "length": "1s"} for at in (0, 10, 20)]}
    data = talkers([quick(service="5s", slots=8)], scheduler={"cancel": "moot", "job_timeout": "2s", "max_attempts": 1})
    data["sessions"] = [{"name": "talker", "src_lang": "zh", "tgt_lang": "en", "speech": script}]
    run, tap = clean(data)
    assert [at for at, _ in tap.told(JobCancel)] == [23_000_000, 23_010_000, 23_020_000]
    answers = [(at, message.job_id, message.success) for at, message in tap.heard(JobResult)]
    assert answers == [(23_010_000, "job-2", False), (23_020_000, "job-3", False), (26_000_000, "job-1", True)]
    assert run.verdict.ends["expired"] == 3
