"""Plain data as YAML that reads as the same data: stable, readable, and with nothing in it that could be misread."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./<>=()-]*( [A-Za-z0-9_./<>=()-]+)*")
"""Text that needs no quotes: begins with a letter, and holds nothing that YAML or a reader could take for more."""
_WITH_UNIT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?(us|ms|s|min|h|%|/s|/min|/h|B/s|kB/s|MB/s)")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""YAML 1.1 takes all of these for something else than text; quoted, they are safe in any tool."""
_WIDTH: Final = 110


def dump(data: Any) -> str:
    """Write data (dicts with text keys, lists, text, numbers, truth values, None) as YAML.

    Short mappings and lists stand on one line. Order is kept.
    """
    lines: list[str] = []
    _block(data, 0, lines)
    return "\n".join(lines) + "\n"


def _block(data: Any, indent: int, lines: list[str]) -> None:
    pad = "  " * indent
    if isinstance(data, dict) and data:
        for key, value in data.items():
            _entry(f"{pad}{_scalar(key)}:", value, indent, lines)
    elif isinstance(data, list) and data:
        for value in data:
            _item(value, indent, lines)
    else:
        lines.append(pad + _flow(data))


def _entry(head: str, value: Any, indent: int, lines: list[str]) -> None:
    flow = _flow_if_short(value, len(head), at_top=indent == 0)
    if flow is not None:
        lines.append(f"{head} {flow}")
        return
    lines.append(head)
    _block(value, indent + 1, lines)


def _item(value: Any, indent: int, lines: list[str]) -> None:
    pad = "  " * indent
    flow = _flow_if_short(value, len(pad) + 2, at_top=False)
    if flow is not None:
        lines.append(f"{pad}- {flow}")
        return
    inner: list[str] = []
    _block(value, indent + 1, inner)
    inner[0] = f"{pad}- {inner[0][len(pad) + 2 :]}"
    lines.extend(inner)


def _flow_if_short(value: Any, before: int, *, at_top: bool) -> str | None:
    if at_top and isinstance(value, list) and any(isinstance(item, dict) or " " in str(item) for item in value):
        return None
    flow = _flow(value)
    return flow if not isinstance(value, (dict, list)) or before + len(flow) < _WIDTH else None


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value)
    if value.casefold() not in _WORDS and (_PLAIN.fullmatch(value) or _WITH_UNIT.fullmatch(value)):
        return str(value)
    return "".join(_safe(character) for character in json.dumps(value, ensure_ascii=False))


def _safe(character: str) -> str:
    if " " <= character <= "~" or (character.isprintable() and character > "\xa0"):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
