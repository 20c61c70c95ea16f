"""Phones of Mandarin: characters to words, to pinyin, and to an initial and a final with its tone for each syllable.

Words in Latin letters have the phones of the English front end, so that one model reads mixed lines. Pauses and closing
marks have the English symbols too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

from . import english, polyphones, sandhi

PREFIX = "zh_"
TONES = "12345"
"""The tones; the fifth is the neutral one."""

_INITIALS = {
    "b": "b", "p": "p", "m": "m", "f": "f", "d": "d", "t": "t", "n": "n", "l": "l", "g": "g", "k": "k", "h": "hh",
    "j": "jh", "q": "ch", "x": "sh", "zh": "jh", "ch": "ch", "sh": "sh", "r": "r", "z": "z", "c": "t", "s": "s",
}  # fmt: skip
"""The initials, each with the English phone that sounds most like it."""
_FINALS = {
    "a": "aa", "o": "ao", "e": "ah", "ai": "ay", "ei": "ey", "ao": "aw", "ou": "ow", "an": "aa", "en": "ax",
    "ang": "aa", "eng": "ah", "ong": "uh", "er": "er", "i": "iy", "ia": "aa", "io": "ao", "ie": "eh", "iao": "aw",
    "iu": "ow", "ian": "eh", "in": "ih", "iang": "aa", "ing": "ih", "iong": "uh", "u": "uw", "ua": "aa", "uo": "ao",
    "uai": "ay", "ui": "ey", "uan": "aa", "un": "uh", "uang": "aa", "ueng": "ah", "v": "iy", "ve": "eh", "van": "ae",
    "vn": "ih", "ii": "ih", "iii": "er",
}  # fmt: skip
"""The finals as pinyin writes them after a consonant, each with the English vowel that sounds most like it.

"v" is ü, "ii" the vowel of zi, ci and si, "iii" that of zhi, chi, shi and ri.
"""
ERHUA = PREFIX + "r5"
"""The symbol of erhua, an r at the end of a syllable: 哪儿 is one syllable of three symbols."""
SYMBOLS = (
    *(PREFIX + initial for initial in _INITIALS),
    *(PREFIX + final + tone for final in _FINALS for tone in TONES),
    ERHUA,
)
"""All symbols of Mandarin syllables, in the order of a vocabulary; pauses and marks are not among them."""

_ZERO = {  # pinyin's spelling of syllables without an initial
    "yi": "i", "ya": "ia", "yo": "io", "ye": "ie", "yai": "iao", "yao": "iao", "you": "iu", "yan": "ian", "yin": "in",
    "yang": "iang", "ying": "ing", "yong": "iong", "wu": "u", "wa": "ua", "wo": "uo", "wai": "uai", "wei": "ui",
    "wan": "uan", "wen": "un", "wang": "uang", "weng": "ueng", "wong": "ong", "yu": "v", "yue": "ve", "yuan": "van",
    "yun": "vn", "n": "en", "ng": "en", "m": "en", "ê": "ei", "eh": "ei",
}  # fmt: skip
_SPELLED = {"hm": "hen", "hng": "heng"}
_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcs])?([a-zvê]+)")

HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Chinese characters, for a character class."""
_LATIN = r"A-Za-z0-9\u00c0-\u024f"
_RUN = re.compile(f"[{HAN}]+")
_PIECE = re.compile(
    rf"(?P<han>[{HAN}]+)"
    rf"|(?P<latin>[{_LATIN}](?:[{_LATIN}'’&]|[ \-](?=[{_LATIN}]))*)"
    r"|(?P<pause>(?:\.{2,}|…)+|[,，、;；:：()（）—–/]|\s-+\s)|(?P<mark>[.。!！?？]+)|(?P<space>\s+)"
)
_LONGEST = 2000
"""Largest number of letters in one call of the English front end."""
_LETTER_A = (("ey1", 0),)


def syllable(pinyin: str) -> list[str]:
    """The symbols of a syllable with a tone digit: "zhuang4" is zh_zh, zh_uang4; "huar1" is zh_h, zh_ua1, zh_r5.

    ü may be written "v" or "u:"; without a digit the tone is neutral. ValueError: it is no syllable.
    """
    text = pinyin.lower().replace("u:", "v").replace("ü", "v")
    tone = text[-1:] if text[-1:] in TONES else "5"
    text = text.rstrip("012345")
    coloured = text.endswith("r") and text not in ("er", "r")
    text = _SPELLED.get(text, text)
    if coloured:
        text = text[:-1]
    if text == "r":
        return [ERHUA]
    initial, final = "", _ZERO.get(text, "")
    if not final and (found := _SYLLABLE.fullmatch(text)):
        initial, final = found[1] or "", found[2]
        if initial in ("j", "q", "x") and final[0] == "u":
            final = "v" + final[1:]  # ju is jü
        if final == "i":
            final = {"z": "ii", "c": "ii", "s": "ii", "zh": "iii", "ch": "iii", "sh": "iii", "r": "iii"}.get(
                initial, "i"
            )
        final = {"ue": "ve", "iou": "iu", "uei": "ui", "uen": "un"}.get(final, final)
    if final not in _FINALS:
        raise ValueError(f"{pinyin!r} is not a pinyin syllable")
    return [*([PREFIX + initial] if initial else []), PREFIX + final + tone, *([ERHUA] if coloured else [])]


