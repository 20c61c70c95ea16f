"""The language of a line, guessed from its script.

It decides how numbers and symbols are read, for which the script suffices. Latin script is English unless the caller
knows the language.
"""

from __future__ import annotations

import re

_SCRIPTS = [
    ("ja", re.compile(r"[\u3040-\u30ff\uff66-\uff9f]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]+")),
    ("el", re.compile(r"[\u0370-\u03ff]+")),
    ("ar", re.compile(r"[\u0600-\u06ff]+")),
    ("he", re.compile(r"[\u0590-\u05ff]+")),
    ("hi", re.compile(r"[\u0900-\u097f]+")),
    ("th", re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e7f]+")),
]
_CHINESE_MARKS = re.compile(r"[，。！？、；]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]+")


def is_han(char: str) -> bool:
    """Whether a character is a Chinese one."""
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\U00020000" <= char <= "\U0003134f"


def guess(text: str) -> str:
    """The language subtag ("en", "zh", "ja", …) of the script in which most words of `text` are, else "en".

    A Chinese character counts as one word, as does a run of letters. With any kana but の, which Chinese lines use too,
    Chinese characters are Japanese. In a text without words the punctuation decides.
    """
    if text.isascii():
        return "en"
    distinct = "".join(set(text))
    counts = {name: len(pattern.findall(text)) if pattern.search(distinct) else 0 for name, pattern in _SCRIPTS}
    if counts["ja"] == text.count("の") and counts["zh"]:
        counts["ja"] = 0
    if counts["ja"]:
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=lambda name: counts[name])
    latin = len(_LATIN.findall(text))
    if not latin and not counts[best] and _CHINESE_MARKS.search(text):
        return "zh"
    return best if counts[best] > latin else "en"


def base(language: str | None) -> str:
    """The first subtag of a BCP 47 tag in lower case, "" for None."""
    return (language or "").replace("_", "-").split("-")[0].lower()
