"""`POST /v1/audio/speech` with a text that is being written: a body of lines of JSON, spoken while they come."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from serving import Server

LINES = {"Content-Type": "application/x-ndjson"}
HEAD = {"model": "tts-1", "voice": "hazel", "response_format": "pcm", "seed": 3}
TEXT = "Good evening, everybody. The lighthouse had been dark for eleven years, and nobody could say why."


def lines(*objects: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def post(server: Server, *bodies: bytes, **headers: str) -> httpx.Response:
    """Send a body in chunks, as httpx sends what a generator yields."""
    return httpx.post(server.url + "/v1/audio/speech", content=iter(bodies), headers=LINES | headers, timeout=120)


def loudness(pcm: bytes) -> float:
    return float(np.sqrt(np.mean((np.frombuffer(pcm, "<i2") / 32768) ** 2)))


def test_a_text_in_pieces_is_spoken(server: Server) -> None:
    words = [{"input": word + " "} for word in TEXT.split(" ")]
    answer = post(server, lines(HEAD), *(lines(word) for word in words))
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/pcm"
    assert answer.headers["x-seed"] == "3" and answer.headers["transfer-encoding"] == "chunked"
    assert 3 < len(answer.content) / 48000 < 12 and loudness(answer.content) > 0.02


def test_lines_may_be_cut_anywhere(server: Server) -> None:
    body = lines(HEAD | {"input": "Good evening. "}, {"input": "How are you? ", "flush": True}) + b"\r\n"
    body += json.dumps({"input": "Goodbye, my friends."}).encode()  # the last line needs no end
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    assert post(server, *pieces).content == post(server, body).content


def test_it_is_heard_before_it_is_all_written(server: Server) -> None:
    """On one connection, as node, curl and aiohttp do it: the answer comes while the body goes on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
        head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        peer.sendall((head + "Content-Type: application/x-ndjson\r\n\r\n").encode())

        def send(data: bytes) -> None:
            peer.sendall(b"%x\r\n%s\r\n" % (len(data), data))

        send(lines(HEAD | {"input": "Good evening, everybody. How are "}))
        heard = b""
        while len(heard) < 4000:
            heard += peer.recv(65536)
        assert heard.startswith(b"HTTP/1.1 200 ") and b"0\r\n\r\n" not in heard[-5:]
        send(lines({"input": "you this evening?"}))
        peer.sendall(b"0\r\n\r\n")
        while not heard.endswith(b"0\r\n\r\n"):
            part = peer.recv(65536)
            assert part, "the connection broke"
            heard += part
    assert len(heard) > 48000


NODE = """
const [url] = process.argv.slice(2);
const pieces = [%s, ...%s.map((word) => ({ input: word + " " }))];
let left = false;
const body = new ReadableStream({
  async pull(to) {
    await new Promise((done) => setTimeout(done, 20));
    if (pieces.length) to.enqueue(new TextEncoder().encode(JSON.stringify(pieces.shift()) + "\\n"));
    else { left = true; to.close(); }
  },
});
const answer = await fetch(url + "/v1/audio/speech", {
  method: "POST", body, duplex: "half", headers: { "Content-Type": "application/x-ndjson" },
});
let bytes = 0;
for await (const part of answer.body) bytes += part.length;
console.log(JSON.stringify({ status: answer.status, bytes, left }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_fetch_of_node_streams_a_body(server: Server) -> None:
    program = NODE % (json.dumps(HEAD), json.dumps(TEXT.split(" ")))
    done = subprocess.run(
        ["node", "--input-type=module", "-", server.url], input=program, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == 200 and told["left"] and 3 < told["bytes"] / 48000 < 12


def test_text_that_comes_faster_than_it_is_spoken_waits(server: Server) -> None:
    """What the engine has no room for is kept, not refused."""
    body = lines(HEAD, *({"input": f"Sentence number {n} says nothing new at all. "} for n in range(150)))
    with httpx.stream("POST", server.url + "/v1/audio/speech", content=body, headers=LINES, timeout=120) as answer:
        assert answer.status_code == 200
        heard = 0
        for part in answer.iter_bytes():
            heard += len(part)
            if heard > 150_000:
                return
    raise AssertionError("it ended early")


def test_events_and_flac(server: Server) -> None:
    answer = post(server, lines(HEAD | {"stream_format": "sse"}, {"input": "Good evening."}))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.startswith('data: {"type":"speech.audio.delta"') and '"speech.audio.done"' in answer.text
    answer = post(server, lines(HEAD | {"response_format": "flac"}, {"input": "Good evening."}))
    assert answer.headers["content-type"] == "audio/flac" and answer.content[:4] == b"fLaC"


def test_a_whole_body_of_lines_has_a_length(server: Server) -> None:
    body = lines(HEAD | {"input": "Good evening."})
    answer = httpx.post(server.url + "/v1/audio/speech", content=body, headers=LINES, timeout=120)
    assert answer.status_code == 200 and len(answer.content) > 20000


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 400, "malformed_json", None),
        (b"\n\n", 400, "malformed_json", None),
        (b"{\n", 400, "malformed_json", None),
        (lines({"input": "Hi."}), 400, "missing_field", "model"),
        (lines(HEAD | {"voice": "nobody", "input": "Hi."}), 404, "not_found", "voice"),
        (lines(HEAD | {"model": "tts-9", "input": "Hi."}), 404, "model_not_found", "model"),
        (lines(HEAD | {"input": 7}), 400, "invalid_type", "input"),
        (lines(HEAD | {"more": True}), 400, "unknown_field", "more"),
        (lines(HEAD, {"voice": "kerstin"}), 400, "unknown_field", "voice"),
        (lines(HEAD), 400, "invalid_request", "input"),
        (lines(HEAD, {"input": "x" * 70000}), 413, "too_large", None),
    ],
)
def test_what_is_wrong_with_a_line_is_said(
    server: Server, body: bytes, status: int, code: str, field: str | None
) -> None:
    answer = post(server, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (status, code, field), error


def test_the_id_is_one_request_and_can_be_cancelled(server: Server) -> None:
    began = threading.Event()
    ended = threading.Event()
    found: list[int] = []

    def slowly() -> Iterator[bytes]:
        yield lines(HEAD | {"input": "Good evening, everybody. "})
        began.set()
        ended.wait(60)
        yield lines({"input": "Goodbye."})

    def speak() -> None:
        try:
            answer = httpx.post(
                server.url + "/v1/audio/speech", content=slowly(), headers=LINES | {"X-Request-Id": "w-1"}, timeout=120
            )
            found.append(answer.status_code)
        except httpx.HTTPError:
            found.append(0)

    thread = threading.Thread(target=speak)
    thread.start()
    assert began.wait(60)
    with server.client(60) as client:
        while (answer := client.delete("/api/tts/w-1")).status_code == 404:
            pass
        assert answer.status_code == 204
    ended.set()
    thread.join(120)
    assert found and found[0] in (0, 200, 409), "an answer that had begun breaks off; else it is refused"
    assert post(server, lines(HEAD | {"input": "Hello."}), **{"X-Request-Id": "w-1"}).status_code == 200


def test_a_client_that_leaves_ends_its_speech(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
        head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        peer.sendall((head + "Content-Type: application/x-ndjson\r\nX-Request-Id: w-2\r\n\r\n").encode())
        data = lines(HEAD | {"input": "Good evening, everybody. "})
        peer.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        assert peer.recv(16)
    for _ in range(600):
        if post(server, lines(HEAD | {"input": "Hello."}), **{"X-Request-Id": "w-2"}).status_code == 200:
            return
    raise AssertionError("the id is still taken")
