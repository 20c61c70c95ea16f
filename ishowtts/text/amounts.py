"""What follows a number and belongs to it: magnitudes, currencies, units, "per month", "p.m."."""

from __future__ import annotations

from typing import NamedTuple

from .clean import SUPERSCRIPTS
from .grammar import Found, new
from .scan import Line
from .telephone import Telephones
from .words import MERIDIEMS

POWERED = frozenset(("m", "cm", "mm", "km", "dm", "ft", "in", "mi", "yd", "nm"))
_SPACED = frozenset("mglLhsVWt")
_STAR_NEAR = 48
"""Characters before a "*" in which another one makes both of them emphasis."""
_IN_NUMBERS = frozenset(",. '")
"""Characters that may stand between the digits of a number."""


class Num(NamedTuple):
    """A number: digits before and after the decimal mark, the run after it, and whether thousands are separated."""

    whole: str
    fraction: str
    end: int
    grouped: bool

    @property
    def text(self) -> str:
        """The number as "1234" or "1234.5"."""
        return f"{self.whole}.{self.fraction}" if self.fraction else self.whole


class Currency(NamedTuple):
    """Names of a currency, singular and plural, and of its hundredths, "" where there are none."""

    one: str
    many: str
    cent: str
    cents: str


class Amounts(Telephones):
    """Parsing of numbers and of what follows them; subclasses put them into words."""

    group_mark, point_mark = ",", "."
    nouns_are_capital = False
    """Whether a capital letter behind a full stop may be a noun, so that it does not tell where a sentence begins."""

    def __init__(self) -> None:
        super().__init__()
        table = self.table
        self.currencies = {code: Currency(*(row + ("",) * 4)[:4]) for code, row in table.section("currency").items()}
        self.codes = {code.lower(): row for code, row in self.currencies.items() if code.isalpha()}
        self.currency_words = {word: self.currencies[code] for word, code in table.words("currency word").items()}
        self.units = table.section("unit")
        self.units_lower = {key.lower(): row for key, row in self.units.items() if len(key) > 1}
        self.dotted_units = table.list("dotted unit")
        self.scales = table.section("scale")
        self.periods = table.words("per")
        self.lettered = table.list("lettered")
        self.before_minutes, self.lengths = table.list("before minutes"), table.list("length")

    def parse(self, line: Line, i: int) -> Num:
        """The number that begins at run `i`, a run of digits."""
        parts, shape = line.parts, line.shape
        whole, j, grouped = parts[i], i + 1, False
        if shape[j] not in _IN_NUMBERS:
            return new(Num, (whole, "", j, False))
        group, point = self.group_mark, self.point_mark
        if shape[j] == group and len(whole) < 4 and whole[0] != "0" and shape[j + 1] == "0" and len(parts[j + 1]) == 3:
            pieces = [whole]
            while shape[j] == group and shape[j + 1] == "0" and len(parts[j + 1]) == 3:
                pieces.append(parts[j + 1])
                j += 2
            whole, grouped = "".join(pieces), True
        elif shape[j] in " '" and len(whole) < 4 and whole[0] != "0" and len(parts[j + 1]) == 3 and shape[j + 1] == "0":
            pieces, end = [whole], j
            while shape[end] == shape[j] and shape[end + 1] == "0" and len(parts[end + 1]) == 3 and len(pieces) < 7:
                pieces.append(parts[end + 1])
                end += 2
            if self.groups(line, i, pieces, end):
                whole, j, grouped = "".join(pieces), end, True
        if shape[j] == point and shape[j + 1] == "0" and not (shape[j + 2] == point and shape[j + 3] == "0"):
            return Num(whole, parts[j + 1], j + 2, grouped)
        return Num(whole, "", j, grouped)

    def groups(self, line: Line, i: int, pieces: list[str], end: int) -> bool:
        """Whether numbers of three digits from run `i` to `end` are one, with spaces or strokes: 10 000, 1'000'000."""
        shape = line.shape
        if shape[i + 1] == " " and (shape[i - 1] == " " and i > 1 and shape[i - 2] == "0"):
            return False
        if shape[end] in "'/:-" or (shape[end] == " " and shape[end + 1] == "0"):
            return False
        return shape[i + 1] == "'" or pieces[-1] == "000" or (len(pieces) > 2 and len(pieces[0]) < 3)

    def meridiem(self, line: Line, j: int) -> tuple[int, str]:
        """(run after "am" or "p.m." at run `j`, "AM" or "PM"); (j, "") where there is neither."""
        k = j + 1 if line.shape[j] == " " else j
        if line.shape[k] != "a":
            return j, ""
        low = line.parts[k].lower()
        if low in MERIDIEMS and line.shape[k + 1] not in "0'" and line.word_after(k + 1).lower() != "i":
            return k + 1, MERIDIEMS[low]
        if low in ("a", "p") and line.shape[k + 1] == "." and line.parts[k + 2].lower() == "m":
            end = k + 4 if line.shape[k + 3] == "." and not self.closes(line, k + 4) else k + 3
            return end, MERIDIEMS[low + "m"]
        return j, ""

    def unit(self, line: Line, j: int) -> tuple[int, str, str] | None:
        """(run after it, singular, plural) of the unit at run `j` or after a space there; None: there is none."""
        shape, parts = line.shape, line.parts
        k = j + 1 if shape[j] == " " else j
        key, end = parts[k], k + 1
        if shape[k] == "x" and key == "μ" and shape[k + 1] == "a":
            key, end = key + parts[k + 1], k + 2
        elif shape[k] == "°" and shape[k + 1] == "a" and len(parts[k + 1]) == 1:
            key, end = key + parts[k + 1].upper(), k + 2
        elif shape[k] == "*" and k == j and self.is_star(line, k):
            key = "★"
            end += shape[end] == "a"  # "5*s"
        elif shape[k] not in "a%‰°x★" or not key:
            return None
        if shape[k] == "a" and k > j and ((len(key) == 1 and key not in _SPACED) or key in ("in", "am")):
            return None
        if shape[end] == "/" and shape[end + 1] == "a":
            both = f"{key}/{parts[end + 1]}"
            row = self.units.get(both) or self.units_lower.get(both.lower())
            if row:
                return (end + 2, row[0], row[-1]) if shape[end + 2] not in "a0" else None
        row = self.units.get(key) or self.units_lower.get(key.lower())
        if not row:
            return None
        if key == "MP" and (line.shape[line.at] == "-" or line.before(line.at) == "+"):
            return end, key, key  # points that are lost or won
        if key in ("C", "F") and (len(parts[j - 1]) < 2 or line.word_before(line.at) in self.lettered):
            return None  # "iPhone 5C", "room 30C"
        lasts = key == "m" and k == j and line.word_before(line.at) in self.before_minutes
        if lasts and line.word_after(end).lower() not in self.lengths:
            row = self.units["min"]
        one, many = row[0], row[-1]
        power = ""
        if shape[end] == "²" and SUPERSCRIPTS.get(parts[end]) in ("2", "3"):
            power, end = SUPERSCRIPTS[parts[end]], end + 1
        elif key in POWERED and shape[end] == "^" and parts[end + 1] in ("2", "3"):
            power, end = parts[end + 1], end + 2
        elif key in POWERED and parts[end] in ("2", "3") and shape[end + 1] != "a":
            power, end = parts[end], end + 1
        if power:
            one, many = self.powered(one, power), self.powered(many, power)
        if shape[end] == "0":
            return None
        if shape[end] == "." and key.lower() in self.dotted_units and not self.closes(line, end + 1):
            begins = shape[end + 1] == " " and line.parts[end + 2][:1].isupper() and not self.nouns_are_capital
            end += not begins
        return end, one, many

    def is_star(self, line: Line, j: int) -> bool:
        """Whether the "*" at run `j`, behind a number, is one of a rating (5*, 4.5*), not of a product or *word*."""
        at = line.starts[j]
        beside = line.shape[j + 1] in " \0.,!?:)h" or line.parts[j + 1] == "s"
        beside = beside and len(line.parts[j - 1]) < 3
        return beside and not line.computes(j) and line.text.find("*", max(at - _STAR_NEAR, 0), at) < 0

    def powered(self, unit: str, power: str) -> str:
        """A unit of length to the power "2" or "3", as "square metre"."""
        return f"{self.say_['square' if power == '2' else 'cubic']} {unit}"

    def per(self, line: Line, j: int) -> tuple[int, str]:
        """(run after "/month" at run `j`, "per month"); (j, "") where there is no such thing."""
        shape = line.shape
        k = j + 1 if shape[j] == " " else j
        if shape[k] != "/":
            return j, ""
        k = k + 2 if shape[k + 1] == " " else k + 1
        if shape[k] != "a":
            return j, ""
        key = line.parts[k]
        name = self.periods.get(key) or self.periods.get(key.lower())
        if name:
            return k + 1, f"{self.say_['per']} {name}"
        unit = self.unit(line, k)
        return (unit[0], f"{self.say_['per']} {unit[1]}") if unit else (j, "")

    def scale(self, line: Line, j: int, money: bool) -> tuple[int, str]:
        """(run after a magnitude such as "k" or "million" at run `j`, its word); (j, "") where there is none.

        `money`: a currency belongs to the number, so short forms are magnitudes.
        """
        glued = line.shape[j] == "a"
        k = j if glued else j + 1
        if line.shape[k] != "a" or (not glued and line.shape[j] != " "):
            return j, ""
        key = line.parts[k]
        row = self.scales.get(key) or (self.scales.get(key.lower()) if len(key) > 2 else None)
        if not row or line.shape[k + 1] == "0":
            return j, ""
        if len(key) == 1 and key.isupper() and not money and line.word_before(line.at) in self.lettered:
            return j, ""  # "room 12B"
        if key == "K" and not money and len(line.parts[j - 1]) == 1 and line.shape[j - 2 : j - 1] != ".":
            return j, ""  # "4K" is a resolution
        if len(key) < 3 and ((not glued and not money) or (len(row) > 1 and row[1] == "money" and not money)):
            return j, ""
        if line.shape[k + 1] == "." and len(row) > 1 and row[1] == "dot" and not self.closes(line, k + 2):
            return k + 2, row[0]
        return k + 1, row[0]

    def currency_after(self, line: Line, j: int) -> tuple[int, Currency] | None:
        """(run after it, the currency) at run `j` or after a space there; None: there is none."""
        k = j + 1 if line.shape[j] == " " else j
        shape = line.shape[k]
        if shape == "a":
            code = line.parts[k]
            if len(code) == 2 and line.shape[k + 1] == "$":
                found = self.currencies.get(code.upper() + "$")
                return (k + 2, found) if found else None
            low = code.lower()
            found = self.codes.get(low) if code.isupper() or low not in self.units else None
            if not found and line.shape[j - 3 : j] in ("0,0", "0.0") and len(line.parts[j - 1]) == 2:
                found = self.currency_words.get(low)
            return (k + 1, found) if found and line.shape[k + 1] not in "0$" else None
        if shape == "h" and k == j:
            found = self.currencies.get(line.parts[k])
            return (k + 1, found) if found else None
        found = self.currencies.get(shape)
        return (k + 1, found) if found and (k == j or line.shape[k + 1] != "0") else None

    def count(self, num: Num) -> str:
        """A number before the thing that it counts."""
        return self.cardinal(num.text)

    def of(self, number: str, unit: str) -> str:
        """A whole number of a unit."""
        names = self.units[unit]
        return f"{self.count(Num(number, '', 0, False))} {names[0] if number == '1' else names[-1]}"

    def metres(self, whole: str, rest: str) -> str:
        """A length in metres and centimetres, 1m80, "" for another number."""
        if len(whole) > 1 or len(rest) != 2:
            return ""
        return f"{self.of(whole, 'm')} {self.cardinal(rest.lstrip('0') or '0')}"

    def feet(self, line: Line, num: Num) -> Found | None:
        """A length in feet and inches: 6'2", 5'11. A quotation mark that occurs once may be one of them."""
        shape, j = line.shape, num.end
        foot = self.units.get("ft")
        if foot and shape[j + 1] == "0" and len(line.parts[j + 1]) < 3 and int(line.parts[j + 1]) < 12:
            end = j + 2
            if shape[end] == '"':
                end += 1
            elif shape.startswith("''", end):
                end += 2
            inches = int(line.parts[j + 1])
            if not inches:
                return Found(end, f"{self.count(num)} {foot[0] if num.whole == '1' else foot[-1]}", "measure")
            return Found(end, f"{self.count(num)} {foot[0]} {self.cardinal(str(inches))}", "measure")
        inch, mark = self.units.get("in"), shape[j]
        unit = foot if mark == "'" else inch
        if unit and shape[j + 1] in " \0.,!?" and line.text.count(mark) == 1:
            return Found(j + 1, f"{self.count(num)} {unit[0] if num.whole == '1' else unit[-1]}", "measure")
        return None
