"""Features name modules, modules need modules, modules need models on the node."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import Features
from simroom.scheduler.modules import MODULES, Module, ModuleError, expand, required_models
from simroom.scheduler.nodes import ExcludeReason

from .harness import World

MODELS_OF_FEATURE = {
    "emotion_detection": ("emotion-xlm-r",),
    "voice_style_detection": ("speaker-id-ecapa", "vc-model-v1"),
    "speech_rate_detection": ("sr-d-v1",),
    "speech_rate_control": ("sr-d-v1", "tts-vocoder-v1"),
    "speaker_identification": ("speaker-id-ecapa",),
    "persona_adaptation": ("persona-style-transformer",),
}


@pytest.mark.parametrize(("feature", "needed"), MODELS_OF_FEATURE.items())
def test_a_feature_needs_the_models_of_its_module_and_of_all_that_it_depends_on(
    feature: str, needed: tuple[str, ...]
) -> None:
    features = Features(**{feature: True})
    for missing in needed:
        world = World()
        world.node("n1", extra=[model for model in needed if model != missing])
        assert world.why_not("n1", features=features) is ExcludeReason.MODEL_NOT_AVAILABLE, missing
    world.node("n2", extra=needed)
    assert world.would_go_to(features=features) == "n2"
    chosen = world.scheduler.selection.select_node_with_module_expansion("zh", "en", features)
    assert chosen is not None
    assert chosen.node_id == "n2"


def test_a_modules_model_must_be_ready_too() -> None:
    world = World()
    world.node("n1", extra=["emotion-xlm-r"])
    world.beat("n1", capability_state={"emotion-xlm-r": "downloading"})
    assert world.why_not("n1", features=Features(emotion_detection=True)) is ExcludeReason.MODEL_NOT_AVAILABLE
    assert world.why_not("n1") is None


def test_the_features_of_a_session_decide_where_its_jobs_go() -> None:
    world = World()
    world.node("n1")
    world.node("n2", extra=["emotion-xlm-r"])
    world.session("ana", features=Features(emotion_detection=True))
    world.session("bob")
    world.speak("ana")
    world.speak("ana", features=Features(speaker_identification=True))
    world.speak("bob", features=Features(emotion_detection=True))
    assert world.nodes_of("ana#0>en") == ["n2"]
    assert world.nodes_of("ana#1>en") == []
    assert world.nodes_of("bob#0>en") == ["n2"]


def test_a_module_comes_after_all_that_it_needs_and_once() -> None:
    order = expand(["speech_rate_control", "persona_adaptation"])
    assert len(set(order)) == len(order)
    assert set(order) == {"asr", "nmt", "tts", "speech_rate_detection", "speech_rate_control", "persona_adaptation"}
    for place, name in enumerate(order):
        assert all(needed in order[:place] for needed in MODULES[name].needs)


def test_an_unknown_module_is_an_error_and_no_silent_fallback() -> None:
    with pytest.raises(ModuleError, match="'telepathy'"):
        expand(["asr", "telepathy"])
    with pytest.raises(ModuleError, match="'b'"):
        expand(["a"], {"a": Module(needs=("b",))})


@pytest.mark.parametrize(
    "graph",
    [
        {"a": Module(needs=("a",))},
        {"a": Module(needs=("b",)), "b": Module(needs=("a",))},
        {"a": Module(needs=("b",)), "b": Module(needs=("c",)), "c": Module(needs=("b",))},
    ],
)
def test_a_module_that_needs_itself_is_an_error(graph: dict[str, Module]) -> None:
    with pytest.raises(ModuleError, match="needs itself"):
        expand(["a"], graph)


def test_a_module_needed_on_two_ways_is_no_cycle() -> None:
    graph = {"a": Module(needs=("b", "c")), "b": Module(needs=("d",)), "c": Module(needs=("d",)), "d": Module()}
    assert expand(["a"], graph) == ("d", "b", "c", "a")


def test_a_feature_whose_module_is_missing_from_the_graph_is_an_error() -> None:
    with pytest.raises(ModuleError):
        required_models(Features(emotion_detection=True), {"asr": Module()})
