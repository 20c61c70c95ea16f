"""The text front end of one model: what the engine's text thread calls for every chunk.

It reads the description and the vocabulary of a model and none of its weights, so speaking through a compiled
package never loads torch.
"""

from __future__ import annotations

from functools import lru_cache

from ishowtts.errors import ModelError
from ishowtts.model.source import resolve

from . import phones, pinyin
from .normalize import normalize
from .tokens import Vocabulary, close_reference

_REFERENCES_KEPT = 256
"""Tokens of a reference are the same for every request of its voice."""


class Frontend:
    """Normalisation and tokens for `model_ref`: see `ishowtts.model.source.resolve`."""

    def __init__(self, model_ref: str) -> None:
        source = resolve(model_ref)
        self.kind = source.config.text
        self.vocabulary = Vocabulary(source.vocab)
        if self.kind == "pinyin":
            if source.vocab[0] != " ":
                raise ModelError(
                    f"{source.vocab_path} does not begin with the space, so it is not a vocabulary of F5-TTS."
                )
            pinyin.warm()
            normalize("Warm 1 up.")
        else:
            phones.symbols("warm up")
        self._reference_ids = lru_cache(_REFERENCES_KEPT)(lambda text: self.vocabulary.ids(phones.symbols(text)))

    def normalize(self, text: str, language: str | None = None) -> str:
        """Speakable form of `text`; TextError, field "text", when nothing is left. `language`: BCP 47, None to guess."""
        if self.kind == "pinyin":
            return normalize(text, language)
        return normalize(phones.readable(text), language, numbers=False)

    def tokenize(self, ref_text: str, text: str, language: str | None = None) -> tuple[list[int], int]:
        """(ids of `ref_text` followed by `text`, how many of them belong to `ref_text`); ids count from 0, 0 is unknown too.

        Both texts are normalised already. `ref_text` may be ""; otherwise it is closed as F5 closes it. `language` has no
        influence: the segmentation of a mixed line needs none.
        """
        if self.kind == "phones-en":
            reference = self._reference_ids(ref_text) if ref_text.strip() else []
            return reference + self.vocabulary.ids(phones.symbols(text)), len(reference)
        reference_text = close_reference(ref_text)
        symbols, origin = pinyin.symbols(reference_text + text)
        n_ref = next((i for i, where in enumerate(origin) if where >= len(reference_text)), len(origin))
        return self.vocabulary.ids(symbols), n_ref

