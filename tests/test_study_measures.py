"""Measures of what went wrong: breaches by invariant and kind, wrong answers by what is wrong with them, lost jobs."""

from __future__ import annotations

from fractions import Fraction

import pytest
from test_study_example import Scribe, example, verdict

from simroom.oracle.ledger import JobEnd
from simroom.oracle.verdict import HOWS, INVARIANTS, KINDS
from simroom.scenario.schema import Scenario
from simroom.sim.outcome import NodeUse
from simroom.sim.run import simulate
from simroom.study.measures import measured
from simroom.study.table import CAUSES, Table, UnknownTagError


@pytest.fixture(scope="module")
def table() -> Table:
    content = verdict(
        counts={"missing": 4, "extra": 2, "stuck": 1},
        breaches={("I1", "missing"): 3, ("I1", "extra"): 2, ("must", "missing"): 1, ("L1", "stuck"): 1},
        wrong_answers={"empty": {"n1": 2, "n2": 3}, "oversized": {"n1": 1}},
        wrong_deliveries=9,
    )
    return Table(example(verdict=content))


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        ({}, 7),
        ({"invariant": "I1"}, 5),
        ({"kind": "missing"}, 4),
        ({"invariant": "must", "kind": "missing"}, 1),
        ({"invariant": "I1", "kind": "stuck"}, 0),
        ({"invariant": "L4"}, 0),
    ],
)
def test_violations_have_what_all_their_tags_say(table: Table, tags: dict[str, str], count: int) -> None:
    assert measured(table, "violations", tags=tags) == count


@pytest.mark.parametrize(("tags", "count"), [({}, 6), ({"how": "empty"}, 5), ({"how": "unknown"}, 0)])
def test_wrong_answers_are_counted_over_the_nodes(table: Table, tags: dict[str, str], count: int) -> None:
    assert measured(table, "wrong_answers", tags=tags) == count
    assert measured(table, "deliveries.wrong") == 9


@pytest.mark.parametrize(
    ("name", "tag", "known"),
    [
        ("violations", "invariant", tuple(INVARIANTS)),
        ("violations", "kind", tuple(KINDS)),
        ("wrong_answers", "how", tuple(HOWS)),
    ],
)
def test_there_is_no_count_of_what_does_not_exist(table: Table, name: str, tag: str, known: tuple[str, ...]) -> None:
    with pytest.raises(UnknownTagError) as error:
        measured(table, name, tags={tag: "nothing"})
    assert error.value.known == known


def test_jobs_lost_with_the_scheduler_are_counted_and_are_jobs() -> None:
    scribe = Scribe()
    heard = scribe.utterance("r1/zh", "r1", 0, "zh", 19_000, 20_000)
    scribe.job(heard, "en", "n1", start=20_020, ended=20_400, end=JobEnd.LOST)
    scribe.job(heard, "ja", "n1", start=20_020, end=JobEnd.LIVING)
    lost = Table(example(ledger=scribe.ledger))
    assert [measured(lost, name) for name in ("jobs", "jobs.lost", "jobs.living")] == [2, 1, 1]
    assert measured(lost, "jobs.lost", tags={"language": "ja"}) == 0


# --- queues, load, fairness, waste -------------------------------------------------------------------------------

WINDOW = 50
"""Seconds of the example that are measured: from 10 to 60."""


def test_the_number_of_jobs_in_each_state_is_weighted_with_time_and_adds_up() -> None:
    table = Table(example())
    # By hand, milliseconds within the window: (accepted, given, answered, ended), of the seven jobs of the example.
    held = 11_500 - 11_280
    in_flight = (10_150 - 10_000) + (11_150 - 10_100) + (11_280 - 10_060) + (20_640 - 20_020) + (31_000 - 30_100)
    waiting = (10_100 - 10_040) + (10_060 - 10_040) + 10 + 80
    for name, total in (("held", held), ("in_flight", in_flight), ("waiting", waiting)):
        assert measured(table, f"jobs.{name}", "mean") == Fraction(total, WINDOW * 1_000), name
    whole = measured(table, "jobs.in_system", "mean")
    assert whole == Fraction(held + in_flight + waiting, WINDOW * 1_000)
    assert measured(table, "jobs.in_system", "max") == 3, "two of one utterance, and one of the one before"
    assert measured(table, "jobs.held", "max", {"language": "ja"}) == 1
    assert measured(table, "jobs.held", "max", {"language": "en"}) == 0


