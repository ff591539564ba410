from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.scenario.datafile import DataFileError
from simroom.scenario.rttm import Segment, read_rttm, speakers_of
from simroom.scenario.traces import read_arrivals, read_loads

LINE = "SPEAKER m 1 {} {} <NA> <NA> {} <NA> <NA>\n"


def rttm(folder: Path, text: str) -> Path:
    file = folder / "m.rttm"
    file.write_text(text, encoding="utf-8")
    return file


def csv(folder: Path, text: str) -> Path:
    file = folder / "t.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_segments_come_in_the_files_order_in_whole_microseconds(tmp_path: Path) -> None:
    text = LINE.format("3.25", "1.5", "b") + LINE.format("0.1", "0.2", "a") + LINE.format("3.25", "0.0000004", "c")
    segments = read_rttm(rttm(tmp_path, text))
    assert segments == [Segment(3_250_000, 1_500_000, "b"), Segment(100_000, 200_000, "a")]
    assert speakers_of(segments) == ("a", "b")


def test_other_records_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    text = ";; made by hand\n\n  \nSPKR-INFO m 1 <NA> <NA> <NA> unknown a <NA>\nLEXEME m 1 0 1 x lex a 1\n"
    assert read_rttm(rttm(tmp_path, text + LINE.format("1", "2", "a"))) == [Segment(1_000_000, 2_000_000, "a")]


def test_a_segment_of_no_length_says_nothing(tmp_path: Path) -> None:
    assert len(read_rttm(rttm(tmp_path, LINE.format("1", "0.00", "a") + LINE.format("1", "1", "a")))) == 1


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (LINE.format("1", "1", "a") + LINE.format("1", "-1", "a"), 2, "'-1'"),
        (LINE.format("-1", "1", "a"), 1, "'-1'"),
        ("\r\n\r\n" + LINE.format("x", "1", "a"), 3, "'x'"),
        (LINE.format("nan", "1", "a"), 1, "'nan'"),
        (LINE.format("inf", "1", "a"), 1, "'inf'"),
        (LINE.format("1e400", "1", "a"), 1, "'1e400'"),
        (LINE.format("9" * 60, "1", "a"), 1, "'" + "9" * 60 + "'"),
        ("SPEAKER m 1 2\n", 1, "4 fields"),
        ("", 0, "no speech"),
        (";; nothing\n", 0, "no speech"),
        (LINE.format("1", "0", "a"), 0, "no speech"),
    ],
)
def test_a_broken_meeting_names_line_and_value(tmp_path: Path, text: str, line: int, found: str) -> None:
    with pytest.raises(DataFileError) as caught:
        read_rttm(rttm(tmp_path, text))
    assert (caught.value.line, caught.value.found) == (line, found)
    assert str(caught.value).startswith(f"{tmp_path / 'm.rttm'}" + (f":{line}: found" if line else ": found"))


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"SPEAKER \xe9\n")
    for name, found in (("none", "no such file"), (".", "no plain file"), ("latin", "bytes that are no UTF-8")):
        with pytest.raises(DataFileError) as caught:
            read_rttm(tmp_path / name)
        assert caught.value.found == found
    with pytest.raises(DataFileError):
        read_rttm(tmp_path / "a\0b")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as stream:
        stream.truncate(65 << 20)
    with pytest.raises(DataFileError) as caught:
        read_rttm(file)
    assert caught.value.found == "68,157,440 bytes"


def test_stamps_of_seven_digits_keep_their_microseconds(tmp_path: Path) -> None:
    text = (
        "TIMESTAMP,ContextTokens\n2023-11-16 18:17:03.9799600,1\n2023-11-16 18:17:04.0319600,2\n2023-11-17 00:00:00,3\n"
    )
    assert read_arrivals(csv(tmp_path, text)) == [0, 52_000, 20_576_020_040]


def test_milliseconds_keep_ties_and_are_put_in_order(tmp_path: Path) -> None:
    assert read_arrivals(csv(tmp_path, "timestamp_ms,x\n3000,1\n0,1\n0,2\n3000,3\n")) == [0, 0, 3_000_000, 3_000_000]


def test_seconds_count_from_the_first(tmp_path: Path) -> None:
    assert read_arrivals(csv(tmp_path, "id,time\r\n1,10.5\r\n2,11\r\n\r\n")) == [0, 500_000]


def test_the_column_can_be_named(tmp_path: Path) -> None:
    file = csv(tmp_path, "time,end_ms\n1,5\n2,9\n")
    assert read_arrivals(file, "end_ms") == [0, 4_000]
    assert read_arrivals(file) == [0, 1_000_000]


@pytest.mark.parametrize(
    ("text", "column", "line", "found"),
    [
        ("a,b\n1,2\n", None, 1, "the columns 'a', 'b'"),
        ("time\n", None, 0, "no rows"),
        ("", None, 0, "an empty file"),
        ("time\nsoon\n", None, 2, "'soon'"),
        ("time\n1\nnan\n", None, 3, "'nan'"),
        ("a,time\n1,2\n3\n", None, 3, "1 columns"),
        ("time\n2023-02-30 00:00:00\n", None, 2, "'2023-02-30 00:00:00'"),
        ("time\n0\n999999999999\n", None, 0, "times more than eleven years apart"),
        ("time\n1\n", "times", 1, "the columns 'time'"),
    ],
)
def test_a_broken_trace_names_line_and_value(
    tmp_path: Path, text: str, column: str | None, line: int, found: str
) -> None:
    with pytest.raises(DataFileError) as caught:
        read_arrivals(csv(tmp_path, text), column)
    assert (caught.value.line, caught.value.found) == (line, found)


def test_loads_are_steps_in_order_of_time(tmp_path: Path) -> None:
    assert read_loads(csv(tmp_path, "at,load\n10,0.5\n5,0\n")) == [(0, 0.0), (5_000_000, 0.5)]
    assert read_loads(csv(tmp_path, "timestamp_ms,gpu_percent\n0,50\n1000,7.5%\n")) == [(0, 0.5), (1_000_000, 0.075)]
    with pytest.raises(DataFileError, match=r"expected a load of 0\.\.1"):
        read_loads(csv(tmp_path, "at,load\n0,50\n"))


@given(st.text(), st.sampled_from(["", "SPEAKER m 1 0 1 <NA> <NA> a\n", "time\n1\n", "at,load\n1,.5\n"]))
def test_any_text_gives_data_or_a_data_file_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, head: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_text(head + text, encoding="utf-8", errors="replace", newline="")
    messages = []
    for read in (read_rttm, read_arrivals, read_loads):
        try:
            read(file)
        except DataFileError as error:
            messages.append(str(error))
    assert len("".join(messages).splitlines()) <= 1
