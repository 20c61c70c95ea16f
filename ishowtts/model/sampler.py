"""Sampling in Python: the readable twin of csrc/flow, used by tests and by the scores of a training run.

Reproduces `CFM.sample` of F5-TTS: Euler or midpoint from t = 0 to 1 on x_t, classifier-free guidance, the EPSS grid
(arXiv 2505.19931) and sway. Unlike it, rows of a batch never see each other's padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .config import Solver
from .dit import DiT

Grid = Literal["epss", "uniform"]

EPSS: dict[int, tuple[int, ...]] = {
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}
"""Times in units of 1/32 by number of steps; other numbers of steps take the uniform grid."""


def time_grid(nfe: int, sway: float | None, grid: Grid = "epss") -> Tensor:
    """Times [nfe + 1] from 0 to 1, fp32. `sway` (usually -1, None for none) bends them towards the start."""
    if nfe < 1:
        raise ValueError("nfe must be at least 1")
    t = torch.linspace(0, 1, nfe + 1)
    if grid == "epss" and nfe in EPSS:
        t = torch.tensor(EPSS[nfe], dtype=torch.float32) / 32
    return t if sway is None else t + sway * (torch.cos(torch.pi / 2 * t) - 1 + t)


def average_index(tokens: int, frames: int) -> Tensor:
    """Token of each frame [frames], tokens spread evenly; the last ones get what does not divide."""
    share, rest = divmod(frames, tokens)
    counts = torch.full((tokens,), share)
    counts[tokens - rest :] += 1
    return torch.repeat_interleave(torch.arange(tokens), counts)


@torch.no_grad()
def sample(
    dit: DiT,
    cond: Tensor,
    tokens: Tensor,
    ref_frames: Sequence[int],
    frames: Sequence[int],
    noise: Tensor,
    *,
    nfe: int,
    cfg: float,
    sway: float | None,
    grid: Grid = "epss",
    solver: Solver = "euler",
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    short_guidance: bool = False,
    embedded_guidance: bool = True,
    index: Tensor | None = None,
    phase: Tensor | None = None,
    first: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Speech for a batch of rows, [B,T,mel] in the model's units; frames past a row's own are zeros.

    cond [B,Tc,mel]: reference log-mel in the model's units. tokens [B,S] int64, 0 filler, id + 1 otherwise. ref_frames,
    frames: B numbers, reference and whole length; T is the longest. noise [B,T,mel]. index, phase [B,T] for the layouts
    that take them (average: made here when None). cfg: strength of guidance where guidance_interval[0] <= t < [1].
    short_guidance: the unconditional branch is computed without the reference's frames, which then move by the
    conditional velocity alone. embedded_guidance: a network that takes strengths up to `cfg` gives the guided velocity
    itself. first: step to begin with; `noise` is then x at its time. watch(i, x) sees x_t before step i and at the end.
    """
    rows, length = len(frames), max(frames)
    layout = dit.config.text_layout
    known = torch.zeros(rows, length, dtype=torch.bool)
    branches: tuple[list[Tensor], list[Tensor]] = ([], [])
    whole = noise.new_zeros(rows, length, dit.n_mels)
    for b, (reference, n) in enumerate(zip(ref_frames, frames, strict=True)):
        known[b, :reference] = True
        whole[b, :reference] = cond[b, :reference]
        own = tokens[b : b + 1] if layout == "aligned" else F.pad(tokens[b : b + 1], (0, n - tokens.shape[1]))
        places = None if index is None else index[b : b + 1, :n]
        if layout == "average" and places is None:
            places = average_index(int((own != 0).sum()), n)[None]
        inside = None if phase is None else phase[b : b + 1, :n]
        for drop, out in zip((False, True), branches, strict=True):
            dropped = torch.tensor([drop])
            text = dit.spread(dit.embed_text(own, dropped), places, inside, dropped)
            given = torch.zeros_like(whole[b : b + 1, :n]) if drop else whole[b : b + 1, :n]
            out.append(F.pad(dit.condition(given, text), (0, 0, 0, length - n)))
    h = torch.cat((*branches[0], *branches[1]))
    mask = torch.arange(length) < torch.tensor(list(frames))[:, None]
    times = time_grid(nfe, sway, grid)
    both = None if bool(mask.all()) else torch.cat((mask, mask))

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        guided = guidance_interval[0] <= float(t) < guidance_interval[1]
        if guided and embedded_guidance and 0 < cfg <= dit.config.guidance_max:
            mod = dit.modulation(t[None], torch.tensor([cfg])).expand(rows, -1)
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
