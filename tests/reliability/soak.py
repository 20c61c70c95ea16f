"""A server under everything at once, and whether it grows: scripts/soak [--seconds 3600].

Speech (short, long, streamed, over WebSocket, with clients that leave), live chat with a listener, voices that are made
and removed, configurations that are read again, requests that are wrong, and a burst of twelve requests now and then.
Samples are taken of the process; over the second half a line is fitted to each, with its interval of 95 %.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import sys
import threading
import time
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from serving import Server
from websockets.sync.client import connect

SHORT = "Good evening to you all."
LONG = "The old lighthouse stood at the end of the pier, and nobody had lit its lamp for thirty years. " * 4
EXPECTED = {200, 201, 202, 204, 400, 404, 409, 413, 429}
"""Statuses that this load is to get; 429 when much comes at once."""


class Soak:
    """The load, and what was counted."""

    def __init__(self, server: Server, seed: int = 1) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self.latencies: list[tuple[float, float]] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all clients."""
        kinds = (self.speak, self.speak_long, self.stream, self.leave, self.websocket, self.chat, self.listen)
        for kind in (*kinds, self.voices, self.reload, self.nonsense, self.burst):
            thread = threading.Thread(target=self._repeat, args=(kind,), name=kind.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let every client finish what it does."""
        self._end.set()
        for thread in self._threads:
            thread.join(120)

    def _repeat(self, kind: Callable[[httpx.Client], None]) -> None:
        with self.server.client(120) as api:
            while not self._end.is_set():
                try:
                    kind(api)
                    self.done[kind.__name__] += 1
                except Exception as error:
                    if not self._end.is_set():
                        self.errors.append(f"{kind.__name__}: {type(error).__name__}: {error}")
                    time.sleep(0.2)

    def _post(self, api: httpx.Client, path: str, **more: Any) -> httpx.Response:
        answer = api.post(path, **more)
        if answer.status_code not in EXPECTED:
            self.errors.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def speak(self, api: httpx.Client) -> None:
        """A short text, timed."""
        begin = time.monotonic()
        if self._post(api, "/api/tts", json={"text": SHORT}).status_code == 200:
            self.latencies.append((begin, time.monotonic() - begin))
        self._end.wait(0.3)

    def speak_long(self, api: httpx.Client) -> None:
        """A text of several parts, in a compressed format."""
        self._post(api, "/api/tts", json={"text": LONG, "format": self.random.choice(["mp3", "opus", "flac"])})
        self._end.wait(2)

    def stream(self, api: httpx.Client) -> None:
        """Speech as it is made."""
        with api.stream("POST", "/api/tts/stream", json={"text": SHORT * 3}) as answer:
            size = sum(len(part) for part in answer.iter_bytes())
        if answer.status_code == 200 and size < 10_000:
            self.errors.append(f"a stream of {size} bytes")
        self._end.wait(1)

    def leave(self, api: httpx.Client) -> None:
        """A client that goes away in the middle."""
        with (
            self.server.client(30) as other,
            contextlib.suppress(httpx.HTTPError),
            other.stream("POST", "/api/tts/stream", json={"text": LONG}) as answer,
        ):
            next(answer.iter_bytes(), b"")
        self._end.wait(1.5)

    def websocket(self, api: httpx.Client) -> None:
        """Requests over one socket, one of them cancelled."""
        with connect(f"ws://127.0.0.1:{self.server.port}/api/tts/ws", close_timeout=5) as socket:
            for name in ("a", "b"):
                socket.send(json.dumps({"request_id": name, "text": SHORT}))
            socket.send(json.dumps({"cancel": "b"}))
            ended = 0
            while ended < 2:
                part = socket.recv(timeout=60)
                if isinstance(part, str) and json.loads(part).get("event") in ("end", "error"):
                    ended += 1
        self._end.wait(1)

    def chat(self, api: httpx.Client) -> None:
        """A message of a viewer."""
        number = self.done["chat"]
        body = {"id": f"soak-{number}", "platform": "test", "channel": "room", "username": f"viewer {number % 50}"}
        self._post(api, "/api/danmaku/enqueue", json=body | {"content": f"Message number {number} says hello."})
        self._end.wait(0.5)

    def listen(self, api: httpx.Client) -> None:
        """A listener of the chat for some seconds."""
        with api.stream("GET", "/api/danmaku/stream") as answer:
            end = time.monotonic() + 5
            for _ in answer.iter_bytes():
                if time.monotonic() > end or self._end.is_set():
                    break

    def voices(self, api: httpx.Client) -> None:
        """A voice that comes and goes; a model without cloning refuses it (409)."""
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            tone = 8000 * np.sin(np.arange(48000) * 0.1) * (np.arange(48000) % 4000 < 3000)
            file.writeframes(tone.astype("<i2").tobytes())
        name = f"soak-{self.done['voices'] % 5}"
        self._post(
            api,
            "/api/voices",
            data={"id": name, "text": "A tone that lasts for a while."},
            files={"audio": ("a.wav", sound.getvalue(), "audio/wav")},
        )
        api.delete(f"/api/voices/{name}")
        self._end.wait(3)

    def reload(self, api: httpx.Client) -> None:
        """The configuration once more."""
        self._post(api, "/api/config/reload")
        self._end.wait(5)

    def nonsense(self, api: httpx.Client) -> None:
        """What is refused."""
        self._post(api, "/api/tts", json={"text": "", "speed": 99})
        self._post(api, "/api/tts", content=os.urandom(500), headers={"Content-Type": "application/json"})
        self.server.raw(b"GET \x00\x01\x02 HTTP/1.1\r\n\r\n", timeout=40)
        self._end.wait(1)

    def burst(self, api: httpx.Client) -> None:
        """Twelve requests at one moment."""
        self._end.wait(8)
        threads = [threading.Thread(target=self._one) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

    def _one(self) -> None:
        with self.server.client(120) as api:
            try:
                self._post(api, "/api/tts", json={"text": SHORT})
            except httpx.HTTPError as error:
                self.errors.append(f"burst: {error}")


def sample(server: Server) -> dict[str, float]:
    """What the process holds now, and how busy the machine is."""
    at = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
    with server.client(60) as api:
        metrics = api.get("/metrics").text
    return {
        "resident_mb": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": len(list((at / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "handles": _metric(metrics, "live_handles"),
        "cache_mb": _metric(metrics, "cache_bytes") / (1 << 20),
        "load": os.getloadavg()[0],
    }


def _metric(text: str, name: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"ishowtts_{name} "))


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Growth an hour by least squares, and half of its interval of 95 %."""
    if len(points) < 3:
        return 0.0, float("inf")
    x, y = np.array(points).T
    x = (x - x.mean()) / 3600
    spread = float((x**2).sum())
    found = float((x * y).sum() / spread)
    rest = y - y.mean() - found * x
    # Samples that follow each other are alike: their number is reduced by how much one tells about the next.
    alike = float(np.corrcoef(rest[:-1], rest[1:])[0, 1]) if rest.std() > 0 else 0.0
    count = max(3.0, len(x) * (1 - max(alike, 0.0)) / (1 + max(alike, 0.0)))
    error = float(np.sqrt((rest**2).sum() / (len(x) - 2) / spread * len(x) / count))
    return found, 1.96 * error


def run(server: Server, seconds: float, interval: float) -> tuple[Soak, list[dict[str, float]]]:
    """Load the server for so long; the clients with their counts, and the samples."""
    soak, samples = Soak(server), []
    begin = time.monotonic()
    soak.start()
    while (now := time.monotonic() - begin) < seconds and server.process.poll() is None:
        samples.append({"seconds": round(now, 1)} | sample(server))
        time.sleep(interval)
    soak.stop()
    return soak, samples


def report(soak: Soak, samples: list[dict[str, float]], seconds: float) -> list[dict[str, object]]:
    """A row of a table for each quantity."""
    half = [one for one in samples if one["seconds"] >= seconds / 2]
    rows: list[dict[str, object]] = []
    begin = soak.latencies[0][0] if soak.latencies else 0.0
    held = ("resident_mb", "descriptors", "threads", "handles", "cache_mb")
    series = {name: [(one["seconds"], one[name]) for one in half] for name in held}
    load = float(np.mean([one["load"] for one in half])) if half else 0.0
    series["latency_s"] = [(at - begin, took) for at, took in soak.latencies if at - begin >= seconds / 2]
    for name, points in series.items():
        growth, error = slope(points)
        values = [value for _, value in points] or [0.0]
        rows.append(
            {
                "quantity": name,
                "seconds": round(seconds),
                "median": round(float(np.median(values)), 3),
                "most": round(max(values), 3),
                "slope_per_hour": round(growth, 3),
                "interval": round(error, 3),
                "load": round(load, 1),
                "done": sum(soak.done.values()),
                "errors": len(soak.errors),
            }
        )
    return rows


def main() -> None:
    """The long form: run, print, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600, help="how long (default %(default)s)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between samples (default %(default)s)")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from common import write_csv

    with Server(*options()) as server:
        soak, samples = run(server, given.seconds, given.interval)
        rows = report(soak, samples, given.seconds)
    print(json.dumps(soak.done, indent=1))
    for row in rows:
        print(row)
    for error in soak.errors[:20]:
        print(error)
    print(f"wrote {write_csv('soak', rows, 'seconds')}")
    if soak.errors:
        sys.exit(1)


def options() -> tuple[str, ...]:
    """Of the server: a chat that takes all of the load's messages."""
    limits = ("chat.rate=0", "chat.repeat_seconds=0", "chat.flood_messages=0", "chat.expire_seconds=20")
    return tuple(part for limit in limits for part in ("--set", limit))


if __name__ == "__main__":
    main()
