from typing import Self, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

Floats = Buffer | NDArray[np.float32]

class AudioError(ValueError):
    status: str
    field: str

@final
class Array:
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...

@final
class Encoder:
    def __new__(cls, sample_rate: int, format: str, *, out_rate: int = 0) -> Self: ...
    def push(self, samples: Floats | None = None, *, last: bool = False) -> bytes: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def length(self) -> int: ...

FORMATS: dict[str, str]

class Faults(TypedDict):
    non_finite: int
    clipped: int
    dc: float
    rms: float
    peak: float
    longest_silence: float
    silent: bool

class Artifacts(TypedDict):
    clicks: int
    dropouts: int
    gaps: int
    first_click: float | None
    dropout_seconds: float
    longest_gap: float
    hole_seconds: float
    bandwidth: float
    repeat_seconds: float
    first_repeat: float | None
    end_level: float
    early_end: bool

def decode(
    data: Buffer,
    *,
    max_seconds: float = ...,
    min_seconds: float = ...,
    max_bytes: int = ...,
    max_channels: int = ...,
) -> tuple[Array, int]: ...
def resample(samples: Floats, from_rate: int, to_rate: int) -> Array: ...
def mel(samples: Floats, sample_rate: int = ..., n_fft: int = ..., hop: int = ..., n_mels: int = ...) -> Array: ...
def istft(real: Floats, imag: Floats, n_fft: int = ..., hop: int = ...) -> Array: ...
def rms(samples: Floats, /) -> float: ...
def cross_fade(a: Floats, b: Floats, overlap: int) -> Array: ...
def remove_silence(samples: Floats, sample_rate: int, max_silence: float, margin: float) -> Array: ...
def speech_span(samples: Floats, sample_rate: int, floor_rms: float, margin: float) -> tuple[int, int]: ...
def check(samples: Floats, sample_rate: int) -> Faults: ...
def artifacts(samples: Floats, sample_rate: int) -> Artifacts: ...
def encode(samples: Floats, sample_rate: int, format: str = "wav", *, out_rate: int = 0) -> bytes: ...
