"""Numbers as people read them: thousands separated, units kept, never more digits than mean something."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from simroom.study.measures import Unit, Value

ABSENT: Final = "\u2013"
"""A dash: what stands where there is no value."""
TIMES: Final = "\u00d7"
"""The sign for so many times as fast."""

_SECOND: Final = 1_000_000
_MILLISECOND: Final = 1_000


def count(number: int) -> str:
    """A whole number, thousands separated."""
    return f"{number:,}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what it counts: ``1 job``, ``2 jobs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def time(span: Value) -> str:
    """A span of microseconds in the unit that suits it: ``850 µs``, ``42.0 ms``, ``3.41 s``, ``12.5 min``."""
    micros = round(span)
    size = abs(micros)
    if size < _MILLISECOND:
        return f"{micros} µs"
    if size < _SECOND:
        return f"{micros / _MILLISECOND:.1f} ms"
    if size < 600 * _SECOND:
        return f"{micros / _SECOND:,.2f} s"
    return f"{micros / _SECOND / 60:,.1f} min"


def long_time(span: int) -> str:
    """A span of microseconds as one says it: ``10 min``, ``1 h 30 min``, ``45.5 s``."""
    seconds = Fraction(span, _SECOND)
    if seconds < 60:
        return f"{float(seconds):.3f}".rstrip("0").rstrip(".") + " s"
    hours, rest = divmod(round(seconds), 3_600)
    minutes, left = divmod(rest, 60)
    named = ((hours, "h"), (minutes, "min"), (left, "s"))
    return " ".join(f"{number:,} {unit}" for number, unit in named if number)


def clock(instant: int) -> str:
    """An instant of the scenario, as on a stopwatch: ``08:14.220``, ``1:08:14.220``; ``-00:03.000`` in the lead-in."""
    sign = "-" if instant < 0 else ""
    millis = abs(instant) // _MILLISECOND
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    ahead = f"{hours}:" if hours else ""
    return f"{sign}{ahead}{minutes:02d}:{rest // 1_000:02d}.{rest % 1_000:03d}"


def share(part: Value) -> str:
    """A share as a percentage: ``61.3 %``."""
    return f"{float(part) * 100:.1f} %"


def value(number: Value | None, unit: Unit) -> str:
    """A measured value with its unit."""
    if number is None:
        return ABSENT
    if unit == "time":
        return time(number)
    if unit == "share":
        return share(number)
    if unit == "rate":
        return f"{float(number):,.2f}/s"
    return count(number) if isinstance(number, int) else f"{float(number):,.2f}"


def exact(number: Value, unit: Unit) -> str:
    """A measured value with every digit it has, for where a rounded one would look like its bound."""
    if unit == "time":
        return f"{float(Fraction(number) / _SECOND):.6f}".rstrip("0").rstrip(".") + " s"
    if unit == "share":
        return f"{float(number) * 100:.6f}".rstrip("0").rstrip(".") + " %"
    return f"{float(number):.6f}".rstrip("0").rstrip(".") + ("/s" if unit == "rate" else "")
