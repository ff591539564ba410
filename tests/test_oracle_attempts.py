"""What becomes of attempts and of results: retries, time-outs, lost nodes, order, late and wrong answers."""

from __future__ import annotations

import pytest
from test_oracle_history import HARDWARE, SECOND, History, clean, error, expired, found, to

from simroom.scheduler.messages import (
    AsrPartial,
    Hardware,
    JobCancel,
    NodeControl,
    NodeHeartbeat,
    NodeStatusNotice,
    ResourceUsage,
)


def pair(**settings: object) -> tuple[History, int, int, int, int]:
    """Two nodes, and a room of a zh speaker and an en listener."""
    history = History(**settings)
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en = history.room("zh", "en")
    return history, n1, n2, zh, en


# --- answers that count


@pytest.mark.parametrize("code", ["NODE_OVERLOADED", "MODEL_NOT_AVAILABLE", "INTERNAL_ERROR"])
def test_some_failures_are_tried_again_elsewhere_at_once(code):
    history, n1, n2, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.assign("j0", n2), error=code)
    history.answer(n2, "j0", history.sent("j0", en), attempt=2)
    verdict = history.finish()
    assert clean(verdict)
    assert list(history.ledger.jobs()["attempts"]) == [2]


def test_attempts_that_are_used_up_end_the_job_with_the_nodes_code():
    history, n1, n2, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.assign("j0", n2), error="NODE_OVERLOADED")
    history.answer(n2, "j0", history.event("j0", "INTERNAL_ERROR"), error="INTERNAL_ERROR")
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["failed"] == 1


def test_a_retry_falls_back_to_the_same_node_if_no_other_fits():
    history = History()
    node = history.node("n1")
    session = history.session("s")
    history.say(session, ("j0", node, "en"))
    history.answer(node, "j0", history.assign("j0", node), error="INTERNAL_ERROR")
    history.answer(node, "j0", history.sent("j0", session), attempt=2)
    assert clean(history.finish())


def test_a_retry_that_fits_nowhere_fails_the_job():
    history = History()
    node = history.node("n1", slots=1)
    session = history.session("s")
    history.say(session, ("j0", node, "en"))
    history.close(node, history.event("j0", "NO_AVAILABLE_NODE", "OFFLINE"))
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["failed"], verdict.refusals) == (1, {"OFFLINE": 1})


def test_a_failure_told_with_another_code_is_found():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.event("j0", "NMT_TIMEOUT"), error="TTS_TIMEOUT")
    assert found(history.finish()) == [("reply", "reply", "en", ("r/m0",))]


def test_a_failure_in_silence_is_found():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", error="TTS_TIMEOUT")
    assert found(history.finish()) == [("I6", "accounts", "en", ())]


def test_a_speaker_who_has_gone_is_told_nothing():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.close(zh, *history.out(zh))
    history.answer(n1, "j0", error="TTS_TIMEOUT")
    assert clean(history.finish())


def test_a_job_said_to_have_failed_that_lives_is_found_and_followed():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.wake(1, history.event("j0", "JOB_TIMEOUT"))
    history.answer(n1, "j0")
    verdict = history.finish()
    assert found(verdict) == [("I6", "accounts", "en", ())]
    assert verdict.ends["expired"] == 1


def test_results_that_count_for_nothing_are_counted_by_why():
    history, n1, n2, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.jobs["ghost"] = history.jobs["j0"]
    history.answer(n1, "ghost")
    history.answer(n2, "j0")
    history.wake(30, history.assign("j0", n2))
    history.answer(n2, "j0", history.sent("j0", en), attempt=2)
    history.answer(n1, "j0", attempt=1)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.uncounted == {"unknown": 1, "not_given": 1, "late": 1}


