"""Choosing a node: the filters in their order, sources to be found out, refusals, and what is only asked."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import Gpu, Hardware, InstalledModel, NodeHeartbeat
from simroom.scheduler.nodes import ExcludeReason

from .harness import World, codes, models, usage

# --- filters


@pytest.mark.parametrize("status", ["registering", "degraded", "draining", "offline"])
def test_only_a_ready_node_gets_jobs(status: str) -> None:
    world = World()
    if status == "registering":
        world.register("n1")
    else:
        world.node("n1")
    if status == "degraded":
        world.load("n1", gpu=None)
        world.beat("n1")
        world.beat("n1")
    elif status == "draining":
        world.drain("n1")
    elif status == "offline":
        world.lose("n1")
    assert world.status("n1") == status
    world.session("ana")
    world.speak("ana")
    assert world.given == {}
    world.node("n2")
    world.speak("ana")
    assert world.nodes_of("ana#1>en") == ["n2"]


def test_a_private_node_gets_nothing() -> None:
    world = World()
    world.node("n1", accept_public_jobs=False)
    world.session("ana")
    world.speak("ana")
    assert world.given == {}
    assert world.why_not("n1") is ExcludeReason.NOT_IN_PUBLIC_POOL


@pytest.mark.parametrize("hardware", [Hardware(8, 32, None), Hardware(8, 32, ())])
def test_a_node_without_a_gpu_never_comes_into_the_choice(hardware: Hardware) -> None:
    world = World()
    assert codes(world.register("n1", hardware=hardware)) == ["NO_GPU_AVAILABLE"]
    assert world.scheduler.where("zh", "en") == []


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("asr-1", "an ASR model"),
        ("nmt-zh-en", "an NMT model for exactly this pair"),
        ("tts-en", "a TTS model for the target"),
    ],
)
@pytest.mark.parametrize("how", ["not there", "not enabled", "downloading", "not_installed", "error"])
def test_each_stage_needs_its_model_installed_enabled_and_ready(missing: str, why: str, how: str) -> None:
    world = World(health_check_count=1)
    installed = models("zh>en ja>en zh>ja")
    state = None
    if how == "not there":
        installed = tuple(model for model in installed if model.model_id != missing)
    elif how == "not enabled":
        installed = tuple(
            InstalledModel(m.model_id, m.kind, m.version, m.src_lang, m.tgt_lang, None, False)
            if m.model_id == missing
            else m
            for m in installed
        )
    world.node("n1", installed_models=installed)
    if state is None and how in ("downloading", "not_installed", "error"):
        world.beat("n1", capability_state={missing: how})
    assert world.why_not("n1") is ExcludeReason.MODEL_NOT_AVAILABLE, why
    world.beat("n1", installed_models=models("zh>en"), capability_state={missing: "ready"})
    assert world.why_not("n1") is None


def test_an_nmt_model_serves_its_own_direction_only() -> None:
    world = World()
    world.node("n1", installed_models=(*models("en>zh"), InstalledModel("tts-en", "tts", "1", None, "en")))
    assert world.why_not("n1", "en", "zh") is None
    assert world.why_not("n1", "zh", "en") is ExcludeReason.MODEL_NOT_AVAILABLE


def test_a_tts_model_without_a_target_speaks_its_source_language() -> None:
    world = World()
    stages = [model for model in models("zh>en") if model.kind != "tts"]
    world.node("n1", installed_models=(*stages, InstalledModel("tts-en", "tts", "1", "en")))
    assert world.would_go_to() == "n1"


def test_a_tts_model_for_another_target_does_not_speak_its_source_language() -> None:
    world = World()
    stages = [model for model in models("zh>en") if model.kind != "tts"]
    world.node("n1", installed_models=(*stages, InstalledModel("tts", "tts", "1", "en", "ja")))
    assert world.why_not("n1") is ExcludeReason.MODEL_NOT_AVAILABLE


def test_models_that_the_capability_state_does_not_name_are_ready() -> None:
    world = World()
    world.node("n1", capability_state={"nmt-zh-ja": "ready"})
    assert world.would_go_to("zh", "en") == "n1"


def test_what_a_heartbeat_leaves_out_is_as_it_was() -> None:
    world = World()
    world.node("n1")
    world.beat("n1", capability_state={"nmt-zh-en": "downloading"})
    world.beat("n1")
    assert world.why_not("n1") is ExcludeReason.MODEL_NOT_AVAILABLE
    world.beat("n1", installed_models=models("zh>en"))
    assert world.why_not("n1") is ExcludeReason.MODEL_NOT_AVAILABLE
    world.beat("n1", capability_state={})
    assert world.would_go_to() == "n1"


def test_a_node_takes_no_more_than_its_slots() -> None:
    world = World()
    world.node("n1", slots=2)
    world.session("ana")
    for _ in range(3):
        world.speak("ana")
    assert sorted(world.given) == ["ana#0>en", "ana#1>en"]
    assert world.why_not("n1") is ExcludeReason.CAPACITY_EXCEEDED
    world.answer("ana#0>en")
    world.speak("ana")
    assert world.nodes_of("ana#3>en") == ["n1"]


def test_a_node_that_does_not_say_has_as_many_slots_as_the_setting() -> None:
    world = World(max_concurrent_jobs=3)
    world.node("n1", slots=None)
    assert world.verdict("n1").slots == 3


def test_a_node_that_says_it_has_no_slot_gets_no_job() -> None:
    world = World()
    world.node("n1", slots=0)
    assert world.verdict("n1").slots == 0
    assert world.why_not("n1") is ExcludeReason.CAPACITY_EXCEEDED


@pytest.mark.parametrize("what", ["cpu", "gpu", "mem"])
def test_each_resource_counts_up_to_the_threshold_and_not_above(what: str) -> None:
    world = World(resource_threshold=0.85)
    world.node("n1")
    world.load("n1", **{what: 85})
    assert world.why_not("n1") is None
    world.load("n1", **{what: 85.1})
    assert world.why_not("n1") is ExcludeReason.RESOURCE_THRESHOLD_EXCEEDED
    world.session("ana")
    world.speak("ana")
    assert world.given == {}


def test_a_resource_that_could_not_be_read_is_under_the_threshold() -> None:
    world = World(resource_threshold=0.1)
    world.node("n1")
    world.load("n1", gpu=None)
    assert world.why_not("n1") is None


def test_what_is_reported_after_the_load_falls_makes_the_node_fit_again() -> None:
    world = World(resource_threshold=0.5)
    world.node("n1")
    world.load("n1", mem=90)
    assert world.would_go_to() is None
    world.load("n1", mem=50)
    assert world.would_go_to() == "n1"


def test_the_first_filter_that_a_node_fails_is_its_exclude_reason() -> None:
    """Every node fails its own filter and all the later ones."""
    world = World(resource_threshold=0.5, health_check_count=1)
    full = {"slots": 1, "pairs": "zh>ja"}
    world.node("offline", accept_public_jobs=False, **full)
    world.register("registering", accept_public_jobs=False, **full)
    world.node("private", accept_public_jobs=False, **full)
    world.node("models", **full)
    world.node("slots", slots=1)
    world.session("ana")
    world.speak("ana")  # takes the one slot of the only node that fits
    for name in ("private", "models", "slots"):
        world.load(name, cpu=90)
    world.node("load")
    world.load("load", cpu=90)
    world.lose("offline")
    assert [(v.node_id, v.exclude_reason) for v in world.scheduler.where("zh", "en")] == [
        ("offline", ExcludeReason.OFFLINE),
        ("registering", ExcludeReason.STATUS_NOT_READY),
        ("private", ExcludeReason.NOT_IN_PUBLIC_POOL),
        ("models", ExcludeReason.MODEL_NOT_AVAILABLE),
        ("slots", ExcludeReason.CAPACITY_EXCEEDED),
        ("load", ExcludeReason.RESOURCE_THRESHOLD_EXCEEDED),
    ]


# --- a source that the node is to find out


@pytest.mark.parametrize(
    ("auto_langs", "expected"),
    [
        (None, "n1"),
        (("zh",), "n1"),
        (("JA", "zh"), "n1"),
        (("ja",), None),
        (("en",), None),
    ],
)
def test_an_automatic_source_fits_a_node_with_a_model_from_any_of_the_languages(
    auto_langs: tuple[str, ...] | None, expected: str | None
) -> None:
    world = World()
    world.node("n1", pairs="zh>en zh>ja")
    assert world.would_go_to("auto", "en", auto_langs=auto_langs) == expected
    world.session("ana", src="auto", tgt="en", auto_langs=auto_langs)
    world.speak("ana")
    assert world.nodes_of("ana#0>en") == ([expected] if expected else [])


def test_an_automatic_source_needs_a_model_into_the_target() -> None:
    world = World()
    world.node("n1", pairs="zh>en")
    assert world.why_not("n1", "auto", "ja") is ExcludeReason.MODEL_NOT_AVAILABLE


def test_an_utterance_can_bring_its_own_automatic_languages() -> None:
    world = World()
    world.node("n1", pairs="zh>en")
    world.session("ana", src="auto", tgt="en", auto_langs=("ja",))
    world.speak("ana")
    world.speak("ana", auto_langs=("zh",))
    assert sorted(world.given) == ["ana#1>en"]


def test_languages_for_an_automatic_source_are_no_help_where_the_source_is_known() -> None:
    world = World()
    world.node("n1", pairs="ja>en")
    world.session("ana", src="zh", tgt="en", auto_langs=("ja",))
    world.speak("ana")
    assert world.given == {}


# --- refusal


def test_a_job_without_a_node_is_refused_and_its_speaker_told() -> None:
    world = World()
    world.room("ana:zh", "ben:en")
    (event,) = world.speak("ana")
    assert (event.event, event.status, event.error_code) == ("ERROR", "error", "NO_AVAILABLE_NODE")
    assert (event.session_id, event.utterance_index) == ("ana", 0)
    assert world.ended() == {"rejected": 1}
    assert world.errors("ben") == []


@pytest.mark.parametrize(
    "reason",
    [
        "OFFLINE",
        "STATUS_NOT_READY",
        "NOT_IN_PUBLIC_POOL",
        "MODEL_NOT_AVAILABLE",
        "CAPACITY_EXCEEDED",
        "RESOURCE_THRESHOLD_EXCEEDED",
    ],
)
def test_a_refusal_names_the_reason_of_the_nodes_that_came_furthest(reason: str) -> None:
    """A node of each kind up to ``reason`` is there, in an order that must not matter."""
    reasons = [
        "RESOURCE_THRESHOLD_EXCEEDED",
        "CAPACITY_EXCEEDED",
        "MODEL_NOT_AVAILABLE",
        "NOT_IN_PUBLIC_POOL",
        "STATUS_NOT_READY",
        "OFFLINE",
    ]
    for order in (1, -1):
        world = World(resource_threshold=0.5, health_check_count=1)
        for why in reasons[reasons.index(reason) :][::order]:
            if why == "STATUS_NOT_READY":
                world.register(why)
                continue
            world.node(
                why,
                slots=1,
                pairs="fr>de" if why == "MODEL_NOT_AVAILABLE" else None,
                accept_public_jobs=why != "NOT_IN_PUBLIC_POOL",
            )
            if why == "CAPACITY_EXCEEDED":
                world.session("bob")
                world.speak("bob")
            elif why == "OFFLINE":
                world.lose(why)
            elif why == "RESOURCE_THRESHOLD_EXCEEDED":
                world.load(why, gpu=60)
        world.session("ana")
        (event,) = world.speak("ana")
        assert event.hint == reason


def test_where_there_is_no_node_at_all_the_hint_is_offline() -> None:
    world = World()
    world.session("ana")
    world.speak("ana")
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "OFFLINE")]


# --- the dry run


def test_the_dry_run_shows_every_node_with_its_verdict_and_its_load() -> None:
    world = World(tie_break="first")
    world.node("n1", slots=2)
    world.node("n2", slots=3)
    world.node("n3", pairs="ja>zh")
    world.session("ana")
    world.speak("ana")
    answer = [
        (v.node_id, v.status.value, v.exclude_reason, v.jobs, v.slots, v.chosen)
        for v in world.scheduler.where("zh", "en")
    ]
    assert answer == [
        ("n1", "ready", None, 1, 2, False),
        ("n2", "ready", None, 0, 3, True),
        ("n3", "ready", ExcludeReason.MODEL_NOT_AVAILABLE, 0, 4, False),
    ]


def test_the_dry_run_places_nothing() -> None:
    world = World()
    world.node("n1", slots=1)
    before = (world.counts(), world.scheduler.entry_count(), len(world.sent))
    for _ in range(3):
        assert world.would_go_to("zh", "en") == "n1"
    assert (world.counts(), world.scheduler.entry_count(), len(world.sent)) == before
    assert world.jobs_on("n1") == 0


def test_the_dry_run_says_where_the_next_job_does_go() -> None:
    world = World()
    for name in ("n1", "n2", "n3"):
        world.node(name, slots=2)
    world.session("ana")
    for index in range(6):
        foretold = world.would_go_to("ZH", "EN")
        world.speak("ana")
        assert world.nodes_of(f"ana#{index}>en") == [foretold]
        if index % 2:
            world.answer(f"ana#{index}>en")


def test_tags_compare_without_regard_to_case() -> None:
    world = World()
    world.node("n1", pairs="zh-cn>EN-us")
    assert world.would_go_to("ZH-CN", "en-US") == "n1"
    assert world.would_go_to("zh", "en-US") is None


def test_with_primary_language_match_regions_do_not_matter() -> None:
    world = World(language_match="primary")
    world.node("n1", pairs="zh>en-GB")
    assert world.would_go_to("zh-TW", "en-US") == "n1"


def test_usage_is_judged_as_the_node_last_reported_it() -> None:
    world = World(resource_threshold=0.5)
    world.node("n1")
    world.workers["n1"].usage = usage(cpu=80)
    assert world.would_go_to() == "n1", "not reported yet"
    world.at(15)
    assert world.would_go_to() is None


def test_a_heartbeat_in_another_nodes_name_changes_nothing() -> None:
    world = World(resource_threshold=0.5)
    world.node("n1")
    world.node("n2")
    for name in ("n1", "n2"):
        other = "n2" if name == "n1" else "n1"
        world.send(world.workers[name].connection, NodeHeartbeat(other, 0, usage(cpu=99)))
    assert world.why_not("n1") is None
    assert world.why_not("n2") is None


def test_hardware_with_a_gpu_is_enough_whatever_its_name() -> None:
    world = World()
    world.node("n1", hardware=Hardware(1, 1, (Gpu("", 0),)))
    assert world.would_go_to() == "n1"
