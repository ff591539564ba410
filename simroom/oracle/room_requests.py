"""Rooms are opened, entered, left and closed: what members ask for and what they must be told."""

from __future__ import annotations

from typing import Final

from simroom.oracle.ending import Ending
from simroom.oracle.leaks import Leaks
from simroom.oracle.mirror import Mirror
from simroom.oracle.replies import Replies
from simroom.oracle.sent import Sent
from simroom.oracle.state import Kept, Room, Session
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    RoomRawVoicePreference,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)

CODE_LENGTH: Final = 6


class RoomRequests:
    """Follows the rooms."""

    def __init__(self, mirror: Mirror, replies: Replies, leaks: Leaks, ending: Ending) -> None:
        self._mirror = mirror
        self._replies = replies
        self._leaks = leaks
        self._ending = ending
        self._size_max = mirror.settings.room_size_max
        self._expiry = mirror.settings.room_expiry

    # --- opened and entered

    def create(self, sent: Sent, session: Session, message: RoomCreate) -> None:
        """A session opens a room."""
        connection = session.connection
        if session.room is not None:
            self._replies.refuse_room(sent, connection, ErrorCode.ALREADY_IN_ROOM)
            return
        if self._replies.refused(sent, connection, RoomError):
            return
        ack = self._replies.expect(sent, RoomCreateAck, connection)
        if ack is None:
            return
        self._judge_code(ack, sent.now)
        name = session.name.rpartition("/")[0] or ack.room_id
        room = Room(ack.room_id, ack.room_code, name, sent.now)
        self._mirror.rooms[ack.room_id] = room
        self._mirror.codes[ack.room_code] = room
        self._mirror.enter(session, room, self._mirror.tags.some(message.preferred_lang), message.display_name)
        self._replies.members(sent, room)

    def _judge_code(self, ack: RoomCreateAck, now: int) -> None:
        if not _is_code(ack.room_code):
            self._replies.wrong(now, f"{ack.room_code!r} is not a room code")
        if ack.room_code in self._mirror.codes:
            self._replies.wrong(
                now, f"{ack.room_code} is the code of a living room", room=self._mirror.codes[ack.room_code]
            )
        if ack.room_id in self._mirror.rooms:
            self._replies.wrong(now, "the id is that of a living room", room=self._mirror.rooms[ack.room_id])

    def join(self, sent: Sent, session: Session, message: RoomJoin) -> None:
        """A session enters a room."""
        connection = session.connection
        room = self._mirror.codes.get(message.room_code)
        refusal = self._refusal(session, message.room_code, room)
        if refusal is not None:
            entered = sent.find(RoomMembers, lambda to, _: connection in to) >= 0
            if self._replies.refuse_room(sent, connection, refusal) or not entered:
                return
            if room is None or session.room is not None:
                return
        elif self._replies.refused(sent, connection, RoomError):
            return
        assert room is not None
        room.last_speaking_at = sent.now
        self._mirror.enter(session, room, self._mirror.tags.some(message.preferred_lang), message.display_name)
        self._replies.members(sent, room, session)

    def _refusal(self, session: Session, code: str, room: Room | None) -> str | None:
        if not _is_code(code):
            return ErrorCode.INVALID_ROOM_CODE
        if session.room is not None:
            return ErrorCode.ALREADY_IN_ROOM
        if room is None:
            return ErrorCode.ROOM_NOT_FOUND
        if self._size_max is not None and len(room.members) >= self._size_max:
            return ErrorCode.ROOM_FULL
        return None

    # --- as a member

    def _own(self, sent: Sent, session: Session, code: str) -> Room | None:
        """The session's room if that is the one with this code; else it must be refused."""
        room = session.room
        if room is None or room.code != code:
            self._replies.refuse_room(sent, session.connection, ErrorCode.ROOM_NOT_FOUND)
            return None
        return None if self._replies.refused(sent, session.connection, RoomError) else room

    def leave(self, sent: Sent, session: Session, message: RoomLeave) -> None:
        """A member leaves."""
        if self._own(sent, session, message.room_code) is not None:
            self.out(sent, session)

    def out(self, sent: Sent, session: Session) -> None:
        """The session is no member any more; the last one out ends the room."""
        room = session.room
        if room is None:
            return
        self._mirror.leave(session, sent.now)
        if room.members:
            self._replies.members(sent, room)
        else:
            self._ending.room(sent, room)

    def language(self, sent: Sent, session: Session, message: RoomLanguage) -> None:
        """A member prefers another language."""
        room = self._own(sent, session, message.room_code)
        if room is not None:
            self._mirror.prefer(session, self._mirror.tags.some(message.preferred_lang), sent.now)
            self._replies.members(sent, room)

    def raw_voice(self, sent: Sent, session: Session, message: RoomRawVoicePreference) -> None:
        """A member wants, or does not want, another one's untranslated voice."""
        target = self._mirror.sessions.get(message.target_session_id)
        if session.room is not None and (target is None or target.room is not session.room):
            # The rules do not say what becomes of a wish about somebody who is not there.
            sent.take_to(RoomError, session.connection)
            sent.take_to(Error, session.connection)
            while sent.take(RoomMembers, lambda to, _: session.connection in to):
                pass
            return
        room = self._own(sent, session, message.room_code)
        if room is not None:
            session.wishes[message.target_session_id] = message.receive_raw_voice
            self._replies.members(sent, room)

    def signal(self, sent: Sent, session: Session, message: WebrtcOffer | WebrtcAnswer | WebrtcIce) -> None:
        """A member sends another one what their browsers need to talk to each other."""
        room = session.room
        receiver = self._mirror.sessions.get(message.to)
        if room is None or room.code != message.room_code or receiver is None or receiver.room is not room:
            sent.take_to(RoomError, session.connection)
            sent.take_to(Error, session.connection)
            return
        if receiver.wishes.get(session.session_id) is False:
            return
        kind = type(message)
        if not receiver.own:
            self._mirror.keep(receiver, Kept(kind, None, session.session_id))
            return
        forwarded = self._replies.expect(sent, kind, receiver.connection)
        if forwarded is not None and forwarded.to != session.session_id:
            self._replies.wrong(sent.now, "a signal does not say whom it is from", receiver.connection, room)

    # --- expiry

    def scan(self, sent: Sent, due: int) -> None:
        """Rooms in which nothing was said for too long end."""
        for room in [room for room in self._mirror.rooms.values() if due - room.last_speaking_at >= self._expiry]:
            members = list(room.members)
            self._ending.room(sent, room)
            self._tell(sent, room, members)

    def _tell(self, sent: Sent, room: Room, members: list[Session]) -> None:
        expected = tuple(member.connection for member in members if member.own)
        got: tuple[int, ...] = ()
        turned = False
        while len(got) < len(expected):
            taken = sent.take(RoomExpired, lambda _, message: message.room_code == room.code)
            if taken is None:
                break
            turned = turned or sent.turned
            got += taken[0]
        self._mirror.findings.replies += 1
        if got != expected or turned:
            what = f"room_expired of {room.name} did not go to its members in order"
            self._replies.wrong(sent.now, what, room=room)
        for member in members:
            if not member.own:
                self._mirror.keep(member, Kept(RoomExpired, None, room.code))


def _is_code(code: str) -> bool:
    return len(code) == CODE_LENGTH and code.isascii() and code.isdigit()
