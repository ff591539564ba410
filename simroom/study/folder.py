"""The run folder: everything a run leaves behind, written whole or not at all.

The files are written to a hidden folder beside the place they are meant for, which then takes its name in one step.
A folder of an earlier run of the same name is replaced; one that simroom did not make is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

SCENARIO_FILE: Final = "scenario.yaml"
SUMMARY_FILE: Final = "summary.json"
TIMING_FILE: Final = "timing.json"
SERIES_FILE: Final = "series.json"
LOG_FILE: Final = "log.txt"

NAME_LENGTH_MAX: Final = 60
_TRIES: Final = 5
_HEAD: Final = 200
_OURS: Final = re.compile(r'\{\s*"schema_version": \d+,\s*"simroom": "')
"""How every summary of simroom begins."""


class FolderError(Exception):
    """The folder cannot be written; the message says which and why."""


def folder_name(stem: str, seed: int) -> str:
    """The name of a run's folder: ``standup-7``.

    Whatever the stem is, the name is lower-case ASCII letters, digits, ``-`` and ``_``, begins with a letter or
    digit, and has at most ``NAME_LENGTH_MAX`` characters. Stems that lose something other than their case keep apart
    by a few digits of their hash.
    """
    ending = f"-{seed}"
    folded = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_]+", "-", folded).strip("-_")
    length = NAME_LENGTH_MAX - len(ending)
    plain = re.sub(r"[ .-]+", "-", stem.lower()).strip("-_")
    if not slug or slug != plain or len(slug) > length:
        mark = blake2b(stem.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
        kept = slug[: max(0, length - len(mark) - 1)].rstrip("-_")
        slug = f"{kept or 'scenario'}-{mark}"
    return slug + ending


def check_writable(parent: Path, name: str) -> None:
    """Find out before a run whether its folder could be written after it.

    Raises:
        FolderError: It could not.
    """
    target = parent / name
    _refuse_foreign(target)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent)).rmdir()
    except OSError as error:
        raise FolderError(f"cannot write to {parent}: {error.strerror or error}") from error


@contextmanager
def run_folder(parent: Path, name: str) -> Iterator[Path]:
    """Write a folder as a whole.

    Args:
        parent: Where it goes; made if it does not exist.
        name: From ``folder_name``.

    Yields:
        A fresh folder to write into. When the block ends, it becomes ``parent / name``; when the block raises, it is
        removed and everything is as it was.

    Raises:
        FolderError: It cannot be written, or ``parent / name`` is something that simroom did not make.
    """
    target = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    except OSError as error:
        raise FolderError(f"cannot write to {parent}: {error.strerror or error}") from error
    try:
        yield fresh
        _readable_by_the_usual(fresh)
        _put_in_place(fresh, target)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _readable_by_the_usual(folder: Path) -> None:
    """``mkdtemp`` makes folders for their owner alone; give it the mode that ``mkdir`` would have given."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


def _put_in_place(fresh: Path, target: Path) -> None:
    for attempt in range(1, _TRIES + 1):
        _refuse_foreign(target)
        aside = fresh.with_name(fresh.name + ".old")
        try:
            if target.exists():
                target.rename(aside)
            fresh.rename(target)
        except BaseException as error:
            if aside.exists() and not target.exists():
                aside.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
            # Another run of the same name may have come in between; then its folder is replaced in turn.
            if not isinstance(error, OSError) or attempt == _TRIES or not target.exists():
                raise
        else:
            shutil.rmtree(aside, ignore_errors=True)
            return


def _refuse_foreign(target: Path) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise FolderError(f"{target} exists and is not a folder that simroom made: move it away, or choose --out")
    if not _is_ours(target):
        raise FolderError(f"{target} exists and simroom did not make it: move it away, or choose --out")


def _is_ours(folder: Path) -> bool:
    """Whether the folder holds a summary that says it is one of simroom's."""
    summary = folder / SUMMARY_FILE
    with suppress(OSError, ValueError):
        if not summary.is_symlink():
            with summary.open(encoding="utf-8") as file:
                return _OURS.match(file.read(_HEAD)) is not None
    return False
