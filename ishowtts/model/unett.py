"""The flow transformer of E2 TTS (Eskimez et al. 2024, arXiv 2406.18009): a U-Net of plain transformer blocks.

B: rows, T: frames, D: dim. The time is a token before the frames. Each block of the second half takes the input of its
mirror image in the first.
"""

# mypy: disable-error-code="no-any-return"
# Calling a torch module returns Any.

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DiTConfig
from .flow_network import Attention, FeedForward, FlowNetwork


class RMSNorm(nn.Module):
    """Root mean square norm with a gain, whose published name is `g`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[B,T,D] → [B,T,D]."""
        return F.normalize(x, dim=-1) * float(x.shape[-1]) ** 0.5 * self.g


class UNetTBlock(nn.ModuleList):
    """One transformer block; the residual stream is fp32 whatever the dtype of the weights.

    Its parts are numbered, as in published checkpoints: 0 the projection that joins the other half, 1 and 2 norm and
    attention, 3 and 4 norm and feed-forward.
    """

    def __init__(self, config: DiTConfig, joins: bool) -> None:
        super().__init__()
        self.add_module("0", nn.Linear(2 * config.dim, config.dim, bias=False) if joins else None)
        self.extend((RMSNorm(config.dim), Attention(config)))
        self.extend((RMSNorm(config.dim), FeedForward(config.dim, config.ff_mult)))

    def forward(self, x: Tensor, skip: Tensor | None, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Sequence x [B,1+T,D], input `skip` of the mirrored block, rotary tables, `mask` [B,1,1,1+T] → [B,1+T,D]."""
        join, attn_norm, attn, ff_norm, ff = self
        if skip is not None:
            x = join(torch.cat((x, skip), dim=-1).to(cast(nn.Linear, join).weight.dtype)).to(x.dtype)
        x = x + attn(attn_norm(x), cos, sin, mask)
        return x + ff(ff_norm(x))


class UNetT(FlowNetwork):
    """The transformer of E2 TTS. Its modulation is the embedding of the time alone."""

    def __init__(self, config: DiTConfig, n_mels: int = 100) -> None:
        super().__init__(config, n_mels)
        self.layers = nn.ModuleList(UNetTBlock(config, i >= config.depth // 2) for i in range(config.depth))
        self.norm_out = RMSNorm(config.dim)
        self.proj_out = nn.Linear(config.dim, n_mels)

    @property
    def norms(self) -> list[nn.Module]:
        """As `FlowNetwork.norms`."""
        return [module for module in self.modules() if isinstance(module, RMSNorm)]

    def modulation(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """As `FlowNetwork.modulation`."""
        return self.embed_time(t, guidance)

    def velocity(self, x: Tensor, h: Tensor, mod: Tensor, mask: Tensor | None = None) -> Tensor:
        """As `FlowNetwork.velocity`."""
        x = torch.cat((mod[:, None], self.enter(x, h, mask)), dim=1)
        cos, sin = self.rotary(x.shape[1])
        attend = None if mask is None else F.pad(mask, (1, 0), value=True)[:, None, None]
        skips: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            if i < self.config.depth // 2:
                skips.append(x)
                x = layer(x, None, cos, sin, attend)
            else:
                x = layer(x, skips.pop(), cos, sin, attend)
        return self.proj_out(self.norm_out(x[:, 1:]).to(self.proj_out.weight.dtype))
