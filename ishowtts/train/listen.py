"""Speech recognition of voices in training: the listeners of `ishowtts.quality`, and PocketSphinx for German too.

PocketSphinx's package has no German acoustic model, so German words are given in the nearest American phones, and the
language model holds only the words of the sentences to be recognised, all equally likely. Its error rates are high, but
comparable: real recordings are recognised in the same way.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ishowtts.quality import bootstrap, listeners
from ishowtts.quality.intelligibility import Counts, count, units
from ishowtts.text import german, phones

from .align import sphinx_phone

Wave = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]


class Listener:
    """A recogniser of a language; with PocketSphinx and German, of the words in `texts` only.

    `name` as in `listeners.listener`, None for the best that is installed. Unheard when it does not know the language.
    """

    def __init__(self, language: str, texts: Sequence[str], name: str | None = None) -> None:
        self.language = language
        self._german = self._listen = None
        name = name or listeners.default()
        if name == listeners.SPHINX and language == "de":
            self._german = _decoder(sorted({word for text in texts for word in units(text, "de").words}))
        else:
            self._listen = listeners.listener(name)
            self._listen.check(language)

    def transcribe(self, wave: Wave, rate: int) -> str:
        """The text recognised in mono samples [N] in [-1, 1]; `rate` in Hz."""
        if self._listen is not None:
            return self._listen(wave, rate, self.language)
        return listeners.hear(self._german, wave, rate)

    def errors(self, texts: Sequence[str], waves: Sequence[Wave], rate: int) -> Counts:
        """Counts of errors in the recognised text of each wave, one row for each text."""
        heard = [self.transcribe(wave, rate) for wave in waves]
        counts = [count(text, other, self.language) for text, other in zip(texts, heard, strict=True)]
        return np.array(counts, np.float64)


def _decoder(words: Sequence[str]) -> Any:
    from pocketsphinx import Decoder

    share = -math.log10(len(words) + 1)
    with tempfile.TemporaryDirectory() as folder:
        dictionary, grammar = Path(folder, "words.dict"), Path(folder, "words.arpa")
        lines = []
        for word in words:
            said = [sphinx_phone(name) for name, k in phones.spoken(word, "de") if k >= 0 and name != german.GLOTTAL]
            lines.append(f"{word} {' '.join(said)}")
        dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        grams = [f"{share:.4f} {word}" for word in ("</s>", *words)]
        head = f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n-99 <s>\n"
        grammar.write_text(head + "\n".join(grams) + "\n\n\\end\\\n", encoding="utf-8")
        return Decoder(samprate=16000, loglevel="FATAL", dict=str(dictionary), lm=str(grammar), lw=2.0)


def interval(values: Values, beside: Values | None = None) -> tuple[float, float, float]:
    """(mean, low, high): the mean of values [N] with its 95 % bootstrap interval.

    `beside` [N]: the ratio to the mean of these, paired, instead.
    """
    picks = bootstrap.resamples(len(values))
    means, mean = values[picks].mean(axis=1), float(values.mean())
    if beside is not None:
        means, mean = means / beside[picks].mean(axis=1), mean / float(beside.mean())
    return mean, *bootstrap.bounds(means)
