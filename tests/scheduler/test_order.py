"""Order: whose turn it is for one speaker, one room or none, one language."""

from __future__ import annotations

import pytest

from .harness import World

ORDERED = ["strict", "gap"]


def scene(**settings: object) -> World:
    """Ana speaks Chinese; Ben hears English, Cy Japanese."""
    world = World(**settings)
    world.node("n1", slots=100)
    world.room("ana:zh", "ben:en", "cy:ja")
    return world


def speak(world: World, count: int, speaker: str = "ana") -> None:
    for _ in range(count):
        world.speak(speaker)


def answer(world: World, *indices: int, speaker: str = "ana", lang: str = "en") -> None:
    for index in indices:
        world.answer(f"{speaker}#{index}>{lang}")


def heard(world: World, name: str) -> list[int]:
    """The utterances whose results somebody heard, in order."""
    return [int(result.split("#")[1].split(">")[0]) for result in world.heard(name)]


# --- the order itself


@pytest.mark.parametrize("ordering", ORDERED)
@pytest.mark.parametrize("arrivals", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (2, 0, 1)])
def test_results_go_out_in_the_order_of_the_utterances(ordering: str, arrivals: tuple[int, ...]) -> None:
    world = scene(ordering=ordering)
    speak(world, 3)
    answer(world, *arrivals)
    assert heard(world, "ben") == [0, 1, 2]


def test_without_ordering_results_go_out_as_they_come() -> None:
    world = scene(ordering="none")
    speak(world, 3)
    answer(world, 2, 0, 1)
    assert heard(world, "ben") == [2, 0, 1]


@pytest.mark.parametrize("ordering", ORDERED)
def test_a_result_is_released_at_the_moment_the_one_before_it_is_sent(ordering: str) -> None:
    world = scene(ordering=ordering)
    speak(world, 3)
    answer(world, 1, 2)
    assert heard(world, "ben") == []
    world.run(2)
    answer(world, 0)
    assert heard(world, "ben") == [0, 1, 2]


@pytest.mark.parametrize("ordering", ORDERED)
def test_the_order_also_holds_outside_rooms(ordering: str) -> None:
    world = World(ordering=ordering)
    world.node("n1", slots=9)
    world.session("eve")
    speak(world, 2, "eve")
    answer(world, 1, 0, speaker="eve")
    assert heard(world, "eve") == [0, 1]


def test_the_next_one_due_is_the_oldest_living_job_never_the_index_plus_one() -> None:
    """Indices have gaps, and utterance 1 made no English job at all."""
    world = scene(ordering="strict")
    world.speak("ana", 3)
    world.language("ben", None)
    world.speak("ana", 10)
    world.language("ben", "en")
    world.speak("ana", 11)
    answer(world, 3)
    assert heard(world, "ben") == [3]
    answer(world, 11)
    assert heard(world, "ben") == [3, 11]


# --- what does not wait for what


@pytest.mark.parametrize("ordering", ORDERED)
def test_one_language_never_holds_up_another(ordering: str) -> None:
    world = scene(ordering=ordering)
    speak(world, 2)
    answer(world, 0, 1, lang="ja")
    assert (heard(world, "cy"), heard(world, "ben")) == ([0, 1], [])


def test_one_speaker_never_holds_up_another() -> None:
    world = scene(ordering="strict")
    world.speak("ana")
    world.session("dan", "ja", "en")
    world.join("dan:ja", world.code["ana"])
    world.speak("dan")
    world.answer("dan#0>en")
    assert world.heard("ben") == ["dan#0>en"]


def test_one_room_never_holds_up_another() -> None:
    """The same speaker, first in one room, then in another, then outside."""
    world = scene(ordering="strict")
    world.speak("ana")
    world.leave("ana")
    world.room("ana:zh", "eve:en")
    world.speak("ana")
    answer(world, 1)
    assert world.heard("eve") == ["ana#1>en"]
    world.leave("ana")
    world.speak("ana")
    answer(world, 2)
    assert world.heard("ana") == ["ana#2>en"]
    assert world.heard("ben") == []
    answer(world, 0)
    assert world.heard("ben") == ["ana#0>en"]


def test_a_job_from_outside_a_room_holds_up_none_inside() -> None:
    world = World(ordering="strict")
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    answer(world, 1)
    assert world.heard("ben") == ["ana#1>en"]


# --- jobs that end without a result


@pytest.mark.parametrize("ordering", ORDERED)
def test_a_failed_job_lets_those_behind_it_go_at_once(ordering: str) -> None:
    world = scene(ordering=ordering)
    speak(world, 3)
    answer(world, 1, 2)
    before = len(world.sent)
    world.answer("ana#0>en", code="MODEL_CORRUPTED")
    assert heard(world, "ben") == [1, 2]
    kinds = [type(message).__name__ for _, message in world.sent[before:]]
    assert kinds == ["UiEvent", "TranslationResult", "TranslationResult"]


