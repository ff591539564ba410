"""Schedulers that never come to an end: the run is halted, says why, and tells what happened until then."""

from __future__ import annotations

import re
import signal
import time
from threading import Thread
from typing import Any

import pytest

from simroom.scheduler.messages import (
    Addressed,
    Incoming,
    NodeRegister,
    NodeStatusNotice,
    SessionInit,
    SessionInitAck,
    Utterance,
)
from simroom.scheduler.port import SchedulerFactory, SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.sim.progress import VAIN_WAKES_MAX
from simroom.sim.run import RunData, simulate

from .test_clients import ZERO, room
from .worlds import SECOND, Data, loaded

PEOPLE: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}}
DATA = room(PEOPLE, [("mei", f"{at}s") for at in (2, 4, 6, 8)])
PATIENCE = 0.4
"""Seconds; simroom's own takes a thousandth of it for the whole run."""


class Plain:
    """Simroom's scheduler, to be spoilt."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self.real = Scheduler(settings, sources)

    @property
    def next_deadline(self) -> int | None:
        return self.real.next_deadline

    def counts(self) -> dict[str, int]:
        return self.real.counts()

    def opened(self, connection: int, kind: Any, now: int) -> list[Addressed]:
        return self.real.opened(connection, kind, now)

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        return self.real.received(connection, message, now)

    def closed(self, connection: int, now: int) -> list[Addressed]:
        return self.real.closed(connection, now)

    def wake(self, now: int) -> list[Addressed]:
        return self.real.wake(now)


class ForgetsItsDeadlines(Plain):
    """From the third utterance on it is never content with being woken."""

    said = 0
    stuck_at: int | None = None

    @property
    def next_deadline(self) -> int | None:
        return self.real.next_deadline if self.stuck_at is None else self.stuck_at

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        self.said += type(message) is Utterance
        if self.said == 3 and self.stuck_at is None:
            self.stuck_at = now - 5
        return self.real.received(connection, message, now)


class TalksForEver(ForgetsItsDeadlines):
    """Likewise, and each time it has something to say."""

    connection = 0

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        self.connection = connection
        return super().received(connection, message, now)

    def wake(self, now: int) -> list[Addressed]:
        if self.stuck_at is None:
            return super().wake(now)
        return [((self.connection,), SessionInitAck("session-1", "again", ""))]


def busy() -> None:
    while True:
        pass


def asleep() -> None:
    time.sleep(3600)


def stubborn() -> None:
    """Nothing that goes wrong stops it."""
    while True:
        try:
            busy()
        except Exception:
            continue


def sometimes_stuck(stuck: Any, kind: type) -> SchedulerFactory:
    """A scheduler that does not return from the first message of a kind."""

    class Stuck(Plain):
        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            if type(message) is kind:
                stuck()
            return self.real.received(connection, message, now)

    return Stuck


def halted(scheduler: SchedulerFactory, data: Data = DATA, patience: float = PATIENCE) -> RunData:
    run = simulate(loaded(data), scheduler=scheduler, patience=patience)
    assert run.halted is not None
    return run


def test_a_scheduler_that_is_never_content_with_being_woken_is_stopped() -> None:
    run = halted(ForgetsItsDeadlines, patience=60)
    times = f"{VAIN_WAKES_MAX:,} times over and had nothing to send"
    assert run.halted == f"the scheduler asked to be woken {times} at 6.5 s"
    assert run.ended_at == ZERO + int(6.5 * SECOND)
    # What happened before is told all the same, and that the rest did not come is nobody's breach.
    assert run.ledger.delivery_count == 2
    assert run.verdict.ends["delivered"] == 2
    assert run.verdict.living == 1
    assert run.verdict.counts["missing"] == 0
    assert not run.interrupted
    assert not run.undrained


def test_a_scheduler_that_goes_on_talking_at_one_instant_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lower limit: a million is for those who do much at once."""
    monkeypatch.setattr("simroom.sim.progress.WAKES_MAX", 5_000)
    run = halted(TalksForEver, patience=60)
    assert run.halted == "the scheduler asked to be woken 5,000 times over at 6.5 s"


@pytest.mark.parametrize("stuck", [busy, asleep, stubborn])
def test_a_scheduler_that_does_not_answer_is_stopped(stuck: Any) -> None:
    begun = time.monotonic()
    run = halted(sometimes_stuck(stuck, Utterance))
    assert run.halted == "the scheduler did not answer within 0.4 s: utterance at 2.5 s"
    assert PATIENCE < time.monotonic() - begun < 10 * PATIENCE
    assert run.ended_at == ZERO + int(2.5 * SECOND)


def test_what_was_asked_is_said_as_the_protocol_says_it() -> None:
    run = halted(sometimes_stuck(asleep, SessionInit))
    assert run.halted is not None
    assert run.halted.startswith("the scheduler did not answer within 0.4 s: session_init at 10 s before time 0")


