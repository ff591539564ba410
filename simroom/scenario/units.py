"""Text with units, to and from plain numbers: durations, rates, speeds and shares.

Everything inside is whole microseconds, events or bytes per second, and shares 0..1; a file says the unit.
This module imports nothing heavy, so that a command line can use it before anything else is loaded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Self

from simroom.scenario.printable import quoted

MICROSECOND: Final = 1
MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

LONGEST_DURATION: Final = 100_000 * HOUR
"""Eleven years. Sums of a few such spans still fit 64 bits, and no scenario needs more."""
HIGHEST_RATE: Final = 1_000_000.0
"""Events per second; one a microsecond, the finest that the clock can tell apart."""
LOWEST_RATE: Final = 1e-9
"""Events per second; less than one in thirty years."""
HIGHEST_SPEED: Final = 1_000_000_000
"""Bytes per second."""

DURATION_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,30})? ?(us|µs|ms|s|min|h)$"
RATE_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,30})? ?/ ?(s|min|h)$"
PERCENT_PATTERN: Final = r"^[0-9]{1,3}(\.[0-9]{1,30})? ?%$"
SHIFT_PATTERN: Final = r"^[+-]?" + DURATION_PATTERN.removeprefix("^")
SPEED_PATTERN: Final = r"^[0-9]{1,10}(\.[0-9]{1,30})? ?(B|kB|MB)/s$"

_DURATION: Final = re.compile(DURATION_PATTERN)
_RATE: Final = re.compile(RATE_PATTERN)
_SPEED: Final = re.compile(SPEED_PATTERN)
_PERCENT: Final = re.compile(r"^(-?[0-9]{1,15}(?:\.[0-9]{1,30})?) ?%$")
_NUMBER_THEN_WORD: Final = re.compile(r"^(-?[0-9]+(?:\.[0-9]+)?) ?([A-Za-zµ]*)$")

_SPANS: Final = {"us": MICROSECOND, "µs": MICROSECOND, "ms": MILLISECOND, "s": SECOND, "min": MINUTE, "h": HOUR}
_PER: Final = {"s": 1, "min": 60, "h": 3_600}
_BYTES: Final = {"B": 1, "kB": 1_000, "MB": 1_000_000}
_OTHER_WORDS: Final = {
    "usec": "us",
    "microseconds": "us",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "S": "s",
    "m": "min",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "M": "min",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "H": "h",
}

_A_DURATION: Final = "a duration with its unit (us, ms, s, min, h), for example 250ms or 30min"
_A_RATE: Final = "a rate with its unit (/s, /min, /h), for example 6/min"
_A_SHIFT: Final = "a shift of time with its unit (us, ms, s, min, h), for example 250ms or -5s"
_A_SPEED: Final = "a speed with its unit (B/s, kB/s, MB/s), for example 1kB/s"
_A_SHARE: Final = "a share between 0 and 1 or a percentage, for example 17%"


class UnfitError(ValueError):
    """A value that does not fit: what was found, what was expected, and perhaps what was meant.

    Attributes:
        found: The value as shown to its writer, on one line.
        expected: What would have fitted, with an example where it has a form.
        hint: The nearest thing that would have been right, or None.
        inside: Keys and indices from the value that was being read down to the one at fault.
    """

    def __init__(self, found: str, expected: str, hint: str | None = None) -> None:
        super().__init__(found, expected, hint)
        self.found = found
        self.expected = expected
        self.hint = hint
        self.inside: tuple[str | int, ...] = ()

    def under(self, *keys: str | int) -> Self:
        """The same error, seen from the value that holds the one at fault under ``keys``."""
        self.inside = (*keys, *self.inside)
        return self

    def __str__(self) -> str:
        meant = f"; did you mean {self.hint}?" if self.hint else ""
        return f"found {self.found}, expected {self.expected}{meant}"


def parse_duration(value: object) -> int:
    """Read a span of time.

    Args:
        value: Text such as ``250ms``, ``1.5s``, ``30min``, ``1h``, ``40us``; or the number 0, which needs no unit.

    Returns:
        Whole microseconds, 0..``LONGEST_DURATION``; finer fractions are rounded.

    Raises:
        UnfitError: Not a duration, no unit, negative, too long, or not 0 but less than half a microsecond.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return 0
        raise UnfitError(quoted(value), _A_DURATION, f"{value}s" if value > 0 else None)
    if not isinstance(value, str):
        raise UnfitError(quoted(value), _A_DURATION)
    match = _DURATION.match(value)
    if match is None:
        if value == "0":
            return 0
        raise UnfitError(quoted(value), _A_DURATION, _meant_duration(value))
    unit = match.group(2)
    number = Decimal(value[: -len(unit)].rstrip())
    exact = number * _SPANS[unit]
    if exact > LONGEST_DURATION:
        raise UnfitError(quoted(value), f"at most {format_duration(LONGEST_DURATION)}")
    whole = round(exact)
    if whole == 0 and number != 0:
        raise UnfitError(quoted(value), "whole microseconds, at least 1us")
    return whole