def test_a_result_under_a_number_its_node_was_never_given_counts_and_frees_no_slot():
    history = History(cancel="moot")
    node = history.node("n1", slots=1)
    session = history.session("s")
    history.say(session, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", session), history.cancel("j0", node, 1), attempt=7)
    history.say(session, history.refused(session, "x", "CAPACITY_EXCEEDED"))
    history.answer(node, "j0", attempt=1)
    history.say(session, ("j2", node, "en"))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.uncounted == {"late": 1}
    assert history.ledger.jobs()["dispatched_at"][0] == 0


def test_a_result_under_the_number_of_another_nodes_attempt_counts_and_frees_neither_slot():
    history = History()
    n1, n2 = history.node("n1", slots=1), history.node("n2", slots=1)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.at(31)
    history.answer(n1, "j0", history.sent("j0", en), attempt=2)
    history.say(zh, history.refused(zh, "x", "CAPACITY_EXCEEDED"))
    history.answer(n2, "j0", attempt=2)
    history.say(zh, ("j2", n2, "en"))
    history.answer(n1, "j0", attempt=1)
    history.say(zh, ("j3", n1, "en"))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.uncounted == {"late": 2}
    jobs = history.ledger.jobs()
    delivered = list(jobs["answered_at"]).index(31 * SECOND)
    assert history.ledger.nodes.names[jobs["node"][delivered]] == "n1"
    assert jobs["dispatched_at"][delivered] == 0


def test_a_result_under_a_number_its_node_was_never_given_that_goes_to_nobody_is_found():
    history, n1, _, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", attempt=7)
    assert found(history.finish()) == [("I1", "missing", "en", ("r/m1",))]


def test_a_failure_under_a_number_its_node_was_never_given_changes_nothing():
    history, n1, _, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", error="INTERNAL_ERROR", attempt=7)
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.uncounted == {"late": 1}


def test_a_result_from_a_node_never_given_the_job_that_is_delivered_is_found():
    history, n1, n2, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.answer(n2, "j0", history.sent("j0", en))
    assert found(history.finish()) == [("I1", "extra", "en", ("r/m1",))]


# --- time-outs


def test_a_time_out_is_tried_again_and_the_first_result_counts_whichever_attempt_it_is():
    history, n1, n2, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.at(31)
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    history.answer(n2, "j0", attempt=2)
    verdict = history.finish()
    assert clean(verdict)
    jobs = history.ledger.jobs()
    assert history.ledger.nodes.names[jobs["node"][0]] == "n1"
    assert list(jobs["dispatched_at"]) == [0]


def test_attempts_used_up_by_time_outs_expire_the_job():
    history, n1, n2, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.wake(60, history.event("j0", "JOB_TIMEOUT"))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["expired"] == 1


def test_a_result_at_the_very_instant_of_its_time_out_counts():
    history, n1, _, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.at(30)
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    history.wake(30)
    assert clean(history.finish())


def test_a_time_out_that_is_missed_shows_at_the_next_message():
    history, n1, _, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.at(31)
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    verdict = history.finish()
    assert next(entry[:2] for entry in found(verdict)) == ("I6", "accounts")


def test_a_time_out_that_is_missed_shows_at_the_end():
    history, n1, _, zh, _ = pair(max_attempts=1)
    history.say(zh, ("j0", n1, "en"))
    history.at(31)
    assert next(entry[:2] for entry in found(history.finish())) == ("I6", "accounts")


def test_what_is_done_late_is_found_unless_the_driver_may_be_late():
    for punctual in (True, False):
        history, n1, n2, zh, _ = pair()
        history.oracle._clock._punctual = punctual
        history.say(zh, ("j0", n1, "en"))
        history.wake(32, history.assign("j0", n2))
        assert found(history.finish()) == ([("reply", "reply", None, ())] if punctual else [])


def test_a_time_out_too_early_is_found():
    history, n1, n2, zh, _ = pair()
    history.say(zh, ("j0", n1, "en"))
    history.wake(29, history.assign("j0", n2))
    assert found(history.finish()) == [("I6", "accounts", "en", ())]


def test_a_timed_out_attempt_keeps_its_slot_until_it_is_answered_or_abandoned():
    history = History(max_attempts=1)
    node = history.node("n1", slots=1)
    session = history.session("s")
    history.say(session, ("j0", node, "en"))
    history.wake(30, history.event("j0", "JOB_TIMEOUT"))
    history.say(session, history.refused(session, "j1", "CAPACITY_EXCEEDED"))
    history.wake(90)
    history.say(session, ("j2", node, "en"))
    history.wake(120, history.event("j2", "JOB_TIMEOUT"))
    history.answer(node, "j2", error="INTERNAL_ERROR")
    history.answer(node, "j0")
    history.say(session, ("j3", node, "en"))
    assert clean(history.finish())


def test_a_failure_of_a_timed_out_attempt_only_frees_its_slot():
    history = History()
    n1, n2 = history.node("n1", slots=1), history.node("n2", slots=1)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.answer(n1, "j0", error="INTERNAL_ERROR", attempt=1)
    history.say(zh, ("j1", n1, "en"))
    history.answer(n2, "j0", history.sent("j0", en), attempt=2)
    assert clean(history.finish())


def test_a_result_ends_the_wait_for_another_attempt():
    history = History(on_no_node="queue")
    node = history.node("n1", slots=1)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.wake(30)
    history.at(31)
    history.answer(node, "j0", history.sent("j0", en), attempt=1)
    verdict = history.finish()
    assert clean(verdict)
    assert list(history.ledger.jobs()["attempts"]) == [1]


def test_nodes_are_told_of_moot_attempts_where_that_is_the_rule():
    history, n1, n2, zh, en = pair(cancel="moot")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2), history.cancel("j0", n1, 1))
    history.answer(n1, "j0", history.sent("j0", en), history.cancel("j0", n2, 2), attempt=1)
    history.say(zh, ("j1", n1, "en"))
    history.leave(zh)
    history.leave(en, history.cancel("j1", n1, 1))
    history.answer(n1, "j1", error="JOB_CANCELLED", attempt=1)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["no_recipient"] == 1


