"""Training of the vocoder: spectral losses first, discriminators later.

Mel and multi-resolution STFT losses teach the magnitudes quickly but leave the phase buzzy; small
discriminators on complex spectra (strided along frequency, so they cost little) then teach the fine
structure. On one core the first part runs at a tenth of the second's price, which is why the second is
entered late. A vocoder that is fine-tuned has the magnitudes: there the discriminators, which a voice does not hold, learn
alone first. Part of the mels may be what the transformer makes of the recordings (see made.py).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ishowtts.model.config import MelConfig, VocosConfig
from ishowtts.model.vocos import Vocos

from . import data as datasets
from .data import FLOOR, Dataset, log_mel
from .loop import Options, Run, half, prepare
from .made import Made

SEGMENT, ROWS = 33, 6  # mel frames of a segment, segments of a step
SPECTRAL_PART = 0.16  # share of the budget before the discriminators join
JUDGES_ALONE = 0.06  # the same for fine-tuning, where they learn alone
JUDGE_EVERY = 2  # steps between updates of the discriminators, the dearest part of a step
LEARNING_RATE = 6e-4
MEL_WEIGHT, MATCH_WEIGHT, STFT_WEIGHT = 45.0, 2.0, 2.0
RESOLUTIONS = ((2048, 480), (512, 120), (256, 60))  # window and hop of the STFT losses
CURVE_EVERY, VALIDATE_EVERY = 100, 1000


def architecture() -> VocosConfig:
    """The embedded voice's vocoder."""
    return VocosConfig(dim=256, intermediate_dim=768, num_layers=6)


class Discriminator(nn.Module):
    """Judges the complex STFT [B,2,T,F] of one resolution."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int = 16) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        wide = [(2, channels, 1), *[(channels, channels, 2)] * 3]
        convs = [nn.Conv2d(a, b, (3, 9), (1, stride), (1, 4)) for a, b, stride in wide]
        convs.append(nn.Conv2d(channels, channels, 3, padding=1))
        norm = nn.utils.parametrizations.weight_norm
        self.convs = nn.ModuleList(norm(c) for c in convs)
        self.out = norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores and the features of every layer."""
        spectrum = torch.stft(wave, self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1)
        features: list[Tensor] = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.out(x), features


