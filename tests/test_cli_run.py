"""``simroom run`` from end to end: the same bytes for the same seed, honest codes, and nothing half written."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_cli_files import COMMAND, ROOT, STANDUP, in_a_process, simroom
from test_study_rows import HOSTILE

FILES = ["deliveries.csv", "log.txt", "scenario.yaml", "series.json", "summary.json", "timing.json"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "standup.yaml").write_text(STANDUP)
    return tmp_path


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_a_run_tells_its_verdict_and_leaves_a_folder(folder: Path) -> None:
    done = simroom("run", "standup.yaml", "--seed", "7", at=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().startswith("PASSED  Stand-up · seed 7 · ")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout
    written = folder / "reports" / "standup-7"
    assert os.listdir(folder / "reports") == ["standup-7"]
    assert sorted(os.listdir(written)) == FILES
    summary = summary_of(written)
    assert (summary["verdict"], summary["seed"], summary["violations"]["total"]) == ("passed", 7, 0)
    assert summary["counts"]["jobs"]["living"] == 0
    assert "PASSED" in (written / "log.txt").read_text(encoding="utf-8")


def test_rows_and_summary_agree(folder: Path) -> None:
    simroom("run", "standup.yaml", "--quiet", at=folder)
    written = folder / "reports" / "standup-1"
    with (written / "deliveries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    summary = summary_of(written)
    delivered = [row for row in rows if row["recipient"]]
    assert len(delivered) == summary["counts"]["deliveries"]["total"] > 0
    assert len({row["job"] for row in rows}) == summary["counts"]["jobs"]["total"]
    parts = ("uplink", "waiting", "asr", "nmt", "tts", "hold", "downlink")
    for row in delivered:
        assert sum(int(row[f"{part}_time_us"]) for part in parts) == int(row["delivery_latency_us"])
    measured = [int(row["delivery_latency_us"]) for row in delivered if row["measured"] == "1"]
    assert summary["measures"]["delivery_latency"]["n"] == len(measured)
    assert summary["measures"]["delivery_latency"]["max_us"] == max(measured)


def test_the_same_seed_gives_the_same_bytes_whatever_the_process(folder: Path) -> None:
    for name, hashing in (("one", "0"), ("other", "12345")):
        in_a_process("run", "standup.yaml", "--out", name, "-q", at=folder, env={"PYTHONHASHSEED": hashing})
    for file in ("summary.json", "deliveries.csv", "scenario.yaml"):
        first, second = (folder / name / "standup-1" / file for name in ("one", "other"))
        assert first.read_bytes() == second.read_bytes()
    simroom("run", "standup.yaml", "--out", "one", "-q", "--seed", "2", at=folder)
    one, two = (summary_of(folder / "one" / name) for name in ("standup-1", "standup-2"))
    assert one["trace_hash"] != two["trace_hash"]
    assert one["scenario"]["hash"] == two["scenario"]["hash"]


def test_the_effective_scenario_runs_to_the_same_end(folder: Path) -> None:
    simroom("run", "standup.yaml", "--seed", "9", "--set", "rooms.standup.count=1", "-q", at=folder)
    first = folder / "reports" / "standup-9"
    simroom("run", str(first / "scenario.yaml"), "-q", at=folder)
    again = folder / "reports" / "scenario-9"
    assert summary_of(again)["trace_hash"] == summary_of(first)["trace_hash"]


def test_json_is_the_summary_and_nothing_else(folder: Path) -> None:
    done = simroom("run", "standup.yaml", "--json", at=folder)
    assert done.stdout == (folder / "reports" / "standup-1" / "summary.json").read_text(encoding="utf-8")
    assert json.loads(done.stdout)["verdict"] == "passed"
    assert done.stderr == ""


def test_quiet_is_the_verdict_alone(folder: Path) -> None:
    done = simroom("run", "standup.yaml", "-q", "--rows", "none", at=folder)
    assert len(done.stdout.splitlines()) == 1
    assert "deliveries.csv" not in os.listdir(folder / "reports" / "standup-1")


def test_an_expectation_that_does_not_hold_is_code_1_and_named_with_its_line(folder: Path) -> None:
    text = STANDUP.replace("delivery_latency.p95 < 6s", "delivery_latency{language=ja}.p50 < 10ms")
    (folder / "strict.yaml").write_text(text)
    done = simroom("run", "strict.yaml", at=folder)
    assert done.returncode == 1
    assert done.stdout.strip().startswith("FAILED  1 of 2 expectations does not hold")
    assert "(strict.yaml:13)" in " ".join(done.stdout.split())
    assert "simroom run strict.yaml --seed 1" in done.stdout
    assert summary_of(folder / "reports" / "strict-1")["verdict"] == "failed"


def test_problems_of_a_scenario_are_code_2_and_leave_nothing(folder: Path) -> None:
    (folder / "broken.yaml").write_text(STANDUP.replace("violations == 0", "violatons == 0"))
    done = simroom("run", "broken.yaml", "--json", at=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("broken.yaml:12:5: expect.0: found 'violatons'")
    assert not (folder / "reports").exists()


def test_the_environment_sets_what_flags_do_not(folder: Path) -> None:
    env = {"SIMROOM_RUN_SEED": "5", "SIMROOM_RUN_OUT": "elsewhere", "SIMROOM_RUN_QUIET": "1"}
    simroom("run", "standup.yaml", at=folder, env=env)
    simroom("run", "standup.yaml", "--seed", "6", at=folder, env=env)
    assert sorted(os.listdir(folder / "elsewhere")) == ["standup-5", "standup-6"]


def test_a_place_that_cannot_be_written_to_is_code_3_before_anything_runs(folder: Path) -> None:
    (folder / "reports").write_text("a file where a folder is wanted")
    done = simroom("run", "standup.yaml", at=folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("cannot write to reports")


def test_somebody_s_folder_of_the_same_name_is_code_3_and_stays(folder: Path) -> None:
    (folder / "reports" / "standup-1").mkdir(parents=True)
    (folder / "reports" / "standup-1" / "thesis.txt").write_text("years of work")
    done = simroom("run", "standup.yaml", at=folder)
    assert done.returncode == 3
    assert "simroom did not make it" in done.stderr
    assert os.listdir(folder / "reports" / "standup-1") == ["thesis.txt"]


def test_without_a_scenario_the_quickstart_runs(tmp_path: Path) -> None:
    done = simroom("run", "-q", at=tmp_path)
    assert done.returncode == 0
    assert summary_of(tmp_path / "reports" / "quickstart-1")["counts"]["deliveries"]["total"] > 0


# --- a scheduler of one's own ------------------------------------------------------------------------------------


def test_a_scheduler_of_the_user_s_own_is_imported_from_the_current_folder(folder: Path) -> None:
    (folder / "mine.py").write_text("from simroom.scheduler.scheduler import Scheduler\n\nmake = Scheduler\n")
    done = simroom("run", "standup.yaml", "--scheduler", "mine:make", at=folder)
    assert (done.returncode, done.stderr) == (0, "")
    ours = simroom("run", "standup.yaml", "--out", "ours", at=folder)
    assert ours.returncode == 0
    first, second = (summary_of(folder / out / "standup-1") for out in ("reports", "ours"))
    assert first["trace_hash"] == second["trace_hash"]


@pytest.mark.parametrize(
    ("reference", "code", "said"),
    [
        ("mine", 2, "expected package.module:factory"),
        ("mine.py:make", 3, "cannot import 'mine.py:make'"),
        ("../mine:make", 2, "expected package.module:factory"),
        ("nowhere:make", 3, "ModuleNotFoundError: No module named 'nowhere'"),
        ("mine:mak", 3, "AttributeError"),
        ("mine:number", 3, "is not callable"),
        ("broken:make", 3, "SyntaxError"),
        ("mine:fails", 3, "raised in 'mine:fails': ValueError: not today"),
    ],
)
def test_a_scheduler_that_cannot_be_had_is_said_so(folder: Path, reference: str, code: int, said: str) -> None:
    (folder / "broken.py").write_text("def make(:\n")
    (folder / "mine.py").write_text("number = 7\n\ndef fails(settings, sources):\n    raise ValueError('not today')\n")
    done = simroom("run", "standup.yaml", "--scheduler", reference, at=folder)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback (most" not in done.stderr
    assert not (folder / "reports" / "standup-1").exists()
    # A traceback only where it leads into the user's own code.
    saved = [path.read_text() for path in folder.glob("simroom-crash-*.txt")]
    assert len(saved) == (reference == "mine:fails")
    assert all("not today" in text and "mine.py" in text for text in saved)


# --- interruption ------------------------------------------------------------------------------------------------


NOTING = """\
from pathlib import Path

