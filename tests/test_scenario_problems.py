import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simroom.scenario.emit import dump
from simroom.scenario.load import load, loads
from simroom.scenario.problems import Problem, ScenarioError

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*.yaml"))

GOOD = """\
simroom: 1
name: Small and right
duration: 10min
rooms:
  - name: standup
    members:
      - {speaks: zh}
      - {name: anna, speaks: en}
nodes:
  - {name: desktop, profile: desktop-2026}
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "f.yaml", BROKEN, overrides=overrides)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def test_there_are_many_broken_files() -> None:
    assert len(FILES) >= 100


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_broken_file_gives_its_one_error_at_its_place(file: Path) -> None:
    """The first line of each file says the error in full: ``#! line:column: path: found ..., expected ...``."""
    expected = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#! ")
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert [str(problem) for problem in caught.value.problems] == [f"{file}:{expected}"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_place_is_that_of_a_word_in_the_file(file: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(file)
    problem = caught.value.problems[0]
    line = file.read_text(encoding="utf-8").split("\n")[problem.line - 1]
    assert line[problem.column - 1 :].strip() or "\t" in line


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace("10min", "10")
        .replace("speaks: zh", "speaks: chinese, talkz: 1")
        .replace("desktop-2026", "desktop-2016, count: 0")
        + "  - {name: desktop, profile: shared-t4}\n"
        + "duration: 3min\n"
        + "expect: [violations = 0]\n"
    )
    assert [line.partition(" found ")[0] for line in problems(text)] == [
        "f.yaml:3:11: duration:",
        "f.yaml:7:18: rooms.standup.members.0.speaks:",
        "f.yaml:7:27: rooms.standup.members.0.talkz:",
        "f.yaml:10:30: nodes.desktop.profile:",
        "f.yaml:10:51: nodes.desktop.count:",
        "f.yaml:11:6: nodes.1.name:",
        "f.yaml:12:1: duration:",
        "f.yaml:13:10: expect.0:",
    ]


def test_a_bad_field_does_not_hide_a_missing_file_or_a_wrong_reference() -> None:
    text = GOOD.replace("speaks: zh", "speaks: 5").replace(
        "nodes:",
        "  - {name: ami, speech: {meeting: nowhere.rttm}, speakers: {rest: {speaks: en, tgt_lang: zh}}}\nnodes:",
    )
    found = problems(text)
    assert len(found) == 2
    assert "rooms.standup.members.0.speaks: found 5" in found[0]
    assert "rooms.ami.speech.meeting: found no such file ('nowhere.rttm')" in found[1]


def test_a_name_that_would_steer_the_terminal_is_escaped_in_errors() -> None:
    text = GOOD.replace("anna", '"\\e[2J\\u202e\\nf.yaml:1:1: forged"').replace("speaks: en", "speaks: en, count: 0")
    (message,) = problems(text)
    assert message == "f.yaml:8:70: rooms.standup.members.1.count: found 0, expected at least 1"
    (message,) = problems(GOOD + '"\\e[2J\\n": 1\n')
    assert "\x1b" not in message
    assert "'\\e[2J\\n'" in message


def test_the_name_of_the_file_cannot_steer_the_terminal_either() -> None:
    with pytest.raises(ScenarioError) as caught:
        loads("a: [", "\x1b[2J\n.yaml", BROKEN)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_thousands_of_mistakes_are_cut_short() -> None:
    text = GOOD + "expect:\n" + "  - {}\n" * 5_000
    with pytest.raises(ScenarioError) as caught:
        loads(text, "f.yaml", BROKEN)
    lines = str(caught.value).splitlines()
    assert len(lines) == 101
    assert lines[-1] == "... and at least 900 more problems"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rooms.standup.count=0", "rooms.standup.count: found 0, expected at least 1"),
        (
            "rooms.standap.count=2",
            "rooms.standap.count: found 'standap', expected one of 'standup'; did you mean standup?",
        ),
        ("rooms.7.count=2", "rooms.7.count: found '7', expected one of 'standup'"),
        ("sed=7", "sed: found the unknown key 'sed', expected a key that is known here; did you mean seed?"),
        ("seed", "found 'seed', expected key.path=value, for example rooms.standup.count=30"),
        ("=5", "found '=5', expected key.path=value, for example rooms.standup.count=30"),
        ("a..b=5", "found 'a..b=5', expected key.path=value, for example rooms.standup.count=30"),
        ("name.first=x", "name.first: found 'Small and right' at name, expected a mapping or a list to go down into"),
        ("seed=[1", "found a bracket that is never closed, or a comma missing, expected `,` or `]`"),
        (
            "seed=\0",
            "found the character U+0000, expected printable text"
            ' (in double quotes an escape will do, such as "\\u001b")',
        ),
        (
            "scheduler={ordering: strikt}",
            "scheduler.ordering: found 'strikt', expected one of strict, gap, none; did you mean strict?",
        ),
        (
            "duration=10",
            "duration: found 10, expected a duration with its unit (us, ms, s, min, h), for example 250ms or 30min;"
            " did you mean 10s?",
        ),
    ],
)
def test_an_override_at_fault_is_named(override: str, message: str) -> None:
    assert problems(GOOD, override) == [f"--set {override}: {message}".replace("\0", "\\0")]


