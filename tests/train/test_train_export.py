"""Voices written by training, fine-tuning from a voice, and errors of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from training import DIT, options

from ishowtts.model.config import DurationConfig, ModelConfig
from ishowtts.train import data as datasets
from ishowtts.train import dit, duration, export, main
from ishowtts.train.align import (
    SAMPLE_RATE,
)
from ishowtts.train.vocabulary import with_speakers
from ishowtts.voices import model_voices


@pytest.mark.usefixtures("small")
def test_export_then_finetune(work: Path, tmp_path: Path) -> None:
    first, second, voice = tmp_path / "a", tmp_path / "b", tmp_path / "voice"
    first.mkdir()
    second.mkdir()
    run = dit.train(options(work, first, 3))
    assert main(["export", "--work", str(first), "--out", str(voice)]) == 0
    config = ModelConfig.load(voice / "model.json")
    assert config.dit == DIT and config.prompt is False and config.mel.std > 0
    assert (voice / "vocab.txt").read_text().split("\n")[:-1] == with_speakers(["tone"])
    assert soundfile.info(voice / "tone.flac").samplerate == SAMPLE_RATE
    (listed,) = model_voices(str(voice))
    assert (listed.id, listed.language) == ("tone", "en") and listed.text.startswith("sentence")
    (second / "align.jsonl").symlink_to(work / "align.jsonl")
    assert main(["dit", "--work", str(second), "--steps", "0", "--finetune", str(voice)]) == 0
    tuned = export.averaged(second, "dit")
    assert tuned is not None and run.ema is not None
    for name, value in run.ema.state_dict().items():
        if name != "text_embed.text_embed.weight":  # the embedding of an unseen symbol is copied from a similar one
            torch.testing.assert_close(tuned[name], value, atol=2e-3, rtol=2e-3)
    mel = datasets.load(second).config
    assert (mel.mean, mel.std) == (config.mel.mean, config.mel.std)


@pytest.mark.usefixtures("small")
def test_export_keeps_a_share_of_the_start(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, tuned = tmp_path / "start", tmp_path / "tuned"
    tuned.mkdir()
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(start)]) == 0
    dit.train(options(work, tuned, 1, seed=1))
    found = []
    for share in ("0", "0.25", "1"):
        out = tmp_path / share
        arguments = [
            "export",
            "--work",
            str(tuned),
            "--out",
            str(out),
            "--finetune",
            str(start),
            "--keep",
            f"dit={share}",
        ]
        assert main(arguments) == 0
        found.append(load_file(out / "dit.safetensors"))
    name = "input_embed.proj.weight"
    learnt, mixed, first = (state[name].float() for state in found)
    assert not torch.equal(learnt, first)
    torch.testing.assert_close(mixed, 0.75 * learnt + 0.25 * first, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(first, load_file(start / "dit.safetensors")[name].float(), atol=1e-3, rtol=1e-2)
    assert main(arguments[:-2]) == 0  # no share; untrained networks come from the base
    for network in ("vocos", "duration"):
        again, old = (load_file(folder / f"{network}.safetensors") for folder in (out, start))
        for key in old:  # symbols that nothing taught are derived again, from numbers in half precision
            torch.testing.assert_close(again[key], old[key], atol=1e-3, rtol=1e-3)
    for wrong, why in (
        ("dit=1.5", "from 0 to 1"),
        ("dat=0.5", "dat=0.5"),
        ("dit", "NETWORK=SHARE"),
        ("dit=x", "NETWORK=SHARE"),
    ):
        assert main([*arguments[:-1], wrong]) == 1
        assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "--work", str(tuned), "--out", str(out), "--keep", "dit=0.5"])


@pytest.mark.usefixtures("small")
def test_finetune_refuses_another_architecture(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(tmp_path / "voice")]) == 0
    monkeypatch.setattr(duration, "architecture", lambda: DurationConfig(dim=24, layers=1, kernel=3))
    arguments = ["duration", "--work", str(tmp_path), "--finetune", str(tmp_path / "voice")]
    assert main(arguments) == 1
    assert "another architecture" in capsys.readouterr().err


def test_half_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="big"):
        export.half({"big": torch.tensor([1e6])})


def test_command_line_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["align", "--work", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["vocos", "--work", str(tmp_path), "--made", "2"])
    assert main(["dit", "--work", str(tmp_path)]) == 1
    assert "align.jsonl" in capsys.readouterr().err
