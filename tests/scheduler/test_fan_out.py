"""From an utterance to its jobs: which languages, in which order, and what each job says to its node."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import Features, JobAssign, Pipeline, UiEvent, Utterance

from .harness import World, codes


def assigned(world: World) -> list[str]:
    """The jobs that nodes were given, in order."""
    return [
        f"{message.session_id}#{message.utterance_index}>{message.tgt_lang}"
        for _, message in world.sent
        if isinstance(message, JobAssign)
    ]


def world_with_node(**settings: object) -> World:
    world = World(**settings)
    world.node("n1", slots=100)
    return world


# --- outside rooms


def test_outside_a_room_an_utterance_makes_one_job_into_the_sessions_own_language() -> None:
    world = world_with_node()
    world.session("ana", "zh", "en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]


def test_outside_a_room_the_target_of_the_message_comes_before_the_sessions() -> None:
    world = world_with_node()
    world.session("ana", "zh", "en")
    world.speak("ana", tgt="ja")
    assert assigned(world) == ["ana#0>ja"]


def test_outside_a_room_even_the_own_language_is_a_job() -> None:
    world = World()
    world.node("n1", pairs="zh>zh")
    world.session("ana", "zh", "zh")
    world.speak("ana")
    assert assigned(world) == ["ana#0>zh"]


def test_a_speaker_alone_in_a_room_is_as_one_outside() -> None:
    world = world_with_node()
    world.session("ana", "zh", "en")
    world.room("ana:zh")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]


# --- per language


def test_in_a_room_there_is_one_job_for_each_language_of_the_others_in_ascending_order() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:ja", "cy:en", "dan:fr", "eve:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en", "ana#0>fr", "ana#0>ja"]


def test_ascending_is_by_canonical_tag() -> None:
    world = World()
    world.node("n1", pairs="zh>en-US zh>fr zh>en", slots=9)
    world.room("ana:zh", "ben:FR", "cy:EN-us", "dan:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en", "ana#0>en-US", "ana#0>fr"]


def test_the_speakers_own_language_makes_no_job_unless_somebody_else_wants_it() -> None:
    world = world_with_node()
    world.session("ana", "zh", "en")
    code = world.room("ana:ja", "ben:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]
    world.join("cy:ja", code)
    world.speak("ana")
    assert assigned(world)[1:] == ["ana#1>en", "ana#1>ja"]


def test_the_source_language_is_left_out() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:zh", "cy:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]


def test_the_source_is_the_messages_before_the_sessions() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:zh", "cy:en")
    world.speak("ana", src="EN")
    world.speak("ana", src="ja")
    assert assigned(world) == ["ana#0>zh", "ana#1>en", "ana#1>zh"]
    assert [world.given[job][0].assign.src_lang for job in assigned(world)] == ["en", "ja", "ja"]


def test_an_automatic_source_takes_nothing_out() -> None:
    world = world_with_node()
    world.session("ana", "auto", "en")
    world.room("ana:zh", "ben:zh", "cy:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en", "ana#0>zh"]
    assert world.given["ana#0>zh"][0].assign.src_lang == "auto"


def test_auto_is_nobodys_language() -> None:
    world = World()
    world.node("n1", pairs="zh>en zh>auto", slots=9)
    world.room("ana:zh", "ben:auto", "cy:en", "dan:AUTO")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]


@pytest.mark.parametrize("others", [["ben"], ["ben", "cy"]])
def test_others_without_a_language_make_no_job(others: list[str]) -> None:
    world = world_with_node()
    world.room("ana:zh", *others)
    assert world.speak("ana") == []
    assert world.counts()["created"] == 0


def test_an_empty_language_is_none() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:zh", "cy:en")
    world.language("cy", "")
    world.speak("ana")
    assert world.counts()["created"] == 0


def test_members_without_a_language_take_nothing_from_those_with_one() -> None:
    world = world_with_node()
    world.room("ana", "ben", "cy:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]


def test_others_who_need_no_translation_make_no_job() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:zh", "cy:ZH")
    assert world.speak("ana") == []
    assert world.counts()["created"] == 0


def test_in_a_room_the_target_of_the_message_does_not_matter() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en")
    world.speak("ana", tgt="ja")
    assert assigned(world) == ["ana#0>en"]


def test_languages_are_those_at_the_moment_of_the_utterance() -> None:
    world = world_with_node()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    world.language("ben", "fr")
    world.leave("cy")
    world.speak("ana")
    world.join("dan:de", code)
    world.speak("ana")
    assert assigned(world) == ["ana#0>fr", "ana#1>de", "ana#1>fr"]


def test_with_same_language_translate_a_language_is_translated_into_itself() -> None:
    world = World(same_language="translate")
    world.node("n1", pairs="zh>en zh>zh", slots=9)
    world.room("ana:zh", "ben:zh", "cy:en")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en", "ana#0>zh"]


@pytest.mark.parametrize(("match", "expected"), [("exact", ["ana#0>zh-CN", "ana#0>zh-Hant"]), ("primary", [])])
def test_zh_and_zh_cn_are_different_unless_primary_subtags_are_compared(match: str, expected: list[str]) -> None:
    world = World(language_match=match)
    world.node("n1", pairs="zh>zh-CN zh>zh-Hant", slots=9)
    world.room("ana:ZH", "ben:zh-cn", "cy:ZH-HANT")
    world.speak("ana")
    assert assigned(world) == expected


def test_with_primary_language_match_two_regions_share_one_job() -> None:
    world = World(language_match="primary")
    world.node("n1", pairs="zh>en")
    world.room("ana:zh", "ben:en-US", "cy:en-GB")
    world.speak("ana")
    assert assigned(world) == ["ana#0>en"]
    world.answer("ana#0>en")
    assert world.heard("ben") == world.heard("cy") == ["ana#0>en"]


@pytest.mark.parametrize(
    ("sent", "canonical"), [("ZH-cn", "zh-CN"), ("zh-hANS-cn", "zh-Hans-CN"), ("EN", "en"), ("es-419", "es-419")]
)
def test_nodes_and_recipients_are_told_canonical_tags(sent: str, canonical: str) -> None:
    world = World()
    world.node("n1", pairs=f"{sent.swapcase()}>ja ja>{sent.upper()}", slots=9)
    world.session("ana", sent, "ja")
    world.speak("ana")
    world.session("bob", "ja", sent)
    world.speak("bob")
    world.answer(f"bob#0>{canonical}")
    assert world.given["ana#0>ja"][0].assign.src_lang == canonical
    assert world.heard("bob") == [f"bob#0>{canonical}"]


# --- session target


def test_with_session_target_there_is_one_job_into_the_speakers_own_target() -> None:
    world = world_with_node(fan_out="session_target")
    world.session("ana", "zh", "fr")
    world.room("ana:zh", "ben:en", "cy:fr", "dan:ja")
    world.speak("ana")
    assert assigned(world) == ["ana#0>fr"]
    world.answer("ana#0>fr")
    assert [world.heard(name) for name in ("ana", "ben", "cy", "dan")] == [[], [], ["ana#0>fr"], []]


@pytest.mark.parametrize(("same_language", "expected"), [("skip", []), ("translate", ["ana#0>zh"])])
def test_with_session_target_the_source_language_is_skipped_or_not(same_language: str, expected: list[str]) -> None:
    world = World(fan_out="session_target", same_language=same_language)
    world.node("n1", pairs="zh>zh")
    world.session("ana", "zh", "zh")
    world.room("ana:zh", "ben:en")
    assert world.speak("ana") == []
    assert assigned(world) == expected


# --- indices


def test_an_index_must_be_above_every_earlier_one_and_nothing_is_dispatched_twice() -> None:
    world = world_with_node()
    world.session("ana")
    for index in (3, 7):
        assert codes(world.speak("ana", index)) == []
    for index in (7, 5, 3, 0, -1):
        assert codes(world.speak("ana", index)) == ["INVALID_MESSAGE"]
    world.speak("ana", 8)
    assert assigned(world) == ["ana#3>en", "ana#7>en", "ana#8>en"]


def test_the_first_index_is_not_negative() -> None:
    world = world_with_node()
    world.session("ana")
    assert codes(world.speak("ana", -1)) == ["INVALID_MESSAGE"]
    assert codes(world.speak("ana", 0)) == []


def test_an_index_that_made_no_job_is_used_up_all_the_same() -> None:
    world = World()
    world.session("ana")
    world.speak("ana", 4)  # no node: rejected
    world.node("n1")
    assert codes(world.speak("ana", 4)) == ["INVALID_MESSAGE"]
    world.room("ben:zh", "cy:zh")
    world.speak("ben", 1)  # nobody needs it
    assert codes(world.speak("ben", 1)) == ["INVALID_MESSAGE"]


def test_indices_are_each_sessions_own() -> None:
    world = world_with_node()
    world.session("ana")
    world.session("bob")
    world.speak("ana", 5)
    world.speak("bob", 2)
    assert assigned(world) == ["ana#5>en", "bob#2>en"]


# --- chunks


def test_the_closing_chunk_takes_the_next_index() -> None:
    world = world_with_node()
    world.session("ana")
    world.chunk("ana", "QUJD", final=True)
    world.speak("ana", 6)
    world.chunk("ana", "QUJD", final=True)
    world.chunk("ana", "QUJD", final=True)
    assert assigned(world) == ["ana#0>en", "ana#6>en", "ana#7>en", "ana#8>en"]
    assert codes(world.speak("ana", 8)) == ["INVALID_MESSAGE"]


def test_only_the_closing_chunk_makes_an_utterance_of_all_that_came() -> None:
    world = world_with_node()
    world.room("ana:zh", "ben:en", "cy:ja")
    assert world.chunk("ana", "QUI=") == []  # AB
    assert world.chunk("ana", "Q0Q=") == []  # CD
    assert assigned(world) == []
    world.chunk("ana", "RQ==", final=True)  # E
    assert assigned(world) == ["ana#0>en", "ana#0>ja"]
    assert [given[0].assign.audio for given in world.given.values()] == ["QUJDREU=", "QUJDREU="]
    world.chunk("ana", "Rg==", final=True)
    assert world.given["ana#1>en"][0].assign.audio == "Rg==", "the next utterance begins with nothing"


def test_a_closing_chunk_may_be_empty() -> None:
    world = world_with_node()
    world.session("ana")
    world.chunk("ana", "QUJD")
    world.chunk("ana", final=True)
    assert world.given["ana#0>en"][0].assign.audio == "QUJD"


def test_chunks_of_two_sessions_do_not_mix() -> None:
    world = world_with_node()
    world.session("ana")
    world.session("bob")
    world.chunk("ana", "QUFB")
    world.chunk("bob", "QkJC")
    world.chunk("ana", final=True)
    world.chunk("bob", final=True)
    assert world.given["ana#0>en"][0].assign.audio == "QUFB"
    assert world.given["bob#0>en"][0].assign.audio == "QkJC"


def test_chunks_that_are_no_base64_are_refused_and_make_no_utterance() -> None:
    world = world_with_node()
    world.session("ana")
    world.chunk("ana", "A")
    assert codes(world.chunk("ana", "QUJD", final=True)) == ["INVALID_MESSAGE"]
    assert assigned(world) == []
    world.chunk("ana", "QUJD", final=True)
    assert assigned(world) == ["ana#0>en"]


# --- what a job says to its node


def test_a_job_says_whose_utterance_it_is_and_what_is_to_be_done() -> None:
    world = world_with_node()
    world.session("ana", trace_id="t-1")
    world.speak("ana", 4)
    assign = world.given["ana#4>en"][0].assign
    assert (assign.session_id, assign.utterance_index, assign.src_lang, assign.tgt_lang) == ("ana", 4, "zh", "en")
    assert assign.pipeline == Pipeline(use_asr=True, use_nmt=True, use_tts=True)
    assert (assign.audio, assign.audio_format, assign.sample_rate) == ("ana#4", "pcm16", 16_000)
    assert assign.trace_id == "t-1"
    assert assign.attempt_id == 1
    assert assign.auto_langs is None


def test_a_job_carries_what_its_session_and_its_utterance_ask_for() -> None:
    world = World()
    world.node("n1", extra=["emotion-xlm-r", "sr-d-v1"])
    features = Features(emotion_detection=True)
    world.session(
        "ana",
        "auto",
        "en",
        features=features,
        dialect="wuu",
        mode="two_way_auto",
        lang_a="zh",
        lang_b="en",
        auto_langs=("zh", "ja"),
        enable_streaming_asr=True,
        partial_update_interval_ms=200,
    )
    world.speak("ana")
    own = Features(speech_rate_detection=True)
    world.speak("ana", features=own, dialect="yue", mode="one_way", auto_langs=("zh",), trace_id="t-9")
    first, second = (world.given[f"ana#{index}>en"][0].assign for index in (0, 1))
    assert (first.features, first.dialect, first.mode) == (features, "wuu", "two_way_auto")
    assert (first.lang_a, first.lang_b, first.auto_langs) == ("zh", "en", ("zh", "ja"))
    assert (first.enable_streaming_asr, first.partial_update_interval_ms) == (True, 200)
    assert (second.features, second.dialect, second.mode, second.auto_langs) == (own, "yue", "one_way", ("zh",))
    assert second.trace_id == "t-9"


def test_an_utterances_languages_of_a_two_way_conversation_reach_the_node() -> None:
    world = world_with_node()
    world.session("ana")
    world.speak("ana", lang_a="zh", lang_b="ja")
    assign = world.given["ana#0>en"][0].assign
    assert (assign.lang_a, assign.lang_b) == ("zh", "ja")


# --- each outcome in turn


def test_a_language_without_a_node_is_refused_and_the_others_go_on() -> None:
    world = World()
    world.node("n1", pairs="zh>de zh>ja")
    world.room("ana:zh", "ben:en", "cy:ja", "dan:de")
    world.speak("ana")
    assert assigned(world) == ["ana#0>de", "ana#0>ja"]
    assert world.ended() == {"rejected": 1}
    kinds = [type(message).__name__ for _, message in world.sent[-3:]]
    assert kinds == ["JobAssign", "UiEvent", "JobAssign"], "language by language"


def test_with_ui_events_all_the_speaker_hears_of_each_dispatch_after_it() -> None:
    world = world_with_node(ui_events="all")
    world.room("ana:zh", "ben:en", "cy:ja")
    world.speak("ana")
    kinds = [type(message).__name__ for _, message in world.sent[-4:]]
    assert kinds == ["JobAssign", "UiEvent", "JobAssign", "UiEvent"]
    events = world.got("ana", UiEvent)
    assert [(event.event, event.status, event.utterance_index) for event in events] == [("DISPATCHED", "ok", 0)] * 2
    assert [event.job_id for event in events] == [given[0].assign.job_id for given in world.given.values()]
    assert world.got("ben", UiEvent) == []
    world.answer("ana#0>en", code="NODE_OVERLOADED")  # the one node there is takes it again
    assert [event.event for event in world.got("ana", UiEvent)] == ["DISPATCHED"] * 3


def test_by_default_the_speaker_hears_of_errors_only() -> None:
    world = world_with_node()
    world.session("ana")
    assert world.speak("ana") == []


def test_an_utterance_in_another_sessions_name_makes_nothing() -> None:
    world = world_with_node()
    world.session("ana")
    world.session("bob")
    answer = world.say("ana", Utterance("bob", 0, False, "", "", "", "pcm16", 16_000))
    assert codes(answer) == ["INVALID_SESSION"]
    assert world.counts()["created"] == 0
    assert codes(world.speak("bob", 0)) == []
