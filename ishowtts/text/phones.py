"""Tokens of the embedded voices: English phones from `ishowtts._phones`, German ones by rule, in the order they are spoken."""

from __future__ import annotations

import re

from ishowtts.errors import TextError

from . import german

LANGUAGES = ("en", "de")
PAUSES = {"en": "pau", "de": german.PREFIX + "pau"}

_FOREIGN = re.compile(r"(?![\u0000-\u024f\uff10-\uff5a])[^\W_]+")
_STRANDED = re.compile(r"([.!?,;:。！？，；：、])(?:\s*[。！？，；：、])+")


def readable(text: str) -> str:
    """`text` without the words of other scripts; TextError (field "text") when nothing in it can be read."""
    kept = _FOREIGN.sub(" ", text)
    if not re.search(r"[^\W_]", kept):
        what = "is in a script that this voice cannot read" if kept != text else "holds nothing that can be spoken"
        raise TextError(f"The text {what}.", field="text")
    return text if kept == text else _STRANDED.sub(r"\1", kept)


def spoken(text: str, language: str) -> list[tuple[str, int]]:
    """Phones of a text in one of LANGUAGES, with the word each belongs to, -1 for pauses and punctuation.

    The first one is a pause, the last one the closing mark. ValueError when the text holds nothing readable.
    """
    if language == "de":
        return german.phones(text)
    from ishowtts import _phones  # a C extension, loaded when a phone model is

    result: list[tuple[str, int]] = _phones.phones(text)
    return result


def symbols(text: str, language: str = "en") -> list[str]:
    """Symbols of a text ("hh", "ax0", …, "pau", ".", "?", "!"; German ones begin with "de_"); TextError for nothing readable."""
    try:
        return [name for name, _ in spoken(text, language)]
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
