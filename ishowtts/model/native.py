"""The description of a model for the native backend of the C core: its numbers and the paths of its weights.

Neither this module nor the backend needs torch.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ishowtts.folders import cache_dir

from . import calibration, recipe
from .compile import PRECISIONS as PACKAGE_PRECISIONS
from .compile import info
from .config import ModelConfig
from .source import ModelSource
from .weights import for_native

CALIBRATED = "int8-static"
"""The precision that needs a calibration (calibration.py)."""
PRECISIONS = (*PACKAGE_PRECISIONS, "int8-dynamic", CALIBRATED)
"""Precisions of the native backend that have a name of their own."""


def is_known(precision: str) -> bool:
    """Whether it is one of `PRECISIONS` or "recipe:FILE" (recipe.py)."""
    return precision in PRECISIONS or (precision.startswith(recipe.PREFIX) and precision != recipe.PREFIX)


PACKED_BYTES = 32 << 20
"""Size of a transformer's weights, in bytes, from which the packed weights are kept in the cache folder."""


def why_not(source: ModelSource) -> str | None:
    """Why the native backend cannot run a model, as a sentence; None where it can."""
    dit = source.config.dit
    if dit.qk_norm is not None or dit.long_skip_connection:
        return f"{source.config.name} has parts (qk_norm, long_skip_connection) that only torch runs."
    if dit.dim_head % 16 or dit.dim_head > 256:
        return f"The heads of {source.config.name} are {dit.dim_head} wide, which is no multiple of 16 up to 256."
    return None


def native_json(source: ModelSource, precision: str) -> str:
    """The JSON that `ishow_native_open` takes, for a model for which `why_not` is None.

    `precision`: `is_known`. ModelError: it needs a calibration that does not exist, its recipe cannot be used, or
    weights cannot be read; MissingPackage: a
    weight file must be converted first, which needs torch.
    """
    files = for_native(source)
    config: ModelConfig = source.config
    dit = dataclasses.asdict(config.dit)
    dit["rope_heads"] = config.dit.heads if config.dit.pe_attn_head is None else config.dit.pe_attn_head
    duration = None
    if config.duration is not None and source.duration is not None:
        duration = {**dataclasses.asdict(config.duration), "file": str(source.duration)}
    content_hash, calibrated, products = source.content_hash(), None, None
    if precision.startswith(recipe.PREFIX):
        path = Path(precision.removeprefix(recipe.PREFIX)).expanduser()
        precision, products = recipe.PREFIX[:-1], recipe.formats(recipe.read(path), config.dit.depth)
        content_hash = recipe.content_hash(content_hash, products)
    if precision == CALIBRATED:
        path = calibration.needed(source)
        calibrated = {"file": str(path), "model": content_hash}
        content_hash = calibration.content_hash(source, path)
    return json.dumps({
        "info": info(config, precision, content_hash),
        "calibration": calibrated,
        "recipe": products,
        "dit": dit,
        "mel": {"mean": float(config.mel.mean), "std": float(config.mel.std)},
        "vocos": dataclasses.asdict(config.vocos),
        "duration": duration,
        "dit_file": str(files.dit),
        "vocos_file": str(files.vocos),
        "packed": str(cache_dir() / "packed") if files.dit.stat().st_size >= PACKED_BYTES else None,
    })  # fmt: skip
