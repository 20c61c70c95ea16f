"""Initial weights for a vocoder, from hibari's decoder (Apache-2.0), which has the same kind of blocks and head.

hibari synthesises from phones, our vocoder from mels. The first CUT blocks are trained to give, for the mel of hibari's
speech, the features that hibari has after as many blocks; the other blocks and the head are copied from hibari.
Training from these weights reaches in 2,500 steps a quality that random weights have not reached in 13,000.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ishowtts.model.config import MelConfig
from ishowtts.model.vocos import Vocos

from . import data as datasets
from . import hibari
from .lessons import CUT, FRAMES, Lesson, lessons
from .loop import Options, prepare
from .vocos import START, architecture, pitch_loss

SENTENCES, STEPS, ROWS = 500, 3000, 8
LEARNING_RATE, PITCH_RATE = 2e-3, 1e-3
EDGE = 4
"""Frames at the ends of a row that the loss ignores, since their receptive field is cut off."""


def adopt(net: Vocos, weights: Mapping[str, np.ndarray]) -> None:
    """Copies hibari's blocks from CUT on, and its head but for the noise, which is not heard, into `net`.

    `weights`: the initialisers of its ONNX graph by name.
    """

    def linear(name: str) -> Tensor:
        stored, scale, zero = (
            weights[f"/{name}/Transpose_output_0_{part}"] for part in ("quantized", "scale", "zero_point")
        )
        return torch.from_numpy((stored.astype(np.float32) - zero.astype(np.float32)).T * scale)

    def plain(name: str) -> Tensor:
        return torch.from_numpy(np.array(weights[f"m.{name}"], np.float32))

    for k in range(CUT, len(net.backbone.convnext)):
        block: Any = net.backbone.convnext[k]
        state = {f"dwconv.{part}": plain(f"dec.{k}.dw.{part}") for part in ("weight", "bias")}
        state |= {f"norm.{part}": plain(f"dec.{k}.norm.{part}") for part in ("weight", "bias")}
        for mine, theirs in (("pwconv1", "pw1"), ("pwconv2", "pw2")):
            state |= {f"{mine}.weight": linear(f"dec.{k}/{theirs}"), f"{mine}.bias": plain(f"dec.{k}.{theirs}.bias")}
        block.load_state_dict(state | {"gamma": plain(f"dec.{k}.gamma").flatten()})
    net.backbone.final_layer_norm.load_state_dict({part: plain(f"dec_norm.{part}") for part in ("weight", "bias")})

    weight, bias = linear("head"), plain("head.bias")
    bins, out = len(bias) // hibari.PARTS, net.head.out
    with torch.no_grad():
        for own, part in enumerate((0, 1, 3, 4)):
            theirs_, mine_ = slice(part * bins, (part + 1) * bins), slice(own * bins, (own + 1) * bins)
            out.weight[mine_], out.bias[mine_] = weight[theirs_], bias[theirs_]


def learn(net: Vocos, taught: list[Lesson], steps: int, seed: int) -> float:
    """Trains the first CUT blocks on the features and the head on the pitch.

    Returns the mean squared error of the features relative to their variance, averaged over the last steps.
    """
    backbone: Any = net.backbone
    head: Any = net.head
    out = head.out
    spectra = 4 * (net.n_fft // 2 + 1)
    every = torch.cat([lesson.features for lesson in taught])
    mean, spread = every.mean(dim=0), every.std(dim=0)
    with torch.no_grad():
        backbone.norm.weight.copy_(spread)
        backbone.norm.bias.copy_(mean)
    own: list[Any] = [backbone.embed, backbone.norm, *backbone.convnext[:CUT]]
    front = [p for module in own for p in module.parameters()]
    adam = torch.optim.AdamW(front, LEARNING_RATE, betas=(0.9, 0.98))
    kept = [p.detach().clone() for p in (out.weight, out.bias)]
    pitches = torch.optim.AdamW([out.weight, out.bias], PITCH_RATE, weight_decay=0.0)
    rng, error = np.random.default_rng(seed), 1.0
    for step in tqdm(range(steps), desc="warm start", mininterval=5):
        adam.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = []
        for k in rng.integers(len(taught), size=ROWS):
            at = slice(start := int(rng.integers(len(taught[k].mel) - FRAMES + 1)), start + FRAMES)
            rows.append((taught[k].mel[at], taught[k].features[at], taught[k].hz[at]))
        mel, wanted, hz = (torch.stack(part) for part in zip(*rows, strict=True))
        x = backbone.norm(backbone.embed(mel.transpose(1, 2)).transpose(1, 2)).transpose(1, 2)
        for block in backbone.convnext[:CUT]:
            x = block(x)
        away = ((x.transpose(1, 2) - wanted) / spread)[:, EDGE:-EDGE]
        loss = away.abs().mean() + 0.3 * away.square().mean()
        error += 0.01 * (away.square().mean().item() - error)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        with torch.no_grad():
            x = x.detach()
            for block in backbone.convnext[CUT:]:
                x = block(x)
            x = backbone.final_layer_norm(x.transpose(1, 2))
        *_, logits, voicing = head.parts(x)
        pitches.zero_grad()
        pitch_loss(logits, voicing, hz, torch.ones(len(hz), dtype=torch.bool)).backward()  # type: ignore[no-untyped-call]
        pitches.step()
        with torch.no_grad():  # only the rows of the pitch are trained
            out.weight[:spectra], out.bias[:spectra] = kept[0][:spectra], kept[1][:spectra]
    return error


def warm_start(options: Options) -> float:
    """Writes vocos/START in the work folder after `options.steps` or STEPS; returns the error that `learn` reports."""
    prepare(options)
    data = datasets.load(options.work)
    torch.manual_seed(options.seed)
    net = Vocos(architecture(), MelConfig())
    adopt(net, hibari.weights())
    error = learn(net, lessons(data, net, SENTENCES), options.steps or STEPS, options.seed)
    (options.work / "vocos").mkdir(exist_ok=True)
    save_file(net.state_dict(), options.work / "vocos" / START)
    return error
