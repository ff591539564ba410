"""Reads who spoke when in a real meeting, from an RTTM file."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from simroom.scenario.datafile import MOST_ROWS, DataFileError, lines_of
from simroom.scenario.printable import quoted
from simroom.scenario.units import LONGEST_DURATION, SECOND


class Segment(NamedTuple):
    """One stretch of speech.

    Attributes:
        start: When it begins, whole microseconds from the start of the recording.
        duration: How long it lasts, whole microseconds, more than 0.
        speaker: Whose it is.
    """

    start: int
    duration: int
    speaker: str


def read_rttm(path: Path) -> list[Segment]:
    """The segments of a meeting, in the order of the file, which need not be that of time.

    Lines of other record types, comments (``;;``) and blank lines are passed over, and so are segments of length 0,
    in which nothing is said.

    Args:
        path: File with lines ``SPEAKER file channel start duration <NA> <NA> speaker <NA> <NA>``, times in seconds.

    Raises:
        DataFileError: The file cannot be read, a line is malformed, a time is negative, or nobody speaks in it.
    """
    segments: list[Segment] = []
    for number, line in enumerate(lines_of(path), start=1):
        words = line.split()
        if not words or words[0] != "SPEAKER":
            continue
        if len(segments) >= MOST_ROWS:
            raise DataFileError(path, number, f"more than {MOST_ROWS:,} segments", "a shorter meeting")
        if len(words) < 8:
            raise DataFileError(
                path, number, f"{len(words)} fields", "SPEAKER file channel start duration <NA> <NA> speaker"
            )
        start = _seconds(path, number, words[3], "the start")
        duration = _seconds(path, number, words[4], "the duration")
        if duration:
            segments.append(Segment(start, duration, words[7]))
    if not segments:
        raise DataFileError(path, 0, "no speech", "lines that begin with SPEAKER")
    return segments


def _seconds(path: Path, number: int, text: str, what: str) -> int:
    try:
        exact = Decimal(text) * SECOND if len(text) <= 40 else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or not 0 <= exact <= LONGEST_DURATION:
        raise DataFileError(path, number, quoted(text), f"{what} in seconds, 0 or more")
    return round(exact)


def speakers_of(segments: list[Segment]) -> tuple[str, ...]:
    """Who speaks, in order of first speaking; of two who begin together the one that is first in the file."""
    return tuple(dict.fromkeys(segment.speaker for segment in sorted(segments, key=lambda segment: segment.start)))
