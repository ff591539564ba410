"""I1: who gets a result by the rules, and whether those did who should."""

from __future__ import annotations

from simroom.oracle.debts import Debts
from simroom.oracle.ledger import NONE
from simroom.oracle.mirror import Mirror
from simroom.oracle.state import NOBODY, Audience, Job, Room, Session


def matching(room: Room, tgt: str) -> Audience:
    """The room's members who prefer ``tgt``, in order of joining."""
    audience = room.heard.get(tgt)
    if audience is None:
        members = [member for member in room.members if member.lang == tgt]
        audience = room.heard[tgt] = split(members)
    return audience


def snapshot(room: Room, tgt: str) -> tuple[Session, ...]:
    """The members who match now, to be remembered."""
    return tuple(member for member in room.members if member.lang == tgt)


def split(members: list[Session]) -> Audience:
    """These as an audience."""
    there = [member for member in members if member.own]
    return Audience(
        tuple([member.connection for member in there]),
        tuple([member.number for member in there]),
        tuple([member for member in members if not member.own]) if len(there) < len(members) else (),
    )


class Recipients:
    """The judge of I1."""

    def __init__(self, mirror: Mirror, debts: Debts) -> None:
        self._mirror = mirror
        self._debts = debts
        self._findings = mirror.findings
        self._membership = mirror.settings.membership

    def of(self, job: Job) -> Audience:
        """Who gets the job's result if it is sent now."""
        room = job.lane.room
        if room is None:
            speaker = job.lane.speaker
            if speaker.ended:
                return NOBODY
            return split([speaker])
        if not room.living:
            return NOBODY
        if self._membership == "live":
            return matching(room, job.lane.tgt)
        return split([member for member in job.snapshot or () if self.names(job, member)])

    def names(self, job: Job, session: Session) -> bool:
        """Whether the session is one of those who get the job's result if it is sent now."""
        room = job.lane.room
        if room is None:
            return session is job.lane.speaker and not session.ended
        if session.room is not room or not room.living:
            return False
        if self._membership == "live":
            return session.lang == job.lane.tgt
        matched = job.snapshot is not None and session in job.snapshot
        return matched and (self._membership == "snapshot" or session.lang == job.lane.tgt)

    def nobody_to_tell(self, job: Job) -> bool:
        """Whether a result sent now would reach nobody, not even later."""
        audience = self.of(job)
        return not audience.connections and not audience.away

    def judge(self, job: Job, expected: tuple[int, ...], actual: tuple[int, ...], now: int) -> None:
        """Judge the members among the addressees of a result; outsiders are for I7, second copies for I2."""
        mirror = self._mirror
        missing = tuple(connection for connection in expected if connection not in actual)
        if missing:
            who = mirror.names(missing)
            self._findings.add(
                "I1", "missing", now, _should("should have got it, did not", who), job=job, recipients=who
            )
            self._owe(job, missing)
        room = job.lane.room
        extra = tuple(
            connection
            for connection in actual
            if connection not in expected
            and isinstance(peer := mirror.peers.get(connection), Session)
            and room is not None
            and peer.room is room
        )
        if extra:
            who = mirror.names(extra)
            self._findings.add("I1", "extra", now, _should("got it, should not have", who), job=job, recipients=who)
        if not missing and not extra:
            order = tuple(connection for connection in actual if connection in expected)
            if order != expected and len(order) == len(expected):
                who = mirror.names(order)
                what = "the recipients were not told in order of joining"
                self._findings.add("I1", "out_of_order", now, what, job=job, recipients=who)

    def missed(self, job: Job, now: int, why: str) -> None:
        """Nobody got what a job should have brought: all of its recipients miss it."""
        audience = self.of(job)
        who = self._mirror.names(audience.connections) + tuple(session.name for session in audience.away)
        self._findings.add(
            "I1", "missing", now, f"{why}: {_should('should have got it, nobody did', who)}", job=job, recipients=who
        )
        if job.answered_at != NONE:
            self._owe(job, audience.connections)

    def _owe(self, job: Job, missing: tuple[int, ...]) -> None:
        peers = self._mirror.peers
        sessions = (peers.get(connection) for connection in missing)
        self._debts.missed(job, tuple(session for session in sessions if isinstance(session, Session)))


def _should(what: str, who: tuple[str, ...], shown_max: int = 3) -> str:
    shown = ", ".join(who[:shown_max]) or "nobody"
    rest = len(who) - shown_max
    return f"{shown} {what}" if rest <= 0 else f"{shown} and {rest} more {what}"
