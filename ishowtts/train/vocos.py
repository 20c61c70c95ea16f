"""Training of the vocoder with a source-filter head: spectral losses first, then discriminators as well.

Speech of a teacher has a known pitch, so the pulses of training are in phase with those of the speech, and the phases
of the filter can be learnt from the complex spectrum. For recordings the pitch is the one that the network predicts.
Every step uses one of the discriminators, in turn, since they cost most. Where the generator begins with weights that
speak well already, those of a voice folder or of the warm start (warm_start.py), the discriminators are trained alone
first, and hibari's spectra may keep what these weights know (lessons.py). Part of the mels may be those that the
transformer generates for the recordings (generated.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ishowtts.model.config import MelConfig, VocosConfig
from ishowtts.model.source_filter import F0_BINS, F0_HIGH, F0_LOW, SourceFilterHead, pitch_of, pulses
from ishowtts.model.vocos import Vocos

from . import data as datasets
from .data import FLOOR, Dataset, log_mel
from .generated import GeneratedMels
from .lessons import CUT, Lesson, excerpts
from .loop import Options, Run, half, prepare

SEGMENT, ROWS = 76, 6  # mel frames of a segment, whose samples are whole frames of the spectrum too; rows of a step
JUDGED_ROWS, JUDGED_SAMPLES = 4, 8192  # how much of a step the discriminators get
SPECTRAL_PART = 0.16  # share of the budget before the discriminators join
JUDGES_ALONE = 0.02  # share of the budget in which the discriminators are trained alone when the generator is trained
LEARNING_RATE, JUDGES_RATE = 8e-4, 1e-3
WARM_RATE, COPIED_RATE = 0.5, 0.25
"""Factors on the learning rate after a warm start: of the blocks that it has trained, of those that it has copied."""
MEL_WEIGHT, STFT_WEIGHT, COMPLEX_WEIGHT, PITCH_WEIGHT, MATCH_WEIGHT = 15.0, 2.0, 3.0, 1.5, 4.0
PHASE_WEIGHT, LESSON_WEIGHT = 3.0, 8.0
HARMONIC = 4000.0
"""Frequency in Hz up to which the complex spectrum of voiced frames is compared: above, much of it is noise."""
LESSONS, EDGE = 2, 6
"""Rows of hibari's spectra in a step, and frames at their ends that are not compared, since mels beyond are unknown."""
RESOLUTIONS = ((2048, 480), (1024, 240), (512, 120), (256, 60))  # window and hop of the STFT losses
COMPRESSION = 0.3  # of magnitudes in the complex loss
PITCH_WIDTH = 0.8  # bins: standard deviation of the target distribution of the pitch
CURVE_EVERY, VALIDATE_EVERY = 100, 1000
START = "start.safetensors"
"""Initial weights of a new run, when its folder has this file (warm_start.py)."""


def architecture() -> VocosConfig:
    """Configuration of the embedded voice's vocoder."""
    return VocosConfig(dim=256, intermediate_dim=768, num_layers=8, head="source_filter", n_fft=1200, hop=300)


