"""The nodes as the oracle sees them, and an index that answers at once which of them is the one to take.

A node is a bit in whole numbers of any length. ``levels[n]`` has the bits of the nodes that could take a job of any
kind now and have ``n`` jobs; a profile's ``fits`` has the bits of the nodes with the models that such a job needs.
"""

from __future__ import annotations

from typing import Final

from simroom.oracle.ledger import NONE
from simroom.oracle.tags import AUTO, Tags
from simroom.scheduler.messages import Features, InstalledModel, ModelState, ResourceUsage
from simroom.scheduler.settings import Settings

REGISTERING: Final = "registering"
READY: Final = "ready"
DEGRADED: Final = "degraded"
DRAINING: Final = "draining"
OFFLINE: Final = "offline"

MODELS_OF_FEATURE: Final = {
    "emotion_detection": ("emotion-xlm-r",),
    "voice_style_detection": ("vc-model-v1", "speaker-id-ecapa"),
    "speech_rate_detection": ("sr-d-v1",),
    "speech_rate_control": ("tts-vocoder-v1", "sr-d-v1"),
    "speaker_identification": ("speaker-id-ecapa",),
    "persona_adaptation": ("persona-style-transformer",),
}
"""What each feature needs beyond asr, nmt and tts, its module's dependencies included."""


def models_needed(features: Features | None) -> tuple[str, ...]:
    """Ids of the models that these features need, each once, in order of id."""
    if features is None:
        return ()
    needed = {model: None for flag, models in MODELS_OF_FEATURE.items() if getattr(features, flag) for model in models}
    return tuple(sorted(needed))


class Profile:
    """What a job asks of a node.

    Attributes:
        sources: Source languages of which one will do; None: any.
        fits: Bits of the nodes that have it all, installed and ready.
    """

    __slots__ = ("fits", "needs", "sources", "tgt")

    def __init__(self, sources: tuple[str, ...] | None, tgt: str, needs: tuple[str, ...]) -> None:
        self.sources = sources
        self.tgt = tgt
        self.needs = needs
        self.fits = 0


class Capability:
    """What a node with certain models in certain states can do; nodes that are alike share one.

    Attributes:
        whole: Every installed model is ready.
        usable: At least one asr, one nmt and one tts model is ready.
        members: Bits of the nodes that are so.
    """

    __slots__ = ("_asr", "_models", "_nmt", "_tts", "key", "members", "usable", "whole")

    def __init__(
        self,
        key: tuple[tuple[InstalledModel, ...], tuple[tuple[str, str], ...]],
        tags: Tags,
    ) -> None:
        self.key = key
        models, stated = key
        states = dict(stated)
        self.members = 0
        self.whole = True
        self._asr = False
        self._nmt: dict[str, dict[str, None]] = {}
        self._tts: dict[str, None] = {}
        self._models: dict[str, None] = {}
        for model in models:
            if model.enabled is False:
                continue
            if states.get(model.model_id, "ready") != "ready":
                self.whole = False
                continue
            self._models[model.model_id] = None
            if model.kind == "asr":
                self._asr = True
            elif model.kind == "nmt":
                if model.src_lang and model.tgt_lang:
                    self._nmt.setdefault(tags.of(model.tgt_lang), {})[tags.of(model.src_lang)] = None
                else:
                    self._nmt.setdefault("", {})
            elif model.kind == "tts":
                self._tts[tags.of(model.tgt_lang or model.src_lang or "")] = None
        self.usable = self._asr and bool(self._nmt) and bool(self._tts)

    def fits(self, profile: Profile) -> bool:
        """Whether it can do what the profile asks."""
        if not self._asr or profile.tgt not in self._tts:
            return False
        sources = self._nmt.get(profile.tgt)
        if not sources:
            return False
        if profile.sources is not None and not any(source in sources for source in profile.sources):
            return False
        return all(model in self._models for model in profile.needs)


