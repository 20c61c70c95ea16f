"""The GPU backend without a GPU: everything but the device itself.

NVIDIA's driver is the fake of tests/c/fake/cuda.c, device memory is the processor's, and a function takes the place of
a captured graph. The core, the bridge, the model and the padding, masks and buffers of a step are the real ones.
"""

from __future__ import annotations

import ctypes
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TONE, make

from ishowtts import Engine, IshowError, ModelError, _runtime
from ishowtts.model.backend import TorchBackend
from ishowtts.model.cuda import Captured, CudaBackend

ROOT = Path(__file__).resolve().parents[2]
TEXT = "The quick brown fox jumps over the lazy dog."
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Graph(ctypes.Structure):
    """The stand-in's type of a graph."""

    _fields_ = (("run", CALLBACK), ("self", ctypes.c_void_p))


class WithoutDevice(CudaBackend):
    """Steps that run when they are launched."""

    made: list[tuple[int, int, bool]]
    spoilt = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.made = []
        WithoutDevice.last = self

    last: WithoutDevice

    def capture(self, rows: int, frames: int, guided: bool) -> Captured:
        self.made.append((rows, frames, guided))
        return super().capture(rows, frames, guided)

    def _captured(self, run: Callable[[], None]) -> Captured:
        def launched(_: object) -> None:
            with torch.inference_mode():
                run()
                if self.spoilt:
                    self._inputs[:100] += 10

        graph = Graph(CALLBACK(launched), None)
        return Captured(ctypes.addressof(graph), graph)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(path), str(ROOT / "tests/c/fake/cuda.c")], check=True)
    return path


@pytest.fixture
def device(driver: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """Makes this machine look as if it had a GPU; gives the stand-in's counters."""
    monkeypatch.setenv("ISHOWTTS_CUDA_DRIVER", str(driver))
    monkeypatch.setattr("ishowtts.model.compile.torch_facts", lambda: ("2.13.0", "13.0"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # a real one is not used
    monkeypatch.setattr(_runtime, "cuda_backend", WithoutDevice)
    monkeypatch.setattr(_runtime, "GPU_BYTES", 0)
    monkeypatch.setattr(WithoutDevice, "spoilt", False)
    return ctypes.CDLL(str(driver))


def counter(device: ctypes.CDLL, name: str) -> int:
    return ctypes.c_int.in_dll(device, name).value


def open_engine(model: Path, backend: str, **options: Any) -> Engine:
    engine = Engine.load(model, precision="fp32", threads=1, backend=backend, compile="off", **options)  # type: ignore[arg-type]
    engine.add_voice("tone", TONE, "A steady tone.", "en", sample_rate=24000)
    return engine


@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "midpoint"}, {"short_guidance": True}, {"cfg": 0.0}, {"guidance_interval": (0.0, 0.3)}],
    ids=str,
)
def test_it_agrees_with_the_model(model: Path, device: ctypes.CDLL, options: dict[str, Any]) -> None:
    with open_engine(model, "eager") as engine:
        expected = engine.speak(TEXT, seed=5, nfe=6, **options).samples
    launches = counter(device, "fake_launches")
    with open_engine(model, "cuda") as engine:
        assert engine.info["backend"] == "cuda"
        said = engine.speak(TEXT, seed=5, nfe=6, **options).samples
    assert counter(device, "fake_launches") > launches
    assert counter(device, "fake_live") == 0
    assert said.shape == expected.shape
    np.testing.assert_allclose(said, expected, atol=2e-4)


