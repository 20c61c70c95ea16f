"""Second step of a reading: the cleaned line is divided into runs of characters of one class.

A line of runs has a *shape*, a string with one character for each run: "0" digits, "a" Latin letters (with apostrophes
inside), "h" Chinese characters, "k" kana, "x" letters of any other script, "p" phones that the user chose (see
`pronounce`), " " white space, "²" raised digits, and
every other character as itself. "Paid $5.50 at 12:30pm" has the shape "a $0.0 a 0:0a". Rules look at a bounded number
of places of the shape, so reading a line takes time in proportion to its length.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from . import detect
from .clean import SOUNDS, SUPERSCRIPTS, clean

PAD = 32
"""Number of positions after the end of a line at which rules may look."""
LETTERS = "ahkx"
"""The classes of letters."""


def class_of(char: str) -> str:
    """The class of runs that a character belongs to."""
    if char >= SOUNDS:
        return "p"
    if char.isascii():
        return "0" if char.isdigit() else "a" if char.isalpha() else char
    if char in SUPERSCRIPTS:
        return "²"
    if char.isalpha() and ("\u00aa" <= char <= "\u024f" or "\u1e00" <= char <= "\u1eff"):
        return "a"
    if detect.is_han(char) or char == "〇":
        return "h"
    if "\u3041" <= char <= "\u30ff" and char != "・":
        return "k"
    return "x" if char.isalnum() or unicodedata.category(char)[0] == "M" else char


class _Classes(dict[int, str]):
    def __missing__(self, code: int) -> str:
        made = self[code] = class_of(chr(code))
        return made


_CLASSES = _Classes()
_RUN = re.compile(r"0+|a+(?:'a+)*|h+|k+|x+|p+| +|²+|.", re.DOTALL)
EXPRESSION = frozenset("0 .,+-*/×÷^=²()±≈≠≤≥<>")
_EXPRESSION_END = re.compile(f"[{re.escape(''.join(sorted(EXPRESSION)))}]+")
_OPERATORS = frozenset("=×÷^±≈≠≤≥²")
_NO_PARTS = ("",) * PAD
_AFTER_END = "\0" * PAD


class Setting(NamedTuple):
    """What grammars need to know about the whole line: its language, options, and whether it is all in capitals."""

    language: str
    chat: bool
    shouted: bool


class Line:
    """A text divided into runs: `parts[i]` is the text of run `i`, `shape[i]` its class.

    After the end there are PAD empty runs of class NUL.
    """

    def __init__(self, text: str) -> None:
        self.text, self.places, self.dropped = clean(text)
        """The cleaned text; the place of each of its characters and of its end in the original, None: the same."""
        runs = _RUN.findall(self.text.translate(_CLASSES))
        self.count = len(runs)
        made, starts = self.text, [0, *accumulate(map(len, runs))]
        self.parts = [*map(made.__getitem__, map(slice, starts, starts[1:])), *_NO_PARTS]
        self.starts = starts + [len(made)] * PAD
        self.shape = "".join(map(itemgetter(0), runs)) + _AFTER_END
        self.setting = Setting("en", True, False)
        self.at = 0
        """The run that is being read."""
        self.last = ""
        """The kind of the last token."""
        self.said = ""
        """The last spoken word, "" after punctuation."""
        self.scanned = 0
        """The runs before this one are known not to be in a link."""
        self.street = 0
        """The run that is the kind of a street in an address, 0 without one."""
        self.taken = 0
        """How often something was taken from the beginning of a run."""
        # without an operator nothing is a calculation, else each expression is looked at when it is asked for
        self._expression = (0, 0 if _OPERATORS.intersection(self.shape) else len(self.shape), False)

    def take(self, i: int, size: int) -> None:
        """Take the first `size` characters of run `i` away; the rest of it, which is not empty, is still to be read."""
        self.taken += 1
        self.parts[i] = self.parts[i][size:]
        self.starts[i] += size

    def before(self, i: int) -> str:
        r"""The class of the run before `i`, "\0" at the start."""
        return self.shape[i - 1]  # a shape ends with "\0", so that this is the one before the first run

    def word_before(self, i: int) -> str:
        """The word before run `i` in lower case, with at most a full stop and a space between; "" for none."""
        i -= 1
        if i >= 0 and self.shape[i] == " ":
            i -= 1
        if i > 0 and self.shape[i] == ".":
            i -= 1
        return self.parts[i].lower() if i >= 0 and self.shape[i] in LETTERS else ""

    def word_after(self, i: int) -> str:
        """The word at run `i` or after a space there, as written; "" for none."""
        if self.shape[i] == " ":
            i += 1
        return self.parts[i] if self.shape[i] in LETTERS else ""

    def ends(self, i: int) -> bool:
        """Whether the line ends after run `i` without further letters or digits, looking PAD/2 runs ahead."""
        shape, end = self.shape, i + PAD // 2
        while i < end:
            if shape[i] == "\0":
                return True
            if shape[i] in "ahkx0":
                return False
            i += 1
        return False

    def computes(self, i: int) -> bool:
        """Whether run `i` is in a calculation, with an operator such as "=", so that "-" is minus and "/" divides."""
        start, end, found = self._expression
        if not start <= i < end:
            shape = self.shape
            start = end = i
            while start > 0 and shape[start - 1] in EXPRESSION:
                start -= 1
            if self.count > start and shape[i] in EXPRESSION:
                end = _EXPRESSION_END.match(shape, i).end()  # type: ignore[union-attr]  # it matches one run at least
            inside = shape[start:end]
            found = not _OPERATORS.isdisjoint(inside) and "0" in inside
            self._expression = (start, max(end, i + 1), found)
        return found
