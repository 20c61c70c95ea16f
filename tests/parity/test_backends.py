"""The backends beside the official package: the velocity of one guided step, by backend and precision."""

import dataclasses

import pytest
import torch
from test_flow_model import CONFIGS, FRAMES, REFERENCE, SYMBOLS, inputs, padded, pair

from ishowtts._native import Native
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import load_model, save_model
from ishowtts.model.config import PRESETS, VocosConfig
from ishowtts.model.native import native_json
from ishowtts.model.source import resolve
from ishowtts.model.vocos import Vocos

LARGEST = {
    ("eager", "fp32"): 1e-5, ("eager", "bf16"): 0.02, ("eager", "fp16"): 0.003,
    ("native", "fp32"): 1e-5, ("native", "bf16"): 0.02, ("native", "int8-dynamic"): 0.05,
}  # fmt: skip
"""Largest error of the velocity, relative to its norm."""
TIME, GUIDANCE = 0.37, 2.0


def flat(tensor: torch.Tensor) -> memoryview:
    return memoryview(tensor.numpy()).cast("B")


@pytest.mark.parametrize("name", ["F5TTS_v1_Base", "E2TTS_Base"])
def test_every_backend(official, randomise, tmp_path, name):
    theirs, ours = pair(official, randomise, CONFIGS[name])
    x, cond, text = inputs(CONFIGS[name])
    vc, vu = theirs(x, cond, text, torch.tensor([TIME]), cfg_infer=True).chunk(2)
    expected = (vc + (vc - vu) * GUIDANCE)[0]
    config = dataclasses.replace(PRESETS[name], dit=CONFIGS[name], vocos=VocosConfig(16, 32, 1))
    vocab = [f"symbol{i}" for i in range(SYMBOLS)]
    save_model(tmp_path, config, ours, Vocos(config.vocos, config.mel), None, vocab, "fp32")
    source = resolve(tmp_path)
    model = load_model(source)
    for (kind, precision), largest in LARGEST.items():
        backend = (
            TorchBackend(model, precision) if kind == "eager" else Native(native_json(source, precision), threads=2)
        )
        h, mod, moved = torch.empty(2, FRAMES, config.dit.dim), torch.empty(1, config.dit.modulation), x[0].clone()
        backend.encode(
            flat(padded(text, FRAMES)[0]), flat(cond[0]), None, None, REFERENCE, FRAMES, flat(h[0]), flat(h[1])
        )
        backend.modulate(flat(torch.tensor([TIME])), flat(torch.zeros(1)), flat(mod))
        backend.step([(flat(moved), flat(h[0]), flat(h[1]), flat(mod[0]), 1.0, GUIDANCE, FRAMES)])
        error = float((moved - x[0] - expected).norm() / expected.norm())
        print(f"{name}, {kind}, {precision}: relative error of the velocity {error:.1e}")
        assert error <= largest, (kind, precision)
