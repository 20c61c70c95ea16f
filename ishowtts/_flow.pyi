from collections.abc import Callable, Sequence
from typing import Literal, final

from typing_extensions import Buffer

def grid(nfe: int, kind: Literal["epss", "uniform"] = "epss", sway: float = -1.0) -> list[float]: ...
def noise(seed: int, n: int, /) -> memoryview[float]: ...

@final
class Scheduler:
    def __init__(
        self,
        step: Callable[[list[tuple[int, int, float, float]]], object],
        n_mels: int,
        max_rows: int = 4,
        rows_per_step: int = 1,
    ) -> None: ...
    def add(
        self,
        x: Buffer,
        t: Sequence[float],
        cfg: float = 2.0,
        priority: int = 0,
        solver: str = "euler",
        guidance_interval: tuple[float, float] = (0.0, 1.0),
    ) -> int: ...
    def cancel(self, id: int, /) -> None: ...
    def step(self) -> list[tuple[int, Literal["done", "cancelled", "failed"], int, str]]: ...
    @property
    def rows(self) -> int: ...
