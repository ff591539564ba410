"""``simroom compare`` as one types it: settings, schedulers, run folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from regressing import BROKEN, ROOM, begin_processes, folder_of, hostile
from test_cli_files import simroom

from simroom.cli import regressing

assert regressing.compare is not None  # the commands are registered by importing their module
CALM = ROOM.replace("service: 1s", "service: 1s, gpu: {model: serial, streams: 4}")


@pytest.fixture(scope="module", autouse=True)
def processes() -> None:
    """See there."""
    begin_processes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder_of(tmp_path, a=CALM)
    return tmp_path


def test_a_setting_is_compared_with_the_scenario_as_it_is(folder: Path) -> None:
    done = simroom("compare", "scenarios/a.yaml", "--set", "scheduler.sticky=room", "--replications", "2", at=folder)
    assert (done.returncode, done.stderr) == (0, "")
    told = " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "DIFFERENT" in told
    assert "First difference 00:03.000 room/mei #0 → ja: where a job runs" in told
    assert "before: 00:03.000 ja job-2 attempt 1 goes to node-2 [the fewest jobs" in told
    assert "after: 00:03.000 ja job-2 attempt 1 goes to node-1 [sticky: room: the last node of this room" in told
    assert "Jobs 6 in both · " in told
    assert "ran elsewhere" in told
    assert "Unchanged violations, delivery_latency.mean" in told


def test_what_is_the_same_is_said_to_be(folder: Path) -> None:
    done = simroom("compare", "scenarios/a.yaml", "scenarios/a.yaml", "--replications", "2", at=folder)
    assert done.returncode == 0
    assert "SAME  the same was decided about every job" in done.stdout


def test_a_worse_scheduler_gives_code_1_and_json_says_why(folder: Path) -> None:
    bug = "simroom.bugbank.bank:speaker_left_out"
    words = ["compare", "scenarios/a.yaml", "--scheduler", bug, "--replications", "2", "--json"]
    done = simroom(*words, at=folder)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["kind"], found["verdict"], found["exit_code"]) == ("comparison", "worse", 1)
    first = found["first_difference"]
    assert (first["what"], first["speaker"], first["language"]) == ("routing", "room/mei", "en")
    assert first["before"]["recipients"] == ["room/anna", "room/mei"]
    assert first["after"]["recipients"] == ["room/anna"]
    assert found["deliveries"]["only_before"] == 2
    assert found["figures"][0]["verdict"] == "worse"


def test_two_schedulers_are_the_first_and_the_second_way(folder: Path) -> None:
    words = ["--scheduler", "regressing:ties", "--scheduler", "regressing:nothing", "--both", "scheduler.max_hold=1s"]
    done = simroom("compare", "scenarios/a.yaml", *words, "--replications", "1", "--json", at=folder)
    found = json.loads(done.stdout)
    assert found["before"]["label"].endswith("--set scheduler.max_hold=1s --scheduler regressing:ties")
    assert found["after"]["label"].endswith("--set scheduler.max_hold=1s --scheduler regressing:nothing")
    assert found["notes"] == []


def test_two_run_folders_are_compared(folder: Path) -> None:
    simroom("run", "scenarios/a.yaml", "-q", at=folder)
    simroom("run", "scenarios/a.yaml", "-q", "--out", "after", "--set", "scheduler.sticky=room", at=folder)
    done = simroom("compare", "reports/a-1", "after/a-1", at=folder)
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "they are of different scenarios: they differ in scheduler" in told
    assert "First difference 00:03.000 room/mei #0 → ja: where a job runs" in told
    assert "[sticky: room" in told


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["scenarios/a.yaml"], 2, "compare with what?"),
        (["scenarios", "scenarios"], 2, "is no run folder"),
        (["scenarios", "scenarios/a.yaml"], 2, "a run folder is compared with another run folder"),
        (["scenarios", "scenarios", "--seed", "2"], 2, "go with scenarios"),
        (["scenarios/a.yaml", "nowhere.yaml"], 2, "no such file"),
        (["scenarios/a.yaml", "--set", "jobs=3"], 2, "unknown key"),
        (["scenarios/a.yaml", *["--scheduler", "regressing:ties"] * 3], 2, "at most two"),
        (["scenarios/a.yaml", "--scheduler", "regressing:Nobody"], 3, "cannot import"),
        (["scenarios/a.yaml", "--scheduler", "regressing:Raising"], 3, "KeyError: 'no such thing'"),
        (["scenarios/a.yaml", "broken.yaml"], 2, "duration"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder: Path, words: list[str], code: int, why: str) -> None:
    (folder / "broken.yaml").write_text(BROKEN)
    done = simroom("compare", *words, at=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr


def test_names_that_mean_harm_steer_nothing(folder: Path) -> None:
    text = hostile(CALM).replace("name: room\n", 'name: "r\\u202e\\e[31m"\n')
    (folder / "scenarios" / "a.yaml").write_text(text)
    done = simroom("compare", "scenarios/a.yaml", "--set", "scheduler.sticky=room", "--replications", "1", at=folder)
    assert "r\\u202e\\e[31m/mei" in done.stdout
    assert not any(character in done.stdout for character in "\x1b\u202e")
