"""Calibrations: the scales of activations that the precision int8-static multiplies with, one file a model.

A file is looked for in the cache folder, under the model's hash, and then beside the model's weights, as
`*.int8.safetensors`. `ishowtts quantize --calibrate` makes it. Importing this needs no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ishowtts.errors import ModelError
from ishowtts.folders import cache_dir

from .source import CALIBRATION_SUFFIX, ModelSource


def beside(source: ModelSource) -> Path:
    """Where a calibration lies that belongs to the model's folder."""
    return source.dit.with_suffix(CALIBRATION_SUFFIX)


def cached(source: ModelSource) -> Path:
    """Where this user keeps the calibration of a model."""
    return cache_dir() / "calibrations" / f"{source.config.name}-{source.content_hash()[:16]}{CALIBRATION_SUFFIX}"


def find(source: ModelSource) -> Path | None:
    """The calibration of a model; None: there is none. Whether it is of this model is seen when it is read."""
    return next((path for path in (cached(source), beside(source)) if path.is_file()), None)


def needed(source: ModelSource) -> Path:
    """The calibration of a model, or ModelError with the cure."""
    if (path := find(source)) is not None:
        return path
    raise ModelError(
        f"int8-static needs a calibration of the model, and there is none of {source.config.name} ({source.dit}): "
        "make one with `ishowtts quantize --calibrate --model …`.",
        status="ENOTFOUND",
        field="precision",
    )


def content_hash(source: ModelSource, calibration: Path) -> str:
    """64 hex digits of everything that decides what the calibrated model computes."""
    return hashlib.sha256(source.content_hash().encode() + calibration.read_bytes()).hexdigest()
