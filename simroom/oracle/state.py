"""The parts of the mirror: links, sessions, rooms, lanes, jobs and attempts, as plain state."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from simroom.oracle.fleet import Node, Profile
from simroom.oracle.ledger import NONE
from simroom.oracle.payload import SEPARATOR
from simroom.scheduler.messages import Features, JobResult


class Audience(Struct, frozen=True, eq=False, gc=False):
    """Who gets a result.

    Attributes:
        connections: In order of joining.
        numbers: The same sessions' in the ledger.
        away: The detached sessions it is kept for.
    """

    connections: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    away: tuple[Session, ...] = ()


NOBODY: Final = Audience()

LIVING: Final = -1
"""``Job.end`` of a job that has not ended."""


class Link:
    """A connection with nobody known behind it: not yet, or not any more.

    Attributes:
        state: ``fresh``: nobody has said who it is; ``closed``: its session has ended; ``stale``: its session or
            node has another connection by now.
    """

    __slots__ = ("kind", "name", "state")

    plan: Final = None
    """It makes no jobs."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.state: Literal["fresh", "closed", "stale"] = "fresh"


# CPython lays a class's slots out in alphabetical order, those of its base first. What every utterance and every answer
# looks at stands in a base of its own, so that it shares cache lines: with many rooms that is what time goes into.


class _HotLane:
    """What every answer looks at."""

    __slots__ = ("living", "recipients", "room", "session_id", "suffix", "tgt", "tgt_number", "to")


class Lane(_HotLane):
    """What keeps its order: one speaker, one room or none, one target language.

    Attributes:
        room: None: outside rooms.
        session_id: The speaker's.
        suffix: What a correct payload has after the token of the speech.
        to: Who gets a result in the usual way if it is sent now: connections in order of joining; None: that is not
            known, or nothing is as usual.
        recipients: The same as numbers in the ledger.
        living: The jobs that stand in order, oldest first.
        passed: Jobs whose turn was given up and that live on.
        orphan: Its speaker has left the room, so it goes when its jobs have.
    """

    __slots__ = ("orphan", "passed", "speaker")

    def __init__(self, speaker: Session, room: Room | None, tgt: str, tgt_number: int) -> None:
        self.speaker = speaker
        self.room = room
        self.tgt = tgt
        self.tgt_number = tgt_number
        self.session_id = speaker.session_id
        self.suffix = SEPARATOR + tgt
        self.to: tuple[int, ...] | None = None
        self.recipients: tuple[int, ...] = ()
        self.living: list[Job] = []
        self.passed: list[Job] = []
        self.orphan = False


class Room:
    """A room.

    Attributes:
        members: In order of joining.
        wanted: How many members prefer each language.
        heard: Who gets a result in a language, as far as it has been asked since anything changed.
        lanes: By speaker and language.
        sticky: The node placed on last for the room.
    """

    __slots__ = (
        "code",
        "heard",
        "lanes",
        "last_speaking_at",
        "living",
        "members",
        "name",
        "room_id",
        "sticky",
        "wanted",
    )

    def __init__(self, room_id: str, code: str, name: str, now: int) -> None:
        self.room_id = room_id
        self.code = code
        self.name = name
        self.living = True
        self.last_speaking_at = now
        self.members: dict[Session, None] = {}
        self.wanted: dict[str, int] = {}
        self.heard: dict[str, Audience] = {}
        self.lanes: dict[tuple[Session, str], Lane] = {}
        self.sticky: Node | None = None


class Membership(Struct, frozen=True, eq=False):
    """A time for which a session was in a room with one language; ``until`` None: it still is."""

    room: Room
    lang: str | None
    until: int


class Kept(Struct, frozen=True, eq=False, gc=False):
    """One message kept for a detached session.

    Attributes:
        kind: Its type.
        job: What it is about; None: about no job.
        text: Payload of a result, error code of an event, else whatever tells it from others.
    """

    kind: type
    job: Job | None
    text: str


class _HotSession:
    """What every utterance looks at."""

    __slots__ = ("last_index", "plan", "plan_from", "plan_src", "plan_tgt", "room", "session_id")


