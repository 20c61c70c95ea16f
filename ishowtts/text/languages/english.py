"""English: numbers, dates, times and amounts as a speaker of American English says them."""

from __future__ import annotations

from functools import lru_cache

from .. import numerals
from ..amounts import Currency, Num
from ..grammar import Found
from ..numbers import SURE_DAYS
from ..scan import PAD, Line
from .english_chess import Chess

_SUFFIXES = frozenset(("st", "nd", "rd", "th"))
_AMBIGUOUS = frozenset(("may", "march", "mar", "sun", "sat", "dec", "jan"))
_cardinal = lru_cache(8192)(numerals.english)
_ordinal = lru_cache(1024)(numerals.english_ordinal)
_year = lru_cache(1024)(numerals.english_year)


_BEFORE_DATE = frozenset(
    ("on", "since", "until", "til", "till", "date", "due", "drops", "releases", "launches", "starts", "ends", "begins")
)
"""Words before two numbers with a stroke between that make them a month and a day."""


_SECONDS = frozenset(("s", "sec", "secs", "min", "mins", "h", "hr", "hrs"))
"""Units of time, of which so many are repeated: 3x30s."""


_HOLIDAYS = frozenset(("12/24", "12/25", "12/31", "10/31"))


class English(Chess):
    """The grammar of English."""

    language = "en"

    def __init__(self) -> None:
        super().__init__()
        self.one = self.table.list("one")
        self.many = self.table.list("many")
        self.determiners = self.table.list("determiner")
        self.function_words = self.table.list("function word")
        self.titles = self.table.words("title")
        self.before_decade = self.table.list("before decade")
        self.after_letters = frozenset((self.address["."], *numerals.ENGLISH_WORDS))
        """Words behind letters that are spelled and no Roman numeral."""
        self.you_are = self.table.list("ur")
        self.codes_before = self.table.list("code")
        self.named_numbers = self.table.words("named number")
        self.period_letters = self.table.section("period letter")
        self.minutes = self.table.list("minutes")
        self.measured_nouns = self.table.list("measured noun")
        self.dated = self.table.list("dated")
        self.next |= {"date": " /-–.a"}
        self.opening |= self.months.keys() | self.titles.keys() | {"ur"}

    def cardinal(self, number: str) -> str:
        """As in "twelve point five"."""
        return _cardinal(number)

    def digits(self, number: str) -> str:
        """Digit by digit."""
        return numerals.english_digits(number)

    def ordinal(self, number: str) -> str:
        """As in "twelfth"."""
        return _ordinal(number) if len(number) < 22 else self.digits(number)

    def count(self, num: Num) -> str:
        """A number before what it counts; ".5" is "point five"."""
        return self.cardinal(num.text) if num.whole else f"point {self.digits(num.fraction)}"

    def scaled(self, num: Num, scale: str) -> str:
        """As in "two point five million"."""
        return f"{self.count(num)} {scale}"

    # ---- words that open a date or a numeral -------------------------------------------------------------------------

    def opens(self, part: str, low: str) -> bool:
        """Also a month, a title, "ur", and a Roman numeral."""
        return super().opens(part, low) or (part[0] in "IVXLCDM" and part.isupper())

    def special(self, line: Line, i: int) -> Found | None:
        """Months, currencies before amounts, Roman numerals, quarters, street addresses."""
        part = line.parts[i]
        low = part.lower()
        if low in self.months:
            found = self.month_first(line, i, low)
            if found:
                return found
        found = super().special(line, i)
        if found:
            return found
        if line.street and i - line.street < PAD // 2:
            named = self.in_address(line, i, part)
            if named:
                return named
        titled = part[0].isupper() and (line.setting.shouted or not part.isupper())
        if low in self.titles and titled and line.shape[i + 1] == " " and line.parts[i + 2][:1].isupper():
            return Found(i + 1, self.titles[low], "abbreviation")
        if low == "ur" and line.setting.chat:
            after = line.word_after(i + 1).lower()
            after = self.chat.get(after, after)
            return Found(i + 1, "you're", "chat") if after in self.you_are or after.endswith("ing") else None
        if part[0] in "IVXLCDM" and part.isupper():
            return self.roman_numeral(line, i, part)
        return None

    def roman_numeral(self, line: Line, i: int, part: str) -> Found | None:
        """As in "Chapter IV", "Henry VIII", "Final Fantasy VII"; one letter only behind a word of the table."""
        before = line.said.lower()
        value = numerals.from_roman(part)
        if not value or not before or line.shape[i + 1] in "'0" or line.word_after(i + 1) in self.after_letters:
            return None
        kind = self.before_roman.get(before)
        if kind == "king" and (len(part) > 1 or (part in "IVX" and line.shape[i + 1] in "\0.,!?")):
            return Found(i + 1, f"the {self.ordinal(str(value))}", "roman")
        if (kind and (len(part) > 1 or value <= 10)) or (
            len(part) > 1
            and value < 40
            and not line.setting.shouted
            and (self.named(line.said) or (line.last == "letters" and len(line.said) < 5))
        ):
            return Found(i + 1, self.cardinal(str(value)), "roman")
        return None

    def named(self, word: str) -> bool:
        """Whether a word is a name: a capital and small letters."""
        return len(word) > 2 and word[0].isupper() and not word.isupper()

    # ---- dates -------------------------------------------------------------------------------------------------------

    def year(self, line: Line, j: int) -> tuple[int, str]:
        """(run behind a year at run `j`, its words), (j, "") without; a comma and spaces may stand before it."""
        k = j
        if line.shape[k] in ",-/":
            k += 1
        if line.shape[k] == " ":
            k += 1
        part = line.parts[k]
        if (
            k > j
            and line.shape[k] == "0"
            and len(part) == 4
            and 1000 <= int(part) < 2200
            and line.shape[k + 1] not in "a:0%"
        ):
            if line.shape[k + 1] in ".," and line.shape[k + 2] == "0":
                return j, ""
            return k + 1, _year(int(part))
        return j, ""

    def month_first(self, line: Line, i: int, low: str) -> Found | None:
        """As in jul 25 2012, Jan. 15th, July 1876, Jan-15-2020."""
        shape, parts = line.shape, line.parts
        j = i + 1
        if shape[j] == "." and low in self.months and low not in self.month_names:
            j += 1
        if shape[j] not in " -":
            return None
        dashed = shape[j] == "-"
        j += 1
        if shape[j] != "0":
            return None
        name, part = self.month_names[self.months[low] - 1], parts[j]
        end, said = self.year(line, j - 1)
        if said and not dashed:
            return Found(end, f"{name} {said}", "date") if low not in _AMBIGUOUS or parts[i][0].isupper() else None
        if len(part) > 2 or not 0 < int(part) < 32:
            return None
        k = j + 1
        if shape[k] == "a":
            if parts[k].lower() not in _SUFFIXES:
                return None
            k += 1
        elif shape[k] in ":/" and shape[k + 1] == "0":
            return None
        if not dashed and shape[k] in "-–" and (days := self.days_of(line, k, name, part)):
            return days
        end, year = self.year(line, k)
        if not year and (
            dashed or (low in _AMBIGUOUS and parts[i].islower() and shape[k] == " " and shape[k + 1] == "a")
        ):
            return None
        said = f"{name} {self.ordinal(part.lstrip('0'))}"
        return Found(end, f"{said}, {year}" if year else said, "date")

    def date(self, line: Line, i: int) -> Found | None:
        """12/25/2024, 2024-12-25, 25.12.2024, 22nd july 2012, 2Q22."""
        shape, parts = line.shape, line.parts
        if shape[i - 1] in "./-:$" and i > 1 and shape[i - 2] in "0a$":
            return None
        sign = shape[i + 1]
        if sign in "/-." and shape[i + 2] == "0" and shape[i + 3] == sign and shape[i + 4] == "0":
            end = i + 5
            if shape[end] in "/-:0a" or (shape[end] == "." and shape[end + 1] == "0"):
                return None
            if sign == "/" and self.tallied(line, i):
                return None
            return self.numeric_date(parts[i], sign, parts[i + 2], parts[i + 4], end)
        if sign == "/" and shape[i + 2] == "0" and shape[i + 3] not in "/0a" and not line.computes(i):
            month, day = parts[i], parts[i + 2]
            alone = not line.word_after(i + 3) and len(day) == 2 and int(day) in SURE_DAYS
            alone = alone or f"{month}/{day}" in _HOLIDAYS
            before = line.word_before(i)
            event = len(day) < 3 and int(day) not in (5, 10) and line.word_after(i + 3).lower() in self.dated
            sure = before in _BEFORE_DATE or before in self.weekdays or alone or event
            if sure and len(month) < 3 and len(day) < 3 and 0 < int(month) < 13 and 0 < int(day) < 32:
                return Found(i + 3, f"{self.month_names[int(month) - 1]} {self.ordinal(day.lstrip('0'))}", "date")
        if sign in " a" and len(parts[i]) < 3 and 0 < int(parts[i]) < 32:
            return self.day_first(line, i)
        return self.days_first(line, i) if sign in "-–" and shape.startswith("0 a", i + 2) else None

    def numeric_date(self, first: str, sign: str, second: str, third: str, end: int) -> Found | None:
        """Three numbers with the same sign between, if they can be a date."""
        if max(len(first), len(second), len(third)) > 4:
            return None
        if len(first) == 4:
            year, month, day = first, second, third
        elif sign == ".":
            day, month, year = first, second, third
        else:
            month, day, year = (first, second, third) if int(first) < 13 else (second, first, third)
        short = len(year) == 2 and sign != "/" and not (sign == "." and len(month) == 2 and int(day) > 12)
        if len(year) not in (2, 4) or short or len(day) > 2 or len(month) > 2:
            return None
        if not (0 < int(month) < 13 and 0 < int(day) < 32) or (len(year) == 4 and not 1000 <= int(year) < 2200):
            return None
        said = _year(int(year)) if len(year) == 4 else self.digits(year) if year[0] == "0" else self.cardinal(year)
        return Found(end, f"{self.month_names[int(month) - 1]} {self.ordinal(day.lstrip('0'))}, {said}", "date")

    def day_first(self, line: Line, i: int) -> Found | None:
        """15 january, 22nd july 2012, 26th of May."""
        shape, parts = line.shape, line.parts
        j = i + 1
        marked = shape[j] == "a" and parts[j].lower() in _SUFFIXES
        if marked:
            j += 1
        if shape[j] != " ":
            return None
        if marked and parts[j + 1].lower() == "of":
            j += 2
        low = parts[j + 1].lower()
        month = self.months.get(low)
        if not month or shape[j + 2] in "a0'":
            return None
        end = j + 3 if shape[j + 2] == "." and low not in self.month_names and not self.closes(line, j + 3) else j + 2
        end, year = self.year(line, end)
        if low in _AMBIGUOUS and not (marked or year or parts[j + 1][0].isupper()):
            return None
        the = "" if line.word_before(i) == "the" else "the "
        said = f"{the}{self.ordinal(parts[i].lstrip('0'))} of {self.month_names[month - 1]}"
        return Found(end, f"{said} {year}" if year else said, "date")

    def unit(self, line: Line, j: int) -> tuple[int, str, str] | None:
        """Behind a number, "m" may mean minutes: "10m left"."""
        found = super().unit(line, j)
        if found and line.parts[j] == "m" and found[0] == j + 1 and line.word_after(j + 1).lower() in self.minutes:
            return j + 1, self.units["min"][0], self.units["min"][-1]
        period = self.period_letters.get(line.parts[j])
        if not found and period and line.word_after(j + 1).lower() in self.minutes:
            return j + 1, period[0], period[-1]
        return found

    def begins_time(self, line: Line, i: int, day: str) -> bool:
        """As in 8pm, 7:30, 5/4, Dec 5, 5th."""
        shape, parts = line.shape, line.parts
        if shape[i] == "a":
            return parts[i].lower() in self.months and day[0].isupper() and shape[i + 1] in " ."
        if shape[i] != "0" or len(parts[i]) > 2:
            return False
        if shape[i + 1] == ":" and shape[i + 2] == "0":
            return True
        dated = day[0].isupper() and (shape[i + 1 : i + 3] == "/0" or parts[i + 1].lower() in _SUFFIXES)
        return dated or bool(self.meridiem(line, i + 1)[1])

    def attributive(self, line: Line, end: int) -> bool:
        """Whether what ends before run `end` describes a noun: "a 500 GB drive", "30 min queue" have no plural."""
        after = line.word_after(end).lower() if line.shape[end] == " " else ""
        if after in self.measured_nouns:
            return True
        return bool(after) and line.word_before(line.at) in self.determiners and after not in self.function_words

    def measured(self, line: Line, j: int, said: str, many: bool) -> Found:
        """A number in words with the unit at run `j`, if there is one."""
        found = super().measured(line, j, said, many)
        if many and found.kind == "measure" and line.shape[j] in "★*":
            after = line.word_after(found.end) if line.shape[found.end] == " " else ""
            noun = after and after.lower() not in self.function_words and line.parts[j + 1] != "s"
            if noun or line.word_before(line.at) in self.determiners:
                return super().measured(line, j, said, False)
            return found
        if many and found.kind == "measure" and self.attributive(line, found.end):
            return super().measured(line, j, said, False)
        return found

    def priced(self, line: Line, end: int, num: Num, unit: Currency, scale: str) -> str:
        """An amount that ends before run `end`; "a $70 game" has no plural."""
        if (scale or not num.fraction.strip("0")) and self.attributive(line, end):
            unit = unit._replace(many=unit.one)
        return self.say_money(num, unit, scale)

    # ---- times and amounts -------------------------------------------------------------------------------------------

    def say_time(self, hour: int, minute: int, second: int | None, half: str, line: Line, end: int) -> str:
        """As in "nine oh five PM", "twelve o'clock", "one hour one minute and one second"."""
        tail = f" {half}" if half else ""
        if second is not None:
            units = ((hour, "hour"), (minute, "minute"), (second, "second"))
            parts = [f"{self.cardinal(str(n))} {name}{'' if n == 1 else 's'}" for n, name in units]
            return f"{parts[0]} {parts[1]} and {parts[2]}{tail}"
        said = self.cardinal(str(hour or 12) if half else str(hour))
        if minute:
            return f"{said} {'oh ' if minute < 10 else ''}{self.cardinal(str(minute))}{tail}"
        if half:
            return said + tail
        return "midnight" if hour in (0, 24) else f"{said} hundred" if hour > 12 else f"{said} o'clock"

    def say_money(self, num: Num, unit: Currency, scale: str) -> str:
        """As in "twenty dollars and fifty cents", "five million dollars", "ninety-nine pence"."""
        if scale:
            return f"{self.count(num)} {scale} {unit.many}"
        whole, cents = num.whole or "0", num.fraction.rstrip("0")
        one = not whole.lstrip("0") or whole.lstrip("0") == "1"
        if not cents:
            return f"{self.cardinal(whole)} {unit.one if whole.lstrip('0') == '1' else unit.many}"
        if len(cents) > 2 or not unit.cent:
            return f"{self.cardinal(f'{whole}.{cents}')} {unit.many}"
        small = int(cents.ljust(2, "0"))
        said = f"{self.cardinal(str(small))} {unit.cent if small == 1 else unit.cents}"
        if not whole.strip("0"):
            return said
        return f"{self.cardinal(whole)} {unit.one if one else unit.many} and {said}"

    def say_fraction(self, top: str, bottom: str) -> str:
        """As in "two thirds", "nine out of ten"."""
        n, of = int(top), int(bottom)
        if of == 1 or not n or (of == 2 and n > 3):
            return f"{self.cardinal(top)} over {self.cardinal(bottom)}"
        if of in (2, 4):
            name = ("half", "halves") if of == 2 else ("quarter", "quarters")
            return f"{self.cardinal(top)} {name[n != 1]}"
        return f"{self.cardinal(top)} {self.ordinal(bottom)}{'' if n == 1 else 's'}"

    def say_mixed(self, whole: str, top: str, bottom: str) -> str:
        """As in "four and a half"."""
        said = self.say_fraction(top, bottom)
        said = "a " + said[4:] if said.startswith("one ") and bottom in ("2", "4") else said
        return f"{self.cardinal(whole)} and {said}"

    def suffix(self, line: Line, i: int, num: Num) -> Found | None:
        """1st, 1980s, 80s, 2Q22, 2/4th, 9.5/10, 401(k)."""
        shape, parts, j = line.shape, line.parts, num.end
        after = shape[j]
        if after == "/" and num.fraction and shape[j + 1] == "0":
            return Found(j + 1, f"{self.cardinal(num.text)} {self.say_['out of']}", "number")
        if num.fraction:
            return None
        whole = num.whole
        if after == "a":
            low = parts[j].lower()
            if low in _SUFFIXES and shape[j + 1] not in "0":
                return Found(j + 1, self.ordinal(num.whole.lstrip("0") or "0"), "ordinal")
            if len(low) == 1 and len(whole) in (3, 4) and self.is_numbered(line, i) and shape[j + 1] not in "0-":
                return Found(j + 1, f"{self.named_number(whole)} {parts[j].upper()}", "number")
            if low in ("q", "h") and len(whole) == 4 and shape[j + 1] == "0" and len(parts[j + 1]) == 1:
                return Found(j + 2, f"{self.old_year(whole)} {low.upper()} {self.cardinal(parts[j + 1])}", "date")
            if low == "p" and len(whole) in (3, 4):
                return Found(j + 1, f"{self.house(whole)} P", "measure")
            if parts[j] == "X" and len(whole) == 4 and shape[j + 1 : j + 3] == "0a" and len(parts[j + 1]) == 1:
                return Found(j + 1, f"{self.pairs(whole)} X", "serial")  # 5800X3D
            seconds = parts[j + 2 if shape[j + 1] == "0" else j + 3] in _SECONDS
            if low == "x" and (shape[j + 1] == "0" or (seconds and shape.startswith(" 0a", j + 1))):
                times = shape[j + 2 : j + 4].strip(" ")[:1] == "=" or seconds
                by = self.symbols["×"] if times else self.say_["by"]
                return Found(j + 1, f"{self.cardinal(num.whole)} {by}", "number")
            if low == "s":
                early = len(whole) == 2 and whole < "50" and line.word_before(i) not in self.before_decade
                return None if early else self.decade(num, j + 1)
            if low == "q" and whole in ("1", "2", "3", "4") and shape[j + 1] == "0" and len(parts[j + 1]) == 2:
                return Found(j + 2, f"the {self.ordinal(whole)} quarter of {self.cardinal(parts[j + 1])}", "date")
        elif after == " " and parts[j + 1] in ("x", "X") and shape.startswith(" 0", j + 2):
            return Found(j + 2, f"{self.cardinal(num.whole)} {self.say_['by']}", "number")
        elif parts[j + 1] == "s" and (after == "'" or (after == " " and len(num.whole) == 4)):
            return self.decade(num, j + 2)
        elif after == "(" and num.whole in ("401", "403") and shape[j + 1] == "a" and shape[j + 2] == ")":
            return Found(j + 3, f"four oh {self.digits(num.whole[2])} {parts[j + 1].upper()}", "serial")
        elif after == " " and num.whole and len(num.whole) < 5:
            era = parts[j + 1].upper()
            if era in ("AD", "BC", "BCE", "CE") and parts[j + 1].isupper():
                return Found(j + 2, f"{self.old_year(num.whole)} {era}", "year")
            if (
                era in ("A", "B")
                and shape[j + 2] == "."
                and parts[j + 3].upper() in ("D", "C")
                and parts[j + 1].isupper()
            ):
                end = j + 5 if shape[j + 4] == "." and not self.closes(line, j + 5) else j + 4
                return Found(end, f"{self.old_year(num.whole)} {era}{parts[j + 3].upper()}", "year")
        return None

    def old_year(self, digits: str) -> str:
        """A year of any century."""
        if len(digits) == 4:
            return _year(int(digits))
        if len(digits) == 3 and digits[0] != "0" and digits[1:] != "00":
            return self.house(digits)
        return self.cardinal(digits)

    def decade(self, num: Num, end: int) -> Found | None:
        """1980s, 80s."""
        digits = num.whole
        if not digits.endswith("0") or num.grouped or len(digits) not in (2, 4) or digits == "00" or digits[0] == "0":
            return None
        said = self.cardinal(digits) if len(digits) == 2 else "two thousand" if digits == "2000" else _year(int(digits))
        return Found(end, said[:-1] + "ies" if said.endswith("y") else said + "s", "year")

    # ---- plain numbers and addresses ---------------------------------------------------------------------------------

    def say_plain(self, line: Line, i: int, num: Num) -> tuple[str, str]:
        """Years by halves, digits one by one where they are no amount."""
        whole = num.whole
        if num.fraction:
            return self.cardinal(f"{whole or '0'}.{num.fraction}"), "number"
        if num.grouped:
            return self.cardinal(whole), "number"
        size = len(whole)
        if size > 1 and whole[0] == "0":
            year = size == 2 and line.before(i) == "'" and whole != "00"
            return f"oh {self.digits(whole[1])}" if year else self.digits(whole), "number"
        if size in (3, 4) and (self.is_numbered(line, i) or self.introduces(line, i)):
            return self.named_number(whole), "number"
        if whole in self.named_numbers and not self.counts(line, num.end) and not line.computes(i):
            return self.named_numbers[whole], "number"
        if size == 5 and line.word_before(i).upper() in self.states and line.street:
            return self.digits(whole), "number"
        if size < 6 and line.shape[num.end] == " " and whole.strip("0") and self.street_at(line, num.end):
            return self.house(whole), "number"
        if size < 3:
            return self.cardinal(whole), "number"
        if size == 4 and whole[:2] == "10" and line.word_before(i) in ("in", "since", "year", "until"):
            return _year(int(whole)), "year"
        if size == 4 and line.word_before(i) in self.codes_before:
            return self.digits(whole), "number"
        if size == 4 and 1100 <= int(whole) < 2100 and not self.counts(line, num.end) and not line.computes(i):
            return _year(int(whole)), "year"
        if (size > 3 and self.is_code(line, i)) or (size == 3 and line.word_before(i) in self.codes_before):
            return self.digits(whole), "number"
        if size > 10 and whole[-3:] != "000":
            return self.digits(whole), "number"
        return self.cardinal(whole), "number"

    def rates(self, line: Line, top: str, bottom: str, end: int) -> bool:
        """Also of ten and of a hundred, if not of a whole: 1/10, but "1/10 of chat" and the single character ⅒."""
        places, starts = line.places, line.starts
        whole = line.word_after(end).lower() == "of"
        whole = whole or (places is not None and places[starts[end - 3]] == places[starts[end - 1]])
        return super().rates(line, top, bottom, end) or (bottom in ("10", "100") and not whole)

    def is_code(self, line: Line, i: int) -> bool:
        """Whether a word shortly before says that digits are a code."""
        return any(line.parts[k].lower() in self.codes_before for k in range(max(i - 6, 0), i))

    def parse(self, line: Line, i: int) -> Num:
        """An amount as it is written in continental Europe too: 1.000,50."""
        num = super().parse(line, i)
        parts, shape, j = line.parts, line.shape, num.end
        if shape[i + 1] not in ".,":
            return num
        if shape.startswith("0,0a", i) and len(parts[i + 2]) == 1 and parts[i + 3] in self.scales:
            return Num(parts[i], parts[i + 2], i + 3, False)  # 1,5k
        two_places = shape.startswith("0,0", i) and len(parts[i + 2]) == 2 and shape[i + 3] not in ",.0a"
        if two_places and (shape[i - 1] in self.currencies or shape[i + 3 : i + 5].strip(" ")[:1] in self.currencies):
            return Num(parts[i], parts[i + 2], i + 3, False)
        if (
            shape.startswith("0.0,0", i)
            and len(parts[i + 2]) == 3
            and len(parts[i + 4]) == 2
            and j == i + 3
            and len(parts[i]) < 4
        ):
            return Num(parts[i] + parts[i + 2], parts[i + 4], i + 5, True)
        return num

    def counts(self, line: Line, j: int) -> bool:
        """Whether a word behind a number says what is counted."""
        word = line.word_after(j) if line.shape[j] == " " else ""
        if len(word) < 3 or word[0].isupper():
            return word in self.many
        return word in self.many or (
            word.endswith("s") and not word.endswith(("ss", "us", "'s")) and word not in self.one
        )
