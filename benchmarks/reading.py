"""How many written lines are read as a table says, and how long a line takes.

    python benchmarks/reading.py LANGUAGE TABLE.tsv [--wrong]

TABLE has a line for each case: kind, written, spoken, with tabs between. Readings are compared without case, hyphens,
"and" and punctuation; German and Chinese without white space too, since spellings differ ("drei und zwanzig").
`--wrong` shows the lines that differ.
"""

from __future__ import annotations

import argparse
import collections
import statistics
import sys
import time
import unicodedata
from pathlib import Path

from ishowtts.text.reading import read


def comparable(text: str, language: str) -> str:
    """What two readings must have in common."""
    kept = "".join(" " if unicodedata.category(char)[0] in "PSZ" else char for char in text.lower())
    words = [word for word in kept.split() if word != "and"]
    return ("" if language in ("de", "zh") else " ").join(words)


def main() -> int:
    """Measure one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=("en", "de", "zh"))
    parser.add_argument("table", type=Path)
    parser.add_argument("--wrong", action="store_true", help="show the lines that differ")
    arguments = parser.parse_args()
    language: str = arguments.language

    right: collections.Counter[str] = collections.Counter()
    lines: collections.Counter[str] = collections.Counter()
    seconds = []
    for row in arguments.table.read_text(encoding="utf-8").splitlines():
        if not row.strip() or row.startswith("# "):
            continue
        kind, written, spoken = row.split("\t")
        begin = time.perf_counter()
        said = read(written, language).text
        seconds.append(time.perf_counter() - begin)
        lines[kind] += 1
        if comparable(said, language) == comparable(spoken, language):
            right[kind] += 1
        elif arguments.wrong:
            print(f"{kind}\t{written}\n\texpected {spoken}\n\tread     {said}")
    for kind in sorted(lines):
        print(f"{kind:14} {right[kind]:4} of {lines[kind]:4}")
    total = sum(lines.values())
    print(f"{'all':14} {sum(right.values()):4} of {total:4}, {100 * sum(right.values()) / max(total, 1):.1f} %")
    print(f"median {1e3 * statistics.median(seconds):.3f} ms a line, slowest {1e3 * max(seconds):.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
