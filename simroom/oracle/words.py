"""Whose words a payload carries, as far as that is remembered."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simroom.oracle.mirror import Mirror
from simroom.oracle.payload import SEPARATOR
from simroom.oracle.state import Job, Room, Session
from simroom.scheduler.messages import Utterance

REMEMBERED_MAX: Final = 20_000
"""Utterances remembered; a node mixes up what it has at one time, or had last, so older ones do not matter."""


class Origin(Struct, frozen=True, eq=False):
    """Where words were said.

    Attributes:
        room: None: outside rooms, or alone in one.
        index: Of the utterance.
    """

    speaker: Session
    room: Room | None
    index: int

    def is_by(self, session: Session) -> bool:
        """Whether the same person said them, if perhaps in another session."""
        return session.number == self.speaker.number

    def is_for(self, session: Session) -> bool:
        """Whether the session may hear these words: its own, or of a room that it is, or was not long ago, in."""
        if self.is_by(session):
            return True
        room = self.room
        return room is not None and (session.room is room or any(past.room is room for past in session.past))


class Words:
    """Remembers who said what; not all the time, as that takes time.

    Args:
        mirror: Who is where.
        remembering: From the start; else only once it has begun.

    Attributes:
        remembering: Whether it has begun, so that ``said`` is to be called for each utterance.
    """

    def __init__(self, mirror: Mirror, *, remembering: bool) -> None:
        self._mirror = mirror
        self._origins: dict[str, Origin] = {}
        self.remembering = remembering

    def said(self, connection: int, message: Utterance) -> None:
        """A session has finished an utterance, which has not been judged yet."""
        speaker = self._mirror.peers.get(connection)
        if isinstance(speaker, Session):
            room = speaker.room
            alone = room is None or len(room.members) == 1
            self._remember(str(message.audio), Origin(speaker, None if alone else room, message.utterance_index))

    def origin(self, payload: str) -> Origin | None:
        """Where the words of a payload were said; None: that is not known."""
        return self._origins.get(payload.rpartition(SEPARATOR)[0])

    def begin(self, job: Job) -> None:
        """Remember from now on, and to begin with what is under way, this job included."""
        self.remembering = True
        for other in (*self._mirror.aside.values(), *self._mirror.running.values(), job):
            self._remember(str(other.audio), Origin(other.lane.speaker, other.lane.room, other.index))

    def _remember(self, audio: str, origin: Origin) -> None:
        self._origins[audio] = origin
        if len(self._origins) > REMEMBERED_MAX:
            del self._origins[next(iter(self._origins))]
