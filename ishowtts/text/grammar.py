"""Third step of a reading: what each run of a line, or several of them together, is and how it is said.

A grammar belongs to one language and keeps no state. It has rules by the class of a run (see `scan`); a rule looks at
the line from one run on and either finds something to say, with the run behind it, or nothing. The first rule that
finds something wins. The rules here serve every language; English, German and Mandarin add theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import emoticons, links
from .scan import Line, Setting
from .tables import Table, load

NUMERIC = frozenset(("number", "year", "ordinal", "date", "time", "money", "measure", "fraction"))
_TAGS = load("common").list("tag")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_TAG_LENGTH = 240


class Found(NamedTuple):
    """Runs up to `end` (exclusive) are said as `spoken`; "" is not spoken. `why` is given for what is left out."""

    end: int
    spoken: str
    kind: str
    why: str = ""


Rule = Callable[[Line, int], "Found | None"]


class Grammar:
    """Rules that need no words of a language, and the table of the language."""

    language = ""

    def __init__(self) -> None:
        self.table = load(self.language) if self.language else Table({})
        self.symbols = self.table.words("symbol")
        self.address = self.table.words("address")
        self.rules: dict[str, tuple[Rule, ...]] = {
            "<": (self.tag, self.emoticon),
            "&": (self.entity,),
            "@": (self.mention,),
        }
        for char in emoticons.FIRST:
            self.add(char, self.emoticon)
        for char in self.symbols:
            self.add(char, self.symbol)

    def add(self, char: str, *rules: Rule) -> None:
        """Rules for runs of class `char`, behind those that are there."""
        self.rules[char] = (*self.rules.get(char, ()), *rules)

    def find(self, line: Line, i: int) -> Found:
        """What run `i` begins."""
        shape = line.shape[i]
        for rule in self.rules.get(shape, ()):
            found = rule(line, i)
            if found:
                return found
        return Found(i + 1, line.parts[i], "word" if shape in "ahkx0" else "mark")

    def tag(self, line: Line, i: int) -> Found | None:
        """An HTML or SSML tag: `<b>`, `</b>`, `<break time="500ms"/>`."""
        name = i + 2 if line.shape[i + 1] == "/" else i + 1
        if line.shape[name] != "a" or line.parts[name].lower() not in _TAGS:
            return None
        at = line.starts[i]
        close = line.text.find(">", at, at + _TAG_LENGTH)
        if close < 0:
            return None
        end = name
        while line.starts[end] <= close:
            end += 1
        return Found(end, "", "markup", "markup")

    def entity(self, line: Line, i: int) -> Found | None:
        """`&nbsp;` and the like; the characters that they stand for are silent but for `&amp;`."""
        if line.shape[i + 1] == "a" and line.shape[i + 2] == ";" and line.parts[i + 1] in _ENTITIES:
            return Found(i + 3, self.symbols.get("&", "") if line.parts[i + 1] == "amp" else "", "symbol")
        return None

    def mention(self, line: Line, i: int) -> Found | None:
        """The sign before a name is not said."""
        if line.shape[i + 1] in "ahkx" and line.before(i) not in "a0":
            return Found(i + 1, "", "mark")
        return None

    def emoticon(self, line: Line, i: int) -> Found | None:
        """`:)`, `<3`, `^_^`; a few have a reading in the table, the others are silent."""
        end = emoticons.match(line, i)
        if not end:
            return None
        written = line.text[line.starts[i] : line.starts[end]]
        row = self.table.section("emoticon").get(written) if line.setting.chat else None
        if not row:
            return Found(end, "", "emoticon", "emoticon")
        between = line.before(i) == " " and line.shape[end] == " " and line.shape[end + 1] in "ahkx"
        return Found(end, row[1] if between and len(row) > 1 else row[0], "emoticon")

    def symbol(self, line: Line, i: int) -> Found | None:
        """A sign that has a name, where it stands at something."""
        shape, char = line.shape, line.shape[i]
        left, right = line.before(i), shape[i + 1]
        far_left = shape[i - 2] if left == " " and i > 1 else left
        far_right = shape[i + 2] if right == " " else right
        if char in "<>=":
            if far_left not in "ahkx0)²%°" or far_right not in "ahkx0(-+.":
                return None
        elif char in "*/":
            if left not in "a0)" or right not in "a0(":
                return None
        elif char in "+±":
            if left not in "a0+" and far_right not in "0ahkx.$€£¥+":
                return None
        elif char == "~":
            if right not in "0$€£¥":
                return None
        elif char == "^" and (left not in "a0)" or right not in "a0(-"):
            return None
        return Found(i + 1, self.symbols[char], "symbol")

    def link(self, line: Line, i: int) -> Found | None:
        """A web or mail address: its host, or all of a mail address, as one says it."""
        found = links.find(line, i)
        if not found:
            return None
        end, written, kind = found
        return Found(end, self.spell_address(written, line.setting), kind)

    def spell_address(self, written: str, setting: Setting) -> str:
        """An address in words; the signs in it have names."""
        raise NotImplementedError
