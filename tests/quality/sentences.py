"""Shared by the tests of quality: nine sentences, the folder of the embedded voice, a clip with other samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ishowtts
from ishowtts.quality.clips import Clip

DEMO = Path(ishowtts.__file__).parent / "voices" / "demo"
RECORDING = Path(__file__).parent.parent / "recording.flac"  # of a person; its words are in recording.txt
SENTENCES = (
    "Welcome back to the stream.", "This boss has killed you nine times already.", "Nobody had lit its lamp for years.",
    "The birds had made it their own.", "Tonight we will try the last level again.",
    "A light was seen from the harbor.",
    "He turned sharply and faced them.", "The old house stood at the end of the road.",
    "She was not able to say who had done it.",
)  # fmt: skip


def changed(clip: Clip, samples: np.ndarray, name: str = "changed") -> Clip:
    return Clip(name, np.ascontiguousarray(samples, np.float32), clip.rate, clip.text)
