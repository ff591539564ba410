"""Troubles drawn job by job and message by message: how often, of what, when, and what the wrong answers are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from simroom.oracle.payload import speech, translated
from simroom.scheduler.messages import JobAssign, Pipeline
from simroom.sim.tally import Tally
from simroom.sim.troubles import (
    OVERSIZE,
    CrashAfterWork,
    DoubledMessages,
    LostMessages,
    OutOfMemory,
    Trouble,
    Troubles,
    WrongAnswer,
)
from simroom.workload.distributions import constant, uniform
from simroom.workload.streams import mix, stream_key

COUNT = 4_000
"""So many draws: a share of 30 % comes out between 26 and 34 % but for one program in 10 million (5.5 sigma)."""
SHARE = 0.3
AROUND = range(int(0.26 * COUNT), int(0.34 * COUNT) + 1)
EVER = {"begin": 0, "until": 10**15}


def job(number: int, language: str = "en", attempt: int | None = 1) -> JobAssign:
    audio = speech(f"token-{number}", number, 1_000_000, mix(99, number))
    pipeline = Pipeline(use_asr=True, use_nmt=True, use_tts=True)
    return JobAssign(
        f"job-{number}", "session", number, "zh", language, pipeline, audio, "pcm16", 16_000, "trace", attempt
    )


def trouble(kind: type[Trouble], name: str = "one", share: float = SHARE, **more: Any) -> Any:
    """A trouble with luck of its own, at any time."""
    given = {"share": share, "luck": stream_key(7, name), "tally": Tally(name, "kind"), **EVER, **more}
    return kind(**given)


def troubles(*those: Trouble, node: int = 0, languages: tuple[str, ...] = ("en", "ja", "zh-CN")) -> Troubles:
    return Troubles(those, node, languages)


CRASH = {"down": None}
MEMORY = {"lost": "batch"}
EMPTY = {"how": "empty"}
ALL_MESSAGES = {"messages": ("job_result", "node_heartbeat", "job_assign")}

STRIKES: dict[str, tuple[Trouble, Callable[[Troubles, JobAssign, int], bool]]] = {
    "crash_after_work": (trouble(CrashAfterWork, **CRASH), lambda those, of, now: those.crash(of, now) is not None),
    "out_of_memory": (trouble(OutOfMemory, **MEMORY), lambda those, of, now: those.memory(of, now) is not None),
    "wrong_answer": (trouble(WrongAnswer, **EMPTY), lambda those, of, now: those.wrong(of, (), None, now) is not None),
    "lost assignment": (trouble(LostMessages, **ALL_MESSAGES), lambda those, of, now: those.unheard(of, now)),
    "lost result": (trouble(LostMessages, **ALL_MESSAGES), lambda those, of, now: those.result_count(of, now) == 0),
    "doubled result": (
        trouble(DoubledMessages, messages=("job_result",)),
        lambda those, of, now: those.result_count(of, now) == 2,
    ),
}
"""Each trouble that is about jobs, and how to see whether it strikes one."""
of_jobs = pytest.mark.parametrize("name", STRIKES)


def struck(name: str, messages: list[JobAssign], **more: Any) -> list[bool]:
    """Which of the jobs a fresh trouble of this kind strikes; each strike is counted."""
    kind, strikes = STRIKES[name]
    fresh = type(kind)(**{**vars(kind), "tally": Tally(name, "kind"), **more})
    those = troubles(fresh)
    found = [strikes(those, message, 1_000) for message in messages]
    assert fresh.tally.count == sum(found)
    return found


@of_jobs
def test_as_many_jobs_are_struck_as_the_share_says(name: str) -> None:
    assert sum(struck(name, [job(number) for number in range(COUNT)])) in AROUND


@of_jobs
def test_no_job_is_struck_by_a_share_of_nothing_and_each_by_a_share_of_all(name: str) -> None:
    messages = [job(number) for number in range(100)]
    assert not any(struck(name, messages, share=0.0))
    assert all(struck(name, messages, share=1.0))


@of_jobs
def test_luck_belongs_to_the_job_and_not_to_what_was_drawn_before(name: str) -> None:
    messages = [job(number) for number in range(200)]
    found = struck(name, messages)
    assert struck(name, messages[::-1]) == found[::-1]
    assert struck(name, messages[50:]) == found[50:]


@of_jobs
def test_each_attempt_and_each_language_has_luck_of_its_own(name: str) -> None:
    first = struck(name, [job(number) for number in range(COUNT)])
    for others in ([job(number, attempt=2) for number in range(COUNT)], [job(n, "ja") for n in range(COUNT)]):
        both = sum(one and other for one, other in zip(first, struck(name, others), strict=True))
        # Independent shares of 30 % coincide in 9 %: 360 of 4,000, sigma 18.
        assert both in range(260, 461)
    assert struck(name, [job(number, attempt=None) for number in range(COUNT)]) == first, "no number is the first"


@of_jobs
def test_a_job_whose_audio_is_not_from_here_has_its_luck_by_its_id(name: str) -> None:
    messages = [structs.replace(job(number), audio="from elsewhere") for number in range(COUNT)]
    assert sum(struck(name, messages)) in AROUND


@of_jobs
def test_a_trouble_strikes_only_in_its_window(name: str) -> None:
    kind, strikes = STRIKES[name]
    those = troubles(type(kind)(**{**vars(kind), "share": 1.0, "begin": 100, "until": 200}))
    assert [strikes(those, job(1), now) for now in (99, 100, 199, 200)] == [False, True, True, False]


@of_jobs
def test_two_troubles_have_luck_of_their_own(name: str) -> None:
    messages = [job(number) for number in range(COUNT)]
    both = zip(struck(name, messages), struck(name, messages, luck=stream_key(7, "other")), strict=True)
    assert sum(one and other for one, other in both) in range(260, 461)


def test_one_troubles_draws_for_different_messages_have_nothing_to_do_with_each_other() -> None:
    those = troubles(trouble(LostMessages, **ALL_MESSAGES))
    unheard = [those.unheard(job(number), 0) for number in range(COUNT)]
    unsaid = [those.result_count(job(number), 0) == 0 for number in range(COUNT)]
    assert sum(one and other for one, other in zip(unheard, unsaid, strict=True)) in range(260, 461)


# --- heartbeats


def test_heartbeats_are_lost_and_doubled_by_their_number_and_node() -> None:
    lost, doubled = (
        trouble(LostMessages, "lost", messages=("node_heartbeat",)),
        trouble(DoubledMessages, "doubled", messages=("node_heartbeat",)),
    )
    counts = [troubles(lost, doubled).beat_count(number, 0) for number in range(COUNT)]
    assert counts.count(0) in AROUND
    # Of the 70 % that are not lost, 30 %: 840, sigma 26.
    assert counts.count(2) in range(710, 971)
    assert lost.tally.count == counts.count(0)
    assert doubled.tally.count == counts.count(2)
    other = [troubles(lost, node=1).beat_count(number, 0) for number in range(COUNT)]
    both = sum(one == 0 == two for one, two in zip(counts, other, strict=True))
    assert both in range(260, 461)
    assert [troubles(lost).beat_count(number, 0) == 0 for number in range(COUNT)] == [each == 0 for each in counts]


def test_a_trouble_touches_only_the_messages_it_names() -> None:
    those = troubles(
        trouble(LostMessages, share=1.0, messages=("job_assign",)),
        trouble(DoubledMessages, share=1.0, messages=("job_result",)),
    )
    assert those.unheard(job(1), 0)
    assert those.result_count(job(1), 0) == 2
    assert those.beat_count(1, 0) == 1


def test_a_message_that_two_troubles_double_is_sent_three_times_and_one_that_is_lost_not_at_all() -> None:
    twice = [trouble(DoubledMessages, name, 1.0, messages=("job_result",)) for name in ("one", "two")]
    assert troubles(*twice).result_count(job(1), 0) == 3
    lost = trouble(LostMessages, "lost", 1.0, messages=("job_result",))
    assert troubles(*twice, lost).result_count(job(1), 0) == 0
    assert [each.tally.count for each in (*twice, lost)] == [1, 1, 1], "what is lost is not doubled first"


# --- crashes and memory


def test_a_node_without_a_time_to_come_back_is_down_for_good() -> None:
    assert troubles(trouble(CrashAfterWork, share=1.0, down=None)).crash(job(1), 0) == (None,)


def test_how_long_a_node_is_down_is_drawn_for_each_crash_and_noted() -> None:
    down = trouble(CrashAfterWork, share=1.0, down=uniform(1_000, 2_000))
    those = troubles(down)
    crashes = [those.crash(job(number), number) for number in range(50)]
    spans = [crash[0] for crash in crashes if crash is not None and crash[0] is not None]
    assert len(spans) == 50
    assert len(set(spans)) > 40
    assert min(spans) >= 1_000
    assert max(spans) <= 2_000
    use = down.tally.use()
    assert use.at == tuple(range(50))
    assert use.until == tuple(at + span for at, span in zip(range(50), spans, strict=True))


def test_the_first_trouble_that_strikes_decides() -> None:
    longer, shorter = (trouble(CrashAfterWork, str(span), 1.0, down=constant(span)) for span in (9_000, 1_000))
    assert troubles(longer, shorter).crash(job(1), 0) == (9_000,)
    assert shorter.tally.count == 0
    assert troubles(trouble(OutOfMemory, share=1.0, lost="job")).memory(job(1), 0) == "job"
    assert troubles(trouble(OutOfMemory, share=1.0, lost="batch")).memory(job(1), 0) == "batch"


# --- wrong answers


def wrong(how: str, beside: list[JobAssign], previous: JobAssign | None, message: JobAssign | None = None) -> Any:
    """The wrong answer to a job, and how often the trouble counts itself."""
    one = trouble(WrongAnswer, share=1.0, how=how)
    return troubles(one).wrong(message or job(1), beside, previous, 0), one.tally.count


def test_a_swapped_answer_is_that_of_the_nearest_job_beside_it_or_of_the_one_before() -> None:
    assert wrong("swapped", [job(2, "ja"), job(3)], job(4)) == ("token-2>ja", 1)
    assert wrong("swapped", [], job(4)) == ("token-4>en", 1)


def test_a_previous_answer_is_that_of_the_job_before() -> None:
    assert wrong("previous", [job(2)], job(4, "ja")) == ("token-4>ja", 1)


@pytest.mark.parametrize("how", ["swapped", "previous"])
def test_where_there_is_no_other_job_the_answer_is_right_and_nothing_is_counted(how: str) -> None:
    assert wrong(how, [], None) == (None, 0)
    assert wrong(how, [job(1, attempt=2)], job(1, attempt=2)) == (None, 0), "the same speech into the same language"


def test_an_empty_answer_is_nothing() -> None:
    assert wrong("empty", [], None) == ("", 1)


def test_an_answer_in_the_wrong_language_is_in_one_that_the_node_speaks() -> None:
    one = trouble(WrongAnswer, share=1.0, how="wrong_language")
    found = {troubles(one).wrong(job(number), [], None, 0) for number in range(20)}
    assert found <= {translated(f"token-{number}", language) for number in range(20) for language in ("ja", "zh-CN")}
    assert {str(payload).partition(">")[2] for payload in found} == {"ja", "zh-CN"}


def test_a_node_that_speaks_one_language_cannot_answer_in_another() -> None:
    one = trouble(WrongAnswer, share=1.0, how="wrong_language")
    assert troubles(one, languages=("EN",)).wrong(job(1), [], None, 0) is None
    assert one.tally.count == 0


def test_an_oversized_answer_is_the_right_one_and_much_more() -> None:
    payload, count = wrong("oversized", [], None)
    assert payload.startswith("token-1>en")
    assert len(payload) == len("token-1>en") + OVERSIZE
    assert count == 1
