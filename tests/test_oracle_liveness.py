"""What must have come to its end when all is over: jobs, results, the voices of those who failed once, all memory."""

from __future__ import annotations

import pytest
from test_oracle_history import SECOND, History, clean, found, undone

from simroom.oracle import debts
from simroom.oracle.liveness import bound_of
from simroom.oracle.verdict import Verdict
from simroom.scheduler.messages import SessionClose, SessionCloseAck
from simroom.scheduler.settings import Settings


def pair(**settings: object) -> tuple[History, int, int, int, int]:
    """Two nodes, and a room of a zh speaker and an en listener."""
    history = History(**settings)
    n1, n2 = history.node("n1", slots=8), history.node("n2", slots=8)
    zh, en = history.room("zh", "en")
    return history, n1, n2, zh, en


def told(verdict: Verdict, invariant: str) -> list[str]:
    return [breach.what for breach in verdict.violations if breach.invariant == invariant]


# --- L1: every job ends in time


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 60),
        ({"max_attempts": 3, "job_timeout": 5 * SECOND}, 15),
        ({"on_no_node": "queue", "waiting_time_max": 10 * SECOND}, 80),
        ({"waiting_time_max": 10 * SECOND}, 60),
        ({"ordering": "strict"}, 60),
        ({"max_hold": 1_000 * SECOND}, 60),
    ],
)
def test_a_jobs_longest_life_follows_from_the_settings(settings, seconds):
    assert bound_of(Settings(**settings)) == seconds * SECOND


def test_a_job_that_is_given_out_again_and_again_is_stuck_once_it_has_lived_too_long():
    history, n1, n2, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    for seconds, node in ((20, n2), (40, n1), (60, n2)):
        history.wake(seconds, history.assign("j0", node))
    history.at(60.5)
    verdict = history.finish()
    assert undone(verdict) == ["L1"]
    what = "it has lived for 60.500 s, 60.000 s is the most; it waits for the answer of n2 to attempt 4"
    assert told(verdict, "L1") == [what]
    assert verdict.stuck == (f"r/m0 #0 → en: {what}",)
    assert (verdict.living, verdict.judgements["L1"]) == (1, 1)
    assert verdict.violations[-1].job_id == "j0"


def test_a_job_is_not_stuck_as_long_as_it_may_live():
    history, n1, n2, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    for seconds, node in ((20, n2), (40, n1)):
        history.wake(seconds, history.assign("j0", node))
    history.at(60)
    verdict = history.finish()
    assert undone(verdict) == []
    assert verdict.unfinished == ("r/m0 #0 → en waits for the answer of n1 to attempt 3",)
    assert verdict.judgements["L1"] == 0


def test_the_longest_life_that_the_rules_allow_is_no_breach():
    """Waits, times out, waits again, times out: to the very end."""
    history = History(on_no_node="queue", waiting_time_max=10 * SECOND)
    zh, _ = history.room("zh", "en")
    history.jobs["j0"] = (zh, 0, "en", "")
    history.say(zh)
    history.jobs["j0"] = (zh, 0, "en", f"<{history.session_of[zh]}#0@0>")
    history.at(9.9)
    node = history.node("n1", slots=1, ready=False)
    history.beat(node, "ready", outputs=(history.assign("j0", node),))
    history.wake(39.9)  # its slot is kept, nobody else is there: it waits again
    history.at(49.8)
    other = history.node("n2", slots=1, ready=False)
    history.beat(other, "ready", outputs=(history.assign("j0", other),))
    history.at(79.7)
    assert history.oracle.living == 1
    history.wake(79.8, history.event("j0", "JOB_TIMEOUT"))
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["expired"], verdict.judgements["L1"]) == (1, 1)


