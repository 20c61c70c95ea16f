"""Scores of a voice on held-out sentences, beside real recordings of the same sentences.

Every variant speaks the same sentences with the same noise; PocketSphinx listens, DistillMOS (if it is
installed) judges naturalness. Results go to CSV with bootstrap intervals.
"""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ishowtts.model import sampler
from ishowtts.model.config import MelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos
from ishowtts.quality import mos
from ishowtts.quality.intelligibility import error_rates, transcribe

from . import data as datasets
from .align import phones_of
from .data import Dataset, index_and_phase, token_ids
from .export import choose_reference, load_models

NFE = 7

Wave = npt.NDArray[np.float32]
Frames = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prompt:
    """Speech that comes first: its standardised mel [T,n_mels], tokens and their frames."""

    mel: Tensor
    tokens: Frames
    frames: Frames


@torch.no_grad()
def sample(
    net: DiT,
    tokens: Frames,
    frames: Frames,
    *,
    prompt: Prompt | None = None,
    nfe: int = NFE,
    cfg: float = 2.0,
    sway: float = -1.0,
    seed: int = 0,
) -> Tensor:
    """Standardised mel [T,n_mels] of new speech only, T = frames.sum()."""
    if prompt is not None:
        tokens, frames = np.concatenate((prompt.tokens, tokens)), np.concatenate((prompt.frames, frames))
    index, phase = index_and_phase(frames)
    reference = 0 if prompt is None else len(prompt.mel)
    mel = sampler.sample(
        net,
        torch.zeros(1, 0, net.n_mels) if prompt is None else prompt.mel[None],
        torch.from_numpy(tokens)[None],
        [reference],
        [len(index)],
        torch.randn(1, len(index), net.n_mels, generator=torch.Generator().manual_seed(seed)),
        nfe=nfe,
        cfg=cfg,
        sway=sway,
        index=torch.from_numpy(index)[None],
        phase=torch.from_numpy(phase)[None],
    )
    return mel[0, reference:]


@torch.no_grad()
def predict_frames(net: DurationPredictor, tokens: Frames) -> Frames:
    """Frames of every token, at least one, rounded so that the total keeps its fraction."""
    exact = net(torch.from_numpy(tokens)[None])[0].exp().double().clamp(min=1).cumsum(0).round().long()
    frames: Frames = np.diff(exact.numpy(), prepend=0).clip(min=1)
    return frames


@torch.no_grad()
def speak(vocos: Vocos, mel: Tensor, config: MelConfig) -> Wave:
    """Sound of a standardised mel [T,n_mels]."""
    out: Wave = vocos((mel * config.std + config.mean).T[None])[0].numpy()
    return out


def griffin_lim(mel: Tensor, config: MelConfig, rounds: int = 30) -> Wave:
    """Sound of a standardised mel without a vocoder."""
    magnitude = torch.exp(mel * config.std + config.mean)
    magnitude = (magnitude @ torch.linalg.pinv(datasets.mel_filters(config))).clamp(min=1e-7).T ** 1.1
    window = torch.hann_window(config.n_fft)
    phase = torch.polar(
        torch.ones_like(magnitude),
        6.28 * torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0)),
    )
    for _ in range(rounds):
        wave = torch.istft(magnitude * phase, config.n_fft, config.hop, window=window)
        spectrum = torch.stft(wave, config.n_fft, config.hop, window=window, return_complex=True)
        phase = spectrum / spectrum.abs().clamp(min=1e-8)
    wave = torch.istft(magnitude * phase, config.n_fft, config.hop, window=window)
    return (wave / wave.abs().max() * 0.7).numpy()


def quick_score(net: nn.Module, data: Dataset, count: int = 12) -> dict[str, float]:
    """Error rates of some held-out sentences with their recorded durations, through Griffin-Lim."""
    assert isinstance(net, DiT)
    net = copy.deepcopy(net).cpu().eval()
    clips = data.one_take_each()[:count]
    heard = [
        transcribe(griffin_lim(sample(net, data.tokens[k], data.frames[k]), data.config), data.config.sample_rate) for k in clips
    ]
    rates = error_rates([data.clips[k].text for k in clips], heard)
    return {name: value[0] for name, value in rates.items()}


