"""``--set key.path=value``: changes to a scenario's data before it is checked, with their own places for errors."""

from __future__ import annotations

from typing import Any

from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.problems import OVERRIDE, Found, Place
from simroom.scenario.yaml12 import DataPath, Document, read, refused_characters

_FORM = "key.path=value, for example rooms.standup.count=30"


def apply(document: Document, overrides: tuple[str, ...]) -> None:
    """Change ``document`` as each override says, in turn; what cannot be done is noted in ``document.found``.

    A path goes down by keys; an item of a list is named by its ``name`` or its position from 0. What is not there yet
    is made. The value is read as YAML: ``seed=7``, ``scheduler={ordering: strict, max_attempts: 1}``.
    """
    for position, override in enumerate(overrides):
        _apply_one(document, override, Place(position + 1, 1, 1, OVERRIDE + override))


def _apply_one(document: Document, override: str, start: Place) -> None:
    where, equals, text = override.partition("=")
    steps = where.split(".")
    if not equals or not all(step.strip() for step in steps):
        document.found.append(Found(start, "", quoted(override), _FORM))
        return
    bad = refused_characters(override, start.file, start.order)
    if bad:
        document.found.extend(bad)
        return
    value = read(text, start.file, start.order, column=len(where) + 2) if text.strip() else Document()
    document.found.extend(value.found)
    if value.fatal:
        return
    target = _target(document, steps, start)
    if target is None:
        return
    holder, path = target
    holder[path[-1]] = value.data
    _forget(document, path)
    document.keys[path] = start
    document.values[path] = start._replace(column=len(where) + 2)
    document.keys.update({(*path, *inner): place for inner, place in value.keys.items()})
    document.values.update({(*path, *inner): place for inner, place in value.values.items() if inner})
    document.broken.update((*path, *inner) for inner in value.broken)


def _forget(document: Document, path: DataPath) -> None:
    """Drop the places of the value that is being replaced; what was wrong with the file's own text stays wrong."""
    inside = [known for known in document.values if known[: len(path)] == path]
    for known in inside:
        document.values.pop(known, None)
        document.keys.pop(known, None)
        document.broken.discard(known)


def _target(document: Document, steps: list[str], start: Place) -> tuple[Any, DataPath] | None:
    """The mapping or list to change, and the whole path of what is changed in it; None, and a note, if impossible."""
    if not isinstance(document.data, dict):
        return None
    current: Any = document.data
    path: DataPath = ()
    column = 1
    for position, step in enumerate(steps):
        place = start._replace(column=column)
        column += len(step) + 1
        if isinstance(current, list):
            index = item_at(current, step)
            if index is None:
                names = item_names(current)
                expected = "one of " + ", ".join(quoted(name) for name in names[:20]) if names else "an item there is"
                hint = nearest(step, names)
                document.found.append(Found(place, ".".join(steps), quoted(step), expected, hint))
                return None
            key: str | int = index
        elif isinstance(current, dict):
            key = step
            if position < len(steps) - 1 and current.get(step) is None:
                current[step] = {}
                document.keys[(*path, step)] = document.values[(*path, step)] = place
        else:
            at = ".".join(steps[:position])
            document.found.append(
                Found(place, ".".join(steps), f"{quoted(current)} at {at}", "a mapping or a list to go down into")
            )
            return None
        path = (*path, key)
        if position < len(steps) - 1:
            current = current[key]
    return current, path


def item_at(items: list[Any], step: str) -> int | None:
    """Position of the item with this name, else of this number; None where there is neither."""
    for index, item in enumerate(items):
        if isinstance(item, dict) and item.get("name") == step:
            return index
    if step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(items):
        return int(step)
    return None


def item_names(items: list[Any]) -> list[str]:
    """Names of the items that have one, in order."""
    return [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
