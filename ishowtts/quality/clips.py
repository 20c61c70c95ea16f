"""Clips of speech: read from files, brought to a rate."""

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
"""The longest file that is read."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono samples in [-1, 1] with a name, and what is said in them where that is known."""

    name: str
    samples: Samples = field(repr=False)
    rate: int
    text: str | None = None

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Samples:
        """The samples at another rate, in Hz."""
        return at_rate(self.samples, self.rate, rate)


def at_rate(samples: Samples, rate: int, to: int) -> Samples:
    """Mono samples at another rate, in Hz; their number is round(n * to / rate)."""
    samples = np.ascontiguousarray(samples, np.float32)
    return samples if rate == to else np.asarray(_audio.resample(samples, rate, to))


def decode(data: bytes, name: str, text: str | None = None) -> Clip:
    """A clip from the bytes of an audio file; VoiceError, field "audio", names it when it cannot be used."""
    try:
        samples, rate = _audio.decode(data, min_seconds=0, max_seconds=CLIP_SECONDS, max_bytes=1 << 30)
    except _audio.AudioError as error:
        raise VoiceError(f"{name}: {error}", status=error.status, field="audio") from None
    return Clip(name, np.asarray(samples), rate, text)


def read(path: Path, text: str | None = None) -> Clip:
    """A clip from a file; its text, unless given, is that of the file beside it that ends in .txt."""
    try:
        data = path.read_bytes()
        beside = path.with_suffix(".txt")
        if text is None and beside.is_file():
            text = beside.read_text(encoding="utf-8").strip()
    except OSError as error:
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EIO"
        raise VoiceError(f"{path} cannot be read: {error.strerror}", status=status, field="audio") from None
    return decode(data, path.stem, text)
