"""Bugs in the life of rooms and sessions: who is in, who is out, what ends and what comes back."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from simroom.bugbank.parts import ADispatch, ALobby, ARouting, Broken
from simroom.scheduler.jobs import Job
from simroom.scheduler.messages import (
    Addressed,
    RoomCreate,
    RoomJoin,
    RoomLeave,
    SessionInit,
    Utterance,
)
from simroom.scheduler.port import Sources
from simroom.scheduler.rooms import Room
from simroom.scheduler.scheduler import Done, Scheduler, Unnamed
from simroom.scheduler.sessions import Session
from simroom.scheduler.settings import Settings


class CodeKeepsMembers(Broken):
    """When a code comes back, so do those who were the last in the room that had it."""

    class Lobby(ALobby):
        def begin(self, scheduler: Scheduler) -> None:
            self._last: dict[str, list[tuple[Session, str | None]]] = {}

        def _leave(self, session: Session, room: Room, out: list[Addressed]) -> None:
            self._last[room.room_code] = [(session, session.preferred_lang)]
            super()._leave(session, room, out)

        def _end_room(self, room: Room, out: list[Addressed]) -> None:
            if room.members:  # it has expired
                self._last[room.room_code] = [(s, lang) for lang, group in room.by_lang.items() for s in group.values()]
            super()._end_room(room, out)

        def create(self, session: Session, message: RoomCreate, now: int, out: list[Addressed]) -> None:
            before = session.room
            super().create(session, message, now, out)
            room = session.room
            if room is None or room is before:
                return
            for old, preferred_lang in self._last.pop(room.room_code, ()):
                if old.alive and old.room is None:
                    self._enter(old, room, None, preferred_lang, now)


class LeaveIgnored(Broken):
    """Leaving a room is ignored."""

    class Lobby(ALobby):
        def leave(self, session: Session, message: RoomLeave, out: list[Addressed]) -> None:
            self._own_room(session, message.room_code, out)


class GhostAfterDisconnect(Broken):
    """Whoever loses its connection stays a member for ever."""

    class Lobby(ALobby):
        def connection_lost(self, session: Session, now: int, out: list[Addressed]) -> None:
            if session.room is None:
                super().connection_lost(session, now, out)
                return
            session.connection = None
            session.to = ()
            session.detached_at = now
            session.room.detached += 1
            session.room.connection_changed(session)


class ExpiryForgetsJobs(Broken):
    """The jobs of a room that ends are forgotten, and end in no account."""

    class Dispatch(ADispatch):
        def room_ended(self, room: Room, out: list[Addressed]) -> None:
            before = dict(self.ended_count)
            super().room_ended(room, out)
            self.ended_count.update(before)


class ExpiryKeepsDelivering(Broken):
    """The results of a room that has expired go on to those who were in it."""

    class Lobby(ALobby):
        def _end_room(self, room: Room, out: list[Addressed]) -> None:
            if room.members:
                del self.rooms.by_code[room.room_code]
            else:
                super()._end_room(room, out)


class ExpiryIgnoresSpeech(Broken):
    """Speech does not keep a room from expiring, only results do."""

    class Dispatch(ADispatch):
        def submit(self, speaker: Session, utterance: Utterance, now: int, out: list[Addressed]) -> None:
            room = speaker.room
            before = 0 if room is None else room.last_speaking_at
            super().submit(speaker, utterance, now, out)
            if room is not None:
                room.last_speaking_at = before


class CodeTakenTwice(Broken):
    """A new room may get the code of a living one, which then cannot be found any more."""

    class Lobby(ALobby):
        def begin(self, scheduler: Scheduler) -> None:
            self.rooms.by_code = _Unlooked()

        def _end_room(self, room: Room, out: list[Addressed]) -> None:
            held = self.rooms.by_code.get(room.room_code)
            if held is not room:
                self.rooms.by_code[room.room_code] = room
            super()._end_room(room, out)
            if held is not None and held is not room:
                self.rooms.by_code[room.room_code] = held


class _Unlooked(dict[str, Room]):
    """Rooms by code, of which nobody asks before taking one."""

    def __contains__(self, _code: object) -> bool:
        return False


class LeaveAfterJoin(Broken):
    """A leave takes so long that it undoes the join that follows it."""

    class Lobby(ALobby):
        def begin(self, scheduler: Scheduler) -> None:
            self._leaving: dict[Session, str] = {}

        def leave(self, session: Session, message: RoomLeave, out: list[Addressed]) -> None:
            super().leave(session, message, out)
            self._leaving[session] = message.room_code

        def join(self, session: Session, message: RoomJoin, now: int, out: list[Addressed]) -> None:
            super().join(session, message, now, out)
            if session.room is not None and self._leaving.pop(session, None) == message.room_code:
                self._leave(session, session.room, [])


class LastSubscriptionDropped(Broken):
    """When a member leaves, the others with its language get nothing until somebody with it joins."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self.dropped: list[tuple[Room, str | None]] = []

        def recipients(self, job: Job) -> tuple[Session, ...]:
            return () if (job.room, job.tgt_lang) in self.dropped and job.room else super().recipients(job)

    class Lobby(ALobby):
        def _leave(self, session: Session, room: Room, out: list[Addressed]) -> None:
            self._dropped().append((room, session.preferred_lang))
            super()._leave(session, room, out)

        def _enter(
            self, session: Session, room: Room, display_name: str | None, preferred_lang: str | None, now: int
        ) -> None:
            super()._enter(session, room, display_name, preferred_lang, now)
            dropped = self._dropped()
            dropped[:] = [entry for entry in dropped if entry != (room, session.preferred_lang)]

        def _dropped(self) -> list[tuple[Room, str | None]]:
            assert isinstance(self._routing, LastSubscriptionDropped.Routing)
            return self._routing.dropped


class StaleCloseEndsSession(Broken):
    """When the old connection of a session that has resumed is closed, the session ends."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        super().__init__(settings, sources)
        self._left: dict[int, Session] = {}

    def _init_or_resume(self, connection: int, message: SessionInit, out: list[Addressed]) -> Session | None:
        session = super()._init_or_resume(connection, message, out)
        for number, peer in self._peers.items():
            if peer is Done.SUPERSEDED and number not in self._left and session is not None:
                self._left[number] = session
        return session

    def closed(self, connection: int, now: int) -> list[Addressed]:
        out = super().closed(connection, now)
        session = self._left.pop(connection, None)
        if session is not None and session.alive:
            if session.connection is not None:
                self._peers[session.connection] = Unnamed("session")
            self._lobby.end_session(session, out)
        return out


class RepeatedUtteranceTaken(Broken):
    """An utterance that comes again under the same index is translated again."""

    class Lobby(ALobby):
        def speak(self, session: Session, message: Utterance, now: int, out: list[Addressed]) -> None:
            if message.utterance_index == session.last_index:
                session.last_index = None
            super().speak(session, message, now, out)
