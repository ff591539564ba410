"""Every bug of the bank that shows at the scheduler's port: the smallest history of it, and what the oracle says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from test_oracle_history import (
    EXTRAS,
    IDLE,
    SECOND,
    Found,
    History,
    clean,
    expired,
    found,
    to,
    undone,
)

from simroom.scheduler.messages import (
    Features,
    Member,
    ResourceUsage,
    RoomCreate,
    RoomCreateAck,
    RoomMembers,
)

Bug = Callable[[History], None]
BANK: list[tuple[str, dict[str, object], Bug, list[Found]]] = []


def bug(number: str, *expected: Found, **settings: object) -> Callable[[Bug], Bug]:
    """Enter a history into the bank, with what must be found in it."""

    def enter(history: Bug) -> Bug:
        BANK.append((f"{number} {history.__name__}", settings, history, list(expected)))
        return history

    return enter


@bug("1", ("I1", "missing", "en", ("r/m0",)))
def the_speaker_is_left_out(history: History) -> None:
    node = history.node("n1")
    speaker, other = history.room("en", "en")
    history.src[speaker] = "zh"
    history.say(speaker, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", other))


@bug("2", ("I1", "extra", "en", ("r/m2",)))
def everybody_gets_everything(history: History) -> None:
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", en, ja))


@bug("3", ("I1", "missing", "ja", ("r/m1",)), ("I1", "extra", "en", ()))
def the_speakers_language_is_used(history: History) -> None:
    node = history.node("n1")
    zh, _ = history.room("zh", "ja")
    history.say(zh, ("j0", node, "en"))


@bug("4", ("I1", "missing", "ja", ("r/m2",)))
def the_second_language_is_lost(history: History) -> None:
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", en))
    history.answer(node, "j1")


@bug("5", ("I1", "missing", "en", ("r/late",)), membership="snapshot")
def released_results_go_to_the_releasers_recipients(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    late = history.session("r/late", "en")
    history.join(late, "en")
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.answer(node, "j0", history.sent("j0", en), history.sent("j1", en))


@bug("6", ("I1", "extra", "en", ()), ("I1", "extra", "en", ("r/m1",)))
def no_language_is_read_as_english(history: History) -> None:
    node = history.node("n1")
    zh, none, _ = history.room("zh", None, "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", none))


@bug("7", ("I1", "extra", "zh", ("r/m2",)))
def tags_are_compared_by_prefix(history: History) -> None:
    node = history.node("n1")
    en, zh, zh_cn = history.room("en", "zh", "zh-CN")
    history.say(en, ("j0", node, "zh"), ("j1", node, "zh-CN"))
    history.answer(node, "j0", history.sent("j0", zh, zh_cn))


@bug("8", ("I1", "extra", "en", ("r/m1",)))
def recipients_are_frozen_when_the_job_is_made(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.prefer(en, "ja")
    history.answer(node, "j0", history.sent("j0", en))


@bug("9", ("I1", "missing", "en", ("r/m1",)))
def the_room_is_looked_up_through_the_speaker(history: History) -> None:
    node = history.node("n1")
    zh, _, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.leave(zh)
    history.answer(node, "j0")


@bug("10", ("I7", "leaked", "en", ("q/m0",)))
def the_room_is_remembered_by_its_code(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.leave(zh)
    history.leave(en)
    (stranger,) = history.room("en", name="q")
    history.answer(node, "j0", history.sent("j0", stranger))


@bug("11", ("reply", "reply", None, ()), ("I7", "leaked", "en", ("r/m1",)))
def a_code_that_came_back_keeps_old_members(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.leave(zh)
    history.leave(en)
    new, listener = history.session("q/m0"), history.session("q/m1")
    shown = tuple(
        Member(history.session_of[who], history.session_of[who], "", None, lang)
        for who, lang in ((en, "en"), (new, "zh"))
    )
    ack = to(new, RoomCreateAck("111111", "id-2"))
    history.send(new, RoomCreate(0, None, "zh"), ack, to(new, RoomMembers("111111", shown)))
    history.rooms["111111"] = [new]
    history.langs[new] = "zh"
    history.join(listener, "en")
    history.say(new, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en, listener))


@bug("12", ("reply", "reply", None, ("r/m0", "r/m2")), ("I7", "leaked", "en", ("r/m1",)))
def leaving_is_ignored(history: History) -> None:
    node = history.node("n1")
    zh, leaver, stays = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    history.leave(leaver, told=False)
    history.answer(node, "j0", history.sent("j0", leaver, stays))


@bug("13", ("I1", "missing", "en", ("r/m2",)))
def only_the_first_match_gets_it(history: History) -> None:
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))


@bug("14", ("I2", "duplicate", "en", ("r/m1",)))
def it_is_sent_twice_to_a_single_recipient(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en), history.sent("j0", en))


@bug("15", ("I2", "duplicate", "en", ("r/m1",)))
def the_second_attempts_result_is_delivered_too(history: History) -> None:
    n1, n2 = history.node("n1"), history.node("n2")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.answer(n1, "j0", history.sent("j0", en), attempt=1)
    history.answer(n2, "j0", history.sent("j0", en), attempt=2)


@bug("16", ("I3", "out_of_order", "en", ()))
def there_is_no_order(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", en))
    history.answer(node, "j0", history.sent("j0", en))


@bug("17", ("I1", "missing", "en", ("r/m1",)))
def a_failed_job_blocks_those_behind_it(history: History) -> None:
    node = history.node("n1")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1")
    history.answer(node, "j0", history.event("j0", "UNSUPPORTED_FEATURE"), error="UNSUPPORTED_FEATURE")


@bug("18", ("I3", "out_of_order", "en", ()))
def a_late_result_is_delivered_after_its_turn_was_given_up(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.at(1)
    history.answer(node, "j1")
    history.wake(6, history.sent("j1", en))
    history.at(7)
    history.answer(node, "j0", history.sent("j0", en))


@bug("19", ("I4", "wrong_node", "en", ()))
def a_stale_answer_frees_the_new_nodes_slot(history: History) -> None:
    n1, n2 = history.node("n1", slots=1), history.node("n2", slots=1)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.answer(n1, "j0", error="INTERNAL_ERROR", attempt=1)
    history.say(zh, ("j1", n2, "en"))


@bug("20a", ("I5", "wrong_node", "en", ()))
def a_slot_is_leaked_on_failure(history: History) -> None:
    node = history.node("n1", slots=1)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.event("j0", "UNSUPPORTED_FEATURE"), error="UNSUPPORTED_FEATURE")
    history.say(zh, history.refused(zh, "j1", "CAPACITY_EXCEEDED"))


@bug("20b", ("I5", "wrong_node", "en", ()), max_attempts=1)
def a_slot_is_leaked_on_a_time_out(history: History) -> None:
    node = history.node("n1", slots=1)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.wake(30, history.event("j0", "JOB_TIMEOUT"))
    history.wake(90)
    history.say(zh, history.refused(zh, "j1", "CAPACITY_EXCEEDED"))


@bug("20c", ("I5", "wrong_node", "en", ()), room_expiry=60 * SECOND, job_timeout=1_000 * SECOND)
def a_slot_is_leaked_on_expiry(history: History) -> None:
    node = history.node("n1", slots=1)
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.wake(60, expired("111111", zh, en))
    history.answer(node, "j0")
    history.say(zh, history.refused(zh, "j1", "CAPACITY_EXCEEDED"))


@bug("21a", ("I5", "wrong_node", "en", ()))
def a_job_is_not_tried_again(history: History) -> None:
    n1, _ = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.event("j0", "NODE_OVERLOADED"), error="NODE_OVERLOADED")


@bug("21b", ("I6", "accounts", "en", ()))
def a_lost_nodes_jobs_vanish(history: History) -> None:
    n1, _ = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.close(n1)


@bug("21c", ("I6", "accounts", "en", ()), ("I6", "accounts", "en", ()))
def a_job_is_tried_again_for_ever(history: History) -> None:
    n1, n2 = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.wake(30, history.assign("j0", n2))
    history.wake(60, history.assign("j0", n1))


@bug("21d", ("I4", "wrong_node", "en", ()))
def a_job_is_tried_again_on_the_same_dead_node(history: History) -> None:
    n1, _ = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.close(n1, history.assign("j0", n1))


@bug("21e", ("I5", "wrong_node", "en", ()))
def a_job_is_tried_again_on_the_node_that_failed_it(history: History) -> None:
    n1, _ = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.answer(n1, "j0", history.assign("j0", n1), error="NODE_OVERLOADED")


@bug("22", ("I4", "wrong_node", "en", ()), heartbeat_timeout=45 * SECOND)
def a_heartbeat_over_an_old_connection_revives_a_node(history: History) -> None:
    node = history.node("n1")
    zh, _ = history.room("zh", "en")
    history.wake(60, history.status(node, "offline"))
    history.beat(node)
    history.say(zh, ("j0", node, "en"))


@bug("23", ("I4", "wrong_node", "en", ()))
def a_node_that_is_not_ready_gets_a_job(history: History) -> None:
    node = history.node("n1", ready=False)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))


@bug("24", ("I4", "wrong_node", "en", ()))
def a_node_gets_more_jobs_than_it_has_slots(history: History) -> None:
    n1, _ = history.node("n1", slots=1), history.node("n2", slots=1)
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.say(zh, ("j1", n1, "en"))


@bug("25", ("I5", "wrong_node", "en", ()))
def load_is_not_counted_between_heartbeats(history: History) -> None:
    n1, _ = history.node("n1"), history.node("n2")
    zh, _ = history.room("zh", "en")
    history.say(zh, ("j0", n1, "en"))
    history.say(zh, ("j1", n1, "en"))


@bug("26", ("reply", "reply", None, ("r/m0", "r/m2")), ("I1", "extra", "en", ()))
def a_lost_connection_leaves_a_ghost(history: History) -> None:
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "ja")
    history.close(en)
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))


@bug("27", ("I2", "duplicate", "en", ("r/m1",)), reconnect_grace=10 * SECOND)
def coming_back_replays_results(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", en))
    history.close(en)
    history.resume(en, history.sent("j0"))


@bug("28", ("I1", "missing", "en", ("r/m1",)), ("I7", "leaked", "en", ("r/m1",)), reconnect_grace=10 * SECOND)
def results_go_to_the_old_connection(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.resume(en)
    history.answer(node, "j0", history.sent("j0", en))


@bug(
    "29",
    ("I6", "accounts", None, ()),
    ("I6", "accounts", None, ()),
    room_expiry=60 * SECOND,
    job_timeout=1_000 * SECOND,
)
def expiry_forgets_jobs(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.wake(60, expired("111111", zh, en))
    history.answer(node, "j0")
    history.books = {"created": 1, "living": 1, "no_recipient": 0}


@bug("30", ("I7", "leaked", "en", ("r/m1",)), room_expiry=60 * SECOND, job_timeout=1_000 * SECOND)
def expiry_keeps_delivering(history: History) -> None:
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.wake(60, expired("111111", zh, en))
    history.answer(node, "j0", history.sent("j0", en))


@bug("31a", ("I1", "missing", "ja", ("r/m2",)))
def the_duplicate_key_lacks_the_language(history: History) -> None:
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", en))
    history.answer(node, "j1")


@bug("31b", ("I1", "missing", "en", ("r/m1",)))
def the_duplicate_key_lacks_the_speaker_or_room(history: History) -> None:
    node = history.node("n1", slots=4)
    zh, _ = history.room("zh", "en")
    other, listener = history.room("zh", "en", code="222222", name="q")
    history.say(other, ("j0", node, "en"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j0", history.sent("j0", listener))
    history.answer(node, "j1")


@bug("32a", ("token", "payload", "en", ()))
def the_scheduler_mixes_payloads(history: History) -> None:
    node = history.node("n1")
    zh, en, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    history.answer(node, "j0", history.sent("j0", en, payload=history.result("j1").tts_audio))


@bug("32b")
def a_node_shifts_the_payloads_of_a_batch(history: History) -> None:
    node = history.node("n1")
    zh, en, ja = history.room("zh", "en", "ja")
    history.say(zh, ("j0", node, "en"), ("j1", node, "ja"))
    shifted = history.result("j1").tts_audio, history.result("j0").tts_audio
    history.answer(node, "j0", history.sent("j0", en, payload=shifted[0]), payload=shifted[0])
    history.answer(node, "j1", history.sent("j1", ja, payload=shifted[1]), payload=shifted[1])


@bug("33", ("I1", "out_of_order", "en", ("r/m2", "r/m1")))
def a_set_decides_the_order_of_sending(history: History) -> None:
    node = history.node("n1")
    zh, first, second = history.room("zh", "en", "en")
    history.say(zh, ("j0", node, "en"))
    history.answer(node, "j0", history.sent("j0", second, first))


@bug("33b", ("I3", "out_of_order", "en", ()))
def a_set_decides_the_order_of_languages(history: History) -> None:
    node = history.node("n1")
    zh, _, _ = history.room("zh", "en", "ja")
    history.say(zh, ("j1", node, "ja"), ("j0", node, "en"))


@bug("34", ("I4", "wrong_node", "en", ()))
def modules_are_not_expanded(history: History) -> None:
    bare, _ = history.node("bare", extras=("vc-model-v1",)), history.node("full", extras=EXTRAS)
    speaker = history.session("a", features=Features(voice_style_detection=True))
    history.say(speaker, ("j0", bare, "en"))


@bug("35", ("I4", "wrong_node", "en", ()), sticky="session")
def stickiness_overrides_the_filters(history: History) -> None:
    n1, _ = history.node("n1", slots=1), history.node("n2", slots=1)
    speaker = history.session("a")
    history.say(speaker, ("j0", n1, "en"))
    history.say(speaker, ("j1", n1, "en"))


@bug("36", ("I4", "wrong_node", "en", ()), resource_threshold=0.25)
def the_resource_threshold_is_ignored(history: History) -> None:
    n1, _ = history.node("n1", usage=ResourceUsage(37.5, 40.8, 0, 51.2)), history.node("n2", usage=IDLE)
    speaker = history.session("a")
    history.say(speaker, ("j0", n1, "en"))


@pytest.mark.parametrize(("settings", "bug_in", "expected"), [entry[1:] for entry in BANK], ids=[e[0] for e in BANK])
def test_the_oracle_finds_exactly_what_the_bug_breaks(settings, bug_in, expected):
    history = History(**settings)
    bug_in(history)
    verdict = history.finish(getattr(history, "books", None))
    assert found(verdict) == expected, verdict.violations
    assert sum(verdict.counts.values()) == len(expected) + len(undone(verdict))


UNDONE = {
    "1": ["L2"],
    "4": ["L2"],
    "5": ["L2"],
    "9": ["L2"],
    "13": ["L2"],
    "17": ["L2", "L3"],
    "21b": ["L1"],
    "21c": ["L1"],
    "28": ["L2"],
    "29": ["L1"],
    "31a": ["L2"],
    "31b": ["L2"],
}
"""What the bugs leave undone for ever, in the order in which it is told; the others nothing."""


@pytest.mark.parametrize(("name", "settings", "bug_in"), [entry[:3] for entry in BANK], ids=[e[0] for e in BANK])
def test_the_oracle_says_in_the_end_what_the_bug_leaves_undone(name, settings, bug_in):
    history = History(**settings)
    bug_in(history)
    verdict = history.finish(getattr(history, "books", None))
    assert undone(verdict) == UNDONE.get(name.split()[0], []), verdict.violations
    assert len(verdict.stuck) == len(undone(verdict))


def test_every_bug_that_shows_at_the_port_has_its_history():
    numbers = {"".join(filter(str.isdigit, name.split()[0])) for name, *_ in BANK}
    assert numbers == {str(number) for number in range(1, 37)}


def test_a_resumed_session_without_a_bug_is_clean():
    history = History(reconnect_grace=10 * SECOND)
    node = history.node("n1")
    zh, en = history.room("zh", "en")
    history.say(zh, ("j0", node, "en"))
    history.close(en)
    history.answer(node, "j0")
    back = history.resume(en, history.sent("j0"))
    history.say(zh, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", back))
    assert clean(history.finish())
