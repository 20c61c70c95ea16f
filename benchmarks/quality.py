"""Quality and speed by number of steps and precision, on thirty sentences: the figures of docs/how-to/quality.md.

    python benchmarks/quality.py [--config FILE] [--model demo] [--out sweep-out]  # → benchmarks/results/quality.csv

One sweep, compared with fp32 at 32 steps and again with fp32 at 7. Started again it goes on where it was; the folder
then holds the page with samples as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import judged_rows, write_csv

from ishowtts import config
from ishowtts.model import calibration
from ishowtts.model.native import PRECISIONS
from ishowtts.model.source import resolve
from ishowtts.options import overrides
from ishowtts.quantize import calibrate
from ishowtts.sweep import Plan, Setting, compare, settings, sweep, verdicts
from ishowtts.sweep.report import save, text

BASELINES = (Setting(nfe=32), Setting(nfe=7))


def main() -> None:
    """Sweep, compare, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="settings in TOML, for the model and its voices")
    parser.add_argument("--model")
    parser.add_argument("--out", default="sweep-out", type=Path)
    parser.add_argument("--threads", default=1, type=int)
    args = parser.parse_args()
    asked = {"model.name": args.model, "model.threads": args.threads}
    asked_for = config.load(args.config, overrides(asked))
    if calibration.find(resolve(asked_for.model.name)) is None:
        calibrate(asked_for)
    chosen = [*settings(nfe="3:7,16,32"), Setting(nfe=7, grid="uniform")]
    chosen += settings(nfe="6,7", precision=",".join(name for name in PRECISIONS if name != "fp32"))
    chosen += [
        *settings(nfe="3,4,8", solver="midpoint"),
        Setting(nfe=8),
    ]  # the model calls of 6, 8 and 16 steps of Euler
    chosen += settings(embedded_guidance="off", nfe="5,7,32")  # both branches, though the network needs but one
    intervals = "0:0.6,0:0.2,0.01:1,0:0"  # without the last, the last 2, the first 2, all of 7
    chosen += settings(embedded_guidance="off", guidance_interval=intervals)
    plan = Plan(chosen, config=asked_for)
    frame = sweep(plan, args.out)
    print(save(frame, plan, args.out))
    rows = []
    for baseline in BASELINES:
        compared = compare(frame, baseline)
        judged = verdicts(compared, baseline)
        print(f"\ncompared with {baseline.name}\n{text(compared, judged)}")
        judged_here = judged_rows(compared, judged)
        rows += [{"compared_with": baseline.name, **row} for row in judged_here if row["setting"] != baseline.name]
    write_csv("quality", rows)


if __name__ == "__main__":
    main()
