"""Calibration: what was put into a log comes out of it, within its errors, and a bad log is refused at its line."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simroom.cli import exits
from simroom.cli.calibrate import Options, calibrate
from simroom.scenario.datafile import DataFileError
from simroom.scenario.load import loads
from simroom.sim.run import simulate
from simroom.study.calibrate import calibrated, node_data
from simroom.study.joblog import read_log

STAGES = {"asr": (100, 0.16, 0.3, 6_000), "nmt": (1_100, 0.10, 0.1, 0), "tts": (200, 0.055, 0.1, 5_700)}
"""The desktop node's published figures: fixed ms, share of the audio's length, spread, cold start ms."""


def rows_of(count: int = 1_200, nodes: int = 6, seed: int = 11) -> list[dict[str, Any]]:
    """Jobs of some such nodes."""
    luck = Random(seed)
    rows = []
    for number in range(count):
        audio = luck.uniform(800, 9_500)
        row: dict[str, Any] = {
            "node": f"n{number % nodes}",
            "started_at_ms": round(1_000 * number + luck.random() * 10, 3),
            "audio_ms": round(audio, 3),
        }
        for stage, (fixed, share, spread, cold) in STAGES.items():
            sigma = math.sqrt(math.log(1 + spread**2))
            factor = math.exp(luck.gauss(-sigma * sigma / 2, sigma))
            row[f"{stage}_ms"] = round((fixed + share * audio) * factor + (cold if number < nodes else 0), 3)
        rows.append(row)
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_what_was_put_in_comes_out_within_its_errors(name: str, tmp_path: Path) -> None:
    """Four standard errors each: a right program fails for one seed in some two thousand."""
    path = written(tmp_path / name, rows_of())
    found = calibrated(path, read_log(path))
    assert found.jobs == 1_200
    for stage in found.stages:
        fixed, share, spread, cold = STAGES[stage.name]
        assert abs(stage.fit.fixed / 1_000 - fixed) < 4 * stage.fit.fixed_error / 1_000
        assert abs(stage.fit.rtf - share) < 4 * stage.fit.rtf_error
        assert stage.fit.spread == pytest.approx(spread, rel=0.15)
        assert stage.cold is not None
        assert stage.cold.is_clear == (cold > 0)
        if cold:
            assert stage.cold.time / 1_000 == pytest.approx(cold, rel=0.15)


def test_outliers_do_not_move_the_fit_and_are_told_by_their_lines(tmp_path: Path) -> None:
    rows = rows_of(400)
    for number in (50, 100, 150):
        rows[number]["nmt_ms"] = 90_000
    path = written(tmp_path / "log.csv", rows)
    (nmt,) = [stage for stage in calibrated(path, read_log(path)).stages if stage.name == "nmt"]
    assert {52, 102, 152} <= set(nmt.fit.outliers)
    assert nmt.fit.fixed / 1_000 == pytest.approx(1_100, rel=0.1)


def test_the_node_that_is_written_is_a_node_and_takes_as_long_as_those_measured(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", rows_of())
    out = tmp_path / "fitted.yaml"
    assert calibrate(Options(log=path, out=out, colour=False)) == exits.PASSED
    people = "sessions: [{name: s, src_lang: zh, tgt_lang: en, speech: {arrivals: {constant: 20s}, utterance: 5s}}]"
    text = f"simroom: 1\nname: fitted\nduration: 60min\n{people}\n{out.read_text(encoding='utf-8')}"
    run = simulate(loads(text, "fitted.yaml", tmp_path))
    jobs = run.ledger.jobs()
    mean = float((jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"])[1:].mean()) / 1_000
    assert mean == pytest.approx(sum(fixed + share * 5_000 for fixed, share, _, _ in STAGES.values()), rel=0.06)


def test_bursts_tell_how_jobs_share_the_gpu(tmp_path: Path) -> None:
    luck = Random(3)
    rows = []
    for number in range(60):
        size = 1 + number % 6
        for _ in range(size):
            time = (87 + 19.3 * size) * (1 + luck.gauss(0, 0.01))
            rows.append({"burst": number, "audio_ms": 3_000 + luck.random(), "processing_time_ms": round(time, 3)})
    path = written(tmp_path / "log.csv", rows)
    found = calibrated(path, read_log(path))
    assert found.concurrency is not None
    assert found.concurrency.best.model == "batching"
    node = node_data(found)
    assert node["gpu"] == {"model": "batching"}
    assert found.concurrency.best.per_job / 1_000 == pytest.approx(19.3, rel=0.05)


def test_whole_jobs_are_fitted_where_nothing_else_was_measured_and_that_is_said(tmp_path: Path) -> None:
    rows = [{"audio_seconds": 1 + n / 10, "processing_time_ms": 500 + 20 * n, "user": "x"} for n in range(40)]
    path = written(tmp_path / "log.csv", rows)
    found = calibrated(path, read_log(path))
    assert node_data(found)["service"]["asr"] == {"fixed": "300ms", "rtf": 0.2, "spread": 0.0}
    assert found.ignored == ("user",)
    assert any("counted as asr" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "log.csv: found an empty file"),
        ("audio_ms,asr_ms\n", "log.csv: found no rows"),
        ("audio,asr_ms\n1,2\n", "log.csv:1: found the columns"),
        ("audio_ms,speed\n1,2\n", "processing_time_ms"),
        ("audio_ms,asr_ms\n1000,fast\n", "log.csv:2: found asr_ms 'fast', expected a number"),
        ("audio_ms,asr_ms\n1000,nan\n", "log.csv:2: found asr_ms 'nan', expected a number"),
        ("audio_ms,asr_ms\n1000,20\n2000,-5\n", "log.csv:3: found asr_ms '-5', expected 0 or more"),
        ("audio_ms,asr_ms\n1000\n", "log.csv:2: found 1 columns, expected 2"),
        ("audio_ms,asr_ms,asr_seconds\n1,2,3\n", "two columns for asr"),
        ("audio_ms,asr_ms\n1000,20\n", "log.csv: found asr"),
    ],
)
def test_a_log_that_does_not_allow_it_is_refused_at_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError) as refused:
        calibrated(path, read_log(path))
    assert said.replace("'", '"') in str(refused.value).replace("'", '"').replace(str(tmp_path) + "/", "")


def test_json_lines_are_refused_at_their_line_too(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"audio_ms": 1, "asr_ms": 2}\n[1]\n', encoding="utf-8")
    with pytest.raises(DataFileError) as refused:
        read_log(path)
    assert (refused.value.line, refused.value.expected) == (2, "a JSON object for each job")


def test_the_command_tells_json_and_refuses_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "log.csv", rows_of(100))
    assert calibrate(Options(log=path, as_json=True)) == exits.PASSED
    assert json.loads(capsys.readouterr().out)["jobs"] == 100
    with pytest.raises(exits.StopError) as stop:
        calibrate(Options(log=tmp_path / "none.csv"))
    assert stop.value.code == exits.INVALID