def _meant_duration(text: str) -> str | None:
    match = _NUMBER_THEN_WORD.match(text)
    if match is None or len(text) > 30 or text.startswith("-"):
        return None
    number, word = match.groups()
    unit = word if word in _SPANS else _OTHER_WORDS.get(word) or _OTHER_WORDS.get(word.lower())
    if word == "":
        unit = "s"
    return number + unit if unit else None


def format_duration(span: int) -> str:
    """Write a span so that ``parse_duration`` reads the same number: in the largest unit that keeps it short.

    Args:
        span: Whole microseconds, 0 or more.
    """
    if span == 0:
        return "0s"
    if span % HOUR == 0:
        return f"{span // HOUR}h"
    if span % MINUTE == 0:
        return f"{span // MINUTE}min"
    if span >= SECOND:
        return _decimal(span, 6) + "s"
    if span >= MILLISECOND:
        return _decimal(span, 3) + "ms"
    return f"{span}us"


def parse_shift(value: object) -> int:
    """Read a span of time with a sign.

    Args:
        value: As for ``parse_duration``, perhaps with ``-`` or ``+`` before it.

    Returns:
        Whole microseconds, ``-LONGEST_DURATION``..``LONGEST_DURATION``.

    Raises:
        UnfitError: As for ``parse_duration``, but for the sign.
    """
    if isinstance(value, str):
        negative = value.startswith("-")
        try:
            span = parse_duration(value[1:] if value.startswith(("-", "+")) else value)
        except UnfitError as error:
            sign = "-" if negative else ""
            raise UnfitError(quoted(value), _A_SHIFT, error.hint and f"{sign}{error.hint}") from None
        return -span if negative else span
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return 0
        raise UnfitError(quoted(value), _A_SHIFT, f"{value}s")
    raise UnfitError(quoted(value), _A_SHIFT)


def format_shift(shift: int) -> str:
    """Write a shift so that ``parse_shift`` reads the same number.

    Args:
        shift: Whole microseconds, of either sign.
    """
    return f"-{format_duration(-shift)}" if shift < 0 else format_duration(shift)


def _decimal(span: int, places: int) -> str:
    whole, rest = divmod(span, 10**places)
    fraction = f"{rest:0{places}d}".rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


