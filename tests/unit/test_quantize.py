"""Calibration and the precision int8-static: scales are found, each is used by its product, wrong files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import ishowtts
from ishowtts import Engine, ModelError, cli, config
from ishowtts._engine import DEFAULTS
from ishowtts._native import Native
from ishowtts.model import calibration
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import load_model
from ishowtts.model.graphs import Step
from ishowtts.model.native import native_json
from ishowtts.model.source import resolve
from ishowtts.quantize import LEVELS, Histogram, calibrate

TEXTS = {"a": "The quick brown fox jumps.", "b": "Over the lazy dog.", "c": "One more."}
DEMO = Path(ishowtts.__file__).parent / "voices" / "demo"
INPUTS = ("attn.to_q", "ff.ff.0.0", "ff.ff.2")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.make(tmp_path_factory.mktemp("model") / "tiny")
    weights = load_file(folder / "dit.safetensors")
    for name, weight in weights.items():  # branches that matter beside the residual stream
        weights[name] = (
            weight * 8
            if name.startswith("transformer_blocks") and name.endswith(("to_v.weight", "ff.2.weight"))
            else weight
        )
    save_file(weights, folder / "dit.safetensors")
    return folder


@pytest.fixture(scope="module")
def settings(model: Path) -> Path:
    path = model.parent / "settings.toml"
    voice = f'id = "hazel"\naudio = "{DEMO}/reference.flac"\nlanguage = "en"\n'
    path.write_text(f'[model]\nname = "{model}"\n[[voices]]\n{voice}')
    return path


# ---- scales ----------------------------------------------------------------------------------------------------------


def mean_square_error(values: np.ndarray, low: float, high: float) -> float:
    scale, shift = (high - low) / (2 * LEVELS), (high + low) / 2
    return float(((values - shift - scale * np.clip(np.round((values - shift) / scale), -LEVELS, LEVELS)) ** 2).mean())


@pytest.mark.parametrize("kind", ["normal", "outliers", "even", "skewed"])
def test_the_quantiser_has_the_least_error(kind: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(-3, 3, (500, 40)) if kind == "even" else rng.standard_normal((500, 40))
    if kind == "outliers":
        values[::100, 7] = 60.0
    if kind == "skewed":
        values = np.maximum(values, -0.17)
    histogram = Histogram(40)
    for part in np.split(values, 5):
        histogram.add(torch.from_numpy(part))
    np.testing.assert_allclose(histogram.peaks, np.abs(values).max(axis=0), rtol=1e-6)
    least, most = values.min(), values.max()
    parts = np.geomspace(1 / 64, 1, 40)
    best = min(mean_square_error(values, least * low, most * high) for low in parts for high in parts)
    scale, shift = histogram.quantiser
    low, high = shift - LEVELS * scale, shift + LEVELS * scale
    assert mean_square_error(values, low, high) < 1.03 * best
    if kind == "normal":
        assert low > 0.98 * least and high < 0.98 * most, "a few large values are cut"
    if kind == "even":
        assert low < 0.97 * least and high > 0.97 * most, "nothing is"
    if kind == "skewed":
        assert -0.2 < low < -0.15 and high > 2.5, "no place is lost below the least value"


def test_the_quantiser_does_not_depend_on_the_order() -> None:
    values = torch.from_numpy(np.random.default_rng(1).standard_normal((64, 8)) * np.geomspace(0.01, 10, 64)[:, None])
    rising, falling = Histogram(8), Histogram(8)
    for row in values:
        rising.add(row[None])
    falling.add(values.flip(0))
    assert rising.quantiser[0] == pytest.approx(falling.quantiser[0], rel=0.05)


def test_activations_without_a_range_are_an_error() -> None:
    histogram = Histogram(3)
    histogram.add(torch.zeros(4, 3))
    with pytest.raises(ModelError, match="cannot be calibrated"):
        _ = histogram.quantiser


# ---- the native backend ----------------------------------------------------------------------------------------------


SHIFT = 0.7
"""Of every grid, in its scale: a shift that is lost shows."""


def fake_quantised(model: Path, scales: dict[str, float]) -> TorchBackend:
    """PyTorch with quantised linear layers: weights rounded by column, inputs rounded by their scale, if any."""
    loaded = load_model(model)
    for name, part in loaded.dit.named_modules():
        if not isinstance(part, torch.nn.Linear) or not name.startswith("transformer_blocks") or "attn_norm" in name:
            continue
        step = part.weight.abs().amax(dim=1, keepdim=True) / LEVELS
        part.weight.data = (part.weight / step).round() * step
        scale = scales.get(name.replace("to_k", "to_q").replace("to_v", "to_q"))
        if scale is None:
            continue

        def rounded(_part: torch.nn.Module, inputs: tuple[torch.Tensor, ...], scale: float = scale) -> torch.Tensor:
            return ((inputs[0] / scale - SHIFT).round().clamp(-LEVELS, LEVELS) + SHIFT) * scale

        part.register_forward_pre_hook(rounded)
    return TorchBackend(loaded, "fp32")


def step(backend: TorchBackend | Native, model: Path) -> torch.Tensor:
    config = load_model(model).config
    make = torch.Generator().manual_seed(4)
    x, h = torch.randn(60, config.mel.n_mels, generator=make), torch.randn(2, 60, config.dit.dim, generator=make)
    mod = 0.3 * torch.randn(config.dit.modulation, generator=make)
    before = x.clone()
    views = [memoryview(value.contiguous().numpy()).cast("B") for value in (x, h[0], h[1], mod)]
    backend.step([(*views, 1.0, 2.0, 60)])
    return x - before


def written(model: Path, path: Path, scales: dict[str, float]) -> None:
    source = resolve(model)
    dit = source.config.dit
    widths = dict(zip(INPUTS, (dit.dim, dit.dim, dit.dim * dit.ff_mult), strict=True))
    tensors = {f"{name}.input_scale": np.array([scale], np.float32) for name, scale in scales.items()}
    tensors |= {f"{name}.input_shift": np.array([SHIFT * scale], np.float32) for name, scale in scales.items()}
    tensors |= {f"{name}.input_peaks": np.ones(widths[name.split(".", 2)[2]], np.float32) for name in scales}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"model": source.content_hash(), "name": "tiny", "rule": "mse", "sentences": "1"})


def test_each_scale_reaches_its_product(model: Path, cache: Path) -> None:
    """With one range narrowed at a time, the native backend agrees with PyTorch that clips there, and with no other."""
    depth = resolve(model).config.dit.depth
    names = [f"transformer_blocks.{i}.{name}" for i in range(depth) for name in INPUTS]
    wide = dict.fromkeys(names, 0.04)
    unlike = step(fake_quantised(model, wide), model)
    for narrow in names:
        scales = wide | {narrow: 0.0005}
        written(model, calibration.cached(resolve(model)), scales)
        expected = step(fake_quantised(model, scales), model)
        got = step(Native(native_json(resolve(model), "int8-static"), threads=1), model)
        error, other = (float((got - value).norm() / value.norm()) for value in (expected, unlike))
        print(f"{narrow}: {error:.1e} to cut there, {other:.1e} to cut nowhere")
        assert error < 0.02 and error < 0.5 * other


@pytest.mark.parametrize("fault", ["model", "shape", "missing", "scale", "cut"])
def test_a_wrong_file_is_named(model: Path, cache: Path, fault: str) -> None:
    source = resolve(model)
    path = calibration.cached(source)
    names = [f"transformer_blocks.{i}.{name}" for i in range(source.config.dit.depth) for name in INPUTS]
    written(model, path, dict.fromkeys(names, 0.04))
    tensors, about = load_file(path), {"model": source.content_hash() if fault != "model" else "0" * 64}
    if fault == "shape":
        tensors[f"{names[2]}.input_peaks"] = np.ones(3, np.float32)
    if fault == "missing":
        del tensors[f"{names[1]}.input_shift"]
    if fault == "scale":
        tensors[f"{names[1]}.input_scale"] = np.zeros(1, np.float32)
    save_file(tensors, path, about)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:100])
    says = {"model": "made for another model: make one with `ishowtts quantize --calibrate`",
            "shape": "ff.ff.2.input_peaks has another shape",
            "missing": "ff.ff.0.0.input_shift is missing", "scale": "ff.ff.0.0 is not positive",
            "cut": "cut off"}[fault]  # fmt: skip
    with pytest.raises(ModelError, match=says) as raised:
        Engine.load(model, precision="int8-static", threads=1)
    assert raised.value.status == "EFORMAT" and (fault == "scale" or str(path) in str(raised.value))


def test_a_missing_calibration_says_how_to_make_one(
    model: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="`ishowtts quantize --calibrate --model …`") as raised:
        Engine.load(model, precision="int8-static", threads=1)
    assert (raised.value.status, raised.value.field) == ("ENOTFOUND", "precision")
    assert cli.main(["quantize", "--model", str(model)]) == 2 and "quantize --calibrate" in capsys.readouterr().err


# ---- the command -----------------------------------------------------------------------------------------------------


def test_calibrates_and_speaks(
    model: Path, settings: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS.values()))
    arguments = ["quantize", "--calibrate", "--config", str(settings), "--texts", str(texts)]
    assert cli.main([*arguments, "--threads", "1", "--voice", "hazel"]) == 0
    said = capsys.readouterr().out
    path = calibration.cached(resolve(model))
    assert str(path) in said and path.is_file() and list(cache.glob("calibrations/*")) == [path]
    errors = [float(part.split()[1].rstrip("%")) / 100 for part in said.rsplit(": ", 1)[1].split(", ")]
    assert 0 < errors[0] < 0.05 and 0 < errors[1] < 0.1, "dynamic, static"
    with safe_open(path, "numpy") as file:
        assert (
            file.metadata()["sentences"] == "2"
            and len(file.keys()) == 3 * len(INPUTS) * resolve(model).config.dit.depth
        )
    assert (
        cli.main(["quantize", "--model", str(model)]) == 0 and "transformer_blocks.1.ff.ff.2" in capsys.readouterr().out
    )
    spoken = {}
    for precision in ("fp32", "int8-dynamic", "int8-static"):
        with Engine.load(model, precision=precision, threads=1) as engine:
            assert engine.info["precision"] == precision
            engine.add_voice("hazel", DEMO / "reference.flac", (DEMO / "reference.txt").read_text())
            spoken[precision] = engine.speak("Hello there.", seed=1).samples
    assert not np.array_equal(spoken["int8-static"], spoken["int8-dynamic"])
    assert np.abs(spoken["int8-static"] - spoken["fp32"]).max() < 0.2


def test_a_guidance_conditioned_network_is_counted_both_ways(tmp_path: Path, cache: Path) -> None:
    model = tiny.make(tmp_path / "conditioned", guidance_max=3.0)
    path = tmp_path / "settings.toml"
    path.write_text(
        f'[model]\nname = "{model}"\n[[voices]]\nid = "hazel"\naudio = "{DEMO}/reference.flac"\nlanguage = "en"\n'
    )
    branches: list[int] = []
    forward = Step.forward
    with pytest.MonkeyPatch.context() as patch:

        def watched(self: Step, x: torch.Tensor, h: torch.Tensor, *rest: Any) -> torch.Tensor:
            branches.append(len(h))
            return forward(self, x, h, *rest)

        patch.setattr(Step, "forward", watched)
        found, errors = calibrate(config.load(str(path), []), TEXTS)
    assert set(branches[: -DEFAULTS["nfe_default"]]) == {1, 2} and set(branches[-DEFAULTS["nfe_default"] :]) == {1}
    assert found.is_file() and all(0 < error < 0.1 for error in errors.values())


def test_a_file_beside_the_weights_is_found_and_the_folder_still_a_model(
    model: Path, cache: Path, tmp_path: Path
) -> None:
    own = tiny.make(tmp_path / "own")
    for name in ("reference.flac", "reference.txt"):
        (own / name).write_bytes((DEMO / name).read_bytes())
    before = resolve(own).content_hash()
    path, _ = calibrate(
        config.load(None, [f"model.name={own}", "model.threads=1"]), TEXTS, calibration.beside(resolve(own))
    )
    assert path.parent == own and resolve(own).content_hash() == before
    with Engine.load(own, precision="int8-static", threads=1) as engine:
        first = engine.info["content_hash"]
        assert engine.speak("Hello.", seed=1).seconds > 0
    tensors, about = load_file(path), {"model": before, "name": "tiny", "rule": "mse", "sentences": "2"}
    save_file({name: value * 1.5 for name, value in tensors.items()}, path, about)
    with Engine.load(own, precision="int8-static", threads=1) as engine:
        assert engine.info["content_hash"] != first, "what was computed with other scales is not taken for this"


def test_wrong_arguments_are_refused(
    model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quantize", "--calibrate", "--model", str(model)]
    assert cli.main([*arguments, "--sentences", "1"]) == 2 and "two sentences" in capsys.readouterr().err
    assert cli.main([*arguments, "--texts", str(tmp_path / "none.txt")]) == 2 and "none.txt" in capsys.readouterr().err
    assert not list(cache.glob("calibrations/*"))
