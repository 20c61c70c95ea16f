"""The graphs of a model, which eager PyTorch, torch.compile and the compiled packages run.

    B rows · S tokens · T frames · N phones · D dim · M modulation width

A graph is a module from tensors to one tensor, so that C can call it in a compiled package. Inputs and results are
fp32. In precision "bf16" or "fp16" weights and activations of the transformer's and the vocoder's blocks have 16 bits;
their residual streams, the modulation, the text part and the update of x_t stay fp32.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .checkpoint import LoadedModel
from .config import MelConfig
from .duration import DurationPredictor
from .flow_network import FlowNetwork
from .vocos import Vocos

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Types of the blocks by precision, where they are not fp32."""


class Encode(nn.Module):
    """Encodes text and reference of one row, for the conditional and the unconditional branch."""

    def __init__(self, dit: FlowNetwork, mel: MelConfig) -> None:
        super().__init__()
        self.dit, self.mean, self.std = dit, mel.mean, mel.std

    def forward(self, tokens: Tensor, cond: Tensor, *rest: Tensor) -> Tensor:
        """Tokens [1,S] and log-mel `cond` [1,T,mel] → h [2,T,D], the conditional and the unconditional branch.

        `rest`: index [1,T] (average and aligned layouts), phase [1,T] (aligned), ref_frames [1], from where on `cond`
        is not read.
        """
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
    """The modulation of times, and of guidance strengths where the network is guidance-conditioned."""

    def __init__(self, dit: FlowNetwork) -> None:
        super().__init__()
        self.dit = dit

    def forward(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Times [n] in 0..1 and guidance strengths [n] → modulation [n,M]."""
        return self.dit.modulation(t, guidance)


class Step(nn.Module):
    """One Euler step of a batch, with classifier-free guidance."""

    def __init__(self, dit: FlowNetwork) -> None:
        super().__init__()
        self.dit = dit

    def forward(
        self, x: Tensor, h: Tensor, mod: Tensor, dt: Tensor, cfg: Tensor, frames: Tensor | None = None
    ) -> Tensor:
        """Rows x [B,T,mel], modulation [B,M], dt [B], guidance strength cfg [B] → x + dt · velocity [B,T,mel].

        `h` [2B,T,D]: conditional rows, then unconditional ones; [B,T,D]: conditional rows alone, without guidance.
        `frames` [B]: the frames of each row, None where no row is padded.
        """
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
    """The vocoder without the inverse STFT, which is C."""

    def __init__(self, vocos: Vocos, mel: MelConfig) -> None:
        super().__init__()
        self.vocos, self.mean, self.std = vocos, mel.mean, mel.std

    def forward(self, mel: Tensor) -> Tensor:
        """Standardised log-mel [1,T,mel] → STFT [1,2,T',K], real and imaginary part; `Vocos.spectrum`."""
        return self.vocos.spectrum((mel * self.std + self.mean).transpose(1, 2))


class Durations(nn.Module):
    """The duration predictor in frames."""

    def __init__(self, duration: DurationPredictor) -> None:
        super().__init__()
        self.duration = duration

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [1,N] → frames of each token at speed 1, [1,N]."""
        out: Tensor = self.duration(tokens)
        return out.exp()


def build(model: LoadedModel, precision: str = "fp32") -> dict[str, nn.Module]:
    """The graphs of a model by name: "encode", "modulate", "step", "vocode", and "durations" if it predicts them.

    `precision`: one of `compile.TORCH_PRECISIONS`.
    """
    mel = model.config.mel
    dit, vocos = model.dit, model.vocos
    if precision in HALVES:
        dit, vocos = _half_dit(dit, HALVES[precision]), _half_vocos(vocos, HALVES[precision])
    graphs: dict[str, nn.Module] = {
        "encode": Encode(model.dit, mel),
        "modulate": Modulate(model.dit),
        "step": Step(dit),
        "vocode": Vocode(vocos, mel),
    }
    if model.duration is not None:
        graphs["durations"] = Durations(model.duration)
    return {name: graph.eval().requires_grad_(False) for name, graph in graphs.items()}


def _half_dit(dit: FlowNetwork, dtype: torch.dtype) -> FlowNetwork:
    """A copy whose blocks have 16 bits; modules of text, time and norms are shared with `dit` and fp32."""
    shared: list[nn.Module] = [dit.text_embed, dit.time_embed, dit.rotary_embed, *dit.norms]
    shared += [dit.guidance_embed] if dit.guidance_embed is not None else []
    out = copy.deepcopy(dit, {id(module): module for module in shared})
    keep = {id(p) for module in shared for p in module.parameters()}
    for parameter in out.parameters():
        if id(parameter) not in keep:
            parameter.data = parameter.data.to(dtype)
    return out


def _half_vocos(vocos: Vocos, dtype: torch.dtype) -> Vocos:
    """A copy whose blocks have 16 bits; the last norm and the head stay fp32, because phases need the precision."""
    out = copy.deepcopy(vocos)
    for name, parameter in out.backbone.named_parameters():
        if not name.startswith("final_layer_norm"):
            parameter.data = parameter.data.to(dtype)
    return out
