"""The speed of this build against that of another checkout, in turns: whether a change made speech slower.

    python benchmarks/before.py CHECKOUT [--rounds 20]      # writes benchmarks/results/before.csv

Both speak the texts of benchmarks/speech.py with the voice of the other checkout, native bf16, each in a process of its
own that waits while the other one speaks. The checkout must be built (`make lib ext`, `setup.py build_ext --inplace`).
The ratio is that of wall times, this build over the other; below 1 this build is faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from common import write_csv
from speech import TEXTS

ROOT = Path(__file__).parent.parent
WORKER = """
import sys, time
from ishowtts import Engine
with Engine.load(sys.argv[1], precision="bf16", backend="native", compile="off") as engine:
    print("ready", flush=True)
    for line in sys.stdin:
        seed, text = line.rstrip("\\n").split("\\t")
        start = time.perf_counter()
        speech = engine.speak(text, seed=int(seed))
        print(time.perf_counter() - start, speech.seconds, flush=True)
"""


class Build:
    """A process that speaks with the package of a checkout."""

    def __init__(self, checkout: Path, voice: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        command = [sys.executable, "-c", WORKER, str(voice)]
        self.process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout
        if self.answers.readline() != "ready\n":
            raise RuntimeError(f"the package of {checkout} did not start")

    def speak(self, text: str, seed: int) -> float:
        """Seconds that the text takes."""
        self.requests.write(f"{seed}\t{text}\n")
        self.requests.flush()
        return float(self.answers.readline().split()[0])


def main() -> None:
    """Measure, print, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    voice = args.checkout.resolve() / "ishowtts" / "voices" / "demo"
    builds = [Build(ROOT, voice), Build(args.checkout.resolve(), voice)]
    rows: list[dict[str, object]] = []
    for name, text in TEXTS.items():
        walls: list[list[float]] = [[], []]
        for seed in range(-2, args.rounds):
            for k in (0, 1) if seed % 2 else (1, 0):
                wall = builds[k].speak(text, seed + 2)
                if seed >= 0:
                    walls[k].append(wall)
        ratios = [mine / other for mine, other in zip(*walls, strict=True)]
        low, middle, high = (round(value, 3) for value in statistics.quantiles(ratios, n=4))
        this, other = (round(statistics.median(one), 4) for one in walls)
        rows.append({"text": name, "ratio": middle, "low": low, "high": high, "this_s": this, "other_s": other})
        print(rows[-1], flush=True)
    for build in builds:
        build.requests.close()
        build.process.wait()
    write_csv("before", rows)


if __name__ == "__main__":
    main()
