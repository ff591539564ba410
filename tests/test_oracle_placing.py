"""Which node gets a job: filters, fewest jobs, ties, preferences, refusals and waiting."""

from __future__ import annotations

import pytest
from test_oracle_history import EXTRAS, IDLE, SECOND, History, clean, found

from simroom.scheduler.messages import Features, ResourceUsage, UiEvent

NO_NODE = "NO_AVAILABLE_NODE"


def what(history: History) -> str:
    """The sentence of the one violation, which must be of a placing."""
    verdict = history.finish()
    assert [breach.kind for breach in verdict.violations] == ["wrong_node"], verdict.violations
    return f"{verdict.violations[0].invariant} {verdict.violations[0].what}"


# --- fewest jobs and ties


def test_rotation_takes_the_next_after_the_one_placed_on_last():
    history = History()
    a, b, c = (history.node(name) for name in "abc")
    session = history.session("s")
    for number, node in enumerate((a, b, c, a, b, c)):
        history.say(session, (f"j{number}", node, "en"))
    for number in (1, 4, 2, 5, 0):
        history.answer((a, b, c, a, b, c)[number], f"j{number}", *release(history, number, session))
    history.say(session, ("k0", b, "en"))
    history.say(session, ("k1", c, "en"))
    history.say(session, ("k2", a, "en"))
    assert clean(history.finish())


def release(history: History, number: int, session: int) -> tuple:
    """The first utterance is answered last, and lets those up to the one that is still missing go."""
    if number:
        return ()
    return tuple(history.sent(f"j{other}", session) for other in (0, 1, 2))


def test_a_tie_settled_for_the_wrong_one_is_found():
    history = History()
    _, _, c = (history.node(name) for name in "abc")
    history.say(history.session("s"), ("j0", c, "en"))
    assert what(history) == "I5 c got it; a has the fewest jobs and is next"


def test_the_first_takes_every_tie_where_that_is_the_rule():
    history = History(tie_break="first")
    a, b = history.node("a"), history.node("b")
    session = history.session("s")
    history.say(session, ("j0", a, "en"))
    history.answer(a, "j0", history.sent("j0", session))
    history.say(session, ("j1", a, "en"))
    history.say(session, ("j2", b, "en"))
    assert clean(history.finish())


def test_chance_may_settle_a_tie_but_not_the_load():
    history = History(tie_break="random")
    a, _, c = (history.node(name) for name in "abc")
    session = history.session("s")
    history.say(session, ("j0", c, "en"))
    history.say(session, ("j1", a, "en"))
    assert clean_so_far(history)
    history.say(session, ("j2", a, "en"))
    assert what(history) == "I5 a got it; b has the fewest jobs"


def clean_so_far(history: History) -> bool:
    return not history.oracle._mirror.findings.violations


def test_one_wrong_choice_is_reported_once_and_the_pointer_follows_it():
    history = History()
    a, b, c = (history.node(name) for name in "abc")
    session = history.session("s")
    for number, node in enumerate((c, a, b, c, a, b)):
        history.say(session, (f"j{number}", node, "en"))
    assert what(history).startswith("I5 c got it")


def history_node(history: History, name: str) -> int:
    return next(connection for connection, known in history.names.items() if known == name)


def test_with_ten_thousand_nodes_the_rule_is_the_same():
    history = History()
    nodes = [history.node(f"n{number}", slots=1) for number in range(10_000)]
    session = history.session("s")
    for number in range(3):
        history.say(session, (f"j{number}", nodes[number], "en"))
    history.close(nodes[3])
    history.say(session, ("k0", nodes[4], "en"))
    assert clean_so_far(history)
    history.say(session, ("k1", nodes[9_999], "en"))
    assert what(history) == "I5 n9999 got it; n5 has the fewest jobs and is next"


def test_the_lowest_load_counts_only_among_those_that_fit():
    history = History()
    history.node("idle", pairs=("zh>ja",))
    busy = history.node("busy", slots=3)
    session = history.session("s")
    for number in range(3):
        history.say(session, (f"j{number}", busy, "en"))
    assert clean(history.finish())


def test_reported_load_decides_where_that_is_the_rule():
    history = History(load="reported")
    a = history.node("a", usage=ResourceUsage(1.0, 1.0, 1, 1.0))
    b = history.node("b", usage=IDLE)
    session = history.session("s")
    for number in range(4):
        history.say(session, (f"j{number}", b, "en"))
    history.beat(b, usage=ResourceUsage(1.0, 1.0, 2, 1.0))
    history.say(session, ("k0", a, "en"))
    history.answer(b, "j0", history.sent("j0", session))
    assert clean_so_far(history)
    history.say(session, ("k1", b, "en"))
    assert what(history).startswith("I4 b got it and is excluded: CAPACITY_EXCEEDED")