def stft_loss(made: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence and log-magnitude distance, mean over RESOLUTIONS."""
    total = torch.zeros((), device=real.device)
    for n_fft, hop in RESOLUTIONS:
        window = datasets.hann(n_fft).to(real.device)
        a, b = (torch.stft(w, n_fft, hop, window=window, return_complex=True).abs() for w in (made, real))
        total = total + torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)
        total = total + (a.clamp(min=1e-4).log() - b.clamp(min=1e-4).log()).abs().mean()
    return total / len(RESOLUTIONS)


def segments(data: Dataset, seed: int, step: int, made: Made | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """ROWS random pieces of training speech [ROWS, (SEGMENT-1)*hop], at slightly varied levels, and twice their log-mels.

    First those of the sound, then those that the vocoder hears: of clips that `made` holds, the transformer's.
    """
    rng = np.random.default_rng((seed, step, 7))
    hop = data.config.hop
    n = (SEGMENT - 1) * hop
    out = np.zeros((ROWS, n), np.float32)
    other: dict[int, Tensor] = {}
    for b in range(ROWS):
        k = data.train[int(rng.integers(len(data.train)))]
        start, end = int(data.sound_at[k]), int(data.sound_at[k + 1])
        at = int(rng.integers(max(1, end - start - n))) // hop * hop
        piece = data.sound[start + at : min(end, start + at + n)].astype(np.float32) / 32768
        gain = 10 ** (rng.uniform(-6, 3) / 20)
        out[b, : len(piece)] = piece * gain
        if made is not None and k in made.clips:
            first = int(data.mel_at[k]) + at // hop
            frames = made.mels[first : min(int(data.mel_at[k + 1]), first + SEGMENT)].astype(np.float32)
            other[b] = torch.from_numpy(frames + np.float32(np.log(gain)))
    sound = torch.from_numpy(out)
    mel = log_mel(sound, data.config)
    heard = mel.clone()
    for b, rows in other.items():
        heard[b, : len(rows)] = torch.maximum(rows, mel.new_tensor(FLOOR).log())
    return sound, mel, heard


@torch.no_grad()
def mel_distance(net: nn.Module, data: Dataset, clips: list[int]) -> float:
    """Mean absolute log-mel distance of copy-synthesis."""
    device = next(net.parameters()).device
    total = 0.0
    for k in clips:
        mel = torch.from_numpy(data.mel(k))[None].to(device)
        again = log_mel(net(mel.transpose(1, 2)), data.config)
        total += float((again - mel[:, : again.shape[1]]).abs().mean())
    return total / len(clips)


def train(
    options: Options,
    data: Dataset | None = None,
    config: VocosConfig | None = None,
    made: Made | None = None,
) -> Run:
    """Trains until the budget is spent; the finished run holds the averaged model in `ema`. made: see `segments`."""
    device = prepare(options)
    data = data or datasets.load(options.work)
    net = Vocos(config or architecture(), MelConfig()).to(device)
    judges = nn.ModuleList(Discriminator(n) for n in (1024, 512)).to(device)
    adam = {
        "generator": torch.optim.AdamW(net.parameters(), LEARNING_RATE, betas=(0.8, 0.9), fused=True),
        "judges": torch.optim.AdamW(judges.parameters(), LEARNING_RATE, betas=(0.8, 0.9), fused=True),
    }
    run = Run(options.work / "vocos", options, {"vocos": net, "judges": judges}, adam, "vocos")
    clips = [k for speaker in data.speakers() for k in data.one_take_each(speaker)[:12]]
    for step in run.steps():
        real, mel, heard = (part.to(device) for part in segments(data, options.seed, step, made))
        if options.finetune is not None and run.fraction < JUDGES_ALONE:
            with torch.no_grad():
                spoken = net(heard.transpose(1, 2))
            learn(run, judges, adam["judges"], spoken, real)
        else:
            spoken = net(heard.transpose(1, 2))
            mel_loss = (log_mel(spoken, data.config) - mel).abs().mean()
            spectral = stft_loss(spoken, real)
            loss = MEL_WEIGHT * mel_loss + STFT_WEIGHT * spectral
            run.add(mel=mel_loss.item(), stft=spectral.item())
            if options.finetune is not None or run.fraction >= SPECTRAL_PART:
                if step % JUDGE_EVERY == 0:
                    learn(run, judges, adam["judges"], spoken.detach(), real)
                loss = loss + fool(run, judges, spoken, real)
            adam["generator"].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            adam["generator"].step()
        if (step + 1) % VALIDATE_EVERY == 0:
            assert run.ema is not None
            run.row(held_out=mel_distance(run.ema, data, clips))
        elif (step + 1) % CURVE_EVERY == 0:
            run.row()
    return run


def learn(run: Run, judges: nn.ModuleList, optimizer: torch.optim.Optimizer, spoken: Tensor, real: Tensor) -> None:
    """A step of the discriminators."""
    verdicts = torch.zeros((), device=real.device)
    with half(real.device.type):
        for judge in judges:
            good, bad = judge(torch.cat((real, spoken)))[0].float().chunk(2)
            verdicts = verdicts + F.relu(1 - good).mean() + F.relu(1 + bad).mean()
    optimizer.zero_grad()
    verdicts.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    run.add(judges=verdicts.item())


def fool(run: Run, judges: nn.ModuleList, spoken: Tensor, real: Tensor) -> Tensor:
    """The generator's adversarial and feature-matching loss."""
    fooled, match = torch.zeros((), device=real.device), torch.zeros((), device=real.device)
    judges.requires_grad_(False)
    with half(real.device.type):
        for judge in judges:
            with torch.no_grad():
                features = judge(real)[1]
            scores, own = judge(spoken)
            fooled = fooled + F.relu(1 - scores.float()).mean()
            match = match + torch.stack([(a - b).abs().mean().float() for a, b in zip(own, features, strict=True)]).mean()
    judges.requires_grad_(True)
    run.add(fooled=fooled.item(), match=match.item())
    return fooled / len(judges) + MATCH_WEIGHT * match
