from collections.abc import Sequence
from typing import Any, TypeAlias

Buffer: TypeAlias = Any  # what exports a contiguous buffer: memoryview, numpy array

class Native:
    def __new__(cls, model: str, threads: int = 0, kernels: str | None = None) -> Native: ...
    def encode(
        self,
        tokens: Buffer,
        cond: Buffer,
        index: Buffer | None,
        phase: Buffer | None,
        ref_frames: int,
        frames: int,
        h_cond: Buffer,
        h_uncond: Buffer,
        /,
    ) -> None: ...
    def modulate(self, t: Buffer, mod: Buffer, /) -> None: ...
    def step(self, rows: Sequence[tuple[Buffer, Buffer, Buffer | None, Buffer, float, float, int]], /) -> None: ...
    def vocode(self, mel: Buffer, frames: int, real: Buffer, imag: Buffer, /) -> None: ...
    def durations(self, tokens: Buffer, out: Buffer, /) -> None: ...

def is_fast() -> bool: ...
