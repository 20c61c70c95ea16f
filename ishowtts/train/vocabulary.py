"""The symbols that aligned voices are trained on, and which of them sound alike.

A symbol that never occurred in training would speak with a random vector; it borrows the vector of its nearest relative
instead: another length or stress of the same vowel, the full stop for the other closing marks, another tone of the same
final, an English phone for a German or Mandarin one. In the same way a voice that knew fewer symbols starts to learn the
new ones from what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ishowtts.text import german, mandarin

CONSONANTS = tuple("b ch d dh f g hh jh k l m n ng p r s sh t th v w y z zh".split())  # noqa: SIM905
VOWELS = tuple("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())  # noqa: SIM905
VOCABULARY = ["pau", ".", "?", "!", *CONSONANTS, *(v + s for v in VOWELS for s in "01"), *german.NEAREST, *mandarin.SYMBOLS]


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


def carry_over(embedding: Tensor, symbols: Sequence[str], fresh: Tensor) -> Tensor:
    """An embedding whose vocabulary was `symbols` as one of VOCABULARY; what nothing is like keeps its `fresh` row.

    ValueError when `symbols` holds one that VOCABULARY lacks, or not one for each row but the filler's.
    """
    strange = sorted(set(symbols) - set(VOCABULARY))
    if strange or len(embedding) != len(symbols) + 1:
        raise ValueError(f"{f'its symbol {strange[0]!r} is unknown here' if strange else 'its vocabulary has another length'}")
    out = fresh.clone()
    out[0] = embedding[0]
    tokens = token_ids(symbols)
    out[torch.from_numpy(tokens)] = embedding[1:].to(out.dtype)
    borrow(out, {int(token) for token in tokens})
    return out
