"""The Vocos vocoder (Siuzdak 2023, arXiv 2306.00814): ConvNeXt blocks over frames and one inverse STFT.

Parameter names are those of the published `vocos` checkpoints (`backbone.*`, `head.out.*`). `spectrum` is the network;
`forward` adds the inverse STFT for training and tests, which the engine does in C.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MelConfig, VocosConfig
from .source_filter import SourceFilterHead

MAX_MAGNITUDE = 1e2
"""Upper bound of a spectrum's magnitude, so that the exponential cannot overflow."""


class ConvNeXtBlock(nn.Module):
    """A residual ConvNeXt block whose branch has a learnt scale `gamma`."""

    def __init__(self, dim: int, inner: int, scale: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, inner)
        self.pwconv2 = nn.Linear(inner, dim)
        self.gamma = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Features [B,C,T] → the same shape: the input plus the block's scaled branch."""
        y: Tensor = self.norm(self.dwconv(x.to(self.dwconv.weight.dtype)).transpose(1, 2))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.transpose(1, 2)


class Backbone(nn.Module):
    """The ConvNeXt blocks with the layers before and after them."""

    def __init__(self, config: VocosConfig, n_mels: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(n_mels, config.dim, 7, padding=3)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.convnext = nn.ModuleList(
            ConvNeXtBlock(config.dim, config.intermediate_dim, 1 / config.num_layers) for _ in range(config.num_layers)
        )
        self.final_layer_norm = nn.LayerNorm(config.dim, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel [B,n_mels,T] → features [B,T,C]."""
        x = self.norm(self.embed(x.to(self.embed.weight.dtype)).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            x = block(x)
        out: Tensor = self.final_layer_norm(x.transpose(1, 2).to(self.final_layer_norm.weight.dtype))
        return out


class Head(nn.Module):
    """The linear layer that gives log-magnitudes and phases, n_fft/2+1 each."""

    def __init__(self, dim: int, n_fft: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, n_fft + 2)


class Vocos(nn.Module):
    """The vocoder: log-mel (natural logarithm, not standardised) to sound."""

    window: Tensor

    def __init__(self, config: VocosConfig, mel: MelConfig) -> None:
        super().__init__()
        self.config, self.mel = config, mel
        self.n_fft, self.hop = config.frames(mel)
        self.backbone = Backbone(config, mel.n_mels)
        self.head: Head | SourceFilterHead
        self.head = (
            SourceFilterHead(config.dim, mel.sample_rate, self.n_fft, self.hop)
            if config.head == "source_filter"
            else Head(config.dim, self.n_fft)
        )
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def frames(self, mel: Tensor) -> Tensor:
        """Log-mel [B,n_mels,T] → [B,n_mels,T'], interpolated linearly to the hop of the spectrum.

        T' is `VocosConfig.frame_count`; frames behind the last one of the mel repeat it.
        """
        if self.hop == self.mel.hop:
            return mel
        last = mel.shape[-1] - 1
        count = self.config.frame_count(self.mel, mel.shape[-1])
        at = torch.arange(count, device=mel.device) * self.hop
        left = (at // self.mel.hop).clamp(max=last)
        share = ((at - left * self.mel.hop).to(mel.dtype) / self.mel.hop).clamp(max=1.0)
        return torch.lerp(mel[..., left], mel[..., (left + 1).clamp(max=last)], share)

    def samples(self, spectrum: Tensor, count: int) -> Tensor:
        """Spectrum [B,2,T',K] → `count` samples [B,count], the inverse STFT."""
        real, imaginary = spectrum.transpose(2, 3).unbind(1)
        wave = torch.istft(
            torch.complex(real, imaginary), self.n_fft, self.hop, self.n_fft, self.window, center=True, length=count
        )
        return wave

    def spectrum(self, mel: Tensor) -> Tensor:
        """Log-mel [B,n_mels,T] → real and imaginary part of the STFT [B,2,T',n_fft/2+1], fp32; T' as in `frames`."""
        features = self.backbone(self.frames(mel)).to(self.head.out.weight.dtype)
        if isinstance(self.head, SourceFilterHead):
            spectrum: Tensor = self.head(features)
            return spectrum
        log_magnitude, phase = self.head.out(features).float().chunk(2, dim=-1)
        magnitude = torch.exp(log_magnitude).clamp(max=MAX_MAGNITUDE)
        return torch.stack((magnitude * torch.cos(phase), magnitude * torch.sin(phase)), dim=1)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B,n_mels,T] → samples [B, (T-1)*mel.hop]."""
        return self.samples(self.spectrum(mel), (mel.shape[-1] - 1) * self.mel.hop)
