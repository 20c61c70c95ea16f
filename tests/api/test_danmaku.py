"""Live chat over HTTP, with real sockets and the real voice."""

from __future__ import annotations

import base64
import http.client
import io
import itertools
import json
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from serving import Server, until
from test_life import parse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

COUNTER = itertools.count()
NO_LIMITS = (
    "--set",
    "chat.rate=0",
    "--set",
    "chat.repeat_seconds=0",
    "--set",
    "chat.flood_messages=0",
    "--set",
    "chat.gap_seconds=0.05",
)


class Listener:
    """A reader of /api/danmaku/stream on a thread; `events` are (name, data, id). chat: "": the first."""

    def __init__(self, server: Server, last: str | None = None, chat: str = "") -> None:
        self.events: list[tuple[str, dict[str, Any], str]] = []
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        connection.connect()
        self._socket = connection.sock
        query = f"?chat={chat}" if chat else ""
        connection.request("GET", f"/api/danmaku/stream{query}", headers={"Last-Event-ID": last} if last else {})
        self._answer = connection.getresponse()
        self.status = self._answer.status
        self.headers = {name.lower(): value for name, value in self._answer.getheaders()}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        rest = b""
        try:
            while part := self._answer.read1(65536):  # until the connection ends
                rest += part
                while b"\n\n" in rest:
                    text, _, rest = rest.partition(b"\n\n")
                    self._take(text.decode())
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def _take(self, text: str) -> None:
        fields = dict(line.split(": ", 1) for line in text.split("\n") if not line.startswith(":"))
        if fields:
            self.events.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))

    def of(self, name: str, message: str | None = None) -> list[dict[str, Any]]:
        return [data for event, data, _ in self.events if event == name and message in (None, data.get("id"))]

    def wait(self, name: str, message: str | None = None) -> dict[str, Any]:
        until(lambda: self.of(name, message), 120)
        return self.of(name, message)[0]

    def samples(self, message: str) -> np.ndarray:
        """The samples of a message that were streamed."""
        parts = [base64.b64decode(data["audio_base64"]) for data in self.of("audio", message)]
        return np.frombuffer(b"".join(parts), "<i2")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.thread.join(30)


@pytest.fixture(scope="module")
def chat(kind: str) -> Iterator[Server]:
    with Server(*NO_LIMITS, kind=kind) as running:
        yield running


@pytest.fixture
def api(chat: Server) -> Iterator[httpx.Client]:
    with chat.client(120) as client:
        yield client
        client.post("/api/danmaku/resume")
        client.post("/api/danmaku/clear")
        client.post("/api/danmaku/skip")
    with chat.client(30) as another:
        assert another.get("/readyz").status_code == 200


@pytest.fixture
def listener(chat: Server) -> Iterator[Listener]:
    one = Listener(chat)
    yield one
    one.close()


def message(text: str, **fields: Any) -> dict[str, Any]:
    number = next(COUNTER)
    return {
        "id": f"m{number}",
        "platform": "test",
        "channel": "room",
        "username": f"Viewer{number}",
        "content": text,
    } | fields


def say(api: httpx.Client, text: str, **fields: Any) -> str:
    body = message(text, **fields)
    answer = api.post("/api/danmaku/enqueue", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] == body["id"]
    return body["id"]


def counts(api: httpx.Client) -> dict[str, Any]:
    found = api.get("/api/danmaku/status").json()["counts"]
    assert found["received"] == sum(found[way] for way in ("spoken", "deleted", "skipped", "waiting")) + sum(
        found["dropped"].values()
    )
    return found