def test_many_at_once_share_steps(model: Path, device: ctypes.CDLL) -> None:
    texts = [f"{TEXT} {TEXT}"] * 6 + ["Short.", "Brief."]
    with open_engine(model, "eager") as engine:
        expected = [engine.speak(text, seed=i, nfe=5).samples for i, text in enumerate(texts)]
    said: list[Any] = [None] * len(texts)
    with open_engine(model, "cuda") as engine:

        def speak(i: int) -> None:
            said[i] = engine.speak(texts[i], seed=i, nfe=5).samples

        threads = [threading.Thread(target=speak, args=(i,)) for i in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(rows for rows, _, _ in WithoutDevice.last.made) > 2  # the check at the start has 2
    for one, other in zip(said, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_rows_leave_nothing_on_the_device(model: Path, device: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    plain = CudaBackend.encode_kept

    def encode_kept(self: CudaBackend, *arguments: Any) -> Any:
        import weakref

        found = plain(self, *arguments)
        kept.append(weakref.ref(found[1]))
        return found

    monkeypatch.setattr(CudaBackend, "encode_kept", encode_kept)
    with open_engine(model, "cuda") as engine:
        for i in range(5):
            engine.speak(TEXT, seed=i, nfe=3)
        alive = [reference() is not None for reference in kept]
        assert sum(alive) <= 1 and not any(alive[:-1])  # the last row joins the next launch
    assert kept[-1]() is None


def test_auto_takes_the_gpu_for_large_models(model: Path, device: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_engine(model, "auto") as engine:
        assert engine.info["backend"] == "cuda" and engine.info["max_rows"] == 8
        assert not engine.compilable
    monkeypatch.setattr(_runtime, "GPU_BYTES", 64 << 20)
    with open_engine(model, "auto") as engine:  # not worth its padding
        assert engine.info["backend"] != "cuda"


def check_fallback(model: Path, device: ctypes.CDLL, error: type[Exception], words: str) -> None:
    """An explicit request for the GPU is refused and leaves nothing behind; otherwise the processor is used."""
    with pytest.raises(error, match=words):
        open_engine(model, "cuda")
    assert counter(device, "fake_live") == 0
    with open_engine(model, "auto") as engine:
        assert engine.info["backend"] != "cuda"
        assert engine.speak("Hello there.", nfe=3).seconds > 0


def test_steps_that_are_wrong_are_not_used(model: Path, device: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WithoutDevice, "spoilt", True)
    check_fallback(model, device, ModelError, "A step on the GPU differs from the model by")


def test_a_model_that_does_not_fit_is_refused(
    model: Path, device: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise MemoryError("CUDA out of memory.")

    monkeypatch.setattr(_runtime, "cuda_backend", full)
    check_fallback(model, device, MemoryError, "CUDA out of memory")


def test_batches_that_do_not_fit_are_made_smaller(
    model: Path, device: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = WithoutDevice.capture

    def capture(self: WithoutDevice, rows: int, frames: int, guided: bool) -> Captured:
        if rows > 1:
            raise MemoryError("CUDA out of memory.")
        return plain(self, rows, frames, guided)

    monkeypatch.setattr(WithoutDevice, "capture", capture)
    with open_engine(model, "cuda") as engine:
        assert engine.speak(TEXT, nfe=3).seconds > 0
        assert {rows for rows, _, _ in WithoutDevice.last.made} == {1}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate much."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_is_retried_once(model: Path, error: RuntimeError, monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(1))
    backend = TorchBackend(model, "fp32")
    plain, failures = backend.graphs["modulate"], 1

    def modulate(t: torch.Tensor) -> torch.Tensor:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise error
        return plain(t)  # type: ignore[no-any-return]

    monkeypatch.setitem(backend.graphs, "modulate", modulate)
    width = backend.config.dit.modulation
    t, mod = np.array([0.5], np.float32), np.zeros(width, np.float32)
    lent = [memoryview(array).cast("B") for array in (t, t, mod)]
    backend.modulate(*lent)
    assert freed == [1] and np.abs(mod).max() > 0
    failures = 2
    with pytest.raises(MemoryError, match=r"^CUDA .*$"):
        backend.modulate(*lent)
    error, failures = RuntimeError("Something else."), 1
    with pytest.raises(RuntimeError, match=r"Something else"):
        backend.modulate(*lent)


def test_a_machine_without_a_gpu_says_so(model: Path, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISHOWTTS_CUDA_DRIVER", "/nowhere/libcuda.so.1")
    monkeypatch.setattr("ishowtts.model.compile.torch_facts", lambda: ("2.13.0+cpu", None))
    with pytest.raises(IshowError, match="build without CUDA"):
        Engine.load(model, backend="cuda")
    monkeypatch.setattr("ishowtts.model.compile.torch_facts", lambda: ("2.13.0", "13.0"))
    with pytest.raises(IshowError, match="There is no NVIDIA driver here"):
        Engine.load(model, backend="cuda")
    with pytest.raises(IshowError, match="int8-dynamic is computed by the native backend"):
        Engine.load(model, precision="int8-dynamic", backend="cuda")
    monkeypatch.setenv("ISHOWTTS_CUDA_DRIVER", str(driver))
    if not torch.cuda.is_available():
        with pytest.raises(IshowError, match="torch finds no usable GPU"):
            Engine.load(model, backend="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu(model: Path) -> None:
    with open_engine(model, "native") as engine:
        expected = engine.speak(TEXT, seed=5, nfe=6).samples
    with open_engine(model, "cuda") as engine:
        said = engine.speak(TEXT, seed=5, nfe=6).samples
    np.testing.assert_allclose(said, expected, atol=1e-2)  # with TF32, torch's convolutions differ more
