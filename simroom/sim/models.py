"""Which of a node's models are loaded: all of them after its warm-up, until some are evicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simroom.scheduler.languages import AUTO, Tags
from simroom.scheduler.messages import InstalledModel, JobAssign, ModelState

STAGES: Final = ("asr", "nmt", "tts")
"""What the models of a stage may be called together."""


class Models:
    """The state of a node's models, as it is and as the scheduler was told.

    Args:
        installed: All of them.
        tags: How languages compare.

    Attributes:
        untold: The scheduler has not been told what has changed.
    """

    def __init__(self, installed: tuple[InstalledModel, ...], tags: Tags) -> None:
        self._installed = installed
        self._tags = tags
        self._holds: dict[int, list[str]] = {}
        self._number = 0
        self.untold = False

    @property
    def all_ready(self) -> bool:
        """Whether nothing is missing."""
        return not self._holds

    def begin(self) -> None:
        """The node starts: nothing of before counts."""
        self._holds = {}
        self.untold = False

    def hold(self, names: Sequence[str] | None) -> int | None:
        """Have models not ready until the hold is released.

        Args:
            names: ``asr``, ``nmt`` or ``tts`` for all of that kind, ``zh>en`` for one pair's translation. None: all.

        Returns:
            What ``release`` takes; None: the node has no such model.
        """
        held = [model.model_id for model in self._installed if names is None or self._is_one_of(model, names)]
        if not held:
            return None
        self._number += 1
        self._holds[self._number] = held
        self.untold = True
        return self._number

    def release(self, hold: int) -> bool:
        """End a hold; False: it has ended already."""
        if self._holds.pop(hold, None) is None:
            return False
        self.untold = True
        return True

    def state(self) -> dict[str, ModelState]:
        """The state of every model, in order."""
        held = dict.fromkeys(model_id for hold in self._holds.values() for model_id in hold)
        return {model.model_id: "downloading" if model.model_id in held else "ready" for model in self._installed}

    def lacks(self, message: JobAssign) -> bool:
        """Whether a model that the job needs is not ready; of those that could do, one must be."""
        if not self._holds:
            return False
        state = self.state()
        ready = [model for model in self._installed if state[model.model_id] == "ready"]
        src, tgt = self._tags.canonical(message.src_lang), self._tags.canonical(message.tgt_lang)
        asr = any(model.kind == "asr" for model in ready)
        nmt = any(
            model.kind == "nmt" and self._is(model.tgt_lang, tgt) and (src == AUTO or self._is(model.src_lang, src))
            for model in ready
        )
        tts = any(model.kind == "tts" and self._is(model.tgt_lang or model.src_lang, tgt) for model in ready)
        return not (asr and nmt and tts)

    def _is(self, tag: str | None, canonical: str) -> bool:
        return tag is not None and self._tags.canonical(tag) == canonical

    def _is_one_of(self, model: InstalledModel, names: Sequence[str]) -> bool:
        if model.kind in STAGES and model.kind in names:
            return True
        if model.kind != "nmt":
            return False
        pairs = [name.split(">") for name in names if ">" in name]
        canonical = self._tags.canonical
        return any(
            self._is(model.src_lang, canonical(src.strip())) and self._is(model.tgt_lang, canonical(tgt.strip()))
            for src, tgt in pairs
        )
