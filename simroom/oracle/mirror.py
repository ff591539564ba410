"""The mirror: who is where and what is under way, as it follows from the messages alone."""

from __future__ import annotations

from collections import deque
from typing import Final

from simroom.oracle.findings import Findings
from simroom.oracle.fleet import Fleet, Node, Profile
from simroom.oracle.ledger import NONE, Ledger
from simroom.oracle.state import LIVING, Attempt, Job, Kept, Lane, Link, Membership, Room, Session
from simroom.oracle.tags import Tags
from simroom.scheduler.settings import Settings

PAST_MAX: Final = 4
"""So many of a session's last memberships are remembered."""
LANES_MAX: Final = 32
"""Lanes of a session or, beyond what its members need, of a room, before those that are idle are dropped."""

LOST_MAX: Final = 10_000
"""Jobs lost with the scheduler that are remembered, so that a result of one is known for what it is."""
OWED_MAX: Final = 1_000
"""Results found missing that are remembered, so that one sent after all is not taken for something else."""


class Mirror:
    """All that the oracle knows of the present.

    Attributes:
        peers: Who is behind each open connection.
        nodes_at: Those of them that are nodes, by their connection as a tuple of addressees.
        sessions: Living sessions by id.
        rooms: Living rooms by id, in order of creation.
        codes: Living rooms by code.
        running: Jobs with a running attempt by id, in order of dispatch, ended ones included.
        aside: Other jobs by id that live, or that have ended and still hold a slot.
        overdue: Attempts whose time ran out and that hold a slot, by a number, in order of their time-outs.
        waiting: Jobs without a node by a number, oldest first; ``waiting_for`` has those whose turn is awaited, by
            profile.
        holds: ``(due, job)`` in order.
        graces: ``(due, session, detached)`` in order.
        warm_ups: ``(due, node, life)`` in order.
        owed: Jobs whose result should have been sent and was not, by id.
        lost: Jobs that were lost as the scheduler was restarted, by id.
        lateness: The longest that anything due was dealt with too late, whole microseconds.
        due: Nothing is due before this instant; it may be earlier than needed.
        sent_rows: Ledger rows of the results sent in the last call.
    """

    def __init__(self, settings: Settings, ledger: Ledger, findings: Findings) -> None:
        self.settings = settings
        self.ledger = ledger
        self.findings = findings
        self.tags = Tags(primary=settings.language_match == "primary")
        self.fleet = Fleet(settings, self.tags)
        self.peers: dict[int, Session | Node | Link] = {}
        self.nodes_at: dict[tuple[int, ...], Node] = {}
        self.sessions: dict[str, Session] = {}
        self.rooms: dict[str, Room] = {}
        self.codes: dict[str, Room] = {}
        self.running: dict[str, Job] = {}
        self.aside: dict[str, Job] = {}
        self.overdue: dict[int, tuple[int, Attempt]] = {}
        self.waiting: dict[int, Job] = {}
        self.waiting_for: dict[Profile, dict[int, Job]] = {}
        self.holds: deque[tuple[int, Job]] = deque()
        self.graces: deque[tuple[int, Session, int]] = deque()
        self.warm_ups: deque[tuple[int, Node, int]] = deque()
        self.owed: dict[str, Job] = {}
        self.lost: dict[str, Job] = {}
        self.lateness = 0
        self.due = 0
        self.sent_rows: list[int] = []
        self._serial = 0

    def serial(self) -> int:
        """A number above every earlier one."""
        self._serial += 1
        return self._serial

    def hasten(self, due: int) -> None:
        """Something new is due at ``due``."""
        self.due = min(self.due, due)

    def find(self, job_id: str) -> Job | None:
        """The job with this id, if anything of it is still under way."""
        return self.running.get(job_id) or self.aside.get(job_id)

    def name(self, connection: int) -> str:
        """A name for whoever is behind a connection."""
        peer = self.peers.get(connection)
        return f"connection {connection}" if peer is None else peer.name

    def names(self, connections: tuple[int, ...]) -> tuple[str, ...]:
        """Names for whoever is behind these connections, in order."""
        return tuple(self.name(connection) for connection in connections)

    # --- rooms

    def enter(self, session: Session, room: Room, lang: str | None, display_name: str | None) -> None:
        """The session becomes the room's youngest member."""
        session.room = room
        session.lang = lang
        session.display_name = display_name
        session.wishes = {}
        room.members[session] = None
        self._want(room, lang, 1)
        for lane in room.lanes.values():
            if lane.speaker is session:
                lane.orphan = False
        self.stir(room)

    def leave(self, session: Session, now: int) -> None:
        """The session is no longer a member of its room."""
        room = session.room
        if room is None:
            return
        session.past = (*session.past[-PAST_MAX + 1 :], Membership(room, session.lang, now))
        self._want(room, session.lang, -1)
        del room.members[session]
        for lane in [lane for lane in room.lanes.values() if lane.speaker is session]:
            lane.orphan = True
            self.tidy(lane)
        for member in room.members:
            member.wishes.pop(session.session_id, None)
        session.room = None
        session.lang = None
        session.plan = None
        self.stir(room)

    def prefer(self, session: Session, lang: str | None, now: int) -> None:
        """A member has another language from now on."""
        room = session.room
        if room is None:
            return
        session.past = (*session.past[-PAST_MAX + 1 :], Membership(room, session.lang, now))
        self._want(room, session.lang, -1)
        session.lang = lang
        self._want(room, lang, 1)
        self.stir(room)

    def close_room(self, room: Room, now: int) -> None:
        """The room is gone; its jobs must have been ended."""
        for member in list(room.members):
            self.leave(member, now)
        room.living = False
        del self.rooms[room.room_id]
        if self.codes.get(room.code) is room:
            del self.codes[room.code]
        room.lanes.clear()

    def stir(self, room: Room) -> None:
        """Who hears what in the room, and who makes which jobs, has to be worked out anew."""
        self._unhear(room)
        for member in room.members:
            member.plan = None

    @staticmethod
    def _unhear(room: Room) -> None:
        room.heard.clear()
        for lane in room.lanes.values():
            lane.to = None

    @staticmethod
    def _want(room: Room, lang: str | None, change: int) -> None:
        if lang is not None:
            count = room.wanted.get(lang, 0) + change
            if count:
                room.wanted[lang] = count
            else:
                del room.wanted[lang]

    # --- connections of sessions

    def readdressed(self, session: Session) -> None:
        """The session's connection is another one, or none, from now on."""
        for lane in session.lanes.values():
            lane.to = None
        if session.room is not None:
            self._unhear(session.room)

    def detach(self, session: Session) -> None:
        """The session's connection has ended, the session has not."""
        session.connection = NONE
        session.own = ()
        session.detached += 1
        self.readdressed(session)

    def attach(self, session: Session, connection: int) -> None:
        """The session goes on over this connection."""
        old = self.peers.get(session.connection)
        if old is session:
            link = Link("session", session.name)
            link.state = "stale"
            self.peers[session.connection] = link
        self.peers[connection] = session
        session.connection = connection
        session.own = (connection,)
        session.detached += 1
        self.readdressed(session)

    def keep(self, session: Session, kept: Kept) -> None:
        """Something was sent to a detached session."""
        session.kept.append(kept)
        if len(session.kept) > self.settings.kept_count_max:
            del session.kept[0]

    def forget_session(self, session: Session) -> None:
        """The session has ended; it must have left its room."""
        session.ended = True
        session.connection = NONE
        session.own = ()
        self.readdressed(session)
        session.kept.clear()
        session.partials.clear()
        session.past = ()
        session.plan = None
        session.lanes.clear()
        self.sessions.pop(session.session_id, None)

    # --- jobs

    def lane(self, speaker: Session, room: Room | None, tgt: str) -> Lane:
        """The lane of this key."""
        if room is None:
            lane = speaker.lanes.get(tgt)
            if lane is None:
                lane = speaker.lanes[tgt] = Lane(speaker, None, tgt, self.ledger.languages.number(tgt))
            return lane
        lane = room.lanes.get((speaker, tgt))
        if lane is None:
            lane = room.lanes[speaker, tgt] = Lane(speaker, room, tgt, self.ledger.languages.number(tgt))
        return lane

    def prune(self, speaker: Session, room: Room | None) -> None:
        """Where too many lanes have come together, drop the idle ones; plans that hold them go too."""
        if room is None:
            if len(speaker.lanes) >= LANES_MAX:
                speaker.lanes = {tag: lane for tag, lane in speaker.lanes.items() if lane.living or lane.passed}
                speaker.plan = None
        elif len(room.lanes) >= LANES_MAX + 2 * len(room.members) * len(room.wanted):
            self.stir(room)
            room.lanes = {key: lane for key, lane in room.lanes.items() if lane.living or lane.passed}

    def tidy(self, lane: Lane) -> None:
        """Drop a lane that nobody speaks in any more."""
        if lane.orphan and lane.room is not None and not lane.living and not lane.passed:
            lane.room.lanes.pop((lane.speaker, lane.tgt), None)

    def queue(self, job: Job, now: int, *, neglected: bool = False) -> None:
        """The job waits for a node from now on; if ``neglected``, the scheduler was found not to mind its turn."""
        job.waiting_at = now
        job.waiting_number = number = self.serial()
        self.waiting[number] = job
        if not neglected:
            self.waiting_for.setdefault(job.profile, {})[number] = job
        self.settle(job)
        self.hasten(now + self.settings.waiting_time_max)

    def unqueue(self, job: Job) -> None:
        """The job waits no longer, if it did."""
        if job.waiting_number != NONE:
            del self.waiting[job.waiting_number]
            same = self.waiting_for.get(job.profile)
            if same is not None and same.pop(job.waiting_number, None) is not None and not same:
                del self.waiting_for[job.profile]
            job.waiting_number = NONE

    def settle(self, job: Job) -> None:
        """Keep the job findable as long as it must be, and no longer."""
        if job.running or not job.id:
            self.aside.pop(job.id, None)
        elif job.end == LIVING or job.overdue:
            self.aside[job.id] = job
        else:
            self.aside.pop(job.id, None)

    def lose(self, job: Job) -> None:
        """The job was lost as the scheduler was restarted."""
        if job.id:
            self.lost[job.id] = job
        if len(self.lost) > LOST_MAX:
            del self.lost[next(iter(self.lost))]

    def forget(self) -> None:
        """The scheduler knows nothing any more, and nobody. Its jobs must have been ended."""
        for session in self.sessions.values():
            session.ended = True
            session.connection = NONE
            session.own = ()
            session.room = None
            session.plan = None
        for room in self.rooms.values():
            room.living = False
        # In place, as others hold on to these.
        for table in (
            self.peers, self.nodes_at, self.sessions, self.rooms, self.codes, self.running, self.aside, self.overdue,
            self.waiting, self.waiting_for, self.holds, self.graces, self.warm_ups, self.owed,
        ):  # fmt: skip
            table.clear()
        self.fleet.forget()

    def owe(self, job: Job) -> None:
        """The job's result should have been sent and was not."""
        self.owed[job.id] = job
        if len(self.owed) > OWED_MAX:
            del self.owed[next(iter(self.owed))]
