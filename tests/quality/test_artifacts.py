"""The detectors find inserted faults and none in good speech, and agree with implementations in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from ishowtts import _audio
from ishowtts.quality import artifacts
from ishowtts.quality.clips import Clip

RATE = 24000
Fault = Callable[[np.ndarray, int], np.ndarray]


def loudest(x: np.ndarray, length: int) -> int:
    """Middle of the loudest span with enough samples around it."""
    energy = np.convolve(x.astype(np.float64) ** 2, np.ones(length), "same")
    return int(np.argmax(energy[RATE // 10 : -RATE // 5])) + RATE // 10


def click(x: np.ndarray, at: int) -> np.ndarray:
    x[at] += 0.4
    return x


def step(x: np.ndarray, at: int) -> np.ndarray:
    x[at : at + 200] += np.abs(x).max()  # a lower one may be masked by loud speech
    return x


def dropout(x: np.ndarray, at: int) -> np.ndarray:
    x[at : at + 240] = 0
    return x


def gap(x: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate((x[:at], np.zeros(int(1.2 * RATE), np.float32), x[at:]))


def repeat(x: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate((x[:at], x[at - 1920 : at], x[at:]))


def stuck(x: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate((x[:at], np.tile(x[at - 240 : at], 30), x[at:]))


def early_end(x: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate((x[:at], np.zeros(2400, np.float32)))


def hole(x: np.ndarray, at: int) -> np.ndarray:
    filtered = sosfiltfilt(butter(6, [900, 2200], "bandstop", fs=RATE, output="sos"), x)
    return np.where(np.abs(np.arange(len(x)) - at) < 0.25 * RATE, filtered, x)


def narrow(x: np.ndarray, at: int) -> np.ndarray:
    return sosfiltfilt(butter(10, 4000, fs=RATE, output="sos"), x)


def clipped(x: np.ndarray, at: int) -> np.ndarray:
    return np.clip(x * 2 / np.abs(x).max(), -1, 1)


def offset(x: np.ndarray, at: int) -> np.ndarray:
    return x + 0.05


def not_finite(x: np.ndarray, at: int) -> np.ndarray:
    x[at : at + 3] = np.nan
    return x


def silent(x: np.ndarray, at: int) -> np.ndarray:
    return x * 1e-5


PLANTED: dict[str, tuple[Fault, ...]] = {
    "click": (click, step), "dropout": (dropout,), "gap": (gap,), "repeat": (repeat, stuck), "early end": (early_end,),
    "hole": (hole,), "narrow": (narrow,), "clipped": (clipped,), "offset": (offset,), "not finite": (not_finite,),
    "silent": (silent,),
}  # fmt: skip


def names(x: np.ndarray) -> list[str]:
    x = np.ascontiguousarray(x, np.float32)
    return artifacts.faults(artifacts.find(x, RATE), RATE)


def test_good_speech_has_no_faults(ten: list[Clip]) -> None:
    assert {clip.name: names(clip.samples) for clip in ten} == {clip.name: [] for clip in ten}


@pytest.mark.parametrize(("name", "plant"), [(name, plant) for name, plants in PLANTED.items() for plant in plants])
def test_a_planted_fault_is_named(ten: list[Clip], name: str, plant: Fault) -> None:
    found = [name in names(plant(clip.samples.copy(), loudest(clip.samples, 1200))) for clip in ten]
    # Speech may mask a click or a gap, for listeners as well; gross faults are always found.
    assert sum(found) >= {"click": 6, "hole": 8}.get(name, len(ten)), found


def test_where_and_how_much(recording: Clip) -> None:
    x, at = recording.samples, loudest(recording.samples, 1200)
    assert artifacts.find(click(x.copy(), at), RATE)["first_click"] == pytest.approx(at / RATE, abs=2e-4)
    assert artifacts.find(dropout(x.copy(), at), RATE)["dropout_seconds"] == pytest.approx(0.01, abs=2e-4)
    assert artifacts.find(gap(x.copy(), at), RATE)["longest_gap"] == pytest.approx(1.2, abs=0.05)
    again = artifacts.find(repeat(x.copy(), at), RATE)
    assert again["repeat_seconds"] == pytest.approx(0.08, abs=0.021)
    assert again["first_repeat"] == pytest.approx(at / RATE, abs=0.021)
    assert artifacts.find(np.ascontiguousarray(narrow(x.copy(), at), np.float32), RATE)["bandwidth"] == pytest.approx(
        4500, abs=600
    )
    assert artifacts.find(x, RATE)["bandwidth"] > 9000


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_other_rates(recording: Clip, rate: int) -> None:
    x = recording.at(rate)
    found = artifacts.find(x, rate)
    assert artifacts.faults(found, rate) == ["narrow"] * (found["bandwidth"] < 0.6 * rate / 2)
    assert ("narrow" in artifacts.faults(found, rate)) == (rate > 40000), "upsampled speech has no treble"
    at = int(loudest(recording.samples, 1200) / RATE * rate)
    x[at : at + rate // 100] = 0
    assert "dropout" in artifacts.faults(artifacts.find(x, rate), rate)


def test_odd_input() -> None:
    for n in (0, 1, 2, 3, 100, 511, 2000):
        assert artifacts.find(np.zeros(n, np.float32), RATE)["silent"]
        assert artifacts.find(np.full(n, np.nan, np.float32), RATE)["non_finite"] == n
    for rate in (0, 7999, 192001):
        with pytest.raises(ValueError, match=r"sample_rate"):
            _audio.artifacts(np.zeros(100, np.float32), rate)
    with pytest.raises(TypeError, match="float32"):
        _audio.artifacts(np.zeros(100), RATE)


# ---- implementations in numpy ----------------------------------------------------------------------------------------


def frame_levels(x: np.ndarray) -> np.ndarray:
    parts = [x[i : i + RATE // 100].astype(np.float64) for i in range(0, len(x), RATE // 100)]
    return np.array([np.sqrt((part**2).mean()) for part in parts])


def twin_clicks(x: np.ndarray) -> int:
    d = np.zeros(len(x))
    d[1:-1] = np.abs(x[:-2] - 2 * x[1:-1] + x[2:])
    count, i = 0, 0
    while i < len(x):
        around = np.concatenate((d[max(0, i - 72) : max(0, i - 2)], d[i + 3 : i + 73]))
        if d[i] >= 0.02 and (around < d[i] / 4.5).all():
            count += 1
            i += RATE // 500
        i += 1
    return count


def twin_dropouts(x: np.ndarray) -> int:
    levels = np.sort(frame_levels(x))
    loud = levels[(len(levels) - 1) * 95 // 100]
    zero = np.concatenate(([False], np.abs(x) <= 1e-5, [False])).astype(int)
    begins, ends = np.flatnonzero(np.diff(zero) == 1), np.flatnonzero(np.diff(zero) == -1)

    def level(part: np.ndarray) -> float:
        return float(np.sqrt((part.astype(np.float64) ** 2).mean()))

    return sum(
        1
        for begin, end in zip(begins, ends, strict=True)
        if end - begin >= RATE // 1000 + 1 and begin > 0 and end < len(x)
        and max(level(x[max(0, begin - 121) : begin]), level(x[end : end + 121])) > 0.1 * loud
    )  # fmt: skip


def twin_longest_gap(x: np.ndarray) -> float:
    levels = frame_levels(x)
    threshold = max(1e-3, 0.03 * np.sort(levels)[(len(levels) - 1) * 95 // 100])
    spoken = np.flatnonzero(levels > threshold)
    return float(max(np.diff(spoken).max() - 1, 0) * 0.01) if len(spoken) > 1 else 0.0


def twin_repeats(x: np.ndarray) -> float:
    levels = np.sort(frame_levels(x))
    floor = max(1e-3, 0.03 * levels[(len(levels) - 1) * 95 // 100])
    marked = np.zeros(len(x), bool)
    for at in range(720, len(x) - 720 + 1, 240):
        own = x[at : at + 720].astype(np.float64)
        if np.sqrt((own**2).mean()) <= floor:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(x[max(0, at - 9600) : at], 720)
        near = np.abs(windows[:, ::90] - x[at : at + 720 : 90]).max(axis=1) ** 2 <= 1e-3 * (own**2).sum()
        if (((windows[near] - own) ** 2).sum(axis=1) <= 1e-3 * (own**2).sum()).any():
            marked[at : at + 720] = True
    return float(marked.sum() / RATE)


@pytest.mark.parametrize("plant", [lambda x, at: x, click, step, dropout, gap, repeat, stuck])
def test_plain_numpy_agrees(ten: list[Clip], plant: Fault) -> None:
    for clip in ten[:3]:
        x = np.ascontiguousarray(plant(clip.samples.copy(), loudest(clip.samples, 1200)), np.float32)
        found = artifacts.find(x, RATE)
        assert found["clicks"] == twin_clicks(x)
        assert found["dropouts"] == twin_dropouts(x)
        assert found["longest_gap"] == pytest.approx(twin_longest_gap(x), abs=1e-6)
        assert found["repeat_seconds"] == pytest.approx(twin_repeats(x), abs=0.011)


@pytest.mark.parametrize("plant", [lambda x, at: x, hole, narrow])
def test_plain_numpy_finds_the_same_holes(ten: list[Clip], plant: Fault) -> None:
    for clip in ten[:3]:
        x = np.ascontiguousarray(plant(clip.samples.copy(), loudest(clip.samples, 1200)), np.float32)
        bands = np.asarray(_audio.mel(x, RATE, 1024, 240, 24)).copy()
        levels = frame_levels(x)
        bands = bands[: len(levels)]
        speech = levels[: len(bands)] > max(1e-3, 0.03 * np.sort(levels)[(len(levels) - 1) * 95 // 100])
        heard, holes = bands[speech].max() - 4.61, 0
        for row in bands[speech]:
            pairs = [(b, k) for b in range(1, 23) for k in range(1, min(b, 23 - b, 3) + 1)]
            holes += any(min(row[b - k], row[b + k]) > max(heard, row[b] + 3.45) for b, k in pairs)
        assert artifacts.find(x, RATE)["hole_seconds"] == pytest.approx(holes / 100, abs=0.011)
