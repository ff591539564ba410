import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_scenario_load import FULL as OTHERWISE_FULL

from simroom.scenario.bugs import BUG_NAMES
from simroom.scenario.distributions import Exponential, Uniform, constant
from simroom.scenario.emit import dump
from simroom.scenario.faults import (
    EVENT_KINDS,
    SCRIPT_ONLY_KINDS,
    SHARE_KINDS,
    WORLD_KINDS,
    Burst,
    ChangeLanguage,
    Clock,
    Clog,
    Crash,
    CrashAfterWork,
    DropConnection,
    Duplicate,
    Evict,
    Fault,
    Flap,
    LeaveRoom,
    Lose,
    OutOfMemory,
    Partition,
    RoomCodes,
    Slow,
    SlowReader,
    Ties,
)
from simroom.scenario.jsonschema import json_schema
from simroom.scenario.languages import needed_pairs
from simroom.scenario.load import loads
from simroom.scenario.problems import ScenarioError
from simroom.scenario.schema import Scenario
from simroom.scenario.script import ScriptLine
from simroom.scenario.targets import Candidate, Targets, node_candidates, session_candidates
from simroom.scenario.yaml12 import read

BROKEN = Path(__file__).parent / "broken"
SECOND = 1_000_000

HEAD = """\
simroom: 1
name: Trouble
duration: 10min
rooms:
  - name: standup
    count: 3
    members:
      - {name: ann, speaks: zh}
      - {name: bob, count: 2, speaks: en}
      - {count: 2, speaks: ja}
  - {name: ami, speech: {meeting: meeting.rttm}, speakers: {rest: {speaks: en, tgt_lang: zh}}}
sessions:
  - {name: solo, count: 2, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 6/min}}}
nodes:
  - {name: desktop, count: 2, profile: desktop-2026}
  - {name: lone, profile: shared-t4}
"""
ALL_KINDS = """\
faults:
  - {at: 10s, crash: {nodes: desktop-1, for: 20s}}
  - {every: {exponential: {mean: 30s}}, from: 1s, until: 5min, slow: {nodes: {random: 1}, factor: 5, for: 10s}}
  - {at: {uniform: {from: 1s, to: 9s}}, pause: {nodes: [desktop-2, lone]}}
  - {at: 1s, evict: {nodes: desktop, models: [asr, "zh > en"], for: 2s}}
  - {at: 1s, clog: {sessions: standup-1/ann, way: up, for: 2s}}
  - {at: 1s, partition: {nodes: all, for: 2s}}
  - {at: 1s, drop: {sessions: {random: 50%, of: [standup, solo-2]}, for: 2s, noticed: 3s}}
  - {at: 1s, leave: {sessions: standup-2, for: 2s}}
  - {at: 1s, change: {sessions: standup-3/bob, preferred_lang: none}}
  - {at: 1s, close: {sessions: ami}}
  - {at: 1s, slow_reader: {sessions: standup-1/m4, rate: 0.1kB/s, for: 2s}}
  - {at: 1s, clock: {nodes: all, skew: -5s}}
  - {at: 1s, restart_scheduler: {}}
  - {at: 1s, flap: {nodes: lone, up: 2s, down: {exponential: {mean: 1s}}, for: 1min}}
  - {at: 1s, burst: {sessions: all, utterances: 3, within: 2s, length: 500ms}}
  - {crash_after_work: {nodes: all, share: 2%, for: 1s}}
  - {out_of_memory: {nodes: desktop, share: 0.5, lost: job}}
  - {wrong_answer: {nodes: desktop, share: 1%, how: swapped}}
  - {from: 0, lose_heartbeats: {nodes: all, share: 30%}}
  - {until: 2min, delay: {sessions: all, way: down, share: 10%, by: {uniform: {from: 1s, to: 30s}}}}
  - {lose: {nodes: all, messages: [job_result, job_assign], share: 10%}}
  - {duplicate: {sessions: all, messages: utterance, share: 50%}}
  - {ties: {grid: 10ms}}
  - {room_codes: {count: 4}}
"""


def loaded(faults: str) -> Scenario:
    return loads(HEAD + faults, "f", BROKEN)


