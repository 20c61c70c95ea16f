"""The flow transformer of F5-TTS (Chen et al. 2024, arXiv 2410.06885): blocks that the time modulates."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module returns Any.

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DiTConfig
from .flow_network import Attention, FeedForward, FlowNetwork


class AdaLayerNorm(nn.Module):
    """The linear layer that gives the modulation of a norm, `parts` vectors [dim], from a time embedding."""

    def __init__(self, dim: int, parts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, parts * dim)


class DiTBlock(nn.Module):
    """One transformer block; the residual stream is fp32 whatever the dtype of the weights."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.attn_norm = AdaLayerNorm(config.dim, 6)
        self.attn = Attention(config)
        self.ff = FeedForward(config.dim, config.ff_mult)

    def forward(self, x: Tensor, mod: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Frames x [B,T,D], modulation of this block [B,6D], rotary tables, `mask` [B,1,1,T] or None → [B,T,D]."""
        shift, scale, gate, shift_ff, scale_ff, gate_ff = mod[:, None].chunk(6, dim=-1)
        x = x + gate * self.attn(normalise(x) * (1 + scale) + shift, cos, sin, mask)
        return x + gate_ff * self.ff(normalise(x) * (1 + scale_ff) + shift_ff)


class DiT(FlowNetwork):
    """The transformer of F5-TTS. Its modulation is six vectors [D] for each block, then two of the final norm."""

    def __init__(self, config: DiTConfig, n_mels: int = 100) -> None:
        super().__init__(config, n_mels)
        dim = config.dim
        self.transformer_blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.depth))
        self.long_skip_connection = nn.Linear(2 * dim, dim, bias=False) if config.long_skip_connection else None
        self.norm_out = AdaLayerNorm(dim, 2)
        self.proj_out = nn.Linear(dim, n_mels)
        ends: list[nn.Linear] = [block.attn_norm.linear for block in self.blocks]
        for linear in (*ends, self.norm_out.linear, self.proj_out):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    @property
    def blocks(self) -> list[DiTBlock]:
        """The transformer's blocks, in order."""
        return [cast(DiTBlock, block) for block in self.transformer_blocks]

    @property
    def norms(self) -> list[nn.Module]:
        """As `FlowNetwork.norms`."""
        return [*(block.attn_norm for block in self.blocks), self.norm_out]

    def modulation(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """As `FlowNetwork.modulation`: the modulation of all adaptive norms, the final norm last."""
        time = F.silu(self.embed_time(t, guidance))
        parts = [block.attn_norm.linear(time) for block in self.blocks]
        return torch.cat((*parts, self.norm_out.linear(time)), dim=-1)

    def velocity(self, x: Tensor, h: Tensor, mod: Tensor, mask: Tensor | None = None) -> Tensor:
        """As `FlowNetwork.velocity`."""
        dim = self.config.dim
        x = self.enter(x, h, mask)
        cos, sin = self.rotary(x.shape[1])
        attend = None if mask is None else mask[:, None, None]
        start = x
        for i, block in enumerate(self.blocks):
            x = block(x, mod[:, 6 * dim * i : 6 * dim * (i + 1)], cos, sin, attend)
        if self.long_skip_connection is not None:
            x = self.long_skip_connection(torch.cat((x, start), dim=-1).to(self.long_skip_connection.weight.dtype))
        scale, shift = mod[:, None, -2 * dim :].chunk(2, dim=-1)
        return self.proj_out((normalise(x) * (1 + scale) + shift).to(self.proj_out.weight.dtype))


def normalise(x: Tensor) -> Tensor:
    """Layer norm over the last dimension, without parameters."""
    return F.layer_norm(x, (int(x.shape[-1]),), eps=1e-6)  # an int: tracing for ONNX needs a constant
