"""Mandarin: what Chinese characters directly behind a number make of it: a magnitude, yen, a short year, a day."""

from __future__ import annotations

from ..amounts import Num
from ..grammar import Found
from ..numbers import Numbers
from ..scan import Line

_RECENT = frozenset(map(str, range(16, 30))) - {"20"}
"""Two digits before 年 alone that are a year rather than a number of years."""
_AFTER_YEARS = ("前", "后", "了", "来", "间", "多", "级", "代", "时间")
"""What follows a number of years and no year."""


class BeforeHan(Numbers):
    """Rules for numbers before Chinese characters."""

    def __init__(self) -> None:
        super().__init__()
        self.magnitudes = tuple(sorted(self.table.list("magnitude"), key=len, reverse=True))
        self.of_year, self.lasting = tuple(self.table.list("of year")), tuple(self.table.list("lasting"))
        self.dated, self.months_of_year = tuple(self.table.list("dated")), frozenset(map(str, range(1, 13)))

    def magnitude(self, line: Line, j: int) -> str:
        """The magnitude, such as 万 or 亿, at the beginning of run `j`, "" for none."""
        part = line.parts[j]
        if line.shape[j] != "h" or part[0] not in "万亿千百":
            return ""
        return next((word for word in self.magnitudes if part.startswith(word)), "")

    def yen(self, line: Line, num: Num) -> Found | None:
        """An amount with the Japanese sign of its currency, perhaps behind a magnitude: 500円, 3万円."""
        part = line.parts[num.end]
        word = self.magnitude(line, num.end)
        if not part.startswith("円", len(word)):
            return None
        said = f"{self.cardinal(num.text)}{word}{self.currencies['JPY'].one}"
        if len(part) == len(word) + 1:
            return Found(num.end + 1, said, "money")
        line.take(num.end, len(word) + 1)
        return Found(num.end, said, "money")

    def with_point(self, line: Line, num: Num) -> Found | None:
        """A share of a price, 7.5折, and a month and a day before what happens then: 10.1放假."""
        after, day = line.parts[num.end], num.fraction
        if after[0] == "折" and len(day) == 1 and len(num.whole) == 1:
            return Found(num.end, self.digits(num.whole + day), "number")
        if after.startswith(self.dated) and num.whole in self.months_of_year and len(day) < 3 and 0 < int(day) < 32:
            return Found(num.end, f"{self.cardinal(num.whole)}月{self.cardinal(str(int(day)))}号", "date")
        return None

    def is_short_year(self, line: Line, i: int, after: str) -> bool:
        """Whether two digits before 年 are a year by what is beside them: 24年夏天, but not 玩了24年."""
        whole, before = line.parts[i], line.parts[i - 1] if line.shape[i - 1] == "h" else ""
        if "39" < whole < "60" or before.endswith(self.lasting):
            return False
        if after[1:].startswith(self.of_year):
            return True
        if whole > "59":
            return not after[1:].startswith(_AFTER_YEARS)
        return after == "年" and not before and whole in _RECENT and line.shape[i + 2] not in "0h"
