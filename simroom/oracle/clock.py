"""What is due when: everything that the rules make happen by the passing of time, in the order they state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simroom.oracle.answers import Answers
from simroom.oracle.mirror import Mirror
from simroom.oracle.node_life import NodeLife
from simroom.oracle.order import Order
from simroom.oracle.placing import Placing
from simroom.oracle.room_requests import RoomRequests
from simroom.oracle.sent import Sent
from simroom.oracle.session_requests import SessionRequests
from simroom.oracle.state import LIVING

NEVER: Final = 1 << 62


class Clock:
    """Lets time pass.

    Args:
        punctual: The driver is never late, so whatever happens after its due time is the scheduler's fault.
    """

    def __init__(
        self,
        mirror: Mirror,
        sessions: SessionRequests,
        rooms: RoomRequests,
        nodes: NodeLife,
        placing: Placing,
        answers: Answers,
        order: Order,
        *,
        punctual: bool,
    ) -> None:
        self._mirror = mirror
        self._sessions = sessions
        self._rooms = rooms
        self._nodes = nodes
        self._placing = placing
        self._answers = answers
        self._order = order
        self._punctual = punctual
        settings = mirror.settings
        self._job_timeout = settings.job_timeout
        self._waiting_time_max = settings.waiting_time_max
        self._node_scan_interval = settings.node_scan_interval
        self._room_scan_interval = settings.room_scan_interval
        self._next_node_scan = settings.node_scan_interval
        self._next_room_scan = settings.room_scan_interval
        # In the order that holds at one instant: what each is due at, and what it does.
        self._things: tuple[tuple[Callable[[], int], Callable[[Sent, int], None]], ...] = (
            (lambda: self._next_node_scan, self._scan_nodes),
            (self._warm_up_due, self._warm_up),
            (self._grace_due, self._grace),
            (self._time_out_due, self._time_out),
            (self._abandon_due, self._abandon),
            (self._waiting_due, self._waiting),
            (self._hold_due, self._hold),
            (lambda: self._next_room_scan, self._scan_rooms),
        )

    def pass_to(self, sent: Sent, limit: int) -> None:
        """Do all that is due up to and including ``limit``."""
        mirror = self._mirror
        while True:
            due, do = min(((due_at(), number) for number, (due_at, _) in enumerate(self._things)))
            if due > limit:
                mirror.due = due
                return
            if not self._punctual and due < sent.now:
                mirror.lateness = max(mirror.lateness, sent.now - due)
            before = sent.position, mirror.findings.ends
            self._things[do][1](sent, due)
            if mirror.waiting:
                self._placing.try_waiting(sent)
            if self._punctual and due < sent.now and before != (sent.position, mirror.findings.ends):
                what = f"something that was due at {due / 1e6:.6f} s was done only at {sent.now / 1e6:.6f} s"
                mirror.findings.add("reply", "reply", sent.now, what)

    # --- nodes and rooms

    def _scan_nodes(self, sent: Sent, due: int) -> None:
        self._next_node_scan = due + self._node_scan_interval
        self._nodes.scan(sent, due)

    def _scan_rooms(self, sent: Sent, due: int) -> None:
        self._next_room_scan = due + self._room_scan_interval
        self._rooms.scan(sent, due)

    def _warm_up_due(self) -> int:
        return self._mirror.warm_ups[0][0] if self._mirror.warm_ups else NEVER

    def _warm_up(self, sent: Sent, _due: int) -> None:
        _, node, life = self._mirror.warm_ups.popleft()
        self._nodes.warm_up_ended(sent, node, life)

    # --- sessions

    def _grace_due(self) -> int:
        return self._mirror.graces[0][0] if self._mirror.graces else NEVER

    def _grace(self, sent: Sent, _due: int) -> None:
        _, session, detached = self._mirror.graces.popleft()
        self._sessions.grace_ended(sent, session, detached)

    # --- jobs

    def _time_out_due(self) -> int:
        for job in self._mirror.running.values():
            return job.dispatched_at + self._job_timeout
        return NEVER

    def _time_out(self, sent: Sent, due: int) -> None:
        self._answers.timed_out(sent, next(iter(self._mirror.running.values())), due)

    def _abandon_due(self) -> int:
        for due, _ in self._mirror.overdue.values():
            return due
        return NEVER

    def _abandon(self, _sent: Sent, _due: int) -> None:
        _, attempt = next(iter(self._mirror.overdue.values()))
        self._answers.abandoned(attempt)

    def _waiting_due(self) -> int:
        for job in self._mirror.waiting.values():
            return job.waiting_at + self._waiting_time_max
        return NEVER

    def _waiting(self, sent: Sent, _due: int) -> None:
        self._placing.waited_too_long(sent, next(iter(self._mirror.waiting.values())))

    def _hold_due(self) -> int:
        holds = self._mirror.holds
        while holds and (holds[0][1].end != LIVING or holds[0][1].result is None):
            holds.popleft()
        return holds[0][0] if holds else NEVER

    def _hold(self, sent: Sent, _due: int) -> None:
        _, job = self._mirror.holds.popleft()
        self._order.hold_ended(sent, job)
