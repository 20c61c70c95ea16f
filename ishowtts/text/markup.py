"""Markup in a text: `[pause 500ms]`, `[speed 1.2]`, `[voice:anna]`, `[word](/ipa/)`, if a request allows it."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from ishowtts.errors import TextError

from . import pronounce
from .lexicon import Applied, Change

LONGEST_PAUSE = 10.0
"""Seconds."""
_ORDER = re.compile(r"\[ ?(pause|speed|voice)(?: ?[:=] ?| )([^\[\]\n]{1,64})\]", re.IGNORECASE)
_SAID = re.compile(r"\[([^\[\]\n]{1,100})\]\((/[^/()\n]{1,200}/|\{[^{}()\n]{1,200}\})\)")
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?|\.\d{1,6}")


class Segment(NamedTuple):
    """`text` begins at character `start` of the whole text, after `pause` seconds of silence; None: unchanged."""

    text: str
    start: int
    pause: float
    speed: float | None
    voice: str | None


def cut(text: str) -> list[Segment]:
    """The parts of `text` between its commands; the last one may be empty, after a pause at the end of the text.

    What only looks like a command is text. TextError, field "markup": a value is out of its range.
    """
    segments: list[Segment] = []
    at, pause, speed, voice = 0, 0.0, None, None

    def close(end: int) -> None:
        nonlocal pause
        if text[at:end].strip():
            segments.append(Segment(text[at:end], at, pause, speed, voice))
            pause = 0.0

    for found in _ORDER.finditer(text):
        name, value = found[1].lower(), found[2].strip()
        if name == "pause":
            seconds = _seconds(value)
            if seconds is None:
                continue
            _check(seconds <= LONGEST_PAUSE, found, f"a pause lasts at most {LONGEST_PAUSE:g} s")
            close(found.start())
            pause += seconds
        elif name == "speed":
            factor = _factor(value)
            if factor is None:
                continue
            least, most = _speeds()
            _check(least <= factor <= most, found, f"speed must be {least:g} to {most:g}")
            close(found.start())
            speed = factor
        else:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
                continue
            close(found.start())
            voice = value
        at = found.end()
    close(len(text))
    if pause:
        segments.append(Segment("", len(text), pause, speed, voice))
    return segments


def carried(text: str) -> str:
    """The commands that are in force after `text`, for a text that is spoken in parts."""
    last: dict[str, str] = {}
    for found in _ORDER.finditer(text):
        if found[1].lower() != "pause":
            last[found[1].lower()] = found[2].strip()
    return "".join(f"[{name} {value}]" for name, value in last.items())


def pronounced(text: str, language: str, letters: bool) -> Applied:
    """`text` with the sounds of `[word](/ipa/)` and `[word]({phones})`; TextError, field "markup": cannot be read."""
    out: list[str] = []
    changes: list[Change] = []
    last = size = 0
    for found in _SAID.finditer(text):
        try:
            put = pronounce.written(found[2], language, letters)
        except ValueError as error:
            raise TextError(f"{found[0]} cannot be read: {error}.", field="markup") from None
        out += [text[last : found.start()], put]
        begin = size + found.start() - last
        size = begin + len(put)
        changes.append(Change(found.start(), found.end(), begin, size))
        last = found.end()
    return Applied("".join(out) + text[last:], changes)


def _check(fits: bool, found: re.Match[str], why: str) -> None:
    if not fits:
        raise TextError(f"{found[0]} cannot be obeyed: {why}.", field="markup")


@cache
def _speeds() -> tuple[float, float]:
    """The range of a request's speed."""
    from ishowtts import fields

    speed = next(field for field in fields.REQUEST if field.name == "speed")
    return float(speed.least or 0), float(speed.most or 0)


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and _NUMBER.fullmatch(text) else None


def _seconds(value: str) -> float | None:
    low = value.lower()
    scale = 1000.0 if low.endswith("ms") else 1.0
    seconds = _number(low.removesuffix("ms").removesuffix("s").strip())
    return None if seconds is None else seconds / scale


def _factor(value: str) -> float | None:
    if value.endswith("%"):
        percent = _number(value[:-1].strip())
        return None if percent is None else percent / 100
    return _number(value.lower().removesuffix("x").strip())
