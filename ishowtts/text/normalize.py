"""Makes a chat line speakable: what has no sound goes, what is short for words becomes words.

Two stages. `clean` drops emoji, control characters and markup, reads links by their host, and settles white space and
repeated punctuation; it serves every model. `spell` then writes numbers out, because character models have heard few
digits; the language of each number is that of the words around it, so "有3个apples" and "3 apples有" both come out right.
A line of a German voice is spelled by `spell_german`.
Other languages keep their digits: a wrong reading is worse than the model's own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from ishowtts.errors import TextError

from . import detect, spell_german
from .numerals import (
    chinese,
    chinese_digits,
    english,
    english_digits,
    english_ordinal,
    english_year,
)

_NUMBER = r"(?<![\d.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\d])"
_DOMAINS = "com|org|net|tv|gg|io|ly|me|co|uk|de|cn|be|dev|app|ai|xyz|jp|fr|edu|gov|info"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

# ---- clean -----------------------------------------------------------------------------------------------------------

_EMOTICON = re.compile(
    r"(?<!\S)(?:[:;=8][-o^']?[)(\]\[DPpOo3/\\|*]+|<3+|[xX]D+|\^_*\^|[Tt]_[Tt]|[oO]_+[oO]|>_*<|-_+-)(?!\S)"
)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'，。！？、（）【】]+", re.IGNORECASE)
_EMAIL = re.compile(r"\b[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
_HOST = re.compile(rf"\b(?:[a-z0-9-]+\.)+(?:{_DOMAINS})\b(?:/[^\s<>\"'，。！？、）)]*)?(?![\w@])", re.IGNORECASE)
_SILENT = re.compile(r"[*_^`|\\{}\[\]<>#~～]+")
_DASHES = re.compile(r"\s*--+\s*")
_NEWLINE = re.compile(r"\s*[\n\r\u2028\u2029]\s*")
_CLOSED = ".!?,:;。！？，：；、…"


def _speakable_chars(text: str) -> str:
    """NFC; full-width letters and digits made plain; other scripts' digits made 0-9; emoji and controls dropped."""
    out = []
    for char in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(char)
        if char < "\x7f" and char >= " ":
            out.append(char)
        elif char in "\n\r\u2028\u2029":
            out.append("\n")
        elif kind in ("Cc", "Zs"):
            out.append(" ")
        elif ("\uff10" <= char <= "\uff5a" and char.isalnum()) or char in "％＄＃＆＋＝＠":
            out.append(chr(ord(char) - 0xFEE0))
        elif char in "℃℉°£€¥￥×÷±‰":
            out.append({"℃": "°C", "℉": "°F", "￥": "¥"}.get(char, char))
        elif char == "−":
            out.append("-")
        elif kind == "No":
            plain = unicodedata.normalize("NFKC", char).replace("⁄", "/")
            out.append(f" {plain}" if "/" in plain else plain)
        elif kind == "Nd":
            out.append(str(unicodedata.decimal(char)))
        elif kind[0] in "LMNP" and kind != "Me" and not "\ufe00" <= char <= "\ufe0f":
            out.append(char)
        elif kind[0] == "S":  # emoji, arrows, dingbats
            out.append(" ")
        # the rest makes no sound: joiners, variation selectors, surrogates, private use
    return "".join(out)


def _address(match: re.Match[str]) -> str:
    """A link or mail address as one says it: user at host dot com."""
    text = match.group()
    tail = re.search(r"[.,!?;:)]*$", text)
    end = tail.group() if tail else ""
    text = re.sub(r"^(?:https?://)?(?:www\.)?", "", text[: len(text) - len(end)], flags=re.IGNORECASE)
    if "@" not in text or "/" in text:
        text = re.split(r"[/?#:]", text)[0]
    return f" {re.sub(r'[-_+]', ' ', text).replace('@', ' at ').replace('.', ' dot ')}{end} "


def _line_end(match: re.Match[str]) -> str:
    before = match.string[: match.start()][-1:]
    if not before or before in _CLOSED:
        return " "
    return "。" if detect.is_han(before) else ". "


def clean(text: str) -> str:
    """What can be heard of `text`, on one line, words and digits as written."""
    text = _NEWLINE.sub(_line_end, _speakable_chars(text).strip())
    for pattern in (_URL, _EMAIL, _HOST):
        text = pattern.sub(_address, text)
    text = _EMOTICON.sub(" ", text)
    text = re.sub(r"(?<!\w)[#@](?=[^\W\d])", "", text)  # tags and mentions are read as their word
    text = re.sub(r"([A-Za-z])\1{3,}", r"\1\1\1", text)
    text = re.sub(r"([\u4e00-\u9fff])\1{5,}", r"\1\1\1\1\1", text)
    text = re.sub(r"(?:!\?|\?!)[!?]*", "?!", re.sub(r"([!?！？])\1+", r"\1", text))
    text = re.sub(r"([,，、;；。:：])\1+", r"\1", re.sub(r"\.{4,}", "...", re.sub("…{2,}", "……", text)))
    return text


