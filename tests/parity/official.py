"""The official packages, imported without what they need for training, their networks, and a table of differences.

PyPI's torchaudio is built for CUDA and fails to load its libraries beside a CPU torch; its Python parts are all that
is needed here.
`f5_tts.model` imports the trainer; an empty module in its place lets the architecture be imported alone.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from unittest import mock

import torch
from torch import nn

PACKAGES = ("f5_tts", "vocos", "torchaudio", "x_transformers", "torchdiffeq")


def import_official():
    real = Path.glob

    def glob(self, *args, **kwargs):
        if self.name == "lib" and self.parent.name == "torchaudio":
            return iter(())
        return real(self, *args, **kwargs)

    with mock.patch.object(Path, "glob", glob):
        importlib.import_module("torchaudio")
    if "f5_tts.model" not in sys.modules:
        root = next(iter(importlib.util.find_spec("f5_tts").submodule_search_locations))
        empty = types.ModuleType("f5_tts.model")
        empty.__path__ = [str(Path(root) / "model")]
        sys.modules["f5_tts.model"] = empty
    return types.SimpleNamespace(
        DiT=importlib.import_module("f5_tts.model.backbones.dit").DiT,
        UNetT=importlib.import_module("f5_tts.model.backbones.unett").UNetT,
        CFM=importlib.import_module("f5_tts.model.cfm").CFM,
        vocos=importlib.import_module("vocos"),
        VocosBackbone=importlib.import_module("vocos.models").VocosBackbone,
        ISTFTHead=importlib.import_module("vocos.heads").ISTFTHead,
        MelFeatures=importlib.import_module("vocos.feature_extractors").MelSpectrogramFeatures,
    )


def flow_network(official, config, masked: bool = False) -> nn.Module:
    """The official flow transformer of a DiTConfig, with its initial weights. `masked`: attention ignores padding."""
    shared = {
        "dim": config.dim, "depth": config.depth, "heads": config.heads, "dim_head": config.dim_head,
        "ff_mult": config.ff_mult, "mel_dim": 100, "text_num_embeds": config.text_num_embeds,
        "text_dim": config.text_dim, "text_mask_padding": config.text_mask_padding, "qk_norm": config.qk_norm,
        "conv_layers": config.conv_layers, "pe_attn_head": config.pe_attn_head, "attn_mask_enabled": masked,
    }  # fmt: skip
    if config.backbone == "unett":
        return official.UNetT(**shared).eval()
    return official.DiT(
        **shared, text_embedding_average_upsampling=config.text_layout == "average",
        long_skip_connection=config.long_skip_connection,
    ).eval()  # fmt: skip


def vocoder(official, size, mel) -> tuple[nn.Module, nn.Module]:
    """Backbone and head of the vocoder that a VocosConfig and a MelConfig describe."""
    backbone = official.VocosBackbone(mel.n_mels, size.dim, size.intermediate_dim, size.num_layers).eval()
    return backbone, official.ISTFTHead(size.dim, mel.n_fft, mel.hop, "center").eval()


def fill(module: nn.Module, seed: int = 0) -> None:
    """Sets weights that are initially zeros or ones to random values, so that every path affects the result."""
    make = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                scale = 0.03 if name.startswith("proj_out") else 0.2
                parameter.add_(torch.randn(parameter.shape, generator=make) * scale)


class Table:
    """Rows of (configuration, tensor, largest difference); the first one over its limit fails the test that adds it."""

    def __init__(self):
        print(f"\n{'configuration':<22}{'tensor':<44}{'largest':>10}{'difference':>12}")

    def add(self, where: str, name: str, ours: torch.Tensor, theirs: torch.Tensor, limit: float = 1e-4) -> None:
        assert ours.shape == theirs.shape, f"{where} {name}: {tuple(ours.shape)} and {tuple(theirs.shape)}"
        difference, size = float((ours - theirs).abs().max()), float(theirs.abs().max())
        print(f"{where:<22}{name:<44}{size:>10.3f}{difference:>12.2e}")
        assert size > 1e-3, f"{where} {name} is all zeros: nothing was compared"
        assert difference <= limit, f"{where} {name}: {difference:.2e} is over {limit:.0e}"
