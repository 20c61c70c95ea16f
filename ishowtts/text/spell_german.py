"""Numbers, symbols and abbreviations of a German line as German words."""

from __future__ import annotations

import re
from collections.abc import Callable

from .numerals import german, german_digits, german_ordinal, german_year

_MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)
_ABBREVIATIONS = {
    "z.b.": "zum Beispiel", "d.h.": "das heißt", "u.a.": "unter anderem", "i.d.r.": "in der Regel", "usw.": "und so weiter",
    "etc.": "et cetera", "bzw.": "beziehungsweise", "ca.": "zirka", "evtl.": "eventuell", "ggf.": "gegebenenfalls",
    "inkl.": "inklusive", "vgl.": "vergleiche", "nr.": "Nummer", "dr.": "Doktor", "prof.": "Professor", "hr.": "Herr",
    "fr.": "Frau", "st.": "Sankt", "str.": "Straße", "std.": "Stunden", "min.": "Minuten", "sek.": "Sekunden",
    "mio.": "Millionen", "mrd.": "Milliarden", "tsd.": "Tausend", "bspw.": "beispielsweise", "vs.": "gegen",
    "max.": "maximal", "mind.": "mindestens", "lg": "liebe Grüße", "vlt": "vielleicht", "vllt": "vielleicht",
    "hdl": "hab dich lieb", "kp": "kein Plan", "ka": "keine Ahnung",
}  # fmt: skip
_CURRENCIES = {
    "€": ("Euro", "Cent"), "$": ("Dollar", "Cent"), "£": ("Pfund", "Pence"), "¥": ("Yen", ""), "EUR": ("Euro", "Cent"),
}  # fmt: skip
_UNITS = {
    "km/h": "Kilometer pro Stunde", "m/s": "Meter pro Sekunde", "km²": "Quadratkilometer", "km2": "Quadratkilometer",
    "m²": "Quadratmeter", "m2": "Quadratmeter", "km": "Kilometer", "cm": "Zentimeter", "mm": "Millimeter", "m": "Meter",
    "kg": "Kilogramm", "g": "Gramm", "mg": "Milligramm", "l": "Liter", "L": "Liter", "ml": "Milliliter", "GB": "Gigabyte",
    "MB": "Megabyte", "TB": "Terabyte", "GHz": "Gigahertz", "MHz": "Megahertz", "kHz": "Kilohertz", "Hz": "Hertz",
    "h": "Stunden", "Std": "Stunden", "min": "Minuten", "s": "Sekunden", "ms": "Millisekunden", "kW": "Kilowatt",
    "fps": "Bilder pro Sekunde", "FPS": "Bilder pro Sekunde", "kWh": "Kilowattstunden", "W": "Watt", "V": "Volt",
    "dB": "Dezibel", "px": "Pixel",
}  # fmt: skip
_SINGULAR = {
    "Stunden": "eine Stunde", "Minuten": "eine Minute", "Sekunden": "eine Sekunde", "Millisekunden": "eine Millisekunde",
}  # fmt: skip
_SCALES = {"k": "tausend", "K": "tausend", "Mio": "Millionen", "Mrd": "Milliarden"}

