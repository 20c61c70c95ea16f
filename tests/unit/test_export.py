"""Models exported to ONNX: every graph of every layout of text, run by onnxruntime beside PyTorch."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_networks import tiny_model

from ishowtts import cli, export
from ishowtts.errors import ModelError
from ishowtts.model.checkpoint import LoadedModel, load_model, save_model
from ishowtts.model.graphs import build
from ishowtts.model.vocos import Vocos

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def written(folder: Path, model: LoadedModel) -> Path:
    save_model(folder, model.config, model.dit, model.vocos, model.duration, model.vocab, "fp32")
    return folder


@pytest.mark.parametrize(
    ("layout", "backbone"), [("padded", "dit"), ("padded", "unett"), ("average", "dit"), ("aligned", "dit")]
)
def test_every_graph_is_the_models(tmp_path: Path, layout: str, backbone: str) -> None:
    changes = {"guidance_max": 4.0} if layout == "aligned" else {}
    model = written(tmp_path / "model", tiny_model(layout, backbone=backbone, **changes))
    out = tmp_path / "onnx"
    differences = export.export_onnx(model, out)
    names = {"encode", "modulate", "step", "step_unguided", "vocode"} | (
        {"durations"} if layout == "aligned" else set()
    )
    assert set(differences) == names and max(differences.values()) <= 1e-4
    assert {path.stem for path in out.glob("*.onnx")} == names
    assert set(json.loads((out / "export.json").read_text())["inputs"]) == {f"{name}.onnx" for name in names}


def test_the_command_writes_what_speaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A loop of steps and the vocoder in onnxruntime, as a user has it, is the one of PyTorch."""
    folder = written(tmp_path / "model", tiny_model("padded"))
    assert cli.main(["export", "onnx", "--model", str(folder), "--out", str(tmp_path / "onnx")]) == 0
    assert "step.onnx" in capsys.readouterr().out
    model, frames, reference = load_model(folder), 90, 30
    sessions = {p.stem: ort.InferenceSession(str(p)) for p in (tmp_path / "onnx").glob("*.onnx")}
    graphs, rng = build(model), np.random.default_rng(1)
    tokens = np.zeros((1, frames), np.int64)
    tokens[0, :25] = rng.integers(1, 11, 25)
    cond, x = (rng.standard_normal((1, frames, 10), np.float32) for _ in range(2))
    times = np.array([0, 0.2, 0.5, 1], np.float32)

    def spoken(run):  # type: ignore[no-untyped-def]
        h = run("encode", tokens=tokens, cond=cond, ref_frames=np.array([reference]))
        mod, now = run("modulate", t=times[:-1]), x
        for i, dt in enumerate(np.diff(times)):
            now = run("step", x=now, h=h, mod=mod[i : i + 1], dt=dt[None], cfg=np.array([2], np.float32))
        return run("vocode", mel=now[:, reference:])

    got = spoken(lambda name, **given: sessions[name].run(None, given)[0])
    with torch.inference_mode():
        expected = spoken(lambda name, **given: graphs[name](*(torch.from_numpy(v) for v in given.values())).numpy())
    assert got.shape == (1, 2, frames - reference, 33)
    assert np.abs(got - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_a_vocoder_without_an_onnx_form_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model("padded")
    config = dataclasses.replace(model.config, vocos=dataclasses.replace(model.config.vocos, head="source_filter"))
    torch.manual_seed(1)
    vocos = Vocos(config.vocos, config.mel)
    save_model(tmp_path / "model", config, model.dit, vocos, None, model.vocab, "fp32")
    arguments = ["export", "onnx", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "onnx")]
    assert cli.main(arguments) == 0
    assert "has no ONNX form and is left out" in capsys.readouterr().err
    assert sorted(path.stem for path in (tmp_path / "onnx").glob("*.onnx")) == [
        "encode", "modulate", "step", "step_unguided",
    ]  # fmt: skip


def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="differs from PyTorch by"):
        export.export_onnx(written(tmp_path / "model", tiny_model("padded")), tmp_path / "onnx")
    assert not list((tmp_path / "onnx").glob("*.onnx"))
