"""What a scenario comes to before it runs: how much is said, translated and delivered, and how long that takes.

Expected values from the scenario's own distributions, with everybody there all the time: people who come late, leave
or drop out make a run smaller than its estimate. Groups are counted, not listed, so that a scenario of any size is
estimated at once.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import Final

from msgspec import Struct

from simroom.scenario.distributions import Distribution
from simroom.scenario.nodes import BatchingGpu, BatchService, NodeGroup, SerialGpu, StagedService, WholeService
from simroom.scenario.rooms import Room
from simroom.scenario.rttm import read_rttm
from simroom.scenario.schema import Scenario
from simroom.scenario.speech import Arrivals, Meeting, Regular, Script, SessionSpeech, Trace, TurnTaking
from simroom.scenario.traces import read_arrivals
from simroom.scheduler.languages import AUTO, Tags
from simroom.scheduler.settings import Settings
from simroom.workload.distributions import sampler_of
from simroom.workload.meeting import utterances_of

EVENT_BUDGET: Final = 100_000_000
"""Engine events beyond which a run must be asked for twice: some minutes, and some gigabytes."""

_SECOND: Final = 1_000_000
_POINTS: Final = 1_000
"""Quantiles of an utterance's length from which the number of its pieces is found."""

# What each of these costs: entries that the engine handles, and microseconds on one core of a small server. Both are
# measured, and good to within a factor of two or so; a delivery that nothing can change takes no entry of its own, but
# it takes time and a row, so it counts as one.
_UTTERANCE: Final = (2, 12)
_JOB: Final = (2, 18)
_DELIVERY: Final = (1, 3)
_SESSION: Final = (4, 50)
_HEARTBEAT: Final = (2, 12)
_MEMBERSHIP: Final = (1, 2)


class Estimate(Struct, frozen=True):
    """What a scenario is expected to come to.

    Attributes:
        rooms: Rooms.
        members: Members of them all.
        sessions: Sessions outside rooms.
        nodes: Nodes.
        utterances: Utterances; an utterance that is cut counts once a piece.
        jobs: Jobs.
        deliveries: Results times recipients.
        offered_load: Jobs being served at once if none had to wait, erlangs; None: no nodes.
        streams: Jobs that the nodes can serve at once without slowing each other.
        events: Entries for the engine to handle, a delivery counted as one.
        wall_seconds: How long the run takes, very roughly.
    """

    rooms: int
    members: int
    sessions: int
    nodes: int
    utterances: int
    jobs: int
    deliveries: int
    offered_load: float | None
    streams: int
    events: int
    wall_seconds: float


class _Flow(Struct):
    """Expected numbers, added up over groups."""

    utterances: float = 0.0
    jobs: float = 0.0
    deliveries: float = 0.0
    speech: float = 0.0
    """Length of the speech of all jobs, microseconds."""

    def add(self, other: _Flow, times: float = 1.0) -> None:
        self.utterances += other.utterances * times
        self.jobs += other.jobs * times
        self.deliveries += other.deliveries * times
        self.speech += other.speech * times


class _People(Struct, frozen=True):
    """Members who are alike."""

    count: int
    weight: float
    """Of each, as a speaker."""
    speaks: str
    preferred_lang: str | None
    tgt_lang: str


def estimate(scenario: Scenario) -> Estimate:
    """What the scenario is expected to come to."""
    settings = scenario.scheduler.settings()
    flow = _Flow()
    updates = 0.0
    members = 0
    for room in scenario.rooms:
        people = _people(room, scenario)
        size = sum(group.count for group in people)
        members += size * room.count
        flow.add(_room_flow(room, people, scenario, settings), room.count)
        updates += _membership_updates(room, size, scenario) * room.count
    for group in scenario.sessions:
        flow.add(_session_flow(group.speech, group.count, scenario))
    sessions = sum(group.count for group in scenario.sessions)
    nodes = sum(group.count for group in scenario.nodes)
    whole_time = scenario.lead_in + scenario.duration
    heartbeats = sum(group.count * whole_time / group.heartbeat.every for group in scenario.nodes)
    numbers = (
        (flow.utterances, _UTTERANCE),
        (flow.jobs, _JOB),
        (flow.deliveries, _DELIVERY),
        (members + sessions, _SESSION),
        (heartbeats, _HEARTBEAT),
        (updates, _MEMBERSHIP),
    )
    return Estimate(
        rooms=sum(room.count for room in scenario.rooms),
        members=members,
        sessions=sessions,
        nodes=nodes,
        utterances=round(flow.utterances),
        jobs=round(flow.jobs),
        deliveries=round(flow.deliveries),
        offered_load=_offered_load(flow, scenario),
        streams=sum(group.count * _streams(group) for group in scenario.nodes),
        events=round(sum(number * events for number, (events, _) in numbers)),
        wall_seconds=round(sum(number * micros for number, (_, micros) in numbers) / _SECOND, 1),
    )


