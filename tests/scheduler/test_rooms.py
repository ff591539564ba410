"""Rooms: who may come in, who is told, when they end, and what their codes are worth afterwards."""

from __future__ import annotations

import pytest

from simroom.scheduler.messages import (
    RoomCreate,
    RoomCreateAck,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    RoomRawVoicePreference,
    WebrtcAnswer,
    WebrtcIce,
    WebrtcOffer,
)

from .harness import World, codes


def recipients(world: World, since: int, kind: type) -> list[str]:
    """Who got the messages of one kind since a point in the record, in order."""
    return [world.names[c] for to, message in world.sent[since:] if isinstance(message, kind) for c in to]


# --- opening


def test_creating_a_room_is_acknowledged_and_then_shows_its_one_member() -> None:
    world = World()
    world.session("ana")
    ack, shown = world.say("ana", RoomCreate(0, "Ana", "zh"))
    assert isinstance(ack, RoomCreateAck)
    assert (ack.room_code, ack.room_id) == ("100001", "room-1")
    assert isinstance(shown, RoomMembers)
    assert shown.room_code == "100001"
    (member,) = shown.members
    assert (member.session_id, member.participant_id) == ("ana", "ana")
    assert (member.display_name, member.preferred_lang) == ("Ana", "zh")
    assert member.joined_at == "2026-01-01T00:00:00.000000Z"
    assert member.raw_voice_preferences is None


def test_members_are_shown_with_the_moment_they_joined() -> None:
    world = World()
    code = world.room("ana:zh")
    world.at(60)
    world.join("ben", code)
    world.oversleep(86_400 * 59 + 3_661.5)
    world.session("cy")
    world.room("cy:en")
    assert [m.joined_at for m in world.got("ben", RoomMembers)[-1].members] == [
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:01:00.000000Z",
    ]
    (cy,) = world.got("cy", RoomMembers)[-1].members
    assert cy.joined_at == "2026-03-01T01:01:01.500000Z"


def test_a_name_and_a_language_that_are_absent_stay_absent() -> None:
    world = World()
    code = world.room("ana:zh")
    world.join("ben", code)
    ben = world.got("ana", RoomMembers)[-1].members[1]
    assert (ben.display_name, ben.preferred_lang, ben.raw_voice_preferences) == (None, None, None)


@pytest.mark.parametrize("how", ["create", "join another", "join the same"])
def test_a_session_is_in_at_most_one_room(how: str) -> None:
    world = World()
    code = world.room("ana:zh", "ben:en")
    other = world.room("cy:en")
    room_id = world.room_id("ana")
    message = RoomCreate(0) if how == "create" else RoomJoin(other if how == "join another" else code)
    before = len(world.sent)
    assert codes(world.say("ana", message)) == ["ALREADY_IN_ROOM"]
    assert len(world.sent) == before + 1
    assert world.room_id("ana") == room_id
    assert world.members("ben") == ["ana", "ben"]


def test_a_code_of_a_living_room_is_never_given_to_another() -> None:
    world = World()
    world.sources.codes.extend(["111111", "111111", "222222", "111111", "222222", "333333"])
    assert [world.room(f"{name}:en") for name in ("ana", "ben", "cy")] == ["111111", "222222", "333333"]
    world.join("dan:zh", "111111")
    assert world.room_id("dan") == world.room_id("ana")


def test_a_code_may_come_back_after_its_room_ended_with_a_new_room_id() -> None:
    world = World()
    world.sources.codes.extend(["111111", "111111"])
    first = world.room("ana:en")
    first_id = world.room_id("ana")
    world.leave("ana")
    assert world.room("ben:en") == first
    assert world.room_id("ben") not in (None, first_id)
    assert world.members("ben") == ["ben"]


# --- coming in


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        "12345",
        "1234567",
        "12345a",
        "12 456",
        "-12345",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345\n",
        "abcdef",
    ],
)
def test_a_room_code_is_six_digits(code: str) -> None:
    world = World()
    world.session("ana")
    assert codes(world.say("ana", RoomJoin(code))) == ["INVALID_ROOM_CODE"]
    assert world.room_id("ana") is None


