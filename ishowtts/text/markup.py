"""Markup in a text, where a request allows it: `[pause 500ms]`, `[speed 1.2]`, `[voice:anna]`."""

from __future__ import annotations

from typing import NamedTuple

from .scan import Line

LONGEST_PAUSE = 10.0
"""Longest pause in seconds."""
SPEEDS = (0.3, 3.0)
"""Range of the speed."""
_LENGTH = 80


class Order(NamedTuple):
    """Markup in the runs from `start` to before `end`: "pause" in seconds, "speed" as a factor, "voice" as an id."""

    start: int
    end: int
    name: str
    value: str


def order(line: Line, i: int) -> Order | None:
    """The markup in brackets that begins at run `i`; None: it is malformed or out of range, and is read as text."""
    at = line.starts[i]
    close = line.text.find("]", at, at + _LENGTH)
    if close < 0:
        return None
    name, _, value = line.text[at + 1 : close].replace(":", " ").replace("=", " ").strip().partition(" ")
    name, value = name.lower(), value.strip()
    checked = {"pause": _pause, "speed": _speed, "voice": _voice}.get(name)
    said = checked(value) if checked else None
    if said is None:
        return None
    end = i
    while line.starts[end] <= close:
        end += 1
    return Order(i, end, name, said)


def _number(text: str) -> float | None:
    whole, _, fraction = text.partition(".")
    if not (whole + fraction).isdecimal() or not text.isascii() or len(text) > 8:
        return None
    return float(text)


def _pause(value: str) -> str | None:
    scale = 1000.0 if value.endswith("ms") else 1.0
    seconds = _number(value.removesuffix("ms").removesuffix("s").strip())
    return str(seconds / scale) if seconds is not None and seconds / scale <= LONGEST_PAUSE else None


def _speed(value: str) -> str | None:
    factor = _number(value.removesuffix("x"))
    return str(factor) if factor is not None and SPEEDS[0] <= factor <= SPEEDS[1] else None


def _voice(value: str) -> str | None:
    return value if value and all(char.isalnum() or char in "-_." for char in value) else None
