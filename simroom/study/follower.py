"""Follows one utterance of one speaker through what passes the scheduler's port: its jobs, and what becomes of each."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from simroom.oracle.ledger import NONE
from simroom.scheduler.jobs import TRIED_AGAIN
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import (
    Addressed,
    Error,
    ErrorCode,
    JobAssign,
    JobCancel,
    JobResult,
    UiEvent,
    Utterance,
)
from simroom.scheduler.port import SchedulerPort
from simroom.scheduler.settings import Settings
from simroom.study.presence import Change, Person, Presence
from simroom.study.trail import (
    AFTERWARDS,
    SEATS_MAX,
    Again,
    Answer,
    Cancel,
    Loss,
    Notice,
    Placing,
    Restart,
    Send,
    Spoken,
    Trail,
    Verdicts,
    verdicts_of,
)

NEIGHBOURS_MAX: Final = 200
"""Utterances of the same speaker that are kept before, and after, the one that was asked about."""
OTHERS_MAX: Final = 20


class Drawn(Protocol):
    """What the follower needs of the scheduler's sources."""

    asking: bool
    """The scheduler is asked a question, so nothing may be drawn."""
    drawn: list[str]
    """Job ids that were drawn in this call."""


class _Job:
    """A job of the utterance that is followed.

    Attributes:
        tried: Nodes it was given to, in order.
        running: The last of them and since when; None: there is none, or that attempt is over.
        needy: It needs a node.
        over: It was sent, or has come to nothing, as far as anybody was told.
    """

    def __init__(self, job_id: str, language: str) -> None:
        self.job_id = job_id
        self.language = language
        self.tried: tuple[str, ...] = ()
        self.running: tuple[str, int] | None = None
        self.needy = True
        self.over = False