# --- rooms -------------------------------------------------------------------------------------------------------


def _people(room: Room, scenario: Scenario) -> list[_People]:
    """The members of one such room, by groups; a meeting's speakers weigh as much as they say in it."""
    people = []
    listens = isinstance(room.speech, Meeting)
    spoken = _meeting_utterances(room, scenario) if listens else []
    turns = Counter(speaker for speaker, _ in spoken)
    for name, speaker in (room.speakers or {}).items():
        people.append(_People(1, turns[name], speaker.speaks, speaker.preferred_lang, speaker.tgt_lang))
    for member in room.members:
        weight = 0.0 if listens else member.talks
        people.append(_People(member.count, weight, member.speaks, member.preferred_lang, member.tgt_lang))
    return people


def _meeting_utterances(room: Room, scenario: Scenario) -> list[tuple[str, int]]:
    """Speaker and length of each utterance of the room's meeting that ends within the scenario's duration."""
    speech = room.speech
    if not isinstance(speech, Meeting):
        return []
    segments = read_rttm(scenario.path(speech.meeting))
    spoken = utterances_of(segments, longest=speech.longest, begin=speech.start, end=speech.end)
    left = scenario.duration - speech.shift.mean
    return [(one.speaker, one.ended_at - one.started_at) for one in spoken if one.ended_at <= left]


def _room_flow(room: Room, people: list[_People], scenario: Scenario, settings: Settings) -> _Flow:
    flow = _Flow()
    utterances, length = _room_speech(room, people, scenario)
    if isinstance(room.speech, Script):
        weights = _script_weights(room, room.speech)
    else:
        weights = [group.count * group.weight for group in people]
    total = sum(weights)
    for group, weight in zip(people, weights, strict=True):
        if total == 0 or weight == 0:
            continue
        said = utterances * weight / total
        jobs, deliveries = _fan_out(group, people, settings)
        flow.add(_Flow(said, said * jobs, said * deliveries, said * jobs * length))
    return flow


def _room_speech(room: Room, people: list[_People], scenario: Scenario) -> tuple[float, float]:
    """Expected utterances of one such room, and their mean length."""
    speech = room.speech
    if isinstance(speech, Meeting):
        lengths = [length for _, length in _meeting_utterances(room, scenario)]
        return len(lengths), sum(lengths) / max(1, len(lengths))
    if isinstance(speech, Script):
        return _scripted(speech, scenario.duration)
    if isinstance(speech, TurnTaking):
        talkers = sum(group.count for group in people if group.weight > 0)
        if talkers == 0:
            return 0.0, 0.0
        mean = max(1.0, speech.utterance.mean)
        busy = 1 - speech.silence + (speech.overlap if talkers > 1 else 0.0)
        pieces = _pieces(speech.utterance, speech.longest)
        return scenario.duration * busy / mean * pieces, mean / pieces
    return 0.0, 0.0


def _script_weights(room: Room, speech: Script) -> list[float]:
    """How many of a script's lines each group of members says; those without a name are the first member's."""
    lines = Counter(line.speaker for line in speech.script)
    weights = []
    position = 0
    for group in room.members:
        said = 0
        for number in range(1, group.count + 1):
            position += 1
            name = f"m{position}" if group.name is None else group.name
            if group.name is not None and group.count > 1:
                name = f"{name}-{number}"
            said += lines[name] + (lines[None] if position == 1 else 0)
        weights.append(float(said))
    return weights


