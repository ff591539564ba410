"""The clients' side: each receives only what may be meant for it (may), and all that must be (must)."""

from __future__ import annotations

from typing import Final

from simroom.oracle.mirror import Mirror
from simroom.oracle.once import Once
from simroom.oracle.state import Job, Session
from simroom.scheduler.messages import TranslationResult

_SWEEP_MIN: Final = 64
"""Connections that must have closed before results that nobody can receive any more are looked for."""


class Clients:
    """Results between the scheduler's port and the clients.

    A result that was sent wrongly was judged as it was sent; its arrival is not judged a second time.

    Attributes:
        flying: Jobs whose result has not reached everybody it was sent to, by id.
    """

    def __init__(self, mirror: Mirror, once: Once) -> None:
        self._mirror = mirror
        self._peers = mirror.peers
        self._findings = mirror.findings
        self._once = once
        self.flying: dict[str, Job] = {}
        self._closed_count = 0

    def sent(self, job: Job, to: tuple[int, ...]) -> None:
        """The job's result is on its way to these."""
        if job.id in self.flying:
            job.sent_to += to
        else:
            job.sent_to = to
            job.seen = 0
            self.flying[job.id] = job
        self._findings.awaited += len(to)

    def arrived(self, connection: int, message: TranslationResult, now: int) -> None:
        """A result has reached the client behind a connection."""
        self._findings.arrivals += 1
        job = self.flying.get(message.job_id)
        if job is None:
            self._stray(connection, message, now)
            return
        if message.tts_audio is not job.payload and message.tts_audio != job.payload:
            what = "another payload arrived than was sent"
            who = self._mirror.names((connection,))
            self._findings.add("token", "payload", now, what, job=job, recipients=who)
        sent_to = job.sent_to
        if len(sent_to) == 1:
            if sent_to[0] == connection:
                del self.flying[message.job_id]
            else:
                self._elsewhere(job, connection, now)
            return
        try:
            position = sent_to.index(connection)
            while job.seen >> position & 1:
                position = sent_to.index(connection, position + 1)
        except ValueError:
            self._elsewhere(job, connection, now)
            return
        job.seen |= 1 << position
        if job.seen + 1 == 1 << len(sent_to):
            del self.flying[message.job_id]

    def all_arrived(self, to: tuple[int, ...], message: TranslationResult, instants: list[int]) -> None:
        """A result has reached everybody it was sent to in one go, each in turn; as ``arrived`` for each of them."""
        job = self.flying.get(message.job_id)
        if job is not None and not job.seen and job.sent_to == to and message.tts_audio == job.payload:
            self._findings.arrivals += len(to)
            del self.flying[message.job_id]
            return
        for connection, now in zip(to, instants, strict=True):
            self.arrived(connection, message, now)

    def forget(self) -> None:
        """All connections have ended at once: nothing that was on its way arrives any more."""
        self.flying.clear()

    def closed(self) -> None:
        """A connection has ended; what was on its way to it never arrives, and nobody is to blame."""
        self._closed_count += 1
        if self._closed_count > _SWEEP_MIN + len(self.flying) // 2:
            self._closed_count = 0
            for job_id in [job.id for job in self.flying.values() if not self._awaited(job)]:
                del self.flying[job_id]

    def finish(self, now: int) -> None:
        """Nothing will arrive any more: judge what has not."""
        for job in self.flying.values():
            missing = self._awaited(job)
            if missing:
                who = self._mirror.names(missing)
                what = f"it was sent to {', '.join(who[:3])} and did not arrive"
                self._findings.add("must", "missing", now, what, job=job, recipients=who)
        self.flying.clear()

    def _awaited(self, job: Job) -> tuple[int, ...]:
        # A session that has another connection by now is excused for the old one, though that may still be open.
        return tuple(
            connection
            for position, connection in enumerate(job.sent_to)
            if not job.seen >> position & 1 and isinstance(self._peers.get(connection), Session)
        )

    def _elsewhere(self, job: Job, connection: int, now: int) -> None:
        peer = self._peers.get(connection)
        if connection in job.sent_to:
            self._once.repeated(job, (connection,), now)
        elif peer is not None and not (isinstance(peer, Session) and self._may(job, peer)):
            who = self._mirror.names((connection,))
            what = f"{who[0]} received a result that was not meant for it at any time since the speech ended"
            self._findings.add("may", "leaked", now, what, job=job, recipients=who)

    def _may(self, job: Job, session: Session) -> bool:
        lane = job.lane
        if lane.room is None:
            return session is lane.speaker
        if session.room is lane.room and session.lang == lane.tgt:
            return True
        return any(
            past.room is lane.room and past.lang == lane.tgt and past.until >= job.made_at for past in session.past
        )

    def _stray(self, connection: int, message: TranslationResult, now: int) -> None:
        # Everybody it was sent to has it, or has gone. Only a connection that is open can have got a second copy.
        peer = self._peers.get(connection)
        if isinstance(peer, Session):
            speaker = self._mirror.sessions.get(message.session_id)
            self._findings.add(
                "I2",
                "duplicate",
                now,
                f"{peer.name} received it once more",
                speaker=None if speaker is None else speaker.name,
                utterance_index=message.utterance_index,
                language=message.tgt_lang,
                recipients=(peer.name,),
                job_id=message.job_id,
            )
