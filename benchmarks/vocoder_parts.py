"""Which part of the vocoder costs naturalness: copy-synthesis with parts of it replaced by the speech's own.

    python benchmarks/vocoder_parts.py WORK [--clips 2]     # writes benchmarks/results/vocoder_parts.csv

WORK is a folder of `ishowtts train teach`; the vocoder is that of the package. A row has the DistillMOS of the same
held-out clips with one part changed, and the difference to plain copy-synthesis, paired by clip. The rows of `hibari`
are of hibari-tts, whose decoder has the same blocks and a third component besides pulses and noise: a spectrum with
phases of its own, of which it makes all that is not periodic. Intervals are 95 %, from bootstrap samples of the clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from common import write_csv
from torch import Tensor
from voice import Row, Wave, put

from ishowtts.model.source_filter import SourceFilterHead, pitch_of, pulses
from ishowtts.model.vocos import Vocos
from ishowtts.quality import mos
from ishowtts.text import phones
from ishowtts.text.reading import read
from ishowtts.train import data as datasets
from ishowtts.train import hibari
from ishowtts.train.align import SAMPLE_RATE
from ishowtts.train.data import Dataset, log_mel
from ishowtts.train.export import BaseVoice, load_models
from ishowtts.train.listen import interval

PACKAGE = Path(__file__).parent.parent / "ishowtts" / "voices" / "demo"
RAYLEIGH = (np.pi / 2) ** 0.5
"""Mean magnitude of noise whose real and imaginary parts have unit variance."""
EDGES = (1000, 2000, 4000)
"""Frequencies in Hz where a band of the speech replaces that of the vocoder."""


def complexes(parts: Tensor) -> Tensor:
    """[B,2,T,K], real and imaginary → complex [B,K,T]."""
    real, imaginary = parts.transpose(2, 3).unbind(1)
    return torch.complex(real, imaginary)


def with_phase(magnitude: Tensor, of: Tensor) -> Tensor:
    """Magnitudes with the phases of another spectrum."""
    return magnitude * of / of.abs().clamp(min=1e-9)


@torch.no_grad()
def of_clip(net: Vocos, data: Dataset, k: int) -> Iterator[tuple[str, Wave]]:
    """(changed part, samples) of a clip whose teacher's pitch is known."""
    head, pitch, mel = net.head, data.pitch[k], data.config
    assert isinstance(head, SourceFilterHead) and pitch is not None
    wave = torch.from_numpy(data.wave(k))[None]
    wave = wave[:, : wave.shape[1] // mel.hop * mel.hop]
    heard = net.frames(log_mel(wave, mel).transpose(1, 2))
    last = (heard.shape[2] - 1) * net.hop
    true = torch.stft(
        F.pad(wave, (0, last - wave.shape[1])), net.n_fft, net.hop, window=net.window, return_complex=True
    )
    filter_, phase, rest, turn, logits, voicing = head.parts(net.backbone(heard))
    cycles, hz = (torch.from_numpy(np.pad(v, net.n_fft // 2))[None] for v in pitch.at(last))
    frames = hz[:, net.n_fft // 2 :: net.hop][:, : heard.shape[2]]
    own, voiced = pitch_of(logits, voicing), (frames > 0)[:, None]

    def at(pitches: Tensor) -> Tensor:
        return complexes(head.filtered(filter_, phase, head.excitation(pitches)))

    pulsed, level = at(own), complexes(head.polar(rest, turn))
    made = pulsed + level
    scattered = with_phase(level.abs(), torch.randn_like(level))
    bins = (torch.arange(made.shape[1]) * (mel.sample_rate / net.n_fft))[None, :, None]
    spectra = {
        "none": made,
        "pitch and phase of the pulses": complexes(head.filtered(filter_, phase, head.stft(pulses(cycles, hz).float())))
        + level,
        "voicing": at(pitch_of(logits, voiced[:, 0] * 1.0)) + level,
        "phases": with_phase(made.abs(), true),
        "magnitudes": with_phase(true.abs(), made),
        "voiced frames": torch.where(voiced, true, made),
        "unvoiced frames": torch.where(voiced, made, true),
        "rest 0.5": pulsed + 0.5 * level,
        "rest 1.5": pulsed + 1.5 * level,
        "random phases of the rest": pulsed + scattered,
    }
    for edge in EDGES:
        spectra[f"below {edge} Hz"] = torch.where(bins < edge, true, made)
        spectra[f"above {edge} Hz"] = torch.where(bins < edge, made, true)
    yield "the clip itself", wave[0].numpy()
    for name, spectrum in spectra.items():
        sound = torch.istft(spectrum, net.n_fft, net.hop, net.n_fft, net.window, center=True)
        yield name, sound[0, : wave.shape[1]].numpy()


def of_hibari(teacher: hibari.Hibari, text: str) -> Iterator[tuple[str, Wave]]:
    """(changed part, samples) of a sentence of hibari-tts; none when it cannot read the sentence."""
    heard = teacher.hear(phones.spoken(read(text, "en").text, "en"))
    if heard is None:
        return
    filter_, turn, noise, rest, phase = heard.parts
    silent, rng = np.full_like(rest, -100), np.random.default_rng(0)
    scattered = phase + rng.uniform(-np.pi, np.pi, phase.shape).astype(np.float32)
    gaussian = rest + np.log(rng.rayleigh(1 / RAYLEIGH, rest.shape)).astype(np.float32)
    mean = np.angle(np.exp(1j * phase).mean(axis=1, keepdims=True)).astype(np.float32)
    bins = np.arange(len(rest))[:, None] * (SAMPLE_RATE / 2 / (len(rest) - 1))
    chosen = {
        "hibari: none": (filter_, turn, noise, rest, phase),
        "hibari: pulses without a phase": (filter_, 0 * turn, noise, rest, phase),
        "hibari: no noise": (filter_, turn, silent, rest, phase),
        "hibari: no third component": (filter_, turn, noise, silent, phase),
        "hibari: random phases of the third": (filter_, turn, noise, rest, scattered),
        "hibari: these and Gaussian magnitudes": (filter_, turn, noise, gaussian, scattered),
        "hibari: phases of the third off by up to pi/4": (filter_, turn, noise, rest, phase + (scattered - phase) / 4),
        "hibari: the mean phase of the third in every frame": (filter_, turn, noise, rest, mean + 0 * phase),
        "hibari: phases of the third 37 frames later": (filter_, turn, noise, rest, np.roll(phase, 37, axis=1)),
        "hibari: random phases above 2000 Hz": (filter_, turn, noise, rest, np.where(bins < 2000, phase, scattered)),
    }
    for name, parts in chosen.items():
        yield name, teacher.sound(parts, heard.pitch, np.random.default_rng(0))


def main() -> None:
    """Reads the command line, measures every clip, writes the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", type=Path)
    p.add_argument("--clips", type=int, default=2, help="of a speaker (default: %(default)s)")
    args = p.parse_args()
    torch.set_num_threads(1)
    data = datasets.load(args.work)
    net = load_models(args.work / "none", data, BaseVoice(PACKAGE))[1]
    made: dict[str, list[float]] = {}

    def judge(parts: Iterator[tuple[str, Wave]]) -> None:
        for name, wave in parts:
            made.setdefault(name, []).append(mos.opinion(np.ascontiguousarray(wave, np.float32), SAMPLE_RATE))

    for speaker in data.speakers():
        for k in [k for k in data.one_take_each(speaker) if data.pitch[k] is not None][: args.clips]:
            judge(of_clip(net, data, k))
    teacher = hibari.Hibari()
    texts = [data.clips[k].text for k in data.held_out if data.clips[k].language == "en"]
    for text in texts[: 4 * args.clips]:
        judge(of_hibari(teacher, text))
    rows: list[Row] = []
    for name, values in made.items():
        plain = made["hibari: none" if name.startswith("hibari") else "none"]
        row: Row = {"replaced": name, "count": len(values)}
        put(row, "mos", interval(np.array(values)))
        put(row, "above_plain", interval(np.array(values) - np.array(plain)))
        print(row, flush=True)
        rows.append(row)
    write_csv("vocoder_parts", rows)


if __name__ == "__main__":
    main()
