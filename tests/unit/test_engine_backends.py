"""The backends compute the same speech: compiled package, native kernels and PyTorch, in every form of guidance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import PACKAGES, make, open_engine, package

from ishowtts import ConfigError, Engine, ModelError
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import BACKBONES

TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module", params=BACKBONES)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with each kind of transformer."""
    return make(tmp_path_factory.mktemp("model") / "tiny", backbone=request.param)


@pytest.mark.timeout(1200)
def test_the_package_agrees_with_the_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(PACKAGES))
    monkeypatch.delenv("ISHOWTTS_COMPILE", raising=False)
    package(model)
    options = {"seed": 5, "nfe": 16}
    with open_engine(model, precision="fp32") as eager:
        assert eager.info["backend"] == "eager"
        expected = eager.speak(TEXT, **options)  # type: ignore[arg-type]
    with open_engine(model, precision="fp32", backend="package", compile="wait") as engine:
        assert engine.info["backend"] == "aotinductor", engine.compile_state
        speech = engine.speak(TEXT, **options)  # type: ignore[arg-type]
    difference = float(np.abs(speech.samples - expected.samples).max())
    print(f"largest difference between eager and package: {difference:.2e}")
    assert difference <= 1e-4


@pytest.mark.parametrize(("precision", "largest"), [("fp32", 1e-4), ("bf16", 0.1), ("int8-dynamic", 0.2)])
def test_the_native_backend_agrees_with_the_model(each: Path, precision: str, largest: float) -> None:
    with open_engine(each, precision="fp32") as eager:
        expected = eager.speak(TEXT, seed=5).samples
    with open_engine(each, precision=precision, threads=2, backend="native") as engine:
        assert (engine.info["backend"], engine.info["precision"]) == ("native", precision) and not engine.compilable
        samples = engine.speak(TEXT, seed=5).samples
    difference = float(np.abs(samples - expected).max())
    print(f"largest difference between eager fp32 and native {precision}: {difference:.2e}")
    assert samples.shape == expected.shape and difference <= largest


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_guidance_intervals_of_everything_and_of_nothing(model: Path, backend: str, solver: str) -> None:
    with open_engine(model, precision="fp32", backend=backend) as engine:

        def said(**options: object) -> np.ndarray:
            return engine.speak(TEXT, seed=5, nfe=6, solver=solver, **options).samples  # type: ignore[arg-type]

        guided, none, part = said(), said(cfg=0.0), said(guidance_interval=(0.1, 0.6))
        np.testing.assert_array_equal(said(guidance_interval=(0.0, 1.0)), guided)
        np.testing.assert_array_equal(said(guidance_interval=(0.3, 0.3)), none)
        for one, other in ((guided, none), (guided, part), (none, part)):
            assert not np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_short_guidance(model: Path, solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unconditional branch without the reference's frames equals PyTorch's, and differs from full guidance."""
    lengths, plain_encode = [], TorchBackend.encode

    def encode(self: TorchBackend, *arguments: Any) -> None:
        lengths.append(arguments[4])
        plain_encode(self, *arguments)

    @torch.inference_mode()
    def step(self: TorchBackend, rows: list[Any]) -> None:
        [(x, h, u, mod, dt, cfg, n)] = rows
        given = [
            torch.frombuffer(view, dtype=torch.float32).view(rows_of, -1)
            for view, rows_of in ((x, n), (h, n), (u, n), (mod, 1))
        ]
        dit, new = self.graphs["step"].dit, slice(lengths[-1], n)
        state = given[0][None].clone()
        vc = dit.velocity(state, given[1][None], given[3])
        vu = vc.clone()
        vu[:, new] = dit.velocity(state[:, new], given[2][None, new], given[3])
        given[0].copy_((state + dt * (vc + cfg * (vc - vu)))[0])

    def said(backend: str, **options: object) -> np.ndarray:
        with open_engine(model, precision="fp32", backend=backend) as engine:
            return engine.speak(TEXT, seed=5, nfe=6, solver=solver, **options).samples  # type: ignore[arg-type]

    whole = {backend: said(backend, short_guidance=False) for backend in ("eager", "native")}
    short = {backend: said(backend, short_guidance=True) for backend in ("eager", "native")}
    monkeypatch.setattr(TorchBackend, "encode", encode)
    monkeypatch.setattr(TorchBackend, "step", step)
    expected = said("eager")
    assert lengths[0] > 50
    for backend in ("eager", "native"):
        assert np.abs(short[backend] - expected).max() < 1e-3 < np.abs(whole[backend] - expected).max()


@pytest.mark.parametrize(("solver", "calls"), [("euler", 6), ("midpoint", 12)])
def test_embedded_guidance(tmp_path: Path, solver: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guidance-conditioned network computes one branch; beyond its trained strengths, or on request, both."""
    model = make(tmp_path / "conditioned", guidance_max=3.0)
    branches, plain_step = [], TorchBackend.step

    def step(self: TorchBackend, rows: list[Any]) -> None:
        branches.extend(2 - (row[2] is None) for row in rows)
        plain_step(self, rows)

    monkeypatch.setattr(TorchBackend, "step", step)

    def said(backend: str, **options: object) -> np.ndarray:
        branches.clear()
        with open_engine(model, precision="fp32", backend=backend) as engine:
            return engine.speak(TEXT, seed=5, nfe=6, solver=solver, **options).samples  # type: ignore[arg-type]

    told, whole = said("eager"), None
    assert branches == [1] * calls
    for options in ({"embedded_guidance": False}, {"cfg": 3.01}):
        whole = said("eager", **options)
        assert branches == [2] * calls and np.abs(said("native", **options) - whole).max() < 1e-3
    assert whole is not None and np.abs(said("native") - told).max() < 1e-3 < np.abs(whole - told).max()
    assert not np.allclose(said("native", cfg=1.0), told, atol=1e-3) and not np.allclose(
        said("native", cfg=0.0), told, atol=1e-3
    )
    part = said("eager", guidance_interval=(0.0, 0.1))
    assert (
        branches == [1] * calls
        and np.abs(said("native", guidance_interval=(0.0, 0.1)) - part).max() < 1e-3 < np.abs(part - told).max()
    )


def test_the_backend_that_is_asked_for(model: Path) -> None:
    with pytest.raises(ConfigError, match="backend must be auto, cuda, native, package, eager or compile"):
        Engine.load(model, backend="abacus")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"precision must be one of auto, fp32, bf16, int8-dynamic, int8-static"):
        Engine.load(model, precision="fp1")
    with Engine.load(model, compile="off") as engine:
        assert engine.info["backend"] in ("native", "aotinductor", "eager")


