"""How long reading takes for lines that are made to be slow: 5,000 characters of each kind, the best of several runs.

    python benchmarks/hostile.py [--characters 5000] [--runs 5] [--random 200]

The kinds are those of tests/unit/test_reading.py: each unit again and again, and random lines of 2 to 60 of them. The
time is that of the processor, so that a busy machine adds what its cache and its other threads cost, not the waiting.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from common import write_csv

from ishowtts.text.reading import read

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit"))
from test_reading import HOSTILE, LANGUAGES

SIZES = (2, 3, 4, 6, 10, 20, 60)


def milliseconds(line: str, language: str, runs: int) -> float:
    """The shortest time of `runs` readings."""
    best = float("inf")
    for _ in range(runs):
        begin = time.process_time()
        read(line, language)
        best = min(best, time.process_time() - begin)
    return 1e3 * best


def lines(characters: int, n_random: int) -> list[tuple[str, str]]:
    """(kind, line): each unit repeated, and `n_random` lines of several units at random."""
    draw = random.Random(1)
    made = [(unit, (unit * (characters // len(unit) + 1))[:characters]) for unit in HOSTILE]
    for _ in range(n_random):
        alphabet = draw.sample(HOSTILE, draw.choice(SIZES))
        made.append(("random", "".join(draw.choices(alphabet, k=characters))[:characters]))
    return made


def main() -> None:
    """Measure, show the slowest kinds and write benchmarks/results/hostile.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--random", type=int, default=200, help="number of random lines")
    args = parser.parse_args()
    rows = []
    for language in LANGUAGES:
        repeated: dict[str, float] = {}
        mixed = []
        for kind, line in lines(args.characters, args.random):
            took = milliseconds(line, language, args.runs)
            if kind == "random":
                mixed.append(took)
            else:
                repeated[kind] = took
        for kind in sorted(repeated, key=lambda kind: -repeated[kind])[:5]:
            print(f"{language} {kind!r}: {repeated[kind]:.1f} ms")
        mixed.sort()
        slowest = max(repeated, key=lambda kind: repeated[kind])
        rows.append(
            {
                "language": language,
                "characters": args.characters,
                "kinds": len(repeated),
                "slowest_kind": repr(slowest),
                "repeated_ms_max": round(repeated[slowest], 1),
                "random_lines": len(mixed),
                "random_ms_median": round(mixed[len(mixed) // 2], 1) if mixed else "",
                "random_ms_max": round(mixed[-1], 1) if mixed else "",
            }
        )
        print(rows[-1])
    print(write_csv("hostile", rows))


if __name__ == "__main__":
    main()
