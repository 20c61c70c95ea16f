"""Rates of the native backend's products and attention on one thread, beside what the processor can multiply and add.

Compiles benchmarks/kernels.c with the module that it measures.

    python benchmarks/kernels.py
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from common import write_csv

ROOT = Path(__file__).parent.parent
MODULES = ("base", "kernels")


def main() -> None:
    """Build, run, print, write benchmarks/results/kernels.csv."""
    sources = [str(path) for module in MODULES for path in sorted((ROOT / "csrc" / module).glob("*.c"))]
    flags = ["pkg-config", "--cflags", "kissfft-float"]
    compiler = [
        *os.environ.get("CC", "cc").split(),
        "-std=gnu11",
        "-D_GNU_SOURCE",
        f"-I{ROOT / 'include'}",
        f"-I{ROOT / 'csrc'}",
        *subprocess.run(flags, check=True, capture_output=True, text=True).stdout.split(),
    ]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "kernels"
        part = (
            Path(folder) / "kernels.o"
        )  # the peak alone may use all that this machine has; the library chooses for itself
        source = str(ROOT / "benchmarks" / "kernels.c")
        subprocess.run([*compiler, "-O3", "-march=native", "-ffast-math", "-c", source, "-o", str(part)], check=True)
        subprocess.run([*compiler, "-O2", str(part), *sources, "-o", str(program), "-lm", "-lpthread"], check=True)
        out = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    names = ("kernels", "what", "type", "rows", "n", "k", "gflops")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in out.splitlines()]
    for row in rows:
        print("{kernels:8} {what:12} {type:5} {rows:>4} {n:>5} {k:>5} {gflops:>8} GFLOP/s".format(**row))
    write_csv("kernels", rows)


if __name__ == "__main__":
    main()
