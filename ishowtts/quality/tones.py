"""Mandarin tones: which tone a syllable is heard with, from the pitch of its clip.

A classifier learns what the tones of a speaker are from clips with known syllables, such as those of a teacher, and
then names the tones of other clips. In connected speech a tone depends on its neighbours and on the place in the
phrase, so a syllable is described by its contour (the pitch of its voiced part at six points), by the pitch beside it
and by the mean around it. Pitch is relative to the median of the speaker's clips and in units of their standard
deviation, so that a classifier carries over to another speaker with the same habits.

The pitch is tracked by dynamic programming over YIN's aperiodicity, as in pYIN (Mauch and Dixon 2014), so that a
creaky third tone still has a contour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ishowtts.text.mandarin import TONES

from . import timbre
from .clips import Clip
from .timbre import Array

BINS = 48
"""Pitch bins in an octave."""
APERIODIC = 0.45
"""Aperiodicity above which a frame has no pitch."""
JUMP = 0.02
"""Cost of moving by one pitch bin between two frames, in units of aperiodicity."""
REACH = 6
"""Largest move between two frames, in pitch bins."""
LATE = 2
"""Frames by which YIN's pitch is late, since it compares the first half of a frame with later samples."""
POINTS = 6
"""Number of points of a contour."""
ONSET = 0.3
"""Share at the beginning of a syllable that is left out: its initial and the transition from the tone before."""
LEAST = 2
"""Smallest number of frames with pitch for a contour."""
PAUSE = 0.2
"""Seconds between two syllables from which they are no neighbours."""
AROUND = 3
"""Syllables on either side whose pitch counts as that of the phrase."""
DECAY = 1e-3
"""Weight of the squared coefficients against the mean loss of a syllable."""
STEPS = 600
"""Steps of the accelerated gradient descent; the loss changes by less than 0.001 in the last hundred."""


class Span(NamedTuple):
    """A syllable with its tone digit, "hao3", and its start and end in seconds."""

    syllable: str
    start: float
    end: float


class Voiced(NamedTuple):
    """A clip's pitch in Hz [frames], as `track` gives it, and the syllables in it."""

    pitch: Array
    spans: Sequence[Span]


def track(clip: Clip) -> Array:
    """Pitch in Hz [frames], as `timbre.f0` but tracked continuously; 0 where there is none."""
    normal, energy = timbre.aperiodicity(clip)
    steps = int(np.log2(timbre.F0_MAX / timbre.F0_MIN) * BINS) + 1
    hz = timbre.F0_MIN * 2 ** (np.arange(steps) / BINS)
    lags = timbre.RATE / hz - 1  # column k of `normal` is lag k + 1
    low = np.floor(lags).astype(int)
    part = lags - low
    cost = normal[:, low] * (1 - part) + normal[:, low + 1] * part
    total, came = cost[0].copy(), np.zeros(cost.shape, np.int64)
    shifts = np.arange(-REACH, REACH + 1)
    for i in range(1, len(cost)):
        padded = np.pad(total, REACH, constant_values=np.inf)
        ways = np.stack([padded[REACH + s : REACH + s + steps] + JUMP * abs(s) for s in shifts])
        best = ways.argmin(axis=0)
        came[i] = np.clip(np.arange(steps) + shifts[best], 0, steps - 1)
        total = cost[i] + ways[best, np.arange(steps)]
    at = np.empty(len(cost), np.int64)
    at[-1] = int(total.argmin())
    for i in range(len(cost) - 1, 0, -1):
        at[i - 1] = came[i, at[i]]
    loud = energy > 1e-3 * np.percentile(energy, 95)
    voiced = loud & (cost[np.arange(len(cost)), at] < APERIODIC)
    return np.concatenate((np.where(voiced, hz[at], 0.0)[LATE:], np.zeros(LATE)))


class _Contour(NamedTuple):
    points: Array
    voiced: float
    start: float
    end: float


