"""What a run comes to: halted, stuck, with faults that never struck, with nodes that answer wrongly, with a bug."""

from __future__ import annotations

import pytest
from test_study_example import breach, empty, example, scenario, verdict

from simroom.oracle.verdict import INVARIANTS, KINDS
from simroom.sim.run import RunData
from simroom.sim.tally import FaultUse
from simroom.study.conclusion import KIND_NAMES, Conclusion, conclude
from simroom.study.expect import read
from simroom.study.table import Table


def concluded(run: RunData, *expectations: str) -> Conclusion:
    return conclude(Table(run), [read(text) for text in expectations])


def use(label: str, count: int) -> FaultUse:
    return FaultUse(label, label.split(maxsplit=1)[0], count, (), ())


# --- halted and stuck --------------------------------------------------------------------------------------------


def test_a_halted_run_fails_with_the_reason_before_all_others() -> None:
    got = concluded(example(halted="the scheduler did not answer", verdict=verdict(counts={"missing": 1})))
    assert got.word == "failed"
    assert got.reasons == ("the run was halted: the scheduler did not answer", "1 of 6 deliveries missing")


def test_a_halted_run_is_not_blamed_for_what_it_left_undone() -> None:
    got = concluded(example(halted="why", undrained=True, faults=(use("crash a", 0),)))
    assert got.reasons == ("the run was halted: why",)
    assert got.warnings == ()


def test_what_is_stuck_fails_the_run() -> None:
    got = concluded(example(verdict=verdict(counts={"stuck": 2})))
    assert (got.word, got.reasons) == ("failed", ("2 violations of liveness",))


def test_a_run_that_does_not_drain_says_what_its_jobs_wait_for() -> None:
    waits = tuple(f"a #{number} → ja waits for a slot" for number in range(5))
    [reason] = concluded(example(undrained=True, verdict=verdict(living=7, unfinished=waits))).reasons
    assert reason == (
        "the run did not drain: 7 jobs had not ended (a #0 → ja waits for a slot; a #1 → ja waits for a slot; "
        "a #2 → ja waits for a slot; …) when it gave up waiting"
    )


def test_every_kind_of_violation_has_a_name_in_words() -> None:
    assert set(KIND_NAMES) == set(KINDS)


# --- wrong answers -----------------------------------------------------------------------------------------------


def test_what_nodes_answered_wrongly_is_warned_of_and_no_failure() -> None:
    wrong = {
        "another_utterance": {"node-2": 2, "node-1": 12, "node-3": 1, "node-4": 1, "node-5": 1},
        "wrong_language": {"node-1": 1},
    }
    got = concluded(example(verdict=verdict(wrong_answers=wrong, wrong_deliveries=20)), "deliveries.wrong == 20")
    assert got.word == "passed"
    assert got.warnings == (
        "17 results carried another utterance's words: node-1 (12), node-2 (2), node-3 (1) and 2 more",
        "1 result was in another language: node-1 (1)",
    )


def test_words_that_a_node_leaked_fail_the_run() -> None:
    got = concluded(example(verdict=verdict(counts={"leaked_by_node": 3})))
    assert (got.word, got.reasons) == ("failed", ("3 violations by nodes that leaked",))


def test_wrong_answers_can_be_expected_by_what_is_wrong_with_them() -> None:
    run = example(verdict=verdict(wrong_answers={"empty": {"a": 2, "b": 1}, "oversized": {"a": 4}}))
    got = concluded(run, "wrong_answers{how=empty} == 3", "wrong_answers == 7", "wrong_answers{how=another_room} == 0")
    assert [outcome.passed for outcome in got.outcomes] == [True, True, True]


# --- faults that never fired, invariants that were never judged --------------------------------------------------


def test_faults_that_never_fired_are_warned_of() -> None:
    faults = (use("crash a", 2), use("clog b", 0), use("wrong answer all nodes", 1), use("wrong answer all nodes", 0))
    assert concluded(example(faults=faults)).warnings == (
        "fault clog b never fired",
        "1 of 2 faults wrong answer all nodes never fired",
    )


def test_no_more_than_some_faults_that_never_fired_are_named() -> None:
    warnings = concluded(example(faults=tuple(use(f"crash n-{number}", 0) for number in range(9)))).warnings
    assert len(warnings) == 6
    assert warnings[-1] == "4 more faults never fired"