def test_a_node_that_is_not_told_or_wrongly_told_is_found():
    history, n1, n2, zh, _ = pair(cancel="moot")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.wake(31, to(n2, JobCancel("j0", 2)))
    assert [entry[:2] for entry in found(history.finish())] == [("reply", "reply"), ("I6", "accounts")]


# --- lost nodes


def test_a_lost_nodes_jobs_are_tried_again_in_order_of_dispatch():
    history = History()
    n1, n2 = history.node("n1", slots=4), history.node("n2", slots=1)
    n3 = history.node("n3", slots=1)
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", n1, "en"), ("j1", n2, "ja"))
    history.say(zh, ("j2", n3, "en"), ("j3", n1, "ja"))
    history.close(
        n1,
        history.event("j0", "NO_AVAILABLE_NODE", "CAPACITY_EXCEEDED"),
        history.event("j3", "NO_AVAILABLE_NODE", "CAPACITY_EXCEEDED"),
    )
    history.answer(n2, "j1", history.sent("j1", ja))
    history.answer(n3, "j2", history.sent("j2", en))
    assert clean(history.finish())


def test_a_lost_nodes_last_attempts_fail():
    history, n1, _, zh, _ = pair(max_attempts=1)
    history.say(zh, ("j0", n1, "en"))
    history.close(n1, history.event("j0", "NODE_UNAVAILABLE"))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["failed"] == 1


def test_nodes_lost_in_one_scan_do_not_get_each_others_jobs():
    history = History(heartbeat_timeout=45 * SECOND, job_timeout=300 * SECOND)
    n1, n2, n3 = (history.node(name) for name in ("n1", "n2", "n3"))
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.say(zh, ("j1", n2, "en"))
    history.wake(30)
    history.beat(n3)
    history.wake(
        60,
        history.status(n1, "offline"),
        history.status(n2, "offline"),
        history.assign("j0", n3),
        history.assign("j1", n3),
    )
    assert clean(history.finish())


def test_a_node_that_went_offline_may_still_answer_over_its_open_connection():
    history = History(heartbeat_timeout=45 * SECOND, job_timeout=300 * SECOND)
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.at(40)
    history.beat(n2)
    history.wake(60, history.status(n1, "offline"), history.assign("j0", n2))
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    history.answer(n2, "j0", attempt=2)
    assert clean(history.finish())


