"""Random histories: joins, drops, speech, answers, losses and time in any order, judged at every message.

The world keeps its own account of who is in which room, from the rules alone, and holds each result to it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simroom.scheduler.messages import JobAssign, RoomExpired, SessionInitAck, TranslationResult

from .harness import World

PEOPLE = ("ana", "ben", "cy", "dan", "eve")
LANGS = ("en", "en", "en", "ja", "zh", None)
NODES = ("n1", "n2")
MOVES = ("join", "join", "join", "join", "leave", "change_language", "drop", "close", "come_back", "come_back")
TROUBLE = ("restart", "restart", "restart", "restart", "lose", "drain", "sick", "silence")
SLOTS = {"n1": 4, "n2": 6}

policies = st.fixed_dictionaries(
    {
        "ordering": st.sampled_from(["strict", "gap", "none"]),
        "late": st.sampled_from(["drop", "deliver"]),
        "on_no_node": st.sampled_from(["reject", "queue"]),
        "same_language": st.sampled_from(["skip", "translate"]),
        "fan_out": st.sampled_from(["per_language", "session_target"]),
        "tie_break": st.sampled_from(["first", "rotate", "random"]),
        "sticky": st.sampled_from(["none", "session", "room"]),
        "cancel": st.sampled_from(["never", "moot"]),
        "ui_events": st.sampled_from(["errors", "all"]),
        "max_attempts": st.sampled_from([1, 2, 3]),
        "reconnect_grace": st.sampled_from([0, 0.5, 4]),
        "max_hold": st.sampled_from([0.5, 3]),
        "job_timeout": st.sampled_from([0.5, 2, 6]),
        "abandon_after": st.sampled_from([0.5, 8]),
        "waiting_time_max": st.sampled_from([1, 6]),
        "waiting_count_max": st.sampled_from([1, 1000]),
        "kept_count_max": st.sampled_from([1, 256]),
        "room_expiry": st.sampled_from([5, 1800]),
        "room_scan_interval": st.sampled_from([4, 60]),
        "room_size_max": st.sampled_from([3, None]),
    }
)


class JudgedWorld(World):
    """A world that knows by itself who is where, and judges every result as it is sent."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.room_of: dict[str, int] = {}
        """The room of each member, by a number of our own; in order of joining."""
        self.lang_of: dict[str, str | None] = {}
        self.away: dict[str, int] = {}
        """When the grace of each detached session is over."""
        self.spoken: dict[str, tuple[int | None, str]] = {}
        """Room (None: to the speaker alone) and speaker of each utterance."""
        self.delivered: set[tuple[str, str]] = set()
        self.last_sent: dict[tuple[str, int | None, str | None], int] = {}
        """Index of the last result sent for each speaker, room and language."""
        self.resuming: str | None = None
        """Who is just coming back and gets what was kept."""

    def others_in_room(self, name: str) -> list[str]:
        room = self.room_of.get(name)
        return [
            other for other, theirs in self.room_of.items() if theirs == room and other != name and room is not None
        ]

    def left(self, name: str) -> None:
        self.room_of.pop(name, None)
        self.lang_of.pop(name, None)

    def _end_graces(self) -> None:
        for name, over_at in list(self.away.items()):
            if over_at <= self.now:
                del self.away[name]
                self.left(name)

    def wake(self) -> None:
        self._end_graces()  # comes before anything else that is due and could send a result
        super().wake()
        for name in [name for name in self.away if self.scheduler.rooms.find_room_by_session(name) is None]:
            self.left(name)  # a room with nobody connected has expired unseen

    def _take(self, sent: list[tuple[tuple[int, ...], Any]]) -> None:
        for to, message in sent:
            if isinstance(message, RoomExpired):
                for connection in to:
                    room = self.room_of.get(self.names[connection])
                    for name in [name for name, theirs in self.room_of.items() if theirs == room]:
                        self.left(name)
            elif isinstance(message, TranslationResult):
                self._judge([self.names[connection] for connection in to], message)
        super()._take(sent)
        for to, message in sent:
            if isinstance(message, JobAssign):
                assert self.status(self.names[to[0]]) == "ready", "only a ready node gets a job"
        for name in NODES:
            if name in self.workers:
                assert 0 <= self.jobs_on(name) <= SLOTS[name], "slots in use are in 0..slots"

    def _judge(self, to: list[str], message: TranslationResult) -> None:
        utterance = f"{message.session_id}#{message.utterance_index}"
        room, speaker = self.spoken[utterance]
        if room is None:
            expected = [speaker]
        else:
            expected = [
                name
                for name, theirs in self.room_of.items()
                if theirs == room and self.lang_of[name] == message.tgt_lang and name not in self.away
            ]
        if self.resuming is None:
            assert to == expected, "the recipients are the room's members with that language now, all of them"
            if self.settings.ordering != "none" and self.settings.late == "drop":
                key = (speaker, room, message.tgt_lang)
                assert message.utterance_index > self.last_sent.get(key, -1), "in the order of the utterances"
                self.last_sent[key] = message.utterance_index
        else:
            assert to == [self.resuming]
            assert set(to) <= set(expected)
        for name in to:
            assert (message.job_id, name) not in self.delivered, "nobody gets a result twice"
            self.delivered.add((message.job_id, name))


