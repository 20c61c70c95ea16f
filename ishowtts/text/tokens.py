"""The vocabulary of a model, and the end of reference texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SPEAKER = "@"
"""The first character of a speaker's symbol, such as "@hazel"."""
ANY_SPEAKER = SPEAKER
"""The symbol of a speaker without a name, whom the clip before the text shows."""


class Vocabulary:
    """The symbols of a `vocab.txt`; a symbol's id is its line number from 0."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """The id of each symbol, 0 where the vocabulary does not have it."""
        get = self._ids.get
        return [get(symbol, 0) for symbol in symbols]


def close_reference(text: str) -> str:
    """A reference text with the end that F5-TTS gives it: "。", or a full stop and two spaces."""
    text = text.strip()
    if not text or text.endswith("。"):
        return text
    return f"{text}  " if text.endswith(".") else f"{text}.  "
