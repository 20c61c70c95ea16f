"""Similarity of voices: the cosine between the speaker embeddings of two clips.

Resemblyzer is the default; its weights are in its package. An x-vector model of transformers, such as WavLM, can be
used too: "wavlm=FOLDER". The difference between same and other speakers is small, so compare figures with
`distributions`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ishowtts.errors import ConfigError
from ishowtts.extras import MissingPackage, require

from .clips import Clip

RATE = 16000
RESEMBLYZER = (
    "pip install --no-deps resemblyzer webrtcvad-wheels, then pip install librosa "
    "(it is not part of the extra: its own list of packages does not install beside a current setuptools)"
)
Embedding = NDArray[np.float32]


@functools.cache
def _resemblyzer() -> Any:
    what = "speaker similarity"
    package = require("resemblyzer", what, RESEMBLYZER)
    return package, package.VoiceEncoder("cpu", verbose=False)


def _by_resemblyzer(clip: Clip) -> Embedding:
    package, encoder = _resemblyzer()
    wave = clip.at(RATE)
    if wave.any():  # silence has no level to normalise
        wave = package.preprocess_wav(wave, source_sr=RATE)
    if not wave.any():  # its voice activity detector found no speech
        return np.zeros(256, np.float32)
    return np.asarray(encoder.embed_utterance(wave), np.float32)


@functools.cache
def _x_vector(place: str) -> Callable[[Clip], Embedding]:
    transformers = require("transformers", "similarity by WavLM", "pip install transformers")
    import torch

    if not Path(place).is_dir():
        raise ConfigError(f"similarity: there is no folder {place}", status="ENOTFOUND", field="similarity")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(place)
    model = transformers.AutoModelForAudioXVector.from_pretrained(place).eval()

    def embed(clip: Clip) -> Embedding:
        inputs = extractor(clip.at(RATE), sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            return np.asarray(model(**inputs).embeddings[0].numpy(), np.float32)

    return embed


def embedder(name: str = "resemblyzer") -> Callable[[Clip], Embedding]:
    """A function from a clip to its speaker embedding, a vector; zeros for a clip without speech.

    `name`: "resemblyzer", or "wavlm=FOLDER" with an x-vector model of transformers. ConfigError: the name or the folder
    is wrong; MissingPackage: a package is missing.
    """
    kind, _, place = name.partition("=")
    if name == "resemblyzer":
        _resemblyzer()
        return _by_resemblyzer
    if kind == "wavlm" and place:
        return _x_vector(place)
    raise ConfigError(f"similarity must be resemblyzer or wavlm=FOLDER, not {name!r}", field="similarity")


def available() -> bool:
    """Whether Resemblyzer is installed."""
    try:
        _resemblyzer()
    except MissingPackage:
        return False
    return True


def cosine(a: Embedding, b: Embedding) -> float:
    """The cosine of two embeddings, -1 to 1; 0 where one of them is zero."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def similarity(clip: Clip, reference: Clip, name: str = "resemblyzer") -> float:
    """The similarity of two voices, -1 to 1; errors as `embedder`."""
    embed = embedder(name)
    return cosine(embed(clip), embed(reference))


def distributions(
    speakers: Sequence[Sequence[Clip]], name: str = "resemblyzer"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarities of all pairs of clips of the same speaker, and of all pairs of different speakers.

    `speakers`: the clips of each speaker. Errors as `embedder`.
    """
    embed = embedder(name)
    voices = [(who, embed(clip)) for who, clips in enumerate(speakers) for clip in clips]
    same: list[float] = []
    other: list[float] = []
    for i, (who, a) in enumerate(voices):
        for whose, b in voices[:i]:
            (same if who == whose else other).append(cosine(a, b))
    return np.array(same), np.array(other)
