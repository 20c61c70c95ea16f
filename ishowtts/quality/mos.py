"""Predicted naturalness of speech, a mean opinion score from 1 to 5.

DistillMOS is the default; DNSMOS and UTMOS as TorchScript can be used too. All are optional packages. DistillMOS uses
only Python code of torchaudio, whose wheels have CUDA libraries that do not load with a CPU build of torch; there its
extension is replaced by an empty module.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ishowtts.errors import ConfigError
from ishowtts.extras import MissingPackage, require, require_torch

from .clips import Samples, at_rate

RATE = 16000
DISTILLMOS = (
    "pip install --no-deps distillmos xls_r_sqa torchaudio "
    "(it is not part of the extra: its own list of packages asks for another torch)"
)
DNSMOS = "pip install speechmos onnxruntime librosa"


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
    except ModuleNotFoundError as error:
        raise MissingPackage(f"naturalness by DistillMOS needs the package {error.name}: {DISTILLMOS}") from None


@functools.cache
def _distillmos() -> Callable[[Samples], float]:
    with contextlib.redirect_stdout(None):  # it prints the path of its weights
        network = _import_distillmos().ConvTransformerSQAModel().eval()
    import torch

    def judge(wave: Samples) -> float:
        with torch.inference_mode():
            return float(network(torch.from_numpy(wave)[None]).squeeze())

    return judge


@functools.cache
def _dnsmos() -> Callable[[Samples], float]:
    what = "naturalness by DNSMOS"
    for module in ("onnxruntime", "librosa"):
        require(module, what, DNSMOS)
    package = require("speechmos.dnsmos", what, DNSMOS)

    def judge(wave: Samples) -> float:
        return float(package.run(wave.clip(-1, 1), RATE)["ovrl_mos"])

    return judge


@functools.cache
def _utmos(place: str) -> Callable[[Samples], float]:
    require_torch("naturalness by UTMOS")
    import torch

    if not Path(place).is_file():
        raise ConfigError(f"mos: there is no file {place}", status="ENOTFOUND", field="mos")
    try:
        network = torch.jit.load(place, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ConfigError(f"mos: {place} is not TorchScript: {str(error).splitlines()[0]}", field="mos") from None

    def judge(wave: Samples) -> float:
        with torch.inference_mode():
            return float(network(torch.from_numpy(wave)[None]).mean())

    return judge


def judge(name: str = "distillmos") -> Callable[[Samples, int], float]:
    """A function from mono samples and their rate in Hz to a score from 1 to 5, NaN for clips under 0.1 s.

    `name`: "distillmos", "dnsmos", or "utmos=FILE" with a TorchScript file that takes samples [1, n] at 16 kHz.
    ConfigError: the name or the file is wrong; MissingPackage: a package is missing.
    """
    kind, _, place = name.partition("=")
    if name == "distillmos":
        judged = _distillmos()
    elif name == "dnsmos":
        judged = _dnsmos()
    elif kind == "utmos" and place:
        judged = _utmos(place)
    else:
        raise ConfigError(f"mos must be distillmos, dnsmos or utmos=FILE, not {name!r}", field="mos")

    def opinion(samples: Samples, sample_rate: int) -> float:
        wave = at_rate(samples, sample_rate, RATE)
        return judged(wave) if len(wave) >= RATE // 10 else math.nan

    return opinion


def available() -> bool:
    """Whether DistillMOS is installed and can be loaded."""
    try:
        _distillmos()
    except (ImportError, OSError, MissingPackage):
        return False
    return True


def opinion(samples: Samples, sample_rate: int) -> float:
    """The score of mono samples by DistillMOS; errors as `judge`."""
    return judge()(samples, sample_rate)
