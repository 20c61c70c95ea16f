"""The model on a GPU for the C core: Python runs what is called once a chunk, C launches each step as a CUDA graph.

The graphs are captured here, one for each number of rows, frames and branches that C asks for (csrc/model/cuda_step.c).
They never run at the same time, so they share two buffers and one memory pool.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .backend import TorchBackend, View, retry_out_of_memory
from .checkpoint import LoadedModel


@dataclass(frozen=True, eq=False)
class Captured:
    """A captured step: `graph` is the CUDA driver's handle, valid as long as this object; `keeps` owns it."""

    graph: int
    keeps: Any


def run_step(
    step: nn.Module, inputs: Tensor, h: Tensor, rows: int, frames: int, guided: bool, widths: tuple[int, int, int]
) -> None:
    """One step of `rows` rows padded to `frames` frames; x is updated in place.

    `inputs` and `h` are flat fp32 buffers (`ishow_cuda_options`, csrc/model/cuda.h). At the beginning of `inputs`
    are x [rows*frames*mel], modulation [rows*M], and for each row dt, strength of guidance and number of frames; at
    the beginning of `h` the conditional rows [rows*frames*dim] and, if `guided`, the unconditional ones. `widths`: mel,
    dim and M.
    """
    mels, dim, width = widths
    sizes = (rows * frames * mels, rows * width, rows, rows, rows)
    x, mod, dt, cfg, own = (
        inputs[end - size : end] for size, end in zip(sizes, itertools.accumulate(sizes), strict=True)
    )
    branches = 2 * rows if guided else rows
    x = x.view(rows, frames, mels)
    x.copy_(step(x, h[: branches * frames * dim].view(branches, frames, dim), mod.view(rows, width), dt, cfg, own))


class CudaBackend(TorchBackend):
    """A `TorchBackend` whose steps are CUDA graphs and whose encoded rows h stay on the device.

    `rows`: largest number of rows of a step; `frames`: largest product of rows and frames. The attributes `inputs` and
    `h` are the device addresses of the buffers of `run_step`. Calls come from one thread at a time.
    """

    def __init__(
        self, model: str | Path | LoadedModel, precision: str | None, threads: int, rows: int, frames: int
    ) -> None:
        super().__init__(model, precision, threads=threads)
        dit = self.config.dit
        self._widths = (self.config.mel.n_mels, dit.dim, dit.modulation)
        mels, dim, width = self._widths
        self.info |= {"backend": "cuda", "max_rows": rows}
        self._inputs = torch.zeros(frames * mels + rows * (width + 3), device=self.device)
        self._h = torch.zeros(2 * frames * dim, device=self.device)
        self.inputs, self.h = self._inputs.data_ptr(), self._h.data_ptr()
        self._pool: Any = None
        self._stream: Any = None
        self._alive: weakref.WeakSet[Captured] = weakref.WeakSet()

    @retry_out_of_memory
    def encode_kept(
        self, tokens: View, cond: View, index: View | None, phase: View | None, ref_frames: int, frames: int
    ) -> tuple[int, Tensor]:
        """As `encode`, but h [2*frames*dim] stays on the device: its address, and the tensor that owns it."""
        h = self._encode(tokens, cond, index, phase, ref_frames, frames).float().contiguous()
        self._wait()
        return h.data_ptr(), h

    @retry_out_of_memory
    def capture(self, rows: int, frames: int, guided: bool) -> Captured:
        """Capture `run_step` for `rows` rows of `frames` frames, with or without the unconditional branch."""
        return self._captured(
            lambda: run_step(self.graphs["step"], self._inputs, self._h, rows, frames, guided, self._widths)
        )

    def _captured(self, run: Callable[[], None]) -> Captured:
        with torch.cuda.device(self.device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            if not self._alive:  # a pool is freed with its last graph
                self._pool = torch.cuda.graph_pool_handle()
            torch.cuda.synchronize()
            with torch.cuda.stream(self._stream):  # libraries load their kernels now, which capturing forbids
                run()
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph(keep_graph=True)
            # torch keeps a cuBLAS workspace for each stream. One from the run above or an earlier capture belongs to
            # another pool, or to a graph that may be freed first, so each capture allocates its own and frees it.
            torch._C._cuda_clearCublasWorkspaces()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                run()
            torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.synchronize()
        captured = Captured(graph.raw_cuda_graph(), graph)
        self._alive.add(captured)
        return captured

    def _wait(self) -> None:
        """Wait for the GPU, since C uses the results on another stream."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
