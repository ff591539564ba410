from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from simroom.scenario.emit import dump
from simroom.scenario.faults import EVENT_KINDS, SCRIPT_ONLY_KINDS, SHARE_KINDS, WORLD_KINDS, DropConnection, LeaveRoom
from simroom.scenario.jsonschema import json_schema
from simroom.scenario.languages import needed_pairs
from simroom.scenario.load import loads
from simroom.scenario.problems import ScenarioError
from simroom.scenario.schema import Scenario
from simroom.scenario.script import (
    ERROR_CODES,
    SCRIPT_KINDS,
    Join,
    ScriptLine,
    Speak,
    StopNode,
    late_joiners,
    late_starters,
)
from simroom.scenario.speech import Silent, TurnTaking
from simroom.scenario.targets import Targets
from simroom.scenario.yaml12 import read
from simroom.scheduler.messages import ErrorCode

BROKEN = Path(__file__).parent / "broken"
SECOND = 1_000_000

HEAD = """\
simroom: 1
name: As it happened
duration: 1min
rooms:
  - name: standup
    members:
      - {name: a, speaks: zh}
      - {name: b, speaks: en, events: [{at: 1s, change: {preferred_lang: ja}}]}
      - {name: c, count: 2, speaks: zh-TW}
sessions:
  - {name: solo, src_lang: zh, tgt_lang: en}
nodes:
  - {name: desktop, count: 2, service: 1s}
"""
STORY = """\
script:
  - {at: 3s, speak: {member: standup/a, length: 1s, service: 3s}}
  - {at: 1s, join: standup/a}
  - {at: 4s, speak: {member: standup/b, service: {ja: 3s, EN: 0}, fails: {ja: NODE_OVERLOADED}}}
  - {at: 4s, speak: solo}
  - {at: 5s, speak: {member: standup/c-2, fails: INTERNAL_ERROR}}
  - {at: 6s, crash: {nodes: desktop-1, for: 2s}}
  - {at: 7s, leave: {member: standup/a, for: 2s}}
  - {at: 7s, leave: standup/b}
  - {at: 8s, come_back: {member: standup/b}}
  - {at: 9s, drop: {member: standup/b, noticed: 1s}}
  - {at: 10s, connect: standup/b}
  - {at: 11s, change: {member: standup/b, preferred_lang: fr}}
  - {at: 12s, close: {member: solo}}
  - {at: 1s, start: desktop-2}
  - {at: 13s, drain: desktop-2}
  - {at: 14s, stop: {node: desktop-1}}
  - {at: 15s, restart_scheduler: }
  - {at: 16s, burst: {sessions: standup, utterances: 2}}
"""


def loaded(script: str) -> Scenario:
    return loads(HEAD + script, "f", BROKEN)


def lines(text: str) -> tuple[ScriptLine, ...]:
    return loaded(f"script: [{text}]\n").script


@pytest.fixture(scope="module")
def story() -> Scenario:
    return loaded(STORY)


def test_a_line_can_say_every_event_and_what_only_a_script_can() -> None:
    assert set(SCRIPT_KINDS) == {*EVENT_KINDS, *SCRIPT_ONLY_KINDS}
    assert {*SCRIPT_ONLY_KINDS} & {*EVENT_KINDS, *SHARE_KINDS, *WORLD_KINDS} == set()


