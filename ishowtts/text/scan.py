"""Second step of a reading: the cleaned line cut into runs of one class of character.

A line of runs has a *shape*, a string with one character for each run: "0" digits, "a" Latin letters (with apostrophes
inside), "h" Chinese characters, "k" kana, "x" letters of any other script, " " white space, "²" raised digits, and
every other character as itself. "Paid $5.50 at 12:30pm" has the shape "a $0.0 a 0:0a". Rules look at a bounded number
of places of the shape, so reading a line takes time in proportion to its length.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from . import detect
from .clean import SUPERSCRIPTS, clean

PAD = 32
"""Places beyond the end that a rule may look at."""
LETTERS = "ahkx"


def _class(char: str) -> str:
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
        made = self[code] = _class(chr(code))
        return made


_CLASSES = _Classes()
_RUN = re.compile(r"0+|a+(?:'a+)*|h+|k+|x+| +|²+|.", re.DOTALL)
_EXPRESSION = frozenset("0 .,+-*/×÷^=²()±≈≠≤≥<>")
_OPERATORS = frozenset("=×÷^±≈≠≤≥²")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the grammars need to know about the whole line."""

    language: str
    chat: bool

    shouted: bool


class Line:
    """One text, cut into runs: `parts[i]` is written, `shape[i]` its class; both go on emptily beyond the end."""

    def __init__(self, text: str) -> None:
        self.text, self._places, self.dropped = clean(text)
        runs = _RUN.findall(self.text.translate(_CLASSES))
        self.count = len(runs)
        self.starts: list[int] = []
        self.parts: list[str] = []
        at = 0
        made = self.text
        for run in runs:
            end = at + len(run)
            self.starts.append(at)
            self.parts.append(made[at:end])
            at = end
        self.starts += [at] * (PAD + 1)
        self.parts += [""] * PAD
        self.shape = "".join([run[0] for run in runs]) + "\0" * PAD
        self.setting = Setting("en", True, False)
        self.at = 0
        """The run that is being read."""
        self.last = ""
        """Kind of what was found last."""
        self.said = ""
        """The last word that was said, "" behind a mark."""
        self.scanned = 0
        """Runs before this one were found to be in no link."""
        self.street = 0
        """The run that is the kind of a street in an address, 0 without one."""
        self._expression = (0, 0, False)

    def place(self, i: int) -> int:
        """Where run `i` begins in the original text."""
        at = self.starts[i]
        return at if self._places is None else self._places[at]

    def place_after(self, i: int) -> int:
        """Where what is before run `i` ends in the original text."""
        at = self.starts[i]
        if self._places is None:
            return at
        last = self._places[at - 1]
        return self._places[at] if self._places[at] > last else last + 1

    def take(self, i: int, size: int) -> None:
        """Take the first `size` characters of run `i` away; the rest of it, which is not empty, is still to be read."""
        self.parts[i] = self.parts[i][size:]
        self.starts[i] += size

    def before(self, i: int) -> str:
        r"""Class of the run before `i`, "\0" at the start."""
        return self.shape[i - 1] if i else "\0"

    def word_before(self, i: int) -> str:
        """The word before run `i`, lower case, behind at most a space and a full stop; "" if there is none."""
        i -= 1
        if i >= 0 and self.shape[i] == " ":
            i -= 1
        if i > 0 and self.shape[i] == ".":
            i -= 1
        return self.parts[i].lower() if i >= 0 and self.shape[i] in LETTERS else ""

    def word_after(self, i: int) -> str:
        """The word that begins at run `i` or behind the space there, as written; "" if there is none."""
        if self.shape[i] == " ":
            i += 1
        return self.parts[i] if self.shape[i] in LETTERS else ""

    def ends(self, i: int) -> bool:
        """Whether no letter or digit follows within the line's next places."""
        shape, end = self.shape, i + PAD // 2
        while i < end:
            if shape[i] == "\0":
                return True
            if shape[i] in "ahkx0":
                return False
            i += 1
        return False

    def computes(self, i: int) -> bool:
        """Whether run `i` stands among numbers with an operator such as "=": then "-" is minus and "/" divides."""
        start, end, found = self._expression
        if not start <= i < end:
            shape = self.shape
            start = end = i
            while start > 0 and shape[start - 1] in _EXPRESSION:
                start -= 1
            while end < self.count and shape[end] in _EXPRESSION:
                end += 1
            inside = shape[start:end]
            found = not _OPERATORS.isdisjoint(inside) and "0" in inside
            self._expression = (start, max(end, i + 1), found)
        return found
