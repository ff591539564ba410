"""A small world around a scheduler: nodes, sessions and rooms by short names, and a driver that keeps the port's rules.

Jobs are called ``speaker#index>language``. Times are seconds from the start of the world; only the scheduler sees
microseconds. The driver hands over all messages of an instant before it wakes the scheduler, wakes it exactly at its
deadlines, and, at every call, holds the scheduler to what must always be true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from simroom.scheduler.messages import (
    AsrPartial,
    AudioChunk,
    Error,
    Features,
    Gpu,
    Hardware,
    Incoming,
    InstalledModel,
    JobAssign,
    JobCancel,
    JobError,
    JobResult,
    NodeControl,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
    ResourceUsage,
    Resume,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    ServerHeartbeat,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    UiEvent,
    Utterance,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)
from simroom.scheduler.nodes import ExcludeReason
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.selection import NodeVerdict
from simroom.scheduler.settings import Settings

M = TypeVar("M")

EPOCH = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z: what time 0 is taken for
BEAT = 15  # seconds between the heartbeats of a node
LANGUAGES = ("de", "en", "fr", "ja", "zh")
ENDS = ("delivered", "no_recipient", "failed", "rejected", "expired", "dropped_late")
SPANS = frozenset(
    {
        "waiting_time_max",
        "max_hold",
        "job_timeout",
        "abandon_after",
        "warmup_timeout",
        "heartbeat_timeout",
        "node_scan_interval",
        "room_expiry",
        "room_scan_interval",
        "reconnect_grace",
    }
)
TO_NODE = (NodeRegisterAck, NodeStatusNotice, JobAssign, JobCancel, Error)
TO_SESSION = (
    SessionInitAck,
    TranslationResult,
    AsrPartial,
    UiEvent,
    ServerHeartbeat,
    SessionCloseAck,
    RoomCreateAck,
    RoomMembers,
    RoomError,
    RoomExpired,
    WebrtcOffer,
    WebrtcAnswer,
    WebrtcIce,
    Error,
)


def us(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1_000_000)


def settings_of(**settings: Any) -> Settings:
    """The scheduler's settings, spans in seconds."""
    return Settings(**{name: us(value) if name in SPANS else value for name, value in settings.items()})


def models(pairs: str | Iterable[str] | None = None, extra: Iterable[str] = ()) -> tuple[InstalledModel, ...]:
    """An ASR model, an NMT model for each of ``pairs`` (``"zh>en zh>ja"``), a TTS model for each target.

    ``None``: every pair of the five languages. ``extra``: ids of further models.
    """
    if pairs is None:
        pairs = [f"{src}>{tgt}" for src in LANGUAGES for tgt in LANGUAGES if src != tgt]
    elif isinstance(pairs, str):
        pairs = pairs.split()
    both = [tuple(pair.split(">")) for pair in pairs]
    return (
        InstalledModel("asr-1", "asr", "1"),
        *(InstalledModel(f"nmt-{src}-{tgt}", "nmt", "1", src, tgt) for src, tgt in both),
        *(InstalledModel(f"tts-{tgt}", "tts", "1", None, tgt) for tgt in dict.fromkeys(tgt for _, tgt in both)),
        *(InstalledModel(model_id, "other", "1") for model_id in extra),
    )


def usage(cpu: float = 5, gpu: float | None = 5, mem: float = 5, jobs: int = 0) -> ResourceUsage:
    """What a heartbeat says of the node's load, in percent."""
    return ResourceUsage(cpu, mem, jobs, gpu)


def registration(name: str | None, **changes: Any) -> NodeRegister:
    """A good ``node_register``, but for ``changes``."""
    fields: dict[str, Any] = {
        "version": "1",
        "platform": "linux",
        "hardware": Hardware(8, 32, (Gpu("g", 24),)),
        "installed_models": models(),
        "features_supported": Features(),
        "accept_public_jobs": True,
        "node_id": name,
        "capability_schema_version": "1.0",
    }
    return NodeRegister(**{**fields, **changes})


