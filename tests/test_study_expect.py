"""Expectations: what they may say, how they are refused before a run, and how they are judged after it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from test_study_example import empty, example, scenario, verdict

from simroom.scenario.units import UnfitError
from simroom.study.expect import judge, read, read_all
from simroom.study.measures import MEASURES
from simroom.study.table import Table


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(example())


@pytest.mark.parametrize(
    ("text", "measure", "tags", "stat", "bound"),
    [
        ("violations == 0", "violations", {}, None, 0),
        ("  violations==0 ", "violations", {}, None, 0),
        ("delivery_latency.p95 < 2.5s", "delivery_latency", {}, "p95", 2_500_000),
        ("delivery_latency{language=ja}.p99 <= 250ms", "delivery_latency", {"language": "ja"}, "p99", 250_000),
        ("jobs{ language = ja , room=a b } > 10", "jobs", {"language": "ja", "room": "a b"}, None, 10),
        ("delivery_latency.n > 10", "delivery_latency", {}, "n", 10),
        ("nodes.utilisation.max < 85%", "nodes.utilisation", {}, "max", Fraction(85, 100)),
        ("nodes.utilisation{node=a}.mean >= 0.5", "nodes.utilisation", {"node": "a"}, "mean", Fraction(1, 2)),
        ("jobs.no_recipient != 3", "jobs.no_recipient", {}, None, 3),
        ("jobs.rejected{room_size=4, mode=room} == 0", "jobs.rejected", {"room_size": "4", "mode": "room"}, None, 0),
        ("rejected{reason=CAPACITY_EXCEEDED} < 10", "rejected", {"reason": "CAPACITY_EXCEEDED"}, None, 10),
        ("jobs_per_utterance > 1.25", "jobs_per_utterance", {}, None, Fraction(5, 4)),
        ("throughput >= 10/s", "throughput", {}, None, 10),
        ("playback_queue.max <= 5", "playback_queue", {}, "max", 5),
        ("fan_out_skew.p99 < 0.2 s", "fan_out_skew", {}, "p99", 200_000),
        ("violations{invariant=L1} == 0", "violations", {"invariant": "L1"}, None, 0),
        ("violations{invariant=I1,kind=missing} == 1", "violations", {"invariant": "I1", "kind": "missing"}, None, 1),
        ("wrong_answers{how=empty} > 0", "wrong_answers", {"how": "empty"}, None, 0),
    ],
)  # fmt: skip
def test_an_expectation_is_a_measure_tags_a_statistic_and_a_bound(
    text: str, measure: str, tags: dict[str, str], stat: str | None, bound: Fraction
) -> None:
    got = read(text)
    assert (got.measure.name, got.tags, got.stat, got.bound) == (measure, tags, stat, bound)


@pytest.mark.parametrize(
    ("text", "found", "expected", "hint"),
    [
        ("", "''", "an expectation such as", None),
        ("delivery_latency.p95", "'delivery_latency.p95'", "an expectation such as", None),
        ("delivery_latency.p95 < ", "'delivery_latency.p95 < '", "an expectation such as", None),
        ("a{b}{c} < 1", "'a{b}{c} < 1'", "an expectation such as", None),
        ("x" * 501 + " < 1", "'" + "x" * 59 + "…'", "an expectation such as", None),
        ("delivery_latecny.p95 < 2s", "'delivery_latecny.p95'", "a measure", "delivery_latency.p95"),
        ("latency{language=ja} < 2s", "'latency'", "a measure", "delivery_latency"),
        ("delivery_latency < 2s", "'delivery_latency'", "a statistic after it", "delivery_latency.max"),
        ("delivery_latency.p98 < 2s", "'.p98'", "one of .n, .mean, .p50", ".p99"),
        ("violations.max == 0", "'violations.max'", "without a statistic", "violations"),
        ("violation == 0", "'violation'", "a measure", "violations"),
        ("delivery_latency{lang=ja}.p95 < 2s", "'lang'", "a tag that delivery_latency has", "language"),
        ("violations{language=ja} == 0", "'language'", "(invariant, kind)", None),
        ("deliveries.missing{language=ja} == 0", "'language'", "(none)", None),
        ("violations{invariant=I9} == 0", "'I9'", "a known invariant, one of I1, I2,", None),
        ("violations{invariant=i1} == 0", "'i1'", "a known invariant", "I1"),
        ("violations{kind=lost} == 0", "'lost'", "a known kind, one of missing, extra,", None),
        ("wrong_answers{how=swapped} == 0", "'swapped'", "a known how, one of another_utterance,", None),
        ("jobs{language} == 0", "'language'", "a tag and its value", None),
        ("jobs{} == 0", "''", "a tag and its value", None),
        ("jobs{language=ja,language=en} == 0", "'language=en'", "each tag once", None),
        ("jobs{mode=rooms} == 0", "'rooms'", "one of room, single", "room"),
        ("jobs{room_size=big} == 0", "'big'", "a whole number of members", None),
        ("rejected{reason=CAPACITY_EXCEDED} == 0", "'CAPACITY_EXCEDED'", "CAPACITY_EXCEEDED", "CAPACITY_EXCEEDED"),
        ("delivery_latency.p95 = 2s", "'='", "one of < <= > >= == !=", "=="),
        ("delivery_latency.p95 => 2s", "'=>'", "one of < <= > >= == !=", ">="),
        ("delivery_latency.p95 < 2", "'2'", "a time with its unit", "2s"),
        ("delivery_latency.p95 < 85%", "'85%'", "a time with its unit", None),
        ("delivery_latency.p95 < -2s", "'-2s'", "a time with its unit", None),
        ("violations == 2s", "'2s'", "a whole number", None),
        ("violations == 0.5", "'0.5'", "a whole number", None),
        ("violations == nan", "'nan'", "a whole number", None),
        ("delivery_latency.n > 2s", "'2s'", "a whole number", None),
        ("nodes.utilisation.max < 85", "'85'", "a share of at most 100%", "85%"),
        ("nodes.utilisation.max < 850%", "'850%'", "a share of at most 100%", None),
        ("nodes.utilisation.max < 2s", "'2s'", "a share", None),
        ("throughput > 10", "'10'", "a rate per second", "10/s"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_meant(
    text: str, found: str, expected: str, hint: str | None
) -> None:
    with pytest.raises(UnfitError) as error:
        read(text)
    assert error.value.found == found
    assert expected in error.value.expected
    assert error.value.hint == hint


def test_all_problems_of_a_scenario_come_at_once_and_the_sound_ones_stay() -> None:
    stated = scenario(expect=["violations == 0", "latecny.p95 < 1s", "jobs.failed < 1", "throughput > 1"]).expect
    sound, problems = read_all(stated)
    assert [one.text for one in sound] == ["violations == 0", "jobs.failed < 1"]
    assert [one.text for one in problems] == ["latecny.p95 < 1s", "throughput > 1"]
    assert [(one.line, one.column) for one in problems] == [(None, None), (None, None)]


@pytest.mark.parametrize(
    ("text", "passed", "value"),
    [
        ("delivery_latency.p99 < 1.61s", False, 1_610_000),
        ("delivery_latency.p99 <= 1.61s", True, 1_610_000),
        ("delivery_latency{language=ja}.n == 2", True, 2),
        ("delivery_latency{language=ja,mode=single}.n == 0", True, 0),
        ("nodes.utilisation.max < 40%", False, Fraction(2, 5)),
        ("nodes.utilisation.max == 40%", True, Fraction(2, 5)),
        ("jobs_per_utterance != 1.4", False, Fraction(7, 5)),
        ("jobs.living == 1", True, 1),
    ],
)
def test_values_are_compared_exactly(table: Table, text: str, passed: bool, value: object) -> None:
    [outcome] = judge([read(text)], table)
    assert (outcome.passed, outcome.value, outcome.reason) == (passed, value, None)


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">=", "==", "!="])
def test_a_tag_value_that_does_not_exist_fails_whatever_is_expected_of_it(table: Table, comparison: str) -> None:
    [outcome] = judge([read(f"jobs{{language=fr}} {comparison} 0")], table)
    assert not outcome.passed
    assert outcome.reason == "this run has no language 'fr'; it has zh, en, ja"


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("measure", [name for name, one in MEASURES.items() if one.unit == "time" and one.stats])
def test_no_samples_fail_whatever_is_expected_of_them(measure: str, comparison: str) -> None:
    [outcome] = judge([read(f"{measure}.p95 {comparison} 1s")], Table(empty()))
    assert not outcome.passed
    assert outcome.reason is not None
    assert "no samples" in outcome.reason


def test_expectations_about_violations_see_all_of_them_kept_or_not() -> None:
    broken = Table(example(verdict=verdict(counts={"missing": 150, "accounts": 1})))
    outcomes = judge([read("violations == 0"), read("deliveries.missing < 150"), read("deliveries.extra == 0")], broken)
    assert [(one.passed, one.value) for one in outcomes] == [(False, 151), (False, 150), (True, 0)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("violations{invariant=I1} == 5", 5),
        ("violations{invariant=I1,kind=missing} == 3", 3),
        ("violations{kind=missing} == 4", 4),
        ("violations{invariant=must} == 1", 1),
        ("violations{invariant=I3} == 0", 0),
        ("violations{invariant=I3,kind=stuck} == 0", 0),
        ("violations{kind=stuck} == 0", 0),
        ("violations == 6", 6),
    ],
)
def test_violations_are_selected_by_invariant_and_kind(text: str, value: int) -> None:
    content = verdict(
        counts={"missing": 4, "extra": 2},
        breaches={("I1", "missing"): 3, ("I1", "extra"): 2, ("must", "missing"): 1},
    )
    [outcome] = judge([read(text)], Table(example(verdict=content)))
    assert (outcome.passed, outcome.value, outcome.reason) == (True, value, None)
