r"""Faces of signs and letters of several scripts, such as `¯\_(ツ)_/¯` and `ʕ•ᴥ•ʔ`, whose letters are no words.

A face is found by its shape: brackets with few letters and many signs between, or two equal eyes around a mouth. Every
search is bounded, so the time is proportional to the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_CLOSING = {"(": ")", "（": "）", "ʕ": "ʔ", "༼": "༽"}
_LONGEST, _LONGEST_ARM = 24, 12
"""Largest number of characters between the brackets, and of an arm with what it throws."""
_EYED = re.compile(r"([ಠಥಡ◉⊙•◕ʘ눈☉●◔ᵔ⌐])[^\w\s]{0,3}[_‿﹏ω△▽∀益ヮдДㅅᴗᴥ︿︶]{1,3}[^\w\s]{0,3}\1")
_BEGIN = re.compile(f"[{''.join(_CLOSING)}]|{_EYED.pattern}")
_ARMS = frozenset("\\/¯_ヽԅヾノﾉづっつ⊃⊂╯╰╮╭凸ლᕙᕗᕦᕤᕕ┌┐└┘ง٩۶و∠彡ミシゞщшʅΣες*～~･・ﾟ゜\u309a✧☆★｡.。:ᐠᐟ✿♡♪︵‧₊˚︎")
_ARM_LETTERS = frozenset("oObdqpmwvV")
"""Letters that are an arm where no other letter is beside them: o(╥﹏╥)o."""
_MARKS = ".。:～~"
"""Signs that end a sentence or draw a syllable out, so that they are no arm where they are the last."""
_SIGNS = frozenset("ﾟﾞ゜゛º")
"""Letters by their category that faces use as signs."""
_ORDINARY = frozenset("“”‘’…—–·、。，！？：；「」『』《》【】～￥％℃°²³×÷±•→←★☆「」・")
"""Signs that are no sign of a face."""


def _strange(char: str) -> bool:
    """Whether a character is unusual in a sentence of a language that is written with Latin or Chinese letters."""
    if char < "\x80" or char.isspace() or char in _ORDINARY:
        return False
    return not (char.isalpha() and ("\u00c0" <= char <= "\u024f" or "\u3400" <= char <= "\u9fff"))


def _is_face(inside: str, armed: bool) -> bool:
    """Whether what stands between brackets is a face; `armed`: there are arms on both sides."""
    if not any(map(_strange, inside)):
        return False
    if _EYED.search(inside):
        return True
    if any(char >= "\U0001f000" or char == "\ufe0f" or unicodedata.category(char) == "Sc" for char in inside):
        return False
    bare = inside.strip()
    if len(bare) == 3 and bare[0] == bare[2] != bare[1]:
        return True
    letters = [char for char in inside if char.isalnum() and char not in _SIGNS]
    signs = len(inside) - len(letters) - inside.count(" ")
    if set(letters) <= {"ー"}:
        letters, signs = [], signs + len(letters)
    if sum(map(str.isdigit, letters)) > 1:
        return False
    if any(a.isalnum() and b.isalnum() and a != b and _SIGNS.isdisjoint((a, b)) for a, b in pairwise(inside)):
        return False
    if armed and len(bare) < 4 and min(bare) >= "\x80":
        return True
    return signs > 1 and len(letters) <= signs


def _arm(text: str, at: int, end: int, step: int) -> int:
    """The end of the arm that begins at `at` and leads away from a face, `at` where there is none."""
    last = at
    for _ in range(_LONGEST_ARM):
        char = text[last if step > 0 else last - 1] if last != end else ""
        if not char or (char not in _ARMS and char not in _ARM_LETTERS):
            break
        if char in _ARM_LETTERS:
            beyond = last + step if step > 0 else last - 2
            beside = text[beyond] if 0 <= beyond < len(text) else " "
            if last != at or (beside.isascii() and beside.isalnum()):
                break
        last += step
    while step > 0 and last > at and text[last - 1] in _MARKS:
        last -= 1
    return last


def find(text: str) -> list[tuple[int, int]]:
    """The places (start, end) of the faces in `text`, in order."""
    found: list[tuple[int, int]] = []
    last = 0
    for begin in _BEGIN.finditer(text):
        start, end = begin.span()
        if start < last:
            continue
        closing = _CLOSING.get(text[start])
        if closing:
            close = text.find(closing, end, end + _LONGEST)
            if close < 0:
                continue
            end = close + 1
            while end < len(text) and text[end] == closing and end - close < _LONGEST_ARM:
                end += 1
        left, right = _arm(text, start, last, -1), _arm(text, end, len(text), 1)
        if closing and not _is_face(text[start + 1 : close], left < start and right > end):
            continue
        found.append((left, right))
        last = right
    return found
