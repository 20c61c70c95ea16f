"""Distillation of classifier-free guidance into the network, so that a guided step needs one call instead of two.

After Meng et al. 2023, "On Distillation of Guided Diffusion Models", section 3.1: an embedding of the guidance strength
is added to the time embedding, and with it the network (student) learns the guided velocity
v_c + (v_c - v_u) * strength of the network before (teacher), at points on the teacher's guided paths. Some rows are
trained on v_c and on v_u without a strength, so that the student still supports guidance by two branches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ishowtts._engine import DEFAULTS
from ishowtts.model.dit import DiT
from ishowtts.model.sampler import time_grid

from . import data as datasets
from .data import Batch, Batches, Dataset, balanced
from .dit import (
    ANONYMOUS,
    CURVE_EVERY,
    FRAMES_PER_STEP,
    VALIDATE_EVERY,
    anonymous,
    learn,
    optimizer_of,
    to_fill_in,
    without_surroundings,
)
from .loop import Options, Run, half, prepare

GUIDANCE_MAX = 4.0
NFE: int = DEFAULTS["nfe_default"]  # steps of a path
GUIDED, CONDITIONAL = 0.6, 0.2  # shares of rows; the rest learns the unconditional branch
LEARNING_RATE = 4e-4
NOTE = Path("distil") / "teacher.sha256"  # in a work folder: the digest of the teacher's weights


@dataclass(frozen=True)
class Point:
    """Rows of a batch at time `t` of their guided paths, and the teacher's velocities there.

    `cond` (the given surroundings), `x` and the velocities v_c (`conditional`), v_u (`unconditional`) and `guided`:
    [B,T,n_mels]; `mask` [B,T]: frames that exist; `drop_cond` [B]: rows without surroundings; `strength` [B].
    """

    batch: Batch
    cond: Tensor
    drop_cond: Tensor
    mask: Tensor
    x: Tensor
    t: float
    strength: Tensor
    conditional: Tensor
    unconditional: Tensor
    guided: Tensor


class Paths:
    """Points on the teacher's guided paths without end; paths(step) depends on (seed, step) only."""

    def __init__(self, teacher: DiT, batches: Batches, seed: int, device: torch.device) -> None:
        self.teacher, self.batches, self.seed, self.device = teacher, batches, seed, device
        self._next = -1
        self._x: Tensor | None = None

    @torch.no_grad()
    def __call__(self, step: int) -> Point:
        """The point of this training step: sampling step `step % NFE` of path `step // NFE`."""
        path, call = divmod(step, NFE)
        if call and step != self._next:  # a run that was resumed in the middle of a path
            self(step - 1)
        batch = self.batches(path).to(self.device)
        noise = datasets.generator(self.seed, path)
        point, times = self._point(batch, noise, None if call == 0 else self._x, call)
        self._x = point.x + (times[call + 1] - times[call]) * point.guided * point.mask[..., None]
        self._next = step + 1
        return point

    def _point(self, batch: Batch, noise: torch.Generator, x: Tensor | None, call: int) -> tuple[Point, list[float]]:
        count, length, _ = batch.mel.shape

        def rand(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=noise).to(self.device)

        mask = torch.arange(length, device=self.device) < batch.frames[:, None]
        drop_cond = without_surroundings(batch, rand)
        span = to_fill_in(batch, mask, drop_cond, rand)
        strength = torch.where(rand(count) < 0.5, float(DEFAULTS["cfg_strength"]), GUIDANCE_MAX * (1 - rand(count)))
        times = jittered(noise)
        if x is None:
            x = torch.randn(batch.mel.shape, generator=noise).to(self.device) * mask[..., None]
        cond = batch.mel * ~span[..., None]
        batch = replace(batch, tokens=anonymous(batch.tokens, ~drop_cond & (rand(count) < ANONYMOUS)))
        every = torch.ones_like(drop_cond)
        t = torch.full((count,), times[call], device=self.device)
        with half(self.device.type):
            conditional, unconditional = (
                self.teacher(
                    x, cond, batch.tokens, t, index=batch.index, phase=batch.phase, mask=mask, drop_cond=c, drop_text=d
                ).float()
                for c, d in ((drop_cond, ~every), (every, every))
            )
        guided = conditional + (conditional - unconditional) * strength[:, None, None]
        return Point(batch, cond, drop_cond, mask, x, times[call], strength, conditional, unconditional, guided), times


