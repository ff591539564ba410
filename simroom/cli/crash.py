"""A fault of simroom itself: one line for its user, the traceback in a file, and how to report it."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from simroom import __version__
from simroom.report.console import complain
from simroom.scenario.printable import printable


def tell(error: BaseException) -> None:
    """Say on stderr that simroom has crashed, and where the traceback is."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    lines = [f"simroom has crashed: {printable(what)[:300]}", "This is a fault of simroom, not of your scenario."]
    saved = save(error)
    if saved is not None:
        lines.append(f"The traceback is in {printable(str(saved))}")
        lines.append("Please report it with that file, the scenario and the seed.")
    else:
        lines.append("".join(traceback.format_exception(error)))
    complain("\n".join(lines))


def save(error: BaseException) -> Path | None:
    """Write the traceback, with what is needed to see it again, to a fresh file; None if no file can be written."""
    content = [
        f"simroom {__version__}, Python {platform.python_version()} on {platform.platform()}",
        f"command: {printable(shlex.join(sys.argv))}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="simroom-crash-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write("\n".join(content))
            return Path(file.name)
    except OSError:
        return None