@cache
def _cut() -> Callable[[str], list[str]]:
    import rjieba  # it reads its dictionary at the first call

    cut: Callable[[str], list[str]] = rjieba.cut
    return cut


def warm() -> None:
    """Load dictionaries and weights, which takes about a second, so that the first line does not wait for them."""
    polyphones.warm()
    _cut()("预热")


def words(text: str) -> list[tuple[int, int]]:
    """The spans of the words in the Chinese parts of `text`, in order."""
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        at = run.start()
        for word in _cut()(run.group()):
            spans.append((at, at + len(word)))
            at += len(word)
    return spans


def pinyin(text: str) -> list[list[tuple[str, list[str]]]]:
    """The words of each run of Chinese characters in `text`, with their syllables and tones after tone sandhi.

    Text between the runs is used as context. The r of erhua is part of the syllable before it: 玩儿 is ["wanr2"]. A
    character that is in no dictionary has no syllable.
    """
    spans = words(text)
    said = polyphones.read(text, spans)
    runs: list[list[tuple[str, list[str]]]] = []
    last = -1
    for a, b in spans:
        if a != last:
            runs.append([])
        runs[-1].append((text[a:b], said[a:b]))
        last = b
    return [sandhi.apply(run) for run in runs]


@lru_cache(4096)
def _symbols(written: str) -> tuple[str, ...]:
    return tuple(syllable(written))


def _english(text: str) -> list[tuple[str, int]]:
    """The phones of words in Latin letters without the pause before and the mark after; [] for unreadable ones."""
    if text in ("A", "a"):
        return list(_LETTER_A)
    try:
        said = english.phones(text)
    except ValueError:
        return []
    return [(name, word) for name, word in said if word >= 0 or name == "pau"][1:]


def has_chinese(text: str) -> bool:
    """Whether `text` has a Chinese character."""
    return _RUN.search(text) is not None


def phones(text: str) -> list[tuple[str, int]]:
    """The symbols of a text in Chinese, English or both, each with the number of its word, -1 for pauses and marks.

    Digits are read in English; numbers in Chinese must be written in words. ValueError: nothing can be read.
    """
    if not has_chinese(text):
        return english.phones(text)
    out: list[tuple[str, int]] = [("pau", -1)]
    count, space = 0, False

    def mark(name: str) -> None:
        if count and out[-1][1] >= 0:
            out.append((name, -1))
        elif count and name != "pau" and out[-1][0] == "pau":
            out[-1] = (name, -1)

    def say(names: list[tuple[str, int]]) -> None:
        nonlocal count
        if names and out[-1][0] in (".", "?", "!"):
            out.append(("pau", -1))  # a new sentence begins with a pause
        out.extend((name, count + word if word >= 0 else -1) for name, word in names)
        count += 1 + max((word for _, word in names), default=-1)

    text = unicodedata.normalize("NFKC", text)
    chinese = iter(pinyin(text))
    for found in _PIECE.finditer(text):
        piece, kind = found.group(), found.lastgroup
        if kind == "han":
            if space:
                mark("pau")  # a space between Chinese words is read as a comma
            for _, syllables in next(chinese):
                say([(name, 0) for written in syllables for name in _symbols(written)])
        elif kind == "latin":
            for start in range(0, len(piece), _LONGEST):
                say(_english(piece[start : start + _LONGEST]))
        elif kind == "pause":
            mark("pau")
        elif kind == "mark":
            mark("?" if set(piece) & set("?？") else "!" if set(piece) & set("!！") else ".")
        space = kind == "space" and out[-1][0].startswith(PREFIX)
    if not count:
        raise ValueError("the text has nothing that can be read aloud")
    mark(".")
    return out


def relatives(symbol: str) -> list[str]:
    """Symbols that sound like one of SYMBOLS, the nearest first: the same final in other tones, an English phone."""
    name, tone = symbol[len(PREFIX) : -1], symbol[-1]
    if symbol == ERHUA:
        return [PREFIX + "er2", "r"]
    if tone not in TONES:
        return [_INITIALS[name + tone]]
    order = {"5": "4123", "2": "3514", "3": "2514"}.get(tone, "5423")
    return [*(PREFIX + name + other for other in order if other != tone), _FINALS[name] + "1"]
