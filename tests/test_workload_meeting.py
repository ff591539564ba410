"""From a recording's segments to utterances."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.scenario.rttm import Segment, read_rttm
from simroom.workload.cutting import pieces
from simroom.workload.meeting import JOIN_GAP, Spoken, utterances_of

SECOND = 1_000_000


def spoke(speaker: str, started_at: int, ended_at: int) -> Segment:
    return Segment(started_at, ended_at - started_at, speaker)


def seconds(utterances: list[Spoken]) -> list[tuple[str, float, float]]:
    return [(one.speaker, one.started_at / SECOND, one.ended_at / SECOND) for one in utterances]


UNSORTED = """
SPEAKER m 1 5.00 1.00 <NA> <NA> b <NA> <NA>
SPEAKER m 1 0.00 1.00 <NA> <NA> a <NA> <NA>
SPEAKER m 1 1.50 1.00 <NA> <NA> a <NA> <NA>
SPEAKER m 1 3.01 1.00 <NA> <NA> a <NA> <NA>
SPEAKER m 1 2.00 0.30 <NA> <NA> b <NA> <NA>
"""


@pytest.fixture
def unsorted(tmp_path: Path) -> list[Segment]:
    file = tmp_path / "meeting.rttm"
    file.write_text(UNSORTED)
    return read_rttm(file)


def test_segments_of_one_speaker_at_most_half_a_second_apart_are_one_utterance(unsorted: list[Segment]) -> None:
    assert seconds(utterances_of(unsorted)) == [("b", 2, 2.3), ("a", 0, 2.5), ("a", 3.01, 4.01), ("b", 5, 6)]


def test_the_join_gap_is_the_callers_to_choose(unsorted: list[Segment]) -> None:
    utterances = utterances_of(unsorted, join_gap=0)
    assert [one for one in seconds(utterances) if one[0] == "a"] == [("a", 0, 1), ("a", 1.5, 2.5), ("a", 3.01, 4.01)]
    assert seconds(utterances_of(unsorted, join_gap=10 * SECOND)) == [("a", 0, 4.01), ("b", 2, 6)]


def test_somebody_elses_words_in_between_do_not_part_an_utterance() -> None:
    segments = [spoke("a", 0, 10), spoke("b", 5, 300_000), spoke("a", 400_000, 500_000)]
    assert utterances_of(segments) == [("b", 5, 300_000), ("a", 0, 500_000)]


def test_overlapping_and_nested_segments_of_one_speaker_are_one_utterance() -> None:
    segments = [spoke("a", 0, 10 * SECOND), spoke("a", SECOND, 2 * SECOND), spoke("a", 9 * SECOND, 12 * SECOND)]
    assert utterances_of(segments) == [("a", 0, 12 * SECOND)]


def test_those_who_end_together_come_in_order_of_start_then_name() -> None:
    segments = [spoke("b", 0, 9), spoke("c", 3, 9), spoke("a", 0, 9)]
    assert [one.speaker for one in utterances_of(segments)] == ["a", "b", "c"]


@pytest.mark.parametrize("segments", [[], [spoke("a", 5, 5)], [spoke("a", 5, 4)]])
def test_nothing_spoken_makes_no_utterance(segments: list[Segment]) -> None:
    assert utterances_of(segments) == []


def test_a_single_segment_is_a_single_utterance() -> None:
    assert utterances_of([spoke("a", 7, 8)]) == [("a", 7, 8)]


def test_a_monologue_is_cut_into_pieces_that_follow_each_other() -> None:
    monologue = [spoke("a", SECOND, 260 * SECOND), spoke("b", 15 * SECOND, 16 * SECOND)]
    utterances = utterances_of(monologue, longest=10 * SECOND)
    own = [one for one in utterances if one.speaker == "a"]
    assert len(own) == 26
    assert {one.ended_at - one.started_at for one in own[:-1]} == {10 * SECOND}
    assert own[-1] == ("a", 251 * SECOND, 260 * SECOND)
    assert all(one.ended_at == following.started_at for one, following in pairwise(own))
    assert utterances.index(("b", 15 * SECOND, 16 * SECOND)) == 1


def test_begin_and_end_trim_who_is_speaking_and_begin_becomes_time_0() -> None:
    segments = [spoke("a", 0, 10), spoke("b", 12, 30), spoke("c", 40, 60), spoke("d", 5, 70), spoke("e", 50, 51)]
    assert utterances_of(segments, begin=10, end=50) == [("b", 2, 20), ("d", 0, 40), ("c", 30, 40)]
    assert utterances_of(segments, begin=70) == []


def test_a_cut_begins_to_count_at_begin() -> None:
    assert utterances_of([spoke("a", 0, 25)], begin=5, longest=10) == [("a", 0, 10), ("a", 10, 20)]


segment_lists = st.lists(
    st.builds(
        lambda speaker, start, length: spoke(speaker, start, start + length),
        st.sampled_from("abc"),
        st.integers(0, 20_000_000),
        st.integers(0, 5_000_000),
    ),
    max_size=20,
)


@given(segment_lists, st.integers(0, 1_000_000), st.none() | st.integers(100_000, 3_000_000), st.randoms())
def test_utterances_cover_the_speech_whatever_the_order_of_segments(segments, join_gap, longest, random) -> None:
    utterances = utterances_of(segments, join_gap=join_gap, longest=longest)
    shuffled = list(segments)
    random.shuffle(shuffled)
    assert utterances_of(shuffled, join_gap=join_gap, longest=longest) == utterances
    assert utterances == sorted(utterances, key=lambda one: (one.ended_at, one.started_at, one.speaker))
    assert all(longest is None or one.ended_at - one.started_at <= longest for one in utterances)
    for speaker in "abc":
        own = sorted(one for one in utterances if one.speaker == speaker)
        for one, following in pairwise(own):
            gap = following.started_at - one.ended_at
            assert gap > join_gap or (gap == 0 and longest is not None)
        for segment in segments:
            ended_at = segment.start + segment.duration
            if segment.speaker == speaker and segment.duration:
                inside = [one for one in own if one.ended_at > segment.start and one.started_at < ended_at]
                assert inside[0].started_at <= segment.start
                assert inside[-1].ended_at >= ended_at
    spoken = sum(one.ended_at - one.started_at for one in utterances)
    assert spoken <= sum(segment.duration for segment in segments) + join_gap * len(segments)


def test_the_join_gap_is_half_a_second_unless_said_otherwise() -> None:
    assert JOIN_GAP == SECOND // 2


@pytest.mark.parametrize(
    ("ended_at", "longest", "expected"),
    [
        (10, None, [(0, 10)]),
        (10, 10, [(0, 10)]),
        (11, 10, [(0, 10), (10, 11)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),
        (3, 100, [(0, 3)]),
    ],
)
def test_an_utterance_is_cut_at_the_limit_and_the_rest_goes_last(ended_at, longest, expected) -> None:
    assert pieces(0, ended_at, longest) == expected
