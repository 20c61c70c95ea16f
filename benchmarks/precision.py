"""Where the error of a precision is, and what less of it costs: F5TTS_v1_Base with random weights of real size.

Velocity of one guided step (4 s behind a reference of 4 s, three times of the path) against fp32, and processor seconds
of the step, in turn with those of int8-dynamic. `kinds`: int8 in one kind of product, `blocks`: in a quarter of them,
the rest in fp32; `mixed`: int8 with some products in bf16. Results are added to the file, so that a slow machine can
take them one at a time.

    python benchmarks/precision.py [--only kinds,blocks,mixed,plain] [--rounds 2]   # benchmarks/results/precision.csv
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from common import write_csv
from prompt_cache import RATE, TIMES, Rows, weights

from ishowtts._native import Native
from ishowtts.model.config import PRESETS
from ishowtts.model.native import native_json
from ishowtts.model.recipe import PRODUCTS

QUARTERS = {"first": range(6), "second": range(6, 11), "third": range(11, 16), "last": range(16, 22)}
RECIPES = {
    "kinds": {f"int8 in {name}": {"*": "fp32", f"*.{name}": "int8"} for name in PRODUCTS},
    "blocks": {
        f"int8 in the {name} blocks": {"*": "fp32", **{f"{i}.*": "int8" for i in own}} for name, own in QUARTERS.items()
    },
    "mixed": {
        **{f"int8 but {name} in bf16": {"*": "int8", f"*.{name}": "bf16"} for name in PRODUCTS},
        "int8 but ff2 of every second block in bf16": {"*": "int8", **{f"{i}.ff2": "bf16" for i in range(0, 22, 2)}},
        "int8 but the last quarter in bf16": {"*": "int8", **{f"{i}.*": "bf16" for i in QUARTERS["last"]}},
        "int8 but the first quarter in bf16": {"*": "int8", **{f"{i}.*": "bf16" for i in QUARTERS["first"]}},
    },
    "plain": {name: {} for name in ("bf16", "int8-dynamic")},
    "weights": {f"weights {name}": {"*": name} for name in ("int8/64", "int4/32", "int4/128")},
}


def main() -> None:
    """Measure, print a line a recipe, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(RECIPES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    config, frames = PRESETS["F5TTS_v1_Base"], round(4 * RATE)
    with tempfile.TemporaryDirectory() as folder:
        source, rows = weights(config, Path(folder)), {}

        def made(name: str, patterns: dict[str, str]) -> Rows:
            path = Path(folder, "recipe.json")
            path.write_text(json.dumps(patterns))
            native = Native(native_json(source, f"recipe:{path}" if patterns else name), threads=args.threads)
            return Rows(native, config, frames, frames)

        exact = made("fp32", {})
        base = made("int8-dynamic", {})
        expected = [exact.at(i)[0]["whole"]() for i in range(len(TIMES))]
        h = exact.h
        del exact
        for group in args.only.split(","):
            for name, patterns in RECIPES[group].items():
                rows[name] = (group, made(name, patterns))
                rows[name][1].h = h  # the error of the steps alone
                away = torch.stack([rows[name][1].at(i)[0]["whole"]() - e for i, e in enumerate(expected)])
                error = float(away.norm() / torch.stack(expected).norm())
                spent: tuple[list[float], list[float]] = ([], [])
                for _ in range(args.rounds):
                    for one, seconds in zip((base, rows[name][1]), spent, strict=True):
                        begin = time.process_time()
                        one.at(0)[0]["whole"]()
                        seconds.append(time.process_time() - begin)
                plain, own = map(statistics.median, spent)
                row = {
                    "run": name, "group": group, "velocity_error": f"{error:.5f}", "threads": args.threads,
                    "cpu_seconds": round(own, 3), "times_int8_dynamic": round(own / plain, 3),
                }  # fmt: skip
                print(row, flush=True)
                write_csv("precision", [row], by="run")
                rows.clear()


if __name__ == "__main__":
    main()
