"""Logs of measured jobs: one row a job, as CSV or JSON lines, with units in the names of the columns."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom.scenario.datafile import MOST_ROWS, DataFileError, lines_of
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted

STAGES: Final = ("asr", "nmt", "tts")
_UNITS: Final = {"ms": 1_000.0, "us": 1.0, "s": 1_000_000.0, "seconds": 1_000_000.0, "sec": 1_000_000.0}
_SPANS: Final = ("audio", "processing_time", "started_at", *STAGES)
_NAMES: Final = ("node", "burst")
COLUMNS: Final = (*_NAMES, *(f"{name}_{unit}" for name in _SPANS for unit in ("ms", "seconds")))
"""What columns are called; the unit may also be ``us``, ``s`` or ``sec``."""


class JobLog(Struct, frozen=True):
    """Measured jobs; all columns have one value a row. Spans and instants in microseconds, NaN where a row has none.

    Attributes:
        lines: Where each row is in the file, counted from 1.
        spans: By name: ``audio``, ``asr``, ``nmt``, ``tts``, ``processing_time``, ``started_at``; those that are there.
        names: By name: ``node``, ``burst``; those that are there.
        ignored: Columns of which nothing is known.
    """

    lines: tuple[int, ...]
    spans: dict[str, tuple[float, ...]]
    names: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def read_log(path: Path) -> JobLog:
    """Read a log.

    Raises:
        DataFileError: It cannot be read, has no rows, lacks a column, or a value makes no sense.
    """
    rows = list(_json_rows(path) if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else _csv_rows(path))
    if not rows:
        raise DataFileError(path, 0, "no rows", "a row for each job")
    heading = list(dict.fromkeys(name for _, row in rows for name in row))
    known = {name: _meaning(name) for name in heading}
    _check(path, heading, [meaning[0] for meaning in known.values() if meaning is not None])
    spans: dict[str, tuple[float, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for column, meaning in known.items():
        if meaning is None:
            continue
        name, unit = meaning
        if unit is None:
            names[name] = tuple(str(row.get(column, "")) for _, row in rows)
        else:
            spans[name] = tuple(_number(path, line, row.get(column), column) * unit for line, row in rows)
    ignored = tuple(name for name, meaning in known.items() if meaning is None)
    return JobLog(tuple(line for line, _ in rows), spans, names, ignored)


def _meaning(column: str) -> tuple[str, float | None] | None:
    """What a column is, and its unit in microseconds; None: nothing that is known."""
    text = column.strip().casefold()
    if text in _NAMES:
        return text, None
    name, _, unit = text.rpartition("_")
    return (name, _UNITS[unit]) if name in _SPANS and unit in _UNITS else None


def _check(path: Path, heading: Sequence[str], found: Sequence[str]) -> None:
    columns = "the columns " + ", ".join(map(quoted, heading[:20]))
    for name in found:
        if found.count(name) > 1:
            raise DataFileError(path, 1, f"two columns for {name}", "one")
    if "audio" not in found:
        like = nearest("audio_ms", list(heading))
        hint = f" (is it {quoted(like)}?)" if like else ""
        raise DataFileError(path, 1, columns, f"audio_ms or audio_seconds, the length of the speech{hint}")
    if "processing_time" not in found and not any(stage in found for stage in STAGES):
        raise DataFileError(path, 1, columns, "asr_ms, nmt_ms and tts_ms, or processing_time_ms (or _seconds)")


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(lines_of(path))
    heading: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if heading is None:
                heading = [cell.strip() for cell in row]
                continue
            if len(row) != len(heading):
                raise DataFileError(path, reader.line_num, f"{len(row)} columns", f"{len(heading)}, as in the heading")
            if reader.line_num > MOST_ROWS:
                raise DataFileError(path, reader.line_num, f"more than {MOST_ROWS:,} rows", "a shorter log")
            yield reader.line_num, {name: cell.strip() for name, cell in zip(heading, row, strict=True)}
    except csv.Error:
        raise DataFileError(path, reader.line_num, "a broken line", "comma-separated values") from None
    if heading is None:
        raise DataFileError(path, 0, "an empty file", "a heading and rows")


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(lines_of(path), start=1):
        if not text.strip():
            continue
        if line > MOST_ROWS:
            raise DataFileError(path, line, f"more than {MOST_ROWS:,} rows", "a shorter log")
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            raise DataFileError(path, line, "no JSON", "one JSON object a line") from None
        if not isinstance(row, dict):
            raise DataFileError(path, line, f"a {type(row).__name__}", "a JSON object for each job")
        yield line, row


def _number(path: Path, line: int, value: object, column: str) -> float:
    """A span; NaN where there is none."""
    if value is None or value == "":
        return math.nan
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataFileError(path, line, f"{column} {quoted(value)}", "a number")
    if number < 0:
        raise DataFileError(path, line, f"{column} {quoted(value)}", "0 or more")
    return number
