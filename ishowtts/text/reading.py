"""The reading of a line: the spoken words, and the position of each in the written text.

    >>> reading = read("Paid $5 :)", "en")
    >>> reading.text
    'Paid five dollars'
    >>> reading.words[1]
    Word(text='five', start=5, end=7, kind='money')

All models use it. `clean` and `scan` divide the text into runs, a `Grammar` of the language recognises tokens in them,
and this module joins their words. Every step looks back and ahead by a bounded length, so the time is proportional to
the length of the text whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

from . import detect
from .clean import Dropped
from .drawn import MOST, WAVE
from .grammar import Found, Grammar, new
from .languages import GRAMMARS, PLAIN
from .scan import EXPRESSION, LETTERS, PAD, Line, Setting
from .words import Words

__all__ = ["Dropped", "Options", "Reading", "Token", "Word", "read"]


class Token(NamedTuple):
    """A token: text[start:end] of the original, its kind, and its words, "": it is not spoken."""

    written: str
    start: int
    end: int
    kind: str
    spoken: str


class Word(NamedTuple):
    """A spoken word; it belongs to the token text[start:end] of the original, of kind `kind`."""

    text: str
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Options:
    """How lines are read."""

    chat: bool = True
    """Chat's own words and emoticons are said in full (`pls`, `w/`, `<3`)."""
    scripts: str = LETTERS
    """Classes of letters that the voice reads (`scan`); words in others are dropped."""


@dataclass(slots=True)
class Reading:
    """The reading of the line `written`; `dropped`: parts of it that are not spoken."""

    language: str
    text: str
    """Words and punctuation; a word of two or more capitals is to be spelled letter by letter."""
    written: str
    words: list[Word] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    """Start, end, kind and spoken form of each token in turn: `tokens` without what few callers need."""
    dropped: list[Dropped] = field(default_factory=list)

    @property
    def tokens(self) -> list[Token]:
        """The tokens of the line in order."""
        each = iter(self.spans)
        written = self.written
        return [new(Token, (written[row[0] : row[1]], *row)) for row in zip(each, each, each, each, strict=True)]

    @property
    def unspoken(self) -> list[Dropped]:
        """The words that were dropped because the voice does not read their script."""
        return [part for part in self.dropped if part.why == "script"]

    def moved(self, text: str, span: Callable[[int, int], tuple[int, int]]) -> Reading:
        """The same reading with positions in `text`, to which `span` maps positions in the line that was read."""
        words = [word._replace(start=at, end=end) for word in self.words for at, end in [span(word.start, word.end)]]
        spans = [value for t in self.tokens for value in (*span(t.start, t.end), t.kind, t.spoken)]
        dropped = [Dropped(text[at:end], at, end, p.why) for p in self.dropped for at, end in [span(p.start, p.end)]]
        return replace(self, written=text, words=words, spans=spans, dropped=dropped)


DEFAULT = Options()
_NEAR = 12
_KNOWN = re.compile("[ah]")
_MOST = 1500
"""Tokens of a line that are read by all rules, which is more than a thousand words; what is behind them in a line
of noise is read run by run."""
_MANY = 800
"""Runs from which on places that look alike are read alike without looking again."""


def read(text: str, language: str | None = None, *, options: Options = DEFAULT) -> Reading:
    """The reading of `text`, which has no words where nothing can be spoken; nothing is raised.

    `language`: BCP 47, None: guessed from the script. In a line of several scripts, numbers are read in the language of
    the words next to them. In a language without a grammar digits are left to the model.
    """
    line = Line(text)
    here, latin = _languages(line, detect.base(language), options.scripts)
    scripts = options.scripts
    if here == "ja" and "k" not in scripts:
        scripts = scripts.replace("h", "")  # the Chinese characters of a Japanese line are not said in Mandarin
    writer = _Writer(text, line, scripts)
    main = GRAMMARS.get(here, PLAIN)
    line.setting = Setting(here, options.chat, isinstance(main, Words) and main.shouted(line))
    mixed = here in ("zh", latin) and here in GRAMMARS and "h" in line.shape and "h" in scripts
    other = GRAMMARS["zh" if here == latin else latin]
    either = _either(here, other.language) if mixed else frozenset()
    beside = _Beside(line, here == "zh") if mixed else None
    seen = _Seen(line) if line.count > _MANY else None
    i, shape, count, find, add, left = 0, line.shape, line.count, main.find, writer.add, _MOST
    while i < count and left:
        if shape[i] == " ":
            writer.gap = True
            i += 1
            continue
        left -= 1
        line.at = i
        if seen:
            found = seen.before(i)
            if found is None:
                found = other.find(line, i) if beside and shape[i] in either and beside.others(i) else find(line, i)
                if not seen.keep(i, found):
                    seen = None
        else:
            found = other.find(line, i) if beside and shape[i] in either and beside.others(i) else find(line, i)
        i = add(i, found)
    while i < count:
        if shape[i] == " ":
            writer.gap = True
            i += 1
        else:
            i = add(i, main.single(line, i))
    return writer.finish(here)


