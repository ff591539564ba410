"""Reads arrivals and loads from CSV files that others have recorded."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from simroom.scenario.datafile import MOST_ROWS, DataFileError, lines_of
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.units import LONGEST_DURATION, MILLISECOND, SECOND

_MILLISECOND_COLUMNS: Final = ("timestamp_ms", "arrival_ms", "time_ms", "ms")
_OTHER_COLUMNS: Final = ("timestamp", "time", "arrival", "arrived_at", "arrival_time", "seconds", "at")
_LOAD_COLUMNS: Final = ("load", "gpu", "utilisation", "utilization", "share", "percent", "gpu_percent")
_PERCENT_COLUMNS: Final = ("percent", "gpu_percent")
_STAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,12})?(Z|\+00:00)?"
)
_A_TIME: Final = "a time such as 2023-11-16 18:17:03.98, or a number"


def read_arrivals(path: Path, column: str | None = None) -> list[int]:
    """The instants of a trace, whole microseconds from its first, in order of time; equal ones all stay.

    Args:
        path: CSV file with a heading. A column named ``..._ms`` holds milliseconds; another holds date and time, or
            seconds.
        column: The column that holds the times; None: the first whose name says so.

    Raises:
        DataFileError: The file cannot be read, has no such column or no rows, or a time is malformed.
    """
    heading, rows = _table(path)
    name = _column(path, heading, column, (*_MILLISECOND_COLUMNS, *_OTHER_COLUMNS), "times")
    times = [_instant(path, number, value, name) for number, value in rows(heading.index(name))]
    if not times:
        raise DataFileError(path, 0, "no rows", "a row for each arrival")
    times.sort()
    first = times[0]
    if times[-1] - first > LONGEST_DURATION:
        raise DataFileError(path, 0, "times more than eleven years apart", "a shorter trace")
    return [time - first for time in times]


def read_loads(path: Path) -> list[tuple[int, float]]:
    """The steps of a load trace: (instant, share), whole microseconds from the first and 0..1, in order of time.

    Args:
        path: CSV file with a heading: a column of times as for arrivals, and one named ``load`` (shares) or
            ``percent``.

    Raises:
        DataFileError: The file cannot be read, lacks a column, has no rows, or a value is malformed.
    """
    heading, rows = _table(path)
    time_name = _column(path, heading, None, (*_MILLISECOND_COLUMNS, *_OTHER_COLUMNS), "times")
    load_name = _column(path, heading, None, _LOAD_COLUMNS, "loads")
    percent = load_name.strip().casefold() in _PERCENT_COLUMNS
    times = [_instant(path, number, value, time_name) for number, value in rows(heading.index(time_name))]
    loads = [_share(path, number, value, percent=percent) for number, value in rows(heading.index(load_name))]
    if not times:
        raise DataFileError(path, 0, "no rows", "a row for each change of load")
    steps = sorted(zip(times, loads, strict=True), key=lambda step: step[0])
    return [(time - steps[0][0], load) for time, load in steps]


Rows = Callable[[int], list[tuple[int, str]]]


def _table(path: Path) -> tuple[list[str], Rows]:
    """The heading, and how to get one column as (line, text) pairs."""
    reader = csv.reader(lines_of(path))
    lines: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append((reader.line_num, row))
            if len(lines) > MOST_ROWS:
                raise DataFileError(path, reader.line_num, f"more than {MOST_ROWS:,} rows", "a shorter trace")
    except csv.Error:
        raise DataFileError(path, reader.line_num, "a broken line", "comma-separated values") from None
    if not lines:
        raise DataFileError(path, 0, "an empty file", "a heading and rows")
    heading = [cell.strip() for cell in lines[0][1]]

    def column(index: int) -> list[tuple[int, str]]:
        for number, row in lines[1:]:
            if len(row) <= index:
                raise DataFileError(path, number, f"{len(row)} columns", f"{len(heading)}, as in the heading")
        return [(number, row[index].strip()) for number, row in lines[1:]]

    return heading, column


def _column(path: Path, heading: list[str], wanted: str | None, known: tuple[str, ...], what: str) -> str:
    if wanted is not None:
        if wanted in heading:
            return wanted
        hint = nearest(wanted, heading)
        expected = f"the column {quoted(wanted)}" + (f"; did you mean {hint}?" if hint else "")
        raise DataFileError(path, 1, "the columns " + ", ".join(map(quoted, heading[:20])), expected)
    for name in heading:
        if name.casefold() in known:
            return name
    raise DataFileError(
        path, 1, "the columns " + ", ".join(map(quoted, heading[:20])), f"one with {what}, such as {known[0]}"
    )


def _instant(path: Path, number: int, text: str, column: str) -> int:
    match = _STAMP.fullmatch(text)
    if match is not None:
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        try:
            days = date(year, month, day).toordinal()
        except ValueError:
            raise DataFileError(path, number, quoted(text), "a date that exists") from None
        whole = ((days * 24 + hour) * 60 + minute) * 60 + second
        return whole * SECOND + round(Decimal(match.group(7) or 0) * SECOND)
    unit = MILLISECOND if column.casefold().endswith("ms") else SECOND
    number_text = _decimal(text)
    if number_text is None:
        raise DataFileError(path, number, quoted(text), _A_TIME)
    return round(number_text * unit)


def _share(path: Path, number: int, text: str, *, percent: bool) -> float:
    value = _decimal(text.removesuffix("%").strip())
    if value is not None:
        share = float(value / 100 if percent or text.endswith("%") else value)
        if 0 <= share <= 1:
            return share
    raise DataFileError(path, number, quoted(text), "a load of 0..100 percent" if percent else "a load of 0..1")


def _decimal(text: str) -> Decimal | None:
    if not text or len(text) > 40:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < 10**15 else None
