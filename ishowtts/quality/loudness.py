"""Loudness after EBU R 128 (ITU-R BS.1770)."""

from __future__ import annotations

import functools
from typing import Any

from ishowtts.extras import require

from .clips import Clip

BLOCK = 0.4
"""Length of a measuring block in seconds; a shorter clip has no loudness."""


@functools.cache
def _meter(rate: int) -> Any:
    return require("pyloudnorm", "loudness").Meter(rate, block_size=BLOCK)


def integrated(clip: Clip) -> float:
    """Integrated loudness in LUFS; -inf for silence, NaN for a clip of up to 0.4 s.

    MissingPackage: pyloudnorm is not installed.
    """
    meter = _meter(clip.rate)
    if clip.seconds <= BLOCK:
        return float("nan")
    return float(meter.integrated_loudness(clip.samples.astype("float64")))
