"""How often the regression gate is wrong: unchanged runs that raise an alarm, and runs a fifth slower that raise none.

    python benchmarks/gate.py [--runs 20]        # writes benchmarks/results/gate.csv

Each run speaks eight sentences as the gate does and is compared with a baseline stored at the start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import write_csv

from ishowtts import Engine
from ishowtts.quality import baseline, sources
from ishowtts.quality.measure import Scorer


class Slower:
    """An engine that burns a fifth more processor time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def speak(self, text: str, **options: Any) -> Any:
        """Speak, then waste."""
        before = time.process_time()
        speech = self.engine.speak(text, **options)
        until = time.process_time() + 0.2 * (time.process_time() - before)
        while time.process_time() < until:
            pass
        return speech


def main() -> None:
    """Measure and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    texts = dict(list(sources.texts().items())[:8])
    scorer = Scorer(["artifacts", "loudness"])
    rows: list[dict[str, object]] = []

    with Engine.load("demo", threads=1, compile="off") as engine, tempfile.TemporaryDirectory() as folder:

        def run(speaker: Any) -> tuple[list[Any], list[Any]]:
            made = [(scorer(clip) | more, clip) for clip, more in baseline.spoken(speaker, texts)]
            return [row for row, _ in made], [clip for _, clip in made]

        path = Path(folder) / "baseline.json"
        baseline.store(path, *run(engine))
        stored = baseline.load(path)
        for number in range(args.runs):
            for name, speaker in (("unchanged", engine), ("slower by a fifth", Slower(engine))):
                now = run(speaker)
                alarms = baseline.compare(stored, *now)
                ratio = np.median([row["speed"] / stored[clip.name]["speed"] for row, clip in zip(*now, strict=True)])
                rows.append(
                    {
                        "run": number,
                        "speech": name,
                        "speed_ratio": round(float(ratio), 3),
                        "alarms": len(alarms),
                        "kinds": " ".join(sorted({alarm.kind for alarm in alarms})),
                    }
                )
                print(rows[-1], flush=True)
    for name, wrong in (
        ("unchanged", lambda row: row["alarms"]),
        ("slower by a fifth", lambda row: row["kinds"] != "speed"),
    ):
        mine = [row for row in rows if row["speech"] == name]
        ratios = [float(str(row["speed_ratio"])) for row in mine]
        failed = sum(bool(wrong(row)) for row in mine)
        print(f"{name}: {failed} of {len(mine)} wrong, speed {min(ratios):.3f} to {max(ratios):.3f}")
    write_csv("gate", rows)


if __name__ == "__main__":
    main()
