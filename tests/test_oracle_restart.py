"""The scheduler is restarted: what it had is lost, what it was told is forgotten, and who comes is new."""

from __future__ import annotations

from typing import Any

from test_oracle_history import SECOND, History, clean, error, found

from simroom.oracle.ledger import JobEnd
from simroom.oracle.verdict import Verdict
from simroom.scheduler.messages import Addressed, Incoming, Resume, SessionInit, TranslationResult


def before(**settings: object) -> tuple[History, int, int, int]:
    """A node, and a room of a zh speaker and an en listener."""
    history = History(**settings)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    return history, node, zh, en


def restart(history: History, seconds: float) -> None:
    history.at(seconds)
    history.oracle.restarted(history.now)
    history.rooms.clear()
    history.room_of.clear()


def test_jobs_that_live_are_lost_and_those_that_have_ended_are_not():
    history, node, zh, en = before()
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    history.say(zh, ("j1", node, "en"))
    restart(history, 5)
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["delivered"], verdict.ends["lost"], verdict.living) == (1, 1, 0)
    jobs = history.ledger.jobs()
    assert list(jobs["end"]) == [JobEnd.DELIVERED, JobEnd.LOST]
    assert list(jobs["ended_at"]) == [0, 5 * SECOND]
    assert list(jobs["node"]) == [0, 0]


def test_held_waiting_and_timed_out_jobs_are_lost_once_each():
    history, node, zh, _ = before(on_no_node="queue", max_attempts=2)
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")  # held behind j0
    history.say(zh, ("j2", node, "en"))
    history.say(zh)  # waits for a slot
    restart(history, 1)
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.created, verdict.ends["lost"]) == (4, 4)
    held = list(history.ledger.jobs()["answered_at"])
    assert sorted(held) == [-1, -1, -1, 0]


def test_the_new_one_starts_with_nobody():
    history, node, zh, en = before(reconnect_grace=10 * SECOND)
    history.say(zh, ("j0", node, "en"))
    history.close(en)
    restart(history, 5)
    mirror = history.oracle._mirror
    held = (mirror.peers, mirror.sessions, mirror.rooms, mirror.codes, mirror.running, mirror.aside, mirror.overdue)
    assert [len(table) for table in (*held, mirror.waiting, mirror.holds, mirror.graces, mirror.warm_ups)] == [0] * 11
    assert not mirror.fleet.nodes
    assert clean(history.finish())


def test_old_connections_end_in_silence_and_what_was_on_its_way_to_them_is_not_missed():
    history, node, zh, en = before()
    history.arrives = False
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    restart(history, 5)
    for connection in (node, zh, en):
        history.close(connection)
    verdict = history.finish()
    assert clean(verdict)


def test_the_same_people_and_nodes_come_back_as_new_ones_and_all_is_judged_as_before():
    history, node, zh, en = before()
    history.say(zh, ("j0", node, "en"))
    restart(history, 5)
    again = history.node("n1")
    other = history.node("n0")
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("k0", again, "en"), ("k1", other, "ja"))
    history.answer(again, "k0", history.sent("k0", en))
    history.answer(other, "k1", history.sent("k1", ja))
    # The node comes back with what it did for the old one, which the new one does not know.
    history.answer(again, "j0")
    verdict = history.finish({"created": 2, "living": 0, "delivered": 2, "lost": 0})
    assert clean(verdict)
    assert verdict.uncounted == {"unknown": 1}
    assert (verdict.created, verdict.ends["delivered"], verdict.ends["lost"]) == (3, 2, 1)
    assert history.ledger.nodes.names == ["n1", "n0"]


def test_a_breach_after_the_restart_is_found():
    history, node, _, _ = before()
    restart(history, 5)
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("k0", node, "en"), ("k1", node, "ja"))
    history.answer(node, "k0", history.sent("k0", en, ja))
    assert found(history.finish()) == [("I1", "extra", "en", ("r/m2",))]


def test_a_lost_job_whose_result_is_delivered_all_the_same_is_lost_and_adopted_and_found():
    history, node, zh, en = before()
    history.say(zh, ("j0", node, "en"))
    restart(history, 5)
    node = history.node("n1")
    _, en = history.room("zh", "en")
    history.answer(node, "j0", history.sent("j0", en))
    verdict = history.finish()
    assert found(verdict) == [("I6", "accounts", "en", ("r/m1",))]
    assert "lost as the scheduler was restarted, and its result was sent all the same" in verdict.violations[0].what


