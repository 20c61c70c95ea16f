"""Training of the duration predictor, which gives the number of mel frames of each phone of a text.

The network predicts the logarithm of frames. The mean of logarithms gives a geometric mean, which is less than the
mean: speech would be a few per cent too fast. After training, a constant is added to the last bias, so that the
durations of the training clips have the right sum.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ishowtts.model.config import DurationConfig
from ishowtts.model.duration import DurationPredictor

from . import data as datasets
from .data import PAIRED, Dataset
from .loop import Options, Run, prepare
from .vocabulary import ANYONE

ROWS = 32
STEPS = 450
LEARNING_RATE = 1.5e-3
HIDDEN = 0.1  # share of tokens set to the filler in training, against overfitting
VALIDATE_EVERY = 100


def architecture() -> DurationConfig:
    """Configuration of the embedded voice's duration predictor."""
    return DurationConfig(dim=128, layers=4, kernel=5)


def rows_of(data: Dataset, clips: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens [B,S] and frames [B,S] (both 0 where padded) of B rows, each of clips joined end to end."""
    tokens = [torch.from_numpy(np.concatenate([data.tokens[k] for k in row])) for row in clips]
    frames = [torch.from_numpy(np.concatenate([data.frames[k] for k in row])) for row in clips]
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(tokens, batch_first=True), pad(frames, batch_first=True)


def log_error(net: nn.Module, tokens: Tensor, frames: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error (scalar) of the logarithms of frames, over the tokens [B,S] that have frames [B,S].

    mask [B,S]: tokens that the network sees; None: those with frames.
    """
    seen = frames > 0
    predicted = net(tokens, seen if mask is None else mask)
    error: Tensor = (predicted - frames.clamp(min=1).log()).square() * seen
    return error.sum() / seen.sum()


@torch.no_grad()
def calibrate(net: DurationPredictor, data: Dataset, clips: list[int]) -> float:
    """Scales all durations, in place, so that `clips` have their true sum of frames; returns the factor."""
    tokens, frames = rows_of(data, [[k] for k in clips])
    device = net.out.bias.device
    predicted = net(tokens.to(device), (frames > 0).to(device)).exp().cpu() * (frames > 0)
    factor = float(frames.sum() / predicted.sum())
    net.out.bias.add_(math.log(factor))
    return factor


def train(options: Options, data: Dataset | None = None, config: DurationConfig | None = None) -> Run:
    """Trains for the options' steps, by default STEPS; the returned run holds the calibrated predictor in `ema`."""
    device = prepare(options)
    if options.steps is None:
        options = replace(options, steps=STEPS)
    data = data or datasets.load(options.work)
    net = DurationPredictor(config or architecture(), len(data.symbols), len(data.symbols) + 1 - ANYONE).to(device)
    adam = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=0.05, fused=True)
    folder = options.work / "duration"
    run = Run(folder, options, {"duration": net}, {"adamw": adam}, "duration", decay=0.99, symbols=data.symbols)
    held_tokens, held_frames = (x.to(device) for x in rows_of(data, [[k] for k in data.held_out]))
    of_speaker = {name: [k for k in data.train if data.clips[k].speaker == name] for name in data.speakers()}
    for step in run.steps():
        rng = np.random.default_rng((options.seed, step, 11))
        picks = [int(k) for k in rng.choice(data.train, size=ROWS)]
        rows = [
            [k, int(rng.choice(of_speaker[data.clips[k].speaker]))] if rng.random() < PAIRED else [k] for k in picks
        ]
        tokens, frames = rows_of(data, rows)
        shown = torch.where(torch.from_numpy(rng.random(tokens.shape) < HIDDEN), 0, tokens)
        loss = log_error(net, shown.to(device), frames.to(device))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        run.add(loss=loss.item())
        if (step + 1) % VALIDATE_EVERY == 0:
            assert run.ema is not None
            with torch.no_grad():
                run.row(held_out=float(log_error(run.ema, held_tokens, held_frames)))
    if run.fraction >= 1:
        assert isinstance(run.ema, DurationPredictor)
        calibrate(run.ema, data, data.train)
        run.save()
    return run
