"""The JSON Schema of scenario files, for editors: what a writer may write, short forms and units included.

Made from the models, so that it never says anything else than they do. What takes more than one value to judge
(references, instants beyond the end, one of two keys) is left to loading.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from simroom.scenario.descriptions import describe
from simroom.scenario.distributions import Constant, Lognormal
from simroom.scenario.faults import Action, RestartScheduler
from simroom.scenario.fields import Duration, Model, OneOf
from simroom.scenario.nodes import ColdStart, NodeGroup, SerialGpu, SteadyLoad, WholeService
from simroom.scenario.people import Drop, Leave, Member, SessionGroup, Speaker
from simroom.scenario.profiles import PROFILES
from simroom.scenario.schema import Expectation, Scenario
from simroom.scenario.script import OF_ONE_MEMBER, OfMember, ScriptLine
from simroom.scenario.speech import Silent
from simroom.scenario.targets import NAMES_SCHEMA, TARGETS_SCHEMA, Targets

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_FILLED_IN: Final[dict[type[BaseModel], frozenset[str]]] = {
    Speaker: frozenset({"speaks", "tgt_lang"}),
    Member: frozenset({"speaks", "tgt_lang"}),
    SessionGroup: frozenset({"speech"}),
    NodeGroup: frozenset({"service"}),
}
"""Fields that the models need and a file may leave out, because they follow from others."""
_LONG_OR: Final[dict[type[BaseModel], Any]] = {Drop: Duration, Leave: Duration, ColdStart: None}
"""Models that a file may write as a single value; None: as any distribution."""


def json_schema() -> Schema:
    """The schema of a scenario file (draft 2020-12)."""
    describe(Model)
    writer = _Writer()
    root = writer.mapping(Scenario)
    # Only with a script may sessions leave out when they speak.
    root |= {"if": {"required": ["script"]}, "else": {"properties": {"sessions": {"items": {"required": ["speech"]}}}}}
    return {"$schema": DRAFT, "title": "simroom scenario", **root, "$defs": dict(sorted(writer.definitions.items()))}


class _Writer:
    """Turns annotations into schemas; each model is defined once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def mapping(self, model: type[BaseModel], *, without: str = "kind") -> Schema:
        """A model as a mapping with its keys."""
        filled = _FILLED_IN.get(model, frozenset())
        properties: Schema = {}
        required: list[str] = []
        for name, field in model.model_fields.items():
            if name == without:
                continue
            key = field.alias or name
            properties[key] = self._field(field)
            if model is NodeGroup and name == "profile":
                properties[key] = {**properties[key], "anyOf": [{"enum": list(PROFILES)}, {"type": "null"}]}
            if model is ScriptLine and name in OF_ONE_MEMBER:
                properties[key] = {**properties[key], "anyOf": [*properties[key]["anyOf"], self._of_one_member(field)]}
            if field.is_required() and name not in filled:
                required.append(key)
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            schema["required"] = required
        return schema

    def _field(self, field: FieldInfo) -> Schema:
        schema = self._annotated(field.annotation, field.metadata)
        described: Schema = dict(schema)
        if field.description:
            described["description"] = " ".join(field.description.replace("`", "").split())
        return described

    def _annotated(self, annotation: Any, metadata: list[Any] | tuple[Any, ...]) -> Schema:
        given = [one.json_schema for one in metadata if isinstance(one, WithJsonSchema)]
        schema: Schema = dict(given[-1]) if given and given[-1] is not None else self._plain(annotation)
        for one in metadata:
            _constrain(schema, one)
        return schema

    def _plain(self, annotation: Any) -> Schema:
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *metadata = get_args(annotation)
            flat = [part for one in metadata for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
            return self._annotated(inner, flat)
        if origin in (Union, types.UnionType):
            return self._union(annotation)
        if origin is tuple:
            return {"type": "array", "items": self._plain(get_args(annotation)[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self._plain(get_args(annotation)[1])}
        if origin is Literal:
            return {"enum": list(get_args(annotation))}
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._model(annotation)
        if annotation is Expectation:
            return {"type": "string"}
        return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[annotation]}

    # --- models --------------------------------------------------------------------------------------------------

    def _model(self, model: type[BaseModel]) -> Schema:
        name = model.__name__.removeprefix("_")
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._definition(model)
        return {"$ref": f"#/$defs/{name}"}

    def _definition(self, model: type[BaseModel]) -> Schema:
        if model is Silent:
            return {"const": "none"}
        if model is Lognormal:
            return self._lognormal()
        if model is WholeService:
            return self._field(WholeService.model_fields["span"])
        if model is Targets:
            return TARGETS_SCHEMA
        schema = self.mapping(model)
        if doc := (model.__doc__ or "").partition("\n")[0]:
            schema["description"] = doc
        if issubclass(model, OneOf):
            return self._one_key(model, schema)
        if issubclass(model, Action):
            return self._action(model, schema)
        if model in _LONG_OR:
            single = _LONG_OR[model]
            other = self._plain(single) if single is not None else self._field(ColdStart.model_fields["asr"])
            return {"anyOf": [schema, other, {"type": "null"}] if single is not None else [schema, other]}
        return schema

    def _one_key(self, model: type[OneOf], inner: Schema) -> Schema:
        """``{kind: {...}}``, or ``{kind: value}`` where one value says it all."""
        kind = model.model_fields["kind"].default
        value = inner
        single = model.bare or model.short
        if single is not None:
            value = {"anyOf": [self._field(model.model_fields[single]), inner]}
        outer: Schema = {
            "type": "object",
            "properties": {kind: value},
            "required": [kind],
            "additionalProperties": False,
        }
        return outer if "required" in inner else {"anyOf": [outer, {"const": kind}]}

    def _action(self, model: type[Action], inner: Schema) -> Schema:
        """What happens, as a mapping, or in short where one value says it all."""
        if model is RestartScheduler:
            return {"anyOf": [inner, {"type": "null"}]}
        if model.short is None or len(inner["required"]) > 1:
            return inner
        field = model.model_fields[model.short]
        if field.annotation is not Targets:
            return {"anyOf": [self._field(field), inner]}
        self.definitions["Names"] = NAMES_SCHEMA
        return {"anyOf": [{"$ref": "#/$defs/Names"}, inner]}

    def _of_one_member(self, field: FieldInfo) -> Schema:
        """What happens to sessions, said of the one ``member``."""
        (model,) = (one for one in get_args(field.annotation) if one is not type(None))
        inner = self.mapping(model)
        properties = {"member" if key == "sessions" else key: value for key, value in inner["properties"].items()}
        properties["member"] = self._field(OfMember.model_fields["member"])
        required = ["member" if key == "sessions" else key for key in inner["required"]]
        return {**inner, "properties": properties, "required": required}

    def _lognormal(self) -> Schema:
        span, number = self._plain(Duration), {"type": "number", "minimum": 0}
        properties = {"median": span, "mean": span, "sigma": number, "cv": number, "p95": span, "p99": span}
        inner: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        inner["minProperties"] = inner["maxProperties"] = 2
        inner["description"] = "median or mean, and one of sigma, cv, p95, p99"
        return {
            "type": "object",
            "properties": {"lognormal": inner},
            "required": ["lognormal"],
            "additionalProperties": False,
        }

    def _union(self, annotation: Any) -> Schema:
        parts = get_args(annotation)
        options = [part for part in parts if part is not type(None)]
        if Constant in options and "Distribution" not in self.definitions:
            self.definitions["Distribution"] = {}
            self.definitions["Distribution"] = self._union(annotation)
        if Constant in options and self.definitions["Distribution"]:
            return {"$ref": "#/$defs/Distribution"}
        schemas = [self._plain(option) for option in options]
        if Constant in options:
            schemas.insert(0, self._plain(Duration))
        if SteadyLoad in options:
            schemas.insert(0, self._field(SteadyLoad.model_fields["load"]))
        if SerialGpu in options:
            schemas.append({"enum": ["serial", "shared", "batching"]})
        if type(None) in parts:
            gpus = any(SerialGpu in get_args(get_args(option)[0]) for option in options if get_origin(option))
            schemas.append({"enum": ["none", None]} if gpus else {"type": "null"})
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _constrain(schema: Schema, constraint: object) -> None:
    """Add a bound to a schema of a plain number, text or list; elsewhere the bound is left to loading."""
    numeric = schema.get("type") in ("integer", "number")
    match constraint:
        case annotated_types.Ge(ge=bound) if numeric:
            schema["minimum"] = bound
        case annotated_types.Gt(gt=bound) if numeric:
            schema["exclusiveMinimum"] = bound
        case annotated_types.Le(le=bound) if numeric:
            schema["maximum"] = bound
        case annotated_types.Lt(lt=bound) if numeric:
            schema["exclusiveMaximum"] = bound
        case annotated_types.MinLen(min_length=least) if schema.get("type") == "array":
            schema["minItems"] = least
        case annotated_types.MaxLen(max_length=most):
            key = {"array": "maxItems", "string": "maxLength"}.get(str(schema.get("type")))
            if key is not None:
                schema[key] = most
