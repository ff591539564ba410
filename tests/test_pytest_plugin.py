"""The pytest plugin: scenarios as tests, by fixture, by marker and collected, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from regressing import BROKEN, ROOM, folder_of, hostile
from test_cli_files import ROOT

FAILING = ROOM.replace("p95 < 2s", "p95 < 1s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder_of(tmp_path, a=ROOM, b=ROOM.replace("quick", "slow"), compose="services: {}\n")
    return tmp_path


def outcome_of(folder: Path, *words: str, test: str | None = None) -> tuple[int, str]:
    """Run pytest there; returns its code and what it says."""
    if test is not None:
        (folder / "test_it.py").write_text(test)
    installed = any(one.value == "simroom.pytest_plugin" for one in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "simroom.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", "-v", *words]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SIMROOM_", "PYTEST_"))}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        command, cwd=folder, env={**clean, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_fixture_checks_a_scenario(folder: Path) -> None:
    (folder / "scenarios" / "bad.yaml").write_text(FAILING)
    test = """
def test_good(simroom):
    tally = simroom.check("scenarios/a.yaml")
    assert tally.checked[0].name == "A room"

def test_bad(simroom):
    simroom.check("scenarios/bad.yaml")

def test_nothing(simroom):
    simroom.check("scenarios", tags=["nosuch"])

def test_run(simroom):
    assert simroom.run("scenarios/a.yaml").value("jobs") == 6

def test_compare(simroom):
    assert simroom.compare("scenarios/a.yaml", replications=1).word == "same"
"""
    code, said = outcome_of(folder, test=test)
    assert code == 1
    assert "2 failed, 3 passed" in said
    line = FAILING.splitlines().index("  - delivery_latency.p95 < 1s") + 1
    assert f"scenarios/bad.yaml:{line}: failed\n  delivery_latency.p95 < 1s: is 1 s (line {line})" in said
    assert "simroom explain scenarios/bad.yaml --slowest --seed 1" in said
    assert "there is no scenario under scenarios" in said
    assert "pytest_plugin.py" not in said


def test_the_marker_makes_a_test_of_each_scenario(folder: Path) -> None:
    test = """
import pytest

@pytest.mark.simroom("scenarios")
def test_all(simroom, scenario):
    simroom.check(scenario)

@pytest.mark.simroom("scenarios", tags=["slow"])
def test_some(simroom, scenario):
    simroom.check(scenario)
"""
    code, said = outcome_of(folder, "--strict-markers", test=test)
    assert code == 0, said
    for name in ("test_all[scenarios/a.yaml]", "test_all[scenarios/b.yaml]", "test_some[scenarios/b.yaml]"):
        assert f"test_it.py::{name} PASSED" in said
    assert "3 passed" in said


@pytest.mark.parametrize(
    ("marker", "why"),
    [
        ('"nowhere"', "no such file or folder"),
        ('"scenarios", select=["nosuch"]', "there is no scenario under scenarios"),
        ('"scenarios", colour=1', "pytest.mark.simroom has no colour"),
    ],
)
def test_a_marker_that_means_nothing_is_an_error(folder: Path, marker: str, why: str) -> None:
    test = f"import pytest\n\n@pytest.mark.simroom({marker})\ndef test_it(simroom, scenario): pass\n"
    code, said = outcome_of(folder, test=test)
    assert code != 0
    assert why in said
    assert "passed" not in said


def test_scenario_files_are_collected_where_that_is_asked_for(folder: Path) -> None:
    (folder / "scenarios" / "bad.yaml").write_text(hostile(FAILING))
    (folder / "scenarios" / "worse.yaml").write_text(BROKEN)
    code, said = outcome_of(folder, "--simroom", "scenarios")
    assert code == 1
    assert "scenarios/a.yaml::scenario PASSED" in said
    assert "scenarios/worse.yaml:4: invalid" in said
    assert "2 failed, 2 passed" in said
    assert "compose" not in said
    assert "\u202e" not in said
    assert "\x1b" not in said
    code, said = outcome_of(folder, "scenarios")
    assert "collected 0 items" in said


def test_the_options_count_for_all_of_them(folder: Path) -> None:
    test = 'def test_it(simroom):\n    simroom.check("scenarios/a.yaml")\n'
    bug = ["--simroom-scheduler", "simroom.bugbank.bank:speaker_left_out"]
    code, said = outcome_of(folder, "--simroom", *bug, "scenarios/a.yaml", "test_it.py", test=test)
    assert code == 1
    assert "2 failed" in said
    assert "--scheduler simroom.bugbank.bank:speaker_left_out" in said
    code, said = outcome_of(folder, "--simroom", "--simroom-baseline", "scenarios/a.yaml", "test_it.py")
    assert code == 1
    assert said.count("there is no baseline of it: simroom baseline update scenarios/a.yaml makes one") >= 2


def test_a_session_without_scenarios_imports_nothing_of_simroom(folder: Path) -> None:
    test = "import sys\n\ndef test_it():\n    assert not {'simroom.api', 'numpy', 'pydantic'} & set(sys.modules)\n"
    assert outcome_of(folder, "-p", "no:hypothesispytest", test=test)[0] == 0