# --- filters


def test_a_job_from_auto_goes_where_any_of_the_sessions_languages_is_done():
    history = History()
    history.node("ja", pairs=("ja>en",))
    de = history.node("de", pairs=("de>en",))
    some = history.session("s", "auto", auto_langs=("de", "fr"))
    history.say(some, ("j0", de, "en"))
    history.answer(de, "j0", history.sent("j0", some))
    any_language = history.session("t", "auto")
    history.say(any_language, ("j1", history_node(history, "ja"), "en"))
    assert clean(history.finish())


def test_every_module_of_the_features_needs_its_model():
    history = History()
    bare, full = history.node("bare"), history.node("full", extras=EXTRAS)
    for number, flag in enumerate(
        ("voice_style_detection", "speech_rate_control", "emotion_detection", "speaker_identification")
    ):
        session = history.session(f"s{number}", features=Features(**{flag: True}))
        history.say(session, (f"j{number}", full, "en"))
        history.answer(full, f"j{number}", history.sent(f"j{number}", session))
    plain = history.session("plain")
    history.say(plain, ("k0", bare, "en"))
    history.say(plain, ("k1", full, "en"), features=Features(emotion_detection=True))
    assert clean(history.finish())


def test_a_model_that_is_not_ready_or_not_enabled_does_not_count():
    history = History()
    loading = history.node("loading", states={"nmt-zh-en": "downloading"}, ready=False)
    history.beat(loading)
    history.beat(loading, "ready", states={})
    ready = history.node("ready")
    session = history.session("s")
    history.say(session, ("j0", loading, "en"))
    history.beat(loading, states={"nmt-zh-en": "error"})
    history.say(session, ("j1", ready, "en"))
    history.say(session, ("j2", ready, "en"))
    assert clean(history.finish())


@pytest.mark.parametrize(
    ("reason", "node"),
    [
        ("OFFLINE", None),
        ("STATUS_NOT_READY", {"ready": False}),
        ("NOT_IN_PUBLIC_POOL", {"public": False}),
        ("MODEL_NOT_AVAILABLE", {"pairs": ("zh>ja",)}),
        ("CAPACITY_EXCEEDED", {"slots": 0}),
        ("RESOURCE_THRESHOLD_EXCEEDED", {"usage": ResourceUsage(90.0, 1.0, 0, 1.0)}),
    ],
)
def test_a_refusal_says_how_far_the_nodes_came(reason, node):
    history = History(resource_threshold=0.85)
    if node is not None:
        history.node("n1", **node)
    session = history.session("s")
    history.say(session, history.refused(session, "j0", reason))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.refusals == {reason: 1}
    assert (verdict.created, verdict.ends["rejected"]) == (1, 1)


def test_a_refusal_with_another_reason_is_found():
    history = History()
    history.node("n1", slots=0)
    session = history.session("s")
    history.say(session, history.refused(session, "j0", "MODEL_NOT_AVAILABLE"))
    assert found(history.finish()) == [("reply", "reply", "en", ("s",))]


def test_a_refusal_in_silence_is_found():
    history = History()
    session = history.session("s")
    history.say(session)
    assert found(history.finish()) == [("I6", "accounts", "en", ())]


def test_a_refusal_told_to_the_room_is_found():
    history = History()
    zh, en = history.room("zh", "en")
    told = history.refused(zh, "j0", "OFFLINE")
    history.say(zh, ((zh, en), told[1]))
    assert found(history.finish()) == [("reply", "reply", "en", ("r/m0", "r/m1"))]


def test_each_outcome_comes_language_by_language():
    history = History()
    node = history.node("n1", pairs=("zh>de", "zh>ja"))
    zh, *_ = history.room("zh", "ja", "en", "de")
    history.say(zh, ("j0", node, "de"), history.refused(zh, "j1", "MODEL_NOT_AVAILABLE"), ("j2", node, "ja"))
    assert clean(history.finish())


def test_the_threshold_is_kept_to_the_last_digit():
    history = History(resource_threshold=0.29)
    node = history.node("n1", usage=ResourceUsage(29.0, 29.0, 0, 29.0))
    history.say(history.session("s"), ("j0", node, "en"))
    assert clean(history.finish())


# --- which jobs


def test_nobody_elses_language_makes_no_job():
    history = History()
    history.node("n1")
    zh, *_ = history.room("zh", "zh", None)
    history.say(zh)
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.created == 0