def jittered(noise: torch.Generator) -> list[float]:
    """Times [NFE+1] of a path: for half of the paths the default ones, else each moved by up to half an interval."""
    grid = time_grid(NFE, None)
    if float(torch.rand(1, generator=noise)) < 0.5:
        low, high = -grid.diff()[:-1] / 2, grid.diff()[1:] / 2
        grid[1:-1] += torch.lerp(low, high, torch.rand(NFE - 1, generator=noise))
    return [1 - math.cos(math.pi / 2 * u) for u in grid.tolist()]  # sway of -1


def distillation_loss(net: Callable[..., Tensor], point: Point, noise: torch.Generator) -> Tensor:
    """Mean squared error (scalar) of the student's velocity over the frames of all rows.

    `noise` draws which rows are guided, conditional or unconditional.
    """
    batch, mask = point.batch, point.mask
    which = torch.rand(len(mask), generator=noise).to(mask.device)
    guided, alone = which < GUIDED, which >= GUIDED + CONDITIONAL
    wanted = torch.where(
        guided[:, None, None],
        point.guided,
        torch.where(alone[:, None, None], point.unconditional, point.conditional),
    )
    with half(mask.device.type):
        velocity = net(
            point.x,
            point.cond,
            batch.tokens,
            torch.full_like(point.strength, point.t),
            index=batch.index,
            phase=batch.phase,
            mask=mask,
            drop_cond=point.drop_cond | alone,
            drop_text=alone,
            guidance=point.strength * guided,
        )
    error = (velocity.float() - wanted).square().mean(dim=-1)
    return torch.where(mask, error, 0.0).sum() / mask.sum()


@torch.no_grad()
def validation_loss(net: nn.Module, paths: Paths, count: int = 2 * NFE) -> float:
    """Mean loss at `count` points of held-out sentences, along whole paths with fixed noise."""
    return sum(float(distillation_loss(net, paths(step), datasets.generator(1, step))) for step in range(count)) / count


def digest(net: nn.Module) -> str:
    """SHA-256 of the weights, in hexadecimal."""
    made = hashlib.sha256()
    for value in net.state_dict().values():
        made.update(value.detach().cpu().numpy().tobytes())
    return made.hexdigest()


def is_of(work: Path, teacher: DiT) -> bool:
    """Whether the student in a work folder was distilled from this network."""
    note = work / NOTE
    return note.is_file() and note.read_text(encoding="utf-8") == digest(teacher)


def check_teacher(work: Path, teacher: DiT) -> None:
    """ValueError when the student in a work folder was distilled from another network."""
    if not is_of(work, teacher):
        one = "the one of this folder, --finetune and --keep"
        raise ValueError(f"{work / 'distil'} is of another transformer than {one}: remove it, then distil again")


def train(options: Options, teacher: DiT, data: Dataset | None = None) -> Run:
    """Trains until the budget is spent; the returned run holds the averaged student in `ema`.

    The student starts with the weights of `teacher`. ValueError when the work folder holds a run of another teacher.
    """
    device = prepare(options)
    data = data or datasets.load(options.work)
    if (options.work / "distil" / "checkpoint.pt").is_file():
        check_teacher(options.work, teacher)
    (options.work / NOTE).parent.mkdir(parents=True, exist_ok=True)
    (options.work / NOTE).write_text(digest(teacher), encoding="utf-8")
    teacher = teacher.to(device).eval().requires_grad_(False)
    net = DiT(replace(teacher.config, guidance_max=GUIDANCE_MAX), data.config.n_mels).to(device)
    net.load_state_dict(net.state_dict() | teacher.state_dict())
    run = Run(
        options.work / "distil",
        replace(options, finetune=None),
        {"dit": net},
        {"adamw": optimizer_of(net, LEARNING_RATE, (0.9, 0.98))},
        "dit",
    )
    clips = balanced(data, data.train)
    batches = Batches(data, clips, FRAMES_PER_STEP, options.seed, windows=True)
    paths = Paths(teacher, batches, options.seed, device)
    held_out = Paths(teacher, Batches(data, data.held_out, FRAMES_PER_STEP, 1), 1, device)
    compiled = torch.compile(net, dynamic=False) if options.compile else net
    for step in run.steps():
        loss = distillation_loss(compiled, paths(step), datasets.generator(options.seed + 1, step))
        learn(run, net, loss)
        assert run.ema is not None
        if (step + 1) % VALIDATE_EVERY == 0:
            run.row(held_out=validation_loss(run.ema, held_out))
        elif (step + 1) % CURVE_EVERY == 0:
            run.row()
    return run
