"""Speech that is ready in time when ten times as much is asked for as the server can speak.

    python benchmarks/overload.py [--deadline 15] [--seconds 45] [--factor 10]

`peak`: as many clients as give the most, each with one request at a time; seconds of speech a second, counted in
answers, the mean of before and after. `overload`: requests come at `factor` times that rate, whatever becomes of them,
and each is given up at the server's deadline. A refused client does not ask again. The server speaks with one thread
and the client is another process, but both share the machine: where requests are short, reading and refusing thousands
of them is part of what is measured. `wait`: seconds that Retry-After names, the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

from common import write_csv
from server import serving

TEXTS = {
    "short": "Good evening to you all.",
    "long": "The old lighthouse stood at the end of the pier, and nobody had lit its lamp for thirty years. " * 4,
}
CLIENTS = (1, 2, 4)


@dataclass
class Outcome:
    """What became of the requests of one round."""

    speech: float = 0
    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=list)

    def take(self, status: int, head: bytes, body: bytes) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        if status == 200:
            (rate,) = struct.unpack_from("<I", body, 24)
            self.speech += (len(body) - 44) / 2 / rate
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"retry-after:"):
                self.waits.append(int(line.split(b":")[1]))


async def ask(port: int, request: bytes, outcome: Outcome, until: float) -> None:
    """One request on a connection of its own; an answer that comes after `until` does not count."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
        if time.monotonic() <= until:
            outcome.take(int(head[9:12]), head, body)
    finally:
        writer.close()


def request_of(text: str) -> bytes:
    """The bytes of a request whose connection ends with the answer."""
    body = json.dumps({"text": text}).encode()
    head = "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: audio/wav\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def closed(port: int, request: bytes, clients: int, seconds: float) -> Outcome:
    """Clients that ask again as soon as they are answered."""
    outcome, end = Outcome(), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            await ask(port, request, outcome, end)

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcome


async def opened(port: int, request: bytes, rate: float, seconds: float) -> Outcome:
    """Requests that come at a fixed rate."""
    outcome, begin = Outcome(), time.monotonic()
    running: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        task = asyncio.create_task(ask(port, request, outcome, begin + seconds))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.sleep(max(0.0, begin + seconds - time.monotonic()))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return outcome


async def measure(port: int, text: str, seconds: float, factor: float) -> dict[str, object]:
    """A row of the table."""
    request, best, rate, most = request_of(text), 0.0, 0.0, CLIENTS[0]
    await closed(port, request, 2, seconds / 8)
    for clients in CLIENTS:
        found = await closed(port, request, clients, seconds / 2)
        if found.speech > best:
            best, rate, most = found.speech, found.statuses[200] / (seconds / 2), clients
    if not best:
        raise SystemExit("not one answer came in time: --deadline is too short for this machine")
    found = await opened(port, request, factor * rate, seconds)
    await closed(port, request, most, seconds / 3)  # until what waits is spoken
    after = await closed(port, request, most, seconds / 2)
    peak, good = (best + after.speech) / seconds, found.speech / seconds
    return {
        "factor": factor,
        "peak_requests": round(rate, 2),
        "peak_speech": round(peak, 2),
        "speech": round(good, 2),
        "share": round(good / peak, 3),
        "spoken": found.statuses[200],
        "refused": found.statuses[429],
        "late": found.statuses[504],
        "wait": round(statistics.median(found.waits), 1) if found.waits else 0,
    }


def main() -> None:
    """Measure both texts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadline", type=float, default=15, help="seconds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=45, help="of each overload (default %(default)s)")
    parser.add_argument("--factor", type=float, default=10, help="times the peak (default %(default)s)")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    options = (f"server.request_seconds={given.deadline}", "model.threads=1", "engine.queue_capacity=4096")
    with serving("c", *(part for option in options for part in ("--set", option))) as port:
        for name, text in TEXTS.items():
            row = {"text": name, "deadline": given.deadline}
            rows.append(row | asyncio.run(measure(port, text, given.seconds, given.factor)))
            print(rows[-1])
    print(f"wrote {write_csv('overload', rows)}")


if __name__ == "__main__":
    main()
