"""Tone sandhi of Mandarin by rules: 不, 一, third tones, neutral endings, and the r of erhua."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from . import tables

Word = tuple[str, list[str]]
"""A word, and the syllable with its tone digit of each character, "" for one without a reading."""

_DIGITS = frozenset("零〇一二三四五六七八九十百千万亿两几")
_LARGE = frozenset("百千万亿两几")
_ORDINAL = ("一月", "一号", "一等", "一级", "一班", "一年级", "一楼", "一战", "一中")
_NEUTRAL_ENDS = frozenset("子们么")


@cache
def _neutral() -> frozenset[str]:
    return tables.load("pinyin").list("neutral")


@cache
def _child() -> frozenset[str]:
    """Words in which 子 or 儿 has its full tone."""
    return tables.load("pinyin").list("child")


def _erhua(words: list[Word]) -> list[Word]:
    """Join the r of 儿 to the syllable before it."""
    out: list[Word] = []
    for word, syllables in words:
        ends = word.endswith("儿") and word not in _child()
        if ends and len(word) > 1 and syllables[-2]:
            out.append((word, [*syllables[:-2], _coloured(syllables[-2])]))
        elif ends and word == "儿" and out and out[-1][1] and out[-1][1][-1] and not out[-1][0].endswith("儿"):
            before, said = out[-1]
            out[-1] = (before + word, [*said[:-1], _coloured(said[-1])])
        else:
            out.append((word, syllables))
    return out


def _coloured(syllable: str) -> str:
    return syllable[:-1] + "r" + syllable[-1]


def _tone(syllable: str) -> str:
    return syllable[-1:]


def _bu_and_yi(chars: str, said: list[str], starts: set[int]) -> None:
    """Change the tones of 不 and 一 in `said` by what follows; `starts`: indices at which words begin."""
    for i, char in enumerate(chars):
        if char not in "不一" or said[i][:-1] not in ("bu", "yi") or _tone(said[i]) == "5":
            continue
        before, after = chars[i - 1] if i else "", chars[i + 1] if i + 1 < len(chars) else ""
        if before and before == after and before not in _DIGITS:
            said[i] = said[i][:-1] + "5"  # 是不是, 看一看
        elif not after:
            pass
        elif char == "不":
            said[i] = "bu2" if _tone(said[i + 1]) == "4" else "bu4"
        elif not _counts(chars, i, starts):
            falls = _tone(said[i + 1]) == "4" or after in "个個"
            said[i] = "yi2" if falls else "yi4"


def _counts(chars: str, i: int, starts: set[int]) -> bool:
    """Whether the 一 at `i` has its own tone: as a digit among others, in an ordinal, at the end of a word."""
    before, after = chars[i - 1 : i], chars[i + 1]
    if before == "第" or chars.startswith(_ORDINAL, i) or (i not in starts and i + 1 in starts):
        return True
    return any(c and c in _DIGITS and c not in _LARGE for c in (before, after))


def _third_tones(said: list[str], spans: list[tuple[int, int]]) -> None:
    """Change a third tone before another one to a second tone in `said`.

    It applies inside words, and between two words of which one has a single syllable.
    """
    third = [_tone(s) == "3" for s in said]
    for start, end in spans:
        low = start
        if end - start == 3 and all(third[start:end]) and said[start][:-1] in ("xiao", "lao", "mei", "hao", "hen"):
            low = start + 1  # 小老虎: the last two syllables are a unit
        for i in range(low, end - 1):
            if third[i] and third[i + 1]:
                said[i] = said[i][:-1] + "2"
    for (start, end), (then, until) in reversed(list(pairwise(spans))):
        short = end - start == 1 or until - then == 1
        if short and _tone(said[end - 1]) == "3" and _tone(said[then]) == "3":
            said[end - 1] = said[end - 1][:-1] + "2"


def _neutral_suffix(word: str, said: list[str], start: int, end: int) -> None:
    """Make the suffixes 子, 们 and 么 neutral in `said`, before the rules of third tones."""
    if end - start > 1 and word[-1] in _NEUTRAL_ENDS and said[end - 1] and word not in _child():
        said[end - 1] = said[end - 1][:-1] + "5"


def apply(words: list[Word]) -> list[Word]:
    """The words of a phrase without pauses with their spoken tones; characters without a reading are left out."""
    chars, starts = "", set()
    said: list[str] = []
    spans: list[tuple[int, int]] = []
    for word, syllables in words:
        starts.add(len(said))
        spans.append((len(said), len(said) + len(syllables)))
        chars += word
        said += syllables
        _neutral_suffix(word, said, *spans[-1])
    _bu_and_yi(chars, said, starts)
    _third_tones(said, spans)
    for (word, _), (_, end) in zip(words, spans, strict=True):
        if word in _neutral() and said[end - 1]:
            said[end - 1] = said[end - 1][:-1] + "5"  # after third tones: 想想 is xiang2 xiang5
    changed = _erhua([(word, said[start:end]) for (word, _), (start, end) in zip(words, spans, strict=True)])
    return [(word, [s for s in syllables if s]) for word, syllables in changed]
