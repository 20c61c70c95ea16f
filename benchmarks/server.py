"""The HTTP layer: small requests beside the FastAPI server, idle listeners, a large upload, first byte of a stream.

    python benchmarks/server.py [--rounds 3] [--listeners 10000]

`rate`: both servers run at once and take turns under wrk, so that the figures of a round share their moment; what
counts is their ratio. `listeners`: that many connections stay on the chat's event stream; memory is the server's own
resident_bytes, and each message is timed from the POST that enqueues it to the moment at which the kernel has it for a
listener, for a hundred of them that are spread over the order in which they joined (the one that joined last is served
first). A listener's own turn on the processor does not count, since it is on another machine; for the same reason the
others read between two messages, not while one is on its way. `upload`: a clip of 10 MiB as a reference, against
decoding the same bytes alone. `first`: from the request to the first byte of audio of a text of 15 s, for each format,
against the whole answer.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import selectors
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import wave
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from common import write_csv

import ishowtts
from ishowtts import _audio

COMMANDS = {
    "c": [str(Path(ishowtts.__file__).parent / "bin" / "ishowtts-server")],
    "harness": [sys.executable, "-m", "ishowtts", "api"],
}
TEXT = (
    "The old lighthouse stood at the end of the pier, and nobody had lit its lamp for thirty years. "
    "Then one evening in the autumn a light was seen there again, "
    "and the whole town came down to the harbour to look at it. "
    "It burned until the morning, and nobody ever learned who had lit it."
)
EARS = 100
SO_TIMESTAMPNS = 35
"""Linux's, and the kind of what comes with the data; Python does not name it."""
TIMESPEC = struct.Struct("@qq")
CHAT = ("--set", "chat.name_again_seconds=0", "--set", "chat.rate=1000", "--set", "chat.queue_max=4096")


