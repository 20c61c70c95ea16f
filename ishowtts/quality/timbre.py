"""Pitch error and mel-cepstral distortion between a clip and a recording of the same words.

Frames are aligned by dynamic time warping. F0 is estimated by YIN (de Cheveigné and Kawahara 2002). The distortion is
that of Kubichek (1993): cepstra 1 to 13 of the log-mel spectrum, in dB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ishowtts import _audio

from .clips import Clip

RATE, HOP, MELS, CEPSTRA = 24000, 256, 80, 13
YIN_FRAME = 2048
YIN_THRESHOLD = 0.15
"""YIN's normalised difference above which a frame has no pitch."""
F0_MIN, F0_MAX = 60.0, 500.0
SLIP = 600.0
"""Difference of pitch, in cents, from which it is an octave error of the tracker."""
Array = NDArray[np.float64]


def aperiodicity(clip: Clip) -> tuple[Array, Array]:
    """YIN's normalised difference [frames, lags], column k for a lag of k + 1 samples, and the energies [frames]."""
    x = np.pad(clip.at(RATE).astype(np.float64), YIN_FRAME // 2)
    half = YIN_FRAME // 2
    frames = np.lib.stride_tricks.sliding_window_view(x, YIN_FRAME)[::HOP]
    # Squared difference of the first half of a frame and the frame `lag` samples later.
    size = 2 * YIN_FRAME
    correlation = np.fft.irfft(np.fft.rfft(frames, size) * np.fft.rfft(frames[:, :half], size).conj(), size)[:, :half]
    energy = np.concatenate((np.zeros((len(frames), 1)), np.cumsum(frames**2, axis=1)), axis=1)
    windows = energy[:, half : 2 * half] - energy[:, :half]
    difference = np.maximum(windows[:, :1] + windows - 2 * correlation, 0)
    lags = np.arange(1, half)
    mean = np.cumsum(difference[:, 1:], axis=1) / lags
    return difference[:, 1:] / np.maximum(mean, 1e-12), windows[:, 0]


def f0(clip: Clip) -> Array:
    """Pitch in Hz [frames], one for each hop of 256 samples at 24 kHz with centred frames; 0 where there is none."""
    half = YIN_FRAME // 2
    normal, energy = aperiodicity(clip)
    low, high = int(RATE / F0_MAX), min(int(RATE / F0_MIN) + 1, half - 2)
    pitch = np.zeros(len(normal))
    for i, row in enumerate(normal):
        under = np.flatnonzero(row[low - 1 : high] < YIN_THRESHOLD)
        if len(under) == 0 or energy[i] < half * 1e-8:
            continue
        k = low - 1 + int(under[0])
        while k + 1 < high and row[k + 1] < row[k]:
            k += 1
        a, b, c = row[k - 1], row[k], row[k + 1]
        curve = a - 2 * b + c
        pitch[i] = RATE / (k + 1 + (0.5 * (a - c) / curve if curve > 0 else 0.0))
    return pitch


def cepstra(clip: Clip) -> Array:
    """Mel cepstra 1 to 13 [frames, 13]: c_m of L(mel) = c_0 + Σ c_m cos(m mel), L: natural log of the magnitude."""
    log_mel = np.asarray(_audio.mel(clip.at(RATE), RATE, 1024, HOP, MELS), np.float64)
    m, n = np.arange(1, CEPSTRA + 1)[:, None], np.arange(MELS)[None]
    return log_mel @ (2 / MELS * np.cos(np.pi * m * (n + 0.5) / MELS)).T


def warp(a: Array, b: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Dynamic time warping of frames [n, d] and [m, d] by Euclidean distance: indices into both along the path."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    cost = np.sqrt(np.maximum(squares, 0))
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for d in range(2, n + m + 1):  # cells of an anti-diagonal do not depend on one another
        i = np.arange(max(1, d - m), min(n, d - 1) + 1)
        j = d - i
        before = np.minimum(np.minimum(total[i - 1, j], total[i, j - 1]), total[i - 1, j - 1])
        total[i, j] = cost[i - 1, j - 1] + before
    path = []
    i, j = n, m
    while i and j:
        path.append((i - 1, j - 1))
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: total[step])
    rows, columns = np.array(path[::-1]).T
    return rows, columns


def distortion(clip: Clip, reference: Clip) -> float:
    """Mel-cepstral distortion in dB between two clips of the same words; 0 for equal clips."""
    return cepstral_distance(cepstra(clip), cepstra(reference))


def cepstral_distance(a: Array, b: Array) -> float:
    """Mel-cepstral distortion in dB from cepstra [n, 13] and [m, 13]."""
    i, j = warp(a, b)
    return float(10 / np.log(10) * np.sqrt(2) * np.linalg.norm(a[i] - b[j], axis=1).mean())


def f0_error(clip: Clip, reference: Clip) -> float:
    """Root mean square difference of pitch in cents over aligned frames that have pitch in both clips; NaN: none.

    Differences over half an octave are left out, because they are octave errors of the tracker.
    """
    i, j = warp(cepstra(clip), cepstra(reference))
    one, other = f0(clip), f0(reference)
    a, b = one[np.minimum(i, len(one) - 1)], other[np.minimum(j, len(other) - 1)]
    voiced = (a > 0) & (b > 0)
    cents = 1200 * np.log2(a[voiced] / b[voiced])
    cents = cents[np.abs(cents) < SLIP]
    return float(np.sqrt(np.mean(cents**2))) if len(cents) else float("nan")