class Discriminator(nn.Module):
    """A discriminator on the STFT of one resolution: compressed, real and imaginary, and its log-magnitude.

    On the plain spectrum loud low frequencies hide the rest, and it learns next to nothing (docs, lab notebook).
    """

    window: Tensor

    def __init__(self, n_fft: int, channels: int = 16) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        wide = [(3, channels, 1), *[(channels, channels, 2)] * 3]
        convs = [nn.Conv2d(a, b, (3, 9), (1, stride), (1, 4)) for a, b, stride in wide]
        convs.append(nn.Conv2d(channels, channels, 3, padding=1))
        norm = nn.utils.parametrizations.weight_norm
        self.convs = nn.ModuleList(norm(c) for c in convs)
        self.out = norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(scores [B,1,T,F'], features of every layer) of samples [B,N]."""
        spectrum = torch.stft(wave, self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1)
        level = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-4).log() / 3  # about -3 to 1.5
        x = torch.cat((compressed(x), level), dim=1)
        features: list[Tensor] = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.out(x), features


def stft_loss(made: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence and log-magnitude distance of samples [B,N], mean over RESOLUTIONS (scalar)."""
    total = torch.zeros((), device=real.device)
    for n_fft, hop in RESOLUTIONS:
        window = datasets.hann(n_fft).to(real.device)
        a, b = (torch.stft(w, n_fft, hop, window=window, return_complex=True).abs() for w in (made, real))
        total = total + torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)
        total = total + (a.clamp(min=1e-4).log() - b.clamp(min=1e-4).log()).abs().mean()
    return total / len(RESOLUTIONS)


@dataclass(frozen=True)
class Segments:
    """ROWS random pieces of training speech, each at a random level.

    `sound` [ROWS, (SEGMENT-1)*hop]: samples; `mel` [ROWS,SEGMENT,n_mels]: their log-mel; `heard`, of the same shape:
    the vocoder's input, which for some clips is the transformer's. `cycles` and `hz` [ROWS, (SEGMENT-1)*hop + n_fft]:
    phase and pitch of the teacher's pulses, from half a window before to half a window behind; 0 in rows that are not
    `known` [ROWS]. `f0` [ROWS,T]: pitch in Hz of the frames of the spectrum, T of them, whose window is `n_fft`; in
    rows that are not known it is measured, and 0 does not mean that a frame is unvoiced.
    """

    sound: Tensor
    mel: Tensor
    heard: Tensor
    cycles: Tensor
    hz: Tensor
    f0: Tensor
    known: Tensor

    def to(self, device: torch.device) -> Segments:
        """The segments on another device."""
        return Segments(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def _cut(values: np.ndarray, start: int, count: int) -> np.ndarray:
    """values[start : start + count], with zeros outside of `values`."""
    out = np.zeros(count, np.float32)
    first, end = max(start, 0), min(start + count, len(values))
    if end > first:
        out[first - start : end - start] = values[first:end]
    return out


def segments(
    data: Dataset, seed: int, step: int, spectral: tuple[int, int], generated: GeneratedMels | None = None
) -> Segments:
    """The segments of a step, a function of (seed, step); clips in `generated` have its mel as `heard`.

    `spectral`: window and hop of the vocoder's spectrum in samples.
    """
    rng = np.random.default_rng((seed, step, 7))
    hop = data.config.hop
    n_fft, own_hop = spectral
    n = (SEGMENT - 1) * hop
    sound = np.zeros((ROWS, n), np.float32)
    cycles, hz = np.zeros((2, ROWS, n + n_fft), np.float32)
    f0, known = np.zeros((ROWS, n // own_hop + 1), np.float32), np.zeros(ROWS, bool)
    other: dict[int, Tensor] = {}
    for b in range(ROWS):
        k = data.train[int(rng.integers(len(data.train)))]
        length = int(data.sound_at[k + 1] - data.sound_at[k])
        at = int(rng.integers(max(1, length - n))) // hop * hop
        gain = 10 ** (rng.uniform(-6, 3) / 20)
        sound[b] = _cut(data.sound[data.sound_at[k] : data.sound_at[k + 1]], at, n) * np.float32(gain / 32768)
        pitch = data.pitch[k]
        if pitch is not None:
            known[b] = True
            phase, own = pitch.at(length)
            cycles[b], hz[b] = (_cut(values, at - n_fft // 2, n + n_fft) for values in (phase, own))
            f0[b] = hz[b, n_fft // 2 : n_fft // 2 + n + 1 : own_hop]
        else:
            places = (at + np.arange(f0.shape[1]) * own_hop + hop // 2) // hop
            inside = places[places < data.length(k)]
            f0[b, : len(inside)] = data.measured[int(data.mel_at[k]) + inside]
        if generated is not None and k in generated.clips:
            first = int(data.mel_at[k]) + at // hop
            frames = generated.mels[first : min(int(data.mel_at[k + 1]), first + SEGMENT)].astype(np.float32)
            other[b] = torch.from_numpy(frames + np.float32(np.log(gain)))
    whole = torch.from_numpy(sound)
    mel = log_mel(whole, data.config)
    heard = mel.clone()
    for b, rows in other.items():
        heard[b, : len(rows)] = torch.maximum(rows, mel.new_tensor(FLOOR).log())
    return Segments(whole, mel, heard, *map(torch.from_numpy, (cycles, hz, f0, known)))


@torch.no_grad()
def mel_distance(net: nn.Module, data: Dataset, clips: list[int]) -> float:
    """Mean absolute log-mel distance between clips and their copy-synthesis."""
    device = next(net.parameters()).device
    total = 0.0
    for k in clips:
        mel = torch.from_numpy(data.mel(k))[None].to(device)
        again = log_mel(net(mel.transpose(1, 2)), data.config)
        total += float((again - mel[:, : again.shape[1]]).abs().mean())
    return total / len(clips)


def compressed(spectrum: Tensor) -> Tensor:
    """A complex spectrum [B,2,T,K] (real, imaginary) with its magnitudes to the power of COMPRESSION."""
    magnitude = torch.linalg.vector_norm(spectrum, dim=1, keepdim=True)
    out: Tensor = spectrum * (magnitude + 1e-4) ** (COMPRESSION - 1)
    return out


def complex_loss(made: Tensor, real: Tensor, bins: Tensor, voiced: Tensor) -> Tensor:
    """Mean distance (scalar) of two compressed spectra [B,2,T,K] in the `bins` [K] of the frames `voiced` [B,T]."""
    weight = (voiced[:, None, :, None] * bins).expand_as(made)
    loss: Tensor = ((compressed(made) - compressed(real)).abs() * weight).sum() / weight.sum().clamp(min=1)
    return loss


def phase_loss(made: Tensor, real: Tensor, voiced: Tensor) -> Tensor:
    """One minus the cosine between the phases of two spectra [B,2,T,K] (scalar), the mean over frames voiced [B,T].

    Bins weigh by their compressed magnitude in `real`; the magnitudes of `made` get no gradient.
    """
    magnitude = torch.linalg.vector_norm(real, dim=1)
    own = torch.linalg.vector_norm(made, dim=1)
    cosine = (made * real).sum(dim=1) / (magnitude * own).clamp(min=1e-4)
    weight = magnitude ** (2 * COMPRESSION) * voiced[..., None]
    loss: Tensor = ((1 - cosine) * weight).sum() / weight.sum().clamp(min=1e-4)
    return loss


def pitch_loss(logits: Tensor, voicing: Tensor, f0: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy (scalar) of the pitch where it is given, and of voicing in the rows `known` [B].

    logits [B,T,F0_BINS]; voicing [B,T], logits; f0 [B,T] in Hz, 0 where not given: in known rows, where unvoiced.
    """
    voiced = f0 > 0
    bins = torch.arange(F0_BINS, device=f0.device)
    centre = (torch.log2(f0.clamp(min=F0_LOW) / F0_LOW) / np.log2(F0_HIGH / F0_LOW) * (F0_BINS - 1)).clamp(
        max=F0_BINS - 1
    )
    wanted = torch.exp(-0.5 * ((bins - centre[..., None]) / PITCH_WIDTH) ** 2)
    wanted = wanted / wanted.sum(dim=-1, keepdim=True)
    error = -(wanted * F.log_softmax(logits, dim=-1)).sum(dim=-1)
    found = F.binary_cross_entropy_with_logits(voicing, voiced.float(), reduction="none").mean(dim=1)
    pitched: Tensor = (error * voiced).sum() / voiced.sum().clamp(min=1)
    return pitched + (found * known).sum() / known.sum().clamp(min=1) / 3


def speak(
    net: Vocos, head: SourceFilterHead, heard: Tensor, piece: Segments
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """(samples [B,N], spectrum [B,2,T,K], outputs of the head) for the mels [B,T,n_mels].

    The pulses are the teacher's in rows where they are known, else at the pitch that the network predicts.
    """
    with half(heard.device.type):
        features = net.backbone(net.frames(heard.transpose(1, 2)))
        parts = head.parts(features)
    *spectra, pitch, voicing = parts
    with torch.no_grad():
        own = head.excitation(pitch_of(pitch, voicing))
        taught = head.stft(pulses(piece.cycles, piece.hz))
        excitation = torch.where(piece.known[:, None, None], taught, own)
    spectrum = head.shape(spectra, excitation)
    return net.samples(spectrum, piece.sound.shape[1]), spectrum, parts


def spectral_loss(
    run: Run, net: Vocos, data: Dataset, piece: Segments, speech: tuple[Tensor, Tensor, tuple[Tensor, ...]]
) -> Tensor:
    """The losses (scalar) without discriminators, of what `speak` gave; adds them to the run's curves."""
    spoken, spectrum, (*_, pitch, voicing) = speech
    mel_loss = (log_mel(spoken, data.config) - piece.mel).abs().mean()
    spectral = stft_loss(spoken, piece.sound)
    run.add(mel=mel_loss.item(), stft=spectral.item())
    loss = MEL_WEIGHT * mel_loss + STFT_WEIGHT * spectral
    if piece.known.any():
        target = torch.stft(piece.sound[piece.known], net.n_fft, net.hop, window=net.window, return_complex=True)
        parts = torch.view_as_real(target).permute(0, 3, 2, 1)
        voiced = (piece.f0[piece.known] > 0).float()
        low = (
            torch.arange(parts.shape[-1], device=parts.device) * (net.mel.sample_rate / net.n_fft) < HARMONIC
        ).float()
        apart = complex_loss(spectrum[piece.known], parts, low, voiced)
        turned = phase_loss(spectrum[piece.known], parts, voiced)
        run.add(complex=apart.item(), phase=turned.item())
        loss = loss + COMPLEX_WEIGHT * apart + PHASE_WEIGHT * turned
    pitched = pitch_loss(pitch, voicing, piece.f0, piece.known)
    run.add(pitch=pitched.item())
    return loss + PITCH_WEIGHT * pitched


def lesson_loss(net: Vocos, head: SourceFilterHead, taught: Sequence[Lesson], seed: int, step: int) -> Tensor:
    """Mean distance (scalar) between the network's compressed spectrum and hibari's, for LESSONS rows."""
    mel, excitation, wanted = excerpts(head, taught, LESSONS, np.random.default_rng((seed, step, 9)))
    with half(mel.device.type):
        *spectra, _, _ = head.parts(net.backbone(mel.transpose(1, 2)))
    made = head.shape(spectra, excitation)
    return (compressed(made) - compressed(wanted)).abs()[:, :, EDGE:-EDGE].mean()


def rates(net: Vocos, warm: bool) -> list[dict[str, object]]:
    """Parameter groups of the generator with their learning rates; `warm`: its weights are those of the warm start."""
    backbone: Any = net.backbone
    own = {id(p) for part in (backbone.embed, backbone.norm, *backbone.convnext[:CUT]) for p in part.parameters()}
    first = [p for p in net.parameters() if id(p) in own]
    others = [p for p in net.parameters() if id(p) not in own]
    factors = (WARM_RATE, COPIED_RATE) if warm else (1.0, 1.0)
    return [{"params": p, "lr": LEARNING_RATE * factor} for p, factor in zip((first, others), factors, strict=True)]


def train(
    options: Options,
    data: Dataset | None = None,
    config: VocosConfig | None = None,
    generated: GeneratedMels | None = None,
    taught: Sequence[Lesson] = (),
) -> Run:
    """Trains until the budget is spent; the returned run holds the averaged model in `ema`.

    `generated` as in `segments`; `taught`: hibari's spectra to learn as well. ValueError when the configuration has no
    source-filter head.
    """
    device = prepare(options)
    data = data or datasets.load(options.work)
    net = Vocos(config or architecture(), MelConfig()).to(device)
    head = net.head
    if not isinstance(head, SourceFilterHead):
        raise ValueError("only a vocoder with a source-filter head is trained")
    judges = nn.ModuleList(Discriminator(n) for n in (2048, 1024, 512)).to(device)
    start = options.work / "vocos" / START
    warm = options.finetune is None and start.is_file()
    trained = warm or options.finetune is not None
    adam = {
        "generator": torch.optim.AdamW(rates(net, warm), betas=(0.8, 0.95), fused=True),
        "judges": torch.optim.AdamW(judges.parameters(), JUDGES_RATE, betas=(0.8, 0.9), fused=True),
    }
    if warm:
        net.load_state_dict(load_file(start))
    run = Run(options.work / "vocos", options, {"vocos": net, "judges": judges}, adam, "vocos")
    clips = [k for speaker in data.speakers() for k in data.one_take_each(speaker)[:12]]
    for step in run.steps():
        piece = segments(data, options.seed, step, (net.n_fft, net.hop), generated).to(device)
        judge = judges[step % len(judges)]
        alone = trained and run.fraction < JUDGES_ALONE
        with torch.set_grad_enabled(not alone):
            spoken = speak(net, head, piece.heard, piece)
        at = int(np.random.default_rng((options.seed, step, 8)).integers(spoken[0].shape[1] - JUDGED_SAMPLES + 1))
        window = (slice(JUDGED_ROWS), slice(at, at + JUDGED_SAMPLES))
        judged = trained or run.fraction >= SPECTRAL_PART
        if judged:
            learn(run, judge, adam["judges"], spoken[0].detach()[window], piece.sound[window])
        if not alone:
            loss = spectral_loss(run, net, data, piece, spoken)
            if judged:
                loss = loss + fool(run, judge, spoken[0][window], piece.sound[window])
            if taught:
                kept = lesson_loss(net, head, taught, options.seed, step)
                run.add(lesson=kept.item())
                loss = loss + LESSON_WEIGHT * kept
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


def learn(run: Run, judge: nn.Module, optimizer: torch.optim.Optimizer, spoken: Tensor, real: Tensor) -> None:
    """One step of a discriminator on samples [B,N], by the hinge loss."""
    with half(real.device.type):
        good, bad = judge(torch.cat((real, spoken)))[0].float().chunk(2)
        verdict = F.relu(1 - good).mean() + F.relu(1 + bad).mean()
    optimizer.zero_grad()
    verdict.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    run.add(judges=verdict.item())


def fool(run: Run, judge: nn.Module, spoken: Tensor, real: Tensor) -> Tensor:
    """The generator's adversarial and feature-matching loss (scalar) against one discriminator, on samples [B,N]."""
    judge.requires_grad_(False)
    with half(real.device.type):
        with torch.no_grad():
            features = judge(real)[1]
        scores, own = judge(spoken)
        fooled = F.relu(1 - scores.float()).mean()
        match = torch.stack([(a - b).abs().mean().float() for a, b in zip(own, features, strict=True)]).mean()
    judge.requires_grad_(True)
    run.add(fooled=fooled.item(), match=match.item())
    return fooled + MATCH_WEIGHT * match
