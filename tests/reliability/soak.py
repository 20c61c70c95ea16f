"""A server under everything at once, and whether it grows: scripts/soak [--seconds 3600] [--only KIND...].

Speech (short, long, streamed, over WebSocket, with clients that leave), live chat with a listener, voices that are made
and removed, configurations that are read again, requests that are wrong, and a burst of twelve requests now and then.
Each kind is a client that has one request under way for at most a share of the time (--load), so that the load follows
what the machine can do; an answer that comes after --deadline is an error. Before the time begins, as many messages are
read as fill the caches of numbers, which are bounded but large. Samples are taken of the process; over the second half
a line is fitted to each, with its interval of 95 %. Ctrl-C ends the time early.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from long_run import command_line, message, record, settings, unlimited_chat
from serving import ROOT, Server
from websockets.sync.client import connect

SHORT = "Good evening to you all."
LONG = "The old lighthouse stood at the end of the pier, and nobody had lit its lamp for thirty years. " * 4
REFERENCE = ROOT / "ishowtts" / "voices" / "demo" / "reference.flac"
EXPECTED = {200, 201, 202, 204, 400, 404, 409, 413, 429}
"""Statuses that this load is to get; 429 when much comes at once."""


KINDS = {
    "speak": 0.3,
    "speak_long": 2,
    "stream": 1,
    "leave": 1.5,
    "websocket": 1,
    "chat": 0.5,
    "listen": 0,
    "voices": 3,
    "reload": 5,
    "nonsense": 1,
    "burst": 8,
}
"""Clients, and the seconds that each rests at least between two requests."""
NUMBERS = 9000
"""More than a cache of numbers that were read holds."""
LOGGED_SECONDS = 0.5
"""Until what the server logs about a request has been read."""


class Soak:
    """The load, and what was counted.

    load: the share of time for which a client has a request under way; deadline: seconds until an answer must be there.
    """

    def __init__(self, server: Server, load: float = 0.5, deadline: float = 120, seed: int = 1) -> None:
        self.server = server
        self.deadline = deadline
        self.rest = 1 / load - 1
        self.patience = deadline + 60
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self.latencies: list[tuple[float, float]] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def fill(self) -> None:
        """Have as many messages read as a cache of numbers holds."""
        with self.server.client(self.patience) as api:
            for first in range(0, NUMBERS, 200):
                said = " ".join(message(f"soak-{n}")["content"] for n in range(first, first + 200))
                self._post(api, "/api/reading", json={"text": said})

    def start(self, kinds: Iterable[str] = KINDS) -> None:
        """Start clients."""
        for kind in kinds:
            thread = threading.Thread(target=self._repeat, args=(kind,), name=kind, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let every client finish what it does."""
        self._end.set()
        for thread in self._threads:
            thread.join(self.patience)

    def _repeat(self, kind: str) -> None:
        with self.server.client(self.patience) as api:
            for number in itertools.count():
                if self._end.is_set():
                    return
                began = time.monotonic()
                api.headers["X-Request-Id"] = name = f"{kind}-{number}"
                try:
                    getattr(self, kind)(api)
                    self.done[kind] += 1
                except Exception as error:
                    if not self._end.is_set():
                        self._failed(name, error, time.monotonic() - began)
                self._end.wait(max(KINDS[kind], self.rest * (time.monotonic() - began)))

    def _failed(self, name: str, error: Exception, seconds: float) -> None:
        """Note a round that failed, with what the server logged about its request."""
        self._end.wait(LOGGED_SECONDS)
        lines = [line.strip() for line in list(self.server.log) if f": {name} " in line]
        told = "; ".join(lines) or "the server logged nothing"
        self.errors.append(f"{name}: {type(error).__name__} after {seconds:.1f} s: {error}: {told}")

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

    def speak_long(self, api: httpx.Client) -> None:
        """A text of several parts, in a compressed format."""
        self._post(api, "/api/tts", json={"text": LONG, "format": self.random.choice(["mp3", "opus", "flac"])})

    def stream(self, api: httpx.Client) -> None:
        """Speech as it is made."""
        size = 0
        with api.stream("POST", "/api/tts/stream", json={"text": SHORT * 3}) as answer:
            try:
                for part in answer.iter_bytes():
                    size += len(part)
            except httpx.HTTPError as error:
                raise EOFError(f"{size} bytes, then {error}") from error
        if answer.status_code == 200 and size < 10_000:
            raise EOFError(f"a whole stream of {size} bytes")

    def leave(self, api: httpx.Client) -> None:
        """A client that goes away in the middle."""
        with (
            self.server.client(self.patience) as other,
            contextlib.suppress(httpx.HTTPError),
            other.stream("POST", "/api/tts/stream", json={"text": LONG}) as answer,
        ):
            next(answer.iter_bytes(), b"")

    def websocket(self, api: httpx.Client) -> None:
        """Requests over one socket, one of them cancelled."""
        with connect(f"ws://127.0.0.1:{self.server.port}/api/tts/ws", close_timeout=5) as socket:
            for name in ("a", "b"):
                socket.send(json.dumps({"request_id": name, "text": SHORT}))
            socket.send(json.dumps({"cancel": "b"}))
            ended = 0
            while ended < 2:
                part = socket.recv(timeout=self.patience)
                if isinstance(part, str) and json.loads(part).get("event") in ("end", "error"):
                    ended += 1

    def chat(self, api: httpx.Client) -> None:
        """A message of a viewer."""
        number = self.done["chat"]
        self._post(api, "/api/danmaku/enqueue", json=message(f"soak-{number}", f"viewer {number % 50}"))

    def listen(self, api: httpx.Client) -> None:
        """A listener of the chat for some seconds."""
        with api.stream("GET", "/api/danmaku/stream") as answer:
            end = time.monotonic() + 5
            for _ in answer.iter_bytes():
                if time.monotonic() > end or self._end.is_set():
                    break

    def voices(self, api: httpx.Client) -> None:
        """A voice that is made, speaks and goes; a model without cloning refuses it (409)."""
        name = f"soak-{self.done['voices'] % 5}"
        fields = {"id": name, "text": REFERENCE.with_suffix(".txt").read_text(encoding="utf-8")}
        files = {"audio": ("a.flac", REFERENCE.read_bytes(), "audio/flac")}
        if self._post(api, "/api/voices", data=fields, files=files).status_code == 201:
            self._post(api, "/api/tts", json={"text": SHORT, "voice_id": name})
        api.delete(f"/api/voices/{name}")

    def reload(self, api: httpx.Client) -> None:
        """The configuration once more."""
        self._post(api, "/api/config/reload")

    def nonsense(self, api: httpx.Client) -> None:
        """What is refused."""
        self._post(api, "/api/tts", json={"text": "", "speed": 99})
        self._post(api, "/api/tts", content=os.urandom(500), headers={"Content-Type": "application/json"})
        self.server.raw(b"GET \x00\x01\x02 HTTP/1.1\r\n\r\n", timeout=self.patience)

    def burst(self, api: httpx.Client) -> None:
        """Twelve requests at one moment."""
        threads = [threading.Thread(target=self._one) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.patience)

    def _one(self) -> None:
        with self.server.client(self.patience) as api:
            try:
                self._post(api, "/api/tts", json={"text": SHORT})
            except httpx.HTTPError as error:
                self.errors.append(f"burst: {error}")


