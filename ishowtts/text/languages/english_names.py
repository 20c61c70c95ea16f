"""English: numbers that are names, of houses, rooms, flights and products, and the short forms of addresses."""

from __future__ import annotations

from ..grammar import Found
from ..numbers import Numbers
from ..scan import Line

_DIRECTIONS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_IS = frozenset(("is", "are", "was", "were", "be"))


def _follow(first: str, last: str) -> bool:
    """Whether two numbers are two days of a month in order."""
    return len(first) < 3 and len(last) < 3 and last.isdigit() and 0 < int(first) < int(last) < 32


class Names(Numbers):
    """Rules for numbers that are names."""

    def __init__(self) -> None:
        super().__init__()
        self.streets = self.table.words("street")
        self.audience = self.table.list("audience")
        self.states = self.table.words("state")

    def scale(self, line: Line, j: int, money: bool) -> tuple[int, str]:
        """Also "1.5 k", and "2.1m subs"."""
        shape, parts = line.shape, line.parts
        if shape.startswith(" a", j) and parts[j + 1] in ("k", "K") and shape[j - 3 : j] == "0.0":
            return j + 2, self.scales["k"][0]
        if shape[j] == "a" and parts[j] == "m" and line.word_after(j + 1).lower() in self.audience:
            return j + 1, self.scales["M"][0]
        return super().scale(line, j, money)

    def in_address(self, line: Line, i: int, part: str) -> Found | None:
        """Short forms in an address whose kind of street stands at `line.street`."""
        if i == line.street:
            j = (
                i + 2
                if line.shape[i + 1] == "."
                and not self.closes(line, i + 2)
                and not line.word_after(i + 2)[:1].isupper()
                else i + 1
            )
            return Found(j, self.streets[part.lower()].capitalize(), "abbreviation")
        if i < line.street and part in _DIRECTIONS:
            return Found(i + 1, _DIRECTIONS[part], "abbreviation")
        if part in self.states and i > 1 and line.shape[i - 2] == ",":
            return Found(i + 1, self.states[part], "abbreviation")
        return None

    def days_of(self, line: Line, k: int, month: str, first: str) -> Found | None:
        """The first and the last of several days, with a dash between at run `k`: May 5-7."""
        last = line.parts[k + 1]
        if not _follow(first, last) or line.shape[k + 2] in "a/:-.":
            return None
        days = f"{month} {self.ordinal(first.lstrip('0'))} {self.say_['to']} {self.ordinal(last)}"
        return Found(k + 2, days, "date")

    def days_first(self, line: Line, i: int) -> Found | None:
        """Several days before the name of their month: 5-7 May."""
        first, last, name = line.parts[i], line.parts[i + 2], line.parts[i + 4]
        month = self.months.get(name.lower())
        if not month or not _follow(first, last) or line.shape[i + 5] in "a0'" or not name[0].isupper():
            return None
        days = f"the {self.ordinal(first.lstrip('0'))} {self.say_['to']} the {self.ordinal(last)}"
        return Found(i + 5, f"{days} of {self.month_names[month - 1]}", "date")

    def pairs(self, digits: str) -> str:
        """Four digits by twos: "forty ninety"."""
        high, rest = digits[:2], digits[2:]
        if rest == "00":
            return f"{self.cardinal(high)} hundred"
        return f"{self.cardinal(high)} {'oh ' if rest[0] == '0' else ''}{self.cardinal(str(int(rest)))}"

    def street_at(self, line: Line, j: int) -> bool:
        """Whether capitalised words and the name of a kind of street follow a number that ends at run `j`."""
        shape, parts, k = line.shape, line.parts, j
        for n in range(5):
            if shape[k] != " ":
                return False
            at, k = k + 1, k + 2
            part = parts[at]
            if not part or not (part[0].isupper() or part[0].isdigit() or (n and part in ("st", "ave", "rd"))):
                return False
            if shape[k] == "a" and part[0].isdigit():
                k += 1
            if n and part.lower() in self.streets:
                line.street = at
                return True
        return False

    def house(self, digits: str) -> str:
        """The number of a house: "fourteen twenty-eight", "one twenty-three", "seven zero eight"."""
        if len(digits) == 5 or len(digits) < 3:
            return self.digits(digits) if len(digits) == 5 else self.cardinal(digits)
        high, rest = digits[:-2], digits[-2:]
        if rest == "00":
            return self.cardinal(digits) if len(digits) == 3 else f"{self.cardinal(high)} hundred"
        if rest[0] == "0":
            return self.digits(digits)
        return f"{self.cardinal(high)} {self.cardinal(rest)}"

    def named_number(self, digits: str) -> str:
        """A number of three or four digits that is a name, as in "room one oh one", "flight three seventy"."""
        if len(digits) == 4:
            return self.cardinal(digits) if digits.endswith("000") else self.pairs(digits)
        if digits.endswith("00"):
            return self.cardinal(digits)
        return f"{self.cardinal(digits[0])} {'oh ' if digits[1] == '0' else ''}{self.cardinal(str(int(digits[1:])))}"

    def is_numbered(self, line: Line, i: int) -> bool:
        """Also behind a dash: I-405, Blink-182."""
        named = line.before(i) == "-" and i > 1 and line.shape[i - 2] == "a" and (i < 3 or line.shape[i - 3] != "0")
        return named or super().is_numbered(line, i)

    def introduces(self, line: Line, i: int) -> bool:
        """Whether the number at run `i` is that of an introductory course: "Gaming 101"."""
        if line.parts[i] != "101" or line.before(i) != " " or line.shape[i + 1] not in "\0.,!?:":
            return False
        subject = line.parts[i - 2] if i > 1 else ""
        return subject.endswith(("ing", "ics")) or (subject[:1].isupper() and not subject.isupper())

    def model_number(self, digits: str) -> str:
        """As in twelve seven hundred."""
        if len(digits) == 4 and digits.endswith("000"):
            return self.cardinal(digits)
        return f"{self.cardinal(digits[:2])} {self.house(digits[2:])}" if len(digits) == 5 else self.house(digits)

    def symbol(self, line: Line, i: int) -> Found | None:
        """As everywhere; what is said for a comparison begins with "is" where the line does not."""
        found = super().symbol(line, i)
        bare = line.said.lower() in _IS or line.said.endswith("'s")
        if found and found.spoken.startswith("is ") and bare:
            return found._replace(spoken=found.spoken[3:])
        return found
