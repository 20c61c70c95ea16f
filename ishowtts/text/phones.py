"""Phones of the languages of the embedded voices: English by flite, German and Mandarin by rules."""

from __future__ import annotations

from ishowtts.errors import TextError

from . import english, german, mandarin

LANGUAGES = ("en", "de", "zh")
TYPICAL = {"en": "ax0", "de": german.PREFIX + "pau", "zh": mandarin.SYMBOLS[0]}
"""A symbol of each language; a model speaks the language if its vocabulary has it."""

SCRIPTS = {"en": "a", "de": "a", "zh": "ah"}
"""Classes of letters (`scan`) that each language reads."""


def spoken(text: str, language: str) -> list[tuple[str, int]]:
    """The phones of a text in one of LANGUAGES, each with the number of its word, -1 for pauses and punctuation.

    The first one is a pause, the last one the closing mark. ValueError: nothing in the text can be read.
    """
    if language == "de":
        return german.phones(text)
    if language == "zh":
        return mandarin.phones(text)
    return english.phones(text)


def symbols(text: str, language: str = "en") -> list[str]:
    """The symbols of a text: "hh", "ax0", …, "pau", ".", "?", "!"; German ones begin with "de_", Mandarin ones "zh_".

    TextError: nothing in the text can be read.
    """
    try:
        return [name for name, _ in spoken(text, language)]
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
