"""Talk in a room: shares of time, order, cutting, coming and going.

Seeds are fixed, so nothing flickers. Runs of 30,000 turns: the mean of lognormal lengths (coefficient of variation
2.4) has a relative standard deviation of 1.4 %, which moves a share of .17 by .002; the tolerance of .015 that the
model promises is more than five of those for every case here.
"""

import math

import pytest

from simroom.workload.distributions import (
    Sampler,
    constant,
    exponential,
    gamma,
    hyperexponential,
    lognormal,
    uniform,
)
from simroom.workload.streams import Stream, stream_key
from simroom.workload.turn_taking import Pace, Turn, TurnTaking, pace_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
TOLERANCE = 0.015

AMI = lognormal(math.exp(0.46) * SECOND, 1.38)
VOXCONVERSE = lognormal(math.exp(1.25) * SECOND, 1.35)
NOTSOFAR = lognormal(math.exp(0.70) * SECOND, 1.05)


def talk(
    pace: Pace, *, weights: tuple[float, ...] = (1, 1, 1, 1), count: int = 30_000, name: str = "room"
) -> list[Turn]:
    room = TurnTaking(Stream(stream_key(1, name)), weights, pace)
    turns: list[Turn] = []
    now = 0
    for _ in range(count):
        turn = room.next(now)
        assert turn is not None
        now = turn[2]
        turns.append(turn)
    return turns


def shares(turns: list[Turn]) -> list[float]:
    """The share of time in which 0, 1, 2, .. speak, from 0 to the last end."""
    changes = sorted([(turn[1], 1) for turn in turns] + [(turn[2], -1) for turn in turns])
    time_with = [0] * 10
    speaking = last = 0
    for at, change in changes:
        time_with[speaking] += at - last
        speaking += change
        last = at
    return [time / last for time in time_with]


def per_minute(turns: list[Turn]) -> float:
    return len(turns) * MINUTE / turns[-1][2]


def early_share(turns: list[Turn]) -> float:
    """Share of turns that begin before everything that began earlier has ended."""
    early = floor_until = 0
    for _, started_at, ended_at in sorted(turns, key=lambda turn: turn[1:]):
        early += started_at < floor_until
        floor_until = max(floor_until, ended_at)
    return early / len(turns)


def assert_nobody_overlaps_with_themselves(turns: list[Turn]) -> None:
    silent_from: dict[int, int] = {}
    for speaker, started_at, ended_at in sorted(turns, key=lambda turn: turn[1:]):
        assert silent_from.get(speaker, 0) <= started_at < ended_at
        silent_from[speaker] = ended_at


@pytest.mark.parametrize(
    ("utterance", "silence", "overlap", "rate"),
    [(AMI, 0.17, 0.11, 14.1), (VOXCONVERSE, 0.09, 0.03, 6.7), (NOTSOFAR, 0.14, 0.15, 16.6)],
    ids=["AMI", "VoxConverse", "NOTSOFAR-1"],
)
def test_the_shares_and_the_rate_of_real_meetings_come_out(
    utterance: Sampler, silence: float, overlap: float, rate: float
) -> None:
    turns = talk(pace_of(utterance, silence=silence, overlap=overlap))
    nobody, _one, two, three, *_ = shares(turns)
    assert nobody == pytest.approx(silence, abs=TOLERANCE)
    assert two == pytest.approx(overlap, abs=TOLERANCE)
    assert three == 0
    # The recordings have a third speaker at times and lengths that are not quite lognormal: 2..4 % apart.
    assert per_minute(turns) == pytest.approx(rate, rel=0.06)
    assert early_share(turns) == pytest.approx(0.5, abs=0.07)
    assert_nobody_overlaps_with_themselves(turns)


@pytest.mark.parametrize("members", [2, 9])
@pytest.mark.parametrize(
    ("utterance", "silence", "overlap"),
    [
        (constant(3 * SECOND), 0.2, 0.1),
        (constant(3 * SECOND), 0.0, 0.6),
        (exponential(SECOND), 0.5, 0.3),
        (uniform(SECOND, 3 * SECOND), 0.17, 0.01),
        (uniform(SECOND, 3 * SECOND), 0.6, 0.0),
        (gamma(SECOND, 0.3), 0.3, 0.2),
        (hyperexponential(SECOND, 2), 0.1, 0.1),
        (AMI, 0.01, 0.4),
        (AMI, 0.9, 0.02),
    ],
)
def test_any_lengths_and_shares_asked_for_come_out(
    utterance: Sampler, silence: float, overlap: float, members: int
) -> None:
    pace = pace_of(utterance, silence=silence, overlap=overlap)
    turns = talk(pace, weights=(1,) * members, count=15_000)
    nobody, _one, two, *_ = shares(turns)
    assert nobody == pytest.approx(silence, abs=TOLERANCE)
    assert two == pytest.approx(overlap, abs=TOLERANCE)
    assert turns[-1][2] / len(turns) == pytest.approx(pace.turn_time, rel=0.06)
    assert_nobody_overlaps_with_themselves(turns)


