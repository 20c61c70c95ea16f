"""The backends "eager" and "compile": the model run by PyTorch, called by the C core through its interpreter.

Arguments are flat views of C's buffers, valid for one call, into which results are written. Rows of a step may differ
in length: they are padded and masked, so that no row changes another one's result.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from ishowtts.errors import ModelError

from .checkpoint import LoadedModel, load_model
from .compile import DEFAULT_PRECISION, TORCH_PRECISIONS, info, settled
from .graphs import build

View = memoryview
"""A writable buffer of C, fp32 or int64, of one dimension."""
Row = tuple[View, View, View | None, View, float, float, int]
"""A row of a step: x [frames*mel] (updated), h_cond [frames*dim], h_uncond [frames*dim], mod [M], dt, cfg, frames.

h_uncond is None, and cfg 0, for a row without guidance.
"""
CUDA_ROWS = 8
"""Largest number of rows of a step on a GPU."""
BF16_CAPABILITY = 8
"""Major compute capability of the first GPUs that multiply bf16."""
P = ParamSpec("P")
R = TypeVar("R")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of GPU memory: its allocator raises a class of its own, CUDA libraries only a message."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error) or "_ALLOC_FAILED" in str(error)


def retry_out_of_memory(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator: call in inference mode; where GPU memory runs out, free what torch caches and call once more.

    MemoryError: it runs out again. The function must write its results last, so that a second call has the same inputs.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode():
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
            # Outside the handler, because the exception keeps the tensors of the failed call alive.
            torch.cuda.empty_cache()
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                raise MemoryError(str(error).split("\n")[0]) from None

    return call


def device_of(device: str) -> torch.device:
    """The device that "auto" (the first GPU, else the processor), "cpu", "cuda" or "cuda:N" names.

    ModelError, ENOTFOUND: torch finds no such GPU.
    """
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    found = torch.device("cuda", int(device.partition(":")[2] or 0))
    if not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"torch finds no GPU for the device {device}.", status="ENOTFOUND", field="device")
    return found


def settled_on(device: torch.device, precision: str | None) -> str:
    """`precision`, or for "auto" and None the fastest of bf16 and fp32 on a device."""
    if precision not in (None, DEFAULT_PRECISION) or device.type == "cpu":
        return settled(precision)
    return "bf16" if torch.cuda.get_device_capability(device)[0] >= BF16_CAPABILITY else "fp32"


class TorchBackend:
    """A loaded model with the functions of `ishow_backend` (csrc/model/model.h).

    `model`: a reference or a loaded model. `precision`: "fp32", "bf16" or "fp16", None for the faster one of the first
    two. `compile`: run step and vocoder through torch.compile. `threads`: of the processor, 0 for torch's choice.
    `device`: as `device_of`. Calls come from one thread at a time. ModelError: model, precision or device cannot be
    used.
    """

    def __init__(
        self, model: str | Path | LoadedModel, precision: str | None = None, compile: bool = False, threads: int = 0,
        device: str = "auto",
    ) -> None:  # fmt: skip
        self.device = device_of(device)
        precision = settled_on(self.device, precision)
        if precision not in TORCH_PRECISIONS:
            known = ", ".join(TORCH_PRECISIONS)
            raise ModelError(f"precision must be one of {known}.", status="EINVAL", field="precision")
        loaded = model if isinstance(model, LoadedModel) else load_model(model)
        self.config = loaded.config
        self.threads, self._thread = threads, 0
        self.info: dict[str, Any] = {
            **info(loaded.config, precision, loaded.content_hash),
            "backend": "torch.compile" if compile else "eager",
            "max_rows": 1 if self.device.type == "cpu" else CUDA_ROWS,
        }
        self.graphs: dict[str, Any] = {}
        for name, graph in build(loaded, precision).items():
            graph = graph.to(self.device)
            heavy = compile and name in ("step", "vocode")
            self.graphs[name] = torch.compile(graph, dynamic=True) if heavy else graph

    @retry_out_of_memory
    def encode(
        self,
        tokens: View,
        cond: View,
        index: View | None,
        phase: View | None,
        ref_frames: int,
        frames: int,
        h_cond: View,
        h_uncond: View,
    ) -> None:
        """Encode text and reference of one row into h_cond and h_uncond [frames*dim], fp32.

        int64 `tokens` [S] and `index` [frames]; fp32 `cond` [frames*mel], log-mel, and `phase` [frames]; `ref_frames`:
        frames of the reference. `index` and `phase` are None in layouts without them.
        """
        h = self._encode(tokens, cond, index, phase, ref_frames, frames)
        for view, row in zip((h_cond, h_uncond), h, strict=True):
            _tensor(view, torch.float32).copy_(row.flatten())

    def _encode(
        self, tokens: View, cond: View, index: View | None, phase: View | None, ref_frames: int, frames: int
    ) -> Tensor:
        self._enter()
        places = []
        if index is not None and self.config.dit.text_layout != "padded":
            places.append(self._integers(index)[None])
        if phase is not None and self.config.dit.text_layout == "aligned":
            places.append(self._floats(phase)[None])
        reference = torch.tensor([ref_frames], device=self.device)
        mel = self._floats(cond).view(1, frames, -1)
        h: Tensor = self.graphs["encode"](self._integers(tokens)[None], mel, *places, reference)
        return h

    @retry_out_of_memory
    def modulate(self, t: View, guidance: View, mod: View) -> None:
        """Modulation `mod` [n*M] for times `t` [n] in 0..1 and guidance strengths [n], all fp32; strength 0: none."""
        self._enter()
        strengths = [self._floats(guidance)] if self.config.dit.guidance_max else []
        _tensor(mod, torch.float32).copy_(self.graphs["modulate"](self._floats(t), *strengths).flatten())

    @retry_out_of_memory
    def step(self, rows: list[Row]) -> None:
        """One step of all rows, each with its own modulation, dt, guidance and length; their x are updated."""
        self._enter()
        lengths = [row[6] for row in rows]
        longest = max(lengths)

        def batch(column: int) -> Tensor:
            parts = [self._floats(row[column]).view(n, -1) for row, n in zip(rows, lengths, strict=True)]  # type: ignore[arg-type]
            if len(parts) == 1:
                return parts[0][None]
            return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

        x, h = batch(0), batch(1)
        if any(row[2] is not None for row in rows):  # rows with cfg 0 get any second branch, which is not used
            rows = [(*row[:2], row[1] if row[2] is None else row[2], *row[3:]) for row in rows]
            h = torch.cat((h, batch(2)))
        mod = torch.stack([self._floats(row[3]) for row in rows])
        dt, cfg = (torch.tensor([row[k] for row in rows], device=self.device) for k in (4, 5))
        frames = None if min(lengths) == longest else torch.tensor(lengths, device=self.device)
        out = self.graphs["step"](x, h, mod, dt, cfg, frames)
        for row, n, result in zip(rows, lengths, out, strict=True):
            _tensor(row[0], torch.float32).copy_(result[:n].flatten())

    @retry_out_of_memory
    def vocode(self, mel: View, frames: int, real: View, imag: View) -> None:
        """Real and imaginary part [T'*K] of `Vocos.spectrum` for a mel [frames*mel] in the units of `step`."""
        self._enter()
        parts = self.graphs["vocode"](self._floats(mel).view(1, frames, -1))[0]
        for view, part in zip((real, imag), parts, strict=True):
            _tensor(view, torch.float32).copy_(part.flatten())

    @retry_out_of_memory
    def durations(self, tokens: View, out: View) -> None:
        """Frames of each token at speed 1, fp32 [n], for int64 `tokens` [n]."""
        self._enter()
        _tensor(out, torch.float32).copy_(self.graphs["durations"](self._integers(tokens)[None])[0])

    def _enter(self) -> None:
        """Set the number of OpenMP threads, which each calling thread has for itself."""
        if self.threads and self._thread != threading.get_ident():
            self._thread = threading.get_ident()
            torch.set_num_threads(self.threads)

    def _floats(self, view: View) -> Tensor:
        return _tensor(view, torch.float32).to(self.device)

    def _integers(self, view: View) -> Tensor:
        return _tensor(view, torch.int64).to(self.device)


def _tensor(view: View, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(view, dtype=dtype)