class Follower:
    """Keeps the trail of one utterance.

    Args:
        speaker: Whose.
        index: The first of theirs with this number that arrives at ``since`` or later; None: go by ``row``.
        row: The one with this row in the ledger; None: go by ``index``.
        since: On the engine's clock.

    Attributes:
        trail: None while it has not arrived.
        others: When other utterances with the same number arrived, the first ones.
    """

    def __init__(self, speaker: str, *, index: int | None, row: int | None, since: int) -> None:
        self.speaker = speaker
        self.trail: Trail | None = None
        self.others: list[int] = []
        self._index = index
        self._row = row
        self._since = since
        self._earlier: deque[Spoken] = deque(maxlen=NEIGHBOURS_MAX)
        self._jobs: dict[str, _Job] = {}
        self._utterance: Utterance | None = None
        self._person: Person | None = None
        self._over_at: int | None = None

    def begin(
        self,
        inner: SchedulerPort,
        settings: Settings,
        tags: Tags,
        sources: Drawn,
        presence: Presence,
        nodes: dict[int, str],
    ) -> None:
        """Follow from now on with this scheduler.

        Args:
            inner: The scheduler.
            settings: Its settings.
            tags: Its rule for comparing languages.
            sources: What it draws from.
            presence: Who is where.
            nodes: Node ids by connection.
        """
        self._ask: Any = getattr(inner, "where", None)
        self._settings = settings
        self._tags = tags
        self._sources = sources
        self._presence = presence
        self._nodes = nodes

    @property
    def busy(self) -> bool:
        """Whether there are jobs to look for in what is sent."""
        return bool(self._jobs)

    # --- what is handed to the scheduler

    def heard(self, connection: int, message: Utterance, outputs: list[Addressed], now: int) -> None:
        """The speaker's utterance has arrived, and this is what came of it."""
        person = self._presence.people.get(connection)
        if person is None:
            return
        refusals = (said.code for to, said in outputs if connection in to and isinstance(said, Error))
        refused = next(refusals, None)
        if self.trail is not None and row_of(message) == self.trail.spoken.row:
            self.trail.add(Again(now, refused))
            return
        src_lang = self._tags.canonical(message.src_lang) if message.src_lang else person.src_lang
        wanted = () if refused is not None else self._wanted(person, message, src_lang)
        spoken = Spoken(
            row=row_of(message),
            index=message.utterance_index,
            session_id=person.session_id,
            room_id=None if person.room is None else person.room.room_id,
            at=now,
            jobs=self._made(message, wanted, outputs),
        )
        if self._is_asked_about(spoken):
            self._follow(person, message, spoken, src_lang, wanted, refused)
            return
        if self._row is None and spoken.index == self._index and len(self.others) < OTHERS_MAX:
            self.others.append(now)
        if self.trail is None:
            self._earlier.append(spoken)
        elif len(self.trail.after) < NEIGHBOURS_MAX:
            self.trail.after.append(spoken)

    def answered(self, node: str, message: JobResult, now: int) -> None:
        """A node has answered."""
        job = self._jobs.get(message.job_id)
        if job is None or self.trail is None:
            return
        code = None if message.error is None else message.error.code
        self.trail.add(Answer(now, job.job_id, node, message.attempt_id, message.success, code))
        if message.success:
            job.running = None
            job.needy = False
        elif job.running is not None and job.running[0] == node:
            self._stopped(job)
            job.needy = job.needy and code in TRIED_AGAIN

    def lost(self, node: str, now: int, *, silent: bool) -> None:
        """A node has gone offline."""
        if self.trail is None or not any(node in job.tried and not job.over for job in self._jobs.values()):
            return
        self.trail.add(Loss(now, node, silent))
        for job in self._jobs.values():
            if job.running is not None and job.running[0] == node:
                self._stopped(job)

    def changed(self, change: Change) -> None:
        """Something has changed about somebody."""
        trail = self.trail
        if trail is None or (self._over_at is not None and change.at > self._over_at + AFTERWARDS):
            return
        room_id = trail.spoken.room_id
        if change.name == self.speaker or (room_id is not None and change.room_id == room_id):
            trail.add(change)

    def restarted(self, now: int) -> None:
        """The scheduler has lost its memory."""
        if self.trail is not None:
            self.trail.add(Restart(now))
            for job in self._jobs.values():
                job.needy = False
                job.running = None

    # --- what the scheduler sends

    def assigned(
        self, node: str, message: JobAssign, outputs: list[Addressed], position: int, now: int, last_node: str | None
    ) -> None:
        """A node was given a job; ``last_node`` is the one that any job was placed on before that."""
        job = self._jobs.get(message.job_id)
        if job is None or self.trail is None:
            return
        attempt = message.attempt_id if message.attempt_id is not None else len(job.tried) + 1
        self.trail.add(self._placing(job, outputs, position, now, last_node, node=node, attempt=attempt))
        job.tried = (*job.tried, node)
        job.running = (node, now)
        job.needy = False

    def sent(self, job_id: str, to: tuple[int, ...], now: int) -> None:
        """A result was sent."""
        job = self._jobs.get(job_id)
        if job is None or self.trail is None:
            return
        room_id = self.trail.spoken.room_id
        seats = None
        if room_id is not None:
            rooms = self._presence.rooms.values()
            seats = next((room.seats()[:SEATS_MAX] for room in rooms if room.room_id == room_id), ())
        names = tuple(self._presence.name(connection) for connection in to)
        self.trail.add(Send(now, job_id, names, job.over, seats))
        self._is_over(job, now)

    def told(self, message: UiEvent, outputs: list[Addressed], position: int, now: int, last_node: str | None) -> None:
        """The speaker was told what became of a job."""
        job = self._jobs.get(message.job_id)
        code = message.error_code
        if job is None or self.trail is None or code is None:
            return
        if code == ErrorCode.NO_AVAILABLE_NODE and message.hint is not None and not job.over:
            placing = self._placing(job, outputs, position, now, last_node, code=code, hint=message.hint)
            self.trail.add(placing)
        self.trail.add(Notice(now, job.job_id, code, message.hint))
        self._is_over(job, now)

    def cancelled(self, node: str, message: JobCancel, now: int) -> None:
        """A node was told that an attempt is moot."""
        if message.job_id in self._jobs and self.trail is not None:
            self.trail.add(Cancel(now, message.job_id, node, message.attempt_id))

    def concluded(self, outputs: list[Addressed], now: int, last_node: str | None, *, woken: bool) -> None:
        """A call is over: what needed a node and was given none waits, where jobs do."""
        timeout = self._settings.job_timeout
        for job in self._jobs.values():
            if woken and job.running is not None and job.running[1] + timeout <= now:
                self._stopped(job)
            if job.needy and not job.over:
                job.needy = False
                if self._settings.on_no_node == "queue" and self.trail is not None:
                    position = self._next_made(job, outputs)
                    self.trail.add(self._placing(job, outputs, position, now, last_node))

    # --- how it comes about

    def _is_asked_about(self, spoken: Spoken) -> bool:
        if self.trail is not None:
            return False
        if self._row is not None:
            return spoken.row == self._row
        return spoken.index == self._index and spoken.at >= self._since

    def _follow(
        self,
        person: Person,
        message: Utterance,
        spoken: Spoken,
        src_lang: str,
        wanted: tuple[str, ...],
        refused: str | None,
    ) -> None:
        room = person.room
        self.trail = Trail(
            spoken=spoken,
            src_lang=src_lang,
            seats=None if room is None else room.seats()[:SEATS_MAX],
            room_size=0 if room is None else len(room.members),
            wanted=wanted,
            refused=refused,
            before=tuple(self._earlier),
            after=[],
            facts=[],
        )
        self._utterance = message
        self._person = person
        self._jobs = {job_id: _Job(job_id, language) for language, job_id in spoken.jobs.items()}

    def _wanted(self, person: Person, message: Utterance, src_lang: str) -> tuple[str, ...]:
        """The languages that a job is to be made for, in order."""
        room = person.room
        if room is None or len(room.members) == 1:
            return (self._tags.canonical(message.tgt_lang) if message.tgt_lang else person.tgt_lang,)
        skipped = src_lang if self._settings.same_language == "skip" else None
        if self._settings.fan_out == "session_target":
            return (person.tgt_lang,) if person.tgt_lang != skipped else ()
        others = {one.lang: None for one in room.members.values() if one is not person and one.lang is not None}
        return tuple(sorted(lang for lang in others if lang != skipped))

    def _made(self, message: Utterance, wanted: tuple[str, ...], outputs: list[Addressed]) -> dict[str, str]:
        """The jobs of an utterance by language: what nodes were told, and for the rest what the order tells."""
        ids = dict.fromkeys(self._sources.drawn)
        known: dict[str, str] = {}
        for _, said in outputs:
            if (
                isinstance(said, JobAssign | UiEvent)
                and said.session_id == message.session_id
                and said.utterance_index == message.utterance_index
            ):
                ids[said.job_id] = None
                if isinstance(said, JobAssign):
                    known.setdefault(said.tgt_lang, said.job_id)
        named = dict.fromkeys(known.values())
        nameless = [job_id for job_id in ids if job_id not in named]
        free = [language for language in wanted if language not in known]
        known.update(zip(free, nameless, strict=False))
        place = {job_id: position for position, job_id in enumerate(ids)}
        return dict(sorted(known.items(), key=lambda item: place[item[1]]))

    def _is_over(self, job: _Job, now: int) -> None:
        job.over = True
        job.needy = False
        if all(one.over for one in self._jobs.values()):
            self._over_at = now

    def _stopped(self, job: _Job) -> None:
        """The job's attempt has come to nothing: it needs a node again while attempts are left."""
        job.running = None
        job.needy = len(job.tried) < self._settings.max_attempts

    def _next_made(self, job: _Job, outputs: list[Addressed]) -> int:
        """Where in the outputs the jobs begin that were made after this one."""
        made = list(self._jobs)
        later = made[made.index(job.job_id) + 1 :]
        for position, (_, said) in enumerate(outputs):
            if isinstance(said, JobAssign | UiEvent) and said.job_id in later:
                return position
        return len(outputs)

    def _placing(
        self,
        job: _Job,
        outputs: list[Addressed],
        position: int,
        now: int,
        last_node: str | None,
        *,
        node: str | None = None,
        attempt: int | None = None,
        code: str | None = None,
        hint: str | None = None,
    ) -> Placing:
        person = self._person
        paired = sticky = None
        if person is not None and person.init.pairing_code is not None:
            paired = self._settings.pairing.get(person.init.pairing_code)
        if person is not None and self._settings.sticky == "session":
            sticky = person.last_node
        elif person is not None and self._settings.sticky == "room" and person.room is not None:
            sticky = person.room.last_node
        return Placing(
            at=now,
            job_id=job.job_id,
            node=node,
            attempt=attempt,
            code=code,
            hint=hint,
            verdicts=self._verdicts(job, outputs, position, node),
            paired=paired,
            sticky=sticky,
            after=last_node,
            tried=job.tried,
        )

    def _verdicts(self, job: _Job, outputs: list[Addressed], position: int, node: str | None) -> Verdicts | None:
        """The scheduler's own word on every node, as it was before it placed what stands at ``position``."""
        trail, message, person = self.trail, self._utterance, self._person
        if self._ask is None or trail is None or message is None or person is None:
            return None
        features = message.features or person.init.features
        auto_langs = message.auto_langs if message.auto_langs is not None else person.init.auto_langs
        self._sources.asking = True
        try:
            every = self._ask(trail.src_lang, job.language, features, auto_langs)
        finally:
            self._sources.asking = False
        later: dict[str, int] = {}
        for to, said in outputs[position:]:
            if isinstance(said, JobAssign) and to:
                name = self._nodes.get(to[0], "")
                later[name] = later.get(name, 0) + 1
        return verdicts_of(every, node, later, tracked=self._settings.load == "tracked")


def row_of(message: Utterance | JobAssign) -> int:
    """The ledger's row of the utterance, which its payload knows; ``NONE`` for one that does not."""
    row = getattr(message.audio, "row", NONE)
    return row if isinstance(row, int) else NONE