def test_of_several_reasons_to_keep_somebody_out_the_first_is_told() -> None:
    world = World(room_size_max=1)
    full = world.room("ana:zh")
    world.session("ben")
    assert codes(world.say("ana", RoomJoin("12"))) == ["INVALID_ROOM_CODE"]
    assert codes(world.say("ana", RoomJoin("000000"))) == ["ALREADY_IN_ROOM"]
    assert codes(world.say("ben", RoomJoin("000000"))) == ["ROOM_NOT_FOUND"]
    assert codes(world.say("ben", RoomJoin(full))) == ["ROOM_FULL"]


def test_a_room_may_have_a_largest_size() -> None:
    world = World(room_size_max=2)
    code = world.room("ana:zh", "ben:en")
    assert codes(world.join("cy:en", code)) == ["ROOM_FULL"]
    assert world.room_id("cy") is None
    world.leave("ben")
    assert codes(world.join("cy:en", code)) == []
    assert world.members("ana") == ["ana", "cy"]


def test_by_default_a_room_has_no_largest_size() -> None:
    world = World()
    code = world.room("ana:zh")
    for number in range(100):
        world.join(f"m{number}", code)
    assert len(world.members("ana")) == 101


def test_a_joiner_is_told_first_and_then_the_others_in_order_of_joining() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en")
    world.session("cy")
    since = len(world.sent)
    world.join("cy:ja", code)
    assert recipients(world, since, RoomMembers) == ["cy", "ana", "ben"]
    assert world.members("cy") == world.members("ana") == ["ana", "ben", "cy"]


# --- going out


def test_those_who_stay_are_told_of_a_leave_and_the_leaver_is_not() -> None:
    world = World()
    world.room("ana:zh", "ben:en", "cy:ja")
    since = len(world.sent)
    assert world.leave("ben") == []
    assert recipients(world, since, RoomMembers) == ["ana", "cy"]
    assert world.members("cy") == ["ana", "cy"]
    assert world.room_id("ben") is None


@pytest.mark.parametrize("how", ["drop", "close"])
def test_one_who_goes_altogether_has_left_the_room(how: str) -> None:
    world = World()
    world.room("ana:zh", "ben:en", "cy:ja")
    since = len(world.sent)
    getattr(world, how)("ben")
    assert recipients(world, since, RoomMembers) == ["ana", "cy"]
    assert world.members("ana") == ["ana", "cy"]


