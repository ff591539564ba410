"""Random histories at the scheduler's port, of peers that say anything at any time; each judged by the oracle.

The scenarios' clients and nodes behave; these do not. They repeat and invent indices, ids and answers, speak before
they have said who they are and after they have closed, come back while their old connection is open, answer twice,
late, or jobs they never had. A history is a function of its number and of the habits that are left in.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from simroom.oracle.ledger import NONE, Ledger
from simroom.oracle.oracle import Oracle
from simroom.oracle.payload import speech, translated
from simroom.oracle.verdict import Verdict
from simroom.scheduler.messages import (
    Addressed,
    AsrPartial,
    AudioChunk,
    ClientHeartbeat,
    Features,
    Gpu,
    Hardware,
    Incoming,
    InstalledModel,
    JobAssign,
    JobError,
    JobResult,
    ModelState,
    NodeControl,
    NodeError,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    ResourceUsage,
    Resume,
    RoomCreate,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    RoomRawVoicePreference,
    SessionClose,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    TtsPlayEnded,
    Utterance,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.sim.sources import SimSources

from .fuzzing import CHOICES

TICK = 100_000
"""All times are whole tenths of a second, so that much happens at one instant."""
TAGS = ("en", "EN", "zh", "zh-CN", "zh-cn", "ja")
SPANS: dict[str, tuple[int, ...]] = {
    "waiting_time_max": (0, 3, 20),
    "max_hold": (0, 2, 10),
    "job_timeout": (2, 20, 100),
    "abandon_after": (0, 3, 30),
    "warmup_timeout": (5, 50),
    "heartbeat_timeout": (30, 300, 3000),
    "node_scan_interval": (5, 20),
    "room_expiry": (10, 50, 1000),
    "room_scan_interval": (3, 20),
    "reconnect_grace": (0, 0, 3, 20),
}
"""In ticks."""
NUMBERS: dict[str, tuple[Any, ...]] = {
    "resource_threshold": (1.0, 1.0, 1.0, 0.5),
    "max_concurrent_jobs": (1, 2, 4),
    "waiting_count_max": (0, 1, 3, 1000),
    "max_attempts": (1, 2, 3),
    "health_check_count": (1, 1, 1, 2),
    "room_size_max": (None, None, 1, 3),
    "kept_count_max": (0, 1, 3, 256),
}
PAIRING = {"first": "n1", "nowhere": "n9"}
CODES = ("NODE_OVERLOADED", "MODEL_NOT_AVAILABLE", "INTERNAL_ERROR", "NMT_TIMEOUT", "WHATEVER")
EXTRAS = ("emotion-xlm-r", "speaker-id-ecapa", "sr-d-v1", "tts-vocoder-v1", "persona-style-transformer", "vc-model-v1")


class Habits(NamedTuple):
    """Oddities that can be left out of histories, one by one."""

    registers_twice: bool = True
    """A registered node registers again over its connection."""
    invents_attempts: bool = True
    """A node answers under an attempt number that it was never given."""
    speaks_in_pieces: bool = True
    """An utterance comes in several audio chunks."""
    partials: bool = True
    """Nodes tell what the ASR has heard so far."""
    wishes: bool = True
    """Members say whose untranslated voice they want."""


EVERY_HABIT = Habits()


class Known(NamedTuple):
    """A session as its acknowledgement told."""

    session_id: str
    token: str


class Judged(NamedTuple):
    """What became of a history."""

    verdict: Verdict
    counts: dict[str, int]
    uncounted: dict[str, int]
    entry_count: int


class History:
    """One history under way."""

    def __init__(self, number: int, *, punctual: bool = True, habits: Habits = EVERY_HABIT) -> None:
        self.luck = luck = Random(number)
        self.habits = habits
        self.punctual = punctual
        values: dict[str, Any] = {name: luck.choice(words) for name, words in CHOICES.items()}
        values |= {name: luck.choice(ticks) * TICK for name, ticks in SPANS.items()}
        values |= {name: luck.choice(numbers) for name, numbers in NUMBERS.items()}
        if luck.random() < 0.3:
            values |= {"ordering": "gap", "job_timeout": 100 * TICK}
        self.settings = Settings(**values, pairing=PAIRING)
        self.scheduler = Scheduler(self.settings, SimSources(number))
        self.ledger = Ledger()
        self.oracle = Oracle(self.settings, self.ledger, punctual=punctual)
        self.now = 0
        self.connection_count = 0
        self.sessions: list[int] = []
        """Open connections on the sessions' path; ``nodes`` likewise."""
        self.nodes: list[int] = []
        self.known: dict[int, Known] = {}
        """The session of each connection that ever had one."""
        self.node_ids: dict[int, str] = {}
        self.codes: list[str] = ["123456"]
        """Room codes that were ever shown, the latest last."""
        self.assigned: list[tuple[int, JobAssign]] = []
        """Jobs that nodes were given, the latest last; answered ones too, now and then to be answered again."""
        self.index: dict[str, int] = {}
        self.spoken_count = 0
        self.log: list[str] = []

    # --- driving

    def hand(self, what: str, call: Callable[[], list[Addressed]], judge: Callable[[list[Addressed]], None]) -> None:
        """Hand something to the scheduler, have the oracle judge what came of it, and let all of it arrive."""
        outputs = call()
        self.log.append(f"{self.now / TICK:g} {what}")
        self.log.extend(f"      -> {to} {message}" for to, message in outputs)
        judge(outputs)
        rows = list(self.oracle.sent_rows)
        results = 0
        for to, message in outputs:
            if type(message) is TranslationResult:
                row = rows[results] if results < len(rows) else NONE
                results += 1
                for connection in to:
                    self.oracle.arrived(connection, message, row, self.now)
            else:
                self._noticed(to, message)

    def _noticed(self, to: tuple[int, ...], message: Any) -> None:
        match message:
            case SessionInitAck():
                self.known[to[0]] = Known(message.session_id, message.resume_token or "")
            case RoomMembers():
                if message.room_code not in self.codes:
                    self.codes.append(message.room_code)
            case NodeRegisterAck():
                self.node_ids[to[0]] = message.node_id
            case JobAssign():
                self.assigned.append((to[0], message))
            case _:
                assert isinstance(message, object)

    def open(self, kind: Any) -> int:
        connection = self.connection_count
        self.connection_count += 1
        (self.sessions if kind == "session" else self.nodes).append(connection)
        self.oracle.named(connection, f"{kind}{connection}")
        self.hand(
            f"open {connection} {kind}",
            lambda: self.scheduler.opened(connection, kind, self.now),
            lambda outputs: self.oracle.opened(connection, kind, self.now, outputs),
        )
        return connection

    def say(self, connection: int, message: Incoming) -> None:
        self.hand(
            f"{connection}: {message}",
            lambda: self.scheduler.received(connection, message, self.now),
            lambda outputs: self.oracle.received(connection, message, self.now, outputs),
        )

    def close(self, connection: int) -> None:
        (self.sessions if connection in self.sessions else self.nodes).remove(connection)
        self.hand(
            f"close {connection}",
            lambda: self.scheduler.closed(connection, self.now),
            lambda outputs: self.oracle.closed(connection, self.now, outputs),
        )

    def wake(self) -> None:
        self.hand("wake", lambda: self.scheduler.wake(self.now), lambda outputs: self.oracle.woken(self.now, outputs))

    def wait(self, until: int) -> None:
        """Let time pass, waking the scheduler when it asks (or, unpunctual, perhaps not)."""
        while (due := self.scheduler.next_deadline) is not None and due < until:
            self.now = max(self.now, due)
            if not self.punctual and self.luck.random() < 0.5:
                break  # this one comes late
            self.wake()
        self.now = until

    # --- the history

    def run(self, steps: int) -> Judged:
        luck = self.luck
        for number in range(luck.randint(1, 3)):
            connection = self.open("node")
            self._register(connection, f"n{number + 1}")
            self._beat(connection, f"n{number + 1}")
        for _ in range(steps):
            if luck.random() < 0.45:
                self.wait(self.now + luck.choice((1, 1, 1, 2, 5, 20)) * TICK)
            luck.choices(
                (self._session_step, self._speak, self._room_step, self._node_step, self._answer, self._nonsense),
                (3, 4, 4, 4, 9, 1),
            )[0]()
        return self.end()

    def end(self) -> Judged:
        """Everybody goes, and all that is due happens."""
        for connection in [*self.sessions, *self.nodes]:
            self.close(connection)
        self.punctual = True
        for _ in range(2_000):
            due = self.scheduler.next_deadline
            if due is None:
                break
            self.now = max(self.now, due)
            self.wake()
        self.now += TICK
        verdict = self.oracle.finish(self.now, self.scheduler.counts())
        scheduler = self.scheduler
        return Judged(verdict, scheduler.counts(), scheduler.uncounted(), scheduler.entry_count())

    # --- sessions

    def _session_step(self) -> None:
        luck = self.luck
        kind = luck.choice(("new", "new", "resume", "resume", "drop", "drop", "close", "again"))
        if kind == "new" and len(self.sessions) < 8:
            self.say(self.open("session"), self._init(None))
        elif kind == "resume" and self.known:
            known = self.known[luck.choice(list(self.known)[-6:])]
            token = known.token if luck.random() < 0.9 else "0" * 16
            connection = self.open("session")
            self.say(connection, self._init(Resume(known.session_id, token)))
            if connection not in self.known and luck.random() < 0.5:
                self.say(connection, self._init(None))
        elif kind == "drop" and self.sessions:
            self.close(luck.choice(self.sessions))
        elif kind == "close" and self.sessions:
            connection = luck.choice(self.sessions)
            self.say(connection, SessionClose(self._id_at(connection), "done"))
            if luck.random() < 0.7:
                self.close(connection)
        elif kind == "again" and self.sessions:
            self.say(luck.choice(self.sessions), self._init(None))

    def _init(self, resume: Resume | None) -> SessionInit:
        luck = self.luck
        rare = luck.random() < 0.2
        return SessionInit(
            "test",
            "test",
            luck.choice((*TAGS, "auto")),
            luck.choice(TAGS),
            features=self._features() if rare else None,
            pairing_code=luck.choice((None, "first", "nowhere", "unknown")) if rare else None,
            auto_langs=tuple(luck.sample(TAGS, 2)) if rare else None,
            trace_id=f"trace-{luck.randint(0, 9)}" if rare else None,
            resume=resume,
        )

    def _features(self) -> Features:
        names = ("emotion_detection", "voice_style_detection", "speech_rate_control", "persona_adaptation")
        return Features(**{self.luck.choice(names): True})

    def _id_at(self, connection: int) -> str:
        """The session's own id, now and then another's."""
        if self.luck.random() < 0.05 and self.known:
            return self.luck.choice(list(self.known.values())).session_id
        known = self.known.get(connection)
        return "nobody" if known is None else known.session_id

    def _speak(self) -> None:
        luck = self.luck
        if not self.sessions:
            return
        connection = luck.choice(self.sessions)
        for _ in range(luck.choice((1, 1, 3))):
            self._speak_once(connection)

    def _speak_once(self, connection: int) -> None:
        luck = self.luck
        session_id = self._id_at(connection)
        if luck.random() < 0.15:
            payload = luck.choice((None, "", b64encode(bytes([luck.randint(0, 255)] * 3)).decode(), "no base64!"))
            is_final = luck.random() < 0.6 or not self.habits.speaks_in_pieces
            self.say(connection, AudioChunk(session_id, 0, is_final, payload))
            self.index[session_id] = self.index.get(session_id, -1) + 1
            return
        index = self.index.get(session_id, -1) + luck.choice((0, 1, 1, 1, 1, 1, 1, 1, 3, -1))
        self.index[session_id] = max(index, self.index.get(session_id, -1))
        self.spoken_count += 1
        audio = speech(f"{self.spoken_count:016x}", NONE, TICK, self.spoken_count)
        rare = luck.random() < 0.1
        utterance = Utterance(
            session_id,
            index,
            False,
            luck.choice((*[""] * 8, *TAGS, "auto")),
            luck.choice((*[""] * 8, *TAGS)),
            audio,
            "pcm16",
            16_000,
            features=self._features() if rare else None,
            auto_langs=tuple(luck.sample(TAGS, 2)) if rare else None,
        )
        audio.row = self.ledger.utterance(0, NONE, index, 0, max(0, self.now - TICK), self.now)
        self.say(connection, utterance)

    # --- rooms

    def _room_step(self) -> None:
        luck = self.luck
        if not self.sessions:
            return
        connection = luck.choice(self.sessions)
        code = luck.choice(self.codes[-3:])
        lang = luck.choice((*TAGS, None, "auto", ""))
        somebody = luck.choice(list(self.known.values())).session_id if self.known else "nobody"
        requests: list[Incoming] = [
            RoomCreate(0, "name", lang),
            RoomJoin(code, "name", lang),
            RoomJoin(code, None, lang),
            RoomJoin(code, None, lang),
            RoomJoin(luck.choice(("12345", "1234567", "abcdef", "١٢٣٤٥٦")), None, lang),
            RoomLeave(code),
            RoomLanguage(code, lang),
            RoomLanguage(code, lang),
            RoomRawVoicePreference(code, somebody, luck.random() < 0.5),
            luck.choice((WebrtcOffer, WebrtcAnswer))(code, somebody, "sdp"),
            WebrtcIce(code, somebody, "candidate"),
        ]
        weights = (2, 4, 4, 4, 0.3, 2, 2, 2, 1 if self.habits.wishes else 0, 0.5, 0.5)
        self.say(connection, luck.choices(requests, weights)[0])

    # --- nodes

    def _node_step(self) -> None:
        luck = self.luck
        kind = luck.choice(("beat",) * 9 + ("open", "open", "register", "lose", "drain", "error"))
        if kind == "open" and len(self.nodes) < 5:
            self._register(self.open("node"), None)
            return
        if not self.nodes:
            return
        connection = luck.choice(self.nodes)
        node_id = self.node_ids.get(connection, "n7") if luck.random() < 0.97 else f"n{luck.randint(1, 4)}"
        if kind == "beat":
            for each in self.nodes if luck.random() < 0.6 else [connection]:
                self._beat(each, self.node_ids.get(each, "n7") if luck.random() < 0.97 else node_id)
        elif kind == "register" and (connection not in self.node_ids or self.habits.registers_twice):
            self._register(connection, None)
        elif kind == "lose":
            self.close(connection)
        elif kind == "drain" and luck.random() < 0.4:
            self.say(connection, NodeControl(node_id, "drain"))
        elif kind == "error":
            self.say(connection, NodeError(node_id, "WHATEVER", "a fault of its own"))

    def _register(self, connection: int, node_id: str | None) -> None:
        luck = self.luck
        if node_id is None:
            node_id = luck.choice(("n1", "n2", "n3", "n4", None))
        models = self._models()
        gpus = (Gpu("gpu", 8.0),) if luck.random() < 0.95 else luck.choice((None, ()))
        self.say(
            connection,
            NodeRegister(
                "test",
                "test",
                Hardware(8, 32.0, gpus),
                models,
                Features(),
                luck.random() < 0.97,
                node_id=node_id,
                capability_schema_version=luck.choice(
                    (None, "1.0", "1.0", "1.0", "2.0" if luck.random() < 0.2 else None)
                ),
                capability_state=self._states(models) if luck.random() < 0.3 else None,
                max_concurrent_jobs=luck.choice((None, 0, 1, 2, 4, 4)),
            ),
        )

    def _models(self) -> tuple[InstalledModel, ...]:
        luck = self.luck
        whole = luck.random() < 0.9
        tags = ("en", "zh", "zh-CN", "ja")
        models = [InstalledModel("asr", "asr", "1", enabled=luck.choice((None, None, None, True)))]
        models += [
            InstalledModel(f"nmt-{src}-{tgt}", "nmt", "1", src, luck.choice((tgt, tgt, tgt.upper())))
            for src in tags
            for tgt in tags
            if (whole or luck.random() < 0.5) and (src != tgt or luck.random() < 0.7)
        ]
        models += [
            InstalledModel(f"tts-{tgt}", "tts", "1", *((tgt, None) if luck.random() < 0.3 else (None, tgt)))
            for tgt in tags
            if whole or luck.random() < 0.7
        ]
        models += [InstalledModel(extra, "other", "1") for extra in EXTRAS if luck.random() < 0.5]
        if luck.random() < 0.1:
            models.append(InstalledModel("nmt-zh-en", "nmt", "2", "zh", "en", enabled=False))
        return tuple(models)

    def _states(self, models: tuple[InstalledModel, ...]) -> dict[str, ModelState]:
        luck = self.luck
        states: tuple[ModelState, ...] = ("ready",) * 12 + ("downloading", "not_installed", "error")
        return {model.model_id: luck.choice(states) for model in models if luck.random() < 0.9}

    def _beat(self, connection: int, node_id: str) -> None:
        luck = self.luck
        fine = luck.random() < 0.9
        usage = ResourceUsage(
            luck.choice((10.0, 50.0, 50.1, 100.0)) if not fine else 10.0,
            10.0 if fine else 60.0,
            luck.randint(0, 3),
            10.0 if fine else luck.choice((None, -1.0, 0.0, 50.0, 100.0, 101.0)),
            None,
        )
        models = self._models() if luck.random() < 0.05 else None
        states = self._states(models or self._models()) if luck.random() < 0.08 else None
        if luck.random() < 0.05:
            states = {}
        self.say(connection, NodeHeartbeat(node_id, 0, usage, models, states))

    def _answer(self) -> None:
        luck = self.luck
        if not self.assigned:
            return
        # Rather the younger ones, so that results come out of order and some too late.
        place = max(luck.randrange(max(0, len(self.assigned) - 6), len(self.assigned)) for _ in range(2))
        connection, job = self.assigned[place]
        if luck.random() < 0.85:
            del self.assigned[place]
        if luck.random() < 0.05 and self.nodes and self.habits.invents_attempts:
            connection = luck.choice(self.nodes)
        if connection not in self.nodes:
            return
        if luck.random() < 0.1 and self.habits.partials:
            self.say(
                connection,
                AsrPartial(job.session_id, job.utterance_index, job.job_id, "text", luck.random() < 0.3, job.trace_id),
            )
            self.assigned.append((connection, job))
            return
        success = luck.random() < 0.75
        payload = translated(str(job.audio), job.tgt_lang)
        odd = 0.3 if self.habits.invents_attempts else 0
        attempt = luck.choices((job.attempt_id, None, 1, 2, 7), (12, 3, odd, odd, odd))[0]
        self.say(
            connection,
            JobResult(
                job.job_id if luck.random() < 0.98 else "job-0",
                self.node_ids.get(connection, "n7"),
                job.session_id,
                job.utterance_index,
                success,
                job.trace_id,
                "heard",
                payload if success else None,
                payload if success else None,
                "pcm16",
                error=None if success or luck.random() < 0.1 else JobError(luck.choice(CODES), "no"),
                attempt_id=attempt,
            ),
        )

    # --- what nobody should say

    def _nonsense(self) -> None:
        luck = self.luck
        if not self.sessions or not self.nodes:
            return
        session, node = luck.choice(self.sessions), luck.choice(self.nodes)
        some_id = self._id_at(session)
        messages: list[tuple[int, Any]] = [
            (session, NodeHeartbeat("n1", 0, ResourceUsage(1.0, 1.0, 0, 1.0))),
            (session, NodeControl("n1", "drain")),
            (session, ClientHeartbeat(some_id, 5)),
            (session, TtsPlayEnded(some_id, "trace", "group", 5)),
            (node, RoomCreate(0)),
            (node, ClientHeartbeat(some_id, 5)),
            (node, Utterance(some_id, 99, False, "zh", "en", "audio", "pcm16", 16_000)),
        ]
        connection, message = luck.choice(messages)
        self.say(connection, message)


def judged(number: int, *, steps: int = 150, habits: Habits = EVERY_HABIT) -> Judged:
    """Play a history to its end."""
    return History(number, habits=habits).run(steps)
