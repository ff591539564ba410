"""Text from files made safe to show: on one line, and unable to steer the terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

_SHOWN_LENGTH: Final = 60
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Unicode categories that are escaped: controls (C0, C1, ANSI's escape), formats (bidi, zero width), surrogates,
private and unassigned code points, separators that break lines, and spaces that only look like one."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\x1b": "\\e"}


def printable(text: str) -> str:
    r"""Escape what a terminal, a log or a reader could take for something else than text.

    Controls, ANSI escapes, bidirectional and invisible characters, lone surrogates and line separators become
    escapes such as ``\n``, ``\e``, ``\x9b`` or ``\u202e``; everything else stays. The result is one line, and can
    always be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character == " " or unicodedata.category(character) not in _UNSAFE:
        return character
    short = _SHORT.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shortened(text: str, length: int = _SHOWN_LENGTH) -> str:
    """``text`` made printable and cut to ``length`` characters, an ellipsis for the rest."""
    shown = printable(text if len(text) <= 4 * length else text[: 4 * length])
    return shown if len(shown) <= length and len(text) <= 4 * length else shown[: length - 1] + "…"


def quoted(value: object) -> str:
    """A value as an error shows it: in the words of a scenario file, short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, (int, float)):
        return shortened(str(value))
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return shortened(type(value).__name__)
