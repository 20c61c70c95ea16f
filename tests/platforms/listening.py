"""Shared by the tests of live chat: a loop that waits for what a test expects, and a certificate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ishowtts._platforms import Loop

PATIENCE = 60.0
# Short pauses for tests, which check that there is a pause and not its length.
QUICK: dict[str, Any] = {"backoff_seconds": 0.02, "backoff_max_seconds": 0.1, "connect_seconds": 30.0}


@dataclass
class Listener:
    """A loop and all events of its sources."""

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


@dataclass
class Certificate:
    certificate: Path
    key: Path