def _tidy(text: str) -> str:
    text = _SILENT.sub(" ", _DASHES.sub(", ", text))
    text = re.sub(r"\(\s*\)|（\s*）|【\s*】|\"\s*\"", " ", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" +(?=[,.!?;:)，。！？；：、）])", "", text)
    text = re.sub(r"([(（]) +", r"\1", text)
    return re.sub(r"^[\s,.;:!?/\\，。；：！？、…)）-]+", "", text).strip()


# ---- spell -----------------------------------------------------------------------------------------------------------

_CURRENCIES = {
    "$": ("dollar", "cent", "美元"),
    "€": ("euro", "cent", "欧元"),
    "£": ("pound", "penny", "英镑"),
    "¥": ("yuan", "", "元"),
}
_SCALES = {
    "k": ("thousand", 3), "m": ("million", 6), "b": ("billion", 9), "bn": ("billion", 9),
    "thousand": ("thousand", 3), "million": ("million", 6), "billion": ("billion", 9), "trillion": ("trillion", 12),
}  # fmt: skip
_UNITS = {
    "km/h": ("kilometer per hour", "公里每小时"), "m/s": ("meter per second", "米每秒"), "mph": ("mile per hour", "英里每小时"),
    "km2": ("square kilometer", "平方公里"), "m2": ("square meter", "平方米"), "cm2": ("square centimeter", "平方厘米"),
    "m3": ("cubic meter", "立方米"), "km": ("kilometer", "公里"), "cm": ("centimeter", "厘米"), "mm": ("millimeter", "毫米"),
    "m": ("meter", "米"), "kg": ("kilogram", "公斤"), "mg": ("milligram", "毫克"), "g": ("gram", "克"),
    "lb": ("pound", "磅"), "lbs": ("pound", "磅"), "oz": ("ounce", "盎司"), "ft": ("foot", "英尺"), "ml": ("milliliter", "毫升"),
    "mL": ("milliliter", "毫升"), "L": ("liter", "升"), "TB": ("terabyte", "TB"), "GB": ("gigabyte", "GB"),
    "MB": ("megabyte", "MB"), "KB": ("kilobyte", "KB"), "kB": ("kilobyte", "KB"), "Mbps": ("megabit per second", "兆每秒"),
    "GHz": ("gigahertz", "吉赫兹"), "MHz": ("megahertz", "兆赫兹"), "kHz": ("kilohertz", "千赫兹"), "Hz": ("hertz", "赫兹"),
    "fps": ("frame per second", "帧每秒"), "FPS": ("frame per second", "帧每秒"), "ms": ("millisecond", "毫秒"),
    "s": ("second", "秒"), "sec": ("second", "秒"), "min": ("minute", "分钟"), "h": ("hour", "小时"), "hrs": ("hour", "小时"),
    "hr": ("hour", "小时"), "kWh": ("kilowatt hour", "千瓦时"), "mAh": ("milliamp hour", "毫安时"), "kW": ("kilowatt", "千瓦"),
    "W": ("watt", "瓦"), "kV": ("kilovolt", "千伏"), "V": ("volt", "伏"), "px": ("pixel", "像素"), "dB": ("decibel", "分贝"),
}  # fmt: skip
_INVARIABLE = {"hertz", "yuan"}
_YEAR_CUE = re.compile(
    r"(?:\b(?:in|since|by|until|till|from|of|year|before|after|during|circa|around|to|and|or|for|"
    rf"spring|summer|autumn|fall|winter|{'|'.join(_MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?)"
    r"(?: \d{1,2},)?|\d(?:st|nd|rd|th),?) *$",
    re.IGNORECASE,
)
_COUNTED = "个位只条张本次天年倍块件名人种遍岁斤米秒分小页首部场局把杯瓶碗颗双套台辆元"

Rule = Callable[[re.Match[str], bool], "str | None"]


def _plural(noun: str, number: str) -> str:
    if number == "1" or noun in _INVARIABLE:
        return noun
    head, _, rest = noun.partition(" per ")
    head = {"foot": "feet", "penny": "pence"}.get(head, head + "s")
    return f"{head} per {rest}" if rest else head


