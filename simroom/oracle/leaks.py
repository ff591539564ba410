"""I7: nothing of a room goes to anyone outside it, and nothing of a session outside rooms to anyone else."""

from __future__ import annotations

from simroom.oracle.mirror import Mirror
from simroom.oracle.state import Job, Room, Session


class Leaks:
    """The judge of I7."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def judge(self, job: Job, expected: tuple[int, ...], actual: tuple[int, ...], now: int) -> None:
        """Judge the addressees of a result who are not among its recipients and not in its room."""
        room = job.lane.room
        outside = tuple(
            dict.fromkeys(
                connection
                for connection in actual
                if connection not in expected and (room is None or not self._inside(connection, room))
            )
        )
        if outside:
            who = self._mirror.names(outside)
            where = "is not in the room" if room is not None and room.living else "is not the speaker"
            if room is not None and not room.living:
                where = "got it after the room had ended"
            self._mirror.findings.add("I7", "leaked", now, f"{', '.join(who[:3])} {where}", job=job, recipients=who)

    def outsiders(self, connections: tuple[int, ...], room: Room) -> tuple[int, ...]:
        """Those of the connections behind which nobody is a member of the room."""
        return tuple(connection for connection in connections if not self._inside(connection, room))

    def listing(self, outside: tuple[int, ...], room: Room, now: int) -> None:
        """A message of the room went to these, who are not in it."""
        who = self._mirror.names(outside)
        what = f"{', '.join(who[:3])} was told about a room and is not in it"
        self._mirror.findings.add("I7", "leaked", now, what, room=room, recipients=who)

    def _inside(self, connection: int, room: Room) -> bool:
        peer = self._mirror.peers.get(connection)
        return isinstance(peer, Session) and peer.room is room and room.living