def test_a_message_is_heard(api: httpx.Client, listener: Listener) -> None:
    assert listener.status == 200 and listener.headers["content-type"] == "text/event-stream"
    assert listener.wait("state")["paused"] is False
    before = counts(api)
    name = say(
        api,
        "Good evening to everybody.",
        username="Anna_77",
        timestamp="2026-01-31T12:00:00Z",
        metadata={"roles": ["vip"], "colour": "#123456"},
    )
    end = listener.wait("end", name)
    sent, start = listener.wait("message", name), listener.wait("start", name)
    assert (sent["text"], sent["roles"]) == ("Good evening to everybody.", ["vip"])
    assert sent["timestamp"] == 1769860800000
    assert start["said"] == "Anna says: Good evening to everybody." and start["user"] == "Anna_77" and start["at"] == 0
    assert [word for _, _, word in start["captions"]] == start["said"].split()
    assert 0.7 * start["duration"] < start["captions"][-1][1] <= start["duration"] + 0.001
    heard = listener.samples(name)
    assert end["reason"] == "spoken" and len(heard) / start["sample_rate"] == pytest.approx(end["at"], abs=1e-3)
    assert np.abs(heard.astype(float)).max() > 3000 and 0.5 < end["at"] < 10
    after = counts(api)
    assert after["spoken"] - before["spoken"] == 1 and after["waiting"] == 0


def test_what_is_heard_is_what_the_engine_speaks(api: httpx.Client, listener: Listener) -> None:
    name = say(api, "The same words.", username="Bob")
    listener.wait("end", name)
    [started] = listener.of("start", name)
    request = {"text": "Bob says: The same words.", "format": "pcm", "voice_id": started["voice"]}
    spoken = api.post("/api/tts/stream", json=request).content
    assert len(listener.samples(name)) == len(spoken) // 2  # durations depend on the text, noise on the seed


def test_what_is_not_read_is_kept_with_its_reason(api: httpx.Client) -> None:
    """Messages that were filtered or dropped are listed, fifty at most; long texts are cut between characters."""
    api.post("/api/danmaku/pause")
    try:
        say(api, "Waits.", username="Cleared")
        api.post("/api/danmaku/clear")
        for n in range(52):
            skipped = {
                "id": f"refused{n}",
                "platform": "test",
                "channel": "room",
                "username": f"Viewer {n}",
                "content": "!" + "ä" * 300,
            }
            assert api.post("/api/danmaku/enqueue", json=skipped).json()["reason"] == "command"
        refused = api.get("/api/danmaku/queue").json()["refused"]
        assert [item["user"] for item in refused] == [f"Viewer {n}" for n in range(2, 52)]
        assert refused[-1]["text"] == "!" + "ä" * 249 and refused[-1]["reason"] == "command"
    finally:
        api.post("/api/danmaku/resume")


def test_order_and_controls(api: httpx.Client, listener: Listener) -> None:
    assert api.post("/api/danmaku/pause").json() == {"paused": True}
    normal = [say(api, f"Normal number {n}.") for n in range(3)]
    paid = say(api, "Paid.", priority="Paid", metadata={"amount": 5, "currency": "EUR"})
    gift = say(api, "", priority="Gift", metadata={"gift": "roses", "count": 3})
    mention = say(api, "Hello @room, how are you?")
    queue = api.get("/api/danmaku/queue").json()
    assert [item["id"] for item in queue["waiting"]] == [paid, gift, mention, *normal] and queue["total"] == 6
    assert [item["priority"] for item in queue["waiting"][:3]] == ["Paid", "Gift", "Mention"]
    assert api.delete(f"/api/danmaku/messages/{normal[0]}").status_code == 204
    assert api.delete(f"/api/danmaku/messages/{normal[0]}").status_code == 404
    assert api.post("/api/danmaku/skip", json={"id": normal[1]}).json() == {"skipped": True}
    assert api.post("/api/danmaku/skip", json={"id": "nothing"}).status_code == 404
    assert (
        listener.wait("deleted", normal[0])["reason"] == "deleted"
        and listener.wait("deleted", normal[1])["reason"] == "skipped"
    )
    assert api.post("/api/danmaku/resume").json() == {"paused": False}
    listener.wait("end", normal[2])
    assert [data["id"] for data in listener.of("start")] == [paid, gift, mention, normal[2]]
    assert "paid 5 EUR: Paid." in listener.of("start")[0]["said"] and listener.of("start")[1]["said"].endswith(
        "sent 3 roses."
    )
    assert api.post("/api/danmaku/replay").json() == {"replayed": True}
    until(lambda: len(listener.of("end", normal[2])) == 2)
    assert listener.of("start")[-1]["replay"] is True
    assert len(listener.samples(normal[2])) % 2 == 0
    counts(api)