class FakeSources:
    """Ids that tests can foresee; what is put into the queues comes first."""

    def __init__(self) -> None:
        self.session_names: deque[str] = deque()
        self.codes: deque[str] = deque()
        self.choices: deque[int] = deque()
        self.asked_to_choose: list[int] = []
        self._counts: dict[str, int] = {}

    def _next(self, kind: str) -> int:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]

    def session_id(self) -> str:
        return self.session_names.popleft() if self.session_names else f"session-{self._next('session')}"

    def room_id(self) -> str:
        return f"room-{self._next('room')}"

    def room_code(self) -> str:
        return self.codes.popleft() if self.codes else f"{100_000 + self._next('code') % 900_000:06}"

    def node_id(self) -> str:
        return f"node-{self._next('node')}"

    def job_id(self) -> str:
        return f"job-{self._next('job')}"

    def token(self) -> str:
        return f"secret-{self._next('token')}"

    def unix_time(self, now: int) -> int:
        return EPOCH + now

    def choose(self, count: int) -> int:
        self.asked_to_choose.append(count)
        return self.choices.popleft() if self.choices else 0


class Given(NamedTuple):
    """One attempt as a node was given it."""

    node: str
    attempt: int
    assign: JobAssign
    at: float


class Worker:
    """A node, from outside."""

    def __init__(self, name: str, connection: int) -> None:
        self.name = name
        self.connection = connection
        self.usage = usage()
        self.beats = True
        """Whether it sends its heartbeats."""