def fault(text: str) -> Fault:
    (only,) = loaded(f"faults: [{text}]\n").faults
    return only


def problem(faults: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        loaded(faults)
    (only,) = caught.value.problems
    return f"{only.path}: {only.found}; {only.hint}"


@pytest.fixture(scope="module")
def everything() -> Scenario:
    return loaded(ALL_KINDS)


# --- what a file says --------------------------------------------------------------------------------------------


def test_every_kind_can_be_said_and_says_its_name(everything: Scenario) -> None:
    assert tuple(fault.kind for fault in everything.faults) == (*EVENT_KINDS, *SHARE_KINDS, *WORLD_KINDS)
    assert set(Fault.kinds()) == {*EVENT_KINDS, *SHARE_KINDS, *WORLD_KINDS}
    assert not {*SCRIPT_ONLY_KINDS} & {*Fault.kinds()}


def test_what_is_said_arrives_in_whole_units(everything: Scenario) -> None:
    by_kind = {fault.kind: fault.action for fault in everything.faults}
    assert by_kind["crash"] == Crash(nodes=Targets.of("desktop-1"), duration=constant(20 * SECOND))
    assert by_kind["slow"] == Slow(nodes=Targets.of(count=1), factor=5.0, duration=constant(10 * SECOND))
    evict = by_kind["evict"]
    assert isinstance(evict, Evict)
    assert evict.models == ("asr", "zh>en")
    assert by_kind["clog"] == Clog(
        sessions=Targets.of("standup-1/ann"), way="up", duration=constant(2 * SECOND), nodes=None
    )
    partition = by_kind["partition"]
    assert isinstance(partition, Partition)
    assert (partition.way, partition.targets, partition.sessions) == ("both", Targets.of(), None)
    drop = by_kind["drop"]
    assert isinstance(drop, DropConnection)
    assert drop.targets == Targets.of("standup", "solo-2", share=0.5)
    assert drop.noticed == constant(3 * SECOND)
    assert by_kind["change"] == ChangeLanguage(sessions=Targets.of("standup-3/bob"), preferred_lang=None)
    reader = by_kind["slow_reader"]
    assert isinstance(reader, SlowReader)
    assert reader.rate == 100
    clock = by_kind["clock"]
    assert isinstance(clock, Clock)
    assert clock.skew == -5 * SECOND
    flap = by_kind["flap"]
    assert isinstance(flap, Flap)
    assert (flap.up, flap.duration) == (constant(2 * SECOND), constant(60 * SECOND))
    assert flap.down == Exponential.model_validate({"kind": "exponential", "mean": "1s"})
    burst = by_kind["burst"]
    assert isinstance(burst, Burst)
    assert (burst.utterances, burst.within, burst.length) == (3, 2 * SECOND, constant(SECOND // 2))
    assert by_kind["crash_after_work"] == CrashAfterWork(nodes=Targets.of(), share=0.02, duration=constant(SECOND))
    memory = by_kind["out_of_memory"]
    assert isinstance(memory, OutOfMemory)
    assert (memory.share, memory.lost) == (0.5, "job")
    duplicate = by_kind["duplicate"]
    assert isinstance(duplicate, Duplicate)
    assert duplicate.messages == ("utterance",)
    ties = by_kind["ties"]
    assert isinstance(ties, Ties)
    assert ties.grid == 10_000
    assert by_kind["room_codes"] == RoomCodes(count=4)


def test_a_time_is_drawn_or_plain_and_a_window_has_an_end(everything: Scenario) -> None:
    crash, slow, pause = everything.faults[:3]
    assert (crash.at, crash.every) == (constant(10 * SECOND), None)
    assert slow.every == Exponential.model_validate({"kind": "exponential", "mean": "30s"})
    assert slow.window(everything.duration) == (SECOND, 300 * SECOND)
    assert pause.at == Uniform.model_validate({"kind": "uniform", "from": "1s", "to": "9s"})
    assert crash.window(everything.duration) == (0, 600 * SECOND)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("at: 1s, crash: desktop-1", "at: 1s, crash: {nodes: desktop-1}"),
        ("at: 1s, crash: all", "at: 1s, crash: {nodes: all}"),
        ("at: 1s, pause: [desktop-1, lone]", "at: 1s, pause: {nodes: [desktop-1, lone]}"),
        ("at: 1s, evict: desktop", "at: 1s, evict: {nodes: [desktop]}"),
        ("at: 1s, evict: {nodes: all, models: tts}", "at: 1s, evict: {nodes: all, models: [tts]}"),
        ("at: 1s, drop: standup-1/ann", "at: 1s, drop: {sessions: standup-1/ann}"),
        ("at: 1s, leave: standup-1", "at: 1s, leave: {sessions: [standup-1]}"),
        ("at: 1s, close: solo", "at: 1s, close: {sessions: solo}"),
        ("at: 1s, restart_scheduler: ", "at: 1s, restart_scheduler: {}"),
        (
            "lose: {nodes: all, messages: job_result, share: 1%}",
            "lose: {nodes: all, messages: [job_result], share: 1%}",
        ),
        ("ties: 10ms", "ties: {grid: 10ms}"),
        ("room_codes: 9", "room_codes: {count: 9}"),
        ("at: 1s, crash: {nodes: {random: 0.5}}", "at: 1s, crash: {nodes: {random: 50%}}"),
        ("at: 1s, crash: {nodes: {random: 1, of: all}}", "at: 1s, crash: {nodes: {random: 1}}"),
        ("at: 1s, clock: {nodes: all, skew: +5s}", "at: 1s, clock: {nodes: all, skew: 5s}"),
        ("at: 1s, slow_reader: {sessions: all, rate: 2000B/s}", "at: 1s, slow_reader: {sessions: all, rate: 2kB/s}"),
    ],
)
def test_short_forms_mean_the_long_ones(short: str, long: str) -> None:
    assert fault(f"{{{short}}}") == fault(f"{{{long}}}")


def test_a_fault_without_an_end_lasts() -> None:
    crash = fault("{at: 1s, crash: lone}").action
    assert isinstance(crash, Crash)
    assert crash.duration is None
    leave = fault("{at: 1s, leave: standup}").action
    assert isinstance(leave, LeaveRoom)
    assert leave.duration is None


@pytest.mark.parametrize("kind", [kind for kind in EVENT_KINDS if kind != "restart_scheduler"])
def test_a_kind_that_is_told_nothing_is_refused(kind: str) -> None:
    assert problem(f"faults: [{{at: 1s, {kind}: }}]\n") == f"faults.0.{kind}: nothing; None"


@pytest.mark.parametrize("kind", [*SHARE_KINDS, *WORLD_KINDS])
def test_what_has_no_instant_takes_none(kind: str, everything: Scenario) -> None:
    data = read(everything.effective(), "f").data
    (action,) = [entry[kind] for entry in data["faults"] if kind in entry]
    for key in ("at", "every") if kind in SHARE_KINDS else ("at", "every", "from", "until"):
        text = dump({"faults": [{key: "1s", kind: action}]})
        assert problem(text) == f"faults.0.{key}: `{key}` with `{kind}`; None"


@pytest.mark.parametrize("kind", SCRIPT_ONLY_KINDS)
def test_what_only_a_script_can_say_is_sent_there(kind: str) -> None:
    with pytest.raises(ScenarioError, match=f"expected `{kind}` in a line of `script`"):
        loaded(f"faults: [{{at: 1s, {kind}: lone}}]\n")


def test_a_result_to_a_session_cannot_get_lost_and_the_reader_is_told_why() -> None:
    with pytest.raises(ScenarioError, match="over a living connection a session loses nothing"):
        loaded("faults: [lose: {sessions: all, messages: job_result, share: 1%}]\n")
    lose = fault("{lose: {nodes: lone, messages: node_heartbeat, share: 1%}}").action
    assert lose == Lose(nodes=Targets.of("lone"), messages=("node_heartbeat",), share=0.01)


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["standup", "standup-3", "standup-3/ann", "standup-1/bob", "standup-1/bob-2", "standup-2/m4", "standup-2/m5",
     "ami", "ami/ann", "ami/bob", "solo", "solo-2"],
)  # fmt: skip
def test_every_way_to_name_sessions_is_known_and_finds_somebody(name: str) -> None:
    scenario = loaded(f"faults: [{{at: 1s, close: {{sessions: {name}}}}}]\n")
    action = scenario.faults[0].action
    assert not isinstance(action, (Ties, RoomCodes))
    candidates = session_candidates(scenario)
    found = [candidates[position].name for position in scenario.faults[0].close.targets.among(candidates)]  # type: ignore[union-attr]
    assert found
    assert all(one == name or one.startswith((f"{name}/", f"{name}-")) for one in found)


