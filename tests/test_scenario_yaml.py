import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.scenario.emit import dump
from simroom.scenario.printable import printable
from simroom.scenario.yaml12 import DEEPEST, LARGEST_FILE, decode, read


def data(text: str) -> object:
    document = read(text, "f")
    assert not document.found
    return document.data


def complaints(text: str) -> list[tuple[int, int, str, bool]]:
    document = read(text, "f")
    return [(one.place.line, one.place.column, one.found, document.fatal) for one in document.found]


@pytest.mark.parametrize(
    "word", ["no", "NO", "yes", "on", "off", "y", "n", "Norway", "1_000", "0b11", "12:30", "2024-01-01"]
)
@pytest.mark.parametrize("directive", ["", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n"])
def test_words_that_yaml_1_1_takes_for_something_else_stay_text(word: str, directive: str) -> None:
    assert data(f"{directive}language: {word}\n") == {"language": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("007", "007"),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ('"7"', "7"),
        ("'true'", "true"),
        ('"null"', "null"),
        ('""', ""),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    result = data(f"key: {text}\n")
    assert result == {"key": value}
    assert type(result["key"]) is type(value)  # type: ignore[index]


def test_every_key_and_value_has_its_place() -> None:
    document = read("a: 1\nlist:\n  - {b: x, c: [2, 3]}\n  - y\n", "f")
    assert document.data == {"a": 1, "list": [{"b": "x", "c": [2, 3]}, "y"]}
    keys = {path: (place.line, place.column) for path, place in document.keys.items()}
    values = {path: (place.line, place.column) for path, place in document.values.items()}
    assert keys["a",] == (1, 1)
    assert values["a",] == (1, 4)
    assert keys["list", 0, "c"] == (3, 12)
    assert values["list", 0, "c", 1] == (3, 19)
    assert values["list", 1] == (4, 5)
    assert values[()] == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [(3, 1, "the key 'a' again", False)]),
        ("a: &x 1\nb: *x\n", [(1, 4, "the anchor &x", False), (2, 4, "the alias *x", False)]),
        ("a: !!python/object:os.system x\n", [(1, 4, "the tag '!!python/object:os.system'", False)]),
        ("a: !local x\n", [(1, 4, "the tag '!local'", False)]),
        ("a: {<<: {b: 1}}\n", [(1, 5, "the merge key <<", False)]),
        ("a: 1\n---\nb: 2\n", [(2, 1, "a second document", False)]),
        ("1: a\n", [(1, 1, "the key 1", False)]),
        ("true: a\n", [(1, 1, "the key true", False)]),
        ("~: a\n", [(1, 1, "the key ~", False)]),
        ("? [a]\n: b\n", [(1, 3, "a key that is no text", False)]),
        ("a: .nan\nb: -.inf\n", [(1, 4, ".nan", False), (2, 4, "-.inf", False)]),
        ("a: 1e999\n", [(1, 4, "'1e999'", False)]),
        ("a: " + "9" * 5000 + "\n", [(1, 4, "'" + "9" * 59 + "…'", False)]),
        ('a: "\\ud800"\n', [(1, 4, "half of a surrogate pair", False)]),
        ("", [(1, 1, "an empty file", True)]),
        ("# nothing\n\n", [(1, 1, "an empty file", True)]),
        ("a:\n\tb: 1\n", [(2, 1, "a tab", True)]),
        ("a: [1, 2\n", [(1, 4, "a bracket that is never closed, or a comma missing", True)]),
        ("a: 'x\n\n", [(1, 4, "quotes that are never closed", True)]),
        ("a: 1\nb\nc: 2\n", [(2, 1, "a line without `:`", True)]),
        ("a: @x\n", [(1, 4, "the character @ at the start of a value", True)]),
        ('a: "\\q"\n', [(1, 6, "the unknown escape \\q", True)]),
        ("%YAML 2.0\n---\na: 1\n", [(1, 1, "another version of YAML", True)]),
    ],
)
def test_what_could_surprise_is_refused_at_its_place(text: str, expected: list[tuple[int, int, str, bool]]) -> None:
    assert complaints(text) == expected


