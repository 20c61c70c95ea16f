"""Writing a trained voice as a model folder.

Configuration, weights in half precision, vocabulary, reference clip.

A symbol that never occurred in training would speak with a random vector; it borrows the vector of its
nearest relative instead (the other stress of the same vowel, the full stop for the other closing marks).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file
from torch import Tensor

from ishowtts.model.config import ModelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos

from . import data as datasets
from . import dit, duration, vocos
from .data import VOCABULARY, Dataset

REFERENCE_SECONDS = (3.0, 4.5)
# Training joins clips up to 13.6 s; up to this length a chunk is recognised as well as a single sentence.
CHUNK_SECONDS = 10.0


def relatives(seen: set[int]) -> dict[int, int]:
    """For every token that is not in `seen`: the seen token whose vector it takes."""
    found: dict[int, int] = {}
    for i, symbol in enumerate(VOCABULARY):
        if i + 1 in seen:
            continue
        if symbol in ("?", "!"):
            candidates = ["."]
        elif symbol[-1] in "01":
            base = symbol[:-1]
            swap = {"ah": "ax", "ax": "ah"}.get(base, base)
            candidates = [base + "1", base + "0", swap + "0", swap + "1"]
        else:
            candidates = {"zh": ["sh"], "th": ["dh"], "dh": ["th"]}.get(symbol, [])
        match = next((VOCABULARY.index(c) + 1 for c in candidates if VOCABULARY.index(c) + 1 in seen), None)
        if match is not None:
            found[i + 1] = match
    return found


def borrow(embedding: Tensor, seen: set[int]) -> None:
    """Fills the rows of unseen tokens in place."""
    with torch.no_grad():
        for token, other in relatives(seen).items():
            embedding[token] = embedding[other]


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """fp16 copies of the floating tensors; a value beyond fp16's range is refused."""
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.is_floating_point():
            small = value.detach().cpu().to(torch.float16).contiguous()
            if not torch.isfinite(small).all():
                raise ValueError(f"{name} does not fit half precision")
            out[name] = small
        else:
            out[name] = value.detach().cpu().contiguous()
    return out


def averaged(work: Path, name: str) -> dict[str, Tensor] | None:
    """The averaged weights of a run of this work folder, None where it has not begun."""
    path = work / name / "checkpoint.pt"
    if not path.is_file():
        return None
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["ema"]
    return state


def load_models(work: Path, data: Dataset) -> tuple[DiT, Vocos, DurationPredictor]:
    """The three networks with the averaged weights that the work folder holds, ready to infer."""
    config = architecture(data)
    assert config.duration is not None
    nets = (
        DiT(config.dit, config.mel.n_mels),
        Vocos(config.vocos, config.mel),
        DurationPredictor(config.duration, len(VOCABULARY)),
    )
    for net, name in zip(nets, ("dit", "vocos", "duration"), strict=True):
        state = averaged(work, name)
        if state is not None:
            net.load_state_dict(state)
        net.eval().requires_grad_(False)
    seen = {int(t) for k in data.train for t in data.tokens[k]}
    borrow(nets[0].text_embed.text_embed.weight, seen)
    borrow(nets[2].embed.weight, seen)
    return nets


def architecture(data: Dataset, name: str = "demo", prompt: bool = False) -> ModelConfig:
    """The configuration of the embedded voice for this data's statistics."""
    return ModelConfig(
        name=name,
        dit=dit.architecture(),
        mel=data.config,
        vocos=vocos.architecture(),
        duration=duration.architecture(),
        text="phones-en",
        prompt=prompt,
        chunk_seconds=CHUNK_SECONDS,
    )


def choose_reference(data: Dataset, named: str = "") -> int:
    """The clip `named`, else the training clip of REFERENCE_SECONDS without pauses with the least noise."""
    if named:
        found = [k for k, clip in enumerate(data.clips) if clip.id == named]
        if not found:
            raise ValueError(f"the alignment holds no clip named {named!r}")
        return found[0]
    rate = data.config.sample_rate
    best, choice = -np.inf, data.train[0]
    for k in data.train:
        clip = data.clips[k]
        seconds = len(data.wave(k)) / rate
        if not REFERENCE_SECONDS[0] <= seconds <= REFERENCE_SECONDS[1] or "pau" in clip.phones[1:]:
            continue
        energy = np.exp(data.mel(k)).sum(axis=1)
        ratio = float(np.log(np.percentile(energy, 90)) - np.log(np.percentile(energy, 3)))
        if ratio > best:
            best, choice = ratio, k
    return choice


def export(work: Path, out: Path, data: Dataset | None = None, *, prompt: bool = False, reference: str = "") -> None:
    """Writes a voice folder: configuration, weights, vocabulary, reference clip and its text.

    `reference` names the clip to use; by default `choose_reference` picks one. Files are replaced one by
    one, each whole. Networks that have not begun training are written with their initial weights.
    """
    data = data or datasets.load(work)
    out.mkdir(parents=True, exist_ok=True)
    nets = load_models(work, data)
    k = choose_reference(data, reference)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        made = Path(folder)
        config = replace(architecture(data), prompt=prompt)
        config.save(made / "model.json")
        for net, name in zip(nets, ("dit", "vocos", "duration"), strict=True):
            save_file(half(net.state_dict()), made / f"{name}.safetensors")
        (made / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
        soundfile.write(made / "reference.flac", data.wave(k), data.config.sample_rate, subtype="PCM_16")
        (made / "reference.txt").write_text(data.clips[k].text + "\n", encoding="utf-8")
        for path in made.iterdir():
            path.chmod(0o644)
            path.replace(out / path.name)
