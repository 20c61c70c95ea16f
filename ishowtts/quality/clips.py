"""Clips of speech: reading, decoding and resampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ishowtts import _audio
from ishowtts.errors import VoiceError

Samples = NDArray[np.float32]
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
CLIP_SECONDS = 3600.0
"""Longest file that is read, in seconds."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono samples in [-1, 1] at `rate` Hz, with a name and the words that are said, None: unknown."""

    name: str
    samples: Samples = field(repr=False)
    rate: int
    text: str | None = None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Samples:
        """The samples at another rate in Hz, as `at_rate`."""
        return at_rate(self.samples, self.rate, rate)


def at_rate(samples: Samples, rate: int, to: int) -> Samples:
    """Resample n mono samples from `rate` to `to` Hz; there are round(n * to / rate) of them."""
    samples = np.ascontiguousarray(samples, np.float32)
    return samples if rate == to else np.asarray(_audio.resample(samples, rate, to))


def decode(data: bytes, name: str, text: str | None = None) -> Clip:
    """A clip from the bytes of an audio file. VoiceError, which begins with `name`: it cannot be decoded."""
    try:
        samples, rate = _audio.decode(data, min_seconds=0, max_seconds=CLIP_SECONDS, max_bytes=1 << 30)
    except _audio.AudioError as error:
        raise VoiceError(f"{name}: {error}", status=error.status, field="audio") from None
    return Clip(name, np.asarray(samples), rate, text)


def read(path: Path, text: str | None = None) -> Clip:
    """A clip from an audio file; `text` None: the words are in the file beside it with the suffix .txt, if any.

    VoiceError: a file cannot be read or decoded.
    """
    try:
        data = path.read_bytes()
        beside = path.with_suffix(".txt")
        if text is None and beside.is_file():
            text = beside.read_text(encoding="utf-8").strip()
    except OSError as error:
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EIO"
        raise VoiceError(f"{path} cannot be read: {error.strerror}", status=status, field="audio") from None
    return decode(data, path.stem, text)
