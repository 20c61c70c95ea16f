"""Loan words of German, respelled so that the rules of German spelling give their sound: "Stream" as "striem".

The words are in `tables/loan_de.tsv`. Endings and other parts of compounds are German: "gestreamt", "Chatverlauf".
"""

from __future__ import annotations

from functools import cache

from . import tables

_ENDINGS = {"n": "en", "ed": "t"} | {ending: ending for ending in ("s", "es", "en", "er", "e", "em", "t", "te", "st")}
_LONG = 4
"""Length from which a word takes endings other than -s; with them, shorter ones would be other words (runen, mappe)."""


@cache
def _tables() -> tuple[dict[str, str], dict[str, str], frozenset[str], int]:
    """Words and stems with their respellings, the first three letters of stems, the length of the longest stem."""
    table = tables.load("loan_de")
    stems = table.words("stem")
    return table.words("word"), stems, frozenset(stem[:3] for stem in stems), max(map(len, stems))


def _inflected(word: str) -> str:
    """The respelling of a word of the table, with or without an ending; "" for other words."""
    words = _tables()[0]
    if word in words:
        return words[word]
    for ending, said in _ENDINGS.items():
        stem = word.removesuffix(ending)
        if stem == word:
            continue
        if stem in words and (ending == "s" or len(stem) >= _LONG) and (ending != "n" or stem.endswith("e")):
            return words[stem] + said
        if ending[0] == "e" and len(stem) + 1 >= _LONG and stem + "e" in words:
            return words[stem + "e"] + said
    return ""


def respell(word: str) -> str:
    """A word in lower case with its foreign parts respelled; the word itself where there are none."""
    found = _inflected(word) or (word.startswith("ge") and _inflected(word[2:]))
    if found:
        return ("ge" if word.startswith("ge") and not _inflected(word) else "") + found
    _, stems, heads, longest = _tables()
    out, at = "", 0
    while at < len(word):
        size = 0
        if word[at : at + 3] in heads and (at == 0 or out.endswith(("ge", "s", "n", "r", "t", "l", "f", "m"))):
            size = next((n for n in range(min(longest, len(word) - at), 2, -1) if word[at : at + n] in stems), 0)
        out += stems[word[at : at + size]] if size else word[at]
        at += size or 1
    return out
