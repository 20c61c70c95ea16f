"""English heteronyms, words with two pronunciations, which the neighbouring words distinguish.

flite guesses parts of speech and is often wrong about chat ("we are live", "lead the way"). Here the neighbours decide
by `tables/heteronyms_en.tsv`: first fixed combinations, then whether a verb is possible there.
"""

from __future__ import annotations

import re
from functools import cache

from . import tables

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*|[.!?]")
_SENTENCE = 12
"""Number of words on either side in which a sign of past tense is searched, for "read"."""


_BETWEEN = frozenset(("i", "you", "we", "they", "he", "she", "just", "never", "already"))
"""Words that may be between a word that decides and the heteronym: "are you live"."""


@cache
def _words(section: str, word: str | None = None) -> frozenset[str]:
    """The words of a section of the table, or of the row of `word` in it."""
    table = tables.load("heteronyms_en")
    return table.list(section) if word is None else frozenset(table.words(section).get(word, "").split())


def _said(words: list[str], at: int) -> str:
    """The respelling of the heteronym words[at], "-" for none; `words` has "" where a sentence ends."""
    table, word = tables.load("heteronyms_en"), words[at]
    verb, other = table.section("word")[word]
    front, before = words[max(0, at - 2) : at], words[at - 1] if at else ""
    after = words[at + 1] if at + 1 < len(words) else ""
    nearest = front[0] if before in _BETWEEN and len(front) > 1 else before
    for phrase, (heteronym, said) in table.section("phrase").items():
        if heteronym == word:
            whole = phrase.split()
            start = at - whole.index(word)
            if start >= 0 and words[start : start + len(whole)] == whole:
                return said
    rare = table.section("rare").get(word)
    if rare and (after in rare[0].split() or nearest in rare[1].split()):
        return rare[2]
    if word == "read":
        nearby = words[max(0, at - _SENTENCE) : at + _SENTENCE]
        present = _words("verb behind") & {*front} - _BETWEEN
        return "red" if _words("past").intersection(nearby) and not present else verb
    if after in _words("none", word) or nearest in _words("none after", word):
        return other
    if after in _words("verb", word) and before not in _words("noun behind"):
        return verb
    return verb if before in _words("verb behind") else other


def respell(text: str) -> str:
    """`text` with heteronyms respelled so that flite gives the pronunciation that is meant."""
    places = list(_WORD.finditer(text))
    words = ["" if found.group() in ".!?" else found.group().lower() for found in places]
    known = tables.load("heteronyms_en").section("word")
    if known.keys().isdisjoint(words):
        return text
    out, last = [], 0
    for at, found in enumerate(places):
        if words[at] in known and not (found.group().isupper() and len(found.group()) > 1):
            said = _said(words, at)
            if said != "-":
                out += [text[last : found.start()], said]
                last = found.end()
    return "".join(out) + text[last:]