class Session(_HotSession):
    """A session, from its acknowledgement until it ends.

    Attributes:
        connection: ``NONE`` while it is detached and after it has ended.
        own: Its connection as a tuple of addressees; empty where there is none.
        lang: ``preferred_lang`` in its room; None: none.
        wishes: Whose untranslated voice it wants, by session id.
        detached: How often it was detached; tells an old deadline from a new one.
        partials: What the ASR heard while it was detached, as ``(job, text, is_final)``, oldest first. The rules leave
            open which of it is kept, so they may stand in ``kept`` in the place of something older.
        past: Its latest memberships that are over, a few.
        lanes: Those outside rooms, by language.
        plan: The jobs that its next utterance makes, if nothing changes and it is in the usual form; None: to be
            worked out.
        plan_src: Source as the message says it, for which ``plan`` holds; likewise ``plan_tgt``.
        plan_from: Canonical source of ``plan``.
    """

    __slots__ = (
        "auto_langs",
        "connection",
        "detached",
        "display_name",
        "ended",
        "features",
        "kept",
        "lanes",
        "lang",
        "name",
        "number",
        "own",
        "paired",
        "partial_job",
        "partials",
        "past",
        "pieces",
        "src",
        "sticky",
        "tgt",
        "token",
        "wishes",
    )

    def __init__(self, session_id: str, name: str, number: int, connection: int) -> None:
        self.session_id = session_id
        self.name = name
        self.number = number
        self.connection = connection
        self.own: tuple[int, ...] = (connection,)
        self.ended = False
        self.src = ""
        self.tgt = ""
        self.features: Features | None = None
        self.auto_langs: tuple[str, ...] | None = None
        self.paired: str | None = None
        self.token: str | None = None
        self.room: Room | None = None
        self.lang: str | None = None
        self.display_name: str | None = None
        self.wishes: dict[str, bool] = {}
        self.last_index = NONE
        self.pieces = 0
        self.partial_job: tuple[int, str] | None = None
        self.detached = 0
        self.kept: list[Kept] = []
        self.partials: list[tuple[Job, str, bool]] = []
        self.past: tuple[Membership, ...] = ()  # tuples and lists: an empty deque takes ten times the memory
        self.lanes: dict[str, Lane] = {}
        self.sticky: Node | None = None
        self.plan: tuple[tuple[Lane, Profile], ...] | None = None
        self.plan_src = ""
        self.plan_tgt = ""
        self.plan_from = ""


class Attempt(Struct, eq=False, gc=False):
    """An attempt that is no longer the running one of its job.

    Attributes:
        node: None: it was given to no node that is known.
        overdue: Where its time ran out and it still holds its slot: its number among those; else ``NONE``.
        told: Its node was told that it is moot.
    """

    job: Job
    node: Node | None
    number: int
    dispatched_at: int
    overdue: int = NONE
    told: bool = False


class Pieces(str):
    """The audio of an utterance that came in pieces.

    How pieces are put together is the scheduler's affair: it is what the first of its jobs to be given out says.

    Attributes:
        whole: None: no job of it has been given out.
    """

    __slots__ = ("whole",)

    whole: str | None

    def __init__(self) -> None:
        self.whole = None


class Job(Struct, eq=False, gc=False):
    """A job, from its making until its end, and on while a slot or an arrival is still to be heard of.

    ``node``, ``attempt``, ``dispatched_at`` and ``told`` are the last attempt's.

    Attributes:
        row: Ledger row of the utterance.
        id: Empty while the scheduler has not named it.
        running: Whether the last attempt is waiting for its answer.
        earlier: Attempts that are over or overdue; None: none.
        result: What it was answered with, while that is held.
        by: The attempt that was answered, where it is not the last; None: the last.
        passed: Its turn was given up.
        snapshot: Who matched when it was made, where the settings ask for it.
        end: A ``JobEnd``, or ``LIVING``.
        ledger_row: Its own row, once it has ended.
        payload: What was sent to the recipients.
        sent_to: Connections it was sent to, in order; ``seen`` has a bit for each at which it has arrived.
    """

    lane: Lane
    index: int
    audio: str
    row: int
    profile: Profile
    made_at: int
    id: str = ""
    node: Node | None = None
    attempt: int = 0
    dispatched_at: int = NONE
    running: bool = False
    told: bool = False
    earlier: list[Attempt] | None = None
    result: JobResult | None = None
    answered_at: int = NONE
    by: Attempt | None = None
    passed: bool = False
    snapshot: tuple[Session, ...] | None = None
    waiting_at: int = NONE
    waiting_number: int = NONE
    end: int = LIVING
    ledger_row: int = NONE
    payload: str = ""
    sent_to: tuple[int, ...] = ()
    seen: int = 0

    @property
    def overdue(self) -> bool:
        """Whether an attempt whose time ran out still holds its slot."""
        return self.earlier is not None and any(attempt.overdue != NONE for attempt in self.earlier)
