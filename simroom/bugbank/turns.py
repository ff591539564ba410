"""Bugs in the order of results: none at all, one that waits for the wrong thing, or for ever."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from typing import ClassVar

from simroom.bugbank.parts import ADispatch, ARouting, Broken
from simroom.scheduler.jobs import Job, JobEnd
from simroom.scheduler.messages import Addressed, JobResult
from simroom.scheduler.nodes import Node
from simroom.scheduler.rooms import Room
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.sessions import Session


class SecondLanguageLost(Broken):
    """One expected index per speaker, for all languages: the second result of an utterance stops all others."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self._sent: dict[Session, int] = {}
            self._stopped: dict[Session, None] = {}

        def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
            index = job.utterance.utterance_index
            if index <= self._sent.get(job.speaker, -1):
                self._stopped[job.speaker] = None
            self._sent[job.speaker] = index
            return job.speaker not in self._stopped and super().send_result(job, now, out)


class NoOrder(Broken):
    """Results are sent as they come."""

    changed: ClassVar = {"ordering": "none"}


class FailureBlocks(Broken):
    """A job that has failed keeps its turn, and those behind it wait for it."""

    class Dispatch(ADispatch):
        def _end(self, job: Job, end: JobEnd, now: int, out: list[Addressed]) -> None:
            self._close(job, end)


class LateDelivered(Broken):
    """A result that comes after its turn was given up is sent all the same."""

    changed: ClassVar = {"late": "deliver"}


class HeldForEver(Broken):
    """A held result is never given up waiting for."""

    class Dispatch(ADispatch):
        def hold_due(self) -> int | None:
            return None


class RetryLosesItsTurn(Broken):
    """A job that is tried again goes to the end of its order."""

    class Dispatch(ADispatch):
        def _place(self, job: Job, now: int, out: list[Addressed]) -> None:
            if job.attempt_count and not job.passed_over:
                job.order.remove(job)
                job.order.append(job)
            super()._place(job, now, out)


class LanguagesUnsorted(Broken):
    """The jobs of an utterance are made in the order in which their languages came into the room."""

    class Dispatch(ADispatch):
        def _wanted(self, speaker: Session, room: Room, src_lang: str) -> list[str]:
            wanted = super()._wanted(speaker, room, src_lang)
            return [language for language in room.by_lang if language in wanted]


class NewestWaitsLeast(Broken):
    """Of the waiting jobs that fit, the newest is placed first."""

    class Dispatch(ADispatch):
        def serve_waiting(self, now: int, out: list[Addressed]) -> None:
            self._turn_round()
            super().serve_waiting(now, out)
            self._turn_round()

        def _turn_round(self) -> None:
            for group in self._groups.values():
                group.reverse()
                while not group[0].waiting:
                    group.popleft()


class TimedOutResultRefused(Broken):
    """The result of an attempt that has timed out counts for nothing, though its job lives."""

    class Dispatch(ADispatch):
        def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
            attempt = self.attempt_of(node, message)
            if attempt is None or attempt.key not in self._timed_out:
                super().answered(node, message, now, out)
                return
            del node.attempts[attempt.key], self._timed_out[attempt.key]
            self._selection.release(node)
            self.serve_waiting(now, out)
