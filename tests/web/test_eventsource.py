"""A browser's EventSource on the chat's stream, through a proxy that cuts the connection."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from browsing import Browser
from serving import Server, until

LISTEN = """
window.got = [];
window.source = new EventSource("/api/danmaku/stream");
for (const name of ["message", "start", "audio", "end", "deleted", "state"])
  source.addEventListener(name, (event) => {
    const data = JSON.parse(event.data);
    got.push([name, event.lastEventId, data.id ?? data.paused ?? null]);
  });
"""


class Wire:
    """A proxy between browser and server that can close connections; `heads` are the requests for the stream."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ends: set[socket.socket] = set()
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._server.port))
                self._ends |= {near, far}
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if asks and data.startswith(b"GET /api/danmaku/stream"):
                    self.heads.append(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.fixture(scope="module", params=["c", "harness"])
def chatting(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server("--set", "chat.gap_seconds=0", "--set", "chat.name_again_seconds=0", kind=request.param)
    yield running
    assert running.stop() == 0


@pytest.fixture
def wire(chatting: Server) -> Iterator[Wire]:
    made = Wire(chatting)
    yield made
    made.close()


def say(server: Server, name: str, text: str) -> None:
    body = {"id": name, "platform": "test", "channel": "room", "username": name, "content": text}
    assert httpx.post(server.url + "/api/danmaku/enqueue", json=body, timeout=60).status_code == 202


def test_it_hears_everything_once_whatever_becomes_of_the_connection(
    browser: Browser, chatting: Server, wire: Wire
) -> None:
    browser.open(wire.url + "/docs")
    browser.run(LISTEN)

    def got(name: str, message: str) -> bool:
        return any([event, of] == [name, message] for event, _, of in browser.run("return window.got"))

    browser.wait(lambda: browser.run("return window.source.readyState") == 1)
    say(chatting, "Ann", "Before the cut.")
    browser.wait(lambda: got("end", "Ann"))
    assert got("message", "Ann") and got("start", "Ann") and got("audio", "Ann")
    assert (
        httpx.post(chatting.url + "/api/danmaku/pause", timeout=60).status_code == 200
    )  # audio of a clip that has ended is not sent again
    browser.wait(lambda: browser.run("return window.got.at(-1)[2]") is True)
    last = browser.run("return window.got.at(-1)[1]")
    wire.cut()
    browser.wait(lambda: browser.run("return window.source.readyState") == 0)  # it reconnects by itself
    say(chatting, "Bob", "While nobody is connected.")
    browser.wait(lambda: got("message", "Bob"))
    assert httpx.post(chatting.url + "/api/danmaku/resume", timeout=60).status_code == 200
    browser.wait(lambda: got("end", "Bob"))
    assert (
        len(wire.heads) == 2
        and b"\r\nLast-Event-ID: " + last.encode() in wire.heads[1]
        and b"Last-Event-ID" not in wire.heads[0]
    )
    ids = [one for _, one, _ in browser.run("return window.got") if one]
    numbers = [int(re.fullmatch(r"[0-9a-f]+-(\d+)", one)[1]) for one in dict.fromkeys(ids)]  # type: ignore[index]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "none is missing, none comes twice"
    assert len({one.partition("-")[0] for one in ids}) == 1
    browser.run("window.source.close()")
    until(lambda: httpx.get(chatting.url + "/api/danmaku/status", timeout=60).json()["listeners"] == 0)
    wire.close()
    browser.open("about:blank").complaints()  # a cut connection is an error
