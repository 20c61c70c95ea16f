"""Numbers that name or rate something in chat: episodes, products, kills and deaths, counts in a time."""

from __future__ import annotations

from .amounts import Amounts, Num
from .grammar import Found
from .scan import Line


class Labels(Amounts):
    """Rules for numbers that belong to letters beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.shortened_names = self.table.words("short before number")
        self.tallies = tuple(self.table.list("tally"))
        self.numbered_by = self.table.list("numbered")
        self.rules["/"] = (self.per_time, *self.rules.get("/", ()))

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
