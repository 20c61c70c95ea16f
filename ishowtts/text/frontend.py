"""The text front end of one model: what the engine's text thread calls for every chunk.

It reads the description and the vocabulary of a model and none of its weights, so speaking through a compiled
package never loads torch.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import lru_cache

from ishowtts.errors import ModelError, TextError
from ishowtts.model.source import resolve

from . import detect, english, lexicon, mandarin, phones, pinyin
from .reading import DEFAULT, Options, Reading, read
from .tokens import Vocabulary, close_reference

SPEAKER = "@"
"""Begins the symbol of a speaker, as in "@kathleen"."""
ANY_SPEAKER = SPEAKER
"""The symbol of whoever speaks in the reference clip."""
_FIRST_SENTENCE = 1.0
"""Seconds after which Mandarin is loaded, so that a server's first sentence does not wait for it."""
_REFERENCES_KEPT = 256
"""Tokens of a reference are the same for every request of its voice."""


class Frontend:
    """Normalisation and tokens for `model_ref`: see `ishowtts.model.source.resolve`. `options`: how text is read."""

    def __init__(self, model_ref: str, options: Options = DEFAULT) -> None:
        source = resolve(model_ref)
        self.kind = source.config.text
        self.options = options
        self.vocabulary = Vocabulary(source.vocab)
        self._symbols = frozenset(source.vocab)
        self._speakers = source.config.dit.speakers
        if self.kind == "pinyin":
            if source.vocab[0] != " ":
                raise ModelError(
                    f"{source.vocab_path} does not begin with the space, so it is not a vocabulary of F5-TTS."
                )
            pinyin.warm()
            read("Warm 1 up.")
        else:
            phones.symbols("warm up")
        self.languages = tuple(language for language in phones.LANGUAGES if phones.TYPICAL[language] in source.vocab)
        if self.kind == "phones" and "zh" in self.languages:
            later = threading.Timer(_FIRST_SENTENCE, mandarin.warm)
            later.daemon = True
            later.start()
        self._reference_ids = lru_cache(_REFERENCES_KEPT)(self._phone_ids)

    def normalize(self, text: str, language: str | None = None) -> str:
        """Speakable form of `text`; TextError, field "text", when nothing is left. `language`: BCP 47, None to guess."""
        return self.speakable(text, language)[0]

    def speakable(self, text: str, language: str | None = None) -> tuple[str, int, str]:
        """(what `normalize` returns, how many words the voice cannot read, the first of them or "")."""
        reading = self.read(text, language)
        left_out = reading.unspoken
        if any(map(str.isalnum, reading.text)):
            return reading.text, len(left_out), left_out[0].text if left_out else ""
        what = "is in a script that this voice cannot read" if left_out else "holds nothing that can be spoken"
        raise TextError(f"The text {what}.", field="text")

    def read(self, text: str, language: str | None = None) -> Reading:
        """How `text` is said, word by word; nothing is raised."""
        spoken = language if self.kind == "pinyin" else self._language(text, language)
        options = self.options
        if self.kind == "phones":
            options = replace(options, scripts=phones.SCRIPTS[spoken or "en"])
        said = lexicon.current().apply(text, spoken or detect.guess(text))
        reading = read(said.text, spoken, options=options)
        return reading.moved(text, said.span) if said.changes else reading

    def symbols(self, text: str, language: str | None = None) -> list[str]:
        """What the model is given for a text that is normalised: phones, or characters and syllables."""
        if self.kind == "phones":
            return phones.symbols(text, self._language(text, language))
        return pinyin.symbols(english.dotted(text))[0]

    def _language(self, text: str, language: str | None) -> str:
        """The language that phones are made in: the voice's, English where the model does not have it.

        A line with Chinese characters is Mandarin where the model has it; English words in it stay English.
        """
        if "zh" in self.languages and mandarin.has_chinese(text):
            return "zh"
        wanted = detect.base(language)
        return wanted if wanted in self.languages else "en"

    def _phone_ids(self, text: str, language: str) -> list[int]:
        return self.vocabulary.ids(phones.symbols(text, language))

    def _speaker_ids(self, voice: str | None) -> list[int]:
        """The token of the speaker that a voice is named after; ANY_SPEAKER for other voices, [] where the model names none."""
        named = (SPEAKER + (voice or ""), ANY_SPEAKER)
        return (
            self.vocabulary.ids([next(symbol for symbol in named if symbol in self._symbols)]) if self._speakers else []
        )

    def tokenize(
        self, ref_text: str, text: str, language: str | None = None, voice: str | None = None
    ) -> tuple[list[int], int]:
        """(ids of `ref_text` followed by `text`, how many of them belong to `ref_text`); ids count from 0, 0 is unknown too.

        Both texts are normalised already. `ref_text` may be ""; otherwise it is closed as F5 closes it. `language`, the
        voice's, chooses the phones of a model that has several languages; other models need none. `voice` is the id of
        the voice that speaks: of a model with named speakers it chooses the speaker.
        """
        if self.kind == "phones":
            speaker = self._speaker_ids(voice)
            reference = self._reference_ids(ref_text, self._language(ref_text, language)) if ref_text.strip() else []
            spoken = self._phone_ids(text, self._language(text, language))
            return speaker + reference + spoken, len(speaker) + len(reference) if reference else 0
        reference_text = close_reference(english.dotted(ref_text))
        symbols, origin = pinyin.symbols(reference_text + english.dotted(text))
        n_ref = next((i for i, where in enumerate(origin) if where >= len(reference_text)), len(origin))
        return self.vocabulary.ids(symbols), n_ref
