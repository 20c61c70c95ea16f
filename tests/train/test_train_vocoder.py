"""Training of the vocoder: with and without discriminators, on mels of the transformer, on the pitch of a teacher."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from training import DIT, VOCOS, options

from ishowtts.model.config import MelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.vocos import Vocos
from ishowtts.train import data as datasets
from ishowtts.train import generated, main, vocos
from ishowtts.train.align import (
    SAMPLE_RATE,
)
from ishowtts.train.data import Pitch, log_mel
from ishowtts.train.loop import Options

FRAMES = VOCOS.frames(MelConfig())


def test_vocos_learns_with_and_without_discriminators(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocos, "CURVE_EVERY", 6)
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr(vocos, "SPECTRAL_PART", 0.7)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    vocos.train(options(work, tmp_path, 24), config=VOCOS)
    with (tmp_path / "vocos" / "curves.csv").open() as file:
        rows = [(int(r[0]), r[2], float(r[3])) for r in csv.reader(file)]
    mel = [v for _, name, v in rows if name == "mel"]
    assert mel[-1] < mel[0]
    assert min(step for step, name, _ in rows if name == "fooled") == 18


def test_the_transformer_makes_a_share_of_the_clips(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.load(work)
    torch.manual_seed(0)
    net = DiT(DIT).eval()
    torch.nn.init.normal_(net.proj_out.weight, std=0.1)
    first = generated.generate(net, data, 0.5, tmp_path / "made.npz")
    assert len(first.clips) == round(0.5 * len(data.train)) and first.clips <= set(data.train)
    assert first.mels.shape == data.mels.shape and np.isfinite(first.mels).all()
    for k in range(len(data.clips)):
        rows = slice(data.mel_at[k], data.mel_at[k + 1])
        assert np.array_equal(first.mels[rows], data.mels[rows]) == (k not in first.clips)
    # a transformer that does not change x_t leaves the noise, of which little is left at the last step
    still, t = DiT(DIT).eval(), 0.29
    made_of_noise = generated.generate(still, data, 1.0, tmp_path / "still.npz")
    assert made_of_noise.clips == set(data.train)
    k = data.train[0]
    x, y = (m[data.mel_at[k] : data.mel_at[k + 1]].astype(np.float64).ravel() for m in (data.mels, made_of_noise.mels))
    assert np.cov(x, y)[0, 1] / x.var() == pytest.approx(t, abs=0.1)

    monkeypatch.setattr(generated, "sample", None)
    again = generated.generate(net, data, 0.5, tmp_path / "made.npz")  # from the file
    assert again.clips == first.clips and np.array_equal(again.mels, first.mels)
    for other, share in ((still, 0.5), (net, 0.25)):
        with pytest.raises(TypeError):  # it has to be generated again
            generated.generate(other, data, share, tmp_path / "made.npz")


def test_the_vocoder_learns_from_mels_of_the_transformer(work: Path) -> None:
    data = datasets.load(work)
    mels = np.full_like(data.mels, 1.5)
    plain, mixed = (
        vocos.segments(data, 0, 3, FRAMES),
        vocos.segments(data, 0, 3, FRAMES, generated.GeneratedMels(mels, frozenset(data.train))),
    )
    assert torch.equal(mixed.sound, plain.sound) and torch.equal(plain.mel, log_mel(plain.sound, data.config))
    assert torch.equal(plain.heard, plain.mel) and torch.equal(mixed.mel, plain.mel)  # the target stays the recording
    for wave, rows in zip(plain.sound, mixed.heard, strict=True):
        heard = rows[
            (rows - rows[0, 0]).abs().amax(dim=1) < 1e-3
        ]  # a clip that is shorter than a segment is followed by silence
        assert len(heard) >= 20 and 1.5 - 0.7 <= float(heard[0, 0]) <= 1.5 + 0.4, wave
    levels = {round(float(rows[0, 0]), 4) for rows in mixed.heard}
    assert len(levels) == vocos.ROWS  # each at the level of its sound
    none = vocos.segments(data, 0, 3, FRAMES, generated.GeneratedMels(mels, frozenset()))
    assert torch.equal(none.heard, plain.heard)


def test_the_vocoder_learns_the_teachers_pulses(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pulses of a segment have the pitch that the teacher wrote beside the same sound."""
    folder = tmp_path / "taught"
    folder.mkdir()
    lines = (work / "align.jsonl").read_text().splitlines()
    clips = [json.loads(line) for line in lines]
    for clip in clips:
        sound = folder / Path(clip["path"]).name
        time = np.arange(clip["end"]) / SAMPLE_RATE
        soundfile.write(sound, sum(0.05 * np.cos(2 * np.pi * 150 * h * time) for h in range(1, 9)), SAMPLE_RATE)
        np.savez(sound.with_suffix(".npz"), pitch=np.full(clip["end"] // 300 + 2, 150.0, np.float32), pitch_hop=300)
        clip["path"] = str(sound)
    (folder / "align.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    data = datasets.load(folder)
    pitch = data.pitch[0]
    assert pitch is not None
    cycles, hz = pitch.at(3000)
    assert np.allclose(hz, 150) and np.allclose(
        np.diff(np.unwrap(2 * np.pi * cycles[1000:2000])), 2 * np.pi * 150 / SAMPLE_RATE, atol=1e-4
    )
    piece = vocos.segments(data, 0, 3, FRAMES)
    assert piece.known.all() and (piece.f0[:, 3:10] == 150).all()
    monkeypatch.setattr(vocos, "CURVE_EVERY", 10)
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    vocos.train(Options(folder, steps=40), config=VOCOS)
    with (folder / "vocos" / "curves.csv").open() as file:
        rows = [(r[1 + 1], float(r[3])) for r in csv.reader(file)]
    for loss in ("pitch", "complex", "phase", "mel"):
        values = [value for name, value in rows if name == loss]
        assert values[-1] < values[0], loss


def test_the_pitch_of_recordings_is_measured(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It teaches the network's pitch, but neither the voicing nor the phases."""
    lines = [json.loads(line) for line in (work / "align.jsonl").read_text().splitlines()]
    rng = np.random.default_rng(3)
    for i, clip in enumerate(lines):
        time = np.arange(clip["end"]) / SAMPLE_RATE
        hz = 110 + 8 * (i % 12)
        cycles = hz * time - 0.04 * hz / (2 * np.pi * 6) * np.cos(2 * np.pi * 6 * time)  # 4 % of vibrato
        wave = sum(0.05 * np.cos(2 * np.pi * h * cycles + h) for h in range(1, 9))
        clip["path"] = str(tmp_path / f"{hz}-{i}.wav")
        soundfile.write(clip["path"], wave + 1e-4 * rng.standard_normal(len(time)), SAMPLE_RATE)
    (tmp_path / "align.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in lines))
    data = datasets.load(tmp_path)
    assert all(pitch is None for pitch in data.pitch)
    for k, clip in enumerate(data.clips):
        found = data.measured[data.mel_at[k] : data.mel_at[k + 1]]
        assert (found > 0).mean() > 0.6
        assert np.allclose(found[found > 0], float(Path(clip.path).stem.split("-")[0]), rtol=0.06)
    piece = vocos.segments(data, 0, 3, FRAMES)
    assert not piece.known.any() and not piece.hz.any() and (piece.f0 > 0).any(dim=1).all()
    monkeypatch.setattr(vocos, "CURVE_EVERY", 10)
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    vocos.train(Options(tmp_path, steps=40), data=data, config=VOCOS)
    with (tmp_path / "vocos" / "curves.csv").open() as file:
        rows = [(r[2], float(r[3])) for r in csv.reader(file)]
    values = [value for name, value in rows if name == "pitch"]
    assert values[-1] < values[0] - 0.05
    assert "phase" not in {name for name, _ in rows}


def test_the_phase_of_a_teachers_pulses_goes_on_while_unvoiced() -> None:
    """Its source counts the low values of unvoiced frames as well, so the phase behind them depends on them."""
    hz = np.array([120] * 10 + [30] * 10 + [120] * 10, np.float32)
    cycles, shown = Pitch(hz, 300, 0).at(30 * 300)
    assert (shown[11 * 300 : 19 * 300] == 0).all() and (shown[1:2700] == 120).all() and (shown[6300:8700] == 120).all()
    middles = np.arange(30) * 300 + 149
    wanted = np.cumsum(hz.astype(np.float64) * 300 / SAMPLE_RATE)
    away = (cycles[middles] - wanted + 0.5) % 1 - 0.5
    assert np.abs(away).max() < 0.01


@pytest.mark.usefixtures("small")
def test_discriminators_learn_alone_when_a_vocoder_is_fine_tuned(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr(vocos, "JUDGES_ALONE", 0.5)
    monkeypatch.setattr(vocos, "CURVE_EVERY", 2)
    start, tuned = tmp_path / "start", tmp_path / "tuned"
    tuned.mkdir()
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(start)]) == 0
    before = load_file(start / "vocos.safetensors")["head.out.weight"].float()
    chosen = options(work, tuned, 8, finetune=start)
    half_way = vocos.train(Options(tuned / "a", steps=0, finetune=start), data=datasets.load(work)).modules["vocos"]
    torch.testing.assert_close(half_way.head.out.weight, before)  # type: ignore[union-attr]
    run = vocos.train(chosen)
    with (tuned / "vocos" / "curves.csv").open() as file:
        rows = [(int(r[0]), r[2]) for r in csv.reader(file)]
    assert {step for step, name in rows if name == "judges"} == {2, 4, 6, 8}
    assert {step for step, name in rows if name in ("mel", "fooled")} == {6, 8}
    assert not torch.equal(run.modules["vocos"].head.out.weight, before)  # type: ignore[union-attr]


def test_vocoder_distance_is_zero_only_for_itself(work: Path) -> None:
    data = datasets.load(work)
    net = Vocos(VOCOS, MelConfig())
    assert vocos.mel_distance(net, data, data.train[:2]) > 0.1
