"""What may stand at a key, looked up in the JSON schema, and what is wrong with what stands there."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError
from ..model import recipe
from ..model.compile import DEFAULT_PRECISION
from ..voices import VOICE_ID
from .reading import Keys, shown
from .sections import DEVICE, KNOWN, PRECISION


def node_at(schema: dict[str, Any], keys: Iterable[str]) -> dict[str, Any] | None:
    """The part of a JSON schema that describes the value at `keys`, references resolved; None: there is no such key."""
    node: dict[str, Any] = schema
    for key in keys:
        following = node.get("items") if key.isdecimal() else node.get("properties", {}).get(key)
        following = following or node.get("additionalProperties")  # of a table with keys of the user's own
        if not following:
            return None
        node = copy.copy(following)
        for arm in node.get("anyOf", []):
            if arm.get("type") != "null":
                node |= arm
        if "$ref" in node:
            node |= schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _expected(node: Mapping[str, Any]) -> str:
    """What a field may be, in words."""
    if "enum" in node:
        return f"one of {', '.join(node['enum'])}"
    if "const" in node:
        return str(node["const"])
    kind = str(node.get("type"))
    if kind in ("integer", "number"):
        name = "a whole number" if kind == "integer" else "a number"
        return (
            f"{name} from {node['minimum']:g} to {node['maximum']:g}"
            if kind == "number"
            else (f"{name} from {node['minimum']} to {node['maximum']}")
        )
    if node.get("pattern") == VOICE_ID:
        return "made of letters, digits, '.', '_' and '-', at most 64"
    if node.get("pattern") == PRECISION:
        return f"one of {', '.join((DEFAULT_PRECISION, *KNOWN))}, {recipe.PREFIX}FILE"
    if node.get("pattern") == DEVICE:
        return "auto, cpu, cuda or cuda:N"
    return {
        "boolean": "true or false",
        "string": "a text that is not empty",
        "array": "a list",
        "object": "a table",
    }.get(kind, kind)


def explain(
    error: ValidationError, schema: dict[str, Any], places: Mapping[Keys, str], file: Path | None
) -> ConfigError:
    """A ConfigError with one sentence about the first fault that validation found.

    `places`: where each setting was set, from which the sentence takes its beginning; `file`: what it begins with
    otherwise.
    """
    fault = error.errors()[0]
    keys = tuple(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])
        if found := re.match(r"(\w+)\b", message):  # the field that the sentence is about
            keys += (found[1],)
    else:
        name = shown(keys)
        if fault["type"] == "extra_forbidden":
            siblings = list((node_at(schema, keys[:-1]) or {}).get("properties", {}))
            near = difflib.get_close_matches(keys[-1], siblings, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(siblings)}"
            message = f"{name} is unknown; {hint}"
        elif fault["type"] == "missing":
            message = f"{name} is missing"
        else:
            given = "" if keys[-1] in ("api_key", "token", "code") else f", not {_value(fault['input'])}"
            message = f"{name} must be {_expected(node_at(schema, keys) or {})}{given}"
    near_places = [places[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in places]
    near_places += [place for written, place in places.items() if written[: len(keys)] == keys]
    place = near_places[0] if near_places else str(file or "")
    return ConfigError(f"{place}: {message}" if place else message, field=shown(keys))


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
