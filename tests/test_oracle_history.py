"""Histories written by hand: what peers send and what a scheduler answers, fed to the oracle step by step."""

from __future__ import annotations

from simroom.oracle.ledger import NONE, JobEnd, Ledger
from simroom.oracle.oracle import Oracle
from simroom.oracle.payload import speech, translated
from simroom.oracle.verdict import Verdict
from simroom.scheduler.messages import (
    Addressed,
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
    Member,
    ModelState,
    NodeHeartbeat,
    NodeRegister,
    NodeRegisterAck,
    NodeStatusNotice,
    Outgoing,
    Pipeline,
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
    ServiceTimes,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    UiEvent,
    Utterance,
)
from simroom.scheduler.settings import Settings

SECOND = 1_000_000
LANGUAGES = ("de", "en", "fr", "ja", "zh", "zh-CN")
EXTRAS = ("emotion-xlm-r", "speaker-id-ecapa", "vc-model-v1", "sr-d-v1", "tts-vocoder-v1")
HARDWARE = Hardware(8, 32.0, (Gpu("gpu", 8.0),))
IDLE = ResourceUsage(10.0, 10.0, 0, 10.0)


def models(pairs: tuple[str, ...] | None = None, extras: tuple[str, ...] = ()) -> tuple[InstalledModel, ...]:
    """All it takes for these pairs (``zh>en``); None: for every pair of different languages."""
    wanted = pairs or tuple(f"{src}>{tgt}" for src in LANGUAGES for tgt in LANGUAGES if src != tgt)
    split = [tuple(pair.split(">")) for pair in wanted]
    return (
        InstalledModel("asr", "asr", "1"),
        *(InstalledModel(f"nmt-{src}-{tgt}", "nmt", "1", src, tgt) for src, tgt in split),
        *(InstalledModel(f"tts-{tgt}", "tts", "1", tgt_lang=tgt) for tgt in dict.fromkeys(tgt for _, tgt in split)),
        *(InstalledModel(extra, "other", "1") for extra in extras),
    )


