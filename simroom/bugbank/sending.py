"""Bugs in how a result is sent: twice, never, over the wrong connection, or with the wrong payload."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from simroom.bugbank.parts import ADispatch, ALobby, ARouting, Broken
from simroom.scheduler.jobs import Job, JobEnd
from simroom.scheduler.messages import Addressed, Incoming, JobResult, SessionInit
from simroom.scheduler.nodes import Node
from simroom.scheduler.port import Sources
from simroom.scheduler.rooms import Room
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.sessions import Kept, Session
from simroom.scheduler.settings import Settings


class SentTwiceToOne(Broken):
    """A result with a single recipient is sent to it twice."""

    class Routing(ARouting):
        def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
            before = len(out)
            sent = super().send_result(job, now, out)
            if len(out) > before and len(out[-1][0]) == 1:
                out.append(out[-1])
            return sent


class SecondAttemptToo(Broken):
    """The result of a second attempt is delivered like that of the first."""

    class Dispatch(ADispatch):
        def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
            attempt = self.attempt_of(node, message)
            job = None if attempt is None else attempt.job
            again = job is not None and job.end is JobEnd.DELIVERED and message.success
            super().answered(node, message, now, out)
            if job is not None and again:
                job.result = message
                self._routing.send_result(job, now, out)


class RejoiningCountsTwice(Broken):
    """Whoever comes back into a room is in its list twice, and gets everything twice."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self.entries: list[tuple[Session, Room]] = []

        def recipients(self, job: Job) -> tuple[Session, ...]:
            found = super().recipients(job)
            if job.room is None:
                return found
            return tuple(s for s in found for entry in self.entries if entry == (s, job.room))

    class Lobby(ALobby):
        def _enter(
            self, session: Session, room: Room, display_name: str | None, preferred_lang: str | None, now: int
        ) -> None:
            super()._enter(session, room, display_name, preferred_lang, now)
            assert isinstance(self._routing, RejoiningCountsTwice.Routing)
            self._routing.entries.append((session, room))


class ReplayedAfterReconnect(Broken):
    """Whoever resumes is sent again all results that it had before."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self._had: dict[Session, list[Kept]] = {}

        def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
            before = len(out)
            sent = super().send_result(job, now, out)
            for _, message in out[before:]:
                for session in self.recipients(job):
                    if session.connection is not None:
                        self._had.setdefault(session, []).append(Kept(message, job))  # type: ignore[arg-type]
            return sent

        def send_kept(self, session: Session, out: list[Addressed]) -> None:
            session.kept = deque([*self._had.get(session, ()), *(session.kept or ())])
            super().send_kept(session, out)


class SentOverTheOldConnection(Broken):
    """Results for a session that has resumed go out over the connection that it had before."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self.before: dict[int, int] = {}

        def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
            first = len(out)
            sent = super().send_result(job, now, out)
            out[first:] = [(tuple(self.before.get(one, one) for one in to), message) for to, message in out[first:]]
            return sent

    class Lobby(ALobby):
        def begin(self, scheduler: Scheduler) -> None:
            self._last: dict[str, int | None] = {}

        def connection_lost(self, session: Session, now: int, out: list[Addressed]) -> None:
            self._last[session.session_id] = session.connection
            super().connection_lost(session, now, out)

        def resume(self, connection: int, message: SessionInit, out: list[Addressed]) -> Session | None:
            assert message.resume is not None
            known = self.sessions.get(message.resume.session_id)
            before = None if known is None else known.connection
            session = super().resume(connection, message, out)
            if session is not None:
                before = self._last.get(session.session_id) if before is None else before
                assert before is not None
                assert isinstance(self._routing, SentOverTheOldConnection.Routing)
                self._routing.before[connection] = before
            return session


class KeptForNobody(Broken):
    """What is sent to a member whose connection is lost for a moment is not kept for it."""

    class Routing(ARouting):
        def _keep(self, session: Session, kept: Kept) -> None:
            pass


class KeptSentUnchecked(Broken):
    """What was kept goes out as it is, even where its room has ended meanwhile."""

    class Routing(ARouting):
        def send_kept(self, session: Session, out: list[Addressed]) -> None:
            out.extend((session.to, kept.message) for kept in session.kept or ())
            session.kept = None


class KeptNewestFirst(Broken):
    """What was kept goes out with the newest first."""

    class Routing(ARouting):
        def _keep(self, session: Session, kept: Kept) -> None:
            super()._keep(session, kept)
            assert session.kept is not None
            session.kept.rotate(1)


class _RememberingSent(ARouting):
    """Takes a result for sent already if its key was seen."""

    def begin(self, scheduler: Scheduler) -> None:
        self._seen: set[tuple[object, ...]] = set()

    def key(self, job: Job) -> tuple[object, ...]:
        """What tells this result from others."""
        return (job.job_id,)

    def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
        key = self.key(job)
        if key in self._seen:
            return True
        self._seen.add(key)
        return super().send_result(job, now, out)


class DuplicateKeyLacksLanguage(Broken):
    """Results are known as duplicates by speaker and index: the second language is taken for one."""

    class Routing(_RememberingSent):
        def key(self, job: Job) -> tuple[object, ...]:
            return job.speaker.session_id, job.utterance.utterance_index


class DuplicateKeyLacksRoom(Broken):
    """Results are known as duplicates by index and language: those of another room are taken for them."""

    class Routing(_RememberingSent):
        def key(self, job: Job) -> tuple[object, ...]:
            return job.utterance.utterance_index, job.tgt_lang


class PayloadsShifted(Broken):
    """A node's results are shifted by one: each has the payload of the one before."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        super().__init__(settings, sources)
        self._before: dict[int, JobResult] = {}

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if isinstance(message, JobResult) and message.success:
            before = self._before.get(connection, message)
            self._before[connection] = message
            message = replace(message, text_translated=before.text_translated, tts_audio=before.tts_audio)
        return super().received(connection, message, now)
