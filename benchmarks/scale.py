"""What speech costs as it gets longer, as more of it is in flight, and on more threads; and the memory of a row.

The embedded voice, its texts made of the same sentences over and over. `length`: one utterance of 5 s to `--longest` s.
`rows`: 1 to 64 utterances of two sentences at once: audio a second of all together, when the first sample of each came
(median, worst), and the memory that the process took at most. `threads`: the two sentences on 1, 2, ... threads.

    python benchmarks/scale.py [--longest 180] [--precision bf16]
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import write_csv

from ishowtts import Engine

SENTENCES = (
    "The old lighthouse stood at the end of the pier.",
    "Nobody had lit its lamp for thirty years, and the birds had made it their own.",
    "On the night of the storm, however, a light was seen from the harbor.",
    "Welcome back, everyone, and thank you for your patience.",
)
LENGTHS = (5, 10, 20, 60, 180)  # seconds of audio, about; a text may have 5,000 characters, which is not five minutes
ROWS = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 3


def text_of(seconds: float, per_second: float) -> str:
    """Sentences that take about `seconds`; `per_second`: characters."""
    text, i = "", 0
    while not text or len(text) < seconds * per_second:
        text += SENTENCES[i % len(SENTENCES)] + " "
        i += 1
    return text.strip()


def resident() -> float:
    """MB that the process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Peak:
    """Most memory of the process while the block runs."""

    def __enter__(self) -> Peak:
        self.most, self._over = resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.most = max(self.most, resident())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def one(engine: Engine, text: str, seed: int) -> tuple[float, float]:
    """Seconds of audio, and seconds until the first sample."""
    speech = engine.stream(text, seed=seed)
    samples = sum(map(len, speech))
    return samples / speech.sample_rate, speech.timings["first_audio"]


def alone(engine: Engine, text: str, rounds: int) -> dict[str, float]:
    """Figures of one utterance at a time: audio of the last round, medians of the rest."""
    taken, first = [], []
    for seed in range(rounds):
        start = time.perf_counter()
        audio, soon = one(engine, text, seed)
        taken.append((time.perf_counter() - start) / audio)
        first.append(soon)
    return {"audio_s": audio, "rtf": statistics.median(taken), "first_audio_s": statistics.median(first)}


def main() -> None:
    """Measure, print, write benchmarks/results/scale.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=float, default=LENGTHS[-1])
    parser.add_argument("--precision", help="fp32, bf16, int8-dynamic (default: what suits the processor)")
    args = parser.parse_args()
    rows: list[dict[str, object]] = []

    def note(what: str, value: float, engine: Engine, **figures: float) -> None:
        info = engine.info
        rows.append(
            {"what": what, "value": value, "backend": info["backend"], "precision": info["precision"], **figures}
        )
        print(f"{what:8} {value:6.0f}  " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))

    sentences = " ".join(SENTENCES[:2])
    with Engine.load("demo", precision=args.precision, queue_capacity=max(ROWS) + 1, max_rows=max(ROWS)) as engine:
        audio, _ = one(engine, sentences, 0)
        per_second = len(sentences) / audio
        for length in (seconds for seconds in LENGTHS if seconds <= args.longest):
            text = text_of(length, per_second)
            with Peak() as memory:
                figures = alone(engine, text, ROUNDS if length <= 60 else 1)
            note("length", length, engine, **figures, resident_mb=memory.most)
        for count in ROWS:
            with Peak() as memory, ThreadPoolExecutor(count) as pool:
                start = time.perf_counter()
                done = list(pool.map(lambda seed: one(engine, sentences, seed), range(count)))
                wall = time.perf_counter() - start
            waits = [soon for _, soon in done]
            figures = {"audio_s": sum(a for a, _ in done), "rtf": wall / sum(a for a, _ in done)}
            figures |= {"first_audio_s": statistics.median(waits), "worst_first_audio_s": max(waits)}
            note("rows", count, engine, **figures, resident_mb=memory.most)
    for threads in range(1, len(os.sched_getaffinity(0)) + 1):
        with Engine.load("demo", precision=args.precision, threads=threads) as engine:
            one(engine, sentences, 0)
            note("threads", threads, engine, **alone(engine, sentences, ROUNDS))
    write_csv("scale", rows)


if __name__ == "__main__":
    main()
