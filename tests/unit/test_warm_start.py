"""hibari as a teacher, and a vocoder that starts with the weights of its decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ishowtts.model.config import MelConfig
from ishowtts.text import phones
from ishowtts.text.reading import read
from ishowtts.train import data as datasets
from ishowtts.train import hibari, vocos, warm_start
from ishowtts.train.align import SAMPLE_RATE
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
    bins = 513
    assert start["head.out.bias"][bins].item() == pytest.approx(float(weights["m.head.bias"][601]) * np.pi, abs=1e-5)

    run = vocos.train(Options(work, steps=1))
    assert run.ema is not None
    assert all(torch.equal(value, start[name]) for name, value in run.ema.state_dict().items()), "not begun there"


def test_nothing_to_read_is_an_error(work: Path) -> None:
    data = datasets.load(work)
    data.train.clear()
    with pytest.raises(ValueError, match="English sentence"):
        warm_start.examples(data, MelConfig())
