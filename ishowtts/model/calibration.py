"""Calibrations: files with the fixed activation scales of the precision int8-static, one for each model.

`ishowtts quantize --calibrate` writes them. They are looked for in the cache folder, under the model's hash, then
beside the model's weights as `*.int8.safetensors`. This module needs no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ishowtts.errors import ModelError
from ishowtts.folders import cache_dir

from .source import CALIBRATION_SUFFIX, ModelSource


def beside(source: ModelSource) -> Path:
    """The path of a calibration beside the model's weights; the file may not exist."""
    return source.dit.with_suffix(CALIBRATION_SUFFIX)


def cached(source: ModelSource) -> Path:
    """The path of a calibration in this user's cache folder; the file may not exist."""
    return cache_dir() / "calibrations" / f"{source.config.name}-{source.content_hash()[:16]}{CALIBRATION_SUFFIX}"


def find(source: ModelSource) -> Path | None:
    """The calibration file of a model, None where there is none. The native backend checks that it fits the model."""
    return next((path for path in (cached(source), beside(source)) if path.is_file()), None)


def needed(source: ModelSource) -> Path:
    """The calibration file of a model. ModelError with status ENOTFOUND: there is none; it says how to make one."""
    if (path := find(source)) is not None:
        return path
    raise ModelError(
        f"int8-static needs a calibration of the model, and there is none of {source.config.name} ({source.dit}): "
        "make one with `ishowtts quantize --calibrate --model …`.",
        status="ENOTFOUND",
        field="precision",
    )


def content_hash(source: ModelSource, calibration: Path) -> str:
    """SHA-256 of the model and its calibration as 64 hex digits: equal where both compute the same."""
    return hashlib.sha256(source.content_hash().encode() + calibration.read_bytes()).hexdigest()
