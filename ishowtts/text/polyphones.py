"""The reading of each Chinese character in a line, for characters with several.

Words in pypinyin's dictionary have known readings, and the network of g2pM predicts one from the context. Where they
differ the dictionary is used, unless the network is very certain. Our own tables of words come before both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from . import tables

if TYPE_CHECKING:
    from .polyphone_network import Network

Span = tuple[int, int]

SURE = 8.0
"""Difference of logits by which the network must prefer another reading to overrule the dictionary."""


@cache
def _own_words() -> dict[str, list[str]]:
    return {word: said.split() for word, said in tables.load("pinyin").words("word").items()}


def _alone(text: str, at: int) -> str:
    """The reading that a character which is a word of its own has in chat, if it differs from that in prose, else "".

    The network was trained on prose.
    """
    table = tables.load("pinyin")
    before, char, after = text[at - 1 : at], text[at], text[at + 1 : at + 2]
    if char == "得" and before.isalpha() and after.isalpha():
        rule = table.words("得")
        if before in rule["before"]:
            return "" if after in rule["not"] else "dei3"
        return "de5" if after in rule["degree"] else ""
    closes = before.isalpha() and not after.isalpha()
    return table.words("alone").get(char, "") or (table.words("particle").get(char, "") if closes else "")


@cache
def network() -> Network:
    """The network, loaded at the first call."""
    from .polyphone_network import Network  # imports numpy, which other languages do not need

    return Network()


def warm() -> None:
    """Load weights and dictionaries, so that the first line does not wait for them."""
    network()
    _word("预热")


@cache
def _dictionary() -> tuple[dict[str, Any], dict[int, str], Any]:
    import pypinyin  # noqa: F401 - waits for a thread that imports it, which its submodules alone do not
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT
    from pypinyin.contrib.tone_convert import to_tone3

    return PHRASES_DICT, PINYIN_DICT, to_tone3


@lru_cache(4096)
def _digit(syllable: str) -> str:
    """A syllable with the tone as a digit, from one with the tone as a mark."""
    written: str = _dictionary()[2](syllable, v_to_u=False)
    return written if written[-1:].isdigit() else written + "5"


def _word(word: str) -> list[str] | None:
    """The readings of a word's characters in the dictionary, None for unknown words."""
    found = _dictionary()[0].get(word)
    return None if found is None or len(found) != len(word) else [_digit(several[0]) for several in found]


def _single(char: str) -> str:
    """The most frequent reading of a character, "" where it is unknown."""
    known = network().readings.get(char)
    if known:
        return known[0]
    found = _dictionary()[1].get(ord(char))
    return _digit(found.split(",")[0]) if found else ""


def _own(text: str) -> dict[int, str]:
    """The readings of words in our own table by position, of the longest where several begin."""
    said: dict[int, str] = {}
    own, at = _own_words(), 0
    longest = max(map(len, own))
    while at < len(text):
        size = next((n for n in range(min(longest, len(text) - at), 0, -1) if text[at : at + n] in own), 0)
        said.update(enumerate(own[text[at : at + size]] if size else (), at))
        at += size or 1
    return said


def _parts(word: str) -> list[Span]:
    """The spans of the longest dictionary words inside `word`, from left to right."""
    spans, at = [], 0
    while at < len(word) - 1:
        size = next((n for n in range(len(word) - at, 1, -1) if word[at : at + n] in _dictionary()[0]), 1)
        if size > 1:
            spans.append((at, at + size))
        at += size
    return spans


def read(text: str, words: Sequence[Span]) -> list[str]:
    """The reading of each character of `text` inside the spans `words`, before tone sandhi; "" for other characters.

    Readings are syllables with a tone digit, 5 for the neutral tone. The rest of `text` is used as context.
    """
    net = network()
    said = [""] * len(text)
    fixed = _own(text)
    known: dict[int, str] = {}
    unsure: list[int] = []
    for start, end in words:
        for a, b in _parts(text[start:end]):
            known.update(enumerate(_word(text[start + a : start + b]) or (), start + a))
        for at in range(start, end):
            if (end - start == 1 or (text[at] == "得" and at not in known)) and (meant := _alone(text, at)):
                fixed.setdefault(at, meant)
        for at in range(start, end):
            said[at] = fixed.get(at) or known.get(at) or _single(text[at])
            if at not in fixed and len(net.readings.get(text[at], ())) > 1 and text[at] in net.ids:
                unsure.append(at)
    if unsure:
        for at, logits in zip(unsure, net.scores(text, unsure), strict=True):
            score = {r: float(logits[k]) for r in net.readings[text[at]] if (k := net.classes.get(r)) is not None}
            best = max(score, key=lambda r: score[r], default="")
            if best and (at not in known or score[best] - score.get(known[at], score[best]) > SURE):
                said[at] = best
    return said
