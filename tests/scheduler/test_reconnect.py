"""Coming back: the grace, what is kept, and connections that are dead or only seem to be."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import (
    RoomExpired,
    RoomMembers,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    UiEvent,
    Utterance,
    WebrtcOffer,
)

from .harness import World, codes


def scene(**settings: object) -> World:
    """Ana speaks Chinese to Ben and Dan in English and Cy in Japanese."""
    world = World(**{"reconnect_grace": 20, **settings})
    world.node("n1", slots=100)
    world.room("ana:zh", "ben:en", "cy:ja", "dan:en")
    return world


def say_and_answer(world: World, *langs: str) -> int:
    """An utterance of Ana's, answered in these languages; returns its index."""
    world.speak("ana")
    index = max(int(job.split("#")[1].split(">")[0]) for job in world.given)
    for lang in langs or ("en", "ja"):
        world.answer(f"ana#{index}>{lang}")
    return index


def test_without_a_grace_a_dropped_connection_is_a_leave_at_once() -> None:
    world = scene(reconnect_grace=0)
    world.drop("ben")
    assert world.members("ana") == ["ana", "cy", "dan"]
    assert codes(world.resume("ben")) == ["INVALID_SESSION"]


def test_within_the_grace_a_dropped_session_is_still_a_member() -> None:
    world = scene()
    world.drop("ben")
    assert world.room_id("ben") is not None
    world.at(19.999_999)
    assert world.members("ana") == ["ana", "ben", "cy", "dan"]
    assert world.room_id("ben") is not None
    world.at(20)
    assert world.members("ana") == ["ana", "cy", "dan"]
    assert world.room_id("ben") is None
    assert codes(world.resume("ben")) == ["INVALID_SESSION"]


def test_nobody_is_told_of_a_drop_within_the_grace() -> None:
    world = scene()
    before = len(world.sent)
    world.drop("ben")
    world.at(10)
    world.resume("ben")
    told = [world.names[c] for to, message in world.sent[before:] if not_a_node_matter(message) for c in to]
    assert set(told) == {"ben"}


def not_a_node_matter(message: object) -> bool:
    return isinstance(message, SessionInitAck | RoomMembers | TranslationResult | UiEvent)


def test_a_dropped_members_language_makes_jobs_within_the_grace_and_none_after() -> None:
    world = scene()
    world.drop("cy")
    world.speak("ana")
    assert world.nodes_of("ana#0>ja") == ["n1"]
    world.at(20)
    world.speak("ana")
    assert world.nodes_of("ana#1>ja") == []


def test_one_who_comes_back_is_the_same_and_gets_what_was_kept_in_order() -> None:
    world = scene()
    world.drop("ben")
    assert [say_and_answer(world) for _ in range(3)] == [0, 1, 2]
    world.at(10)
    answer = world.resume("ben")
    assert [type(message) for message in answer] == [SessionInitAck, RoomMembers, *[TranslationResult] * 3]
    assert (answer[0].session_id, answer[0].resume_token) == ("ben", "secret-2")
    assert [m.session_id for m in answer[1].members] == ["ana", "ben", "cy", "dan"]
    assert world.heard("ben") == world.heard("dan") == ["ana#0>en", "ana#1>en", "ana#2>en"]
    world.at(60)
    assert world.room_id("ben") is not None, "the grace is over and he is here"
    say_and_answer(world)
    assert world.heard("ben")[3:] == ["ana#3>en"]


def test_what_is_kept_counts_as_delivered() -> None:
    world = scene()
    for name in ("ben", "dan"):
        world.drop(name)
    say_and_answer(world, "en")
    assert world.ended() == {"delivered": 1}


def test_a_dropped_session_can_come_back_again_and_again() -> None:
    world = scene()
    for index in range(3):
        world.drop("ben")
        world.run(15)
        say_and_answer(world)
        world.resume("ben")
        assert len(world.heard("ben")) == index + 1
    world.drop("ben")
    world.run(19)
    assert world.room_id("ben") is not None
    world.run(1)
    assert world.room_id("ben") is None


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    world = scene(kept_count_max=2)
    world.drop("ben")
    for _ in range(5):
        say_and_answer(world)
    world.resume("ben")
    assert world.heard("ben") == ["ana#3>en", "ana#4>en"]


def test_room_members_are_not_kept_and_shown_once_as_they_are_now() -> None:
    world = scene(kept_count_max=1)
    world.drop("ben")
    say_and_answer(world)
    world.leave("cy")
    world.language("dan", "fr")
    before = len(world.got("ben", RoomMembers))
    answer = world.resume("ben")
    assert len(world.got("ben", RoomMembers)) == before + 1
    assert [m.session_id for m in answer[1].members] == ["ana", "ben", "dan"]
    assert world.heard("ben") == ["ana#0>en"], "it took no place of what is kept"


def test_other_messages_are_kept_too() -> None:
    world = scene()
    code = world.code["ana"]
    world.speak("ana")
    world.drop("ana")
    world.answer("ana#0>en", code="MODEL_CORRUPTED")
    world.say("ben", WebrtcOffer(code, "ana", "hello"))
    answer = world.resume("ana")
    assert [type(message) for message in answer[2:]] == [UiEvent, WebrtcOffer]


def test_a_kept_result_of_a_room_that_has_ended_is_not_sent_and_its_notice_is() -> None:
    world = scene(reconnect_grace=100, room_expiry=30, room_scan_interval=10)
    world.drop("ben")
    say_and_answer(world)
    world.at(30)
    assert world.room_id("ben") is None
    answer = world.resume("ben")
    assert [type(message) for message in answer] == [SessionInitAck, RoomExpired]
    assert world.heard("ben") == []
    assert world.heard("dan") == ["ana#0>en"]


