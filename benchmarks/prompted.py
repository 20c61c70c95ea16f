"""Quality and time of `short_guidance`, guidance without the reference's frames, on a voice that follows a reference.

The embedded voice was trained with speech around what it had to fill in as well, so the same weights follow a clip when
their configuration says so: the only such voice available. Thirty sentences, the same noise for both ways, by `ishowtts
sweep`.

    python benchmarks/prompted.py [--out sweep-out] [--threads 1]       # writes benchmarks/results/prompted.csv
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path

from common import judged_rows, write_csv

from ishowtts import config
from ishowtts.model.config import ModelConfig
from ishowtts.model.source import resolve
from ishowtts.options import overrides
from ishowtts.sweep import Plan, Setting, compare, settings, sweep, verdicts
from ishowtts.sweep.report import text

BASELINE = Setting(embedded_guidance="off")


def main() -> None:
    """Sweep, compare, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="sweep-out", type=Path)
    parser.add_argument("--threads", default=1, type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        voice = Path(folder, "prompted")
        shutil.copytree(resolve("demo").dit.parent, voice)
        dataclasses.replace(ModelConfig.load(voice / "model.json"), prompt=True).save(voice / "model.json")
        asked = config.load(None, overrides({"model.name": str(voice), "model.threads": args.threads}))
        chosen = settings(embedded_guidance="off", short_guidance="off,on", nfe="5,7")
        frame = sweep(Plan(chosen, config=asked), args.out)
    compared = compare(frame, BASELINE)
    judged = verdicts(compared, BASELINE)
    print(text(compared, judged))
    write_csv("prompted", judged_rows(compared, judged))


if __name__ == "__main__":
    main()