@pytest.mark.parametrize(
    "name", ["standup-0", "standup-4", "standup-01", "standup/ann", "standup-1/bob-3", "standup-1/m3", "standup-1/m6",
             "standup-1/m04", "ami/zed", "ann", "solo-3", "desktop-1", "standup-1/", "/ann"]
)  # fmt: skip
def test_a_name_of_nobody_is_refused(name: str) -> None:
    assert problem(f"faults: [{{at: 1s, close: {{sessions: {name}}}}}]\n").startswith(
        f"faults.0.close.sessions: '{name}'"
    )


def test_a_single_unnamed_member_may_be_named_by_position_wherever_it_stands() -> None:
    text = HEAD.replace("      - {name: ann, speaks: zh}\n", "      - {speaks: zh}\n")
    for name in ("standup-1/m1", "standup-1/m4", "standup-1/m5"):
        loads(f"{text}faults: [{{at: 1s, close: {name}}}]\n", "f", BROKEN)
    with pytest.raises(ScenarioError, match="did you mean"):
        loads(f"{text}faults: [{{at: 1s, close: standup-1/m2}}]\n", "f", BROKEN)


def test_a_name_with_a_slash_in_it_is_found_too() -> None:
    text = HEAD.replace("name: ann", 'name: "a/b"').replace("name: solo", 'name: "x/y"')
    loads(f'{text}faults: [{{at: 1s, close: ["standup-1/a/b", "x/y", "x/y-2"]}}]\n', "f", BROKEN)


