"""What the flow transformer makes of the training recordings, for a vocoder to learn from.

A vocoder that has heard the mels of recordings alone must speak from the transformer's, which are smoother. So each
recording's mel gets the noise of a late step of sampling, and the transformer goes on from there (Meng et al. 2022,
SDEdit, section 3): pitch, phones and pauses stay those of the recording, frame by frame, and its sound is the target,
as in Shen et al. 2018 (Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions, section 3.1).
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

FIRST = 5  # of NFE 7: t = 0.29 with sway -1; from step 4, at 0.12, the result has its own pitch


@dataclass(frozen=True)
class Made:
    """Log-mels laid out as `Dataset.mels`: of `clips` what the transformer has made, of the others the recordings' own."""

    mels: npt.NDArray[np.float16]
    clips: frozenset[int]


def _key(net: DiT, data: Dataset, share: float) -> str:
    digest = hashlib.sha256(f"{FIRST} {share} {len(data.mels)} {data.config}".encode())
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def make(
    net: DiT, data: Dataset, share: float, cache: Path, progress: Callable[[list[int]], Iterator[int]] | None = None
) -> Made:
    """Makes the mels of a `share` of the training clips, 0 to 1.

    They are kept in the file `cache`, and made again when the weights, the share or the data have changed.
    """
    key = _key(net, data, share)
    chosen = [
        data.train[i] for i in np.random.default_rng(0).permutation(len(data.train))[: round(share * len(data.train))]
    ]
    if cache.is_file():
        with np.load(cache) as z:
            if str(z["key"]) == key:
                return Made(z["mels"], frozenset(chosen))
    mels, config = data.mels.copy(), data.config
    for k in progress(chosen) if progress else chosen:
        recorded = torch.from_numpy((data.mel(k) - config.mean) / config.std)
        mel = sample(net, data.tokens[k], data.frames[k], seed=k, recorded=recorded, first=FIRST)
        mels[data.mel_at[k] : data.mel_at[k + 1]] = (mel * config.std + config.mean).numpy().astype(np.float16)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, key=key, mels=mels)
    partial.replace(cache)
    return Made(mels, frozenset(chosen))