@cache
def _either(language: str, other: str) -> frozenset[str]:
    """Classes of runs that two languages may read differently."""
    return frozenset(GRAMMARS[language].rules.keys() | GRAMMARS[other].rules.keys()) - set(LETTERS)


class _Seen:
    """What was found in a line of very many runs, by the text around the place: a line of noise repeats itself.

    Rules look at a bounded number of runs to both sides, at what was said last, and at whether the place is in a sum.
    """

    BEHIND, AHEAD = 48, 96
    """Characters that decide; where they do not hold the runs below, a place is looked at anew."""
    RUNS_BEHIND, RUNS_AHEAD = 16, PAD
    TRIED = 256
    """Places that are looked at anew, without twice as many that were not, until the line counts as one that hardly
    repeats itself; a place that is known saves half the time that another one costs here."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.found: dict[tuple[str, str, str, bool, bool], tuple[int, str, str, str]] = {}
        self.key = ("", "", "", False, False)
        self.state = (0, 0, 0)
        self.balance = 2 * self.TRIED

    def before(self, i: int) -> Found | None:
        """What was found where everything was as at run `i`."""
        line = self.line
        at = line.starts[i]
        before = line.text[at - self.BEHIND : at] if at >= self.BEHIND else "^" + line.text[:at]
        around = before + line.text[at : at + self.AHEAD]
        self.key = around, line.last, line.said, line.shape[i] in EXPRESSION and line.computes(i), i < line.street
        self.state = line.scanned, line.street, line.taken
        known = self.found.get(self.key)
        if known is None:
            return None
        self.balance += 1
        return new(Found, (i + known[0], known[1], known[2], known[3]))

    def keep(self, i: int, found: Found) -> bool:
        """Remember what was found at run `i`, unless it changed the line or depends on more than is compared.

        False: the line hardly repeats itself, so that looking for places that are alike takes more time than it saves.
        """
        line, starts = self.line, self.line.starts
        self.balance -= 2
        if (line.scanned, line.street, line.taken) != self.state or i < line.scanned:
            return self.balance > 0
        far = min(i + self.RUNS_AHEAD, line.count)
        near = max(i - self.RUNS_BEHIND, 0)
        if starts[far] - starts[i] <= self.AHEAD and starts[i] - starts[near] <= self.BEHIND:
            self.found[self.key] = (found.end - i, found.spoken, found.kind, found.why)
        return self.balance > 0


def _languages(line: Line, tagged: str, scripts: str) -> tuple[str, str]:
    """The language of the line, and that of its words in Latin letters; `tagged`: the caller's language or ""."""
    latin = tagged if tagged in GRAMMARS and tagged != "zh" else "en"
    guessed = detect.guess(line.text) if scripts != "a" else latin
    if guessed == "en":
        if tagged == "zh" and not _has_words(line, GRAMMARS["zh"]):
            return "zh", latin
        return (tagged if tagged and tagged != "zh" else latin), latin
    if tagged and tagged not in GRAMMARS:
        return tagged, latin
    return guessed, latin


def _has_words(line: Line, grammar: Grammar) -> bool:
    """Whether the line has Latin words other than acronyms and the units, chat words and currencies of `grammar`."""
    known = [grammar.table.section(name) for name in ("chat", "unit", "currency")]
    return any(
        c == "a"
        and len(part) > 1
        and not part.isupper()
        and line.before(i) != "0"
        and set(part) != {"h"}
        and not any(part in section or part.lower() in section for section in known)
        for i, (c, part) in enumerate(zip(line.shape, line.parts, strict=False))
    )


