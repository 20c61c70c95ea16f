"""Words that are drawn out by repeating a letter: "sooooo", "yesss", "hmmm"; in Chinese by WAVE: 好～～.

A reading keeps such a word, with at most MOST letters more than it is spelled with. Its phones are those of the word as
it is spelled, and the phone of the letter takes longer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import NamedTuple

from . import tables

THREE = re.compile(r"(.)\1\1+", re.IGNORECASE | re.DOTALL)
MOST = 4
WAVE = "～"
PERCENT = 50
"""What each further letter adds to the duration of its phone, in percent."""
_WAVES = re.compile(f"{WAVE}+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_STOPS = frozenset("bcdgkpqt")
_VOWELS = frozenset("aeiouyäöü")
_SOUNDS = {"s": ("s", "z", "sch"), "z": ("z", "s"), "h": ("sh", "sch", "hh", "h"), "r": ("r", "rr", "er1", "er0")}
"""Phones of a consonant that more than one may stand for; another one's has its name."""


class Drawn(NamedTuple):
    """A drawn-out word: as it is spelled, and each letter that is repeated, as (its place there, further letters)."""

    base: str
    letters: tuple[tuple[int, int], ...]

    def written(self) -> str:
        """The word as a reading has it."""
        out, last = [], 0
        for at, more in self.letters:
            out.append(self.base[last:at] + self.base[at] * more)
            last = at
        return "".join(out) + self.base[last:]


def shorten(low: str, doubled: Collection[str], chat: Collection[str], sounds: Mapping[str, str]) -> tuple[str, Drawn]:
    """A drawn-out word with each long run of a letter reduced to one, or two where a known word has two; what it is.

    `low`: in lower case; `doubled`: words with two letters; `sounds`: how a word that is a sound is said.
    """
    pieces = THREE.split(low)  # between, letter, between, letter, …
    runs = len(pieces) // 2
    found = "".join(pieces)
    for chosen in range(1, 1 << min(runs, 3)):
        tried = _joined(pieces, [1 + (chosen >> n & 1) for n in range(runs)])
        if tried in doubled or tried in chat or tried in sounds:
            found = tried
            break
    base = sounds.get(found, found)
    for chosen in range(3 ** min(runs, 3)):
        sizes = [1 + chosen // 3**n % 3 for n in range(runs)]
        if _joined(pieces, sizes) == base:
            return found, Drawn(base, tuple(_further(low, pieces, sizes)))
    return found, Drawn(base, ())


def _joined(pieces: list[str], sizes: list[int]) -> str:
    return "".join(piece * sizes[n // 2] if n % 2 else piece for n, piece in enumerate(pieces))


def _further(low: str, pieces: list[str], sizes: list[int]) -> list[tuple[int, int]]:
    """Where each repeated letter stands in the word as it is spelled, and how often it is repeated beyond that."""
    found, at = [], 0
    for n, run in enumerate(THREE.finditer(low)):
        at += len(pieces[2 * n])
        more = min(len(run.group()) - sizes[n], MOST)
        if more:
            found.append((at, more))
        at += sizes[n]
    return found


@cache
def _known(language: str) -> tuple[frozenset[str], Mapping[str, str]]:
    table = tables.load("de" if language == "de" else "en")
    return table.list("double"), table.words("sound")


def find(text: str, language: str) -> list[tuple[int, int, Drawn]]:
    """(start, end, what it is) of each drawn-out word in a text that was read; words in capitals are spelled."""
    found = []
    for match in _WORD.finditer(text) if THREE.search(text) else ():
        word = match.group()
        if THREE.search(word) and not word.isupper():
            doubled, sounds = _known(language)
            found.append((match.start(), match.end(), shorten(word.lower(), doubled, (), sounds)[1]))
    return found


def waves(text: str) -> list[tuple[str, int]]:
    """For each run of WAVE in a text that was read: what stands before it, without such runs, and how long it is."""
    found, before, last = [], "", 0
    for run in _WAVES.finditer(text):
        before += text[last : run.start()]
        last = run.end()
        found.append((before, len(run.group())))
    return found


def plain(text: str, language: str) -> str:
    """`text` with its drawn-out words as they are spelled."""
    text = text.replace(WAVE, "")
    out, last = [], 0
    for start, end, drawn in find(text, language):
        out += [text[last:start], drawn.base.capitalize() if text[start].isupper() else drawn.base]
        last = end
    return "".join(out) + text[last:]


def percents(drawn: Drawn, phones: list[str]) -> list[int]:
    """Percent of its predicted duration that each of a drawn-out word's phones, named without prefix, takes."""
    made = [100] * len(phones)
    vowels = [i for i, name in enumerate(phones) if name[-1] in "01" or name[0] == "@"]
    for at, more in drawn.letters:
        letter = drawn.base[at]
        names = () if letter in _VOWELS or letter in _STOPS else _SOUNDS.get(letter, (letter,))
        likely = [i for i, name in enumerate(phones) if name in names] or vowels or [*range(len(phones))]
        place = (at + 0.5) / len(drawn.base) * len(phones) - 0.5
        made[min(likely, key=lambda i: abs(i - place))] += PERCENT * more
    return made
