"""Bugs in which node gets a job: one that must not, or another than the rules say."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from typing import ClassVar

from simroom.bugbank.parts import ADispatch, AFleet, ASelection, Broken
from simroom.scheduler.jobs import Job
from simroom.scheduler.messages import Addressed, Features, Incoming, NodeControl, NodeHeartbeat
from simroom.scheduler.modules import MODULE_OF_FEATURE, MODULES
from simroom.scheduler.nodes import Node, NodeEvent, NodeStatus
from simroom.scheduler.scheduler import Done, Unnamed
from simroom.scheduler.sessions import Needs


class OldConnectionRevives(Broken):
    """A heartbeat over the connection of a node that was taken for offline makes it ready again."""

    def _from_nobody(
        self, connection: int, peer: Unnamed | Done, message: Incoming, now: int, out: list[Addressed]
    ) -> None:
        node = peer.lapsed if isinstance(peer, Unnamed) else None
        if node is not None and node.connection is None and isinstance(message, NodeHeartbeat):
            assert isinstance(self._fleet, OldConnectionRevives.Fleet)
            self._fleet.revive(node, connection)
            self._peers[connection] = node
            self._fleet.heartbeat(node, message, now, out)
        else:
            super()._from_nobody(connection, peer, message, now, out)

    class Fleet(AFleet):
        def revive(self, node: Node, connection: int) -> None:
            node.connection = connection
            node.to = (connection,)
            node.status = NodeStatus.READY
            self._online_count += 1
            self._selection.changed(node)


class NotReadyGetsJobs(Broken):
    """A node gets jobs whatever its status is, if only it is connected."""

    class Selection(ASelection):
        def changed(self, node: Node) -> None:
            super().changed(node)
            self._eligible = self._online & self._public & self._gpu & self._under_threshold


class BeyondTheSlots(Broken):
    """A node gets jobs however many of its slots are taken."""

    class Selection(ASelection):
        def any_fits(self, fitting: int) -> bool:
            self._free = self._all
            return super().any_fits(fitting)

        def select(self, pool: int) -> Node | None:
            self._free = self._all
            return super().select(pool)


class LoadFromHeartbeats(Broken):
    """Jobs do not count as a node's load until its next heartbeat reports them."""

    changed: ClassVar = {"load": "reported"}


class ModulesNotExpanded(Broken):
    """Of the modules that a feature needs, only its own counts."""

    class Selection(ASelection):
        def needs(self, features: Features | None, auto_langs: tuple[str, ...] | None) -> Needs:
            asked = [module for feature, module in MODULE_OF_FEATURE.items() if getattr(features, feature, False)]
            models = (MODULES[module].model_id for module in asked)
            key = tuple(model for model in models if model is not None), auto_langs
            return self._needs.setdefault(key, Needs(*key))


class FeaturesIgnored(Broken):
    """What a session's features need is not asked of a node."""

    class Selection(ASelection):
        def needs(self, features: Features | None, auto_langs: tuple[str, ...] | None) -> Needs:
            return super().needs(None, auto_langs)


class StickyAtAnyCost(Broken):
    """The last node of a session or a room is taken again, whether it passes the filters or not."""

    class Dispatch(ADispatch):
        def _preferred(self, job: Job, pool: int) -> Node | None:
            sticky = None if job.room is None else job.room.sticky
            if self._settings.sticky == "session":
                sticky = job.speaker.sticky
            if sticky is not None and sticky.connection is not None:
                return sticky
            return super()._preferred(job, pool)


class ThresholdIgnored(Broken):
    """A node gets jobs however high its CPU, GPU and memory are."""

    changed: ClassVar = {"resource_threshold": 1.0}


class DrainIgnored(Broken):
    """A node that asks to be drained goes on getting jobs."""

    class Fleet(AFleet):
        def control(self, node: Node, message: NodeControl, now: int, out: list[Addressed]) -> None:
            pass


class RoomsTakeTheFirst(Broken):
    """Among equally loaded nodes, speakers in rooms always get the first one; only the others take turns."""

    class Dispatch(ADispatch):
        def _place(self, job: Job, now: int, out: list[Addressed]) -> None:
            rotates, self._selection._rotates = self._selection._rotates, job.room is None
            super()._place(job, now, out)
            self._selection._rotates = rotates


class UnhealthyStaysReady(Broken):
    """A ready node stays ready however often it says that it is not healthy."""

    class Fleet(AFleet):
        def _move(self, node: Node, event: NodeEvent, now: int, out: list[Addressed]) -> None:
            if event is not NodeEvent.UNHEALTHY_TOO_OFTEN:
                super()._move(node, event, now, out)
