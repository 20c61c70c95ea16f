"""Whether the syllables of Mandarin carry their tones: the contour of pitch in each, beside one that is right.

A contour is the pitch of a syllable's voiced part at five points, against the middle of the clip's pitch and in units
of its spread. In connected speech neighbours bend a tone far from its textbook shape, so the better judge is the same
sentence by the same speaker, read by a teacher; the shapes of Chao's tone letters serve where there is none, for
careful speech. Pitch is followed through a clip by dynamic programming over the aperiodicity that YIN measures (as
pYIN does; Mauch and Dixon 2014), so a creaking third tone keeps a track.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import timbre
from .clips import Clip
from .timbre import Array

BINS = 48
"""Steps of pitch in an octave."""
APERIODIC = 0.45
"""Aperiodicity above which a frame has no pitch on the track."""
JUMP = 0.02
"""Cost of a step of pitch between two frames, in units of aperiodicity."""
REACH = 6
"""Steps of pitch that a track may take in a frame."""
LATE = 2
"""Frames by which YIN is behind: it compares the first half of a frame with what follows."""
POINTS = 5
ONSET = 0.2
"""Part of a syllable that is left out: its initial, and the way from the tone before."""
LEAST = 3
"""Frames with pitch that a contour needs."""
LEAST_SPREAD = 0.1
"""Octaves that count as the spread of a clip's pitch at least: a monotone clip has no contours."""
AGREES = 0.25
"""Difference within which two contours are of one tone; of planted wrong tones a third are within it."""
LEVEL = 0.25
"""Weight of the height of a contour beside its shape: a phrase is now higher, now lower."""
SHAPES = {
    "1": (0.5, 0.5, 0.5, 0.5, 0.5),
    "2": (-0.4, -0.4, -0.1, 0.3, 0.7),
    "3": (-0.6, -0.9, -1.2, -1.2, -1.0),
    "4": (1.0, 0.8, 0.3, -0.4, -1.0),
}
"""Contours of the four tones after Chao (55, 35, 21, 51)."""


class Span(NamedTuple):
    """A syllable with its tone digit ("hao3"), and where it is, in seconds."""

    syllable: str
    start: float
    end: float


def track(clip: Clip) -> Array:
    """Pitch in Hz of each hop of 256 samples at 24 kHz, as in `timbre.f0` but continuous; 0 where there is none."""
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
    """Pitch at five points, in deviations of `pitch` (a whole clip's) from its median; None without voice."""
    start = span.start + ONSET * (span.end - span.start)
    first, last = (round(t * timbre.RATE / timbre.HOP) for t in (start, span.end))
    inside = np.flatnonzero(pitch[first:last] > 0)
    if len(inside) < LEAST:
        return None
    octaves = np.log2(pitch[pitch > 0])
    points = np.interp(np.linspace(inside[0], inside[-1], POINTS), inside, np.log2(pitch[first:last][inside]))
    return np.asarray((points - np.median(octaves)) / max(float(octaves.std()), LEAST_SPREAD))


def distance(a: Array, b: Array) -> float:
    """Root mean square difference of two contours, their difference in height weighed by LEVEL."""
    apart = a - b
    height = float(apart.mean())
    return float(np.sqrt(((apart - height) ** 2).mean() + (LEVEL * height) ** 2))


def nearest(shape: Array) -> str:
    """The tone "1" to "4" whose shape a contour is nearest to."""
    return min(SHAPES, key=lambda tone: distance(shape, np.array(SHAPES[tone])))


def right(clip: Clip, spans: Sequence[Span]) -> list[bool]:
    """For each syllable with a contour and one of the four tones, whether it is nearest to that tone's shape."""
    pitch = track(clip)
    found = [(span.syllable[-1], contour(pitch, span)) for span in spans if span.syllable[-1] in SHAPES]
    return [nearest(shape) == tone for tone, shape in found if shape is not None]


def carried(spans: Sequence[Span], teacher: Clip, clip: Clip) -> list[Span]:
    """Where the spans of a teacher's reading are in another reading of the text, by dynamic time warping."""
    theirs, ours = timbre.warp(timbre.cepstra(teacher), timbre.cepstra(clip))
    step = timbre.HOP / timbre.RATE
    seconds = np.interp([t for span in spans for t in (span.start, span.end)], theirs * step, ours * step)
    return [Span(span.syllable, *seconds[2 * k : 2 * k + 2].tolist()) for k, span in enumerate(spans)]


def like_teacher(clip: Clip, spans: Sequence[Span], teacher: Clip, teacher_spans: Sequence[Span]) -> list[bool]:
    """For each syllable with a contour in both readings, whether they agree; neutral ones are left out."""
    pitch, theirs = track(clip), track(teacher)
    out = []
    for span, other in zip(spans, teacher_spans, strict=True):
        if span.syllable[-1] not in SHAPES:
            continue
        a, b = contour(pitch, span), contour(theirs, other)
        if a is not None and b is not None:
            out.append(distance(a, b) <= AGREES)
    return out
