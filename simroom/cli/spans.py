"""Spans of time as options say them: text with a unit, as in scenarios."""

from __future__ import annotations

from simroom.cli.exits import INVALID, StopError
from simroom.scenario.units import SECOND, UnfitError, parse_duration


def seconds_of(text: str, option: str) -> float:
    """The span that an option gives, in seconds.

    Args:
        text: Such as ``60s``.
        option: Its name, for the complaint.

    Raises:
        StopError: It is no span.
    """
    try:
        return parse_duration(text) / SECOND
    except UnfitError as error:
        raise StopError(f"{option}: found {error.found}, expected {error.expected}", INVALID) from error