class _Beside:
    """The letters that are nearest to places of a line of two languages, Chinese or Latin; `chinese`: its own ones."""

    def __init__(self, line: Line, chinese: bool) -> None:
        self.line, self.own = line, chinese
        self.letters = [*(found.start() for found in _KNOWN.finditer(line.shape)), len(line.shape)]
        """The runs that are Chinese or Latin, and the end of the shape."""
        self.nearest = -1
        self.next = -1
        self.after = self.before = 0
        self.after_own = self.after_decides = self.looked_back = self.before_chinese = self.before_name = False

    def others(self, i: int) -> bool:
        """Whether the letters nearest to run `i`, which are asked for in order, are not of the line's own language."""
        if self.next <= i:
            self.move(i)
        near = self.after < i + _NEAR
        if near and self.after_decides:
            return not self.after_own
        if not self.looked_back:
            self.look_back()
        if self.before > i - _NEAR:
            return self.own != (self.before_chinese or (self.own and (self.before_name or self.before == i - 1)))
        return near and not self.after_own

    def move(self, i: int) -> None:
        """Look at the letters on both sides of run `i`; those of a unit belong to its number."""
        line, letters, chinese = self.line, self.letters, self.own
        n = self.nearest
        while self.next <= i:
            n += 1
            self.next = letters[n]
        self.nearest = n
        stop = min(self.next + _NEAR, letters[-1])
        while letters[n] < stop and _belongs(line, letters[n], chinese):
            n += 1
        after = self.after = letters[n]
        shape = line.shape
        self.after_own = after < stop and (_script(line, after, chinese) == "h") == chinese
        breaks = shape[after - 1] in _BREAKS or (shape[after - 1] == " " and shape[after - 2] in _AFTER_BREAKS)
        self.after_decides = not breaks
        self.looked_back = False

    def look_back(self) -> None:
        """Look at the letters before the place as `move` does at those after it."""
        line, letters, chinese = self.line, self.letters, self.own
        self.looked_back = True
        n = self.nearest - 1
        stop = letters[n] - _NEAR
        while n >= 0 and letters[n] > stop and _belongs(line, letters[n], chinese):
            n -= 1
        before = self.before = letters[n] if n >= 0 else -_NEAR
        self.before_chinese = n >= 0 and _script(line, before, chinese) == "h"
        self.before_name = n >= 0 and line.parts[before].isupper()  # "RTX 4090", "iPhone15"


_BREAKS = frozenset(",.!?，。！？、；：")
_AFTER_BREAKS = _BREAKS | {" "}


def _script(line: Line, i: int, chinese: bool) -> str:
    """The class of the letters at run `i`; in a Chinese line, chat words of Mandarin in Latin letters are Chinese."""
    part = line.parts[i]
    if chinese and line.shape[i] == "a" and (part.lower() in _chinese_words() or set(part) == {"h"}):
        return "h"
    return line.shape[i]


def _belongs(line: Line, i: int, chinese: bool) -> bool:
    """Whether run `i` is the unit or the currency of the number before it."""
    shape = line.shape
    if shape[i] == "h" and not chinese:
        return shape[i - 1] == "0" and line.parts[i] in GRAMMARS["en"].table.section("currency")
    if shape[i] != "a" or not (chinese or shape[i + 1] == "h"):
        return False
    if shape[i - 1] in "0°" or (shape[i - 1] == "/" and shape[i - 3 : i - 1] == "0a"):
        return True
    return shape[i - 2 : i] == "0 " and line.parts[i].lower() in _chinese_codes()


@cache
def _chinese_words() -> frozenset[str]:
    """Chat words of Mandarin in Latin letters."""
    return frozenset(GRAMMARS["zh"].table.section("chat"))


@cache
def _chinese_codes() -> frozenset[str]:
    """Codes of currencies that Mandarin has a name for."""
    return frozenset(code.lower() for code in GRAMMARS["zh"].table.section("currency") if code.isalpha())


_WEAK = ",;:，；：、"
_STRONG = ".!?。！？…"
_MARKS = frozenset(_WEAK + _STRONG)
_PAUSES = _MARKS | frozenset("•·-–—(（)）\n'~")
_COUNTED = frozenset(("number", "phone", "chat", "year", "ordinal", "date", "time", "money"))
"""Kinds of tokens that stay apart where a space is between two of them."""
_HAN_MARKS = frozenset("，。！？；：、")


def _han(char: str) -> bool:
    return detect.is_han(char) or "\u3040" <= char <= "\u30ff"


