"""The vocabulary of a model, and the closing rule of reference texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Vocabulary:
    """Symbols of `vocab.txt`, one a line; the line number (from 0) is the id, and 0 stands for the unknown as well."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """Id of each symbol, 0 where the vocabulary lacks it."""
        get = self._ids.get
        return [get(symbol, 0) for symbol in symbols]


def close_reference(text: str) -> str:
    """Reference text as F5 was prompted in training: it ends in "。", or in a full stop and two spaces."""
    text = text.strip()
    if not text or text.endswith("。"):
        return text
    return f"{text}  " if text.endswith(".") else f"{text}.  "