# --- order


def test_results_wait_for_older_ones_of_their_own_key_only():
    history = History()
    node = history.node("n1", slots=8)
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("a0", node, "en"), ("b0", node, "ja"))
    history.say(zh, ("a1", node, "en"), ("b1", node, "ja"))
    history.say(zh, ("a2", node, "en"), ("b2", node, "ja"))
    history.answer(node, "a2")
    history.answer(node, "b0", history.sent("b0", ja))
    history.answer(node, "a1")
    history.answer(node, "a0", history.sent("a0", en), history.sent("a1", en), history.sent("a2", en))
    assert clean(history.finish())


def test_results_released_in_the_wrong_order_are_found():
    history = History()
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.answer(node, "j0", history.sent("j1", en), history.sent("j0", en))
    assert found(history.finish()) == [("I3", "out_of_order", "en", ())]


@pytest.mark.parametrize("end", ["failed", "expired"])
def test_a_job_that_ends_without_a_result_holds_nobody_up(end):
    history = History(max_attempts=1, max_hold=100 * SECOND)
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.say(zh, ("j1", n2, "en"))
    history.answer(n2, "j1")
    if end == "failed":
        told = history.event("j0", "TTS_TIMEOUT")
        history.answer(n1, "j0", told, history.sent("j1", en), error="TTS_TIMEOUT")
    else:
        history.wake(30, history.event("j0", "JOB_TIMEOUT"), history.sent("j1", en))
    assert clean(history.finish())


def test_a_gap_is_given_up_after_the_longest_hold_and_what_comes_then_is_dropped():
    history = History()
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    for number in range(4):
        history.say(zh, (f"j{number}", node, "en"))
    history.at(1)
    history.answer(node, "j1")
    history.at(2)
    history.answer(node, "j3")
    history.wake(6, history.sent("j1", en))
    history.wake(7, history.sent("j3", en))
    history.at(8)
    history.answer(node, "j2")
    history.answer(node, "j0", history.event("j0", "TTS_TIMEOUT"), error="TTS_TIMEOUT")
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["dropped_late"], verdict.ends["failed"]) == (1, 1)


def test_a_gap_that_is_given_up_too_early_is_found():
    history = History()
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.wake(4, history.sent("j1", en))
    history.answer(node, "j0", history.sent("j0", en))
    assert found(history.finish()) == [("I3", "out_of_order", "en", ())]


def test_a_late_result_is_sent_where_that_is_the_rule():
    history = History(late="deliver")
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.wake(5, history.sent("j1", en))
    history.answer(node, "j0", history.sent("j0", en))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["delivered"] == 2


def test_strict_order_waits_for_as_long_as_it_takes():
    history = History(ordering="strict", job_timeout=300 * SECOND)
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.wake(200)
    history.answer(node, "j0", history.sent("j0", en), history.sent("j1", en))
    assert clean(history.finish())


def test_without_order_results_go_out_as_they_come_and_order_is_not_judged():
    history = History(ordering="none")
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", en))
    history.answer(node, "j0", history.sent("j0", en))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.judgements["I3"] == 0


def test_a_held_job_is_answered_and_neither_times_out_nor_uses_a_slot():
    history = History(ordering="strict", max_attempts=1)
    n1, n2 = history.node("n1", slots=1), history.node("n2", slots=1)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.at(20)
    history.say(zh, ("j1", n2, "en"))
    history.answer(n2, "j1")
    history.say(zh, ("j2", n2, "en"))
    assert clean(history.finish())


# --- recipients


def test_recipients_are_those_who_match_as_the_result_is_sent():
    history = History()
    node = history.node("n1", slots=8)
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.leave(en)
    history.prefer(ja, "en")
    late = history.session("late")
    history.join(late, "en")
    history.answer(node, "j0", history.sent("j0", ja, late))
    history.answer(node, "j1")
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["delivered"], verdict.ends["no_recipient"]) == (1, 1)


