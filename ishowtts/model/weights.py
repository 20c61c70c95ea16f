"""Weight files for the native backend, which reads safetensors with plain names.

Another file is converted once, without running code from it, and kept in the cache folder under its hash. Only the
conversion needs torch.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import struct
from pathlib import Path

from ishowtts.errors import ModelError
from ishowtts.extras import require_torch
from ishowtts.folders import cache_dir

from .source import ModelSource, file_hash
from .tensor_names import plain_name

_NATIVE_PREFIXES = ("ema_model.transformer.", "ema_model.", "transformer.", "")
"""Prefixes that the native backend removes from names itself (csrc/model/safetensors.c)."""

logger = logging.getLogger("ishowtts")


def for_native(source: ModelSource) -> ModelSource:
    """The same model with weight files that the native backend can read.

    ModelError: a file has no weights or cannot be converted; MissingPackage: a conversion needs torch, which is not
    installed.
    """
    dit, vocos = (path if _is_plain(path) else _converted(path) for path in (source.dit, source.vocos))
    return source if (dit, vocos) == (source.dit, source.vocos) else dataclasses.replace(source, dit=dit, vocos=vocos)


def _is_plain(path: Path) -> bool:
    """Whether a file is safetensors with names that the native backend reads; also True for damaged ones.

    The backend reports what is wrong with a damaged file.
    """
    if path.suffix != ".safetensors":
        return False
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            names = json.loads(file.read(min(size, 1 << 27)))
    except (OSError, ValueError, struct.error):
        return True
    return all(_native_name(name) == plain_name(name) for name in names if name != "__metadata__")


def _native_name(name: str) -> str:
    return name.removeprefix(next(prefix for prefix in _NATIVE_PREFIXES if name.startswith(prefix)))


def _converted(path: Path) -> Path:
    out = cache_dir() / "weights" / f"{file_hash(path).hex()}.safetensors"
    if out.is_file():
        return out
    require_torch(f"{path.name} has to be converted once, which")
    from safetensors.torch import save_file

    from .checkpoint import read_state

    state = {name: value.contiguous().clone() for name, value in read_state(path).items()}
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ModelError(
            f"{path} could not be converted into {out.parent}: {error}.", status="EIO", field="model"
        ) from error
    logger.info("Converted %s to %s; later runs read the converted file.", path, out)
    return out
