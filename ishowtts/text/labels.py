"""Numbers that name or rate something in chat: episodes, products, kills and deaths, counts in a time."""

from __future__ import annotations

from .amounts import POWERED, Amounts, Num
from .clean import SUPERSCRIPTS
from .grammar import Found
from .scan import Line

_NAMES_WITH_X = frozenset(("32", "64", "86"))
"""Numbers that make a name with an "x" before them."""


class Labels(Amounts):
    """Rules for numbers that belong to letters beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.shortened_names = self.table.words("short before number")
        self.tallies = tuple(self.table.list("tally"))
        self.numbered_by = self.table.list("numbered")
        self.versions = self.table.list("version")
        self.rated = self.table.list("out of")
        self.recorded = self.table.list("recording")
        self.next |= {"of_several": " ", "spaced_ratio": " "}
        self.rules[":"] = (self.spaced_ratio, *self.rules.get(":", ()))
        self.areas = self.table.list("area")
        self.next["bare_power"] = "²"
        ordinary, *others = self.rules["a"]
        self.rules["a"] = (ordinary, self.bare_power, *others)
        for sign in "≥≤":
            self.rules[sign] = (self.bound, *self.rules.get(sign, ()))
        self.rules["/"] = (self.per_time, self.of_several, *self.rules.get("/", ()))
        self.rules["0"] = (self.short_version, *self.rules.get("0", ()))

    def labelled(self, line: Line, i: int, low: str) -> Found | None:
        """What a letter before a number begins: S2E5, x3."""
        return self.episode(line, i) if low == "s" else self.multiplied(line, i)

    def multiplied(self, line: Line, i: int) -> Found | None:
        """A number of times: GG x3, x2 XP."""
        if line.parts[i] != "x" or line.parts[i + 1] in _NAMES_WITH_X or line.computes(i) or line.before(i) in ")0":
            return None
        num = self.parse(line, i + 1)
        if num.whole in ("0", "1") or len(num.whole) > 4 or line.shape[num.end] in "a²":
            return None
        return Found(num.end, f"{self.symbols['×']} {self.cardinal(num.text)}", "number")

    def episode(self, line: Line, i: int) -> Found | None:
        """A season and an episode: s01e03, S2E5, S01 E03."""
        shape, parts = line.shape, line.parts
        j = i + 3 if shape[i + 2] == " " else i + 2
        if shape[j : j + 2] != "a0" or parts[j].lower() not in ("e", "ep") or shape[j + 2] == "a":
            return None
        return Found(j + 2, self.say_episode(parts[i + 1], parts[j + 1]), "episode")

    def say_episode(self, season: str, episode: str) -> str:
        """An episode of a season in words."""
        return self.say_["S1E1"].format(*(self.cardinal(number.lstrip("0") or "0") for number in (season, episode)))

    def tallied(self, line: Line, i: int) -> bool:
        """Whether numbers at run `i` are kills, deaths and assists by what is written before them: KDA is 5/2/10."""
        at = line.starts[i]
        before = line.text[max(at - 24, 0) : at].lower().rstrip(" :=")
        return before.removesuffix(" is").removesuffix(" was").removesuffix(" of").endswith(self.tallies)

    def per_time(self, line: Line, i: int) -> Found | None:
        """A stroke between what is counted and a time: 10 cs/min, 5 people/day."""
        shape, low = line.shape, line.parts[i + 1].lower()
        if shape[i - 1] != "a" or low not in self.periods or len(low) < 2 or shape[i + 2] in "a0/":
            return None
        counted = i > 1 and "0" in (shape[i - 2], shape[i - 3 : i - 2] if shape[i - 2] == " " else "")
        return Found(i + 2, f"{self.say_['per']} {self.periods[low]}", "measure") if counted else None

    def is_third(self, line: Line, i: int) -> bool:
        """Whether the number at run `i` is the second of three with "/" between."""
        return line.shape[max(i - 2, 0) : i + 3] == "0/0/0" and max(len(line.parts[i - 2]), len(line.parts[i])) < 4

    def rates(self, line: Line, top: str, bottom: str, end: int) -> bool:
        """Whether two numbers with "/" between that end before run `end` are a result, as "2/3 rounds", no fraction."""
        if not self.rated or not bottom.strip("0"):
            return False
        return top == bottom or len(top) == len(bottom) == 3 or line.word_after(end).lower() in self.rated

    def of_several(self, line: Line, i: int) -> Found | None:
        """A stroke with spaces between a number and how many there are, 450 / 500, or in a sum, 10 / 2 = 5."""
        shape, parts = line.shape, line.parts
        if i < 2 or shape[i - 2 : i + 3] != "0 / 0":
            return None
        if line.computes(i):
            return Found(i + 1, self.say_["divided"], "number")
        if "out of" not in self.say_:
            return None
        if shape.startswith(" /", i + 3) or shape[max(i - 4, 0) : i - 2] == "/ ":
            return None  # a date, or a list
        first, second = parts[i - 2], parts[i + 2]
        larger = len(second) > 1 or (len(first), first) <= (len(second), second)
        return Found(i + 1, self.say_["out of" if larger else "divided"], "number")

    def bound(self, line: Line, i: int) -> Found | None:
        """A sign of a bound before a number alone: ≥10."""
        k = i + 2 if line.shape[i + 1] == " " else i + 1
        before = line.shape[i - 2 : i] if line.before(i) == " " and i > 1 else line.before(i)
        if line.shape[k] != "0" or before[:1] in "ahkx0)²%°":
            return None
        return Found(i + 1, self.say_[">=" if line.shape[i] == "≥" else "<="], "symbol")

    def bare_power(self, line: Line, i: int) -> Found | None:
        """An area or a volume without a number: 5 € pro m², km²."""
        key, power = line.parts[i], SUPERSCRIPTS.get(line.parts[i + 1])
        if key not in POWERED or power not in ("2", "3") or line.before(i) not in " /\0(" or line.shape[i + 2] in "a0":
            return None
        alone = len(key) > 1 or line.word_before(i) in self.areas or line.before(i) == "/"
        return Found(i + 2, self.powered(self.units[key][0], power), "measure") if alone else None

    def spaced_ratio(self, line: Line, i: int) -> Found | None:
        """A colon with spaces beside it between two numbers: 3 : 2."""
        if i < 2 or line.shape[i - 2 : i + 3] != "0 : 0" or line.shape[i + 3] in ":a.,%":
            return None
        short = max(len(line.parts[i - 2]), len(line.parts[i + 2])) < 4
        return Found(i + 1, self.say_["ratio"], "number") if short else None

    def short_version(self, line: Line, i: int) -> Found | None:
        """Two numbers of a version: v1.2, Patch 14.3."""
        shape, parts = line.shape, line.parts
        if not shape.startswith("0.0", i) or shape[i + 3] in "a%°" or shape.startswith(".0", i + 3):
            return None
        if (parts[i - 1] if shape[i - 1] == "a" else line.word_before(i)).lower() not in self.versions:
            return None
        said = f" {self.say_['point']} ".join(self.number_or_digits(parts[k]) for k in (i, i + 2))
        return Found(i + 3, said, "version")

    def in_recording(self, line: Line, i: int) -> bool:
        """Whether minutes and seconds at run `i` are a place in a recording by the words before: spring zu 12:45."""
        word = line.word_before(i)
        return bool(word) and (word in self.recorded or line.word_before(i - 2) in self.recorded)

    def of_product(self, line: Line, i: int, num: Num) -> Found | None:
        """A number that letters before or behind it make that of a product: i7 14700K, 4070 Ti."""
        size, shape = len(num.whole), line.shape
        if size not in (4, 5) or num.fraction or num.grouped:
            return None
        j = num.end + 1 if shape[num.end] == " " else num.end
        if size == 4 and shape[j] == "a" and line.parts[j].lower() == "ti" and shape[j + 1] != "0":
            return Found(j + 1, f"{self.pairs(num.whole)} TI", "serial")
        j = num.end
        if shape[max(i - 3, 0) : i] == "a0 " and line.parts[i - 3].lower() == "i" and shape[j] == "a":
            return Found(j + 1, f"{self.model_number(num.whole)} {line.parts[j].upper()}", "serial")
        return None

    def is_numbered(self, line: Line, i: int) -> bool:
        """Whether the number at run `i` is a name by the word before it: room 101, highway #101."""
        return line.word_before(i - 1 if line.before(i) == "#" else i) in self.numbered_by