def test_deletion_during_speech_silences_everybody(api: httpx.Client, listener: Listener) -> None:
    name = say(
        api, "This is a long message, which somebody deletes while it is being read aloud to all of us here tonight."
    )
    start = listener.wait("start", name)
    assert start["duration"] > 3
    assert api.delete(f"/api/danmaku/messages/{name}").status_code == 204
    end = listener.wait("end", name)
    assert end["reason"] == "deleted" and end["at"] < start["duration"] - 1
    after = say(api, "And on.")
    listener.wait("end", after)
    heard = len(listener.samples(name)) / start["sample_rate"]
    assert heard <= end["at"] + 1.0  # no more than was being sent
    assert counts(api)["deleted"] >= 1


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        ("!play something", {}, "command"),
        ("https://example.org/x", {}, "link"),
        ("😀😀", {}, "emote"),
        ("...", {}, "empty"),
        ("Buy followers", {"username": "NightBot"}, "bot"),
    ],
)
def test_what_is_filtered_says_why(api: httpx.Client, text: str, fields: dict[str, Any], reason: str) -> None:
    before = counts(api)["dropped"].get(reason, 0)
    body = message(text, **fields)
    answer = api.post("/api/danmaku/enqueue", json=body)
    assert answer.status_code == 200 and answer.json() == {"skipped": True, "reason": reason, "id": body["id"]}
    assert counts(api)["dropped"][reason] == before + 1


