"""The verdict's word, and the summary that says everything a run comes to."""

from __future__ import annotations

import json

import pytest
from test_study_example import MS, SECOND, ZERO, Scribe, breach, empty, example, scenario, verdict

from simroom.oracle.ledger import JobEnd
from simroom.sim.run import RunData
from simroom.sim.tally import FaultUse
from simroom.study.conclusion import Conclusion, conclude
from simroom.study.expect import read
from simroom.study.summary import Source, Timing, dumps, summary, timing
from simroom.study.table import Table

SOURCE = Source(name="Stand-up", file="standup.yaml", hash="0f" * 32)


def concluded(run: RunData, *expectations: str) -> Conclusion:
    return conclude(Table(run), [read(text) for text in expectations])


def summarised(run: RunData, *expectations: str) -> dict:
    table = Table(run)
    return json.loads(dumps(summary(table, conclude(table, [read(text) for text in expectations]), SOURCE)))


# --- the word ----------------------------------------------------------------------------------------------------


def test_a_run_passes_if_nothing_is_broken_and_all_expectations_hold() -> None:
    got = concluded(example(), "violations == 0", "delivery_latency.max < 2s")
    assert (got.word, got.reasons, got.warnings) == ("passed", (), ())


def test_a_violation_fails_a_run_that_expects_nothing() -> None:
    got = concluded(example(verdict=verdict(violations=(breach(),), counts={"missing": 1})))
    assert (got.word, got.reasons) == ("failed", ("1 of 6 deliveries missing",))


def test_every_kind_of_violation_is_named_deliveries_first() -> None:
    counts = {"accounts": 2, "payload": 1, "extra": 1, "missing": 3, "out_of_order": 0}
    assert concluded(example(verdict=verdict(counts=counts))).reasons == (
        "3 of 8 deliveries missing",
        "1 of 5 deliveries extra",
        "2 violations in the accounts",
        "1 violation of payload identity",
    )


def test_an_expectation_that_does_not_hold_fails_the_run() -> None:
    got = concluded(example(), "violations == 0", "jobs.failed == 0", "jobs.rejected == 0")
    assert (got.word, got.reasons) == ("failed", ("2 of 3 expectations do not hold",))
    assert [outcome.passed for outcome in got.outcomes] == [True, False, False]


def test_deliveries_whose_recipients_nobody_judged_do_not_pass() -> None:
    got = concluded(example(verdict=verdict(judgements={"I1": 0, "I6": 40})))
    assert (got.word, got.reasons) == ("failed", ("5 deliveries, and the oracle judged the recipients of none",))


def test_a_run_in_which_nothing_was_judged_is_inconclusive_and_loud() -> None:
    got = concluded(empty())
    assert (got.word, got.reasons) == ("inconclusive", ("no invariant was judged: nothing happened to judge",))
    assert got.warnings[0].startswith("NOTHING WAS SAID")


def test_a_run_that_delivers_nothing_says_so_whatever_its_word() -> None:
    scribe = Scribe()
    heard = scribe.utterance("r1/zh", "r1", 0, "zh", 19_000, 20_000)
    got = concluded(example(ledger=scribe.ledger))
    assert got.word == "passed"
    assert got.warnings == ("NOTHING WAS TRANSLATED: not one of 1 utterances needed a job",)
    scribe.job(heard, "ja", None, ended=20_020, end=JobEnd.REJECTED)
    got = concluded(example(ledger=scribe.ledger))
    assert got.word == "passed"
    assert got.warnings == ("NOTHING WAS DELIVERED: not one of 1 jobs reached anybody",)


def test_a_run_within_its_warm_up_says_that_nothing_was_measured() -> None:
    got = concluded(example(scenario=scenario(warm_up="60s")))
    assert got.warnings[0].startswith("NOTHING WAS MEASURED")


def test_an_interrupted_run_has_no_other_word_and_keeps_what_it_found() -> None:
    got = concluded(example(interrupted=True, undrained=True, verdict=verdict(counts={"extra": 1})))
    assert got.word == "interrupted"
    assert got.reasons[1:] == ("1 of 5 deliveries extra",)


def test_a_run_that_does_not_drain_fails_unless_it_was_not_given_the_time() -> None:
    got = concluded(example(undrained=True))
    assert (got.word, len(got.reasons)) == ("failed", 1)
    assert "did not drain" in got.reasons[0]
    cut = concluded(example(undrained=True, scenario=scenario(drain="0s")))
    assert cut.word == "passed"
    assert "1 job had not ended" in cut.warnings[0]


# --- the summary -------------------------------------------------------------------------------------------------


def test_the_summary_says_what_ran_and_what_came_of_it() -> None:
    got = summarised(example())
    assert list(got)[:4] == ["schema_version", "simroom", "verdict", "partial"]
    assert (got["schema_version"], got["verdict"], got["partial"], got["seed"]) == (2, "passed", False, 7)
    assert got["scenario"] == {"name": "Stand-up", "file": "standup.yaml", "hash": "0f" * 32}
    assert got["counts"]["jobs"] == {
        "total": 7,
        "delivered": 4,
        "no_recipient": 0,
        "failed": 1,
        "rejected": 1,
        "expired": 0,
        "dropped_late": 0,
        "lost": 0,
        "living": 1,
    }
    assert got["counts"]["rejected"] == {"CAPACITY_EXCEEDED": 1}
    assert got["time"]["measured_window_us"] == 50 * SECOND
    assert got["invariants"]["I1"] == {"name": "recipients", "judged": 3}


