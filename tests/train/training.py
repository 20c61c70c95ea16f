"""Tiny networks and a synthetic data set for the tests of training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch

from ishowtts.model.config import DiTConfig, DurationConfig, VocosConfig
from ishowtts.train.align import (
    HOP,
    SAMPLE_RATE,
    Clip,
)
from ishowtts.train.loop import Options
from ishowtts.train.vocabulary import with_speakers

torch.set_num_threads(1)

DIT = DiTConfig(
    dim=32, depth=1, heads=1, dim_head=32, ff_mult=2, text_dim=16, conv_layers=1,
    text_num_embeds=len(with_speakers(["tone"])), speakers=2, text_layout="aligned",
)  # fmt: skip
VOCOS = VocosConfig(dim=16, intermediate_dim=32, num_layers=1, head="source_filter", n_fft=1200, hop=300)
DURATION = DurationConfig(dim=16, layers=1, kernel=3)
PHONES = ["pau", "hh", "ay1", "y", "uw1", "."]


def make_work(folder: Path) -> Path:
    """A work folder with 40 aligned clips: tones whose pitch is their phone."""
    rng = np.random.default_rng(0)
    clips = []
    for k in range(40):
        frames = rng.integers(4, 12, size=len(PHONES))
        total = int(frames.sum())
        pitch = np.repeat(100.0 * (1 + np.arange(len(PHONES))), frames)
        phase = np.cumsum(np.repeat(pitch, HOP)[: (total - 1) * HOP]) / SAMPLE_RATE
        wave = 0.1 * np.sin(2 * np.pi * phase) + 0.001 * rng.standard_normal(len(phase))
        path = folder / f"clip{k}.wav"
        soundfile.write(path, wave, SAMPLE_RATE)
        clips.append(
            Clip(
                path.stem,
                "tone",
                "en",
                str(path),
                f"sentence {'ab'[k % 2] * k}",
                0,
                len(wave),
                1.0,
                PHONES,
                frames.tolist(),
            )
        )
    (folder / "align.jsonl").write_text("".join(json.dumps(asdict(c)) + "\n" for c in clips))
    return folder


def options(work: Path, folder: Path, steps: int, **more: object) -> Options:
    """A run in `folder` over the data of `work`."""
    for name in ("align.jsonl", "data.npz"):
        if (work / name).is_file() and not (folder / name).exists():
            (folder / name).symlink_to(work / name)
    return Options(folder, steps=steps, **more)  # type: ignore[arg-type]


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])