def test_the_lines_stay_in_the_order_of_the_file_with_their_instants(story: Scenario) -> None:
    assert [(line.at // SECOND, line.kind) for line in story.script[:5]] == [
        (3, "speak"),
        (1, "join"),
        (4, "speak"),
        (4, "speak"),
        (5, "speak"),
    ]
    assert story.script[1].action == Join(member="standup/a")
    assert story.script[15].action == StopNode(node="desktop-1")


def test_speech_can_take_long_or_fail_in_one_language_only(story: Scenario) -> None:
    first, _, second, third, fourth = (line.action for line in story.script[:5])
    assert isinstance(first, Speak)
    assert isinstance(second, Speak)
    assert isinstance(third, Speak)
    assert isinstance(fourth, Speak)
    assert (first.length, first.service_in("en"), first.failure_in("en")) == (SECOND, 3 * SECOND, None)
    assert [second.service_in(tag) for tag in ("ja", "JA", "en", "zh")] == [3 * SECOND, 3 * SECOND, 0, None]
    assert [second.failure_in(tag) for tag in ("ja", "en")] == ["NODE_OVERLOADED", None]
    assert (third.member, third.length, third.service_in("en")) == ("solo", SECOND, None)
    assert fourth.failure_in("zh") == "INTERNAL_ERROR"


def test_what_happens_to_one_member_is_what_happens_to_sessions(story: Scenario) -> None:
    leave, short, drop = (story.script[position].action for position in (6, 7, 9))
    assert isinstance(leave, LeaveRoom)
    assert isinstance(drop, DropConnection)
    assert (leave.targets, drop.targets) == (Targets.of("standup/a"), Targets.of("standup/b"))
    assert (short, drop.duration) == (LeaveRoom(sessions="standup/b"), None)
    assert lines("{at: 1s, leave: {sessions: standup/a}}") == lines("{at: 1s, leave: {member: standup/a}}")


def test_an_error_code_is_one_of_the_protocols() -> None:
    assert set(ERROR_CODES) == {value for name, value in vars(ErrorCode).items() if name.isupper()}


# --- what follows for the rest -----------------------------------------------------------------------------------


def test_with_a_script_nobody_speaks_by_themselves_unless_it_is_said(story: Scenario) -> None:
    assert isinstance(story.rooms[0].speech, Silent)
    assert isinstance(story.sessions[0].speech, Silent)
    text = HEAD.replace("    members:", "    speech: turn_taking\n    members:") + STORY
    assert isinstance(loads(text, "f", BROKEN).rooms[0].speech, TurnTaking)


def test_without_a_script_a_room_talks_and_a_session_must_say_when() -> None:
    text = HEAD.replace("tgt_lang: en}", "tgt_lang: en, speech: none}")
    assert isinstance(loads(text, "f", BROKEN).rooms[0].speech, TurnTaking)
    for script in ("", "script: []\n"):
        with pytest.raises(ScenarioError, match="expected the key `speech`"):
            loaded(script)


def test_a_scripts_own_mistakes_do_not_make_sessions_say_when_they_speak() -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded("script: [{at: 1s, join: standup/x}, {at: 1, join: standup/a}]\n")
    assert [problem.path for problem in caught.value.problems] == ["script.0.join", "script.1.at"]


def test_who_joins_by_the_script_does_not_join_before() -> None:
    script = lines("{at: 1s, join: standup/a}, {at: 2s, come_back: standup/b}, {at: 3s, connect: solo}")
    assert late_joiners(script) == {"standup/a"}
    assert late_joiners(()) == frozenset()


def test_a_node_of_which_the_script_first_says_that_it_starts_is_not_there_before() -> None:
    script = lines("{at: 9s, start: desktop-1}, {at: 5s, stop: desktop-1}, {at: 1s, start: desktop-2}")
    assert late_starters(script) == {"desktop-2"}
    assert late_starters(lines("{at: 5s, start: desktop-1}, {at: 5s, stop: desktop-1}")) == {"desktop-1"}
    assert late_starters(lines("{at: 5s, drain: desktop-1}, {at: 6s, start: desktop-1}")) == frozenset()


def test_the_languages_that_a_script_chooses_can_be_translated_into(story: Scenario) -> None:
    assert {("zh", "fr"), ("en", "fr"), ("zh-TW", "ja")} <= set(needed_pairs(story))


def test_speech_that_ends_with_the_duration_is_in_time() -> None:
    assert lines("{at: 59s, speak: solo}")[0].at == 59 * SECOND
    with pytest.raises(ScenarioError, match="speech that ends by `duration`"):
        lines("{at: 59000001us, speak: solo}")


def test_who_connects_first_may_speak_before_the_join() -> None:
    assert lines("{at: 1s, connect: standup/a}, {at: 2s, speak: standup/a}, {at: 3s, join: standup/a}")
    with pytest.raises(ScenarioError, match="before 'standup/a' has joined"):
        lines("{at: 1s, speak: standup/a}, {at: 3s, join: standup/a}, {at: 9s, join: standup/a}")
    assert lines("{at: 3s, speak: standup/a}, {at: 3s, join: standup/a}")


@pytest.mark.parametrize("tag", ["ja", "en", "ZH-tw", "zh"])
def test_service_may_be_told_for_every_language_that_somebody_wants_at_some_time(tag: str) -> None:
    assert lines(f"{{at: 1s, speak: {{member: solo, service: {{{tag}: 1s}}}}}}")


def test_with_primary_tags_service_may_be_told_for_those() -> None:
    text = "scheduler: {language_match: primary}\nscript: [{at: 1s, speak: {member: solo, service: {zh: 1s}}}]\n"
    head = HEAD.replace("speaks: zh}", "speaks: zh-CN}")
    assert loads(head + text, "f", BROKEN).script
    with pytest.raises(ScenarioError, match="a language that is translated into here"):
        loads(head + text.replace("primary", "exact"), "f", BROKEN)


@pytest.mark.parametrize("kind", [*SHARE_KINDS, *WORLD_KINDS])
def test_what_has_no_instant_is_sent_to_the_faults(kind: str) -> None:
    with pytest.raises(ScenarioError, match=f"expected `{kind}` under `faults`"):
        lines(f"{{at: 1s, {kind}: {{}}}}")


# --- the whole ---------------------------------------------------------------------------------------------------


def test_the_effective_form_loads_to_the_same_scenario_with_the_same_digest(story: Scenario) -> None:
    again = loads(story.effective(), "f", BROKEN)
    assert again == story
    assert again.effective() == story.effective()
    assert again.digest == story.digest


def test_long_and_short_forms_and_the_effective_form_are_valid_in_an_editor(story: Scenario) -> None:
    validator = Draft202012Validator(json_schema())
    for text in (HEAD + STORY, story.effective()):
        assert [error.message for error in validator.iter_errors(read(text, "f").data)] == []


@pytest.mark.parametrize(
    "line",
    [
        "{at: 1s, join: [standup/a]}",
        "{at: 1s, join: {sessions: standup/a}}",
        "{at: 1s, speak: {member: solo, length: 1}}",
        "{at: 1s, speak: {member: solo, service: {}}}",
        "{at: 1s, speak: {member: solo, service: {english: 1s}}}",
        "{at: 1s, speak: {member: solo, fails: NO_SUCH}}",
        "{at: 1s, leave: {for: 2s}}",
        "{at: 1s, change: {member: standup/a}}",
        "{at: 1s, lose_heartbeats: {nodes: all, share: 1%}}",
        "{join: standup/a}",
        "{at: {uniform: {from: 1s, to: 2s}}, join: standup/a}",
    ],
)
def test_a_wrong_line_is_seen_in_an_editor_and_refused(line: str) -> None:
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(read(f"{HEAD}script: [{line}]\n", "f").data))
    with pytest.raises(ScenarioError):
        lines(line)


