"""A node's life: it registers, beats, becomes ready or degraded, drains and goes offline."""

from __future__ import annotations

from typing import Final

from simroom.oracle.answers import Answers
from simroom.oracle.fleet import DEGRADED, DRAINING, OFFLINE, READY, REGISTERING, Node
from simroom.oracle.mirror import Mirror
from simroom.oracle.replies import Replies
from simroom.oracle.sent import Sent
from simroom.oracle.state import Link
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    NodeControl,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
)

SCHEMA_VERSION: Final = "1.0"
BEATS_JUDGED: Final = 5
UNHEALTHY_MAX: Final = 3
"""So many unhealthy heartbeats among the last ``BEATS_JUDGED`` take a node out of service."""


class NodeLife:
    """Follows the nodes."""

    def __init__(self, mirror: Mirror, replies: Replies, answers: Answers) -> None:
        self._mirror = mirror
        self._fleet = mirror.fleet
        self._replies = replies
        self._answers = answers
        self._settings = mirror.settings

    # --- coming and going

    def register(self, sent: Sent, connection: int, message: NodeRegister) -> None:
        """A node says what it is."""
        peer = self._mirror.peers.get(connection)
        if not isinstance(peer, (Link, Node)) or (isinstance(peer, Link) and peer.kind != "node"):
            self._replies.perhaps(sent, connection)
            return
        known = None if message.node_id is None else self._fleet.nodes.get(message.node_id)
        refusal = self._refusal(peer, message, known)
        if refusal is not None:
            if self._replies.refuse(sent, connection, refusal) or not isinstance(peer, Link):
                return
            if known is not None and known.status != OFFLINE:
                return  # the scheduler took in a second one under a living id: nothing sensible can be followed
            ack = sent.take_to(NodeRegisterAck, connection)
        elif self._replies.refused(sent, connection, Error):
            return
        else:
            ack = self._replies.expect(sent, NodeRegisterAck, connection)
        if ack is not None:
            self._judge_ack(sent, connection, message, ack)
            self._enrol(connection, peer.name, message, ack, sent.now)
            # Whether this counts as a change of status is left open.
            sent.take(NodeStatusNotice, lambda to, notice: to == (connection,) and notice.status == REGISTERING)

    def _refusal(self, peer: Link | Node, message: NodeRegister, known: Node | None) -> str | None:
        if not message.hardware.gpus:
            return ErrorCode.NO_GPU_AVAILABLE
        if message.capability_schema_version not in (None, SCHEMA_VERSION):
            return ErrorCode.INVALID_CAPABILITY_SCHEMA
        if known is not None and known.status != OFFLINE:
            return ErrorCode.NODE_ID_CONFLICT
        if isinstance(peer, Node) and peer is not known and peer.status != OFFLINE:
            return ErrorCode.NODE_ID_CONFLICT
        return None

    def _judge_ack(self, sent: Sent, connection: int, message: NodeRegister, ack: NodeRegisterAck) -> None:
        if ack.status != REGISTERING:
            self._replies.wrong(sent.now, f"a node that has just registered is told it is {ack.status}", connection)
        if message.node_id is not None and ack.node_id != message.node_id:
            self._replies.wrong(sent.now, f"node {message.node_id} was registered as {ack.node_id}", connection)

    def _enrol(self, connection: int, name: str, message: NodeRegister, ack: NodeRegisterAck, now: int) -> None:
        mirror = self._mirror
        node = self._fleet.enlist(message.node_id or ack.node_id)
        old = node.connection
        if old is not None and old != connection and mirror.peers.get(old) is node:
            link = Link("node", node.name)
            link.state = "stale"
            mirror.peers[old] = link
            del mirror.nodes_at[old,]
        before = mirror.peers.get(connection)
        if isinstance(before, Node):
            before.connection = None
        mirror.peers[connection] = mirror.nodes_at[connection,] = node
        node.connection = connection
        node.name = name
        node.number = mirror.ledger.nodes.number(name)
        node.life += 1
        node.status = REGISTERING
        node.public = message.accept_public_jobs
        slots = message.max_concurrent_jobs
        node.slots = self._settings.max_concurrent_jobs if slots is None else slots
        node.models = message.installed_models
        node.states = dict(message.capability_state or {})
        node.usage = None
        node.streak = 0
        node.beats = 0
        node.beat_at = now
        node.registered_at = now
        self._fleet.equip(node)
        self._fleet.settle(node)
        due = now + self._settings.warmup_timeout
        mirror.warm_ups.append((due, node, node.life))
        mirror.hasten(due)

    def dropped(self, sent: Sent, node: Node) -> None:
        """The node's connection has ended."""
        if node.connection is not None:
            self._mirror.peers.pop(node.connection, None)
            self._mirror.nodes_at.pop((node.connection,), None)
        node.connection = None
        if node.status != OFFLINE:
            self._offline(sent, [node])

    def scan(self, sent: Sent, due: int) -> None:
        """Nodes that have been silent for too long are taken for offline."""
        timeout = self._settings.heartbeat_timeout
        silent = [node for node in self._fleet.in_order if node.status != OFFLINE and due - node.beat_at >= timeout]
        if silent:
            self._offline(sent, silent)

    def _offline(self, sent: Sent, nodes: list[Node]) -> None:
        for node in nodes:
            self._change(sent, node, OFFLINE)
        self._answers.lost(sent, nodes)

    # --- health

    def warm_up_ended(self, sent: Sent, node: Node, life: int) -> None:
        """The node took too long to become ready, if it did."""
        if node.life == life and node.status == REGISTERING:
            self._change(sent, node, DEGRADED)

    def heartbeat(self, sent: Sent, node: Node, message: NodeHeartbeat) -> None:
        """A node's sign of life over its own connection."""
        if message.node_id != node.node_id or node.status == OFFLINE:
            self._replies.perhaps(sent, node.connection if node.connection is not None else -1)
            return
        node.beat_at = sent.now
        node.usage = message.resource_usage
        models = message.installed_models
        states = message.capability_state
        if (models is not None and models != node.models) or (states is not None and states != node.states):
            node.models = node.models if models is None else models
            node.states = node.states if states is None else dict(states)
            self._fleet.equip(node)
        self._judge_health(sent, node)
        self._fleet.settle(node)

    def _judge_health(self, sent: Sent, node: Node) -> None:
        healthy = self._healthy(node)
        node.beats = (node.beats << 1 | (not healthy)) & ((1 << BEATS_JUDGED) - 1)
        if node.status == REGISTERING:
            node.streak = node.streak + 1 if healthy else 0
            if node.streak >= self._settings.health_check_count:
                self._change(sent, node, READY)
        elif node.status == READY and not healthy:
            if node.beats.bit_count() >= UNHEALTHY_MAX:
                self._change(sent, node, DEGRADED)
        elif node.status == DEGRADED and healthy:
            self._change(sent, node, READY)

    def _healthy(self, node: Node) -> bool:
        usage = node.usage
        capability = node.capability
        if usage is None or capability is None or usage.gpu_percent is None or not 0 <= usage.gpu_percent <= 100:
            return False
        return capability.whole if node.status == REGISTERING else capability.usable

    def control(self, sent: Sent, node: Node, message: NodeControl) -> None:
        """A node asks to be taken out of service."""
        if message.node_id != node.node_id:
            self._replies.perhaps(sent, node.connection if node.connection is not None else -1)
        elif message.command == "drain" and node.status not in (OFFLINE, DRAINING):
            self._change(sent, node, DRAINING)

    def _change(self, sent: Sent, node: Node, status: str) -> None:
        node.status = status
        self._fleet.settle(node)
        connection = node.connection
        if connection is None:
            return
        self._mirror.findings.replies += 1
        taken = sent.take(NodeStatusNotice, lambda to, notice: to == (connection,) and notice.node_id == node.node_id)
        if taken is None:
            self._replies.wrong(sent.now, f"node {node.name} was not told that it is {status}", connection)
        elif taken[1].status != status:
            self._replies.wrong(
                sent.now, f"node {node.name} was told {taken[1].status} instead of {status}", connection
            )