def prompt_of(data: Dataset, clip: int) -> Prompt:
    """A training clip as a prompt."""
    mel = torch.from_numpy((data.mel(clip) - data.config.mean) / data.config.std)
    return Prompt(mel, data.tokens[clip], data.frames[clip])


@dataclass(frozen=True)
class Variant:
    """One way to speak the held-out sentences."""

    name: str
    make: Callable[[int], Wave]


def variants(
    data: Dataset,
    dit: DiT,
    vocos: Vocos,
    durations: DurationPredictor,
    grid: list[tuple[float, float, int, bool]],
    reference: str = "",
) -> list[Variant]:
    """Real recordings, copy-synthesis, and the model at every (cfg, sway, nfe, prompt) of `grid`."""
    config = data.config
    prompt = prompt_of(data, choose_reference(data, reference))

    def copied(k: int) -> Wave:
        return speak(vocos, torch.from_numpy((data.mel(k) - config.mean) / config.std), config)

    def spoken(k: int, cfg: float, sway: float, nfe: int, with_prompt: bool, recorded: bool) -> Wave:
        tokens = token_ids([name for name, _ in phones_of(data.clips[k].text)])
        frames = predict_frames(durations, tokens)
        if recorded:
            tokens, frames = data.tokens[k], data.frames[k]
        mel = sample(dit, tokens, frames, prompt=prompt if with_prompt else None, nfe=nfe, cfg=cfg, sway=sway, seed=k)
        return speak(vocos, mel, config)

    made = [Variant("real", data.wave), Variant("real, our vocoder", copied)]
    for cfg, sway, nfe, with_prompt in grid:
        name = f"{'prompt' if with_prompt else 'no prompt'}, cfg {cfg:g}, sway {sway:g}, nfe {nfe}"
        made.append(
            Variant(
                name,
                lambda k, a=cfg, b=sway, c=nfe, d=with_prompt: spoken(k, a, b, c, d, False),  # type: ignore[misc]
            )
        )
    cfg, sway, nfe, with_prompt = grid[0]
    made.append(
        Variant(
            f"recorded durations, cfg {cfg:g}, nfe {nfe}",
            lambda k: spoken(k, cfg, sway, nfe, with_prompt, True),
        )
    )
    return made


def score(
    work: Path,
    out: Path,
    grid: list[tuple[float, float, int, bool]],
    *,
    sentences: int = 52,
    mos_clips: int = 20,
    reference: str = "",
    samples: Path | None = None,
    progress: Callable[[list[Any]], Iterator[Any]] | None = None,
) -> list[dict[str, object]]:
    """Scores every variant on held-out sentences, one take each, and writes the CSV `out`."""
    data = datasets.load(work)
    clips = data.one_take_each()[:sentences]
    texts = [data.clips[k].text for k in clips]
    judged = mos_clips > 0 and mos.available()
    rate = data.config.sample_rate
    rows: list[dict[str, object]] = []
    todo = variants(data, *load_models(work, data), grid, reference)
    for variant in progress(todo) if progress else todo:
        waves = [variant.make(k) for k in clips]
        rates = error_rates(texts, [transcribe(w, rate) for w in waves])
        row: dict[str, object] = {"variant": variant.name, "sentences": len(clips)}
        for name, (value, low, high) in rates.items():
            row |= {name: round(value, 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
        if judged:
            opinions = np.array([mos.opinion(w, rate) for w in waves[:mos_clips]])
            half_width = 1.96 * opinions.std(ddof=1) / math.sqrt(len(opinions))
            row |= {"mos": round(float(opinions.mean()), 3), "mos_95": round(float(half_width), 3)}
        row["seconds"] = round(sum(len(w) for w in waves) / rate, 1)
        rows.append(row)
        if samples is not None:
            _write_samples(samples, variant.name, waves[:4], rate)
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return rows


def _write_samples(folder: Path, name: str, waves: list[Wave], rate: int) -> None:
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() else "_" for c in name)
    for i, wave in enumerate(waves):
        soundfile.write(folder / f"{stem}-{i}.wav", wave, rate, subtype="PCM_16")