def parse_rate(value: object) -> float:
    """Read how often something happens.

    Args:
        value: Text such as ``6/min``, ``2.5/s``, ``100/h``.

    Returns:
        Events per second, ``LOWEST_RATE``..``HIGHEST_RATE``.

    Raises:
        UnfitError: Not a rate, no unit, 0 or too high.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnfitError(quoted(value), _A_RATE, f"{value}/s" if value > 0 else None)
    if not isinstance(value, str):
        raise UnfitError(quoted(value), _A_RATE)
    match = _RATE.match(value)
    if match is None:
        raise UnfitError(quoted(value), _A_RATE, _meant_rate(value))
    number = Decimal(value.split("/")[0].strip())
    rate = float(number / _PER[match.group(2)])
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UnfitError(quoted(value), "a rate above 0 and at most 1000000/s")
    return rate


def _meant_rate(text: str) -> str | None:
    number, _, per = text.partition("/")
    number, per = number.strip(), per.strip()
    unit = _OTHER_WORDS.get(per) or _OTHER_WORDS.get(per.lower())
    if unit not in _PER or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", number):
        return None
    return f"{number}/{unit}"


def format_rate(rate: float) -> str:
    """Write a rate so that ``parse_rate`` reads the same number: per second, minute or hour, 1 or more where possible.

    Args:
        rate: Events per second, more than 0.
    """
    for unit, seconds in _PER.items():
        number = Decimal(repr(round(rate * seconds, 9)))
        if number >= 1 and float(number / seconds) == rate:
            return f"{number.normalize():f}/{unit}"
    return f"{Decimal(repr(rate)):f}/s"


def parse_speed(value: object) -> int:
    """Read how fast something is read or written.

    Args:
        value: Text such as ``1kB/s``, ``100B/s``, ``0.5MB/s``; a kB is 1000 bytes.

    Returns:
        Whole bytes per second, 1..``HIGHEST_SPEED``.

    Raises:
        UnfitError: Not a speed, no unit, 0, too high, or with a part of a byte.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnfitError(quoted(value), _A_SPEED, f"{value}B/s" if value > 0 else None)
    if not isinstance(value, str):
        raise UnfitError(quoted(value), _A_SPEED)
    match = _SPEED.match(value)
    if match is None:
        raise UnfitError(quoted(value), _A_SPEED, _meant_speed(value))
    number = Decimal(value[: match.start(2)].rstrip()) * _BYTES[match.group(2)]
    if number != int(number) or not 1 <= number <= HIGHEST_SPEED:
        raise UnfitError(quoted(value), f"whole bytes a second, from 1B/s to {format_speed(HIGHEST_SPEED)}")
    return int(number)


def _meant_speed(text: str) -> str | None:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([kKmM]?)[bB](?:/s|/sec)?", text)
    if match is None:
        return None
    return f"{match[1]}{match[2].lower().replace('m', 'M')}B/s"


def format_speed(speed: int) -> str:
    """Write a speed so that ``parse_speed`` reads the same number.

    Args:
        speed: Whole bytes per second, 1 or more.
    """
    if speed >= 1_000_000:
        return _decimal(speed, 6) + "MB/s"
    return _decimal(speed, 3) + "kB/s" if speed >= 1_000 else f"{speed}B/s"


def parse_share(value: object) -> float:
    """Read a part of a whole.

    Args:
        value: Text such as ``17%``, or a number 0..1.

    Returns:
        0..1.

    Raises:
        UnfitError: Not a share, or outside 0..1 (0 %..100 %).
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 0 <= value <= 1:
            return float(value)
        raise UnfitError(quoted(value), _A_SHARE, f"{value}%" if 1 < value <= 100 else None)
    if isinstance(value, str):
        match = _PERCENT.match(value)
        if match is not None:
            share = float(Decimal(match.group(1)) / 100)
            if 0 <= share <= 1:
                return share
            raise UnfitError(quoted(value), "a percentage between 0% and 100%")
    raise UnfitError(quoted(value), _A_SHARE)


def format_share(share: float) -> str | float:
    """Write a share so that ``parse_share`` reads the same number: as a percentage where that is exact.

    Args:
        share: 0..1.
    """
    percent = Decimal(repr(round(share * 100, 9)))
    if float(percent / 100) == share:
        return f"{percent.normalize():f}%"
    return share
