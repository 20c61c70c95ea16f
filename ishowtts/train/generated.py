"""Mels that the flow transformer generates for the training recordings, as training data of the vocoder.

A vocoder that was trained on the mels of recordings only must synthesise from those of the transformer, which are
smoother. So the mel of a recording gets the noise of a late sampling step, and the transformer samples from there (Meng
et al. 2022, "SDEdit", section 3): pitch, phones and pauses stay those of the recording, frame by frame, and its sound
is the target, as in Shen et al. 2018, "Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions",
section 3.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ishowtts.model.dit import DiT

from .data import Dataset
from .speaking import sample

FIRST = 5  # step of 7, at t = 0.29 with sway -1; from step 4, at t = 0.12, the pitch is another than the recording's


@dataclass(frozen=True)
class GeneratedMels:
    """Log-mels [sum of frames, n_mels] as in `Dataset.mels`: of `clips` generated ones, of others the recordings'."""

    mels: npt.NDArray[np.float16]
    clips: frozenset[int]


def _key(net: DiT, data: Dataset, share: float) -> str:
    digest = hashlib.sha256(f"{FIRST} {share} {len(data.mels)} {data.config}".encode())
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def generate(
    net: DiT, data: Dataset, share: float, cache: Path, progress: Callable[[list[int]], Iterator[int]] | None = None
) -> GeneratedMels:
    """Generates the mels of a `share`, 0 to 1, of the training clips.

    The file `cache` keeps them until the weights, the share or the data change.
    """
    key = _key(net, data, share)
    chosen = [
        data.train[i] for i in np.random.default_rng(0).permutation(len(data.train))[: round(share * len(data.train))]
    ]
    if cache.is_file():
        with np.load(cache) as z:
            if str(z["key"]) == key:
                return GeneratedMels(z["mels"], frozenset(chosen))
    mels, config = data.mels.copy(), data.config
    for k in progress(chosen) if progress else chosen:
        recorded = torch.from_numpy((data.mel(k) - config.mean) / config.std)
        mel = sample(net, data.tokens[k], data.frames[k], seed=k, recorded=recorded, first=FIRST)
        mels[data.mel_at[k] : data.mel_at[k + 1]] = (mel * config.std + config.mean).numpy().astype(np.float16)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, key=key, mels=mels)
    partial.replace(cache)
    return GeneratedMels(mels, frozenset(chosen))
