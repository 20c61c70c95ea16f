"""hibari as a teacher, and a vocoder that starts with the weights of its decoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ishowtts.model.config import MelConfig
from ishowtts.model.source_filter import SourceFilterHead
from ishowtts.model.vocos import Vocos
from ishowtts.text import phones
from ishowtts.text.reading import read
from ishowtts.train import data as datasets
from ishowtts.train import hibari, lessons, vocos, warm_start
from ishowtts.train.align import SAMPLE_RATE
from ishowtts.train.data import log_mel
from ishowtts.train.loop import Options
from ishowtts.train.teach import Plan, teach

SENTENCES = [
    "The weather is very nice today, is it not?",
    "We played that level three times before we won.",
    "Good game, everyone!",
    "She told us about the old house by the river.",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder of sentences that hibari has read."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "en.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    (folder / "plan.toml").write_text('[texts]\nen = "en.txt"\n[styles]\nen = ["anna=heart"]\n', encoding="utf-8")
    assert teach(hibari.Hibari, Plan.read(folder / "plan.toml"), folder, 1.0, 1) == len(SENTENCES)
    return folder


def test_hibari_reads_our_phones() -> None:
    teacher = hibari.Hibari()
    symbols = phones.spoken(read(SENTENCES[0], "en").text, "en")
    spoken = teacher.read(symbols, "en", "heart")
    assert spoken is not None and len(spoken.seconds) == len(symbols)
    assert sum(spoken.seconds) == pytest.approx(len(spoken.samples) / SAMPLE_RATE)
    voiced = spoken.pitch[spoken.pitch > 0]
    assert 120 < np.median(voiced) < 320 and 0.3 < len(voiced) / len(spoken.pitch) < 0.9
    assert 0.02 < np.sqrt(np.mean(spoken.samples**2)) < 0.5
    again = teacher.read(symbols, "en", "heart")
    assert again is not None and np.array_equal(again.samples, spoken.samples), "the noise is that of the seed"
    assert teacher.styles("zh") == []
    with pytest.raises(ValueError, match="heart"):
        teacher.read(symbols, "zh", "heart")


def test_its_pulses_are_those_of_the_training(work: Path) -> None:
    """The speech has the phase that `Pitch` gives: shifted by half a period it does not correlate."""
    data = datasets.load(work)
    k = data.train[0]
    pitch, wave = data.pitch[k], data.wave(k)
    assert pitch is not None
    cycles, hz = pitch.at(len(wave))
    voiced = hz > 0

    def agreement(shift: float) -> float:
        fundamental = np.cos(2 * np.pi * (cycles[voiced] + shift))
        return float(np.corrcoef(wave[voiced], fundamental)[0, 1])

    best = max(agreement(shift) for shift in np.linspace(0, 1, 16, endpoint=False))
    assert best > 0.3, best


def test_a_vocoder_begins_with_hibaris_blocks(work: Path) -> None:
    error = warm_start.warm_start(Options(work, steps=40))
    assert error < 0.95, error
    start = load_file(work / "vocos" / vocos.START)
    weights = hibari.weights()
    assert torch.equal(start["backbone.convnext.7.dwconv.weight"], torch.tensor(weights["m.dec.7.dw.weight"]))
    assert torch.equal(start["backbone.final_layer_norm.bias"], torch.tensor(weights["m.dec_norm.bias"]))
    bins = 601
    assert torch.equal(start["head.out.bias"][bins : 2 * bins], torch.tensor(weights["m.head.bias"][bins : 2 * bins]))

    run = vocos.train(Options(work, steps=1))
    assert run.ema is not None
    assert all(torch.equal(value, start[name]) for name, value in run.ema.state_dict().items()), "not begun there"


def test_hibaris_features_give_hibaris_spectrum(work: Path) -> None:
    """What the vocoder has from hibari computes the same as hibari; its products are in int8, so not quite."""
    net = Vocos(vocos.architecture(), MelConfig()).eval()
    warm_start.adopt(net, hibari.weights())
    lesson = lessons.lessons(datasets.load(work), net, 1)[0]
    head = net.head
    assert isinstance(head, SourceFilterHead)
    with torch.no_grad():
        x = lesson.features.T[None]
        for block in net.backbone.convnext[lessons.CUT :]:
            x = block(x)
        parts = head.parts(net.backbone.final_layer_norm(x.transpose(1, 2)))[:4]
    loud = lesson.parts[0] > lesson.parts[0].max() - 4
    for k, (mine, theirs) in enumerate(zip(parts, lesson.parts.float(), strict=True)):
        away = (mine[0] - theirs)[loud]
        assert (away.cos() if k % 2 else 1 - away.abs()).mean() > 0.93, k


def test_lessons_are_parts_of_sentences(work: Path) -> None:
    net = Vocos(vocos.architecture(), MelConfig()).eval()
    taught = lessons.lessons(datasets.load(work), net, 9)
    head = net.head
    assert isinstance(head, SourceFilterHead)
    mel, excitation, spectrum = lessons.excerpts(head, taught, 3, np.random.default_rng(1))
    frames, bins = lessons.FRAMES, head.bins
    assert mel.shape == (3, frames, 100) and excitation.shape == (3, frames, 2 * bins)
    assert spectrum.shape == (3, 2, frames, bins)
    # the sound of an excerpt has its mel
    sound = net.samples(spectrum, (frames - 1) * head.hop)
    again = net.frames(log_mel(sound, net.mel).transpose(1, 2)).transpose(1, 2)[:, 4:-4]
    wanted = mel[:, 4 : 4 + again.shape[1]]
    assert (again - wanted)[wanted > -4].abs().mean() < 0.35
    run = vocos.train(Options(work / "taught", steps=2), data=datasets.load(work), taught=taught)
    assert run._sums["lesson"][1] == 2


def test_the_frames_must_be_hibaris(work: Path) -> None:
    other = Vocos(dataclasses.replace(vocos.architecture(), n_fft=0, hop=0), MelConfig())
    with pytest.raises(ValueError, match="1200 and 300 samples, not 1024, 256"):
        lessons.lessons(datasets.load(work), other, 1)


def test_nothing_to_read_is_an_error(work: Path) -> None:
    data = datasets.load(work)
    data.train.clear()
    with pytest.raises(ValueError, match="English sentence"):
        lessons.lessons(data, Vocos(vocos.architecture(), MelConfig()), 9)
