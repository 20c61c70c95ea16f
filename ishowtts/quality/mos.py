"""Predicted naturalness of speech: DistillMOS, a small network that judges one clip on the scale 1 to 5.

It is an optional package. It imports torchaudio for plain PyTorch code alone; the wheels of torchaudio hold CUDA
libraries that do not load beside a CPU build of torch, so there its extension is left out.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt

from .intelligibility import resample


def _import_distillmos() -> Any:
    try:
        return importlib.import_module("distillmos")
    except OSError:
        for name in [n for n in sys.modules if n.split(".")[0] in ("torchaudio", "distillmos")]:
            del sys.modules[name]
        extension = types.ModuleType("torchaudio._extension")
        extension.__dict__.update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda f: f
        )
        sys.modules["torchaudio._extension"] = extension
        return importlib.import_module("distillmos")


@functools.cache
def _network() -> Any:
    net = _import_distillmos().ConvTransformerSQAModel()
    return net.eval()


def available() -> bool:
    """Whether DistillMOS is installed and loads."""
    try:
        _import_distillmos()
    except (ImportError, OSError):
        return False
    return True


def opinion(samples: npt.NDArray[np.float32], sample_rate: int) -> float:
    """Predicted mean opinion score of mono samples."""
    import torch

    wave = torch.from_numpy(resample(samples, sample_rate, 16000))
    with torch.inference_mode():
        return float(_network()(wave[None]).squeeze())
