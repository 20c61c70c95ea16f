"""Share of polyphonic Chinese characters read correctly by our reading, g2pM's network and pypinyin; time for a line.

python benchmarks/polyphones.py FOLDER [--split test]

FOLDER holds the CPP benchmark (Apache-2.0): NAME.sent, one sentence a line with one character between two marks, and
NAME.lb with its reading; they are the folder `data` of the repository of g2pM. Tones changed by neighbours are not part
of it. In the window of the time: one sentence from characters to symbols, dictionaries loaded.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from common import write_csv
from pypinyin import Style, lazy_pinyin

from ishowtts.text import mandarin, polyphones

MARK = "▁"


def sentences(folder: Path, split: str) -> Iterator[tuple[str, int, str]]:
    """(sentence, place of the character, its reading)."""
    marked = (folder / f"{split}.sent").read_text(encoding="utf-8").splitlines()
    labels = (folder / f"{split}.lb").read_text(encoding="utf-8").split()
    for line, label in zip(marked, labels, strict=True):
        yield line.replace(MARK, ""), line.index(MARK), label.replace("u:", "v")


def ours(text: str, at: int) -> str:
    """The reading that the front end starts from."""
    return polyphones.read(text, mandarin.words(text))[at]


def network(text: str, at: int) -> str:
    """The best class of the network, whatever the dictionary says."""
    net = polyphones.network()
    return list(net.classes)[int(net.scores(text, [at])[0].argmax())]


def pypinyin(text: str, at: int) -> str:
    """What pypinyin says with its own segmentation."""
    said = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=lambda rest: list(rest))
    return str(said[at]) if len(said) == len(text) else ""


def main() -> None:
    """Measure, print, and write results/polyphones.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    mandarin.warm()
    lines = list(sentences(options.folder, options.split))
    rows = []
    for reader in (ours, network, pypinyin):
        right = sum(reader(text, at) == label for text, at, label in lines)
        rows.append(
            {"reader": reader.__name__, "sentences": len(lines), "right_percent": round(100 * right / len(lines), 2)}
        )
        print(rows[-1])
    spent = []
    for text, _, _ in lines[:2000]:
        begun = time.perf_counter()
        mandarin.phones(text)
        spent.append(1000 * (time.perf_counter() - begun))
    rows[0]["median_ms"] = round(statistics.median(spent), 3)
    rows[0]["median_characters"] = statistics.median(len(text) for text, _, _ in lines)
    print(rows[0])
    write_csv("polyphones", rows)


if __name__ == "__main__":
    main()