def test_unfinished_jobs_say_what_they_wait_for():
    history = History(on_no_node="queue")
    node = history.node("n1", slots=2, pairs=("zh>en",))
    zh, _, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"))  # for ja nobody fits
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")  # held for j0
    history.say(zh, ("j2", node, "en"))
    history.say(zh)  # no slot
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.unfinished == (
        "r/m0 #0 → en waits for the answer of n1 to attempt 1",
        "r/m0 #2 → en waits for the answer of n1 to attempt 1",
        "r/m0 #1 → en is answered and held for #0, which waits for the answer of n1 to attempt 1",
        "r/m0 #0 → ja waits for a node: MODEL_NOT_AVAILABLE",
        "r/m0 #1 → ja waits for a node: MODEL_NOT_AVAILABLE",
        "r/m0 #2 → ja waits for a node: MODEL_NOT_AVAILABLE",
        "r/m0 #3 → en waits for a slot: CAPACITY_EXCEEDED",
        "r/m0 #3 → ja waits for a node: MODEL_NOT_AVAILABLE",
    )


def test_a_job_of_which_nothing_is_heard_any_more_is_stuck():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.at(3)
    history.close(n1)
    history.at(8)
    verdict = history.finish()
    assert found(verdict) == [("I6", "accounts", "en", ())]
    assert told(verdict, "L1") == ["nothing was heard of its end, due 5.000 s ago; attempt 1 was given to n1"]


def test_a_job_that_was_refused_in_silence_is_stuck():
    history = History()
    session = history.session("s")
    history.say(session)
    verdict = history.finish()
    assert told(verdict, "L1") == ["nothing was heard of its end, due 0.000 s ago; it was never given to a node"]


def test_a_word_that_comes_late_is_late_and_the_job_not_stuck():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", error="TTS_TIMEOUT")
    history.wake(1, history.event("j0", "TTS_TIMEOUT"))
    verdict = history.finish()
    assert found(verdict)[0] == ("I6", "accounts", "en", ())
    assert undone(verdict) == []


def test_a_late_word_about_a_job_without_a_name_is_known_by_its_utterance():
    history = History()
    session = history.session("s")
    history.say(session)
    history.jobs["x"] = (session, 0, "en", "")
    history.wake(1, history.event("x", "NO_AVAILABLE_NODE"))
    assert undone(history.finish()) == []


def test_a_result_that_is_sent_after_all_ends_the_silence():
    history, n1, _, zh, en = pair(max_attempts=1)
    history.say(zh, ("j0", n1, "en"))
    history.wake(30)
    history.wake(31, history.sent("j0", en))
    assert undone(history.finish()) == []


def test_who_has_gone_need_not_be_told_so_nothing_is_stuck():
    history, n1, _, zh, _ = pair(max_attempts=1)
    history.say(zh, ("j0", n1, "en"))
    history.close(zh, *history.out(zh))
    history.wake(30)
    assert clean(history.finish())


def test_in_a_run_that_was_cut_short_a_silent_job_still_has_the_rest_of_its_time():
    for seconds, stuck in ((60, []), (60.5, ["L1"])):
        history, n1, _, zh, _ = pair()
        history.say(zh, ("j0", n1, "en"))
        history.close(n1)
        history.at(seconds)
        assert undone(history.finish(drained=False)) == stuck


def test_jobs_that_live_in_the_schedulers_own_books_only_are_stuck():
    history, n1, _, zh, _ = pair(max_attempts=1)
    history.say(zh, ("j0", n1, "en"))
    history.say(zh, ("j1", 2, "en"))
    history.close(zh, *history.out(zh))
    history.wake(30)
    verdict = history.finish({"living": 2})
    assert found(verdict)[-1] == ("I6", "accounts", None, ())
    assert told(verdict, "L1") == ["2 jobs more live in the scheduler's own books than can, by the messages"]


def test_a_job_that_lives_in_its_books_and_in_silence_is_stuck_once():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.close(n1)
    assert undone(history.finish({"living": 1})) == ["L1"]


def test_all_silent_jobs_are_counted_also_those_no_longer_waited_for(monkeypatch):
    monkeypatch.setattr(debts, "SILENT_MAX", 3)
    history, n1, _, zh, _ = pair()
    for number in range(8):
        history.say(zh, (f"j{number}", n1 if number % 2 == 0 else 1, "en"))
        history.answer(n1 if number % 2 == 0 else 1, f"j{number}", error="TTS_TIMEOUT")
    verdict = history.finish()
    assert verdict.breaches["L1", "stuck"] == 8
    assert len(verdict.stuck) == 8


