"""Tokens of the published F5-TTS models: Latin letters one by one, Chinese as pinyin with tone digits.

The models were trained with exactly these tokens, spaces included, so this module gives the same ones as
`convert_char_to_pinyin` of the F5-TTS repository (tests/parity). It differs where that function fails: three-byte
symbols that pypinyin returns in one piece are passed on character by character.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from . import pronounce

_REPLACED = str.maketrans({";": ",", "“": '"', "”": '"', "‘": "'", "’": "'"})
_NO_SPACE_AFTER = " :'\""


@cache
def _libraries() -> tuple[Any, Any]:
    """The word segmentation of rjieba and the syllables of pypinyin; reading their dictionaries takes half a second."""
    import rjieba
    from pypinyin import Style, lazy_pinyin

    def syllables(text: str) -> list[str]:
        return list(lazy_pinyin(text, style=Style.TONE3, tone_sandhi=True))

    syllables("".join(rjieba.cut("预热一下")))
    return rjieba.cut, syllables


def warm() -> None:
    """Load the dictionaries, so that the first line does not wait for them."""
    _libraries()


def _spoken_as_syllable(char: str) -> bool:
    return "\u3100" <= char <= "\u9fff"


def symbols(text: str) -> tuple[list[str], list[int]]:
    """The symbols of `text`, and for each the index in `text` of its character; indices do not decrease."""
    cut, syllables = _libraries()
    out: list[str] = []
    origin: list[int] = []
    at = 0

    def add(symbol: str, where: int) -> None:
        out.append(symbol)
        origin.append(where)

    for piece in cut(text.translate(_REPLACED)):
        size = len(piece.encode())
        if size == len(piece):
            if out and size > 1 and out[-1] not in _NO_SPACE_AFTER:
                add(" ", at)
            for i, char in enumerate(piece):
                add(char, at + i)
        else:
            read: list[str] = []
            if size == 3 * len(piece):
                read = syllables(piece)  # of the whole word, which decides polyphones and tone sandhi
            if len(read) != len(piece):
                read = [syllables(char)[0] if _spoken_as_syllable(char) else char for char in piece]
            for i, char in enumerate(piece):
                given = pronounce.pinyin(char)
                if given or _spoken_as_syllable(char):
                    add(" ", at + i)
                add(given or read[i], at + i)
        at += len(piece)
    return out, origin
