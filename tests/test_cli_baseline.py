"""``simroom baseline`` as one types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from regressing import ROOM, begin_processes, folder_of
from test_cli_files import simroom

from simroom.cli import regressing

assert regressing.update is not None  # the commands are registered by importing their module
FAILING = ROOM.replace("p95 < 2s", "p95 < 1s")


@pytest.fixture(scope="module", autouse=True)
def processes() -> None:
    """See there."""
    begin_processes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder_of(tmp_path, a=ROOM, b=ROOM.replace("A room", "B room"))
    return tmp_path


def test_update_says_what_became_of_each_baseline(folder: Path) -> None:
    done = simroom("baseline", "update", at=folder)
    assert done.returncode == 0
    assert "baselines: 2 new" in done.stdout
    assert "new  reports/baselines/scenarios/a.json" in done.stdout
    (folder / "scenarios" / "b.yaml").write_text(ROOM.replace("A room", "C room"))
    done = simroom("baseline", "update", at=folder)
    assert "baselines: 1 changed, 1 as it was" in done.stdout
    assert "a.json" not in done.stdout


def test_update_tells_what_does_not_pass_and_keeps_nothing_of_it(folder: Path) -> None:
    (folder / "scenarios" / "b.yaml").write_text(FAILING)
    done = simroom("baseline", "update", "--json", at=folder)
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert [(one["scenario"], one["baseline"]) for one in content["baselines"]] == [
        ("scenarios/a.yaml", "new"),
        ("scenarios/b.yaml", "none"),
    ]
    assert not (folder / "reports" / "baselines" / "scenarios" / "b.json").exists()
    assert simroom("baseline", "update", "--even-failed", at=folder).returncode == 1
    assert (folder / "reports" / "baselines" / "scenarios" / "b.json").exists()


def test_a_check_against_what_was_kept_passes(folder: Path) -> None:
    simroom("baseline", "update", "--baselines", "kept", at=folder)
    done = simroom("check", "--baseline", "--baselines", "kept", "--json", at=folder)
    assert done.returncode == 0
    cases = json.loads(done.stdout)["scenarios"][0]["cases"]
    names = [case["name"] for case in cases]
    assert names[:6] == [
        "run completed",
        "violations == 0",
        "delivery_latency.p95 < 2s",
        "baseline: routing",
        "baseline: selection",
        "baseline: effort",
    ]
    assert "baseline: delivery_latency.p95" in names


def test_a_change_of_the_scheduler_is_told_in_plain_words(folder: Path) -> None:
    simroom("baseline", "update", at=folder)
    words = ["check", "--baseline", "-k", "a.yaml", "--scheduler", "simroom.bugbank.bank:speaker_left_out"]
    done = simroom(*words, at=folder)
    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert "✗ baseline: routing is another than in the baseline: results reach others in 2 of 2 replications" in told
    assert "was 00:03.000 room/mei #0 → en, on node-1, to anna, mei" in told
    assert "is 00:03.000 room/mei #0 → en, on node-1, to anna if that is meant: simroom baseline update" in told


def test_show_tells_one_in_full_and_several_in_a_line_each(folder: Path) -> None:
    simroom("baseline", "update", "scenarios/a.yaml", at=folder)
    done = simroom("baseline", "show", "scenarios/a.yaml", at=folder)
    assert done.returncode == 0
    assert "00:03.000 room/mei #0 → en" in done.stdout
    assert "delivery_latency.p95" in done.stdout
    done = simroom("baseline", "show", at=folder)
    assert done.returncode == 4
    lines = done.stdout.strip().splitlines()
    assert lines[0].split()[:2] == ["✗", "scenarios/b.yaml"]
    assert lines[-1].split()[:3] == ["✓", "scenarios/a.yaml", "passed,"]


def test_show_says_of_what_does_not_fit_why(folder: Path) -> None:
    simroom("baseline", "update", at=folder)
    (folder / "scenarios" / "a.yaml").write_text(ROOM.replace("slots: 4", "slots: 5"))
    done = simroom("baseline", "show", "scenarios/a.yaml", at=folder)
    assert done.returncode == 4
    assert "the baseline is of another scenario: nodes differs" in " ".join(done.stdout.split())
    content = json.loads(simroom("baseline", "show", "--json", at=folder).stdout)
    assert [one["problem"] is None for one in content["baselines"]] == [False, True]
    assert content["baselines"][1]["content"]["verdict"] == "passed"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["update", "-k", "nosuch"], 5),
        (["show", "-k", "nosuch"], 5),
        (["update", "nowhere"], 2),
        (["show", "nowhere"], 2),
        (["update", "--baselines", "scenarios/a.yaml"], 3),
        ([], 2),
    ],
)
def test_codes(folder: Path, words: list[str], code: int) -> None:
    assert simroom("baseline", *words, at=folder).returncode == code


def test_a_reviewer_sees_a_change_of_the_routing_as_a_change_of_a_line(folder: Path) -> None:
    path = folder / "reports" / "baselines" / "scenarios" / "a.json"
    simroom("baseline", "update", at=folder)
    before = path.read_text()
    # The bug passes, since nothing else is expected of this scenario.
    words = ["--even-failed", "--scheduler", "simroom.bugbank.bank:speaker_left_out"]
    simroom("baseline", "update", "scenarios/a.yaml", *words, at=folder)
    (folder / "before").write_text(before)
    done = subprocess.run(["diff", "before", str(path)], cwd=folder, capture_output=True, text=True, check=False)
    assert '<     ["00:03.000 room/mei #0 → en", "on node-1", "to anna, mei"],' in done.stdout
    assert '>     ["00:03.000 room/mei #0 → en", "on node-1", "to anna"],' in done.stdout
