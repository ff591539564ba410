"""Files that are written whole or not at all, also where two write the same one at once or the disk is full."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside the place it is meant for, and give it its name in one step.

    Args:
        path: The file; folders on the way to it are made.
        content: All of it.

    Raises:
        OSError: It cannot be written; what was there before is still there.
    """
    target = path.resolve()  # a link stays one, and leads to what is new
    if target.exists() and not target.is_file():
        # A terminal or a pipe, which has no beside.
        with target.open("wb") as file:
            file.write(content)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        # ``mkstemp`` makes files for their owner alone.
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
