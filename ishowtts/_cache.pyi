from typing import TypedDict, final

from typing_extensions import Buffer

class Stats(TypedDict):
    hits: int
    misses: int
    inserts: int
    evictions: int
    rejected: int
    bytes: int
    entries: int
    budget: int

@final
class Cache:
    def __new__(cls, budget: int) -> Cache: ...
    def get(self, key: tuple[Buffer, ...], /) -> memoryview | None: ...
    def put(self, key: tuple[Buffer, ...], data: Buffer, /) -> memoryview: ...
    def stats(self) -> Stats: ...
    def clear(self) -> None: ...