class Node:
    """A node: what it said of itself, its status, its load.

    Attributes:
        index: Place in the order of registration, kept for good.
        connection: The connection it registered on, while that is open; else None.
        life: How often it has registered; tells an old deadline from a new one.
        usage: The last heartbeat's; None before the first.
        load: Attempts that hold a slot.
        level: Where its bit stands in the index; ``NONE``: nowhere, it can take nothing.
        willing: Status, pool and resources would let it take a job.
        streak: Healthy heartbeats in a row while registering.
        beats: The last five heartbeats since registration, a bit each, 1: unhealthy.
    """

    __slots__ = (
        "beat_at",
        "beats",
        "capability",
        "connection",
        "index",
        "level",
        "life",
        "load",
        "models",
        "name",
        "node_id",
        "number",
        "public",
        "registered_at",
        "slots",
        "states",
        "status",
        "streak",
        "usage",
        "willing",
    )

    plan: Final = None
    """It speaks not, so it makes no jobs."""

    def __init__(self, node_id: str, index: int) -> None:
        self.node_id = node_id
        self.index = index
        self.name = node_id
        self.number = NONE
        self.connection: int | None = None
        self.life = 0
        self.status = OFFLINE
        self.public = False
        self.slots = 0
        self.models: tuple[InstalledModel, ...] = ()
        self.states: dict[str, ModelState] = {}
        self.capability: Capability | None = None
        self.usage: ResourceUsage | None = None
        self.load = 0
        self.level = NONE
        self.willing = False
        self.streak = 0
        self.beats = 0
        self.beat_at = 0
        self.registered_at = 0

    @property
    def bit(self) -> int:
        """Its bit; made when asked for, as ten thousand of them would not stay in the processor's cache."""
        return 1 << self.index