class History:
    """A run in the making. Every step can be given the scheduler's answer; without one it is the right one."""

    def __init__(
        self,
        *,
        arrives: bool = True,
        shortcuts: bool = True,
        remembering: bool = False,
        punctual: bool = True,
        **settings: object,
    ) -> None:
        """``arrives``: every result reaches those it is sent to at once."""
        self.arrives = arrives
        settings.setdefault("health_check_count", 1)
        settings.setdefault("heartbeat_timeout", 1_000 * SECOND)
        self.settings = Settings(**settings)  # type: ignore[arg-type]
        self.ledger = Ledger()
        self.oracle = Oracle(
            self.settings, self.ledger, punctual=punctual, shortcuts=shortcuts, remembering=remembering
        )
        self.now = 0
        self._connections = 0
        self.names: dict[int, str] = {}
        self.langs: dict[int, str | None] = {}
        self.src: dict[int, str] = {}
        self.session_of: dict[int, str] = {}
        self.rooms: dict[str, list[int]] = {}
        self.room_of: dict[int, str] = {}
        self.indices: dict[int, int] = {}
        self.jobs: dict[str, tuple[int, int, str, str]] = {}
        self.attempts: dict[str, int] = {}
        self.rows: dict[str, int] = {}

    # --- the port

    def at(self, seconds: float) -> None:
        self.now = round(seconds * SECOND)

    def open(self, name: str, kind: str) -> int:
        connection = self._connections
        self._connections += 1
        self.names[connection] = name
        self.oracle.named(connection, name)
        self.oracle.opened(connection, kind, self.now, [])  # type: ignore[arg-type]
        return connection

    def send(self, connection: int, message: Incoming, *outputs: Addressed) -> None:
        self.oracle.received(connection, message, self.now, list(outputs))
        self._note(outputs)

    def close(self, connection: int, *outputs: Addressed) -> None:
        self.oracle.closed(connection, self.now, list(outputs))
        self._note(outputs)

    def wake(self, seconds: float, *outputs: Addressed) -> None:
        self.at(seconds)
        self.oracle.woken(self.now, list(outputs))
        self._note(outputs)

    def _note(self, outputs: tuple[Addressed, ...]) -> None:
        results = [message for _, message in outputs if isinstance(message, TranslationResult)]
        assert len(self.oracle.sent_rows) == len(results)
        for message, row in zip(results, self.oracle.sent_rows, strict=True):
            self.rows[message.job_id] = row
        if self.arrives:
            for connections, message in outputs:
                if isinstance(message, TranslationResult):
                    for connection in connections:
                        self.oracle.arrived(connection, message, self.rows[message.job_id], self.now)

    def arrive(self, connection: int, job: str, payload: str | None = None, row: int | None = None) -> None:
        message = self.result(job, payload=payload)
        self.oracle.arrived(connection, message, self.rows[job] if row is None else row, self.now)

    def finish(
        self,
        counts: dict[str, int] | None = None,
        *,
        drained: bool = True,
        entry_count: int | None = None,
        everybody_left: bool = False,
    ) -> Verdict:
        return self.oracle.finish(
            self.now, counts, drained=drained, entry_count=entry_count, everybody_left=everybody_left
        )

    # --- nodes

    def node(
        self,
        name: str,
        *,
        slots: int | None = 2,
        pairs: tuple[str, ...] | None = None,
        extras: tuple[str, ...] = (),
        public: bool = True,
        ready: bool = True,
        usage: ResourceUsage = IDLE,
        states: dict[str, ModelState] | None = None,
    ) -> int:
        connection = self.open(name, "node")
        self.register(connection, slots=slots, pairs=pairs, extras=extras, public=public, states=states)
        if ready:
            self.beat(connection, "ready", usage=usage)
        return connection

    def register(
        self,
        connection: int,
        *outputs: Addressed,
        slots: int | None = 2,
        pairs: tuple[str, ...] | None = None,
        extras: tuple[str, ...] = (),
        public: bool = True,
        states: dict[str, ModelState] | None = None,
        hardware: Hardware = HARDWARE,
        schema: str | None = "1.0",
    ) -> None:
        name = self.names[connection]
        message = NodeRegister(
            "1",
            "test",
            hardware,
            models(pairs, extras),
            Features(),
            public,
            node_id=name,
            capability_schema_version=schema,
            capability_state=states,
            max_concurrent_jobs=slots,
        )
        self.send(connection, message, *(outputs or (((connection,), NodeRegisterAck(name, "", "registering")),)))

    def beat(
        self,
        connection: int,
        status: str | None = None,
        *,
        usage: ResourceUsage = IDLE,
        states: dict[str, ModelState] | None = None,
        outputs: tuple[Addressed, ...] = (),
    ) -> None:
        name = self.names[connection]
        notice = () if status is None else (self.status(connection, status),)
        self.send(connection, NodeHeartbeat(name, 0, usage, None, states), *notice, *outputs)

    def status(self, connection: int, status: str) -> Addressed:
        return (connection,), NodeStatusNotice(self.names[connection], status, "", 0)

    # --- sessions and rooms

    def session(
        self,
        name: str,
        src: str = "zh",
        tgt: str = "en",
        *,
        features: Features | None = None,
        pairing_code: str | None = None,
        auto_langs: tuple[str, ...] | None = None,
    ) -> int:
        connection = self.open(name, "session")
        session_id = f"s{connection}"
        message = SessionInit(
            "1", "test", src, tgt, features=features, pairing_code=pairing_code, auto_langs=auto_langs
        )
        ack = SessionInitAck(session_id, "", "", resume_token=f"t{connection}")
        self.send(connection, message, ((connection,), ack))
        self.session_of[connection] = session_id
        self.src[connection] = src
        self.langs[connection] = None
        return connection

    def resume(self, old: int, *outputs: Addressed, name: str | None = None) -> int:
        """The session of ``old`` comes back; ``outputs`` come after the acknowledgement."""
        connection = self.open(name or self.names[old], "session")
        session_id = self.session_of[old]
        for table in (self.session_of, self.src, self.langs, self.room_of):
            if old in table:
                table[connection] = table[old]  # type: ignore[index, assignment]
        self.indices[connection] = self.indices.get(old, 0)
        listing = ()
        code = self.room_of.get(connection)
        if code is not None:
            self.rooms[code] = [connection if member == old else member for member in self.rooms[code]]
            listing = (self.listing(code, connection),)
        message = SessionInit("1", "test", "zh", "en", resume=Resume(session_id, f"t{old}"))
        ack = ((connection,), SessionInitAck(session_id, "", "", resume_token=f"t{connection}"))
        self.send(connection, message, ack, *listing, *self._readdressed(outputs, connection))
        return connection

    @staticmethod
    def _readdressed(outputs: tuple[Addressed, ...], connection: int) -> list[Addressed]:
        return [(to or (connection,), message) for to, message in outputs]

    def listing(self, code: str, *to: int) -> Addressed:
        shown = tuple(
            Member(self.session_of[member], self.session_of[member], "2025-01-01T00:00:00Z", None, self.langs[member])
            for member in self.rooms[code]
        )
        return to, RoomMembers(code, shown)

    def create(self, connection: int, lang: str | None, code: str = "111111", room_id: str | None = None) -> None:
        self.rooms[code] = [connection]
        self.room_of[connection] = code
        self.langs[connection] = lang
        ack = ((connection,), RoomCreateAck(code, room_id or f"id-{code}-{self.now}"))
        self.send(connection, RoomCreate(0, None, lang), ack, self.listing(code, connection))

    def join(self, connection: int, lang: str | None, code: str = "111111", *outputs: Addressed) -> None:
        others = tuple(self.rooms[code])
        self.rooms[code].append(connection)
        self.room_of[connection] = code
        self.langs[connection] = lang
        usual = (self.listing(code, connection), self.listing(code, *others))
        self.send(connection, RoomJoin(code, None, lang), *(outputs or usual))

    def out(self, connection: int) -> tuple[Addressed, ...]:
        """What those who stay are told as one member goes."""
        code = self.room_of.pop(connection)
        self.rooms[code].remove(connection)
        return (self.listing(code, *self.rooms[code]),) if self.rooms[code] else ()

    def leave(self, connection: int, *outputs: Addressed, told: bool = True) -> None:
        code = self.room_of[connection]
        usual = self.out(connection) if told else ()
        if not told:
            self.out(connection)
        self.send(connection, RoomLeave(code), *(outputs or usual))

    def prefer(self, connection: int, lang: str | None) -> None:
        code = self.room_of[connection]
        self.langs[connection] = lang
        self.send(connection, RoomLanguage(code, lang), self.listing(code, *self.rooms[code]))

    def room(self, *langs: str | None, code: str = "111111", name: str = "r") -> list[int]:
        """A room whose members speak and prefer these languages, called ``r/m0``, ``r/m1`` ..."""
        members = [self.session(f"{name}/m{number}", src=lang or "zh", tgt="en") for number, lang in enumerate(langs)]
        self.create(members[0], langs[0], code)
        for member, lang in zip(members[1:], langs[1:], strict=True):
            self.join(member, lang, code)
        return members

    # --- jobs

    def say(
        self,
        speaker: int,
        *jobs: tuple[str, int, str] | Addressed,
        index: int | None = None,
        src: str = "",
        tgt: str = "en",
        features: Features | None = None,
    ) -> None:
        """An utterance and what comes of it: ``(job, node, language)``, or anything else as it is sent."""
        index = self.indices.get(speaker, 0) if index is None else index
        self.indices[speaker] = max(index + 1, self.indices.get(speaker, 0))
        number = self.ledger.sessions.number(self.names[speaker])
        row = self.ledger.utterance(number, NONE, index, 0, self.now - SECOND, self.now)
        audio = speech(f"<{self.session_of[speaker]}#{index}@{self.now}>", row, SECOND, 0)
        outputs = []
        for job in jobs:
            if len(job) == 3:
                self.jobs[job[0]] = (speaker, index, job[2], audio)
                outputs.append(self.assign(job[0], job[1]))
            else:
                outputs.append(job)
        session_id = self.session_of[speaker]
        src = src or self.src[speaker]
        message = Utterance(session_id, index, False, src, tgt, audio, "pcm16", 16_000, None, features)
        self.send(speaker, message, *outputs)

    def assign(self, job: str, node: int, *, attempt: int | None = None, audio: str | None = None) -> Addressed:
        speaker, index, tgt, own_audio = self.jobs[job]
        number = self.attempts[job] = attempt or self.attempts.get(job, 0) + 1
        message = JobAssign(
            job,
            self.session_of[speaker],
            index,
            self.src[speaker],
            tgt,
            Pipeline(use_asr=True, use_nmt=True, use_tts=True),
            audio or own_audio,
            "pcm16",
            16_000,
            "",
            number,
        )
        return (node,), message

    def result(self, job: str, *, payload: str | None = None, tgt: str | None = None) -> TranslationResult:
        speaker, index, own_tgt, audio = self.jobs[job]
        text = translated(audio, own_tgt) if payload is None else payload
        return TranslationResult(
            self.session_of[speaker], index, job, "", "", text, "pcm16", "", tgt_lang=tgt or own_tgt
        )

    def sent(self, job: str, *to: int, payload: str | None = None, tgt: str | None = None) -> Addressed:
        return to, self.result(job, payload=payload, tgt=tgt)

    def event(self, job: str, code: str, hint: str | None = None, to: int | None = None) -> Addressed:
        speaker, index, _, _ = self.jobs[job]
        message = UiEvent("", self.session_of[speaker], job, index, "ERROR", "error", None, code, hint)
        return (speaker if to is None else to,), message

    def refused(self, speaker: int, job: str, hint: str, code: str = "NO_AVAILABLE_NODE") -> Addressed:
        """What the speaker of the next utterance is told of a job that never was anywhere."""
        index = self.indices.get(speaker, 0)
        message = UiEvent("", self.session_of[speaker], job, index, "ERROR", "error", None, code, hint)
        return (speaker,), message

    def answer(
        self,
        node: int,
        job: str,
        *outputs: Addressed,
        error: str | None = None,
        payload: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """A node answers; ``attempt`` absent: without a number."""
        speaker, index, tgt, audio = self.jobs[job]
        failed = None if error is None else JobError(error, "")
        text = None if failed else (translated(audio, tgt) if payload is None else payload)
        times = None if failed else ServiceTimes(self.now - SECOND, 500_000, 300_000, 200_000)
        message = JobResult(
            job,
            self.names[node],
            self.session_of[speaker],
            index,
            failed is None,
            "",
            tts_audio=text,
            extra=times,
            error=failed,
            attempt_id=attempt,
        )
        self.send(node, message, *outputs)

    def cancel(self, job: str, node: int, attempt: int) -> Addressed:
        return (node,), JobCancel(job, attempt)


Found = tuple[str, str, str | None, tuple[str, ...]]


def found(verdict: Verdict) -> list[Found]:
    """What was found at its step, as ``(invariant, kind, language, recipients)``."""
    return [
        (breach.invariant, breach.kind, breach.language, breach.recipients)
        for breach in verdict.violations
        if breach.kind != "stuck"
    ]


def undone(verdict: Verdict) -> list[str]:
    """What was found in the end never to have come to its own: an invariant for each breach."""
    return [breach.invariant for breach in verdict.violations if breach.kind == "stuck"]


def clean(verdict: Verdict) -> bool:
    assert found(verdict) == [], verdict.violations
    assert verdict.violation_count == 0
    return True


def to(connection: int, message: Outgoing) -> Addressed:
    return (connection,), message


def error(connection: int, code: str) -> Addressed:
    return (connection,), Error(code, "")


def room_error(connection: int, code: str) -> Addressed:
    return (connection,), RoomError(code)


def expired(code: str, *connections: int) -> Addressed:
    return connections, RoomExpired(code, "")


# --- the ordinary course of things -------------------------------------------------------------------------------


def test_a_room_of_three_languages_is_judged_clean_and_every_judge_was_asked():
    history = History(arrives=False)
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en, ja, en2 = history.room("zh", "en", "ja", "en")
    alone = history.session("alone", "zh", "en")
    history.say(zh, ("j0", n1, "en"), ("j1", n2, "ja"))
    history.say(alone, ("j2", n1, "en"))
    history.at(1)
    history.answer(n2, "j1", history.sent("j1", ja), attempt=1)
    history.answer(n1, "j0", history.sent("j0", en, en2), attempt=1)
    history.answer(n1, "j2", history.sent("j2", alone), attempt=1)
    for connection, job in ((ja, "j1"), (en, "j0"), (en2, "j0"), (alone, "j2")):
        history.arrive(connection, job)
    verdict = history.finish({"created": 3, "living": 0, "delivered": 3})
    assert clean(verdict)
    assert (verdict.created, verdict.living, verdict.ends["delivered"]) == (3, 0, 3)
    # Nobody failed, so nobody could be muted by it; and not everybody has left.
    assert [name for name, count in verdict.judgements.items() if not count] == ["L3", "L4"], verdict.judgements
    assert verdict.judgements["I4"] == 3
    assert verdict.judgements["must"] == verdict.judgements["may"] == 4


def test_what_never_came_up_was_never_judged():
    history = History(ordering="none")
    node = history.node("n1")
    speaker = history.session("alone")
    history.say(speaker, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", speaker))
    judgements = history.finish().judgements
    assert [invariant for invariant, count in judgements.items() if not count] == ["I3", "I7", "L3", "L4"]


def test_the_ledger_gets_a_row_for_each_job_as_it_ends():
    history = History()
    node = history.node("desktop-1")
    zh, _, ja = history.room("zh", "en", "ja")
    history.at(2)
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.at(3)
    history.answer(node, "j1", history.sent("j1", ja), attempt=1)
    history.at(4)
    history.answer(node, "j0", history.event("j0", "UNSUPPORTED_FEATURE"), error="UNSUPPORTED_FEATURE", attempt=1)
    history.say(zh, ("j2", node, "en"), ("j3", node, "ja"))
    assert history.rows["j1"] == 0
    assert clean(history.finish())
    ledger = history.ledger
    jobs = ledger.jobs()
    assert [ledger.languages.names[number] for number in jobs["tgt_lang"]] == ["ja", "en", "en", "ja"]
    assert list(jobs["end"]) == [JobEnd.DELIVERED, JobEnd.FAILED, JobEnd.LIVING, JobEnd.LIVING]
    assert list(jobs["recipients"]) == [1, 0, 0, 0]
    assert {ledger.nodes.names[number] for number in jobs["node"]} == {"desktop-1"}
    assert list(jobs["attempts"]) == [1, 1, 1, 1]
    assert list(jobs["dispatched_at"]) == [2 * SECOND, 2 * SECOND, 4 * SECOND, 4 * SECOND]
    assert (jobs["started_at"][0], jobs["asr_time"][0], jobs["nmt_time"][0]) == (2 * SECOND, 500_000, 300_000)
    assert jobs["started_at"][1] == NONE
    assert list(jobs["ended_at"]) == [3 * SECOND, 4 * SECOND, 4 * SECOND, 4 * SECOND]
    assert list(ledger.utterances()["received_at"]) == [2 * SECOND, 4 * SECOND]
    assert ledger.sessions.names == ["r/m0", "r/m1", "r/m2"]


def test_an_utterance_that_brings_no_row_gets_one():
    history = History()
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.at(5)
    history.jobs["j0"] = (zh, 0, "en", "AAAA")
    message = Utterance(history.session_of[zh], 0, False, "zh", "en", "AAAA", "pcm16", 16_000)
    history.send(zh, message, history.assign("j0", node))
    history.answer(node, "j0", history.sent("j0", en))
    assert clean(history.finish())
    utterances = history.ledger.utterances()
    assert list(utterances["ended_at"]) == list(utterances["received_at"]) == [5 * SECOND]
    assert history.ledger.rooms.names[utterances["room"][0]] == "r"
    assert history.ledger.sessions.names[utterances["speaker"][0]] == "r/m0"


def test_after_everything_has_ended_the_mirror_holds_nothing():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1", slots=8)
    members = history.room("zh", "en", "ja")
    zh, en, ja = members
    for number in range(50):
        history.say(zh, (f"a{number}", node, "en"), (f"b{number}", node, "ja"))
        history.answer(node, f"a{number}", history.sent(f"a{number}", en), attempt=1)
        history.answer(node, f"b{number}", history.sent(f"b{number}", ja), attempt=1)
    for member in members:
        history.leave(member)
        history.close(member)
    history.wake(10)
    mirror = history.oracle._mirror
    held = (mirror.sessions, mirror.rooms, mirror.codes, mirror.running, mirror.aside, mirror.overdue, mirror.waiting)
    assert [len(table) for table in (*held, mirror.holds, mirror.graces, mirror.owed)] == [0] * 10
    assert list(mirror.peers) == [node]
    assert not history.oracle._clients.flying
    assert clean(history.finish())


def test_only_the_first_violations_are_kept_and_all_are_counted():
    ledger = Ledger()
    oracle = Oracle(Settings(), ledger, kept_max=2)
    for connection in range(5):
        oracle.opened(connection, "session", 0, [((connection,), Error("INTERNAL_ERROR", ""))])
    verdict = oracle.finish(0)
    assert len(verdict.violations) == 2
    assert verdict.counts["reply"] == verdict.violation_count == 5