from simroom.scheduler.scheduler import Scheduler


class Noting(Scheduler):
    count = 0

    def received(self, connection, message, now):
        self.count += 1
        if self.count == 500:
            Path("underway").touch()
        return super().received(connection, message, now)
"""


def test_an_interrupted_run_leaves_what_it_has_marked_as_partial(folder: Path) -> None:
    (folder / "noting.py").write_text(NOTING)
    words = ["run", "standup.yaml", "--set", "duration=1000h", "--force", "--scheduler", "noting:Noting"]
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for _ in range(600):
        if (folder / "underway").exists():
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.startswith("Interrupted: writing what was simulated so far.")
    assert out.strip().startswith("INTERRUPTED")
    assert "PARTIAL" in out
    written = folder / "reports" / "standup-1"
    assert sorted(os.listdir(written)) == FILES
    summary = summary_of(written)
    assert (summary["verdict"], summary["partial"]) == ("interrupted", True)
    assert summary["counts"]["utterances"] > 0
    assert os.listdir(folder / "reports") == ["standup-1"]


# --- names that mean harm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [HOSTILE, "=" + HOSTILE, "@SUM(A1)", "-1+1", "../../../etc/passwd", "[red]a[/red]"])
def test_hostile_names_end_up_as_text_everywhere(folder: Path, name: str) -> None:
    text = STANDUP
    for key in ("Stand-up", "standup", "desktop"):
        text = text.replace(f"name: {key}", f"name: {json.dumps(name)}")
    (folder / "standup.yaml").write_text(text, encoding="utf-8")
    done = simroom("run", "standup.yaml", at=folder)
    assert done.returncode == 0
    written = folder / "reports" / "standup-1"
    assert os.listdir(folder / "reports") == ["standup-1"]
    assert sorted(os.listdir(written)) == FILES
    shown = [done.stdout, done.stderr, *((written / file).read_text(encoding="utf-8") for file in FILES)]
    for text in shown:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert list(summary_of(written)["by_room"]) == [name]
    with (written / "deliveries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert not any(
        row[column].startswith(("=", "+", "-", "@")) for row in rows for column in ("room", "speaker", "node")
    )


def test_a_hostile_file_name_leads_nowhere_else(folder: Path) -> None:
    name = "..\x1b[31m=cmd|' {{7*7}}\u202e<img src=x>.yaml"
    (folder / name).write_text(STANDUP, encoding="utf-8")
    done = simroom("run", name, at=folder)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    [made] = os.listdir(folder / "reports")
    assert re.fullmatch(r"[a-z0-9-]+", made)
