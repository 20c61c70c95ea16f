"""Weight files in every published form, with every backend that this machine supports."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ishowtts import Engine, quantize
from ishowtts.errors import ModelError
from ishowtts.model import calibration, tensor_names, weights
from ishowtts.model import source as sources
from ishowtts.model.checkpoint import BACKBONES
from ishowtts.model.config import PRESETS, MelConfig, VocosConfig
from ishowtts.model.source import resolve
from ishowtts.model.vocos import Vocos

VOCAB = [" ", *"abcdefghijklmnopqrstuvwxyz.,!?'", "ni3", "hao3"]
VOCODER = VocosConfig(16, 32, 2)
CONFIG = """feature_extractor:
  class_path: vocos.feature_extractors.MelSpectrogramFeatures
  init_args:
    sample_rate: 24000
    n_fft: 1024
    hop_length: 256
    n_mels: 100
    padding: center
backbone:
  class_path: vocos.models.VocosBackbone
  init_args:
    input_channels: 100
    dim: 16
    intermediate_dim: 32
    num_layers: 2
head:
  class_path: vocos.heads.ISTFTHead
  init_args:
    dim: 16
    n_fft: 1024
    hop_length: 256
    padding: center
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(params=list(PRESETS))
def hub(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, Tensor]]:
    """A folder in the form of the hub, of other widths, and the transformer's tensors by the hub's names."""
    name: str = request.param
    preset = PRESETS[name]
    text = {"text_dim": 16, "conv_layers": min(2, preset.dit.conv_layers)}
    dit = dataclasses.replace(preset.dit, dim=32, depth=2, heads=2, dim_head=16, **text)
    monkeypatch.setitem(PRESETS, name, dataclasses.replace(preset, dit=dit))
    folder = tmp_path / name
    (folder / "vocos").mkdir(parents=True)
    (folder / "vocab.txt").write_bytes("\r\n".join([*VOCAB, ""]).encode())  # as an editor on Windows writes it
    torch.manual_seed(4)
    flow = BACKBONES[dit.backbone](dataclasses.replace(dit, text_num_embeds=len(VOCAB)), 100)
    nets = flow, Vocos(VOCODER, MelConfig())
    for net in nets:
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    state = {f"ema_model.transformer.{key}": value for key, value in nets[0].state_dict().items()}
    state["ema_model.mel_spec.mel_stft.spectrogram.window"] = torch.hann_window(1024)
    state["ema_model.mel_spec.mel_stft.mel_scale.fb"] = torch.zeros(513, 100)
    state |= {"initted": torch.tensor([True]), "step": torch.tensor([1250000])}
    vocoder = {**nets[1].state_dict(), "head.istft.window": torch.hann_window(1024)}
    vocoder["feature_extractor.mel_spec.spectrogram.window"] = torch.hann_window(1024)
    torch.save(vocoder, folder / "vocos" / "pytorch_model.bin")
    (folder / "vocos" / "config.yaml").write_text(CONFIG)
    return folder, state


def opened(model: Path, backend: str, precision: str) -> Engine:
    """An engine with a voice."""
    engine = Engine.load(model, backend=backend, precision=precision, compile="off", threads=1)  # type: ignore[arg-type]
    clip = 0.1 * np.random.default_rng(1).standard_normal(24000 * 2)
    engine.add_voice("me", clip, "Some words are said here.", "en", sample_rate=24000)
    return engine


def said(engine: Engine, **options: bool) -> np.ndarray:
    return engine.speak("Hello there.", nfe=4, seed=3, **options).samples  # type: ignore[arg-type]


def spoken(model: Path, backend: str, precision: str, **options: bool) -> np.ndarray:
    with opened(model, backend, precision) as engine:
        assert engine.info["backend"] == backend
        return said(engine, **options)


def test_the_hubs_folder_speaks_natively_in_every_precision(hub: tuple[Path, dict[str, Tensor]]) -> None:
    folder, state = hub
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model_1250000.safetensors")
    exact = spoken(folder, "eager", "fp32")
    assert np.abs(exact).max() > 0.01
    for precision in ("fp32", "bf16", "int8-dynamic"):
        assert np.abs(spoken(folder, "native", precision)).max() > 0.01, precision
    assert np.allclose(spoken(folder, "native", "fp32"), exact, atol=2e-3)


