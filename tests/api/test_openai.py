"""The official OpenAI client, unchanged."""

import base64
import io
import json
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pytest
import soundfile
from serving import Server

TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=120, max_retries=0) as made:
        yield made


@pytest.fixture
def voice(server: Server) -> str:
    found: str = httpx.get(server.url + "/v1/audio/voices").json()["data"][0]["id"]
    return found


def check(samples: np.ndarray, rate: int) -> None:
    assert 1.2 < len(samples) / rate < 6
    assert 0.02 < np.sqrt((samples**2).mean()) < 0.5


def test_speech_is_mp3_unless_asked(client: openai.OpenAI, voice: str) -> None:
    answer = client.audio.speech.create(model="tts-1", voice=voice, input=TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    with soundfile.SoundFile(io.BytesIO(answer.content)) as file:
        assert file.format == "MP3"
        check(file.read(), file.samplerate)


@pytest.mark.parametrize(("form", "name"), [("opus", "OGG"), ("wav", "WAV")])
def test_formats(client: openai.OpenAI, voice: str, form: str, name: str) -> None:
    answer = client.audio.speech.create(
        model="demo", voice={"id": voice}, input=TEXT, response_format=form, instructions="Softly."
    )  # type: ignore[arg-type]
    with soundfile.SoundFile(io.BytesIO(answer.content)) as file:
        assert file.format == name
        check(file.read(), file.samplerate)


def test_speed_and_streaming(client: openai.OpenAI, voice: str) -> None:
    lengths = []
    for speed in (1.0, 2.0):
        with client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice=voice, input=TEXT, response_format="pcm", speed=speed
        ) as answer:
            data = b"".join(answer.iter_bytes())
        check(np.frombuffer(data, "<i2") / 32768, 24000 if speed == 1 else 12000)
        lengths.append(len(data))
    assert lengths[1] < 0.75 * lengths[0]


def test_a_long_text_comes_in_parts(client: openai.OpenAI, voice: str) -> None:
    text = " ".join(f"Sentence number {n} makes this text a good deal longer than one chunk." for n in range(1, 7))
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice=voice, input=text, response_format="pcm"
    ) as answer:
        parts = list(answer.iter_bytes())
    assert len(parts) > 1 and sum(map(len, parts)) > 24000 * 2 * 12


def test_events(server: Server, voice: str) -> None:
    request = {"model": "tts-1", "voice": voice, "input": TEXT, "response_format": "pcm", "stream_format": "sse"}
    answer = httpx.post(server.url + "/v1/audio/speech", json=request, timeout=120)
    assert answer.headers["content-type"] == "text/event-stream"
    events = [json.loads(block.removeprefix("data: ")) for block in answer.text.strip().split("\n\n")]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    check(np.frombuffer(b"".join(base64.b64decode(event["audio"]) for event in events[:-1]), "<i2") / 32768, 24000)
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert (
        usage["input_tokens"] == len(TEXT) and usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    )


def test_models_and_voices(client: openai.OpenAI, server: Server, voice: str) -> None:
    models = client.models.list().data
    assert [model.id for model in models] == [httpx.get(server.url + "/api/health").json()["model"]]
    assert models[0].object == "model" and models[0].created > 1.6e9
    assert voice in [one["id"] for one in httpx.get(server.url + "/api/voices").json()]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"response_format": "aac"}, 400, "response_format"),
        ({"speed": 4.0}, 400, "speed"),
        ({"voice": "nobody"}, 404, "voice"),
        ({"voice": {"name": "x"}}, 400, "voice"),
        ({"model": "other"}, 404, "model"),
        ({"input": ""}, 400, "input"),
        ({"input": 5}, 400, "input"),
        ({"stream_format": "both"}, 400, "stream_format"),
        ({"instructions": 1}, 400, "instructions"),
        ({"volume": 1}, 400, "volume"),
        ({"model": None}, 400, "model"),
    ],
)
def test_refusals_are_the_clients_exceptions(
    client: openai.OpenAI, voice: str, change: dict[str, object], status: int, field: str
) -> None:
    request = {"model": "tts-1", "voice": voice, "input": "Yes."} | change
    with pytest.raises(openai.APIStatusError) as raised:
        client.post("/audio/speech", body=request, cast_to=httpx.Response)
    assert raised.value.status_code == status
    assert isinstance(raised.value, openai.BadRequestError if status == 400 else openai.NotFoundError)
    assert isinstance(raised.value.body, dict) and raised.value.body["field"] == field
    assert raised.value.code


@pytest.mark.parametrize("missing", ["model", "input", "voice"])
def test_needed_fields(server: Server, voice: str, missing: str) -> None:
    request = {"model": "tts-1", "voice": voice, "input": "Yes."}
    del request[missing]
    error = httpx.post(server.url + "/v1/audio/speech", json=request).json()["error"]
    assert error["code"] == "missing_field" and error["field"] == missing
