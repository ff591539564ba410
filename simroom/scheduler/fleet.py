"""Nodes register, prove themselves, beat, degrade, drain and vanish."""

from __future__ import annotations

from collections import deque

from simroom.scheduler.deadlines import Deadlines, next_multiple
from simroom.scheduler.dispatch import Dispatch
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import (
    Addressed,
    Error,
    ErrorCode,
    NodeControl,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
)
from simroom.scheduler.nodes import (
    HEALTH_WINDOW,
    TRANSITIONS,
    UNHEALTHY_MAX,
    Capability,
    Node,
    NodeEvent,
    NodeStatus,
)
from simroom.scheduler.port import Sources
from simroom.scheduler.selection import Selection
from simroom.scheduler.settings import Settings

CAPABILITY_SCHEMA: str = "1.0"


class Fleet:
    """All nodes that were ever registered, by id."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        tags: Tags,
        selection: Selection,
        dispatch: Dispatch,
        deadlines: Deadlines,
        by_id: dict[str, Node],
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._tags = tags
        self._selection = selection
        self._dispatch = dispatch
        self._deadlines = deadlines
        self.by_id = by_id
        self._registering: dict[Node, None] = {}
        self._online_count = 0
        self._scanned_at = 0

    def register(self, connection: int, message: NodeRegister, now: int, out: list[Addressed]) -> Node | None:
        """A connection says which node it is; None: refused, it may try again."""
        refusal = self._refusal(message)
        if refusal is not None:
            out.append(((connection,), refusal))
            return None
        node_id = message.node_id if message.node_id is not None else self._sources.node_id()
        node = self.by_id.get(node_id)
        if node is None:
            node = self._first_time(node_id, message, now)
        before = node.capability
        node.connection = connection
        node.to = (connection,)
        node.status = TRANSITIONS[node.status, NodeEvent.REGISTERED]
        said = message.max_concurrent_jobs
        node.slots = self._settings.max_concurrent_jobs if said is None else max(0, said)
        node.public = message.accept_public_jobs
        node.has_gpu = bool(message.hardware.gpus)
        node.take_models(message.installed_models, message.capability_state or {}, self._tags)
        node.registered_at = node.last_heartbeat_at = now
        node.usage = None
        node.healthy_streak = 0
        node.recent_health = deque(maxlen=HEALTH_WINDOW)
        if self._online_count == 0:
            self._scanned_at = now  # until now there was nothing to look at
        self._online_count += 1
        self._registering[node] = None
        self._deadlines.note(now + self._settings.warmup_timeout)
        self._deadlines.note(next_multiple(now, self._settings.node_scan_interval))
        if node.capability != before:
            self._selection.capability_changed(node, before)
        self._selection.changed(node)
        out.append((node.to, NodeRegisterAck(node_id, "registered", node.status.value)))
        return node

    def _refusal(self, message: NodeRegister) -> Error | None:
        if not message.hardware.gpus:
            return Error(ErrorCode.NO_GPU_AVAILABLE, "a node needs a GPU")
        if message.capability_schema_version not in (None, CAPABILITY_SCHEMA):
            return Error(ErrorCode.INVALID_CAPABILITY_SCHEMA, f"the schema version must be {CAPABILITY_SCHEMA}")
        if message.node_id is not None:
            known = self.by_id.get(message.node_id)
            if known is not None and known.connection is not None:
                return Error(ErrorCode.NODE_ID_CONFLICT, "a node with this id is connected")
        return None

    def refusal_again(self, message: NodeRegister) -> Error:
        """What a registered node is told that registers again over the same connection."""
        return self._refusal(message) or Error(ErrorCode.NODE_ID_CONFLICT, "this connection is registered already")

    def _first_time(self, node_id: str, message: NodeRegister, now: int) -> Node:
        index = len(self._selection.nodes)
        nothing = Capability(asr=False, nmt=frozenset(), tts=frozenset(), models=frozenset())
        node = Node(
            node_id=node_id,
            index=index,
            bit=1 << index,
            connection=None,
            to=(),
            status=NodeStatus.OFFLINE,
            slots=0,
            public=False,
            has_gpu=False,
            installed_models=message.installed_models,
            capability_state={},
            capability=nothing,
            all_models_ready=False,
            all_stages_ready=False,
            registered_at=now,
            last_heartbeat_at=now,
        )
        self.by_id[node_id] = node
        self._selection.add(node)
        return node

    def heartbeat(self, node: Node, message: NodeHeartbeat, now: int, out: list[Addressed]) -> None:
        """A registered node says how it is."""
        if message.node_id != node.node_id:
            return
        node.last_heartbeat_at = now
        node.usage = message.resource_usage
        self._take_over_models(node, message)
        healthy = node.healthy()
        node.recent_health.append(healthy)
        if node.status is NodeStatus.REGISTERING:
            node.healthy_streak = node.healthy_streak + 1 if healthy else 0
            if node.healthy_streak >= self._settings.health_check_count:
                self._move(node, NodeEvent.PROVEN_HEALTHY, now, out)
        elif healthy:
            self._move(node, NodeEvent.HEALTHY_AGAIN, now, out)
        elif node.recent_health.count(False) >= UNHEALTHY_MAX:
            self._move(node, NodeEvent.UNHEALTHY_TOO_OFTEN, now, out)
        self._selection.heard(node)
        self._dispatch.serve_waiting(now, out)

    def _take_over_models(self, node: Node, message: NodeHeartbeat) -> None:
        if message.installed_models is None and message.capability_state is None:
            return
        before = node.capability
        models = message.installed_models
        state = message.capability_state
        node.take_models(
            node.installed_models if models is None else models,
            node.capability_state if state is None else state,
            self._tags,
        )
        if node.capability != before:
            self._selection.capability_changed(node, before)

    def control(self, node: Node, message: NodeControl, now: int, out: list[Addressed]) -> None:
        """A node asks to be drained: it gets no new job and finishes what it has."""
        if message.node_id == node.node_id and message.command == "drain":
            self._move(node, NodeEvent.DRAIN_ASKED, now, out)

    def connection_lost(self, node: Node, now: int, out: list[Addressed]) -> None:
        """The node's registered connection has dropped."""
        node.connection = None
        node.to = ()
        self._move(node, NodeEvent.CONNECTION_CLOSED, now, out)
        self._dispatch.node_lost(node, now, out)

    def scan_due(self) -> int | None:
        """When the nodes are looked at next; None: all are offline."""
        return next_multiple(self._scanned_at, self._settings.node_scan_interval) if self._online_count else None

    def scan(self, due: int, now: int, out: list[Addressed]) -> list[tuple[int, Node]]:
        """Take for offline every node that was silent too long at ``due``; returns them and their open connections."""
        self._scanned_at = due
        silent_since = due - self._settings.heartbeat_timeout
        silent = [
            node
            for node in self._selection.nodes
            if node.connection is not None and node.last_heartbeat_at <= silent_since
        ]
        connections = [(node.connection, node) for node in silent if node.connection is not None]
        for node in silent:
            self._move(node, NodeEvent.HEARTBEAT_TIMED_OUT, now, out)
        # Only now, so that no job is tried again on a node that is found silent by the same look.
        for node in silent:
            self._dispatch.node_lost(node, now, out)
        return connections

    def warm_up_due(self) -> int | None:
        """When the next registering node has taken too long; None: none is registering."""
        for node in self._registering:
            return node.registered_at + self._settings.warmup_timeout
        return None

    def end_warm_up(self, now: int, out: list[Addressed]) -> None:
        """The node that has been registering longest has not proven itself in time."""
        self._move(next(iter(self._registering)), NodeEvent.WARMUP_TIMED_OUT, now, out)

    def _move(self, node: Node, event: NodeEvent, now: int, out: list[Addressed]) -> None:
        """Take a node to its next status, if that is a legal move. What an offline one had is up to the caller."""
        status = TRANSITIONS.get((node.status, event))
        if status is None:
            return
        node.status = status
        self._registering.pop(node, None)
        if node.connection is not None:
            seconds = self._sources.unix_time(now) // 1_000_000
            out.append((node.to, NodeStatusNotice(node.node_id, status.value, event.value, seconds)))
        if status is NodeStatus.OFFLINE:
            node.connection = None
            node.to = ()
            self._online_count -= 1
            self._selection.changed(node)
        else:
            self._selection.changed(node)
            if status is NodeStatus.READY:
                self._dispatch.serve_waiting(now, out)