@pytest.mark.parametrize("longest", [None, 10 * SECOND, SECOND])
def test_turns_are_told_as_they_end_and_no_more_than_two_at_a_time(longest: int | None) -> None:
    turns = talk(pace_of(AMI, silence=0.17, overlap=0.11, longest=longest), count=10_000)
    assert [turn[2] for turn in turns] == sorted(turn[2] for turn in turns)
    assert shares(turns)[3:] == [0] * 7
    assert_nobody_overlaps_with_themselves(turns)


def test_cutting_changes_nothing_but_the_cuts() -> None:
    longest = 10 * SECOND
    whole = talk(pace_of(AMI, silence=0.17, overlap=0.11), count=3000)
    cut = talk(pace_of(AMI, silence=0.17, overlap=0.11, longest=longest), count=3000)
    assert all(0 < ended_at - started_at <= longest for _, started_at, ended_at in cut)
    until = cut[-1][2]
    expected = [
        (speaker, begun, min(begun + longest, ended_at))
        for speaker, started_at, ended_at in whole
        for begun in range(started_at, ended_at, longest)
    ]
    expected.sort(key=lambda turn: turn[2])
    assert [turn for turn in expected if turn[2] <= until] == cut


def test_a_detector_that_cuts_at_ten_seconds_makes_the_pieces_of_the_ami_meetings() -> None:
    turns = talk(pace_of(AMI, silence=0.17, overlap=0.11, longest=10 * SECOND))
    assert per_minute(turns) == pytest.approx(16.5, rel=0.06)
    assert 3.2 * SECOND < sum(turn[2] - turn[1] for turn in turns) / len(turns) < 5.6 * SECOND


def test_one_speaker_alone_alternates_speech_and_silence() -> None:
    for weights in ((1,), (0, 3, 0)):
        turns = talk(pace_of(AMI, silence=0.17, overlap=0.11), weights=weights, count=10_000)
        assert {turn[0] for turn in turns} == {weights.index(max(weights))}
        nobody, one, *more = shares(turns)
        assert nobody == pytest.approx(0.17, abs=TOLERANCE)
        assert nobody + one == pytest.approx(1)
        assert not any(more)


def test_who_speaks_follows_the_weights_and_who_has_none_never_speaks() -> None:
    turns = talk(pace_of(exponential(SECOND), silence=0.3, overlap=0.0), weights=(6, 0, 3, 1))
    spoken = [sum(turn[0] == speaker for turn in turns) / len(turns) for speaker in range(4)]
    # Without overlap every choice is free: binomial, standard deviation .003; 5 of them.
    assert spoken == pytest.approx([0.6, 0, 0.3, 0.1], abs=0.015)


@pytest.mark.parametrize("weights", [(0.5, 0.25, 0.25), (2e9, 1e9, 1e9), (2e-9, 1e-9, 1e-9)])
def test_weights_count_in_proportion_whatever_their_size(weights: tuple[float, ...]) -> None:
    pace = pace_of(exponential(SECOND), silence=0.3, overlap=0.1)
    assert talk(pace, weights=weights, count=500) == talk(pace, weights=(2, 1, 1), count=500)


def test_where_overlap_is_wanted_the_one_who_speaks_already_is_never_the_second() -> None:
    # One speaks nine times in ten; all that overlaps must then fall to the other.
    turns = talk(pace_of(AMI, silence=0.17, overlap=0.11), weights=(9, 1))
    assert shares(turns)[2] == pytest.approx(0.11, abs=TOLERANCE)
    assert_nobody_overlaps_with_themselves(turns)


def test_nobody_present_says_nothing_until_somebody_comes() -> None:
    pace = pace_of(AMI, silence=0.17, overlap=0.11)
    room = TurnTaking(Stream(1), (1, 1), pace, present=False)
    assert room.next(0) is None
    assert room.next(50 * SECOND) is None
    room.set_present(1, present=True)
    turn = room.next(70 * SECOND)
    assert turn is not None
    assert turn[0] == 1
    assert turn[1] >= 70 * SECOND


def test_a_weightless_room_says_nothing() -> None:
    assert TurnTaking(Stream(1), (0, 0), pace_of(AMI, silence=0.2, overlap=0.1)).next(0) is None


