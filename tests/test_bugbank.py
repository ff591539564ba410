"""The bug bank: every bug is noticed in a small scenario, the sound scheduler never is, and the proof adds up."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, Group
from ruamel.yaml import YAML

from simroom.bugbank import BUGS, CANARY, bank
from simroom.cli import exits
from simroom.cli.oracle_test import Options, oracle_test
from simroom.oracle.verdict import INVARIANTS
from simroom.report.killing import bank_table, kill_table, needed_for
from simroom.scenario.bugs import BUG_NAMES
from simroom.scheduler.messages import Features
from simroom.scheduler.settings import Settings
from simroom.sim.sources import SimSources
from simroom.study import killing
from simroom.study.drawing import drawn
from simroom.study.killing import Calm, Kill, Plan, Proof, kill, proven
from simroom.study.shrink import operations
from simroom.study.trial import Data, tried, valid

STORIES = Path(__file__).with_name("bugbank.yaml")
DOCS = Path(__file__).parents[1] / "docs" / "bug-bank.md"
AT_THE_PORT = "modules_not_expanded"
"""No scenario has a node that lacks only what a module needs, so this one is shown at the scheduler itself."""


@cache
def stories() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(STORIES)
    return loaded


def scenario(story: str) -> Data:
    return {"simroom": 1, "name": story, **stories()[story]["scenario"]}


def bugs_in_stories() -> list[tuple[str, str]]:
    return [(story, name) for story, content in stories().items() for name in content["bugs"]]


# --- the bank ---


@pytest.mark.parametrize(("story", "name"), bugs_in_stories())
def test_a_bug_is_noticed_by_an_invariant_that_must_notice_it(story: str, name: str) -> None:
    trial = tried(scenario(story), scheduler=BUGS[name].make)
    assert trial.error is None
    assert {invariant for invariant, _ in trial.signature} & set(BUGS[name].invariants), trial.signature


@pytest.mark.parametrize("story", stories())
def test_with_no_bug_nothing_is_wrong_in_the_same_scenario(story: str) -> None:
    assert valid(scenario(story))
    trial = tried(scenario(story))
    assert trial.signature == ()
    assert trial.jobs > 0


@pytest.mark.parametrize("story", stories())
def test_the_canary_is_noticed_wherever_anybody_should_hear_anything(story: str) -> None:
    should_hear = tried(scenario(story)).deliveries > 0
    assert (("I1", "missing") in tried(scenario(story), scheduler=CANARY.make).signature) == should_hear


def test_every_bug_has_its_scenario() -> None:
    shown = [name for _, name in bugs_in_stories()]
    assert sorted([*shown, AT_THE_PORT]) == sorted(BUGS)


def test_modules_that_are_not_expanded_ask_for_less_than_they_need() -> None:
    features = Features(voice_style_detection=True)
    sound = BUGS["no_order"].make(Settings(), SimSources(1)).selection.needs(features, None)  # type: ignore[attr-defined]
    broken = BUGS[AT_THE_PORT].make(Settings(), SimSources(1)).selection.needs(features, None)  # type: ignore[attr-defined]
    assert sound.models == ("speaker-id-ecapa", "vc-model-v1")
    assert broken.models == ("vc-model-v1",)


def test_bugs_are_numbered_named_and_told_in_one_sentence() -> None:
    numbers = [bug.number for bug in BUGS.values()]
    assert numbers == sorted(numbers)
    assert set(numbers) >= set(range(1, bank.LISTED_COUNT + 1))
    for name, bug in (*BUGS.items(), (CANARY.name, CANARY)):
        assert name == bug.name
        assert bug.what.endswith(".")
        assert "\n" not in bug.what
        assert bug.invariants
        assert set(bug.invariants) <= set(INVARIANTS)


def test_every_bug_that_a_scenario_may_name_is_in_the_bank() -> None:
    assert {name: number for number, name in BUG_NAMES}.items() <= {
        name: bug.number for name, bug in BUGS.items()
    }.items()


def test_a_bug_is_an_attribute_of_the_bank_so_that_a_command_can_name_it() -> None:
    assert bank.no_order is BUGS["no_order"].make
    assert bank.every_result_lost is CANARY.make
    with pytest.raises(AttributeError, match="no bug 'no_bug'"):
        _ = bank.no_bug


def test_a_broken_scheduler_leaves_the_sound_one_as_it_is() -> None:
    for story, name in bugs_in_stories():
        BUGS[name].make(Settings(), SimSources(1))
        assert story in stories()
    assert tried(scenario("many_languages")).signature == ()


def test_the_documentation_lists_the_bank() -> None:
    assert bank_table() in DOCS.read_text(encoding="utf-8")


# --- killing ---


def test_a_bug_is_let_loose_until_it_is_noticed_and_its_scenario_made_small() -> None:
    killed = kill("sent_twice_to_single_recipient", 50, 40)
    assert killed.seed is not None
    assert killed.seeds == killed.seed + 1
    assert "I2" in killed.caught_by
    assert killed.breached["I2"] >= killed.alone.get("I2", 0) > 0
    smallest = YAML(typ="safe").load(killed.scenario)
    assert smallest.pop("bug") == "sent_twice_to_single_recipient"
    assert killed.operations == operations(smallest) <= operations(drawn(killed.seed))
    again = tried(smallest, scheduler=BUGS["sent_twice_to_single_recipient"].make)
    assert ("I2", "duplicate") in again.signature


def test_scenarios_before_the_one_in_which_a_bug_is_noticed_show_nothing_that_must() -> None:
    killed = kill("room_looked_up_through_speaker", 200, 0)
    assert killed.seed is not None
    assert killed.seed > 0
    for seed in range(killed.seed):
        trial = tried(drawn(seed), scheduler=BUGS[killed.bug].make)
        assert not {invariant for invariant, _ in trial.signature} & set(BUGS[killed.bug].invariants)


def test_a_bug_that_is_not_noticed_in_so_few_scenarios_survives() -> None:
    killed = kill(AT_THE_PORT, 1, 0)
    assert (killed.seed, killed.seeds, killed.caught_by, killed.scenario) == (None, 1, (), None)
    assert killed.missed


def test_the_proof_is_the_same_on_one_processor_and_on_two() -> None:
    plan = Plan(bugs=("no_order", "dispatch_beyond_slots"), seeds=30, clean=30, tries=0)
    one, two = (proven(Plan(**{**_fields(plan), "jobs": jobs})) for jobs in (1, 2))
    assert one.kills == two.kills
    assert one.calm == two.calm
    assert one.complete
    assert one.passed
    assert [calm.seed for calm in one.calm] == list(range(30))
    assert sum(calm.canary is not None for calm in one.calm) == killing.CANARY_COUNT


def _fields(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__struct_fields__}


def test_what_was_found_before_ctrl_c_is_kept() -> None:
    def stop(_proof: Proof) -> None:
        raise KeyboardInterrupt

    proof = proven(Plan(bugs=("no_order",), seeds=5, clean=1, tries=0), stop)
    assert len(proof.calm) == killing.CANARY_COUNT
    assert proof.kills == ()
    assert not proof.complete


# --- what it adds up to ---

QUIET = Calm(0, (), 3, True)
KILLED = Kill("no_order", 4, 5, ("I1", "I3"), {"I1": 1, "I3": 4}, {"I3": 3})
SURVIVED = Kill("no_retry", None, 9, (), {}, {})


def proof(*kills: Kill, calm: tuple[Calm, ...] = (QUIET,)) -> Proof:
    return Proof(Plan(bugs=tuple(each.bug for each in kills)), calm, kills)


def test_a_bug_that_survives_fails_the_proof() -> None:
    assert proof(KILLED).passed
    assert not proof(KILLED, SURVIVED).passed
    assert proof(KILLED, SURVIVED).missed == ("no_retry",)


def test_an_alarm_with_no_bug_fails_the_proof() -> None:
    assert not proof(KILLED, calm=(QUIET, Calm(1, (("I1", "missing"),), 3, True))).passed


def test_a_canary_that_is_not_noticed_fails_the_proof() -> None:
    assert not proof(KILLED, calm=(QUIET, Calm(1, (), 3, False))).passed
    assert proof(KILLED, calm=(QUIET, Calm(1, (), 0, False))).passed  # nobody should have heard anything there
    assert not proof(KILLED, calm=(Calm(1, (), 0, False),)).passed  # then it was never really let loose


def test_an_invariant_says_what_it_is_needed_for() -> None:
    other = Kill("no_retry", 1, 2, ("I6",), {"I6": 2}, {"I6": 2})
    uses = {use.invariant: use for use in proof(KILLED, other).uses()}
    assert needed_for(uses["I6"]) == "alone notices no_retry"
    assert needed_for(uses["I3"]) == "the only one in some scenarios of no_order"
    assert needed_for(uses["I1"]) == "never alone"
    assert uses["I1"].caught == 1
    assert needed_for(uses["I2"]) == "nothing here breaches it"
    assert "where results arrive" in needed_for(uses["must"])


# --- the command ---


def test_the_command_prints_the_table_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    code = oracle_test(Options(bugs="no_order", quick=True, clean=20, jobs=2, colour=False))
    out = capsys.readouterr().out
    assert code == exits.PASSED
    assert "PASSED" in out
    assert "1 of 1 bug noticed" in out
    assert any(line.split()[:2] == ["16", "no_order"] and "I3" in line for line in out.splitlines())
    assert any(line.split() == ["canary", "noticed"] for line in out.splitlines())
    assert "bug: no_order" in out


def test_the_command_fails_and_says_so_where_a_bug_survives(capsys: pytest.CaptureFixture[str]) -> None:
    code = oracle_test(Options(bugs=AT_THE_PORT, seeds=1, clean=20, jobs=1, colour=False))
    out = capsys.readouterr().out
    assert code == exits.FAILED
    assert "FAILED" in out
    assert f"! {AT_THE_PORT} was not noticed" in out
    assert "SURVIVED" in out


def test_the_command_tells_everything_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = oracle_test(Options(bugs="no_order,batch_payloads_shifted", quick=True, clean=20, jobs=2, as_json=True))
    told = json.loads(capsys.readouterr().out)
    assert code == exits.PASSED
    assert told["passed"]
    assert told["canary_noticed"]
    assert told["clean"] == {"scenarios": 20, "alarms": []}
    assert [bug["name"] for bug in told["bugs"]] == ["no_order", "batch_payloads_shifted"]
    assert told["bugs"][1]["caught_by"] == ["token"]
    assert [use["invariant"] for use in told["invariants"]] == list(INVARIANTS)


def test_a_bug_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(exits.StopError, match=r"no bug 'no_ordr'; did you mean no_order\?") as stopped:
        oracle_test(Options(bugs="no_ordr"))
    assert stopped.value.code == exits.INVALID


def test_the_table_is_readable_in_eighty_columns() -> None:
    kills = [Kill(name, 123, 124, tuple(INVARIANTS)[:9], {"I1": 1}, {}, operations=17) for name in BUGS]
    screen = Console(file=io.StringIO(), width=80)
    screen.print(Group(*kill_table(proof(*kills), 12.0)))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    rows = [line.split() for line in lines if line.rstrip().endswith(" 17")]
    assert [(row[0], row[1]) for row in rows] == [(str(bug.number), name) for name, bug in BUGS.items()]
    assert "…" not in "".join(lines)
