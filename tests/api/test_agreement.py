"""Both servers give the same error messages, since the same C code reads the requests of both."""

import json
from typing import Any

import httpx
import pytest
from serving import Server
from websockets.sync.client import connect

LONG = "x" * 5001
WRONG: list[dict[str, Any]] = [
    {}, {"text": ""}, {"text": LONG}, {"text": None}, {"text": 5}, {"text": "a", "volume": 1},
    {"text": "a", "voice_id": "x" * 65},
    {"text": "a", "voice_id": "nobody"}, {"text": "a", "engine": "other"}, {"text": "a", "speed": 9},
    {"text": "a", "speed": True},
    {"text": "a", "target_rms": 1.01}, {"text": "a", "cross_fade_duration": -1},
    {"text": "a", "sway_sampling_coef": 0.58},
    {"text": "a", "cfg_strength": 10.5}, {"text": "a", "guidance_from": -0.5}, {"text": "a", "guidance_to": 1.5},
    {"text": "a", "short_guidance": "on"}, {"text": "a", "embedded_guidance": 1}, {"text": "a", "nfe_step": 7.5},
    {"text": "a", "nfe_step": 65}, {"text": "a", "nfe_step": 2**70}, {"text": "a", "solver": "heun"},
    {"text": "a", "grid": "cosine"},
    {"text": "a", "fix_duration": 61}, {"text": "a", "remove_silence": 1}, {"text": "a", "seed": -1},
    {"text": "a", "seed": 2**64},
    {"text": "a", "seed": "0x1"}, {"text": "a", "format": "aac"}, {"text": "a", "format": 1},
    {"text": "a", "sample_rate": 23999},
    {"text": "a", "format": "opus", "sample_rate": 44100}, {"text": " \n"},
]  # fmt: skip
MALFORMED = [
    b"",
    b"{",
    b"[]",
    b'{"text": "a", "text": "b"}',
    b'{"text": "\xff"}',
    b'{"text": "a\\u0000"}',
    b'{"text": "a", "speed": 1e999}',
]
OPENAI: list[dict[str, Any]] = [
    {"model": ""}, {"model": "x" * 65}, {"model": "other"}, {"model": None}, {"input": ""}, {"input": LONG},
    {"voice": {"name": "x"}},
    {"voice": {"id": ""}}, {"voice": 1}, {"voice": "nobody"}, {"response_format": "aac"}, {"speed": 5},
    {"stream_format": "both"},
    {"instructions": 1}, {"volume": 1}, {"seed": -1}, {"stream": "yes"}, {"user": 5},
]  # fmt: skip
MESSAGES: list[Any] = [
    [], {}, {"text": "a"}, {"request_id": 1, "text": "a"}, {"request_id": "a b", "text": "a"}, {"request_id": "a"},
    {"request_id": "a", "text": "a", "speed": 9}, {"cancel": "a"}, {"cancel": 1}, {"cancel": "a", "text": "a"},
    {"cancel": None},
]  # fmt: skip


@pytest.fixture(scope="module")
def both(c_server: Server, harness: Server) -> tuple[Server, Server]:
    return c_server, harness


def agree(servers: tuple[Server, Server], path: str, body: bytes) -> None:
    first, second = (
        httpx.post(server.url + path, content=body, headers={"Content-Type": "application/json"}, timeout=60)
        for server in servers
    )
    assert first.status_code == second.status_code != 200, (first.text, second.text)
    assert first.json() == second.json()


@pytest.mark.parametrize("path", ["/api/tts", "/api/tts/stream"])
def test_speech(both: tuple[Server, Server], path: str) -> None:
    for body in (*MALFORMED, *(json.dumps(wrong).encode() for wrong in WRONG)):
        agree(both, path, body)


def test_openai(both: tuple[Server, Server]) -> None:
    good = {"model": "tts-1", "voice": "hazel", "input": "Yes."}
    for name in good:
        agree(both, "/v1/audio/speech", json.dumps({key: value for key, value in good.items() if key != name}).encode())
    for body in (*MALFORMED, *(json.dumps(good | wrong).encode() for wrong in OPENAI)):
        agree(both, "/v1/audio/speech", body)


def test_websocket(both: tuple[Server, Server]) -> None:
    received: list[list[Any]] = []
    for server in both:
        with connect(f"ws://127.0.0.1:{server.port}/api/tts/ws") as socket:
            for message in ("no json", *(json.dumps(one) for one in MESSAGES)):
                socket.send(message)
            received.append([json.loads(socket.recv(timeout=60)) for _ in range(len(MESSAGES) + 1)])
    assert received[0] == received[1]
    assert all(one["event"] == "error" for one in received[0])
    assert [one["request_id"] for one in received[0] if "request_id" in one] == ["a"] * 4


def test_the_description_states_what_is_checked(both: tuple[Server, Server]) -> None:
    """Every limit in openapi.json is accepted, and the next value beyond it is refused."""
    schema = httpx.get(both[0].url + "/openapi.json").json()["components"]["schemas"]["SpeechRequest"]
    assert schema["required"] == ["text"] and schema["additionalProperties"] is False
    checked = 0
    for name, node in schema["properties"].items():
        for arm in node.get("anyOf", [node]):
            for limit, sign in (("minimum", -1), ("maximum", 1)):
                if limit not in arm or name == "seed":
                    continue
                for server in both:
                    error = httpx.post(server.url + "/api/tts", json={"text": "a", name: arm[limit] + sign}).json()[
                        "error"
                    ]
                    assert error["field"] == name and error["code"] == "out_of_range"
                    held = {
                        "text": " ",
                        name: arm[limit],
                    }  # valid but for the text
                    assert httpx.post(server.url + "/api/tts", json=held).json()["error"]["field"] == "text"
                checked += 1
    assert checked == 18
