"""What the C core adds to the model: seconds of an utterance outside the backend, as a share of the whole.

The timed window runs from the first model work to the last sample (`total - queue`), so that it holds the scheduler,
the wrapping of tensors, the inverse STFT, levels and joining; `model` is the time inside the backend. The text front
end runs before that and is reported beside it. Two warm-up utterances are left out. The share has a target of 1 %.

    python benchmarks/overhead.py [--utterances 20] [--threads 1] [--model demo]
"""

from __future__ import annotations

import argparse
import statistics

from common import write_csv

from ishowtts import Engine

TEXTS = {
    "short": "Yes, of course.",
    "line": "Hello there, this is a line of an ordinary chat, read aloud.",
    "long": "It was a bright day in the spring, and the old road led them over the hill to the sea. " * 4,
}


def measure(engine: Engine, name: str, utterances: int) -> dict[str, object]:
    """Median figures of one text."""
    backend = engine.info["backend"]
    for seed in range(2):
        engine.speak(TEXTS[name], seed=seed)
    timings = [engine.speak(TEXTS[name], seed=seed).timings for seed in range(utterances)]
    work = [t["total"] - t["queue"] for t in timings]
    outside = [w - t["model"] for w, t in zip(work, timings, strict=True)]
    shares = [100 * o / w for o, w in zip(outside, work, strict=True)]
    return {
        "backend": backend,
        "text": name,
        "utterances": utterances,
        "audio_s": round(timings[0]["audio"], 3),
        "work_ms": round(1e3 * statistics.median(work), 3),
        "model_ms": round(1e3 * statistics.median(t["model"] for t in timings), 3),
        "outside_ms": round(1e3 * statistics.median(outside), 3),
        "outside_percent": round(statistics.median(shares), 3),
        "outside_percent_worst": round(max(shares), 3),
        "text_ms": round(1e3 * statistics.median(t["text"] for t in timings), 3),
    }


def main() -> None:
    """Measure every backend."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="demo")
    arguments = parser.parse_args()
    rows = []
    for backend in ("native", "package", "eager"):
        with Engine.load(arguments.model, threads=arguments.threads, backend=backend, compile="wait") as engine:  # type: ignore[arg-type]
            rows += [measure(engine, name, arguments.utterances) | {"threads": arguments.threads} for name in TEXTS]
    write_csv("overhead", rows)
    for row in rows:
        share = f"{row['outside_ms']} ms = {row['outside_percent']} %"
        print(f"{row['backend']:12} {row['text']:6} {row['work_ms']:9} ms, outside {share}")


if __name__ == "__main__":
    main()
