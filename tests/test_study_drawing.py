"""Random scenarios: a function of their seed, good files, short, and nasty in every way there is."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simroom.scenario.faults import EVENT_KINDS, SHARE_KINDS, WORLD_KINDS
from simroom.scenario.load import loads
from simroom.scenario.units import parse_duration
from simroom.scheduler.settings import Settings
from simroom.study import drawing
from simroom.study.cuts import kind_of
from simroom.study.drawing import drawn, drawn_around, text_of
from simroom.study.luck import luck_of

MANY = range(1_500)
STANDUP: dict[str, Any] = {
    "simroom": 1,
    "name": "Stand-up",
    "duration": "10min",
    "warm_up": "1min",
    "rooms": [
        {
            "name": "standup",
            "count": 2,
            "members": [{"name": "anna", "speaks": "en"}, {"name": "yuki", "speaks": "ja", "count": 2}],
        }
    ],
    "nodes": [{"name": "desktop", "count": 2, "service": "1s"}],
    "scheduler": {"ordering": "strict", "max_attempts": 3},
    "expect": ["violations == 0"],
}


@pytest.fixture(scope="module")
def many() -> list[dict[str, Any]]:
    return [drawn(seed) for seed in MANY]


def test_the_same_seed_draws_the_same_scenario_and_another_seed_another_one() -> None:
    texts = [text_of(drawn(seed)) for seed in range(50)]
    assert texts == [text_of(drawn(seed)) for seed in range(50)]
    assert len(set(texts)) == 50


def test_a_drawn_scenario_is_a_good_file_and_says_its_own_seed() -> None:
    for seed in range(60):
        assert loads(text_of(drawn(seed)), f"seed {seed}", Path()).seed == seed


def test_what_is_drawn_for_one_part_does_not_depend_on_how_often_another_part_drew() -> None:
    one, other = luck_of(7), luck_of(7)
    for _ in range(100):
        one.whole(0, 9)
    assert [one.part("nodes").whole(0, 10**9)] == [other.part("nodes").whole(0, 10**9)]


def test_every_setting_and_every_pair_of_choices_comes_up(many: list[dict[str, Any]]) -> None:
    """A search that tries nothing finds nothing."""
    settings = [data["scheduler"] for data in many]
    assert {name for each in settings for name in each} == set(Settings.__struct_fields__)
    for name, choices in (drawing.CHOICES | drawing.TINY).items():
        assert {each[name] for each in settings if name in each} >= set(choices), name
    for first, second in itertools.combinations(drawing.CHOICES, 2):
        pairs = {(each[first], each[second]) for each in settings}
        assert len(pairs) == len(set(drawing.CHOICES[first])) * len(set(drawing.CHOICES[second])), (first, second)


def test_every_kind_of_fault_is_drawn(many: list[dict[str, Any]]) -> None:
    kinds = Counter(kind_of(fault) for data in many for fault in data["faults"])
    assert set(kinds) == {*EVENT_KINDS, *SHARE_KINDS, *WORLD_KINDS}
    assert min(kinds.values()) > len(many) / 50


def test_a_good_part_of_the_scenarios_has_no_fault_and_a_good_part_has_several_kinds(
    many: list[dict[str, Any]],
) -> None:
    kinds = Counter(len({kind_of(fault) for fault in data["faults"]}) for data in many)
    assert kinds[0] > len(many) / 10
    assert sum(count for number, count in kinds.items() if number >= 3) > len(many) / 10


def test_nearly_all_that_happens_is_at_plain_instants(many: list[dict[str, Any]]) -> None:
    """So that what is found can be cut down line by line."""
    events = [
        entry
        for data in many
        for entry in (
            *(fault for fault in data["faults"] if "at" in fault or "every" in fault),
            *(event for room in data["rooms"] for member in room["members"] for event in member["events"]),
        )
    ]
    plain = sum(isinstance(entry.get("at"), str) for entry in events)
    assert len(events) > 1_000
    assert 0.85 < plain / len(events) < 1


def test_every_theme_comes_up(many: list[dict[str, Any]]) -> None:
    settings = [data["scheduler"] for data in many]
    grace = sum(each.get("reconnect_grace", "0s") != "0s" for each in settings)
    expiry = sum(each.get("room_expiry") in ("500ms", "1s", "2s", "3s") for each in settings)
    modules = sum(any(node.get("modules") for node in data["nodes"]) for data in many)
    bursts = sum(any("burst" in fault for fault in data["faults"]) for data in many)
    assert min(grace, expiry, modules, bursts) > len(many) / 30


def test_a_scenario_drawn_around_another_keeps_its_people_nodes_and_settings() -> None:
    for seed in range(40):
        data = drawn_around(STANDUP, seed)
        scenario = loads(text_of(data), f"around, seed {seed}", Path())
        assert scenario.seed == seed
        assert [room.name for room in scenario.rooms] == ["standup"]
        assert [member.name for member in scenario.rooms[0].roster()] == ["anna", "yuki-1", "yuki-2"]
        assert data["nodes"] == STANDUP["nodes"]
        assert data["scheduler"] == STANDUP["scheduler"]
        assert scenario.duration <= 30_000_000
        assert not scenario.expect
    assert STANDUP["warm_up"] == "1min", "what is drawn around stays as it is"


def test_scenarios_drawn_around_another_differ_in_faults_churn_and_delays() -> None:
    around = [drawn_around(STANDUP, seed) for seed in range(60)]
    assert sum(bool(data["faults"]) for data in around) > 20
    assert sum("network" in data for data in around) > 10
    assert sum(any(member["events"] for member in data["rooms"][0]["members"]) for data in around) > 10
    assert len({data["duration"] for data in around}) == 3


def test_what_is_planned_late_in_a_scenario_is_not_cut_off() -> None:
    late = {**STANDUP, "nodes": [{"name": "desktop", "service": "1s", "leaves": "9min"}]}
    for seed in range(10):
        data = drawn_around(late, seed)
        assert parse_duration(data["duration"]) > parse_duration("9min")
        loads(text_of(data), f"around, seed {seed}", Path())


def test_empty_lists_and_mappings_are_not_written() -> None:
    text = text_of({"simroom": 1, "rooms": [], "nodes": [{"name": "n", "service": "1s", "modules": []}], "faults": []})
    assert text == 'simroom: 1\nnodes:\n  - {name: "n", service: 1s, modules: []}\n'
