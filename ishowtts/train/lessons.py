"""Sentences that hibari has read, with what its decoder computed: they teach the vocoder to be like that decoder.

The warm start learns its features (warm_start.py). While the vocoder then learns from the sound of other speakers, the
spectra keep what its weights have learnt from hibari's training, which was a hundred times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ishowtts.model.source_filter import SourceFilterHead, pulses
from ishowtts.model.vocos import Vocos
from ishowtts.text import phones
from ishowtts.text.reading import read

from . import hibari
from .data import Dataset, Pitch, log_mel

CUT = 3
"""Number of the decoder's blocks behind which `Lesson.features` are."""
FRAMES = 64
"""Frames of a row of `excerpts`; a shorter sentence is no lesson."""


@dataclass(frozen=True)
class Lesson:
    """A sentence in T frames of hibari: log-mel [T,n_mels], features [T,dim] and pitch [T] in Hz, 0 where unvoiced.

    `parts` [4,T,K], fp16: log-magnitude and phase of the pulses' filter, and of what is neither pulses nor noise.
    """

    mel: Tensor
    features: Tensor
    hz: Tensor
    parts: Tensor


def lessons(data: Dataset, net: Vocos, most: int) -> list[Lesson]:
    """The first `most` English training sentences, read by hibari, as far as it can read them.

    ValueError when there is none, or when `net` has other frames than hibari.
    """
    if (net.n_fft, net.hop) != (hibari.WINDOW, hibari.FRAME):
        raise ValueError(f"hibari's frames have {hibari.WINDOW} and {hibari.FRAME} samples, not {net.n_fft}, {net.hop}")
    teacher = hibari.Hibari(outputs=[f"/dec.{CUT - 1}/Add_1_output_0"])
    made: list[Lesson] = []
    texts = dict.fromkeys(data.clips[k].text for k in data.train if data.clips[k].language == "en")
    for text in tqdm(list(texts)[:most], desc="hibari", mininterval=5):
        heard = teacher.hear(phones.spoken(read(text, "en").text, "en"))
        if heard is None or len(heard.pitch) < FRAMES:
            continue
        mel = net.frames(log_mel(torch.from_numpy(heard.samples)[None], net.mel).transpose(1, 2))[0].T
        count = min(len(mel), len(heard.pitch))
        filter_, turn, _, rest, phase = (torch.from_numpy(part.T[:count]) for part in heard.parts)
        made.append(
            Lesson(
                mel[:count].contiguous(),
                torch.from_numpy(heard.more[0][0].T[:count].copy()),
                torch.from_numpy(heard.pitch[:count]),
                torch.stack((filter_, math.pi * turn.tanh(), rest, phase)).half(),
            )
        )
    if not made:
        raise ValueError("the training data have no English sentence that hibari could read")
    return made


def excerpts(
    head: SourceFilterHead, taught: Sequence[Lesson], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(log-mel [count,FRAMES,n_mels], STFT of the pulses [count,FRAMES,2K], hibari's spectrum [count,2,FRAMES,K]).

    Each row is a random part of a random lesson. The pulses begin with it, at a phase of 0.
    """
    mels, excitations, parts = [], [], []
    for i in rng.integers(len(taught), size=count):
        lesson = taught[int(i)]
        start = int(rng.integers(len(lesson.mel) - FRAMES + 1))
        at = slice(start, start + FRAMES)
        samples = (FRAMES - 1) * head.hop
        cycles, hz = (
            np.pad(values, head.n_fft // 2) for values in Pitch(lesson.hz[at].numpy(), head.hop, 0).at(samples)
        )
        excitations.append(head.stft(pulses(torch.from_numpy(cycles), torch.from_numpy(hz))[None].float())[0])
        mels.append(lesson.mel[at])
        parts.append(lesson.parts[:, at].float())
    excitation = torch.stack(excitations)
    return torch.stack(mels), excitation, head.shape(torch.stack(parts, dim=1).unbind(), excitation)
