"""German: numbers, dates, times and amounts, with the endings that the words around them ask for."""

from __future__ import annotations

from functools import lru_cache

from .. import numerals
from ..amounts import Currency, Num
from ..grammar import Found
from ..scan import Line
from .german_days import Days

_cardinal = lru_cache(8192)(numerals.german)
_ordinal = lru_cache(1024)(numerals.german_ordinal)
_ORDINAL_ENDS = {begin + end: end for begin in ("t", "st") for end in ("e", "en", "er", "es", "em")}
_BEFORE_HOUR = frozenset(("um", "ab", "bis", "gegen"))
"""Words before a number and "h" that make it a time of day and no duration."""
_ZONES = frozenset(("mez", "mesz", "cet", "cest", "utc", "gmt"))
_HOLIDAYS = frozenset((("24", "12"), ("25", "12"), ("31", "12"), ("31", "10")))
_FEMALE = ("e", "ung", "heit", "keit", "ion", "tät", "schaft", "in", "ur", "ik")
_NEUTER = ("chen", "um", "ment", "lein")


class German(Days):
    """The grammar of German."""

    language = "de"
    group_mark, point_mark = ".", ","
    nouns_are_capital = True

    def __init__(self) -> None:
        super().__init__()
        self.cases = self.table.words("case")
        self.endings = self.table.words("determiner")
        self.genders = {word: gender for gender in ("f", "n", "m") for word in self.table.list(f"noun {gender}")}
        self.codes_before = self.table.list("code")
        names = (self.table.section(name).values() for name in ("currency", "unit", "symbol", "emoticon"))
        self.said_for_signs = frozenset(row[0] for section in names for row in section if row)
        self.before_one = self.table.list("before one")
        self.shortened = self.table.words("shortened end")
        self.next |= {"date": "/-.", "ratio": ":-"}
        for sign in "*:":
            self.rules[sign] = (self.all_genders, *self.rules[sign])

    def cardinal(self, number: str) -> str:
        """As in zwölf Komma fünf."""
        return _cardinal(number)

    def digits(self, number: str) -> str:
        """Digit by digit."""
        return numerals.german_digits(number)

    def ordinal(self, number: str) -> str:
        """As in dritte."""
        return self.ending(number, "e")

    def ending(self, number: str, ending: str) -> str:
        """An ordinal with its ending."""
        if not number.strip("0"):
            return f"nullt{ending}"
        return _ordinal(number, ending) if len(number) < 22 else self.digits(number)

    def count(self, num: Num) -> str:
        """A number before what it counts: ein, not eins."""
        return _cardinal(num.text, "ein")

    def parse(self, line: Line, i: int) -> Num:
        """A full stop is a decimal mark too where it does not mark thousands: 4.99."""
        num = super().parse(line, i)
        shape, j = line.shape, num.end
        if not num.fraction and shape[j] == "," and shape[j + 1] in "-–" and shape[j + 2] != "0":
            return num._replace(end=j + 2)  # 5,-
        if (
            not num.grouped
            and not num.fraction
            and shape[j] == "."
            and shape[j + 1] == "0"
            and shape[j + 2 : j + 4] != ".0"
        ):
            return Num(num.whole, line.parts[j + 1], j + 2, False)
        return num

    def grouped_by_points(self, line: Line, i: int) -> bool:
        """As in 1.000.000, but not 192.168.0.1."""
        num = self.parse(line, i)
        return num.grouped and not line.shape.startswith(".0", num.end)

    def of_time(self, number: str, rank: int) -> str:
        """Hours, minutes and seconds are feminine: eine Stunde."""
        said = super().of_time(number, rank)
        return f"eine{said[3:]}" if said.startswith("ein ") else said

    # ---- words around a number ---------------------------------------------------------------------------------------

    def gender(self, noun: str) -> str:
        """The letter f, n or m of a noun, by the table or its ending."""
        low = noun.lower()
        found = self.genders.get(low)
        if found:
            return found
        return "f" if low.endswith(_FEMALE) and len(low) > 3 else "n" if low.endswith(_NEUTER) else "m"

    def before_noun(self, line: Line, i: int, noun: str) -> str:
        """The ending of an ordinal at run `i` by the word before it, else by the noun."""
        word = line.word_before(i) if line.before(i) == " " else ""
        ending = self.endings.get(word, "")
        if word == "der" and self.endings.get(line.word_before(i - 2)) == "p":
            return "en"
        if ending and ending != "p":
            return ending if ending != "ein" else {"f": "e", "n": "es", "m": "er"}[self.gender(noun)]
        return {"f": "e", "n": "es", "m": "er"}[self.gender(noun)]

    def opens(self, part: str, low: str) -> bool:
        """Also the short form of a week or a street, and a Roman numeral."""
        numeral = part[0] in "IVXLCDM" and part.isupper()
        return super().opens(part, low) or numeral or part == "KW" or bool(self.whole(part))

    def special(self, line: Line, i: int) -> Found | None:
        """Currencies before amounts, numbered weeks, and Roman numerals."""
        found = super().special(line, i)
        if found:
            return found
        part = line.parts[i]
        if part == "KW" and line.shape.startswith(" 0", i + 1) and len(line.parts[i + 2]) < 3:
            return Found(i + 1, self.say_["KW"], "abbreviation")
        if part[0] not in "IVXLCDM" or not part.isupper():
            return None
        before, value = line.said.lower(), numerals.from_roman(part)
        kind = self.before_roman.get(before)
        noun = line.word_after(i + 2) if line.shape[i + 1] == "." else ""
        numeral = value and (len(part) > 1 or (part in "IVX" and line.said))
        if numeral and noun.lower() in self.genders and noun[0].isupper() and noun not in self.said_for_signs:
            return Found(i + 2, self.ending(str(value), self.before_noun(line, i, noun)), "roman")  # II. Weltkrieg
        spelled = (len(part) == 1 and value > 10) or line.word_after(i + 1).startswith(numerals.GERMAN_WORDS)
        if not value or not before or spelled or line.shape[i + 1] in "'0":
            return None
        if kind in ("king", "queen"):
            end = i + 2 if line.shape[i + 1] == "." and not self.closes(line, i + 2) else i + 1
            return Found(end, f"{'der' if kind == 'king' else 'die'} {self.ordinal(str(value)).capitalize()}", "roman")
        named = len(before) > 2 and line.said[0].isupper() and not line.said.isupper()
        if kind or (len(part) > 1 and value < 40 and not line.setting.shouted and named):
            return Found(i + 1, self.cardinal(str(value)), "roman")
        return None

    def abbreviation(self, line: Line, i: int) -> Found | None:
        """Also compounds with a shortened end (Hauptstr.) and "u." between words."""
        part, shape = line.parts[i], line.shape
        if day := self.weekday_short(line, i):
            return day
        found = super().abbreviation(line, i)
        if found:
            return found
        if part == "u" and shape[i + 2] == " " and shape[i + 3] in "a0":
            return Found(i + 2, self.symbols["&"], "abbreviation")
        said = self.whole(part)
        return Found(i + 1 if self.closes(line, i + 2) else i + 2, said, "abbreviation") if said else None

    def whole(self, part: str) -> str:
        """A compound with its end in full, as Hauptstraße for Hauptstr; "" for another word."""
        low = part.lower()
        for short, end in self.shortened.items():
            if low.endswith(short) and len(low) > len(short) + 2 and not part.isupper():
                return part[: -len(short)] + end
        return ""

    def word(self, line: Line, i: int) -> Found:
        """A street in an address may be shortened without a full stop: Hauptstr 5."""
        if line.shape[i + 1] == " " and line.shape[i + 2] == "0" and (said := self.whole(line.parts[i])):
            return Found(i + 1, said, "abbreviation")
        return super().word(line, i)

    # ---- dates and ordinals ------------------------------------------------------------------------------------------

    def date(self, line: Line, i: int) -> Found | None:
        """25.12.2024, 02.03., 2. März 2003, 2003-03-02, and ordinals before other words."""
        shape, parts = line.shape, line.parts
        first, sign = parts[i], shape[i + 1]
        if shape[i - 1] in "./-:," and i > 1 and shape[i - 2] == "0":
            return None
        if sign == "-" and len(first) == 4 and shape.startswith("0-0-0", i):
            return self.day(line, i, parts[i + 4], parts[i + 2], first, i + 5)
        if sign == "/" and shape.startswith("0/0/0", i) and len(parts[i + 4]) == 4:
            return self.day(line, i, first, parts[i + 2], parts[i + 4], i + 5)
        if sign == "/" and shape[i + 2] == "0" and len(parts[i + 2]) == 4 and parts[i + 2][:2] in ("19", "20"):
            if len(first) < 3 and 0 < int(first) < 13 and shape[i + 3] not in "/a0":
                said = f"{self.month_names[int(first) - 1]} {self.said_year(parts[i + 2])}"
                return Found(i + 3, said, "date")
            return None
        if sign != ".":
            return None
        if shape[i + 2] == "0" and len(first) < 3 and len(parts[i + 2]) < 3:
            return self.numeric_date(line, i)
        if len(first) < 3 and shape[i + 2] in "-–" and shape.startswith("0.", i + 3):
            return self.first_of_two(line, i)
        if len(first) < 3 and first.strip("0"):
            k = i + 3 if shape[i + 2] == " " else i + 2
            if parts[k].lower() in self.months:
                return self.named_month(line, i, k)
        return self.numbered(line, i)

    def numeric_date(self, line: Line, i: int) -> Found | None:
        """Day and month with full stops, perhaps with a year."""
        shape, parts = line.shape, line.parts
        day, month, end = parts[i], parts[i + 2], i + 3
        if shape[end] == ".":
            k = end + 2 if shape[end + 1] == " " else end + 1
            if shape[k] == "0" and len(parts[k]) in (2, 4) and (k == end + 1 or len(parts[k]) == 4):
                if shape[k + 1] in ".:" and shape[k + 2] == "0":
                    return None
                return self.day(line, i, day, month, parts[k], k + 1)
            if shape[end + 1] == "0":
                return None
            closing = self.closes(line, end + 1)
            word = line.word_before(i)
            sure = i == 0 or "0" in (day[0], month[0]) or word in self.weekdays or self.endings.get(word) or not closing
            return self.day(line, i, day, month, "", end if closing else end + 1) if sure or int(day) > 12 else None
        dated = len(month) == 2 and (day[0] == "0" or (day, month) in _HOLIDAYS)
        dated = dated or (line.word_before(i) in ("am", "vom", "zum") and line.before(i) == " ")
        if dated and shape[end] not in "a%:°" and not self.amounts(line, end):
            return self.day(line, i, day, month, "", end)
        return None

    def amounts(self, line: Line, j: int) -> bool:
        """Whether "Uhr", a unit or a currency follows."""
        return line.word_after(j) == "Uhr" or self.currency_after(line, j) is not None or self.unit(line, j) is not None

    def day(self, line: Line, i: int, day: str, month: str, year: str, end: int) -> Found | None:
        """A date of three numbers in words, None where it cannot be one."""
        if len(day) > 2 or len(month) > 2 or not (0 < int(day) < 32 and 0 < int(month) < 13):
            return None
        said = f"{self.ending(day.lstrip('0'), self.before_noun(line, i, 'Tag'))} {self.month_names[int(month) - 1]}"
        return Found(end, f"{said} {self.said_year(year)}" if year else said, "date")

    def said_year(self, year: str) -> str:
        """A year of four digits, or of two."""
        return numerals.german_year(int(year)) if len(year) == 4 or year[0] != "0" else self.digits(year)

    def named_month(self, line: Line, i: int, k: int) -> Found:
        """A day before the name of a month, with the year behind it."""
        shape, parts = line.shape, line.parts
        month = self.month_names[self.months[parts[k].lower()] - 1]
        end = k + 1
        if shape[end] == "." and parts[k] not in self.month_names and not self.closes(line, end + 1):
            end += 1
        said = f"{self.ending(parts[i].lstrip('0'), self.before_noun(line, i, 'Tag'))} {month}"
        year = parts[end + 1]
        if shape.startswith(" 0", end) and len(year) == 4 and year[0] in "12" and shape[end + 2] not in ":%a":
            return Found(end + 2, f"{said} {self.said_year(year)}", "date")
        return Found(end, said, "date")

    def first_of_two(self, line: Line, i: int) -> Found | None:
        """The first day and the dash of 7.-9. Mai; both have the ending that the word before asks for."""
        shape, parts = line.shape, line.parts
        month = parts[i + 6 if shape[i + 5] == " " else i + 5].lower()
        last = parts[i + 3]
        if month not in self.months or len(last) > 2 or not last.strip("0") or not parts[i].strip("0"):
            return None
        ending = self.before_noun(line, i, "Tag")
        days = [self.ending(day.lstrip("0"), ending) for day in (parts[i], last)]
        return Found(i + 5, f" {self.say_['to']} ".join(days), "date")

    def numbered(self, line: Line, i: int) -> Found | None:
        """A number and a full stop: an ordinal before the noun that it numbers, or alone; else it ends a sentence."""
        shape, number = line.shape, line.parts[i]
        if (len(number) > 1 and number[0] == "0") or shape[i - 1] in "a0.,:-":
            number = ""
        if not number or shape[i + 2] not in " \0":
            return None
        word = line.word_after(i + 2) if shape[i + 2] == " " else ""
        if not word:
            alone = i == 0 and line.ends(i + 2)
            ruled = self.endings.get(line.word_before(i), "") if line.ends(i + 2) else ""
            if alone or (ruled and ruled not in ("p", "ein") and shape[i - 1] == " "):
                return Found(
                    i + 2 if line.shape[i + 2] == "\0" else i + 1, self.ending(number, ruled or "er"), "ordinal"
                )
            return None
        determined = self.endings.get(line.word_before(i), "") not in ("", "p") and shape[i - 1] == " "
        noun = word.lower() in self.genders or (i == 0 and word not in self.endings)
        if len(number) < (5 if determined or i == 0 else 4) and (determined or word[0].islower() or noun):
            return Found(i + 2, self.ending(number, self.before_noun(line, i, word)), "ordinal")
        return None

    def suffix(self, line: Line, i: int, num: Num) -> Found | None:
        """3ten, 90er, 5fach, 2x, 9,5/10, 18 Uhr."""
        shape, parts, j = line.shape, line.parts, num.end
        after = shape[j]
        if after == "/" and num.fraction and shape[j + 1] == "0":
            return Found(j + 1, f"{self.cardinal(num.text)} von", "number")
        word = line.word_after(j) if after == " " else ""
        if word == "Uhr" and not num.grouped:
            return self.full_hour(line, i, num)
        if num.fraction:
            return self.height(line, num)
        if word in ("x", "X") and shape.startswith(" 0", j + 2):
            return Found(j + 2, f"{self.cardinal(num.whole)} {self.symbols['×']}", "number")
        hour = parts[j] == "h" or word == "h"
        k = j + 2 if after == " " else j + 1
        timed = line.word_before(i) in _BEFORE_HOUR or (hour and line.word_after(k).lower() in _ZONES)
        if hour and len(num.whole) < 3 and timed and int(num.whole) < 25:
            return Found(k, f"{_cardinal(num.whole, 'ein')} Uhr", "time")
        if after == "%" and parts[j + 1] in ("ig", "ige", "iger", "iges", "igen", "igem"):
            return Found(j + 2, f"{self.cardinal(num.whole)}prozent{parts[j + 1]}", "number")
        if after == "a":
            low = parts[j].lower()
            if low in _ORDINAL_ENDS:
                return Found(j + 1, self.ending(num.whole.lstrip("0") or "0", _ORDINAL_ENDS[low]), "ordinal")
            if low in ("er", "ern") and num.whole[-1] == "0":
                digits = num.whole
                said = numerals.german_year(int(digits)) if len(digits) == 4 else self.cardinal(digits)
                return Found(j + 1, said + low, "year")
            if low in ("er", "ern", "fach", "mal", "jährig", "jährige", "jähriger"):
                return Found(j + 1, _cardinal(num.whole, "ein") + low, "number")
            if low == "x" and shape[j + 1] == "0" and not (parts[j] == "X" and len(num.whole) == 4):
                return Found(j + 1, f"{self.cardinal(num.whole)} mal", "number")
            if low == "x" and shape[j + 1] != "0":
                return Found(j + 1, f"{_cardinal(num.whole, 'ein')}mal", "number")
        elif num.whole == "1" and word and shape[i - 1] not in ".,:/-" and line.said.lower() not in self.before_one:
            if word in ("Mal", "mal"):
                return Found(j, "ein", "number")
            if word.lower() in self.scales or self.unit(line, j):
                return None
            if (
                len(word) > 2 and word[0].isupper() and self.currency_after(line, j) is None
            ) or word.lower() in self.genders:
                return Found(j, self.one(line, word), "number")
        elif word in ("Mal", "mal"):
            return Found(j, _cardinal(num.whole, "ein"), "number")
        return None

    def height(self, line: Line, num: Num) -> Found | None:
        """A length of one or two metres with its centimetres: 1,80 m."""
        shape, j = line.shape, num.end
        k = j + 1 if shape[j] == " " else j
        if num.whole not in ("1", "2") or line.parts[k] != "m" or shape[k + 1] in "/²^a0":
            return None
        said = self.metres(num.whole, num.fraction) if num.fraction.strip("0") else ""
        return Found(k + 1, said, "measure") if said else None

    # ---- times and amounts -------------------------------------------------------------------------------------------

    def full_hour(self, line: Line, i: int, num: Num) -> Found | None:
        """18 Uhr, 2.30 Uhr."""
        if not 0 < len(num.whole) < 3 or int(num.whole) > 24 or len(num.fraction) not in (0, 2):
            return None
        minute = int(num.fraction or 0)
        said = f"{_cardinal(str(int(num.whole)), 'ein')} Uhr"
        return Found(num.end + 2, f"{said} {self.cardinal(str(minute))}" if minute else said, "time")

    def clock(self, line: Line, i: int) -> Found | None:
        """A time with the word "Uhr" behind it."""
        found = super().clock(line, i)
        if (
            found
            and found.kind == "time"
            and line.shape[found.end] == " "
            and line.parts[found.end + 1] in ("Uhr", "uhr", "h")
        ):
            return found._replace(end=found.end + 2)
        return found

    def say_time(self, hour: int, minute: int, second: int | None, half: str, line: Line, end: int) -> str:
        """As in neun Uhr fünf."""
        if half == "PM" and hour < 12:
            hour += 12
        said = f"{_cardinal(str(hour), 'ein')} Uhr"
        if second is not None:
            if line.word_after(end).lower() != "uhr":
                said = f"{_cardinal(str(hour), 'eine')} Stunde{'' if hour == 1 else 'n'}"
            minutes = f"{_cardinal(str(minute), 'eine')} Minute{'' if minute == 1 else 'n'}"
            return f"{said} {minutes} {_cardinal(str(second), 'eine')} Sekunde{'' if second == 1 else 'n'}"
        return f"{said} {self.cardinal(str(minute))}" if minute else said

    def say_money(self, num: Num, unit: Currency, scale: str) -> str:
        """As in zwölf Euro fünfzig, zwei Dollar zwanzig Cent, drei Millionen Euro."""
        if scale:
            return f"{self.scaled(num, scale)} {unit.many}"
        whole, cents = num.whole or "0", num.fraction.rstrip("0")
        said = f"{_cardinal(whole, 'ein')} {unit.one if whole.lstrip('0') == '1' else unit.many}"
        if not cents:
            return said
        if len(cents) > 2 or not unit.cent:
            return f"{self.cardinal(f'{whole}.{cents}')} {unit.many}"
        small = int(cents.ljust(2, "0"))
        named = f"{_cardinal(str(small), 'ein')} {unit.cent if small == 1 else unit.cents}"
        if not whole.strip("0"):
            return named
        return f"{said} {self.cardinal(str(small))}" if unit.one == "Euro" else f"{said} {named}"

    def say_fraction(self, top: str, bottom: str) -> str:
        """As in zwei Drittel, neun von zehn."""
        n, of = int(top), int(bottom)
        if (of in (10, 100) and n != 1) or of == 1 or not n:
            return f"{self.cardinal(top)} {'von' if of != 1 else self.say_['divided']} {self.cardinal(bottom)}"
        if of == 2:
            return "ein halb" if n == 1 else f"{self.cardinal(top)} halbe"
        return f"{_cardinal(top, 'ein')} {self.ending(bottom, 'el').capitalize()}"

    def say_mixed(self, whole: str, top: str, bottom: str) -> str:
        """As in zweieinhalb."""
        if (top, bottom) == ("1", "2"):
            return f"{_cardinal(whole, 'ein')}einhalb"
        return f"{self.cardinal(whole)} {self.say_fraction(top, bottom)}"

    def over(self, line: Line, num: Num, i: int) -> Found | None:
        """Half of a thing has the ending of its noun: eine halbe Tasse."""
        found = super().over(line, num, i)
        noun = line.word_after(found.end) if found and found.spoken == "ein halb" else ""
        if not found or len(noun) < 3 or not noun[0].isupper():
            return found
        one = self.one(line, noun)
        ending = "e" if one == "eine" else "en" if one != "ein" else {"n": "es", "m": "er"}[self.gender(noun)]
        return found._replace(spoken=f"{one} halb{ending}")

    def measured(self, line: Line, j: int, said: str, many: bool) -> Found:
        """One of a female unit is eine."""
        found = super().measured(line, j, said, many)
        if found.kind == "measure" and said == "ein halb":
            unit = found.spoken.removeprefix(f"{said} ")
            ending = {"f": "e", "n": "es", "m": "er"}[self.gender(unit.split(" ")[0])]
            return found._replace(spoken=f"{'eine' if ending == 'e' else 'ein'} halb{ending} {unit}")
        if found.kind == "measure" and not many and said == "ein":
            unit = found.spoken.removeprefix("ein ")
            return found._replace(spoken=f"{self.one(line, unit.split(' ')[0])} {unit}")
        return found

    def priced(self, line: Line, end: int, num: Num, unit: Currency, scale: str) -> str:
        """One of a currency in its case."""
        if num.whole == "1" and not scale:
            said = super().priced(line, end, num, unit, scale)
            return f"{self.one(line, unit.one)}{said[3:]}" if said.startswith("ein ") else said
        return super().priced(line, end, num, unit, scale)

    def one(self, line: Line, noun: str) -> str:
        """As in ein, eine, einen: by the noun and the preposition before the number."""
        case = self.cases.get(line.word_before(line.at), "") if line.before(line.at) == " " else ""
        gender = self.gender(noun)
        if gender == "f":
            return "einer" if case == "dative" else "eine"
        return "einem" if case == "dative" else "einen" if case and gender == "m" else "ein"

    def powered(self, unit: str, power: str) -> str:
        """As in Quadratmeter."""
        return self.say_["square" if power == "2" else "cubic"] + unit.lower()

    def scaled(self, num: Num, scale: str) -> str:
        """As in eine Million, zehntausend."""
        if scale == "tausend":
            digits = num.whole + num.fraction[:3].ljust(3, "0")
            return self.cardinal(digits + (f".{num.fraction[3:]}" if num.fraction[3:] else ""))
        if num.text == "1":
            return f"eine {scale.removesuffix('en') if scale != 'Milliarden' else 'Milliarde'}"
        return f"{self.cardinal(num.text)} {scale}"

    # ---- telephones and plain numbers --------------------------------------------------------------------------------

    def international(self, groups: list[str]) -> str:
        """The code of the country is a number."""
        return f"{self.symbols['+']} {self.cardinal(groups[0])}, {self.grouped(groups[1:])}"

    def ratio(self, line: Line, i: int) -> Found | None:
        """3:2, 10:2=5, and 3-1 or 16-14 where the first is larger."""
        shape, parts = line.shape, line.parts
        if shape.startswith("0-0", i) and shape[i + 3] not in "-0./%°" and shape[i - 1] not in "-0./":
            first, second = parts[i], parts[i + 2]
            result = self.falls(first, second)
            if result and not line.computes(i) and not self.amounts(line, i + 3):
                return Found(i + 2, f"{self.cardinal(first)} {self.say_['ratio']}", "number")
        if shape.startswith("0:0", i) and shape[i + 3 : i + 5].strip(" ")[:1] == "=":
            return Found(i + 2, f"{self.cardinal(parts[i])} {self.say_['divided']}", "number")
        return super().ratio(line, i)

    def all_genders(self, line: Line, i: int) -> Found | None:
        """The sign before the female ending of a noun for all genders: Zuschauer*innen."""
        return Found(i + 1, "", "mark") if line.before(i) == "a" and line.parts[i + 1] in ("in", "innen") else None

    def pairs(self, digits: str) -> str:
        """Four digits by twos: vierzig neunzig."""
        return f"{self.cardinal(digits[:2])} {self.cardinal(digits[2:])}" if digits[2] != "0" else self.cardinal(digits)

    def say_plain(self, line: Line, i: int, num: Num) -> tuple[str, str]:
        """Years by hundreds, digits one by one where they are no amount."""
        whole = num.whole
        if num.fraction:
            digits = len(whole) > 1 and whole[0] == "0"
            return (
                f"{self.digits(whole)} Komma {self.digits(num.fraction)}" if digits else self.cardinal(num.text)
            ), "number"
        if num.grouped:
            return self.cardinal(whole), "number"
        if len(whole) > 3 and any(line.parts[k].lower() in self.codes_before for k in range(max(i - 3, 0), i)):
            return self.digits(whole), "number"
        if len(whole) == 3 and self.is_numbered(line, i):
            return self.digits(whole), "number"
        if (len(whole) > 1 and whole[0] == "0") or (len(whole) > 11 and whole[-3:] != "000"):
            return self.digits(whole), "number"
        if len(whole) == 4 and 1500 <= int(whole) < 2000 and not line.computes(i):
            return numerals.german_year(int(whole)), "year"
        return self.cardinal(whole), "number"