def test_a_speaker_alone_in_a_room_is_answered_outside_it_whoever_joins():
    history = History()
    node = history.node("n1")
    (zh,) = history.room("zh")
    history.say(zh, ("j0", node, "en"))
    history.join(history.session("b", "en"), "en")
    history.answer(node, "j0", history.sent("j0", zh))
    assert clean(history.finish())


def test_a_result_from_outside_rooms_that_reaches_somebody_else_is_a_leak():
    history = History()
    node = history.node("n1")
    (zh,) = history.room("zh")
    history.say(zh, ("j0", node, "en"))
    other = history.session("b", "en")
    history.join(other, "en")
    history.answer(node, "j0", history.sent("j0", zh, other))
    assert found(history.finish()) == [("I7", "leaked", "en", ("b",))]


@pytest.mark.parametrize(("skip", "jobs"), [("skip", 0), ("translate", 1)])
def test_the_speakers_own_target_is_the_only_one_where_that_is_the_rule(skip, jobs):
    history = History(fan_out="session_target", same_language=skip)
    node = history.node("n1", pairs=("en>en", "zh>en"))
    en, _ = history.room("en", "ja")
    history.say(en, *((("j0", node, "en"),) * jobs))
    zh = history.session("r/m2", "zh", "en")
    history.join(zh, "en")
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", en, zh))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.created == 1 + jobs


def test_a_language_is_translated_into_itself_where_that_is_the_rule():
    history = History(same_language="translate")
    node = history.node("n1", pairs=("zh>zh", "zh>en"))
    zh, *_ = history.room("zh", "zh", "en")
    history.say(zh, ("j0", node, "en"), ("j1", node, "zh"))
    assert clean(history.finish())


def test_auto_takes_nothing_out_of_the_set():
    history = History()
    node = history.node("n1")
    zh, *_ = history.room("zh", "zh", "en")
    history.src[zh] = "auto"
    history.say(zh, ("j0", node, "en"), ("j1", node, "zh"))
    assert clean(history.finish())


def test_tags_compare_whatever_their_case_and_go_out_in_one_spelling():
    history = History()
    node = history.node("n1")
    en, zh = history.room("EN", "ZH-cn")
    history.src[en] = "en"
    history.say(en, ("j0", node, "zh-CN"), src="eN")
    history.answer(node, "j0", history.sent("j0", zh))
    assert clean(history.finish())


def test_another_spelling_than_the_canonical_one_is_found():
    history = History()
    node = history.node("n1")
    en, zh = history.room("en", "zh-CN")
    history.say(en, ("j0", node, "zh-CN"))
    history.answer(node, "j0", history.sent("j0", zh, tgt="zh-cn"))
    assert found(history.finish()) == [("token", "payload", "zh-CN", ())]


def test_with_primary_tags_a_language_is_one_whatever_its_region():
    history = History(language_match="primary")
    node = history.node("n1", pairs=("zh-CN>en", "en>zh"))
    en, zh, zh_tw = history.room("en-GB", "zh-CN", "zh-TW")
    history.src[en] = "en"
    history.say(en, ("j0", node, "zh"), src="en-US")
    history.answer(node, "j0", history.sent("j0", zh, zh_tw))
    assert clean(history.finish())


def test_a_node_that_is_given_another_utterances_audio_is_found():
    history = History()
    node = history.node("n1")
    session = history.session("s")
    history.jobs["j0"] = (session, 0, "en", "x")
    history.say(session, history.assign("j0", node, audio="<another>"))
    assert found(history.finish()) == [("token", "payload", "en", ())]


# --- preferences


def test_the_paired_node_is_taken_while_it_fits():
    history = History(pairing={"1234": "b"})
    a, b = history.node("a"), history.node("b")
    session = history.session("s", pairing_code="1234")
    for number, node in enumerate((b, b, a)):
        history.say(session, (f"j{number}", node, "en"))
    assert clean(history.finish())


@pytest.mark.parametrize("sticky", ["session", "room"])
def test_the_last_node_is_taken_again_while_it_fits(sticky):
    history = History(sticky=sticky)
    a, b, _ = (history.node(name) for name in "abc")
    zh, *_ = history.room("zh", "en")
    for number, node in enumerate((a, a, b, b)):
        history.say(zh, (f"j{number}", node, "en"))
    assert clean(history.finish())


def test_a_room_shares_its_last_node_and_a_session_does_not():
    for sticky, second in (("room", "a"), ("session", "b")):
        history = History(sticky=sticky)
        nodes = {name: history.node(name) for name in "ab"}
        zh, en = history.room("zh", "en")
        history.say(zh, ("j0", nodes["a"], "en"))
        history.say(en, ("j1", nodes[second], "zh"))
        assert clean(history.finish())


