"""The user's pronunciations: words and phrases that are replaced by another spelling before a line is read.

    >>> applied = Lexicon([Entry("GIF", "jiff")]).apply("a gif!", "en")
    >>> applied.text
    'a jiff!'

A process has one lexicon, that of its configuration.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from . import detect


class Entry(NamedTuple):
    """A pronunciation: `said` is read instead of `word`, in any case.

    `language`: BCP 47; it applies to lines in that language, None: to all.
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
        known = sorted((_lower(entry.word), entry) for entry in self.entries if entry.word)
        self._by_head = {
            head: sorted(group, key=lambda pair: -len(pair[0]))
            for head, group in groupby(known, lambda pair: pair[0][0])
        }

    def apply(self, text: str, language: str | None) -> Applied:
        """`text` with the entries for `language` (BCP 47) replaced, the longest where several begin at one place."""
        if not self._by_head:
            return Applied(text)
        low, spoken = _lower(text), detect.base(language)
        out: list[str] = []
        changes: list[Change] = []
        at = last = size = 0
        while at < len(low):
            found = self._at(low, at, spoken)
            if found:
                end = at + len(found.word)
                out += [text[last:at], found.said]
                begin = size + at - last
                size = begin + len(found.said)
                changes.append(Change(at, end, begin, size))
                at = last = end
            else:
                at += 1
        return Applied("".join(out) + text[last:], changes)

    def _at(self, low: str, at: int, language: str) -> Entry | None:
        if low[at] not in self._by_head or (at and _joined(low[at - 1], low[at])):
            return None
        for word, entry in self._by_head[low[at]]:
            end = at + len(word)
            whole = low.startswith(word, at) and (end >= len(low) or not _joined(low[end - 1], low[end]))
            if whole and (entry.language is None or detect.base(entry.language) == language):
                return entry
        return None


_in_use = Lexicon()


def use(entries: Iterable[Entry]) -> None:
    """Make `entries` the lexicon of the process. May be called from any thread."""
    global _in_use
    _in_use = Lexicon(entries)


def current() -> Lexicon:
    """The lexicon of the process."""
    return _in_use
