"""Mandarin tones: the pitch contour of each syllable is compared with a correct one.

A contour is the pitch of a syllable's voiced part at five points, relative to the median and in units of the standard
deviation of the clip's pitch. In connected speech a tone depends on its neighbours, so the best reference is the same
sentence read by a teacher with the same speaker; without one, the shapes of Chao's tone letters suit careful speech.
The pitch is tracked by dynamic programming over YIN's aperiodicity, as in pYIN (Mauch and Dixon 2014), so that a
creaky third tone still has a contour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
POINTS = 5
"""Number of points of a contour."""
ONSET = 0.2
"""Share at the beginning of a syllable that is left out: its initial and the transition from the tone before."""
LEAST = 3
"""Smallest number of frames with pitch for a contour."""
LEAST_SPREAD = 0.1
"""Lower bound, in octaves, of the standard deviation by which pitch is divided."""
AGREES = 0.25
"""Largest distance of two contours of the same tone; a third of deliberately wrong tones are within it."""
LEVEL = 0.25
"""Weight of the height of a contour against its shape, since phrases differ in height."""
SHAPES = {
    "1": (0.5, 0.5, 0.5, 0.5, 0.5),
    "2": (-0.4, -0.4, -0.1, 0.3, 0.7),
    "3": (-0.6, -0.9, -1.2, -1.2, -1.0),
    "4": (1.0, 0.8, 0.3, -0.4, -1.0),
}
"""Contours of the four tones after Chao (55, 35, 21, 51)."""


class Span(NamedTuple):
    """A syllable with its tone digit, "hao3", and its start and end in seconds."""

    syllable: str
    start: float
    end: float


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


def contour(pitch: Array, span: Span) -> Array | None:
    """The contour of a syllable [POINTS], in standard deviations of `pitch`, that of the clip; None: unvoiced."""
    start = span.start + ONSET * (span.end - span.start)
    first, last = (round(t * timbre.RATE / timbre.HOP) for t in (start, span.end))
    inside = np.flatnonzero(pitch[first:last] > 0)
    if len(inside) < LEAST:
        return None
    octaves = np.log2(pitch[pitch > 0])
    points = np.interp(np.linspace(inside[0], inside[-1], POINTS), inside, np.log2(pitch[first:last][inside]))
    return np.asarray((points - np.median(octaves)) / max(float(octaves.std()), LEAST_SPREAD))


def distance(a: Array, b: Array) -> float:
    """Root mean square difference of two contours, in which their mean difference is weighted by LEVEL."""
    difference = a - b
    height = float(difference.mean())
    return float(np.sqrt(((difference - height) ** 2).mean() + (LEVEL * height) ** 2))


def nearest(shape: Array) -> str:
    """The tone "1" to "4" whose shape is nearest to a contour."""
    return min(SHAPES, key=lambda tone: distance(shape, np.array(SHAPES[tone])))


def right(clip: Clip, spans: Sequence[Span]) -> list[bool]:
    """Whether the nearest tone is the right one, for each syllable of tone 1 to 4 that has a contour."""
    pitch = track(clip)
    found = [(span.syllable[-1], contour(pitch, span)) for span in spans if span.syllable[-1] in SHAPES]
    return [nearest(shape) == tone for tone, shape in found if shape is not None]


def carried(spans: Sequence[Span], teacher: Clip, clip: Clip) -> list[Span]:
    """The spans of a teacher's reading in another reading of the same text, by dynamic time warping."""
    theirs, ours = timbre.warp(timbre.cepstra(teacher), timbre.cepstra(clip))
    step = timbre.HOP / timbre.RATE
    seconds = np.interp([t for span in spans for t in (span.start, span.end)], theirs * step, ours * step)
    return [Span(span.syllable, *seconds[2 * k : 2 * k + 2].tolist()) for k, span in enumerate(spans)]


def like_teacher(clip: Clip, spans: Sequence[Span], teacher: Clip, teacher_spans: Sequence[Span]) -> list[bool]:
    """Whether both readings agree, for each syllable of tone 1 to 4 with a contour in both."""
    pitch, theirs = track(clip), track(teacher)
    out = []
    for span, other in zip(spans, teacher_spans, strict=True):
        if span.syllable[-1] not in SHAPES:
            continue
        a, b = contour(pitch, span), contour(theirs, other)
        if a is not None and b is not None:
            out.append(distance(a, b) <= AGREES)
    return out
