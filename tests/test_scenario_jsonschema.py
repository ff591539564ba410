from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from test_scenario_load import FULL as LOADED
from test_scenario_problems import FULL as DAMAGED
from test_scenario_problems import GOOD

from simroom.scenario.jsonschema import json_schema
from simroom.scenario.load import loads
from simroom.scenario.schema import Scenario
from simroom.scenario.section import SchedulerSection
from simroom.scenario.yaml12 import read

BROKEN = Path(__file__).parent / "broken"
ROOT = Path(__file__).parent.parent
WRONG_KEYS = [file for file in sorted(BROKEN.glob("*.yaml")) if "# wrong key" in file.read_text(encoding="utf-8")]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def errors(validator: Draft202012Validator, text: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(read(text, "f").data)]


@pytest.mark.parametrize("text", [LOADED, DAMAGED, GOOD], ids=["everything", "much", "little"])
def test_what_loads_is_valid_in_an_editor_too(validator: Draft202012Validator, text: str) -> None:
    assert errors(validator, text) == []


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_shipped_scenario_is_valid(validator: Draft202012Validator, file: Path) -> None:
    assert errors(validator, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", [LOADED, DAMAGED, GOOD], ids=["everything", "much", "little"])
def test_the_effective_form_is_valid_but_for_what_a_profile_has_and_the_node_has_not(
    validator: Draft202012Validator, text: str
) -> None:
    assert errors(validator, loads(text, "f", BROKEN).effective()) == []


@pytest.mark.parametrize("file", WRONG_KEYS, ids=lambda file: file.stem)
def test_a_wrong_or_missing_key_is_seen_in_an_editor(validator: Draft202012Validator, file: Path) -> None:
    assert errors(validator, file.read_text(encoding="utf-8"))


def test_there_are_enough_files_with_wrong_keys() -> None:
    assert len(WRONG_KEYS) >= 15


@pytest.mark.parametrize(
    "change",
    [
        "duration=10",
        "duration=10 minutes",
        "seed=-1",
        "seed=1.5",
        "rooms.standup.count=0",
        "rooms.standup.speech=talk",
        "rooms.standup.members.0.joins={uniform: {from: 1s}}",
        "rooms.standup.members.0.speaks=english",
        "nodes.desktop.gpu=triple",
        "nodes.desktop.profile=laptop",
        "nodes.desktop.cpu=20",
        "scheduler={ordering: strikt}",
        "scheduler={max_hold: 5}",
        "network={session: 5}",
        "expect=violations == 0",
    ],
)
def test_a_wrong_value_is_seen_in_an_editor(validator: Draft202012Validator, change: str) -> None:
    where, _, value = change.partition("=")
    data: Any = read(GOOD, "f").data
    current = data
    *steps, last = where.split(".")
    for step in steps:
        current = (
            next(item for index, item in enumerate(current) if step in (item.get("name"), str(index)))
            if isinstance(current, list)
            else current[step]
        )
    assert not list(validator.iter_errors(data))
    current[last] = read(value, "f").data
    assert list(validator.iter_errors(data))


def test_every_key_is_described() -> None:
    schema = json_schema()
    undescribed = [
        f"{name}.{key}"
        for name, definition in [("Scenario", schema), *schema["$defs"].items()]
        for key, inner in definition.get("properties", {}).items()
        if "anyOf" not in definition and "required" not in definition and "description" not in inner
    ]
    assert undescribed == []
    assert all(field.description for field in Scenario.model_fields.values())
    assert set(schema["$defs"]["SchedulerSection"]["properties"]) == set(SchedulerSection.model_fields)


def test_the_schema_is_always_the_same() -> None:
    assert json_schema() == json_schema()