def test_torch_compile_speaks(each: Path) -> None:
    """The backend "compile": what torch.compile makes of step and vocoder speaks like eager PyTorch."""
    with open_engine(each, precision="fp32") as eager:
        expected = eager.speak(TEXT, seed=5, nfe=3).samples
    with open_engine(each, precision="fp32", backend="compile") as engine:
        assert engine.info["backend"] == "torch.compile"
        spoken = engine.speak(TEXT, seed=5, nfe=3).samples
    assert spoken.shape == expected.shape and float(np.abs(spoken - expected).max()) <= 1e-3


def test_the_device_that_is_asked_for(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = TorchBackend.__init__

    def init(self: TorchBackend, *arguments: Any) -> None:
        asked.append(arguments[-1])
        plain(self, *arguments)

    monkeypatch.setattr(TorchBackend, "__init__", init)
    with open_engine(model, device="cpu", precision="fp16") as engine:
        assert engine.info["precision"] == "fp16" and engine.speak(TEXT, seed=1, nfe=2).seconds > 0
    assert asked == ["cpu"]
    with pytest.raises(ModelError, match=r"no GPU for the device cuda:7") as caught:
        open_engine(model, device="cuda:7")
    assert caught.value.field == "device"
    with pytest.raises(ModelError, match="not for the native kernels"):
        open_engine(model, device="cuda", backend="native")
    with pytest.raises(ModelError, match="precision must be one of"):
        open_engine(model, backend="native", precision="fp16")


def test_a_processor_that_is_asked_for_is_used_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from ishowtts import _runtime
    from ishowtts.model.backend import device_of

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(device_of(name)) for name in ("auto", "cpu", "cuda", "cuda:1")] == ["cuda:0", "cpu", "cuda:0", "cuda:1"]
    with _runtime.on_device("cpu"):
        assert _runtime.cuda_why_not("demo", "bf16", True) == "The configured device is the processor."