def _fan_out(speaker: _People, people: list[_People], settings: Settings) -> tuple[float, float]:
    """Jobs, and deliveries, of one utterance of one such speaker."""
    tags = Tags(primary_only=settings.language_match == "primary")
    wanted: Counter[str] = Counter()
    for group in people:
        language = tags.optional(group.preferred_lang)
        if language is not None:
            wanted[language] += group.count
    others = sum(group.count for group in people) - 1
    if others == 0:
        return 1.0, 1.0
    source = None if speaker.speaks == AUTO else tags.canonical(speaker.speaks)
    if settings.fan_out == "session_target":
        languages = {tags.canonical(speaker.tgt_lang)}
    else:
        own = tags.optional(speaker.preferred_lang)
        languages = {language for language, count in wanted.items() if count > (1 if language == own else 0)}
    if settings.same_language == "skip":
        languages.discard(source or "")
    return float(len(languages)), float(sum(wanted[language] for language in sorted(languages)))


def _membership_updates(room: Room, size: int, scenario: Scenario) -> float:
    """Messages by which the members of one such room learn of each other: at each joining, and at each event."""
    happened = 0.0
    everybody = [(person, 1) for person in (room.speakers or {}).values()]
    for person, count in [*everybody, *((member, member.count) for member in room.members)]:
        for event in person.events:
            times = 1.0 if event.every is None else scenario.duration / max(1.0, event.every.mean)
            happened += count * times
    return size * (size + 1) / 2 + happened * size * 2


# --- sessions outside rooms --------------------------------------------------------------------------------------


def _session_flow(speech: SessionSpeech, count: int, scenario: Scenario) -> _Flow:
    """All sessions of a group: one job and one delivery an utterance."""
    if isinstance(speech, Script):
        utterances, length = _scripted(speech, scenario.duration)
        utterances *= count
    elif isinstance(speech, Arrivals):
        pieces = _pieces(speech.utterance, speech.longest)
        utterances, length = _arrivals(speech, count, scenario) * pieces, speech.utterance.mean / pieces
    else:
        return _Flow()
    return _Flow(utterances, utterances, utterances, utterances * length)


def _arrivals(speech: Arrivals, count: int, scenario: Scenario) -> float:
    arrivals = speech.arrivals
    if isinstance(arrivals, Trace):
        instants = read_arrivals(scenario.path(arrivals.file), arrivals.column)
        return float(sum(at / arrivals.scale <= scenario.duration for at in instants))
    rate = _SECOND / arrivals.every if isinstance(arrivals, Regular) else arrivals.rate
    return count * rate * scenario.duration / _SECOND


def _scripted(speech: Script, duration: int) -> tuple[float, float]:
    """Pieces of a script that end in time, and their mean length."""
    lengths = []
    for line in speech.script:
        longest = speech.longest or line.length
        whole, rest = divmod(line.length, longest)
        begun = line.at
        for length in [longest] * whole + [rest] * (rest > 0):
            begun += length
            if begun <= duration:
                lengths.append(length)
    return float(len(lengths)), sum(lengths) / max(1, len(lengths))


def _pieces(utterance: Distribution, longest: int | None) -> float:
    """Into how many pieces an utterance is cut, in the mean."""
    if longest is None:
        return 1.0
    draw = sampler_of(utterance).exact
    quantiles = (((2 * i + 1) << 64) // (2 * _POINTS) for i in range(_POINTS))
    return sum(max(1, ceil(draw(quantile) / longest)) for quantile in quantiles) / _POINTS


# --- nodes -------------------------------------------------------------------------------------------------------


def _offered_load(flow: _Flow, scenario: Scenario) -> float | None:
    """Arrivals times mean service, as if each node got the same share of the jobs."""
    nodes = sum(group.count for group in scenario.nodes)
    if nodes == 0:
        return None
    length = flow.speech / flow.jobs if flow.jobs else 0.0
    service = sum(group.count * _service(group, length) for group in scenario.nodes) / nodes
    return round(flow.jobs * service / scenario.duration, 2)


def _service(group: NodeGroup, length: float) -> float:
    """Mean service of a job whose speech has this length, microseconds; a full batch is shared by its jobs."""
    service = group.service
    if isinstance(service, StagedService):
        return sum(stage.fixed + stage.rtf * length for stage in (service.asr, service.nmt, service.tts))
    if isinstance(service, WholeService):
        return float(service.span.mean)
    if isinstance(service, BatchService) and isinstance(group.gpu, BatchingGpu):
        return service.fixed / group.gpu.cap + service.per_job
    return 0.0


def _streams(group: NodeGroup) -> int:
    if group.gpu is None:
        return 0
    return group.gpu.streams if isinstance(group.gpu, SerialGpu) else 1
