"""A node's life: its statuses and their transitions as data, its health, and what it is able to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import InstalledModel, ModelState, ResourceUsage

if TYPE_CHECKING:
    from simroom.scheduler.jobs import Attempt


class NodeStatus(StrEnum):
    """What a node is to the scheduler; only ``READY`` gets jobs."""

    REGISTERING = "registering"
    READY = "ready"
    DEGRADED = "degraded"
    DRAINING = "draining"
    OFFLINE = "offline"


class NodeEvent(StrEnum):
    """What can move a node from one status to another."""

    REGISTERED = "registered"
    PROVEN_HEALTHY = "proven healthy"
    UNHEALTHY_TOO_OFTEN = "unhealthy too often"
    HEALTHY_AGAIN = "healthy again"
    WARMUP_TIMED_OUT = "warm-up timed out"
    DRAIN_ASKED = "drain asked"
    HEARTBEAT_TIMED_OUT = "heartbeat timed out"
    CONNECTION_CLOSED = "connection closed"


TRANSITIONS: Final[Mapping[tuple[NodeStatus, NodeEvent], NodeStatus]] = {
    (NodeStatus.OFFLINE, NodeEvent.REGISTERED): NodeStatus.REGISTERING,
    (NodeStatus.REGISTERING, NodeEvent.PROVEN_HEALTHY): NodeStatus.READY,
    (NodeStatus.REGISTERING, NodeEvent.WARMUP_TIMED_OUT): NodeStatus.DEGRADED,
    (NodeStatus.REGISTERING, NodeEvent.DRAIN_ASKED): NodeStatus.DRAINING,
    (NodeStatus.REGISTERING, NodeEvent.HEARTBEAT_TIMED_OUT): NodeStatus.OFFLINE,
    (NodeStatus.REGISTERING, NodeEvent.CONNECTION_CLOSED): NodeStatus.OFFLINE,
    (NodeStatus.READY, NodeEvent.UNHEALTHY_TOO_OFTEN): NodeStatus.DEGRADED,
    (NodeStatus.READY, NodeEvent.DRAIN_ASKED): NodeStatus.DRAINING,
    (NodeStatus.READY, NodeEvent.HEARTBEAT_TIMED_OUT): NodeStatus.OFFLINE,
    (NodeStatus.READY, NodeEvent.CONNECTION_CLOSED): NodeStatus.OFFLINE,
    (NodeStatus.DEGRADED, NodeEvent.HEALTHY_AGAIN): NodeStatus.READY,
    (NodeStatus.DEGRADED, NodeEvent.DRAIN_ASKED): NodeStatus.DRAINING,
    (NodeStatus.DEGRADED, NodeEvent.HEARTBEAT_TIMED_OUT): NodeStatus.OFFLINE,
    (NodeStatus.DEGRADED, NodeEvent.CONNECTION_CLOSED): NodeStatus.OFFLINE,
    (NodeStatus.DRAINING, NodeEvent.HEARTBEAT_TIMED_OUT): NodeStatus.OFFLINE,
    (NodeStatus.DRAINING, NodeEvent.CONNECTION_CLOSED): NodeStatus.OFFLINE,
}
"""Every legal move; what is not here does not happen. The diagram in ``docs/`` is drawn from it."""

UNHEALTHY_MAX: Final = 3
"""So many unhealthy ones of the last ``HEALTH_WINDOW`` heartbeats degrade a ready node."""
HEALTH_WINDOW: Final = 5


class ExcludeReason(StrEnum):
    """Why a node is no candidate: the first filter it fails, in the order in which they are applied."""

    OFFLINE = "OFFLINE"
    STATUS_NOT_READY = "STATUS_NOT_READY"
    NOT_IN_PUBLIC_POOL = "NOT_IN_PUBLIC_POOL"
    GPU_UNAVAILABLE = "GPU_UNAVAILABLE"
    MODEL_NOT_AVAILABLE = "MODEL_NOT_AVAILABLE"
    CAPACITY_EXCEEDED = "CAPACITY_EXCEEDED"
    RESOURCE_THRESHOLD_EXCEEDED = "RESOURCE_THRESHOLD_EXCEEDED"


class Capability(Struct, frozen=True):
    """What a node's ready models allow; equal capabilities are one object.

    Attributes:
        asr: It has an ASR model.
        nmt: Source languages by target language.
        tts: Languages that it can speak.
        models: Ids of all its ready models.
    """

    asr: bool
    nmt: frozenset[tuple[str, str]]
    tts: frozenset[str]
    models: frozenset[str]

    def fits(self, src_lang: str, tgt_lang: str, models: tuple[str, ...]) -> bool:
        """Whether a job from ``src_lang`` (a language, never ``auto``) into ``tgt_lang`` can be done."""
        return (
            self.asr
            and (src_lang, tgt_lang) in self.nmt
            and tgt_lang in self.tts
            and all(model in self.models for model in models)
        )

    def fits_auto(self, auto_langs: tuple[str, ...] | None, tgt_lang: str, models: tuple[str, ...]) -> bool:
        """The same where the source is any of ``auto_langs``; None: any language at all."""
        if auto_langs is not None:
            return any(self.fits(src_lang, tgt_lang, models) for src_lang in auto_langs)
        return any(self.fits(src, tgt, models) for src, tgt in self.nmt if tgt == tgt_lang)


class Node(Struct, eq=False):
    """A GPU worker, from its first registration on; its place in the order of registration never changes.

    Attributes:
        index: Its place in the order of registration, from 0.
        bit: ``1 << index``.
        connection: None while offline.
        all_models_ready: Every installed model is; a registering node needs that to be healthy.
        all_stages_ready: At least one model of each stage is; any other node needs that.
        tracked: Attempts that hold one of its slots.
        attempts: Those attempts, in the order of their dispatch.
        usage: What its last heartbeat said; None before the first.
        healthy_streak: Healthy heartbeats in a row while registering.
        recent_health: Health at the last heartbeats since registration, the newest last.
        overcommitted_count: Jobs placed on it beyond its slots (possible only under ``load: reported``).
    """

    node_id: str
    index: int
    bit: int
    connection: int | None
    to: tuple[int, ...]
    status: NodeStatus
    slots: int
    public: bool
    has_gpu: bool
    installed_models: tuple[InstalledModel, ...]
    capability_state: dict[str, ModelState]
    capability: Capability
    all_models_ready: bool
    all_stages_ready: bool
    registered_at: int
    last_heartbeat_at: int
    tracked: int = 0
    attempts: dict[str, Attempt] = {}
    usage: ResourceUsage | None = None
    healthy_streak: int = 0
    recent_health: deque[bool] = deque()
    overcommitted_count: int = 0

    @property
    def reported(self) -> int:
        """Jobs that the node itself last said it had; 0 before its first heartbeat."""
        return 0 if self.usage is None else max(0, self.usage.running_jobs)

    def take_models(
        self, installed_models: tuple[InstalledModel, ...], capability_state: dict[str, ModelState], tags: Tags
    ) -> None:
        """Know the node's models and their states from now on; what the state does not name is ready."""
        self.installed_models = installed_models
        self.capability_state = capability_state
        self.capability = capability_of(installed_models, capability_state, tags)
        enabled = [model for model in installed_models if model.enabled is not False]
        ready = [model for model in enabled if capability_state.get(model.model_id, "ready") == "ready"]
        self.all_models_ready = len(ready) == len(enabled)
        self.all_stages_ready = {"asr", "nmt", "tts"} <= {model.kind for model in ready}

    def healthy(self) -> bool:
        """Whether the node is healthy by its last heartbeat: a GPU, its use readable, the models it needs."""
        usage = self.usage
        if not self.has_gpu or usage is None or usage.gpu_percent is None or not 0 <= usage.gpu_percent <= 100:
            return False
        return self.all_models_ready if self.status is NodeStatus.REGISTERING else self.all_stages_ready

    def under_threshold(self, threshold: float) -> bool:
        """Whether CPU, GPU and memory are each at or under ``threshold`` (share); what is unknown is under it."""
        usage = self.usage
        return usage is None or (
            usage.cpu_percent / 100 <= threshold
            and usage.mem_percent / 100 <= threshold
            and (usage.gpu_percent is None or usage.gpu_percent / 100 <= threshold)
        )


def capability_of(
    installed_models: tuple[InstalledModel, ...], capability_state: Mapping[str, ModelState], tags: Tags
) -> Capability:
    """What the models that are installed, enabled and ready allow. A TTS model without a target speaks its source."""
    ready = [
        model
        for model in installed_models
        if model.enabled is not False and capability_state.get(model.model_id, "ready") == "ready"
    ]
    return Capability(
        asr=any(model.kind == "asr" for model in ready),
        nmt=frozenset(
            (tags.canonical(model.src_lang), tags.canonical(model.tgt_lang))
            for model in ready
            if model.kind == "nmt" and model.src_lang and model.tgt_lang
        ),
        tts=frozenset(
            tags.canonical(model.tgt_lang or model.src_lang or "")
            for model in ready
            if model.kind == "tts" and (model.tgt_lang or model.src_lang)
        ),
        models=frozenset(model.model_id for model in ready),
    )