def test_a_lost_job_that_is_given_out_again_is_found():
    history, node, zh, _ = before()
    history.say(zh, ("j0", node, "en"))
    restart(history, 5)
    node = history.node("n1", ready=False)
    history.beat(node, "ready", outputs=(history.assign("j0", node),))
    verdict = history.finish()
    assert found(verdict) == [("I6", "accounts", "en", ())]
    assert "restarted, and given to n1" in verdict.violations[0].what


def test_nobody_can_resume_what_was_before():
    history, _, zh, _ = before(reconnect_grace=60 * SECOND)
    restart(history, 5)
    back = history.open("r/m0", "session")
    resume = Resume(history.session_of[zh], f"t{zh}")
    history.send(back, SessionInit("1", "test", "zh", "en", resume=resume), error(back, "INVALID_SESSION"))
    assert clean(history.finish())


def test_the_old_ones_deadlines_are_no_longer_due():
    history, node, zh, _ = before(on_no_node="queue", reconnect_grace=2 * SECOND, room_expiry=20 * SECOND)
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")  # held
    restart(history, 1)
    history.wake(1_000)
    assert clean(history.finish())


def test_books_that_go_back_before_the_restart_are_found():
    history, node, zh, en = before()
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    restart(history, 5)
    verdict = history.finish({"created": 1, "living": 0, "delivered": 1})
    assert found(verdict) == [("I6", "accounts", None, ()), ("I6", "accounts", None, ())]


def test_what_was_due_before_the_restart_and_did_not_happen_is_found():
    history, node, zh, _ = before(max_attempts=1)
    history.say(zh, ("j0", node, "en"))
    restart(history, 31)
    verdict = history.finish()
    assert found(verdict) == [("I6", "accounts", "en", ()), ("reply", "reply", None, ())]
    assert (verdict.ends["expired"], verdict.ends["lost"]) == (1, 0)


class Journalled(History):
    """A history that is written down first and judged when it is over, as a driver does it."""

    def __init__(self, **settings: Any) -> None:
        self.journal: list[Any] = []
        super().__init__(**settings)

    def open(self, name: str, kind: str) -> int:
        self.oracle.judge(self.journal)
        self.journal.clear()
        return super().open(name, kind)

    def send(self, connection: int, message: Incoming, *outputs: Addressed) -> None:
        self.journal.append((self.oracle.received, connection, message, self.now, list(outputs)))
        for to, sent in outputs:
            if isinstance(sent, TranslationResult):
                self.journal.append((self.all_arrived, to, sent, None, [self.now] * len(to)))

    def all_arrived(self, to: tuple[int, ...], sent: TranslationResult, _place: None, instants: list[int]) -> None:
        self.oracle.all_arrived(to, sent, self.oracle.sent_rows[0], instants)

    def restart(self, seconds: float) -> None:
        self.at(seconds)
        self.journal.append((lambda now, *_: self.oracle.restarted(now), self.now, None, None, None))
        self.rooms.clear()
        self.room_of.clear()

    def over(self) -> Verdict:
        self.oracle.judge(self.journal)
        return self.finish()


def test_the_short_way_and_the_long_judge_alike_after_a_restart():
    verdicts = []
    for shortcuts in (True, False):
        history = Journalled(shortcuts=shortcuts)
        for life in range(3):
            n1, n2 = history.node("n1", slots=4), history.node("n2", slots=4)
            zh, en = history.room("zh", "en")
            for number in range(4):
                history.say(zh, (f"{life}-{number}", (n1, n2)[number % 2], "en"))
            for number in range(3):
                history.answer((n1, n2)[number % 2], f"{life}-{number}", history.sent(f"{life}-{number}", en))
            history.restart(life + 1)
        verdicts.append(history.over())
        assert history.oracle.shortcut_count == (9 if shortcuts else 0)
    assert clean(verdicts[0])
    assert verdicts[0] == verdicts[1]
    assert (verdicts[0].ends["lost"], verdicts[0].ends["delivered"]) == (3, 9)
