"""The description of a model for the native backend of the C core: its numbers and the paths of its weights.

Neither this module nor the backend needs torch.
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
"""The precision that needs a calibration (calibration.py)."""
PRECISIONS = (*TORCH_PRECISIONS, "int8-dynamic", CALIBRATED)
"""Precisions of the native backend."""


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

    ModelError: the precision needs a calibration that does not exist, or weights cannot be read; MissingPackage: a
    weight file must be converted first, which needs torch.
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
