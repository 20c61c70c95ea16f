"""The source-filter head of the vocoder: filtered pulses at the speaker's pitch and the rest, in the STFT domain.

    B rows · T frames · K = n_fft/2+1 bins

For every frame the network gives the filter of the pulses (log-magnitude and phase), the pitch, and the spectrum of
what is not periodic (log-magnitude and phase). The phases of the harmonics are the integral of the pitch, so
neighbouring frames agree; a network that predicts absolute phases needs far more training (compare Wang et al. 2019,
"Neural source-filter waveform models").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

F0_BINS, F0_LOW, F0_HIGH = 128, 50.0, 600.0
"""Number of pitch bins, evenly spaced in log frequency from F0_LOW to F0_HIGH in Hz."""
F0_SPREAD = 4
"""Bins on either side of the likeliest whose mean is the pitch."""
TOP_HARMONIC = 11000.0
"""Frequency in Hz above which there are no harmonics, only noise."""
MAX_MAGNITUDE = 1e3
"""Upper bound of a magnitude, so that the exponential cannot overflow."""


class SourceFilterHead(nn.Module):
    """The last layer of the vocoder: features to a complex spectrum by a source-filter model."""

    basis: Tensor

    def __init__(self, dim: int, sample_rate: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.sample_rate, self.n_fft, self.hop, self.bins = sample_rate, n_fft, hop, n_fft // 2 + 1
        self.out = nn.Linear(dim, 4 * self.bins + F0_BINS + 1)
        nn.init.trunc_normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)
        window = torch.hann_window(self.n_fft, dtype=torch.float64) / (self.n_fft / 4)  # a cosine of 1 peaks at 1
        angle = (
            2 * math.pi * torch.outer(torch.arange(self.n_fft).double(), torch.arange(self.bins).double()) / self.n_fft
        )
        basis = torch.cat((angle.cos(), -angle.sin()), dim=1) * window[:, None]
        self.register_buffer("basis", basis.float(), persistent=False)

    def parts(self, features: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs for features [B,T,dim], fp32.

        Log-magnitude and phase of the filter, log-magnitude and phase of the rest, [B,T,K] each; pitch logits
        [B,T,F0_BINS]; voicing [B,T], positive where the frame is voiced. The filter's phase is in (-π, π).
        """
        filter_, phase, rest, turn, pitch, voicing = (
            self.out(features).float().split([*[self.bins] * 4, F0_BINS, 1], dim=-1)
        )
        return filter_, math.pi * phase.tanh(), rest, turn, pitch, voicing[..., 0]

    def forward(self, features: Tensor) -> Tensor:
        """Features [B,T,dim] → spectrum [B,2,T,K], real and imaginary part, at the pitch that the network predicts."""
        *spectra, pitch, voicing = self.parts(features)
        return self.shape(spectra, self.excitation(pitch_of(pitch, voicing)))

    def shape(self, spectra: Sequence[Tensor], excitation: Tensor) -> Tensor:
        """The first four of `parts`, and the STFT of the pulses [B,T,2K] → spectrum [B,2,T,K]."""
        filter_, phase, rest, turn = spectra
        return self.filtered(filter_, phase, excitation) + self.polar(rest, turn)

    @classmethod
    def polar(cls, magnitude: Tensor, phase: Tensor) -> Tensor:
        """Log-magnitudes and phases [B,T,K] → spectrum [B,2,T,K], real and imaginary part."""
        loud = cls.loudness(magnitude)
        return torch.stack((loud * phase.cos(), loud * phase.sin()), dim=1)

    @staticmethod
    def loudness(magnitude: Tensor) -> Tensor:
        """Magnitudes from log-magnitudes, at most MAX_MAGNITUDE."""
        return magnitude.exp().clamp(max=MAX_MAGNITUDE)

    def filtered(self, filter_: Tensor, phase: Tensor, excitation: Tensor) -> Tensor:
        """The part of the spectrum [B,2,T,K] that comes from pulses, whose STFT is `excitation` [B,T,2K]."""
        a, b = self.polar(filter_, phase).unbind(1)
        real, imaginary = excitation.chunk(2, dim=-1)
        return torch.stack((a * real - b * imaginary, a * imaginary + b * real), dim=1)

    def excitation(self, f0: Tensor) -> Tensor:
        """Pitch [B,T] in Hz, 0 where unvoiced → STFT of the pulse train [B,T,2K], real parts before imaginary ones."""
        hz = self.per_sample(f0)
        cycles = (hz / self.sample_rate).cumsum(dim=-1)
        return self.stft(pulses(cycles - cycles.floor(), hz).float())

    def stft(self, wave: Tensor) -> Tensor:
        """Samples [B, (T-1)*hop + n_fft] → windowed spectra of the frames [B,T,2K]."""
        return wave.unfold(-1, self.n_fft, self.hop) @ self.basis

    def per_sample(self, f0: Tensor) -> Tensor:
        """Pitch of frames [B,T] → pitch of samples [B, (T-1)*hop + n_fft], 0 in the half window at both ends.

        Between two voiced frames it is interpolated; beside an unvoiced one it is constant for half a hop.
        """
        last = (f0.shape[1] - 1) * self.hop
        at = torch.arange(last, device=f0.device)
        left, weight = at // self.hop, (at % self.hop) / self.hop
        a, b = f0[:, left], f0[:, left + 1]
        near = torch.where(weight < 0.5, a, b)
        hz = torch.where((a > 0) & (b > 0), a + (b - a) * weight, near)
        return torch.nn.functional.pad(hz, (self.n_fft // 2, self.n_fft // 2))


def pitch_of(logits: Tensor, voicing: Tensor) -> Tensor:
    """Pitch [B,T] in Hz, fp64, from logits [B,T,F0_BINS]; 0 where `voicing` [B,T] is not positive.

    fp64, because the phase of the highest harmonics is about a hundred times its integral.
    """
    bins = torch.arange(F0_BINS, device=logits.device)
    top = logits.argmax(dim=-1, keepdim=True)
    share = torch.where((bins - top).abs() <= F0_SPREAD, torch.softmax(logits.double(), dim=-1), 0.0)
    mean = (share * bins).sum(dim=-1) / share.sum(dim=-1)
    return F0_LOW * (F0_HIGH / F0_LOW) ** (mean / (F0_BINS - 1)) * (voicing > 0)


def pulses(cycles: Tensor, hz: Tensor) -> Tensor:
    """Sum of the cosines of all harmonics of `hz` up to TOP_HARMONIC at phase `cycles` in [0, 1); 0 where hz is 0.

    For H harmonics and t = 2π·cycles it is sin((H + 1/2) t) / (2 sin(t/2)) - 1/2, from the Dirichlet kernel.
    """
    harmonics = torch.floor(TOP_HARMONIC / hz.clamp(min=F0_LOW))
    t = 2 * math.pi * cycles
    half = torch.sin(t / 2)
    near = half.abs() < 1e-3
    sum_ = torch.where(near, harmonics, torch.sin((harmonics + 0.5) * t) / (2 * torch.where(near, 1.0, half)) - 0.5)
    return torch.where(hz > 0, sum_, 0.0)
