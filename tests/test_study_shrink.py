"""Cutting down: what is left fails in the same way, is small, readable, and the same every time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simroom.bugbank import BUGS
from simroom.scenario.yaml12 import read
from simroom.scheduler.port import SchedulerFactory
from simroom.study import cuts, renaming
from simroom.study.cuts import kind_of
from simroom.study.drawing import drawn, text_of
from simroom.study.reduction import Reduced, reducing
from simroom.study.shrink import operations, shrunk
from simroom.study.trial import ran, scenario_of, tried, valid
from simroom.study.written_out import written_out

Data = dict[str, Any]
FOUND = {
    "everybody_gets_everything": 60,
    "released_to_releasers_recipients": 60,
    "slot_leaked_on_failure": 60,
    "retry_for_ever": 60,
}
"""Bugs, and the seeds among which each shows."""


def factory(name: str) -> SchedulerFactory:
    return BUGS[name].make


def reduced(name: str) -> tuple[Data, Reduced]:
    """The first random scenario in which the bug shows, and what is left of it."""
    for seed in range(1, FOUND[name]):
        trial = tried(drawn(seed), scheduler=BUGS[name].make)
        if trial.first is not None:
            data = drawn(seed)
            return data, list(reducing(data, Path(), partial(factory, name), trial.first, 800, 60))[-1]
    raise AssertionError(f"{name} does not show")


@pytest.mark.parametrize("name", FOUND)
def test_a_failing_scenario_is_cut_down_to_a_few_operations_that_fail_in_the_same_way(name: str) -> None:
    data, small = reduced(name)
    before = tried(data, scheduler=BUGS[name].make)
    after = tried(small.data, scheduler=BUGS[name].make)
    assert before.first in after.signature
    assert small.operations == operations(small.data) <= 10
    assert len(text_of(small.data)) < len(text_of(data))
    assert valid(small.data)
    assert not tried(small.data).failed, "with simroom's own scheduler nothing is wrong in it"


def test_the_same_scenario_is_cut_down_to_the_same_one_again() -> None:
    first, again = (text_of(reduced("everybody_gets_everything")[1].data) for _ in range(2))
    assert first == again


def speaks_twice(data: Data) -> bool:
    """Whether two utterances and a second member are left: a failure that is known to the letter."""
    script = data.get("script") or ()
    return valid(data) and sum("speak" in line for line in script) >= 2 and len(data["rooms"][0]["members"]) >= 2


def test_nothing_is_left_that_the_failure_does_not_need() -> None:
    data: Data = {
        "simroom": 1,
        "name": "much",
        "duration": "60s",
        "rooms": [{"name": "standup", "members": [{"name": f"m{n}", "speaks": ("en", "zh")[n % 2]} for n in range(5)]}],
        "nodes": [{"name": f"n{n}", "service": "1234ms"} for n in range(3)],
        "scheduler": {"max_attempts": 3, "sticky": "room"},
        "faults": [{"at": "3s", "crash": "n1"}, {"lose_heartbeats": {"nodes": "all", "share": "30%"}}],
        "script": [{"at": f"{second}s", "speak": f"standup/m{second % 5}"} for second in range(20)],
    }
    small = shrunk(data, speaks_twice)
    assert small.complete
    assert small.operations == 2
    assert "faults" not in small.data
    assert "scheduler" not in small.data
    assert len(small.data["rooms"][0]["members"]) == 2
    assert not small.data.get("nodes")


def test_the_tries_can_be_bounded() -> None:
    data = drawn(3)
    small = shrunk(data, bool, tries_max=5)
    assert small.tries <= 5


# --- chance written out ---


def said(data: Data, base: Path) -> list[tuple[str, int, int]]:
    """Who spoke from when to when: from time 0 on, for a script cannot begin before that."""
    run = ran(scenario_of(data, base))
    columns = run.ledger.utterances()
    names = [run.ledger.sessions.names[number] for number in columns["speaker"].tolist()]
    begun = [max(run.time_zero, instant) for instant in columns["started_at"].tolist()]
    return sorted(zip(names, begun, columns["ended_at"].tolist(), strict=True))


RANDOM: Data = {
    "simroom": 1,
    "name": "talk",
    "duration": "20s",
    "rooms": [
        {
            "name": "standup",
            "count": 2,
            "members": [{"name": "anna", "speaks": "en"}, {"name": "yuki", "speaks": "ja", "count": 2}],
        }
    ],
    "sessions": [{"name": "guide", "src_lang": "zh", "tgt_lang": "en", "speech": {"arrivals": {"poisson": "60/min"}}}],
    "nodes": [{"name": "n", "count": 2, "service": {"uniform": {"from": "100ms", "to": "2s"}}, "leaves": "15s"}],
    "faults": [
        {"at": "5s", "crash": {"nodes": "n", "for": "2s"}},
        {"every": "7s", "leave": {"sessions": "standup-2/anna", "for": "1s"}},
    ],
}


def test_what_was_said_by_chance_is_written_out_word_for_word() -> None:
    written = next(written_out(RANDOM, ran(scenario_of(RANDOM))))
    assert valid(written)
    assert said(written, Path()) == said(RANDOM, Path())
    assert "faults" not in written
    kinds = [kind_of(line) for line in written["script"]]
    assert kinds.count("crash") == 1
    assert kinds.count("leave") == 2
    assert kinds.count("stop") == 2
    assert [room["name"] for room in written["rooms"]] == ["standup-1", "standup-2"]
    assert any("service" in line["speak"] for line in written["script"] if "speak" in line)


def test_a_meeting_is_written_out_with_its_speakers_as_members() -> None:
    path = Path(__file__).parent.parent / "scenarios" / "ami-meeting.yaml"
    data = {**read(path.read_text(encoding="utf-8"), path.name).data, "duration": "60s"}
    written = next(written_out(data, ran(scenario_of(data, path.parent))))
    assert "speech" not in written["rooms"][0]
    assert valid(written)
    spoken = said(written, Path())
    assert len({speaker for speaker, _, _ in spoken}) > 1
    assert spoken == said(data, path.parent)


# --- leaving out and renaming ---

NAMED: Data = {
    "simroom": 1,
    "name": "named",
    "duration": "10s",
    "rooms": [{"name": "standup", "members": [{"name": "anna", "speaks": "en"}, {"name": "yuki", "speaks": "ja"}]}],
    "sessions": [{"name": "guide", "src_lang": "zh", "tgt_lang": "en"}],
    "nodes": [{"name": "desktop", "count": 2, "service": "1s"}, {"name": "laptop", "service": "1s"}],
    "scheduler": {"pairing": {"code": "laptop"}},
    "faults": [
        {"lose": {"nodes": ["desktop", "laptop"], "messages": ["job_result"], "share": "10%"}},
        {"at": "1s", "clog": {"sessions": {"random": 1, "of": "standup"}, "for": "1s"}},
        {"room_codes": {"count": 3}},
    ],
    "script": [
        {"at": "1s", "speak": {"member": "standup/yuki", "service": {"en": "2s", "ja": "1s"}}},
        {"at": "2s", "crash": "laptop"},
        {"at": "3s", "leave": {"sessions": ["standup/yuki", "guide"]}},
        {"at": "4s", "speak": "standup/anna"},
    ],
}


def test_who_is_left_out_takes_along_what_they_do_and_what_is_done_to_them() -> None:
    assert valid(NAMED)
    without_yuki = cuts.without_member(NAMED, 0, 1)
    assert without_yuki is not None
    assert [kind_of(line) for line in without_yuki["script"]] == ["crash", "leave", "speak"]
    assert without_yuki["script"][1]["leave"] == {"sessions": "guide"}
    without_room = cuts.without_group(NAMED, "rooms", 0)
    assert without_room is not None
    assert [kind_of(fault) for fault in without_room["faults"]] == ["lose", "room_codes"]
    without_laptop = cuts.without_group(NAMED, "nodes", 1)
    assert without_laptop is not None
    assert "pairing" not in without_laptop["scheduler"]
    assert without_laptop["faults"][0]["lose"]["nodes"] == "desktop"
    assert valid(without_laptop)


def test_a_group_is_told_apart_and_whoever_named_it_names_all_of_it() -> None:
    single = cuts.with_single_ones(NAMED)
    assert [node["name"] for node in single["nodes"]] == ["desktop-1", "desktop-2", "laptop"]
    assert single["faults"][0]["lose"]["nodes"] == ["desktop-1", "desktop-2", "laptop"]
    assert valid(single)


def test_new_names_and_languages_are_used_wherever_the_old_ones_were() -> None:
    short = renaming.with_usual_languages(renaming.with_short_names(NAMED))
    assert valid(short)
    assert short["script"] == [
        {"at": "1s", "speak": {"member": "r/b", "service": {"en": "2s", "ja": "1s"}}},
        {"at": "2s", "crash": "n2"},
        {"at": "3s", "leave": {"sessions": ["r/b", "x"]}},
        {"at": "4s", "speak": "r/a"},
    ]
    assert short["faults"][0]["lose"]["nodes"] == ["n1", "n2"]
    assert short["faults"][1]["clog"]["sessions"] == {"random": 1, "of": "r"}
    assert short["scheduler"]["pairing"] == {"code": "n2"}
    swapped = renaming.with_languages(NAMED, {"en": "de", "ja": "fr"})
    assert swapped["script"][0]["speak"]["service"] == {"de": "2s", "fr": "1s"}
    assert [member["speaks"] for member in swapped["rooms"][0]["members"]] == ["de", "fr"]