def test_an_overrides_problem_knows_its_column_and_comes_after_those_of_the_file() -> None:
    with pytest.raises(ScenarioError) as caught:
        loads(GOOD.replace("10min", "10"), "f.yaml", BROKEN, overrides=["seed=x", "scheduler={late: x}"])
    places = [(problem.file, problem.line, problem.column) for problem in caught.value.problems]
    assert places == [("f.yaml", 3, 11), ("--set seed=x", 1, 6), ("--set scheduler={late: x}", 1, 18)]


def test_an_override_heals_what_it_replaces() -> None:
    assert loads(GOOD.replace("10min", "10"), "f.yaml", BROKEN, overrides=["duration=5min"]).duration == 300_000_000


@pytest.mark.parametrize(
    ("name", "found"),
    [("nothing_here.yaml", "no such file"), (".", "a folder"), ("nul\0", "a file that cannot be read")],
)
def test_a_file_that_cannot_be_read_is_one_problem(name: str, found: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(BROKEN / name)
    (problem,) = caught.value.problems
    assert problem.found == found


def test_a_mistyped_file_name_is_guessed() -> None:
    with pytest.raises(ScenarioError) as caught:
        load(BROKEN / "nobody_talk.yaml")
    assert caught.value.problems[0].hint == str(BROKEN / "nobody_talks.yaml")


def test_latin_1_is_refused_where_it_shows(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(GOOD.replace("Small", "Café").encode("latin-1"))
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert str(caught.value) == f"{file}:2:10: found the byte 0xe9, expected UTF-8 text"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_nothing_but_scenario_errors(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "f.yaml", BROKEN)
    assert caught.value.problems
    str(caught.value).encode()


WORDS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "  ",
    "'",
    '"',
    "&a ",
    "*a",
    "!!x ",
    "none",
    "~",
    "0",
    "-1",
    "1s",
    "50%",
    "zh",
]


@pytest.mark.parametrize("seed", range(8))
def test_a_scenario_with_random_damage_gives_nothing_but_scenario_errors(seed: int) -> None:
    draw = random.Random(seed)
    problems: list[Problem] = []
    text = FULL
    for _ in range(12):
        at = draw.randrange(len(text))
        damaged = text[:at] + draw.choice(WORDS) + text[at + draw.randrange(4) :]
        try:
            loads(damaged, "f.yaml", BROKEN)
        except ScenarioError as error:
            problems += error.problems
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
    "".join(map(str, problems)).encode()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["none", "1s", "zh", "50%", "6/min", "", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "count", "speech", "meeting", "kind", "at", "file", "trace"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PATHS = [
    "seed", "rooms", "sessions", "nodes", "scheduler", "expect", "network", "tags", "rooms.0", "rooms.0.members",
    "rooms.0.members.0.events", "rooms.0.members.0.joins", "rooms.0.members.0.features", "rooms.0.speech",
    "rooms.1.speakers", "rooms.1.speech.meeting", "sessions.0.speech", "sessions.0.speech.arrivals", "nodes.0.gpu",
    "nodes.0.gpu.background", "nodes.0.service", "nodes.0.cold_start", "nodes.0.pairs", "scheduler.pairing",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere_gives_a_scenario_or_scenario_errors(path: str, value: object) -> None:
    text = dump([value]).removeprefix("- ")
    try:
        loads(FULL, "f.yaml", BROKEN, overrides=[f"{path}={text}"])
    except ScenarioError as error:
        str(error).encode()


FULL = """\
simroom: 1
name: Everything at once
duration: 10min
warm_up: 1min
rooms:
  - name: standup
    count: 3
    members:
      - {count: 2, speaks: zh, features: {emotion_detection: true}}
      - {speaks: en, joins: {uniform: {from: 0, to: 2min}}, events: [{at: 5min, change: {preferred_lang: ja}}]}
      - {name: late, speaks: ja, joins: 2min, events: [{every: {exponential: {mean: 4min}}, leave: {for: 20s}}]}
    speech: {turn_taking: {utterance: {lognormal: {median: 1.6s, sigma: 1.4}}, silence: 20%}}
  - name: ami
    speech: {meeting: meeting.rttm, shift: 1s}
    speakers: {ann: {speaks: en}, rest: {speaks: zh}}
sessions:
  - {name: solo, count: 10, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 6/min}}}
  - {name: trace, src_lang: zh, tgt_lang: en, speech: {arrivals: {trace: arrivals.csv}, longest: none}}
nodes:
  - {name: desktop, count: 4, profile: desktop-2026, gpu: {background: {constant: 10%}}}
  - {name: whole, service: {exponential: {mean: 600ms}}, pairs: [zh>en]}
network: {session: {delay: 40ms}, node: {up: 5ms}}
scheduler: {resource_threshold: 85%, pairing: {p: desktop-1}}
expect: [violations == 0]
"""