def test_who_has_left_is_told_at_most_for_what_was_thought_out_already() -> None:
    for seed in range(40):
        room = TurnTaking(Stream(seed), (1, 1, 1), pace_of(AMI, silence=0.17, overlap=0.11))
        now = 0
        for _ in range(30):
            turn = room.next(now)
            assert turn is not None
            now = turn[2]
        room.set_present(0, present=False)
        after = []
        for _ in range(60):
            turn = room.next(now)
            assert turn is not None
            now = turn[2]
            after.append(turn)
        assert sum(turn[0] == 0 for turn in after) <= 2
        assert 0 not in [turn[0] for turn in after[3:]]
        room.set_present(0, present=True)
        back = []
        for _ in range(60):
            turn = room.next(now)
            assert turn is not None
            now = turn[2]
            back.append(turn[0])
        assert 0 in back


def test_all_leave_and_what_the_last_one_says_is_still_told_to_its_end() -> None:
    longest = SECOND
    pace = pace_of(constant(5 * SECOND), silence=0.2, overlap=0.0, longest=longest)
    room = TurnTaking(Stream(3), (1, 1), pace)
    first = room.next(0)
    assert first is not None
    room.set_present(0, present=False)
    room.set_present(1, present=False)
    told = [first]
    while (turn := room.next(told[-1][2])) is not None:
        told.append(turn)
    # The told one's own five pieces, and the whole of the next one if it was thought out by then.
    assert len(told) in (5, 10)
    assert all(ended_at - started_at == longest for _, started_at, ended_at in told)
    assert room.next(told[-1][2] + MINUTE) is None
    room.set_present(0, present=True)
    again = room.next(told[-1][2] + MINUTE)
    assert again is not None
    assert again[1] >= told[-1][2] + MINUTE


def test_nothing_new_begins_before_now_when_the_room_was_asked_late() -> None:
    pace = pace_of(AMI, silence=0.17, overlap=0.11)
    room = TurnTaking(Stream(4), (1, 1), pace)
    for _ in range(10):
        room.next(0)
    late = 10**12
    begun = []
    for _ in range(20):
        turn = room.next(late)
        assert turn is not None
        begun.append(turn[1])
    assert all(started_at >= late for started_at in begun[3:])


def test_a_room_begins_with_a_silence_from_its_start() -> None:
    pace = pace_of(AMI, silence=0.17, overlap=0.11)
    starts = []
    for seed in range(400):
        turn = TurnTaking(Stream(seed), (1, 1), pace, started_at=MINUTE).next(MINUTE)
        assert turn is not None
        starts.append(turn[1])
    assert min(starts) >= MINUTE
    # The first to end may be the second to begin: at least as long as the exponential silence, not much more.
    mean = sum(starts) / len(starts) - MINUTE
    assert pace.gap * 0.75 < mean < pace.gap + pace.turn_time


def test_one_rooms_talk_does_not_depend_on_anothers() -> None:
    pace = pace_of(AMI, silence=0.17, overlap=0.11)
    alone = talk(pace, count=200, name="room-2")
    rooms = [TurnTaking(Stream(stream_key(1, name)), (1, 1, 1, 1), pace) for name in ("room-1", "room-2")]
    beside = []
    now = [0, 0]
    for step in range(500):
        which = 1 if step % 5 in (1, 3) else 0
        turn = rooms[which].next(now[which])
        assert turn is not None
        now[which] = turn[2]
        if which:
            beside.append(turn)
    assert beside == alone


@pytest.mark.parametrize(("silence", "overlap"), [(-0.1, 0.1), (0.1, -0.1), (0.6, 0.4), (1.0, 0.0), (math.nan, 0.1)])
def test_shares_that_leave_no_time_are_refused(silence: float, overlap: float) -> None:
    with pytest.raises(ValueError, match="shares"):
        pace_of(AMI, silence=silence, overlap=overlap)


def test_more_overlap_than_two_can_have_is_refused_with_the_most_that_is_possible() -> None:
    with pytest.raises(ValueError, match=r"60% silence overlap 29\.\d% of the time at most"):
        pace_of(constant(3 * SECOND), silence=0.6, overlap=0.3)
    turns = talk(pace_of(constant(3 * SECOND), silence=0.6, overlap=0.29), count=20_000)
    assert shares(turns)[2] == pytest.approx(0.29, abs=TOLERANCE)


@pytest.mark.parametrize("weights", [(), (1, -1), (1, math.inf), (math.nan,)])
def test_weights_out_of_range_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="weights"):
        TurnTaking(Stream(1), weights, pace_of(AMI, silence=0.2, overlap=0.1))


def test_lengths_that_last_no_time_are_refused() -> None:
    with pytest.raises(ValueError, match="last some time"):
        pace_of(constant(0), silence=0.2, overlap=0.1)
    with pytest.raises(ValueError, match="longest"):
        pace_of(AMI, silence=0.2, overlap=0.1, longest=0)