@pytest.mark.parametrize("ordering", ORDERED)
def test_a_rejected_job_holds_nobody_up(ordering: str) -> None:
    world = World(ordering=ordering)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.node("n1")
    world.speak("ana")
    answer(world, 1)
    assert heard(world, "ben") == [1]


@pytest.mark.parametrize("ordering", ORDERED)
def test_an_expired_job_lets_those_behind_it_go(ordering: str) -> None:
    world = scene(ordering=ordering, job_timeout=10, max_attempts=1, max_hold=100)
    world.speak("ana")
    world.at(1)
    speak(world, 2)
    answer(world, 1, 2)
    world.at(9.9)
    assert heard(world, "ben") == []
    world.at(10)
    assert heard(world, "ben") == [1, 2]


@pytest.mark.parametrize("ordering", ORDERED)
def test_a_job_that_waited_too_long_for_a_node_lets_those_behind_it_go(ordering: str) -> None:
    world = World(ordering=ordering, on_no_node="queue", waiting_time_max=4, max_hold=100)
    world.room("ana:zh", "ben:en")
    world.node("n1", slots=1, pairs="ja>en")
    world.speak("ana")
    world.node("n2", slots=1, pairs="fr>en")
    world.speak("ana", src="fr")
    answer(world, 1)
    assert heard(world, "ben") == []
    world.at(4)
    assert heard(world, "ben") == [1]


def test_those_behind_a_job_that_ends_are_sent_before_anything_else_happens() -> None:
    """A node with two jobs is lost: what the first one held up goes out before the second is dealt with."""
    world = World(max_attempts=1, max_hold=100)
    world.node("n1", slots=2)
    world.node("n2")
    world.room("ana:zh", "ben:en")
    world.session("eve")
    world.drain("n2")
    speak(world, 1)
    speak(world, 1, "eve")
    world.lose("n2")
    world.node("n2")
    speak(world, 1)
    answer(world, 1)
    before = len(world.sent)
    world.lose("n1")
    kinds = [(type(message).__name__, message.session_id) for _, message in world.sent[before:]]
    assert kinds == [("UiEvent", "ana"), ("TranslationResult", "ana"), ("UiEvent", "eve")]


def test_a_failed_job_in_the_middle_is_not_waited_for_later() -> None:
    world = scene(ordering="strict")
    speak(world, 3)
    world.answer("ana#1>en", code="MODEL_CORRUPTED")
    answer(world, 2)
    assert heard(world, "ben") == []
    answer(world, 0)
    assert heard(world, "ben") == [0, 2]


def test_a_result_that_nobody_gets_lets_those_behind_it_go() -> None:
    world = scene(ordering="strict")
    speak(world, 2)
    world.language("ben", None)
    answer(world, 1)
    answer(world, 0)
    assert world.ended() == {"no_recipient": 2}


# --- strict


def test_strict_order_waits_for_ever() -> None:
    world = scene(ordering="strict", job_timeout=100_000, room_expiry=100_000)
    speak(world, 2)
    answer(world, 1)
    world.at(10_000)
    assert heard(world, "ben") == []
    answer(world, 0)
    assert heard(world, "ben") == [0, 1]


# --- the gap


def test_a_result_is_held_at_most_max_hold_from_when_it_came() -> None:
    world = scene(max_hold=5)
    speak(world, 2)
    world.at(3)
    answer(world, 1)
    world.at(7.999_999)
    assert heard(world, "ben") == []
    world.at(8)
    assert heard(world, "ben") == [1]


def test_each_hold_gives_up_only_those_older_than_itself() -> None:
    """Holds of 4 (from 1 s) and 2 (from 3 s), and 1, 3 unfinished: at 6 s the first hold gives up 0, 1, 3."""
    world = scene(max_hold=5, late="drop")
    speak(world, 6)
    world.at(1)
    answer(world, 4)
    world.at(3)
    answer(world, 2)
    world.at(6)
    assert heard(world, "ben") == [2, 4]
    answer(world, 5)
    assert heard(world, "ben") == [2, 4, 5], "5 has nothing older left to wait for"
    for index in (0, 1, 3):
        answer(world, index)
    assert heard(world, "ben") == [2, 4, 5]
    assert world.ended() == {"delivered": 3, "dropped_late": 3}


def test_a_hold_that_ends_first_leaves_a_younger_unfinished_job_its_turn() -> None:
    world = scene(max_hold=5)
    speak(world, 4)
    world.at(1)
    answer(world, 1)
    world.at(2)
    answer(world, 3)
    world.at(6)
    assert heard(world, "ben") == [1], "2 is younger than 1 and still due"
    answer(world, 2)
    assert heard(world, "ben") == [1, 2, 3]


def test_every_held_result_has_its_own_time() -> None:
    world = scene(max_hold=5)
    speak(world, 4)
    answer(world, 1)
    world.at(4)
    answer(world, 3)
    world.at(5)
    assert heard(world, "ben") == [1]
    world.at(8.9)
    assert heard(world, "ben") == [1]
    world.at(9)
    assert heard(world, "ben") == [1, 3]


