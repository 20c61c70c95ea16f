"""Networks of a few units with random weights, in every layout of text."""

from __future__ import annotations

import torch

from ishowtts.model.checkpoint import BACKBONES, LoadedModel
from ishowtts.model.config import DiTConfig, DurationConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos

VOCAB = tuple([" ", *"abcdefghij"])
MEL = MelConfig(n_fft=64, hop=16, n_mels=10, mean=-2.0, std=1.5)


def tiny_config(layout: str = "aligned", **changes) -> ModelConfig:
    dit = DiTConfig(
        dim=32, heads=2, dim_head=16, ff_mult=2, text_dim=16, conv_layers=1, text_num_embeds=len(VOCAB),
        text_layout=layout, **{"depth": 2, **changes},
    )  # fmt: skip
    duration = DurationConfig(8, 2, 3) if layout == "aligned" else None
    return ModelConfig("tiny", dit, MEL, VocosConfig(16, 32, 2), duration, "phones" if duration else "pinyin")


def tiny_model(layout: str = "aligned", **changes) -> LoadedModel:
    config = tiny_config(layout, **changes)
    torch.manual_seed(4)
    duration = DurationPredictor(config.duration, len(VOCAB)) if config.duration else None
    dit = BACKBONES[config.dit.backbone](config.dit, MEL.n_mels)
    model = LoadedModel(config, dit, Vocos(config.vocos, MEL), duration, VOCAB, "0" * 64)
    for module in (model.dit, model.vocos, duration):
        if module is not None:
            for parameter in module.eval().requires_grad_(False).parameters():
                torch.nn.init.normal_(parameter, std=0.12)
    return model
