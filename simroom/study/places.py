"""Places in a scenario's data: walking through it, and copies of it that are changed in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

Data = dict[str, Any]
Place = tuple[str | int, ...]
"""Keys and positions from the whole down to a value."""


def leaves(data: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value that is neither a mapping nor a list, with its place, in the order of the file."""
    for inner, value in _inside(data, place):
        if isinstance(value, (dict, list)):
            yield from leaves(value, inner)
        else:
            yield inner, value


def mappings(data: Any, place: Place = ()) -> Iterator[tuple[Place, Data]]:
    """Every mapping, with its place, outer ones first."""
    if isinstance(data, dict):
        yield place, data
    for inner, value in _inside(data, place):
        yield from mappings(value, inner)


def lists(data: Any, place: Place = ()) -> Iterator[tuple[Place, list[Any]]]:
    """Every list, with its place, outer ones first."""
    if isinstance(data, list):
        yield place, data
    for inner, value in _inside(data, place):
        yield from lists(value, inner)


def _inside(data: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*place, key), value
    elif isinstance(data, list):
        for position, value in enumerate(data):
            yield (*place, position), value


def at(data: Any, place: Place) -> Any:
    """The value at a place."""
    for step in place:
        data = data[step]
    return data


def there(data: Any, place: Place) -> bool:
    """Whether there is such a place."""
    try:
        at(data, place)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def with_value(data: Data, place: Place, value: Any) -> Data:
    """A copy with another value at a place."""
    copy = deepcopy(data)
    at(copy, place[:-1])[place[-1]] = value
    return copy


def without(data: Data, places: Iterable[Place]) -> Data:
    """A copy without what is at these places, none of which is inside another."""
    copy = deepcopy(data)
    # From the back, so that positions in lists stay what they were.
    for place in sorted(places, key=_order, reverse=True):
        del at(copy, place[:-1])[place[-1]]
    return copy


def _order(place: Place) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (-1, step) for step in place)


def mapped(data: Any, change: Callable[[Place, Any], Any], place: Place = ()) -> Any:
    """A copy with every value that is neither a mapping nor a list changed."""
    if isinstance(data, dict):
        return {key: mapped(value, change, (*place, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [mapped(value, change, (*place, position)) for position, value in enumerate(data)]
    return change(place, data)
