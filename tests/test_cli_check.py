"""``simroom check`` as one types it: codes, reports that are written whatever happens, and GitHub."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from regressing import BROKEN, CROWD, ROOM, begin_processes, environment, folder_of, hostile, installed
from test_cli_files import ROOT, simroom

from simroom.cli import regressing

assert regressing.check is not None  # the commands are registered by importing their module
FAILING = ROOM.replace("p95 < 2s", "p95 < 1s")


@pytest.fixture(scope="module", autouse=True)
def processes() -> None:
    """See there."""
    begin_processes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder_of(tmp_path, a=ROOM, b=ROOM.replace("A room", "B room"))
    return tmp_path


def test_all_that_pass_give_code_0_and_a_folder_with_reports(folder: Path) -> None:
    done = simroom("check", at=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASSED  2 scenarios passed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    reports = folder / "reports" / "check"
    assert sorted(os.listdir(reports)) == ["junit.xml", "log.txt", "summary.json"]
    summary = json.loads((reports / "summary.json").read_text())
    assert (summary["kind"], summary["verdict"], summary["exit_code"]) == ("check", "passed", 0)
    assert [one["file"] for one in summary["scenarios"]] == ["scenarios/a.yaml", "scenarios/b.yaml"]
    assert ElementTree.parse(reports / "junit.xml").getroot().attrib["tests"] == "6"


def test_what_fails_comes_first_with_its_line_and_what_to_type(folder: Path) -> None:
    (folder / "scenarios" / "z.yaml").write_text(FAILING)
    done = simroom("check", "--junit", "out/junit.xml", at=folder)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "FAILED  3 scenarios: 1 failed, 2 passed" in lines[1]
    line = FAILING.splitlines().index("  - delivery_latency.p95 < 1s") + 1
    assert lines[3].strip() == f"FAILED  scenarios/z.yaml:{line}  A room"
    assert "✗ delivery_latency.p95 < 1s   is 1 s" in lines[4]
    assert "simroom explain scenarios/z.yaml --slowest --seed 1" in lines[5]
    assert (folder / "out" / "junit.xml").read_bytes() == (folder / "reports" / "check" / "junit.xml").read_bytes()


@pytest.mark.parametrize(
    ("files", "words", "code"),
    [
        ({"z": BROKEN}, [], 2),
        ({"z": BROKEN, "y": FAILING}, [], 2),
        ({"z": ROOM}, ["--baseline", "-k", "z"], 4),
        ({"y": FAILING, "z": ROOM}, ["--set", "expect=[violations == 0]"], 0),
        ({}, ["--tag", "nosuch"], 5),
        ({}, ["-k", "nosuch"], 5),
        ({}, ["--not-tag", "quick"], 5),
        ({}, ["-k", "a.yaml", "--scheduler", "regressing:Raising"], 3),
        ({}, ["--scheduler", "regressing:Nobody"], 3),
        ({}, ["--scheduler", "no form"], 2),
        ({}, ["nowhere"], 2),
        ({}, ["--budget", "soon"], 2),
        ({}, ["--margin", "some"], 2),
        ({}, ["--baseline", "--replications", "3"], 2),
        ({}, ["--changed-since", "main"], 3),
    ],
)
def test_codes(folder: Path, files: dict[str, str], words: list[str], code: int) -> None:
    for name, text in files.items():
        (folder / "scenarios" / f"{name}.yaml").write_text(text)
    assert simroom("check", *words, at=folder).returncode == code


def test_a_folder_with_other_yaml_only_says_so(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    done = simroom("check", ".", at=tmp_path)
    assert done.returncode == 5
    assert done.stderr == (
        "nothing selected: there is no scenario under . (1 YAML files there have no `simroom:` in them)\n"
    )


def test_json_is_all_there_is_on_stdout(folder: Path) -> None:
    done = simroom("check", "--json", at=folder)
    assert json.loads(done.stdout)["counts"] == {"passed": 2}


def test_fail_fast_runs_no_more_after_the_first_that_fails(folder: Path) -> None:
    (folder / "scenarios" / "a.yaml").write_text(FAILING)
    done = simroom("check", "-x", "--json", at=folder)
    assert done.returncode == 1
    assert [one["verdict"] for one in json.loads(done.stdout)["scenarios"]] == ["failed", "not_run"]


def test_only_what_a_branch_has_changed_is_checked(folder: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)

    git("init", "-q", "-b", "main")
    git("add", "scenarios")
    git("commit", "-q", "-m", "first")
    assert simroom("check", "--changed-since", "main", at=folder).returncode == 5
    (folder / "scenarios" / "b.yaml").write_text(FAILING)
    done = simroom("check", "--changed-since", "main", "--json", at=folder)
    assert [one["file"] for one in json.loads(done.stdout)["scenarios"]] == ["scenarios/b.yaml"]


def test_in_a_step_of_github_failures_are_marked_and_summed_up(folder: Path) -> None:
    (folder / "scenarios" / "a.yaml").write_text(hostile(FAILING))
    step = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "sum.md")}
    (folder / "sum.md").write_text("before\n")
    done = simroom("check", at=folder, env=step)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    end = lines.index(f"::{token}::")
    line = FAILING.splitlines().index("  - delivery_latency.p95 < 1s") + 1
    assert len(lines) == end + 2
    assert lines[end + 1].startswith(f"::error file=scenarios/a.yaml,line={line},title=")
    assert not any(one.lstrip().startswith("::") for one in lines[1:end])
    summary = (folder / "sum.md").read_text()
    assert summary.startswith("before\n### simroom check: failed\n")
    as_json = simroom("check", "--json", at=folder, env=step)
    assert json.loads(as_json.stdout)["verdict"] == "failed"
    assert as_json.stderr.startswith("::error file=scenarios/a.yaml")


def test_outside_of_github_nothing_is_marked(folder: Path) -> None:
    (folder / "scenarios" / "a.yaml").write_text(FAILING)
    assert "::" not in simroom("check", at=folder).stdout


def test_names_that_mean_harm_steer_no_terminal_and_no_reader(folder: Path) -> None:
    bad = folder / "scenarios" / "\x1b[31m\u202e::error::.yaml"
    bad.write_text(hostile(FAILING))
    done = simroom("check", at=folder)
    reports = folder / "reports" / "check"
    texts = [done.stdout, *(path.read_text(encoding="utf-8") for path in reports.iterdir())]
    assert done.returncode == 1
    for text in texts:
        assert not any(character in text for character in "\x1b\u202e")
    # What shows other than it is must not be copied into a shell.
    assert "simroom explain" not in done.stdout


def test_what_cannot_be_written_is_told_after_what_was_found(folder: Path) -> None:
    (folder / "file").write_text("")
    done = simroom("check", "--junit", "file/junit.xml", at=folder)
    assert done.returncode == 3
    assert "PASSED  2 scenarios passed" in done.stdout
    assert done.stderr.startswith("cannot write file/junit.xml: ")
    assert (folder / "reports" / "check" / "summary.json").is_file()


def test_a_full_disk_is_told_after_what_was_found(folder: Path) -> None:
    done = simroom("check", "--junit", "/dev/full", at=folder)
    assert done.returncode == 3
    assert "PASSED  2 scenarios passed" in done.stdout
    assert done.stderr == "cannot write /dev/full: No space left on device\n"


def test_a_folder_of_somebody_elses_is_never_replaced(folder: Path) -> None:
    (folder / "reports" / "check").mkdir(parents=True)
    (folder / "reports" / "check" / "precious").write_text("")
    done = simroom("check", at=folder)
    assert done.returncode == 3
    assert "simroom did not make it" in done.stderr
    assert (folder / "reports" / "check" / "precious").exists()


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A folder with the command `simroom` in it, as it is installed."""
    return installed(tmp_path / "bin")


def test_two_at_once_in_one_folder_leave_one_of_both_whole(folder: Path, command: Path) -> None:
    both = [
        subprocess.Popen(["simroom", "check", "-q"], cwd=folder, env=environment(command), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [one.wait(60) for one in both] == [0, 0]
    assert os.listdir(folder / "reports") == ["check"]
    assert json.loads((folder / "reports" / "check" / "summary.json").read_text())["verdict"] == "passed"


def test_an_interrupted_check_leaves_what_it_has_checked(folder: Path, command: Path) -> None:
    shutil.copy(ROOT / "tests" / "regressing.py", folder)
    (folder / "scenarios" / "b.yaml").write_text(CROWD)
    words = ["simroom", "check", "--jobs", "1", "--scheduler", "regressing:Stuck"]
    process = subprocess.Popen(
        words, cwd=folder, env=environment(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # Under this scheduler a.yaml takes a second, and b.yaml a quarter of a minute.
    time.sleep(3.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INTERRUPTED  2 scenarios: 1 not run, 1 passed" in out
    assert "Interrupted: what was checked so far is written." in err
    summary = json.loads((folder / "reports" / "check" / "summary.json").read_text())
    assert (summary["partial"], summary["counts"]) == (True, {"not_run": 1, "passed": 1})
