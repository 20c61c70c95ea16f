"""How much of a clip a speech recogniser understands: PocketSphinx with the English model inside its package.

It hears far less than a person does, so its figures mean something only beside those of real recordings.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


@functools.cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=16000, loglevel="FATAL")


def resample(samples: npt.NDArray[np.float32], rate: int, to: int) -> npt.NDArray[np.float32]:
    """Mono samples at another rate, by a polyphase filter."""
    from scipy.signal import resample_poly

    common = math.gcd(rate, to)
    return np.asarray(resample_poly(samples, to // common, rate // common), np.float32)


def transcribe(samples: npt.NDArray[np.float32], sample_rate: int) -> str:
    """What PocketSphinx hears, in lower case. Mono samples in -1..1. Not thread-safe."""
    wave = resample(samples, sample_rate, 16000)
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