def sample(server: Server, patience: float = 60) -> dict[str, float]:
    """What the process holds now, and how busy the machine is."""
    at = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
    with server.client(patience) as api:
        metrics = api.get("/metrics").text
    return {
        "resident_mb": int(status["VmRSS"].split()[0]) / 1024,
        "anonymous_mb": int(status["RssAnon"].split()[0]) / 1024,
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


def run(soak: Soak, seconds: float, interval: float, kinds: Iterable[str] = KINDS) -> list[dict[str, float]]:
    """Load the server for so long; the samples."""
    samples = []
    begin = time.monotonic()
    soak.start(kinds)
    with contextlib.suppress(KeyboardInterrupt):
        while (now := time.monotonic() - begin) < seconds and soak.server.process.poll() is None:
            samples.append({"seconds": round(now, 1)} | sample(soak.server, soak.patience))
            del soak.server.log[:-1000]
            time.sleep(interval)
    soak.stop()
    return samples


def report(soak: Soak, samples: list[dict[str, float]], seconds: float) -> list[dict[str, object]]:
    """A row of a table for each quantity."""
    half = [one for one in samples if one["seconds"] >= seconds / 2]
    rows: list[dict[str, object]] = []
    begin = soak.latencies[0][0] if soak.latencies else 0.0
    held = ("resident_mb", "anonymous_mb", "descriptors", "threads", "handles", "cache_mb")
    series = {name: [(one["seconds"], one[name]) for one in half] for name in held}
    load = float(np.mean([one["load"] for one in half])) if half else 0.0
    series["latency_s"] = [(at - begin, took) for at, took in soak.latencies if at - begin >= seconds / 2]
    for name, points in series.items():
        growth, error = slope(points)
        values = [value for _, value in points] or [0.0]
        rows.append(
            {
                "quantity": name,
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


def cloning(folder: Path) -> Path:
    """The configuration of a server whose model follows clips, with one voice."""
    import tiny  # and with it torch

    path = folder / "cloning.toml"
    voice = f'id = "anna"\naudio = "{REFERENCE}"\ntext = "{REFERENCE.with_suffix(".txt").read_text(encoding="utf-8")}"'
    path.write_text(f'[model]\nname = "{tiny.make(folder / "tiny")}"\n[[voices]]\n{voice}\n', encoding="utf-8")
    return path


def main() -> None:
    """The long form: run, print, write the table."""
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long (default %(default)s; 8 h: 28800)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between samples (default %(default)s)")
    parser.add_argument("--load", type=float, default=0.5, help="share of time of a request (default %(default)s)")
    parser.add_argument("--deadline", type=float, default=600, help="seconds for an answer (default %(default)s)")
    parser.add_argument("--cloning", action="store_true", help="a model of random weights, whose voices come and go")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    given = parser.parse_args()
    more = settings(f"server.request_seconds={given.deadline}")
    with contextlib.ExitStack() as last:
        if given.cloning:
            more += ("--config", str(cloning(Path(last.enter_context(tempfile.TemporaryDirectory())))))
        server = last.enter_context(Server(*unlimited_chat(expire_seconds=20), *more))
        soak = Soak(server, given.load, given.deadline)
        soak.fill()
        samples = run(soak, given.seconds, given.interval, given.only)
    print(json.dumps(soak.done, indent=1))
    for error in soak.errors[:20]:
        print(error)
    if given.only == list(KINDS):
        lasted = min(given.seconds, samples[-1]["seconds"] + given.interval)
        name = f"{lasted:.0f} s{' cloning' * given.cloning}"
        record("soak", [{"soak": name} | row for row in report(soak, samples, lasted)], "soak")
    if soak.errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
