"""The documentation: what follows from the code is up to date, its examples are valid, its claims are true."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML

from simroom.cli import files, scenarios
from simroom.scenario.emit import dump
from simroom.scenario.load import load
from simroom.scheduler.jobs import JobEnd
from simroom.scheduler.nodes import TRANSITIONS
from simroom.sim.run import RunData, simulate
from simroom.study.expect import read

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))]
FORMAT = (DOCS / "scenario-format.md").read_text(encoding="utf-8")
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
BASE = """\
simroom: 1
name: Example
duration: 10min
sessions:
  - {name: someone, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 1/min}}}
nodes:
  - {name: node, service: 1s}
"""


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that writes the generated parts."""
    found = spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules["docs_generate"] = module
    found.loader.exec_module(module)
    return module


def test_everything_generated_is_up_to_date(generate: ModuleType) -> None:
    stale = [path.name for path in generate.out_of_date()]
    assert not stale, "run: python docs/generate.py"


def test_a_changed_part_would_be_noticed(generate: ModuleType) -> None:
    page = DOCS / "architecture.md"
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text, page.name) == text
    assert generate.filled(text.replace("registering --> ready", "registering --> gone"), page.name) == text


def test_the_diagram_of_a_node_has_every_transition_and_no_other(generate: ModuleType) -> None:
    drawn = set()
    for before, after, events in re.findall(r"^    (\w+) --> (\w+): (.+)$", generate.node_states(), re.MULTILINE):
        drawn |= {(before, event, after) for event in events.split(", ")}
    assert drawn == {(before.value, event.value, after.value) for (before, event), after in TRANSITIONS.items()}


def test_the_diagram_of_a_job_ends_as_jobs_end() -> None:
    diagram = (DOCS / "architecture.md").read_text(encoding="utf-8").split("### A job's life")[1].split("```")[1]
    arrows = re.findall(r"^    (\S+) --> ([^\s:]+)", diagram, re.MULTILINE)
    assert {before for before, after in arrows if after == "[*]"} == {end.value for end in JobEnd}
    reached = {after for _, after in arrows} - {"[*]"}
    assert reached == {before for before, _ in arrows} - {"[*]"}, "a state that is not left, or not reached"


def test_the_schema_command_prints_the_schema_that_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert files.schema() == 0
    assert capsys.readouterr().out == (DOCS / "scenario.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", _YAML.findall(FORMAT))
def test_an_example_of_the_format_is_valid(example: str, tmp_path: Path) -> None:
    """A whole scenario as it stands; a fragment in place of the same sections of a small one."""
    reader = YAML(typ="safe", pure=True)
    fragment = reader.load(example)
    whole = fragment if "simroom" in fragment else {**reader.load(BASE), **fragment}
    (tmp_path / "data").symlink_to(ROOT / "scenarios" / "data")
    path = tmp_path / "example.yaml"
    path.write_text(example if "simroom" in fragment else dump(whole), encoding="utf-8")
    found = scenarios.problems_of(path)
    assert isinstance(found, scenarios.Sound), found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        file, _, fragment = target.partition("#")
        if file:
            assert (page.parent / file).exists(), target
        else:
            assert fragment in headings, target


def anchor(heading: str) -> str:
    """The fragment by which a heading is reached."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_expectation_that_a_page_shows_makes_sense(page: Path) -> None:
    for text in re.findall(r"`([a-z_.]+(?:\{[^}`]+\})?(?:\.\w+)? (?:<|<=|>|>=|==|!=) [^`]+)`", page.read_text("utf-8")):
        assert read(text).text == text


def test_the_notices_are_shipped_with_what_they_are_about() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"simroom/data/NOTICE.md"' in project
    assert (ROOT / "simroom" / "data" / "NOTICE.md").is_file()
    assert (ROOT / "scenarios" / "data" / "NOTICE.md").is_file()


# --- what architecture.md says of folded hops ---


def rows_of(ran: RunData) -> tuple[list[list[int]], list[tuple[int, int, int]]]:
    """Every job, and every delivery in order of arrival."""
    jobs, deliveries = ran.ledger.jobs(), ran.ledger.deliveries()
    arrivals = zip(
        deliveries["arrived_at"].tolist(), deliveries["recipient"].tolist(), deliveries["job"].tolist(), strict=True
    )
    return [column.tolist() for column in jobs.values()], sorted(arrivals)


@pytest.mark.parametrize(
    "unsteady",
    [
        ("nodes.desktop.leaves=450s",),
        ("rooms.standup.members.yuki.events=[{at: 450s, close: {}}]",),
        (
            "nodes.desktop.drains=450s",
            "rooms.standup.members.mei.events=[{at: 450s, drop: {}}]",
            "sessions.solo.events=[{at: 450s, close: {}}]",
        ),
    ],
    ids=["nodes", "a member", "all"],
)
def test_folded_hops_change_no_row(unsteady: tuple[str, ...]) -> None:
    """What might happen, but only after everything has arrived, keeps hops from being folded and changes nothing."""
    path = ROOT / "scenarios" / "quickstart.yaml"
    folded, unfolded = simulate(load(path)), simulate(load(path, overrides=unsteady))
    assert unfolded.ended_at < unfolded.time_zero + 450_000_000
    assert unfolded.events > folded.events, "nothing was folded, so this shows nothing"
    assert rows_of(folded) == rows_of(unfolded)
