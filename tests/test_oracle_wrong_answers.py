"""Answers that are wrong as they come from their node: counted, no fault of the scheduler, told where they leak."""

from __future__ import annotations

import pytest
from test_oracle_history import SECOND, History, clean, found

from simroom.oracle.payload import translated
from simroom.oracle.verdict import HOWS


def answered(history: History, node: int, job: str, payload: str, *to: int) -> None:
    """The node answers with this payload, and that is what is sent on."""
    history.answer(node, job, history.sent(job, *to, payload=payload), payload=payload)


def right(history: History, job: str) -> str:
    _, _, tgt, audio = history.jobs[job]
    return translated(audio, tgt)


@pytest.mark.parametrize(
    ("how", "make"),
    [
        ("empty", lambda _right: ""),
        ("unknown", lambda _right: "<x>>en"),
        ("wrong_language", lambda right: right.replace(">en", ">ja")),
        ("wrong_language", lambda right: right + "-GB"),
        ("oversized", lambda right: right + "~" * 100),
        ("oversized", lambda right: right + "-" * 100),
    ],
)
def test_a_wrong_answer_is_counted_by_what_is_wrong_with_it_and_is_no_breach(how, make):
    history = History()
    node = history.node("n1")
    zh, en, en2 = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    answered(history, node, "j0", make(right(history, "j0")), en, en2)
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", en, en2))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {how: {"n1": 1}}
    assert how in HOWS
    assert verdict.wrong_deliveries == 2
    assert verdict.ends["delivered"] == 2


def test_wrong_answers_are_counted_by_node():
    history = History()
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en = history.room("zh", "en")
    for number, node in enumerate((n1, n2, n1)):
        history.say(zh, (f"j{number}", node, "en"))
        answered(history, node, f"j{number}", "", en)
        if number == 1:  # an answer that counts for nothing is not looked at
            history.answer(node, f"j{number}", payload="<x>>en")
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {"empty": {"n1": 2, "n2": 1}}
    assert verdict.uncounted == {"unknown": 1}


def test_a_scheduler_that_changes_a_wrong_answer_is_to_blame_for_that():
    history = History()
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en), payload="<x>>en")
    verdict = history.finish()
    assert found(verdict) == [("token", "payload", "en", ())]
    assert verdict.wrong_answers == {"unknown": {"n1": 1}}
    assert verdict.wrong_deliveries == 0


def test_words_that_are_swapped_within_a_room_leak_nothing():
    history = History()
    node = history.node("n1", slots=4)
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.say(ja, ("j2", node, "en"), ("j3", node, "zh"))
    payloads = [right(history, f"j{number}") for number in range(4)]
    answered(history, node, "j0", payloads[2], en)
    answered(history, node, "j2", payloads[0], en)
    history.answer(node, "j1", history.sent("j1", ja))
    history.answer(node, "j3", history.sent("j3", zh))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {"another_utterance": {"n1": 2}}


def test_words_of_another_room_are_leaked_by_the_node_both_ways_of_a_swap():
    history = History()
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    other, listener = history.room("zh", "en", code="222222", name="q")
    history.say(zh, ("j0", node, "en"))
    history.say(other, ("j1", node, "en"))
    first, second = right(history, "j0"), right(history, "j1")
    answered(history, node, "j0", second, en)
    answered(history, node, "j1", first, listener)
    verdict = history.finish()
    assert found(verdict) == [
        ("I7", "leaked_by_node", "en", ("r/m1",)),
        ("I7", "leaked_by_node", "en", ("q/m1",)),
    ]
    assert verdict.violations[0].what == "leaked by node n1: r/m1 got what q/m0 said in q as #0"
    assert verdict.violations[0].node == "n1"
    assert verdict.wrong_answers == {"another_room": {"n1": 2}}
    assert verdict.counts["leaked"] == 0


