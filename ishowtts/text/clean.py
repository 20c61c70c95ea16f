"""First step of a reading: the characters that matter for speech, each with its position in the original text.

Styled letters (bold, circled, full width) become plain ones, digits of all scripts become 0-9, and characters without a
sound (emoji, faces, control characters, joiners, stacked accents) are removed. Each mapping looks at one character, or
at one letter with its combining marks, so the time is linear in the length of the text. Some characters stand for
several, as "½" for 1/2; a text grows by a bounded part of its length, and such characters beyond that are not spoken.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain, compress, count, repeat
from typing import NamedTuple

from . import kaomoji


class Dropped(NamedTuple):
    """A part of the original text that is not spoken: text[start:end], and why."""

    text: str
    start: int
    end: int
    why: str


_KEPT_SYMBOLS = set("+-=<>|~^`$¢£¤¥€₩₹₽₺₫₿₴₱×÷±°≈≠≤≥∞√…·•→←★")
_FULL_WIDTH = set("％＄＃＆＋＝＠／～－．＜＞＊＾＿｜＂")
_REPLACED = {
    "−": "-", "‐": "-", "‑": "-", "﹣": "-", "⁄": "/", "∕": "/", "’": "'", "‘": "'", "‛": "'", "ʼ": "'", "′": "'",
    "＇": "'", "´": "'", "″": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "№": "#", "￥": "¥", "µ": "μ", "º": "°",
    "˚": "°", "—": "—", "―": "—", "⸺": "—", "™": "", "®": "", "©": "", "℠": "", "∙": "·", "⋅": "·", "∗": "*", "⭐": "★",
}  # fmt: skip
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
SOUNDS = "\U00100000"
"""From here on characters stand for sounds (see `pronounce`)."""
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))


def _plain(char: str) -> str:
    """What stands for one character: itself, its plain form, a space for a separator or an emoji, "" for nothing."""
    if " " <= char < "\x7f" or char in SUPERSCRIPTS or char in _KEPT_SYMBOLS or char >= SOUNDS:
        return char
    if char in "\n\r\u2028\u2029":
        return "\n"
    if char in _REPLACED or char in _SMALL_CAPITALS:
        return _REPLACED[char] if char in _REPLACED else _SMALL_CAPITALS[char]
    if ("\uff10" <= char <= "\uff5a" and char.isalnum()) or char in _FULL_WIDTH:
        return chr(ord(char) - 0xFEE0)
    for first in (0x1F150, 0x1F170):  # letters in filled circles and squares have no plain form in Unicode
        if first <= ord(char) < first + 26:
            return chr(ord("A") + ord(char) - first)
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if "\u2160" <= char <= "\u217f":  # a Roman numeral in one character
        return str(int(unicodedata.numeric(char)))
    if kind in ("Cc", "Zs"):
        return " "
    if (
        kind[0] == "L"
        or kind in ("No", "Nl")
        or (kind == "So" and "\u2100" <= char <= "\u33ff")
        or 0x1F130 <= ord(char) < 0x1F150
    ):
        plain = unicodedata.normalize("NFKC", char).replace("⁄", "/")
        if plain != char:
            plain = "".join(map(_plain, plain))
        elif kind == "So":
            return " "
        return f" {plain}" if "/" in plain else plain
    if (
        kind[0] == "P"
        or kind == "Mc"
        or (kind == "Mn" and not "\u0300" <= char <= "\u036f" and not "\ufe00" <= char <= "\ufe0f")
    ):
        return char
    if kind == "Sc":
        return char
    return " " if kind[0] == "S" else ""


class _Plain(dict[str, str]):
    """What stands for a character, or for several in turn, which are not remembered."""

    def __missing__(self, char: str) -> str:
        if len(char) > 1:
            return "".join([self[one] for one in char])
        made = self[char] = _plain(char)
        return made


_PLAIN = _Plain()


class _Marks(dict[int, str]):
    """For `str.translate`: "m" for a character that belongs to the one before it, " " for all others."""

    def __missing__(self, code: int) -> str:
        made = self[code] = "m" if unicodedata.combining(chr(code)) or 0x1160 <= code <= 0x11FF else " "
        return made


_MARKS = _Marks()
_MARKED = re.compile("[ m]m+")
_MOST_MARKS = 7
"""No script has more marks on a letter; further ones are decoration."""


def _composed(text: str) -> tuple[list[str], list[int]]:
    """The letters of `text` with their combining marks, composed, and the position of each."""
    compose = unicodedata.normalize
    pieces: list[str] = []
    starts: list[int] = []
    last = 0

    def unmarked(between: str) -> None:
        pieces.extend(
            between if unicodedata.is_normalized("NFC", between) else [compose("NFC", char) for char in between]
        )

    for marked in _MARKED.finditer(text.translate(_MARKS)):
        start, end = marked.span()
        unmarked(text[last:start])
        starts += range(last, start + 1)
        pieces.append(compose("NFC", text[start : min(end, start + 1 + _MOST_MARKS)]))
        last = end
    unmarked(text[last:])
    starts += range(last, len(text))
    return pieces, starts


_COLON = re.compile(r"(?<=[0-9])：(?=[0-9])")
"""A wide colon between digits, which is one of a time or a score."""
_GROWTH, _GROWTH_SHARE = 256, 8
"""Characters that a text of any length may grow by, and the part of its length that it may grow by beside them."""


def _bounded(out: list[str], length: int) -> list[str]:
    """`out` with spaces for characters that stand for several once the text has grown by its share."""
    left = _GROWTH + length // _GROWTH_SHARE
    for at in compress(count(), map((1).__lt__, map(len, out))):
        left -= len(out[at]) - 1
        if left < 0:
            out[at] = " "
    return out


def clean(text: str) -> tuple[str, list[int] | None, list[Dropped]]:
    """The characters that matter, the position in `text` of each and of the end, and what was dropped.

    Positions are None where each character is at its own index.
    """
    if text.isascii() and text.isprintable():
        return text, None, []
    dropped = [Dropped(text[start:end], start, end, "emoticon") for start, end in kaomoji.find(text)]
    if dropped:
        text = _without(text, dropped)
    plain = _PLAIN
    if unicodedata.is_normalized("NFC", text):
        pieces: list[str] | str = text
        starts: list[int] | range = range(len(text))
        out = [*map(plain.__getitem__, text)]
    else:
        pieces, starts = _composed(text)
        out = [*map(plain.__getitem__, pieces)]
    made = "".join(out)
    if "：" in made:
        made = _COLON.sub(":", made)
    if len(made) > len(text) + _GROWTH:
        made = "".join(_bounded(out, len(text)))
    silent = [*compress(count(), map(_SILENT.__contains__, out))]
    dropped += _dropped(text, pieces, starts, silent)
    if len(made) == len(text) and "" not in out:
        return made, None, dropped
    places = chain.from_iterable(map(repeat, starts, map(len, out)))
    return made, [*places, len(text)], dropped


def _without(text: str, parts: list[Dropped]) -> str:
    """`text` with spaces for each of `parts`."""
    out, last = [], 0
    for part in parts:
        out += [text[last : part.start], " " * len(part.text)]
        last = part.end
    return "".join(out) + text[last:]


_LISTED = frozenset(("So", "Sk", "Sm", "Co", "No", "Nl", "Lo"))
"""Categories of characters that are listed where nothing is spoken for them."""


_SILENT = frozenset((" ", ""))


def _dropped(text: str, pieces: list[str] | str, starts: list[int] | range, silent: list[int]) -> list[Dropped]:
    """The emoji and other symbols among `pieces[k]`, k in `silent`; white space and joiners are not listed."""
    found: list[Dropped] = []
    for k in silent:
        piece = pieces[k]
        if piece != " " and unicodedata.category(piece[0]) in _LISTED:
            at = starts[k]
            end = at + len(piece)
            if found and found[-1].end == at:
                found[-1] = Dropped(text[found[-1].start : end], found[-1].start, end, "emoji")
            else:
                found.append(Dropped(text[at:end], at, end, "emoji"))
    return found