@pytest.mark.parametrize(("membership", "expected"), [("live", "bd"), ("snapshot", "bc"), ("both", "b")])
def test_who_counts_as_a_recipient_is_a_setting(membership, expected):
    history = History(membership=membership)
    node = history.node("n1", slots=8)
    zh, b, c, d, gone = history.room("zh", "en", "en", "ja", "en")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.prefer(c, "fr")
    history.prefer(d, "en")
    history.leave(gone)
    who = {"b": b, "c": c, "d": d}
    history.answer(node, "j0", history.sent("j0", *(who[name] for name in expected)))
    assert clean(history.finish())


def test_a_result_for_nobody_ends_as_such():
    history, n1, _, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.leave(en)
    history.answer(n1, "j0")
    assert clean(history.finish())


def test_a_room_that_ends_takes_its_jobs_along_and_slots_are_held_until_answered():
    history = History(room_expiry=60 * SECOND, job_timeout=500 * SECOND)
    node = history.node("n1", slots=2)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.wake(60, expired("111111", zh, en))
    alone = history.session("s")
    history.say(alone, history.refused(alone, "x", "CAPACITY_EXCEEDED"))
    history.answer(node, "j0")
    history.say(alone, ("j2", node, "en"))
    verdict = history.finish({"created": 4, "living": 1, "no_recipient": 2, "rejected": 1})
    assert clean(verdict)
    assert verdict.uncounted == {"late": 1}


def test_the_slot_of_a_job_that_has_ended_is_taken_back_at_last():
    history = History(room_expiry=60 * SECOND)
    node = history.node("n1", slots=1)
    zh, en = history.room("zh", "en")
    history.at(40)
    history.say(zh, ("j0", node, "en"))
    history.leave(zh)
    history.leave(en)
    history.wake(70)
    history.wake(130)
    alone = history.session("s")
    history.say(alone, ("j1", node, "en"))
    assert clean(history.finish())


def test_what_the_asr_hears_goes_to_the_speaker_from_one_job_only():
    history = History()
    node = history.node("n1", slots=8)
    zh, en, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))

    def heard(job: str) -> AsrPartial:
        return AsrPartial(history.session_of[zh], 0, job, "ni", False, "")

    history.send(node, heard("j0"), to(zh, heard("j0")))
    history.send(node, heard("j1"))
    assert not history.oracle._mirror.findings.violations
    history.send(node, heard("j1"), to(zh, heard("j1")))
    history.send(node, heard("j0"), to(en, heard("j0")))
    assert [entry[:2] for entry in found(history.finish())] == [("reply", "reply"), ("I7", "leaked")]


def away(**settings: object) -> tuple[History, int, int, dict[str, AsrPartial]]:
    """A speaker that has dropped out, with a job in each of two languages, and what the ASR may make of them."""
    history = History(reconnect_grace=60 * SECOND, **settings)
    node = history.node("n1", slots=8)
    zh, _, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.close(zh)
    session_id = history.session_of[zh]
    heard = {
        text: AsrPartial(session_id, 0, job, text, False, "")
        for job, text in (("j0", "ni"), ("j0", "ni hao"), ("j1", "nihao"))
    }
    return history, node, zh, heard


@pytest.mark.parametrize("told", [(), ("ni",), ("ni hao",), ("ni", "ni hao")])
def test_a_speaker_who_comes_back_may_be_told_what_the_asr_heard_meanwhile(told):
    history, node, zh, heard = away()
    for partial in heard.values():
        history.send(node, partial)
    back = history.resume(zh, *(((), heard[text]) for text in told))
    history.close(back)
    history.resume(back)
    assert clean(history.finish())


@pytest.mark.parametrize("told", [("ni hao", "ni"), ("ni", "ni"), ("wo",), ("ni", "nihao")])
def test_what_the_asr_heard_meanwhile_is_found_if_it_is_out_of_order_told_twice_made_up_or_of_two_jobs(told):
    history, node, zh, heard = away()
    for partial in heard.values():
        history.send(node, partial)
    heard["wo"] = AsrPartial(history.session_of[zh], 0, "j0", "wo", False, "")
    history.resume(zh, *(((), heard[text]) for text in told))
    assert [entry[:2] for entry in found(history.finish())] == [("reply", "reply")]