@pytest.mark.parametrize(
    ("method", "words"),
    [("opened", "a connection was opened"), ("closed", "a connection has ended"), ("wake", "it was woken")],
)
def test_whatever_it_does_not_answer_is_said(method: str, words: str) -> None:
    members = PEOPLE | {"bo": {"speaks": "en", "events": [{"at": "5s", "drop": {}}]}}
    stuck: Any = type("Stuck", (Plain,), {method: lambda *_: asleep()})
    run = halted(stuck, room(members, [("mei", "2s")]))
    assert run.halted is not None
    assert f": {words} at " in run.halted


def test_a_deadline_that_never_comes_is_stopped_too() -> None:
    stuck: Any = type("Stuck", (Plain,), {"next_deadline": property(lambda _: asleep())})
    assert halted(stuck).halted == "the scheduler did not answer within 0.4 s: when to wake it at 20 s before time 0"


def test_time_that_stands_still_while_everybody_answers_is_noticed() -> None:
    """A node that hears that it is offline registers again at once, and nothing takes any time here."""

    class Refuses(Plain):
        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            if type(message) is NodeRegister:
                return [((connection,), NodeStatusNotice(message.node_id or "", "offline", "never", 0))]
            return self.real.received(connection, message, now)

    assert re.fullmatch(
        "time stood still for 0.8 s of real time at [0-9.]+ s before time 0", str(halted(Refuses).halted)
    )


def test_slow_and_steady_is_no_reason_to_be_stopped() -> None:
    """It takes its time for each answer, and longer than patience lasts for all of them."""

    class Slow(Plain):
        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            if type(message) is Utterance:
                time.sleep(PATIENCE / 3)
            return self.real.received(connection, message, now)

    run = simulate(loaded(DATA), scheduler=Slow, patience=PATIENCE)
    assert run.halted is None
    assert run.verdict.ends["delivered"] == 4


def test_a_run_leaves_the_timer_as_it_found_it() -> None:
    before = signal.getsignal(signal.SIGALRM)
    halted(sometimes_stuck(asleep, Utterance))
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_timer_of_somebody_else_is_left_alone() -> None:
    struck: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: struck.append(number))
    signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        run = simulate(loaded(DATA), patience=PATIENCE)
        assert run.halted is None
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 20
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert struck == []


def test_where_signals_cannot_be_caught_wakes_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simroom.sim.progress.VAIN_WAKES_MAX", 2_000)
    found: list[str | None] = []
    thread = Thread(target=lambda: found.append(halted(ForgetsItsDeadlines).halted))
    thread.start()
    thread.join(60)
    assert found == ["the scheduler asked to be woken 2,000 times over and had nothing to send at 6.5 s"]


def test_an_exception_of_the_scheduler_goes_to_whoever_runs_it() -> None:
    class Raises(Plain):
        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        simulate(loaded(DATA), scheduler=Raises)


@pytest.mark.parametrize("gone", ["closed", "empty"])
def test_a_message_to_nobody_is_carried_to_nobody(gone: str) -> None:
    """A result for a connection that has ended, or for no connection at all: the oracle tells, nothing crashes."""

    class Astray(Plain):
        ended: tuple[int, ...] = ()

        def closed(self, connection: int, now: int) -> list[Addressed]:
            self.ended = (connection,)
            return self.real.closed(connection, now)

        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            to = self.ended if gone == "closed" else ()
            return [
                (to if now > ZERO + 6 * SECOND else usual, what)
                for usual, what in self.real.received(connection, message, now)
            ]

    data = room(PEOPLE | {"bo": {"speaks": "en", "events": [{"at": "5s", "drop": {}}]}}, [("mei", "2s"), ("mei", "7s")])
    for faults in ([], [{"every": "1h", "restart_scheduler": None}]):
        run = simulate(loaded(data | {"faults": faults}), scheduler=Astray)
        assert run.verdict.violation_count > 0
        assert run.halted is None


def test_a_scheduler_is_told_what_the_scenario_calls_whom_if_it_wants_to_know() -> None:
    names: dict[int, str] = {}

    class Named(Plain):
        def named(self, connection: int, name: str) -> None:
            names[connection] = name

        def opened(self, connection: int, kind: Any, now: int) -> list[Addressed]:
            assert connection in names
            return self.real.opened(connection, kind, now)

    simulate(loaded(DATA), scheduler=Named)
    assert sorted(names.values()) == ["node", "room/anna", "room/mei"]


def test_a_scenario_can_ask_for_a_broken_scheduler() -> None:
    given: list[SchedulerPort] = []

    def factory(settings: Settings, sources: Sources) -> SchedulerPort:
        given.append(Scheduler(settings, sources))
        return given[-1]

    # Where a scheduler is given, that is the one.
    people: dict[str, Data] = {**PEOPLE, "mei": {"speaks": "zh", "preferred_lang": "en"}}
    data = room(people, [("mei", "2s")]) | {"bug": "speaker_left_out"}
    assert simulate(loaded(data)).verdict.violation_count > 0
    assert simulate(loaded(data), scheduler=factory).verdict.violation_count == 0
    assert len(given) == 1
