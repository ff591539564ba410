"""Sessions come, go, drop and resume; rooms open, fill, empty and expire."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Final

from simroom.scheduler.calendar import rfc3339
from simroom.scheduler.deadlines import Deadlines, next_multiple
from simroom.scheduler.dispatch import Dispatch
from simroom.scheduler.languages import AUTO, Tags
from simroom.scheduler.messages import (
    Addressed,
    AudioChunk,
    Error,
    ErrorCode,
    Member,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomRawVoicePreference,
    SessionInit,
    SessionInitAck,
    Utterance,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)
from simroom.scheduler.port import Sources
from simroom.scheduler.rooms import Room, Rooms
from simroom.scheduler.routing import Routing
from simroom.scheduler.selection import Selection
from simroom.scheduler.sessions import Session
from simroom.scheduler.settings import Settings

AUDIO_CHARS_MAX: Final = 32 * 1024 * 1024
"""Most base64 text of one utterance's chunks: about 13 minutes of 16 kHz PCM."""


class Lobby:
    """All living sessions and rooms."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        tags: Tags,
        selection: Selection,
        routing: Routing,
        dispatch: Dispatch,
        deadlines: Deadlines,
        sessions: dict[str, Session],
        rooms: Rooms,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._tags = tags
        self._selection = selection
        self._routing = routing
        self._dispatch = dispatch
        self._deadlines = deadlines
        self.sessions = sessions
        self.rooms = rooms
        self._detached: dict[Session, None] = {}
        self._join_serial = 0
        self._scanned_at = 0

    # --- sessions

    def init(self, connection: int, message: SessionInit, out: list[Addressed]) -> Session | None:
        """A connection says who it is; None: refused, it may try again."""
        if message.pairing_code is not None and message.pairing_code not in self._settings.pairing:
            code = ErrorCode.INVALID_PAIRING_CODE
            out.append(((connection,), Error(code, "no node is paired under this code")))
            return None
        auto_langs = None
        if message.auto_langs is not None:
            auto_langs = tuple(self._tags.canonical(tag) for tag in message.auto_langs)
        session_id = self._sources.session_id()
        session = Session(
            session_id=session_id,
            token=self._sources.token(),
            init=message,
            src_lang=self._tags.canonical(message.src_lang),
            tgt_lang=self._tags.canonical(message.tgt_lang),
            needs=self._selection.needs(message.features, auto_langs),
            trace_id=message.trace_id or session_id,
            connection=connection,
            to=(connection,),
            plain=_asks_for_nothing(message),
            paired=None if message.pairing_code is None else self._settings.pairing[message.pairing_code],
        )
        self.sessions[session_id] = session
        self._acknowledge(session, "welcome", out)
        return session

    def resume(self, connection: int, message: SessionInit, out: list[Addressed]) -> Session | None:
        """A client comes back as the session that it was; None: it is not known or not proven."""
        assert message.resume is not None
        session = self.sessions.get(message.resume.session_id)
        if session is None or not _equal_in_constant_time(session.token, message.resume.token):
            out.append(((connection,), Error(ErrorCode.INVALID_SESSION, "nothing to resume")))
            return None
        if session.connection is None:
            self._detached.pop(session, None)
            if session.room is not None:
                session.room.detached -= 1
        session.connection = connection
        session.to = (connection,)
        session.detached_at = None
        self._acknowledge(session, "welcome back", out)
        if session.room is not None:
            session.room.connection_changed(session)
            self._routing.tell(session, session.room.members_message(), out)
        self._routing.send_kept(session, out)
        return session

    def _acknowledge(self, session: Session, text: str, out: list[Addressed]) -> None:
        ack = SessionInitAck(session.session_id, text, session.trace_id, session.paired, session.token)
        out.append((session.to, ack))

    def connection_lost(self, session: Session, now: int, out: list[Addressed]) -> None:
        """The session's connection has dropped: it has left, at once or after the grace."""
        if self._settings.reconnect_grace == 0:
            self.end_session(session, out)
            return
        session.connection = None
        session.to = ()
        session.detached_at = now
        self._detached[session] = None
        self._deadlines.note(now + self._settings.reconnect_grace)
        if session.room is not None:
            session.room.detached += 1
            session.room.connection_changed(session)

    def grace_due(self) -> int | None:
        """When the next detached session's grace is over; None: none is detached."""
        for session in self._detached:
            assert session.detached_at is not None
            return session.detached_at + self._settings.reconnect_grace
        return None

    def end_grace(self, out: list[Addressed]) -> None:
        """The session that has been detached longest does not come back."""
        self.end_session(next(iter(self._detached)), out)

    def end_session(self, session: Session, out: list[Addressed]) -> None:
        """The session is over; its results for others go on."""
        if session.room is not None:
            self._leave(session, session.room, out)
        self._detached.pop(session, None)
        del self.sessions[session.session_id]
        session.alive = False
        session.connection = None
        session.to = ()
        session.kept = None

    # --- rooms

    def create(self, session: Session, message: RoomCreate, now: int, out: list[Addressed]) -> None:
        """Open a room."""
        if session.room is not None:
            self._refuse(session, ErrorCode.ALREADY_IN_ROOM, "leave the other room first", out)
            return
        room_code = self._sources.room_code()
        while room_code in self.rooms.by_code:
            room_code = self._sources.room_code()
        room = Room(room_id=self._sources.room_id(), room_code=room_code, created_at=now, last_speaking_at=now)
        if not self.rooms.by_code:
            self._scanned_at = now  # until now there was nothing to look at
        self.rooms.by_code[room_code] = room
        self._deadlines.note(next_multiple(now, self._settings.room_scan_interval))
        self._enter(session, room, message.display_name, message.preferred_lang, now)
        out.append((session.to, RoomCreateAck(room_code, room.room_id)))
        self._routing.show_members(room, out)

    def join(self, session: Session, message: RoomJoin, now: int, out: list[Addressed]) -> None:
        """Enter a room by its code."""
        code = message.room_code
        if len(code) != 6 or not (code.isascii() and code.isdigit()):
            self._refuse(session, ErrorCode.INVALID_ROOM_CODE, "a room code is six digits", out)
            return
        if session.room is not None:
            self._refuse(session, ErrorCode.ALREADY_IN_ROOM, "leave the other room first", out)
            return
        room = self.rooms.find_room_by_code(code)
        if room is None:
            self._refuse(session, ErrorCode.ROOM_NOT_FOUND, "no room has this code", out)
            return
        if self._settings.room_size_max is not None and len(room.members) >= self._settings.room_size_max:
            self._refuse(session, ErrorCode.ROOM_FULL, "the room is full", out)
            return
        room.last_speaking_at = now
        self._enter(session, room, message.display_name, message.preferred_lang, now)
        self._routing.show_members(room, out, first=session)

    def leave(self, session: Session, message: RoomLeave, out: list[Addressed]) -> None:
        """Leave the room."""
        room = self._own_room(session, message.room_code, out)
        if room is not None:
            self._leave(session, room, out)

    def change_language(self, session: Session, message: RoomLanguage, out: list[Addressed]) -> None:
        """Prefer another language from now on."""
        room = self._own_room(session, message.room_code, out)
        if room is None or session.member is None:
            return
        room.change_language(session, self._preferred(message.preferred_lang))
        member = session.member
        session.member = Member(
            member.participant_id,
            member.session_id,
            member.joined_at,
            member.display_name,
            message.preferred_lang or None,
            member.raw_voice_preferences,
        )
        self._routing.show_members(room, out)

    def prefer_raw_voice(self, session: Session, message: RoomRawVoicePreference, out: list[Addressed]) -> None:
        """Say whether one wants another member's untranslated voice."""
        room = self._own_room(session, message.room_code, out)
        if room is None:
            return
        if message.target_session_id not in room.members:
            out.append((session.to, Error(ErrorCode.INVALID_SESSION, "that session is not in the room")))
            return
        session.raw_voice = {**(session.raw_voice or {}), message.target_session_id: message.receive_raw_voice}
        self._show_raw_voice(session, room)
        self._routing.show_members(room, out)

    def forward(self, session: Session, message: WebrtcOffer | WebrtcAnswer | WebrtcIce, out: list[Addressed]) -> None:
        """Pass signalling on to another member, who is told from whom it is."""
        room = self._own_room(session, message.room_code, out)
        if room is None:
            return
        other = room.members.get(message.to)
        if other is None:
            out.append((session.to, Error(ErrorCode.INVALID_SESSION, "that session is not in the room")))
        elif other.raw_voice is None or other.raw_voice.get(session.session_id, True):
            body = message.candidate if isinstance(message, WebrtcIce) else message.sdp
            self._routing.tell(other, type(message)(message.room_code, session.session_id, body), out)

    def scan_due(self) -> int | None:
        """When the rooms are looked at next; None: there is none."""
        return next_multiple(self._scanned_at, self._settings.room_scan_interval) if self.rooms.by_code else None

    def scan(self, due: int, out: list[Addressed]) -> None:
        """End the rooms in which, at ``due``, nothing had happened for too long, in order of creation."""
        self._scanned_at = due
        quiet = [
            room for room in self.rooms.by_code.values() if room.last_speaking_at + self._settings.room_expiry <= due
        ]
        for room in quiet:
            for session in room.members.values():
                session.room = None
                session.member = None
                session.preferred_lang = None
                session.raw_voice = None
            notice = RoomExpired(room.room_code, "nothing was said for too long")
            connected = room.connections()
            if connected:
                out.append((connected, notice))
            for session in room.members.values():
                if session.connection is None:
                    self._routing.tell(session, notice, out)
            self._end_room(room, out)

    def _preferred(self, tag: str | None) -> str | None:
        """The canonical form of a preferred language; ``auto`` is nobody's."""
        canonical = self._tags.optional(tag)
        return None if canonical == AUTO else canonical

    def _enter(
        self, session: Session, room: Room, display_name: str | None, preferred_lang: str | None, now: int
    ) -> None:
        self._join_serial += 1
        session.join_serial = self._join_serial
        session.room = room
        session.preferred_lang = self._preferred(preferred_lang)
        session.member = Member(
            session.session_id,
            session.session_id,
            rfc3339(self._sources.unix_time(now)),
            display_name,
            preferred_lang or None,
        )
        room.add(session)

    def _leave(self, session: Session, room: Room, out: list[Addressed]) -> None:
        room.remove(session)
        if session.connection is None:
            room.detached -= 1
        session.room = None
        session.member = None
        session.preferred_lang = None
        session.raw_voice = None
        if not room.members:
            self._end_room(room, out)
            return
        for other in room.members.values():
            if other.raw_voice and session.session_id in other.raw_voice:
                other.raw_voice = {k: v for k, v in other.raw_voice.items() if k != session.session_id}
                self._show_raw_voice(other, room)
        self._routing.show_members(room, out)

    def _show_raw_voice(self, session: Session, room: Room) -> None:
        member = session.member
        assert member is not None
        session.member = Member(
            member.participant_id,
            member.session_id,
            member.joined_at,
            member.display_name,
            member.preferred_lang,
            session.raw_voice or None,
        )
        room.shown_changed()

    def _end_room(self, room: Room, out: list[Addressed]) -> None:
        room.end()
        del self.rooms.by_code[room.room_code]
        self._dispatch.room_ended(room, out)

    def _own_room(self, session: Session, room_code: str, out: list[Addressed]) -> Room | None:
        room = session.room
        if room is None or room.room_code != room_code:
            self._refuse(session, ErrorCode.ROOM_NOT_FOUND, "not a member of a room with this code", out)
            return None
        return room

    def _refuse(self, session: Session, code: str, message: str, out: list[Addressed]) -> None:
        out.append((session.to, RoomError(code, message)))

    # --- speech

    def speak(self, session: Session, message: Utterance, now: int, out: list[Addressed]) -> None:
        """A session has finished an utterance."""
        last = session.last_index
        if message.utterance_index < 0 or (last is not None and message.utterance_index <= last):
            text = "utterance_index must be above every earlier one"
            out.append((session.to, Error(ErrorCode.INVALID_MESSAGE, text)))
            return
        session.last_index = message.utterance_index
        self._dispatch.submit(session, message, now, out)

    def hear(self, session: Session, message: AudioChunk, now: int, out: list[Addressed]) -> None:
        """A piece of speech; the closing one makes an utterance, which takes the next index."""
        chunks = session.chunks or []
        if message.payload and session.chunk_chars <= AUDIO_CHARS_MAX:
            chunks.append(message.payload)
            session.chunk_chars += len(message.payload)
            if session.chunk_chars > AUDIO_CHARS_MAX:
                chunks = []
                out.append((session.to, Error(ErrorCode.INVALID_MESSAGE, "the utterance is too long")))
        if not message.is_final:
            session.chunks = chunks
            return
        too_long = session.chunk_chars > AUDIO_CHARS_MAX
        session.chunks = None
        session.chunk_chars = 0
        if too_long:
            return
        audio = _joined(chunks)
        if audio is None:
            out.append((session.to, Error(ErrorCode.INVALID_MESSAGE, "payload is not base64")))
            return
        index = 0 if session.last_index is None else session.last_index + 1
        utterance = Utterance(
            session.session_id, index, False, "", "", audio, "pcm16", 16_000, trace_id=session.trace_id
        )
        self.speak(session, utterance, now, out)


def _joined(chunks: list[str]) -> str | None:
    """The base64 text of all chunks together; None: one of them is not base64."""
    if len(chunks) == 1:
        return chunks[0]
    try:
        return b2a_base64(b"".join(a2b_base64(chunk) for chunk in chunks), newline=False).decode()
    except Base64Error:
        return None


def _asks_for_nothing(init: SessionInit) -> bool:
    """Whether the session's jobs carry nothing beyond languages and audio."""
    return (
        init.dialect is None
        and init.features is None
        and init.mode is None
        and init.lang_a is None
        and init.lang_b is None
        and init.auto_langs is None
        and init.enable_streaming_asr is None
        and init.partial_update_interval_ms is None
    )


def _equal_in_constant_time(secret: str, claimed: str) -> bool:
    """Compare without telling by the time taken how much of the secret was right."""
    ours, theirs = secret.encode(), claimed.encode("utf-8", "surrogatepass")
    different = len(ours) ^ len(theirs)
    for position, byte in enumerate(theirs):
        different |= byte ^ ours[position % len(ours)]
    return different == 0