def test_where_the_people_cannot_be_read_nobody_is_called_unknown() -> None:
    text = HEAD.replace("speaks: zh}", "speaks: 5}") + "faults: [{at: 1s, close: nobody}, {at: 1s, crash: nothing}]\n"
    with pytest.raises(ScenarioError) as caught:
        loads(text, "f", BROKEN)
    assert [one.path for one in caught.value.problems] == ["rooms.standup.members.ann.speaks", "faults.1.crash"]


def test_names_are_looked_up_in_a_crowd_without_listing_them() -> None:
    text = HEAD.replace("- {count: 2, speaks: ja}", "- {count: 200000, speaks: ja}").replace("count: 2, p", "p")
    loads(f"{text}faults: [{{at: 1s, close: [standup-2/m200003, standup-2/m199999]}}]\n", "f", BROKEN)
    with pytest.raises(ScenarioError, match="m200004"):
        loads(f"{text}faults: [{{at: 1s, close: [standup-2/m200004]}}]\n", "f", BROKEN)


# --- targets -----------------------------------------------------------------------------------------------------

NODES = (Candidate("a-1", ("a",)), Candidate("a-2", ("a",)), Candidate("b", ("b",)))


def test_those_meant_come_once_each_in_the_scenarios_order() -> None:
    assert Targets.of().among(NODES) == (0, 1, 2)
    assert Targets.of("b", "a", "a-2").among(NODES) == (0, 1, 2)
    assert Targets.of("a-2").among(NODES) == (1,)
    assert Targets.of("c").among(NODES) == ()


