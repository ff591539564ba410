"""Answers to requests: whether they came, to whom, and with what in them."""

from __future__ import annotations

from typing import TypeVar

from simroom.oracle.leaks import Leaks
from simroom.oracle.mirror import Mirror
from simroom.oracle.sent import Sent
from simroom.oracle.state import Link, Room, Session
from simroom.scheduler.messages import Error, Member, RoomError, RoomMembers

M = TypeVar("M")


class Replies:
    """The judge of answers."""

    def __init__(self, mirror: Mirror, leaks: Leaks) -> None:
        self._mirror = mirror
        self._findings = mirror.findings
        self._leaks = leaks

    def wrong(self, now: int, what: str, connection: int | None = None, room: Room | None = None) -> None:
        """An answer was not what the rules say."""
        who = () if connection is None else (self._mirror.name(connection),)
        self._findings.add("reply", "reply", now, what, recipients=who, room=room)

    def expect(self, sent: Sent, kind: type[M], connection: int) -> M | None:
        """A message of this kind must go to this connection; returns it, None where it does not."""
        self._findings.replies += 1
        message = sent.take_to(kind, connection)
        if message is None:
            self.wrong(sent.now, f"{self._mirror.name(connection)} got no {_spoken(kind)}", connection)
        elif sent.turned:
            self.wrong(sent.now, f"{self._mirror.name(connection)} got its {_spoken(kind)} out of turn", connection)
        return message

    def refuse(self, sent: Sent, connection: int, code: str) -> bool:
        """The request must get an ``error`` with this code; returns whether it got any."""
        return self._code(sent, connection, sent.take_to(Error, connection), code)

    def refuse_room(self, sent: Sent, connection: int, code: str) -> bool:
        """The request must get a ``room_error`` with this code; returns whether it got any."""
        return self._code(sent, connection, sent.take_to(RoomError, connection), code)

    def _code(self, sent: Sent, connection: int, message: Error | RoomError | None, code: str) -> bool:
        self._findings.replies += 1
        name = self._mirror.name(connection)
        if message is None:
            self.wrong(sent.now, f"{name} should have been told {code} and was not", connection)
        elif message.code != code:
            self.wrong(sent.now, f"{name} was told {message.code} instead of {code}", connection)
        return message is not None

    def refused(self, sent: Sent, connection: int, kind: type[Error] | type[RoomError]) -> bool:
        """Judge whether a good request was refused; returns whether it was."""
        message = sent.take_to(kind, connection)
        if message is None:
            return False
        name = self._mirror.name(connection)
        self.wrong(sent.now, f"{name} was told {message.code} for a good request", connection)
        return True

    def perhaps(self, sent: Sent, connection: int) -> None:
        """The rules leave open whether such a message gets an error."""
        sent.take_to(Error, connection)

    # --- room_members

    def members(self, sent: Sent, room: Room, first: Session | None = None) -> None:
        """``room_members`` must go to all connected members, to ``first`` before the others."""
        order = [member for member in room.members if member is not first]
        if first is not None:
            order.insert(0, first)
        self.members_to(sent, room, tuple(member.connection for member in order if member.own))

    def members_to(self, sent: Sent, room: Room, expected: tuple[int, ...]) -> None:
        """``room_members`` must go to these, in order; in one message or several."""
        if not expected:
            return
        self._findings.replies += 1
        got: tuple[int, ...] = ()
        right = True
        while len(got) < len(expected):
            taken = sent.take(RoomMembers, lambda _, message: self._is_of(room, message))
            if taken is None:
                break
            to, message = taken
            got += to
            right = right and self._lists(room, message)
        if got != expected:
            self._addressees(room, expected, got, sent.now)
        if not right:
            self.wrong(sent.now, f"room_members of {room.name} do not show the members as they are", room=room)

    def _addressees(self, room: Room, expected: tuple[int, ...], got: tuple[int, ...], now: int) -> None:
        names = self._mirror.names
        missing = tuple(connection for connection in expected if connection not in got)
        extra = tuple(connection for connection in got if connection not in expected)
        outside = self._leaks.outsiders(extra, room)
        if outside:
            self._leaks.listing(outside, room, now)
        if missing:
            what = f"room_members did not reach {', '.join(names(missing)[:3])}"
            self._findings.add("reply", "reply", now, what, room=room, recipients=names(missing))
        elif not outside:
            what = "room_members went to others, or in another order, than the rules say"
            self._findings.add("reply", "reply", now, what, room=room, recipients=names(got))

    def _is_of(self, room: Room, message: RoomMembers) -> bool:
        return message.room_code == room.code

    def _lists(self, room: Room, message: RoomMembers) -> bool:
        members = room.members
        if len(message.members) != len(members):
            return False
        return all(self._shows(shown, member) for shown, member in zip(message.members, members, strict=True))

    def _shows(self, shown: Member, member: Session) -> bool:
        if shown.session_id != member.session_id or shown.participant_id != member.session_id:
            return False
        if self._mirror.tags.some(shown.preferred_lang) != member.lang or shown.display_name != member.display_name:
            return False
        wishes = shown.raw_voice_preferences or {}
        return all(wishes.get(whose) is wish for whose, wish in member.wishes.items()) and not any(
            self._is_made_up(whose, member) for whose in wishes
        )

    def _is_made_up(self, whose: str, member: Session) -> bool:
        # A wish is forgotten when the one it is about leaves; what is shown of those who are not there is left open.
        about = self._mirror.sessions.get(whose)
        return whose not in member.wishes and about is not None and about.room is member.room

    # --- who may ask

    def unknown_session(self, sent: Sent, connection: int) -> None:
        """A message came over a connection that has no session."""
        peer = self._mirror.peers.get(connection)
        if not isinstance(peer, Link) or peer.kind != "session":
            self.perhaps(sent, connection)
        elif peer.state == "fresh":
            self.refuse(sent, connection, "INVALID_SESSION")
        elif peer.state == "closed":
            self.refuse(sent, connection, "SESSION_CLOSED")


def _spoken(kind: type) -> str:
    name = kind.__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