class _Writer:
    """Joins tokens to a text with spaces and punctuation, and records words, tokens and what was dropped."""

    def __init__(self, text: str, line: Line, scripts: str) -> None:
        self.text, self.line = text, line
        self.unread = frozenset(LETTERS) - frozenset(scripts)
        self.out: list[str] = []
        self.last = ""
        self.han = self.apart = False
        self.gap = False
        self.hyphen = False
        self.words: list[Word] = []
        self.spans: list[Any] = []
        self.dropped: list[Dropped] = list(line.dropped)

    def add(self, i: int, found: Found) -> int:
        """Add the token `found` that begins at run `i`; its end."""
        line = self.line
        end_run, spoken, kind, why = found
        start, end = line.starts[i], line.starts[end_run]
        places = line.places
        if places is not None:
            start, last, end = places[start], places[end - 1], places[end]
            if end <= last:
                end = last + 1
        if kind == "mark":
            self.spans += (start, end, kind, "")
            line.last = kind
            if spoken in _PAUSES:
                self.mark(i, spoken)
            elif spoken:
                self.gap = True
            return end_run
        if kind == "word" and line.shape[i] in self.unread:
            spoken, why = "", "script"
        self.spans += (start, end, kind, spoken)
        if not spoken:
            self.gap = True
            if why:
                self.dropped.append(Dropped(self.text[start:end], start, end, why))
            line.last = kind
            return end_run
        if self.han:
            self.apart = self.gap and (kind == "word" == line.last or (kind in _COUNTED and line.last in _COUNTED))
        line.last = kind
        self.say(spoken)
        if " " in spoken:
            said = ""
            for said in spoken.replace(",", " ").split():
                self.words.append(new(Word, (said, start, end, kind)))
            line.said = said
        else:
            self.words.append(new(Word, (spoken, start, end, kind)))
            line.said = spoken
        return end_run

    def say(self, spoken: str) -> None:
        """Append words, with a space before them except between Chinese characters."""
        first, last = spoken[0], self.last
        han = first >= "\u3040" and _han(first)
        if not last or last in _HAN_MARKS or (han and last == "…"):
            pass
        elif not (han or self.han):
            if self.hyphen and not self.gap and first.isalnum():
                self.out.append("-")
            elif self.gap or last in ",.;:!?…" or (last.isalnum() and first.isalnum()):
                self.out.append(" ")
        elif han and self.han and last not in _MARKS:
            if self.apart:
                self.out.append(" ")
        elif self.gap or last in ",.;:!?…":
            self.out.append(" ")
        self.out.append(spoken)
        last = self.last = spoken[-1]
        self.han = last >= "\u3040" and _han(last)
        self.gap = self.hyphen = False

    def mark(self, i: int, char: str) -> None:
        """Append punctuation that may be a pause, where it follows a word and is no repetition."""
        shape = self.line.shape
        if char in _MARKS and (char != "." or not self.han):
            self.pause(char)
            return
        if char == "-" and self.line.before(i) in "ahkx0" and shape[i + 1] in "ahkx0" and shape[i + 1] != "h":
            self.hyphen = True
            return
        if char == "." and self.han and shape.startswith("...", i):
            char = "…"
        elif char in "•·":
            char = ","
        elif char in "-–—":
            spaced = self.line.before(i) in " -–—\n" and shape[i + 1] in " -–—\n"
            char = "," if spaced or char == "—" or shape[i + 1] == "-" else ""
        elif char in "(（":
            char = "," if self.gap or char == "（" else ""
        elif char in ")）":
            char = "," if char == "）" or shape[i + 1] in " \n" else ""
        elif char == "\n":
            char = "" if self.last in _MARKS else "," if len(self.line.said) == 1 and self.line.said.isascii() else "."
        elif char == "'":
            return
        elif char == "~" and self.han and not self.gap and self.last and self.last not in _MARKS:
            if self.out[-MOST:] != [WAVE] * MOST:
                self.out.append(WAVE)
            return
        if char not in _MARKS:
            self.gap = True
            return
        self.pause(char)

    def pause(self, char: str) -> None:
        """Append a mark after the last word; of two adjacent marks the stronger one remains, of equal ones one."""
        last = self.last
        if not last:
            return
        self.line.said = ""
        if char in ",." and self.han:
            char = "，。"[",.".index(char)]
        if last not in _MARKS:
            self.out.append(char)
        elif last in _WEAK and char in _STRONG:
            self.out[-1] = char
        elif char == "." and last == "." and len(self.out[-1]) < 3:
            self.out[-1] += "."
        elif char == "…" and last == "…" and len(self.out[-1]) < 2:
            self.out[-1] += "…"
        elif (char in "!！" and last in "?？") or (char in "?？" and last in "!！"):
            self.out[-1] = "？！" if self.han else "?!"
        else:
            return
        self.last = self.out[-1][-1]
        self.gap = False

    def finish(self, language: str) -> Reading:
        """The reading of the whole line."""
        if self.last in _WEAK and self.out:
            self.out.pop()
        self.dropped.sort(key=lambda part: part.start)
        return Reading(language, "".join(self.out).strip(), self.text, self.words, self.spans, self.dropped)
