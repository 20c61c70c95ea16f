"""The server joins a channel and reads its messages: connection, message, deletion during speech, end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
from bilibili_double import BROTLI, COMMAND, BilibiliDouble, packet
from irc_double import IrcDouble
from serving import Server, until

TAGS = "@badges=moderator/1;display-name=Anna;id={id};mod=1;room-id=1;tmi-sent-ts=1700000000000;user-id=77"
SAYS = TAGS + " :anna!anna@anna.tmi.twitch.tv PRIVMSG #somebody :{text}"


@pytest.fixture(scope="module")
def twitch() -> Iterator[IrcDouble]:
    with IrcDouble() as double:
        yield double


@pytest.fixture(scope="module", params=["c", "harness"])
def server(
    request: pytest.FixtureRequest, twitch: IrcDouble, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("chat")
    file = folder / "chat.toml"
    file.write_text(
        '[chat]\nrepeat_seconds = 0\n[[chat.sources]]\nplatform = "twitch"\n'
        f'endpoint = "{twitch.url}"\nheartbeat_seconds = 1\n'
    )
    with Server("--config", str(file), kind=request.param) as running:
        yield running


class Stream:
    """Events of the server, read on a thread."""

    def __init__(self, server: Server) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.open = threading.Event()
        self.thread = threading.Thread(target=self._read, args=(server.url + "/api/danmaku/stream",), daemon=True)
        self.thread.start()
        assert self.open.wait(30)

    def _read(self, url: str) -> None:
        name = ""
        try:
            with httpx.stream("GET", url, timeout=None) as answer:
                self.open.set()
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: "):
                        self.events.append((name, json.loads(line[6:])))
        except httpx.HTTPError:
            pass

    def wait(self, name: str, message: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [data for event, data in self.events if event == name and data.get("id") == message]
            return bool(found)

        until(look, 120)
        return found[0]


def connections(server: Server) -> list[dict[str, Any]]:
    return httpx.get(server.url + "/api/danmaku/status", timeout=30).json()["connections"]


def test_a_channel_is_joined_read_moderated_and_left(server: Server, twitch: IrcDouble) -> None:
    stream = Stream(server)
    place = {"platform": "twitch", "channel": "somebody"}
    with server.client(60) as http:
        begun = http.post("/api/danmaku/start", json=place | {"channel": "Somebody"})  # a login in any case
        assert begun.status_code == 202, begun.text
        assert begun.json()["state"] == "connecting"
        until(lambda: [one["state"] for one in connections(server)] == ["live"])
        until(lambda: twitch.heard("PING"))  # after a second of silence, as configured
        assert http.post("/api/danmaku/start", json=place).json()["state"] == "live"  # not twice
        assert len(connections(server)) == 1
        twitch.say(SAYS.format(id="first", text="Good evening, everybody."))
        start = stream.wait("start", "first")
        assert start["priority"] == "Moderator" and start["user"] == "Anna" and start["platform"] == "twitch"
        assert stream.wait("end", "first")["reason"] == "spoken"
        twitch.say(
            SAYS.format(
                id="second",
                text="This is long enough for a moderator to take it away while all of us are listening to it.",
            )
        )
        stream.wait("start", "second")
        twitch.say(
            "@login=anna;room-id=1;target-msg-id=second;tmi-sent-ts=1700000000000 "
            ":tmi.twitch.tv CLEARMSG #somebody :This is long"
        )
        assert stream.wait("end", "second")["reason"] == "deleted"
        metrics = http.get("/metrics").text
        assert 'ishowtts_chat_source_live{platform="twitch",channel="somebody"} 1' in metrics
        assert 'ishowtts_chat_source_messages_total{platform="twitch",channel="somebody"} 2' in metrics
        states = [data["source"]["state"] for name, data in stream.events if name == "state" and "source" in data]
        assert states[0] == "connecting" and states[-1] == "live"
        assert http.post("/api/danmaku/stop", json=place).json() == {"stopped": True}
        assert connections(server) == []
        assert http.post("/api/danmaku/stop", json=place).status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"platform": "myspace", "channel": "x"}, "unsupported", "platform"),
        ({"platform": "twitch"}, "missing_field", "channel"),
        ({"channel": "x"}, "missing_field", "platform"),
        ({"platform": "twitch", "channel": "no spaces, please"}, "invalid_request", "channel"),
        ({"platform": "bilibili", "channel": "not a number"}, "invalid_request", "channel"),
        ({"platform": "twitch", "channel": 5}, "invalid_type", "channel"),
        ({"platform": "twitch", "channel": "x", "rooms": "y"}, "unknown_field", "rooms"),
    ],
)
def test_what_cannot_be_joined(server: Server, body: dict[str, Any], code: str, field: str) -> None:
    answer = httpx.post(server.url + "/api/danmaku/start", json=body, timeout=30)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert connections(server) == []


@pytest.mark.parametrize("kind", ["c", "harness"])
def test_costly_frames_do_not_hold_up_http(kind: str, tmp_path: Path) -> None:
    """A frame of some kilobytes that decompresses to gigabytes is skipped, without effect on other sources."""
    bomb = packet(COMMAND, brotli.compress(bytes(16 << 20)), BROTLI) * 100
    file = tmp_path / "chat.toml"
    with BilibiliDouble() as room:
        file.write_text(f'[[chat.sources]]\nplatform = "bilibili"\nendpoint = "{room.url}"\n')
        with Server("--config", str(file), kind=kind) as server, server.client(60) as http:
            assert http.post("/api/danmaku/start", json={"platform": "bilibili", "channel": "6"}).status_code == 202
            until(lambda: [one["state"] for one in connections(server)] == ["live"])
            for _ in range(20):
                room.send(bomb)
            slowest = 0.0
            end = time.monotonic() + 2
            while time.monotonic() < end:
                before = time.monotonic()
                assert http.get("/api/danmaku/status").status_code == 200
                slowest = max(slowest, time.monotonic() - before)
            assert slowest < 0.5, f"HTTP was held up for {slowest:.2f} s"
            assert connections(server)[0]["malformed"] >= 1
            assert http.post("/api/danmaku/stop", json={"platform": "bilibili", "channel": "6"}).status_code == 202
