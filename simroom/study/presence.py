"""Who is where: sessions, rooms and languages, as they follow by the rules from what passes the scheduler's port.

A mirror of the present and nothing more; what it says of each change is for whoever follows somebody. It goes by what
people asked for and were not refused, not by what the scheduler makes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from simroom.scheduler.languages import AUTO, Tags
from simroom.scheduler.messages import (
    Addressed,
    Error,
    Incoming,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    SessionClose,
    SessionInit,
    SessionInitAck,
)
from simroom.scheduler.settings import Settings


class Moved(StrEnum):
    """What can change about somebody."""

    OPENED = "opened a session"
    ENDED = "ended the session"
    DETACHED = "lost the connection"
    RESUMED = "is back on a new connection"
    JOINED = "joined"
    LEFT = "left"
    LANGUAGE = "prefers another language"
    ROOM_ENDED = "lost the room: it expired"


class Change(Struct, frozen=True):
    """Something that changed about somebody, and how it is from then on.

    Attributes:
        at: On the engine's clock.
        name: Who.
        room_id: The room that it is about; None: about none.
        in_room: Whether they are in it from then on.
        lang: Preferred language from then on, canonical; None: none.
        connected: Whether they have a session over a living connection.
    """

    at: int
    name: str
    moved: Moved
    room_id: str | None
    in_room: bool
    lang: str | None
    connected: bool


class Seat(Struct, frozen=True):
    """A member of a room at one moment."""

    name: str
    lang: str | None
    connected: bool


class Person(Struct, eq=False, kw_only=True):
    """A session and who is behind it.

    Attributes:
        connection: None while it is detached.
        lang: Preferred language, canonical; None: none.
        leaves_at: When it has been away for too long; None while it is connected.
        last_node: The node its last job was placed on, where stickiness asks; None: none yet.
    """

    name: str
    session_id: str
    init: SessionInit
    connection: int | None
    src_lang: str
    tgt_lang: str
    room: Room | None = None
    lang: str | None = None
    leaves_at: int | None = None
    last_node: str | None = None


class Room(Struct, eq=False, kw_only=True):
    """A living room.

    Attributes:
        members: By session id, in order of joining.
    """

    room_id: str
    code: str
    members: dict[str, Person]
    last_node: str | None = None

    def seats(self) -> tuple[Seat, ...]:
        """Its members as they are, in order of joining."""
        return tuple(Seat(one.name, one.lang, one.connection is not None) for one in self.members.values())


class Presence:
    """Everybody who has a session.

    Args:
        settings: The scheduler's.
        tags: Its rule for comparing languages.

    Attributes:
        names: What the scenario calls the peer behind each connection that is open or about to be.
        people: Who is behind each connection that has a session.
        by_id: Living sessions, the detached ones included, by id.
        rooms: Living rooms by code.
    """

    def __init__(self, settings: Settings, tags: Tags) -> None:
        self._grace = settings.reconnect_grace
        self._tags = tags
        self.names: dict[int, str] = {}
        self.people: dict[int, Person] = {}
        self.by_id: dict[str, Person] = {}
        self.rooms: dict[str, Room] = {}
        self._graces: deque[tuple[int, Person]] = deque()

    def name(self, connection: int) -> str:
        """What the scenario calls the peer behind a connection."""
        return self.names.get(connection, f"connection {connection}")

    def of_name(self, name: str) -> Person | None:
        """The living session of this name; None: there is none."""
        for person in self.by_id.values():
            if person.name == name:
                return person
        return None

    # --- what passes

    def received(self, connection: int, message: Incoming, outputs: list[Addressed], now: int) -> list[Change]:
        """A message was handed over, and this is what came of it; a session's only: nodes change nothing here."""
        kind = type(message)
        if kind is SessionInit:
            return self._init(connection, message, outputs, now)  # type: ignore[arg-type]
        person = self.people.get(connection)
        if person is None:
            return []
        if kind is SessionClose:
            own = message.session_id == person.session_id  # type: ignore[union-attr]
            return self._end(person, now) if own else []
        if any(to == (connection,) and type(answer) in (RoomError, Error) for to, answer in outputs):
            return []
        if kind is RoomCreate:
            return self._create(person, message, outputs, now)  # type: ignore[arg-type]
        if kind is RoomJoin:
            room = self.rooms.get(message.room_code)  # type: ignore[union-attr]
            if room is None or person.room is not None:
                return []
            return [self._enter(person, room, message.preferred_lang, now)]  # type: ignore[union-attr]
        own_room = person.room
        if own_room is None or kind not in (RoomLeave, RoomLanguage):
            return []
        if own_room.code != message.room_code:  # type: ignore[union-attr]
            return []
        if kind is RoomLeave:
            return [self._leave(person, own_room, now)]
        person.lang = self._lang(message.preferred_lang)  # type: ignore[union-attr]
        return [self._change(person, Moved.LANGUAGE, own_room, now)]

    def closed(self, connection: int, now: int) -> list[Change]:
        """A connection has ended."""
        self.names.pop(connection, None)
        person = self.people.pop(connection, None)
        if person is None or person.connection != connection:
            return []
        person.connection = None
        if self._grace == 0:
            return self._end(person, now)
        person.leaves_at = now + self._grace
        self._graces.append((person.leaves_at, person))
        return [self._change(person, Moved.DETACHED, person.room, now)]

    def passed(self, until: int) -> list[Change]:
        """Time has passed: whoever was away for longer than the grace by ``until`` has left."""
        changes: list[Change] = []
        while self._graces and self._graces[0][0] <= until:
            due, person = self._graces.popleft()
            if person.leaves_at == due and person.session_id in self.by_id:
                changes += self._end(person, due)
        return changes

    def expired(self, message: RoomExpired, now: int) -> list[Change]:
        """Somebody was told that a room has expired."""
        room = self.rooms.pop(message.room_code, None)
        if room is None:
            return []
        changes = []
        for person in room.members.values():
            person.room = person.lang = None
            changes.append(self._change(person, Moved.ROOM_ENDED, room, now))
        room.members = {}
        return changes

    def restarted(self) -> None:
        """The scheduler has lost its memory: nobody has a session any more. Connections keep their names."""
        self.people.clear()
        self.by_id.clear()
        self.rooms.clear()
        self._graces.clear()

    # --- what comes of it

    def _init(self, connection: int, message: SessionInit, outputs: list[Addressed], now: int) -> list[Change]:
        acks = (said for to, said in outputs if to == (connection,) and isinstance(said, SessionInitAck))
        ack = next(acks, None)
        if ack is None:
            return []
        known = self.by_id.get(ack.session_id)
        if known is not None and message.resume is not None:
            if known.connection is not None:
                self.people.pop(known.connection, None)
            known.connection = connection
            known.leaves_at = None
            self.people[connection] = known
            return [self._change(known, Moved.RESUMED, known.room, now)]
        person = Person(
            name=self.name(connection),
            session_id=ack.session_id,
            init=message,
            connection=connection,
            src_lang=self._tags.canonical(message.src_lang),
            tgt_lang=self._tags.canonical(message.tgt_lang),
        )
        self.people[connection] = self.by_id[ack.session_id] = person
        return [self._change(person, Moved.OPENED, None, now)]

    def _create(self, person: Person, message: RoomCreate, outputs: list[Addressed], now: int) -> list[Change]:
        for to, said in outputs:
            if isinstance(said, RoomCreateAck) and person.connection in to and person.room is None:
                room = Room(room_id=said.room_id, code=said.room_code, members={})
                self.rooms[room.code] = room
                return [self._enter(person, room, message.preferred_lang, now)]
        return []

    def _enter(self, person: Person, room: Room, lang: str | None, now: int) -> Change:
        person.room = room
        person.lang = self._lang(lang)
        room.members[person.session_id] = person
        return self._change(person, Moved.JOINED, room, now)

    def _leave(self, person: Person, room: Room, now: int) -> Change:
        room.members.pop(person.session_id, None)
        person.room = person.lang = None
        if not room.members and self.rooms.get(room.code) is room:
            del self.rooms[room.code]
        return self._change(person, Moved.LEFT, room, now)

    def _end(self, person: Person, now: int) -> list[Change]:
        changes = [] if person.room is None else [self._leave(person, person.room, now)]
        self.by_id.pop(person.session_id, None)
        if person.connection is not None:
            self.people.pop(person.connection, None)
            person.connection = None
        return [*changes, self._change(person, Moved.ENDED, None, now)]

    def _lang(self, tag: str | None) -> str | None:
        canonical = self._tags.optional(tag)
        return None if canonical == AUTO else canonical

    @staticmethod
    def _change(person: Person, moved: Moved, room: Room | None, now: int) -> Change:
        return Change(
            at=now,
            name=person.name,
            moved=moved,
            room_id=None if room is None else room.room_id,
            in_room=room is not None and person.room is room,
            lang=person.lang,
            connected=person.connection is not None,
        )


def there(seats: Sequence[Seat], moves: Sequence[Change], at: int) -> tuple[Seat, ...]:
    """Who was in the room at an instant, from who was there before and what changed."""
    members = {seat.name: seat for seat in seats}
    for move in moves:
        if move.at > at:
            break
        if move.in_room:
            members[move.name] = Seat(move.name, move.lang, move.connected)
        else:
            members.pop(move.name, None)
    return tuple(members.values())
