"""What flow transformers have in common: text, reference, time, positions, and the parts of a block.

    B rows · S tokens · T frames · D dim · M modulation width

A network is divided by what its parts depend on: `embed_text`, `spread` and `condition` depend on the request alone and
run once for it, `modulation` on the time and runs once for a schedule, `velocity` on x_t and runs at every step.
Parameter names are those of the published checkpoints (`transformer.*`). Rows of a batch do not change one another:
convolutions, norms and attention are masked.
"""

# mypy: disable-error-code="no-any-return"
# Calling a torch module returns Any.

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import GUIDANCE_UNIT, MAX_FRAMES, DiTConfig


class GRN(nn.Module):
    """Global response normalisation over the sequence (Woo et al. 2023, ConvNeXt V2)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, dim))
        self.beta = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Sequence [B,S,C] → [B,S,C]; `mask` [B,S,1] is True at positions that its statistics count, None: all."""
        seen = x if mask is None else x * mask
        norm = torch.linalg.vector_norm(seen.float(), dim=1, keepdim=True)
        norm = norm / (norm.mean(dim=-1, keepdim=True) + 1e-6)
        return self.gamma * (x * norm) + self.beta + x


class ConvNeXtV2Block(nn.Module):
    """A ConvNeXt V2 block (Woo et al. 2023) over a sequence."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, inner)
        self.grn = GRN(inner)
        self.pwconv2 = nn.Linear(inner, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Sequence [B,S,C] → [B,S,C]; `mask` [B,S,1] is False at padding, which must be zeros, None: no padding."""
        y = self.norm(self.dwconv(x.transpose(1, 2)).transpose(1, 2))
        return x + self.pwconv2(self.grn(F.gelu(self.pwconv1(y)), mask))


class TextEmbedding(nn.Module):
    """Token embedding, positions and ConvNeXt blocks, and for the aligned layout the layers of frames.

    `FlowNetwork.embed_text` and `FlowNetwork.spread` compute with it.
    """

    positions: Tensor

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        dim = config.text_dim
        self.text_embed = nn.Embedding(config.text_num_embeds + 1, dim)
        self.text_blocks = nn.ModuleList(ConvNeXtV2Block(dim, 2 * dim) for _ in range(config.conv_layers))
        if config.text_layout == "aligned":
            self.phase_proj = nn.Linear(3, dim)
            self.frame_block = ConvNeXtV2Block(dim, 2 * dim)
        cos, sin = _angles(dim, MAX_FRAMES)
        self.register_buffer("positions", torch.cat((cos, sin), dim=-1), persistent=False)


