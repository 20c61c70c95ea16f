"""The user's pronunciations: words and phrases that are replaced by another spelling before a line is read.

    >>> applied = Lexicon([Entry("GIF", "jiff")]).apply("a gif!", "en")
    >>> applied.text
    'a jiff!'

They are put into a line before anything else reads it. One lexicon is in use in a process: what the configuration says
and what was given over HTTP, which counts where both have a word.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ishowtts.errors import TextError

from . import detect, pronounce


class Entry(NamedTuple):
    """`said` is read instead of `word`, in upper or lower case.

    `language`: BCP 47; only in lines of this language, None: in all.

    `said`: a respelling, `/IPA/`, or `{phones}` of its language (see `pronounce`).
    """

    word: str
    said: str
    language: str | None = None


class Change(NamedTuple):
    """A replacement: text[start:end] of the original became text[begin:stop] of the result."""

    start: int
    end: int
    begin: int
    stop: int


@dataclass(slots=True)
class Applied:
    """A line with its replacements, and the mapping of positions back to the original."""

    text: str
    changes: list[Change] = field(default_factory=list)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of text[start:end] in the original; for a part of a replacement, the whole phrase."""
        return self._place(start, False), max(self._place(start, False), self._place(end, True))

    def _place(self, at: int, ends: bool) -> int:
        k = bisect_right(self.changes, at - ends, key=lambda change: change.begin) - 1
        if k < 0:
            return at
        change = self.changes[k]
        if at - ends < change.stop:
            return change.end if ends else change.start
        return at + change.end - change.stop


def _lower(text: str) -> str:
    """`text` in lower case, character by character, so that positions do not change."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _joined(a: str, b: str) -> bool:
    """Whether two adjacent characters are in one word; between Chinese or Japanese ones a word may always end."""
    return a.isalnum() and b.isalnum() and not any(detect.is_han(c) or "\u3040" <= c <= "\u30ff" for c in (a, b))


class Lexicon:
    """A set of entries, indexed by their first characters; applying it takes a look-up for each character."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(entries)
        known = sorted(((_lower(entry.word), entry) for entry in self.entries if entry.word), key=lambda pair: pair[0])
        self._by_head = {
            head: sorted(group, key=lambda pair: -len(pair[0]))
            for head, group in groupby(known, lambda pair: pair[0][0])
        }

    def apply(self, text: str, language: str | None, letters: bool = False) -> Applied:
        """`text` with what is in the lexicon for its language; of phrases that begin at one place the longest counts.

        `letters`: for a model that reads letters, not phones.
        """
        if not self._by_head:
            return Applied(text)
        low, spoken = _lower(text), detect.base(language)
        out: list[str] = []
        changes: list[Change] = []
        at = last = size = 0
        while at < len(low):
            found = self._at(low, at, spoken)
            if found:
                word, said = found
                end = at + len(word)
                put = pronounce.written(said, spoken, letters)
                out += [text[last:at], put]
                begin = size + at - last
                size = begin + len(put)
                changes.append(Change(at, end, begin, size))
                at = last = end
            else:
                at += 1
        return Applied("".join(out) + text[last:], changes)

    def _at(self, low: str, at: int, language: str) -> tuple[str, str] | None:
        """What is read at a place instead of what: (word, said)."""
        if low[at] not in self._by_head or (at and _joined(low[at - 1], low[at])):
            return None
        for word, entry in self._by_head[low[at]]:
            end = at + len(word)
            whole = low.startswith(word, at) and (end >= len(low) or not _joined(low[end - 1], low[end]))
            if whole and (entry.language is None or detect.base(entry.language) == language):
                return word, entry.said
        return None


def check(entry: Entry) -> None:
    """TextError with the field where an entry cannot be read: "word", "said" or "language"."""
    if not any(map(str.isalnum, entry.word)):
        raise TextError("A word needs a letter or a digit.", field="word")
    language = detect.base(entry.language)
    if entry.said.startswith("{") and language not in pronounce.LANGUAGES:
        raise TextError("Phones belong to a language: give en, de or zh.", field="language")
    for spoken in (language,) if language else ("en", "de"):
        try:
            pronounce.written(entry.said, spoken)
        except ValueError as error:
            raise TextError(f"{entry.said} cannot be read: {error}.", field="said") from None


_configured: tuple[Entry, ...] = ()
_told: tuple[Entry, ...] = ()
_in_use = Lexicon()


def use(entries: Iterable[Entry]) -> None:
    """Read by these of the configuration from now on. Any thread."""
    global _configured
    _configured = tuple(entries)
    _join()


def tell(entries: Iterable[Entry]) -> None:
    """Read by these of the user's as well from now on, before those of the configuration. Any thread."""
    global _told
    _told = tuple(entries)
    _join()


def key(entry: Entry) -> str:
    """What the words of entries are compared by."""
    return " ".join(_lower(entry.word).split())


def _join() -> None:
    global _in_use
    own = {(key(entry), detect.base(entry.language)) for entry in _told}
    rest = (entry for entry in _configured if (key(entry), detect.base(entry.language)) not in own)
    _in_use = Lexicon((*_told, *rest))


def current() -> Lexicon:
    """What `use` and `tell` were given last."""
    return _in_use


def stored(folder: str | Path) -> list[Entry]:
    """The entries that a server keeps in its state folder (csrc/store/lexicon.c); none without such a folder."""
    file = Path(folder).expanduser().absolute() / "ishowtts.db"
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT word, said, language FROM lexicon ORDER BY word, language").fetchall()
    except sqlite3.Error:
        return []
    return [Entry(word, said, language or None) for word, said, language in rows]
