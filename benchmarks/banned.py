"""How many lines of ordinary text each level of `banned_level` finds, with the usual swear words of a test.

    make build/release/tests/test_chat_banned
    python benchmarks/banned.py TEXT [--lines 1000] [--show]

TEXT has a line for each sentence. What `exact` and `normal` find uses such a word or a form of it; what `strict` finds
beyond that is shown by `--show`, to tell false alarms from compounds.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

from common import write_csv

ROOT = Path(__file__).resolve().parent.parent
LEVELS = ("exact", "normal", "strict")


def main() -> None:
    """Count and write benchmarks/results/banned.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--lines", type=int, default=0, help="so many of them at random (default: all)")
    parser.add_argument("--show", action="store_true", help="the lines that strict finds and normal does not")
    args = parser.parse_args()
    lines = [line for line in args.text.read_text(encoding="utf-8").splitlines() if line.strip()]
    if args.lines:
        lines = random.Random(1).sample(lines, args.lines)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as chosen:
        chosen.write("\n".join(lines) + "\n")
        chosen.flush()
        done = subprocess.run(
            [ROOT / "build/release/tests/test_chat_banned"],
            cwd=ROOT,
            env=os.environ | {"ISHOW_CLEAN_LINES": chosen.name},
            capture_output=True,
            text=True,
            check=True,
        )
    counts = {int(level): int(n) for level, n in re.findall(r"level (\d): (\d+) of \d+ clean", done.stdout)}
    found = {level: set(re.findall(rf"^level {level} finds: (.*)$", done.stdout, re.MULTILINE)) for level in (1, 2)}
    rows = [{"level": name, "lines": len(lines), "found": counts[level]} for level, name in enumerate(LEVELS)]
    print(rows)
    if args.show:
        print("\n".join(sorted(found[2] - found[1])))
    print(write_csv("banned", rows, "lines"))


if __name__ == "__main__":
    main()
