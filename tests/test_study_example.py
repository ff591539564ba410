"""A small run written down by hand, and the figures that follow from it on paper.

The other tests of study and report take their runs from here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from simroom.oracle.ledger import NONE, JobEnd, Ledger
from simroom.oracle.verdict import INVARIANTS, Verdict, Violation
from simroom.scenario.schema import Scenario
from simroom.sim.run import NodeUse, RunData
from simroom.study.measures import MEASURES, measured, utilisations
from simroom.study.table import PARTS, Table, UnknownTagError

MS = 1_000
SECOND = 1_000_000
ZERO = 5 * SECOND
"""The scenario's time 0: five seconds of lead-in."""


def scenario(**changes: Any) -> Scenario:
    content = {
        "simroom": 1,
        "name": "Stand-up",
        "duration": "60s",
        "warm_up": "10s",
        "lead_in": "5s",
        "nodes": [{"name": "desktop", "count": 2, "service": "1s"}],
        **changes,
    }
    return Scenario.model_validate(content)


def verdict(**changes: Any) -> Verdict:
    content: dict[str, Any] = {
        "violations": (),
        "counts": {},
        "judgements": dict.fromkeys(INVARIANTS, 3),
        "ends": {"delivered": 4, "rejected": 1, "failed": 1},
        "refusals": {"CAPACITY_EXCEEDED": 1},
        "created": 7,
        "living": 1,
        "uncounted": {},
    }
    return Verdict(**{**content, **changes})