class Fleet:
    """All nodes and the index over them.

    Attributes:
        nodes: By id, in order of registration, those that are offline too.
        in_order: The same, by index.
        levels: Bits of the nodes that can take a job, by load; ``open`` those of all levels.
        pointer: Index of the node placed on last, ``NONE`` before that; moves only under ``tie_break: rotate``.
    """

    def __init__(self, settings: Settings, tags: Tags) -> None:
        self._settings = settings
        self._tags = tags
        self._tracked = settings.load == "tracked"
        self.rotates = settings.tie_break == "rotate"
        self.nodes: dict[str, Node] = {}
        self.in_order: list[Node] = []
        self.levels: list[int] = [0]
        self.open = 0
        self.pointer = NONE
        self._online = 0
        self._ready = 0
        self._public = 0
        self._strained = 0
        self._capabilities: dict[tuple[tuple[InstalledModel, ...], tuple[tuple[str, str], ...]], Capability] = {}
        self._profiles: dict[tuple[tuple[str, ...] | None, str, tuple[str, ...]], Profile] = {}

    def forget(self) -> None:
        """No node is known any more."""
        self.nodes.clear()
        self.in_order.clear()
        self.levels[:] = [0]  # in place, as others hold on to it
        self.open = 0
        self.pointer = NONE
        self._online = self._ready = self._public = self._strained = 0
        self._capabilities.clear()
        self._profiles.clear()

    # --- what jobs ask for

    def profile(self, src: str, tgt: str, needs: tuple[str, ...], auto_langs: tuple[str, ...] | None) -> Profile:
        """The profile of a job; ``auto_langs`` matters where ``src`` is ``auto``."""
        sources = auto_langs if src == AUTO else (src,)
        key = (sources, tgt, needs)
        profile = self._profiles.get(key)
        if profile is None:
            profile = self._profiles[key] = Profile(sources, tgt, needs)
            for capability in self._capabilities.values():
                if capability.fits(profile):
                    profile.fits |= capability.members
        return profile

    # --- nodes come, change and go

    def enlist(self, node_id: str) -> Node:
        """The node with this id; a new one takes the next place in the order."""
        node = self.nodes.get(node_id)
        if node is None:
            node = self.nodes[node_id] = Node(node_id, len(self.in_order))
            self.in_order.append(node)
        return node

    def settle(self, node: Node) -> None:
        """Take over whatever has changed about the node itself: status, pool, resources, slots, load."""
        while len(self.levels) <= node.slots:
            self.levels.append(0)
        bit = node.bit
        online = node.status != OFFLINE
        self._online = self._online | bit if online else self._online & ~bit
        ready = node.status == READY
        self._ready = self._ready | bit if ready else self._ready & ~bit
        self._public = self._public | bit if node.public else self._public & ~bit
        spared = self._spared(node)
        self._strained = self._strained & ~bit if spared else self._strained | bit
        node.willing = ready and node.public and spared
        self._stand(node)

    def equip(self, node: Node) -> None:
        """Take over which models the node has and in which state."""
        old = node.capability
        key = (node.models, tuple(sorted(node.states.items())))
        if old is not None and old.key == key:
            return
        new = self._capabilities.get(key)
        if new is None:
            new = self._capabilities[key] = Capability(key, self._tags)
        new.members |= node.bit
        node.capability = new
        for profile in self._profiles.values():
            before = old is not None and old.fits(profile)
            if before != new.fits(profile):
                profile.fits ^= node.bit
        if old is not None:
            old.members ^= node.bit
            if not old.members:
                del self._capabilities[old.key]

    def loaded(self, node: Node, change: int) -> None:
        """A slot of the node was taken (+1) or freed (-1)."""
        node.load += change
        if self._tracked:
            self._stand(node)

    def _stand(self, node: Node) -> None:
        load = self._load(node)
        level = load if node.willing and load < node.slots else NONE
        if level != node.level:
            if node.level != NONE:
                self.levels[node.level] ^= node.bit
                self.open ^= node.bit
            if level != NONE:
                self.levels[level] ^= node.bit
                self.open ^= node.bit
            node.level = level

    def _load(self, node: Node) -> int:
        if self._tracked:
            return node.load
        return 0 if node.usage is None else max(0, node.usage.running_jobs)

    def _spared(self, node: Node) -> bool:
        usage = node.usage
        if usage is None:
            return True
        highest = max(usage.cpu_percent, usage.mem_percent, usage.gpu_percent or 0.0)
        return highest / 100 <= self._settings.resource_threshold

    # --- the question

    def any_fits(self, profile: Profile) -> bool:
        """Whether some node could take such a job now."""
        return bool(self.open & profile.fits)

    def fitting(self, node: Node, profile: Profile) -> bool:
        """Whether this node could take such a job now."""
        return node.level != NONE and bool(profile.fits & node.bit)

    def least_loaded(self, mask: int) -> int:
        """Bits of the nodes with the fewest jobs among those of ``mask`` that can take one; 0: none can."""
        for bits in self.levels:
            candidates = bits & mask
            if candidates:
                return candidates
        return 0

    def drawable(self, mask: int, draws: int) -> int:
        """Bits of the nodes that can have the fewest jobs of ``draws`` different ones of ``mask`` that can take one.

        It is all of them but those with so many jobs that too few have as many: of two that are drawn, none is ever
        the only one with the most jobs of all.
        """
        candidates = self.open & mask
        others = candidates.bit_count() - min(draws, candidates.bit_count())
        drawable = fewer = 0
        for bits in self.levels:
            if fewer > others or drawable == candidates:
                break
            drawable |= bits & mask
            fewer += (bits & mask).bit_count()
        return drawable

    def next_of(self, candidates: int) -> Node:
        """The node that ``first`` and ``rotate`` take among these; there must be one."""
        after = candidates >> (self.pointer + 1)
        if after:
            return self.in_order[(after & -after).bit_length() + self.pointer]
        return self.in_order[(candidates & -candidates).bit_length() - 1]

    def exclude_reason(self, node: Node, profile: Profile) -> str | None:
        """The first filter that leaves the node out; None: it passes them all."""
        if node.status == OFFLINE:
            return "OFFLINE"
        if node.status != READY:
            return "STATUS_NOT_READY"
        if not node.public:
            return "NOT_IN_PUBLIC_POOL"
        if not profile.fits & node.bit:
            return "MODEL_NOT_AVAILABLE"
        if self._load(node) >= node.slots:
            return "CAPACITY_EXCEEDED"
        if not self._spared(node):
            return "RESOURCE_THRESHOLD_EXCEEDED"
        return None

    def furthest(self, profile: Profile) -> str:
        """Where no node passes: the last filter at which any was left out."""
        public = self._ready & self._public
        fitting = public & profile.fits
        if fitting:
            return "RESOURCE_THRESHOLD_EXCEEDED" if self._any_free(fitting & self._strained) else "CAPACITY_EXCEEDED"
        if public:
            return "MODEL_NOT_AVAILABLE"
        if self._ready:
            return "NOT_IN_PUBLIC_POOL"
        if self._online:
            return "STATUS_NOT_READY"
        return "OFFLINE"

    def _any_free(self, candidates: int) -> bool:
        while candidates:
            node = self.in_order[(candidates & -candidates).bit_length() - 1]
            if self._load(node) < node.slots:
                return True
            candidates ^= node.bit
        return False

    def names(self, candidates: int, count_max: int = 3) -> str:
        """Names of the first of these nodes, for a sentence."""
        nodes = [node.name for node in self.in_order if candidates & node.bit]
        shown = ", ".join(nodes[:count_max])
        return shown if len(nodes) <= count_max else f"{shown} and {len(nodes) - count_max} more"
