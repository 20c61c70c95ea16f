"""How much of a clip a speech recogniser understands.

The default is PocketSphinx with the English model inside its package. It hears far less than a person does, so its figures mean
something only beside those of real recordings. Any model of faster-whisper that a user has hears better: "whisper=FOLDER".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ishowtts.errors import ConfigError
from ishowtts.extras import require

from .clips import Samples, at_rate

RATE = 16000
Listener = Callable[[Samples, int], str]
"""Mono samples and their rate to what was heard, in lower case."""


@functools.cache
def _decoder() -> Any:
    return require("pocketsphinx", "word error rate").Decoder(samprate=RATE, loglevel="FATAL")


@functools.cache
def _whisper(place: str) -> Listener:
    package = require("faster_whisper", "a Whisper listener", "pip install faster-whisper")
    model = package.WhisperModel(place)

    def listen(samples: Samples, sample_rate: int) -> str:
        segments, _ = model.transcribe(at_rate(samples, sample_rate, RATE))
        return " ".join(segment.text.strip() for segment in segments).lower()

    return listen


def listener(name: str = "pocketsphinx") -> Listener:
    """Who listens: "pocketsphinx", or "whisper=MODEL" with the folder or name of a faster-whisper model."""
    kind, _, place = name.partition("=")
    if name == "pocketsphinx":
        _decoder()
        return transcribe
    if kind == "whisper" and place:
        return _whisper(place)
    raise ConfigError(f"listener must be pocketsphinx or whisper=MODEL, not {name!r}", field="listener")


def transcribe(samples: Samples, sample_rate: int) -> str:
    """What PocketSphinx hears, in lower case. Mono samples in -1..1. Not thread-safe."""
    wave = at_rate(samples, sample_rate, RATE)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr.lower() if heard else ""


def plain(text: str) -> str:
    """Words alone: lower case, no punctuation, hyphens as spaces."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " ").replace("’", "'")).split())


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def errors(text: str, heard: str) -> tuple[float, float]:
    """Word and character error rate of one clip; NaN for a text without words."""
    rates = []
    for a, b in ((plain(text).split(), plain(heard).split()), (plain(text), plain(heard))):
        rates.append(edits(a, b) / len(a) if a else float("nan"))
    return rates[0], rates[1]


def error_rates(texts: Sequence[str], heard: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Word and character error rate ("wer", "cer") over all sentences, each as (rate, low, high).

    The 95 % interval comes from 2,000 bootstrap samples of the sentences.
    """
    rng = np.random.default_rng(0)
    out: dict[str, tuple[float, float, float]] = {}
    for name in ("wer", "cer"):
        counts = []
        for text, other in zip(texts, heard, strict=True):
            a, b = (t.split() if name == "wer" else list(t) for t in (plain(text), plain(other)))
            counts.append((edits(a, b), len(a)))
        table = np.array(counts, np.float64)
        picks = table[rng.integers(len(table), size=(2000, len(table)))].sum(axis=1)
        rates = picks[:, 0] / picks[:, 1]
        low, high = np.percentile(rates, [2.5, 97.5])
        out[name] = (float(table[:, 0].sum() / table[:, 1].sum()), float(low), float(high))
    return out
