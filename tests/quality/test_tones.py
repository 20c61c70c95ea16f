"""Mandarin tones, on synthetic contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ishowtts.quality.clips import Clip
from ishowtts.quality.tones import SHAPES, Span, carried, contour, distance, like_teacher, nearest, right, track

RATE = 24000
SYLLABLE, GAP = 0.25, 0.06


def sung(tones: str, base: float = 180.0, syllable: float = SYLLABLE, seed: int = 0) -> tuple[Clip, list[Span]]:
    """A pulse train that follows the tones at `base` Hz, with noise for initials; and the places of the syllables."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = [np.zeros(RATE // 10)]
    spans, at = [], 0.1
    for i, tone in enumerate(tones):
        parts.append(0.02 * rng.standard_normal(int(GAP * RATE)))
        n = int(syllable * RATE)
        shape = np.interp(np.linspace(0, 4, n), range(5), SHAPES[tone]) * 4  # 4 semitones are one of its units
        phase = 2 * np.pi * np.cumsum(base * 2 ** (shape / 12)) / RATE
        harmonics = sum(np.sin(k * phase + i) / k * (1 + 0.5 * np.cos(k * (1 + i % 3))) for k in range(1, 12))
        parts.append(0.1 * harmonics * np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 200))
        spans.append(Span(f"ma{tone}", at, at + GAP + syllable))
        at += GAP + n / RATE
    parts.append(np.zeros(RATE // 10))
    return Clip(tones, np.concatenate(parts).astype(np.float32), RATE), spans


@pytest.mark.parametrize("base", [95.0, 180.0, 260.0])
def test_synthetic_tones_are_right(base: float) -> None:
    clip, spans = sung("1234421331", base)
    assert right(clip, spans) == [True] * 10
    other = {"1": "ma2", "2": "ma3", "3": "ma4", "4": "ma1"}
    assert not any(right(clip, [span._replace(syllable=other[span.syllable[-1]]) for span in spans]))


def test_a_track_follows_glides_and_knows_noise() -> None:
    t = np.arange(RATE) / RATE
    hz = 130 * 2 ** (0.6 * np.sin(2 * np.pi * t))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    clip = Clip("glide", (0.1 * sum(np.sin(k * phase) / k for k in range(1, 9))).astype(np.float32), RATE)
    found = track(clip)
    middle = slice(6, -6)
    expected = hz[np.minimum(np.arange(len(found)) * 256, len(hz) - 1)][middle]
    assert np.abs(12 * np.log2(found[middle] / expected)).max() < 0.6
    noise = Clip("noise", 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32), RATE)
    assert (track(noise) > 0).mean() < 0.1
    assert not track(Clip("nothing", np.zeros(RATE, np.float32), RATE)).any()
    assert contour(track(noise) * 0, Span("ma1", 0.2, 0.5)) is None


def test_contours_compare_shapes_before_heights() -> None:
    shapes = {tone: np.array(values) for tone, values in SHAPES.items()}
    assert all(nearest(shape) == nearest(shape * 0.7 + 0.2) == tone for tone, shape in shapes.items())
    assert distance(shapes["4"], shapes["4"] + 0.5) < 0.5 * distance(shapes["4"], shapes["2"])


def by_teacher(read: str, taught: Sequence[str], syllable: float) -> list[bool]:
    teacher, spans = sung("".join(taught))
    clip, _ = sung(read, 170.0, syllable, 1)
    return like_teacher(clip, carried(spans, teacher, clip), teacher, spans)


def test_a_reading_is_compared_with_the_teachers() -> None:
    assert by_teacher("13424", "13424", 0.31) == [True] * 5, "slower, and a little lower"
    assert by_teacher("13124", "13424", 0.25) == [True, True, False, True, True]
    assert by_teacher("43121", "13424", 0.25)[0::2] == [False, False, False]


def test_neutral_syllables_are_left_out() -> None:
    clip, spans = sung("14")
    spans = [*spans[:1], spans[1]._replace(syllable="ma5")]
    assert right(clip, spans) == [True] and len(like_teacher(clip, spans, clip, spans)) == 1
