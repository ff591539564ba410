"""The public Python API: what ``import simroom`` offers, typed, and the same as the command line says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from regressing import BROKEN, CROWD, ROOM, Raising, folder_of
from test_cli_files import ROOT

import simroom
from simroom import api

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return folder_of(tmp_path, a=ROOM) / "a.yaml"


def test_everything_that_is_offered_is_there_and_nothing_more() -> None:
    assert set(simroom.__all__) - {"__version__"} <= set(api.__all__)
    for name in simroom.__all__:
        assert getattr(simroom, name) is not None
    assert set(dir(simroom)) == set(simroom.__all__)
    with pytest.raises(AttributeError, match="module 'simroom' has no attribute 'nosuch'"):
        simroom.nosuch  # noqa: B018


def test_importing_simroom_imports_nothing_heavy() -> None:
    code = "import sys, simroom; print(sorted({'numpy', 'pydantic', 'simpy', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_run_that_passes_says_what_it_came_to(scenario: Path) -> None:
    result = simroom.run(scenario)
    assert (result.passed, result.verdict, result.reasons, result.seed) == (True, "passed", (), 1)
    assert result.value("delivery_latency.p95") == 1.0
    assert result.value("delivery_latency{language=ja}.n") == 3
    assert result.value("jobs") == 6
    assert [(one.text, one.passed, one.value) for one in result.expectations] == [
        ("violations == 0", True, 0),
        ("delivery_latency.p95 < 2s", True, 1.0),
    ]
    assert result.violation_count == 0
    assert result.told.startswith("PASSED  A room · seed 1\n")
    assert repr(result) == "<simroom.Result: passed, A room, 1>"


def test_the_jobs_of_a_run_say_whom_each_result_reached(scenario: Path) -> None:
    first, second, *_ = simroom.run(scenario).jobs()
    assert (first.speaker, first.language, first.node, first.recipients) == (
        "room/mei",
        "en",
        "node-1",
        ("room/anna", "room/mei"),
    )
    assert (second.language, second.recipients, second.arrived_at) == ("ja", ("room/yuki",), (4_000_000,))


def test_a_run_that_fails_says_why(scenario: Path) -> None:
    result = simroom.run(scenario, overrides=["expect=[jobs == 7]"])
    assert (result.passed, result.verdict) == (False, "failed")
    (one,) = result.expectations
    assert (one.passed, one.value, one.line) == (False, 6, None)
    assert "does not hold: jobs == 7: is 6" in result.told


def test_a_breach_is_a_value_that_says_what_happened(scenario: Path) -> None:
    result = simroom.run(scenario, scheduler="simroom.bugbank.bank:speaker_left_out")
    first = result.violations[0]
    assert (first.invariant, first.speaker, first.recipients) == ("I1", "room/mei", ("room/mei",))
    assert result.violation_count >= len(result.violations) > 0


def test_a_scheduler_can_be_given_as_it_is(scenario: Path) -> None:
    with pytest.raises(KeyError, match="no such thing"):
        simroom.run(scenario, scheduler=Raising)


def test_a_scenario_can_be_a_text(tmp_path: Path) -> None:
    from_text = simroom.run(text=CROWD, seed=3)
    path = tmp_path / "a.yaml"
    path.write_text(CROWD)
    from_file = simroom.run(str(path), seed=3)
    assert from_text.trace_hash == from_file.trace_hash
    assert from_text.scenario_hash == from_file.scenario_hash
    assert from_text.trace_hash != simroom.run(text=CROWD, seed=4).trace_hash


def test_hashes_say_what_has_changed(scenario: Path) -> None:
    one = simroom.run(scenario)
    other = simroom.run(scenario, overrides=["scheduler.sticky=room"])
    assert one.routing_hash == other.routing_hash
    assert one.decision_hash != other.decision_hash


def test_a_run_is_saved_as_the_command_saves_it(scenario: Path, tmp_path: Path) -> None:
    folder = simroom.run(scenario).save(tmp_path / "reports")
    assert folder == tmp_path / "reports" / "a-1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "deliveries.csv",
        "log.txt",
        "scenario.yaml",
        "series.json",
        "summary.json",
        "timing.json",
    ]
    assert json.loads((folder / "summary.json").read_text()) == simroom.run(scenario).summary()


@pytest.mark.parametrize("figure", ["delivery_latecny.p95", "delivery_latency", "jobs{colour=red}", "jobs == 1", ""])
def test_a_figure_that_does_not_exist_is_refused(scenario: Path, figure: str) -> None:
    with pytest.raises(ValueError, match="is no figure"):
        simroom.run(scenario).value(figure)


def test_a_selection_that_the_run_does_not_have_is_refused(scenario: Path) -> None:
    with pytest.raises(LookupError, match="this run has no language 'fr'; it has"):
        simroom.run(scenario).value("jobs{language=fr}")


def test_a_scenario_with_problems_is_refused_with_all_of_them(scenario: Path) -> None:
    scenario.write_text(BROKEN.replace("slots: 4", "slots: many"))
    with pytest.raises(simroom.ScenarioError) as raised:
        simroom.run(scenario)
    assert len(raised.value.problems) == 2
    assert simroom.validate(scenario) == raised.value.problems


def test_a_sound_scenario_has_no_problems(scenario: Path) -> None:
    assert simroom.validate(scenario) == ()
    assert len(simroom.validate(scenario, overrides=["jobs=3"])) == 1


def test_neither_or_both_of_a_file_and_a_text_are_refused(scenario: Path) -> None:
    for arguments in ({}, {"scenario": scenario, "text": ROOM}):
        with pytest.raises(ValueError, match="a file or a text"):
            simroom.run(**arguments)  # type: ignore[arg-type]


def test_a_very_large_scenario_is_refused(scenario: Path) -> None:
    with pytest.raises(simroom.OversizeError, match="beyond the budget"):
        simroom.run(text=CROWD.replace("12/min", "1000/s").replace("count: 6", "count: 900000").replace("60s", "24h"))


def test_a_check_is_what_the_command_says(scenario: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    tally = simroom.check(
        scenario.parent, tags=["quick"], progress=lambda one, done, most: seen.append((one.word, done, most))
    )
    assert (tally.word, tally.counts, seen) == ("passed", {"passed": 1}, [("passed", 1, 1)])
    assert simroom.check(scenario.parent, tags=["nosuch"]).checked == ()


def test_a_check_with_several_processes_is_the_same(scenario: Path) -> None:
    one, many = simroom.check(scenario, replications=3), simroom.check(scenario, replications=3, jobs=2)
    assert one.checked[0].cases == many.checked[0].cases


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "simroom" / "py.typed").is_file()


def test_the_page_names_all_that_is_offered() -> None:
    for name in simroom.__all__:
        if name not in ("__version__", "Problem", "Renewed", "Case", "Comparison"):
            assert re.search(rf"\b{name}\b", PAGE), name


@pytest.mark.parametrize("example", re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_an_example_of_the_page_works(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/api.md", "exec"), {})
