"""Tokens of the embedded voices: English phones from `ishowtts._phones`, German and Mandarin ones by rule, in spoken order."""

from __future__ import annotations

import re

from ishowtts.errors import TextError

from . import german, mandarin

LANGUAGES = ("en", "de", "zh")
TYPICAL = {"en": "ax0", "de": german.PREFIX + "pau", "zh": mandarin.SYMBOLS[0]}
"""A symbol of each language: a model whose vocabulary has it speaks the language."""

_FOREIGN = re.compile(r"(?![\u0000-\u024f\uff10-\uff5a])[^\W_]+")
_FOREIGN_TO_CHINESE = re.compile(rf"(?![\u0000-\u024f\uff10-\uff5a{mandarin.HAN}])[^\W_]+")
_STRANDED = re.compile(r"([.!?,;:。！？，；：、])(?:\s*[。！？，；：、])+")


def readable(text: str, language: str = "en") -> str:
    """`text` without the words of scripts that `language` lacks; TextError (field "text") when nothing in it can be read."""
    kept = (_FOREIGN_TO_CHINESE if language == "zh" else _FOREIGN).sub(" ", text)
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
    if language == "zh":
        return mandarin.phones(text)
    from ishowtts import _phones  # a C extension, loaded when a phone model is

    result: list[tuple[str, int]] = _phones.phones(text)
    return result


def symbols(text: str, language: str = "en") -> list[str]:
    """Symbols of a text ("hh", "ax0", …, "pau", ".", "?", "!"; German ones begin with "de_", Mandarin ones with "zh_").

    TextError when nothing is readable.
    """
    try:
        return [name for name, _ in spoken(text, language)]
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
