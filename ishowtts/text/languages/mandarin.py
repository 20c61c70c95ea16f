"""Mandarin: numbers, dates, times and amounts, with Latin words and letters between them."""

from __future__ import annotations

import re
from functools import lru_cache

from .. import numerals
from ..amounts import Currency, Num
from ..grammar import Found
from ..numbers import SURE_DAYS, Numbers
from ..numerals import from_roman
from ..scan import Line
from ..tables import load
from .mandarin_amounts import BeforeHan

_cardinal = lru_cache(8192)(numerals.chinese)
_BETWEEN = re.compile(r"(?<=[\u4e00-\u9fff]) | (?=[\u4e00-\u9fff])")
_REPEATED = re.compile(r"([^零一二三四五六七八九幺])\1{5,}", re.DOTALL)
_BEGINS_NUMBERS = "零一二三四五六七八九十两幺"
_ENDS_NUMBERS = "零一二三四五六七八九十百千万亿两幺整年月日分秒方点"
"""Characters that numbers, dates and times end with; a Roman numeral behind one is no part of a name."""
_SAID_SHORT = 5
"""Number of times that a repeated character is spoken."""


class Mandarin(BeforeHan):
    """The grammar of Mandarin."""

    language = "zh"
    without_spaces = True
    belonging_closely = Numbers.belonging_closely | set("-–~")

    def __init__(self) -> None:
        super().__init__()
        self.load_latin(load("en"))
        self.sounds |= self.table.words("sound")
        self.counted = frozenset("".join(self.table.list("counted")))
        self.runs = self.table.words("chat number")
        self.add("h", self.repeated)
        self.add("k", self.particle)
        self.rules["+"] = (self.and_more, *self.rules["+"])
        self.rules["0"] = (self.chat_number, *self.rules["0"])
        said = (row[0] for name in ("unit", "currency", "symbol", "per") for row in self.table.section(name).values())
        self.ends_amounts = frozenset(_ENDS_NUMBERS).union(words[-1] for words in said if words)
        self.codes_after = tuple(self.table.list("code"))
        self.long_codes = tuple(code for code in self.codes_after if len(code) > 1)
        self.dialled_after = tuple(self.dialled)
        self.spells = tuple(self.table.list("each"))
        self.numbered_before, self.numbered_after = tuple(self.numbered_by), tuple(self.table.list("numbered after"))
        self.capacity, self.watts = tuple(self.table.list("capacity")), tuple(self.table.list("watt"))
        self.resolution = tuple(self.table.list("resolution"))
        self.lost = tuple(self.table.list("lost"))
        self.counting = tuple(self.table.list("counting"))
        self.quarterly = tuple(self.table.list("quarter"))
        self.next |= {"date": "/-.", "ratio": ":-"}
        self.rules["/"] = (self.each, self.per_time, self.of_several)
        self.rules["~"] = (self.emoticon, self.dash, self.symbol)

    def closed_up(self, found: Found) -> Found:
        """A token without spaces between Chinese characters."""
        return found._replace(spoken=_BETWEEN.sub("", found.spoken.replace(", ", "，")))

    def repeated(self, line: Line, i: int) -> Found | None:
        """A character that is repeated many times, which is spoken a few times."""
        part = line.parts[i]
        if len(part) <= _SAID_SHORT:
            return None
        return Found(i + 1, _REPEATED.sub(lambda run: run[1] * _SAID_SHORT, part), "word")

    def and_more(self, line: Line, i: int) -> Found | None:
        """A "+" behind a magnitude: 50万+."""
        ends = line.before(i) == "h" and line.parts[i - 1] in self.magnitudes
        return Found(i + 1, self.symbols["+"], "symbol") if ends else None

    def particle(self, line: Line, i: int) -> Found | None:
        """The kana の, which Chinese lines write for 的."""
        return Found(i + 1, self.say_["の"], "chat") if line.parts[i] == "の" else None

    def cardinal(self, number: str) -> str:
        """As in 十二点五."""
        return _cardinal(number)

    def digits(self, number: str) -> str:
        """Digit by digit."""
        return numerals.chinese_digits(number)

    def ordinal(self, number: str) -> str:
        """As in 第三."""
        return f"第{self.cardinal(number)}"

    def count(self, num: Num) -> str:
        """Two of something are 两."""
        return "两" if num.text == "2" else self.cardinal(num.text)

    def abbreviation(self, line: Line, i: int) -> Found | None:
        """Also "No." before a number: NO.1 is 第一."""
        k = i + 3 if line.shape[i + 2] == " " else i + 2
        if line.parts[i].lower() == "no" and line.shape[k] == "0" and line.shape[k + 1] not in "a.:%":
            return Found(k + 1, self.ordinal(line.parts[k]), "ordinal")
        return super().abbreviation(line, i)

    def opens(self, part: str, low: str) -> bool:
        """Also capitals, which may be a financial year or a Roman numeral."""
        return super().opens(part, low) or part.isupper()

    def special(self, line: Line, i: int) -> Found | None:
        """A quarter, a financial year, or a Roman numeral after Chinese characters: Q3财报, FY25, 最终幻想VII."""
        part = line.parts[i]
        year = line.parts[i + 1]
        if part == "FY" and line.shape[i + 1] == "0" and len(year) in (2, 4) and line.shape[i + 2] not in "a.":
            return Found(i + 2, f"{self.digits(year)}{self.say_['FY']}", "date")
        follows = line.shape.startswith(" 0", i + 2) and len(line.parts[i + 3]) == 4
        quarter = self.quarter(line, i, follows or (line.before(i) == "h" and line.parts[i - 1].endswith("年")))
        if quarter:
            end, said = quarter
            year = line.parts[i + 3]
            if follows:
                return Found(i + 4, f"{self.digits(year)}年{said}", "date")
            return Found(end, said, "date")
        if line.before(i) != "h" or not part.isupper() or line.shape[i + 1] in "0'-.":
            return super().special(line, i)
        spelled = line.shape[i + 1] == "h" and line.parts[i + 1][0] in _BEGINS_NUMBERS  # "V八"
        if line.parts[i - 1][-1] in self.ends_amounts or spelled:
            return super().special(line, i)
        value = from_roman(part)
        if not value or value > 39 or (len(part) == 1 and line.parts[i - 1][-1] != "第"):
            return super().special(line, i)
        return Found(i + 1, self.cardinal(str(value)), "roman")

    def said_season(self, line: Line, i: int, first: str, last: str) -> str:
        """Years digit by digit."""
        return f"{self.digits(first)}{self.say_['to']}{self.digits(last)}"

    def is_year(self, line: Line, i: int, whole: str) -> bool:
        """Whether four digits alone are a year and not an amount: 2024加油, but not 花了2024."""
        if len(whole) != 4 or not "1950" <= whole <= "2049" or whole == "2000" or line.computes(i):
            return False
        before, after = line.parts[i - 1] if line.before(i) == "h" else "", line.parts[i + 1]
        counted = line.shape[i + 1] == "h" and after[0] in self.counted | {"多", "块", "几"}
        return not counted and not before.endswith(self.counting) and line.shape[i + 1] not in "a%°+"

    def is_dialled(self, line: Line, i: int) -> bool:
        """As the word directly before the number says."""
        return line.before(i) == "h" and line.parts[i - 1].endswith(self.dialled_after)

    def is_numbered(self, line: Line, i: int) -> bool:
        """As the words directly before and behind the number say."""
        after = line.parts[i + 1] if line.shape[i + 1] == "h" else ""
        return after.startswith(self.numbered_after) or (
            line.before(i) == "h" and line.parts[i - 1].endswith(self.numbered_before)
        )

    def is_code(self, line: Line, i: int, size: int) -> bool:
        """Whether `size` digits are an account's or a secret number by the word before: 验证码4821, QQ 12345."""
        if line.before(i) == "h":
            known = self.codes_after if size > 4 else self.long_codes
            return size > 3 and line.parts[i - 1].endswith(known)
        return size > 4 and line.word_before(i) in ("qq", "vx", "wx", "uid", "id", "wechat")

    def is_score(self, line: Line, i: int) -> bool:
        """As the characters directly before and behind the numbers say."""
        before = line.parts[i - 1][-4:] if line.before(i) == "h" else ""
        after = line.parts[i + 3][:3] if line.shape[i + 3] == "h" else ""
        return any(word in before or word in after for word in self.scored)

    def dialled_digits(self, number: str) -> str:
        """Digits of a telephone's or a room's number, where one is 幺."""
        return self.digits(number).replace("一", "幺")

    def grouped(self, groups: list[str]) -> str:
        """The groups of a telephone number."""
        return "，".join(map(self.dialled_digits, groups))

    def plain(self, line: Line, i: int, num: Num) -> Found:
        """A number alone; one that is dialled or a name is read digit by digit."""
        if len(num.whole) in (3, 5) and not num.fraction and self.is_dialled(line, i):
            return Found(num.end, self.dialled_digits(num.whole), "phone")
        return super().plain(line, i, num)

    def quarter(self, line: Line, i: int, dated: bool) -> tuple[int, str] | None:
        """(run after it, its words) of Q3 or H1 at run `i`, 第三季度 or 上半年; `dated`: a year is beside it."""
        letter, number = line.parts[i].upper(), line.parts[i + 1]
        if letter not in ("Q", "H") or line.shape[i + 1] != "0" or line.shape[i + 2] in "a0." or number not in "1234":
            return None
        after = line.parts[i + 2] if line.shape[i + 2] == "h" else ""
        if not (dated or after.startswith(self.quarterly)):
            return None
        said = self.say_.get(f"{letter}{number}", "")
        end = i + 2
        if said and after.startswith(said[-2:]):  # Q3季度
            if len(after) == 2:
                end += 1
            else:
                line.take(end, 2)
        return (end, said) if said else None

    # ---- what follows a number ---------------------------------------------------------------------------------------

    def chat_number(self, line: Line, i: int) -> Found | None:
        """A number that chat uses as a word for its sound: 666, 2333, 520, 88."""
        part = line.parts[i]
        if not line.setting.chat or line.before(i) in "a0.,:-/$¥#":
            return None
        after = line.parts[i + 1][:1] if line.shape[i + 1] == "h" else ""
        if after and after in self.counted:
            return None
        said = self.runs.get(part) if len(part) > 1 else None
        leaves = (
            line.parts[i + 1] in (("了", "啦", "咯", "哦") if part == "88" else ("啊", "哈", "呀"))
            and line.shape[i + 2] not in "ah0"
        )
        if said and (part not in ("88", "66") or leaves or (not after and self.parting(line, i))):
            return Found(i + 1, said, "chat")
        if len(part) > 2 and len(set(part)) == 1 and part[0] in self.runs:
            return Found(i + 1, self.runs[part[0]] * min(len(part), _SAID_SHORT), "chat")
        if len(part) > 2 and part[:2] == "23" and set(part[1:]) == {"3"}:
            return Found(i + 1, self.digits(part[: _SAID_SHORT + 1]), "chat")
        return None

    def parting(self, line: Line, i: int) -> bool:
        """Whether only punctuation follows run `i`, and a sentence may end before it, so that 88 means goodbye."""
        before = line.before(i)
        return line.ends(i + 1) and (before not in "h" or line.parts[i - 1][-1] in "了吧啦呀哦拜")

    def scale(self, line: Line, j: int, money: bool) -> tuple[int, str]:
        """As `Amounts.scale`, with a power of ten as the word; not for single capitals that may be a name."""
        end, word = super().scale(line, j, money)
        letter = line.parts[end - 1] if word else ""
        if letter in ("k", "K") and line.parts[end].startswith(self.resolution):
            return j, ""
        watts = letter == "W" and (
            line.parts[end].startswith(self.watts) or line.parts[j - 2 if j > 1 else 0].endswith(self.watts)
        )
        return (j, "") if not money and (letter in ("M", "B") or watts) else (end, word)

    def unit(self, line: Line, j: int) -> tuple[int, str, str] | None:
        """G and M of memory or of a line are no grams and no metres: 8g显存, 100M宽带."""
        k = j + 1 if line.shape[j] == " " else j
        if line.parts[k] in ("g", "G", "t", "T", "m", "M") and line.parts[k + 1].startswith(self.capacity):
            said = self.say_.get(line.parts[k].upper()) or line.parts[k].upper()
            return k + 1, said, said
        return super().unit(line, j)

    def metres(self, whole: str, rest: str) -> str:
        """As in 一米八."""
        tenths = rest.rstrip("0")
        if len(whole) > 1 or len(rest) > 2 or not tenths:
            return ""
        return f"{self.of(whole, 'm')}{self.cardinal(tenths) if len(tenths) < 2 else self.digits(tenths)}"

    def model_number(self, digits: str) -> str:
        """Digit by digit."""
        return self.digits(digits)

    def scaled(self, num: Num, scale: str) -> str:
        """A number times a power of ten: "10" and scale "3" give 一万."""
        zeros = int(scale)
        digits = num.whole + num.fraction[:zeros].ljust(zeros, "0")
        return self.cardinal(digits + (f".{num.fraction[zeros:]}" if num.fraction[zeros:] else ""))

    def suffix(self, line: Line, i: int, num: Num) -> Found | None:
        """A percentage, a year, an era, or a number before the thing that it counts."""
        shape, parts, j = line.shape, line.parts, num.end
        after = shape[j]
        if after == " " and shape[j + 1] in "%‰":
            j += 1
            after = shape[j]
        if after in "%‰":
            share = "百" if after == "%" else "千"
            return Found(j + 1, f"{share}分之{self.cardinal(num.text)}", "measure")
        if after in "-–~" and shape[j + 1] == "0" and self.percent_ends(line, j + 1):
            return Found(j, f"百分之{self.cardinal(num.text)}", "measure")
        if after == "/" and num.fraction and shape[j + 1] == "0":
            return Found(j + 2, f"{self.cardinal(parts[j + 1])}分之{self.cardinal(num.text)}", "fraction")
        whole = num.whole
        if after == "h" and "円" in parts[j][:3] and (yen := self.yen(line, num)):
            return yen
        if after == "h" and num.fraction and (dated := self.with_point(line, num)):
            return dated
        if num.fraction or num.grouped:
            return None
        if after == "h":
            return self.before_han(line, i, num, parts[j])
        if after == "a" and parts[j] in ("x", "X") and shape[j + 1] == "0" and shape[j + 2] != "a":
            both = (self.cardinal(n) if len(n) < 3 else self.digits(n) for n in (whole, parts[j + 1]))
            return Found(j + 2, self.symbols["×"].join(both), "number")
        if after == "a" and len(whole) in (2, 4) and (quarter := self.quarter(line, j, True)):
            return Found(quarter[0], f"{self.digits(whole)}年{quarter[1]}", "date")
        if after == "a" and len(whole) > 2:
            low = parts[j].lower()
            if len(whole) == 4 and low in ("ti", "super", "x", "xt"):
                return Found(j + 1, f"{self.digits(whole)}{parts[j].upper() if len(low) < 3 else parts[j]}", "serial")
            if low == "p":
                return Found(j + 1, f"{self.digits(whole)}P", "measure")
            if low in ("ad", "bc") and shape[j + 1] != "0":
                return Found(j + 1, self.era(whole, low), "year")
            if low in ("a", "b") and shape[j + 1] == "." and parts[j + 2].lower() in ("d", "c"):
                return Found(
                    j + 4 if shape[j + 3] == "." else j + 3, self.era(whole, low + parts[j + 2].lower()), "year"
                )
        return None

    def percent_ends(self, line: Line, j: int) -> bool:
        """Whether the second number of a range, at run `j`, has a percent sign."""
        return line.shape[self.parse(line, j).end] == "%"

    def era(self, year: str, name: str) -> str:
        """A year with its era, CE or BCE."""
        return f"公元{'前' if name == 'bc' else ''}{self.digits(year)}年"

    def before_han(self, line: Line, i: int, num: Num, after: str) -> Found | None:
        """A whole number directly before Chinese characters."""
        whole, j = num.whole, num.end
        if after[0] == "年" and (len(whole) == 4 or not after.startswith("年代")):
            dated = len(whole) == 4 and 1000 < int(whole) < 2200
            era = line.before(i) == "h" and line.parts[i - 1].endswith(("公元前", "公元"))
            if (
                era
                or dated
                or (len(whole) == 2 and self.is_short_year(line, i, after))
                or (len(whole) == 2 and (whole[0] == "0" or (line.shape[j + 1] == "0" and len(after) == 1)))
            ):
                return Found(j, self.digits(whole), "year")
        if after[0] == "后" and len(whole) == 2 and whole[1] in "05":
            return Found(j, self.digits(whole), "year")  # who was born in these years
        if (
            whole == "2"
            and after[0] in self.counted
            and not after.startswith("分之")
            and not (line.before(i) == "h" and line.parts[i - 1][-1] in "第十初")
        ):
            return Found(j, "两", "number")
        return None

    # ---- dates, times, amounts ---------------------------------------------------------------------------------------

    def date(self, line: Line, i: int) -> Found | None:
        """A date: 2024-03-05, 2024/3/5."""
        shape, parts = line.shape, line.parts
        sign = shape[i + 1]
        if sign == "/" and shape.startswith("0/0", i) and shape[i + 3] not in "/0ah" and not line.computes(i):
            month, day = parts[i], parts[i + 2]
            if len(month) < 3 and len(day) == 2 and 0 < int(month) < 13 and int(day) in SURE_DAYS:
                return Found(i + 3, f"{self.cardinal(str(int(month)))}月{self.cardinal(day)}日", "date")
        if sign not in "-/." or not shape.startswith(f"0{sign}0{sign}0", i) or shape[i - 1] in "./-":
            return None
        year, month, day, end = parts[i], parts[i + 2], parts[i + 4], i + 5
        if len(day) == 4 and len(year) < 3:
            year, month, day = day, *((year, month) if int(year) < 13 and sign == "/" else (month, year))
        if len(year) != 4 or len(month) > 2 or len(day) > 2 or not (0 < int(month) < 13 and 0 < int(day) < 32):
            return None
        if shape[end] in "/-0" or (shape[end] == "." and shape[end + 1] == "0"):
            return None
        said = f"{self.digits(year)}年{self.cardinal(str(int(month)))}月{self.cardinal(str(int(day)))}日"
        return Found(end, said, "date")

    def say_time(self, hour: int, minute: int, second: int | None, half: str, line: Line, end: int) -> str:
        """As in 下午三点零五分."""
        part = {"AM": "上午", "PM": "下午"}.get(half, "")
        said = f"{part}{'两' if hour == 2 else self.cardinal(str(hour))}点"
        if second is not None:
            return f"{said}{self.cardinal(str(minute))}分{self.cardinal(str(second))}秒"
        if minute:
            return f"{said}{'零' if minute < 10 else ''}{self.cardinal(str(minute))}分"
        inside = half or line.shape[end] in "-–~h" or line.last == "range"
        return said if inside else f"{said}整"

    def lapse(self, minutes: int, seconds: int, end: int) -> Found | None:
        """A duration in minutes and seconds."""
        return Found(end, f"{self.cardinal(str(minutes))}分{self.cardinal(str(seconds))}秒", "time")

    def ratio(self, line: Line, i: int) -> Found | None:
        """A score: 3:2, or 3-1 and 16-14 where the first number is the larger one, or by the words beside them."""
        shape, parts = line.shape, line.parts
        if shape.startswith("0-0", i) and shape[i + 3] not in "-0./%°" and shape[i - 1] not in "-0./":
            first, second = parts[i], parts[i + 2]
            if shape[i - 1] == "h" and line.parts[i - 1].endswith("满"):
                return Found(i + 2, f"{self.cardinal(first)}{self.say_['subtract']}", "number")  # 满200-50
            if len(first) == 3 and len(second) == 1 and shape[i - 1] != "h":
                return Found(i + 2, f"{self.cardinal(first)}{self.say_['subtract']}", "number")  # 100-1
            short = len(first) == 1 or shape[i + 3] not in "ah"
            if ((short and self.falls(first, second)) or self.is_score(line, i)) and not line.computes(i):
                return Found(i + 2, f"{self.cardinal(first)}比", "number")
        return super().ratio(line, i)

    def amount(self, line: Line, k: int, unit: Currency) -> Found | None:
        """An amount of money; after a magnitude such as 万 the currency comes last."""
        if line.shape[k] == "0":
            num = self.parse(line, k)
            word = self.magnitude(line, num.end)
            if word:
                if line.parts[num.end][len(word) :].startswith(unit.one):
                    word += unit.one
                    unit = Currency("", "", "", "")
                said = f"{self.cardinal(num.text)}{word}{unit.one}"
                if len(word) == len(line.parts[num.end]):
                    return Found(num.end + 1, said, "money")
                line.take(num.end, len(word))
                return Found(num.end, said, "money")
        return super().amount(line, k, unit)

    def say_money(self, num: Num, unit: Currency, scale: str) -> str:
        """As in 十二点五美元."""
        fraction = num.fraction.rstrip("0")
        bare = Num(num.whole or "0", fraction, num.end, num.grouped)
        return f"{self.scaled(bare, scale) if scale else self.count(bare)}{unit.one}"

    def say_fraction(self, top: str, bottom: str) -> str:
        """As in 三分之二."""
        return f"{self.cardinal(bottom)}分之{self.cardinal(top)}"

    def say_mixed(self, whole: str, top: str, bottom: str) -> str:
        """As in 二又三分之一."""
        return f"{self.cardinal(whole)}又{self.say_fraction(top, bottom)}"

    def say_power(self, power: str) -> str:
        """As in 的六次方."""
        known = self.say_.get(f"power{power}")
        return known if known else f"的{'负' if power[0] == '-' else ''}{self.cardinal(power.lstrip('-'))}次方"

    def signed(self, line: Line, i: int) -> bool:
        """Whether "-" after a word is a minus sign: after certain verbs, or before degrees."""
        return line.before(i) == "h" and (
            line.parts[i - 1][-1] in "是为到达约了在仅" or "°" in line.shape[i + 1 : i + 5]
        )

    def minus(self, line: Line, i: int) -> Found | None:
        """A negative number: 零下 for temperatures, 负 for others."""
        found = super().minus(line, i)
        if found and found.kind == "number" and line.parts[found.end].startswith(self.lost):
            return found._replace(spoken=found.spoken.replace(self.say_["minus"], self.say_["subtract"], 1))
        degrees = found and line.parts[found.end].startswith("度") and not line.parts[found.end].startswith("度数")
        if found and (degrees or found.spoken.endswith(("摄氏度", "华氏度"))):
            return found._replace(spoken=found.spoken.replace(self.say_["minus"], self.say_["below"], 1))
        return found

    def pairs(self, digits: str) -> str:
        """The digits in the name of a product, one by one."""
        return self.digits(digits)

    def spans(self, line: Line, i: int) -> bool:
        """Whether another year, whole or its last two digits, is on the other side of a dash next to the year `i`."""
        before, after = i > 1 and line.before(i) in "-–~", line.shape[i + 1] in "-–~"
        return bool((before and len(line.parts[i - 2]) == 4) or (after and len(line.parts[i + 2]) in (2, 4)))

    def ends_years(self, line: Line, i: int) -> bool:
        """Whether the two digits at run `i` are the last ones of a year: 1960-80."""
        first = line.parts[i - 2] if i > 1 and line.before(i) in "-–~" else ""
        return len(first) == 4 and first[:2] in ("19", "20") and first[2:] < line.parts[i]

    def dash(self, line: Line, i: int) -> Found | None:
        """Also between two numbers with the same measure word: 7点-9点, 3月-5月."""
        shape, parts = line.shape, line.parts
        if line.before(i) == "h" and i > 1 and shape[i - 2 : i] == "0h" and shape.startswith("0h", i + 1):
            unit = parts[i - 1]
            if len(unit) < 3 and parts[i + 2].startswith(unit):
                return Found(i + 1, self.say_["to"], "range")
        return super().dash(line, i)

    def each(self, line: Line, i: int) -> Found | None:
        """A "/" that is read 每, as in 20块/月."""
        stands = line.before(i) in "h0a" or line.before(i) in self.currencies
        if stands and line.shape[i + 1] == "h" and line.parts[i + 1].startswith(self.spells):
            return Found(i + 1, self.say_["per"], "symbol")
        return None

    def say_plain(self, line: Line, i: int, num: Num) -> tuple[str, str]:
        """A number alone: digit by digit for years, phone numbers and other codes, else a cardinal."""
        whole = num.whole
        if num.fraction and (day := self.day_after(line, i, num)):
            return day, "date"
        if num.fraction:
            long = len(whole) > 1 and whole[0] == "0"
            return (
                f"{self.digits(whole)}点{self.digits(num.fraction)}" if long else self.cardinal(num.text or "0")
            ), "number"
        if num.grouped:
            return self.cardinal(whole), "number"
        if len(whole) == 4 and 1900 <= int(whole) < 2100 and self.spans(line, i):
            return self.digits(whole), "year"
        if len(whole) == 2 and self.ends_years(line, i):
            return self.digits(whole), "year"
        if len(whole) == 11 and whole[0] == "1" and whole[1] in "3456789" and whole[-4:] != "0000":
            return self.dialled_digits(whole), "phone"
        if len(whole) in (3, 4) and self.is_numbered(line, i):
            return self.dialled_digits(whole), "number"
        if self.is_year(line, i, whole):
            return self.digits(whole), "year"
        behind = len(whole) == 2 and i > 1 and line.parts[i - 1] in ("米", "块") and line.shape[i - 2] == "0"
        if behind and (line.shape[i + 1] != "h" or line.parts[i + 1][0] not in self.counted):
            return self.digits(whole), "measure"  # 1米75
        if self.is_code(line, i, len(whole)):
            return self.digits(whole), "phone"
        if (len(whole) > 1 and whole[0] == "0") or (len(whole) > 12 and whole[-3:] != "000"):
            return self.digits(whole), "number"
        return self.cardinal(whole), "number"
