"""Checks of uploaded clips: speech passes at every usual recording level, anything else is refused with the reason."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ishowtts import _audio, _engine
from ishowtts.errors import IshowError
from ishowtts.voices import model_voices

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
TEXT = "With these arguments he convinced himself that he should go on alone."
Clip = NDArray[np.float32]


def speech() -> tuple[Clip, int, str]:
    voice = model_voices("demo")[0]
    assert voice.audio is not None
    samples, rate = _audio.decode(voice.audio.read_bytes())
    return np.array(samples, np.float32), rate, voice.text


def refused(clip: Clip, rate: int = RATE, text: str = TEXT) -> IshowError:
    with pytest.raises(IshowError) as raised:
        _engine.check_reference(np.ascontiguousarray(clip, np.float32), rate, text)
    assert raised.value.status in ("EINVAL", "ELIMIT")
    return raised.value


@pytest.mark.parametrize("gain", [0.1, 0.5, 1.0, 1.5])
def test_speech_passes_at_usual_levels(gain: float) -> None:
    clip, rate, text = speech()
    _engine.check_reference(clip * np.float32(gain), rate, text)


@pytest.mark.parametrize("snr", [30, 15])
def test_speech_passes_with_the_noise_of_a_room(snr: int) -> None:
    clip, rate, text = speech()
    noise = np.random.default_rng(1).standard_normal(len(clip)).astype(np.float32)
    noise *= np.sqrt(np.mean(clip**2)) * 10 ** (-snr / 20)
    _engine.check_reference(clip + noise, rate, text)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000])
def test_speech_passes_at_every_rate(rate: int) -> None:
    clip, own, text = speech()
    _engine.check_reference(np.array(_audio.resample(clip, own, rate), np.float32), rate, text)


def test_other_recordings_and_texts_pass() -> None:
    paths = list((ROOT / "docs" / "samples").glob("*.wav"))
    assert len(paths) >= 3
    for path in paths:
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            data = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        _engine.check_reference(data, rate, "x" * int(14 * len(data) / rate))


def noises() -> dict[str, Clip]:
    draw = np.random.default_rng(3)
    n = 5 * RATE
    white = draw.standard_normal(n)
    spectrum = np.fft.rfft(draw.standard_normal(n))
    with np.errstate(divide="ignore"):
        pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n)
    brown = np.cumsum(draw.standard_normal(n))
    brown -= np.convolve(brown, np.ones(801) / 801, "same")
    t = np.arange(n) / RATE
    clicks = np.zeros(n)
    clicks[:: RATE // 3] = 1
    slow = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)
    return {
        "white": white, "pink": pink, "brown": brown, "waves": white * slow**2, "bursts": white * (slow > 0.5),
        "hum": np.sin(2 * np.pi * 100 * t) + 0.3 * np.sin(2 * np.pi * 300 * t), "tone": np.sin(2 * np.pi * 440 * t),
        "clicks": clicks,
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(noises()))
def test_what_is_not_speech_is_refused(name: str) -> None:
    clip = noises()[name]
    error = refused((0.6 * clip / np.abs(clip).max()).astype(np.float32))
    assert error.field == "audio" and "speech" in str(error), str(error)


def test_levels_are_named_with_their_limits() -> None:
    clip, rate, text = speech()
    assert "silent" in str(refused(np.zeros(3 * RATE, np.float32)))
    quiet = refused(clip * np.float32(0.02 / np.abs(clip).max()), rate, text)
    assert quiet.field == "audio" and "too quiet" in str(quiet) and "0.005" in str(quiet)
    over = refused(np.clip(clip * 20, -1, 1), rate, text)
    assert over.field == "audio" and "0.1 %" in str(over) and "overdriven" in str(over)


def test_lengths_are_named_with_their_limits() -> None:
    clip, rate, text = speech()
    for cut in (clip[: rate // 2], np.tile(clip, 12)):
        error = refused(cut, rate, text)
        assert (error.field, error.status) == ("audio", "ELIMIT") and "1 to 30 s" in str(error)


@pytest.mark.parametrize("text", ["", "...", "No.", "This is a very long text. " * 40])
def test_a_text_that_cannot_be_what_is_said_is_refused(text: str) -> None:
    clip, rate, _ = speech()
    assert refused(clip, rate, text).field == "text"


def test_samples_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="float32"):
        _engine.check_reference(np.zeros(RATE), RATE, TEXT)


def test_a_container_is_told_by_its_bytes() -> None:
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(b"\0\0" * RATE)
    _audio.decode(made.getvalue())
    with pytest.raises(_audio.AudioError):
        _audio.decode(b"\x1aE\xdf\xa3" + made.getvalue())
