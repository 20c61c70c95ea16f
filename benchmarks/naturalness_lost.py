"""Where naturalness is lost: held-out clips of a work folder, their copy-synthesis, and the transformer's speech.

    python benchmarks/naturalness_lost.py WORK [--voice FOLDER] [--clips 8]
                                                            # writes benchmarks/results/naturalness_lost.csv

WORK is a folder of `ishowtts train` with an alignment; FOLDER a voice folder with its speakers, by default that of the
package. A row for each speaker has the DistillMOS of its clips (`clips`), of copy-synthesis, which is the vocoder on
their own mel (`copied`), and of the voice with the phones and durations of the clips (`spoken`): the vocoder loses
what is between the first two, the transformer what is between the last two. Intervals are 95 %, from bootstrap samples
of the clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import write_csv
from voice import Row, put

from ishowtts.quality import mos
from ishowtts.train import data as datasets
from ishowtts.train.align import SAMPLE_RATE
from ishowtts.train.export import BaseVoice, load_models
from ishowtts.train.listen import interval
from ishowtts.train.speaking import sample

PACKAGE = Path(__file__).parent.parent / "ishowtts" / "voices" / "demo"


def main() -> None:
    """Reads the command line, measures one speaker after another, and writes the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", type=Path)
    p.add_argument("--voice", type=Path, default=PACKAGE)
    p.add_argument("--clips", type=int, default=8)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    data = datasets.load(args.work)
    dit, vocos, _ = load_models(args.work / "none", data, BaseVoice(args.voice))
    rows: list[Row] = []
    for speaker in data.speakers():
        scores = []
        for k in data.one_take_each(speaker)[: args.clips]:
            mel = sample(dit, data.tokens[k], data.frames[k], seed=k) * data.config.std + data.config.mean
            copied, spoken = (
                vocos(log_mel[None].transpose(1, 2))[0].numpy() for log_mel in (torch.from_numpy(data.mel(k)), mel)
            )
            scores.append([mos.opinion(wave, SAMPLE_RATE) for wave in (data.wave(k), copied, spoken)])
        row: Row = {"voice": speaker, "count": len(scores)}
        for name, values in zip(("clips", "copied", "spoken"), np.array(scores).T, strict=True):
            put(row, name, interval(values))
        print(row, flush=True)
        rows.append(row)
    write_csv("naturalness_lost", rows)


if __name__ == "__main__":
    main()
