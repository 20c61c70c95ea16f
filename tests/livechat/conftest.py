"""A certificate of our own, and a loop that waits for what a test expects."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ishowtts._livechat import Loop

PATIENCE = 60.0
# Pauses that suit a test; what is under test is that they happen, not how long they last.
QUICK: dict[str, Any] = {"backoff_seconds": 0.02, "backoff_max_seconds": 0.1, "connect_seconds": 30.0}


@dataclass
class Listener:
    """A loop and everything its sources said."""

    loop: Loop = field(default_factory=lambda: Loop(1000, 0.0))
    events: list[dict[str, Any]] = field(default_factory=list)

    def open(self, platform: Any, channel: str, **options: Any) -> int:
        return self.loop.open(platform, channel, **(QUICK | options))

    def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"{what} did not come; last events: {self.events[-5:]}"
            self.events += self.loop.wait(0.05)

    def live(self, source: int = 0) -> None:
        self.until(lambda: self.loop.stats(source)["state"] == "live", "live")

    def state(self, wanted: str, source: int = 0) -> str:
        self.until(lambda: self.loop.stats(source)["state"] == wanted, wanted)
        return self.loop.stats(source)["text"]

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] in types]

    @property
    def texts(self) -> list[str]:
        return [event["text"] for event in self.of("message")]


@pytest.fixture
def listener() -> Iterator[Listener]:
    yield Listener()


@dataclass
class Certificate:
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Self-signed, for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
    return made
