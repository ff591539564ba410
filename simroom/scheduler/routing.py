"""From a result to its recipients, and from any message for a session to its connection."""

from __future__ import annotations

from collections import deque
from typing import Literal

from simroom.scheduler.jobs import Job
from simroom.scheduler.messages import Addressed, ToSession, TranslationResult
from simroom.scheduler.rooms import Room
from simroom.scheduler.sessions import Kept, Session


class Routing:
    """Sends to sessions: at once where they are connected, later where they are detached."""

    def __init__(self, membership: Literal["live", "snapshot", "both"], kept_count_max: int) -> None:
        self._live = membership == "live"
        self._membership = membership
        self._kept_count_max = kept_count_max

    def recipients(self, job: Job) -> tuple[Session, ...]:
        """Who gets the job's result if it is sent now, in order of joining.

        A job without a room has one recipient, its speaker. A room's job goes to the members who prefer its language,
        the speaker included; a room that has ended has none.
        """
        if job.room is None:
            return (job.speaker,) if job.speaker.alive else ()
        if self._live:
            return job.room.matching(job.tgt_lang)
        snapshot = tuple(s for s in job.snapshot or () if s.room is job.room)
        if self._membership == "snapshot":
            return snapshot
        return tuple(s for s in snapshot if s.preferred_lang == job.tgt_lang)

    def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
        """Send the job's result to its recipients of this moment; False: there is nobody."""
        room = job.room
        if room is not None and self._live and not room.detached:
            to = job.to
            if not to or job.version != room.version:
                to = room.matching_connections(job.tgt_lang)
                if not to:
                    return False
            room.last_speaking_at = now
            result = job.result
            utterance = job.utterance
            speaker = job.speaker
            assert result is not None  # as in _message, written out for the many
            message = TranslationResult(
                speaker.session_id,
                utterance.utterance_index,
                job.job_id,
                result.text_asr or "",
                result.text_translated or "",
                result.tts_audio or "",
                result.tts_format or "",
                utterance.trace_id or speaker.trace_id,
                job.tgt_lang,
                result.extra,
            )
            out.append((to, message))
            return True
        recipients = self.recipients(job)
        if not recipients:
            return False
        if room is not None:
            room.last_speaking_at = now
        message = _message(job)
        connected = tuple(s.connection for s in recipients if s.connection is not None)
        if connected:
            out.append((connected, message))
        for session in recipients:
            if session.connection is None:
                self._keep(session, Kept(message, job))
        return True

    def tell(self, session: Session, message: ToSession, out: list[Addressed]) -> None:
        """Send one message to one session; one that has ended hears nothing."""
        if session.connection is not None:
            out.append((session.to, message))
        elif session.alive:
            self._keep(session, Kept(message, None))

    def show_members(self, room: Room, out: list[Addressed], first: Session | None = None) -> None:
        """Tell all connected members who is in the room; ``first`` hears it before the others."""
        to = room.connections(first)
        if to:
            out.append((to, room.members_message()))

    def send_kept(self, session: Session, out: list[Addressed]) -> None:
        """Send what was kept for a session that is connected again; results only where they are still for it."""
        for kept in session.kept or ():
            job = kept.job
            if job is None or job.room is None or session in self.recipients(job):
                out.append((session.to, kept.message))
        session.kept = None

    def _keep(self, session: Session, kept: Kept) -> None:
        if session.kept is None:
            session.kept = deque(maxlen=self._kept_count_max)
        session.kept.append(kept)


def _message(job: Job) -> TranslationResult:
    result = job.result
    assert result is not None  # only answered jobs are sent
    utterance = job.utterance
    return TranslationResult(
        job.speaker.session_id,
        utterance.utterance_index,
        job.job_id,
        result.text_asr or "",
        result.text_translated or "",
        result.tts_audio or "",
        result.tts_format or "",
        utterance.trace_id or job.speaker.trace_id,
        job.tgt_lang,
        result.extra,
    )
