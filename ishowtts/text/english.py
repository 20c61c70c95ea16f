"""Phones of English words by flite; acronyms are spelled, and a table respells words that flite does not know."""

from __future__ import annotations

import re

from . import heteronyms
from .tables import load

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_ACRONYM = re.compile(r"([A-Z]{2,})(s|'s)?")
_RESPELLED = load("en").words("respelled")
_DETACHED = re.compile(r" (?=[,.!?;:])")
"""flite does not pause at a mark that stands alone."""


def _word(found: re.Match[str]) -> str:
    word = found.group()
    acronym = _ACRONYM.fullmatch(word)
    if acronym:
        return " ".join(acronym[1]) + ("'s" if acronym[2] else "")
    return _RESPELLED.get(word.lower(), word)


def letters(text: str) -> str:
    """`text` respelled for flite; words of two or more capitals are spelled letter by letter."""
    return _WORD.sub(_word, heteronyms.respell(_DETACHED.sub("", text)))


def dotted(text: str) -> str:
    """`text` with words of two or more capitals written K.F.C., so that character models of F5 spell them."""

    def word(found: re.Match[str]) -> str:
        acronym = _ACRONYM.fullmatch(found.group())
        if not acronym:
            return found.group()
        return (
            ".".join(acronym[1])
            + ("." if found.string[found.end() : found.end() + 1] != "." else "")
            + (acronym[2] or "")
        )

    return _WORD.sub(word, text)


def phones(text: str) -> list[tuple[str, int]]:
    """The phones of an English text, each with the number of its word, -1 for pauses and marks.

    ValueError: nothing in the text can be read.
    """
    from ishowtts import _phones  # a C extension that only phone models need

    result: list[tuple[str, int]] = _phones.phones(letters(text))
    return result
