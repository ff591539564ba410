"""Memory is bounded by what lives, never by what has been."""

from __future__ import annotations

import gc
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import pytest

from simroom.scheduler.messages import (
    NodeHeartbeat,
    RoomCreate,
    RoomJoin,
    RoomLeave,
    SessionInit,
    Utterance,
)
from simroom.scheduler.scheduler import Scheduler

from .harness import FakeSources, World, registration, settings_of, usage

CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def reachable_count(root: object) -> int:
    """How many objects can be reached from ``root``, code and what is shared with the tests left out."""
    seen = {id(root)}
    stack: list[object] = [root]
    while stack:
        for found in gc.get_referents(stack.pop()):
            if id(found) not in seen and not isinstance(found, (*CODE, FakeSources)):
                seen.add(id(found))
                stack.append(found)
    return len(seen)


class Bare:
    """A scheduler without anybody who remembers what it said."""

    def __init__(self, **settings: object) -> None:
        self.sources = FakeSources()
        self.scheduler = Scheduler(settings_of(**settings), self.sources)
        self.now = 0
        self._last = 0

    def connect(self, kind: str) -> int:
        self._last += 1
        self.scheduler.opened(self._last, kind, self.now)
        return self._last

    def session(self) -> tuple[int, str]:
        connection = self.connect("session")
        ((_, ack),) = self.scheduler.received(connection, SessionInit("1", "web", "zh", "en"), self.now)
        return connection, ack.session_id

    def tell(self, connection: int, message: object) -> list:
        return self.scheduler.received(connection, message, self.now)

    def close(self, connection: int) -> None:
        self.scheduler.closed(connection, self.now)


def test_ten_thousand_rooms_that_opened_and_ended_leave_nothing() -> None:
    """colyseus/colyseus#386, socketio/socket.io#1599: empty rooms and what hung on them stayed."""
    bare = Bare()
    ana, ben = bare.session()[0], bare.session()[0]
    sizes = []
    for count in (10, 9_990):
        for _ in range(count):
            (_, ack), _ = bare.tell(ana, RoomCreate(0, preferred_lang="zh"))
            bare.tell(ben, RoomJoin(ack.room_code, preferred_lang="en"))
            bare.tell(ana, RoomLeave(ack.room_code))
            bare.tell(ben, RoomLeave(ack.room_code))
        sizes.append(reachable_count(bare.scheduler))
    assert sizes[0] == sizes[1]
    assert bare.scheduler.entry_count() == 4  # two sessions, two connections


def test_ten_thousand_joins_and_leaves_leave_a_room_as_it_was() -> None:
    """versatica/mediasoup#463: something of each member was not removed when they left."""
    bare = Bare()
    ana, ben = bare.session()[0], bare.session()[0]
    (_, ack), _ = bare.tell(ana, RoomCreate(0, preferred_lang="zh"))
    sizes = []
    for count in (10, 9_990):
        for _ in range(count):
            bare.tell(ben, RoomJoin(ack.room_code, preferred_lang="en"))
            bare.tell(ben, RoomLeave(ack.room_code))
        sizes.append(reachable_count(bare.scheduler))
    assert sizes[0] == sizes[1]


def test_speakers_who_come_and_go_leave_nothing_in_a_room_that_lives_on() -> None:
    world = World()
    world.node("n1", slots=100)
    code = world.room("ana:en", "ben:ja")
    sizes = []
    serial = 0
    for count in (5, 60):
        for _ in range(count):
            serial += 1
            name = f"guest{serial}"
            world.join(f"{name}:zh", code)
            for index in (0, 1):
                world.speak(name)
                for lang in ("en", "ja"):
                    world.answer(f"{name}#{index}>{lang}")
            world.close(name)
            world.drop(name)
        sizes.append(reachable_count(world.scheduler))
    assert abs(sizes[1] - sizes[0]) <= 8, "counters above 256 are objects of their own"


def test_sessions_that_came_and_went_leave_nothing() -> None:
    bare = Bare(reconnect_grace=0)
    sizes = []
    for count in (10, 2_000):
        for _ in range(count):
            bare.close(bare.session()[0])
        sizes.append(reachable_count(bare.scheduler))
    assert sizes[0] == sizes[1]
    assert bare.scheduler.entry_count() == 0


