"""Sessions and rooms: what a request must be answered with, and what a session may still do afterwards."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from test_oracle_history import SECOND, History, clean, error, expired, found, room_error, to

from simroom.scheduler.messages import (
    Addressed,
    AudioChunk,
    ClientHeartbeat,
    Error,
    Resume,
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    RoomRawVoicePreference,
    ServerHeartbeat,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    TtsPlayEnded,
    UiEvent,
    Utterance,
    WebrtcOffer,
)


def only_reply(history: History) -> str:
    """The sentence of the one violation, which must be of a reply."""
    verdict = history.finish()
    assert [entry[:2] for entry in found(verdict)] == [("reply", "reply")], verdict.violations
    return verdict.violations[0].what


INIT = SessionInit("1", "test", "zh", "en")


# --- sessions


def test_anything_before_a_session_is_refused():
    history = History()
    connection = history.open("a", "session")
    history.send(connection, RoomCreate(0), error(connection, "INVALID_SESSION"))
    history.send(connection, ClientHeartbeat("s9", 0), error(connection, "INVALID_SESSION"))
    history.send(
        connection, Utterance("s9", 0, False, "zh", "en", "x", "pcm16", 16_000), error(connection, "INVALID_SESSION")
    )
    assert clean(history.finish())


def test_a_second_session_init_is_refused():
    history = History()
    session = history.session("a")
    history.send(session, INIT, error(session, "INVALID_MESSAGE"))
    assert clean(history.finish())


def test_a_second_session_init_that_is_granted_is_found():
    history = History()
    session = history.session("a")
    history.send(session, INIT, to(session, SessionInitAck("s9", "", "")))
    verdict = history.finish()
    assert {entry[:2] for entry in found(verdict)} == {("reply", "reply")}


def test_a_wrong_error_code_is_found():
    history = History()
    connection = history.open("a", "session")
    history.send(connection, RoomCreate(0), error(connection, "SESSION_CLOSED"))
    assert "SESSION_CLOSED instead of INVALID_SESSION" in only_reply(history)


def test_an_error_for_a_good_request_is_found():
    history = History()
    connection = history.open("a", "session")
    history.send(connection, INIT, error(connection, "INTERNAL_ERROR"))
    assert "for a good request" in only_reply(history)


def test_a_missing_acknowledgement_is_found():
    history = History()
    connection = history.open("a", "session")
    history.send(connection, INIT)
    assert "got no session_init_ack" in only_reply(history)


def test_after_session_close_everything_is_refused():
    history = History()
    session = history.session("a")
    history.send(session, SessionClose("s0", "bye"), to(session, SessionCloseAck("s0")))
    for message in (INIT, RoomCreate(0), SessionClose("s0", "bye")):
        history.send(session, message, error(session, "SESSION_CLOSED"))
    history.close(session)
    assert clean(history.finish())


def test_session_close_is_a_leave_at_once_even_within_a_grace():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    session_id = history.session_of[en]
    listing = history.out(en)
    history.send(en, SessionClose(session_id, ""), *listing, to(en, SessionCloseAck(session_id)))
    history.say(zh, ("j0", node, "ja"))
    history.answer(node, "j0", history.sent("j0", ja))
    assert clean(history.finish())


@pytest.mark.parametrize(
    "message",
    [
        ClientHeartbeat("other", 0),
        SessionClose("other", ""),
        TtsPlayEnded("other", "", "", 0),
        AudioChunk("other", 0, True, "x"),
        Utterance("other", 0, False, "zh", "en", "x", "pcm16", 16_000),
    ],
)
def test_a_message_that_names_another_session_is_refused_and_changes_nothing(message):
    history = History()
    node = history.node("n1")
    session = history.session("a")
    history.send(session, message, error(session, "INVALID_SESSION"))
    history.say(session, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", session))
    assert clean(history.finish())


def test_an_unknown_pairing_code_is_refused_and_the_connection_may_try_again():
    history = History(pairing={"1234": "n1"})
    connection = history.open("a", "session")
    wrong = SessionInit("1", "test", "zh", "en", pairing_code="9999")
    history.send(connection, wrong, error(connection, "INVALID_PAIRING_CODE"))
    right = SessionInit("1", "test", "zh", "en", pairing_code="1234")
    history.send(connection, right, to(connection, SessionInitAck("s0", "", "")))
    assert clean(history.finish())


def test_whether_a_sign_of_life_is_answered_is_left_open():
    history = History()
    session = history.session("a")
    history.send(session, ClientHeartbeat("s0", 5), to(session, ServerHeartbeat("s0", 5)))
    history.send(session, ClientHeartbeat("s0", 6))
    history.send(session, TtsPlayEnded("s0", "", "", 7))
    assert clean(history.finish())


# --- rooms


def test_rooms_are_opened_entered_and_left():
    history = History()
    zh, en, ja = history.room("zh", "en", "ja")
    history.leave(en)
    history.join(en, "fr")
    history.prefer(ja, "de")
    history.prefer(ja, None)
    for member in (zh, en, ja):
        history.leave(member)
    assert clean(history.finish())
    assert not history.oracle._mirror.rooms


def test_a_code_that_came_back_leads_to_the_new_room():
    history = History()
    zh, en = history.room("zh", "en")
    history.leave(zh)
    history.leave(en)
    history.create(en, "en")
    history.join(zh, "zh")
    assert clean(history.finish())


def test_a_room_on_the_code_of_a_living_one_is_found():
    history = History()
    history.room("zh")
    history.at(1)
    history.room("en", name="q")
    assert "code of a living room" in only_reply(history)


@pytest.mark.parametrize(
    ("code", "refusal"),
    [("12345", "INVALID_ROOM_CODE"), ("12345a", "INVALID_ROOM_CODE"), ("123456", "ROOM_NOT_FOUND")],
)
def test_a_code_that_leads_nowhere_is_refused(code, refusal):
    history = History()
    history.room("zh")
    other = history.session("a")
    history.send(other, RoomJoin(code), room_error(other, refusal))
    assert clean(history.finish())


def test_a_member_may_neither_join_nor_create_a_second_time():
    history = History()
    (zh,) = history.room("zh")
    history.send(zh, RoomJoin("111111"), room_error(zh, "ALREADY_IN_ROOM"))
    history.send(zh, RoomJoin("999999"), room_error(zh, "ALREADY_IN_ROOM"))
    history.send(zh, RoomJoin("x"), room_error(zh, "INVALID_ROOM_CODE"))
    history.send(zh, RoomCreate(0), room_error(zh, "ALREADY_IN_ROOM"))
    assert clean(history.finish())


def test_a_full_room_refuses():
    history = History(room_size_max=2)
    history.room("zh", "en")
    third = history.session("a")
    history.send(third, RoomJoin("111111"), room_error(third, "ROOM_FULL"))
    assert clean(history.finish())


def test_a_full_room_that_lets_one_in_is_found_once_and_followed():
    history = History(room_size_max=2)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    third = history.session("a")
    history.join(third, "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en, third))
    assert "ROOM_FULL" in only_reply(history)


@pytest.mark.parametrize(
    "message", [RoomLeave("222222"), RoomLanguage("222222", "ja"), RoomRawVoicePreference("222222", "s0", False)]
)
def test_a_request_about_another_room_is_refused(message):
    history = History()
    (zh,) = history.room("zh")
    history.send(zh, message, room_error(zh, "ROOM_NOT_FOUND"))
    outside = history.session("a")
    if not isinstance(message, RoomRawVoicePreference):
        history.send(outside, message, room_error(outside, "ROOM_NOT_FOUND"))
    assert clean(history.finish())


def test_the_joiner_is_told_before_the_others():
    history = History()
    (zh,) = history.room("zh")
    en = history.session("b")
    history.rooms["111111"].append(en)
    history.langs[en] = "en"
    history.send(en, RoomJoin("111111", None, "en"), history.listing("111111", zh, en))
    assert "in another order" in only_reply(history)


def test_one_message_to_all_is_as_good_as_several():
    history = History()
    first, second = history.room("zh", "en")
    third = history.session("c")
    history.rooms["111111"].append(third)
    history.langs[third] = "ja"
    listing = history.listing("111111", third, first, second)
    history.send(third, RoomJoin("111111", None, "ja"), listing)
    history.prefer(first, "de")
    fourth = history.session("d")
    history.rooms["111111"].append(fourth)
    one_by_one = [history.listing("111111", who) for who in (fourth, first, second, third)]
    history.send(fourth, RoomJoin("111111", None, None), *one_by_one)
    assert clean(history.finish())


def test_a_listing_that_does_not_show_the_members_is_found():
    history = History()
    (zh,) = history.room("zh")
    stale = history.listing("111111", zh)
    en = history.session("b")
    history.rooms["111111"].append(en)
    history.send(en, RoomJoin("111111", None, None), history.listing("111111", en), stale)
    assert "do not show the members" in only_reply(history)


def test_a_listing_that_reaches_an_outsider_is_a_leak():
    history = History()
    zh, en = history.room("zh", "en")
    outsider = history.session("x")
    history.langs[en] = "ja"
    history.send(en, RoomLanguage("111111", "ja"), history.listing("111111", zh, en, outsider))
    assert found(history.finish()) == [("I7", "leaked", None, ("x",))]


def test_a_listing_nobody_called_for_is_found():
    history = History()
    zh, _ = history.room("zh", "en")
    history.wake(1, history.listing("111111", zh))
    assert "for no reason" in only_reply(history)


def test_wishes_about_untranslated_voice_are_shown_to_all():
    history = History()
    zh, en = history.room("zh", "en")
    shown = history.listing("111111", zh, en)[1]
    assert isinstance(shown, RoomMembers)
    wish = RoomRawVoicePreference("111111", history.session_of[en], False)
    history.send(zh, wish, ((zh, en), shown))
    assert "do not show the members" in only_reply(history)


def test_a_wish_is_forgotten_when_the_one_it_is_about_leaves():
    history = History()
    zh, en = history.room("zh", "en")
    about = history.session_of[en]

    def listing(*to: int, shown: bool = True) -> Addressed:
        _, plain = history.listing("111111")
        assert isinstance(plain, RoomMembers)
        first, *others = plain.members
        return to, RoomMembers("111111", (replace(first, raw_voice_preferences={about: shown}), *others))

    history.send(zh, RoomRawVoicePreference("111111", about, False), listing(zh, en, shown=False))
    history.leave(en)
    history.join(en, "en")
    history.send(en, WebrtcOffer("111111", history.session_of[zh], "sdp"), to(zh, WebrtcOffer("111111", about, "sdp")))
    assert not history.oracle._mirror.findings.violations
    history.leave(en)
    history.rooms["111111"].append(en)
    history.room_of[en] = "111111"
    history.langs[en] = "en"
    history.send(en, RoomJoin("111111", None, "en"), listing(en), listing(zh))
    assert "do not show the members" in history.finish().violations[0].what


def test_signals_go_to_the_one_they_name_unless_declined():
    history = History()
    zh, en = history.room("zh", "en")
    names = history.session_of
    history.send(zh, WebrtcOffer("111111", names[en], "sdp"), to(en, WebrtcOffer("111111", names[zh], "sdp")))
    history.send(zh, WebrtcOffer("111111", "nobody", "sdp"))
    assert clean(history.finish())


def test_a_signal_to_an_outsider_is_a_leak():
    history = History()
    zh, en = history.room("zh", "en")
    outsider = history.session("x")
    names = history.session_of
    offer = WebrtcOffer("111111", names[zh], "sdp")
    history.send(zh, WebrtcOffer("111111", names[en], "sdp"), ((en,), offer), ((outsider,), offer))
    assert found(history.finish()) == [("I7", "leaked", None, ("x",))]


# --- expiry


def test_rooms_in_which_nothing_was_said_end_in_order_of_creation():
    history = History(room_expiry=90 * SECOND)
    a = history.room("zh", "en", code="111111", name="a")
    b = history.room("zh", code="222222", name="b")
    history.wake(60)
    history.wake(120, expired("111111", *a), expired("222222", *b))
    history.create(a[0], "zh", code="111111")
    assert clean(history.finish())


def test_a_room_that_ends_too_late_or_too_early_is_found():
    late = History(room_expiry=60 * SECOND)
    late.room("zh")
    late.wake(60)
    assert "room_expired" in only_reply(late)
    early = History(room_expiry=61 * SECOND)
    (zh,) = early.room("zh")
    early.wake(60, expired("111111", zh))
    assert "for no reason" in only_reply(early)


@pytest.mark.parametrize("alive", ["join", "utterance", "result"])
def test_a_room_lives_on_after_a_join_an_utterance_or_a_result(alive):
    history = History(room_expiry=60 * SECOND, job_timeout=500 * SECOND)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    if alive == "result":
        history.say(zh, ("j0", node, "en"))
    history.at(30)
    if alive == "join":
        history.join(history.session("c", "en"), "en")
    elif alive == "utterance":
        history.say(zh, ("j0", node, "en"))
    else:
        history.answer(node, "j0", history.sent("j0", en))
    history.wake(60)
    history.wake(90)
    history.wake(120, expired("111111", *history.rooms["111111"]))
    assert clean(history.finish())


# --- coming back


def test_what_was_kept_goes_out_in_order_and_only_what_still_concerns_one():
    history = History(reconnect_grace=60 * SECOND, ordering="none", job_timeout=500 * SECOND)
    node = history.node("n1", slots=8)
    zh, en, ja = history.room("zh", "en", "ja")
    for number in range(2):
        history.say(zh, (f"a{number}", node, "en"), (f"b{number}", node, "ja"))
    history.close(en)
    history.answer(node, "b0", history.sent("b0", ja))
    history.answer(node, "a1")
    history.answer(node, "a0")
    back = history.resume(en, history.sent("a1"), history.sent("a0"))
    history.wake(61)
    history.say(zh, ("a2", node, "en"), ("b2", node, "ja"))
    history.answer(node, "a2", history.sent("a2", back))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["delivered"] == 4


def test_kept_results_out_of_order_are_found():
    history = History(reconnect_grace=60 * SECOND)
    node = history.node("n1", slots=8)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.close(en)
    history.answer(node, "j0")
    history.answer(node, "j1")
    history.resume(en, history.sent("j1"), history.sent("j0"))
    assert found(history.finish()) == [("I3", "out_of_order", "en", ("r/m1",))]


def test_a_kept_result_that_never_comes_is_found():
    history = History(reconnect_grace=60 * SECOND)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.close(en)
    history.answer(node, "j0")
    history.resume(en)
    assert found(history.finish()) == [("I1", "missing", "en", ("r/m1",))]


def test_only_the_newest_are_kept():
    history = History(reconnect_grace=60 * SECOND, kept_count_max=1)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.close(en)
    history.answer(node, "j0")
    history.answer(node, "j1")
    history.resume(en, history.sent("j1"))
    assert clean(history.finish())


def test_the_speaker_is_told_of_failures_after_coming_back():
    history = History(reconnect_grace=60 * SECOND)
    node = history.node("n1")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.close(zh)
    history.answer(node, "j0", error="UNSUPPORTED_FEATURE")
    back = history.resume(zh, ((), history.event("j0", "UNSUPPORTED_FEATURE")[1]))
    history.close(back)
    history.resume(back)
    assert clean(history.finish())


def test_a_grace_that_ends_is_a_leave():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    history.close(en)
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.wake(10, *history.out(en))
    history.answer(node, "j0")
    history.answer(node, "j1", history.sent("j1", ja))
    connection = history.open("r/m1", "session")
    stale = SessionInit("1", "test", "zh", "en", resume=Resume(history.session_of[en], f"t{en}"))
    history.send(connection, stale, error(connection, "INVALID_SESSION"))
    history.send(connection, INIT, to(connection, SessionInitAck("s99", "", "")))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["no_recipient"] == 1


def test_a_wrong_token_does_not_resume():
    history = History(reconnect_grace=10 * SECOND)
    session = history.session("a")
    history.close(session)
    thief = history.open("b", "session")
    wrong = SessionInit("1", "test", "zh", "en", resume=Resume("s0", "guess"))
    history.send(thief, wrong, error(thief, "INVALID_SESSION"))
    assert clean(history.finish())


def test_a_session_taken_over_by_a_thief_is_found():
    history = History(reconnect_grace=10 * SECOND)
    session = history.session("a")
    history.close(session)
    thief = history.open("b", "session")
    wrong = SessionInit("1", "test", "zh", "en", resume=Resume("s0", "guess"))
    history.send(thief, wrong, to(thief, SessionInitAck("s0", "", "")))
    assert {entry[:2] for entry in found(history.finish())} == {("reply", "reply")}


def test_the_old_connection_gets_nothing_and_its_closing_changes_nothing():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    back = history.resume(en)
    history.send(en, ClientHeartbeat(history.session_of[en], 0))
    history.close(en)
    history.wake(20)
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", back))
    assert clean(history.finish())


def test_a_stale_closing_that_removes_the_member_is_found():
    history = History(reconnect_grace=10 * SECOND)
    zh, en = history.room("zh", "en")
    history.resume(en)
    history.close(en, history.listing("111111", zh))
    assert "for no reason" in only_reply(history)


# --- utterances


def test_an_index_that_does_not_rise_is_refused():
    history = History()
    node = history.node("n1", slots=4)
    session = history.session("a")
    history.say(session, ("j0", node, "en"), index=5)
    for index in (5, 4):
        history.say(session, error(session, "INVALID_MESSAGE"), index=index)
    history.say(session, ("j1", node, "en"), index=6)
    assert clean(history.finish())


def test_an_utterance_dispatched_twice_is_found_once():
    history = History()
    node = history.node("n1", slots=4)
    session = history.session("a")
    history.say(session, ("j0", node, "en"))
    history.say(session, ("j1", node, "en"), index=0)
    history.answer(node, "j0", history.sent("j0", session))
    assert found(history.finish()) == [("I2", "duplicate", None, ())]


def test_a_good_utterance_that_is_refused_is_found():
    history = History()
    history.node("n1")
    session = history.session("a")
    history.say(session, error(session, "INVALID_MESSAGE"))
    assert "for a good request" in only_reply(history)


def test_a_closing_chunk_takes_the_next_index():
    history = History()
    node = history.node("n1", slots=8)
    session = history.session("a", "zh", "en")
    for index, pieces in enumerate(([("p", True)], [("p", False), ("q", True)])):
        for seq, (payload, is_final) in enumerate(pieces):
            outputs = ()
            if is_final:
                history.jobs[f"j{index}"] = (session, index, "en", "".join(piece for piece, _ in pieces))
                outputs = (history.assign(f"j{index}", node),)
            history.send(session, AudioChunk("s1", seq, is_final, payload), *outputs)
        history.answer(node, f"j{index}", history.sent(f"j{index}", session))
    history.say(session, ("j2", node, "en"), index=2)
    assert clean(history.finish())


@pytest.mark.parametrize("ja_audio", ["pq", "q"])
def test_pieces_are_one_thing_for_all_jobs_that_waited(ja_audio):
    history = History(on_no_node="queue")
    zh, en, ja = history.room("zh", "en", "ja")
    session_id = history.session_of[zh]
    history.send(zh, AudioChunk(session_id, 0, False, "p"))
    history.send(zh, AudioChunk(session_id, 1, True, "q"))
    node = history.node("n1", ready=False)
    history.jobs["j0"] = (zh, 0, "en", "pq")
    history.jobs["j1"] = (zh, 0, "ja", "pq")
    assigned = history.assign("j0", node), history.assign("j1", node, audio=ja_audio)
    history.beat(node, "ready", outputs=assigned)
    history.answer(node, "j0", history.sent("j0", en))
    history.answer(node, "j1", history.sent("j1", ja))
    verdict = history.finish()
    assert found(verdict) == ([] if ja_audio == "pq" else [("token", "payload", "ja", ())])
    assert verdict.ends["delivered"] == 2


def test_what_was_waited_with_is_what_must_be_answered_and_given_again():
    history = History(on_no_node="queue")
    session = history.session("a")
    history.send(session, AudioChunk("s0", 0, False, "p"))
    history.send(session, AudioChunk("s0", 1, True))
    node = history.node("n1", ready=False)
    history.jobs["j0"] = (session, 0, "en", "p")
    history.beat(node, "ready", outputs=(history.assign("j0", node),))
    history.answer(node, "j0", history.assign("j0", node, audio="q"), error="INTERNAL_ERROR")
    history.answer(node, "j0", history.sent("j0", session, payload="q>en"), payload="q>en", attempt=2)
    verdict = history.finish()
    assert [entry[:2] for entry in found(verdict)] == [("token", "payload")]
    assert verdict.wrong_answers == {"unknown": {"n1": 1}}


def test_more_events_than_a_scheduler_must_send_are_tolerated():
    history = History()
    node = history.node("n1")
    session = history.session("a")
    event = UiEvent("", "s1", "j0", 0, "NMT_DONE", "ok")
    history.say(session, ("j0", node, "en"), to(session, event))
    assert clean(history.finish())


def test_outputs_when_a_connection_opens_are_found():
    history = History()
    history.oracle.opened(0, "session", 0, [to(0, Error("X", "")), to(0, RoomError("Y"))])
    verdict = history.finish()
    assert [entry[:2] for entry in found(verdict)] == [("reply", "reply")] * 2


def test_a_room_without_an_acknowledgement_is_found():
    history = History()
    session = history.session("a")
    history.send(session, RoomCreate(0))
    assert "got no room_create_ack" in only_reply(history)
    assert RoomCreateAck