def test_a_duplicate_key_says_both_lines_and_the_first_one_stands() -> None:
    document = read("a: 1\n\na: 2\n", "f")
    assert document.data == {"a": 1}
    assert document.found[0].expected == "each key once (it is in line 1 too)"


def test_a_billion_laughs_are_never_laughed() -> None:
    laughs = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    document = read("\n".join(laughs), "f")
    assert len(document.found) == 10 + 9 * 9
    assert document.data["a9"] == [None] * 9


def test_reading_stops_after_very_many_complaints() -> None:
    document = read("a: 1\n" * 100_000, "f")
    assert document.fatal
    assert len(document.found) == 1_000


def test_reading_stops_after_very_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simroom.scenario.yaml12.MOST_VALUES", 100)
    assert not read("[" + "1," * 99 + "]", "f").found
    document = read("[" + "1," * 100 + "]", "f")
    assert document.fatal
    assert document.found[0].found == "more than 100 values"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_stops_at_its_limit_however_deep_it_goes(opening: str) -> None:
    document = read(opening * 5_000, "f")
    assert document.fatal
    assert document.found[0].found == f"more than {DEEPEST} levels"


def test_nesting_up_to_the_limit_is_read() -> None:
    assert not read("[" * DEEPEST + "]" * DEEPEST, "f").found
    assert read("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "f").fatal


@pytest.mark.parametrize(
    ("raw", "line", "column", "found"),
    [
        (b"a: caf\xe9\n", 1, 7, "the byte 0xe9"),
        (b"a: 1\n\xc3\xa9\xff", 2, 2, "the byte 0xff"),
        (b"a: \0\n", 1, 4, "the character U+0000"),
        (b"a: 1\r\nb: \x1b[31m\n", 2, 4, "the character U+001B"),
        ("a: 1\rb: \x85\n".encode(), 2, 4, "the character U+0085"),
        ("a: \u2028\n".encode(), 1, 4, "the character U+2028"),
        ("a: \ufeff\n".encode(), 1, 4, "the character U+FEFF"),
        ("a: 1\n".encode("utf-16"), 1, 1, "UTF-16 text"),
        (b"#" * (LARGEST_FILE + 1), 1, 1, "a file of 1,048,577 bytes"),
    ],
)
def test_bytes_that_are_no_plain_utf_8_text_are_refused(raw: bytes, line: int, column: int, found: str) -> None:
    _, complaint = decode(raw, "f")
    assert [(one.place.line, one.place.column, one.found) for one in complaint] == [(line, column, found)]


def test_a_byte_order_mark_at_the_start_is_passed_over() -> None:
    text, found = decode(b"\xef\xbb\xbfa: 1\n", "f")
    assert (text, found) == ("a: 1\n", [])


def test_every_end_of_line_counts_once() -> None:
    document = read("a: 1\r\nb: 2\rc: 3\nd: 4\n", "f")
    assert [place.line for place in document.keys.values()] == [1, 2, 3, 4]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_is_written_reads_as_the_same_data(value: object) -> None:
    text = dump(value)
    _, complaint = decode(text.encode(), "f")
    assert not complaint
    document = read(text, "f")
    assert not document.found
    assert document.data == value


@given(st.text() | st.from_regex(r"([-?:,\[\]{}#&*!|>'\"%@` \n\ta1]{0,5}){0,20}", fullmatch=True))
def test_any_text_gives_data_or_a_complaint_and_no_exception(text: str) -> None:
    document = read(text, "f")
    assert document.fatal <= bool(document.found)
    json.dumps(document.data)


@given(st.text())
def test_printable_text_is_one_line_that_cannot_steer_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not set(shown) & set("\n\r\t\x1b\x9b\u202e\u2066\u2028\u0085")
    shown.encode()


def test_escapes_and_bidirectional_marks_are_shown_as_what_they_are() -> None:
    assert printable("a\x1b[31m\n\u202eb\x9b\ud800é") == "a\\e[31m\\n\\u202eb\\x9b\\ud800é"


def test_numbers_are_never_infinite() -> None:
    assert all(math.isfinite(value) for value in data("a: 1e308\nb: -1e308\n").values())  # type: ignore[attr-defined]