def test_what_the_asr_heard_may_be_kept_in_the_place_of_something_older_and_is_no_more_than_can_be_kept():
    history, node, zh, heard = away(kept_count_max=1)
    history.answer(node, "j1", error="TTS_TIMEOUT")
    history.send(node, heard["ni"])
    history.send(node, heard["ni hao"])
    back = history.resume(zh, ((), heard["ni hao"]))
    assert not history.oracle._mirror.findings.violations
    history.close(back)
    history.send(node, heard["ni"])
    history.send(node, heard["ni hao"])
    history.resume(back, ((), heard["ni"]))
    assert [entry[:2] for entry in found(history.finish())] == [("reply", "reply")]


# --- nodes


def test_a_node_is_ready_after_so_many_healthy_heartbeats_in_a_row():
    history = History(health_check_count=3)
    node = history.node("n1", ready=False)
    unwell = ResourceUsage(1.0, 1.0, 0, None)
    for usage in (None, None, unwell, None, None):
        history.beat(node, **({"usage": usage} if usage else {}))
    history.beat(node, "ready")
    assert clean(history.finish())


def test_a_node_that_is_ready_too_early_is_found_and_followed():
    history = History(health_check_count=2)
    node = history.node("n1", ready=False)
    history.beat(node, "ready")
    history.say(history.session("s"), ("j0", node, "en"))
    assert found(history.finish()) == [("reply", "reply", None, ("n1",))]


def test_a_node_is_degraded_by_three_of_its_last_five_and_well_again_by_one():
    history = History()
    node = history.node("n1")
    other = history.node("n2")
    session = history.session("s")
    unwell = ResourceUsage(1.0, 1.0, 0, None)
    history.beat(node, usage=unwell)
    history.beat(node)
    history.beat(node, usage=unwell)
    history.beat(node, "degraded", usage=unwell)
    history.say(session, ("j0", other, "en"))
    history.beat(node, "ready")
    history.say(session, ("j1", node, "en"))
    assert clean(history.finish())


def test_a_node_that_takes_too_long_to_warm_up_is_degraded():
    history = History()
    node = history.node("n1", ready=False, states={"asr": "downloading"})
    history.wake(30)
    history.beat(node)
    history.wake(60, history.status(node, "degraded"))
    history.beat(node, "ready", states={})
    assert clean(history.finish())


def test_a_silent_node_goes_offline_at_a_scan_and_may_register_again():
    history = History(heartbeat_timeout=45 * SECOND)
    node = history.node("n1")
    history.wake(30)
    history.wake(60, history.status(node, "offline"))
    history.beat(node)
    again = history.open("n1", "node")
    history.register(again)
    history.send(node, NodeHeartbeat("n1", 0, ResourceUsage(1.0, 1.0, 0, 1.0)))
    history.close(node)
    history.beat(again, "ready")
    history.say(history.session("s"), ("j0", again, "en"))
    assert clean(history.finish())


def test_a_silent_node_that_is_not_taken_for_offline_is_found():
    history = History(heartbeat_timeout=45 * SECOND)
    history.node("n1")
    history.wake(60)
    assert found(history.finish()) == [("reply", "reply", None, ("n1",))]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"hardware": None}, "NO_GPU_AVAILABLE"),
        ({"schema": "2.0"}, "INVALID_CAPABILITY_SCHEMA"),
        ({}, "NODE_ID_CONFLICT"),
    ],
)
def test_a_node_that_cannot_be_taken_is_refused_and_may_try_again(changes, refusal):
    history = History()
    if refusal == "NODE_ID_CONFLICT":
        first = history.node("n1")
    connection = history.open("n1", "node")
    if "hardware" in changes:
        changes = {"hardware": Hardware(8, 32.0)}
    history.register(connection, error(connection, refusal), **changes)
    if refusal == "NODE_ID_CONFLICT":
        history.close(first)
    history.register(connection, hardware=HARDWARE)
    history.beat(connection, "ready")
    history.say(history.session("s"), ("j0", connection, "en"))
    assert clean(history.finish())


