"""Sessions: who speaks over which connection, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from simroom.scheduler.messages import (
    AudioChunk,
    ClientHeartbeat,
    Incoming,
    JobResult,
    RoomCreate,
    RoomJoin,
    RoomLeave,
    ServerHeartbeat,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    TtsPlayEnded,
    Utterance,
)

from .harness import World, codes, registration

OF_A_SESSION: dict[str, Callable[[str], Incoming]] = {
    "utterance": lambda session_id: Utterance(session_id, 0, False, "", "", "", "pcm16", 16_000),
    "audio_chunk": lambda session_id: AudioChunk(session_id, 0, True, "QUJD"),
    "client_heartbeat": lambda session_id: ClientHeartbeat(session_id, 5),
    "tts_play_ended": lambda session_id: TtsPlayEnded(session_id, "t", "g", 5),
    "session_close": lambda session_id: SessionClose(session_id, "done"),
}
"""Messages that name a session."""
INIT = SessionInit("1", "web", "zh", "en")


def test_a_session_is_acknowledged_with_its_id_and_a_token() -> None:
    world = World()
    (ack,) = world.session("ana", trace_id="t-1")
    assert isinstance(ack, SessionInitAck)
    assert (ack.session_id, ack.trace_id, ack.resume_token) == ("ana", "t-1", "secret-1")
    assert ack.assigned_node_id is None
    (other,) = world.session("bob")
    assert other.resume_token != ack.resume_token


@pytest.mark.parametrize(
    "message",
    [*(make("ana") for make in OF_A_SESSION.values()), RoomCreate(0), RoomJoin("123456"), RoomLeave("123456")],
    ids=lambda message: type(message).__name__,
)
def test_before_its_session_init_a_connection_may_say_nothing_else(message: Incoming) -> None:
    world = World()
    world.session("ana")
    connection = world.connect("session")
    assert codes(world.send(connection, message)) == ["INVALID_SESSION"]
    assert codes(world.send(connection, INIT)) == [], "the connection stays"
    assert codes(world.say("ana", RoomCreate(0))) == []


def test_a_second_session_init_is_refused_and_changes_nothing() -> None:
    world = World()
    world.node("n1")
    world.session("ana", "zh", "en")
    assert codes(world.say("ana", SessionInit("1", "web", "zh", "ja"))) == ["INVALID_MESSAGE"]
    world.speak("ana")
    assert world.nodes_of("ana#0>en") == ["n1"]


@pytest.mark.parametrize("kind", OF_A_SESSION)
def test_a_message_that_names_another_session_is_refused_and_changes_nothing(kind: str) -> None:
    world = World()
    world.node("n1")
    world.session("ana")
    world.session("bob")
    before = len(world.sent)
    assert codes(world.say("ana", OF_A_SESSION[kind]("bob"))) == ["INVALID_SESSION"]
    assert codes(world.say("ana", OF_A_SESSION[kind]("nobody"))) == ["INVALID_SESSION"]
    assert len(world.sent) == before + 2
    assert world.counts()["created"] == 0
    for name in ("ana", "bob"):
        assert codes(world.speak(name)) == [], "both go on as if nothing had been"


def test_a_session_that_closes_is_acknowledged_and_gone() -> None:
    world = World()
    world.session("ana")
    before = world.scheduler.entry_count()
    (ack,) = world.close("ana")
    assert ack == SessionCloseAck("ana")
    assert world.scheduler.entry_count() == before - 1
    world.drop("ana")
    assert world.scheduler.entry_count() == before - 2


@pytest.mark.parametrize(
    "message",
    [*(make("ana") for make in OF_A_SESSION.values()), RoomCreate(0), INIT],
    ids=lambda message: type(message).__name__,
)
def test_after_it_has_closed_a_session_may_say_nothing_more(message: Incoming) -> None:
    world = World()
    world.session("ana")
    world.close("ana")
    assert codes(world.say("ana", message)) == ["SESSION_CLOSED"]


def test_closing_is_final_even_within_a_grace() -> None:
    world = World(reconnect_grace=20)
    world.room("ana:zh", "ben:en")
    world.close("ana")
    assert world.members("ben") == ["ben"]


def test_an_unknown_pairing_code_makes_no_session_and_one_may_try_again() -> None:
    world = World(pairing={"1234": "n1"})
    connection = world.connect("session")
    before = world.scheduler.entry_count()
    assert codes(world.send(connection, SessionInit("1", "web", "zh", "en", pairing_code="9"))) == [
        "INVALID_PAIRING_CODE"
    ]
    assert world.scheduler.entry_count() == before
    (ack,) = world.send(connection, SessionInit("1", "web", "zh", "en", pairing_code="1234"))
    assert ack.assigned_node_id == "n1"


def test_a_sign_of_life_is_answered() -> None:
    world = World()
    world.session("ana")
    assert world.say("ana", ClientHeartbeat("ana", 77)) == [ServerHeartbeat("ana", 77)]


def test_the_end_of_a_playback_is_taken_note_of_silently() -> None:
    world = World()
    world.session("ana")
    assert world.say("ana", TtsPlayEnded("ana", "t", "g", 5)) == []


@pytest.mark.parametrize("message", [registration("n1"), JobResult("j", "n", "ana", 0, True, "t")])
def test_what_only_nodes_send_is_refused_from_a_session(message: Incoming) -> None:
    world = World()
    world.session("ana")
    assert codes(world.say("ana", message)) == ["INVALID_MESSAGE"]
    assert world.scheduler.where("zh", "en") == []
    fresh = world.connect("session")
    assert codes(world.send(fresh, message)) == ["INVALID_SESSION"]


def test_a_node_path_makes_no_sessions() -> None:
    world = World()
    connection = world.connect("node")
    assert codes(world.send(connection, INIT)) == ["INVALID_MESSAGE"]


def test_a_connection_that_closes_before_it_said_anything_leaves_nothing() -> None:
    world = World()
    for kind in ("session", "node"):
        connection = world.connect(kind)
        world.disconnect(connection)
    assert world.scheduler.entry_count() == 0


def test_an_utterance_too_long_for_anybody_is_refused() -> None:
    world = World()
    world.node("n1")
    world.session("ana")
    piece = "QUJD" * 2_500_000  # 10 MB
    answers = [world.chunk("ana", piece) for _ in range(4)]
    assert [codes(answer) for answer in answers] == [[], [], [], ["INVALID_MESSAGE"]]
    assert codes(world.chunk("ana", "QUJD", final=True)) == [], "its tail ends it, and is no utterance"
    assert not world.given
    world.chunk("ana", "QUJD", final=True)
    assert world.given["ana#0>en"][0].assign.audio == "QUJD", "nothing of it is kept"


def test_a_chunk_costs_the_same_however_many_came_before_it() -> None:
    """Whoever sends a long utterance in tiny pieces must not slow everybody down."""
    world = World()
    world.session("ana")
    connection, chunk = world.connection("ana"), AudioChunk("ana", 0, False, "QUJD")

    def time_of(count: int) -> float:
        before = process_time()
        for _ in range(count):
            world.scheduler.received(connection, chunk, 0)
        return process_time() - before

    first = time_of(500)
    time_of(9_000)
    assert time_of(500) < 8 * first
