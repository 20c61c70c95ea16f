"""JSON to a checked request: anything a client can get wrong is told by field, limit and value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from .faults import Fault

Model = TypeVar("Model", bound=BaseModel)
_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a whole number", float: "a number"}
_WANTED = {"string": "a string", "integer": "a whole number", "number": "a number", "boolean": "a boolean", "object": "an object"}


def parse(body: bytes, model: type[Model], name: str = "The body") -> Model:
    """The checked request in `body`; Fault 400 says what is wrong with it."""
    return check(load(body, name), model)


def load(body: bytes, name: str = "The body") -> dict[str, Any]:
    """The JSON object in `body`."""
    value = _load(body, name)
    if not isinstance(value, dict):
        raise Fault(400, "invalid_type", f"{name} must be a JSON object, not {type_name(value)}.")
    return value


def check(value: Mapping[str, Any], model: type[Model]) -> Model:
    """The same for a value that is an object already."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, model) from None


def _load(body: bytes, name: str) -> Any:
    try:
        text = body.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_bounded
        )
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:
        why = str(error)
    raise Fault(400, "malformed_json", f"{name} is not JSON: {why}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(n for n in names if names.count(n) > 1)[:64]} is there twice")
    for text in [*made, *(value for value in made.values() if isinstance(value, str))]:
        if "\0" in text:
            raise ValueError("NUL is not allowed")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError("half of a surrogate pair is no character")
    return made


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("a number is too big")
    # JSON has one kind of number: 7.0 is as whole as 7.
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _bounded(text: str) -> int:
    if len(text) > 20:
        raise ValueError("a number is too big")
    return int(text)


def type_name(value: Any) -> str:
    """What a JSON value is, in words."""
    return _NAMES.get(type(value), "null")


@cache
def _properties(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    properties = model.model_json_schema()["properties"]
    for node in properties.values():
        node.update(next((arm for arm in node.pop("anyOf", []) if arm.get("type") != "null"), {}))
        if "const" in node:
            node["enum"] = [node["const"]]
    return dict(properties)


def _explain(error: ValidationError, model: type[BaseModel]) -> Fault:
    fault = error.errors()[0]
    field, kind, value = str(fault["loc"][0]), fault["type"], fault["input"]
    properties = _properties(model)
    node = properties.get(field, {})
    if kind == "extra_forbidden":
        return Fault(400, "unknown_field", f"There is no field of this name; fields are {', '.join(properties)}.", field)
    if kind == "missing":
        return Fault(400, "missing_field", f"The field {field} is needed.", field)
    if kind == "literal_error" and isinstance(value, type(node["enum"][0])) and not isinstance(value, bool):
        choices = ", ".join(str(choice) for choice in node["enum"])
        if isinstance(value, str):
            return Fault(400, "unsupported", f'{field} must be one of: {choices}; not "{value[:64]}".', field)
        return Fault(400, "out_of_range", f"{field} must be one of {choices}, not {value}.", field)
    if kind in ("string_too_short", "string_too_long"):
        limits = f"{node['minLength']} to {node['maxLength']}"
        return Fault(400, "out_of_range", f"{field} must have {limits} characters, not {len(value)}.", field)
    if kind in ("greater_than_equal", "less_than_equal"):
        limits = f"between {_number(node['minimum'])} and {_number(node['maximum'])}"
        return Fault(400, "out_of_range", f"{field} must be {limits}, not {_number(value)}.", field)
    if kind == "value_error":
        return Fault(400, "out_of_range", f"{field} {fault['ctx']['error']}.", field)
    wanted = _WANTED.get(node["type"], node["type"])
    return Fault(400, "invalid_type", f"{field} must be {wanted}, not {type_name(value)}.", field)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"
