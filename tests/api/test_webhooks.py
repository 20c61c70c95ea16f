"""Webhooks: configured addresses are called when a clip starts and ends, in that order, and nothing waits for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from serving import Server, until

from ishowtts import config
from ishowtts.errors import ConfigError


class Hook(ThreadingHTTPServer):
    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Hook)
        assert self.headers["Content-Type"] == "application/json"
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def hooks() -> Iterator[list[Hook]]:
    made = [Hook(), Hook(500)]
    yield made
    for one in made:
        one.shutdown()
        one.server_close()


def test_a_clip_is_told(kind: str, hooks: list[Hook]) -> None:
    urls = json.dumps([f"http://127.0.0.1:{hook.server_port}/clip" for hook in hooks] + ["http://127.0.0.1:1/nobody"])
    with Server("--set", f"chat.webhooks={urls}", kind=kind) as server, server.client(120) as client:
        for number in (1, 2):
            body = {
                "id": f"w{number}",
                "platform": "test",
                "channel": "room",
                "username": "Ann",
                "content": f"Clip {number}.",
            }
            assert client.post("/api/danmaku/enqueue", json=body).status_code == 202
        for hook in hooks:
            until(lambda hook=hook: len(hook.told) == 4, 120)
            assert [(one["event"], one["id"]) for one in hook.told] == [
                ("start", "w1"),
                ("end", "w1"),
                ("start", "w2"),
                ("end", "w2"),
            ]
            assert hook.told[0]["said"].startswith("Ann says") and hook.told[1]["reason"] == "spoken"


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://127.0.0.1/x", "http://127.0.0.1.example.org/", "https://"]
)
def test_others_are_told_over_tls_alone(url: str) -> None:
    with pytest.raises(ConfigError, match="webhooks"):
        config.load(None, [f'chat.webhooks=["{url}"]'])
