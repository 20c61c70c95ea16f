"""What all benchmarks share: a description of machine and versions, and CSV files with results of several machines."""

from __future__ import annotations

import csv
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ishowtts.model.compile import cpu_flags

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
    return f"{name} x{len(os.sched_getaffinity(0))}, {kernels()}"


def kernels() -> str:
    """The widest instruction set that matters here; hosts of virtual machines often hide the processor's name."""
    flags = set(cpu_flags())
    widest = (
        "amx_bf16",
        "avx512_vp2intersect",
        "avx512_bf16",
        "avx512f",
        "avx2",
    )  # the second: Zen 5, of the third Zen 4
    return next((flag for flag in widest if flag in flags), platform.machine())


def judged_rows(compared: Any, judged: Any) -> list[dict[str, object]]:
    """Rows for a CSV of a sweep's comparison, each figure with the verdict on its setting; the baseline has none."""
    outcome = judged.set_index("setting")[["verdict", "more"]].to_dict("index")
    rows: list[dict[str, object]] = []
    for row in compared.to_dict("records"):
        figures = {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
        rows.append({**figures, **outcome.get(row["setting"], {})})
    return rows


def write_csv(name: str, rows: Iterable[Mapping[str, object]], by: str = "") -> Path:
    """Write `rows`, with machine and versions, to benchmarks/results/`name`.csv; they replace this machine's old rows.

    by: a column; old rows are kept if no new row has the same value in it.
    """
    where = {
        "machine": processor(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "ishowtts": version("ishowtts"),
    }
    full: list[dict[str, object]] = [{**row, **where} for row in rows]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as old:
            new = {str(row.get(by)) for row in full}
            full += [
                row for row in csv.DictReader(old) if row["machine"] != where["machine"] or str(row.get(by)) not in new
            ]
    columns = dict.fromkeys(name for row in full for name in row)
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(full)
    print(f"wrote {path}", file=sys.stderr)
    return path