class World:
    """A scheduler and everybody who talks with it. ``settings``: the scheduler's, spans in seconds."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings_of(**settings)
        self.sources = FakeSources()
        self.scheduler = Scheduler(self.settings, self.sources)
        self.now = 0
        self.workers: dict[str, Worker] = {}
        self.open: dict[int, str] = {}
        """Kind of each open connection."""
        self.heard_by: dict[int, list[Any]] = {}
        """Everything that came over each connection, closed ones included."""
        self.sent: list[tuple[tuple[int, ...], Any]] = []
        """Everything the scheduler has sent, in order."""
        self.given: dict[str, list[Given]] = {}
        """Attempts of each job."""
        self.names: dict[int, str] = {}
        """Who is behind each connection, closed ones included."""
        self._connections: dict[str, int] = {}
        self._tokens: dict[str, str] = {}
        self.code: dict[str, str] = {}
        """The code of the room that each session last named."""
        self._last_index: dict[str, int] = {}
        self._last_connection = 0
        self._beaten_at = 0

    # --- the driver

    def connect(self, kind: str, name: str = "?") -> int:
        """Open a connection."""
        self._last_connection += 1
        connection = self._last_connection
        self.open[connection] = kind
        self.heard_by[connection] = []
        self.names[connection] = name
        self._take(self.scheduler.opened(connection, kind, self.now))
        return connection

    def send(self, connection: int, message: Incoming) -> list[Any]:
        """A message over a connection; returns what came back over that same connection at once."""
        before = len(self.heard_by[connection])
        self._take(self.scheduler.received(connection, message, self.now))
        return self.heard_by[connection][before:]

    def disconnect(self, connection: int) -> None:
        """A connection ends."""
        del self.open[connection]
        self._take(self.scheduler.closed(connection, self.now))

    def wake(self) -> None:
        """Wake the scheduler now."""
        self._take(self.scheduler.wake(self.now))
        deadline = self.scheduler.next_deadline
        assert deadline is None or deadline > self.now, "it was just woken and wants to be woken at this instant again"

    def at(self, seconds: float, *, asleep: bool = False) -> None:
        """Let time pass until then, waking the scheduler whenever it is due; ``asleep``: not at the last instant."""
        until = us(seconds)
        assert until >= self.now, "time does not go back"
        while True:
            deadline = self.scheduler.next_deadline
            moment = min(self._beat_due(), until + 1 if deadline is None else deadline)
            if moment > until:
                break
            self.now = max(self.now, moment)
            if self._beat_due() <= self.now:
                self._beaten_at = self.now
                self.beat()
            if asleep and self.now == until:
                break
            deadline = self.scheduler.next_deadline
            if deadline is not None and deadline <= self.now:
                self.wake()
        self.now = until

    def _beat_due(self) -> int:
        return (self._beaten_at // us(BEAT) + 1) * us(BEAT)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.at(self.now / 1_000_000 + seconds)

    def oversleep(self, seconds: float) -> None:
        """Time passes until then, and nobody wakes the scheduler or sends anything."""
        self.now = us(seconds)

    def _take(self, sent: list[tuple[tuple[int, ...], Any]]) -> None:
        for to, message in sent:
            assert to, f"{message} goes to nobody"
            assert len(set(to)) == len(to), f"{message} goes to somebody twice"
            for connection in to:
                assert connection in self.open, f"{message} goes to a connection that is closed"
                allowed = TO_NODE if self.open[connection] == "node" else TO_SESSION
                assert isinstance(message, allowed), f"{message} is not for a {self.open[connection]}"
                self.heard_by[connection].append(message)
            if isinstance(message, JobAssign):
                self._note_assignment(to, message)
            elif isinstance(message, TranslationResult):
                # Payload identity: what a node made of this very job, and nothing else.
                expected = f"{message.session_id}#{message.utterance_index}>{message.tgt_lang}"
                assert message.text_translated == expected, "a result carries what is another job's"
            self.sent.append((to, message))
        counts = self.counts()
        ended = sum(counts[end] for end in ENDS)
        assert counts["created"] == ended + counts["living"], "every job has ended once or lives"

    def _note_assignment(self, to: tuple[int, ...], message: JobAssign) -> None:
        (connection,) = to
        assert message.attempt_id is not None
        name = f"{message.session_id}#{message.utterance_index}>{message.tgt_lang}"
        attempts = self.given.setdefault(name, [])
        assert message.attempt_id == len(attempts) + 1, "attempts are counted from 1"
        attempts.append(Given(self.names[connection], message.attempt_id, message, self.now / 1_000_000))

    # --- nodes

    def node(
        self, name: str, *, pairs: str | None = None, slots: int = 4, extra: Iterable[str] = (), **changes: Any
    ) -> None:
        """A node registers and proves itself at once."""
        self.register(name, pairs=pairs, slots=slots, extra=extra, **changes)
        for _ in range(self.settings.health_check_count):
            self.beat(name)

    def register(
        self, name: str, *, pairs: str | None = None, slots: int | None = 4, extra: Iterable[str] = (), **changes: Any
    ) -> list[Any]:
        """A node registers on a new connection; returns what came back."""
        connection = self.connect("node", name)
        changes.setdefault("installed_models", models(pairs, extra))
        answer = self.send(connection, registration(name, max_concurrent_jobs=slots, **changes))
        if any(isinstance(message, NodeRegisterAck) for message in answer):
            before = self.workers.get(name)
            self.workers[name] = Worker(name, connection)
            if before is not None:
                self.workers[name].usage = before.usage
        return answer

    def beat(self, *names: str, **changes: Any) -> None:
        """Heartbeats, of all nodes that send any where none is named; ``changes`` to the message."""
        for name in names or [worker.name for worker in self.workers.values() if worker.beats]:
            worker = self.workers[name]
            if worker.connection in self.open:
                self.send(worker.connection, NodeHeartbeat(name, self.now // 1000, worker.usage, **changes))

    def load(self, name: str, **said: Any) -> None:
        """The node says at once, and from now on, that this is its load (``usage``)."""
        self.workers[name].usage = usage(**said)
        self.beat(name)

    def silence(self, name: str) -> None:
        """The node sends no more heartbeats."""
        self.workers[name].beats = False

    def drain(self, name: str) -> None:
        """The node asks to be drained."""
        self.send(self.workers[name].connection, NodeControl(name, "drain"))

    def lose(self, name: str) -> None:
        """The node's connection drops."""
        self.disconnect(self.workers[name].connection)

    def status(self, name: str) -> str:
        """The node's status, as the dry run says it."""
        return self.verdict(name).status.value

    def verdict(self, name: str, src: str = "zh", tgt: str = "en", **asked: Any) -> NodeVerdict:
        """What the dry run says of one node."""
        (verdict,) = [v for v in self.scheduler.where(src, tgt, **asked) if v.node_id == name]
        return verdict

    def why_not(self, name: str, src: str = "zh", tgt: str = "en", **asked: Any) -> ExcludeReason | None:
        """Why a job would not go to this node."""
        return self.verdict(name, src, tgt, **asked).exclude_reason

    def jobs_on(self, name: str) -> int:
        """How many jobs count as the node's."""
        return self.verdict(name).jobs

    def would_go_to(self, src: str = "zh", tgt: str = "en", **asked: Any) -> str | None:
        """Where the dry run says that a job would go."""
        chosen = [v.node_id for v in self.scheduler.where(src, tgt, **asked) if v.chosen]
        assert len(chosen) <= 1
        return chosen[0] if chosen else None

    # --- jobs

    def answer(
        self,
        job: str,
        *,
        attempt: int | None = None,
        code: str | None = None,
        by: str | None = None,
        number: int | None = -1,
    ) -> None:
        """A node answers an attempt (default: the job's last), with an error where there is a ``code``.

        ``by``: over another node's connection. ``number``: with this ``attempt_id`` instead of the attempt's.
        """
        given = self.given[job][-1 if attempt is None else attempt - 1]
        node = by or given.node
        assign = given.assign
        result = JobResult(
            assign.job_id,
            node,
            assign.session_id,
            assign.utterance_index,
            code is None,
            assign.trace_id,
            attempt_id=given.attempt if number == -1 else number,
        )
        if code is None:
            result.text_asr = f"{assign.session_id}#{assign.utterance_index}"
            result.text_translated = f"{assign.session_id}#{assign.utterance_index}>{assign.tgt_lang}"
            result.tts_audio = "audio"
            result.tts_format = "pcm16"
        else:
            result.error = JobError(code, "it did not work")
        self.send(self.workers[node].connection, result)

    def nodes_of(self, job: str) -> list[str]:
        """The nodes that the job was given to, in order."""
        return [given.node for given in self.given.get(job, [])]

    def counts(self) -> dict[str, int]:
        """The scheduler's own account of jobs."""
        return self.scheduler.counts()

    def ended(self) -> dict[str, int]:
        """How jobs have ended, without the ways in which none did."""
        counts = self.counts()
        return {end: counts[end] for end in ENDS if counts[end]}

    # --- sessions

    def session(self, name: str, src: str = "zh", tgt: str = "en", **init: Any) -> list[Any]:
        """A session opens; returns what came back."""
        connection = self.connect("session", name)
        self.sources.session_names.append(name)
        answer = self.send(connection, SessionInit("1", "web", src, tgt, **init))
        self.sources.session_names.clear()
        if answer and isinstance(answer[0], SessionInitAck):
            self._connections[name] = connection
            self._tokens[name] = answer[0].resume_token or ""
        return answer

    def say(self, name: str, message: Incoming) -> list[Any]:
        """A session sends a message; returns what came back to it at once."""
        return self.send(self._connections[name], message)

    def speak(self, name: str, index: int | None = None, *, src: str = "", tgt: str = "", **fields: Any) -> list[Any]:
        """A session finishes an utterance, by default its next; returns what came back to it at once."""
        if index is None:
            index = self.next_index(name)
        self._last_index[name] = max(index, self._last_index.get(name, -1))
        audio = f"{name}#{index}"
        return self.say(name, Utterance(name, index, False, src, tgt, audio, "pcm16", 16_000, **fields))

    def next_index(self, name: str) -> int:
        """One above the highest index of an utterance that was spoken here."""
        return self._last_index.get(name, -1) + 1

    def chunk(self, name: str, payload: str | None = None, *, final: bool = False) -> list[Any]:
        """A session sends a piece of speech."""
        return self.say(name, AudioChunk(name, 0, final, payload))

    def drop(self, name: str) -> None:
        """The session's connection drops."""
        self.disconnect(self._connections[name])

    def resume(self, name: str, *, token: str | None = None) -> list[Any]:
        """The session comes back on a new connection, the old one closed or not; returns what came back."""
        connection = self.connect("session", name)
        proof = Resume(name, self._tokens[name] if token is None else token)
        answer = self.send(connection, SessionInit("1", "web", "zh", "en", resume=proof))
        if answer and isinstance(answer[0], SessionInitAck):
            self._connections[name] = connection
        return answer

    def close(self, name: str) -> list[Any]:
        """The session ends itself."""
        return self.say(name, SessionClose(name, "done"))

    def connection(self, name: str) -> int:
        """The session's connection, or its last."""
        return self._connections[name]

    # --- rooms

    def room(self, *members: str) -> str:
        """A room of these (``"ana:zh"``, or ``"ana"`` without a language), the first its creator; returns its code.

        Sessions that are not there yet are opened, with the language as their source.
        """
        first, *others = members
        name, lang = self._who(first)
        answer = self.say(name, RoomCreate(0, preferred_lang=lang))
        (ack,) = [message for message in answer if isinstance(message, RoomCreateAck)]
        self.code[name] = ack.room_code
        for other in others:
            self.join(other, ack.room_code)
        return ack.room_code

    def join(self, member: str, code: str) -> list[Any]:
        """Somebody (``"ben:en"``) enters a room; returns what came back."""
        name, lang = self._who(member)
        self.code[name] = code
        return self.say(name, RoomJoin(code, preferred_lang=lang))

    def leave(self, name: str) -> list[Any]:
        """Somebody leaves their room."""
        return self.say(name, RoomLeave(self.code[name]))

    def language(self, name: str, lang: str | None) -> None:
        """A member prefers another language."""
        self.say(name, RoomLanguage(self.code[name], lang))

    def room_id(self, name: str) -> str | None:
        """The id of the room that somebody is in."""
        room = self.scheduler.rooms.find_room_by_session(name)
        return None if room is None else room.room_id

    def members(self, name: str) -> list[str]:
        """The members as ``room_members`` last showed them to somebody."""
        return [member.session_id for member in self.got(name, RoomMembers)[-1].members]

    def _who(self, member: str) -> tuple[str, str | None]:
        name, _, lang = member.partition(":")
        if name not in self._connections:
            src = lang or "zh"
            self.session(name, src, "en" if src != "en" else "zh")
        return name, lang or None

    # --- what came

    def inbox(self, name: str) -> list[Any]:
        """Everything that a session has received, over all of its connections."""
        return [
            message
            for connection, messages in self.heard_by.items()
            if self.names[connection] == name
            for message in messages
        ]

    def got(self, name: str, kind: type[M]) -> list[M]:
        """The messages of one kind that a session has received."""
        return [message for message in self.inbox(name) if isinstance(message, kind)]

    def heard(self, name: str) -> list[str]:
        """The results that a session has received, in order."""
        return [message.text_translated for message in self.got(name, TranslationResult)]

    def errors(self, name: str) -> list[tuple[str | None, str | None]]:
        """Code and hint of each failure that a speaker was told of."""
        return [(event.error_code, event.hint) for event in self.got(name, UiEvent) if event.event == "ERROR"]

    def node_inbox(self, name: str, kind: type[M]) -> list[M]:
        """The messages of one kind that a node has received over its present connection."""
        return [message for message in self.heard_by[self.workers[name].connection] if isinstance(message, kind)]


def codes(messages: Iterable[Any]) -> list[str]:
    """The codes of the errors among these messages."""
    return [message.code for message in messages if isinstance(message, Error | RoomError)]