class Scribe:
    """Writes a ledger, with instants in milliseconds of the scenario's time."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def utterance(self, speaker: str, room: str | None, index: int, language: str, start: int, end: int) -> int:
        ledger = self.ledger
        place = NONE if room is None else ledger.rooms.number(room)
        return ledger.utterance(
            ledger.sessions.number(speaker), place, index, ledger.languages.number(language), at(start), at(end)
        )

    def received(self, utterance: int, when: int) -> None:
        self.ledger.received(utterance, at(when))

    def job(
        self,
        utterance: int,
        language: str,
        node: str | None,
        *,
        start: int | None = None,
        stages: tuple[int, int, int] | None = None,
        answered: int | None = None,
        ended: int | None = None,
        end: JobEnd = JobEnd.DELIVERED,
        to: dict[str, int] | None = None,
    ) -> int:
        ledger = self.ledger
        asr, nmt, tts = (NONE, NONE, NONE) if stages is None else (stage * MS for stage in stages)
        row = ledger.job(
            utterance,
            ledger.languages.number(language),
            NONE if node is None else ledger.nodes.number(node),
            0 if node is None else 1,
            at(start),
            at(start),
            asr,
            nmt,
            tts,
            at(answered),
            at(ended),
            end,
            len(to or {}),
        )
        for recipient, arrived in (to or {}).items():
            ledger.delivery(row, ledger.sessions.number(recipient), at(arrived))
        return row


def at(instant: int | None) -> int:
    return NONE if instant is None else ZERO + instant * MS


def written(names: dict[str, str] | None = None) -> Ledger:
    """Two rooms and a single session: 5 utterances, 7 jobs, 6 deliveries. ``names`` puts other names for these."""
    scribe = Scribe()
    name = {
        key: key for key in ("r1", "r2", "r1/zh", "r1/en", "r1/ja1", "r1/ja2", "r2/en", "r2/ja", "solo", "n1", "n2")
    }
    name.update(names or {})
    # Within the warm-up: not a sample, yet counted.
    early = scribe.utterance(name["r1/zh"], name["r1"], 0, "zh", 7_000, 9_000)
    scribe.received(early, 9_050)
    scribe.job(
        early, "en", name["n1"], start=9_100, stages=(600, 300, 100), answered=10_150, ended=10_150,
        to={name["r1/en"]: 10_200},
    )  # fmt: skip
    # Ended as the warm-up does: a sample. Two languages, one of them to two listeners.
    fanned = scribe.utterance(name["r1/zh"], name["r1"], 1, "zh", 9_000, 10_000)
    scribe.received(fanned, 10_040)
    scribe.job(
        fanned, "en", name["n1"], start=10_100, stages=(500, 300, 200), answered=11_150, ended=11_150,
        to={name["r1/en"]: 11_200},
    )  # fmt: skip
    scribe.job(
        fanned, "ja", name["n2"], start=10_060, stages=(700, 300, 200), answered=11_280, ended=11_500,
        to={name["r1/ja1"]: 11_550, name["r1/ja2"]: 11_610},
    )  # fmt: skip
    # To the speaker alone, outside rooms.
    alone = scribe.utterance(name["solo"], None, 0, "en", 19_000, 20_000)
    scribe.received(alone, 20_010)
    scribe.job(
        alone, "zh", name["n2"], start=20_020, stages=(400, 100, 100), answered=20_640, ended=20_640,
        to={name["solo"]: 20_650},
    )  # fmt: skip
    # The other room: no node for one, a failure for the next, the last one still living at the end.
    lost = scribe.utterance(name["r2/en"], name["r2"], 0, "en", 28_000, 30_000)
    scribe.received(lost, 30_020)
    scribe.job(lost, "ja", None, ended=30_020, end=JobEnd.REJECTED)
    scribe.job(lost, "zh", name["n1"], start=30_100, answered=31_000, ended=31_000, end=JobEnd.FAILED)
    last = scribe.utterance(name["r2/en"], name["r2"], 1, "en", 58_000, 59_900)
    scribe.job(last, "ja", name["n2"], start=60_000, end=JobEnd.LIVING)
    return scribe.ledger


def uses() -> tuple[NodeUse, ...]:
    common = {"group": "desktop", "slots": 4, "jobs": 3, "ready_time": 50 * SECOND}
    return (
        NodeUse(name="n1", streams=1, busy_time=10 * SECOND, failed=1, **common),
        NodeUse(name="n2", streams=2, busy_time=40 * SECOND, failed=0, **common),
    )


def example(**changes: Any) -> RunData:
    content: dict[str, Any] = {
        "scenario": scenario(),
        "seed": 7,
        "ledger": written(),
        "verdict": verdict(),
        "time_zero": ZERO,
        "ended_at": ZERO + 62 * SECOND,
        "nodes": uses(),
        "room_sizes": (4, 2),
        "room_groups": ("standup", "pair"),
        "events": 1_234,
        "unspoken": 0,
        "interrupted": False,
        "undrained": False,
        "trace_hash": "ab" * 16,
        "playback_ratio": 1.0,
    }
    return RunData(**{**content, **changes})


def empty(**changes: Any) -> RunData:
    """A run in which nobody said anything."""
    nothing = verdict(ends={}, refusals={}, created=0, living=0, judgements=dict.fromkeys(INVARIANTS, 0))
    return example(**{"ledger": Ledger(), "verdict": nothing, "room_sizes": (), "room_groups": (), **changes})


def breach(**changes: Any) -> Violation:
    content: dict[str, Any] = {
        "invariant": "I1",
        "at": at(11_500),
        "what": "r1/ja2 should have got it, nobody did",
        "kind": "missing",
        "room": "r1",
        "speaker": "r1/zh",
        "utterance_index": 1,
        "language": "ja",
        "recipients": ("r1/ja2",),
        "job_id": "job-4E1",
        "node": "n2",
    }
    return Violation(**{**content, **changes})


# --- counts ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(example())


def test_counts_are_of_the_whole_run_the_warm_up_and_living_jobs_included(table: Table) -> None:
    counts = {name: measured(table, name) for name, m in MEASURES.items() if m.unit == "count" and not m.stats}
    assert counts == {
        "utterances": 5,
        "jobs": 7,
        "jobs.delivered": 4,
        "jobs.no_recipient": 0,
        "jobs.failed": 1,
        "jobs.rejected": 1,
        "jobs.expired": 0,
        "jobs.dropped_late": 0,
        "jobs.lost": 0,
        "jobs.living": 1,
        "deliveries": 5,
        "deliveries.missing": 0,
        "deliveries.extra": 0,
        "deliveries.duplicate": 0,
        "deliveries.out_of_order": 0,
        "deliveries.leaked": 0,
        "deliveries.wrong": 0,
        "violations": 0,
        "wrong_answers": 0,
        "rejected": 1,
        "nodes.count": 2,
    }


@pytest.mark.parametrize(
    ("name", "tags", "count"),
    [
        ("jobs", {"language": "ja"}, 3),
        ("jobs", {"language": "JA"}, 3),
        ("jobs", {"room": "pair"}, 3),
        ("jobs", {"room_size": "4"}, 3),
        ("jobs", {"mode": "single"}, 1),
        ("jobs", {"mode": "room", "language": "zh"}, 1),
        ("jobs", {"node": "desktop"}, 6),
        ("utterances", {"mode": "single"}, 1),
        ("utterances", {"room": "standup"}, 2),
        ("deliveries", {"language": "ja"}, 2),
        ("deliveries", {"room": "pair"}, 0),
        ("deliveries", {"mode": "single", "room_size": "4"}, 0),
        ("rejected", {"reason": "CAPACITY_EXCEEDED"}, 1),
        ("rejected", {"reason": "OFFLINE"}, 0),
    ],
)
def test_a_selection_counts_what_has_all_its_tags(table: Table, name: str, tags: dict[str, str], count: int) -> None:
    assert measured(table, name, tags=tags) == count


@pytest.mark.parametrize(
    ("tags", "known"),
    [
        ({"language": "fr"}, ("zh", "en", "ja")),
        ({"room": "r1"}, ("standup", "pair")),
        ({"room_size": "3"}, ("2", "4")),
        ({"node": "n1"}, ("desktop",)),
    ],
)
def test_a_tag_value_that_the_run_does_not_have_says_what_it_has(
    table: Table, tags: dict[str, str], known: tuple
) -> None:
    with pytest.raises(UnknownTagError) as error:
        measured(table, "jobs", tags=tags)
    assert error.value.known == known


def test_ratios_are_exact_and_absent_where_there_is_nothing_to_divide_by(table: Table) -> None:
    assert measured(table, "jobs_per_utterance") == Fraction(7, 5)
    assert measured(table, "deliveries_per_job") == Fraction(5, 7)
    assert measured(Table(empty()), "jobs_per_utterance") is None
    assert measured(Table(empty()), "deliveries_per_job") is None


def test_throughput_counts_arrivals_in_the_measured_window(table: Table) -> None:
    # All five arrive between second 10 and second 60.
    assert measured(table, "throughput") == Fraction(5, 50)
    assert measured(table, "throughput", tags={"language": "ja"}) == Fraction(2, 50)


# --- times -------------------------------------------------------------------------------------------------------


def test_the_latency_counts_from_the_planned_end_of_the_speech_after_the_warm_up(table: Table) -> None:
    values = {stat: measured(table, "delivery_latency", stat) for stat in ("n", "mean", "p50", "p90", "max")}
    # Samples: 1200, 1550, 1610, 650 ms. The one of 1200 ms in the warm-up is not among them.
    assert values == {"n": 4, "mean": 1_252_500, "p50": 1_200_000, "p90": 1_610_000, "max": 1_610_000}
    assert measured(table, "delivery_latency", "p50", {"language": "ja"}) == 1_550_000
    assert measured(table, "delivery_latency", "n", {"mode": "single"}) == 1


def test_the_parts_of_each_delivery_are_as_on_paper_and_add_up(table: Table) -> None:
    parts = {name: column.tolist() for name, column in table.parts.items()}
    assert tuple(parts) == PARTS
    # The delivery to r1/ja2: accepted 40 ms after the speech, 20 ms on, 1.2 s of service, back in 20 ms, held for
    # 220 ms, 110 ms to the listener.
    assert {name: column[3] // MS for name, column in parts.items()} == {
        "uplink_time": 40,
        "waiting_time": 20,
        "asr_time": 700,
        "nmt_time": 300,
        "tts_time": 200,
        "hold_time": 220,
        "downlink_time": 130,
    }
    assert [sum(column) for column in zip(*parts.values(), strict=True)] == table.delivery_latency.tolist()
    assert measured(table, "service_time", "max") == 1_200_000
    assert measured(table, "hold_time", "max") == 220_000


def test_a_delivery_without_the_instants_of_its_parts_still_has_its_latency() -> None:
    # What a broken scheduler might do: a result that no node gave, of an utterance that it never accepted.
    scribe = Scribe()
    heard = scribe.utterance("r1/zh", "r1", 0, "zh", 19_000, 20_000)
    scribe.job(heard, "en", None, ended=20_500, to={"r1/en": 20_600})
    broken = Table(example(ledger=scribe.ledger, room_sizes=(2,), room_groups=("standup",)))
    assert measured(broken, "delivery_latency", "max") == 600_000
    assert measured(broken, "uplink_time", "n") == 0
    assert measured(broken, "uplink_time", "max") is None


def test_parts_that_do_not_add_up_are_a_fault_of_ours_and_said_so() -> None:
    wrong = Table(example())
    wrong.delivery_latency[2] += 1
    with pytest.raises(RuntimeError, match="delivery 2 do not add up"):
        _ = wrong.parts


def test_fan_out_skew_is_of_results_with_several_recipients(table: Table) -> None:
    assert [measured(table, "fan_out_skew", stat) for stat in ("n", "max")] == [1, 60_000]


def test_a_second_copy_to_one_recipient_is_no_fan_out() -> None:
    scribe = Scribe()
    heard = scribe.utterance("r1/zh", "r1", 0, "zh", 19_000, 20_000)
    row = scribe.job(heard, "en", "n1", ended=20_500, to={"r1/en": 20_600, "r1/ja1": 20_650})
    other = scribe.job(heard, "ja", "n1", ended=20_500, to={"r1/en": 20_700})
    scribe.ledger.delivery(row, scribe.ledger.sessions.number("r1/en"), at(29_000))
    scribe.ledger.delivery(other, scribe.ledger.sessions.number("r1/en"), at(29_000))
    twice = Table(example(ledger=scribe.ledger, room_sizes=(2,), room_groups=("standup",)))
    assert [measured(twice, "fan_out_skew", stat) for stat in ("n", "max")] == [1, 50_000]


def test_playback_waits_for_the_result_before_it(table: Table) -> None:
    # r1/en hears a result of 2 s from 10.2 s on; the next one arrives at 11.2 s and starts at 12.2 s, for a speech
    # that ended at 10 s.
    assert measured(table, "playback_lag", "max") == 2_200_000
    assert measured(table, "playback_queue", "max") == 1
    half = Table(example(playback_ratio=0.5))
    assert measured(half, "playback_lag", "max", {"language": "en"}) == 1_200_000
    assert measured(half, "playback_queue", "max") == 0


# --- nodes -------------------------------------------------------------------------------------------------------


def test_utilisation_is_busy_time_over_streams_and_window(table: Table) -> None:
    assert utilisations(table, {}) == [Fraction(10, 50), Fraction(40, 100)]
    assert measured(table, "nodes.utilisation", "mean") == Fraction(3, 10)
    assert measured(table, "nodes.utilisation", "min") == Fraction(1, 5)
    assert measured(table, "nodes.utilisation", "max", {"node": "desktop"}) == Fraction(2, 5)


def test_a_run_stopped_in_its_warm_up_has_no_utilisation_and_no_throughput() -> None:
    stopped = Table(example(ended_at=ZERO + 4 * SECOND, interrupted=True))
    assert stopped.window_time == 0
    assert measured(stopped, "nodes.utilisation", "max") is None
    assert measured(stopped, "throughput") is None


def test_a_run_without_anything_has_measures_without_values() -> None:
    nothing = Table(empty())
    for name, measure in MEASURES.items():
        for stat, value in measure.compute(nothing, {}).items():
            counts = measure.unit_of(stat) == "count" and name != "playback_queue"
            nought = name in {"nodes.utilisation", "throughput", "offered_load"} or name.startswith("jobs.")
            assert (value is not None) == (counts or nought), (name, stat)
    assert measured(nothing, "delivery_latency", "n") == 0