def _cardinal(number: str, zh: bool) -> str:
    number = number.replace(",", "")
    return chinese(number) if zh else english(number)


def _scaled(number: str, zeros: int) -> str:
    """Decimal digits times 10**zeros, as digits."""
    whole, _, fraction = number.replace(",", "").partition(".")
    digits = whole + fraction[:zeros].ljust(zeros, "0")
    return digits + (f".{fraction[zeros:]}" if fraction[zeros:] else "")


def _date(match: re.Match[str], zh: bool) -> str:
    year, month, day = match.groups()
    if zh:
        return f"{chinese_digits(year)}年{chinese(month)}月{chinese(day)}日"
    return f"{_MONTHS[int(month) - 1]} {english_ordinal(day)}, {english_year(int(year))}"


def _time(match: re.Match[str], zh: bool) -> str:
    hour, minute, second, half = match.groups()
    suffix = {"a": " a m", "p": " p m"}.get((half or "")[:1].lower(), "")
    if zh:
        part = {"a": "上午", "p": "下午"}.get((half or "")[:1].lower(), "")
        h = "两" if hour.lstrip("0") == "2" else chinese(hour)
        m = "整" if minute == "00" and not second else f"{'零' if minute[0] == '0' else ''}{chinese(str(int(minute)))}分"
        return f"{part}{h}点{m}" + (f"{chinese(second)}秒" if second else "")
    if minute == "00":
        words = english(hour) + (" hundred" if int(hour) > 12 else "" if suffix else " o'clock")
    else:
        words = f"{english(hour)} {'oh ' if minute[0] == '0' else ''}{english(minute)}"
    if second:
        words += f" and {english(second)} {_plural('second', str(int(second)))}"
    return words + suffix


def _hour(match: re.Match[str], zh: bool) -> str:
    half = match[2][0].lower()
    return f"{'上午' if half == 'a' else '下午'}{chinese(match[1])}点" if zh else f"{english(match[1])} {half} m"


def _money(match: re.Match[str], zh: bool) -> str:
    sign = match["sign"]
    symbol, number, scale = match["symbol"] or match["after"], match["number"].replace(",", ""), match["scale"]
    unit, small, unit_zh = _CURRENCIES[symbol]
    minus = ("负" if zh else "minus ") if sign else ""
    if zh or (scale and detect.is_han(scale[0])):
        if scale and scale.lower() in _SCALES:
            number, scale = _scaled(number, _SCALES[scale.lower()][1]), ""
        if "." in number:
            number = number.rstrip("0").rstrip(".")
        return f"{minus}{chinese(number)}{scale or ''}{unit_zh}"
    if scale:
        word = _SCALES[scale.lower()][0] if scale.lower() in _SCALES else scale
        return f"{minus}{english(number)} {word} {_plural(unit, '')}"
    whole, _, cents = number.partition(".")
    if len(cents) != 2 or not small or int(cents) == 0:
        number = number if cents.strip("0") else whole
        return f"{minus}{english(number)} {_plural(unit, number)}"
    said = f"{english(str(int(cents)))} {_plural(small, str(int(cents)))}"
    return minus + (said if int(whole) == 0 else f"{english(whole)} {_plural(unit, whole)} and {said}")


def _percent(match: re.Match[str], zh: bool) -> str:
    number, mille = match["number"], match["kind"] == "‰"
    if zh:
        return ("负" if match["sign"] else "") + ("千分之" if mille else "百分之") + _cardinal(number, True)
    return f"{'minus ' if match['sign'] else ''}{_cardinal(number, False)} {'per mille' if mille else 'percent'}"


def _degrees(match: re.Match[str], zh: bool) -> str:
    scale = (match["scale"] or "").upper()
    minus, number = match["sign"], match["number"]
    if zh:
        unit = {"C": "摄氏度", "F": "华氏度"}.get(scale, "度")
        return ("零下" if minus and scale else "负" if minus else "") + _cardinal(number, True) + unit
    unit = {"C": " Celsius", "F": " Fahrenheit"}.get(scale, "")
    return f"{'minus ' if minus else ''}{_cardinal(number, False)} {_plural('degree', number)}{unit}"


def _measure(match: re.Match[str], zh: bool) -> str:
    number, (en, cn) = match["number"], _UNITS[match["unit"]]
    return _cardinal(number, True) + cn if zh else f"{_cardinal(number, False)} {_plural(en, number)}"


def _decade(match: re.Match[str], zh: bool) -> str | None:
    if zh:
        return None
    words = english_year(int(match[1] + match[2])) if match[1] else english(match[2])
    return (words[:-1] + "ies" if words.endswith("y") else words + "s") if match[2] != "00" or match[1] else None


