"""Sampling in Python, as csrc/flow does it; used by tests and by the scores of a training run.

It computes what `CFM.sample` of F5-TTS does: the Euler or midpoint rule on x_t from t = 0 to 1, classifier-free
guidance, time grids of EPSS (arXiv 2505.19931) and sway sampling. Unlike there, padding does not change a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .config import Solver
from .flow_network import FlowNetwork

Grid = Literal["epss", "uniform"]

EPSS: dict[int, tuple[int, ...]] = {
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}
"""Times in units of 1/32 by number of steps; other numbers of steps have the uniform grid."""


def time_grid(nfe: int, sway: float | None, grid: Grid = "epss", device: torch.device | str | None = None) -> Tensor:
    """Times [nfe + 1] from 0 to 1, fp32, on a device (None: torch's default).

    `sway`: s of t + s (cos(πt/2) - 1 + t), usually -1, which moves steps towards the start; None: not applied.
    ValueError: nfe < 1.
    """
    if nfe < 1:
        raise ValueError("nfe must be at least 1")
    t = torch.linspace(0, 1, nfe + 1, device=device)
    if grid == "epss" and nfe in EPSS:
        t = torch.tensor(EPSS[nfe], dtype=torch.float32, device=device) / 32
    return t if sway is None else t + sway * (torch.cos(torch.pi / 2 * t) - 1 + t)


def average_index(tokens: int, frames: int, device: torch.device | str | None = None) -> Tensor:
    """The token of each frame [frames], with frames shared out evenly; the last tokens get one more of the rest."""
    share, rest = divmod(frames, tokens)
    counts = torch.full((tokens,), share, device=device)
    counts[tokens - rest :] += 1
    return torch.repeat_interleave(torch.arange(tokens, device=device), counts)


@torch.no_grad()
def sample(
    dit: FlowNetwork,
    cond: Tensor,
    tokens: Tensor,
    ref_frames: Sequence[int],
    frames: Sequence[int],
    noise: Tensor,
    *,
    nfe: int | None = None,
    cfg: float,
    sway: float | None = None,
    grid: Grid = "epss",
    times: Tensor | None = None,
    solver: Solver = "euler",
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    short_guidance: bool = False,
    embedded_guidance: bool = True,
    index: Tensor | None = None,
    phase: Tensor | None = None,
    first: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Standardised log-mels [B,T,mel] of a batch of rows, reference included; frames after a row's end are zeros.

    cond [B,Tc,mel]: standardised log-mel of the reference. tokens [B,S] int64: ids + 1, 0 for filler. ref_frames,
    frames: frames of the reference and of the whole row, for each row; T is the longest row. noise [B,T,mel]: x at
    t = 0, on whose device everything is computed. index, phase [B,T]: as in `FlowNetwork.spread` (average layout:
    computed here if None).

    times [steps + 1]: from 0 to 1; None: `time_grid(nfe, sway, grid)`.

    cfg: strength of guidance, applied where guidance_interval[0] <= t < guidance_interval[1]. short_guidance: the
    unconditional branch leaves out the frames of the reference, which then follow the conditional velocity.
    embedded_guidance: a guidance-conditioned network computes the guided velocity in one pass if it takes `cfg`.
    first: the step to begin with; `noise` is then x at its time. watch(i, x): called before step i and at the end.
    """
    if times is None:
        if nfe is None:
            raise ValueError("nfe or times must be given")
        times = time_grid(nfe, sway, grid, noise.device)
    times, nfe = times.to(noise.device), len(times) - 1
    rows, length, device = len(frames), max(frames), noise.device
    layout = dit.config.text_layout
    known = torch.zeros(rows, length, dtype=torch.bool, device=device)
    branches: tuple[list[Tensor], list[Tensor]] = ([], [])
    whole = noise.new_zeros(rows, length, dit.n_mels)
    for b, (reference, n) in enumerate(zip(ref_frames, frames, strict=True)):
        known[b, :reference] = True
        whole[b, :reference] = cond[b, :reference]
        own = tokens[b : b + 1] if layout == "aligned" else F.pad(tokens[b : b + 1], (0, n - tokens.shape[1]))
        places = None if index is None else index[b : b + 1, :n]
        if layout == "average" and places is None:
            places = average_index(int((own != 0).sum()), n, device)[None]
        inside = None if phase is None else phase[b : b + 1, :n]
        for drop, out in zip((False, True), branches, strict=True):
            dropped = torch.tensor([drop], device=device)
            text = dit.spread(dit.embed_text(own, dropped), places, inside, dropped)
            given = torch.zeros_like(whole[b : b + 1, :n]) if drop else whole[b : b + 1, :n]
            out.append(F.pad(dit.condition(given, text), (0, 0, 0, length - n)))
    h = torch.cat((*branches[0], *branches[1]))
    mask = torch.arange(length, device=device) < torch.tensor(list(frames), device=device)[:, None]
    both = None if bool(mask.all()) else torch.cat((mask, mask))

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        guided = guidance_interval[0] <= float(t) < guidance_interval[1]
        if guided and embedded_guidance and 0 < cfg <= dit.config.guidance_max:
            mod = dit.modulation(t[None], torch.tensor([cfg], device=device)).expand(rows, -1)
            return dit.velocity(x, h[:rows], mod, None if both is None else mask).float() * mask[..., None]
        mod = dit.modulation(t[None]).expand(2 * rows, -1)
        vc, vu = dit.velocity(torch.cat((x, x)), h, mod, both).float().chunk(2)
        if short_guidance:
            vu = vc.clone()
            for b, (reference, n) in enumerate(zip(ref_frames, frames, strict=True)):
                new = slice(reference, n)
                vu[b, new] = dit.velocity(x[b : b + 1, new], h[rows + b : rows + b + 1, new], mod[:1]).float()[0]
        return (vc + (vc - vu) * cfg if guided else vc) * mask[..., None]

    x = noise * mask[..., None]
    for i in range(first, nfe):
        if watch is not None:
            watch(i, x)
        dt = times[i + 1] - times[i]
        v = velocity(x, times[i])
        if solver == "midpoint":
            v = velocity(x + 0.5 * dt * v, times[i] + 0.5 * dt)
        x = x + dt * v
    if watch is not None:
        watch(nfe, x)
    return torch.where(known[..., None], whole, x)
