"""Numbers as words, in English (American, hyphenated tens), Chinese (simplified) and German.

Importing a package for it would take longer than speaking an utterance; tests compare the results with such packages.
Numbers are strings of digits, so that there is no rounding.
"""

from __future__ import annotations

from functools import lru_cache

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ENGLISH_WORDS = (*_ONES, *_TENS)
"""The words that the name of a number begins with."""
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ZH = "零一二三四五六七八九"


def _below_thousand(n: int) -> str:
    words = []
    if n >= 100:
        words.append(_ONES[n // 100] + " hundred")
        n %= 100
    if n >= 20:
        words.append(_TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else ""))
    elif n:
        words.append(_ONES[n])
    return " ".join(words)


def _is_longer(digits: str, size: int) -> bool:
    """Whether a whole number has more than `size` digits without its leading zeros."""
    return len(digits) > size and len(digits.lstrip("0")) > size


def english_digits(digits: str) -> str:
    """Digit by digit: "07" is "zero seven"."""
    return " ".join(_ONES[int(d)] for d in digits)


def english(number: str) -> str:
    """The cardinal of "1234" or "12.50"; 22 digits and more are read one by one."""
    whole, _, fraction = number.partition(".")
    if _is_longer(whole, 3 * len(_SCALES)):
        words = english_digits(whole)
    else:
        n = int(whole.lstrip("0") or "0")
        groups = []
        for scale in _SCALES:
            n, group = divmod(n, 1000)
            if group:
                groups.append(f"{_below_thousand(group)} {scale}".rstrip())
        words = " ".join(reversed(groups)) or "zero"
    return f"{words} point {english_digits(fraction)}" if fraction else words


def english_ordinal(number: str) -> str:
    """The ordinal of a whole number: "21" is "twenty-first"."""
    words = english(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        return words[:cut] + _ORDINALS[last]
    return words[:cut] + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def english_year(year: int) -> str:
    """A year from 1100 to 2099: "nineteen oh five", "two thousand six", "twenty twenty-four"."""
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010 or (rest == 0 and century % 10 == 0):
        return english(str(year))
    if rest == 0:
        return f"{english(str(century))} hundred"
    return f"{english(str(century))} {'oh ' if rest < 10 else ''}{english(str(rest))}"


def chinese_digits(digits: str) -> str:
    """Digit by digit: "2024" is 二零二四."""
    return "".join(_ZH[int(d)] for d in digits)


def _zh_group(n: int) -> str:
    out, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, n = divmod(n, unit)
        if digit:
            out += ("零" if zero and out else "") + _ZH[digit] + name
        zero = not digit
        if not n:
            break
    return out


def chinese(number: str) -> str:
    """The cardinal of "1234" or "12.50", with 两 for a leading two of thousands; over 16 digits one by one."""
    whole, _, fraction = number.partition(".")
    if _is_longer(whole, 16):
        words = chinese_digits(whole)
    else:
        n = int(whole.lstrip("0") or "0")
        words, gap = "", False
        for unit, name in ((10**12, "万亿"), (10**8, "亿"), (10**4, "万"), (1, "")):
            group, n = divmod(n, unit)
            if group:
                if words and (gap or group < 1000):
                    words += "零"
                said = _zh_group(group)
                if name and group // 1000 == 2:
                    said = "两" + said[1:]
                elif name and words and group // 10 == 1:
                    said = said[1:]  # 一百亿零十万
                # 亿 after 万亿 is said once: 一万二千亿, not 一万亿二千亿
                words += said + ("万" if name == "万亿" and n >= 10**8 else name)
            gap = bool(words) and not group
        words = words or "零"
        if words.startswith("一十"):
            words = words[1:]
        if words.startswith("二") and words[1:2] in ("千", "万", "亿"):
            words = "两" + words[1:]
    return f"{words}点{chinese_digits(fraction)}" if fraction else words


_DE = (
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"),
    *("dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"),
)
_DE_TENS = ("", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig")
GERMAN_WORDS = (*_DE, *_DE_TENS[2:], "ein")
"""The beginnings of the names of numbers."""
_DE_SCALES = ("Million", "Milliarde", "Billion", "Billiarde", "Trillion")
_DE_ORDINALS = {"eins": "ers", "drei": "drit", "sieben": "sieb", "acht": "ach"}


def _de_below_thousand(n: int, one: str) -> str:
    head = f"{'ein' if n < 200 else _DE[n // 100]}hundert" if n >= 100 else ""
    n %= 100
    if n == 1:
        return head + one
    if n < 20:
        return head + (_DE[n] if n else "")
    unit = n % 10
    return head + (f"{'ein' if unit == 1 else _DE[unit]}und" if unit else "") + _DE_TENS[n // 10]


def german_digits(digits: str) -> str:
    """Digit by digit: "07" is "null sieben"."""
    return " ".join(_DE[int(d)] for d in digits)


def german(number: str, one: str = "eins") -> str:
    """The cardinal of "1234" or "12.50", one word below a million; 22 digits and more are read one by one.

    `one`: the form of a final one, such as "ein" before a noun.
    """
    whole, _, fraction = number.partition(".")
    if _is_longer(whole, 21):
        words = german_digits(whole)
    else:
        n = int(whole.lstrip("0") or "0")
        high, low = divmod(n, 10**6)
        parts = []
        for power in range(len(_DE_SCALES), 0, -1):
            group = high // 1000 ** (power - 1) % 1000
            if group:
                name = _DE_SCALES[power - 1]
                many = f"{_de_below_thousand(group, 'eins')} {name.removesuffix('e')}en"
                parts.append(f"eine {name}" if group == 1 else many)
        thousands, rest = divmod(low, 1000)
        small = f"{_de_below_thousand(thousands, 'ein')}tausend" if thousands else ""
        small += _de_below_thousand(rest, one) if rest else ""
        words = " ".join([*parts, small] if small else parts) or "null"
    return f"{words} Komma {german_digits(fraction)}" if fraction else words


def german_ordinal(number: str, ending: str = "e") -> str:
    """The ordinal of a whole number: "3" is "dritte", with `ending` "en" "dritten"."""
    words = german(number)
    rest = int(number) % 100
    stem = "t" if 0 < rest < 20 else "st"
    if 0 < rest < 20 and _DE[rest] in _DE_ORDINALS:
        return words[: -len(_DE[rest])] + _DE_ORDINALS[_DE[rest]] + stem + ending
    return words + stem + ending


def german_year(year: int) -> str:
    """A year: from 1100 to 1999 as "neunzehnhundertneunundachtzig", others as cardinals."""
    century, rest = divmod(year, 100)
    if not 11 <= century <= 19:
        return german(str(year))
    return f"{_DE[century]}hundert{_de_below_thousand(rest, 'eins') if rest else ''}"


_ROMAN = (
    *(("M", 1000), ("CM", 900), ("D", 500), ("CD", 400), ("C", 100), ("XC", 90), ("L", 50), ("XL", 40)),
    *(("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1)),
)


def roman(value: int) -> str:
    """The Roman numeral of a number from 1 to 3999."""
    out = ""
    for letters, worth in _ROMAN:
        out += letters * (value // worth)
        value %= worth
    return out


@lru_cache(1024)
def from_roman(letters: str) -> int:
    """The value of a Roman numeral in its modern form, 0 for anything else."""
    if len(letters) > 9 or not set(letters) <= set("IVXLCDM"):
        return 0
    value, at = 0, 0
    for symbol, worth in _ROMAN:
        while letters.startswith(symbol, at):
            value += worth
            at += len(symbol)
    return value if at == len(letters) and roman(value) == letters else 0
