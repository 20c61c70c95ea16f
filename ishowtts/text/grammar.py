"""Third step of a reading: rules that recognise one or several runs of a line and put them into words.

A grammar belongs to a language and has no state. It has rules for each class of runs (`scan`): a rule gets the line and
a run, and returns the words for the runs that it recognises there, or None. The first rule with a result is used. The
rules of this module apply to every language; English, German and Mandarin add theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import emoticons, links, pronounce
from .scan import Line, Setting
from .tables import Table, load

NUMERIC = frozenset(("number", "year", "ordinal", "date", "time", "money", "measure", "fraction"))
_TAGS = load("common").list("tag")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_TAG_LENGTH = 240
_NEXT = {
    "short_version": ".", "local_phone": " /-", "clock": " :.a", "duration": "a", "address_numbers": " .-",
    "telephone": "0", "tag": "/a", "entity": "a", "mention": "ahkx", "power": "0-", "point": "0a", "all_genders": "a",
    "each": "h", "letters": " -–.:@_+0/;",
}  # fmt: skip
"""The rules that apply only before runs of certain classes, and these classes."""
_NOT_NEXT = {"ordinary": "-–.:@_+0/;$²&'", "chat_number": "a0%.:/-°$€+"}
"""The rules that do not apply before runs of certain classes, and these classes."""
_PAIRS = 4096
"""Number of pairs of classes for which the rules are kept."""


class Found(NamedTuple):
    """The result of a rule: the runs before `end` are spoken as `spoken`, "": not at all; `why`: why they are left out.

    `kind`: the class of the token, such as "date".
    """

    end: int
    spoken: str
    kind: str
    why: str = ""


_SYMBOL_NEXT = {"*": "a0( ", "/": "a0(", "~": "0$€£¥", "^": "a0(-"}
"""The symbols that are spoken only before runs of certain classes, and these classes."""
new = tuple.__new__
"""Makes a named tuple in a fifth of the time of calling its class, which matters to lines of thousands of tokens."""
Rule = Callable[[Line, int], "Found | None"]


class Grammar:
    """The rules that need no words of a language, and the language's table."""

    language = ""
    without_spaces = False

    def __init__(self) -> None:
        self.table = load(self.language) if self.language else Table({})
        self.symbols = self.table.words("symbol")
        self.address = self.table.words("address")
        self.rules: dict[str, tuple[Rule, ...]] = {
            "<": (self.tag, self.emoticon),
            "&": (self.entity,),
            "@": (self.mention,),
            "p": (self.chosen,),
            "★": (self.star,),
        }
        self.next = dict(_NEXT)
        self._rules_for: dict[str, tuple[Rule, ...]] = {}
        """The rules that can apply to a run, by its class and that of the next run, filled at the first use of each."""
        for char in emoticons.FIRST:
            self.add(char, self.emoticon)
        for char in self.symbols:
            self.add(char, self.symbol)

    def add(self, char: str, *rules: Rule) -> None:
        """Add rules for runs of class `char` after the existing ones."""
        self.rules[char] = (*self.rules.get(char, ()), *rules)

    def find(self, line: Line, i: int) -> Found:
        """The token that begins with run `i`, by the first rule with a result, else the run itself."""
        pair = line.shape[i : i + 2]
        rules = self._rules_for.get(pair)
        if rules is None:
            rules = self.rules_for(pair)
        for rule in rules:
            found = rule(line, i)
            if found:
                return self.closed_up(found) if self.without_spaces and " " in found[1] else found
        return new(Found, (i + 1, line.parts[i], "word" if pair[0] in "ahkx0" else "mark", ""))

    def single(self, line: Line, i: int) -> Found:
        """The run `i` alone, without regard to its neighbours."""
        return self.find(line, i)

    def rules_for(self, pair: str) -> tuple[Rule, ...]:
        """The rules that can apply to a run, by its class and that of the next run."""
        if len(self._rules_for) >= _PAIRS:
            self._rules_for.clear()
        first, after = pair[0], pair[1]
        made = tuple(rule for rule in self.rules.get(first, ()) if self.can_apply(rule.__name__, first, after))
        self._rules_for[pair] = made
        return made

    def can_apply(self, rule: str, first: str, after: str) -> bool:
        """Whether a rule can have a result for a run of class `first` before one of class `after`."""
        if rule == "emoticon":
            return after in emoticons.NEXT.get(first, ())
        if rule == "symbol" and first in _SYMBOL_NEXT:
            return after in _SYMBOL_NEXT[first]
        return after in self.next.get(rule, after) and after not in _NOT_NEXT.get(rule, "")

    def closed_up(self, found: Found) -> Found:
        """A token of a language without spaces, without those between its characters."""
        return found

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
        """An HTML entity such as `&nbsp;`; only `&amp;` is spoken."""
        if line.shape[i + 1] == "a" and line.shape[i + 2] == ";" and line.parts[i + 1] in _ENTITIES:
            return Found(i + 3, self.symbols.get("&", "") if line.parts[i + 1] == "amp" else "", "symbol")
        return None

    def chosen(self, line: Line, i: int) -> Found | None:
        """Phones that the user chose, with an English "'s" behind them."""
        codes = line.parts[i]
        if self.language == "en" and line.shape[i + 1] == "'" and line.parts[i + 2].lower() == "s":
            return Found(i + 3, codes + pronounce.possessive(codes), "phones")
        return Found(i + 1, codes, "phones")

    def star(self, line: Line, i: int) -> Found:
        """A star without a number before it is decoration."""
        return Found(i + 1, "", "emoji", "emoji")

    def mention(self, line: Line, i: int) -> Found | None:
        """The "@" before a name, which is not spoken."""
        return Found(i + 1, "", "mark") if line.before(i) not in "a0" else None

    def emoticon(self, line: Line, i: int) -> Found | None:
        """An emoticon such as `:)`, `<3` or `^_^`; those in the table are spoken, others are not."""
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
        """A symbol with a name, next to numbers or words to which it belongs."""
        shape, char = line.shape, line.shape[i]
        left, right = shape[i - 1], shape[i + 1]
        far_left = shape[i - 2] if left == " " and i > 1 else left
        far_right = shape[i + 2] if right == " " else right
        if char in "<>=":
            if far_left not in "ahkx0)²%°$€£¥" or far_right not in "ahkx0(-+.$€£¥":
                return None
        elif char == "*" and left == right == " ":
            if far_left not in "0)" or far_right not in "0(":
                return None
        elif char in "*/":
            if left not in "a0)" or right == " ":
                return None
            if char == "/" and left == right == "a" and line.parts[i - 1].isupper() and line.parts[i + 1].isupper():
                return Found(i + 1, "", "mark")  # "AC/DC"
        elif char in "+±":
            if left not in "a0+%" and far_right not in "0ahkx.$€£¥+":
                return None
        elif char == "^" and left not in "a0)":
            return None
        return new(Found, (i + 1, self.symbols[char], "symbol", ""))

    def link(self, line: Line, i: int) -> Found | None:
        """A web address, of which the host is spoken, or a mail address."""
        found = links.find(line, i)
        if not found:
            return None
        end, written, kind = found
        return Found(end, self.spell_address(written, line.setting), kind)

    def spell_address(self, written: str, setting: Setting) -> str:
        """An address in words, with names for its punctuation."""
        raise NotImplementedError
