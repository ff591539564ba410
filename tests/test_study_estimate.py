"""What a scenario is estimated to come to, against what can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import pytest
from test_study_example import scenario

from simroom.scenario.load import loads
from simroom.study.estimate import EVENT_BUDGET, Estimate, estimate

STEADY = {"constant": {"every": "1s"}}
MEMBERS = [{"count": 2, "speaks": "zh"}, {"count": 2, "speaks": "en"}, {"count": 1, "speaks": "ja"}]


def room(**changes: Any) -> dict[str, Any]:
    talk = {"turn_taking": {"utterance": "4s", "silence": 0.2, "overlap": 0.0}}
    return {"name": "standup", "members": MEMBERS, "speech": talk, **changes}


def of(*rooms: dict[str, Any], **changes: Any) -> Estimate:
    return estimate(scenario(rooms=list(rooms), **changes))


def test_a_room_says_as_much_as_its_shares_of_time_allow() -> None:
    # 60 s, of which 80 % is speech, in utterances of 4 s; by weight 24/60 zh, 24/60 en, 12/60 ja.
    got = of(room(count=10))
    assert (got.rooms, got.members, got.utterances) == (10, 50, 120)
    # Each speaker has two languages to be translated into; those who hear: 3, 3 and 4 of the five.
    assert got.jobs == 240
    assert got.deliveries == round(120 * (0.4 * 3 + 0.4 * 3 + 0.2 * 4))


def test_an_utterance_that_is_cut_counts_once_a_piece() -> None:
    talk = {"turn_taking": {"utterance": "12s", "silence": 0.2, "overlap": 0.0, "longest": "5s"}}
    assert of(room(speech=talk)).utterances == 12


def test_a_script_counts_what_ends_in_time() -> None:
    lines = [
        {"at": "1s", "length": "2s", "speaker": "m1"},
        {"at": "5s", "length": "2s", "speaker": "m5"},
        {"at": "59s", "length": "2s", "speaker": "m5"},
    ]
    got = of(room(speech={"script": lines}))
    assert (got.utterances, got.jobs, got.deliveries) == (2, 4, 7)


def test_settings_of_the_scheduler_decide_the_fan_out() -> None:
    one = of(room(), scheduler={"fan_out": "session_target"})
    assert one.jobs == one.utterances == 12
    members = [{"speaks": "zh-CN"}, {"speaks": "zh-TW"}, {"speaks": "en"}]
    assert of(room(members=members)).jobs == 24
    assert of(room(members=members), scheduler={"language_match": "primary"}).jobs == 12
    assert of(room(members=[{"count": 3, "speaks": "en", "tgt_lang": "zh"}])).jobs == 0
    both = of(room(members=[{"count": 3, "speaks": "en", "tgt_lang": "zh"}]), scheduler={"same_language": "translate"})
    assert (both.jobs, both.deliveries) == (12, 36)


def test_a_speaker_alone_is_translated_for_themself() -> None:
    got = of(room(members=[{"speaks": "en", "tgt_lang": "zh"}]))
    assert (got.jobs, got.deliveries) == (got.utterances, got.utterances) == (12, 12)


def test_a_room_in_which_nobody_speaks_comes_to_nothing() -> None:
    assert of(room(speech="none")).utterances == 0
    assert of(room(members=[{"speaks": "en", "talks": 0}, {"speaks": "zh", "talks": 0}])).utterances == 0


def test_single_sessions_have_one_job_and_one_delivery_each() -> None:
    group = {"name": "solo", "count": 5, "src_lang": "en", "tgt_lang": "zh"}
    got = of(sessions=[{**group, "speech": {"arrivals": STEADY, "utterance": "2s"}}])
    assert (got.sessions, got.utterances, got.jobs, got.deliveries) == (5, 300, 300, 300)
    got = of(sessions=[{**group, "speech": {"arrivals": {"poisson": "30/min"}, "utterance": "2s"}}])
    assert got.utterances == 150


def test_offered_load_is_arrivals_times_mean_service() -> None:
    group = {"name": "solo", "count": 5, "src_lang": "en", "tgt_lang": "zh"}
    sessions = [{**group, "speech": {"arrivals": STEADY, "utterance": "2s"}}]
    stages = {"asr": {"rtf": 0.2}, "nmt": {"fixed": "100ms"}, "tts": {"fixed": "100ms"}}
    nodes = [{"name": "desktop", "count": 4, "gpu": {"model": "serial", "streams": 2}, "service": stages}]
    got = of(sessions=sessions, nodes=nodes)
    # Five a second, each .4 + .1 + .1 s.
    assert (got.offered_load, got.streams, got.nodes) == (3.0, 8, 4)


def test_a_meeting_counts_the_utterances_of_its_file(tmp_path: Path) -> None:
    lines = [f"SPEAKER m 1 {start} {length} <NA> <NA> {who} <NA> <NA>" for start, length, who in
             ((0.0, 2.0, "A"), (3.0, 1.0, "B"), (5.0, 12.0, "A"), (58.0, 3.0, "B"))]  # fmt: skip
    (tmp_path / "m.rttm").write_text("\n".join(lines) + "\n")
    text = """\
simroom: 1
name: Meeting
duration: 60s
rooms:
  - name: standup
    speech: {meeting: m.rttm}
    speakers: {A: {speaks: en}, B: {speaks: zh}}
    members: [{count: 3, speaks: ja}]
nodes: [{name: desktop, service: 1s}]
"""
    got = estimate(loads(text, "m.yaml", tmp_path))
    # A's 12 s are cut in two; B's last ends too late.
    assert (got.members, got.utterances, got.jobs) == (5, 4, 8)
    assert got.deliveries == 4 * (1 + 3)


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_a_scenario_of_any_size_is_estimated_at_once(count: int) -> None:
    before = process_time()
    got = of(room(count=count, members=[{"count": 50_000, "speaks": "zh"}, {"count": 50_000, "speaks": "en"}]))
    assert process_time() - before < 1.0
    assert got.members == 100_000 * count
    # Each who joins is told to all who are there, which a room of this size never finishes.
    assert got.events > EVENT_BUDGET
