"""From a result to its recipients: those of this moment, in this room, with this language; and what they are told."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import AsrPartial, JobResult, RoomMembers, ServiceTimes, TranslationResult

from .harness import World


def world_with_node(**settings: object) -> World:
    world = World(**settings)
    world.node("n1", slots=100)
    return world


def heard(world: World, *names: str) -> dict[str, list[str]]:
    """Who of these has heard what, without those who heard nothing."""
    return {name: world.heard(name) for name in names if world.heard(name)}


# --- without a room


def test_a_single_sessions_result_goes_to_its_speaker_only() -> None:
    world = world_with_node()
    world.session("ana")
    world.session("bob")
    world.room("cy:en", "dan:zh")
    world.speak("ana")
    world.answer("ana#0>en")
    assert heard(world, "ana", "bob", "cy", "dan") == {"ana": ["ana#0>en"]}
    assert world.ended() == {"delivered": 1}


def test_a_single_sessions_result_goes_to_its_speaker_also_if_they_have_joined_a_room_since() -> None:
    world = world_with_node()
    world.session("ana")
    code = world.room("ben:en", "cy:zh")
    world.speak("ana")
    world.join("ana:zh", code)
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben", "cy") == {"ana": ["ana#0>en"]}


def test_the_result_of_one_alone_in_a_room_is_theirs_whoever_joins_meanwhile() -> None:
    world = world_with_node()
    code = world.room("ana:zh")
    world.speak("ana")
    world.join("ben:en", code)
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben") == {"ana": ["ana#0>en"]}


def test_the_result_of_one_alone_in_a_room_outlives_the_room() -> None:
    world = world_with_node()
    world.room("ana:zh")
    world.speak("ana")
    world.leave("ana")
    world.answer("ana#0>en")
    assert heard(world, "ana") == {"ana": ["ana#0>en"]}


def test_a_single_sessions_result_for_a_speaker_who_has_gone_ends_as_no_recipient() -> None:
    world = world_with_node()
    world.session("ana")
    world.speak("ana")
    world.drop("ana")
    world.answer("ana#0>en")
    assert world.ended() == {"no_recipient": 1}


# --- in a room


def test_a_rooms_result_goes_to_every_member_with_its_language_and_to_no_other() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja", "dan:en", "eve", "fay:EN")
    world.room("gil:zh", "hal:en")
    world.speak("ana")
    world.answer("ana#0>en")
    everybody = ("ana", "ben", "cy", "dan", "eve", "fay", "gil", "hal")
    assert heard(world, *everybody) == {name: ["ana#0>en"] for name in ("ben", "dan", "fay")}
    world.answer("ana#0>ja")
    assert world.heard("cy") == ["ana#0>ja"]
    assert world.ended() == {"delivered": 2}


def test_the_speaker_is_a_recipient_like_any_other_if_the_language_is_theirs() -> None:
    world = world_with_node()
    world.session("ana", "zh", "ja")
    world.room("ana:en", "ben:en")
    world.speak("ana")
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben") == {"ana": ["ana#0>en"], "ben": ["ana#0>en"]}


def test_members_with_one_language_get_the_same_object_from_one_job_in_order_of_joining() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja", "dan:en")
    world.language("ben", "fr")
    world.language("ben", "en")  # joined first all the same
    world.speak("ana")
    world.answer("ana#0>en")
    results = [(to, message) for to, message in world.sent if isinstance(message, TranslationResult)]
    (to, _) = results[0]
    assert len(results) == 1
    assert to == (world.connection("ben"), world.connection("dan"))
    assert world.got("ben", TranslationResult)[0] is world.got("dan", TranslationResult)[0]
    assert len(world.nodes_of("ana#0>en")) == 1


def test_languages_of_members_compare_without_regard_to_case() -> None:
    world = World()
    world.node("n1", pairs="zh>pt-BR")
    world.room("ana:zh", "ben:PT-br", "cy:pt-BR", "dan:pt")
    world.speak("ana")
    world.answer("ana#0>pt-BR")
    assert heard(world, "ana", "ben", "cy", "dan") == {"ben": ["ana#0>pt-BR"], "cy": ["ana#0>pt-BR"]}


def test_the_speaker_having_left_changes_nothing_for_the_others() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")
    world.leave("ana")
    world.answer("ana#0>en")
    world.drop("ana")
    world.answer("ana#0>ja")
    assert heard(world, "ana", "ben", "cy") == {"ben": ["ana#0>en"], "cy": ["ana#0>ja"]}


def test_a_member_who_left_gets_nothing_wherever_they_went() -> None:
    world = world_with_node()
    code = world.room("ana:zh", "ben:en", "cy:en", "dan:en")
    world.speak("ana")
    world.leave("ben")
    world.leave("cy")
    world.room("cy:en", "eve:en")
    world.answer("ana#0>en")
    assert heard(world, "ben", "cy", "dan", "eve") == {"dan": ["ana#0>en"]}
    world.join("ben:en", code)
    world.speak("ana")
    world.answer("ana#1>en")
    assert world.heard("ben") == ["ana#1>en"]


def test_one_who_joined_before_the_result_was_sent_gets_it() -> None:
    world = world_with_node()
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.join("cy:en", code)
    world.answer("ana#0>en")
    assert heard(world, "ben", "cy") == {"ben": ["ana#0>en"], "cy": ["ana#0>en"]}
    world.join("dan:en", code)
    assert world.heard("dan") == []


def test_the_preferred_language_is_the_one_at_the_moment_of_sending() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja", "dan:en")
    world.speak("ana")
    world.language("ben", "ja")
    world.language("cy", None)
    world.answer("ana#0>en")
    world.answer("ana#0>ja")
    assert heard(world, "ana", "ben", "cy", "dan") == {"ben": ["ana#0>ja"], "dan": ["ana#0>en"]}


def test_a_held_result_goes_to_the_recipients_of_the_moment_it_is_released() -> None:
    world = world_with_node()
    code = world.room("ana:zh", "ben:en", "cy:en")
    world.speak("ana")
    world.speak("ana")
    world.answer("ana#1>en")
    world.leave("cy")
    world.join("dan:en", code)
    world.answer("ana#0>en")
    both = ["ana#0>en", "ana#1>en"]
    assert heard(world, "ben", "cy", "dan") == {"ben": both, "dan": both}


def test_with_nobody_left_to_tell_the_result_ends_as_no_recipient() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")
    world.leave("ben")
    world.answer("ana#0>en")
    assert world.ended() == {"no_recipient": 1}
    assert world.heard("ana") == []


def test_a_speaker_in_a_new_room_gets_nothing_of_the_old_one_there() -> None:
    world = world_with_node()
    world.session("ana", "zh", "ja")
    world.room("ana:en", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.room("ana:en", "cy:en")
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben", "cy") == {"ben": ["ana#0>en"]}


def test_a_new_room_under_an_old_code_gets_nothing_of_the_old_one() -> None:
    """The same people, the same code, another room: what was said in the first is not for the second."""
    world = world_with_node()
    world.sources.codes.extend(["123456", "123456"])
    first = world.room("ana:zh", "ben:en")
    first_id = world.room_id("ana")
    world.speak("ana")
    world.leave("ben")
    world.leave("ana")
    second = world.room("ana:zh", "ben:en")
    assert first == second
    assert world.room_id("ana") != first_id
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben") == {}
    assert world.ended() == {"no_recipient": 1}
    world.speak("ana")
    world.answer("ana#1>en")
    assert world.heard("ben") == ["ana#1>en"]


def test_a_result_carries_the_speaker_the_utterance_the_job_and_the_language() -> None:
    world = world_with_node()
    world.session("ana", "zh", "en", trace_id="t-7")
    world.room("ana:zh", "ben:en")
    world.speak("ana", 3)
    world.answer("ana#3>en")
    (result,) = world.got("ben", TranslationResult)
    assign = world.given["ana#3>en"][0].assign
    assert (result.session_id, result.utterance_index, result.tgt_lang) == ("ana", 3, "en")
    assert result.job_id == assign.job_id
    assert result.trace_id == "t-7"
    assert (result.text_asr, result.text_translated) == ("ana#3", "ana#3>en")
    assert (result.tts_audio, result.tts_format) == ("audio", "pcm16")


def test_what_a_node_says_of_its_times_travels_with_the_result() -> None:
    world = world_with_node()
    world.session("ana")
    world.speak("ana")
    times = ServiceTimes(1, 2, 3, 4)
    world.answer("ana#0>en")
    assert world.got("ana", TranslationResult)[0].extra is None
    world.speak("ana")
    given = world.given["ana#1>en"][0]
    result = JobResult(given.assign.job_id, "n1", "ana", 1, True, "t", text_translated="ana#1>en", extra=times)
    world.send(world.workers["n1"].connection, result)
    assert world.got("ana", TranslationResult)[1].extra == times


def test_ids_that_a_node_gets_wrong_do_not_lead_a_result_astray() -> None:
    """Who the result is for follows from the job, never from what the node says besides."""
    world = world_with_node()
    world.room("ana:zh", "ben:en")
    world.room("cy:zh", "dan:en")
    world.speak("ana")
    assign = world.given["ana#0>en"][0].assign
    result = JobResult(assign.job_id, "n1", "cy", 9, True, "t", text_translated="ana#0>en", attempt_id=1)
    world.send(world.workers["n1"].connection, result)
    assert heard(world, "ana", "ben", "cy", "dan") == {"ben": ["ana#0>en"]}
    (message,) = world.got("ben", TranslationResult)
    assert (message.session_id, message.utterance_index) == ("ana", 0)


# --- membership


@pytest.mark.parametrize(
    ("membership", "expected"),
    [("live", ["ben", "cy", "eve"]), ("snapshot", ["ben", "dan"]), ("both", ["ben"])],
)
def test_membership_says_whose_moment_counts(membership: str, expected: list[str]) -> None:
    """Ben stays; Cy comes to the language, Dan leaves it, Eve joins."""
    world = world_with_node(membership=membership)
    code = world.room("ana:zh", "ben:en", "cy:ja", "dan:en")
    world.speak("ana")
    world.language("cy", "en")
    world.language("dan", "fr")
    world.join("eve:en", code)
    world.answer("ana#0>en")
    assert list(heard(world, "ana", "ben", "cy", "dan", "eve")) == expected


@pytest.mark.parametrize("membership", ["live", "snapshot", "both"])
def test_nothing_goes_to_anyone_outside_the_room_whatever_the_membership(membership: str) -> None:
    world = world_with_node(membership=membership)
    world.room("ana:zh", "ben:en", "cy:en")
    world.speak("ana")
    world.leave("cy")
    world.room("cy:en", "dan:zh")
    world.answer("ana#0>en")
    assert heard(world, "ben", "cy", "dan") == {"ben": ["ana#0>en"]}


@pytest.mark.parametrize("membership", ["snapshot", "both"])
def test_a_room_that_ended_gets_nothing_whatever_the_membership(membership: str) -> None:
    world = world_with_node(membership=membership)
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.leave("ben")
    world.answer("ana#0>en")
    assert heard(world, "ana", "ben") == {}
    assert world.ended() == {"no_recipient": 1}


def test_a_snapshot_whose_members_have_all_gone_ends_as_no_recipient() -> None:
    world = world_with_node(membership="snapshot")
    code = world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.drop("ben")
    world.join("cy:en", code)
    world.answer("ana#0>en")
    assert heard(world, "ana", "cy") == {}
    assert world.ended() == {"no_recipient": 1}


# --- what the speaker alone is told


@pytest.mark.parametrize("code", ["UNSUPPORTED_FEATURE", "MODEL_CORRUPTED"])
def test_a_failed_job_tells_the_speaker_and_nobody_else(code: str) -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:en")
    world.speak("ana")
    before = len(world.sent)
    world.answer("ana#0>en", code=code)
    assert world.errors("ana") == [(code, None)]
    assert [to for to, _ in world.sent[before:]] == [(world.connection("ana"),)]
    assert world.ended() == {"failed": 1}


def test_a_failed_job_of_a_speaker_who_has_gone_tells_nobody() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.close("ana")
    before = len(world.sent)
    world.answer("ana#0>en", code="MODEL_CORRUPTED")
    assert world.sent[before:] == []
    assert world.ended() == {"failed": 1}


def test_a_failed_job_of_a_speaker_who_has_left_the_room_still_tells_them() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.answer("ana#0>en", code="MODEL_CORRUPTED")
    assert world.errors("ana") == [("MODEL_CORRUPTED", None)]


def partial(world: World, job: str, text: str, *, final: bool = False, by: str | None = None) -> None:
    """A node says what it has heard so far."""
    given = world.given[job][-1]
    node = by or given.node
    message = AsrPartial("wrong", 99, given.assign.job_id, text, final, "t", node)
    world.send(world.workers[node].connection, message)


def test_asr_partials_reach_the_speaker_from_one_of_the_utterances_jobs_only() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")
    for text in ("he", "hello"):
        for job in ("ana#0>ja", "ana#0>en"):
            partial(world, job, text)
    partial(world, "ana#0>en", "hello!", final=True)
    partials = world.got("ana", AsrPartial)
    assert [(p.text, p.is_final) for p in partials] == [("he", False), ("hello", False), ("hello!", True)]
    assert {(p.session_id, p.utterance_index) for p in partials} == {("ana", 0)}
    assert len({p.job_id for p in partials}) == 1
    assert world.got("ben", AsrPartial) == world.got("cy", AsrPartial) == []


def test_asr_partials_come_from_another_job_where_the_first_was_refused() -> None:
    world = World()
    world.node("n1", pairs="zh>ja zh>fr")
    world.room("ana:zh", "ben:en", "cy:ja", "dan:fr")
    world.speak("ana")
    partial(world, "ana#0>ja", "no")
    partial(world, "ana#0>fr", "hello")
    assert [p.text for p in world.got("ana", AsrPartial)] == ["hello"]


def test_asr_partials_count_only_from_the_node_that_has_the_job_and_while_it_has_it() -> None:
    world = World(tie_break="first")
    world.node("n1")
    world.node("n2")
    world.session("ana")
    world.speak("ana")
    partial(world, "ana#0>en", "from elsewhere", by="n2")
    world.answer("ana#0>en", code="NODE_OVERLOADED")
    partial(world, "ana#0>en", "from before", by="n1")
    partial(world, "ana#0>en", "hello")
    world.answer("ana#0>en")
    partial(world, "ana#0>en", "too late")
    assert [p.text for p in world.got("ana", AsrPartial)] == ["hello"]


def test_asr_partials_of_a_speaker_who_has_gone_go_nowhere() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.close("ana")
    before = len(world.sent)
    partial(world, "ana#0>en", "hello")
    assert world.sent[before:] == []


# --- the questions


def test_the_room_of_a_session_is_found_and_none_where_there_is_none() -> None:
    world = World()
    world.room("ana:zh", "ben:en")
    world.session("cy")
    rooms = world.scheduler.rooms
    room = rooms.find_room_by_session("ana")
    assert room is not None
    assert rooms.find_room_by_session("ben") is room
    assert rooms.find_room_by_session("cy") is None
    assert rooms.find_room_by_session("nobody") is None
    world.leave("ana")
    assert rooms.find_room_by_session("ana") is None
    assert rooms.find_room_by_session("ben") is room
    world.leave("ben")
    assert rooms.find_room_by_session("ben") is None


def test_the_members_with_a_language_are_found_in_order_of_joining_less_those_excluded() -> None:
    world = World()
    code = world.room("ana:en", "ben:en", "cy:ja", "dan")
    world.join("eve:EN", code)
    rooms = world.scheduler.rooms
    room = rooms.find_room_by_session("ana")
    assert room is not None

    def members(language: str, exclude: tuple[str, ...] = ()) -> list[str]:
        return [session.session_id for session in rooms.get_target_language_members(room, language, exclude)]

    assert members("en") == ["ana", "ben", "eve"]
    assert members("en", ("ana", "nobody")) == ["ben", "eve"]
    assert members("en", ("ana", "ben", "eve")) == []
    assert members("ja") == ["cy"]
    assert members("fr") == []
    world.language("ana", "ja")
    assert members("en") == ["ben", "eve"]
    assert members("ja") == ["ana", "cy"]
    world.language("ana", None)
    assert members("ja") == ["cy"]


def test_a_session_is_in_a_room_as_its_members_are_told() -> None:
    world = World()
    world.room("ana:zh", "ben:en")
    shown = world.got("ana", RoomMembers)[-1].members
    assert [(m.session_id, m.participant_id, m.preferred_lang) for m in shown] == [
        ("ana", "ana", "zh"),
        ("ben", "ben", "en"),
    ]
