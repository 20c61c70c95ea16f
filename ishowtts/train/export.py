"""Writing a trained model as a folder: configuration, weights in fp16, vocabulary, and voices with their clips."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from . import distil, dit, duration, vocos
from .align import MARKS
from .data import Dataset
from .loop import starting_weights
from .vocabulary import borrow

REFERENCE_SECONDS = (3.0, 4.5)
# Training joins clips up to 13.6 s; up to this length a chunk is recognised as well as a single sentence.
CHUNK_SECONDS = 10.0
# Steps that suffice for a distilled transformer (benchmarks/voice.py steps).
NFE = 5
NETWORKS = ("dit", "vocos", "duration")
KEPT = (*NETWORKS, "distil")
"""What a base voice can keep a share of; "distil" is the distilled transformer, "dit" the one that it learnt from."""


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the processor, those of floating point as fp16; ValueError names one beyond the range of fp16."""
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
    """The averaged weights of the run `name` of a work folder; None when it has no checkpoint."""
    path = work / name / "checkpoint.pt"
    if not path.is_file():
        return None
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["ema"]
    return state


@dataclass(frozen=True)
class BaseVoice:
    """The voice folder that a fine-tuned voice started from.

    Networks that were not trained again are taken from it. Of the others, `shares` gives the share of its weights, 0
    to 1, in a mean with the trained ones, by the names in KEPT. Such a mean is often better than either set of
    weights at what the base could do, and nearly as good at what was learnt (Wortsman et al. 2022, "Robust fine-tuning
    of zero-shot models", section 4). ValueError for another name or share.
    """

    folder: Path
    shares: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, share in self.shares.items():
            if name not in KEPT or not 0 <= share <= 1:
                raise ValueError(
                    f"shares to keep are {', '.join(KEPT)} with a number from 0 to 1, not {name}={share:g}"
                )


def load_models(
    work: Path, data: Dataset, base: BaseVoice | None = None, distilled: bool = True
) -> tuple[DiT, Vocos, DurationPredictor]:
    """The three networks with the averaged weights of the work folder, in evaluation mode and without gradients.

    `distilled`: the guidance-distilled transformer, when there is one. ValueError when it was distilled from another
    transformer, and when the base voice does not fit.
    """
    config = architecture(data)
    assert config.duration is not None
    student = averaged(work, "distil") if distilled else None
    guidance = 0.0
    if distilled and student is None and base is not None and averaged(work, "dit") is None:  # that of the base
        guidance = ModelConfig.load(base.folder / "model.json").dit.guidance_max
    nets = (
        DiT(replace(config.dit, guidance_max=guidance), config.mel.n_mels),
        Vocos(config.vocos, config.mel),
        DurationPredictor(config.duration, len(data.symbols), config.dit.speakers),
    )
    for net, name in zip(nets, NETWORKS, strict=True):
        state = averaged(work, name)
        share = 0.0 if base is None else base.shares.get(name, 0.0)
        if base is not None and (state is None or share):
            start = starting_weights(base.folder, name, net, data.symbols)
            state = start if state is None else {key: torch.lerp(own, start[key], share) for key, own in state.items()}
        if state is not None:
            net.load_state_dict(state)
        net.eval().requires_grad_(False)
    borrow(nets[0].text_embed.text_embed.weight, data.known)
    borrow(nets[2].embed.weight, data.known)
    if student is not None:
        distil.check_teacher(work, nets[0])
        net = DiT(replace(config.dit, guidance_max=distil.GUIDANCE_MAX), config.mel.n_mels).eval().requires_grad_(False)
        if base is not None and (share := base.shares.get("distil", 0.0)):
            start = starting_weights(base.folder, "dit", net, data.symbols)
            student = {key: torch.lerp(own, start[key], share) for key, own in student.items()}
        net.load_state_dict(student)
        borrow(net.text_embed.text_embed.weight, data.known)
        nets = (net, *nets[1:])
    return nets


def architecture(data: Dataset, name: str = "demo", prompt: bool = False) -> ModelConfig:
    """The configuration of the embedded voice with the mel statistics and the speakers of this data."""
    return ModelConfig(
        name=name,
        dit=dit.architecture(data),
        mel=data.config,
        vocos=vocos.architecture(),
        duration=duration.architecture(),
        text="phones",
        prompt=prompt,
        chunk_seconds=CHUNK_SECONDS,
    )


def choose_reference(data: Dataset, speaker: str, named: Sequence[str] = ()) -> int:
    """Index of the speaker's reference clip: the one whose id is in `named`, else the training clip with least noise.

    Such a clip is REFERENCE_SECONDS long and has no pauses; the first clip of the speaker when there is none.
    """
    own = [k for k, clip in enumerate(data.clips) if clip.speaker == speaker]
    for k in own:
        if data.clips[k].id in named:
            return k
    rate = data.config.sample_rate
    best, choice = -np.inf, own[0]
    for k in sorted(set(own) & set(data.train)):
        clip = data.clips[k]
        seconds = len(data.wave(k)) / rate
        if not REFERENCE_SECONDS[0] <= seconds <= REFERENCE_SECONDS[1] or MARKS & set(clip.phones[1:-1]):
            continue
        energy = np.exp(data.mel(k)).sum(axis=1)
        ratio = float(np.log(np.percentile(energy, 90)) - np.log(np.percentile(energy, 3)))
        if ratio > best:
            best, choice = ratio, k
    return choice


def export(
    work: Path,
    out: Path,
    data: Dataset | None = None,
    *,
    prompt: bool = False,
    references: Sequence[str] = (),
    base: BaseVoice | None = None,
) -> None:
    """Writes a model folder: configuration, weights, vocabulary, and a voice for each speaker with a clip and its text.

    `references`: ids of the clips to use, else `choose_reference` picks them; ValueError for an unknown one. Each file
    is replaced at once. Networks that were not trained are those of `base`, without it random. `prompt`: the model also
    speaks in the voice of a clip.
    """
    data = data or datasets.load(work)
    unknown = set(references) - {clip.id for clip in data.clips}
    if unknown:
        raise ValueError(f"the alignment holds no clip named {sorted(unknown)[0]!r}")
    out.mkdir(parents=True, exist_ok=True)
    nets = load_models(work, data, base)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        made = Path(folder)
        distilled = nets[0].config.guidance_max > 0
        config = replace(architecture(data), prompt=prompt, dit=nets[0].config, nfe=NFE if distilled else 0)
        config.save(made / "model.json")
        for net, name in zip(nets, NETWORKS, strict=True):
            save_file(half(net.state_dict()), made / f"{name}.safetensors")
        (made / "vocab.txt").write_text("\n".join(data.symbols) + "\n", encoding="utf-8")
        voices = []
        for speaker in filter(None, data.speakers()):  # a teacher's mixtures of styles have no name
            k = choose_reference(data, speaker, references)
            soundfile.write(made / f"{speaker}.flac", data.wave(k), data.config.sample_rate, subtype="PCM_16")
            clip = data.clips[k]
            entry = {"id": speaker, "language": clip.language, "audio": f"{speaker}.flac", "text": clip.text}
            lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in entry.items()]
            voices.append("".join(("[[voices]]\n", *lines)))
        (made / "voice.toml").write_text("\n".join(voices), encoding="utf-8")
        for path in made.iterdir():
            path.chmod(0o644)
            path.replace(out / path.name)
