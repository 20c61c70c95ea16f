"""What every benchmark shares: the machine, the versions, and a CSV that holds both."""

from __future__ import annotations

import csv
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """Model name and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name} x{len(os.sched_getaffinity(0))}"


def write_csv(name: str, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write `rows` with columns of machine and versions to benchmarks/results/`name`.csv."""
    where = {
        "machine": processor(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "ishowtts": version("ishowtts"),
    }
    full = [{**row, **where} for row in rows]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, fieldnames=list(full[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(full)
    print(f"wrote {path}", file=sys.stderr)
    return path
