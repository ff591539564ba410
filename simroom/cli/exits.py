"""The exit codes, in one place: what a script that calls simroom can rely on."""

from __future__ import annotations

from typing import Final

PASSED: Final = 0
FAILED: Final = 1
"""An invariant was breached, or an expectation does not hold."""
INVALID: Final = 2
"""Wrong usage, or a scenario with problems."""
COULD_NOT_RUN: Final = 3
"""Nothing is wrong with the scenario, but it could not be run here."""
INCONCLUSIVE: Final = 4
"""It ran, and could not be told: nothing could be judged, or a bound lies inside its interval."""
NOTHING_SELECTED: Final = 5
"""No scenario was found, or none was chosen."""
CRASHED: Final = 70
"""A fault of simroom itself (``EX_SOFTWARE`` of sysexits.h)."""
INTERRUPTED: Final = 130
"""Stopped by Ctrl-C (128 + SIGINT)."""

BY_WORD: Final = {"passed": PASSED, "failed": FAILED, "inconclusive": INCONCLUSIVE, "interrupted": INTERRUPTED}
"""By the verdict's word."""


class StopError(Exception):
    """A command cannot go on; the message says why, in one or more lines for stderr.

    Attributes:
        code: One of the exit codes.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
