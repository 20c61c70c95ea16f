"""Artifacts of a clip: what the detectors of the C core measure, compared with limits that recordings stay within."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from ishowtts import _audio

from .clips import Samples

DC_MAX = 0.02
"""Mean of the samples above which a clip has an offset; that of speech is below 0.01."""
HOLE_SECONDS_MAX = 0.05
"""Seconds of spectral holes above which they are a fault; speech has a frame or two that look like one."""
NARROW = 0.6
"""Share of half the sampling rate below which the bandwidth of a clip is too narrow."""


class Artifacts(TypedDict):
    """The measurements of all detectors: `ishow_audio_faults` and `ishow_audio_artifacts` of csrc/audio/audio.h."""

    non_finite: int
    clipped: int
    silent: bool
    dc: float
    rms: float
    peak: float
    clicks: int
    dropouts: int
    gaps: int
    first_click: float | None
    first_repeat: float | None
    dropout_seconds: float
    longest_gap: float
    hole_seconds: float
    repeat_seconds: float
    bandwidth: float
    end_level: float
    early_end: bool


def find(samples: Samples, sample_rate: int) -> Artifacts:
    """Measure mono samples at a rate in Hz. AudioError: the rate is out of range."""
    x = np.ascontiguousarray(samples, np.float32)
    faults, found = _audio.check(x, sample_rate), _audio.artifacts(x, sample_rate)
    return Artifacts(
        non_finite=faults["non_finite"], clipped=faults["clipped"], silent=faults["silent"], dc=faults["dc"],
        rms=faults["rms"], peak=faults["peak"], **found,
    )  # fmt: skip


def faults(found: Artifacts, sample_rate: int) -> list[str]:
    """Names of the faults of a clip, the worst first; [] where there are none."""
    narrow = 0 < found["bandwidth"] < NARROW * sample_rate / 2
    wrong = {
        "not finite": found["non_finite"] > 0,
        "silent": found["silent"],
        "dropout": found["dropouts"] > 0,
        "early end": found["early_end"],
        "gap": found["gaps"] > 0,
        "repeat": found["repeat_seconds"] > 0,
        "hole": found["hole_seconds"] > HOLE_SECONDS_MAX,
        "click": found["clicks"] > 0,
        "clipped": found["clipped"] > 0,
        "offset": abs(found["dc"]) > DC_MAX,
        "narrow": narrow,
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]
