"""English words as phones, by flite: letters of acronyms one by one, sounds and new words by a table of respellings."""

from __future__ import annotations

import re

from . import heteronyms
from .tables import load

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_ACRONYM = re.compile(r"([A-Z]{2,})(s|'s)?")
_RESPELLED = load("en").words("respelled")
_READ_LIKE_ENGLISH = str.maketrans("，。！？；：、", ",.!?;:,")


def _word(found: re.Match[str]) -> str:
    word = found.group()
    acronym = _ACRONYM.fullmatch(word)
    if acronym:
        return " ".join(acronym[1]) + ("'s" if acronym[2] else "")
    return _RESPELLED.get(word.lower(), word)


def letters(text: str) -> str:
    """`text` as flite reads it right; words in two or more capitals become their letters."""
    return _WORD.sub(_word, heteronyms.respell(text.translate(_READ_LIKE_ENGLISH)))


def dotted(text: str) -> str:
    """`text` with words in two or more capitals as K.F.C., which is how F5's character models are asked for letters."""

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
    """Phones of an English text, with the word each belongs to, -1 for pauses and marks; ValueError for nothing readable."""
    from ishowtts import _phones  # a C extension, loaded when a phone model is

    result: list[tuple[str, int]] = _phones.phones(letters(text))
    return result