class RandomHistory(RuleBasedStateMachine):
    """What may happen, at any time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = JudgedWorld()
        self.rooms: dict[int, str] = {}
        self.next_room = 0
        self.connected: set[str] = set()
        self.born: dict[str, int] = {}
        """How often each person has come: each time as a new session."""
        self.answered: set[tuple[str, int]] = set()

    @initialize(policy=policies, langs=st.lists(st.sampled_from(LANGS), min_size=2, max_size=5))
    def begin(self, policy: dict[str, Any], langs: list[str | None]) -> None:
        self.world = JudgedWorld(**policy)
        for name in NODES:
            self.world.node(name, slots=SLOTS[name])
        for person, lang in zip(PEOPLE, langs, strict=False):
            self.join(person, lang, 0)

    def name(self, person: str) -> str:
        return f"{person}{self.born.get(person, 0)}"

    def here(self, person: str) -> bool:
        return self.name(person) in self.connected

    def join(self, person: str, lang: str | None, choice: int) -> None:
        """Somebody enters a room, opening a session or a room where there is none."""
        world = self.world
        if not self.here(person):
            if self.name(person) in world.away:
                return
            self.born[person] = self.born.get(person, 0) + 1
            world.session(self.name(person), "zh", "en")
            self.connected.add(self.name(person))
        name = self.name(person)
        if name in world.room_of:
            return
        living = sorted(set(world.room_of.values()))
        suffix = f":{lang}" if lang else ""
        if not living or choice > len(living):
            self.next_room += 1
            world.room_of[name] = self.next_room
            world.lang_of[name] = lang
            self.rooms[self.next_room] = world.room(f"{name}{suffix}")
        else:
            room = living[choice % len(living)]
            size_max = world.settings.room_size_max
            members = [other for other, theirs in world.room_of.items() if theirs == room]
            if size_max is None or len(members) < size_max:
                world.room_of[name] = room
                world.lang_of[name] = lang
            world.join(f"{name}{suffix}", self.rooms[room])

    def leave(self, person: str) -> None:
        name = self.name(person)
        if self.here(person) and name in self.world.room_of:
            self.world.left(name)
            self.world.leave(name)

    def change_language(self, person: str, lang: str | None) -> None:
        name = self.name(person)
        if self.here(person) and name in self.world.room_of:
            self.world.lang_of[name] = lang
            self.world.language(name, lang)

    def drop(self, person: str) -> None:
        world, name = self.world, self.name(person)
        if self.here(person):
            self.connected.discard(name)
            if world.settings.reconnect_grace:
                world.away[name] = world.now + world.settings.reconnect_grace
            else:
                world.left(name)
            world.drop(name)

    def close(self, person: str) -> None:
        world, name = self.world, self.name(person)
        if self.here(person):
            self.connected.discard(name)
            world.left(name)
            world.close(name)
            world.drop(name)

    def come_back(self, person: str) -> None:
        """Within the grace, or before the old connection has closed."""
        world, name = self.world, self.name(person)
        if name in world.away or self.here(person):
            old = world.connection(name) if self.here(person) else None
            world.away.pop(name, None)
            world.resuming = name
            answer = world.resume(name)
            world.resuming = None
            assert isinstance(answer[0], SessionInitAck)
            self.connected.add(name)
            if old is not None:
                world.disconnect(old)

    def speak(self, person: str, src: str = "") -> None:
        world, name = self.world, self.name(person)
        if self.here(person):
            room = world.room_of.get(name) if world.others_in_room(name) else None
            world.spoken[f"{name}#{world.next_index(name)}"] = (room, name)
            before = world.counts()["created"]
            world.speak(name, src=src)
            assert world.counts()["created"] - before == self.job_count(name, room, src or "zh")

    def job_count(self, name: str, room: int | None, src: str) -> int:
        """How many jobs an utterance makes."""
        settings = self.world.settings
        skipped = {src} if settings.same_language == "skip" else set()
        if room is None:
            return 1
        if settings.fan_out == "session_target":
            return len({"en"} - skipped)
        return len({self.world.lang_of[other] for other in self.world.others_in_room(name)} - {None} - skipped)

    def answer(self, which: int, code: str | None = None) -> None:
        """An attempt that is not answered yet; beyond those, one that is, once more."""
        world = self.world
        attempts = [(job, given.attempt) for job, all_given in world.given.items() for given in all_given]
        todo = [key for key in attempts if key not in self.answered] + attempts[-1:]
        todo = [(job, number) for job, number in todo if self.connection_of(job, number) in world.open]
        if todo:
            job, number = todo[which % len(todo)]
            self.answered.add((job, number))
            world.answer(job, attempt=number, code=code)

    def connection_of(self, job: str, attempt: int) -> int:
        return self.world.workers[self.world.given[job][attempt - 1].node].connection

    # --- what may happen

    @rule(person=st.sampled_from(PEOPLE), what=st.sampled_from(MOVES), lang=st.sampled_from(LANGS), n=st.integers(0, 4))
    def somebody_moves(self, person: str, what: str, lang: str | None, n: int) -> None:
        if what == "join":
            self.join(person, lang, n)
        elif what == "change_language":
            self.change_language(person, lang)
        else:
            getattr(self, what)(person)

    @rule(people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4), src=st.sampled_from(["", "", "en", "auto"]))
    def some_speak(self, people: list[str], src: str) -> None:
        for person in people:
            self.speak(person, src)

    @rule(which=st.lists(st.integers(0, 5), min_size=1, max_size=6))
    def some_are_answered(self, which: list[int]) -> None:
        for number in which:
            self.answer(number)

    @rule(
        people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5),
        seconds=st.sampled_from([0, 0.1, 0.6]),
        which=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    )
    def a_conversation(self, people: list[str], seconds: float, which: list[int]) -> None:
        """Some speak, the nodes work, and answer in any order."""
        self.some_speak(people, "")
        self.world.run(seconds)
        self.some_are_answered(which)

    @rule(which=st.integers(0, 5), code=st.sampled_from(["NODE_OVERLOADED", "MODEL_CORRUPTED"]))
    def one_fails(self, which: int, code: str) -> None:
        self.answer(which, code)

    @rule(seconds=st.sampled_from([0.1, 0.5, 0.5, 1, 3, 9]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(name=st.sampled_from(NODES), how=st.sampled_from(TROUBLE))
    def a_node_has_trouble(self, name: str, how: str) -> None:
        """Or, more often, is put right again."""
        world = self.world
        online = world.workers[name].connection in world.open
        if online and how == "sick":
            for _ in range(3):
                world.load(name, gpu=None)
            world.load(name)
        elif online and how == "drain":
            world.drain(name)
        elif online and how == "silence":
            world.silence(name)
        else:
            if online:
                world.lose(name)
            if how != "lose":
                world.node(name, slots=SLOTS[name])

    @precondition(lambda self: self.world.workers)
    @invariant()
    def rooms_are_as_we_think(self) -> None:
        for name in sorted(self.connected):
            room = self.world.scheduler.rooms.find_room_by_session(name)
            number = self.world.room_of.get(name)
            assert (room is None) == (number is None)
            if room is not None and number is not None:
                assert room.room_code == self.rooms[number]
                assert list(room.members) == [n for n, theirs in self.world.room_of.items() if theirs == number]

    def teardown(self) -> None:
        """Everybody goes, every node answers or is lost: nothing is left."""
        world = self.world
        if not world.workers:
            return
        for name in sorted(self.connected):
            world.drop(name)
            if world.settings.reconnect_grace:
                world.away[name] = world.now + world.settings.reconnect_grace
            else:
                world.left(name)
        world.run(200)
        for name in NODES:
            if world.workers[name].connection in world.open:
                world.lose(name)
        world.run(60)
        assert world.open == {}
        assert world.counts()["living"] == 0
        assert world.scheduler.entry_count() == 0
        assert world.scheduler.next_deadline is None


TestRandomHistories = RandomHistory.TestCase
TestRandomHistories.settings = hypothesis_settings(
    max_examples=200, stateful_step_count=40, derandomize=True, deadline=None, database=None
)