def test_measures_are_whole_microseconds_with_their_unit_in_the_key() -> None:
    got = summarised(example())
    latency = got["measures"]["delivery_latency"]
    assert latency == {
        "n": 4,
        "mean_us": 1_252_500,
        "p50_us": 1200 * MS,
        "p90_us": 1610 * MS,
        "p95_us": 1610 * MS,
        "p99_us": 1610 * MS,
        "max_us": 1610 * MS,
    }
    assert got["measures"]["jobs_per_utterance"] == 1.4
    assert got["measures"]["nodes.utilisation"] == {"mean": 0.3, "min": 0.2, "max": 0.4}
    assert got["by_language"]["ja"]["jobs"] == 3
    assert got["by_language"]["ja"]["delivery_latency"]["p50_us"] == 1550 * MS
    assert list(got["by_room"]) == ["standup", "pair"]
    assert got["by_room_size"]["2"]["deliveries"] == 0
    assert got["by_mode"]["single"]["utterances"] == 1
    assert [node["utilisation"] for node in got["nodes"]["each"]] == [0.2, 0.4]
    assert got["nodes"]["by_group"]["desktop"]["count"] == 2


def test_a_run_without_samples_is_valid_json_with_nulls() -> None:
    got = summarised(empty())
    assert got["measures"]["delivery_latency"] == {
        "n": 0, "mean_us": None, "p50_us": None, "p90_us": None, "p95_us": None, "p99_us": None, "max_us": None,
    }  # fmt: skip
    assert got["counts"]["jobs"]["total"] == 0


def test_invariants_that_were_never_judged_are_in_the_summary() -> None:
    got = summarised(example(verdict=verdict(judgements={"I1": 5})))
    assert got["invariants"]["I5"] == {"name": "same selection in both modes", "judged": 0}


def test_violations_are_told_up_to_a_number_and_counted_all() -> None:
    many = tuple(breach(utterance_index=index) for index in range(120))
    got = summarised(example(verdict=verdict(violations=many, counts={"missing": 300})))["violations"]
    assert (got["total"], got["told"], len(got["first"])) == (300, 100, 100)
    assert got["first"][1]["utterance_index"] == 1
    # On the scenario's clock, not the engine's.
    assert got["first"][0]["at_us"] == 11_500 * MS


def test_what_is_stuck_lost_or_wrong_is_in_the_summary() -> None:
    content = verdict(
        counts={"missing": 2, "stuck": 1},
        breaches={("I1", "missing"): 2, ("L1", "stuck"): 1},
        stuck=("r1/zh #3 → ja: nothing was heard of its end",),
        unfinished=("r1/zh #4 → ja waits for a slot: CAPACITY_EXCEEDED",),
        wrong_answers={"another_utterance": {"n1": 2, "n2": 1}, "empty": {"n2": 1}},
        wrong_deliveries=5,
    )
    got = summarised(example(verdict=content, halted="the scheduler was woken too often at 3 s"))
    assert (got["halted"], got["bug"]) == ("the scheduler was woken too often at 3 s", None)
    assert got["stuck"] == ["r1/zh #3 → ja: nothing was heard of its end"]
    assert got["unfinished"] == ["r1/zh #4 → ja waits for a slot: CAPACITY_EXCEEDED"]
    assert got["wrong_answers"] == {"another_utterance": {"n1": 2, "n2": 1}, "empty": {"n2": 1}}
    assert got["counts"]["deliveries"]["wrong"] == 5
    assert got["violations"]["by_invariant"] == {"I1": 2, "L1": 1}


def test_faults_are_in_the_summary_on_the_scenarios_clock() -> None:
    use = FaultUse("crash desktop-1", "crash", 2, (ZERO + 3 * SECOND, ZERO + 9 * SECOND), (ZERO + 4 * SECOND, None))
    assert summarised(example(faults=(use,)))["faults"] == [
        {
            "label": "crash desktop-1",
            "kind": "crash",
            "fired": 2,
            "at_us": [3 * SECOND, 9 * SECOND],
            "until_us": [4 * SECOND, None],
        }
    ]


def test_a_bug_that_was_on_is_in_the_summary() -> None:
    assert summarised(example(scenario=scenario(bug="no_order")))["bug"] == "no_order"


def test_expectations_are_in_the_summary_with_their_value_and_place() -> None:
    got = summarised(example(), "delivery_latency.max < 1s", "jobs{language=fr} == 0")["expectations"]
    assert [one["passed"] for one in got] == [False, False]
    assert (got[0]["value_us"], got[0]["unit"]) == (1610 * MS, "us")
    assert (got[1]["value"], got[1]["unit"]) == (None, "count")
    assert "no language 'fr'" in got[1]["reason"]


def test_the_same_run_gives_the_same_bytes_and_time_spent_is_not_among_them() -> None:
    def text(run: RunData) -> str:
        table = Table(run)
        return dumps(summary(table, conclude(table, ()), SOURCE))

    assert text(example()) == text(example())
    assert text(example()).endswith("}\n")
    spent = Timing(wall_seconds=0.5, cpu_seconds=0.4, simulated_time=60 * SECOND, events=10)
    assert json.loads(dumps(timing(spent)))["speed"] == 120.0
    assert timing(Timing(wall_seconds=0.0, cpu_seconds=0.0, simulated_time=1, events=0))["speed"] is None


@pytest.mark.parametrize(
    "steering", ["\x1b[31m", "\x9b31m", "\u202e", "\u2066", "\u200f", "\ud800", "\U000e0001", "\x7f"]
)
def test_what_could_steer_a_terminal_is_escaped_and_comes_back_as_it_was(steering: str) -> None:
    text = dumps({"name": f"会議 é{steering}"})
    assert "会議 é" in text
    assert not any(character in text for character in steering if not character.isprintable())
    assert json.loads(text.encode("utf-8"))["name"] == f"会議 é{steering}"
