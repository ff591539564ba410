"""From a scenario's rooms and sessions to clients that live in virtual time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from simroom.oracle.ledger import Ledger
from simroom.scenario.distributions import Distribution
from simroom.scenario.people import Change, Close, Drop, Leave, Member, MemberEvent, SessionEvent, SessionGroup
from simroom.scenario.problems import Problem, ScenarioError
from simroom.scenario.rooms import Room
from simroom.scenario.rttm import read_rttm
from simroom.scenario.schema import Scenario
from simroom.scenario.script import late_joiners
from simroom.scenario.speech import Arrivals, Meeting, Script, Trace, TurnTaking
from simroom.scenario.traces import read_arrivals
from simroom.sim.clients import Client
from simroom.sim.engine import Engine
from simroom.sim.person import Person, person
from simroom.sim.port import Port
from simroom.sim.room import SimRoom
from simroom.sim.talk import ListedTalk, Spoken, TurnTalk, arriving
from simroom.sim.ties import TurnsOnGrid, on_grid, rounded_up
from simroom.workload.arrivals import dealt, gaps_of, renewals, traced
from simroom.workload.distributions import Sampler, Samplers
from simroom.workload.meeting import utterances_of
from simroom.workload.streams import Stream, mix, stream_key
from simroom.workload.turn_taking import Pace, pace_of
from simroom.workload.turn_taking import TurnTaking as Talk

JOINING_TIME: Final = 10_000_000
"""How long before time 0 the first people connect, where the scenario does not say when."""
JOINED_TIME: Final = 2_000_000
"""How long before time 0 the last of them do: one room after the other, evenly, in the order of the scenario."""
_CLIENT: Final = 1
_TALK: Final = 2
_LENGTH: Final = 3
_ARRIVAL: Final = 4
_JOIN: Final = 5
_EVENT: Final = 6
_SHIFT: Final = 7


class Population:
    """Makes the clients and sets them going.

    Attributes:
        clients: All of them, in the order of the scenario.
        room_sizes: Members of each room, by its number in the ledger.
        room_groups: The scenario's name for its kind, by its number in the ledger.
        streams: The rooms' and sessions' own chance, in the order of the scenario.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        engine: Engine,
        port: Port,
        ledger: Ledger,
        samplers: Samplers,
        *,
        touched: frozenset[str] = frozenset(),
        grid: int = 1,
    ) -> None:
        """Make nobody yet.

        Args:
            scenario: Who there is.
            seed: The run's.
            engine: Where time passes; it is at 0.
            port: Where the scheduler is.
            ledger: Where utterances are noted.
            samplers: Where spans are drawn from.
            touched: Names of those whom a fault or the script can do anything with.
            grid: Speech ends, and people join, on multiples of it; 1: anywhere.
        """
        self._scenario = scenario
        self._seed = seed
        self._engine = engine
        self._port = port
        self._ledger = ledger
        self._samplers = samplers
        self._gaps: dict[object, Sampler] = {}
        self._time_zero = scenario.lead_in
        self._until = scenario.lead_in + scenario.duration
        self._resumable = scenario.scheduler.settings().reconnect_grace > 0
        self._secret = stream_key(seed, "payload/secret")
        self._touched = touched
        self._late_joiners = late_joiners(scenario.script)
        self._grid = grid
        self.clients: list[Client] = []
        self.room_sizes: list[int] = []
        self.room_groups: list[str] = []
        self.streams: list[Stream] = []
        self._party_count = sum(group.count for group in (*scenario.rooms, *scenario.sessions))
        self._party = 0

    def settle(self) -> None:
        """Make everybody and plan what they do."""
        for room in self._scenario.rooms:
            self._settle_rooms(room)
        for group in self._scenario.sessions:
            self._settle_sessions(group)

    # --- rooms

    def _settle_rooms(self, group: Room) -> None:
        key = stream_key(self._seed, f"room/{group.name}")
        meeting = self._meeting_of(group)
        roster = group.roster()
        persons = [_person_of(member) for member in roster]
        pace = None
        if isinstance(group.speech, TurnTaking):
            pace = self._pace(group, group.speech)
        for number in range(group.count):
            name = group.name if group.count == 1 else f"{group.name}-{number + 1}"
            room_key = mix(key, number)
            room = SimRoom(name, self._ledger.rooms.number(name))
            self.room_sizes.append(len(roster))
            self.room_groups.append(group.name)
            clients = [
                self._client(f"{name}/{member.name}", persons[position], room, mix(room_key, _CLIENT, position), member)
                for position, member in enumerate(roster)
            ]
            self._set_talking(group, room, clients, roster, pace, meeting, room_key)
            self._party += 1

    def _pace(self, group: Room, speech: TurnTaking) -> Pace:
        try:
            return pace_of(
                self._samplers.of(speech.utterance),
                silence=speech.silence,
                overlap=speech.overlap,
                longest=speech.longest,
            )
        except ValueError as error:
            found = f"silence {speech.silence:.1%} and overlap {speech.overlap:.1%}"
            path = f"rooms.{group.name}.speech.turn_taking"
            expected = f"shares that can be had ({error})"
            raise ScenarioError([Problem(self._scenario.source, 1, 1, path, found, expected)]) from error

    def _meeting_of(self, group: Room) -> list[tuple[str, int, int]] | None:
        """The utterances of the group's meeting file as (speaker, start, end) from its beginning; None: no meeting."""
        speech = group.speech
        if not isinstance(speech, Meeting):
            return None
        segments = read_rttm(self._scenario.path(speech.meeting))
        spoken = utterances_of(segments, longest=speech.longest, begin=speech.start, end=speech.end)
        return [(each.speaker, each.started_at, each.ended_at) for each in spoken]

    def _set_talking(
        self,
        group: Room,
        room: SimRoom,
        clients: list[Client],
        roster: tuple[Member, ...],
        pace: Pace | None,
        meeting: list[tuple[str, int, int]] | None,
        key: int,
    ) -> None:
        if pace is not None:
            stream = Stream(mix(key, _TALK))
            self.streams.append(stream)
            weights = [member.talks for member in roster]
            talk = TurnTalk(self._engine, clients, self._turns(stream, weights, pace), self._until)
            room.on_presence = talk.presence
            self._engine.call_at(self._time_zero, talk.begin)
        elif meeting is not None and isinstance(group.speech, Meeting):
            shift = self._samplers.of(group.speech.shift)(mix(key, _SHIFT))
            by_name = {member.name: client for member, client in zip(roster, clients, strict=True)}
            self._tell(((by_name[name], begun, ended) for name, begun, ended in meeting), shift)
        elif isinstance(group.speech, Script):
            by_name = {member.name: client for member, client in zip(roster, clients, strict=True)}
            self._tell(_scripted(group.speech, by_name, clients[0]), 0)

    def _turns(self, stream: Stream, weights: Sequence[float], pace: Pace) -> Talk:
        if self._grid == 1:
            return Talk(stream, weights, pace, started_at=self._time_zero, present=False)
        return TurnsOnGrid(stream, weights, pace, started_at=self._time_zero, grid=self._grid)

    def _tell(self, spoken: Iterator[Spoken], shift: int) -> None:
        """Have it spoken, from time 0 plus ``shift`` on, as far as it ends within the scenario's duration."""
        begin = self._time_zero + shift
        moved = ((client, begin + begun, begin + ended) for client, begun, ended in spoken)
        self._listen(moved if self._grid > 1 else (each for each in moved if each[2] <= self._until))

    def _listen(self, spoken: Iterator[Spoken]) -> None:
        """Have it spoken, in order of the ends, which are on the engine's clock and are put on the grid."""
        if self._grid > 1:
            spoken = on_grid(spoken, self._grid, self._until)
        self._engine.call_at(self._time_zero, ListedTalk(self._engine, spoken).begin)

    # --- sessions outside rooms

    def _settle_sessions(self, group: SessionGroup) -> None:
        key = stream_key(self._seed, f"session/{group.name}")
        somebody = person(
            src_lang=group.src_lang,
            tgt_lang=group.tgt_lang,
            features=group.features.message() if group.features.wanted() else None,
            auto_langs=group.auto_langs,
            pairing_code=group.pairing_code,
        )
        trace = self._trace_of(group)
        for number in range(group.count):
            name = group.name if group.count == 1 else f"{group.name}-{number + 1}"
            session_key = mix(key, number)
            client = self._client(name, somebody, None, mix(session_key, _CLIENT), group)
            speech = group.speech
            if isinstance(speech, Script):
                self._tell(_scripted(speech, {}, client), 0)
            elif isinstance(speech, Arrivals):
                stream = Stream(mix(session_key, _ARRIVAL))
                lengths = Stream(mix(session_key, _LENGTH))
                self.streams += [stream, lengths]
                ends = self._ends(speech, stream, None if trace is None else dealt(trace, number, group.count))
                length = self._samplers.of(speech.utterance)
                self._listen(arriving(client, ends, length, lengths, speech.longest, self._until))
            self._party += 1

    def _trace_of(self, group: SessionGroup) -> list[int] | None:
        """The arrivals of the group's trace, microseconds from its first; None: they come from no trace."""
        speech = group.speech
        if not isinstance(speech, Arrivals) or not isinstance(speech.arrivals, Trace):
            return None
        return read_arrivals(self._scenario.path(speech.arrivals.file), speech.arrivals.column)

    def _ends(self, speech: Arrivals, stream: Stream, trace: Sequence[int] | None) -> Iterator[int]:
        arrivals = speech.arrivals
        if isinstance(arrivals, Trace):
            shared = trace or ()
            # A session's first arrival is where the whole trace has it, not at time 0.
            begin = self._time_zero + (int(shared[0] / arrivals.scale) if shared else 0)
            return traced(shared, scale=arrivals.scale, started_at=begin)
        gaps = self._gaps.get(arrivals)
        if gaps is None:
            gaps = self._gaps[arrivals] = gaps_of(arrivals)
        return renewals(stream, gaps, started_at=self._time_zero)

    # --- one client

    def _client(self, name: str, person: Person, room: SimRoom | None, key: int, plan: Member | SessionGroup) -> Client:
        events: Sequence[MemberEvent | SessionEvent] = plan.events
        steady = name not in self._touched and not any(
            isinstance(event.action, Drop | Close | Leave | Change) for event in events
        )
        client = Client(
            name,
            person,
            room,
            self._port,
            self._ledger,
            key,
            self._secret,
            steady=steady,
            resumable=self._resumable,
        )
        self.clients.append(client)
        engine = self._engine
        if plan.joins is None:
            spread = (JOINING_TIME - JOINED_TIME) * self._party // self._party_count
            joins = rounded_up(max(0, self._time_zero - JOINING_TIME + spread), self._grid)
        else:
            joins = self._time_zero + self._samplers.of(plan.joins)(mix(key, _JOIN))
        if name not in self._late_joiners:
            engine.call_at(joins, _connect, client)
        for position, event in enumerate(events):
            stream = Stream(mix(key, _EVENT, position))
            engine.process(self._events(client, event, stream, joins))
        return client

    def _events(
        self, client: Client, event: MemberEvent | SessionEvent, stream: Stream, joins: int
    ) -> Generator[Any, Any, None]:
        """The SimPy process of one kind of thing that happens to a client."""
        engine = self._engine
        if event.at is not None:
            at = self._time_zero + self._draw(event.at, stream)
            yield engine.timeout(max(0, at - engine.instant))
            yield from self._happens(client, event, stream)
            return
        assert event.every is not None
        yield engine.timeout(max(joins, self._time_zero) - engine.instant)
        while True:
            yield engine.timeout(max(1, self._draw(event.every, stream)))
            if engine.instant > self._until:
                return
            yield from self._happens(client, event, stream)

    def _happens(self, client: Client, event: MemberEvent | SessionEvent, stream: Stream) -> Generator[Any, Any, None]:
        match event.action:
            case Change(preferred_lang=language):
                client.change_language(language)
            case Close():
                client.close()
            case Drop(duration=duration):
                if client.drop() and duration is not None:
                    yield self._engine.timeout(self._draw(duration, stream))
                    client.connect()
            case Leave(duration=duration):
                client.leave()
                if duration is not None:
                    yield self._engine.timeout(self._draw(duration, stream))
                    client.come_back()

    def _draw(self, span: Distribution, stream: Stream) -> int:
        sampler: Sampler = self._samplers.of(span)
        return sampler(stream.bits())


def _connect(client: Client) -> None:
    client.connect()


def _person_of(member: Member) -> Person:
    return person(
        src_lang=member.speaks,
        tgt_lang=member.tgt_lang,
        preferred_lang=member.preferred_lang,
        display_name=member.display_name or member.name,
        features=member.features.message() if member.features.wanted() else None,
        auto_langs=member.auto_langs,
        pairing_code=member.pairing_code,
    )


def _scripted(speech: Script, by_name: dict[str | None, Client], only: Client) -> Iterator[Spoken]:
    """A script's utterances in order of their ends, cut where they are too long."""
    told: list[Spoken] = []
    for line in speech.script:
        client = by_name[line.speaker] if line.speaker is not None else only
        begun, end = line.at, line.at + line.length
        while speech.longest is not None and end - begun > speech.longest:
            told.append((client, begun, begun + speech.longest))
            begun += speech.longest
        told.append((client, begun, end))
    told.sort(key=_end)
    return iter(told)


def _end(spoken: Spoken) -> int:
    return spoken[2]
