"""How long speech takes, over many runs."""

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
    "two sentences": "Welcome back, everyone. Tonight we will try the last level again, without a map and without any help.",
}


class Run(NamedTuple):
    """One utterance: seconds of the clock, seconds of audio, seconds to its first piece."""

    wall: float
    audio: float
    first: float

    @property
    def rtf(self) -> float:
        """Seconds of work for a second of audio."""
        return self.wall / self.audio


def speak(engine: Engine, text: str, seed: int) -> Run:
    """Time one utterance, from submission to its last sample."""
    before = time.perf_counter()
    speech = engine.speak(text, seed=seed)
    return Run(time.perf_counter() - before, speech.seconds, speech.timings["first_audio"])


class Spread(NamedTuple):
    """What repeated runs say: `cv` is the standard deviation as a part of the mean."""

    mean: float
    median: float
    min: float
    max: float
    std: float
    cv: float


def spread(values: Sequence[float]) -> Spread:
    """Of two values or more."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return Spread(mean, statistics.median(values), min(values), max(values), deviation, deviation / mean)


def spread_table(rows: dict[str, Spread]) -> str:
    """A table for a terminal; the coefficient of variation in percent."""
    width = max(len(name) for name in rows)
    lines = [f"{'':{width}} " + " ".join(f"{name:>9}" for name in ("mean", "median", "min", "max", "std", "CV %"))]
    for name, row in rows.items():
        lines.append(f"{name:{width}} " + " ".join(f"{value:9.4f}" for value in row[:5]) + f" {100 * row.cv:9.2f}")
    return "\n".join(lines)
