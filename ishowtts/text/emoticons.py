"""Emoticons of punctuation, found in time that is bounded by the longest one."""

from __future__ import annotations

from .scan import Line, class_of
from .tables import load

_EYES = frozenset(":;=")
_NOSES = frozenset("-o^'~")
_MOUTHS = frozenset(")(][DPpOo3/\\|*cCvXx><{}$@")
_OPEN_MOUTHS = frozenset(")(|*DPp3")
_WHOLE = load("common").list("emoticon")
LONGEST = max(map(len, _WHOLE))
FIRST = frozenset(word[0] for word in _WHOLE if not word[0].isalnum()) | _EYES
_BEGINNINGS = {word[:2] for word in _WHOLE} | {eyes + second for eyes in _EYES for second in _NOSES | _MOUTHS}
NEXT = {first: frozenset(class_of(b[1]) for b in _BEGINNINGS if b[0] == first) for first in {b[0] for b in _BEGINNINGS}}
"""The classes of the second characters of emoticons by the first ones."""


def match(line: Line, i: int) -> int:
    """The run after an emoticon that begins at run `i`, 0: there is none. Spaces or the ends of the line delimit it."""
    at = line.starts[i]
    if line.text[at : at + 2] not in _BEGINNINGS:
        return 0
    if line.before(i) not in " \n\0.,!?ahkx)" and not (i > 0 and line.text.startswith("<3<3", at - 2)):
        return 0
    if line.before(i) == "a" and line.shape[i] not in ":;=<^>":
        return 0
    text = line.text
    end = text.find(" ", at, at + LONGEST + 3)
    face = text[at : end if end >= 0 else at + LONGEST + 3].split("\n")[0]
    if face.startswith("<3<3"):
        return i + 2
    size = _size(face)
    if not size:
        return 0
    after = text[at + size : at + size + 1]
    if after and after not in " \n.,!?，。！？" and not (size > 2 and not after.isalnum()):
        return 0
    end = i
    while line.starts[end] < at + size:
        end += 1
    return end if line.starts[end] == at + size else 0


def _size(face: str) -> int:
    """The number of characters at the beginning of `face`, which has no space, that are an emoticon."""
    bare = face.rstrip(".,!?，。！？")
    for candidate in (face, bare):
        if candidate in _WHOLE:
            return len(candidate)
    if len(face) < 2 or face[0] not in _EYES:
        return 0
    size = 2 if len(face) > 2 and face[1] in _NOSES and face[2] in _MOUTHS else 1
    mouth = face[size]
    if mouth not in _MOUTHS:
        return 0
    size += 1
    while size < len(face) and face[size] == mouth and mouth in _OPEN_MOUTHS:
        size += 1
    return size


def begins(written: str) -> bool:
    """Whether an emoticon may begin with a word, as "xD", or with a letter that a sign follows, as "o_o"."""
    return (written[:2] in _BEGINNINGS) if len(written) > 1 else written in NEXT
