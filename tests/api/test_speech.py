"""Speech over HTTP, with every kind of response."""

import base64
import io
import json
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from serving import Server, until

TEXT = "The quick brown fox jumps over the lazy dog."
FAST = {"nfe_step": 5, "seed": 7}


def pcm(wav: bytes) -> np.ndarray:
    """Samples (int16) of a WAV file, whatever length its header states."""
    assert wav[:4] == b"RIFF" and wav[8:16] == b"WAVEfmt "
    return np.frombuffer(wav[44:], "<i2")


def check(samples: np.ndarray, rate: int, least: float, most: float) -> None:
    """Checks that samples may be speech: of plausible length, not silent, hardly clipped."""
    assert least < len(samples) / rate < most
    level = np.sqrt(np.mean((samples / 32768.0) ** 2))
    assert 0.02 < level < 0.5
    assert np.mean(np.abs(samples.astype(int)) >= 32767) < 0.01


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_json_answer(http: httpx.Client) -> None:
    answer = http.post("/api/tts", json={"text": TEXT, **FAST}, headers={"X-Request-Id": "speech-1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    wav = base64.b64decode(said["audio_base64"], validate=True)
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    assert said["request_id"] == answer.headers["x-request-id"] == "speech-1"
    assert (said["engine"], said["format"], said["seed"]) == ("f5", "audio/wav", 7)
    assert said["engine_label"].startswith("F5-TTS")
    assert rate == said["sample_rate"] and len(samples) == said["waveform_len"]
    assert said["duration"] == pytest.approx(len(samples) / rate, abs=1e-3)
    timings = said["timings"]
    assert set(timings) == {"queue", "text", "first_audio", "total"}
    assert 0 <= timings["queue"] <= timings["first_audio"] <= timings["total"]
    assert said["rtf"] == pytest.approx(timings["total"] / said["duration"], rel=1e-2)
    check(samples, rate, 1.2, 6.0)
    assert said["voice_id"] == http.get("/api/health").json()["default_voice"]
    assert said["unspoken"] == {"count": 0, "first": ""}


def test_words_that_were_left_out_are_counted(http: httpx.Client) -> None:
    request = {"text": "Hello Привет there สวัสดี", **FAST}
    assert http.post("/api/tts", json=request).json()["unspoken"] == {"count": 2, "first": "Привет"}
    wanted = "2; first=%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82"
    assert http.post("/api/tts", json=request, headers={"Accept": "audio/wav"}).headers["x-unspoken"] == wanted
    assert http.post("/api/tts/stream", json=request, headers={"Accept": "audio/pcm"}).headers["x-unspoken"] == wanted
    found = events(http.post("/api/tts/stream", json=request, headers={"Accept": "text/event-stream"}).text)
    assert found[-1][1]["unspoken"] == {"count": 2, "first": "Привет"}
    assert (
        "x-unspoken"
        not in http.post("/api/tts", json={"text": "Hello", **FAST}, headers={"Accept": "audio/wav"}).headers
    )


def test_every_kind_of_answer_has_the_same_samples(http: httpx.Client) -> None:
    request = {"text": TEXT, **FAST}
    whole = pcm(base64.b64decode(http.post("/api/tts", json=request).json()["audio_base64"]))
    audio = http.post("/api/tts", json=request, headers={"Accept": "audio/*"})
    assert audio.headers["content-type"] == "audio/wav" and audio.headers["x-seed"] == "7"
    with wave.open(io.BytesIO(audio.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getnframes()) == (1, 2, len(whole))
    np.testing.assert_array_equal(pcm(audio.content), whole)

    streamed = http.post("/api/tts/stream", json=request)
    assert streamed.headers["transfer-encoding"] == "chunked" and streamed.headers["content-type"] == "audio/wav"
    assert streamed.content[40:44] == b"\xff\xff\xff\xff"
    np.testing.assert_array_equal(pcm(streamed.content), whole)

    sse = http.post("/api/tts/stream", json=request, headers={"Accept": "text/event-stream"})
    assert sse.headers["content-type"] == "text/event-stream"
    received = events(sse.text)
    assert [name for name, _ in received if name not in ("audio", "word")] == ["start", "end"]
    assert received[0][0] == "start" and received[-1][0] == "end"
    parts = [data for name, data in received if name == "audio"]
    assert [part["seq"] for part in parts] == list(range(len(parts)))
    joined = np.frombuffer(b"".join(base64.b64decode(part["audio_base64"]) for part in parts), "<i2")
    np.testing.assert_array_equal(joined, whole)
    assert received[-1][1]["waveform_len"] == len(whole) and received[-1][1]["seed"] == 7
    lengths = [len(base64.b64decode(part["audio_base64"])) / 2 for part in parts]
    assert parts[-1]["t0"] == pytest.approx(sum(lengths[:-1]) / received[0][1]["sample_rate"], abs=1e-3)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_sample_rate(http: httpx.Client, rate: int) -> None:
    request = {"text": TEXT, **FAST, "sample_rate": rate}
    said = http.post("/api/tts", json=request).json()
    samples, real = soundfile.read(io.BytesIO(base64.b64decode(said["audio_base64"])), dtype="int16")
    assert real == said["sample_rate"] == rate
    check(samples, rate, 1.2, 6.0)
    streamed = pcm(http.post("/api/tts/stream", json=request).content)
    assert abs(len(streamed) - len(samples)) <= 1
    n = min(len(streamed), len(samples))
    assert np.max(np.abs(streamed[:n].astype(int) - samples[:n])) <= 1


def test_seed_and_speed_are_used(http: httpx.Client) -> None:
    def speak(**more: Any) -> bytes:
        return http.post("/api/tts", json={"text": TEXT, **FAST, **more}, headers={"Accept": "audio/wav"}).content

    first = speak()
    assert speak() == first
    assert speak(seed=8) != first
    assert speak(seed=2**64 - 1) == speak(seed=str(2**64 - 1)) != first
    assert len(speak(speed=2)) < 0.75 * len(first)
    assert speak(solver="euler") == first != speak(solver="midpoint")
    assert speak(guidance_from=0, guidance_to=1) == first != speak(guidance_to=0.1)
    assert speak(guidance_from=1, guidance_to=0) == speak(cfg_strength=0) != first
    assert speak(short_guidance=True) == first  # this model has no prompt
    assert speak(prompt_cache=True) == first


def test_a_random_seed_is_reported(http: httpx.Client) -> None:
    one, two = (http.post("/api/tts", json={"text": "Yes.", "nfe_step": 5}).json() for _ in range(2))
    assert one["seed"] != two["seed"]
    again = http.post("/api/tts", json={"text": "Yes.", "nfe_step": 5, "seed": one["seed"]}).json()
    assert again["audio_base64"] == one["audio_base64"]
    assert one["seed"] < 2**53
    assert http.post("/api/tts", json={"text": "Yes.", "nfe_step": 5, "seed": None}).json()["seed"] != one["seed"]


def test_long_text_arrives_in_pieces(http: httpx.Client) -> None:
    text = " ".join(
        f"Sentence number {n} is here to make this text a good deal longer than one chunk." for n in range(1, 9)
    )
    with http.stream(
        "POST", "/api/tts/stream", json={"text": text, **FAST}, headers={"Accept": "text/event-stream"}
    ) as answer:
        received = events("".join(answer.iter_text()))
    end = received[-1][1]
    assert end["timings"]["first_audio"] < 0.8 * end["timings"]["total"]
    samples = np.concatenate(
        [np.frombuffer(base64.b64decode(d["audio_base64"]), "<i2") for name, d in received if name == "audio"]
    )
    check(samples, received[0][1]["sample_rate"], 15, 80)


def test_nulls_are_defaults(http: httpx.Client) -> None:
    nulls = dict.fromkeys(
        (
            "voice_id", "engine", "speed", "target_rms", "sway_sampling_coef", "cfg_strength", "solver",
            "guidance_from", "guidance_to",
            "short_guidance", "prompt_cache", "embedded_guidance", "fix_duration", "format",
        )
    )  # fmt: skip
    request = {"text": "Yes.", **FAST}
    assert (
        http.post("/api/tts", json=request | nulls).json()["audio_base64"]
        == http.post("/api/tts", json=request).json()["audio_base64"]
    )


def test_a_whole_number_may_be_written_with_a_point(http: httpx.Client) -> None:
    request = b'{"text": "Yes.", "nfe_step": 5.0, "seed": 7.0, "sample_rate": 24000.0}'
    said = http.post("/api/tts", content=request, headers={"Content-Type": "application/json"}).json()
    assert said["seed"] == 7 and said["sample_rate"] == 24000


def test_eight_at_once(server: Server) -> None:
    def speak(n: int) -> tuple[str, bytes]:
        answer = httpx.post(
            server.url + "/api/tts",
            json={"text": f"This is speaker number {n}.", "nfe_step": 5, "seed": n},
            headers={"X-Request-Id": f"many-{n}", "Accept": "audio/wav"},
            timeout=240,
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["x-request-id"], answer.content

    with ThreadPoolExecutor(8) as pool:
        together = dict(pool.map(speak, range(8)))
    assert len(set(together.values())) == 8
    for n in (0, 5):  # other rows of the batch do not change a result
        np.testing.assert_allclose(pcm(together[f"many-{n}"]), pcm(speak(n)[1]), atol=2)


def test_delete_cancels(server: Server, http: httpx.Client) -> None:
    text = "This will not be said to its end. " * 40
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(
            httpx.post, server.url + "/api/tts", json={"text": text}, headers={"X-Request-Id": "doomed"}, timeout=120
        )
        until(lambda: http.delete("/api/tts/doomed").status_code == 204)
        answer = going.result()
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "cancelled"
    gone = http.delete("/api/tts/doomed")
    assert gone.status_code == 404 and gone.json()["error"]["field"] == "request_id"


def test_closing_the_connection_cancels(http: httpx.Client) -> None:
    def count(name: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"ishowtts_{name} ")), 0.0)

    text = "This will not be said to its end. " * 40
    cancelled = 'utterances_total{outcome="cancelled"}'
    for path in ("/api/tts", "/api/tts/stream"):
        before = count(cancelled)
        with pytest.raises(httpx.ReadTimeout):
            http.post(path, json={"text": text, "nfe_step": 64}, timeout=httpx.Timeout(30, read=0.3))
        until(lambda before=before: count(cancelled) == before + 1)
        until(lambda: count("queue_in_flight") == 0)


def test_a_stream_of_a_long_text_begins_with_a_short_chunk(http: httpx.Client) -> None:
    text = "Good evening, everybody. " + "This is a sentence of some length that the model speaks after it. " * 2
    received = events(
        http.post("/api/tts/stream", json={"text": text, **FAST}, headers={"Accept": "text/event-stream"}).text
    )
    pieces = [len(base64.b64decode(data["audio_base64"])) for name, data in received if name == "audio"]
    assert len(pieces) > 1 and pieces[0] < sum(pieces) / 3
    end = received[-1][1]
    assert end["timings"]["first_audio"] < end["timings"]["total"]
    again = http.post("/api/tts/stream", json={"text": text, **FAST, "format": "pcm"}).content
    assert again == b"".join(base64.b64decode(data["audio_base64"]) for name, data in received if name == "audio")


def test_words_have_places_and_times(http: httpx.Client) -> None:
    text = "Nine  viewers paid $5, \U0001f600 wow: it's 3pm! Then the second sentence comes, made as another chunk."
    request = {"text": text, "seed": 7, "nfe_step": 3}
    sse = http.post("/api/tts/stream", json=request, headers={"Accept": "text/event-stream"})
    received = events(sse.text)
    words = [data for name, data in received if name == "word"]
    said = [text[word["offset"] : word["offset"] + word["length"]] for word in words]
    assert said[:5] == ["Nine", "viewers", "paid", "$5", "wow"] and said[-2:] == ["another", "chunk"]
    assert all(word["start"] < word["end"] for word in words)
    starts = [word["start"] for word in words]
    assert starts == sorted(starts) and starts[0] < 0.5 and words[-1]["end"] <= received[-1][1]["duration"] + 0.001
