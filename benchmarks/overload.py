"""Speech that is ready in time when ten times as much is asked for as the server can speak.

    python benchmarks/overload.py [--deadline 15] [--seconds 30] [--factor 10] [--rounds 3]

`peak`: as many clients as give the most, each with one request at a time; seconds of speech a second, counted in
answers, the mean of before and after. `overload`: requests come at `factor` times that rate, whatever becomes of them,
and each is given up at the server's deadline. A refused client does not ask again. All threads of the server share one
core, so that reading and refusing is paid for by the model; the client has the other cores, as it would be another
machine. `share`: of the peak. `share_of_work`: the same by the processor time that the inference thread got, so what
is missing there was spoken in vain. `model`, `others`: processor time a second of that thread and of all others, during
the overload. `wait`: seconds that Retry-After names, the median. Other work on the machine changes the rate between
peak and overload.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import struct
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from common import write_csv
from server import started

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
    model: float = 0
    others: float = 0
    client: float = 0

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


def processor_seconds(pid: int) -> dict[str, float]:
    """Processor time of the inference thread and of all others of a process, so far."""
    used = {"model": 0.0, "others": 0.0}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        name, rest = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        ticks = sum(int(field) for field in rest.split()[11:13])
        used["model" if name == "ishow-model" else "others"] += ticks / os.sysconf("SC_CLK_TCK")
    return used


async def timed(pid: int, load: Coroutine[None, None, Outcome]) -> Outcome:
    """The outcome of a load, with the processor time that the server took for it."""
    before, own = processor_seconds(pid), time.process_time()
    outcome = await load
    after = processor_seconds(pid)
    outcome.model, outcome.others = (after[name] - before[name] for name in ("model", "others"))
    outcome.client = time.process_time() - own
    return outcome


async def measure(pid: int, port: int, text: str, given: argparse.Namespace) -> list[dict[str, object]]:
    """Rows of the table: one for each round."""
    request, rows = request_of(text), []
    await closed(port, request, 2, given.seconds / 8)
    tried = {clients: await closed(port, request, clients, given.seconds / 4) for clients in CLIENTS}
    most = max(tried, key=lambda clients: tried[clients].speech)
    rate = tried[most].statuses[200] / (given.seconds / 4)
    if not rate:
        raise SystemExit("not one answer came in time: --deadline is too short for this machine")
    before = await timed(pid, closed(port, request, most, given.seconds / 2))
    for number in range(given.rounds):
        found = await timed(pid, opened(port, request, given.factor * rate, given.seconds))
        await closed(port, request, most, given.seconds / 3)  # until what waits is spoken
        after = await timed(pid, closed(port, request, most, given.seconds / 2))
        if not before.speech + after.speech:
            raise SystemExit("not one answer came in time: the machine has too much other work")
        peak, good = (before.speech + after.speech) / given.seconds, found.speech / given.seconds
        of_model = (before.speech + after.speech) / (before.model + after.model)
        rows.append(
            {
                "round": number,
                "factor": given.factor,
                "peak_requests": round(rate, 2),
                "peak_speech": round(peak, 2),
                "speech": round(good, 2),
                "share": round(good / peak, 3),
                "share_of_work": round(found.speech / found.model / of_model, 3),
                "peak_model": round((before.model + after.model) / given.seconds, 3),
                "model": round(found.model / given.seconds, 3),
                "others": round(found.others / given.seconds, 3),
                "client": round(found.client / given.seconds, 3),
                "spoken": found.statuses[200],
                "refused": found.statuses[429],
                "late": found.statuses[504],
                "wait": round(statistics.median(found.waits), 1) if found.waits else 0,
            }
        )
        print(rows[-1], flush=True)
        before = after
    return rows


def main() -> None:
    """Measure both texts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadline", type=float, default=15, help="seconds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="of each overload (default %(default)s)")
    parser.add_argument("--factor", type=float, default=10, help="times the peak (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each text (default %(default)s)")
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=list(TEXTS), help="(default: all)")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    options = (f"server.request_seconds={given.deadline}", "model.threads=1", "engine.queue_capacity=4096")
    os.sched_setaffinity(0, cores[:1])
    with started("c", *(part for option in options for part in ("--set", option))) as (pid, port):
        for name in given.texts:
            os.sched_setaffinity(0, cores[1:] or cores)
            row = {"text": name, "deadline": given.deadline}
            rows = [row | one for one in asyncio.run(measure(pid, port, TEXTS[name], given))]
            os.sched_setaffinity(0, cores)  # the table names the machine with all of them
            print(f"wrote {write_csv('overload', rows, 'text')}")


if __name__ == "__main__":
    main()
