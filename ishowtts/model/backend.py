"""The model as C calls it from an embedded interpreter, before a compiled package exists or where none can be made.

C lends its memory for the length of one call as flat byte views; results are written in place. Tensors over them do not
outlive the call. Rows of one step may differ in length: they are padded and masked, and each row's result is that of
the row alone.
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
from .compile import DEFAULT_PRECISION, info, settled
from .graphs import PRECISIONS, build

View = memoryview
Row = tuple[View, View, View | None, View, float, float, int]
"""x [frames*mel] (updated), h_cond [frames*dim], h_uncond (None: no guidance, and cfg is 0), mod [M], dt, cfg, frames."""
CUDA_ROWS = 8
BF16_CAPABILITY = 8  # major compute capability of the first GPUs that multiply bf16
P = ParamSpec("P")
R = TypeVar("R")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """The allocator has a class of its own for it; kernels that are loaded late, cuBLAS and cuDNN say it in words."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error) or "_ALLOC_FAILED" in str(error)


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a method in inference mode; where a GPU's memory runs out, once more with all of it that torch held unused.

    MemoryError when it does not do even so. Results are written last, so that a second run finds its inputs as they
    were.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode():
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
            # here, since the tensors of the failed run live as long as the exception
            torch.cuda.empty_cache()
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                raise MemoryError(str(error).split("\n")[0]) from None

    return call


def settled_on(device: torch.device, precision: str | None) -> str:
    """The precision that "auto" (or None) stands for on a device."""
    if precision not in (None, DEFAULT_PRECISION) or device.type == "cpu":
        return settled(precision)
    return "bf16" if torch.cuda.get_device_capability(device)[0] >= BF16_CAPABILITY else "fp32"


class TorchBackend:
    """A loaded model behind the functions of `ishow_backend`.

    `model`: a reference or a loaded model. `precision`: fp32 or bf16, None for the one that suits the device.
    `compile`: run the step and the vocoder through torch.compile. `threads`: of the processor, 0 leaves torch's choice.
    Calls come from one thread at a time.
    """

    def __init__(
        self, model: str | Path | LoadedModel, precision: str | None = None, compile: bool = False, threads: int = 0
    ) -> None:
        self.device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
        precision = settled_on(self.device, precision)
        if precision not in PRECISIONS:
            raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}.", status="EINVAL", field="precision")
        loaded = model if isinstance(model, LoadedModel) else load_model(model)
        self.config = loaded.config
        self.threads, self._thread = threads, 0
        self.info: dict[str, Any] = {
            **info(loaded.config, precision, loaded.content_hash),
            "backend": "torch.compile" if compile else "eager",
            "max_rows": 1 if self.device.type == "cpu" else CUDA_ROWS,
        }
        self.graphs: dict[str, Any] = {}
        for name, graph in build(loaded, "bf16" if precision == "bf16" else "fp32").items():
            graph = graph.to(self.device)
            heavy = compile and name in ("step", "vocode")
            self.graphs[name] = torch.compile(graph, dynamic=True) if heavy else graph

    @with_room
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
        """int64 tokens [S] and index [frames], fp32 cond [frames*mel] and phase [frames] → both h [frames*dim]."""
        h = self._encode(tokens, cond, index, phase, ref_frames, frames)
        for view, row in zip((h_cond, h_uncond), h, strict=True):
            _over(view, torch.float32).copy_(row.flatten())

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

    @with_room
    def modulate(self, t: View, guidance: View, mod: View) -> None:
        """Fp32 times [n] and strengths of guidance [n] (0: none; not read where the network takes none) → mod [n*M]."""
        self._enter()
        strengths = [self._floats(guidance)] if self.config.dit.guidance_max else []
        _over(mod, torch.float32).copy_(self.graphs["modulate"](self._floats(t), *strengths).flatten())

    @with_room
    def step(self, rows: list[Row]) -> None:
        """One step of every row, each with its own modulation, dt, guidance and length."""
        self._enter()
        lengths = [row[6] for row in rows]
        longest = max(lengths)

        def batch(column: int) -> Tensor:
            parts = [self._floats(row[column]).view(n, -1) for row, n in zip(rows, lengths, strict=True)]  # type: ignore[arg-type]
            if len(parts) == 1:
                return parts[0][None]
            return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

        x, h = batch(0), batch(1)
        if any(row[2] is not None for row in rows):  # with cfg 0 a second branch is not seen: any will do
            rows = [(*row[:2], row[1] if row[2] is None else row[2], *row[3:]) for row in rows]
            h = torch.cat((h, batch(2)))
        mod = torch.stack([self._floats(row[3]) for row in rows])
        dt, cfg = (torch.tensor([row[k] for row in rows], device=self.device) for k in (4, 5))
        frames = None if min(lengths) == longest else torch.tensor(lengths, device=self.device)
        out = self.graphs["step"](x, h, mod, dt, cfg, frames)
        for row, n, result in zip(rows, lengths, out, strict=True):
            _over(row[0], torch.float32).copy_(result[:n].flatten())

    @with_room
    def vocode(self, mel: View, frames: int, real: View, imag: View) -> None:
        """Mel [frames*mel] as left by `step` → STFT parts [frames*(n_fft/2+1)] each."""
        self._enter()
        parts = self.graphs["vocode"](self._floats(mel).view(1, frames, -1))[0]
        for view, part in zip((real, imag), parts, strict=True):
            _over(view, torch.float32).copy_(part.flatten())

    @with_room
    def durations(self, tokens: View, out: View) -> None:
        """int64 tokens [n] → frames of each at speed 1, fp32 [n]."""
        self._enter()
        _over(out, torch.float32).copy_(self.graphs["durations"](self._integers(tokens)[None])[0])

    def _enter(self) -> None:
        """OpenMP's thread count belongs to a thread: set it when the caller's thread changes."""
        if self.threads and self._thread != threading.get_ident():
            self._thread = threading.get_ident()
            torch.set_num_threads(self.threads)

    def _floats(self, view: View) -> Tensor:
        return _over(view, torch.float32).to(self.device)

    def _integers(self, view: View) -> Tensor:
        return _over(view, torch.int64).to(self.device)


def _over(view: View, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(view, dtype=dtype)
