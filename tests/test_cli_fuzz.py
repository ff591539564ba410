"""``simroom fuzz`` as one types it: what it prints, writes and returns, with one process or two, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'docs' / 'examples'}", "COLUMNS": "80"}


def fuzz(*words: str, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simroom", "fuzz", *words],
        cwd=at,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_sound_scheduler_passes_and_what_was_judged_is_told(tmp_path: Path) -> None:
    done = fuzz("--seeds", "30", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PASSED  30 scenarios, no violation" in done.stdout
    assert "I1 " in done.stdout
    assert not (tmp_path / "scenarios").exists()


def test_a_broken_scheduler_is_found_told_and_written_as_the_documentation_shows_it(tmp_path: Path) -> None:
    done = fuzz("--scheduler", "own_scheduler:forgetful", at=tmp_path)
    assert done.returncode == 1, done.stderr
    page = (ROOT / "docs" / "fuzzing.md").read_text(encoding="utf-8")
    _, _, shown = page.partition("```text\n")
    assert done.stdout.strip("\n").startswith(shown.partition("```")[0].rstrip("\n"))
    (file,) = (tmp_path / "scenarios" / "regressions").iterdir()
    assert f"```yaml\n{file.read_text(encoding='utf-8')}```\n" in page
    for words, code in ((("--scheduler", "own_scheduler:forgetful"), 1), ((), 0)):
        run = subprocess.run(
            [sys.executable, "-m", "simroom", "run", str(file), "-q", *words],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, run.stdout


def test_one_process_and_two_find_and_write_the_same(tmp_path: Path) -> None:
    said = []
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        done = fuzz("--bug", "kept_newest_first", "--jobs", jobs, "--json", "--out", "found", at=folder)
        assert done.returncode == 1, done.stderr
        (file,) = (folder / "found").glob("*.yaml")
        said.append((done.stdout, file.name, file.read_bytes()))
    assert said[0] == said[1]
    content = json.loads(said[0][0])
    assert content["findings"][0]["operations"] <= 10


def test_the_printed_seed_finds_it_again(tmp_path: Path) -> None:
    done = fuzz("--bug", "sent_twice_to_single_recipient", "--json", at=tmp_path)
    seed = json.loads(done.stdout)["findings"][0]["seed"]
    again = fuzz("--bug", "sent_twice_to_single_recipient", "--start", str(seed), "--seeds", "1", "--json", at=tmp_path)
    assert json.loads(again.stdout)["findings"][0]["invariant"] == json.loads(done.stdout)["findings"][0]["invariant"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_search_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simroom", "fuzz", "--seeds", "400", "--jobs", "2", "-q"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not _tried(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    tried = _tried(tmp_path)
    assert 0 < tried < 400
    done = fuzz("--seeds", "400", "--jobs", "2", "--resume", "--json", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tried"] == 400


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_search_says_so_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simroom", "fuzz", "--seeds", "5000", "--jobs", "2"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not _tried(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    # It ends only when nobody holds its pipes any more, so no worker is left.
    out, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INTERRUPTED" in out
    assert complaint == "Interrupted: --resume goes on from here.\n"
    assert 0 < _tried(tmp_path) < 5_000


def test_several_findings_are_told_each_with_its_own_file(tmp_path: Path) -> None:
    done = fuzz("--bug", "no_order", "--max-findings", "2", "--json", "--out", "found", at=tmp_path)
    assert done.returncode == 1, done.stderr
    content = json.loads(done.stdout)
    assert content["verdict"] == "failed"
    files = [finding["file"] for finding in content["findings"]]
    assert len(set(files)) == 2
    assert sorted(files) == sorted(f"found/{path.name}" for path in (tmp_path / "found").iterdir())
    for finding in content["findings"]:
        assert finding["again"] == f"simroom fuzz --start {finding['seed']} --seeds 1 --bug no_order"


def test_names_that_mean_harm_neither_steer_the_terminal_nor_get_out_of_the_comments(tmp_path: Path) -> None:
    name = "x\x1b[31m\nsimroom: 2 # \u202e"
    scenario = {
        "simroom": 1,
        "name": name,
        "duration": "20s",
        "rooms": [{"name": name, "members": [{"name": f"{name}{tag}", "speaks": tag} for tag in ("en", "ja", "zh")]}],
        "nodes": [{"name": name, "service": "1s"}],
    }
    (tmp_path / "evil.yaml").write_text(json.dumps(scenario), encoding="utf-8")
    done = fuzz("--from", "evil.yaml", "--bug", "everybody_gets_everything", "--out", "found", at=tmp_path)
    assert done.returncode == 1, done.stderr
    (file,) = (tmp_path / "found").iterdir()
    for text in (done.stdout, file.read_text(encoding="utf-8")):
        assert not {"\x1b", "\u202e"} & set(text)
    assert [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("simroom:")] == [
        "simroom: 1"
    ]


def _tried(folder: Path) -> int:
    """Scenarios that the state file knows of; 0 where there is none."""
    for path in (folder / "reports").rglob("*.json") if (folder / "reports").exists() else ():
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content.get("tally", content).get("tried", 0))
    return 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bug", "no_such_bug"), "--bug"),
        (("--for", "soon"), "--for"),
        (("--from", "nowhere.yaml"), "nowhere.yaml"),
        (("--bug", "no_retry", "--scheduler", "a:b"), "one of them"),
    ],
)
def test_wrong_usage_is_told_in_a_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = fuzz(*words, at=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_scenarios_are_drawn_around_one(tmp_path: Path) -> None:
    done = fuzz("--from", str(ROOT / "scenarios" / "quickstart.yaml"), "--seeds", "6", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED  6 scenarios" in done.stdout
