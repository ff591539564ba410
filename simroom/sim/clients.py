"""Simulated clients: people with a microphone who connect, enter rooms, speak, drop out and come back."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace

from simroom.oracle.ledger import NONE, Ledger
from simroom.oracle.payload import speech
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    JobAssign,
    Outgoing,
    Resume,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    Utterance,
)
from simroom.scheduler.port import PeerKind
from simroom.sim.person import Person
from simroom.sim.port import Port, UtteranceRow
from simroom.sim.room import SimRoom
from simroom.workload.streams import mix, mix_one

ASK_AGAIN_TIME: Final = 1_000_000
"""How long whoever is refused again and again waits before it asks once more."""


class _Speaker:
    """What every utterance looks at; in a base of its own so that it shares cache lines."""

    __slots__ = (
        "_key",
        "_ledger",
        "_port",
        "_secret",
        "_spoken_count",
        "_src_number",
        "closing",
        "connection",
        "in_room",
        "next_index",
        "number",
        "person",
        "resuming",
        "room",
        "session_id",
    )


class Client(_Speaker):
    """One session's far end."""

    kind: ClassVar[PeerKind] = "session"
    plan: ClassVar[None] = None

    __slots__ = (
        "_asked",
        "_code",
        "_refused_count",
        "_token",
        "_told_lang",
        "awaits_members",
        "luck",
        "name",
        "preferred_lang",
        "resumable",
        "steady",
        "unspoken_count",
        "wants_in",
    )

    def __init__(
        self,
        name: str,
        person: Person,
        room: SimRoom | None,
        port: Port,
        ledger: Ledger,
        key: int,
        secret: int,
        *,
        steady: bool,
        resumable: bool,
    ) -> None:
        """Make a client that is not connected yet.

        Args:
            name: The scenario's name for it, such as ``standup-3/m2``.
            person: Who speaks.
            room: The room it belongs to; None: outside rooms.
            port: Where the scheduler is.
            ledger: Where its utterances are noted.
            key: Everything drawn about it is made from these 64 bits.
            secret: Goes into the tokens of its payloads.
            steady: Nothing in the scenario takes its connection away.
            resumable: The scheduler grants a grace, so coming back means resuming.
        """
        self.name = name
        self.number = ledger.sessions.number(name)
        self.person = person
        self.preferred_lang = person.preferred_lang
        self.room = room
        self.steady = steady
        self.resumable = resumable
        self.luck = mix(key, 1)
        self.connection: int | None = None
        self.session_id: str | None = None
        self.in_room = False
        self.wants_in = room is not None
        self.awaits_members = False
        self.resuming = False
        self.closing = False
        self.next_index = 0
        self.unspoken_count = 0
        self._token: str | None = None
        self._refused_count = 0  # in a row
        self._asked = False  # it has asked to open or enter the room and has no answer yet
        self._code: str | None = None  # of the room it was last in or tried to enter
        self._told_lang: str | None = None  # preferred language as the scheduler was last told
        self._spoken_count = 0  # a new session begins to count anew, its payloads must not
        self._port = port
        self._ledger = ledger
        self._key = mix(key, 3)
        self._secret = secret
        self._src_number = ledger.languages.number(person.greeting.src_lang)

    # --- what the person does

    def connect(self) -> None:
        """Open a connection and say who is there: as before where that can be resumed, else anew."""
        if self.connection is not None or self.closing:
            return
        self.connection = self._port.open(self)
        if self.resumable and self.session_id is not None and self._token is not None:
            self.resuming = True
            self.awaits_members = self.room is not None  # they are shown again if the session is in a room
            self._init(Resume(self.session_id, self._token))
        else:
            self._init(None)

    def drop(self, unnoticed_time: int = 0) -> bool:
        """Lose the connection without a word; False: there was none to lose.

        Args:
            unnoticed_time: How much longer than the way up takes until the scheduler hears of it.
        """
        if self.connection is None:
            return False
        self._port.close(self, self.connection, unnoticed_time)
        self._disconnected()
        return True

    def cut(self) -> None:
        """The connection has ended at the far side or on the way: come back at once, unless it was closing."""
        self._disconnected()
        self.connect()

    def _disconnected(self) -> None:
        self.connection = None
        self.resuming = False
        if self.room is not None and self.room.opener is self:
            self.room.opener_lost()
        self._no_longer_waiting()
        self._asked = self.awaits_members = False
        if not self.resumable:
            self._forget_session()

    def close(self) -> None:
        """End the session in good order; one that is not acknowledged yet, as soon as it is."""
        self.closing = True
        self._no_longer_waiting()
        if self.online:
            self._say_goodbye()

    def leave(self) -> None:
        """Leave the room and keep the session; whoever cannot say so now, does as soon as it can."""
        self.wants_in = False
        self._no_longer_waiting()
        if self.online and self.in_room and self._code is not None:
            self._send(RoomLeave(self._code))
            self.awaits_members = False
            self._out()

    def come_back(self) -> None:
        """Want to be in the room again."""
        self.wants_in = self.room is not None
        self.enter()

    def enter(self) -> None:
        """Enter the room, open it, or wait for the one who does."""
        room = self.room
        if room is None or not self.wants_in or self.in_room or self._asked or not self.online or self.closing:
            return
        if room.code is not None:
            self._code = room.code
            self._send(RoomJoin(room.code, self.person.display_name, self.preferred_lang))
        elif room.opener is None:
            room.opener = self
            self._send(RoomCreate(0, self.person.display_name, self.preferred_lang))
        else:
            if self not in room.waiting:
                room.waiting.append(self)
            return
        self._asked = self.awaits_members = True
        self._told_lang = self.preferred_lang

    def change_language(self, preferred_lang: str | None) -> None:
        """Prefer another language from now on."""
        self.preferred_lang = preferred_lang
        self._tell_language()

    def speak(self, started_at: int, ended_at: int) -> Utterance | None:
        """Finish an utterance now; None: without a session nobody hears it."""
        message = self._words(started_at, ended_at)
        if message is not None and self.connection is not None:
            self._port.speak(self.connection, message, self._note(message, started_at, ended_at))
        return message

    def will_speak(self, started_at: int, ended_at: int) -> None:
        """Finish an utterance at ``ended_at``; for a steady client in its room, in the order of the ends.

        Nothing can come between its end and its arrival at the scheduler, so it has one entry, the arrival.
        """
        assert self.connection is not None
        self._port.call_at_arrival(self.connection, ended_at, self._say, (started_at, ended_at))

    def _say(self, turn: tuple[int, int]) -> None:
        self._port.airborne -= 1
        started_at, ended_at = turn
        message = self._words(started_at, ended_at) if self.in_room else None
        if message is not None and self.connection is not None:
            row = self._ledger.utterance(*self._note(message, started_at, ended_at))
            message.audio.row = row  # type: ignore[attr-defined]
            self._port.hear(self.connection, message)

    def _words(self, started_at: int, ended_at: int) -> Utterance | None:
        """The next utterance; None: there is no session to say it in."""
        session_id = self.session_id
        if session_id is None or self.connection is None or self.resuming or self.closing:
            self.unspoken_count += 1
            return None
        index = self.next_index
        self.next_index = index + 1
        key = mix_one(self._key, self._spoken_count)
        self._spoken_count += 1
        greeting = self.person.greeting
        audio = speech(f"{key ^ self._secret:016x}", NONE, ended_at - started_at, key)
        return Utterance(session_id, index, False, greeting.src_lang, greeting.tgt_lang, audio, "pcm16", 16_000)

    def _note(self, message: Utterance, started_at: int, ended_at: int) -> UtteranceRow:
        """The utterance's row in the ledger, which it gets as it arrives at the scheduler."""
        room = self.room
        number = room.number if self.in_room and room is not None and room.present_count > 1 else NONE
        return self.number, number, message.utterance_index, self._src_number, started_at, ended_at

    # --- what the client hears

    @property
    def online(self) -> bool:
        """Whether it has a session over a living connection."""
        return self.connection is not None and self.session_id is not None and not self.resuming

    def deliver(self, message: Outgoing) -> None:
        """Act on what has arrived. Results need nothing done: they are in the ledger."""
        match message:
            case SessionInitAck():
                self._acknowledged(message)
            case RoomCreateAck():
                if self.room is not None:
                    self.room.opened(message.room_code)
            case RoomMembers():
                self._shown(message.room_code)
            case RoomError():
                self._refused(message)
            case RoomExpired():
                if self.room is not None:
                    self.room.code_lost(message.room_code)
                if message.room_code == self._code:
                    self._out()
            case Error(code=ErrorCode.INVALID_SESSION) if self.resuming:
                self.resuming = self.awaits_members = False
                self._forget_session()
                if self.closing:
                    self._hang_up()
                else:
                    self._init(None)
            case SessionCloseAck():
                self._hang_up()
            case _:
                pass

    def assigned(self, message: JobAssign) -> None:
        """A scheduler has sent a job here, by mistake: nobody works on it."""

    def _acknowledged(self, message: SessionInitAck) -> None:
        resumed = self.resuming
        self.resuming = False
        self.session_id = message.session_id
        self._token = message.resume_token
        if self.closing:
            self._say_goodbye()
            return
        if not resumed:
            self.next_index = 0
        elif self.in_room:
            self._catch_up()
        self.enter()

    def _shown(self, room_code: str) -> None:
        """The members of a room were shown: it has entered, or it is back and the session was in one all the time."""
        room = self.room
        if room is None or not self.awaits_members or self.closing:
            return
        if not self.in_room and (room.opener not in (None, self) or room.code not in (None, room_code)):
            # It had opened this room and lost its connection before it heard so; the others have another one by now.
            self._send(RoomLeave(room_code))
            self.enter()
            return
        if room.code is None:
            room.opened(room_code)
        self._asked = self.awaits_members = False
        self._code = room_code
        if not self.in_room:
            self._in()
        self._catch_up()

    def _catch_up(self) -> None:
        """Say what could not be said before."""
        if self.wants_in:
            self._tell_language()
        else:
            self.leave()

    def _refused(self, message: RoomError) -> None:
        room = self.room
        if room is None or not self._asked:
            return
        if message.code == ErrorCode.ALREADY_IN_ROOM:
            # The session was in a room that it has left meanwhile, see above.
            self._asked = False
            if room.opener is self:
                room.opener_lost()
            self._refused_count += 1
            if self._refused_count == 1:
                self.enter()
            else:  # a scheduler that insists is asked now and then, not for ever at one instant
                self._port.call_later(ASK_AGAIN_TIME, self._ask_again, self.connection)
        elif room.opener is not self:
            self._asked = self.awaits_members = False
            if message.code == ErrorCode.ROOM_NOT_FOUND and self._code is not None:
                room.code_lost(self._code)
                self.enter()

    def _ask_again(self, connection: int | None) -> None:
        if connection == self.connection:
            self.enter()

    # --- its own state

    def _init(self, resume: Resume | None) -> None:
        greeting = self.person.greeting
        self._send(greeting if resume is None else replace(greeting, resume=resume))

    def _send(self, message: SessionInit | SessionClose | RoomCreate | RoomJoin | RoomLeave | RoomLanguage) -> None:
        assert self.connection is not None
        self._port.send(self, self.connection, message)

    def _say_goodbye(self) -> None:
        assert self.session_id is not None
        self._send(SessionClose(self.session_id, "done"))
        self._out()

    def _hang_up(self) -> None:
        if self.connection is not None:
            self._port.close(self, self.connection)
        self.connection = None
        self._forget_session()

    def _tell_language(self) -> None:
        if self.online and self.in_room and self._code is not None and self._told_lang != self.preferred_lang:
            self._told_lang = self.preferred_lang
            self._send(RoomLanguage(self._code, self.preferred_lang))

    def _in(self) -> None:
        self.in_room = True
        self._refused_count = 0
        if self.room is not None:
            self.room.present_count += 1
            if self.room.on_presence is not None:
                self.room.on_presence(self)

    def _out(self) -> None:
        if not self.in_room:
            return
        self.in_room = False
        if self.room is not None:
            self.room.present_count -= 1
            if self.room.on_presence is not None:
                self.room.on_presence(self)

    def _no_longer_waiting(self) -> None:
        if self.room is not None and self in self.room.waiting:
            self.room.waiting.remove(self)

    def _forget_session(self) -> None:
        self.session_id = None
        self._token = None
        self._out()
