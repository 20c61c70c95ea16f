"""Similarity and naturalness by the share of its initial weights that a fine-tuned vocoder keeps.

The held-out sentences judge the voice that is chosen, so they may not choose it. Every share speaks the same mels, made
once by the work folder's transformer.

    python benchmarks/voice_share.py --work DIR --finetune VOICE [--shares 0 0.25 0.5 1] [--sentences 36] [--threads 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import write_csv

from ishowtts.quality import mos, similarity
from ishowtts.quality.clips import Clip
from ishowtts.text import phones
from ishowtts.train import data as datasets
from ishowtts.train.export import BaseVoice, load_models
from ishowtts.train.listen import interval
from ishowtts.train.speaking import predict_frames, sample, speak
from ishowtts.train.vocabulary import token_ids


def seen(data: datasets.Dataset, speaker: str, count: int) -> list[int]:
    """Training clips of a speaker, one of each sentence, spread over the data."""
    every = data.one_take_each(speaker, trained=True)
    return every[:: max(1, len(every) // count)][:count]


def main() -> None:
    """Measure, print a table, write benchmarks/results/voice_share.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--finetune", type=Path, required=True, help="the voice that the vocoder started from")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--sentences", type=int, default=36, help="of each speaker")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = datasets.load(args.work)
    config, embed = data.config, similarity.embedder()
    vocoders = {
        share: load_models(args.work, data, BaseVoice(args.finetune, {"vocos": share}))[1] for share in args.shares
    }
    dit, _, durations = load_models(args.work, data, BaseVoice(args.finetune))
    rows: list[dict[str, object]] = []
    for speaker in data.speakers():
        clips = seen(data, speaker, args.sentences)
        real = np.stack([embed(Clip(str(k), data.wave(k), config.sample_rate)) for k in clips]).astype(np.float64)
        mels = []
        for k in clips:
            tokens = token_ids(phones.symbols(data.clips[k].text, data.clips[k].language))
            mels.append(sample(dit, tokens, predict_frames(durations, tokens), seed=k))
        for share, vocos in vocoders.items():
            waves = [speak(vocos, mel, config) for mel in mels]
            made = np.stack([embed(Clip("made", wave, config.sample_rate)) for wave in waves]).astype(np.float64)
            cosines = made @ real.T  # never with the same sentence
            alike = interval((cosines.sum(axis=1) - np.diag(cosines)) / (len(clips) - 1))
            opinion = interval(np.array([mos.opinion(wave, config.sample_rate) for wave in waves]))
            row = {"speaker": speaker, "kept": share, "sentences": len(clips)}
            for name, (value, low, high) in {"similarity": alike, "mos": opinion}.items():
                row |= {name: round(value, 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
            print(row, flush=True)
            rows.append(row)
    write_csv("voice_share", rows)


if __name__ == "__main__":
    main()
