"""A node's life: registering, proving itself, degrading, draining, vanishing, coming back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simroom.scheduler.messages import (
    Hardware,
    NodeControl,
    NodeError,
    NodeHeartbeat,
    NodeRegisterAck,
    NodeStatusNotice,
    Utterance,
)
from simroom.scheduler.nodes import TRANSITIONS, NodeStatus

from .harness import EPOCH, World, codes, models, registration, usage

SICK = usage(gpu=None)

# --- registration


def test_a_good_registration_is_acknowledged_as_registering() -> None:
    world = World()
    (ack,) = world.register("n1")
    assert isinstance(ack, NodeRegisterAck)
    assert (ack.node_id, ack.status) == ("n1", "registering")
    assert world.status("n1") == "registering"


def test_a_node_without_an_id_is_given_one() -> None:
    world = World()
    connection = world.connect("node")
    (ack,) = world.send(connection, registration(None))
    assert ack.node_id == "node-1"
    world.send(connection, NodeHeartbeat("node-1", 0, usage()))
    assert [v.node_id for v in world.scheduler.where("zh", "en")] == ["node-1"]


@pytest.mark.parametrize("version", [None, "1.0"])
def test_the_schema_version_may_be_absent(version: str | None) -> None:
    world = World()
    assert codes(world.register("n1", capability_schema_version=version)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hardware": Hardware(8, 32, None)}, "NO_GPU_AVAILABLE"),
        ({"hardware": Hardware(8, 32, ())}, "NO_GPU_AVAILABLE"),
        ({"capability_schema_version": "2.0"}, "INVALID_CAPABILITY_SCHEMA"),
        ({"capability_schema_version": ""}, "INVALID_CAPABILITY_SCHEMA"),
    ],
)
def test_a_refused_registration_leaves_no_trace_and_may_be_tried_again(changes: dict[str, object], code: str) -> None:
    world = World()
    connection = world.connect("node", "n1")
    assert codes(world.send(connection, registration("n1", **changes))) == [code]
    assert world.scheduler.where("zh", "en") == []
    (ack,) = world.send(connection, registration("n1"))
    assert ack.node_id == "n1"


def test_an_id_that_is_connected_is_refused_and_the_node_that_has_it_goes_on() -> None:
    world = World()
    world.node("n1", slots=2)
    world.session("ana")
    world.speak("ana")
    other = world.connect("node", "intruder")
    assert codes(world.send(other, registration("n1", max_concurrent_jobs=9))) == ["NODE_ID_CONFLICT"]
    assert (world.status("n1"), world.jobs_on("n1"), world.verdict("n1").slots) == ("ready", 1, 2)
    world.answer("ana#0>en")
    assert world.heard("ana") == ["ana#0>en"]
    world.send(other, registration("n2"))
    assert world.status("n2") == "registering"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hardware": Hardware(8, 32, None), "capability_schema_version": "2.0"}, "NO_GPU_AVAILABLE"),
        ({"capability_schema_version": "2.0"}, "INVALID_CAPABILITY_SCHEMA"),
    ],
)
def test_of_several_reasons_to_refuse_the_first_is_told(changes: dict[str, object], code: str) -> None:
    world = World()
    world.node("n1")
    other = world.connect("node", "intruder")
    assert codes(world.send(other, registration("n1", **changes))) == [code]


def test_an_offline_id_may_register_again_and_begins_anew() -> None:
    world = World()
    world.node("n1", slots=1, pairs="zh>en")
    world.session("ana")
    world.speak("ana")
    world.load("n1", cpu=99, jobs=1)
    world.lose("n1")
    world.workers["n1"].usage = usage()
    world.register("n1", slots=3, pairs="zh>ja")
    verdict = world.verdict("n1", "zh", "ja")
    assert (verdict.status, verdict.jobs, verdict.slots) == (NodeStatus.REGISTERING, 0, 3)
    world.beat("n1")
    world.beat("n1")
    assert world.status("n1") == "registering", "what it proved before counts no more"
    world.beat("n1")
    assert world.would_go_to("zh", "ja") == "n1"
    assert world.would_go_to("zh", "en") is None


def test_a_node_that_registers_again_starts_a_new_warm_up() -> None:
    world = World()
    world.register("n1")
    world.workers["n1"].usage = SICK
    world.at(50)
    world.lose("n1")
    world.register("n1")
    world.workers["n1"].usage = SICK
    world.at(109)
    assert world.status("n1") == "registering"
    world.at(110)
    assert world.status("n1") == "degraded"


def test_a_registered_node_cannot_register_over_its_connection_again() -> None:
    world = World()
    world.node("n1")
    connection = world.workers["n1"].connection
    assert codes(world.send(connection, registration("n1"))) == ["NODE_ID_CONFLICT"]
    assert codes(world.send(connection, registration("n2"))) == ["NODE_ID_CONFLICT"]
    assert world.status("n1") == "ready"
    assert len(world.scheduler.where("zh", "en")) == 1


def test_what_only_sessions_send_is_refused_from_a_node_and_its_connection_stays() -> None:
    world = World()
    fresh = world.connect("node")
    utterance = Utterance("ana", 0, False, "zh", "en", "", "pcm16", 16_000)
    assert codes(world.send(fresh, utterance)) == ["INVALID_MESSAGE"]
    world.node("n1")
    connection = world.workers["n1"].connection
    assert codes(world.send(connection, utterance)) == ["INVALID_MESSAGE"]
    assert world.status("n1") == "ready"


def test_a_fault_that_belongs_to_no_job_changes_nothing() -> None:
    world = World()
    world.node("n1")
    assert world.send(world.workers["n1"].connection, NodeError("n1", "MODEL_CORRUPTED", "oh")) == []
    assert world.status("n1") == "ready"


# --- the statuses and what moves them


def registering(world: World) -> None:
    world.register("n1")


def ready(world: World) -> None:
    world.node("n1")


def degraded(world: World) -> None:
    world.node("n1")
    world.workers["n1"].usage = SICK
    for _ in range(3):
        world.beat("n1")


def draining(world: World) -> None:
    world.node("n1")
    world.drain("n1")


def offline(world: World) -> None:
    world.node("n1")
    world.lose("n1")


def register(world: World) -> None:
    connection = world.connect("node", "n1")
    answer = world.send(connection, registration("n1"))
    if codes(answer) == []:
        world.workers["n1"].connection = connection


def beat_healthily(world: World, count: int) -> None:
    world.workers["n1"].usage = usage()
    for _ in range(count):
        world.beat("n1")


def beat_sickly(world: World) -> None:
    world.workers["n1"].usage = SICK
    for _ in range(3):
        world.beat("n1")


def warm_up_passes(world: World) -> None:
    """A minute with heartbeats that neither prove anything nor change anything."""
    healthy = world.status("n1") in ("ready", "draining")
    world.workers["n1"].usage = usage() if healthy else SICK
    world.at(75)


def drain(world: World) -> None:
    connection = world.workers["n1"].connection
    if connection in world.open:
        world.drain("n1")


def fall_silent(world: World) -> None:
    world.silence("n1")
    world.at(60)


def close(world: World) -> None:
    connection = world.workers["n1"].connection
    if connection in world.open:
        world.lose("n1")


STATUSES = (registering, ready, degraded, draining, offline)
STIMULI: dict[str, Callable[[World], None]] = {
    "registers": register,
    "one healthy heartbeat": lambda world: beat_healthily(world, 1),
    "three healthy heartbeats": lambda world: beat_healthily(world, 3),
    "three unhealthy heartbeats": beat_sickly,
    "a minute passes": warm_up_passes,
    "asks to be drained": drain,
    "falls silent": fall_silent,
    "connection closes": close,
}
MOVES = {
    ("offline", "registers"): "registering",
    ("registering", "three healthy heartbeats"): "ready",
    ("registering", "a minute passes"): "degraded",
    ("registering", "asks to be drained"): "draining",
    ("registering", "falls silent"): "offline",
    ("registering", "connection closes"): "offline",
    ("ready", "three unhealthy heartbeats"): "degraded",
    ("ready", "asks to be drained"): "draining",
    ("ready", "falls silent"): "offline",
    ("ready", "connection closes"): "offline",
    ("degraded", "one healthy heartbeat"): "ready",
    ("degraded", "three healthy heartbeats"): "ready",
    ("degraded", "asks to be drained"): "draining",
    ("degraded", "falls silent"): "offline",
    ("degraded", "connection closes"): "offline",
    ("draining", "falls silent"): "offline",
    ("draining", "connection closes"): "offline",
}
"""What each stimulus makes of a node in each status; what is not here changes nothing."""


@pytest.mark.parametrize("stimulus", STIMULI)
@pytest.mark.parametrize("bring", STATUSES, ids=lambda bring: bring.__name__)
def test_each_stimulus_moves_a_node_as_the_table_says_and_no_other(
    bring: Callable[[World], None], stimulus: str
) -> None:
    world = World()
    bring(world)
    before = bring.__name__
    assert world.status("n1") == before
    STIMULI[stimulus](world)
    assert world.status("n1") == MOVES.get((before, stimulus), before)


def test_the_table_of_transitions_has_the_moves_tried_above_and_no_others() -> None:
    tried = {(before, after) for (before, _), after in MOVES.items()}
    assert {(before.value, after.value) for (before, _), after in TRANSITIONS.items()} == tried
    # The two stimuli that make a degraded node ready are one event.
    assert len(TRANSITIONS) == len(MOVES) - 1


def test_each_change_of_status_is_told_to_a_node_that_is_connected() -> None:
    world = World()
    world.register("n1")
    world.at(15)
    world.beat("n1")
    world.beat("n1")
    world.load("n1", gpu=None)
    world.beat("n1")
    world.beat("n1")
    world.load("n1")
    world.drain("n1")
    world.silence("n1")
    world.at(60)
    notices = world.node_inbox("n1", NodeStatusNotice)
    assert [notice.status for notice in notices] == ["ready", "degraded", "ready", "draining", "offline"]
    assert {notice.node_id for notice in notices} == {"n1"}
    assert notices[0].timestamp == EPOCH // 1_000_000 + 15
    assert notices[-1].timestamp == EPOCH // 1_000_000 + 60


def test_what_changes_nothing_is_not_told() -> None:
    world = World()
    world.node("n1")
    world.at(300)
    assert [notice.status for notice in world.node_inbox("n1", NodeStatusNotice)] == ["ready"]


# --- health


def test_a_node_is_ready_after_so_many_healthy_heartbeats_in_a_row() -> None:
    world = World(health_check_count=4)
    world.register("n1")
    for _ in range(3):
        world.beat("n1")
    world.load("n1", gpu=None)
    world.workers["n1"].usage = usage()
    for expected in ("registering", "registering", "registering", "ready"):
        world.beat("n1")
        assert world.status("n1") == expected


@pytest.mark.parametrize(("gpu", "healthy"), [(0, True), (100, True), (None, False), (-0.1, False), (100.1, False)])
def test_a_healthy_node_reports_gpu_use_from_0_to_100(gpu: float | None, healthy: bool) -> None:
    world = World()
    world.register("n1")
    world.workers["n1"].usage = usage(gpu=gpu)
    for _ in range(3):
        world.beat("n1")
    assert (world.status("n1") == "ready") is healthy


def test_while_registering_every_installed_model_must_be_ready() -> None:
    world = World()
    world.register("n1", capability_state={"nmt-fr-de": "downloading"})
    for _ in range(5):
        world.beat("n1")
    assert world.status("n1") == "registering"
    for _ in range(3):
        world.beat("n1", capability_state={"nmt-fr-de": "ready"})
    assert world.status("n1") == "ready"


def test_a_model_that_is_not_enabled_need_not_be_ready() -> None:
    world = World()
    spare = models("zh>en")[1]
    spare = type(spare)("spare", "nmt", "1", "fr", "de", None, False)
    world.register("n1", installed_models=(*models("zh>en"), spare), capability_state={"spare": "error"})
    for _ in range(3):
        world.beat("n1")
    assert world.status("n1") == "ready"


@pytest.mark.parametrize("kind", ["asr", "nmt", "tts"])
def test_later_one_ready_model_of_each_stage_is_enough_and_needed(kind: str) -> None:
    world = World(health_check_count=1)
    installed = models("zh>en zh>ja")
    world.node("n1", installed_models=installed)
    most = {model.model_id: "error" for model in installed if model.model_id not in ("asr-1", "nmt-zh-en", "tts-en")}
    for _ in range(5):
        world.beat("n1", capability_state=most)
    assert world.status("n1") == "ready"
    last = {"asr": "asr-1", "nmt": "nmt-zh-en", "tts": "tts-en"}[kind]
    for _ in range(3):
        world.beat("n1", capability_state={**most, last: "error"})
    assert world.status("n1") == "degraded"
    world.beat("n1", capability_state=most)
    assert world.status("n1") == "ready"


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ("+++++--", "ready"),
        ("+++++---", "degraded"),
        ("+++-+-+-", "degraded"),
        ("+++--++-", "degraded"),
        ("+++-++-++-", "ready"),
        ("+++--+++-", "ready"),
    ],
)
def test_a_ready_node_is_degraded_when_three_of_its_last_five_heartbeats_were_unhealthy(
    beats: str, expected: str
) -> None:
    """The first three healthy ones in a row make it ready."""
    world = World()
    world.register("n1")
    for beat in beats:
        world.load("n1", gpu=5 if beat == "+" else None)
    assert world.status("n1") == expected


def test_heartbeats_while_registering_are_among_the_last_five() -> None:
    world = World(health_check_count=1)
    world.register("n1")
    for beat in "--+-":
        world.load("n1", gpu=5 if beat == "+" else None)
    assert world.status("n1") == "degraded"


def test_a_healthy_heartbeat_never_degrades_whatever_came_before() -> None:
    world = World(health_check_count=1)
    world.register("n1")
    for beat in "---+":
        world.load("n1", gpu=5 if beat == "+" else None)
    assert world.status("n1") == "ready"


def test_health_before_registering_again_is_forgotten() -> None:
    world = World(health_check_count=1)
    world.node("n1")
    world.load("n1", gpu=None)
    world.beat("n1")
    world.lose("n1")
    world.workers["n1"].usage = usage()
    world.node("n1")
    world.load("n1", gpu=None)
    assert world.status("n1") == "ready"


def test_health_is_judged_after_what_the_heartbeat_brings() -> None:
    world = World(health_check_count=1)
    world.register("n1", capability_state={"asr-1": "downloading"})
    world.beat("n1")
    assert world.status("n1") == "registering"
    world.beat("n1", capability_state={"asr-1": "ready"})
    assert world.status("n1") == "ready"


def test_a_node_that_does_not_warm_up_in_time_is_degraded_and_may_become_ready_later() -> None:
    world = World(warmup_timeout=20)
    world.at(3)
    world.register("n1")
    world.workers["n1"].usage = SICK
    world.at(22.999_999)
    assert world.status("n1") == "registering"
    world.at(23)
    assert world.status("n1") == "degraded"
    world.load("n1")
    assert world.status("n1") == "ready"


def test_a_degraded_node_finishes_what_it_has_and_gets_nothing_new() -> None:
    world = World()
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.load("n1", gpu=None)
    world.beat("n1")
    world.beat("n1")
    world.speak("ana")
    world.answer("ana#0>en")
    assert world.heard("ana") == ["ana#0>en"]
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "STATUS_NOT_READY")]


# --- draining


def test_a_draining_node_finishes_what_it_has_and_gets_nothing_new() -> None:
    world = World()
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.speak("ana")
    world.drain("n1")
    world.speak("ana")
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "STATUS_NOT_READY")]
    world.answer("ana#0>en")
    assert world.status("n1") == "draining"
    world.run(20)
    world.answer("ana#1>en")
    assert world.heard("ana") == ["ana#0>en", "ana#1>en"]


def test_only_the_node_itself_can_ask_to_be_drained() -> None:
    world = World()
    world.node("n1")
    world.node("n2")
    world.send(world.workers["n1"].connection, NodeControl("n2", "drain"))
    assert (world.status("n1"), world.status("n2")) == ("ready", "ready")


def test_a_drained_node_that_comes_back_is_fresh() -> None:
    world = World()
    world.node("n1")
    world.drain("n1")
    world.lose("n1")
    world.node("n1")
    assert world.status("n1") == "ready"


# --- silence


@pytest.mark.parametrize(
    ("last_beat_at", "found_at"),
    [
        (0, 60),
        (14, 60),
        (16, 90),
        (44, 90),
        (46, 120),
    ],
)
def test_a_silent_node_is_offline_at_the_first_scan_after_the_time_out(last_beat_at: float, found_at: float) -> None:
    """Silence for 45 s, looked at every 30 s; until then it stays what it was."""
    world = World()
    world.node("n1")
    world.silence("n1")
    for moment in range(0, last_beat_at, 20):
        world.at(moment)
        world.beat("n1")
    world.at(last_beat_at)
    world.beat("n1")
    world.at(found_at, asleep=True)
    assert world.status("n1") == "ready"
    world.wake()
    assert world.status("n1") == "offline"


def test_a_node_that_beats_is_never_taken_for_silent() -> None:
    world = World()
    world.node("n1")
    world.at(3600)
    assert world.status("n1") == "ready"


def test_a_silent_node_still_gets_jobs_until_it_is_found_out() -> None:
    world = World()
    world.node("n1")
    world.silence("n1")
    world.session("ana")
    world.at(59)
    world.speak("ana")
    assert world.nodes_of("ana#0>en") == ["n1"]


def test_heartbeats_over_the_connection_of_a_node_taken_for_offline_change_nothing() -> None:
    world = World()
    world.node("n1")
    world.silence("n1")
    world.at(60)
    assert world.status("n1") == "offline"
    for _ in range(5):
        world.beat("n1")
    assert world.status("n1") == "offline"
    assert world.would_go_to() is None
    world.drain("n1")
    assert world.status("n1") == "offline"


def test_a_node_taken_for_offline_may_register_over_the_same_connection() -> None:
    world = World()
    world.node("n1")
    world.silence("n1")
    world.at(60)
    connection = world.workers["n1"].connection
    (ack,) = world.send(connection, registration("n1"))
    assert ack.status == "registering"
    for _ in range(3):
        world.beat("n1")
    assert world.status("n1") == "ready"


def test_the_late_closing_of_an_old_connection_leaves_the_node_alone() -> None:
    world = World()
    world.node("n1")
    world.silence("n1")
    world.at(60)
    old = world.workers["n1"].connection
    world.node("n1")
    world.send(old, NodeHeartbeat("n1", 0, usage(gpu=None)))
    world.disconnect(old)
    assert world.status("n1") == "ready"


def test_a_heartbeat_over_another_nodes_connection_does_not_keep_a_silent_node_online() -> None:
    world = World()
    world.node("n1")
    world.node("n2")
    world.silence("n1")
    for moment in (15, 30, 45, 59):
        world.at(moment)
        world.send(world.workers["n2"].connection, NodeHeartbeat("n1", 0, usage()))
    world.at(60)
    assert (world.status("n1"), world.status("n2")) == ("offline", "ready")


def test_a_dropped_connection_is_offline_at_once() -> None:
    world = World()
    world.node("n1")
    world.at(31)
    world.lose("n1")
    assert world.status("n1") == "offline"


def test_nodes_lost_at_one_scan_are_all_lost_before_any_job_is_tried_again() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name)
    world.session("ana")
    world.silence("n1")
    world.silence("n2")
    world.at(59)
    world.speak("ana")
    world.at(60)
    assert world.nodes_of("ana#0>en") == ["n1", "n3"]
    world.answer("ana#0>en")
    assert world.heard("ana") == ["ana#0>en"]


def test_scans_happen_at_whole_multiples_of_their_interval_from_time_0() -> None:
    world = World(heartbeat_timeout=1, node_scan_interval=30, reconnect_grace=5)
    world.at(1000)
    world.register("n1")
    world.silence("n1")
    world.session("ana")
    world.drop("ana")
    world.at(1005)  # the grace ends: the scheduler is woken, and it is not time to look at nodes
    assert world.scheduler.entry_count() == 1
    assert world.status("n1") == "registering"
    world.at(1020)
    assert world.status("n1") == "offline"
