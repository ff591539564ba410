"""Errors of the models, told with place and in the words of the file."""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simroom.scenario.effective import in_order_of_telling
from simroom.scenario.fields import UnknownKeyError
from simroom.scenario.nearest import nearest
from simroom.scenario.overrides import item_at
from simroom.scenario.printable import quoted
from simroom.scenario.problems import Found, Place
from simroom.scenario.units import UnfitError
from simroom.scenario.yaml12 import DataPath, Document

TRANSLATED_MAX: Final = 1_000
"""Errors looked at; a file with more is mostly one mistake made often."""

LISTED_MAX: Final = 12
"""Where the nearest key is known, so many others are listed beside it, or none."""
NOTHING: Final = "nothing"
"""What is found where a key is missing."""

Location = tuple[str | int, ...]

_SIMPLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TRUTH: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_KINDS: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def found_in(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Found]:
    """What a model's validation says is wrong, except where reading the file has said so already."""
    details = error.errors(include_url=False)[:TRANSLATED_MAX]
    found = [_found(one, document, model) for one in details]
    # A key that was mistyped is both unknown and missing; its hint says it better than a second error.
    meant = {(*one.path[:-1], one.hint) for one in found if one is not None and one.hint and one.path}
    return [one for one in found if one is not None and not (one.found == NOTHING and one.path in meant)]


def _found(error: ErrorDetails, document: Document, model: type[BaseModel]) -> Found | None:
    location: Location = error["loc"]
    kind = error["type"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, UnfitError):
        location = (*location, *cause.inside)
    last_is_key = kind in ("missing", "extra_forbidden")
    path = walked(document.data, location[:-1] if last_is_key else location)
    if path in document.broken:
        return None
    if kind == "missing":
        return _missing(document, path, str(location[-1]))
    if kind == "extra_forbidden":
        keys = keys_at(model, location[:-1])
        unknown = UnknownKeyError(str(location[-1]), keys)
        return _unknown(document, (*path, location[-1]), unknown)
    if isinstance(cause, UnknownKeyError):
        return _unknown(document, (*path, cause.key), cause)
    place = place_of(document, path)
    if isinstance(cause, UnfitError):
        return Found(place, path, cause.found, cause.expected, cause.hint)
    raw = value_at(document.data, path)
    found, expected, hint = _worded(error, raw)
    return Found(place, path, found, expected, hint)


def _missing(document: Document, path: DataPath, key: str) -> Found:
    place = document.keys.get(path) or document.values.get(path) or Place(0, 1, 1, "")
    if key == "tgt_lang":
        return Found(
            place,
            (*path, key),
            NOTHING,
            "the language to translate into: nobody else here speaks or wants another one",
        )
    return Found(place, (*path, key), NOTHING, f"the key `{key}`")


def _unknown(document: Document, path: DataPath, unknown: UnknownKeyError) -> Found:
    place = document.keys.get(path) or place_of(document, path[:-1])
    hint = nearest(unknown.key, unknown.keys)
    many = hint is not None and len(unknown.keys) > LISTED_MAX
    return Found(place, path, unknown.found, "a key that is known here" if many else unknown.expected, hint)


def _worded(error: ErrorDetails, raw: object) -> tuple[str, str, str | None]:
    """What was found, what was expected and a hint, for errors that the models themselves do not word."""
    kind, context = error["type"], error.get("ctx", {})
    found = quoted(raw)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = context[name]
        share = isinstance(raw, str) and raw.endswith("%")
        return found, f"{words} {f'{bound * 100:g}%' if share else bound}", None
    if kind == "literal_error":
        words = str(context["expected"])
        choices = re.findall(r"'([^']*)'", words) or [words]
        hint = nearest(str(raw), choices) if isinstance(raw, str) else None
        return found, (words if len(choices) < 2 else "one of ") + ", ".join(choices) * (len(choices) > 1), hint
    if kind == "bool_type" and isinstance(raw, str):
        return found, _KINDS[kind], _TRUTH.get(raw.casefold())
    if kind in ("too_short", "too_long"):
        length = context["actual_length"]
        bound = context.get("min_length", context.get("max_length"))
        least = "at least" if kind == "too_short" else "at most"
        return f"{length} items", f"{least} {bound}", None
    if kind == "string_too_long":
        return f"{len(str(raw)):,} characters", f"at most {context['max_length']:,}", None
    return found, _KINDS.get(kind, error["msg"]), None


# --- places and paths --------------------------------------------------------------------------------------------


def walked(data: object, location: Location) -> DataPath:
    """The path in ``data`` of a model's error location.

    A location also names what is not in the file: the tag of a union, a field that a short form fills. Of all ways of
    leaving steps out, the one that goes deepest is meant.
    """
    if not location:
        return ()
    step, rest = location[0], location[1:]
    best: DataPath = ()
    if isinstance(data, dict) and isinstance(step, str) and step in data:
        best = (step, *walked(data[step], rest))
    elif isinstance(data, (list, tuple)) and isinstance(step, int) and 0 <= step < len(data):
        return (step, *walked(data[step], rest))
    if len(best) < len(location):
        without = walked(data, rest)
        better = len(without) == len(best) > 0 and without[-1] == location[-1] != best[-1]
        if len(without) > len(best) or better:
            return without
    return best


def value_at(data: Any, path: DataPath) -> object:
    """What stands at a path that is there."""
    for step in path:
        data = data[step]
    return data


def place_of(document: Document, path: DataPath) -> Place:
    """Where a value stands; where it stands nowhere, what holds it."""
    while path and path not in document.values:
        path = path[:-1]
    return document.values.get(path) or Place(0, 1, 1, "")


def shown(data: Any, path: DataPath) -> str:
    """A path as an override would say it: items of a list by name where the name is one word, else by position."""
    steps: list[str] = []
    current = data
    for step in path:
        if isinstance(step, int) and isinstance(current, (list, tuple)) and step < len(current):
            current = current[step]
            steps.append(_step_to(current, data_list=value_at(data, path[: len(steps)]), index=step))
        else:
            current = current.get(step) if isinstance(current, dict) else None
            steps.append(str(step))
    return ".".join(steps)


def _step_to(item: object, *, data_list: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    if isinstance(name, str) and _SIMPLE_NAME.fullmatch(name) and item_at(data_list, name) == index:
        return name
    return str(index)


# --- which keys a mapping may have -------------------------------------------------------------------------------


def keys_at(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """The keys that the model at this location knows, as a file writes them, the telling ones first."""
    current: Any = model
    for step in location:
        current = _inside(current, step)
    bare = _bare(current)
    if len(bare) != 1 or not isinstance(bare[0], type) or not issubclass(bare[0], BaseModel):
        return ()
    return in_order_of_telling(field.alias or name for name, field in bare[0].model_fields.items() if name != "kind")


def _inside(annotation: Any, step: str | int) -> Any:
    for option in _bare(annotation):
        origin = get_origin(option)
        if origin is tuple:
            return get_args(option)[0]
        if origin is dict:
            return get_args(option)[1]
        if isinstance(option, type) and issubclass(option, BaseModel):
            tags = {option.model_fields[name].default for name in ("kind", "model") if name in option.model_fields}
            if step in tags and len(_bare(annotation)) > 1:
                return option
            for name, field in option.model_fields.items():
                if step in (name, field.alias) and len(_bare(annotation)) == 1:
                    return field.annotation
    return annotation


def _bare(annotation: Any) -> list[Any]:
    """The types an annotation allows, without what is attached to them, and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for part in get_args(annotation) if part is not type(None) for one in _bare(part)]
    return [annotation]