def test_a_preference_that_is_forgotten_is_found():
    history = History(sticky="session")
    a, b = history.node("a"), history.node("b")
    session = history.session("s")
    history.say(session, ("j0", a, "en"))
    history.say(session, ("j1", b, "en"))
    assert what(history) == "I5 b got it; a is preferred and fits"


# --- waiting


def test_waiting_jobs_are_placed_oldest_first_among_those_that_fit():
    history = History(on_no_node="queue")
    en_node = history.node("a", slots=1, pairs=("zh>en",))
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", en_node, "en"))
    history.say(zh)
    history.jobs["w1"] = (zh, 1, "en", waiting_audio(history, 1, "en"))
    history.answer(en_node, "j0", history.sent("j0", en), history.assign("w1", en_node))
    history.answer(en_node, "w1", history.sent("w1", en))
    history.at(20)
    ja_node = history.open("b", "node")
    history.register(ja_node, slots=1, pairs=("zh>ja",))
    for index in (0, 1):
        history.jobs[f"v{index}"] = (zh, index, "ja", waiting_audio(history, index, "ja"))
    history.beat(ja_node, "ready", outputs=(history.assign("v0", ja_node),))
    history.answer(ja_node, "v0", history.sent("v0", ja), history.assign("v1", ja_node))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.created == 4


def waiting_audio(history: History, index: int, tgt: str) -> str:
    """The audio of a job that the scheduler has not named yet."""
    return next(
        job.audio for job in history.oracle._mirror.waiting.values() if (job.index, job.lane.tgt) == (index, tgt)
    )


def test_a_waiting_job_that_is_passed_over_for_a_younger_one_is_found():
    history = History(on_no_node="queue")
    node = history.node("a", slots=1)
    s, t = history.session("s"), history.session("t")
    history.say(s, ("j0", node, "en"))
    history.say(s)
    history.say(t)
    history.jobs["w"] = (t, 0, "en", list(history.oracle._mirror.waiting.values())[1].audio)
    history.answer(node, "j0", history.sent("j0", s), history.assign("w", node))
    kinds = [entry[:2] for entry in found(history.finish())]
    assert kinds[0] == ("I5", "wrong_node")


def test_a_job_that_waits_too_long_is_given_up_and_one_too_many_is_refused():
    history = History(on_no_node="queue", waiting_count_max=1, waiting_time_max=10 * SECOND)
    session = history.session("s")
    history.say(session)
    history.say(session, history.refused(session, "j1", "OFFLINE"))
    given_up = UiEvent("", history.session_of[session], "j0", 0, "ERROR", "error", None, NO_NODE)
    history.wake(10, ((session,), given_up))
    verdict = history.finish()
    assert clean(verdict)
    assert (verdict.ends["expired"], verdict.ends["rejected"]) == (1, 1)


def test_a_waiting_job_whose_room_has_nobody_ends_without_a_node():
    history = History(on_no_node="queue")
    node = history.node("a", slots=1)
    zh, en, _ = history.room("zh", "en", "fr")
    alone = history.session("alone")
    history.say(alone, ("j0", node, "en"))
    history.say(zh)
    history.leave(en)
    history.jobs["w"] = (zh, 0, "fr", waiting_audio(history, 0, "fr"))
    history.answer(node, "j0", history.sent("j0", alone), history.assign("w", node))
    verdict = history.finish()
    assert clean(verdict)
    assert verdict.ends["no_recipient"] == 1


def test_a_job_that_is_refused_though_it_should_wait_is_found():
    history = History(on_no_node="queue")
    session = history.session("s")
    history.say(session, history.refused(session, "j0", "OFFLINE"))
    assert found(history.finish()) == [("I6", "accounts", "en", ())]


def test_a_job_that_waits_though_a_node_fits_is_found():
    history = History(on_no_node="queue")
    history.node("a")
    session = history.session("s")
    history.say(session)
    assert next(entry[:2] for entry in found(history.finish())) == ("I5", "wrong_node")


def test_every_step_is_told_where_that_is_the_rule():
    for told in (True, False):
        history = History(ui_events="all")
        node = history.node("a")
        session = history.session("s")
        event = UiEvent("", history.session_of[session], "j0", 0, "DISPATCHED", "ok")
        history.say(session, ("j0", node, "en"), *((((session,), event),) if told else ()))
        assert found(history.finish()) == ([] if told else [("reply", "reply", "en", ("s",))])
