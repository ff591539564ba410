"""Values in base units as sentences say them, with their units and no digit that says nothing."""

from __future__ import annotations

from simroom.stats.intervals import Interval
from simroom.study.measures import Unit
from simroom.study.words import span

_SECOND = 1_000_000
NOTHING = "\u2013"
"""A dash: what stands where there is no value."""


def amount(value: float | None, unit: Unit) -> str:
    """A value in base units: ``1.62 s``, ``61.3 %``, ``1,204``, ``8.25/s``.

    Args:
        value: Seconds, a share of 1, a number, or per second; None: there is none.
        unit: Which of them.
    """
    if value is None:
        return NOTHING
    if unit == "time":
        return span(round(value * _SECOND))
    if unit == "share":
        return f"{value * 100:.1f} %"
    suffix = "/s" if unit == "rate" else ""
    return f"{int(value):,}{suffix}" if value == int(value) else f"{value:,.2f}{suffix}"


def exact(value: float | None, unit: Unit) -> str:
    """A value with every digit it has, for where a rounded one would look like its bound."""
    if value is None:
        return NOTHING
    if unit == "time":
        return f"{value:,.6f}".rstrip("0").rstrip(".") + " s"
    if unit == "share":
        return f"{value * 100:.6f}".rstrip("0").rstrip(".") + " %"
    return f"{value:,.6f}".rstrip("0").rstrip(".") + ("/s" if unit == "rate" else "")


def within(around: Interval, unit: Unit) -> str:
    """An interval: ``1.58 s to 1.66 s``."""
    low, high = amount(around.low, unit), amount(around.high, unit)
    return low if low == high else f"{low} to {high}"


def change(value: float, unit: Unit) -> str:
    """A difference with its sign: ``+120.0 ms``, a minus sign and ``3``, ``0``."""
    sign = "+" if value > 0 else "\u2212" if value < 0 else ""
    return sign + amount(abs(value), unit)
