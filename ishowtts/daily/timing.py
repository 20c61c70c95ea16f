"""Timing of utterances, and statistics of repeated runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ishowtts.engine import Engine

TEXTS = {
    "word": "Hello!",
    "chat line": "This boss has killed you nine times already.",
    "two sentences": "Welcome back, everyone. "
    "Tonight we will try the last level again, without a map and without any help.",
}


class Run(NamedTuple):
    """One utterance in seconds: wall-clock time, audio, time to the first piece."""

    wall: float
    audio: float
    first: float

    @property
    def rtf(self) -> float:
        """The real-time factor: wall-clock seconds for a second of audio."""
        return self.wall / self.audio


def speak(engine: Engine, text: str, seed: int) -> Run:
    """Time one utterance, from submission to its last sample."""
    before = time.perf_counter()
    speech = engine.speak(text, seed=seed)
    return Run(time.perf_counter() - before, speech.seconds, speech.timings["first_audio"])


class Spread(NamedTuple):
    """Statistics of repeated runs; `cv`: coefficient of variation, the standard deviation divided by the mean."""

    mean: float
    median: float
    min: float
    max: float
    std: float
    cv: float


def spread(values: Sequence[float]) -> Spread:
    """The statistics of two values or more."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return Spread(mean, statistics.median(values), min(values), max(values), deviation, deviation / mean)


def spread_table(rows: dict[str, Spread]) -> str:
    """A table for a terminal, one row for each name; the coefficient of variation is in percent."""
    width = max(len(name) for name in rows)
    lines = [f"{'':{width}} " + " ".join(f"{name:>9}" for name in ("mean", "median", "min", "max", "std", "CV %"))]
    for name, row in rows.items():
        lines.append(f"{name:{width}} " + " ".join(f"{value:9.4f}" for value in row[:5]) + f" {100 * row.cv:9.2f}")
    return "\n".join(lines)
