import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.scenario.units import (
    HIGHEST_RATE,
    HIGHEST_SPEED,
    LONGEST_DURATION,
    UnfitError,
    format_duration,
    format_rate,
    format_share,
    format_shift,
    format_speed,
    parse_duration,
    parse_rate,
    parse_share,
    parse_shift,
    parse_speed,
)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("250ms", 250_000),
        ("1.5s", 1_500_000),
        ("30min", 1_800_000_000),
        ("1h", 3_600_000_000),
        ("40us", 40),
        ("40µs", 40),
        ("0s", 0),
        ("0", 0),
        (0, 0),
        (0.0, 0),
        ("2 s", 2_000_000),
        ("0.0000015s", 2),
        ("100000h", LONGEST_DURATION),
    ],
)
def test_a_duration_with_its_unit_becomes_whole_microseconds(text: object, microseconds: int) -> None:
    assert parse_duration(text) == microseconds
    assert type(parse_duration(text)) is int


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (5, "5s"),
        (2.5, "2.5s"),
        (-5, None),
        ("5", "5s"),
        ("5m", "5min"),
        ("5 minutes", "5min"),
        ("3Sec", "3s"),
        ("-5s", None),
        ("1e3s", None),
        ("s", None),
        ("", None),
        ("٣s", None),
        ("1" * 400 + "s", None),
        (True, None),
        (None, None),
        ([], None),
        ("0.0000001us", None),
        ("100001h", None),
        (float("nan"), None),
    ],
)
def test_what_is_no_duration_is_refused_with_what_was_meant(value: object, hint: str | None) -> None:
    with pytest.raises(UnfitError) as caught:
        parse_duration(value)
    assert caught.value.hint == hint
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("found ")


def test_a_bare_number_is_told_which_units_there_are() -> None:
    with pytest.raises(UnfitError, match=r"found 5, expected a duration with its unit .* for example 250ms or 30min"):
        parse_duration(5)


@pytest.mark.parametrize(("text", "rate"), [("6/min", 0.1), ("2.5/s", 2.5), ("100/h", 100 / 3600), ("1 / s", 1.0)])
def test_a_rate_becomes_events_per_second(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (6, "6/s"),
        ("6", None),
        ("6/m", "6/min"),
        ("6/minute", "6/min"),
        ("0/s", None),
        ("2000000/s", None),
        (None, None),
    ],
)
def test_what_is_no_rate_is_refused(value: object, hint: str | None) -> None:
    with pytest.raises(UnfitError) as caught:
        parse_rate(value)
    assert caught.value.hint == hint


@pytest.mark.parametrize(("value", "share"), [("17%", 0.17), ("100%", 1.0), ("0.5 %", 0.005), (0.17, 0.17), (1, 1.0)])
def test_a_percentage_or_a_number_becomes_a_share(value: object, share: float) -> None:
    assert parse_share(value) == share


@pytest.mark.parametrize("value", [17, 1.0001, -0.1, "101%", "-1%", "17", "17 percent", True, None, float("nan")])
def test_what_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(UnfitError):
        parse_share(value)


def test_a_share_that_looks_like_a_percentage_is_told_so() -> None:
    with pytest.raises(UnfitError) as caught:
        parse_share(85)
    assert caught.value.hint == "85%"


@given(st.integers(0, LONGEST_DURATION))
def test_every_duration_is_written_so_that_it_reads_the_same(span: int) -> None:
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0s"),
        (40, "40us"),
        (250_000, "250ms"),
        (1_500, "1.5ms"),
        (1_500_000, "1.5s"),
        (90_000_000, "90s"),
        (600_000_000, "10min"),
        (5_400_000_000, "90min"),
        (7_200_000_000, "2h"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_keeps_it_short(span: int, text: str) -> None:
    assert format_duration(span) == text


@given(st.floats(1e-9, HIGHEST_RATE))
def test_every_rate_is_written_so_that_it_reads_the_same(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == rate


@given(st.integers(1, 10_000), st.sampled_from(["s", "min", "h"]))
def test_a_rate_someone_wrote_is_written_back_short(number: int, unit: str) -> None:
    rate = parse_rate(f"{number}/{unit}")
    assert parse_rate(format_rate(rate)) == rate
    assert len(format_rate(rate)) <= 11


@given(st.floats(0, 1))
def test_every_share_is_written_so_that_it_reads_the_same(share: float) -> None:
    assert parse_share(format_share(share)) == share


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary()))
def test_nothing_but_an_unfit_error_comes_of_any_value(value: object) -> None:
    messages = []
    for parse in (parse_duration, parse_rate, parse_share):
        try:
            parse(value)
        except UnfitError as error:
            messages.append(str(error))
    assert "".join(messages).isprintable()


def test_units_load_without_pydantic_and_ruamel() -> None:
    code = (
        "import sys, simroom.scenario.units, simroom.scenario.rttm, simroom.scenario.traces;"
        "sys.exit(any(name.split('.')[0] in ('pydantic', 'ruamel') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("-5s", -5_000_000), ("+5s", 5_000_000), ("5s", 5_000_000), ("-0s", 0), (0, 0), ("-1.5ms", -1_500)],
)
def test_a_shift_has_a_sign(text: object, microseconds: int) -> None:
    assert parse_shift(text) == microseconds


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (-5, "-5s"),
        (5, "5s"),
        ("-5", "-5s"),
        ("-5 minutes", "-5min"),
        ("--5s", None),
        ("- 5s", None),
        ("-", None),
        ("-100001h", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_what_is_no_shift_is_refused_with_what_was_meant(value: object, hint: str | None) -> None:
    with pytest.raises(UnfitError) as caught:
        parse_shift(value)
    assert caught.value.hint == hint


@given(st.integers(-LONGEST_DURATION, LONGEST_DURATION))
def test_every_shift_is_written_so_that_it_is_read_back(shift: int) -> None:
    assert parse_shift(format_shift(shift)) == shift


@pytest.mark.parametrize(
    ("text", "speed"),
    [("1kB/s", 1_000), ("100B/s", 100), ("0.1 kB/s", 100), ("2.5MB/s", 2_500_000), ("1000MB/s", HIGHEST_SPEED)],
)
def test_a_speed_becomes_whole_bytes_a_second(text: str, speed: int) -> None:
    assert parse_speed(text) == speed
    assert type(parse_speed(text)) is int


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1000, "1000B/s"),
        ("1KB/s", "1kB/s"),
        ("1kb/s", "1kB/s"),
        ("5 Mbps", None),
        ("1k", None),
        ("1kB", "1kB/s"),
        ("-1B/s", None),
        ("0B/s", None),
        ("0.5B/s", None),
        ("1001MB/s", None),
        ("1000000001B/s", None),
        (True, None),
        (None, None),
    ],
)
def test_what_is_no_speed_is_refused_with_what_was_meant(value: object, hint: str | None) -> None:
    with pytest.raises(UnfitError) as caught:
        parse_speed(value)
    assert caught.value.hint == hint


@given(st.integers(1, HIGHEST_SPEED))
def test_every_speed_is_written_so_that_it_is_read_back(speed: int) -> None:
    assert parse_speed(format_speed(speed)) == speed
