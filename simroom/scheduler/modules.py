"""Features name modules, modules need modules, modules need models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from simroom.scheduler.messages import Features


class ModuleError(ValueError):
    """A module graph that cannot be expanded: an unknown module, or one that needs itself."""


class Module(Struct, frozen=True):
    """One module: the modules it needs, and its own model (None: the model of its stage, whichever it is)."""

    needs: tuple[str, ...] = ()
    model_id: str | None = None


MODULES: Final[Mapping[str, Module]] = {
    "asr": Module(),
    "nmt": Module(needs=("asr",)),
    "tts": Module(needs=("nmt",)),
    "emotion_detection": Module(needs=("asr",), model_id="emotion-xlm-r"),
    "speaker_identification": Module(model_id="speaker-id-ecapa"),
    "voice_cloning": Module(needs=("speaker_identification",), model_id="vc-model-v1"),
    "speech_rate_detection": Module(needs=("asr",), model_id="sr-d-v1"),
    "speech_rate_control": Module(needs=("speech_rate_detection", "tts"), model_id="tts-vocoder-v1"),
    "persona_adaptation": Module(needs=("asr",), model_id="persona-style-transformer"),
}
"""The modelled system's modules and what each needs."""

MODULE_OF_FEATURE: Final[Mapping[str, str]] = {
    "emotion_detection": "emotion_detection",
    "voice_style_detection": "voice_cloning",
    "speech_rate_detection": "speech_rate_detection",
    "speech_rate_control": "speech_rate_control",
    "speaker_identification": "speaker_identification",
    "persona_adaptation": "persona_adaptation",
}
"""The module that each feature of a session asks for."""


def expand(names: Iterable[str], modules: Mapping[str, Module] = MODULES) -> tuple[str, ...]:
    """All modules that ``names`` need, themselves included, each after what it needs.

    Raises:
        ModuleError: A name is no module, or a module needs itself, directly or through others.
    """
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            raise ModuleError(f"module {name!r} needs itself: {' → '.join([*path[path.index(name) :], name])}")
        module = modules.get(name)
        if module is None:
            raise ModuleError(f"there is no module {name!r}" + (f", which {path[-1]!r} needs" if path else ""))
        path.append(name)
        for needed in module.needs:
            visit(needed)
        path.pop()
        done[name] = None

    for name in names:
        visit(name)
    return tuple(done)


def required_models(features: Features | None, modules: Mapping[str, Module] = MODULES) -> tuple[str, ...]:
    """The ids of the models that the features need beyond the three stages, in the order of expansion.

    Raises:
        ModuleError: As ``expand``.
    """
    if features is None:
        return ()
    wanted = [module for feature, module in MODULE_OF_FEATURE.items() if getattr(features, feature)]
    models = (modules[name].model_id for name in expand(wanted, modules))
    return tuple(model for model in models if model is not None)
