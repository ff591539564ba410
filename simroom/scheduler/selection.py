"""Choosing a node: the filters, the fewest jobs, the ties, at the same cost for ten nodes and ten thousand.

Sets of nodes are whole numbers with one bit for each node, in the order of registration: a filter is one ``&``.
Nothing here knows of rooms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from simroom.scheduler.languages import AUTO
from simroom.scheduler.messages import Features
from simroom.scheduler.modules import required_models
from simroom.scheduler.nodes import Capability, ExcludeReason, Node, NodeStatus
from simroom.scheduler.sessions import Needs
from simroom.scheduler.settings import Settings

_FITS_MAX: Final = 65_536  # remembered answers; clients choose the languages, so the memory of them is bounded
_LOAD_MAX: Final = 65_535  # beyond it nodes count as equally loaded; only a report can claim more


class NodeVerdict(Struct, frozen=True):
    """What a job would find at one node.

    Attributes:
        exclude_reason: The first filter that the node fails; None: it is a candidate.
        jobs: What counts as its jobs under the ``load`` setting.
        chosen: The job would go there.
    """

    node_id: str
    status: NodeStatus
    exclude_reason: ExcludeReason | None
    jobs: int
    slots: int
    chosen: bool


class Selection:
    """The fleet as the filters see it."""

    def __init__(self, settings: Settings, choose: Callable[[int], int]) -> None:
        self._settings = settings
        self._choose = choose
        self._track = settings.load == "tracked"
        self._draws = settings.policy in ("random", "choices")
        self._rotates = settings.tie_break == "rotate"
        self._by_chance = settings.tie_break == "random"
        self.nodes: list[Node] = []
        self._all = 0
        self._online = 0
        self._ready = 0
        self._public = 0
        self._gpu = 0
        self._under_threshold = 0
        self._free = 0
        self._eligible = 0
        self._by_load: list[int] = [0]
        self._lowest = 0
        self._reported: list[int] = []
        """Under ``load: reported``, the level at which each node stands."""
        self._by_capability: dict[Capability, int] = {}
        self.fits: dict[tuple[str, str, Needs], int] = {}
        """Answers of ``fitting`` that are remembered."""
        self._needs: dict[tuple[tuple[str, ...], tuple[str, ...] | None], Needs] = {}
        self._next_index = 0

    # --- what jobs ask for

    def needs(self, features: Features | None, auto_langs: tuple[str, ...] | None) -> Needs:
        """What a session asks of a node beyond languages; the same object for the same demands.

        Raises:
            ModuleError: A feature's module cannot be expanded.
        """
        key = (required_models(features), auto_langs)
        known = self._needs.get(key)
        if known is None:
            if len(self._needs) >= _FITS_MAX:
                self._needs.clear()
                self.fits.clear()
            known = self._needs[key] = Needs(models=key[0], auto_langs=auto_langs)
        return known

    def fitting(self, src_lang: str, tgt_lang: str, needs: Needs) -> int:
        """The nodes that have every model for such a job, installed and ready, as bits."""
        key = (src_lang, tgt_lang, needs)
        bits = self.fits.get(key)
        if bits is None:
            if len(self.fits) >= _FITS_MAX:
                self.fits.clear()
            bits = 0
            for capability, nodes in self._by_capability.items():
                if (
                    capability.fits_auto(needs.auto_langs, tgt_lang, needs.models)
                    if src_lang == AUTO
                    else capability.fits(src_lang, tgt_lang, needs.models)
                ):
                    bits |= nodes
            self.fits[key] = bits
        return bits

    # --- choosing

    def select_node_with_module_expansion(
        self, src_lang: str, tgt_lang: str, features: Features | None = None
    ) -> Node | None:
        """The node that a job would be placed on now, without placing it; None: no node fits.

        Args:
            src_lang: Canonical source tag, or ``auto``.
            tgt_lang: Canonical target tag.
            features: What the session asks for; each feature names a module, modules are expanded.

        Raises:
            ModuleError: A feature's module cannot be expanded.
        """
        return self.select(self.fitting(src_lang, tgt_lang, self.needs(features, None)))

    def fits_now(self, node: Node, fitting: int) -> bool:
        """Whether one node passes every filter, given the nodes that have the models."""
        return bool(self._eligible & self._free & fitting & node.bit)

    def any_fits(self, fitting: int) -> bool:
        """Whether some node passes every filter."""
        return bool(self._eligible & self._free & fitting)

    def untried(self, fitting: int, tried: tuple[Node, ...]) -> int:
        """The nodes to choose among for a new attempt: those never given the job, where one of them fits now."""
        left = fitting
        for node in tried:
            left &= ~node.bit
        return left if self.any_fits(left) else fitting

    def select(self, pool: int) -> Node | None:
        """The node in ``pool`` that the policy takes; None: none of them passes every filter."""
        candidates = self._eligible & self._free & pool
        if not candidates:
            return None
        if self._draws:
            return self._drawn(candidates)
        by_load = self._by_load
        level = self._lowest
        while not by_load[level]:
            self._lowest = level = level + 1
        while not (tied := by_load[level] & candidates):
            level += 1
        if self._rotates:
            after = tied >> self._next_index
            if after:
                return self.nodes[self._next_index + (after & -after).bit_length() - 1]
        elif self._by_chance:
            return self.nodes[_nth_bit(tied, self._choose(tied.bit_count()))]
        return self.nodes[(tied & -tied).bit_length() - 1]

    def _drawn(self, candidates: int) -> Node:
        """One of the candidates by chance, or the one with the fewest jobs of some; of equals the one drawn first."""
        settings = self._settings
        count = candidates.bit_count()
        draws = 1 if settings.policy == "random" else settings.choices_count
        if not settings.choices_repeat:
            draws = min(draws, count)
        best: Node | None = None
        for _ in range(draws):
            node = self.nodes[_nth_bit(candidates, self._choose(count))]
            if best is None or self._level(node) < self._level(best):
                best = node
            if not settings.choices_repeat:
                candidates ^= node.bit
                count -= 1
        assert best is not None  # at least one is drawn
        return best

    def explain(self, fitting: int, chosen: Node | None) -> list[NodeVerdict]:
        """Every node, in the order of registration: why it is out, or how loaded it is."""
        return [
            NodeVerdict(
                node_id=node.node_id,
                status=node.status,
                exclude_reason=self._first_failed(node, fitting),
                jobs=self._level(node),
                slots=node.slots,
                chosen=node is chosen,
            )
            for node in self.nodes
        ]

    def refusal(self, fitting: int) -> ExcludeReason:
        """The exclude reason of the nodes that came furthest; ``OFFLINE`` where there is no node."""
        left = self._all
        furthest = ExcludeReason.OFFLINE
        for reason, passing in self._filters(fitting):
            if left & ~passing:
                furthest = reason
            left &= passing
        return furthest

    def _filters(self, fitting: int) -> tuple[tuple[ExcludeReason, int], ...]:
        return (
            (ExcludeReason.OFFLINE, self._online),
            (ExcludeReason.STATUS_NOT_READY, self._ready),
            (ExcludeReason.NOT_IN_PUBLIC_POOL, self._public),
            (ExcludeReason.GPU_UNAVAILABLE, self._gpu),
            (ExcludeReason.MODEL_NOT_AVAILABLE, fitting),
            (ExcludeReason.CAPACITY_EXCEEDED, self._free),
            (ExcludeReason.RESOURCE_THRESHOLD_EXCEEDED, self._under_threshold),
        )

    def _first_failed(self, node: Node, fitting: int) -> ExcludeReason | None:
        for reason, passing in self._filters(fitting):
            if not passing & node.bit:
                return reason
        return None

    # --- placing and freeing

    def occupy(self, node: Node) -> None:
        """An attempt was placed on the node: it holds a slot, and the next tie begins after this node."""
        self._next_index = node.index + 1
        jobs = node.tracked
        node.tracked = more = jobs + 1
        if not self._track:
            node.overcommitted_count += jobs >= node.slots
        else:
            by_load = self._by_load
            bit = node.bit
            by_load[jobs] ^= bit
            if more == len(by_load):
                by_load.append(bit)
            else:
                by_load[more] |= bit
            if more == node.slots:
                self._free ^= bit

    def release(self, node: Node) -> None:
        """An attempt on the node no longer holds its slot."""
        jobs = node.tracked
        node.tracked = less = jobs - 1
        if self._track:
            by_load = self._by_load
            bit = node.bit
            by_load[jobs] ^= bit
            by_load[less] |= bit
            if jobs == node.slots:
                self._free ^= bit
            self._lowest = min(self._lowest, less)

    def _level(self, node: Node) -> int:
        """What counts as the node's jobs; beyond ``_LOAD_MAX`` reports are not told apart."""
        return node.tracked if self._track else min(node.reported, _LOAD_MAX)

    def _relevel(self, node: Node, before: int) -> None:
        """What counts as the node's jobs, or its slots, have changed otherwise than by one placing or freeing."""
        by_load = self._by_load
        load = self._level(node)
        by_load[before] ^= node.bit
        while load >= len(by_load):
            by_load.append(0)
        by_load[load] |= node.bit
        self._lowest = min(self._lowest, load)
        self._free = _with(self._free, node.bit, on=load < node.slots)

    # --- the fleet changes

    def add(self, node: Node) -> None:
        """A node that was never here before; its ``index`` is ``len(nodes)``."""
        self.nodes.append(node)
        self._reported.append(0)
        self._all |= node.bit
        self._by_load[0] |= node.bit
        self._lowest = 0
        self._by_capability[node.capability] = self._by_capability.get(node.capability, 0) | node.bit
        self.fits.clear()
        self.changed(node)

    def capability_changed(self, node: Node, before: Capability) -> None:
        """A node's ready models have changed."""
        self._by_capability[before] ^= node.bit
        if not self._by_capability[before]:
            del self._by_capability[before]
        self._by_capability[node.capability] = self._by_capability.get(node.capability, 0) | node.bit
        self.fits.clear()

    def heard(self, node: Node) -> None:
        """A node has said how loaded it is; often nothing follows from it."""
        under = node.under_threshold(self._settings.resource_threshold)
        if not self._track or under != bool(self._under_threshold & node.bit):
            self.changed(node)

    def changed(self, node: Node) -> None:
        """A node's status, pool, GPU, usage, slots or jobs have changed."""
        bit = node.bit
        self._online = _with(self._online, bit, on=node.connection is not None)
        self._ready = _with(self._ready, bit, on=node.status is NodeStatus.READY)
        self._public = _with(self._public, bit, on=node.public)
        self._gpu = _with(self._gpu, bit, on=node.has_gpu)
        self._under_threshold = _with(
            self._under_threshold, bit, on=node.under_threshold(self._settings.resource_threshold)
        )
        self._eligible = self._online & self._ready & self._public & self._gpu & self._under_threshold
        if self._track:
            self._relevel(node, node.tracked)
        else:
            self._relevel(node, self._reported[node.index])
            self._reported[node.index] = self._level(node)


def _with(bits: int, bit: int, *, on: bool) -> int:
    return bits | bit if on else bits & ~bit


def _nth_bit(bits: int, n: int) -> int:
    """Index of the ``n``-th set bit, from 0, by halving."""
    index = 0
    width = bits.bit_length()
    while width > 1:
        half = width >> 1
        low = bits & ((1 << half) - 1)
        count = low.bit_count()
        if n < count:
            bits, width = low, half
        else:
            n -= count
            bits >>= half
            index += half
            width -= half
    return index
