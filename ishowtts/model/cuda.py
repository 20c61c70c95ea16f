"""The model on a GPU, as the C core drives it: what is called once a chunk runs here, a step is a CUDA graph that C launches.

Graphs are captured here, one for each number of rows, frames and branches that C asks for (csrc/model/cuda_step.c). All
of them work on the same two buffers and share one memory pool, since they never run at the same time.
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

from .backend import TorchBackend, View, with_room
from .checkpoint import LoadedModel


@dataclass(frozen=True, eq=False)
class Captured:
    """A step as a graph: `graph` is the driver's handle, valid while this lives."""

    graph: int
    keeps: Any


def run_step(
    step: nn.Module, inputs: Tensor, h: Tensor, rows: int, frames: int, guided: bool, widths: tuple[int, int, int]
) -> None:
    """One step of `rows` padded rows in place, on the beginnings of both flat fp32 buffers (see ishow_cuda_options).

    widths: values of a frame of x, of a frame of h, of a row's modulation.
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
    """A `TorchBackend` whose steps are graphs, and whose h stays on the device.

    `rows`: of a graph, at most; `frames`: rows x frames, at most. `inputs`, `h`: device addresses of the buffers. Calls
    come from one thread at a time.
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

    @with_room
    def encode_kept(
        self, tokens: View, cond: View, index: View | None, phase: View | None, ref_frames: int, frames: int
    ) -> tuple[int, Tensor]:
        """As `encode`, but h [2*frames*dim] stays on the device: its address, and what keeps it there."""
        h = self._encode(tokens, cond, index, phase, ref_frames, frames).float().contiguous()
        self._wait()
        return h.data_ptr(), h

    @with_room
    def capture(self, rows: int, frames: int, guided: bool) -> Captured:
        """The graph of a step for so many rows of so many frames, the last inputs being each row's own frames."""
        return self._captured(
            lambda: run_step(self.graphs["step"], self._inputs, self._h, rows, frames, guided, self._widths)
        )

    def _captured(self, run: Callable[[], None]) -> Captured:
        with torch.cuda.device(self.device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            if not self._alive:  # a pool ends with its last graph
                self._pool = torch.cuda.graph_pool_handle()
            torch.cuda.synchronize()
            with torch.cuda.stream(self._stream):  # libraries load and choose their kernels now, not while capturing
                run()
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph(keep_graph=True)
            # torch keeps a workspace of cuBLAS for each stream. One that the run above or an earlier capture has left
            # belongs to another pool, or to a graph that may go first: each capture makes, and gives back, its own.
            torch._C._cuda_clearCublasWorkspaces()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                run()
            torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.synchronize()
        captured = Captured(graph.raw_cuda_graph(), graph)
        self._alive.add(captured)
        return captured

    def _wait(self) -> None:
        """Work that C cannot see is finished when a call ends."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