def test_the_same_id_is_read_once(api: httpx.Client, listener: Listener) -> None:
    body = message("Only once.")
    assert api.post("/api/danmaku/enqueue", json=body).status_code == 202
    again = api.post("/api/danmaku/enqueue", json=body)
    assert again.status_code == 200 and again.json()["reason"] == "duplicate"
    listener.wait("end", body["id"])


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"id": ""}, "invalid_request", "id"),
        ({"id": "x" * 257}, "invalid_request", "id"),
        ({"id": 5}, "invalid_type", "id"),
        ({"priority": "Urgent"}, "out_of_range", "priority"),
        ({"timestamp": "yesterday"}, "out_of_range", "timestamp"),
        ({"timestamp": "2026-13-01T00:00:00Z"}, "out_of_range", "timestamp"),
        ({"metadata": []}, "invalid_type", "metadata"),
        ({"metadata": {"roles": ["king"]}}, "out_of_range", "metadata.roles"),
        ({"metadata": {"amount": -1}}, "out_of_range", "metadata.amount"),
        ({"metadata": {"currency": "EURO"}}, "out_of_range", "metadata.currency"),
        ({"volume": 3}, "unknown_field", "volume"),
        ({"content": None}, "invalid_type", "content"),
        ({"username": ""}, "out_of_range", "username"),
    ],
)
def test_malformed_messages(api: httpx.Client, body: dict[str, Any], code: str, field: str) -> None:
    before = counts(api)["received"]
    answer = api.post("/api/danmaku/enqueue", json=message("hello") | body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (
        (error["code"], error["field"]) == (code, field) and field.rpartition(".")[2] in error["message"]
    ) or code == "unknown_field"
    assert counts(api)["received"] == before
    for missing in ("id", "platform", "channel", "username", "content"):
        left = {key: value for key, value in message("hello").items() if key != missing}
        error = api.post("/api/danmaku/enqueue", json=left).json()["error"]
        assert (error["code"], error["field"]) == ("missing_field", missing)


def test_controls_take_no_body_or_an_object(api: httpx.Client) -> None:
    for verb in ("skip", "pause", "resume", "clear", "replay"):
        path = f"/api/danmaku/{verb}"
        assert api.post(path).status_code == 200 and api.post(path, json={}).status_code == 200
        assert api.post(path, json=[]).json()["error"]["code"] == "invalid_type"
        assert api.post(path, json={"what": 1}).json()["error"]["code"] == "unknown_field"
        assert api.get(path).status_code == 405
    assert api.post("/api/danmaku/skip", json={"id": 5}).json()["error"]["field"] == "id"


def test_many_listeners_hear_the_same(api: httpx.Client, chat: Server) -> None:
    crowd = [Listener(chat) for _ in range(50)]
    name = say(api, "All of you hear the very same words from one single voice.")
    late = None
    for listener in crowd:
        listener.wait("start", name)
    until(lambda: len(crowd[0].of("audio", name)) >= 5)
    late = Listener(chat)
    for listener in [*crowd, late]:
        listener.wait("end", name)
    heard = [listener.samples(name).tobytes() for listener in crowd]
    assert len(heard[0]) > 48000 and all(other == heard[0] for other in heard)
    start = late.of("start", name)[0]
    assert 0 < start["at"] < start["duration"]  # it joined while the clip played
    assert heard[0].endswith(late.samples(name).tobytes()) and 0 < len(late.samples(name)) * 2 < len(heard[0])
    first = late.of("audio", name)[0]
    assert first["t0"] <= start["at"] < first["t1"]
    assert api.get("/api/danmaku/status").json()["listeners"] == 51
    for listener in [*crowd, late]:
        listener.close()
    until(lambda: api.get("/api/danmaku/status").json()["listeners"] == 0)


def test_listeners_are_counted_as_connections(kind: str) -> None:
    with Server(*NO_LIMITS, "--set", "server.connections_max=8", kind=kind) as running:
        crowd = [Listener(running) for _ in range(8)]
        assert {listener.status for listener in crowd} == {200}
        assert crowd[0].headers["content-type"] == "text/event-stream" and crowd[0].headers["x-request-id"]
        more = Listener(running)
        assert more.status == 503 and int(more.headers["retry-after"]) >= 1
        more.close()

        def admitted() -> bool:
            one = Listener(running)
            if one.status != 200:
                one.close()
            return one.status == 200

        crowd.pop().close()
        with running.client() as http:
            until(lambda: parse(http.get("/metrics").text)["ishowtts_connections"] == 8)  # seven others and its own
            head = http.head("/api/danmaku/stream")
            assert head.status_code == 200 and head.headers["content-type"] == "text/event-stream"
        until(admitted)


def test_last_event_id_resumes(api: httpx.Client, chat: Server, listener: Listener) -> None:
    short = Listener(chat)
    name = say(api, "A connection is lost in the middle of this sentence, and comes back before it has ended.")
    until(lambda: len(short.of("audio", name)) >= 4)
    short.close()
    last = [one for _, _, one in short.events if one][-1]
    resumed = Listener(chat, last)
    for one in (listener, resumed):
        one.wait("end", name)
    ids = [one for _, _, one in listener.events]
    tail = ids[ids.index(last) + 1 :]
    assert [one for _, _, one in resumed.events][: len(tail)] == tail[: len(resumed.events)]
    assert "start" not in [event for event, _, _ in resumed.events]
    assert (short.samples(name).tobytes() + resumed.samples(name).tobytes()) == listener.samples(name).tobytes()
    resumed.close()


def test_the_same_over_websocket(api: httpx.Client, chat: Server, listener: Listener) -> None:
    with connect(f"ws://127.0.0.1:{chat.port}/api/danmaku/stream", max_size=None) as socket_:
        first = json.loads(socket_.recv(timeout=60))
        assert first["event"] == "state" and "counts" in first
        name = say(api, "These words come in frames.")
        seen: list[str] = []
        pieces: list[np.ndarray] = []
        while not seen or seen[-1] != "end":
            frame = socket_.recv(timeout=120)
            if isinstance(frame, str):
                data = json.loads(frame)
            else:
                (size,) = struct.unpack("<I", frame[:4])
                data = json.loads(frame[4 : 4 + size])
                samples, rate = soundfile.read(io.BytesIO(frame[4 + size :]), dtype="int16")
                assert data["event"] == "audio" and rate == data["sample_rate"]
                assert len(samples) == pytest.approx((data["t1"] - data["t0"]) * rate, abs=3)
                pieces.append(samples)
            if data.get("id") == name:
                seen.append(data["event"])
        listener.wait("end", name)
        assert seen[:2] == ["message", "start"] and set(seen[2:-1]) == {"audio"}
        assert np.array_equal(np.concatenate(pieces), listener.samples(name))
        socket_.send("louder, please")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket_.recv(timeout=60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1003
    until(lambda: api.get("/api/danmaku/status").json()["listeners"] == 1)


def test_a_listener_that_does_not_read_is_bounded(api: httpx.Client, chat: Server, listener: Listener) -> None:
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.connect(("127.0.0.1", chat.port))
    lazy.sendall(b"GET /api/danmaku/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    lazy.recv(100)
    words = "Nobody reads this on the other side, and so it must not be kept for ever, "
    name = say(api, words + "whoever says it and however long it is.")
    listener.wait("end", name)
    lazy.settimeout(2)
    got = b""
    try:
        while part := lazy.recv(65536):
            got += part
    except TimeoutError:
        pass
    sent = sum(len(data["audio_base64"]) for data in listener.of("audio"))
    assert b'"missed":' in got and len(got) < sent / 2
    lazy.close()
    assert listener.of("end", name)[0]["reason"] == "spoken"  # nothing waited for it


def test_metrics_count_every_message(api: httpx.Client, listener: Listener) -> None:
    name = say(api, "Count me.")
    listener.wait("end", name)
    values = dict(
        line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if line.startswith("ishowtts_chat_")
    )
    total = sum(
        float(values[f"ishowtts_chat_{way}"]) for way in ("spoken_total", "deleted_total", "skipped_total", "waiting")
    )
    total += sum(float(value) for name, value in values.items() if name.startswith("ishowtts_chat_dropped_total"))
    assert total == float(values["ishowtts_chat_received_total"]) > 0
    assert float(values["ishowtts_chat_listeners"]) == 1


def test_killed_and_started_again(kind: str) -> None:
    """Each message that was answered with 202 is played once, or reported as interrupted."""
    heard: list[str] = []
    interrupted = 0
    sent: list[str] = []
    with tempfile.TemporaryDirectory() as state:
        place = ("--set", f"server.state_dir={state}")
        for life in range(2):
            server = Server(*NO_LIMITS, *place, kind=kind)
            with server.client(120) as api:
                listener = Listener(server)
                found = listener.wait("state")["counts"]
                interrupted += counts(api)["dropped"].get("interruption", 0)
                assert found["recovered"] == (
                    0 if life == 0 else len(sent) - len(set(heard)) + counts(api)["dropped"].get("interruption", 0)
                )
                for n in range(3):
                    sent.append(say(api, f"Life {life}, {n}."))
                until(lambda: len(listener.of("start")) >= 2)  # noqa: B023
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                listener.thread.join(30)
                heard += [data["id"] for data in listener.of("start")]
        server = Server(*NO_LIMITS, *place, kind=kind)
        with server.client(120) as api:
            listener = Listener(server)
            interrupted += counts(api)["dropped"].get("interruption", 0)
            until(lambda: counts(api)["waiting"] == 0, 120)
            heard += [data["id"] for data in listener.of("start")]
            assert server.stop() == 0
            # Clips that started before this listener connected are known only from the state of the server.
            assert len(heard) == len(set(heard)), "one was heard twice"
            assert set(heard) <= set(sent) and len(sent) - len(heard) <= interrupted + 1
            assert interrupted >= 1


def test_draining_ends_the_stream(kind: str) -> None:
    server = Server(*NO_LIMITS, kind=kind)
    listener = Listener(server)
    listener.wait("state")
    began = time.monotonic()
    assert server.stop() == 0
    listener.thread.join(30)
    assert not listener.thread.is_alive() and time.monotonic() - began < 15


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, kind: str) -> None:
    from serving import run

    secret = tmp_path / "token"
    secret.write_text("oauth-secret")
    secret.chmod(0o644)
    file = tmp_path / "chat.toml"
    file.write_text('[[chat.sources]]\nplatform = "twitch"\nchannel = "somebody"\ntoken_file = "token"\n')
    ended = run(["--config", str(file), "--port", "0"], kind=kind)
    assert ended.returncode == 2 and "chmod 600" in ended.stderr and "oauth-secret" not in ended.stderr