def test_an_interrupted_run_may_not_have_come_to_its_faults() -> None:
    assert concluded(example(interrupted=True, faults=(use("crash a", 0),))).warnings == ()


def test_an_invariant_that_an_expectation_names_and_nobody_judged_is_warned_of() -> None:
    judged = verdict(judgements={**dict.fromkeys(INVARIANTS, 3), "I3": 0, "L3": 0, "L4": 0})
    got = concluded(example(verdict=judged), "violations{invariant=I3} == 0", "violations{invariant=I1} == 0")
    assert got.word == "passed"
    assert got.warnings == ("invariant I3 (order) was never judged",)
    assert concluded(example(verdict=judged), "violations == 0").warnings == ()


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, []),
        ({"faults": [{"at": "1s", "crash": {"nodes": "all", "for": "1s"}}]}, ["I3"]),
        ({"script": [{"at": "1s", "stop": "desktop-1"}]}, ["I3"]),
        ({"faults": [{"at": "1s", "crash": {"nodes": "all", "for": "1s"}}], "scheduler": {"ordering": "none"}}, []),
        (
            {
                "faults": [{"at": "1s", "crash": {"nodes": "all", "for": "1s"}}],
                "rooms": [{"name": "r", "members": [{"speaks": "zh"}, {"speaks": "en"}]}],
            },
            ["I3", "I7"],
        ),
    ],
)
def test_what_faults_and_scripts_could_have_tried_is_warned_of_if_it_was_not(changes: dict, warned: list) -> None:
    judged = verdict(judgements={**dict.fromkeys(INVARIANTS, 3), "I3": 0, "I7": 0, "L3": 0, "L4": 0})
    got = concluded(example(scenario=scenario(**changes), verdict=judged)).warnings
    assert [warning.split()[1] for warning in got] == warned


# --- with a bug --------------------------------------------------------------------------------------------------


def with_bug(**changes: object) -> RunData:
    return example(scenario=scenario(bug="second_language_lost"), **changes)


def noticed() -> RunData:
    found = verdict(violations=(breach(),), counts={"missing": 4}, breaches={("I1", "missing"): 4})
    return with_bug(verdict=found)


def test_a_bug_that_is_noticed_passes_with_all_its_violations() -> None:
    assert concluded(noticed()).word == "passed"
    got = concluded(noticed(), "violations{invariant=I1} == 4", "deliveries.missing == 4")
    assert (got.word, got.reasons) == ("passed", ())


def test_a_bug_that_is_noticed_otherwise_than_expected_fails() -> None:
    got = concluded(noticed(), "violations{invariant=I1} == 3", "deliveries.missing == 4")
    assert (got.word, got.reasons) == ("failed", ("1 of 2 expectations does not hold",))


@pytest.mark.parametrize("expected", [(), ("delivery_latency.max < 60s",), ("wrong_answers == 0",)])
def test_a_bug_that_nobody_notices_fails_whatever_else_holds(expected: tuple[str, ...]) -> None:
    got = concluded(with_bug(), *expected)
    assert got.word == "failed"
    assert got.reasons == ("the bug second_language_lost was not noticed: no invariant was breached",)


@pytest.mark.parametrize("expected", ["violations == 0", "deliveries.missing == 0", "violations{invariant=I2} == 0"])
def test_a_scenario_may_itself_say_that_its_bug_does_not_show(expected: str) -> None:
    assert concluded(with_bug(), expected).word == "passed"


def test_an_expectation_about_violations_that_does_not_hold_is_no_notice() -> None:
    assert concluded(with_bug(), "violations > 0").reasons == (
        "1 of 1 expectations does not hold",
        "the bug second_language_lost was not noticed: no invariant was breached",
    )


def test_a_bug_that_keeps_jobs_from_ending_is_warned_of_and_halting_fails() -> None:
    stuck = with_bug(undrained=True, verdict=verdict(counts={"missing": 1}))
    got = concluded(stuck)
    assert got.word == "passed"
    assert got.warnings == ("the run did not drain: 1 job had not ended when it gave up waiting",)
    halted = concluded(with_bug(halted="why", verdict=verdict(counts={"missing": 1})))
    assert (halted.word, halted.reasons) == ("failed", ("the run was halted: why",))


def test_a_bug_in_a_run_in_which_nothing_was_judged_is_not_noticed() -> None:
    got = concluded(empty(scenario=scenario(bug="no_order")))
    assert got.word == "failed"
    assert got.reasons[0] == "the bug no_order was not noticed: no invariant was breached"
