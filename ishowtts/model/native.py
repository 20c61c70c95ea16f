"""The description of a model that the native backend of the C core reads: numbers, and where the weights lie.

Importing this needs no torch, and neither does the backend.
"""

from __future__ import annotations

import dataclasses
import json

from ishowtts.folders import cache_dir

from . import calibration
from .compile import PRECISIONS as TORCH_PRECISIONS
from .compile import info
from .config import ModelConfig
from .source import ModelSource
from .weights import for_native

CALIBRATED = "int8-static"
"""The precision that needs a calibration (see calibration.py)."""
PRECISIONS = (*TORCH_PRECISIONS, "int8-dynamic", CALIBRATED)
"""What the native backend computes in."""


PACKED_BYTES = 32 << 20
"""Weights of a transformer whose packed form is kept in the cache folder; smaller ones are packed in a tenth of a second."""


def why_not(source: ModelSource) -> str | None:
    """None when the native backend can run this model, otherwise a sentence."""
    dit = source.config.dit
    if dit.qk_norm is not None or dit.long_skip_connection:
        return f"{source.config.name} has parts (qk_norm, long_skip_connection) that only torch runs."
    if dit.dim_head % 16 or dit.dim_head > 256:
        return f"The heads of {source.config.name} are {dit.dim_head} wide, which is no multiple of 16 up to 256."
    return None


def native_json(source: ModelSource, precision: str) -> str:
    """JSON for `ishow_native_open`; the model must be one that `why_not` has nothing against.

    ModelError when the precision needs a calibration and there is none, or when weights cannot be read.
    """
    source = for_native(source)
    config: ModelConfig = source.config
    dit = dataclasses.asdict(config.dit)
    dit["rope_heads"] = config.dit.heads if config.dit.pe_attn_head is None else config.dit.pe_attn_head
    duration = None
    if config.duration is not None and source.duration is not None:
        duration = {**dataclasses.asdict(config.duration), "file": str(source.duration)}
    content_hash, calibrated = source.content_hash(), None
    if precision == CALIBRATED:
        path = calibration.needed(source)
        calibrated = {"file": str(path), "model": content_hash}
        content_hash = calibration.content_hash(source, path)
    return json.dumps({
        "info": info(config, precision, content_hash),
        "calibration": calibrated,
        "dit": dit,
        "mel": {"mean": float(config.mel.mean), "std": float(config.mel.std)},
        "vocos": dataclasses.asdict(config.vocos),
        "duration": duration,
        "dit_file": str(source.dit),
        "vocos_file": str(source.vocos),
        "packed": str(cache_dir() / "packed") if source.dit.stat().st_size >= PACKED_BYTES else None,
    })  # fmt: skip
