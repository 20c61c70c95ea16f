"""Phones of the languages of the embedded voices: English by flite, German and Mandarin by rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import groupby

from ishowtts.errors import TextError

from . import drawn, english, german, mandarin, pronounce

LANGUAGES = ("en", "de", "zh")
TYPICAL = {"en": "ax0", "de": german.PREFIX + "pau", "zh": mandarin.SYMBOLS[0]}
"""A symbol of each language; a model speaks the language if its vocabulary has it."""

SCRIPTS = {"en": "a", "de": "a", "zh": "ah"}
"""Classes of letters (`scan`) that each language reads."""

_WIDE_MARKS = str.maketrans({wide: f"{mark} " for wide, mark in zip("，。！？；：、", ",.!?;:,", strict=True)})
"""Marks as Chinese keyboards write them, also in other languages, without a space behind them."""


def spoken(text: str, language: str) -> list[tuple[str, int]]:
    """The phones of a text in one of LANGUAGES, each with the number of its word, -1 for pauses and punctuation.

    The first one is a pause, the last one the closing mark. Sounds that the user chose (see `pronounce`) are said as
    they are. ValueError when the text holds nothing readable.
    """
    given = [pronounce.symbols(run.group()) for run in pronounce.CODES.finditer(text)]
    if not given:
        return _spoken(text, language)
    names = iter(given)
    standing = pronounce.CODES.sub(lambda _: f" {_STAND_INS[next(names)[0][-1:] in '01']} ", text)
    return list(_put_in(_spoken(standing, language), given, _said_for_them(language)))


_STAND_INS = ("blifnurk", "ovnurk")
"""Words that nobody writes, with a consonant and with a vowel first: English "the" differs before them."""


@cache
def _said_for_them(language: str) -> frozenset[tuple[str, ...]]:
    """The phones of the stand-ins."""
    return frozenset(tuple(name for name, word in _spoken(each, language) if word >= 0) for each in _STAND_INS)


def _put_in(
    said: list[tuple[str, int]], given: list[list[str]], stand_ins: frozenset[tuple[str, ...]]
) -> Iterator[tuple[str, int]]:
    """`said` with the words `given`, in order, in place of the stand-ins."""
    rest = iter(given)
    for word, group in groupby(said, lambda pair: pair[1]):
        names = [name for name, _ in group]
        if word >= 0 and tuple(names) in stand_ins:
            names = next(rest, names)
        yield from ((name, word) for name in names)


def _spoken(text: str, language: str) -> list[tuple[str, int]]:
    text = drawn.plain(text.translate(_WIDE_MARKS), language)
    if language == "de":
        return german.phones(text)
    if language == "zh":
        return mandarin.phones(text)
    return english.phones(text)


def lengths(text: str, language: str, said: list[tuple[str, int]]) -> list[int]:
    """Percent of its predicted duration that each phone of `said`, the result of `spoken`, takes; []: all take 100."""
    words = [word for _, _, word in drawn.find(text, language) if word.letters]
    names = [name for name, _ in said]
    made, at = [100] * len(names), 0
    for word in words:
        alone = [name for name, index in _spoken(word.base, language) if index >= 0]
        last = len(names) - len(alone)
        place = next((i for i in range(at, last + 1) if names[i : i + len(alone)] == alone), -1)
        if place >= 0:  # else the word sounds otherwise among its neighbours, and has the usual length
            at = place + len(alone)
            made[place:at] = drawn.percents(word, [name.removeprefix(german.PREFIX) for name in alone])
    waves = drawn.waves(text) if language == "zh" else []
    for before, more in waves:
        if not mandarin.has_chinese(before):
            continue  # a chunk that begins with it
        shorter = _spoken(before, language)
        last = len(shorter) - 2  # before the closing mark
        if 0 < last < len(names) and names[last][:-1] == shorter[last][0][:-1]:
            made[last] += drawn.PERCENT * more
    return made if words or waves else []


def symbols(text: str, language: str = "en") -> list[str]:
    """The symbols of a text: "hh", "ax0", …, "pau", ".", "?", "!"; German ones begin with "de_", Mandarin ones "zh_".

    TextError: nothing in the text can be read.
    """
    return [name for name, _ in read(text, language)]


def read(text: str, language: str) -> list[tuple[str, int]]:
    """`spoken` with a TextError when nothing is readable."""
    try:
        return spoken(text, language)
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
