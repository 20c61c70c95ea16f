"""Make tiny model folders with random weights, for tests that need a model but not speech.

    python tests/tiny.py FOLDER [FAULT...]      FOLDER/tiny, and one folder for each fault

Built like the embedded voice (phones, aligned layout, own durations); it takes clips without their words, and speaks
noise. `letters` makes one like the published models, which needs the words of a clip.
Faults: "nan" answers NaN, "corrupt" has a cut checkpoint, "shape" has one of another width.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ishowtts import Engine
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import BACKBONES
from ishowtts.model.compile import compile_model, is_current, package_dir
from ishowtts.model.config import Backbone, DiTConfig, DurationConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos

PACKAGES = Path(__file__).parent.parent / "build" / "test-cache"
"""ISHOWTTS_CACHE_DIR of the tests that need a compiled package, which they share with tests/c/test_bridge_package.c."""
VOCAB = Path(__file__).parent.parent / "ishowtts" / "voices" / "demo" / "vocab.txt"

TONE = (0.2 * np.sin(0.03 * np.arange(48000))).astype(np.float32)
"""Two seconds of a tone at 24 kHz, the clip of the voice "tone"."""


def open_engine(model: Path, **options: object) -> Engine:
    """An engine with the voice "tone", on one thread and with the eager backend unless `options` say otherwise."""
    engine = Engine.load(model, **({"threads": 1, "backend": "eager"} | options))  # type: ignore[arg-type]
    engine.add_voice("tone", TONE, "A steady tone.", "en", sample_rate=24000)
    return engine


def encodings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the eager backend is given to encode from now on: (tokens, cond, index, phase, ref_frames, frames) each."""
    encoded: list[tuple[Any, ...]] = []
    plain = TorchBackend.encode

    def encode(self: TorchBackend, *arguments: Any) -> None:
        kinds = (torch.int64, torch.float32, torch.int64, torch.float32)
        copies = [torch.frombuffer(bytearray(a), dtype=kind) for a, kind in zip(arguments[:4], kinds, strict=True)]
        encoded.append((*copies, *arguments[4:6]))
        plain(self, *arguments)

    monkeypatch.setattr(TorchBackend, "encode", encode)
    return encoded


def letters(folder: Path) -> Path:
    """Write a model of letters in the average layout, whose clips need their words; otherwise as `make`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = [chr(code) for code in range(ord(" "), ord("~") + 1)]
    dit = DiTConfig(64, 2, 1, text_dim=32, conv_layers=1, text_num_embeds=len(vocab), text_layout="average")
    config = ModelConfig("tiny", dit, MelConfig(), VocosConfig(32, 64, 2))
    return _write(folder, config, vocab)


def make(
    folder: Path,
    fault: str = "",
    guidance_max: float = 0.0,
    speakers: tuple[str, ...] = ("",),
    backbone: Backbone = "dit",
    prompt: bool = True,
) -> Path:
    """Write model.json, vocab.txt and the checkpoints; the same weights every time.

    `speakers`: their names, the first "" for that of a clip. `prompt`: it takes clips.
    """
    folder.mkdir(parents=True, exist_ok=True)
    phones = [name for name in VOCAB.read_text(encoding="utf-8").split() if not name.startswith("@")]
    vocab = [*phones, *(f"@{name}" for name in speakers)]
    dit = DiTConfig(
        64, 2, 1, text_dim=32, conv_layers=1, text_num_embeds=len(vocab), text_layout="aligned",
        guidance_max=guidance_max, speakers=len(speakers), backbone=backbone,
    )  # fmt: skip
    durations = DurationConfig(16, 1, 3)
    return _write(
        folder, ModelConfig("tiny", dit, MelConfig(), VocosConfig(32, 64, 2), durations, "phones", prompt), vocab, fault
    )


def _write(folder: Path, config: ModelConfig, vocab: list[str], fault: str = "") -> Path:
    config.save(folder / "model.json")
    (folder / "vocab.txt").write_text("".join(f"{name}\n" for name in vocab), encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        width = 128 if fault == "shape" else config.dit.dim
        parts: dict[str, torch.nn.Module] = {
            "dit": BACKBONES[config.dit.backbone](dataclasses.replace(config.dit, dim=width, heads=width // 64)),
            "vocos": Vocos(config.vocos, config.mel),
        }
        if config.duration is not None:
            parts["duration"] = DurationPredictor(config.duration, len(vocab), config.dit.speakers)
        for part in parts.values():
            for name, weight in part.named_parameters():
                # The strength of guidance must change the result more than the other inputs do.
                torch.nn.init.normal_(weight, std=0.5 if name.startswith("guidance_embed") else 0.05)
    if "duration" in parts:
        torch.nn.init.constant_(parts["duration"].out.bias, 1.5)  # e^1.5 frames a phone
    if fault == "nan":
        torch.nn.init.constant_(parts["dit"].proj_out.bias, 3e38)  # finite in the file, not after a step
    for name, part in parts.items():
        save_file(part.state_dict(), folder / f"{name}.safetensors")
    if fault == "corrupt":
        path = folder / "dit.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
    return folder


def package(folder: Path) -> Path:
    """The fp32 package of a model of `make`, compiled unless it exists. ISHOWTTS_CACHE_DIR must be PACKAGES."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (PACKAGES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = package_dir(folder, "fp32")
        return place if is_current(place) else compile_model(folder, precision="fp32")


def configure(model: Path, audio: str | Path, text: str) -> Path:
    """Settings, beside the model, of a server of a cloning model with one configured voice, anna."""
    path = model.parent / "cloning.toml"
    path.write_text(
        f'[model]\nname = "{model}"\n[sampling]\nnfe = 2\n'
        f'[[voices]]\nid = "anna"\naudio = "{audio}"\nlanguage = "en"\ntext = "{text}"\n'
    )
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("faults", nargs="*", metavar="FAULT")
    arguments = parser.parse_args()
    if unknown := set(arguments.faults) - {"nan", "corrupt", "shape"}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    for name in ("", *arguments.faults):
        make(arguments.folder / (name or "tiny"), name)
