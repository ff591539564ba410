"""Instants, spans and lists of names in the sentences of a story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NAMES_SHOWN: Final = 6

_MILLISECOND: Final = 1_000
_SECOND: Final = 1_000_000


def span(micros: int) -> str:
    """A span of microseconds: ``850 µs``, ``42.0 ms``, ``1.92 s``."""
    size = abs(micros)
    if size < _MILLISECOND:
        return f"{micros} µs"
    if size < _SECOND:
        return f"{micros / _MILLISECOND:.1f} ms"
    return f"{micros / _SECOND:,.2f} s"


def setting(micros: int) -> str:
    """A span that somebody has set, without digits that say nothing: ``5 s``, ``1.5 s``, ``20 ms``."""
    unit, name = (_SECOND, "s") if micros >= _SECOND else (_MILLISECOND, "ms")
    return f"{micros / unit:,.3f}".rstrip("0").rstrip(".") + f" {name}"


def stopwatch(instant: int) -> str:
    """An instant of the scenario: ``08:14.220``, ``1:08:14.220``; ``-00:03.000`` in the lead-in."""
    sign = "-" if instant < 0 else ""
    minutes, rest = divmod(abs(instant) // _MILLISECOND, 60_000)
    hours, minutes = divmod(minutes, 60)
    ahead = f"{hours}:" if hours else ""
    return f"{sign}{ahead}{minutes:02d}:{rest // 1_000:02d}.{rest % 1_000:03d}"


def listed(names: Sequence[str], shown_max: int = NAMES_SHOWN) -> str:
    """Names in a row, the first ones: ``a, b, c``, ``a, b and 7 more``; ``nobody`` where there are none."""
    if not names:
        return "nobody"
    rest = len(names) - shown_max
    shown = ", ".join(names[:shown_max])
    return shown if rest <= 0 else f"{shown} and {rest:,} more"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what it counts: ``1 job``, ``2 jobs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