@pytest.mark.parametrize(
    "message",
    [
        RoomLeave("100002"),
        RoomLanguage("100002", "fr"),
        RoomRawVoicePreference("100002", "ben", False),
        WebrtcOffer("100002", "ben", "sdp"),
        WebrtcAnswer("100002", "ben", "sdp"),
        WebrtcIce("100002", "ben", "candidate"),
        RoomLeave("999999"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_about_a_room_one_is_not_in_changes_nothing(message: RoomLeave) -> None:
    world = World()
    world.room("ana:zh")
    world.room("ben:en")
    since = len(world.sent)
    assert codes(world.say("ana", message)) == ["ROOM_NOT_FOUND"]
    assert len(world.sent) == since + 1
    assert world.members("ana") == ["ana"]
    assert world.members("ben") == ["ben"]
    world.session("cy")
    assert codes(world.say("cy", message)) == ["ROOM_NOT_FOUND"]


def test_errors_about_rooms_are_room_errors() -> None:
    world = World()
    world.session("ana")
    (error,) = world.say("ana", RoomJoin("000000"))
    assert isinstance(error, RoomError)


def test_the_last_one_out_ends_the_room() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en")
    world.leave("ana")
    assert codes(world.join("cy:en", code)) == []
    for name in ("ben", "cy"):
        world.leave(name)
    assert codes(world.join("dan:en", code)) == ["ROOM_NOT_FOUND"]


def test_one_can_leave_and_join_again_and_is_last_in_the_order() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en")
    world.leave("ana")
    world.join("ana:ja", code)
    assert world.members("ben") == ["ben", "ana"]
    assert world.got("ben", RoomMembers)[-1].members[1].preferred_lang == "ja"


# --- changing one's mind


def test_a_change_of_language_is_shown_to_all() -> None:
    world = World()
    world.room("ana:zh", "ben:en")
    since = len(world.sent)
    world.language("ben", "fr")
    assert recipients(world, since, RoomMembers) == ["ana", "ben"]
    assert [m.preferred_lang for m in world.got("ana", RoomMembers)[-1].members] == ["zh", "fr"]
    world.language("ben", None)
    assert [m.preferred_lang for m in world.got("ana", RoomMembers)[-1].members] == ["zh", None]


def test_a_change_of_language_leaves_the_name_and_the_raw_voice_as_they_were() -> None:
    world = World()
    code = world.room("ana:zh")
    world.session("ben")
    world.say("ben", RoomJoin(code, "Ben", "en"))
    world.say("ben", RoomRawVoicePreference(code, "ana", False))
    world.code["ben"] = code
    joined_at = world.got("ana", RoomMembers)[-1].members[1].joined_at
    world.at(5)
    world.language("ben", "fr")
    ben = world.got("ana", RoomMembers)[-1].members[1]
    assert (ben.display_name, ben.joined_at, ben.raw_voice_preferences) == ("Ben", joined_at, {"ana": False})


def test_a_raw_voice_preference_is_shown_to_all() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    since = len(world.sent)
    world.say("ben", RoomRawVoicePreference(code, "ana", False))
    world.say("ben", RoomRawVoicePreference(code, "cy", True))
    assert recipients(world, since, RoomMembers) == ["ana", "ben", "cy"] * 2
    shown = world.got("cy", RoomMembers)[-1].members
    assert [m.raw_voice_preferences for m in shown] == [None, {"ana": False, "cy": True}, None]


def test_a_raw_voice_preference_about_somebody_outside_the_room_is_refused() -> None:
    world = World()
    code = world.room("ana:zh")
    world.room("ben:en")
    since = len(world.sent)
    assert codes(world.say("ana", RoomRawVoicePreference(code, "ben", False))) == ["INVALID_SESSION"]
    assert len(world.sent) == since + 1


def test_raw_voice_preferences_go_with_those_they_are_about() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    world.say("ben", RoomRawVoicePreference(code, "ana", False))
    world.leave("ana")
    assert world.got("cy", RoomMembers)[-1].members[0].raw_voice_preferences is None
    world.join("ana:zh", code)
    world.say("ana", WebrtcOffer(code, "ben", "sdp"))
    assert len(world.got("ben", WebrtcOffer)) == 1


def test_raw_voice_preferences_do_not_follow_one_into_another_room() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    world.say("ben", RoomRawVoicePreference(code, "ana", False))
    world.leave("ben")
    world.join("ben:en", code)
    assert world.got("ana", RoomMembers)[-1].members[-1].raw_voice_preferences is None
    world.say("ana", WebrtcOffer(code, "ben", "sdp"))
    assert len(world.got("ben", WebrtcOffer)) == 1


# --- signalling


@pytest.mark.parametrize("kind", [WebrtcOffer, WebrtcAnswer, WebrtcIce])
def test_signalling_goes_to_the_one_it_is_for_with_the_name_of_the_one_it_is_from(
    kind: type[WebrtcOffer | WebrtcAnswer | WebrtcIce],
) -> None:
    world = World()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    since = len(world.sent)
    assert world.say("ana", kind(code, "ben", "body")) == []
    assert world.sent[since:] == [((world.connection("ben"),), kind(code, "ana", "body"))]


def test_signalling_does_not_reach_one_who_declined_that_voice() -> None:
    world = World()
    code = world.room("ana:zh", "ben:en", "cy:ja")
    world.say("ben", RoomRawVoicePreference(code, "ana", False))
    since = len(world.sent)
    for kind in (WebrtcOffer, WebrtcAnswer, WebrtcIce):
        assert world.say("ana", kind(code, "ben", "body")) == []
    assert world.sent[since:] == []
    world.say("cy", WebrtcOffer(code, "ben", "cy's"))
    world.say("ben", WebrtcOffer(code, "ana", "ben's"))
    assert [offer.sdp for offer in world.got("ben", WebrtcOffer)] == ["cy's"]
    assert [offer.sdp for offer in world.got("ana", WebrtcOffer)] == ["ben's"], "he declined hers, not she his"
    world.say("ben", RoomRawVoicePreference(code, "ana", True))
    world.say("ana", WebrtcOffer(code, "ben", "again"))
    assert [offer.sdp for offer in world.got("ben", WebrtcOffer)] == ["cy's", "again"]


def test_signalling_never_leaves_the_room() -> None:
    world = World()
    code = world.room("ana:zh")
    world.room("ben:en")
    for to in ("ben", "nobody"):
        assert codes(world.say("ana", WebrtcOffer(code, to, "sdp"))) == ["INVALID_SESSION"]
    assert world.got("ben", WebrtcOffer) == []


# --- the end of a quiet room


def room_id_at(world: World, seconds: float) -> str | None:
    world.at(seconds)
    return world.room_id("ana")


def test_a_room_in_which_nothing_happens_is_ended_at_the_first_scan_after_its_time() -> None:
    world = World(room_expiry=100, room_scan_interval=60)
    world.at(10)
    code = world.room("ana:zh", "ben:en")
    assert room_id_at(world, 119.999_999) is not None, "its time was over at 110, nobody looked"
    assert room_id_at(world, 120) is None
    assert world.room_id("ben") is None
    for name in ("ana", "ben"):
        (notice,) = world.got(name, RoomExpired)
        assert notice.room_code == code
    assert codes(world.join("cy:en", code)) == ["ROOM_NOT_FOUND"]


def test_a_room_exactly_as_old_as_its_time_is_ended() -> None:
    world = World(room_expiry=120, room_scan_interval=60)
    world.room("ana:zh")
    assert room_id_at(world, 119) is not None
    assert room_id_at(world, 120) is None


@pytest.mark.parametrize(
    ("what", "moves"),
    [
        ("join", True),
        ("utterance", True),
        ("utterance nobody needs", True),
        ("utterance alone", True),
        ("utterance without a node", True),
        ("result", True),
        ("kept result", True),
        ("refused utterance", False),
        ("result for nobody", False),
        ("failure", False),
        ("leave", False),
        ("language", False),
        ("signalling", False),
        ("refused join", False),
        ("chunk", False),
    ],
)
def test_last_speaking_at_moves_with_speech_joins_and_results_and_nothing_else(what: str, moves: bool) -> None:
    """The room opens at 0 and ends at the scan of 120 s unless something at 50 s counted."""
    grace = 1000 if what == "kept result" else 0
    world = World(room_expiry=100, room_scan_interval=60, job_timeout=1000, reconnect_grace=grace)
    if what != "utterance without a node":
        world.node("n1")
    members = ["ana:zh"] if what == "utterance alone" else ["ana:zh", "ben:en", "cy:ja"]
    code = world.room(*members)
    world.session("dan", "zh", "en")
    if what in ("result", "kept result", "result for nobody", "failure", "refused utterance"):
        world.speak("ana", 5)
    world.at(50)
    if what == "join":
        world.join("dan:en", code)
    elif what in ("utterance", "utterance alone", "utterance without a node"):
        world.speak("ana")
    elif what == "utterance nobody needs":
        for name in ("ben", "cy"):
            world.language(name, None)
        world.speak("ana")
    elif what == "refused utterance":
        assert codes(world.speak("ana", 5)) == ["INVALID_MESSAGE"]
    elif what == "result":
        world.answer("ana#5>en")
    elif what == "kept result":
        world.drop("ben")
        world.answer("ana#5>en")
    elif what == "result for nobody":
        world.leave("ben")
        world.answer("ana#5>en")
    elif what == "failure":
        world.answer("ana#5>en", code="MODEL_CORRUPTED")
    elif what == "leave":
        world.leave("ben")
    elif what == "language":
        world.language("ben", "fr")
    elif what == "signalling":
        world.say("ana", WebrtcOffer(code, "ben", "sdp"))
    elif what == "refused join":
        assert codes(world.join("ana:zh", code)) == ["ALREADY_IN_ROOM"]
    elif what == "chunk":
        world.chunk("ana", "QUJD")
    assert (room_id_at(world, 120) is not None) is moves
    assert room_id_at(world, 180) is None


def test_results_of_jobs_without_the_room_do_not_keep_it_alive() -> None:
    world = World(room_expiry=100, room_scan_interval=60, job_timeout=1000)
    world.node("n1")
    world.session("ana")
    world.speak("ana")
    world.room("ana:zh", "ben:en")
    world.at(50)
    world.answer("ana#0>en")
    assert room_id_at(world, 120) is None


def test_rooms_end_in_the_order_of_their_creation() -> None:
    world = World(room_expiry=50, room_scan_interval=60)
    world.sources.codes.extend(["333333", "111111", "222222"])
    for name in ("ana", "ben", "cy"):
        world.room(f"{name}:en")
    since = len(world.sent)
    world.at(60)
    assert recipients(world, since, RoomExpired) == ["ana", "ben", "cy"]


def test_an_expired_rooms_jobs_end_and_keep_their_slots_until_answered() -> None:
    world = World(
        room_expiry=50,
        room_scan_interval=60,
        on_no_node="queue",
        waiting_time_max=100,
        max_hold=100,
        job_timeout=100,
    )
    world.node("n1", slots=3)
    world.room("ana:zh", "ben:en")
    world.at(5)
    for _ in range(4):
        world.speak("ana")
    world.answer("ana#1>en")  # held; its slot goes to the fourth
    world.speak("ana")  # waits
    assert world.counts()["living"] == 5
    world.at(60)
    assert world.ended() == {"no_recipient": 5}
    assert world.jobs_on("n1") == 3
    for index in (0, 2, 3):
        world.answer(f"ana#{index}>en")
    assert world.jobs_on("n1") == 0
    assert world.heard("ben") == []
    assert world.nodes_of("ana#4>en") == []
    assert world.scheduler.uncounted()["late"] == 3


def test_members_of_an_expired_room_are_free_to_go_elsewhere() -> None:
    world = World(room_expiry=50, room_scan_interval=60)
    world.node("n1")
    world.room("ana:zh", "ben:en")
    world.at(60)
    world.speak("ana")
    world.answer("ana#0>en")
    assert world.heard("ana") == ["ana#0>en"], "outside rooms now"
    world.room("ben:en", "ana:zh")
    assert world.members("ben") == ["ben", "ana"]


def test_a_room_that_ends_otherwise_does_not_expire() -> None:
    world = World(room_expiry=50, room_scan_interval=60)
    world.room("ana:zh")
    world.leave("ana")
    world.at(120)
    assert world.got("ana", RoomExpired) == []


def test_scans_of_rooms_happen_at_whole_multiples_of_their_interval_from_time_0() -> None:
    world = World(room_expiry=1, room_scan_interval=60, reconnect_grace=5)
    world.at(1000)
    world.room("ana:zh")
    world.session("ben")
    world.drop("ben")
    assert room_id_at(world, 1005) is not None  # the grace ends: woken, but not to look at rooms
    assert room_id_at(world, 1019.999_999) is not None
    assert room_id_at(world, 1020) is None


@pytest.mark.parametrize("jobs", ["single", "room"])
def test_attempts_of_an_ended_rooms_jobs_are_not_tried_again(jobs: str) -> None:
    world = World(job_timeout=10)
    world.node("n1")
    world.node("n2")
    world.room("ana:zh", "ben:en")
    world.speak("ana")
    world.leave("ana")
    world.leave("ben")
    if jobs == "room":
        world.lose("n1")
    world.at(100)
    assert world.nodes_of("ana#0>en") == ["n1"]
    assert world.errors("ana") == []
    assert (world.jobs_on("n1"), world.jobs_on("n2")) == (0, 0)
