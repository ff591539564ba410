"""A scheduler of the user's own: finding its factory, and telling its faults from simroom's."""

from __future__ import annotations

import importlib
import re
import sys
from types import TracebackType
from typing import Final, cast

from simroom.cli import crash, exits
from simroom.scenario.printable import printable, quoted
from simroom.scheduler.port import SchedulerFactory

_FORM: Final = re.compile(r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$")


def factory(reference: str) -> SchedulerFactory:
    """Import ``package.module:factory``, looked for in the current folder first.

    Raises:
        StopError: The form is wrong (2), or it cannot be imported or is not callable (3).
    """
    if not _FORM.match(reference):
        raise exits.StopError(
            f"--scheduler: found {quoted(reference)}, expected package.module:factory, for example mine.scheduler:make",
            exits.INVALID,
        )
    module_name, _, attribute = reference.partition(":")
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    try:
        found: object = importlib.import_module(module_name)
        for name in attribute.split("."):
            found = getattr(found, name)
    # Whatever a user's module does at its import, it is the reason why nothing can run.
    except Exception as error:
        raise exits.StopError(_failed(reference, "cannot import", error), exits.COULD_NOT_RUN) from error
    if not callable(found):
        raise exits.StopError(f"--scheduler: {quoted(reference)} is not callable", exits.COULD_NOT_RUN)
    return cast(SchedulerFactory, found)


def is_to_blame(reference: str, error: BaseException) -> bool:
    """Whether the error went through the user's own package."""
    package = reference.partition(":")[0].partition(".")[0]
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            return True
        trace = trace.tb_next
    return False


def failed(reference: str, error: Exception) -> exits.StopError:
    """What to say of a scheduler that raised while the simulation ran."""
    return exits.StopError(_failed(reference, "raised in", error), exits.COULD_NOT_RUN)


def _failed(reference: str, what: str, error: Exception) -> str:
    reason = printable(f"{type(error).__name__}: {error}")
    # What never got into the user's code has nothing to tell beyond its message.
    saved = crash.save(error) if is_to_blame(reference, error) else None
    where = f"\nThe traceback is in {printable(str(saved))}" if saved is not None else ""
    return f"--scheduler: {what} {quoted(reference)}: {reason}{where}"
