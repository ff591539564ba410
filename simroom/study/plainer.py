"""Plainer values for a scenario: constants for distributions, names for random choices, round and early times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from simroom.scenario.distributions import DISTRIBUTION_KINDS
from simroom.scenario.units import MILLISECOND, SECOND, UnfitError, format_duration, parse_duration
from simroom.study.cuts import numbered
from simroom.study.places import Data, Place, at, leaves, mapped, mappings, with_value

_INSTANTS: Final = frozenset({"at", "joins", "starts", "leaves", "drains"})
"""Keys whose value is an instant of the scenario, as opposed to a span."""
_GRIDS: Final = (10 * SECOND, SECOND, 500 * MILLISECOND, 100 * MILLISECOND, 10 * MILLISECOND, MILLISECOND)
_ROUND_SPANS: Final = (0, SECOND, 100 * MILLISECOND, 2 * SECOND, 3 * SECOND, 5 * SECOND, 10 * SECOND)
_SPAN: Final = re.compile(r"[0-9.]+ ?(us|ms|s|min|h)")
_PERCENT: Final = re.compile(r"[0-9.]+ ?%")
_ROUND_SHARES: Final = ("100%", "50%")
_SMALL: Final = 3

# --- distributions and targets -----------------------------------------------------------------------------------


def distributions(data: Data) -> list[Place]:
    """Where distributions, loads and service times stand that one span could stand for."""
    kinds = (*DISTRIBUTION_KINDS, "asr", "nmt", "tts")
    return [place for place, mapping in mappings(data) if place and any(key in mapping for key in kinds)]


def constants_at(data: Data, place: Place) -> Iterator[Data]:
    """The same with one span there."""
    for span in ("1s", "0s", "100ms", "5s"):
        yield with_value(data, place, span)


def targets(data: Data) -> list[Place]:
    """Where a fault or a line says to whom it happens, and does not name one alone."""
    found = []
    for place, mapping in mappings({key: data[key] for key in ("script", "faults") if key in data}):
        for key in ("nodes", "sessions"):
            if key in mapping and (mapping[key] == "all" or not isinstance(mapping[key], str)):
                found.append((*place, key))
    return found


def named_targets_at(data: Data, place: Place) -> Iterator[Data]:
    """The same with a single one named there."""
    for name in _names(data, str(place[-1])):
        yield with_value(data, place, name)


def _names(data: Data, section: str) -> list[str]:
    names = [name for group in data.get(section) or () for name in numbered(group)]
    if section == "sessions":
        for room in data.get("rooms") or ():
            people = [name for group in room.get("members") or () if "name" in group for name in numbered(group)]
            names += [f"{one}/{person}" for one in numbered(room) for person in people]
    return names


# --- single values -----------------------------------------------------------------------------------------------


def values(data: Data) -> list[Place]:
    """Where numbers, shares and spans stand that are no instants."""
    return [place for place, value in leaves(data) if place[-1] not in _INSTANTS and _is_number(place, value)]


def _is_number(place: Place, value: Any) -> bool:
    if isinstance(value, bool) or place in (("simroom",), ("seed",)):
        return False
    if isinstance(value, (int, float)):
        return True
    return isinstance(value, str) and (_SPAN.fullmatch(value) or _PERCENT.fullmatch(value)) is not None


def values_at(data: Data, place: Place) -> Iterator[Data]:
    """The same with plainer values there, plainest first; each is plainer than the one there is."""
    value = at(data, place)
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        plainer: list[Any] = [share for share in _ROUND_SHARES if share != value and value not in _ROUND_SHARES]
    elif isinstance(value, str):
        plainer = [format_duration(span) for span in _plainer_spans(parse_duration(value))]
    else:
        plainer = [number for number in range(_SMALL + 1) if number < value]
    for one in plainer:
        yield with_value(data, place, one)


def _plainer_spans(span: int) -> list[int]:
    """Spans that are plainer than this one: rounder, or as round and shorter."""
    near = [round_to for grid in _GRIDS for round_to in (span // grid * grid, -(-span // grid) * grid)]
    return [other for other in dict.fromkeys((*_ROUND_SPANS, *near)) if _plainness(other) < _plainness(span)]


def _plainness(span: int) -> tuple[int, int]:
    """Less is plainer: digits that are not zeros at the end first, then the length."""
    text = str(span).rstrip("0")
    return (len(text), span)


def with_usual_spans(data: Data) -> Data:
    """The same with every span in its usual unit: ``1s`` for ``1000ms``."""

    def usual(_place: Place, value: Any) -> Any:
        is_span = isinstance(value, str) and _SPAN.fullmatch(value)
        return format_duration(parse_duration(value)) if is_span else value

    result: Data = mapped(data, usual)
    return result


def in_order_of_time(data: Data) -> Data:
    """The same with lines, faults and events in the order of their instants, as far as these are plain."""

    def sorted_inside(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: sorted_inside(inner) for key, inner in value.items()}
        if not isinstance(value, list):
            return value
        items = [sorted_inside(item) for item in value]
        instants = [_read(item.get("at")) if isinstance(item, dict) else None for item in items]
        if None in instants:
            return items
        return [items[place] for place in sorted(range(len(items)), key=lambda place: instants[place] or 0)]

    result: Data = sorted_inside(data)
    return result


# --- instants ----------------------------------------------------------------------------------------------------


def instant_places(data: Data) -> list[Place]:
    """Where instants of the scenario stand."""
    return [place for place, value in leaves(data) if place[-1] in _INSTANTS and _read(value) is not None]


def instants(data: Data) -> list[int]:
    """Every instant that something is planned for, in order, each once, microseconds."""
    found = {_read(at(data, place)) for place in instant_places(data)}
    return sorted(instant for instant in found if instant is not None)


def instants_at(data: Data, place: Place) -> Iterator[Data]:
    """The same with a plainer instant there."""
    for instant in _plainer_spans(parse_duration(at(data, place))):
        yield with_value(data, place, format_duration(instant))


def rounded_instants(data: Data) -> Iterator[Data]:
    """The same with all instants on a grid, the coarsest first."""
    for grid in _GRIDS:
        yield _with_instants(data, lambda instant, grid=grid: instant // grid * grid)


def narrowed(data: Data, gap: int) -> Iterator[Data]:
    """The same with less time before one instant, and all later ones that much earlier.

    Args:
        data: The scenario.
        gap: Position among ``instants``.
    """
    all_of_them = instants(data)
    instant = all_of_them[gap]
    before = all_of_them[gap - 1] if gap else 0
    for shorter in _plainer_spans(instant - before):
        if shorter < instant - before:
            yield _with_instants(data, lambda other, by=instant - before - shorter: _earlier(other, instant, by))


def _earlier(instant: int, since: int, by: int) -> int:
    return instant - by if instant >= since else instant


def _with_instants(data: Data, change: Any) -> Data:
    def changed(place: Place, value: Any) -> Any:
        if place[-1] not in _INSTANTS:
            return value
        instant = _read(value)
        return value if instant is None else format_duration(change(instant))

    result: Data = mapped(data, changed)
    return result


def _read(value: Any) -> int | None:
    """An instant that stands there as such; None: it is drawn, or something else."""
    try:
        return parse_duration(value)
    except UnfitError:
        return None
