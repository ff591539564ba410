"""Reads the text of data files that a scenario refers to, with limits, and says what is wrong with them."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Final

from simroom.scenario.printable import printable

LARGEST_BYTES: Final = 64 << 20
MOST_ROWS: Final = 5_000_000


class DataFileError(ValueError):
    """A data file cannot be used; the text says file, line, what was found and what was expected.

    Attributes:
        file: The file.
        line: Line, from 1; 0 where it is about the whole file.
        found: What was found.
        expected: What was expected.
    """

    def __init__(self, file: Path, line: int, found: str, expected: str) -> None:
        super().__init__(file, line, found, expected)
        self.file = file
        self.line = line
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return printable(f"{place}: found {self.found}, expected {self.expected}")


def read_text(path: Path) -> str:
    """The text of a data file.

    Raises:
        DataFileError: Not there, not a plain file, not readable, too large, or not UTF-8.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataFileError(path, 0, "no plain file", "a file")
        if status.st_size > LARGEST_BYTES:
            raise DataFileError(path, 0, f"{status.st_size:,} bytes", f"at most {LARGEST_BYTES:,} bytes")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataFileError(path, 0, "no such file", "a file that exists") from None
    except UnicodeDecodeError:
        raise DataFileError(path, 0, "bytes that are no UTF-8", "UTF-8 text") from None
    except (OSError, ValueError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(path, 0, "a file that cannot be read", "a file that can be read") from None


def lines_of(path: Path) -> list[str]:
    """The lines of a data file, without their ends; raises as ``read_text`` does."""
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
