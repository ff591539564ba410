"""A scenario's data after defaults, in the words of a file: what ``effective()`` writes and the digest is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from pydantic import BaseModel

from simroom.scenario.profiles import PROFILES

_FIRST: Final = (
    "name",
    "count",
    "speaks",
    "preferred_lang",
    "src_lang",
    "tgt_lang",
    "talks",
    "meeting",
    "arrivals",
    "model",
    "at",
    "every",
    "from",
    "until",
    "nodes",
    "sessions",
)
_LAST: Final = ("longest", "features", "joins", "events")
_IN_ORDER: Final = {**{key: at - 100 for at, key in enumerate(_FIRST)}, **{key: at + 1 for at, key in enumerate(_LAST)}}
"""Keys that are written first and last, whichever model they come from."""
_LEFT_OUT: Final = frozenset({"faults", "script"})
"""Sections of a scenario that most do without, and then do not mention."""
_NAMED_BY_THE_WRITER: Final = frozenset({"speakers", "pairing"})
"""Mappings whose keys are names, and stay in their order."""


def in_order_of_telling(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys of a mapping in the order in which a reader wants them."""
    return tuple(sorted(keys, key=lambda key: _IN_ORDER.get(key, 0)))


def effective_data(scenario: BaseModel) -> dict[str, Any]:
    """Everything the scenario says, defaults included, as plain data that reads as the same scenario.

    What is absent is left out. A node that does without something its profile has says so with ``null``.
    """
    data: dict[str, Any] = {}
    for key, value in scenario.model_dump(mode="json", by_alias=True).items():
        if value is not None and not (key in _LEFT_OUT and not value):
            data[key] = _tidied(value)
    for node in data["nodes"]:
        profile = PROFILES.get(node.get("profile", ""))
        for key in profile.node if profile is not None else ():
            node.setdefault(key, None)
    return data


def _tidied(value: Any, *, names: bool = False) -> Any:
    """Without what is absent, nothing or empty by default; the telling keys first."""
    if isinstance(value, list):
        return [_tidied(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _tidied(inner, names=key in _NAMED_BY_THE_WRITER)
        for key, inner in value.items()
        if names or not (inner is None or (key in ("features", "events") and not inner))
    }
    return kept if names else {key: kept[key] for key in in_order_of_telling(kept)}


def with_paths(data: Any, moved: Callable[[str], str]) -> Any:
    """The same data with ``moved`` applied to each path of a file in it."""
    if isinstance(data, list):
        return [with_paths(inner, moved) for inner in data]
    if not isinstance(data, dict):
        return data
    result = {key: with_paths(inner, moved) for key, inner in data.items()}
    for path, holder in _paths_in(result):
        holder[path] = moved(holder[path])
    return result


def _paths_in(mapping: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Where in this mapping itself paths stand: a meeting's, and the file of a trace."""
    found = []
    if isinstance(mapping.get("meeting"), str):
        found.append(("meeting", mapping))
    trace = mapping.get("trace")
    if isinstance(trace, dict) and isinstance(trace.get("file"), str):
        found.append(("file", trace))
    elif isinstance(trace, str):
        found.append(("trace", mapping))
    return found
