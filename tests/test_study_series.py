"""Figures by window of time: they add up to the run, and faults stand where they were."""

from __future__ import annotations

from test_study_example import SECOND, ZERO, example

from simroom.scenario.schema import Scenario
from simroom.sim.run import simulate
from simroom.study.series import series
from simroom.study.table import Table


def test_windows_cover_the_run_and_what_is_in_them_adds_up() -> None:
    found = series(Table(example()), windows=10)
    assert found["borders_us"][0] == 0
    assert found["borders_us"][-1] == 62 * SECOND
    assert len(found["borders_us"]) == 11
    assert sum(found["utterances"]) == 5
    assert sum(found["deliveries"]) == 5
    assert found["delivery_latency"]["p50_us"][1] == 1_200_000, "of the utterances that ended from 6.2 s to 12.4 s"
    assert found["delivery_latency"]["p50_us"][5] is None


def test_the_time_weighted_number_of_jobs_by_window_is_that_of_the_whole() -> None:
    table = Table(example())
    found = series(table, windows=31)
    assert all(each is not None for each in found["jobs"]["held"])
    assert sum(found["jobs"]["held"]) * 2 * 1_000 == 220


def test_faults_stand_at_their_instants() -> None:
    data = {
        "simroom": 1, "name": "slow", "duration": "20s",
        "sessions": [{"name": "s", "src_lang": "zh", "tgt_lang": "en", "speech": "none"}],
        "nodes": [{"name": "n", "service": "1s"}],
        "faults": [{"at": "3s", "slow": {"nodes": "n", "factor": 2, "for": "5s"}}],
        "script": [{"at": "1s", "speak": "s"}],
    }  # fmt: skip
    found = series(Table(simulate(Scenario.model_validate(data))))
    (fault,) = found["faults"]
    assert (fault["kind"], fault["at_us"], fault["until_us"]) == ("slow", [3 * SECOND], [8 * SECOND])


def test_a_run_that_was_stopped_before_time_0_has_no_windows() -> None:
    assert series(Table(example(ended_at=ZERO)))["borders_us"] == []
