"""Attempts: time-outs, lost nodes, failures, what counts and what does not; every job ends once, with a reason."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import JobCancel, JobResult

from .harness import World

TRIED_AGAIN = ["NODE_OVERLOADED", "MODEL_NOT_AVAILABLE", "INTERNAL_ERROR"]
FINAL = ["UNSUPPORTED_FEATURE", "MODEL_CORRUPTED", "NMT_TIMEOUT", "NODE_UNAVAILABLE", "JOB_TIMEOUT", "whatever"]
JOB = "ana#0>en"


def scene(*nodes: str, slots: int = 4, **settings: object) -> World:
    """Ana speaks alone, ties go to the first node."""
    world = World(**{"tie_break": "first", **settings})
    for name in nodes or ("n1", "n2"):
        world.node(name, slots=slots)
    world.session("ana")
    return world


# --- failures that nodes report


@pytest.mark.parametrize("code", TRIED_AGAIN)
def test_a_failure_that_another_node_may_not_have_is_tried_again_elsewhere_at_once(code: str) -> None:
    world = scene()
    world.speak("ana")
    world.answer(JOB, code=code)
    assert world.nodes_of(JOB) == ["n1", "n2"]
    assert world.errors("ana") == []
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)
    world.answer(JOB)
    assert world.heard("ana") == [JOB]


@pytest.mark.parametrize("code", TRIED_AGAIN)
def test_such_a_failure_ends_the_job_where_its_attempts_are_used_up(code: str) -> None:
    world = scene()
    world.speak("ana")
    world.answer(JOB, code=code)
    world.answer(JOB, code=code)
    assert world.errors("ana") == [(code, None)]
    assert world.ended() == {"failed": 1}
    assert len(world.nodes_of(JOB)) == 2


@pytest.mark.parametrize("code", FINAL)
def test_any_other_failure_ends_the_job(code: str) -> None:
    world = scene()
    world.speak("ana")
    world.answer(JOB, code=code)
    assert world.nodes_of(JOB) == ["n1"]
    assert world.errors("ana") == [(code, None)]
    assert world.ended() == {"failed": 1}
    assert world.jobs_on("n1") == 0


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_job_has_so_many_attempts_and_no_more(attempts: int) -> None:
    world = scene("n1", "n2", "n3", "n4", max_attempts=attempts)
    world.speak("ana")
    for _ in range(attempts):
        assert world.ended() == {}
        world.answer(JOB, code="NODE_OVERLOADED")
    assert world.nodes_of(JOB) == ["n1", "n2", "n3"][:attempts]
    assert world.ended() == {"failed": 1}


def test_a_new_attempt_goes_to_a_node_that_never_had_the_job_even_if_it_is_busier() -> None:
    world = scene()
    world.session("bob")
    for speaker in ("ana", "bob", "bob", "bob"):
        world.speak(speaker)
    world.answer("bob#1>en")
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (1, 2)
    world.answer(JOB, code="NODE_OVERLOADED")
    assert world.nodes_of(JOB) == ["n1", "n2"]


def test_a_new_attempt_goes_to_the_same_node_where_only_that_one_fits() -> None:
    world = scene("n1")
    world.node("n2", pairs="ja>en")
    world.speak("ana")
    world.answer(JOB, code="NODE_OVERLOADED")
    assert world.nodes_of(JOB) == ["n1", "n1"]
    world.answer(JOB)
    assert world.heard("ana") == [JOB]
    assert world.jobs_on("n1") == 0


def test_a_paired_node_that_failed_is_not_tried_again_while_another_fits() -> None:
    world = scene("n1", "n2", pairing={"1234": "n2"}, sticky="session")
    world.session("bob", pairing_code="1234")
    world.speak("bob")
    world.answer("bob#0>en", code="NODE_OVERLOADED")
    assert world.nodes_of("bob#0>en") == ["n2", "n1"]


def test_a_new_attempt_that_fits_nowhere_ends_as_failed_where_jobs_are_rejected() -> None:
    world = scene("n1")
    world.speak("ana")
    world.drain("n1")
    world.answer(JOB, code="NODE_OVERLOADED")
    assert world.errors("ana") == [("NO_AVAILABLE_NODE", "STATUS_NOT_READY")]
    assert world.ended() == {"failed": 1}


def test_a_new_attempt_that_fits_nowhere_waits_where_jobs_may_wait() -> None:
    world = scene("n1", on_no_node="queue")
    world.speak("ana")
    world.drain("n1")
    world.answer(JOB, code="NODE_OVERLOADED")
    assert world.counts()["living"] == 1
    world.node("n2")
    assert world.nodes_of(JOB) == ["n1", "n2"]


# --- time-outs


def test_an_attempt_has_its_time_from_its_dispatch_then_another_node_gets_the_job() -> None:
    world = scene(job_timeout=10)
    world.at(3)
    world.speak("ana")
    world.at(12.999_999)
    assert world.nodes_of(JOB) == ["n1"]
    world.at(13)
    assert world.nodes_of(JOB) == ["n1", "n2"]
    world.at(22.999_999)
    assert world.ended() == {}
    world.at(23)
    assert world.errors("ana") == [("JOB_TIMEOUT", None)]
    assert world.ended() == {"expired": 1}


def test_a_timed_out_attempt_keeps_its_slot_until_its_node_answers() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(30)
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (1, 1)
    world.answer(JOB, attempt=1)
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)
    world.answer(JOB, attempt=2, code="INTERNAL_ERROR")
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 0)


def test_a_timed_out_attempt_keeps_its_slot_until_it_is_abandoned() -> None:
    world = scene("n1", slots=1, job_timeout=10, max_attempts=1, abandon_after=25)
    world.speak("ana")
    world.at(34.999_999)
    assert (world.jobs_on("n1"), world.would_go_to()) == (1, None)
    world.at(35)
    assert (world.jobs_on("n1"), world.would_go_to()) == (0, "n1")


def test_a_timed_out_attempt_keeps_its_slot_until_its_node_goes_offline() -> None:
    world = scene("n1", job_timeout=10, max_attempts=1)
    world.speak("ana")
    world.at(10)
    world.lose("n1")
    world.node("n1")
    assert world.jobs_on("n1") == 0


def test_a_result_of_a_timed_out_attempt_counts_while_the_job_lives() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(12)
    world.answer(JOB, attempt=1)
    assert world.heard("ana") == [JOB]
    assert world.ended() == {"delivered": 1}
    world.at(13)
    world.answer(JOB, attempt=2)
    assert world.heard("ana") == [JOB]
    assert world.scheduler.uncounted()["late"] == 1


def test_a_result_of_an_abandoned_attempt_counts_while_the_job_lives_and_frees_nothing() -> None:
    world = scene(job_timeout=10, abandon_after=5)
    world.speak("ana")
    world.at(16)
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)
    world.answer(JOB, attempt=1)
    assert world.heard("ana") == [JOB]
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)


def test_a_failure_of_a_timed_out_attempt_only_frees_its_slot() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(12)
    world.answer(JOB, attempt=1, code="MODEL_CORRUPTED")
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)
    assert world.nodes_of(JOB) == ["n1", "n2"]
    assert world.ended() == {}
    world.answer(JOB)
    assert world.heard("ana") == [JOB]


def test_a_failure_is_tried_again_though_an_earlier_attempt_is_still_out() -> None:
    world = scene("n1", "n2", "n3", job_timeout=10, max_attempts=3)
    world.speak("ana")
    world.at(12)
    world.answer(JOB, attempt=2, code="INTERNAL_ERROR")
    assert world.nodes_of(JOB) == ["n1", "n2", "n3"]
    world.answer(JOB, attempt=1)
    assert world.heard("ana") == [JOB]


def test_a_result_at_the_very_instant_of_its_time_out_counts() -> None:
    world = scene(job_timeout=10, max_attempts=1)
    world.speak("ana")
    world.at(10, asleep=True)
    world.answer(JOB)
    world.wake()
    assert world.heard("ana") == [JOB]
    assert world.ended() == {"delivered": 1}


def test_with_one_attempt_the_job_expires_at_its_time_out_and_a_later_result_goes_to_nobody() -> None:
    world = scene(job_timeout=10, max_attempts=1)
    world.speak("ana")
    world.at(10)
    world.answer(JOB)
    assert world.heard("ana") == []
    assert world.ended() == {"expired": 1}
    assert sum(world.scheduler.uncounted().values()) == 1
    assert world.jobs_on("n1") == 0


# --- who may answer what


def test_the_first_result_wins_whichever_attempt_it_is() -> None:
    world = scene(job_timeout=10)
    world.room("ana:zh", "ben:en", "cy:en")
    world.speak("ana")
    world.at(11)
    world.answer(JOB, attempt=2)
    world.answer(JOB, attempt=1)
    world.answer(JOB, attempt=1)
    assert world.heard("ben") == world.heard("cy") == [JOB]
    assert world.ended() == {"delivered": 1}


def test_a_repeated_result_is_counted_and_goes_to_nobody() -> None:
    world = scene()
    world.speak("ana")
    world.speak("ana")
    world.answer(JOB)
    world.answer(JOB)
    assert world.heard("ana") == [JOB]
    assert world.scheduler.uncounted() == {"late": 0, "unknown": 1, "not_given": 0}
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)


def test_a_repeated_result_of_a_held_one_is_counted_and_goes_to_nobody() -> None:
    world = scene("n1")
    world.speak("ana")
    world.speak("ana")
    world.answer("ana#1>en")
    world.answer("ana#1>en")
    assert world.jobs_on("n1") == 1
    world.answer(JOB)
    assert world.heard("ana") == [JOB, "ana#1>en"]
    assert sum(world.scheduler.uncounted().values()) == 1


def test_a_result_from_a_node_that_was_never_given_the_job_is_counted_and_goes_to_nobody() -> None:
    world = scene()
    world.speak("ana")
    world.answer(JOB, by="n2")
    assert world.heard("ana") == []
    assert world.scheduler.uncounted()["not_given"] == 1
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (1, 0)
    world.answer(JOB)
    assert world.heard("ana") == [JOB]


def test_a_failure_from_a_node_that_was_never_given_the_job_changes_nothing() -> None:
    world = scene()
    world.speak("ana")
    world.answer(JOB, by="n2", code="MODEL_CORRUPTED")
    assert world.errors("ana") == []
    assert world.ended() == {}


def test_a_result_of_a_job_nobody_knows_is_counted() -> None:
    world = scene()
    result = JobResult("job-99", "n1", "ana", 0, True, "t", text_translated="x", attempt_id=1)
    world.send(world.workers["n1"].connection, result)
    assert world.scheduler.uncounted() == {"late": 0, "unknown": 1, "not_given": 0}


def test_a_result_over_a_connection_without_a_node_counts_for_nothing() -> None:
    world = scene()
    world.speak("ana")
    stranger = world.connect("node")
    job_id = world.given[JOB][0].assign.job_id
    world.send(stranger, JobResult(job_id, "n1", "ana", 0, True, "t", text_translated=JOB, attempt_id=1))
    assert world.heard("ana") == []
    assert world.jobs_on("n1") == 1


def test_without_an_attempt_id_it_is_the_one_attempt_of_that_job_on_that_node() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(11)
    world.answer(JOB, attempt=2, number=None)
    assert world.heard("ana") == [JOB]
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (1, 0)
    world.answer(JOB, attempt=1, number=None)
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 0)


def test_a_stale_answer_frees_its_own_slot_once_and_never_anothers() -> None:
    """Both attempts on one node: each answer frees one slot, repeats free none."""
    world = scene("n1", slots=2, job_timeout=10)
    world.speak("ana")
    world.at(11)
    assert world.nodes_of(JOB) == ["n1", "n1"]
    assert world.jobs_on("n1") == 2
    for _ in range(3):
        world.answer(JOB, attempt=1)
        assert world.jobs_on("n1") == 1
    world.answer(JOB, attempt=2)
    for _ in range(3):
        world.answer(JOB, attempt=2)
    assert world.jobs_on("n1") == 0
    assert world.heard("ana") == [JOB]


def test_a_stale_answer_never_frees_a_slot_of_another_attempts_node() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(11)
    for _ in range(3):
        world.answer(JOB, attempt=1, code="INTERNAL_ERROR")
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)


def test_the_answer_to_an_attempt_from_before_a_node_came_back_frees_no_slot_of_the_new_one() -> None:
    world = scene("n1", slots=2, max_attempts=3)
    world.speak("ana")
    world.lose("n1")
    assert world.ended() == {"failed": 1}
    world.node("n1", slots=2)
    world.speak("ana")
    world.answer(JOB)
    assert world.jobs_on("n1") == 1
    assert world.heard("ana") == []


# --- lost nodes


def test_a_lost_nodes_jobs_are_tried_again_elsewhere_at_once() -> None:
    world = scene()
    world.speak("ana")
    world.lose("n1")
    assert world.nodes_of(JOB) == ["n1", "n2"]
    world.answer(JOB)
    assert world.heard("ana") == [JOB]


def test_a_lost_nodes_jobs_are_tried_again_in_the_order_of_their_dispatch() -> None:
    world = scene("n1", slots=9)
    world.session("bob")
    for speaker in ("bob", "ana", "bob"):
        world.speak(speaker)
    world.node("n2", slots=2)
    world.lose("n1")
    assert [job for job, given in world.given.items() if len(given) == 2] == ["bob#0>en", "ana#0>en"]
    assert world.errors("bob") == [("NO_AVAILABLE_NODE", "CAPACITY_EXCEEDED")]
    assert world.ended() == {"failed": 1}


def test_a_silent_nodes_jobs_are_tried_again_when_it_is_found_out() -> None:
    world = scene(job_timeout=1000)
    world.silence("n1")
    world.speak("ana")
    world.at(59)
    assert world.nodes_of(JOB) == ["n1"]
    world.at(60)
    assert world.nodes_of(JOB) == ["n1", "n2"]


def test_a_job_lost_for_good_tells_its_speaker() -> None:
    world = scene(max_attempts=1)
    world.speak("ana")
    world.lose("n1")
    assert world.errors("ana") == [("NODE_UNAVAILABLE", None)]
    assert world.ended() == {"failed": 1}


def test_losses_and_time_outs_use_up_the_same_attempts() -> None:
    world = scene("n1", "n2", "n3", job_timeout=10)
    world.speak("ana")
    world.at(10)
    world.lose("n2")
    assert world.nodes_of(JOB) == ["n1", "n2"]
    assert world.errors("ana") == [("NODE_UNAVAILABLE", None)]


def test_a_lost_node_does_not_matter_to_a_job_that_has_moved_on() -> None:
    world = scene("n1", "n2", "n3", max_attempts=3, job_timeout=10)
    world.speak("ana")
    world.at(10)
    world.lose("n1")
    assert world.nodes_of(JOB) == ["n1", "n2"]
    world.answer(JOB)
    assert world.heard("ana") == [JOB]


def test_a_result_of_a_lost_attempt_counts_if_its_node_is_back_and_the_job_lives() -> None:
    world = scene()
    world.speak("ana")
    world.lose("n1")
    world.node("n1")
    world.answer(JOB, attempt=1)
    assert world.heard("ana") == [JOB]
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 1)


def test_a_waiting_job_whose_earlier_attempt_succeeds_waits_no_more() -> None:
    world = scene("n1", slots=1, on_no_node="queue", job_timeout=10, waiting_time_max=20)
    world.speak("ana")
    world.at(10)  # times out; its own slot is still taken
    assert world.nodes_of(JOB) == ["n1"]
    world.answer(JOB, attempt=1)
    assert world.heard("ana") == [JOB]
    world.at(60)
    assert world.nodes_of(JOB) == ["n1"]
    assert world.ended() == {"delivered": 1}


# --- cancelling


def cancels(world: World, node: str) -> list[int]:
    return [message.attempt_id for message in world.node_inbox(node, JobCancel)]


def test_with_cancel_moot_a_node_is_told_that_its_attempt_timed_out() -> None:
    world = scene(cancel="moot", job_timeout=10)
    world.speak("ana")
    world.at(10)
    assert (cancels(world, "n1"), cancels(world, "n2")) == ([1], [])
    assert world.jobs_on("n1") == 1, "its slot is taken until the node answers"


def test_with_cancel_moot_a_node_is_told_that_its_job_was_answered_otherwise_once() -> None:
    world = scene(cancel="moot", job_timeout=10)
    world.speak("ana")
    world.at(12)
    world.answer(JOB, attempt=1)
    assert (cancels(world, "n1"), cancels(world, "n2")) == ([1], [2])
    world.at(200)
    assert (cancels(world, "n1"), cancels(world, "n2")) == ([1], [2])


def test_with_cancel_moot_a_node_is_told_that_its_jobs_room_has_ended_once() -> None:
    world = scene("n1", cancel="moot", job_timeout=10)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.leave("ben")
    assert cancels(world, "n1") == [1]
    assert world.jobs_on("n1") == 1
    world.at(200)
    assert cancels(world, "n1") == [1]


def test_with_cancel_moot_an_attempt_that_was_answered_is_not_cancelled() -> None:
    world = scene(cancel="moot", job_timeout=10)
    world.speak("ana")
    world.answer(JOB, code="NODE_OVERLOADED")
    world.answer(JOB)
    world.speak("ana")
    world.answer("ana#1>en")
    world.at(100)
    assert (cancels(world, "n1"), cancels(world, "n2")) == ([], [])


def test_by_default_no_node_is_told_anything() -> None:
    world = scene(job_timeout=10)
    world.speak("ana")
    world.at(12)
    world.answer(JOB, attempt=1)
    assert (cancels(world, "n1"), cancels(world, "n2")) == ([], [])


# --- the account


def test_every_job_ends_once_with_its_reason() -> None:
    """One job of each end, and one that lives; the driver checks the sum at every step."""
    world = World(tie_break="first", job_timeout=20, max_attempts=1, max_hold=3)
    world.node("n1", slots=9, pairs="zh>en zh>de zh>ja")
    world.room("ana:zh", "ben:en", "cy:ja", "dan:fr")
    world.speak("ana")  # fr: rejected
    world.answer("ana#0>en")  # delivered
    world.answer("ana#0>ja", code="MODEL_CORRUPTED")  # failed
    world.leave("dan")
    world.speak("ana")
    world.leave("cy")
    world.answer("ana#1>ja")  # no_recipient
    world.speak("ana")
    world.answer("ana#2>en")  # held
    world.at(3)  # delivered, and 1 in English is late
    world.answer("ana#1>en")  # dropped_late
    world.speak("ana")
    world.at(23)  # expired
    world.speak("ana")
    counts = world.counts()
    assert counts == {
        "created": 8,
        "living": 1,
        "delivered": 2,
        "no_recipient": 1,
        "failed": 1,
        "rejected": 1,
        "expired": 1,
        "dropped_late": 1,
    }


def test_slots_in_use_are_never_negative_and_never_above_the_slots() -> None:
    world = scene("n1", slots=2, on_no_node="queue", job_timeout=5, abandon_after=3)
    for _ in range(6):
        world.speak("ana")
    for second in range(1, 60):
        world.at(second)
        assert 0 <= world.jobs_on("n1") <= 2
        if second % 4 == 0:
            for job in list(world.given):
                world.answer(job, attempt=1)
                assert 0 <= world.jobs_on("n1") <= 2
