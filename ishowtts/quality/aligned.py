"""Distances between two clips with the same timing: PESQ, STOI and the multi-resolution STFT distance.

They compare a vocoder, precision or backend with another one, where both should give the same waveform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ishowtts.extras import require

from .clips import Clip, Samples

RATE = 16000
LAG_SECONDS = 0.05
"""Largest shift between two clips of the same take, in seconds."""
SAME_WAVE, SAME_LEVEL = 0.3, 0.8
"""Correlation of waveforms, or of levels over time, from which two clips are of the same take."""
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""Windows and hops of the STFT distance, in samples at 24 kHz."""


def _level(x: Samples, rate: int) -> NDArray[np.float64]:
    """RMS of each 10 ms, less its mean, at unit norm."""
    size = rate // 100
    level: NDArray[np.float64] = np.sqrt(
        (x[: len(x) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    )
    level -= level.mean()
    level /= max(float(np.linalg.norm(level)), 1e-12)
    return level


def align(clip: Clip, reference: Clip, rate: int = RATE) -> tuple[Samples, Samples] | None:
    """Both clips at `rate` Hz, shifted by up to 50 ms and cut to their common part; None: they are different takes.

    They are of the same take where their waveforms correlate or, since a vocoder may change phases, their levels.
    """
    a, b = clip.at(rate), reference.at(rate)
    most = int(LAG_SECONDS * rate)
    if min(len(a), len(b)) <= 2 * most or abs(len(a) - len(b)) > 2 * most:
        return None
    size = 1 << (len(a) + len(b)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size).conj(), size)
    lags = np.concatenate((np.arange(most + 1), np.arange(-most, 0)))
    lag = int(lags[np.argmax(correlation[lags])])
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    same_wave = norm > 0 and correlation[lag] >= SAME_WAVE * norm
    if same_wave:
        a, b = (a[lag:], b) if lag >= 0 else (a, b[-lag:])
    n = min(len(a), len(b))
    a, b = np.ascontiguousarray(a[:n]), np.ascontiguousarray(b[:n])
    return (a, b) if same_wave or float(_level(a, rate) @ _level(b, rate)) >= SAME_LEVEL else None


def pesq(clip: Clip, reference: Clip) -> float:
    """Wide-band PESQ (ITU-T P.862.2), 1.04 to 4.64; NaN for clips of different takes or without speech.

    MissingPackage: pesq is not installed.
    """
    package = require("pesq", "PESQ")
    pair = align(clip, reference)
    if pair is None:
        return float("nan")
    try:
        return float(package.pesq(RATE, pair[1], pair[0], "wb"))
    except package.NoUtterancesError:
        return float("nan")


def stoi(clip: Clip, reference: Clip) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), 0 to 1; NaN for clips of different takes.

    MissingPackage: pystoi is not installed.
    """
    package = require("pystoi", "STOI")
    pair = align(clip, reference)
    return float("nan") if pair is None else float(package.stoi(pair[1], pair[0], RATE))


def _magnitude(x: Samples, size: int, hop: int) -> NDArray[np.float64]:
    padded = np.pad(x.astype(np.float64), size // 2, mode="reflect")
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(size) / size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    out: NDArray[np.float64] = np.maximum(np.abs(np.fft.rfft(frames * window)), 1e-7)
    return out


def stft_distance(clip: Clip, reference: Clip) -> float:
    """Multi-resolution STFT distance (Yamamoto et al. 2020); NaN for clips of different takes.

    The mean over three resolutions of spectral convergence plus mean absolute difference of log-magnitudes.
    """
    pair = align(clip, reference, 24000)
    if pair is None:
        return float("nan")
    total = 0.0
    for size, hop in RESOLUTIONS:
        a, b = _magnitude(pair[0], size, hop), _magnitude(pair[1], size, hop)
        total += float(np.linalg.norm(b - a) / np.linalg.norm(b)) + float(np.abs(np.log(a) - np.log(b)).mean())
    return total / len(RESOLUTIONS)
