"""``simroom run --replications``, ``--precision`` from end to end: files, codes, words; and the same bytes always."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from test_cli_files import ROOT, STANDUP, Done
from test_cli_run import summary_of
from test_study_rows import HOSTILE

from simroom.cli import exits
from simroom.cli import run as single
from simroom.cli.study import Options, study
from simroom.report.study import StudyLine
from simroom.scenario.load import load
from simroom.study.replicate import Precision, Progress
from simroom.study.study_record import FILES

SMALL = (
    STANDUP.replace("duration: 2min", "duration: 30s")
    .replace("warm_up: 20s", "warm_up: 5s")
    .replace("service: 800ms", "service: {exponential: {mean: 800ms}}")
)
BUSY = """\
simroom: 1
name: M/M/1 at 95 % load
duration: 5min
warm_up: 30s
drain: 2h
sessions:
  - {name: caller, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 0.95/s}, utterance: 1s}}
nodes:
  - {name: node, slots: 100000, gpu: {model: serial, streams: 1}, service: {exponential: {mean: 1s}}}
scheduler: {ordering: none, job_timeout: 10h, max_attempts: 1}
expect:
  - violations == 0
  - delivery_latency.mean < 25s
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "standup.yaml").write_text(SMALL)
    (tmp_path / "busy.yaml").write_text(BUSY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def options(file: str = "standup.yaml", **changes: Any) -> Options:
    asked: dict[str, Any] = {
        "scenario": Path(file),
        "seed": None,
        "overrides": (),
        "out": Path("reports"),
        "as_json": False,
        "quiet": False,
        "colour": True,
        "rows": "none",
        "scheduler": None,
        "force": False,
    }
    own = {key: changes.pop(key) for key in ("replications", "precision", "replications_max", "jobs") if key in changes}
    return Options(single.Options(**{**asked, **changes}), **{"jobs": 1, **own})


def done(asked: Options) -> Done:
    """Run the command in this process; its workers are processes all the same."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = study(asked)
        except exits.StopError as stop:
            err.write(f"{stop}\n")
            code = stop.code
    return Done(code, out.getvalue(), err.getvalue())


def test_a_study_tells_its_verdict_and_leaves_a_folder(folder: Path) -> None:
    got = done(options(replications=4, seed=7))
    assert (got.returncode, got.stderr) == (0, "")
    assert got.stdout.strip().startswith("PASSED  Stand-up · 4 replications from seed 7 · 30 s each · in ")
    assert max(len(line) for line in got.stdout.splitlines()) <= 80
    assert re.search(r"^ {3}p95 +[\d.]+ s +[\d.]+ s +[\d.]+ s +[\d.]+ % +4$", got.stdout, re.MULTILINE)
    assert re.search(r"Stability +stable \(4 stable\)", got.stdout)
    assert "✓ violations == 0   in each replication (0)" in got.stdout
    written = folder / "reports" / "standup-study-7"
    assert os.listdir(folder / "reports") == ["standup-study-7"]
    assert sorted(os.listdir(written)) == sorted(FILES)
    assert (written / "log.txt").read_text(encoding="utf-8").strip().startswith("PASSED")
    assert load(written / "scenario.yaml").seed == 7
    timing = json.loads((written / "timing.json").read_text())
    assert (timing["jobs"], len(timing["replications"])) == (1, 4)


def test_rows_and_summary_agree(folder: Path) -> None:
    done(options(replications=4))
    written = folder / "reports" / "standup-study-1"
    summary = summary_of(written)
    assert (summary["kind"], summary["verdict"], summary["replications"]["count"]) == ("study", "passed", 4)
    with (written / "replications.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in rows] == [one["seed"] for one in summary["each"]]
    assert len({row["trace_hash"] for row in rows}) == 4
    values = [int(row["delivery_latency.mean_us"]) for row in rows]
    estimate = summary["estimates"]["delivery_latency.mean"]
    assert estimate["value_us"] == pytest.approx(sum(values) / 4, abs=1)
    assert estimate["n"] == 4
    # Student's t of three degrees of freedom at .975.
    deviation = (sum((value - sum(values) / 4) ** 2 for value in values) / 3) ** 0.5
    assert estimate["high_us"] - estimate["value_us"] == pytest.approx(3.18245 * deviation / 2, rel=1e-4)


def test_a_run_with_the_seed_of_a_replication_is_that_replication(folder: Path) -> None:
    done(options(replications=3))
    third = summary_of(folder / "reports" / "standup-study-1")["each"][2]
    with redirect_stdout(io.StringIO()):
        single.run(options(seed=third["seed"]).run)
    again = summary_of(folder / "reports" / f"standup-{third['seed']}")
    assert again["trace_hash"] == third["trace_hash"]


def test_one_worker_and_two_and_another_hash_seed_give_the_same_bytes(folder: Path) -> None:
    done(options(replications=3, jobs=2))
    code = (
        "from pathlib import Path; from simroom.cli import run; from simroom.cli.study import Options, study\n"
        "study(Options(run.Options(Path('standup.yaml'), None, (), Path('other'), False, True, False, 'none', None, "
        "False), 3, jobs=1))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "4242"},
    )
    for file in ("summary.json", "replications.csv", "scenario.yaml"):
        first, second = (folder / name / "standup-study-1" / file for name in ("reports", "other"))
        assert first.read_bytes() == second.read_bytes()


def test_a_busy_queue_that_is_too_short_is_inconclusive_and_does_not_pass(folder: Path) -> None:
    """At a load of .95 the mean time is 20 s, which is below the bound; ten times 5 min from empty cannot say so."""
    got = done(options("busy.yaml", replications=10, jobs=2))
    assert got.returncode == exits.INCONCLUSIVE == 4
    assert got.stdout.strip().startswith("INCONCLUSIVE  1 of 2 expectations is inconclusive")
    text = " ".join(got.stdout.split())
    assert "! TOO SHORT: the jobs in one tenth of a replication still depend on those in the tenth before" in text
    assert "? delivery_latency.mean < 25s is " in text
    assert "inconclusive, the replications are too short for it (busy.yaml:13)" in text
    summary = summary_of(folder / "reports" / "busy-study-1")
    assert (summary["verdict"], summary["stability"]["is_too_short"]) == ("inconclusive", True)
    assert [one["decision"] for one in summary["expectations"]] == ["holds", "inconclusive"]


def test_a_bound_inside_the_interval_is_code_4_and_says_how_many_would_tell(folder: Path) -> None:
    text = SMALL.replace("delivery_latency.p95 < 6s", "utterances > 17")
    (folder / "near.yaml").write_text(text)
    got = done(options("near.yaml", replications=4))
    assert got.returncode == 4
    summary = summary_of(folder / "reports" / "near-study-1")
    (_, near) = summary["expectations"]
    assert near["low"] < 17 < near["high"]
    count = 4 + near["further_replications"]
    assert f"simroom run near.yaml --seed 1 --replications {count}" in " ".join(got.stdout.split())


def test_an_expectation_that_fails_in_some_replications_names_the_seed_to_look_at(folder: Path) -> None:
    (folder / "strict.yaml").write_text(SMALL.replace("delivery_latency.p95 < 6s", "delivery_latency.max < 3s"))
    got = done(options("strict.yaml", replications=5))
    assert got.returncode == 1
    (_, strict) = summary_of(folder / "reports" / "strict-study-1")["expectations"]
    assert f"simroom run strict.yaml --seed {strict['seed']}" in " ".join(got.stdout.split())
    with redirect_stdout(io.StringIO()):
        assert single.run(options("strict.yaml", seed=strict["seed"]).run) == 1


def test_an_overloaded_study_prints_no_latency_as_if_it_were_one(folder: Path) -> None:
    (folder / "over.yaml").write_text(BUSY.replace("0.95/s", "1.5/s").replace("25s", "1h"))
    got = done(options("over.yaml", replications=3))
    assert got.returncode == 1
    assert re.search(r"Stability +OVERLOADED \(3 overloaded\)", got.stdout)
    assert re.search(r"delivery mean +at least [\d.]+ s +OVERLOADED", got.stdout)
    assert "✗ delivery_latency.mean < 1h   overloaded: " in got.stdout
    estimates = summary_of(folder / "reports" / "over-study-1")["estimates"]
    for name, estimate in estimates.items():
        if name.startswith(("delivery_latency", "waiting_time")) and not name.endswith(".n"):
            assert sorted(estimate) == ["at_least_us", "n", "unit"]


# --- precision ---------------------------------------------------------------------------------------------------


def test_a_precision_adds_replications_until_it_is_reached(folder: Path) -> None:
    got = done(options(precision="25%", replications=3, replications_max=40))
    assert got.returncode == 0
    assert re.search(r"Precision +25 % reached: delivery_latency.p95 ±\d", got.stdout)
    summary = summary_of(folder / "reports" / "standup-study-1")
    assert 3 < summary["replications"]["count"] < 40
    estimate = summary["estimates"]["delivery_latency.p95"]
    assert estimate["half_width_us"] * 2 <= 0.25 * (estimate["low_us"] + estimate["high_us"])


def test_a_precision_that_the_cap_does_not_allow_is_code_4(folder: Path) -> None:
    got = done(options(precision="0.1%", replications=2, replications_max=3))
    assert got.returncode == 4
    assert "a precision of 0.1 % was not reached with 3 replications" in " ".join(got.stdout.split())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"precision": "2"}, "--precision: found '2', expected"),
        ({"precision": "0%"}, "--precision: expected more than 0 %"),
        ({"precision": "100%"}, "--precision: expected more than 0 %"),
        ({"precision": "2%", "replications": 1}, "--precision: expected 2 replications or more"),
        ({"precision": "2%", "replications": 9, "replications_max": 5}, "--replications-max no smaller"),
    ],
)
def test_what_makes_no_sense_is_code_2_and_nothing_runs(folder: Path, asked: dict[str, Any], said: str) -> None:
    got = done(options(**asked))
    assert (got.returncode, got.stdout) == (2, "")
    assert said in got.stderr
    assert not (folder / "reports").exists()


def test_too_many_events_in_all_are_refused_unless_they_are_wanted(folder: Path) -> None:
    got = done(options(replications=1_000_000))
    assert got.returncode == 2
    assert "1,000,000 replications of it have about " in got.stderr
    assert "--force" in got.stderr


# --- the other forms ---------------------------------------------------------------------------------------------


def test_one_replication_is_a_run_and_says_that_it_has_no_interval(folder: Path) -> None:
    got = done(options(replications=1))
    assert got.returncode == 0
    assert got.stderr == "One replication has no interval: what follows is judged by its values alone.\n"
    assert os.listdir(folder / "reports") == ["standup-1"]


def test_json_is_the_summary_and_nothing_else(folder: Path) -> None:
    got = done(options(replications=2, as_json=True))
    assert got.stdout == (folder / "reports" / "standup-study-1" / "summary.json").read_text(encoding="utf-8")
    assert got.stderr == ""


def test_quiet_is_the_verdict_alone(folder: Path) -> None:
    assert len(done(options(replications=2, quiet=True)).stdout.splitlines()) == 1


def test_a_study_replaces_an_earlier_one_and_nothing_else(folder: Path) -> None:
    done(options(replications=2))
    done(options(replications=3))
    assert summary_of(folder / "reports" / "standup-study-1")["replications"]["count"] == 3
    (folder / "other" / "standup-study-1").mkdir(parents=True)
    (folder / "other" / "standup-study-1" / "thesis.txt").write_text("years of work")
    got = done(options(replications=2, out=Path("other")))
    assert got.returncode == 3
    assert os.listdir(folder / "other" / "standup-study-1") == ["thesis.txt"]


def test_a_scheduler_of_ones_own_is_found_by_the_workers(folder: Path) -> None:
    (folder / "ours_for_a_study.py").write_text(
        "from simroom.scheduler.scheduler import Scheduler\n\nmake = Scheduler\n\n"
        "def fails(settings, sources):\n    raise ValueError('not today')\n"
    )
    got = done(options(replications=2, scheduler="ours_for_a_study:make"))
    assert (got.returncode, got.stderr) == (0, "")
    got = done(options(replications=2, scheduler="ours_for_a_study:fails"))
    assert got.returncode == 3
    assert "--scheduler: raised in 'ours_for_a_study:fails': ValueError: not today" in got.stderr
    got = done(options(replications=2, scheduler="ours_for_a_study:nothing"))
    assert got.returncode == 3


def test_hostile_names_end_up_as_text_everywhere(folder: Path) -> None:
    text = SMALL.replace("violations == 0", "'jobs{room=standup} != 0'")
    for key in ("Stand-up", "desktop"):
        text = text.replace(f"name: {key}", f"name: {json.dumps(HOSTILE)}")
    (folder / "standup.yaml").write_text(text, encoding="utf-8")
    got = done(options(replications=2))
    assert got.returncode == 0
    written = folder / "reports" / "standup-study-1"
    for shown in (got.stdout, *((written / file).read_text(encoding="utf-8") for file in FILES)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_the_line_of_progress_says_how_far_it_is(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    precision = Precision(0.02, ("x",), reached=False, worst="delivery_latency.p95", worst_precision=0.034, further=9)
    with StudyLine(colour=False) as line:
        line(Progress(3, 20, None))
        line(Progress(200, 200, precision))
    told = capfd.readouterr().err
    assert "3 of 20" in told
    assert "200 of at most 200" in told
    assert "2 % not reached: delivery_latency.p95 ±3.40 %" in told


# --- interruption ------------------------------------------------------------------------------------------------

LONG = """\
import sys
from pathlib import Path
from simroom.cli import run
from simroom.cli.study import Options, study

if __name__ == "__main__":
    words = False, False, False, "none", "noting:make", True
    asked = run.Options(Path("standup.yaml"), None, (), Path("reports"), *words)
    sys.exit(study(Options(asked, 100_000, jobs=2)))
"""
NOTING = """\
from pathlib import Path

from simroom.scheduler.scheduler import Scheduler


def make(settings, sources):
    with Path("begun").open("a") as file:
        file.write("x")
    return Scheduler(settings, sources)
"""


def test_ctrl_c_keeps_the_replications_that_were_finished(folder: Path) -> None:
    (folder / "noting.py").write_text(NOTING)
    (folder / "long.py").write_text(LONG)
    running = subprocess.Popen(
        [sys.executable, "long.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for _ in range(600):
        if (folder / "begun").exists() and len((folder / "begun").read_text()) > 8:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err == "Interrupted: writing the replications that were finished.\n"
    assert out.strip().startswith("INTERRUPTED  the study was interrupted: what follows is of ")
    assert "PARTIAL" in out
    summary = summary_of(folder / "reports" / "standup-study-1")
    assert (summary["verdict"], summary["partial"]) == ("interrupted", True)
    assert 1 < summary["replications"]["count"] == len(summary["each"]) < 100_000
    assert os.listdir(folder / "reports") == ["standup-study-1"]
