"""Word and character error rates between a text and what a recogniser heard, in every language.

Both are first read as the engine reads text, so "250", "$5" and "20:15" count as the words that are spoken. A word of
Mandarin is a syllable without its tone, because a recogniser chooses among characters that sound alike; `tones`
measures tones. In other scripts without spaces every character is a word.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ishowtts.text import detect, mandarin
from ishowtts.text.reading import read

from . import bootstrap

Counts = NDArray[np.float64]
"""[sentences, 4]: word errors, words, character errors, characters."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_SCRIPTS = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Letters of scripts without spaces between words, for a character class."""
_UNSPACED = re.compile(f"[{_SCRIPTS}]")
_RUN = re.compile(f"[{_SCRIPTS}]+|[^{_SCRIPTS}]+")
_HUNDRED_AND = re.compile(r"\b(hundred|thousand|million) and (?=[a-z]+)")


class Units(NamedTuple):
    """The units that are compared: words (in Mandarin syllables without tones), and all characters as one string."""

    words: list[str]
    characters: str


def units(text: str, language: str | None = None) -> Units:
    """The units of a text, in lower case and without punctuation; `language`: BCP 47, None: guessed from the script."""
    here = detect.base(language) or detect.guess(text)
    said = read(text, here).text.lower().replace("’", "'").replace("-", " ")
    if here == "en":
        said = _HUNDRED_AND.sub(r"\1 ", said)
    pieces = _join_letters(_WORD.findall(said))
    if not any(map(_UNSPACED.search, pieces)):
        return Units(pieces, " ".join(pieces))
    words: list[str] = []
    for piece in pieces:
        for run in _RUN.findall(piece):
            if not _UNSPACED.match(run):
                words.append(run)
            else:
                words += _syllables(run) if here == "zh" else run
    return Units(words, "".join(pieces))


def _join_letters(words: Sequence[str]) -> list[str]:
    """Join letters that are spelled one by one: "f", "p", "s" become "fps"."""
    out: list[str] = []
    for single, run in itertools.groupby(words, lambda word: len(word) == 1 and "a" <= word <= "z"):
        letters = list(run)
        spelled = single and len(letters) > 1 and not set(letters) <= {"a", "i"}
        out += ["".join(letters)] if spelled else letters
    return out


def _syllables(run: str) -> list[str]:
    """Syllables of Chinese characters, without tones and without the r of erhua."""
    words = [word for part in mandarin.pinyin(run) for word in part]
    said = [syllable.rstrip("012345") for _, syllables in words for syllable in syllables]
    return [name[:-1] if name.endswith("r") and name not in ("er", "r") else name for name in said]


def count(text: str, heard: str, language: str | None = None) -> tuple[int, int, int, int]:
    """Word errors, words, character errors and characters of a sentence `text` that was heard as `heard`."""
    from rapidfuzz.distance import Levenshtein  # of an extra, which not every command of this package needs

    here = detect.base(language) or detect.guess(text)
    a, b = units(text, here), units(heard, here)
    words, characters = (Levenshtein.distance(mine, theirs) for mine, theirs in zip(a, b, strict=True))
    return words, len(a.words), characters, len(a.characters)


def errors(text: str, heard: str, language: str | None = None) -> tuple[float, float]:
    """Word and character error rate of a sentence; NaN for a text without words."""
    wrong, words, off, characters = count(text, heard, language)
    return (wrong / words, off / characters) if words else (float("nan"), float("nan"))


def rates(counts: Counts) -> dict[str, tuple[float, float, float]]:
    """Error rates "wer" and "cer" over all sentences, each as (rate, low, high): a 95 % interval by bootstrap."""
    picks = counts[bootstrap.resamples(len(counts))].sum(axis=1)
    total = counts.sum(axis=0)
    out = {}
    for name, at in (("wer", 0), ("cer", 2)):
        out[name] = (float(total[at] / total[at + 1]), *bootstrap.bounds(picks[:, at] / picks[:, at + 1]))
    return out
