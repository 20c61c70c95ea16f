"""Who understands the voices: PocketSphinx, with a dictionary and grammar of its own for languages that it does not know.

For English it listens as `ishowtts.quality.intelligibility` does. For German there is no acoustic model in the package, so
the German words are spelled in the nearest American sounds and only the words of the sentences to be heard are known, each
as likely as any other. That is a poor listener, and good enough to compare: it hears real recordings the same way.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ishowtts.quality import intelligibility
from ishowtts.quality.clips import at_rate
from ishowtts.quality.intelligibility import edits
from ishowtts.text import german, phones

from .align import sphinx_phone

Wave = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float64]
"""[sentences, 4]: word errors, words, character errors, characters."""

RESAMPLES = 2000
"""Bootstrap samples of the sentences behind every interval."""


def plain(text: str, language: str) -> str:
    """Words alone, in lower case."""
    if language == "en":
        return intelligibility.plain(text)
    return " ".join(re.findall(r"[^\W\d_]+", text.lower()))


class Listener:
    """Hears `texts`' language; for German only their words are known."""

    def __init__(self, language: str, texts: Sequence[str]) -> None:
        self.language = language
        self._decoder = None if language == "en" else _decoder(sorted({w for t in texts for w in plain(t, language).split()}))

    def transcribe(self, wave: Wave, rate: int) -> str:
        """What is heard, in lower case. Mono samples in -1..1."""
        if self._decoder is None:
            return intelligibility.transcribe(wave, rate)
        self._decoder.start_utt()
        pcm = (np.clip(at_rate(wave, rate, 16000), -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return str(heard.hypstr) if heard else ""

    def errors(self, texts: Sequence[str], waves: Sequence[Wave], rate: int) -> Counts:
        """Errors in what is heard of each wave."""
        rows = []
        for text, wave in zip(texts, waves, strict=True):
            said, heard = plain(text, self.language), plain(self.transcribe(wave, rate), self.language)
            rows.append((edits(said.split(), heard.split()), len(said.split()), edits(said, heard), len(said)))
        return np.array(rows, np.float64)


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


def rates(counts: Counts) -> dict[str, tuple[float, float, float]]:
    """Word and character error rate ("wer", "cer"), each as (rate, low, high); 95 % by bootstrap over sentences."""
    picks = counts[np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))].sum(axis=1)
    out = {}
    for name, at in (("wer", 0), ("cer", 2)):
        low, high = np.percentile(picks[:, at] / picks[:, at + 1], [2.5, 97.5])
        total = counts.sum(axis=0)
        out[name] = (float(total[at] / total[at + 1]), float(low), float(high))
    return out


def interval(values: Values, beside: Values | None = None) -> tuple[float, float, float]:
    """Mean of the values, or its ratio to the mean of `beside` (paired), with its 95 % interval."""
    picks = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means, mean = values[picks].mean(axis=1), float(values.mean())
    if beside is not None:
        means, mean = means / beside[picks].mean(axis=1), mean / float(beside.mean())
    low, high = np.percentile(means, [2.5, 97.5])
    return mean, float(low), float(high)
