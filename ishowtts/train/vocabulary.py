"""The symbols that aligned voices are trained on, and which of them sound alike.

The embedding of a symbol that did not occur in training would be random, so it is copied from the most similar symbol:
another length or stress of the same vowel, the full stop for the other closing marks, another tone of the same final,
an English phone for a German or Mandarin one. A voice with fewer symbols that is fine-tuned gets the initial embeddings
of new symbols in the same way. Finals of another tone differ by the vector of the tone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ishowtts.text import german, mandarin
from ishowtts.text.tokens import ANY_SPEAKER, SPEAKER

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
TONES = len(mandarin.TONES)
ANYONE = len(VOCABULARY) + 1
"""The token for the speaker of the surrounding speech; the tokens behind it are those of a voice's named speakers."""


def with_speakers(speakers: Sequence[str]) -> list[str]:
    """The symbols of a voice with these named speakers."""
    return [*VOCABULARY, ANY_SPEAKER, *(SPEAKER + name for name in speakers)]


def token_ids(phones: Sequence[str]) -> npt.NDArray[np.int64]:
    """Tokens [S] of phones: the index in VOCABULARY + 1 (0 is the filler). ValueError for an unknown phone."""
    return np.array([VOCABULARY.index(p) + 1 for p in phones], np.int64)


def _candidates(symbol: str) -> list[str]:
    """Symbols that sound like `symbol`, the most similar first."""
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
    """For each token that is not in `seen` the most similar one that is; tokens without one are left out."""
    found: dict[int, int] = {}
    for i, symbol in enumerate(VOCABULARY):
        if i + 1 in seen:
            continue
        tokens = (VOCABULARY.index(c) + 1 for c in _candidates(symbol))
        match = next((token for token in tokens if token in seen), None)
        if match is not None:
            found[i + 1] = match
    return found


def tone_vectors(width: int) -> Tensor:
    """A fixed vector for each tone, [TONES+1, width] with zeros for no tone: orthogonal, each of norm sqrt(width) / 2.

    Copied embeddings differ by these: when all tones of a final begin with the same vector, the network learns to take
    the tone from the phones around instead of from the symbol.
    """
    random = torch.randn(max(width, TONES), TONES, generator=torch.Generator().manual_seed(0))
    out = torch.zeros(TONES + 1, width)
    out[1:] = torch.linalg.qr(random)[0].T[:, :width] * (width**0.5 / 2)
    return out


def tone_of(token: int) -> int:
    """Tone of a token, 1 to 5; 0 for tokens that are not Mandarin finals."""
    symbol = VOCABULARY[token - 1] if 0 < token <= len(VOCABULARY) else ""
    return int(symbol[-1]) if symbol.startswith(mandarin.PREFIX) and symbol[-1].isdigit() else 0


@torch.no_grad()
def borrow(embedding: Tensor, seen: set[int]) -> None:
    """Overwrites the rows of unseen tokens in an embedding [tokens, C] with those of their `relatives`.

    The difference of the `tone_vectors` is added.
    """
    tones = tone_vectors(embedding.shape[1]).to(embedding)
    for token, other in relatives(seen).items():
        embedding[token] = embedding[other] + tones[tone_of(token)] - tones[tone_of(other)]


def carry_over(embedding: Tensor, symbols: Sequence[str], fresh: Tensor, wanted: Sequence[str]) -> Tensor:
    """An embedding [len(symbols)+1, C] of the vocabulary `symbols`, rearranged for the vocabulary `wanted`.

    New symbols take the row of a similar one, else the row of `fresh` [len(wanted)+1, C]. A new speaker takes the row
    of the unnamed speaker, zeros when there is none. ValueError when `symbols` holds a phone that VOCABULARY lacks, or
    when its length does not fit.
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