def test_as_many_are_drawn_as_are_asked_for_and_there_are() -> None:
    assert [Targets.of().drawn_count(named) for named in (0, 3)] == [0, 3]
    assert [Targets.of(count=2).drawn_count(named) for named in (0, 1, 2, 9)] == [0, 1, 2, 2]
    assert [Targets.of(share=0.5).drawn_count(named) for named in (0, 1, 2, 3, 4)] == [0, 1, 1, 2, 2]
    assert [Targets.of(share=0.01).drawn_count(named) for named in (0, 1, 100, 250)] == [0, 1, 1, 3]
    assert Targets.of(share=1.0).drawn_count(7) == 7
    assert [targets.by_chance for targets in (Targets.of(), Targets.of(count=1), Targets.of(share=0.1))] == [
        False,
        True,
        True,
    ]


def test_targets_say_themselves_in_a_few_words(everything: Scenario) -> None:
    assert str(Targets.of()) == "all"
    assert str(Targets.of("a", "b")) == "a, b"
    assert str(Targets.of("desktop", count=2)) == "2 of desktop"
    assert str(Targets.of(share=0.5)) == "50% of all"


def test_candidates_come_in_the_scenarios_order(everything: Scenario) -> None:
    assert [candidate.name for candidate in node_candidates(everything)] == ["desktop-1", "desktop-2", "lone"]
    names = [candidate.name for candidate in session_candidates(everything)]
    assert names[:5] == [f"standup-1/{name}" for name in ("ann", "bob-1", "bob-2", "m4", "m5")]
    assert names[5] == "standup-2/ann"
    assert names[15:] == ["ami/ann", "ami/bob", "solo-1", "solo-2"]
    assert session_candidates(everything)[1] == Candidate("standup-1/bob-1", ("standup-1/bob", "standup-1", "standup"))


def test_a_thing_called_all_can_be_named_in_a_list() -> None:
    text = HEAD.replace("name: lone", "name: all") + "faults: [{at: 1s, crash: [all]}, {at: 1s, crash: all}]\n"
    scenario = loads(text, "f", BROKEN)
    named, everything = (one.crash.nodes for one in scenario.faults if one.crash is not None)
    assert (named.names, everything.names) == (("all",), None)
    assert loads(scenario.effective(), "f", BROKEN) == scenario


# --- the page that describes it ----------------------------------------------------------------------------------


