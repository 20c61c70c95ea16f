"""Audio formats over HTTP: each response can be decoded, how a format is chosen, and what is refused."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from ishowtts import _audio

REQUEST = {"text": "The quick brown fox jumps over the lazy dog.", "nfe_step": 5, "seed": 7}
MIME = {"wav": "audio/wav", "pcm": "audio/pcm", "flac": "audio/flac", "opus": "audio/ogg", "mp3": "audio/mpeg"}


def read(data: bytes, form: str, rate: int) -> np.ndarray:
    if form == "pcm":
        return np.frombuffer(data, "<i2") / 32768
    samples, found = _audio.decode(data)  # soundfile does not read a FLAC stream of unknown length
    assert found == rate
    return np.asarray(samples)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Normalised correlation of two signals at the best of the lags that a codec may have."""
    n = min(len(one), len(other)) - 1500
    pairs = ((one[:n], other[lag : lag + n]) for lag in range(0, 1300 if len(other) > len(one) + 700 else 9))
    return max(float(a @ b / np.sqrt((a @ a) * (b @ b))) for a, b in pairs)


@pytest.fixture(scope="module")
def reference(server: Any) -> np.ndarray:
    answer = httpx.post(server.url + "/api/tts", json=REQUEST, headers={"Accept": "audio/wav"}, timeout=120)
    return read(answer.content, "wav", 24000)


@pytest.mark.parametrize("form", MIME)
def test_every_answer_carries_the_speech(http: httpx.Client, reference: np.ndarray, form: str) -> None:
    request = REQUEST | {"format": form}
    said = http.post("/api/tts", json=request).json()
    assert said["format"] == MIME[form]
    whole = http.post("/api/tts", json=request, headers={"Accept": "audio/*"})
    assert whole.headers["content-type"] == MIME[form] and whole.headers["x-sample-rate"] == "24000"
    assert whole.content == base64.b64decode(said["audio_base64"])
    stream = http.post("/api/tts/stream", json=request)
    assert stream.headers["content-type"] == MIME[form] and stream.headers["x-seed"] == "7"
    for data in (whole.content, stream.content):
        samples = read(data, form, said["sample_rate"])
        assert len(reference) <= len(samples) < len(reference) + 2600
        assert alike(reference, samples) > (0.9 if form == "opus" else 0.97)
        assert np.sqrt((samples**2).mean()) == pytest.approx(np.sqrt((reference**2).mean()), rel=0.05)
    assert len(read(whole.content, form, 24000)) == said["waveform_len"]


@pytest.mark.parametrize(
    ("accept", "form"), [("audio/mpeg", "mp3"), ("audio/*;q=0.5, audio/flac", "flac"), ("audio/ogg, text/html", "opus")]
)
def test_accept_chooses_unless_the_body_does(http: httpx.Client, accept: str, form: str) -> None:
    request = {"text": "Yes.", "nfe_step": 3, "seed": 1}
    for path in ("/api/tts", "/api/tts/stream"):
        assert http.post(path, json=request, headers={"Accept": accept}).headers["content-type"] == MIME[form]
        chosen = http.post(path, json=request | {"format": "wav"}, headers={"Accept": accept})
        assert chosen.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(
    "accept",
    [
        "audio/wav;q=0", "audio/*;q=loud", "audio/mpeg;q=nan", "*/*", "audio", ",;/,",
        "audio/wav;q=0.5, application/json", "audio/wav;q=9, application/json",
    ],
)  # fmt: skip
def test_audio_that_is_not_preferred_comes_in_json(http: httpx.Client, accept: str) -> None:
    answer = http.post("/api/tts", json={"text": "Yes.", "nfe_step": 3, "seed": 1}, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json" and answer.json()["format"] == "audio/wav"


def test_a_rate_a_format_does_not_take(http: httpx.Client) -> None:
    wrong = http.post("/api/tts", json=REQUEST | {"format": "opus", "sample_rate": 44100})
    assert wrong.status_code == 400
    error = wrong.json()["error"]
    assert error["field"] == "sample_rate" and "48000" in error["message"] and "44100" in error["message"]
    right = http.post("/api/tts", json=REQUEST | {"format": "mp3", "sample_rate": 44100}, headers={"Accept": "audio/*"})
    assert soundfile.info(io.BytesIO(right.content)).samplerate == 44100
    unknown = http.post("/api/tts", json=REQUEST | {"format": "aac"}).json()["error"]
    assert unknown["field"] == "format" and "mp3" in unknown["message"]
