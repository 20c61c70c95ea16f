"""Tokens of the embedded voices: English phones from `ishowtts._phones`, German and Mandarin ones by rule, in spoken order."""

from __future__ import annotations

from ishowtts.errors import TextError

from . import english, german, mandarin

LANGUAGES = ("en", "de", "zh")
TYPICAL = {"en": "ax0", "de": german.PREFIX + "pau", "zh": mandarin.SYMBOLS[0]}
"""A symbol of each language: a model whose vocabulary has it speaks the language."""

SCRIPTS = {"en": "a", "de": "a", "zh": "ah"}
"""Classes of letters (see `scan`) that each language reads."""


def spoken(text: str, language: str) -> list[tuple[str, int]]:
    """Phones of a text in one of LANGUAGES, with the word each belongs to, -1 for pauses and punctuation.

    The first one is a pause, the last one the closing mark. ValueError when the text holds nothing readable.
    """
    if language == "de":
        return german.phones(text)
    if language == "zh":
        return mandarin.phones(text)
    return english.phones(text)


def symbols(text: str, language: str = "en") -> list[str]:
    """Symbols of a text ("hh", "ax0", …, "pau", ".", "?", "!"; German ones begin with "de_", Mandarin ones with "zh_").

    TextError when nothing is readable.
    """
    try:
        return [name for name, _ in spoken(text, language)]
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