def _fraction(match: re.Match[str], zh: bool) -> str | None:
    top, bottom = match.groups()
    if zh:
        return f"{chinese(bottom)}分之{chinese(top)}"
    if (top, bottom) == ("24", "7"):
        return "twenty-four seven"
    if int(bottom) in (2, 4) and 0 < int(top) < int(bottom):
        name = "half" if bottom == "2" else "quarter"
        return f"{english(top)} {name}{'s' if int(top) > 1 else ''}"
    if 0 < int(top) < int(bottom) <= 10:
        return f"{english(top)} {english_ordinal(bottom)}{'s' if int(top) > 1 else ''}"
    return f"{english(top)} over {english(bottom)}" if len(bottom) < 3 else f"{english(top)} out of {english(bottom)}"


def _between(en: str, zh: str) -> Rule:
    return lambda match, chinese_here: zh if chinese_here else f" {en} "


def _digit_by_digit(match: re.Match[str], zh: bool) -> str:
    digits = re.sub(r"\D", "", match.group())
    plus = ("加" if zh else "plus ") if match.group().startswith("+") else ""
    return plus + (chinese_digits(digits) if zh else english_digits(digits))


def _dotted(match: re.Match[str], zh: bool) -> str:
    parts = match.group().split(".")
    return "点".join(chinese(p) for p in parts) if zh else " point ".join(english(p) for p in parts)


def _thousands(match: re.Match[str], zh: bool) -> str | None:
    number, letter = match.groups()
    if zh and letter in "mMbB":
        return None
    word, zeros = _SCALES[letter.lower()]
    return chinese(_scaled(number, zeros)) if zh else f"{_cardinal(number, False)} {word}"


def _year_zh(match: re.Match[str], zh: bool) -> str:
    return chinese_digits(match[1])


def _year(match: re.Match[str], zh: bool) -> str | None:
    if zh or not _YEAR_CUE.search(match.string[: match.start()]):
        return None
    return english_year(int(match.group()))


def _plain(match: re.Match[str], zh: bool) -> str:
    number = match["number"].replace(",", "")
    sign = ("负" if zh else "minus ") if match["sign"] else ""
    whole = number.partition(".")[0]
    if zh and number == "2" and match.string[match.end() :].lstrip()[:1] in _COUNTED and not sign:
        before = match.string[: match.start()].rstrip()[-1:]
        if before != "第" and match.string[match.end() :].lstrip()[:1]:
            return "两"
    if zh and re.fullmatch(r"6{3,}|8{3,}|23{2,}", number):  # said as a run in chat: 666, 2333
        return chinese_digits(number)
    if (len(whole) > 1 and whole[0] == "0") or ("," not in match["number"] and len(whole) >= 11):
        fraction = number[len(whole) + 1 :]
        if zh:
            return sign + chinese_digits(whole) + (f"点{chinese_digits(fraction)}" if fraction else "")
        return sign + english_digits(whole) + (f" point {english_digits(fraction)}" if fraction else "")
    return sign + _cardinal(number, zh)


_SIGN = r"(?:(?<![A-Za-z0-9.)%])(?P<sign>-)\s?)?"
_N = rf"(?P<number>{_NUMBER})"
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_MONEY_SCALE = r"(?:\s?(?P<scale>万亿|万|亿|thousand|million|billion|trillion|bn|[kKmMbB])(?![A-Za-z]))?"
_TO = r"(?:\s[–—]\s|[-–—])"

_RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in [
        (r"(?<!\d)(1[1-9]\d\d|20\d\d)[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])(?!\d)", _date),
        (r"(?<!\d)(\d{4})(?=\s?年)", _year_zh),
        (r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([aApP]\.?[mM]\b\.?))?", _time),
        (r"(?<![\w.])(1[0-2]|0?[1-9])\s?([aApP])\.?[mM]\b", _hour),
        (r"\+\d{1,3}(?:[- ]?\d{2,4}){2,4}(?!\d)|(?<![\d-])(?:\d{3}-)?\d{3}-\d{4}(?![\d-])", _digit_by_digit),
        (r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d])", _dotted),
        (r"(?<=\d) - (?=\d)", _between("minus", "减")),
        (rf"(?<=[\d%]){_TO}(?=[\d$€£¥])", _between("to", "到")),
        (rf"{_SIGN}(?P<symbol>[$€£¥])\s?{_N}{_MONEY_SCALE}(?P<after>)", _money),
        (rf"{_SIGN}(?P<symbol>){_N}{_MONEY_SCALE}\s?(?P<after>[$€£¥])", _money),
        (r"(?<=\d)\s?[x×*]\s?(?=\d)", _between("by", "乘")),
        (r"(?<=\d)\s?÷\s?(?=\d)", _between("divided by", "除以")),
        (r"(?<=\d)\s?<\s?(?=\d)", _between("is less than", "小于")),
        (r"(?<=\d)\s?>\s?(?=\d)", _between("is greater than", "大于")),
        (rf"{_SIGN}{_N}\s?(?P<kind>[%‰])", _percent),
        (rf"{_SIGN}{_N}\s?°\s?(?P<scale>[CFcf]\b)?", _degrees),
        (r"(?<![\d.])(1[1-9]|20)?(\d0)'?s\b", _decade),
        (rf"{_N}\s?(?P<unit>{_UNIT})(?![A-Za-z0-9/])", _measure),
        (r"(?<![\d.,$-])(?:1[5-9]|20)\d\d(?![\d.,]\d|\d)", _year),
        (r"(?<![\d.,])(\d+)(?:st|nd|rd|th)\b", lambda match, zh: english_ordinal(match[1])),
        (r"(?<![\d/.])(\d{1,3})/(\d{1,3})(?![\d/.])", _fraction),
        (r"(?<=\d):(?=\d)", _between("to", "比")),
        (r"#\s?(?=\d)", lambda match, zh: "" if zh else " number "),
        (r"(?<![\d.,A-Za-z])((?!\d[K])\d+(?:\.\d+)?)([kKMB])(?![A-Za-z0-9])", _thousands),
        (rf"{_SIGN}{_N}", _plain),
        (r"(?P<sign>)(?P<number>\d+)", _plain),  # what odd punctuation kept from the rules above
    ]
]
_SYMBOLS: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in [
        (r"\s?&\s?", _between("and", "和")),
        (r"\s?\+", _between("plus", "加")),
        (r"\s?=+\s?", _between("equals", "等于")),
        (r"\s?±\s?", _between("plus or minus", "正负")),
        (r"\s?×\s?", _between("times", "乘")),
        (r"\s?÷\s?", _between("divided by", "除以")),
        (r"\s?@\s?", _between("at", "at")),
        (r"[%‰]", _between("percent", "百分比")),
        (r"[$€£¥]", lambda match, zh: f" {_CURRENCIES[match.group()][2 if zh else 0]} "),
        (r"°", _between("degrees", "度")),
        (r"(?<=\w)/(?=\w)", _between("", "")),
    ]
]


def _chinese_here(match: re.Match[str], language: str) -> bool:
    """Whether the words next to a match are Chinese: those after it decide, then those before, then the line."""
    after = re.search(r"[^\W\d_]", match.string[match.end() : match.end() + 12])
    before = re.search(r"[^\W\d_](?=[\W\d_]*$)", match.string[max(0, match.start() - 12) : match.start()])
    near = after if after and after.start() <= 1 else before or after
    return detect.is_han(near.group()) if near else language == "zh"


def spell(text: str, language: str) -> str:
    """Write numbers and symbols as words; `language` ("en" or "zh") decides where no word stands near."""
    text = re.sub(r"(?<![\w.])\.(?=\d)", "0.", text)
    for pattern, rule in [*_RULES, *_SYMBOLS]:

        def replace(match: re.Match[str], rule: Rule = rule) -> str:
            zh = _chinese_here(match, language)
            words = rule(match, zh)
            if words is None:
                return match.group()
            if zh:
                return words
            left = match.string[match.start() - 1 : match.start()] if match.start() else ""
            right = match.string[match.end() : match.end() + 1]
            return (" " if left.isalnum() else "") + words + (" " if right.isalnum() else "")

        text = pattern.sub(replace, text)
    return text


def normalize(text: str, language: str | None = None, *, numbers: bool = True) -> str:
    """Speakable form of `text`; TextError (field "text") when nothing speakable is left.

    `language`: BCP 47 tag of the words, None to guess. `numbers`: write them out (False where the front end reads digits).
    """
    text = clean(text)
    if numbers:
        # The tag may be the voice's own while the line is in another language: the script has the last word.
        guessed = detect.guess(text)
        here = detect.base(language) or guessed
        if here in ("en", "zh") and guessed in ("en", "zh"):
            text = spell(text, here)
        elif here == "de" and guessed == "en":  # Latin script
            text = spell_german.spell(text)
    text = _tidy(text)
    if not any(char.isalnum() for char in text):
        raise TextError("The text holds nothing that can be spoken.", field="text")
    return text