def _contour(pitch: Array, span: Span) -> _Contour | None:
    """Octaves of a syllable at POINTS points of its time, and the share of its frames with pitch; None: unvoiced."""
    start = span.start + ONSET * (span.end - span.start)
    first, last = (round(t * timbre.RATE / timbre.HOP) for t in (start, span.end))
    inside = np.flatnonzero(pitch[first:last] > 0)
    if len(inside) < LEAST:
        return None
    points = np.interp(np.linspace(0, last - first - 1, POINTS), inside, np.log2(pitch[first:last][inside]))
    return _Contour(points, len(inside) / (last - first), span.start, span.end)


def _beside(own: _Contour, other: _Contour | None, points: Sequence[int]) -> list[float]:
    """Pitch of a neighbour at some of its points, and 0; zeros and 1 where there is none."""
    gap = np.inf if other is None else max(own.start - other.end, other.start - own.end)
    if other is None or gap > PAUSE:
        return [0.0] * len(points) + [1.0]
    return [*other.points[list(points)].tolist(), 0.0]


def features(clips: Sequence[Voiced]) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """What describes the syllables of one speaker's clips that have a contour: [n, d], their tones and clips [n].

    A tone is an index into TONES, a clip an index into `clips`. ValueError: no clip has pitch.
    """
    octaves = [np.log2(clip.pitch[clip.pitch > 0]) for clip in clips]
    if not sum(map(len, octaves)):
        raise ValueError("there is no pitch in the clips")
    every = np.concatenate(octaves)
    middle, spread = float(np.median(every)), max(float(every.std()), 1e-3)
    rows, tones, places = [], [], []
    for place, clip in enumerate(clips):
        found = [_contour(clip.pitch, span) for span in clip.spans]
        found = [c and c._replace(points=(c.points - middle) / spread) for c in found]
        for k, own in enumerate(found):
            if own is None:
                continue
            near = [c.points.mean() for c in found[max(0, k - AROUND) : k + AROUND + 1] if c is not None]
            rows.append(
                [
                    *own.points,
                    *_beside(own, found[k - 1] if k else None, (0, POINTS // 2, POINTS - 1)),
                    *_beside(own, found[k + 1] if k + 1 < len(found) else None, (0, POINTS // 3, POINTS - 1)),
                    float(np.mean(near)),
                    own.voiced,
                    float(np.log(own.end - own.start)),
                ]
            )
            tones.append(TONES.index(clip.spans[k].syllable[-1]))
            places.append(place)
    return np.array(rows), np.array(tones, np.int64), np.array(places, np.int64)


class Classifier:
    """Names the tones of syllables: multinomial logistic regression on their features."""

    def __init__(self, clips: Sequence[Voiced]) -> None:
        """Learns from one speaker's clips. ValueError: no clip has pitch."""
        x, tones, _ = features(clips)
        self._mean, self._scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        x = self._prepared(x)
        right = np.eye(len(TONES))[tones]
        rate = 1 / (np.linalg.norm(x, 2) ** 2 / len(x) / 2 + DECAY)
        weights = ahead = np.zeros((x.shape[1], len(TONES)))
        momentum = 1.0
        for _ in range(STEPS):
            slope = x.T @ (_softmax(x @ ahead) - right) / len(x) + DECAY * ahead
            before, weights = weights, ahead - rate * slope
            last, momentum = momentum, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = weights + (last - 1) / momentum * (weights - before)
        self._weights = weights

    def _prepared(self, x: Array) -> Array:
        return np.column_stack(((x - self._mean) / self._scale, np.ones(len(x))))

    def heard(self, clips: Sequence[Voiced]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(tone that is heard, tone of the span, index of the clip), [n] each, of the syllables with a contour.

        Tones are indices into TONES. ValueError: no clip has pitch.
        """
        x, tones, places = features(clips)
        return (self._prepared(x) @ self._weights).argmax(axis=1), tones, places


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    shares: Array = e / e.sum(axis=1, keepdims=True)
    return shares