_N = r"(?<![\d.,])(?P<number>\d{1,3}(?:[.\u202f ]\d{3})+(?:,\d+)?|\d+(?:,\d+)?)(?![\d])"
_SIGN = r"(?:(?<![\w.)%])(?P<sign>-)\s?)?"
_DATIVE = re.compile(
    r"\b(?:(?:an|auf|aus|bei|in|mit|nach|von|vor|zu)\s+der|am|vom|zum|dem|den|des"
    r"|im|beim|seit|bis|ab|jeden|einem|einen|diesem|diesen|letzten|nächsten)\s+$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(rf"{_DATIVE.pattern}|\b(?:der|die|das|ein|eine|mein|meine)\s+$", re.IGNORECASE)


def _digits(number: str) -> str:
    """As in "1.234,5": the digits "1234.5"."""
    return re.sub(r"[.\u202f ]", "", number).replace(",", ".")


def _minus(match: re.Match[str]) -> str:
    return "minus " if match["sign"] else ""


def _counted(number: str, noun: str) -> str:
    digits = _digits(number)
    if digits == "1" and noun in _SINGULAR:
        return _SINGULAR[noun]
    return f"{german(digits, 'ein')} {noun}"


def _ordinal(match: re.Match[str], number: str) -> str:
    return german_ordinal(number, "en" if _DATIVE.search(match.string[: match.start()]) else "e")


def _numbered(match: re.Match[str]) -> str:
    """As in "2. Sieger": an ordinal behind an article, and the end of a sentence elsewhere."""
    return _ordinal(match, match[1]) if _ARTICLE.search(match.string[: match.start()]) else match.group()


def _one(match: re.Match[str]) -> str:
    return "eine" if re.search(r"(?:e|ung|heit|keit|ion|tät|schaft|in|ur)$", match[1]) else "ein"


def _date(match: re.Match[str]) -> str:
    day, month, year = match.groups()
    said = f"{_ordinal(match, day)} {_MONTHS[int(month) - 1]}"
    return f"{said} {german_year(int(year))}" if year else said


def _iso_date(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    return f"{_ordinal(match, day)} {_MONTHS[int(month) - 1]} {german_year(int(year))}"


def _scaled(match: re.Match[str]) -> str:
    return f"{german(_digits(match['number']))} {_SCALES[match['scale'].strip(' .')]}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    said = f"{german(str(hour), 'ein')} Uhr"
    return f"{said} {german(str(minute))}" if minute else said


def _money(match: re.Match[str]) -> str:
    unit, small = _CURRENCIES[match["symbol"] or match["after"]]
    if match["scale"]:
        return f"{_minus(match)}{german(_digits(match['number']))} {_SCALES[match['scale'].rstrip('.')]} {unit}"
    whole, _, cents = _digits(match["number"]).partition(".")
    if len(cents) == 2 and small:
        said = f"{german(whole, 'ein')} {unit}"
        if int(whole) == 0:
            return f"{_minus(match)}{german(str(int(cents)), 'ein')} {small}"
        return _minus(match) + (f"{said} {german(str(int(cents)))}" if int(cents) else said)
    return f"{_minus(match)}{german(_digits(match['number']), 'ein')} {unit}"


def _plain(match: re.Match[str]) -> str:
    digits = _digits(match["number"])
    whole, _, fraction = digits.partition(".")
    if (len(whole) > 1 and whole[0] == "0") or len(whole) > 11:
        return german_digits(whole) + (f" Komma {german_digits(fraction)}" if fraction else "")
    if not fraction and "." not in match["number"] and 1100 <= int(whole) <= 1999:
        return _minus(match) + german_year(int(whole))
    return _minus(match) + german(digits)


_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_PLACES = "Platz|Mal|Runde|Tag|Teil|Level|Staffel|Folge|Jahrhundert|Stock"
_MONTH_NAMES = "|".join(_MONTHS)
_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(pattern), rule)
    for pattern, rule in [
        (r"(?<![\d.])(\d{4})-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])(?!\d)", _iso_date),
        (r"(?<![\d.])(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4})?(?!\d)", _date),
        (r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])(?:\s?(?:Uhr|h)\b)?", _time),
        (rf"(?<![\d.])(\d{{1,2}})\.(?=\s(?:{_MONTH_NAMES})\b)", lambda m: _ordinal(m, m[1])),
        (rf"(?<![\d.])(\d{{1,3}})\.(?=\s[a-zäöü]|\s(?:{_PLACES})\b)", lambda m: _ordinal(m, m[1])),
        (r"(?<![\d.])(\d{1,3})\.(?=\s[A-ZÄÖÜ])", _numbered),
        (rf"{_SIGN}(?P<symbol>[$€£¥])\s?{_N}(?:\s?(?P<scale>Mio\.?|Mrd\.?|[kK])(?!\w))?(?P<after>)", _money),
        (rf"{_SIGN}(?P<symbol>){_N}(?:\s?(?P<scale>Mio\.?|Mrd\.?|[kK]))?\s?(?P<after>[$€£¥]|EUR\b)", _money),
        (rf"{_SIGN}{_N}\s?%", lambda m: f"{_minus(m)}{german(_digits(m['number']), 'ein')} Prozent"),
        (rf"{_SIGN}{_N}\s?°\s?[Cc]?\b", lambda m: f"{_minus(m)}{german(_digits(m['number']), 'ein')} Grad"),
        (rf"{_N}\s?(?P<unit>{_UNIT})(?![\w/])", lambda m: _counted(m["number"], _UNITS[m["unit"]])),
        (r"(?<=\d)\s?[x×*]\s?(?=\d)", lambda m: " mal "),
        (r"(?<=\d)\s?[-–]\s?(?=\d)", lambda m: " bis "),
        (rf"{_N}(?P<scale>[kK]|\s?Mio\.?|\s?Mrd\.?)(?!\w)", _scaled),
        (r"(?<![\d/.])1/2(?![\d/.])", lambda m: "ein halb"),
        (r"(?<![\d/.])(\d{1,2})/(\d{1,2})(?![\d/.])", lambda m: f"{german(m[1])} von {german(m[2])}"),
        (rf"{_SIGN}{_N}(?=\s(?:Uhr|Mal|mal)\b)", lambda m: _minus(m) + german(_digits(m["number"]), "ein")),
        (r"(?<![\d.,:/-])1(?=\s([A-ZÄÖÜa-zäöüß]{3,}))", _one),
        (r"#\s?(?=\d)", lambda m: " Nummer "),
        (rf"{_SIGN}{_N}", _plain),
        (r"(?P<sign>)(?P<number>\d+)", _plain),  # what odd punctuation kept from the rules above
        (r"\s?&\s?", lambda m: " und "),
        (r"\s?\+", lambda m: " plus "),
        (r"\s?=+\s?", lambda m: " gleich "),
        (r"%", lambda m: " Prozent "),
        (r"\s?@\s?", lambda m: " ät "),
        (r"[$€£]", lambda m: f" {_CURRENCIES[m.group()][0]} "),
        (r"°", lambda m: " Grad "),
    ]
]  # fmt: skip
def _written(short: str) -> str:
    """An abbreviation as a pattern; "z.B." may hold a space."""
    dots = re.escape(short).replace(r"\.", r"\.\s?") if short.count(".") > 1 else re.escape(short)
    return rf"(?<![\w.]){dots}(?!\w)"


_ABBREVIATION = re.compile("|".join(map(_written, sorted(_ABBREVIATIONS, key=len, reverse=True))), re.IGNORECASE)


def _abbreviation(match: re.Match[str]) -> str:
    said = _ABBREVIATIONS[re.sub(r"\s", "", match.group().lower())]
    closes = match.group().rstrip().endswith(".") and not match.string[match.end() :].strip()
    tail = " " if match.group().endswith(" ") else ""
    return said + ("." if closes else tail)


def spell(text: str) -> str:
    """Numbers, currencies, units, dates, times and common abbreviations of a German text as words."""
    text = _ABBREVIATION.sub(_abbreviation, text)
    for pattern, rule in _RULES:

        def replace(match: re.Match[str], rule: Callable[[re.Match[str]], str] = rule) -> str:
            left, right = match.string[: match.start()][-1:], match.string[match.end() :][:1]
            return (" " if left.isalnum() else "") + rule(match) + (" " if right.isalnum() else "")

        text = pattern.sub(replace, text)
    return text