def test_a_late_driver_gives_jobs_the_time_that_it_took():
    history, n1, n2, zh, _ = pair(punctual=False)
    history.say(zh, ("j0", n1, "en"))
    history.wake(45, history.assign("j0", n2))  # due at 30
    history.at(74)
    verdict = history.finish()
    assert clean(verdict)
    assert len(verdict.unfinished) == 1


# --- L2: every recipient gets it in the end


def test_whoever_never_gets_what_was_due_is_told_once_with_all_that_is_missing():
    history, n1, n2, zh, en = pair()
    late = history.session("r/late", "en")
    history.join(late, "en")
    for number in range(4):
        node = (n1, n2)[number % 2]
        history.say(zh, (f"j{number}", node, "en"))
        history.answer(node, f"j{number}", *([] if number == 3 else [history.sent(f"j{number}", en)]))
    verdict = history.finish()
    assert verdict.counts["missing"] == 4
    assert undone(verdict) == ["L2", "L2"]
    assert told(verdict, "L2") == [
        "r/late never got 4 results that it should have got, the first of r/m0 #0 → en",
        "r/m1 never got a result that it should have got, of r/m0 #3 → en",
    ]
    assert verdict.judgements["L2"] == 3 + 5


def test_what_comes_late_is_missing_when_it_is_due_and_not_in_the_end():
    history, n1, _, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0")
    history.wake(2, history.sent("j0", en))
    verdict = history.finish()
    assert found(verdict) == [("I1", "missing", "en", ("r/m1",))]
    assert undone(verdict) == []


def test_a_kept_result_that_is_not_handed_over_is_never_got():
    history, n1, _, zh, en = pair(reconnect_grace=10 * SECOND)
    history.say(zh, ("j0", n1, "en"))
    history.close(en)
    history.answer(n1, "j0")
    history.resume(en)
    verdict = history.finish()
    assert found(verdict) == [("I1", "missing", "en", ("r/m1",))]
    assert undone(verdict) == ["L2"]


def test_a_job_that_was_never_made_has_no_result_to_get():
    history, n1, _, zh, _ = pair()
    ja = history.session("r/ja", "ja")
    history.join(ja, "ja")
    history.say(zh, ("j0", n1, "en"))
    verdict = history.finish()
    assert found(verdict) == [("I1", "missing", "ja", ("r/ja",))]
    assert undone(verdict) == []


def test_in_a_run_that_was_cut_short_nobody_has_been_left_out_for_good():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0")
    verdict = history.finish(drained=False)
    assert undone(verdict) == []
    assert verdict.judgements["L2"] == 0


def test_all_that_was_missed_is_counted_also_where_it_is_no_longer_waited_for(monkeypatch):
    monkeypatch.setattr(debts, "UNPAID_MAX", 2)
    history, n1, n2, zh, _ = pair()
    for number in range(5):
        node = (n1, n2)[number % 2]
        history.say(zh, (f"j{number}", node, "en"))
        history.answer(node, f"j{number}")
    verdict = history.finish()
    assert told(verdict, "L2") == ["r/m1 never got 5 results that it should have got, the first of r/m0 #0 → en"]


# --- L3: no speaker is muted by a failure


def fail(history: History, speaker: int, node: int, job: str) -> None:
    history.say(speaker, (job, node, "en"))
    history.answer(node, job, history.event(job, "NMT_TIMEOUT"), error="NMT_TIMEOUT")


def test_a_speaker_of_whom_nothing_comes_after_a_failure_is_muted():
    history, n1, _, zh, en = pair(ordering="strict")
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.sent("j0", en))
    fail(history, zh, 1, "j1")
    for number in (2, 3):
        history.say(zh, (f"j{number}", (n1, 1)[number % 2], "en"))
        history.answer((n1, 1)[number % 2], f"j{number}")
    verdict = history.finish()
    assert undone(verdict) == ["L2", "L3"]
    assert told(verdict, "L3") == ["nothing came since #1 ended as failed: 2 results that were due were never sent"]
    [breach] = [one for one in verdict.violations if one.invariant == "L3"]
    assert (breach.speaker, breach.language, breach.utterance_index) == ("r/m0", "en", 2)
    assert verdict.judgements["L3"] == 1


