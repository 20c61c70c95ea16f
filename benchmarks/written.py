"""A text that is spoken while a language model writes it: words at a steady rate over the server's WebSocket.

Two figures, each over all runs: from the word that ends the first clause (sending it) to the first audio (its arrival),
and the silence between parts: how long a listener who began at the first audio waits for samples that are not there.
Of the first one, `computing` is what the server's threads compute, and `queued` is how long they wait for a processor
that other programs have: without those, the first audio would come about that much earlier.

    python benchmarks/written.py [--runs 20] [--rate 30] [--set model.threads=2]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import threading
import time
from pathlib import Path

from chat import Running
from common import write_csv
from websockets.sync.client import ClientConnection, connect

TEXT = (
    "Good evening, everybody. The lighthouse had been dark for eleven years, and nobody in the village could say why. "
    "Then, on a quiet night in March, somebody saw a light. It was small, but it moved from window to window, as if a "
    "person with a lamp were looking for something. In the morning the door was open. On the table lay a letter, "
    "addressed to nobody, and under it the key that had been missing since the day the keeper left."
)
WORDS = TEXT.split(" ")
FIRST_CLAUSE = next(i for i, word in enumerate(WORDS) if word[-1] in ",.")
RATE = 24000


def scheduled(process: int) -> tuple[float, float]:
    """Seconds that the threads of a process have computed, and have waited for a processor, by the kernel's account."""
    threads = [file.read_text().split() for file in Path(f"/proc/{process}/task").glob("*/schedstat")]
    return sum(int(one[0]) for one in threads) / 1e9, sum(int(one[1]) for one in threads) / 1e9


def write(socket: ClientConnection, name: str, rate: float, process: int, clause: list[float]) -> None:
    """Send the words, each at its time; `clause` takes when the first one ended, and what was computed and queued."""
    begin = time.perf_counter()
    for i, word in enumerate(WORDS):
        time.sleep(max(begin + i / rate - time.perf_counter(), 0))
        if i == FIRST_CLAUSE:
            clause += [*scheduled(process), time.perf_counter()]
        piece = {"request_id": name, "text": word if i == 0 else " " + word, "more": i < len(WORDS) - 1}
        socket.send(json.dumps(piece))


def run(socket: ClientConnection, name: str, rate: float, process: int) -> tuple[float, ...]:
    """Seconds from the end of the first clause to the first audio, of them computed and queued, silence, speech."""
    clause: list[float] = []
    writer = threading.Thread(target=write, args=(socket, name, rate, process, clause))
    writer.start()
    first = plays_until = longest = audio = 0.0
    at_first: list[float] = []
    while True:
        message = socket.recv(timeout=120)
        now = time.perf_counter()
        if isinstance(message, str):
            event = json.loads(message)
            if event["event"] == "error":
                raise SystemExit(f"failed: {event['error']['message']}")
            if event["event"] == "end":
                break
            continue
        (head,) = struct.unpack_from("<I", message)
        seconds = (len(message) - 4 - head) / 2 / RATE
        if not first:
            first, at_first = now, [*scheduled(process), now]
        longest = max(longest, now - plays_until if plays_until else 0)
        plays_until = max(plays_until, now) + seconds
        audio += seconds
    writer.join()
    computed, queued, passed = (end - begin for begin, end in zip(clause, at_first, strict=True))
    return passed, computed, queued, longest, audio


def main() -> None:
    """Measure and write benchmarks/results/written.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=30, help="words a second")
    parser.add_argument("--set", action="append", default=[], help="a setting of the server")
    args = parser.parse_args()
    server = Running(*args.set)
    try:
        with connect(f"ws://127.0.0.1:{server.port}/api/tts/ws", max_size=None) as socket:
            run(socket, "warm", args.rate, server.process.pid)
            found = [run(socket, f"r{i}", args.rate, server.process.pid) for i in range(args.runs)]
    finally:
        server.stop()
    firsts, computing, queued, gaps, lengths = (
        [1e3 * value for value in column] for column in zip(*found, strict=True)
    )
    row = {
        "words_a_second": args.rate,
        "runs": args.runs,
        "first_audio_ms_median": round(statistics.median(firsts), 1),
        "first_audio_ms_max": round(max(firsts), 1),
        "computing_ms_median": round(statistics.median(computing), 1),
        "queued_ms_median": round(statistics.median(queued), 1),
        "gap_ms_median": round(statistics.median(gaps), 1),
        "gap_ms_max": round(max(gaps), 1),
        "load": round(os.getloadavg()[0], 1),
        "speech_s": round(1e-3 * statistics.median(lengths), 2),
    }
    print(row)
    print(write_csv("written", [row], "words_a_second"))


if __name__ == "__main__":
    main()
