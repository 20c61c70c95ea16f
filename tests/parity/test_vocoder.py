"""Vocos beside the official package, weights read from a folder as it is published."""

import dataclasses

import torch
import yaml

from ishowtts.model.checkpoint import assign, read_state
from ishowtts.model.config import PRESETS
from ishowtts.model.source import vocos_folder
from ishowtts.model.vocos import Vocos

YAML = {
    "feature_extractor": {
        "class_path": "vocos.feature_extractors.MelSpectrogramFeatures",
        "init_args": {"sample_rate": 24000, "n_fft": 1024, "hop_length": 256, "n_mels": 100, "padding": "center"},
    },
    "backbone": {
        "class_path": "vocos.models.VocosBackbone",
        "init_args": {"input_channels": 100, "dim": 512, "intermediate_dim": 1536, "num_layers": 8},
    },
    "head": {
        "class_path": "vocos.heads.ISTFTHead",
        "init_args": {"dim": 512, "n_fft": 1024, "hop_length": 256, "padding": "center"},
    },
}


def test_vocoder(official, randomise, table, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(YAML), encoding="utf-8")
    torch.manual_seed(3)
    theirs = official.vocos.Vocos.from_hparams(str(tmp_path / "config.yaml")).eval().requires_grad_(False)
    randomise(theirs)
    theirs.head.out.weight.mul_(4)
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")

    config = PRESETS["F5TTS_v1_Base"]
    weights, size = vocos_folder(tmp_path, config)
    assert size == dataclasses.replace(config.vocos, dim=512, intermediate_dim=1536, num_layers=8)
    ours = Vocos(size, config.mel).eval().requires_grad_(False)
    assign(ours, read_state(weights), weights)

    mel = torch.randn(1, 100, 120) * 2 - 3
    blocks: tuple[list, list] = ([], [])
    for net, store in zip((ours, theirs), blocks, strict=True):
        for block in net.backbone.convnext:
            block.register_forward_hook(lambda _m, _i, output, store=store: store.append(output))
    got, expected = ours(mel), theirs.decode(mel)
    for i, (mine, yours) in enumerate(zip(*blocks, strict=True)):
        table.add("vocos-mel-24khz", f"block {i}", mine, yours)
    assert got.shape == (1, 119 * 256)
    table.add("vocos-mel-24khz", "waveform", got, expected, 1e-3)
    spectrum = ours.spectrum(mel)
    assert spectrum.shape == (1, 2, 120, 513)
