"""Speech over WebSocket, with an independent client library."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from serving import Server, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

TEXT = "The quick brown fox jumps over the lazy dog."
FAST = {"nfe_step": 5, "seed": 7}


@pytest.fixture
def socket(server: Server) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{server.port}/api/tts/ws", max_size=None) as connection:
        yield connection


def in_flight(server: Server) -> float:
    lines = httpx.get(server.url + "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("ishowtts_queue_in_flight "))


def ask(socket: ClientConnection, **request: Any) -> None:
    socket.send(json.dumps(request))


def receive(socket: ClientConnection) -> tuple[dict[str, Any], bytes]:
    """The next message: an event, or the header of a piece of audio and the piece."""
    message = socket.recv(timeout=120)
    if isinstance(message, str):
        event: dict[str, Any] = json.loads(message)
        return event, b""
    (length,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + length]) | {"event": "audio"}, message[4 + length :]


def collect(socket: ClientConnection, *ids: str) -> dict[str, dict[str, Any]]:
    """All messages of these requests, until each has ended."""
    said: dict[str, dict[str, Any]] = {id: {"audio": b"", "seqs": []} for id in ids}
    while not all("end" in one or "error" in one for one in said.values()):
        event, audio = receive(socket)
        one = said[event["request_id"]]
        if event["event"] == "audio":
            one["audio"] += audio
            one["seqs"].append(event["seq"])
        else:
            one[event["event"]] = event
    return said


def test_the_same_speech_as_over_http(server: Server, socket: ClientConnection) -> None:
    whole = httpx.post(
        server.url + "/api/tts",
        json={"text": TEXT, **FAST, "format": "pcm"},
        headers={"Accept": "audio/*"},
        timeout=120,
    )
    ask(socket, request_id="one", text=TEXT, **FAST)
    said = collect(socket, "one")["one"]
    assert said["audio"] == whole.content
    assert said["seqs"] == list(range(len(said["seqs"])))
    assert said["start"]["format"] == "audio/pcm" and said["start"]["seed"] == said["end"]["seed"] == 7
    assert said["end"]["waveform_len"] == len(whole.content) / 2


def test_many_at_once(socket: ClientConnection) -> None:
    ids = [f"n{i}" for i in range(6)]
    for i, id in enumerate(ids):
        ask(socket, request_id=id, text=f"This is number {i}.", nfe_step=5, seed=i)
    said = collect(socket, *ids)
    assert len({one["audio"] for one in said.values()}) == 6
    for one in said.values():
        samples = np.frombuffer(one["audio"], "<i2") / 32768
        assert "end" in one and 0.02 < np.sqrt((samples**2).mean()) < 0.5


def test_a_text_in_pieces(socket: ClientConnection) -> None:
    ask(socket, request_id="w", more=True, idle_ms=60000, **FAST)
    for piece in ("Good evening every", "body, I"):
        ask(socket, request_id="w", text=piece, more=True)
    event, _ = receive(socket)
    assert event["event"] == "start" and event["seed"] == 7
    event, audio = receive(socket)
    assert event["event"] == "audio" and audio
    ask(socket, request_id="w", set_text="We are here", more=True, flush=True)
    ask(socket, request_id="w", text=" today.")
    said = collect(socket, "w")["w"]
    assert said["text"]["kept"] == len("Good evening everybody, ")
    assert said["end"]["waveform_len"] == (len(audio) + len(said["audio"])) / 2


def test_wrong_pieces(socket: ClientConnection) -> None:
    for request, code in (
        ({"flush": True}, "not_found"),
        ({"set_text": "a", "more": True}, "not_found"),
        ({}, "missing_field"),
        ({"text": ""}, "out_of_range"),
        ({"text": "a", "more": True, "idle_ms": 1}, "out_of_range"),
        ({"text": "a", "more": True, "fix_duration": 2}, "invalid_request"),
    ):
        ask(socket, request_id="w", **request)
        assert receive(socket)[0]["error"]["code"] == code, request
    ask(socket, request_id="w", more=True, idle_ms=60000)
    ask(socket, request_id="w", text="a", speed=2.0, more=True)
    assert receive(socket)[0]["error"]["code"] == "duplicate_id"
    ask(socket, request_id="w", text="...")  # holds nothing to speak
    assert receive(socket)[0]["error"] == {
        "code": "invalid_request",
        "field": "text",
        "message": "the text ended and held nothing that this voice can speak",
    }
    ask(socket, request_id="x", text="Open,", more=True, idle_ms=60000)
    ask(socket, cancel="x")
    assert receive(socket)[0]["error"]["code"] == "cancelled"
    ask(socket, request_id="x", text="The id is free again.", nfe_step=3)
    assert "end" in collect(socket, "x")["x"]


def test_cancel_and_errors(server: Server, socket: ClientConnection) -> None:
    ask(socket, request_id="long", text="This will not be said to its end. " * 40, nfe_step=64)
    ask(socket, request_id="wrong", text="a", speed=9)
    ask(socket, cancel="long")
    said = collect(socket, "long", "wrong")
    assert said["long"]["error"]["error"]["code"] == "cancelled"
    assert said["wrong"]["error"]["error"]["field"] == "speed"
    until(lambda: in_flight(server) == 0)
    socket.send("no json")
    assert receive(socket)[0]["error"]["code"] == "malformed_json"
    ask(socket, request_id="after", text="Yes.", nfe_step=3)
    assert "end" in collect(socket, "after")["after"]


def test_closing_frees_the_row(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/api/tts/ws") as connection:
        ask(connection, request_id="gone", text="This will not be said to its end. " * 40, nfe_step=64)
        until(lambda: in_flight(server) == 1)
    until(lambda: in_flight(server) == 0)


def test_foreign_pages_and_binary_requests(server: Server) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{server.port}/api/tts/ws", origin="https://evil.example")  # type: ignore[arg-type]
    with connect(f"ws://127.0.0.1:{server.port}/api/tts/ws") as connection:
        connection.send(b"binary")
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=30)
        assert closed.value.rcvd and closed.value.rcvd.code == 1003
    assert httpx.get(server.url + "/api/tts/ws").status_code == 426
