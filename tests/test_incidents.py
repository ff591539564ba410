"""Eighteen incidents as pairs of scenarios: what it was like, and that simroom's defaults are free of it."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from simroom.bugbank import BUGS
from simroom.cli import exits
from simroom.cli.run import Options, run

ROOT = Path(__file__).resolve().parents[1]
INCIDENTS = ROOT / "scenarios" / "incidents"
PAGE = ROOT / "docs" / "incidents.md"
AS_IT_WAS = "-as-it-was"
PAIRS = sorted(path.stem.removesuffix(AS_IT_WAS) for path in INCIDENTS.glob(f"*{AS_IT_WAS}.yaml"))
TOLD = ("name", "expect")
"""What two of a pair say differently in any case."""
CAUSES = {"16-first-job": {"nodes"}, "17-asr-for-each-language": {"script"}}
"""What else than the scheduler is different where the cause is not the scheduler's."""


def data_of(name: str) -> dict[str, Any]:
    """A scenario as its file has it."""
    data: dict[str, Any] = YAML(typ="safe", pure=True).load((INCIDENTS / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def causes_of(pair: str) -> set[str]:
    """The keys in which the two differ, beyond their names and what they expect."""
    clean, was = data_of(pair), data_of(pair + AS_IT_WAS)
    return {key for key in {*clean, *was} if clean.get(key) != was.get(key)} - set(TOLD)


def as_in(name: str, keys: set[str]) -> tuple[str, ...]:
    """Overrides that set these keys to what that scenario has."""
    data = data_of(name)
    nothing: dict[str, object] = {"bug": None, "scheduler": {}}
    return tuple(f"{key}={json.dumps(data[key] if key in data else nothing[key])}" for key in sorted(keys))


def code_of(name: str, out: Path, *overrides: str) -> int:
    """Run it as the command does, in this process."""
    options = Options(
        scenario=INCIDENTS / f"{name}.yaml",
        seed=None,
        overrides=overrides,
        out=out,
        as_json=False,
        quiet=True,
        colour=False,
        rows="csv",
        scheduler=None,
        force=False,
    )
    return run(options)


def summary_in(out: Path) -> dict[str, Any]:
    """What the one run under this folder came to."""
    found: dict[str, Any] = json.loads(next(out.glob("*/summary.json")).read_text(encoding="utf-8"))
    return found


def test_each_of_the_eighteen_has_its_pair() -> None:
    assert [int(pair.partition("-")[0]) for pair in PAIRS] == list(range(1, 19))
    named = {path.stem for path in INCIDENTS.glob("*.yaml")}
    assert named == {*PAIRS, *(pair + AS_IT_WAS for pair in PAIRS)}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_of_a_pair_differ_in_the_cause_alone(pair: str) -> None:
    clean = data_of(pair)
    assert causes_of(pair) <= CAUSES.get(pair, {"bug", "scheduler"})
    assert causes_of(pair), "nothing is different"
    assert not {"bug", "scheduler"} & set(clean), "simroom's defaults"
    assert {"violations == 0", "deliveries.missing == 0"} < set(clean["expect"])


@pytest.mark.parametrize("pair", PAIRS)
def test_with_our_defaults_nothing_is_wrong(pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(pair, tmp_path) == exits.PASSED, capsys.readouterr().out
    assert summary_in(tmp_path)["violations"]["total"] == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_as_it_was_the_incident_happens(pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = pair + AS_IT_WAS
    assert code_of(name, tmp_path) == exits.PASSED, capsys.readouterr().out
    bug = data_of(name).get("bug")
    breached = set(summary_in(tmp_path)["violations"]["by_invariant"])
    if bug is None:
        assert not breached, "a setting is no breach"
    else:
        assert breached & {*BUGS[bug].invariants, "L1", "L2", "L3", "L4"}


@pytest.mark.parametrize("pair", PAIRS)
def test_without_its_cause_an_incident_does_not_happen(
    pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = pair + AS_IT_WAS
    assert code_of(name, tmp_path / "all", *as_in(pair, causes_of(pair))) == exits.FAILED, capsys.readouterr().out
    assert summary_in(tmp_path / "all")["violations"]["total"] == 0
    if "bug" in data_of(name):
        # The settings that come with a bug are there to let it show, and do no harm by themselves.
        assert code_of(name, tmp_path / "bug", "bug=null") == exits.FAILED, capsys.readouterr().out
        assert summary_in(tmp_path / "bug")["violations"]["total"] == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_with_the_cause_the_clean_scene_fails(pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(pair, tmp_path, *as_in(pair + AS_IT_WAS, causes_of(pair))) == exits.FAILED, capsys.readouterr().out


# --- the page ---


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The script that writes what the runs print."""
    found = spec_from_file_location("docs_incidents", ROOT / "docs" / "incidents.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules["docs_incidents"] = module
    found.loader.exec_module(module)
    return module


def test_the_page_shows_what_the_runs_print(pages: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert pages.filled(text) == text, "run: python docs/incidents.py"


def test_a_changed_number_on_the_page_would_be_noticed(pages: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    part = re.search(r"<!-- printed: incidents/01-second-language-as-it-was -->.*?<!-- end -->", text, re.DOTALL)
    assert part is not None
    assert pages.filled(part[0].replace("missing 3", "missing 4")) == part[0]


def test_the_page_tells_every_pair_in_its_order(pages: ModuleType) -> None:
    assert pages.shown_in(PAGE) == [f"incidents/{name}" for pair in PAIRS for name in (pair + AS_IT_WAS, pair)]


def stories() -> list[tuple[str, str]]:
    """Each pair and the section that tells of it."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    return list(zip(PAIRS, sections, strict=True))


@pytest.mark.parametrize(("pair", "section"), stories(), ids=PAIRS)
def test_every_number_in_a_story_is_in_its_scenarios_or_in_what_they_print(pair: str, section: str) -> None:
    heading, _, body = section.partition("\n")
    story, _, shown = body.partition("<!-- printed:")
    assert heading.startswith(f"{int(pair.partition('-')[0])} ")
    sources = shown + "".join((INCIDENTS / f"{name}.yaml").read_text("utf-8") for name in (pair, pair + AS_IT_WAS))
    number = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?")
    known = {float(found) for found in number.findall(sources)}
    told = re.sub(r"\[[^\]]*\]\([^)]*\)", "", story)
    strange = [found for found in number.findall(told) if float(found) not in known]
    assert not strange
    assert 4 <= len(story.strip().splitlines()) <= 12
    assert data_of(pair + AS_IT_WAS).get("bug") is None or re.search(r"\b(I\d|L\d|reply)\b", story), "which invariant"
