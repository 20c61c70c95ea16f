"""Markup in requests: pauses of exact length with every endpoint for speech, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import Server
from websockets.sync.client import connect

from ishowtts import cli

TEXT = "Hello there. [pause 500ms] [voice:kerstin] Guten Abend. [speed 2] [GIF](/dʒɪf/)"
PAUSE = 12000  # samples at 24 kHz
FAST = {"nfe_step": 1, "seed": 3}


def longest_silence(samples: np.ndarray) -> int:
    """The longest run of samples that are exactly 0."""
    heard = np.flatnonzero(np.concatenate(([1], samples != 0, [1])))
    return int(np.max(np.diff(heard))) - 1


def check(data: bytes) -> None:
    samples = np.frombuffer(data, np.int16)
    assert PAUSE <= longest_silence(samples) < 2 * PAUSE, "the ends of the parts are silent too"
    assert len(samples) > 3 * PAUSE


@pytest.mark.parametrize("path", ["/api/tts", "/api/tts/stream"])
def test_over_http(http: httpx.Client, path: str) -> None:
    body = {"text": TEXT, "markup": True, "format": "pcm", "voice_id": "hazel"} | FAST
    check(http.post(path, json=body, headers={"Accept": "audio/pcm"}).content)
    plain = http.post(path, json=body | {"markup": False}, headers={"Accept": "audio/pcm"}).content
    assert longest_silence(np.frombuffer(plain, np.int16)) < PAUSE, "without markup it is text"
    longer = body | {"text": TEXT.replace("500ms", "1500ms")}
    samples = [len(http.post(path, json=one, headers={"Accept": "audio/pcm"}).content) // 2 for one in (body, longer)]
    assert samples[1] - samples[0] == 2 * PAUSE, "a pause is exact"


def test_words_are_told_where_they_stand_in_the_markup(http: httpx.Client) -> None:
    body = {"text": TEXT, "markup": True, "voice_id": "hazel"} | FAST
    answer = http.post("/api/tts/stream", json=body, headers={"Accept": "text/event-stream"}).text
    events = [block.split("\ndata: ") for block in answer.strip().split("\n\n")]
    words = [json.loads(data) for name, data in events if name == "event: word"]
    assert [TEXT[word["offset"] :][: word["length"]] for word in words] == [
        "Hello", "there", "Guten", "Abend", "[GIF](/dʒɪf/)",
    ]  # fmt: skip
    assert words[2]["start"] - words[1]["end"] > 0.45, "the pause lies between them"
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)


def test_for_clients_of_openai(http: httpx.Client) -> None:
    body = {"model": "tts-1", "input": TEXT, "voice": "hazel", "response_format": "pcm", "markup": True, "seed": 3}
    check(http.post("/v1/audio/speech", json=body).content)


def test_over_a_websocket(server: Server) -> None:
    with connect(server.url.replace("http", "ws") + "/api/tts/ws") as socket:
        socket.send(json.dumps({"request_id": "a", "text": TEXT, "markup": True, "voice_id": "hazel"} | FAST))
        audio = b""
        while True:
            message = socket.recv(60)
            if isinstance(message, str):
                event = json.loads(message)["event"]
                assert event in ("start", "word", "end"), message
                if event == "end":
                    break
            else:
                audio += message[4 + int.from_bytes(message[:4], "little") :]
    check(audio)


def test_on_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "speech.wav"
    arguments = ["speak", "--markup", TEXT, "-o", str(output), "--nfe", "1", "--seed", "3", "--threads", "1"]
    assert cli.main([*arguments, "--voice", "hazel"]) == 0
    samples, rate = soundfile.read(output, dtype="int16")
    assert rate == 24000
    check(samples.tobytes())


@pytest.mark.parametrize(
    ("text", "status", "field", "why"),
    [
        ("a [pause 99s] b", 400, "markup", "a pause lasts at most 10 s"),
        ("[speed 9] b", 400, "markup", "speed must be 0.25 to 4"),
        ("a [voice:nobody] b", 404, "voice_id", "there is no voice 'nobody'; there are"),
        ("[GIF](/7/)", 400, "markup", "'7' is no sound"),
        ("[pause 1s]", 400, "text", "nothing that"),
    ],
)
def test_orders_that_cannot_be_obeyed_are_refused(
    http: httpx.Client, text: str, status: int, field: str, why: str
) -> None:
    for path in ("/api/tts", "/api/tts/stream"):
        answer = http.post(path, json={"text": text, "markup": True} | FAST)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert error["field"] == field and why in error["message"]


def test_the_answer_in_json_is_the_same_speech(http: httpx.Client) -> None:
    body = {"text": TEXT, "markup": True, "format": "pcm", "voice_id": "hazel"} | FAST
    whole = base64.b64decode(http.post("/api/tts", json=body).json()["audio_base64"])
    assert whole == http.post("/api/tts", json=body, headers={"Accept": "audio/pcm"}).content
    steps = http.post("/api/reading", json={"text": TEXT, "markup": True, "voice_id": "hazel"}).json()
    assert [(part["pause"], part["voice"], part["speed"]) for part in steps["segments"]] == [
        (0.0, None, None), (0.5, "kerstin", None), (0.0, "kerstin", 2.0),
    ]  # fmt: skip
    assert "de_g" in steps["symbols"] and "de_zh" in steps["symbols"]
