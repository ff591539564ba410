"""Rooms: who is in them, which languages are wanted there, found by session and by code without a search."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from simroom.scheduler.messages import Member, RoomMembers
from simroom.scheduler.nodes import Node
from simroom.scheduler.sessions import Session


class Room(Struct, eq=False, kw_only=True):
    """One room, remembered by ``room_id``; ``room_code`` is only what people type while it lives.

    Attributes:
        members: By session id, in order of joining.
        by_lang: Members by preferred language; languages nobody prefers are absent.
        version: Changes whenever it may change who receives what.
        detached: How many members are detached at the moment.
        connections_by_lang: What ``matching_connections`` has found, until somebody comes or goes.
    """

    # What every utterance and every result looks at comes first, so that it shares cache lines.
    last_speaking_at: int
    version: int = 0
    detached: int = 0
    members: dict[str, Session] = {}
    by_lang: dict[str, dict[str, Session]] = {}
    connections_by_lang: dict[str, tuple[int, ...]] = {}
    sticky: Node | None = None
    alive: bool = True
    room_id: str
    room_code: str
    created_at: int
    _languages: tuple[str, ...] | None = None
    _matching: dict[str, tuple[Session, ...]] = {}
    _everyone: tuple[Member, ...] | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that members prefer, ascending."""
        languages = self._languages
        if languages is None:
            languages = self._languages = tuple(sorted(self.by_lang))
        return languages

    def add(self, session: Session) -> None:
        """Take a session in; it must be in no room."""
        self.members[session.session_id] = session
        self._everyone = None
        self._changed()
        self._enlist(session)

    def remove(self, session: Session) -> None:
        """Let a member go."""
        self._changed()
        del self.members[session.session_id]
        self._everyone = None
        self._delist(session)

    def change_language(self, session: Session, preferred_lang: str | None) -> None:
        """A member prefers another language from now on."""
        self._changed()
        self._delist(session)
        session.preferred_lang = preferred_lang
        self._everyone = None
        self._enlist(session)

    def connection_changed(self, session: Session) -> None:
        """A member's connection was lost or replaced."""
        self._changed()
        if session.preferred_lang is not None:
            self.connections_by_lang.pop(session.preferred_lang, None)

    def matching(self, language: str) -> tuple[Session, ...]:
        """The members who prefer ``language``, in order of joining."""
        matching = self._matching.get(language)
        if matching is None:
            group = self.by_lang.get(language)
            if group is None:
                return ()
            matching = tuple(sorted(group.values(), key=_join_serial))
            self._matching[language] = matching
        return matching

    def matching_connections(self, language: str) -> tuple[int, ...]:
        """The connections of the members who prefer ``language``, in order of joining; detached ones have none."""
        connections = self.connections_by_lang.get(language)
        if connections is None:
            connections = tuple(s.connection for s in self.matching(language) if s.connection is not None)
            if connections:
                self.connections_by_lang[language] = connections
        return connections

    def shown_members(self) -> tuple[Member, ...]:
        """The members as they are shown to each other, in order of joining."""
        everyone = self._everyone
        if everyone is None:
            everyone = tuple(s.member for s in self.members.values() if s.member is not None)
            self._everyone = everyone
        return everyone

    def members_message(self) -> RoomMembers:
        """The message that shows the members."""
        return RoomMembers(self.room_code, self.shown_members())

    def end(self) -> None:
        """The room is no more; whoever still holds it finds nobody in it."""
        self.alive = False
        self._changed()
        self.members = {}
        self.by_lang = {}
        self.detached = 0
        self._languages = None
        self._matching = {}
        self.connections_by_lang = {}
        self._everyone = None

    def shown_changed(self) -> None:
        """What is shown of a member has changed."""
        self._everyone = None

    def connections(self, first: Session | None = None) -> tuple[int, ...]:
        """The connections of all members in order of joining, that of ``first`` before the others."""
        others = [s.connection for s in self.members.values() if s.connection is not None and s is not first]
        return (*first.to, *others) if first is not None else tuple(others)

    def _enlist(self, session: Session) -> None:
        language = session.preferred_lang
        if language is not None:
            group = self.by_lang.get(language)
            if group is None:
                group = self.by_lang[language] = {}
                self._languages = None
            group[session.session_id] = session
            self._forget(language)

    def _delist(self, session: Session) -> None:
        language = session.preferred_lang
        if language is not None:
            group = self.by_lang[language]
            del group[session.session_id]
            if not group:
                del self.by_lang[language]
                self._languages = None
            self._forget(language)

    def _changed(self) -> None:
        self.version += 1
        for member in self.members.values():
            member.plan = None

    def _forget(self, language: str) -> None:
        self._matching.pop(language, None)
        self.connections_by_lang.pop(language, None)


def _join_serial(session: Session) -> int:
    return session.join_serial


class Rooms:
    """The living rooms, by code; sessions know theirs."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions
        self.by_code: dict[str, Room] = {}
        """In order of creation."""

    def find_room_by_session(self, session_id: str) -> Room | None:
        """The room that the session is in; None: in no room, or there is no such session."""
        session = self._sessions.get(session_id)
        return None if session is None else session.room

    def find_room_by_code(self, room_code: str) -> Room | None:
        """The living room with that code; None: there is none."""
        return self.by_code.get(room_code)

    def get_target_language_members(
        self, room: Room, language: str, exclude: Iterable[str] = ()
    ) -> tuple[Session, ...]:
        """The members of ``room`` who prefer ``language`` (canonical tag), in order of joining.

        Args:
            room: A living room.
            language: The target language of a job.
            exclude: Session ids to leave out. A result leaves nobody out: the speaker is a recipient like any other.
        """
        matching = room.matching(language)
        left_out = frozenset(exclude)
        return tuple(s for s in matching if s.session_id not in left_out) if left_out else matching
