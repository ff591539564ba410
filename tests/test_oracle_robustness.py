"""Whatever a scheduler sends, the oracle judges it and keeps its own books straight."""

from __future__ import annotations

import random

import pytest
from test_oracle_history import IDLE, SECOND, History

from simroom.scheduler.messages import (
    Addressed,
    AsrPartial,
    Error,
    Incoming,
    JobAssign,
    JobCancel,
    JobError,
    JobResult,
    Member,
    NodeControl,
    NodeHeartbeat,
    NodeRegisterAck,
    NodeStatusNotice,
    Outgoing,
    Pipeline,
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
    WebrtcOffer,
)

SETTINGS: list[dict[str, object]] = [
    {},
    {"on_no_node": "queue", "waiting_count_max": 3, "reconnect_grace": 5 * SECOND, "ui_events": "all"},
    {"cancel": "moot", "membership": "both", "tie_break": "random", "max_attempts": 3, "sticky": "room"},
    {"load": "reported", "ordering": "none", "room_expiry": 20 * SECOND, "room_scan_interval": 5 * SECOND},
]


class Anything:
    """A peer and a scheduler that say whatever the protocol lets them say."""

    def __init__(self, seed: int, settings: dict[str, object], *, shortcuts: bool = True) -> None:
        self.random = random.Random(seed)
        self.history = History(
            arrives=False, shortcuts=shortcuts, job_timeout=3 * SECOND, abandon_after=2 * SECOND, **settings
        )
        self.nodes = [self.history.node(f"n{number}") for number in range(3)]
        self.sessions = [*self.history.room("zh", "en", "ja"), self.history.session("alone")]
        self.jobs = [f"j{number}" for number in range(6)]

    def of(self, values: list) -> object:
        return self.random.choice(values)

    def session(self) -> str:
        return self.of([*self.history.session_of.values(), "nobody"])

    def incoming(self) -> tuple[int, Incoming]:
        if self.random.random() < 0.4:
            node = self.of(self.nodes)
            name = self.history.names[node]
            failed = self.of([None, None, JobError("NODE_OVERLOADED", ""), JobError("X", "")])
            result = JobResult(
                self.of(self.jobs), name, self.session(), 0, failed is None, "", tts_audio="x", error=failed
            )
            partial = AsrPartial(self.session(), 0, self.of(self.jobs), "", False, "")
            beat = NodeHeartbeat(name, 0, IDLE)
            return node, self.of([result, result, result, beat, partial, NodeControl(name, "drain")])
        session = self.of(self.sessions)
        own = self.history.session_of[session]
        index = self.random.randrange(30)
        speech = Utterance(own, index, False, self.of(["zh", "en", ""]), "en", f"<{index}>", "pcm16", 16_000)
        resume = Resume(self.session(), self.of(["t0", "t3", "t4"]))
        return session, self.of(
            [
                *[speech] * 6,
                RoomCreate(0, None, "en"),
                RoomJoin("111111", None, self.of(["en", "ja", None])),
                RoomLeave("111111"),
                RoomLanguage("111111", self.of(["en", "fr"])),
                WebrtcOffer("111111", self.session(), ""),
                SessionClose(own, ""),
                SessionInit("1", "x", "zh", "en", resume=resume),
                SessionInit("1", "x", "zh", "en"),
            ]
        )

    def outgoing(self) -> Outgoing:
        job, session, code = self.of(self.jobs), self.session(), self.of(["111111", "222222"])
        index, tgt = self.random.randrange(30), self.of(["en", "ja", "zh"])
        assign = JobAssign(
            job, session, index, "zh", tgt, Pipeline(True, True, True), f"<{index}>", "", 0, "", self.of([None, 1, 2])
        )
        result = TranslationResult(session, index, job, "", "", "x", "", "", tgt_lang=tgt)
        event = UiEvent("", session, job, index, "ERROR", "error", None, self.of(["JOB_TIMEOUT", "X"]), None)
        return self.of(
            [
                *[assign] * 6,
                *[result] * 4,
                event,
                event,
                UiEvent("", session, job, index, "DISPATCHED", "ok"),
                JobCancel(job, 1),
                AsrPartial(session, index, job, "", False, ""),
                Error("X", ""),
                RoomError("X"),
                RoomExpired(code, ""),
                RoomMembers(code, (Member(session, session, ""),)),
                RoomCreateAck(code, self.of(["a", "b"])),
                SessionInitAck(self.of(["s3", "new"]), "", ""),
                SessionCloseAck(session),
                ServerHeartbeat(session, 0),
                NodeStatusNotice("n1", self.of(["ready", "offline", "degraded"]), "", 0),
                NodeRegisterAck("n1", "", "ready"),
                WebrtcOffer(code, session, ""),
            ]
        )

    def outputs(self) -> list[Addressed]:
        everybody = [*self.nodes, *self.sessions, 99]
        return [
            (tuple(self.of(everybody) for _ in range(self.random.choice((0, 1, 1, 1, 2)))), self.outgoing())
            for _ in range(self.random.choice((0, 0, 1, 1, 2, 4)))
        ]

    def step(self) -> None:
        history = self.history
        history.now += self.random.choice((0, 1_000, SECOND))
        outputs = self.outputs()
        chance = self.random.random()
        if chance < 0.8:
            history.oracle.received(*self.incoming(), history.now, outputs)
        elif chance < 0.96:
            history.oracle.woken(history.now, outputs)
        else:
            history.oracle.closed(self.of([*self.nodes, *self.sessions]), history.now, outputs)
        results = [message for _, message in outputs if isinstance(message, TranslationResult)]
        rows = history.oracle.sent_rows
        assert len(rows) == len(results)
        for message, row in zip(results, list(rows), strict=True):
            history.oracle.arrived(self.of(self.sessions), message, row, history.now)


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_nonsense_is_judged_without_losing_count(settings):
    for seed in range(40):
        anything = Anything(seed, settings)
        for _ in range(120):
            anything.step()
        verdict = anything.history.finish()
        jobs = anything.history.ledger.jobs()
        assert verdict.violation_count > 0
        assert verdict.created == sum(verdict.ends.values()) + verdict.living
        assert len(jobs["end"]) == verdict.created
        assert (jobs["utterance"] >= 0).all()
