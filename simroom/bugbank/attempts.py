"""Bugs in attempts: slots that leak or are freed too early, jobs tried too often, too seldom or in the wrong place."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from typing import ClassVar

from simroom.bugbank.parts import ADispatch, AFleet, ARouting, ASelection, Broken
from simroom.scheduler.jobs import Job
from simroom.scheduler.messages import Addressed, JobResult
from simroom.scheduler.nodes import Node, NodeStatus
from simroom.scheduler.rooms import Room
from simroom.scheduler.sessions import Session

FOR_EVER = 1_000


class StaleResultFreesNewSlot(Broken):
    """The answer of a timed-out attempt frees a slot of the node that the job is on now."""

    class Selection(ASelection):
        instead: Node | None = None

        def release(self, node: Node) -> None:
            node = self.instead or node
            if node.tracked:
                super().release(node)

    class Dispatch(ADispatch):
        def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
            attempt = self.attempt_of(node, message)
            current = None if attempt is None else attempt.job.current
            assert isinstance(self._selection, StaleResultFreesNewSlot.Selection)
            self._selection.instead = None if current is None else current.node
            super().answered(node, message, now, out)
            self._selection.instead = None


class SlotLeakedOnFailure(Broken):
    """A slot is not freed by an answer that reports a failure."""

    class Selection(ASelection):
        failing: bool = False

        def release(self, node: Node) -> None:
            if not self.failing:
                super().release(node)

    class Dispatch(ADispatch):
        def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
            assert isinstance(self._selection, SlotLeakedOnFailure.Selection)
            self._selection.failing = not message.success
            super().answered(node, message, now, out)
            self._selection.failing = False


class SlotLeakedOnTimeout(Broken):
    """The slot of an attempt that has timed out is never freed."""

    class Dispatch(ADispatch):
        def time_out_attempt(self, now: int, out: list[Addressed]) -> None:
            super().time_out_attempt(now, out)
            self.forget_timed_out()


class SlotLeakedOnExpiry(Broken):
    """When a room ends, its attempts are forgotten and keep their slots for ever."""

    class Dispatch(ADispatch):
        def room_ended(self, room: Room, out: list[Addressed]) -> None:
            for attempts in (self._running, self._timed_out):
                for attempt in [attempt for attempt in attempts.values() if attempt.job.room is room]:
                    del attempts[attempt.key], attempt.node.attempts[attempt.key]
            super().room_ended(room, out)


class SlotFreedOnTimeout(Broken):
    """An attempt that times out frees its slot at once, while its node is still working."""

    class Dispatch(ADispatch):
        def time_out_attempt(self, now: int, out: list[Addressed]) -> None:
            super().time_out_attempt(now, out)
            self._selection.release(self.forget_timed_out().node)
            self.serve_waiting(now, out)


class NeverTriedAgain(Broken):
    """A job whose first attempt brings nothing is not tried again."""

    changed: ClassVar = {"max_attempts": 1}


class TriedForEver(Broken):
    """A job is tried again however often it was tried."""

    changed: ClassVar = {"max_attempts": FOR_EVER}


class TriedWhereItFailed(Broken):
    """A new attempt may go to the node that the last one was on, though another fits."""

    class Selection(ASelection):
        def untried(self, fitting: int, tried: tuple[Node, ...]) -> int:
            return fitting


class TriedOnTheDeadNode(Broken):
    """The jobs of a node whose connection was lost are tried again before it counts as offline: on itself."""

    class Selection(ASelection):
        def untried(self, fitting: int, tried: tuple[Node, ...]) -> int:
            last = fitting & tried[-1].bit
            return last if self.any_fits(last) else super().untried(fitting, tried)

    class Fleet(AFleet):
        def connection_lost(self, node: Node, now: int, out: list[Addressed]) -> None:
            self._dispatch.node_lost(node, now, out)
            super().connection_lost(node, now, out)


class LostNodesJobsVanish(Broken):
    """The jobs of a node that goes offline are forgotten: they are neither tried again, nor does anybody hear of it."""

    class Dispatch(ADispatch):
        def node_lost(self, node: Node, now: int, out: list[Addressed]) -> None:
            for attempt in node.attempts.values():
                attempt.job.current = None
            super().node_lost(node, now, out)


class WaitingCountsAsWork(Broken):
    """The time of an attempt runs from when its job began to wait for a node."""

    class Dispatch(ADispatch):
        def _place(self, job: Job, now: int, out: list[Addressed]) -> None:
            super()._place(job, now, out)
            if job.current is not None and job.since:
                job.current.dispatched_at = job.since
                self._deadlines.note(job.since + self._settings.job_timeout)


class DrainEndsWithFirstJob(Broken):
    """A draining node is given up when the first of its jobs is done."""

    class Dispatch(ADispatch):
        def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
            super().answered(node, message, now, out)
            if node.status is NodeStatus.DRAINING:
                self.node_lost(node, now, out)


class PlacedForNobody(Broken):
    """A waiting job gets a node though its room has nobody left to tell."""

    class Routing(ARouting):
        placing: bool = False

        def recipients(self, job: Job) -> tuple[Session, ...]:
            return super().recipients(job) or ((job.speaker,) if self.placing else ())

    class Dispatch(ADispatch):
        def serve_waiting(self, now: int, out: list[Addressed]) -> None:
            assert isinstance(self._routing, PlacedForNobody.Routing)
            self._routing.placing = True
            super().serve_waiting(now, out)
            self._routing.placing = False
