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
        self.next |= {"sale": ".", "part_of": "/"}
        self.rules["0"] = (self.sale, self.part_of, *self.rules["0"])
        self.before_date = tuple(self.table.list("before date"))
        self.sales = self.table.words("sale")
        self.behind_sale, self.before_sale = (tuple(self.table.list(f"{side} sale")) for side in ("behind", "before"))
        self.updated = tuple(self.table.list("updated"))
        self.before_price, self.recorded_after = tuple(self.table.list("priced")), tuple(self.recorded)
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

    def sale(self, line: Line, i: int) -> Found | None:
        """A day of sales by its month and day: 6.18大促, 11.11."""
        said = self.sales.get(line.text[line.starts[i] : line.starts[i + 3]])
        before, after = line.before(i), line.parts[i + 3]
        if not said or before in "a0.:-/$¥￥+~" or line.shape[i + 3] in "a0.:-/%°$¥€":
            return None
        if before == "h" and not line.parts[i - 1].endswith(self.before_sale):
            return None
        if line.shape[i + 3] == "h" and not after.startswith(self.behind_sale):
            return None
        return Found(i + 3, said, "date")

    def part_of(self, line: Line, i: int) -> Found | None:
        """One of several of its kind: 第3/5轮 is 第三轮，共五轮."""
        if not line.shape.startswith("0/0h", i) or line.before(i) != "h" or not line.parts[i - 1].endswith("第"):
            return None
        first, last = (self.cardinal(line.parts[k]) for k in (i, i + 2))
        return Found(i + 3, f"{first}{line.parts[i + 3][0]}，共{last}", "number")

    def in_recording(self, line: Line, i: int) -> bool:
        """As the characters directly before say."""
        return line.before(i) == "h" and line.parts[i - 1].endswith(self.recorded_after)

    def with_point(self, line: Line, num: Num) -> Found | None:
        """A share of a price, 7.5折, a price, 9.9包邮, and a month and a day before what happens then: 10.1放假."""
        after, day = line.parts[num.end], num.fraction
        if after[0] in "元块" and day[-1] == "0":
            return Found(num.end, self.count(Num(num.whole, day.rstrip("0"), num.end, False)), "money")
        if len(day) == 1 and after.startswith(self.before_price):
            return Found(num.end, f"{self.cardinal(num.whole)}{self.say_['price']}{self.digits(day)}", "money")
        i = line.at
        before = line.shape[max(i - 2, 0) : i]
        if "a" in before or before[-1:] == "." or (before[-1:] == "h" and line.parts[i - 1].endswith("版本")):
            return None
        if after[0] == "折" and len(day) == 1 and len(num.whole) == 1:
            return Found(num.end, self.digits(num.whole + day), "number")
        dated = after.startswith(self.dated) or (len(num.whole + day) > 2 and after.startswith(self.updated))
        if dated and num.whole in self.months_of_year and len(day) < 3 and 0 < int(day) < 32:
            return Found(num.end, f"{self.cardinal(num.whole)}月{self.cardinal(str(int(day)))}号", "date")
        return None

    def day_after(self, line: Line, i: int, num: Num) -> str:
        """A month and a day with a point between behind certain words, "" for another number: 今天12.1."""
        day = num.fraction
        if line.before(i) != "h" or not line.parts[i - 1].endswith(self.before_date) or line.shape[num.end] in "a%°":
            return ""
        if num.whole not in self.months_of_year or len(day) > 2 or not 0 < int(day) < 32:
            return ""
        return f"{self.cardinal(num.whole)}月{self.cardinal(str(int(day)))}号"

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