class TimestepEmbedding(nn.Module):
    """An embedding of a number in 0..1, a time or a strength of guidance, by sinusoids and two linear layers."""

    frequencies: Tensor

    def __init__(self, dim: int, width: int = 256) -> None:
        super().__init__()
        half = width // 2
        self.time_mlp = nn.Sequential(nn.Linear(width, dim), nn.SiLU(), nn.Linear(dim, dim))
        scale = math.log(10000) / (half - 1)
        self.register_buffer("frequencies", torch.exp(torch.arange(half).float() * -scale), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Numbers [B] in 0..1 → embeddings [B,D]."""
        angle = 1000 * t[:, None] * self.frequencies
        return self.time_mlp(torch.cat((angle.sin(), angle.cos()), dim=-1))


class ConvPositionEmbedding(nn.Module):
    """Two grouped convolutions over frames, which give positions to the transformer."""

    def __init__(self, dim: int, kernel: int = 31, groups: int = 16) -> None:
        super().__init__()
        self.conv1d = nn.Sequential(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups),
            nn.Mish(),
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups),
            nn.Mish(),
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Frames [B,T,D] → [B,T,D]; `mask` [B,T] is True at frames that count, None where all do."""
        first, second = cast(nn.Conv1d, self.conv1d[0]), cast(nn.Conv1d, self.conv1d[2])
        x = x.to(first.weight.dtype).transpose(1, 2)
        if mask is None:
            return F.mish(second(F.mish(first(x)))).transpose(1, 2)
        hole = ~mask[:, None]
        x = F.mish(first(x.masked_fill(hole, 0.0)))
        return F.mish(second(x.masked_fill(hole, 0.0))).masked_fill(hole, 0.0).transpose(1, 2)


class InputEmbedding(nn.Module):
    """The input projection: `proj` takes (x, cond, text) concatenated, in two parts."""

    def __init__(self, mel: int, text: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * mel + text, dim)
        self.conv_pos_embed = ConvPositionEmbedding(dim)


class RotaryEmbedding(nn.Module):
    """Tables of the rotary embedding (Su et al. 2021), [MAX_FRAMES + 1, dim_head/2]: one token may precede the frames.

    Neighbouring channels are pairs.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, dim_head: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", _inverse_frequencies(dim_head))  # is in published checkpoints
        cos, sin = _angles(dim_head, MAX_FRAMES + 1)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)


class Attention(nn.Module):
    """Multi-head self-attention with rotary embedding, computed in the dtype of its weights."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        inner = config.heads * config.dim_head
        self.heads, self.rope_heads = config.heads, config.pe_attn_head
        self.to_q = nn.Linear(config.dim, inner)
        self.to_k = nn.Linear(config.dim, inner)
        self.to_v = nn.Linear(config.dim, inner)
        self.q_norm = nn.RMSNorm(config.dim_head, eps=1e-6) if config.qk_norm else None
        self.k_norm = nn.RMSNorm(config.dim_head, eps=1e-6) if config.qk_norm else None
        self.to_out = nn.ModuleList([nn.Linear(inner, config.dim)])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Frames x [B,T,D], rotary tables cos and sin [T,1,dim_head/2], `mask` [B,1,1,T] or None → [B,T,D]."""
        x = x.to(self.to_q.weight.dtype)
        q, k, v = (to(x).unflatten(-1, (self.heads, -1)) for to in (self.to_q, self.to_k, self.to_v))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = (self._rotate(u, cos, sin).to(v.dtype).transpose(1, 2) for u in (q, k))
        y = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), attn_mask=mask)
        return self.to_out[0](y.transpose(1, 2).flatten(2))

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        if self.rope_heads is not None and self.rope_heads < self.heads:
            rotated = rotate(x[:, :, : self.rope_heads], cos, sin)
            return torch.cat((rotated, x[:, :, self.rope_heads :].to(rotated.dtype)), dim=2)
        return rotate(x, cos, sin)


class FeedForward(nn.Module):
    """The feed-forward part of a block, computed in the dtype of its weights."""

    def __init__(self, dim: int, mult: int) -> None:
        super().__init__()
        self.ff = nn.Sequential(
            nn.Sequential(nn.Linear(dim, dim * mult), nn.GELU(approximate="tanh")),
            nn.Identity(),  # so that the next layer has its published number
            nn.Linear(dim * mult, dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Frames [B,T,D] → [B,T,D]: linear, GELU (tanh approximation), linear."""
        return self.ff(x.to(cast(nn.Linear, self.ff[2]).weight.dtype))


class FlowNetwork(nn.Module):
    """Predicts the velocity of the flow from noise (t = 0) to a standardised log-mel (t = 1).

    A subclass has the blocks, and defines `modulation`, `velocity` and `norms`.
    """

    proj_out: nn.Linear

    def __init__(self, config: DiTConfig, n_mels: int = 100) -> None:
        super().__init__()
        self.config, self.n_mels = config, n_mels
        dim = config.dim
        self.time_embed = TimestepEmbedding(dim)
        self.guidance_embed = TimestepEmbedding(dim) if config.guidance_max else None
        self.text_embed = TextEmbedding(config)
        self.input_embed = InputEmbedding(n_mels, config.text_dim, dim)
        self.rotary_embed = RotaryEmbedding(config.dim_head)
        if self.guidance_embed is not None:  # has no effect before training
            nn.init.zeros_(cast(nn.Linear, self.guidance_embed.time_mlp[2]).weight)
            nn.init.zeros_(cast(nn.Linear, self.guidance_embed.time_mlp[2]).bias)

    @property
    def norms(self) -> list[nn.Module]:
        """The norms of blocks and output, which stay fp32 where the blocks have 16 bits."""
        raise NotImplementedError

    def embed_text(self, tokens: Tensor, drop: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Tokens [B,S], ids + 1 and 0 for filler → [B,S,text_dim].

        `drop` [B] bool: rows without text, the unconditional branch (the aligned layout drops it in `spread`).
        `mask` [B,S] bool: False at a batch's padding; the aligned layout takes tokens > 0 instead.
        """
        text, aligned = self.text_embed, self.config.text_layout == "aligned"
        known = (tokens != 0)[..., None]
        if aligned:
            valid: Tensor | None = known
        else:
            valid = None if mask is None else mask[..., None]
            if drop is not None:
                tokens = tokens.masked_fill(drop[:, None], 0)
        keep = known if self.config.text_mask_padding else valid
        if keep is not None and valid is not None and keep is not valid:
            keep = keep & valid
        x = text.text_embed(tokens)
        if self.config.speakers:
            x = x + speaker_vectors(x, tokens, self.config.first_speaker)
        if not len(text.text_blocks):
            return x if valid is None else x * valid
        x = x + text.positions[: tokens.shape[1]]
        x = x if keep is None else x * keep
        for block in text.text_blocks:
            x = block(x, valid)
            x = x if keep is None else x * keep
        return x

    def spread(
        self,
        text: Tensor,
        index: Tensor | None = None,
        phase: Tensor | None = None,
        drop: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Text [B,S,text_dim] → one vector for each frame [B,T,text_dim].

        Layout "padded": the text itself, which has filler up to T tokens. "average": the token of each frame by `index`
        [B,T]. "aligned": also `phase` [B,T] in 0..1, the position of the frame in its token; `drop` [B] bool, rows
        without text; `mask` [B,T] bool, False at padding.
        """
        if self.config.text_layout == "padded":
            return text
        assert index is not None
        x = text.gather(1, index[..., None].expand(-1, -1, text.shape[-1]))
        if self.config.text_layout == "average":
            return x
        assert phase is not None
        place = torch.stack((phase, 1 - phase, torch.sin(math.pi * phase)), dim=-1)
        x = x + self.text_embed.phase_proj(place)
        keep = None if mask is None else mask[..., None]
        x = x if keep is None else x * keep
        x = self.text_embed.frame_block(x, keep)
        x = x if keep is None else x * keep
        return x if drop is None else x.masked_fill(drop[:, None, None], 0.0)

    def condition(self, cond: Tensor, text: Tensor) -> Tensor:
        """Standardised reference [B,T,mel], zeros where there is none, and text [B,T,text_dim] → h [B,T,D].

        h is the part of the input projection that does not depend on x_t.
        """
        proj = self.input_embed.proj
        return F.linear(torch.cat((cond, text.to(cond.dtype)), dim=-1), proj.weight[:, self.n_mels :], proj.bias)

    def embed_time(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Times [B] in 0..1, fp32, and strengths of guidance [B] as in `modulation` → embeddings [B,D], fp32."""
        time = self.time_embed(t)
        if self.guidance_embed is not None and guidance is not None:
            time = time + self.guidance_embed(guidance / GUIDANCE_UNIT) * (guidance > 0)[:, None]
        return time

    def modulation(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Times [B] in 0..1, fp32 → what the blocks need of them, [B,M], fp32.

        `guidance` [B]: for a guidance-conditioned network, the strength of guidance of the velocity; 0 or None: that of
        one branch.
        """
        raise NotImplementedError

    def velocity(self, x: Tensor, h: Tensor, mod: Tensor, mask: Tensor | None = None) -> Tensor:
        """x_t [B,T,mel], h [B,T,D], mod [B,M], mask [B,T] bool or None (no padding) → [B,T,mel].

        Frames outside the mask have undefined values.
        """
        raise NotImplementedError

    def enter(self, x: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        """The input of the first block, with its positions, from the arguments of `velocity`."""
        proj = self.input_embed.proj
        x = h + F.linear(x.to(proj.weight.dtype), proj.weight[:, : self.n_mels])
        return x + self.input_embed.conv_pos_embed(x, mask)

    def rotary(self, length: int) -> tuple[Tensor, Tensor]:
        """Tables of the rotary embedding for a sequence, cos and sin [length,1,dim_head/2]."""
        return self.rotary_embed.cos[:length, None], self.rotary_embed.sin[:length, None]

    def forward(
        self,
        x: Tensor,
        cond: Tensor,
        tokens: Tensor,
        t: Tensor,
        *,
        index: Tensor | None = None,
        phase: Tensor | None = None,
        mask: Tensor | None = None,
        drop_cond: Tensor | None = None,
        drop_text: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """The velocity [B,T,mel] of one branch, for training: x_t and standardised cond [B,T,mel], tokens [B,S], t [B].

        In the padded and average layouts tokens are padded or cut to T. `index`, `phase`, `mask` as in `spread`;
        `drop_cond`, `drop_text` [B] bool: rows without that condition; `guidance` [B] as in `modulation`.
        """
        if self.config.text_layout != "aligned":
            tokens = F.pad(tokens, (0, x.shape[1] - tokens.shape[1]))
        text = self.spread(self.embed_text(tokens, drop_text, mask), index, phase, drop_text, mask)
        if drop_cond is not None:
            cond = cond.masked_fill(drop_cond[:, None, None], 0.0)
        with torch.autocast(x.device.type, enabled=False):
            mod = self.modulation(t.float(), guidance)
        return self.velocity(x, self.condition(cond, text), mod, mask)


def speaker_vectors(x: Tensor, tokens: Tensor, first: int) -> Tensor:
    """The vector of the last speaker token before each token, zero where there is none, [B,S,C].

    `x` [B,S,C]: vectors of `tokens` [B,S]; tokens from `first` on name speakers, and get zero themselves.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device)
    named = tokens >= first
    last = torch.where(named[:, None] & (place <= place[:, None]), place, -1).amax(dim=-1)
    vectors = x.gather(1, last.clamp(min=0)[..., None].expand(-1, -1, x.shape[-1]))
    return vectors * ((last >= 0) & ~named & (tokens != 0))[..., None]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply the rotary embedding: rotate each pair of channels of x [B,T,H,C] by the angles of cos, sin [T,1,C/2]."""
    a, b = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)


def _inverse_frequencies(dim: int) -> Tensor:
    return 1.0 / (10000.0 ** (torch.arange(0, dim, 2).float() / dim))


def _angles(dim: int, positions: int) -> tuple[Tensor, Tensor]:
    angle = torch.outer(torch.arange(positions).float(), _inverse_frequencies(dim))
    return angle.cos(), angle.sin()