def test_the_page_lists_every_kind_with_exactly_its_keys() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scenario-format.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, | or )?)*) ?\| [A-Z`]", page, re.MULTILINE))
    for line in (Fault, ScriptLine):
        for kind in line.kinds():
            model = get_args(line.model_fields[kind].annotation)[0]
            keys = [field.alias or name for name, field in model.model_fields.items()]
            assert re.findall(r"`(\w+)`", rows[kind]) == keys, kind


# --- the whole ---------------------------------------------------------------------------------------------------


def test_the_effective_form_loads_to_the_same_scenario_with_the_same_digest(everything: Scenario) -> None:
    again = loads(everything.effective(), "f", BROKEN)
    assert again == everything
    assert again.effective() == everything.effective()
    assert again.digest == everything.digest
    assert everything.digest != loaded("").digest


def test_without_faults_nothing_is_said_of_them() -> None:
    text = loads(OTHERWISE_FULL, "f", BROKEN).effective()
    assert not {"faults:", "script:", "bug:"} & set(text.split())
    assert loaded("faults: []\nscript: []\n").effective() == loaded("").effective()


def test_long_and_short_forms_and_the_effective_form_are_valid_in_an_editor(everything: Scenario) -> None:
    validator = Draft202012Validator(json_schema())
    short = (
        "faults:\n  - {at: 1s, crash: all}\n  - {at: 1s, leave: [solo]}\n  - {ties: 10ms}\n  - {room_codes: 9}\n"
        "  - {at: 1s, restart_scheduler: }\n  - {at: 1s, clock: {nodes: {random: 50%}, skew: 0}}\n"
        "  - {lose: {nodes: all, messages: job_result, share: 1%}}\n  - {at: 1s, evict: {nodes: all, models: zh>en}}\n"
    )
    loaded(short)
    for text in (HEAD + ALL_KINDS, HEAD + short, everything.effective()):
        assert [error.message for error in validator.iter_errors(read(text, "f").data)] == []


@pytest.mark.parametrize(
    "text",
    [
        "{at: 1s, crash: 5}",
        "{at: 1s, crash: {random: 1}}",
        "{at: 1s, crash: {nodes: {random: 0}}}",
        "{at: 1s, slow: desktop}",
        "{at: 1s, slow: {nodes: all, factor: 1}}",
        "{at: 1s, clog: {nodes: all, way: sideways}}",
        "{at: 1s, slow_reader: {sessions: all, rate: 5}}",
        "{at: 1s, clock: {nodes: all, skew: --5s}}",
        "{at: 1s, evict: {nodes: all, models: vad}}",
        "{lose_heartbeats: {nodes: all}}",
        "{lose: {nodes: all, messages: [], share: 1%}}",
        "{at: 1s, burst: {sessions: all, utterances: 1.5}}",
        "{room_codes: 0}",
    ],
)
def test_a_wrong_fault_is_seen_in_an_editor_and_refused(text: str) -> None:
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(read(f"{HEAD}faults: [{text}]\n", "f").data))
    with pytest.raises(ScenarioError):
        fault(text)


def test_an_override_reaches_into_a_fault() -> None:
    overrides = ["faults.0.at=20s", "faults.0.crash.for=1min", "bug=no_retry", "faults.1.slow.nodes={random: 2}"]
    scenario = loads(HEAD + ALL_KINDS, "f", BROKEN, overrides=overrides)
    assert scenario.bug == "no_retry"
    assert scenario.faults[0].at == constant(20 * SECOND)
    assert scenario.faults[0].crash == Crash(nodes=Targets.of("desktop-1"), duration=constant(60 * SECOND))
    assert scenario.faults[1].slow is not None
    assert scenario.faults[1].slow.nodes == Targets.of(count=2)


def test_the_languages_that_faults_choose_can_be_translated_into() -> None:
    scenario = loaded("faults: [{at: 1s, change: {sessions: all, preferred_lang: pt-br}}]\n")
    assert ("zh", "pt-BR") in needed_pairs(scenario)
    assert ("zh", "pt-BR") not in needed_pairs(loaded(""))


def test_there_are_bugs_of_every_number_under_names_of_their_own() -> None:
    assert [bug.number for bug in BUG_NAMES] == sorted(bug.number for bug in BUG_NAMES)
    assert {bug.number for bug in BUG_NAMES} == set(range(1, BUG_NAMES[-1].number + 1))
    assert len({bug.name for bug in BUG_NAMES}) == len(BUG_NAMES)
    assert all(loaded(f"bug: {bug.name}\n").bug == bug.name for bug in BUG_NAMES)
    assert loaded("bug: null\n").bug is None


def test_the_bugs_that_can_be_named_are_those_of_the_bank() -> None:
    bank = pytest.importorskip("simroom.bugbank.bank")
    assert [(bug.number, bug.name) for bug in bank.BUGS.values()] == [tuple(bug) for bug in BUG_NAMES]
    assert list(bank.BUGS) == [bug.name for bug in BUG_NAMES]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["all", "1s", "-5s", "zh", "50%", "1kB/s", "", "desktop", "standup-1/ann", "zh>en"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "sessions", "random", "of", "for", "share", "at", "member", "crash", "kind"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
PATHS = ["faults", "bug", "faults.0", "faults.1.from", *(
    f"faults.{index}.{path}"
    for index, path in enumerate([
        "crash", "slow.nodes", "pause.nodes", "evict.models", "clog", "partition.nodes.random", "drop.sessions.of",
        "leave", "change.preferred_lang", "close", "slow_reader.rate", "clock.skew", "restart_scheduler", "flap.up",
        "burst", "crash_after_work", "out_of_memory.lost", "wrong_answer.how", "lose_heartbeats", "delay.by", "lose",
        "duplicate.messages", "ties", "room_codes",
    ])
)]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere_gives_a_scenario_or_scenario_errors(path: str, value: object) -> None:
    text = dump([value]).removeprefix("- ")
    try:
        scenario = loads(HEAD + ALL_KINDS, "f", BROKEN, overrides=[f"{path}={text}"])
    except ScenarioError as error:
        str(error).encode()
    else:
        assert loads(scenario.effective(), "f", BROKEN) == scenario
