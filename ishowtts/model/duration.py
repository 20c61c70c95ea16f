"""The duration predictor of an aligned model: a residual convolutional network over phones."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .config import DurationConfig
from .flow_network import speaker_vectors


class DurationBlock(nn.Module):
    """A residual block: convolution over phones, layer norm, GELU."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """Phones [B,N,C] → [B,N,C]; `keep` [B,N,1] is 1 at phones and 0 at padding."""
        y = self.conv((x * keep).transpose(1, 2)).transpose(1, 2)
        return x + F.gelu(self.norm(y))


class DurationPredictor(nn.Module):
    """Predicts the logarithm of each token's frames at speed 1; the last `speakers` tokens name speakers, as in DiT."""

    def __init__(self, config: DurationConfig, text_num_embeds: int, speakers: int = 0) -> None:
        super().__init__()
        self.config, self.first_speaker = config, text_num_embeds - speakers + 1
        self.embed = nn.Embedding(text_num_embeds + 1, config.dim)
        self.blocks = nn.ModuleList(DurationBlock(config.dim, config.kernel) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, 1)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens [B,N], 0 for filler → natural logarithm of their frames [B,N]; `mask` [B,N] bool, None: tokens > 0."""
        keep = (tokens != 0 if mask is None else mask)[..., None]
        x = self.embed(tokens)
        if self.first_speaker < self.embed.num_embeddings:
            x = x + speaker_vectors(x, tokens, self.first_speaker)
        for block in self.blocks:
            x = block(x, keep)
        out: Tensor = self.out(self.norm(x)).squeeze(-1)
        return out
