"""Speech of a voice in training: the sampler of `ishowtts.model` with the networks of a work folder."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ishowtts.model import sampler
from ishowtts.model.config import MelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos
from ishowtts.quality.intelligibility import rates
from ishowtts.quality.listeners import Unheard

from . import data as datasets
from .data import Dataset, index_and_phase
from .listen import Listener

NFE = 7

Wave = npt.NDArray[np.float32]
Frames = npt.NDArray[np.int64]


@torch.no_grad()
def sample(
    net: DiT,
    tokens: Frames,
    frames: Frames,
    *,
    prompt: Tensor | None = None,
    nfe: int = NFE,
    cfg: float = 2.0,
    sway: float = -1.0,
    seed: int = 0,
    recorded: Tensor | None = None,
    first: int = 0,
) -> Tensor:
    """Standardised mel [T,n_mels] of tokens [S] that last `frames` [S] each; T = frames.sum().

    With `prompt`, the standardised mel [P,n_mels] of a clip, the first token, which is ANYONE, lasts for its P frames,
    and T counts those of the others.

    With the `recorded` mel [T,n_mels] of the same speech, sampling begins at step `first`, from that mel with the noise
    of that step.
    """
    if prompt is not None:
        frames = np.concatenate(([len(prompt)], frames[1:]))
    index, phase = index_and_phase(frames)
    reference = 0 if prompt is None else len(prompt)
    x = torch.randn(1, len(index), net.n_mels, generator=torch.Generator().manual_seed(seed))
    if recorded is not None:
        x = torch.lerp(x, recorded[None], sampler.time_grid(nfe, sway)[first])
    mel = sampler.sample(
        net,
        torch.zeros(1, 0, net.n_mels) if prompt is None else prompt[None],
        torch.from_numpy(tokens)[None],
        [reference],
        [len(index)],
        x,
        nfe=nfe,
        cfg=cfg,
        sway=sway,
        index=torch.from_numpy(index)[None],
        phase=torch.from_numpy(phase)[None],
        first=first,
    )
    return mel[0, reference:]


@torch.no_grad()
def predict_frames(net: DurationPredictor, tokens: Frames) -> Frames:
    """Frames [S] of tokens [S], at least one each; the sums are rounded, so that errors do not add up."""
    exact = net(torch.from_numpy(tokens)[None])[0].exp().double().clamp(min=1).cumsum(0).round().long()
    frames: Frames = np.diff(exact.numpy(), prepend=0).clip(min=1)
    return frames


@torch.no_grad()
def speak(vocos: Vocos, mel: Tensor, config: MelConfig) -> Wave:
    """Samples [N] of a standardised mel [T,n_mels], by the vocoder."""
    out: Wave = vocos((mel * config.std + config.mean).T[None])[0].numpy()
    return out


def griffin_lim(mel: Tensor, config: MelConfig, rounds: int = 30) -> Wave:
    """Samples [N] of a standardised mel [T,n_mels] by the algorithm of Griffin and Lim, without a vocoder."""
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
    """Error rates of `count` held-out sentences of every speaker, with recorded durations and Griffin-Lim.

    Keys are "NAME SPEAKER". Speakers of a language that the listener does not know are left out.
    """
    assert isinstance(net, DiT)
    net = copy.deepcopy(net).cpu().eval()
    found: dict[str, float] = {}
    for speaker in data.speakers():
        clips = data.one_take_each(speaker)[:count]
        if not clips:
            continue
        texts = [data.clips[k].text for k in clips]
        try:
            listener = Listener(data.clips[clips[0]].language, texts)
        except Unheard:
            continue
        waves = [griffin_lim(sample(net, data.tokens[k], data.frames[k]), data.config) for k in clips]
        counts = listener.errors(texts, waves, data.config.sample_rate)
        found |= {f"{name} {speaker}": value[0] for name, value in rates(counts).items()}
    return found