def test_an_override_reaches_into_a_line() -> None:
    overrides = ["script.0.at=2s", "script.0.speak.length=500ms", "script.4.speak.fails={zh: JOB_TIMEOUT}"]
    scenario = loads(HEAD + STORY, "f", BROKEN, overrides=overrides)
    action = scenario.script[0].action
    assert isinstance(action, Speak)
    assert (scenario.script[0].at, action.length) == (2 * SECOND, SECOND // 2)
    with pytest.raises(ScenarioError, match=r"--set script\.0\.speak\.lenght=1s: script.0.speak.lenght: found"):
        loads(HEAD + STORY, "f", BROKEN, overrides=["script.0.speak.lenght=1s"])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["all", "1s", "zh", "solo", "standup", "standup/a", "INTERNAL_ERROR", "", "desktop-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["member", "sessions", "node", "at", "for", "ja", "length", "speak", "join"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
PATHS = ["script", *(
    f"script.{path}" for path in (
        "0", "0.at", "0.speak", "0.speak.service", "2.speak.service", "2.speak.fails", "3.speak", "1.join", "5.crash",
        "6.leave", "6.leave.member", "9.drop.member", "9.drop", "11.change", "13.start", "15.stop.node", "17.burst",
    )
)]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere_gives_a_scenario_or_scenario_errors(path: str, value: object) -> None:
    text = dump([value]).removeprefix("- ")
    try:
        scenario = loads(HEAD + STORY, "f", BROKEN, overrides=[f"{path}={text}"])
    except ScenarioError as error:
        str(error).encode()
    else:
        assert loads(scenario.effective(), "f", BROKEN) == scenario