def test_a_result_released_before_its_time_is_not_sent_again_at_its_time() -> None:
    world = scene(max_hold=5)
    speak(world, 3)
    answer(world, 1)
    world.at(2)
    answer(world, 0)
    world.at(20)
    assert heard(world, "ben") == [0, 1]
    assert world.counts()["living"] == 4  # 2 in English, all in Japanese


def test_holds_of_one_language_give_up_nothing_in_another() -> None:
    world = scene(max_hold=5)
    speak(world, 2)
    answer(world, 1)
    world.at(5)
    answer(world, 1, 0, lang="ja")
    assert heard(world, "cy") == [0, 1]


def test_a_job_whose_turn_was_given_up_lives_on_and_its_result_is_dropped() -> None:
    world = scene(max_hold=5)
    speak(world, 2)
    answer(world, 1)
    world.at(5)
    assert world.counts()["living"] == 3
    answer(world, 0)
    assert heard(world, "ben") == [1]
    assert world.ended() == {"delivered": 1, "dropped_late": 1}


def test_a_late_result_can_be_delivered_out_of_order_by_choice() -> None:
    world = scene(max_hold=5, late="deliver")
    speak(world, 3)
    answer(world, 2)
    world.at(5)
    answer(world, 1)
    assert heard(world, "ben") == [2, 1], "at once, 0 or no 0"
    answer(world, 0)
    assert heard(world, "ben") == [2, 1, 0]
    assert world.ended() == {"delivered": 3}


def test_a_late_result_for_nobody_ends_as_no_recipient() -> None:
    world = scene(max_hold=5, late="deliver")
    speak(world, 2)
    answer(world, 1)
    world.at(5)
    world.leave("ben")
    answer(world, 0)
    assert world.ended() == {"delivered": 1, "no_recipient": 1}


def test_attempts_of_a_job_whose_turn_was_given_up_go_on() -> None:
    world = scene(max_hold=5, job_timeout=10)
    world.node("n2", slots=100)
    speak(world, 2)
    answer(world, 1)
    world.at(10)
    assert len(world.nodes_of("ana#0>en")) == 2
    world.at(20)
    assert world.errors("ana") == [("JOB_TIMEOUT", None)] * 3
    assert world.ended() == {"delivered": 1, "expired": 3}


def test_a_job_whose_turn_was_given_up_holds_up_none_that_come_after() -> None:
    world = scene(max_hold=5)
    speak(world, 2)
    answer(world, 1)
    world.at(5)
    speak(world, 1)
    answer(world, 2)
    assert heard(world, "ben") == [1, 2]


def test_a_held_result_that_is_next_after_a_gap_goes_with_the_one_whose_hold_ended() -> None:
    world = scene(max_hold=5)
    speak(world, 3)
    answer(world, 1)
    world.at(3)
    answer(world, 2)
    world.at(5)
    assert heard(world, "ben") == [1, 2]


# --- a held result is answered


@pytest.mark.parametrize("ordering", ORDERED)
def test_a_job_whose_result_is_held_has_no_time_out_no_new_attempt_and_its_slot_is_free(ordering: str) -> None:
    world = World(ordering=ordering, max_hold=1000, job_timeout=10, max_attempts=2)
    world.node("n1", slots=1)
    world.node("n2", slots=1)
    world.room("ana:zh", "ben:en")
    speak(world, 2)
    assert (world.nodes_of("ana#0>en"), world.nodes_of("ana#1>en")) == (["n1"], ["n2"])
    world.at(5)
    answer(world, 1)
    assert world.jobs_on("n2") == 0
    world.at(9)
    assert world.would_go_to() == "n2"
    world.at(10)  # 0 times out and goes to the free node
    assert world.nodes_of("ana#0>en") == ["n1", "n2"]
    world.at(15)
    assert world.nodes_of("ana#1>en") == ["n2"]
    assert world.errors("ana") == []
    answer(world, 0)
    assert heard(world, "ben") == [0, 1]


def test_a_job_whose_result_is_held_does_not_mind_the_loss_of_its_node() -> None:
    world = World(max_hold=100)
    world.node("n1", slots=1)
    world.node("n2", slots=1)
    world.room("ana:zh", "ben:en")
    speak(world, 2)
    answer(world, 1)
    world.lose("n2")
    answer(world, 0)
    assert heard(world, "ben") == [0, 1]
    assert world.nodes_of("ana#1>en") == ["n2"]


def test_a_result_held_as_its_room_ends_goes_to_nobody() -> None:
    world = scene(max_hold=5)
    speak(world, 2)
    answer(world, 1)
    for name in ("ana", "ben", "cy"):
        world.leave(name)
    assert world.ended() == {"no_recipient": 4}
    world.at(10)
    answer(world, 0)
    assert world.ended() == {"no_recipient": 4}
    assert world.heard("ben") == []