@pytest.mark.parametrize("ordering", ["gap", "strict", "none"])
def test_jobs_that_ended_leave_nothing(ordering: str) -> None:
    world = World(ordering=ordering, job_timeout=1, abandon_after=1, max_hold=1, on_no_node="queue", waiting_time_max=1)
    world.node("n1", slots=8)
    world.room("ana:zh", "ben:en", "cy:ja")
    sizes = []
    serial = 0
    for rounds in (3, 40):
        for _ in range(rounds):
            for _ in range(6):
                world.speak("ana")
            jobs = list(world.given)
            world.answer(jobs[1])
            world.answer(jobs[2], code="MODEL_CORRUPTED")
            world.answer(jobs[4])
            world.run(2)
            for job in jobs[5:]:
                world.answer(job)
            world.run(10)
            world.given.clear()
            serial += 1
        assert world.counts()["living"] == 0
        sizes.append(reachable_count(world.scheduler))
    assert abs(sizes[1] - sizes[0]) <= 8, "counters above 256 are objects of their own"
    assert sum(world.ended().values()) == serial * 12


def test_jobs_that_waited_in_vain_leave_nothing_while_others_still_wait() -> None:
    """No node at all, and always somebody waiting."""
    world = World(on_no_node="queue", waiting_time_max=2)
    world.session("ana")
    sizes = []
    for until in (20, 300):
        while world.now < until * 1_000_000:
            world.run(1)
            world.speak("ana")
        sizes.append(reachable_count(world.scheduler))
    assert world.counts()["living"] == 2
    assert abs(sizes[1] - sizes[0]) <= 8, "counters above 256 are objects of their own"


def test_languages_that_clients_make_up_are_not_remembered_without_end() -> None:
    """Clients choose the tags; what is remembered of them must be bounded."""
    bare = Bare()
    node = bare.connect("node")
    bare.tell(node, registration("n1"))
    for _ in range(3):
        bare.tell(node, NodeHeartbeat("n1", 0, usage()))
    ana, session_id = bare.session()
    for serial in range(100_000):
        bare.tell(ana, Utterance(session_id, serial, False, "zh", f"x{serial}", "", "pcm16", 16_000))
    # A cache without a bound would hold a key, a spelling and a tag for each.
    assert reachable_count(bare.scheduler) < 150_000


def test_nodes_that_come_back_under_their_id_leave_nothing_behind() -> None:
    bare = Bare()
    sizes = []
    for count in (5, 500):
        for _ in range(count):
            node = bare.connect("node")
            bare.tell(node, registration("n1"))
            for _ in range(5):
                bare.tell(node, NodeHeartbeat("n1", 0, usage()))
            bare.close(node)
        sizes.append(reachable_count(bare.scheduler))
    assert sizes[0] == sizes[1]
    assert bare.scheduler.entry_count() == 0


def test_after_everything_has_ended_nothing_is_remembered() -> None:
    """Held, waiting, running, timed out, kept, detached: one of each, then all go."""
    world = World(
        reconnect_grace=5, on_no_node="queue", waiting_time_max=500, max_hold=500, job_timeout=3, abandon_after=500,
        max_attempts=1, sticky="room", membership="both",
    )  # fmt: skip
    fresh = reachable_count(world.scheduler)
    world.node("n1", slots=4)
    world.room("ana:zh", "ben:en", "cy:ja")
    world.session("dan")
    world.speak("dan")  # times out, is never answered
    world.at(3)
    world.drop("cy")
    world.speak("ana")  # en, ja
    world.answer("ana#0>ja")  # kept for cy
    world.speak("ana")
    world.answer("ana#1>en")  # held
    world.speak("ana")  # one runs, one waits
    world.speak("ana")
    assert world.scheduler.entry_count() > 12
    for name in ("ana", "ben", "dan"):
        world.close(name)
        world.drop(name)
    assert world.scheduler.entry_count() > 0
    world.at(8)  # cy's grace
    world.lose("n1")
    assert world.scheduler.entry_count() == 0
    assert world.counts()["living"] == 0
    assert world.scheduler.next_deadline is None or world.scheduler.next_deadline > 0
    world.at(600)
    assert world.scheduler.next_deadline is None
    # What is left is the node that was once here and caches of its languages: nothing for each session or job.
    assert reachable_count(world.scheduler) < fresh + 250
