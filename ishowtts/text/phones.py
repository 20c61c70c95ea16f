"""Tokens of the embedded voice: English phones from `ishowtts._phones`, in the order they are spoken."""

from __future__ import annotations

import re

from ishowtts.errors import TextError

_FOREIGN = re.compile(r"(?![\u0000-\u024f\uff10-\uff5a])[^\W_]+")
_STRANDED = re.compile(r"([.!?,;:。！？，；：、])(?:\s*[。！？，；：、])+")


def readable(text: str) -> str:
    """`text` without the words of other scripts; TextError (field "text") when English has no word in it."""
    kept = _FOREIGN.sub(" ", text)
    if not re.search(r"[^\W_]", kept):
        what = "is in a script that this English voice cannot read" if kept != text else "holds nothing that can be spoken"
        raise TextError(f"The text {what}.", field="text")
    return text if kept == text else _STRANDED.sub(r"\1", kept)


def symbols(text: str) -> list[str]:
    """Phones of an English text ("hh", "ax0", …, "pau", ".", "?", "!"); TextError when it holds nothing readable."""
    from ishowtts import _phones  # a C extension, loaded when a phone model is

    try:
        return [name for name, _ in _phones.phones(text)]
    except ValueError as error:
        raise TextError(f"text: {error}", field="text") from error