def test_a_speaker_of_whom_something_comes_after_the_failure_is_not_muted():
    history, n1, _, zh, en = pair()
    fail(history, zh, n1, "j0")
    history.say(zh, ("j1", 1, "en"))
    history.answer(1, "j1")
    history.say(zh, ("j2", n1, "en"))
    history.answer(n1, "j2", history.sent("j2", en))
    assert undone(history.finish()) == ["L2"]


def test_a_failure_mutes_nobody_who_spoke_before():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    fail(history, zh, 1, "j1")
    history.answer(n1, "j0")
    assert undone(history.finish()) == ["L2"]


def test_what_is_missing_without_a_failure_is_no_muting():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0")
    fail(history, zh, 1, "j1")
    verdict = history.finish()
    assert undone(verdict) == ["L2"]
    assert verdict.judgements["L3"] == 1


def test_one_speakers_failure_mutes_only_that_speaker_in_that_language():
    history = History()
    node = history.node("n1", slots=8)
    zh, _, ja = history.room("zh", "en", "ja")
    history.say(zh, ("a0", node, "en"), ("a1", node, "ja"))
    history.answer(node, "a0", history.event("a0", "NMT_TIMEOUT"), error="NMT_TIMEOUT")
    history.answer(node, "a1", history.sent("a1", ja))
    history.say(ja, ("b0", node, "en"), ("b1", node, "zh"))
    history.answer(node, "b0")
    history.answer(node, "b1", history.sent("b1", zh))
    assert undone(history.finish()) == ["L2"]  # b0 is missing, and its speaker had not failed


def test_failures_after_which_all_goes_on_are_judged_and_right():
    history, n1, _, zh, en = pair()
    for number in range(4):
        job, node = f"j{number}", (n1, 1)[number % 2]
        if number % 2:
            fail(history, zh, node, job)
        else:
            history.say(zh, (job, node, "en"))
            history.answer(node, job, history.sent(job, en))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.judgements["L3"] == 2


# --- L4: nothing is left behind


def gone(**settings: object) -> History:
    """A room was there, something was said in it, and everybody has gone, the node too."""
    history, n1, n2, zh, en = pair(**settings)
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.sent("j0", en))
    for member in (zh, en):
        ack = (member,), SessionCloseAck(history.session_of[member])
        history.send(member, SessionClose(history.session_of[member], ""), ack, *history.out(member))
        history.close(member)
    for node in (n1, n2):
        history.close(node)
    return history


def test_a_scheduler_that_remembers_something_of_those_who_have_gone_leaks_memory():
    verdict = gone().finish(entry_count=3, everybody_left=True)
    assert undone(verdict) == ["L4"]
    assert verdict.stuck == (
        "everybody has left and everything has ended, and the scheduler still remembers 3 entries",
    )
    assert (verdict.judgements["L4"], verdict.counts["stuck"]) == (1, 1)


def test_a_scheduler_that_remembers_nothing_is_judged_and_right():
    verdict = gone().finish(entry_count=0, everybody_left=True)
    assert clean(verdict)
    assert verdict.judgements["L4"] == 1


@pytest.mark.parametrize(("entry_count", "everybody_left"), [(None, True), (3, False)])
def test_memory_is_not_judged_where_it_is_not_known_or_somebody_may_be_there(entry_count, everybody_left):
    verdict = gone().finish(entry_count=entry_count, everybody_left=everybody_left)
    assert clean(verdict)
    assert verdict.judgements["L4"] == 0


def test_memory_is_not_judged_while_somebody_may_come_back_or_a_slot_is_kept():
    history, n1, n2, zh, en = pair(reconnect_grace=10 * SECOND)
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.sent("j0", en))
    for connection in (zh, en, n1, n2):
        history.close(connection)
    history.at(10)
    assert history.finish(entry_count=2, everybody_left=True).judgements["L4"] == 0