@pytest.mark.parametrize("hub", ["E2TTS_Base"], indirect=True)
def test_a_u_net_speaks_with_a_calibration_and_behind_a_kept_reference(hub: tuple[Path, dict[str, Tensor]]) -> None:
    folder, state = hub
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model_1200000.safetensors")
    source = resolve(folder)
    with opened(folder, "eager", "fp32") as engine:
        observed = quantize.observe(engine, ["Hello there.", "Hello."], [None])
    assert len(observed.histograms) == 3 * source.config.dit.depth
    quantize.save(calibration.cached(source), source, observed, 1)
    assert np.abs(spoken(folder, "native", "int8-static")).max() > 0.01
    assert quantize.velocity_error(source, "int8-static", observed, 1) < 0.2
    plain, short, kept = (
        spoken(folder, "native", "fp32", **options)
        for options in ({}, {"short_guidance": True}, {"prompt_cache": True})
    )
    assert not np.array_equal(plain, short) and not np.array_equal(short, kept)
    assert np.allclose(short, spoken(folder, "eager", "fp32", short_guidance=True), atol=2e-3)


@pytest.mark.parametrize("hub", ["F5TTS_v1_Base"], indirect=True)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
@pytest.mark.parametrize("wrapper", ["ema_model_state_dict", "model_state_dict", "state_dict", None])
def test_pickled_checkpoints_are_converted_once(
    hub: tuple[Path, dict[str, Tensor]], suffix: str, wrapper: str | None, tmp_path: Path
) -> None:
    folder, state = hub
    torch.save({wrapper: state, "step": 3} if wrapper else state, folder / f"model_last{suffix}")
    ready = weights.for_native(resolve(folder))
    assert ready.dit.parent == ready.vocos.parent == tmp_path / "cache" / "weights"
    got = load_file(ready.dit)
    assert torch.equal(got["proj_out.weight"], state["ema_model.transformer.proj_out.weight"])
    assert not any("mel_spec" in name or name in ("step", "initted") for name in got)
    before = ready.dit.stat().st_mtime_ns
    assert weights.for_native(resolve(folder)).dit.stat().st_mtime_ns == before, "it is not converted again"


@pytest.mark.parametrize("hub", ["F5TTS_v1_Base"], indirect=True)
@pytest.mark.parametrize(
    "prefix",
    ["", "transformer.", "model.", "module.", "_orig_mod.", "ema_model._orig_mod.transformer.", "module.model."],
)
def test_prefixes_of_training_are_removed(hub: tuple[Path, dict[str, Tensor]], prefix: str) -> None:
    folder, state = hub
    state = {
        prefix + key.removeprefix("ema_model.transformer."): value.contiguous()
        for key, value in state.items()
        if "transformer" in key
    }
    save_file(state, folder / "model.safetensors")
    native, eager = spoken(folder, "native", "fp32"), spoken(folder, "eager", "fp32")
    assert np.allclose(native, eager, atol=2e-3)


def test_names_lose_all_prefixes() -> None:
    for written in ("transformer_blocks.0.attn.to_q.weight", "module.transformer_blocks.0._orig_mod.attn.to_q.weight"):
        assert tensor_names.plain_name(written) == "transformer_blocks.0.attn.to_q.weight"
    assert tensor_names.is_bookkeeping(tensor_names.plain_name("ema_model.transformer.rotary_embed.inv_freq"))


@pytest.mark.parametrize("hub", ["F5TTS_v1_Base"], indirect=True)
def test_a_vocoder_without_its_description_is_the_published_one(
    hub: tuple[Path, dict[str, Tensor]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, state = hub
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")
    (folder / "vocos" / "config.yaml").unlink()
    assert resolve(folder).config.vocos == VocosConfig()
    assert "no config.yaml" in caplog.text and sources.VOCODER_REPOSITORY in caplog.text
    (folder / "vocos" / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="holds none of"):
        resolve(folder)


@pytest.mark.parametrize("hub", ["F5TTS_v1_Base"], indirect=True)
def test_converting_runs_no_code_and_leaves_nothing_half_done(
    hub: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    folder, _ = hub
    mark = tmp_path / "mark"
    code = f"import torch\nclass Bomb:\n    def __reduce__(self):\n        return (open, ({str(mark)!r}, 'w'))\n"
    code += f"torch.save({{'state_dict': {{'a': Bomb()}}}}, {str(folder / 'model.pt')!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    mark.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"model\.pt cannot be read as weights"):
        weights.for_native(resolve(folder))
    assert not mark.exists() and not list((tmp_path / "cache" / "weights").glob("*"))


def test_hashes_of_several_big_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / name for name in ("a", "b")]
    for k, path in enumerate(places):
        with path.open("wb") as file:
            file.truncate(sources.BIG + 1 + k)
    first = [sources.file_hash(path) for path in places]
    assert first[0] != first[1]
    kept = json.loads((tmp_path / "cache" / "hashes.json").read_text())
    assert {bytes.fromhex(value) for value in kept.values()} == set(first)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert [sources.file_hash(path) for path in places] == first, "neither is read again"
