"""The symbols that aligned voices are trained on, and which of them sound alike.

A symbol that never occurred in training would speak with a random vector; it borrows the vector of its nearest relative
instead: another length or stress of the same vowel, the full stop for the other closing marks, another tone of the same
final, an English phone for a German or Mandarin one. In the same way a voice that knew fewer symbols starts to learn
the new ones from what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ishowtts.text import german, mandarin
from ishowtts.text.frontend import ANY_SPEAKER, SPEAKER

CONSONANTS = tuple("b ch d dh f g hh jh k l m n ng p r s sh t th v w y z zh".split())  # noqa: SIM905
VOWELS = tuple("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())  # noqa: SIM905
VOCABULARY = [
    "pau",
    ".",
    "?",
    "!",
    *CONSONANTS,
    *(v + s for v in VOWELS for s in "01"),
    *german.NEAREST,
    *mandarin.SYMBOLS,
]


PAUSES = frozenset(
    VOCABULARY.index(symbol) + 1 for symbol in VOCABULARY if symbol.removeprefix("de_") in ("pau", ".", "?", "!")
)
"""Tokens of silence."""
ANYONE = len(VOCABULARY) + 1
"""The token of whoever speaks in the surrounding speech; the tokens behind it name the speakers of a voice."""


def with_speakers(speakers: Sequence[str]) -> list[str]:
    """The vocabulary of a voice with these named speakers."""
    return [*VOCABULARY, ANY_SPEAKER, *(SPEAKER + name for name in speakers)]


def token_ids(phones: Sequence[str]) -> npt.NDArray[np.int64]:
    """Tokens of the graphs: line in the vocabulary + 1 (0 is the filler)."""
    return np.array([VOCABULARY.index(p) + 1 for p in phones], np.int64)


def _candidates(symbol: str) -> list[str]:
    """Symbols that sound like `symbol`, the nearest first."""
    if symbol.startswith(german.PREFIX):
        own = symbol[len(german.PREFIX) :]
        if own in ("?", "!"):
            return [german.PREFIX + ".", own, "."]
        base, stress = (own[:-1], own[-1]) if own[-1] in "01" else (own, "")
        lengths = (base, base[:-1] if base.endswith("h") else base + "h")
        same = [german.PREFIX + length + mark for mark in (stress, "10"[int(stress or "0")]) for length in lengths]
        english = german.NEAREST[symbol]
        return [*(c for c in same if c in german.NEAREST and stress), english, *_candidates(english)]
    if symbol.startswith(mandarin.PREFIX):
        near = mandarin.relatives(symbol)
        return [*near, *_candidates(near[-1])]
    if symbol in ("?", "!"):
        return ["."]
    if symbol[-1] in "01":
        base = symbol[:-1]
        swap = {"ah": "ax", "ax": "ah"}.get(base, base)
        return [base + "1", base + "0", swap + "0", swap + "1"]
    return {"zh": ["sh"], "th": ["dh"], "dh": ["th"]}.get(symbol, [])


def relatives(seen: set[int]) -> dict[int, int]:
    """For every token that is not in `seen`: the seen token whose vector it takes."""
    found: dict[int, int] = {}
    for i, symbol in enumerate(VOCABULARY):
        if i + 1 in seen:
            continue
        tokens = (VOCABULARY.index(c) + 1 for c in _candidates(symbol))
        match = next((token for token in tokens if token in seen), None)
        if match is not None:
            found[i + 1] = match
    return found


@torch.no_grad()
def borrow(embedding: Tensor, seen: set[int]) -> None:
    """Fills the rows of unseen tokens in place."""
    for token, other in relatives(seen).items():
        embedding[token] = embedding[other]


def carry_over(embedding: Tensor, symbols: Sequence[str], fresh: Tensor, wanted: Sequence[str]) -> Tensor:
    """An embedding [len(symbols)+1, C] of one vocabulary as one of `wanted`; what nothing is like keeps its `fresh` row.

    A new speaker begins as anyone; from a voice without speakers, with zeros. ValueError when `symbols` holds a phone
    that VOCABULARY lacks, or not one symbol for each row but the filler's.
    """
    strange = sorted({symbol for symbol in symbols if not symbol.startswith(SPEAKER)} - set(VOCABULARY))
    if strange or len(embedding) != len(symbols) + 1:
        raise ValueError(
            f"{f'its symbol {strange[0]!r} is unknown here' if strange else 'its vocabulary has another length'}"
        )
    out, row = fresh.clone(), {symbol: embedding[i].to(fresh.dtype) for i, symbol in enumerate(symbols, 1)}
    out[0] = embedding[0]
    for token, symbol in enumerate(wanted, 1):
        if symbol.startswith(SPEAKER):
            out[token] = row.get(symbol, row.get(ANY_SPEAKER, 0.0))
        elif symbol in row:
            out[token] = row[symbol]
    borrow(out, {VOCABULARY.index(symbol) + 1 for symbol in symbols if not symbol.startswith(SPEAKER)})
    return out
