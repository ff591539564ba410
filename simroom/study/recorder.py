"""Looks over a scheduler's shoulder: sees every message and every output, and keeps what concerns one thing.

The scheduler works as if nobody looked: the recorder changes nothing, draws nothing, and asks the dry run only after
the fact, so that the run is the same to the last bit. What it keeps is bounded.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, cast

from msgspec import Struct

from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import (
    Addressed,
    Features,
    Incoming,
    JobAssign,
    JobCancel,
    JobResult,
    NodeRegisterAck,
    NodeStatusNotice,
    RoomExpired,
    TranslationResult,
    UiEvent,
    Utterance,
)
from simroom.scheduler.nodes import NodeStatus
from simroom.scheduler.port import PeerKind, SchedulerFactory, SchedulerPort, Sources
from simroom.scheduler.selection import NodeVerdict
from simroom.scheduler.settings import Settings
from simroom.study.follower import Follower, row_of
from simroom.study.presence import Change, Person, Presence, Seat
from simroom.study.trail import SEATS_MAX

CHANGES_MAX: Final = 10_000
"""So many changes of the member who is followed are kept, the last ones."""
WINDOW: Final = 10_000_000
"""How far before and after the instant that is asked about comings and goings in the room are kept, and told."""
MATES_MAX: Final = 200


class Look(Struct, frozen=True):
    """How it was with somebody at one instant.

    Attributes:
        in_session: They had a session, if perhaps a detached one.
        lang: Preferred language, canonical; None: none.
        seats: Who was in their room, in order of joining; None: they were in none.
        room_size: How many.
    """

    in_session: bool
    connected: bool
    lang: str | None
    room_id: str | None
    seats: tuple[Seat, ...] | None
    room_size: int


class Recording:
    """What a run shows of one thing. Instants are on the engine's clock.

    Args:
        follower: Follows an utterance; None: no utterance.
        job_id: Find out which utterance this job is of; None: no job.
        member: Follow where this session is; None: nobody.
        instant: When the room of ``member`` is looked at; None: never.

    Attributes:
        job_row: Ledger row of the utterance of ``job_id``; None: no such job was made.
        last_job: The id drawn last; None: none was drawn.
        changes: All about ``member``, in order, the last ones.
        mates: Changes of others in the room of ``member`` around ``instant``, in order, the first ones.
        looked: How it was at ``instant``; None: it was not looked.
    """

    def __init__(
        self,
        *,
        follower: Follower | None = None,
        job_id: str | None = None,
        member: str | None = None,
        instant: int | None = None,
    ) -> None:
        self.follower = follower
        self.job_id = job_id
        self.member = member
        self.instant = instant
        self.job_row: int | None = None
        self.last_job: str | None = None
        self.changes: deque[Change] = deque(maxlen=CHANGES_MAX)
        self.mates: list[Change] = []
        self.looked: Look | None = None
        self._room_id: str | None = None
        self._recorder: Recorder | None = None

    @property
    def recorder(self) -> Recorder:
        """The recorder at work.

        Raises:
            RuntimeError: No scheduler was made yet.
        """
        if self._recorder is None:
            raise RuntimeError("nothing is recorded before a scheduler is made")
        return self._recorder

    def changed(self, change: Change) -> None:
        """Something has changed about somebody."""
        if change.name == self.member:
            self.changes.append(change)
            self._room_id = change.room_id if change.in_room else None
        elif (
            self.instant is not None
            and change.room_id is not None
            and change.room_id == self._room_id
            and abs(change.at - self.instant) <= WINDOW
            and len(self.mates) < MATES_MAX
        ):
            self.mates.append(change)

    def around(self, inner: SchedulerFactory) -> SchedulerFactory:
        """A factory of the same scheduler with a recorder around it; one made later goes on with the recording."""

        def make(settings: Settings, sources: Sources) -> SchedulerPort:
            watched = _Sources(sources, self)
            made = inner(settings, cast(Sources, watched))
            presence = None if self._recorder is None else self._recorder.presence
            self._recorder = Recorder(made, self, settings, watched, presence)
            return self._recorder

        return make


class _Sources:
    """Notes which job ids are drawn, and lets a dry run draw nothing."""

    def __init__(self, inner: Sources, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording
        self.asking = False
        self.drawn: list[str] = []

    def job_id(self) -> str:
        """A fresh job id."""
        job_id = self._inner.job_id()
        self.drawn.append(job_id)
        self._recording.last_job = job_id
        return job_id

    def choose(self, count: int) -> int:
        """One of ``0..count-1`` by chance; the first where it is for a dry run."""
        return 0 if self.asking else self._inner.choose(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Recorder:
    """A scheduler with somebody looking over its shoulder.

    Args:
        inner: The scheduler.
        recording: Where to keep what was seen.
        settings: The scheduler's.
        sources: What the scheduler draws from.
        presence: Who was where under the scheduler before this one; None: this is the first.

    Attributes:
        presence: Who is where.
        last_node: The node that a job was placed on last; None: none yet.
    """

    def __init__(
        self,
        inner: SchedulerPort,
        recording: Recording,
        settings: Settings,
        sources: _Sources,
        presence: Presence | None,
    ) -> None:
        self._inner = inner
        self._recording = recording
        self._sources = sources
        self._sticky = settings.sticky != "none"
        tags = Tags(primary_only=settings.language_match == "primary")
        self.presence: Presence = Presence(settings, tags) if presence is None else presence
        self.last_node: str | None = None
        self._restarted = presence is not None
        self._nodes: dict[int, str] = {}
        self._next_look = recording.instant if recording.looked is None else None
        self._follower = recording.follower
        if self._follower is not None:
            self._follower.begin(inner, settings, tags, sources, self.presence, self._nodes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # whatever else the scheduler offers, such as its counts

    # --- the port

    @property
    def next_deadline(self) -> int | None:
        """As the scheduler's."""
        return self._inner.next_deadline

    def named(self, connection: int, name: str) -> None:
        """What the scenario calls the peer behind a connection; called before ``opened``."""
        self.presence.names[connection] = name

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        """As the scheduler's."""
        self._passes(now - 1, now)
        outputs = self._inner.opened(connection, kind, now)
        self._saw(outputs, now)
        return outputs

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        """As the scheduler's."""
        self._passes(now - 1, now)
        self._sources.drawn.clear()
        outputs = self._inner.received(connection, message, now)
        follower = self._follower
        if isinstance(message, Utterance):
            if self._recording.job_id in self._sources.drawn:
                self._found(message)
            if follower is not None and self.presence.names.get(connection) == follower.speaker:
                follower.heard(connection, message, outputs, now)
        elif isinstance(message, JobResult):
            if follower is not None and follower.busy:
                follower.answered(self._node(connection), message, now)
        else:
            self._changed(self.presence.received(connection, message, outputs, now))
        self._saw(outputs, now)
        return outputs

    def closed(self, connection: int, now: int) -> list[Addressed]:
        """As the scheduler's."""
        self._passes(now - 1, now)
        outputs = self._inner.closed(connection, now)
        self._changed(self.presence.closed(connection, now))
        node = self._nodes.pop(connection, None)
        if node is not None and self._follower is not None:
            self._follower.lost(node, now, silent=False)
        self._saw(outputs, now)
        return outputs

    def wake(self, now: int) -> list[Addressed]:
        """As the scheduler's."""
        self._passes(now, now)
        outputs = self._inner.wake(now)
        self._saw(outputs, now, woken=True)
        return outputs

    # --- what is kept

    def look(self) -> Look:
        """How it is with the member who is followed."""
        person = None if self._recording.member is None else self.presence.of_name(self._recording.member)
        room = None if person is None else person.room
        return Look(
            in_session=person is not None,
            connected=person is not None and person.connection is not None,
            lang=None if person is None else person.lang,
            room_id=None if room is None else room.room_id,
            seats=None if room is None else room.seats()[:SEATS_MAX],
            room_size=0 if room is None else len(room.members),
        )

    def ask(
        self, src_lang: str, tgt_lang: str, features: Features | None, auto_langs: tuple[str, ...] | None
    ) -> list[NodeVerdict]:
        """The scheduler's dry run, with nothing drawn; the scheduler must have one."""
        where: Any = getattr(self._inner, "where")  # noqa: B009 - not every scheduler has it
        self._sources.asking = True
        try:
            verdicts: list[NodeVerdict] = where(src_lang, tgt_lang, features, auto_langs)
        finally:
            self._sources.asking = False
        return verdicts

    def _passes(self, until: int, now: int) -> None:
        """Time has passed: what is asked about an earlier instant is looked at before anything changes."""
        if self._next_look is not None and now > self._next_look:
            self._next_look = None
            self._recording.looked = self.look()
        if self._restarted:
            self._restarted = False
            self.presence.restarted()
            if self._follower is not None:
                self._follower.restarted(now)
        changes = self.presence.passed(until)
        if changes:
            self._changed(changes)

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            if self._recording.member is not None:
                self._recording.changed(change)
            if self._follower is not None:
                self._follower.changed(change)

    def _found(self, message: Utterance | JobAssign) -> None:
        if self._recording.job_row is None:
            self._recording.job_row = row_of(message)

    def _node(self, connection: int) -> str:
        return self._nodes.get(connection, self.presence.name(connection))

    def _saw(self, outputs: list[Addressed], now: int, *, woken: bool = False) -> None:
        follower = self._follower
        busy = follower is not None and follower.busy
        for position, (to, message) in enumerate(outputs):
            if isinstance(message, JobAssign):
                node = self._node(to[0]) if to else "nobody"
                if message.job_id == self._recording.job_id:
                    self._found(message)
                if busy and follower is not None:
                    follower.assigned(node, message, outputs, position, now, self.last_node)
                self._placed(node, message)
            elif isinstance(message, NodeRegisterAck):
                self._nodes[to[0]] = message.node_id
            elif isinstance(message, RoomExpired):
                self._changed(self.presence.expired(message, now))
            elif busy and follower is not None:
                if isinstance(message, TranslationResult):
                    follower.sent(message.job_id, to, now)
                elif isinstance(message, UiEvent):
                    follower.told(message, outputs, position, now, self.last_node)
                elif isinstance(message, JobCancel):
                    follower.cancelled(self._node(to[0]), message, now)
                elif isinstance(message, NodeStatusNotice) and message.status == NodeStatus.OFFLINE:
                    follower.lost(message.node_id, now, silent=True)
        if busy and follower is not None:
            follower.concluded(outputs, now, self.last_node, woken=woken)

    def _placed(self, node: str, message: JobAssign) -> None:
        self.last_node = node
        if self._sticky:
            person: Person | None = self.presence.by_id.get(message.session_id)
            if person is not None:
                person.last_node = node
                if person.room is not None:
                    person.room.last_node = node
