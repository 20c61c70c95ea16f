"""Recipes: a format for each product of a transformer's blocks, for the native backend; precision "recipe:FILE".

A recipe is a JSON object from patterns to formats, the last pattern that matches counts:

    {"*": "int8", "*.out": "bf16", "0.*": "fp32", "5.ff?": "int4/64"}

Products are named BLOCK.NAME: `qkv` (queries, keys and values), `out` (output of attention), `ff1` and `ff2` (the
feed-forward). Formats: "fp32"; "bf16"; "int8", 8-bit weights and activations (as in int8-dynamic); "intN/GROUP", N from
2 to 8: weights alone, GROUP neighbouring weights of a column with a scale and a zero point. These are rounded when the
model is loaded and then multiplied in bf16: they show what a format costs in quality, and have the speed and memory of
bf16. This module needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from ishowtts.errors import ModelError

PREFIX = "recipe:"
PRODUCTS = ("qkv", "out", "ff1", "ff2")
"""Products of a block, in the order of csrc/model/native.h."""
_FORMAT = re.compile(r"fp32|bf16|int8|int[2-8]/[1-9]\d{0,4}")


def _refuse(why: str) -> ModelError:
    return ModelError(why, status="EINVAL", field="precision")


def read(path: Path) -> dict[str, str]:
    """The patterns and formats of a file. ModelError: it cannot be read, or is no recipe."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"The recipe {path} cannot be read: {error.strerror}.", status="ENOTFOUND", field="precision"
        ) from None
    except ValueError as error:
        raise _refuse(f"The recipe {path} is no JSON: {error}.") from None
    if not isinstance(found, dict) or not found:
        raise _refuse(f"The recipe {path} must be an object from patterns to formats.")
    for pattern, name in found.items():
        if not isinstance(name, str) or not _FORMAT.fullmatch(name):
            raise _refuse(f"{path}: {pattern} must be fp32, bf16, int8 or intN/GROUP such as int4/64, not {name!r}.")
    return found


def formats(recipe: Mapping[str, str], depth: int) -> list[str]:
    """The format of each product of each block, [depth * 4]. ModelError: a pattern matches none, or none matches."""
    names = [f"{block}.{product}" for block in range(depth) for product in PRODUCTS]
    made = dict.fromkeys(names, "")
    for pattern, name in recipe.items():
        matched = [product for product in names if fnmatchcase(product, pattern)]
        if not matched:
            raise _refuse(f"The recipe's pattern {pattern} matches no product: they are {names[0]} to {names[-1]}.")
        made |= dict.fromkeys(matched, name)
    if missing := [product for product, name in made.items() if not name]:
        raise _refuse(f"The recipe has no format for {missing[0]}; begin it with a pattern for all, *.")
    return list(made.values())


def content_hash(model: str, made: list[str]) -> str:
    """SHA-256 of a model's hash and its formats as 64 hex digits: equal where both compute the same."""
    return hashlib.sha256(json.dumps([model, made]).encode()).hexdigest()
