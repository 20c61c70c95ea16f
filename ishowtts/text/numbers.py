"""Rules for numbers and what belongs to them: amounts, measures, ranges, times, fractions.

Their notation is much the same in all languages; subclasses put them into words and know the decimal mark.
"""

from __future__ import annotations

from . import links
from .amounts import Currency, Num
from .clean import SUPERSCRIPTS
from .grammar import NUMERIC, Found, new
from .labels import Labels
from .scan import Line
from .words import MERIDIEMS

_DURATION = {"h": 0, "m": 1, "min": 1, "s": 2, "sec": 2, "sek": 2}
"""Letters behind hours, minutes and seconds, by their order."""
SURE_DAYS = frozenset(range(13, 32)) - {16, 20, 24, 30}
"""Numbers after a month and a stroke that are days: nothing is divided into so many parts."""
_RUNS_BEFORE = 12
"""Number of runs before two numbers in which a word that tells of a score is looked for."""


class Numbers(Labels):
    """Rules for numbers that all languages share; subclasses define the words."""

    belonging = frozenset("ahkx0%‰°★/")
    """Classes of runs that may belong to a number before them, with a space between too."""
    belonging_closely = frozenset(" '\"(*")
    """Classes of runs that may belong to a number directly before them."""

    def __init__(self) -> None:
        super().__init__()
        table = self.table
        self.months = {name: int(row[0]) for name, row in table.section("month").items()}
        self.month_names = [name for name, row in table.section("month").items() if len(row) > 1]
        self.before_roman = table.words("roman")
        self.dialled = table.list("dialled")
        self.counted_of = table.list("of")
        self.odds = table.list("odds")
        self.scored = table.list("score")
        self.add(
            "0", self.local_phone, self.date, self.clock, self.duration, self.address_numbers, self.ratio, self.quantity
        )
        self.rules["-"] = (self.emoticon, self.minus, self.dash)
        self.rules["–"] = (self.dash,)
        self.rules["+"] = (self.telephone, self.symbol)
        self.rules["("] = (self.emoticon, self.telephone)
        self.rules["#"] = (self.hash,)
        self.rules["."] = (self.point,)
        for sign in "!<>=":
            self.rules[sign] = (self.comparison, *self.rules.get(sign, ()))
        self.rules["^"] = (self.emoticon, self.power, self.symbol)
        self.rules["²"] = (self.raised,)
        signs = "".join(symbol for symbol in self.currencies if len(symbol) == 1)
        self.next |= {"ratio": ":", "minus": f"0.{signs}", "comparison": f"0={signs}", "money": " 0-."}
        self.opening = self.shortened_names.keys() | self.models | self.codes.keys() | self.weekdays.keys()
        self.belonging |= set(signs)
        self.belonging_closely |= self.belonging
        for symbol in self.currencies:
            if len(symbol) == 1:
                self.rules[symbol] = (*self.rules.get(symbol, ()), self.money, self.lone_currency)

    # ---- defined by the language -------------------------------------------------------------------------------------

    def ordinal(self, number: str) -> str:
        """A whole number as an ordinal."""
        raise NotImplementedError

    def date(self, line: Line, i: int) -> Found | None:
        """A date that begins with a number."""
        raise NotImplementedError

    def say_time(self, hour: int, minute: int, second: int | None, half: str, line: Line, end: int) -> str:
        """A time of day that ends before run `end`; `second` None: not written; `half`: "AM", "PM" or ""."""
        raise NotImplementedError

    def say_money(self, num: Num, unit: Currency, scale: str) -> str:
        """An amount of money; `scale`: "" or a word such as "million"."""
        raise NotImplementedError

    def priced(self, line: Line, end: int, num: Num, unit: Currency, scale: str) -> str:
        """An amount of money that ends before run `end`; languages may use what follows."""
        return self.say_money(num, unit, scale)

    def say_fraction(self, top: str, bottom: str) -> str:
        """A fraction of two whole numbers."""
        raise NotImplementedError

    def say_mixed(self, whole: str, top: str, bottom: str) -> str:
        """A whole number and a fraction."""
        raise NotImplementedError

    def say_plain(self, line: Line, i: int, num: Num) -> tuple[str, str]:
        """A number alone in words, and the kind of its token."""
        raise NotImplementedError

    def special(self, line: Line, i: int) -> Found | None:
        """A currency's code before an amount (EUR 5, US$3), or the name of a product before its number (RTX 4090)."""
        shape, low = line.shape, line.parts[i].lower()
        if low in ("s", "x") and shape[i + 1] == "0" and (labelled := self.labelled(line, i, low)):
            return labelled
        if low in self.shortened_names and shape.startswith(" 0", i + 1):
            return Found(i + 1, self.shortened_names[low], "abbreviation")
        if low in self.weekdays and (day := self.weekday(line, i)):
            return day
        if low in self.models:
            j = i + 1 if shape[i + 1] == "0" else i + 2
            digits = line.parts[j] if shape[j] == "0" and shape[j - 1] in "a -" else ""
            if len(digits) == 4 and not digits.endswith("000") and shape[j + 1] != "a":
                return Found(j + 1, f"{self.alone(line.parts[i], line.setting)[0]} {self.pairs(digits)}", "serial")
        if shape[i + 1] == "$":
            unit = self.currencies.get(low.upper() + "$")
        elif low in self.codes and (shape[i + 1] == "0" or shape.startswith(" 0", i + 1)):
            unit = self.codes[low]
        else:
            return None
        return self.amount(line, i + 2 if shape[i + 1] in "$ " else i + 1, unit) if unit else None

    def opens(self, part: str, low: str) -> bool:
        """Also the code of a currency, a day of the week in short, and the name of a product."""
        return low in self.opening

    # ---- rules -------------------------------------------------------------------------------------------------------

    def clock(self, line: Line, i: int) -> Found | None:
        """A time: 12:30, 1:59 p.m., 21:51:31, 7pm."""
        shape, parts = line.shape, line.parts
        hour = parts[i]
        if shape.startswith("0:0", i) and shape[i + 3] != ":" and self.is_score(line, i):
            return None
        if len(hour) > 2 or (shape[i - 1] in ".,:/" and i > 1 and shape[i - 2] == "0"):
            return None
        j, minute, second = i + 1, "", ""
        if shape[j] == ":" and shape[j + 1] == "0" and len(parts[j + 1]) == 2:
            minute, j = parts[j + 1], j + 2
            if shape[j] == ":" and shape[j + 1] == "0" and len(parts[j + 1]) == 2:
                second, j = parts[j + 1], j + 2
            if int(minute) > 59 or int(second or 0) > 59 or int(hour) > 99 or (shape[j] in ":" and shape[j + 1] == "0"):
                return None
        elif shape[j] == "." and shape[j + 1] == "0" and len(parts[j + 1]) == 2 and self.meridiem(line, j + 2)[1]:
            minute, j = parts[j + 1], j + 2  # 11.30pm
        end, half = self.meridiem(line, j)
        if minute and shape[j] == "a" and parts[j].lower() in ("a", "p") and shape[j + 1] not in "a0.'":
            end, half = j + 1, MERIDIEMS[f"{parts[j].lower()}m"]  # 7:30p
        if not minute and (not half or not 0 < int(hour) < 13):
            return None
        if shape[end] == "a" and parts[end] == "h" and minute:
            end += 1  # 16:30h
        if not (second or half) and (int(hour) > 24 or (minute and self.in_recording(line, i))):
            return self.lapse(int(hour), int(minute), j)
        said = self.say_time(int(hour), int(minute or 0), int(second) if second else None, half, line, end)
        return Found(end, said, "time")

    def is_score(self, line: Line, i: int) -> bool:
        """Whether the two numbers from run `i` on, with a colon between, are a score by the words near: won 21:17."""
        if line.word_before(i) in self.before_time or self.meridiem(line, i + 3)[1]:
            return False
        first = max(i - _RUNS_BEFORE, 0)
        first = max(first, *(line.shape.rfind(mark, first, i) for mark in ".!?"))
        before = [line.parts[k].lower() for k in range(first, i) if line.shape[k] == "a"]
        if not self.scored.isdisjoint(before[-4:]):
            return True
        return any(line.parts[k].lower() in self.scored for k in (i + 4, i + 6) if line.shape[k - 1] == " ")

    def falls(self, first: str, second: str) -> bool:
        """Whether two numbers with a dash between are a score, since a range would begin with the smaller one."""
        if len(first) > 3 or not 0 <= len(first) - len(second) < 2 or (len(second) > 1 and second[0] == "0"):
            return False
        return int(first) >= int(second)

    def lapse(self, minutes: int, seconds: int, end: int) -> Found | None:
        """A duration such as 45:10, which is written like a time but cannot be one."""
        return Found(end, f"{self.cardinal(str(minutes))} {self.cardinal(str(seconds))}", "time")

    def duration(self, line: Line, i: int) -> Found | None:
        """Hours, minutes and seconds by their letters: 2h30m, 1h 05min, 5m30s, 1h30."""
        shape, parts, j, said = line.shape, line.parts, i, ""
        least = 0
        while shape[j] == "0" and shape[j + 1] == "a" and len(parts[j]) < 3:
            rank = _DURATION.get(parts[j + 1].lower(), -1)
            if rank < least:
                break
            said = f"{said} {self.of_time(parts[j], rank)}"
            least, j = rank + 1, j + 2
            if shape[j] == " " and shape.startswith("0a", j + 1) and parts[j + 2].lower() in _DURATION:
                j += 1
        if least == 1 and shape[j] == "0" and len(parts[j]) == 2 and shape[j + 1] not in "a0.,:-":
            return Found(j + 1, f"{said} {self.of_time(parts[j], 1)}".strip(), "time")
        return Found(j, said.strip(), "time") if j > i + 2 and shape[j] not in "a0" else None

    def of_time(self, number: str, rank: int) -> str:
        """A number of hours, minutes or seconds."""
        return self.of(number.lstrip("0") or "0", ("h", "min", "s")[rank])

    def comparison(self, line: Line, i: int) -> Found | None:
        """Two signs that compare, 5 != 3, a >= b, 1 == 1, or one before a number alone, >100."""
        shape = line.shape
        before = shape[i - 2] if shape[i - 1] == " " and i > 1 else shape[i - 1]
        if shape[i] in "<>" and before not in "ahkx0)²%°" and not self.emoticon(line, i):
            k = i + 1 if shape[i + 1] != "=" else i + 3 if shape[i + 2] == " " else i + 2
            if shape[k] == "0" or (shape[k] in self.currencies and shape[k + 1] == "0"):
                return Found(k, self.say_[line.text[line.starts[i] : line.starts[k]].rstrip()], "symbol")
        if shape[i + 1] != "=" or shape[i + 2] == "=":
            return None
        left, right = shape[i - 1], shape[i + 2]
        left = shape[i - 2] if left == " " and i > 1 else left
        right = shape[i + 3] if right == " " else right
        if left not in "ah0)%°²" or right not in "ah0(-.":
            return None
        return Found(i + 2, self.symbols[{"!": "≠", "<": "≤", ">": "≥", "=": "="}[shape[i]]], "symbol")

    def ratio(self, line: Line, i: int) -> Found | None:
        """The first number of a ratio, 3:2 or 16:9, with the word between the numbers."""
        if (
            line.shape[i + 1] == ":"
            and line.shape[i + 2] == "0"
            and line.before(i) not in ":.,"
            and len(line.parts[i]) < 4
        ):
            return Found(i + 2, f"{self.cardinal(line.parts[i])} {self.say_['ratio']}", "number")
        return None

    def minus(self, line: Line, i: int) -> Found | None:
        """A minus sign before a number."""
        before, shape = line.before(i), line.shape
        if (before in "ahkx0)%²" or (before in self.currencies and line.last == "money")) and not self.signed(line, i):
            return None
        if before in "-–" and not line.computes(i):
            return None
        after = shape[i + 1]
        found: Found | None = None
        if after == "0":
            found = self.quantity(line, i + 1)
        elif after == "." and shape[i + 2] == "0":
            found = self.point(line, i + 1)
        elif after in self.currencies and shape[i + 2] == "0":
            found = self.money(line, i + 1)
        return Found(found.end, f"{self.say_['minus']} {found.spoken}", found.kind) if found else None

    def signed(self, line: Line, i: int) -> bool:
        """Whether "-" directly after a word is a minus sign, in a language without spaces."""
        return False

    def dash(self, line: Line, i: int) -> Found | None:
        """A dash between two numbers, a range or minus in a calculation."""
        before, shape = line.before(i), line.shape
        spaced = before == " "
        k = i + 1
        if shape[k] == " ":
            k += 1
        if before == "a" and shape[k] in "\0.,!?)" and len(line.parts[i - 1]) == 1 and line.parts[i - 1].isupper():
            return Found(i + 1, self.say_["subtract"], "symbol")  # a grade: "B-"
        if line.last not in NUMERIC or (before not in "0a%° )\"'$€£¥" and before not in self.currencies):
            return None
        after = shape[k]
        if after in "-." and shape[k + 1] == "0" and line.computes(i):
            return Found(i + 1, self.say_["subtract"], "symbol")
        if after != "0" and not (after in self.currencies and shape[k + 1] == "0"):
            return Found(i + 1, "", "mark") if not spaced and after == "a" else None
        if line.computes(i) or (shape[i] == "-" and (spaced or k > i + 1) and after == "0" and line.last == "number"):
            return Found(i + 1, self.say_["subtract"], "symbol")
        return Found(i + 1, self.say_["to"], "range")

    def power(self, line: Line, i: int) -> Found | None:
        """A power with its sign: 10^6, x^-2."""
        if line.before(i) not in "a0)x":
            return None
        j = i + 1
        sign = line.shape[j] == "-"
        if sign:
            j += 1
        if line.shape[j] != "0":
            return None
        return Found(j + 1, self.say_power(("-" if sign else "") + line.parts[j]), "symbol")

    def raised(self, line: Line, i: int) -> Found | None:
        """A power of raised digits: x², or the number of a footnote."""
        digits = "".join(SUPERSCRIPTS[c] for c in line.parts[i])
        power = line.before(i) in "a0)x"
        return Found(i + 1, self.say_power(digits) if power else self.cardinal(digits), "symbol")

    def say_power(self, power: str) -> str:
        """A power in words: "squared", "to the power of six"."""
        short = self.say_.get(f"power{power}")
        if short:
            return short
        minus = f"{self.say_['minus']} " if power[0] == "-" else ""
        return f"{self.say_['power']} {minus}{self.cardinal(power.lstrip('-'))}"

    def hash(self, line: Line, i: int) -> Found | None:
        """A "#": "#1" is "number one", "#word" is the word."""
        k = i + 2 if line.shape[i + 1] == " " else i + 1
        if line.shape[k] == "0" and line.before(i) not in "a0":
            return Found(i + 1, self.say_["number"], "symbol")
        if line.before(i) == "a" and line.parts[i - 1] in "cfACDFG" and "sharp" in self.say_:
            return Found(i + 1, self.say_["sharp"], "symbol")
        return Found(i + 1, "", "mark")

    def point(self, line: Line, i: int) -> Found | None:
        """A decimal without its zero, .5, not after a word or number; the point of a name, .NET."""
        if line.shape[i + 1] == "a" and line.before(i) in "\0 (,，、" and links.is_domain(line.parts[i + 1]):
            return Found(i + 2, self.spell_address(f".{line.parts[i + 1]}", line.setting), "symbol")
        if line.shape[i + 1] != "0" or line.before(i) in "ahkx0.)":
            return None
        num = Num("", line.parts[i + 1], i + 2, False)
        return self.with_unit(line, i, num)

    def money(self, line: Line, i: int) -> Found | None:
        """A currency symbol before an amount."""
        shape = line.shape
        if shape[i + 1] == "-" and shape[i + 2] == "0":
            found = self.amount(line, i + 2, self.currencies[shape[i]])
            return found and found._replace(spoken=f"{self.say_['minus']} {found.spoken}")
        return self.amount(line, i + 2 if shape[i + 1] == " " else i + 1, self.currencies[shape[i]])

    def amount(self, line: Line, k: int, unit: Currency) -> Found | None:
        """The amount at run `k` of a currency that was written before it."""
        if line.shape[k] == "." and line.shape[k + 1] == "0":
            num = Num("", line.parts[k + 1], k + 2, False)
        elif line.shape[k] == "0":
            num = self.parse(line, k)
        else:
            return None
        end, scale = self.scale(line, num.end, True)
        if line.shape[end] == "a" and end == num.end and line.parts[end].lower() in self.codes:
            return None
        if end == num.end and line.shape[end] == " " and self.codes.get(line.parts[end + 1].lower()) == unit:
            end += 2  # "$5 USD"
        if not scale and line.shape[end] in "-–" and line.shape[end + 1] == "0" and not line.computes(k):
            upper = self.parse(line, end + 1)
            if line.shape[upper.end] not in "a-–/:":
                low, high = self.cardinal(num.text), self.say_money(upper, unit, "")
                return Found(upper.end, f"{low} {self.say_['to']} {high}", "money")  # "$10-15"
        said = self.priced(line, end, num, unit, scale)
        end, per = self.per(line, end)
        return Found(end, f"{said} {per}" if per else said, "money")

    def lone_currency(self, line: Line, i: int) -> Found | None:
        """A currency's sign without an amount: its name, where it stands at a word; a row of them is decoration."""
        sign = line.shape[i]
        if line.before(i) == sign and (line.shape[i + 1] == sign or (i > 1 and line.shape[i - 2] == sign)):
            return None
        if line.shape[i + 1] == sign and line.shape[i + 2] == sign:
            return None
        return Found(i + 1, self.currencies[sign].one, "symbol")

    def quantity(self, line: Line, i: int) -> Found | None:
        """A number and what follows it closely."""
        return self.with_unit(line, i, self.parse(line, i))

    def with_unit(self, line: Line, i: int, num: Num) -> Found:
        """Amounts, measures and fractions of a number that is parsed; else the plain number."""
        shape, parts, j = line.shape, line.parts, num.end
        after = shape[j]
        if after == " ":
            second = shape[j + 1]
            if second not in self.belonging or (second == "0" and shape[j + 2] != "/"):
                return self.plain(line, i, num)
        elif after not in self.belonging_closely:
            return self.plain(line, i, num)
        if after == "a" and parts[j] in "xX" and shape[j + 1] == "0" and len(num.whole) < 3 and not num.fraction:
            second = parts[j + 1]
            if len(second) == 2 and second[0] == "0" and second != "00" and shape[j + 2] not in "ax":
                return Found(j + 2, self.say_episode(num.whole, second), "episode")  # "1x05"
        named = self.of_product(line, i, num)
        if named:
            return named
        found = self.suffix(line, i, num)
        if found:
            return found
        if after == "/" and shape[j + 1] == "0" and not num.fraction:
            over = self.over(line, num, i)
            if over:
                return over
        if after == " " and shape.startswith("0/0", j + 1) and not num.fraction and not line.computes(j):
            top, bottom = parts[j + 1], parts[j + 3]
            if len(top) < 4 and len(bottom) < 4 and bottom.strip("0") and shape[j + 4] not in "/a0":
                return self.measured(line, j + 4, self.say_mixed(num.whole, top, bottom), True)
        if after in "'\"" and not num.fraction and len(num.whole) < 3:
            found = self.feet(line, num)
            if found:
                return found
        model = shape[i - 1] == "-" and after == "a" and shape[max(i - 3, 0) : i] == "a0-" and len(num.whole) > 2
        if model and (len(parts[j]) == 1 or parts[j].isupper()):
            return Found(j + 1, f"{self.model_number(num.whole)} {parts[j].upper()}", "serial")  # "i7-12700K"
        if after == "a" and parts[j] == "m" and shape[j + 1] == "0" and shape[j + 2 : j + 4] not in (".0", ",0"):
            length = self.metres(num.whole, parts[j + 1])
            if length:
                return Found(j + 2, length, "measure")
        end, scale = self.scale(line, j, False)
        money = self.currency_after(line, end)
        if not money and end == j:
            money_end, money_scale = self.scale(line, j, True)
            money = self.currency_after(line, money_end)
            if money:
                end, scale = money_end, money_scale
        if money:
            said = self.priced(line, money[0], num, money[1], scale)
            end, per = self.per(line, money[0])
            return Found(end, f"{said} {per}" if per else said, "money")
        if scale:
            return self.measured(line, end, f"{self.scaled(num, scale)}", True)
        unit = self.unit(line, j)
        if unit:
            return self.measured(line, j, self.count(num), num.whole.lstrip("0") != "1" or bool(num.fraction))
        end, per = self.per(line, j)
        if per:
            return Found(end, f"{self.count(num)} {per}", "measure")
        if after == "a":
            return (
                self.serial(line, i)
                if not num.fraction and not num.grouped
                else Found(j, self.cardinal(num.text), "number")
            )
        return self.plain(line, i, num)

    def plain(self, line: Line, i: int, num: Num) -> Found:
        """A number alone; one of three digits that is dialled is read digit by digit."""
        if len(num.whole) == 3 and not num.fraction and self.is_dialled(line, i):
            return Found(num.end, self.digits(num.whole), "phone")
        if line.shape[i - 1] == "-" and line.shape[max(i - 3, 0) : i] == "a0-" and len(num.text) in (4, 5):
            return Found(num.end, self.model_number(num.whole), "serial")  # "i5-12400"
        said, kind = self.say_plain(line, i, num)
        return new(Found, (num.end, said, kind, ""))

    def said_season(self, line: Line, i: int, first: str, last: str) -> str:
        """Two years that follow one another, of the second one the last two digits: 2020/21."""
        last = str(int(first) + 1) if last == "00" else last
        years = (self.say_plain(line, i, Num(year, "", i + 1, False))[0] for year in (first, last))
        return f" {self.say_['to']} ".join(years)

    def is_dialled(self, line: Line, i: int) -> bool:
        """Whether the number at run `i` is that of a telephone by the word before it."""
        return line.word_before(i) in self.dialled

    def scaled(self, num: Num, scale: str) -> str:
        """A number and a word of magnitude."""
        return f"{self.cardinal(num.text)} {scale}"

    def suffix(self, line: Line, i: int, num: Num) -> Found | None:
        """A number with a suffix of the language, such as the ending of an ordinal; None: there is none."""
        return None

    def measured(self, line: Line, j: int, said: str, many: bool) -> Found:
        """A number in words with the unit at run `j`, if there is one."""
        unit = self.unit(line, j)
        if not unit:
            return Found(j, said, "number")
        end, one, several = unit
        said = f"{said} {several if many else one}"
        end, per = self.per(line, end)
        return Found(end, f"{said} {per}" if per else said, "measure")

    def over(self, line: Line, num: Num, i: int) -> Found | None:
        """Two numbers with "/" between: a fraction, or a division in a calculation."""
        shape, parts, j = line.shape, line.parts, num.end
        top, bottom = num.whole, parts[j + 1]
        if line.computes(i):
            return Found(j + 1, f"{self.cardinal(top)} {self.say_['divided']}", "number")
        if shape[j + 2] == self.group_mark and self.parse(line, j + 1).grouped:
            return Found(j + 1, f"{self.cardinal(top)} {self.say_.get('out of') or self.address['/']}", "number")
        goes_on = shape[j + 2] in "/." and shape[j + 3] == "0"
        if goes_on and f"{top}/{bottom}/{parts[j + 3]}" in self.say_:
            return Found(j + 4, self.say_[f"{top}/{bottom}/{parts[j + 3]}"], "fraction")
        if (goes_on and len(top) < 4 and len(bottom) < 4 and len(parts[j + 3]) < 4) or self.is_third(line, i):
            return Found(j + 1, self.cardinal(top) + self.say_.get("three", ""), "number")  # kills, deaths, assists
        if goes_on or (shape[i - 1] == "/" and i > 1 and shape[i - 2] == "0"):
            return Found(j + 1, f"{self.cardinal(top)} {self.address['/']}", "number")
        if line.word_before(i) in self.counted_of:
            return Found(j + 1, f"{self.cardinal(top)} {self.say_['of']}", "number")
        fixed = self.say_.get(f"{top}/{bottom}")
        if not fixed and self.rates(line, top, bottom, j + 2):
            return Found(j + 1, f"{self.cardinal(top)} {self.say_['out of']}", "number")
        if fixed:
            return Found(j + 2, fixed, "fraction")
        if len(top) == 4 and top[:2] in ("19", "20") and len(bottom) == 2 and int(bottom) == (int(top) + 1) % 100:
            return Found(j + 2, self.said_season(line, i, top, bottom), "year")
        if top == "1" and line.word_after(j + 2).lower() in self.odds:
            return Found(j + 1, f"{self.cardinal(top)} {self.say_['odds']}", "number")
        if not bottom.strip("0") or len(top) > 6 or len(bottom) > 6 or top.startswith("0") != (top == "0"):
            return None
        end = j + 2
        if shape[end] == "a" and parts[end].lower() in ("th", "rd", "nd", "st", "tel"):
            end += 1
        said = self.say_fraction(top, bottom)
        unit = self.unit(line, end)
        if unit:
            return self.measured(line, end, said, False)
        if shape[end] == "a":
            return None
        return Found(end, said, "fraction")