def test_the_offered_load_is_what_the_jobs_of_the_window_ask_for() -> None:
    table = Table(example())
    # Three of the five that were accepted within the window were answered: 1.0, 1.2 and .6 s; the others count alike.
    assert measured(table, "offered_load") == Fraction(2_800 * 5, 3 * WINDOW * 1_000)
    assert measured(table, "offered_load", tags={"mode": "single"}) == Fraction(600, WINDOW * 1_000)


def test_fairness_is_jains_index_of_mean_latencies() -> None:
    table = Table(example())
    en, ja, zh = Fraction(1_200), Fraction(1_550 + 1_610, 2), Fraction(650)
    index = (en + ja + zh) ** 2 / (3 * (en**2 + ja**2 + zh**2))
    assert measured(table, "fairness.languages") == index
    assert measured(table, "fairness.rooms") == 1, "there were deliveries in one room only"
    assert measured(table, "fairness.languages", tags={"language": "en"}) == 1


def test_a_speaker_is_blocked_while_a_result_of_theirs_is_held_once_however_many_are() -> None:
    table = Table(example())
    assert measured(table, "speaker_blocked_time", "max") == 220_000
    assert measured(table, "speaker_blocked_time", "n") == 3
    assert measured(table, "speaker_blocked_time", "p50") == 0


def test_work_that_came_to_nothing_is_told_by_its_cause() -> None:
    scribe = Scribe()
    said = scribe.utterance("a", "r", 0, "en", 9_000, 10_000)
    scribe.received(said, 10_000)
    for end, language, to in (
        (JobEnd.NO_RECIPIENT, "ja", {}),
        (JobEnd.DROPPED_LATE, "zh", {}),
        (JobEnd.DELIVERED, "fr", {}),
        (JobEnd.DELIVERED, "de", {"b": 12_000}),
    ):
        scribe.job(
            said, language, "n1", start=10_000, stages=(100, 20, 3), answered=11_000, ended=11_000, end=end, to=to
        )
    nodes = tuple(NodeUse("n", "n", 1, 1, 4, 0, 0, 0, lost=2, wasted_work=wasted) for wasted in (7, 5))
    table = Table(example(ledger=scribe.ledger, nodes=nodes, verdict=verdict(uncounted_time=11)))
    by_cause = {cause: measured(table, "wasted_time", tags={"cause": cause}) for cause in CAUSES}
    assert by_cause == {"repeated": 11, "nobody_left": 123_000, "too_late": 123_000, "ghost": 123_000, "lost": 12}
    assert measured(table, "wasted_time") == sum(value for value in by_cause.values() if isinstance(value, int))
    with pytest.raises(UnknownTagError):
        measured(table, "wasted_time", tags={"cause": "laziness"})


def test_a_repeated_attempt_wastes_the_service_of_the_result_that_came_too_late() -> None:
    data = {
        "simroom": 1, "name": "repeated", "duration": "10s",
        "sessions": [{"name": "s", "src_lang": "zh", "tgt_lang": "en", "speech": "none"}],
        "nodes": [{"name": "n", "count": 2, "slots": 1, "service": "3s"}],
        "scheduler": {"job_timeout": "2s"},
        "script": [{"at": "0s", "speak": "s"}],
    }  # fmt: skip
    table = Table(simulate(Scenario.model_validate(data)))
    assert measured(table, "jobs.delivered") == 1
    assert measured(table, "wasted_time", tags={"cause": "repeated"}) == 3_000_000