def test_words_of_another_room_that_reach_nobody_are_counted_and_not_leaked():
    history = History()
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    other, _ = history.room("zh", "en", code="222222", name="q")
    history.say(zh, ("j0", node, "en"))
    history.say(other, ("j1", node, "en"))
    history.leave(en)
    history.answer(node, "j0", payload=right(history, "j1"))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {"another_room": {"n1": 1}}
    assert verdict.wrong_deliveries == 0


def test_words_said_outside_rooms_are_for_their_speaker_alone():
    history = History()
    node = history.node("n1", slots=4)
    zh, en = history.room("zh", "en")
    alone, another = history.session("alone"), history.session("another")
    history.say(zh, ("j0", node, "en"))
    history.say(alone, ("j1", node, "en"))
    history.say(alone, ("j2", node, "en"))
    history.say(another, ("j3", node, "en"))
    said = [right(history, f"j{number}") for number in range(4)]
    answered(history, node, "j1", said[2], alone)
    answered(history, node, "j3", said[2], another)
    answered(history, node, "j0", said[3], en)
    verdict = history.finish()
    assert [(breach.kind, breach.recipients) for breach in verdict.violations] == [
        ("leaked_by_node", ("another",)),
        ("leaked_by_node", ("r/m1",)),
    ]
    assert verdict.violations[0].what == "leaked by node n1: another got what alone said outside rooms as #1"
    assert verdict.wrong_answers == {"another_utterance": {"n1": 1}, "another_room": {"n1": 2}}


def test_nothing_leaks_to_those_who_were_there_when_it_was_said():
    history = History()
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "en")
    history.say(zh, ("j1", node, "en"))
    history.leave(en)
    other = history.session("q/m0", "zh")
    history.create(other, "zh", "222222")
    history.join(en, "en", "222222")
    history.say(other, ("j2", node, "en"))
    answered(history, node, "j2", right(history, "j1"), en)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {"another_room": {"n1": 1}}


def test_ones_own_words_are_no_leak_in_another_session():
    history = History()
    node = history.node("n1")
    old = history.session("alone")
    history.say(old, ("j0", node, "en"))
    history.close(old)
    back = history.session("alone")
    history.say(back, ("j1", node, "en"))
    answered(history, node, "j1", right(history, "j0"), back)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_answers == {"another_utterance": {"n1": 1}}


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("remembering", [True, False])
def test_what_was_said_before_the_first_wrong_answer_is_known_where_it_was_to_be_remembered(shortcuts, remembering):
    history = History(shortcuts=shortcuts, remembering=remembering)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    other, listener = history.room("zh", "en", code="222222", name="q")
    history.say(other, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", listener))
    history.say(zh, ("j1", node, "en"))
    answered(history, node, "j1", right(history, "j0"), en)
    history.say(other, ("j2", node, "en"))
    history.answer(node, "j2", history.sent("j2", listener))
    history.say(zh, ("j3", node, "en"))
    answered(history, node, "j3", right(history, "j2"), en)
    verdict = history.finish()
    known = {"another_room": {"n1": 2}} if remembering else {"another_room": {"n1": 1}, "unknown": {"n1": 1}}
    assert verdict.wrong_answers == known
    assert verdict.counts["leaked_by_node"] == (2 if remembering else 1)
    assert verdict.wrong_deliveries == 2


def test_a_wrong_answer_that_was_kept_for_somebody_is_judged_as_it_is_handed_over():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    other, _ = history.room("zh", "en", code="222222", name="q")
    history.say(zh, ("j0", node, "en"))
    history.say(other, ("j1", node, "en"))
    history.close(en)
    wrong = right(history, "j1")
    history.answer(node, "j0", payload=wrong)
    history.resume(en, history.sent("j0", payload=wrong))
    verdict = history.finish()
    assert found(verdict) == [("I7", "leaked_by_node", "en", ("r/m1",))]
    assert verdict.wrong_deliveries == 1


def test_a_held_wrong_answer_is_judged_as_it_is_sent():
    history = History()
    node = history.node("n1", slots=4)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", payload="")
    assert history.oracle._wrong_answers.deliveries == 0
    history.answer(node, "j0", history.sent("j0", en), history.sent("j1", en, payload=""))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.wrong_deliveries == 1
