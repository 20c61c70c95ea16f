"""The official OpenAI client, unchanged."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile
from serving import VOICES, Server

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
        ({"speed": 4.01}, 400, "speed"),
        ({"speed": 0.24}, 400, "speed"),
        ({"seed": -1}, 400, "seed"),
        ({"user": 5}, 400, "user"),
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
def test_errors_are_the_clients_exceptions(
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


def pcm(client: openai.OpenAI, voice: str, **options: Any) -> bytes:
    return client.audio.speech.create(
        model="tts-1", voice=voice, input="Yes.", response_format="pcm", **options
    ).content


def test_flac_has_its_length(client: openai.OpenAI, voice: str) -> None:
    text = " ".join(f"Sentence number {n} makes this text a good deal longer than one chunk." for n in range(1, 7))
    answer = client.audio.speech.create(model="tts-1", voice=voice, input=text, response_format="flac")
    assert answer.response.headers["content-type"] == "audio/flac"
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert (
        rate == 24000 and len(samples) / rate > 12 and soundfile.info(io.BytesIO(answer.content)).frames == len(samples)
    )


def test_a_seed_and_what_is_accepted_without_effect(client: openai.OpenAI, voice: str) -> None:
    extra = {"seed": 5, "stream": True, "user": "someone"}
    assert (
        pcm(client, voice, extra_body=extra)
        == pcm(client, voice, extra_body={"seed": 5})
        != pcm(client, voice, extra_body={"seed": 6})
    )


@pytest.mark.parametrize(("speed", "factor"), [(0.25, 4.0), (4.0, 0.25)])
def test_speeds_of_openai(client: openai.OpenAI, voice: str, speed: float, factor: float) -> None:
    seconds = len(pcm(client, voice, speed=speed, extra_body={"seed": 5})) / len(
        pcm(client, voice, extra_body={"seed": 5})
    )
    assert 0.6 * factor < seconds < 1.5 * factor


def test_names_of_openai_are_spread_over_the_voices(client: openai.OpenAI, server: Server) -> None:
    ours = [one["id"] for one in httpx.get(server.url + "/v1/audio/voices").json()["data"]]
    seed = {"extra_body": {"seed": 5}}
    spoken = [pcm(client, name, **seed) for name in ours]
    for number, name in enumerate(
        ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
    ):
        assert pcm(client, name, **seed) == spoken[number % len(ours)], name
    with pytest.raises(openai.NotFoundError) as raised:
        client.audio.speech.create(model="tts-1", voice="Alloy", input="Yes.")
    assert f"there are {', '.join(ours)}" in str(raised.value)


def test_the_configuration_says_whose_voice_a_name_is(kind: str) -> None:
    names = 'openai.voices={ alloy = "kerstin", "my reader" = "kerstin", gone = "nobody" }'
    with (
        Server("--set", names, kind=kind) as server,
        openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=120, max_retries=0) as client,
    ):
        said = {name: pcm(client, name, extra_body={"seed": 5}) for name in ("alloy", "my reader", "ballad", *VOICES)}
        assert said["alloy"] == said["my reader"] == said["kerstin"] != said["hazel"]
        assert said.pop("ballad") in said.values(), "other names have a voice of the model each"
        with pytest.raises(openai.NotFoundError, match=f"no voice 'nobody'; there are {', '.join(VOICES)}"):
            pcm(client, "gone")


def test_one_model_and_lists_for_open_webui(client: openai.OpenAI, server: Server) -> None:
    [loaded] = client.models.list().data
    assert client.models.retrieve(loaded.id) == loaded
    assert client.models.retrieve("tts-1").id == "tts-1"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-5")
    assert raised.value.code == "model_not_found" and loaded.id in str(raised.value)
    models = httpx.get(server.url + "/v1/audio/models").json()
    assert models["models"] == [{"id": loaded.id, "name": loaded.id}] and models["data"][0]["id"] == loaded.id
    voices = httpx.get(server.url + "/v1/audio/voices").json()
    assert (
        {one["id"]: one["name"] for one in voices["voices"]} == {one["id"]: one["name"] for one in voices["data"]} != {}
    )


STAINLESS = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count,"
    "x-stainless-timeout"
)


def test_a_preflight_allows_the_header_fields_that_it_asks_for(kind: str) -> None:
    with Server("--set", 'server.cors_origins=["https://friend.example"]', kind=kind) as server:
        origin = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
        usual = "Authorization, Content-Type, X-Request-Id"
        for asked, allowed in (
            (STAINLESS, STAINLESS),
            (None, usual),
            ("x" * 1025, usual),
            ('x-"quoted"', usual),
            ("", usual),
        ):
            fields = origin | ({} if asked is None else {"Access-Control-Request-Headers": asked})
            answer = httpx.options(server.url + "/v1/audio/speech", headers=fields)
            assert answer.status_code == 204 and answer.headers["access-control-allow-headers"] == allowed
            assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        assert (
            httpx.options(
                server.url + "/v1/audio/speech", headers=origin | {"Origin": "https://foe.example"}
            ).status_code
            == 403
        )


def test_every_origin_may_call_where_that_is_configured(kind: str) -> None:
    with Server("--set", 'server.cors_origins=["*"]', kind=kind) as server:
        for origin in ("https://foe.example", "chrome-extension://abc", "null"):
            answer = httpx.get(server.url + "/api/voices", headers={"Origin": origin})
            assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin
        rebound = {"Host": "evil.example", "Origin": "https://foe.example"}
        assert httpx.get(server.url + "/api/voices", headers=rebound).json()["error"]["code"] == "forbidden_host"