def test_a_kept_result_of_a_single_session_is_always_sent() -> None:
    world = scene()
    world.session("eve")
    world.speak("eve")
    world.drop("eve")
    world.answer("eve#0>en")
    assert world.ended() == {"delivered": 1}
    assert [type(message) for message in world.resume("eve")] == [SessionInitAck, TranslationResult]


def test_a_held_result_released_within_the_grace_is_kept() -> None:
    world = scene()
    world.speak("ana")
    world.speak("ana")
    world.answer("ana#1>en")
    world.drop("ben")
    world.answer("ana#0>en")
    world.resume("ben")
    assert world.heard("ben") == ["ana#0>en", "ana#1>en"]


def test_what_was_kept_is_sent_once() -> None:
    world = scene()
    world.drop("ben")
    say_and_answer(world)
    world.resume("ben")
    world.drop("ben")
    world.resume("ben")
    assert world.heard("ben") == ["ana#0>en"]


def test_a_dropped_speakers_jobs_go_on() -> None:
    world = scene()
    world.speak("ana")
    world.drop("ana")
    world.answer("ana#0>en")
    world.at(20)
    world.answer("ana#0>ja")
    assert (world.heard("ben"), world.heard("cy")) == (["ana#0>en"], ["ana#0>ja"])


def test_one_who_comes_back_goes_on_where_the_indices_were() -> None:
    world = scene()
    world.speak("ana", 7)
    world.drop("ana")
    world.resume("ana")
    assert codes(world.speak("ana", 7)) == ["INVALID_MESSAGE"]
    world.chunk("ana", "QUJD", final=True)
    assert world.nodes_of("ana#8>en") == ["n1"]


def test_the_room_lives_on_while_its_last_member_may_come_back_and_ends_then() -> None:
    world = World(reconnect_grace=20)
    code = world.room("ana:zh")
    world.drop("ana")
    world.at(10)
    world.join("ben:en", code)
    assert world.members("ben") == ["ana", "ben"]
    world.at(20)
    assert world.members("ben") == ["ben"]
    world.drop("ben")
    world.at(40)
    assert codes(world.join("cy:en", code)) == ["ROOM_NOT_FOUND"]


# --- proof


@pytest.mark.parametrize("token", ["", "secret-1", "secret-22", "SECRET-2", "secret-2 "])
def test_a_wrong_token_resumes_nothing_and_a_plain_start_is_still_possible(token: str) -> None:
    world = scene()
    world.drop("ben")
    assert codes(world.resume("ben", token=token)) == ["INVALID_SESSION"]
    stranger = max(world.open)
    answer = world.send(stranger, SessionInit("1", "web", "zh", "en"))
    assert [type(message) for message in answer] == [SessionInitAck]
    assert answer[0].session_id != "ben"
    assert codes(world.resume("ben")) == [], "who has the token still may"


def test_a_wrong_token_does_not_disturb_one_who_is_connected() -> None:
    world = scene()
    assert codes(world.resume("ben", token="secret-1")) == ["INVALID_SESSION"]
    say_and_answer(world)
    assert world.heard("ben") == ["ana#0>en"]


def test_a_session_that_closed_itself_cannot_be_resumed() -> None:
    world = scene()
    world.close("ben")
    assert world.members("ana") == ["ana", "cy", "dan"]
    assert codes(world.resume("ben")) == ["INVALID_SESSION"]


def test_a_session_that_is_not_known_cannot_be_resumed() -> None:
    world = scene()
    assert codes(world.resume("nobody", token="secret-1")) == ["INVALID_SESSION"]


# --- a connection that only seems to live


@pytest.mark.parametrize("grace", [0, 20])
def test_one_who_comes_back_before_the_old_connection_closes_takes_over(grace: int) -> None:
    world = scene(reconnect_grace=grace)
    old = world.connection("ben")
    answer = world.resume("ben")
    assert [type(message) for message in answer] == [SessionInitAck, RoomMembers]
    before = len(world.heard_by[old])
    say_and_answer(world)
    assert world.heard("ben") == ["ana#0>en"]
    assert world.heard_by[old][before:] == [], "the old connection gets nothing more"
    world.disconnect(old)
    world.at(60)
    assert world.members("ana") == ["ana", "ben", "cy", "dan"]
    say_and_answer(world)
    assert world.heard("ben") == ["ana#0>en", "ana#1>en"]


def test_what_still_comes_over_the_old_connection_counts_for_nothing() -> None:
    world = scene()
    old = world.connection("ben")
    world.resume("ben")
    before = len(world.sent)
    assert world.send(old, Utterance("ben", 0, False, "", "", "", "pcm16", 16_000)) == []
    assert world.send(old, SessionInit("1", "web", "zh", "en")) == []
    assert len(world.sent) == before
    assert codes(world.speak("ben", 0)) == []


def test_a_taken_over_session_may_be_dropped_and_resumed_like_any_other() -> None:
    world = scene()
    old = world.connection("ben")
    world.resume("ben")
    world.drop("ben")
    say_and_answer(world)
    world.resume("ben")
    world.disconnect(old)
    world.at(40)
    assert world.room_id("ben") is not None
    assert world.heard("ben") == ["ana#0>en"]


def test_results_go_in_order_of_joining_whoever_reconnected() -> None:
    world = scene()
    world.drop("ben")
    world.resume("ben")
    say_and_answer(world)
    (to,) = [to for to, message in world.sent if isinstance(message, TranslationResult) and message.tgt_lang == "en"]
    assert [world.names[connection] for connection in to] == ["ben", "dan"]
