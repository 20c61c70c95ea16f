"""The graphs of a model: what eager PyTorch, torch.compile and the compiled packages all run.

    B rows · S tokens · T frames · N phones · D dim · M modulation width

Five small modules with tensors in and one tensor out, so that C can call them without Python. Modulation, text, the
update of x_t and all results are fp32; "bf16" stores weights and activations of the transformer and the vocoder's
blocks in bfloat16, with an fp32 residual stream.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from .checkpoint import LoadedModel
from .config import MelConfig
from .dit import DiT
from .duration import DurationPredictor
from .vocos import Vocos

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


class Encode(nn.Module):
    """tokens [1,S], cond [1,T,mel] raw log-mel, (index [1,T]), (phase [1,T]), ref_frames [1] → h [2,T,D].

    index: average and aligned layouts; phase: aligned. Row 0 conditional, row 1 unconditional. Frames from
    ref_frames on are masked.
    """

    def __init__(self, dit: DiT, mel: MelConfig) -> None:
        super().__init__()
        self.dit, self.mean, self.std = dit, mel.mean, mel.std

    def forward(self, tokens: Tensor, cond: Tensor, *rest: Tensor) -> Tensor:
        """Tokens [1,S], raw log-mel reference [1,T,mel], the layout's inputs → h [2,T,D]: conditional, unconditional row."""
        *place, ref_frames = rest
        index = place[0] if place else None
        phase = place[1] if len(place) > 1 else None
        frames = cond.shape[1]
        known = torch.arange(frames, device=cond.device)[:, None] < ref_frames
        cond = torch.where(known, (cond - self.mean) / self.std, 0.0)
        dropped = torch.ones(1, dtype=torch.bool, device=cond.device)
        text = self.dit.spread(self.dit.embed_text(tokens), index, phase)
        silent = torch.zeros_like(text)
        if phase is None:
            silent = self.dit.spread(self.dit.embed_text(tokens, dropped), index)
        return self.dit.condition(torch.cat((cond, torch.zeros_like(cond))), torch.cat((text, silent)))


class Modulate(nn.Module):
    """t [n] → [n,M]; also guidance [n] where the network takes it."""

    def __init__(self, dit: DiT) -> None:
        super().__init__()
        self.dit = dit

    def forward(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Times [n] and, where the network takes it, guidance strengths [n] → modulation [n,M], fp32."""
        return self.dit.modulation(t, guidance)


class Step(nn.Module):
    """x [B,T,mel], h [2B,T,D], mod [B,M], dt [B], cfg [B] (, frames [B] where rows are padded) → the next x [B,T,mel].

    h [B,T,D]: the conditional branch alone, without guidance.
    """

    def __init__(self, dit: DiT) -> None:
        super().__init__()
        self.dit = dit

    def forward(
        self, x: Tensor, h: Tensor, mod: Tensor, dt: Tensor, cfg: Tensor, frames: Tensor | None = None
    ) -> Tensor:
        """One Euler step: x [B,T,mel] + dt · velocity, with guidance cfg [B] → the next x [B,T,mel]."""
        rows = x.shape[0]
        mask = None
        if frames is not None:
            mask = torch.arange(x.shape[1], device=x.device) < frames[:, None]
        if h.shape[0] == rows:
            return x + dt[:, None, None] * self.dit.velocity(x, h, mod, mask).float()
        mask = None if mask is None else torch.cat((mask, mask))
        v = self.dit.velocity(torch.cat((x, x)), h, torch.cat((mod, mod)), mask).float()
        vc, vu = v[:rows], v[rows:]
        return x + dt[:, None, None] * (vc + (vc - vu) * cfg[:, None, None])


class Vocode(nn.Module):
    """mel [1,T,mel] in the model's units → STFT [1,2,T,n_fft/2+1], real and imaginary part."""

    def __init__(self, vocos: Vocos, mel: MelConfig) -> None:
        super().__init__()
        self.vocos, self.mean, self.std = vocos, mel.mean, mel.std

    def forward(self, mel: Tensor) -> Tensor:
        """Mel [1,T,mel] in the model's units → STFT [1,2,T,n_fft/2+1], real and imaginary part."""
        return self.vocos.spectrum((mel * self.std + self.mean).transpose(1, 2))


class Durations(nn.Module):
    """tokens [1,N] → frames of each token at speed 1, [1,N]."""

    def __init__(self, duration: DurationPredictor) -> None:
        super().__init__()
        self.duration = duration

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [1,N] → frames of each token at speed 1, [1,N]."""
        out: Tensor = self.duration(tokens)
        return out.exp()


def build(model: LoadedModel, precision: Precision = "fp32") -> dict[str, nn.Module]:
    """The graphs of a model by name: encode, modulate, step, vocode and, where durations are predicted, durations."""
    mel = model.config.mel
    dit, vocos = model.dit, model.vocos
    if precision == "bf16":
        dit, vocos = _bf16_dit(dit), _bf16_vocos(vocos)
    graphs: dict[str, nn.Module] = {
        "encode": Encode(model.dit, mel),
        "modulate": Modulate(model.dit),
        "step": Step(dit),
        "vocode": Vocode(vocos, mel),
    }
    if model.duration is not None:
        graphs["durations"] = Durations(model.duration)
    return {name: graph.eval().requires_grad_(False) for name, graph in graphs.items()}


def _bf16_dit(dit: DiT) -> DiT:
    """A copy whose transformer is bf16; what a step does not use (text, time, modulation) stays shared and fp32."""
    shared: list[nn.Module] = [dit.text_embed, dit.time_embed, dit.rotary_embed, dit.norm_out]
    shared += [dit.guidance_embed] if dit.guidance_embed is not None else []
    shared += [block.attn_norm for block in dit.blocks]
    out = copy.deepcopy(dit, {id(module): module for module in shared})
    keep = {id(p) for module in shared for p in module.parameters()}
    for parameter in out.parameters():
        if id(parameter) not in keep:
            parameter.data = parameter.data.bfloat16()
    return out


def _bf16_vocos(vocos: Vocos) -> Vocos:
    """A copy with bf16 blocks; the last norm and the head stay fp32, since phases need the digits."""
    out = copy.deepcopy(vocos)
    for name, parameter in out.backbone.named_parameters():
        if not name.startswith("final_layer_norm"):
            parameter.data = parameter.data.bfloat16()
    return out