@contextmanager
def started(kind: str, *options: str) -> Iterator[tuple[int, int]]:
    """The process number and the port of a server on a free port."""
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen(
            [*COMMANDS[kind], "--port", "0", *options],
            env=os.environ | {"ISHOWTTS__SERVER__STATE_DIR": state},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        try:
            found = re.search(r":(\d+)", process.stdout.readline())
            if not found:
                raise SystemExit(f"the server {kind} did not start")
            yield process.pid, int(found[1])
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def serving(kind: str, *options: str) -> Iterator[int]:
    """A server on a free port."""
    with started(kind, *options) as (_, port):
        yield port


def post(port: int, path: str, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
    """One request on a connection of its own."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{path} was answered {error.code}: {error.read().decode()}") from None


def metric(port: int, name: str) -> float:
    """One value of /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        found = re.search(rf"^ishowtts_{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return float(np.percentile(values, 100 * share))


# ---- rate ------------------------------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    """What wrk writes as "1.23ms"."""
    found = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    assert found, text
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]


def load(port: int, path: str, connections: int, duration: int) -> dict[str, float]:
    """One run of wrk: requests in a second, median and 99th percentile."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}s", "--latency", f"http://127.0.0.1:{port}{path}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in text, text
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    marks = {share: re.search(rf"\s{share}%\s+(\S+)", text) for share in (50, 99)}
    assert rate and marks[50] and marks[99]
    return {"rate": float(rate[1]), "p50_ms": 1e3 * seconds(marks[50][1]), "p99_ms": 1e3 * seconds(marks[99][1])}


def measure_rate(rounds: int, duration: int) -> list[dict[str, Any]]:
    """Turns of both servers on trivial requests."""
    rows: list[dict[str, Any]] = []
    with serving("c") as c, serving("harness") as harness:
        for path in ("/healthz", "/api/voices"):
            for connections in (1, 16):
                for turn in range(rounds):
                    for kind, port in (("c", c), ("harness", harness)):
                        rows.append(
                            {"what": "rate", "server": kind, "case": path, "connections": connections, "round": turn}
                            | load(port, path, connections, duration)
                        )
                mine, theirs = (
                    {
                        key: statistics.median(
                            row[key]
                            for row in rows
                            if (row["server"], row["case"], row["connections"]) == (kind, path, connections)
                        )
                        for key in ("rate", "p99_ms")
                    }
                    for kind in ("c", "harness")
                )
                print(
                    f"{path} over {connections}: {mine['rate']:.0f}/s against {theirs['rate']:.0f}/s "
                    f"= {mine['rate'] / theirs['rate']:.1f} times, "
                    f"p99 {mine['p99_ms']:.2f} against {theirs['p99_ms']:.2f} ms"
                )
    return rows


# ---- listeners -------------------------------------------------------------------------------------------------------


def listen(port: int) -> socket.socket:
    """A connection to the event stream whose answer has begun."""
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    made.sendall(b"GET /api/danmaku/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    return made


class Ears:
    """Some listeners, and when the kernel had each message for each of them."""

    def __init__(self, connections: list[socket.socket]) -> None:
        self.arrived: dict[str, dict[int, float]] = defaultdict(dict)
        """Seconds of the clock by a message's id and a listener's place."""
        self._connections = connections
        self._seen = [bytearray() for _ in connections]
        self._ends, self._end = socket.socketpair()
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ends, selectors.EVENT_READ, None)
            for place, connection in enumerate(self._connections):
                selector.register(connection, selectors.EVENT_READ, place)
            while True:
                for key, _ in selector.select():
                    if key.data is None or not self._read(key.data):
                        return

    def _read(self, place: int) -> bool:
        part, extra, _, _ = self._connections[place].recvmsg(65536, socket.CMSG_SPACE(TIMESPEC.size))
        stamps = [
            TIMESPEC.unpack(data) for level, kind, data in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)
        ]
        seen = self._seen[place]
        seen += part
        while (end := seen.find(b"\n\n")) >= 0:
            if found := re.search(rb'event: message.*"id":"([^"]+)"', seen[:end], re.DOTALL):
                self.arrived[found[1].decode()][place] = stamps[0][0] + 1e-9 * stamps[0][1]
            del seen[: end + 2]
        return bool(part)

    def wait(self, id: str) -> list[float]:
        """When the message came to each."""
        while len(self.arrived[id]) < len(self._connections):
            if not self._thread.is_alive():
                raise SystemExit("a listener was dropped")
            time.sleep(0.02)
        return [self.arrived[id][place] for place in range(len(self._connections))]

    def close(self) -> None:
        """The listeners stay."""
        self._end.send(b".")
        self._thread.join()
        self._ends.close()
        self._end.close()


def wait_for_state(connection: socket.socket) -> None:
    """The stream has begun."""
    held = b""
    while b"event: state" not in held:
        part = connection.recv(65536)
        if not part:
            raise SystemExit("a listener was dropped")
        held += part
    connection.setblocking(False)


def catch_up(connections: Iterable[socket.socket], buffer: bytearray) -> None:
    """Read what has arrived: at most one buffer for each connection."""
    for connection in connections:
        with suppress(BlockingIOError):
            if not connection.recv_into(buffer):
                raise SystemExit("a listener was dropped")


def measure_listeners(listeners: int, messages: int) -> list[dict[str, Any]]:
    """Memory with that many listeners, and the ways of messages to a hundred of them."""
    rows: list[dict[str, Any]] = []
    with serving("c", "--set", f"server.connections_max={listeners + 64}", *CHAT) as port:
        post(port, "/api/danmaku/pause", b"{}")
        empty = metric(port, "resident_bytes")
        held: list[socket.socket] = []
        for crowd in (EARS, listeners):
            began = time.perf_counter()
            joining = [listen(port) for _ in range(crowd - len(held))]
            for connection in joining:
                wait_for_state(connection)
            joined = time.perf_counter() - began
            held += joining
            memory = metric(port, "resident_bytes")
            places = sorted({round(place) for place in np.linspace(0, crowd - 1, EARS)})
            ears = Ears([held[place] for place in places])
            others = [connection for place, connection in enumerate(held) if place not in set(places)]
            delays = crowd_hears(port, crowd, ears, others, messages)
            ears.close()
            row: dict[str, Any] = {
                "what": "listeners",
                "server": "c",
                "case": str(crowd),
                "joined_s": joined,
                "memory_mb": (memory - empty) / 1e6,
                "resident_mb": memory / 1e6,
                "messages": messages,
            }
            for name, values in delays.items():
                row |= {
                    f"{name}_{mark}_ms": 1e3 * percentile(values, share)
                    for mark, share in (("p50", 0.5), ("p99", 0.99))
                }
            rows.append(row)
            print(
                f"{crowd} listeners, the last {len(joining)} joined in {joined:.1f} s: "
                f"{row['memory_mb']:.1f} MB more than none ({row['resident_mb']:.1f} in all); "
                + ", ".join(
                    f"{name} {row[f'{name}_p50_ms']:.1f} ms, p99 {row[f'{name}_p99_ms']:.1f}" for name in delays
                )
            )
        for connection in held:
            connection.close()
    return rows


def crowd_hears(
    port: int, crowd: int, ears: Ears, others: list[socket.socket], messages: int
) -> dict[str, list[float]]:
    """Seconds from the POST of a message to listeners: any, the one that joined last, the fastest and the slowest.

    Also the seconds to the answer of the POST, and those of another request sent at the same time.
    """
    delays: dict[str, list[float]] = {"any": [], "last": [], "first": [], "slowest": [], "answer": [], "metrics": []}
    buffer = bytearray(65536)
    for number in range(messages):
        catch_up(others, buffer)
        time.sleep(0.3)  # a state event follows each message
        catch_up(others, buffer)
        id = f"{crowd}-{number}"
        message = {
            "id": id, "platform": "twitch", "channel": "crowd", "username": f"viewer{number}", "priority": "Normal",
            "content": f"This is message number {number} to a crowd of {crowd}.", "metadata": {},
            "timestamp": int(1000 * time.time()),
        }  # fmt: skip
        began = time.time()
        status, _ = post(port, "/api/danmaku/enqueue", json.dumps(message).encode())
        answered = time.time()
        metric(port, "ready")
        asked = time.time()
        if status != 202:
            raise SystemExit(f"message {number} was answered {status}")
        ways = [at - began for at in ears.wait(id)]
        delays["any"] += ways
        for name, value in {
            "last": ways[-1], "first": ways[0], "slowest": max(ways), "answer": answered - began,
            "metrics": asked - answered,
        }.items():  # fmt: skip
            delays[name].append(value)
    return delays


# ---- upload ----------------------------------------------------------------------------------------------------------


def speech_of(size: int) -> bytes:
    """A WAV file of about `size` bytes that the server accepts: the embedded voice's clip in stereo at 192 kHz."""
    clip = next((Path(ishowtts.__file__).parent / "voices" / "demo").glob("reference.*a*"))
    samples, rate = _audio.decode(clip.read_bytes())
    high = np.asarray(_audio.resample(samples, rate, 192000))
    frames = np.resize(high, (size - 44) // 4)
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(192000)
        out.writeframes(np.repeat((frames * 32767).astype("<i2"), 2).tobytes())
    return made.getvalue()


def measure_upload(rounds: int) -> list[dict[str, Any]]:
    """A reference of 10 MiB by HTTP, and decoding alone."""
    data = speech_of(10 * 1024 * 1024)
    edge = "an-edge-of-forms"
    body = b"".join((
        f'--{edge}\r\nContent-Disposition: form-data; name="text"\r\n\r\n{TEXT}\r\n'.encode(),
        f'--{edge}\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n'.encode(),
        b"Content-Type: audio/wav\r\n\r\n",
        data,
        f"\r\n--{edge}--\r\n".encode(),
    ))  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # a tiny model has a reference in its rows; the embedded voices have none
        tiny = Path(__file__).parent.parent / "tests" / "tiny.py"
        subprocess.run([sys.executable, tiny, folder], check=True, stdout=subprocess.DEVNULL)
        return upload_to(folder, data, body, edge, rounds)


def upload_to(model: str, data: bytes, body: bytes, edge: str, rounds: int) -> list[dict[str, Any]]:
    """The turns of decoding and uploading."""
    rows: list[dict[str, Any]] = []
    kind = f"multipart/form-data; boundary={edge}"
    with serving("c", "--set", f"model.name={model}", "--set", "model.compile=off") as port:
        make = f'--{edge}\r\nContent-Disposition: form-data; name="id"\r\n\r\nmine\r\n'.encode() + body
        post(port, "/api/voices", make, kind)
        voice = "mine"
        for turn in range(rounds):
            began = time.perf_counter()
            _audio.decode(data)
            decoded = time.perf_counter()
            post(port, f"/api/voices/{voice}/reference", body, kind)
            ended = time.perf_counter()
            rows.append(
                {
                    "what": "upload",
                    "server": "c",
                    "case": len(data),
                    "round": turn,
                    "decode_ms": 1e3 * (decoded - began),
                    "whole_ms": 1e3 * (ended - decoded),
                }
            )
    beyond = statistics.median(row["whole_ms"] - row["decode_ms"] for row in rows)
    print(
        f"upload of {len(data)} bytes: {statistics.median(row['whole_ms'] for row in rows):.0f} ms, "
        f"{beyond:.0f} ms beyond decoding"
    )
    return rows


# ---- first byte ------------------------------------------------------------------------------------------------------


def measure_first(rounds: int) -> list[dict[str, Any]]:
    """When a stream begins, against when the whole would have been there."""
    rows: list[dict[str, Any]] = []
    with serving("c") as port:
        for turn in range(-1, rounds):  # one warms up
            for form in ("wav", "pcm", "flac", "opus", "mp3"):
                request = json.dumps({"text": TEXT, "seed": turn + 1, "format": form}).encode()
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                began = time.perf_counter()
                connection.request("POST", "/api/tts/stream", request, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read(64)
                first = time.perf_counter()
                while answer.read(65536):
                    pass
                streamed = time.perf_counter()
                _, whole = post(port, "/api/tts", request)
                ended = time.perf_counter()
                connection.close()
                if turn >= 0:
                    rows.append({
                        "what": "first", "server": "c", "case": form, "round": turn, "first_ms": 1e3 * (first - began),
                        "streamed_ms": 1e3 * (streamed - began),
                        "whole_ms": 1e3 * (ended - streamed), "audio_s": json.loads(whole)["duration"],
                    })  # fmt: skip
    for form in ("wav", "pcm", "flac", "opus", "mp3"):
        first, whole, audio = (
            statistics.median(row[key] for row in rows if row["case"] == form)
            for key in ("first_ms", "whole_ms", "audio_s")
        )
        print(
            f"{form}: first byte after {first:.0f} ms, the whole of {audio:.1f} s after {whole:.0f} ms: "
            f"{100 * (1 - first / whole):.0f} % earlier"
        )
    return rows


def main() -> None:
    """Measure, print, write benchmarks/results/server.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=int, default=3, help="seconds of one run of wrk")
    parser.add_argument("--listeners", type=int, default=10000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--only", choices=("rate", "listeners", "upload", "first"), action="append")
    args = parser.parse_args()
    if (not args.only or "rate" in args.only) and shutil.which("wrk") is None:
        raise SystemExit("rate needs the program wrk: apt-get install wrk")
    parts = {
        "rate": lambda: measure_rate(args.rounds, args.duration),
        "listeners": lambda: measure_listeners(args.listeners, args.messages),
        "upload": lambda: measure_upload(args.rounds),
        "first": lambda: measure_first(args.rounds),
    }
    rows = [row for name, part in parts.items() if not args.only or name in args.only for row in part()]
    write_csv(
        "server", [{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in rows], "what"
    )


if __name__ == "__main__":
    main()
