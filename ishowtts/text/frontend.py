"""The text front end of a model, which the engine's text thread calls for every chunk.

It reads the configuration and the vocabulary of a model, not its weights, so it needs no torch.
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
"""The first character of a speaker's symbol, such as "@kathleen"."""
ANY_SPEAKER = SPEAKER
"""The symbol of the speaker of the reference clip."""
_FIRST_SENTENCE = 1.0
"""Seconds after which Mandarin is loaded in the background, so that the first sentence does not wait for it."""
_REFERENCES_KEPT = 256
"""Number of references whose tokens are kept; they are the same for every request of a voice."""


class Frontend:
    """The text front end of the model `model_ref`, any reference that `ishowtts.model.source.resolve` takes.

    `options`: how text is read. ModelError: the model or its vocabulary cannot be used.
    """

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
        """`text` in words, as it is spoken; `language`: BCP 47, None: guessed. TextError: nothing can be spoken."""
        return self.speakable(text, language)[0]

    def speakable(self, text: str, language: str | None = None) -> tuple[str, int, str]:
        """The result of `normalize`, the number of words that the voice cannot read, and the first of them or ""."""
        reading = self.read(text, language)
        left_out = reading.unspoken
        if any(map(str.isalnum, reading.text)):
            return reading.text, len(left_out), left_out[0].text if left_out else ""
        what = "is in a script that this voice cannot read" if left_out else "holds nothing that can be spoken"
        raise TextError(f"The text {what}.", field="text")

    def read(self, text: str, language: str | None = None) -> Reading:
        """The reading of `text`, word by word, with the user's pronunciations; `language` as `normalize`."""
        spoken = language if self.kind == "pinyin" else self._language(text, language)
        options = self.options
        if self.kind == "phones":
            options = replace(options, scripts=phones.SCRIPTS[spoken or "en"])
        said = lexicon.current().apply(text, spoken or detect.guess(text))
        reading = read(said.text, spoken, options=options)
        return reading.moved(text, said.span) if said.changes else reading

    def symbols(self, text: str, language: str | None = None) -> list[str]:
        """The symbols that the model gets for a normalised text: phones, or characters and syllables.

        TextError: nothing can be spoken.
        """
        if self.kind == "phones":
            return phones.symbols(text, self._language(text, language))
        return pinyin.symbols(english.dotted(text))[0]

    def _language(self, text: str, language: str | None) -> str:
        """The language whose phones are used: the voice's, or English where the model does not have it.

        A line with Chinese characters is Mandarin where the model has it; its English words have English phones.
        """
        if "zh" in self.languages and mandarin.has_chinese(text):
            return "zh"
        wanted = detect.base(language)
        return wanted if wanted in self.languages else "en"

    def _phone_ids(self, text: str, language: str) -> list[int]:
        return self.vocabulary.ids(phones.symbols(text, language))

    def _speaker_ids(self, voice: str | None) -> list[int]:
        """The token of the speaker with the voice's name, else of ANY_SPEAKER; [] for a model without speakers."""
        named = (SPEAKER + (voice or ""), ANY_SPEAKER)
        return (
            self.vocabulary.ids([next(symbol for symbol in named if symbol in self._symbols)]) if self._speakers else []
        )

    def tokenize(
        self, ref_text: str, text: str, language: str | None = None, voice: str | None = None
    ) -> tuple[list[int], int]:
        """The ids of `ref_text` followed by `text`, and how many of them belong to `ref_text`; unknown symbols are 0.

        Both texts are normalised. `ref_text` may be ""; otherwise `close_reference` closes it. `language`: of the
        voice, for models with phones of several languages. `voice`: id of the voice, for models with named speakers.
        TextError: nothing can be spoken.
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
