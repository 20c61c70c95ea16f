"""Mandarin tones, on synthetic contours."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.quality.clips import Clip
from ishowtts.quality.tones import Classifier, Span, Voiced, features, track

RATE = 24000
SYLLABLE, GAP = 0.2, 0.06
SHAPES = {
    "1": (0.5, 0.5, 0.5, 0.5, 0.5),
    "2": (-0.4, -0.4, -0.1, 0.3, 0.7),
    "3": (-0.6, -0.9, -1.2, -1.2, -1.0),
    "4": (1.0, 0.8, 0.3, -0.4, -1.0),
    "5": (-0.2, -0.2, -0.3, -0.3, -0.4),
}
"""Contours after Chao (55, 35, 21, 51), and a neutral tone."""


def sung(tones: str, base: float = 180.0, seed: int = 0) -> Voiced:
    """A pulse train that follows the tones around `base` Hz, with noise for initials; neutral tones are short."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = [np.zeros(RATE // 10)]
    spans, at = [], 0.1
    for i, tone in enumerate(tones):
        parts.append(0.02 * rng.standard_normal(int(GAP * RATE)))
        n = int((0.5 if tone == "5" else 1) * SYLLABLE * rng.uniform(0.8, 1.2) * RATE)
        shape = np.interp(np.linspace(0, 4, n), range(5), SHAPES[tone]) * 4 + rng.normal(0, 0.3)  # semitones
        phase = 2 * np.pi * np.cumsum(base * 2 ** (shape / 12)) / RATE
        harmonics = sum(np.sin(k * phase + i) / k * (1 + 0.5 * np.cos(k * (1 + i % 3))) for k in range(1, 12))
        parts.append(0.1 * harmonics * np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 200))
        spans.append(Span(f"ma{tone}", at, at + GAP + n / RATE))
        at += GAP + n / RATE
    parts.append(np.zeros(RATE // 10))
    return Voiced(track(Clip(tones, np.concatenate(parts).astype(np.float32), RATE)), spans)


def lines(count: int, base: float, seed: int) -> list[Voiced]:
    draw = np.random.default_rng(seed)
    return [sung("".join(draw.choice(list(SHAPES), 10)), base, seed * 100 + k) for k in range(count)]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(lines(20, 180.0, 1))


@pytest.mark.parametrize("base", [95.0, 180.0, 260.0])
def test_tones_are_heard_at_any_height_of_the_voice(classifier: Classifier, base: float) -> None:
    heard, meant, place = classifier.heard(lines(6, base, 2))
    assert len(heard) > 55 and set(place) == set(range(6))
    assert (heard == meant).mean() > 0.95


def test_wrong_tones_are_heard(classifier: Classifier) -> None:
    other = {"1": "2", "2": "3", "3": "4", "4": "5", "5": "1"}
    clips = [
        clip._replace(spans=[span._replace(syllable="ma" + other[span.syllable[-1]]) for span in clip.spans])
        for clip in lines(6, 180.0, 3)
    ]
    heard, meant, _ = classifier.heard(clips)
    assert (heard == meant).mean() < 0.05


def test_syllables_without_pitch_are_left_out() -> None:
    clip = sung("1234")
    silent = clip.pitch.copy()
    silent[: round(clip.spans[1].end * RATE / 256)] = 0
    _, tones, _ = features([clip._replace(pitch=silent)])
    assert tones.tolist() == [2, 3]
    with pytest.raises(ValueError, match="no pitch"):
        features([clip._replace(pitch=silent * 0)])


def test_a_neighbour_behind_a_pause_does_not_count() -> None:
    clip = sung("14")
    late = [clip.spans[0], clip.spans[1]._replace(start=clip.spans[1].start + 0.3, end=clip.spans[1].end + 0.3)]
    pitch = np.concatenate((clip.pitch, np.full(40, 150.0)))
    near, far = (features([Voiced(pitch, spans)])[0][0] for spans in (clip.spans, late))
    assert near[:6] == pytest.approx(far[:6]) and near[13] == 0 and far[13] == 1


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