def test_a_node_that_registers_again_has_no_jobs_and_keeps_its_place():
    history = History()
    a, b = history.node("a", slots=1), history.node("b", slots=1)
    session = history.session("s")
    history.say(session, ("j0", a, "en"))
    history.close(a, history.assign("j0", b))
    a = history.open("a", "node")
    history.register(a, slots=1)
    history.beat(a, "ready")
    history.answer(b, "j0", history.sent("j0", session))
    history.say(session, ("j1", a, "en"))
    assert clean(history.finish())


def test_a_draining_node_finishes_what_it_has_and_gets_nothing_new():
    history, n1, n2, zh, en = pair()
    history.say(zh, ("j0", n1, "en"))
    history.send(n1, NodeControl("n1", "drain"), history.status(n1, "draining"))
    history.beat(n1)
    history.say(zh, ("j1", n2, "en"))
    history.say(zh, ("j2", n2, "en"))
    history.answer(n1, "j0", history.sent("j0", en))
    assert clean(history.finish())


def test_a_status_nobody_has_is_found():
    history = History()
    node = history.node("n1")
    history.wake(1, to(node, NodeStatusNotice("n1", "degraded", "", 0)))
    assert found(history.finish()) == [("reply", "reply", None, ("n1",))]


# --- at the clients


def test_a_result_that_never_arrives_is_found_unless_its_connection_has_closed():
    history = History(arrives=False)
    node = history.node("n1")
    zh, en, gone = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en, gone))
    history.close(gone, *history.out(gone))
    assert found(history.finish()) == [("must", "missing", "en", ("r/m1",))]


def test_what_is_on_its_way_is_not_missing_while_the_run_has_not_drained():
    history = History(arrives=False)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    assert clean(history.oracle.finish(0, drained=False))


def test_a_second_arrival_is_found():
    for listeners in (1, 2):
        history = History(arrives=False)
        node = history.node("n1")
        zh, *others = history.room("zh", *["en"] * listeners)
        history.say(zh, ("j0", node, "en"))
        history.answer(node, "j0", history.sent("j0", *others))
        history.arrive(others[0], "j0")
        history.arrive(others[0], "j0")
        for other in others[1:]:
            history.arrive(other, "j0")
        assert found(history.finish()) == [("I2", "duplicate", "en", ("r/m1",))]


def test_another_payload_than_was_sent_is_found_as_it_arrives():
    history = History(arrives=False)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    history.arrive(en, "j0", payload="<another>>en")
    assert found(history.finish()) == [("token", "payload", "en", ("r/m1",))]


def test_a_result_that_arrives_at_somebody_it_was_never_meant_for_is_found():
    history = History(arrives=False)
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", en))
    history.arrive(ja, "j0")
    history.arrive(en, "j0")
    assert found(history.finish()) == [("may", "leaked", "en", ("r/m2",))]


def test_whoever_matched_at_some_moment_may_have_received():
    history = History(arrives=False)
    node = history.node("n1")
    zh, en, fickle = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    history.at(1)
    history.prefer(fickle, "ja")
    history.answer(node, "j0", history.sent("j0", en))
    history.arrive(fickle, "j0")
    history.arrive(en, "j0")
    assert clean(history.finish())


def test_results_nobody_can_receive_any_more_are_let_go():
    history = History(arrives=False)
    node = history.node("n1", slots=1)
    keeper = history.session("k")
    for number in range(200):
        session = history.session(f"s{number}")
        history.say(session, (f"j{number}", node, "en"))
        history.answer(node, f"j{number}", history.sent(f"j{number}", session))
        history.close(session)
    assert len(history.oracle._clients.flying) < 150
    assert clean(history.finish())
    assert keeper
