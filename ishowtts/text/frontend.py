"""The text front end of a model, which the engine's text thread calls for every chunk.

It reads the configuration and the vocabulary of a model, not its weights, so it needs no torch.
"""

from __future__ import annotations

import json
import logging
import threading
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ishowtts.errors import ModelError, TextError
from ishowtts.model.source import resolve

from . import detect, drawn, english, lexicon, mandarin, phones, pinyin, pronounce, stages
from .lexicon import Applied, Entry
from .markup import Segment, cut, pronounced
from .reading import DEFAULT, Options, Reading, read
from .scan import LETTERS
from .tokens import ANY_SPEAKER, SPEAKER, Vocabulary, close_reference

logger = logging.getLogger("ishowtts")
_FIRST_SENTENCE = 1.0
"""Seconds after which Mandarin is loaded in the background, so that the first sentence does not wait for it."""
_MARKS_BETWEEN = 16
"""Largest number of characters between two words of a reading."""


def places(reading: Reading) -> Iterator[tuple[int, int, int, int]]:
    """(first byte in `reading.text`, words that are said, start, end) of each written word that is said.

    Start and end are places in what was written; words that are said for one of it ("five dollars") are one place.
    """
    text = reading.text
    at = measured = byte = 0
    here: tuple[int, int, int, int] | None = None
    for said, start, end, _ in reading.words:
        found = text.find(said, at, at + len(said) + _MARKS_BETWEEN)
        if found < 0:
            continue
        byte += len(text[measured:found].encode())
        at, measured = found + len(said), found
        if here and here[2:] == (start, end):
            here = (here[0], here[1] + 1, start, end)
            continue
        if here:
            yield here
        here = (byte, 1, start, end)
    if here:
        yield here


class Frontend:
    """The text front end of the model `model_ref`, any reference that `ishowtts.model.source.resolve` takes.

    `options`: how text is read. ModelError: the model or its vocabulary cannot be used.
    """

    def __init__(self, model_ref: str, options: Options = DEFAULT) -> None:
        source = resolve(model_ref)
        self.kind = source.config.text
        if source.config.prompt and self.kind == "phones" and ANY_SPEAKER not in source.speakers:
            raise ModelError(f"{source.vocab_path} names no speaker {ANY_SPEAKER!r}, which is the one of a clip.")
        if source.config.prompt and (self.kind == "phones") == source.config.clip_needs_text:
            raise ModelError('A model that takes clips has phones in the "aligned" layout, or pinyin in another.')
        self.options = options
        self.vocabulary = Vocabulary(source.vocab)
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
        read_by = [phones.SCRIPTS[language] for language in self.languages] if self.kind == "phones" else [LETTERS]
        self.scripts = "".join(script for script in LETTERS if any(script in each for each in read_by))
        """Classes of letters that the model reads in one language or another (see `scan`)."""
        self._speakers = {name: self.vocabulary.ids([name]) for name in source.speakers}

    def normalize(self, text: str, language: str | None = None) -> str:
        """`text` in words, as it is spoken; `language`: BCP 47, None: guessed. TextError: nothing can be spoken."""
        return self.speakable(text, language)[0]

    def speakable(self, text: str, language: str | None = None, markup: bool = False) -> tuple[str, int, str, bytes]:
        """The result of `normalize`, how many words the voice cannot read, the first or "", and `places` as u32.

        `markup`: `[word](/ipa/)` says how a word is said; TextError as well where that cannot be read.
        """
        reading = self.read(text, language, markup)
        left_out = reading.unspoken
        if pronounce.audible(reading.text):
            found = array("I", [number for place in places(reading) for number in place])
            return reading.text, len(left_out), left_out[0].text if left_out else "", found.tobytes()
        what = "is in a script that this voice cannot read" if left_out else "holds nothing that can be spoken"
        raise TextError(f"The text {what}.", field="text")

    def cut(self, text: str) -> list[tuple[str, int, float, float, str]]:
        """The parts of a text between markup commands: (text, its place, seconds of silence before, speed, voice).

        0 and "" leave speed and voice to the request. TextError, field "markup": a command is invalid.
        """
        return [(part.text, part.start, part.pause, part.speed or 0.0, part.voice or "") for part in cut(text)]

    def read(self, text: str, language: str | None = None, markup: bool = False) -> Reading:
        """How `text` is said, word by word; without `markup` nothing is raised."""
        spoken = language if self.kind == "pinyin" else self._language(text, language)
        options = self.options
        if self.kind == "phones":
            options = replace(options, scripts=phones.SCRIPTS[spoken or "en"])
        letters, guessed = self.kind == "pinyin", spoken or detect.guess(text)
        text = pronounce.without(text)
        marked = pronounced(text, guessed, letters) if markup else Applied(text)
        said = lexicon.current().apply(marked.text, guessed, letters)
        reading = read(said.text, spoken, options=options)
        for applied, before in ((said, marked.text), (marked, text)):
            if applied.changes:
                reading = reading.moved(before, applied.span)
        return reading

    def steps(
        self,
        text: str,
        language: str | None = None,
        markup: bool = False,
        voices: Mapping[str, str | None] | None = None,
    ) -> dict[str, Any]:
        """How `text` is read, step by step: see `stages`.

        `voices`: their languages by id, for `markup`. TextError, field "markup": a command is invalid.
        """
        parts = []
        for segment in cut(text) if markup else [Segment(text, 0, 0.0, None, None)]:
            tag = (voices or {}).get(segment.voice, language) if segment.voice else language
            reading = self.read(segment.text, tag, markup)
            said = self.symbols(reading.text, tag) if pronounce.audible(reading.text) else []
            parts.append((segment, reading, said))
        return stages.described(parts, self.kind)

    def ask(self, verb: str, question: str) -> str:
        """Answer a question of the C core, in JSON, with JSON. May be called from any thread.

        `verb` "reading": the result of `steps` for {"text", "language", "markup", "voices"}. "check": what is stored of
        an entry of the lexicon {"word", "said", "language"?}; TextError names the field that cannot be read. "tell":
        makes the stored entries, a list, part of the lexicon of the process. "scripts": the classes of letters that are
        read.
        """
        asked = json.loads(question)
        if verb == "reading":
            steps = self.steps(asked["text"], asked["language"], asked["markup"], asked["voices"])
            return json.dumps(steps, ensure_ascii=False)
        if verb == "scripts":
            return json.dumps(self.scripts)
        if verb == "check":
            return json.dumps(self._checked(asked), ensure_ascii=False)
        entries = [Entry(one["word"], one["said"], one["language"]) for one in asked]
        lexicon.tell(filter(_readable, entries))
        return "{}"

    def _checked(self, asked: dict[str, Any]) -> dict[str, str]:
        entry = Entry(asked["word"].strip(), asked["said"].strip(), asked.get("language"))
        lexicon.check(entry)
        language = detect.base(entry.language)
        spelled = pronounce.is_said(entry.said)
        if spelled and self.kind == "phones" and language and language not in self.languages:
            known = ", ".join(self.languages)
            raise TextError(f"This model has no sounds of {entry.language}; it has those of {known}.", field="language")
        if not spelled and not pronounce.audible(self.read(entry.said, entry.language).text):
            raise TextError("There is nothing in it that can be spoken.", field="said")
        return {"word": entry.word, "said": entry.said, "language": entry.language or "", "key": lexicon.key(entry)}

    def symbols(self, text: str, language: str | None = None) -> list[str]:
        """The symbols that the model gets for a normalised text: phones, or characters and syllables.

        TextError: nothing can be spoken.
        """
        if self.kind == "phones":
            return phones.symbols(text, self._language(text, language))
        return pinyin.symbols(_letters(text, language))[0]

    def _language(self, text: str, language: str | None) -> str:
        """The language whose phones are used: the voice's, or English where the model does not have it.

        A line with Chinese characters is Mandarin where the model has it; its English words have English phones.
        """
        if "zh" in self.languages and mandarin.has_chinese(text):
            return "zh"
        wanted = detect.base(language)
        return wanted if wanted in self.languages else "en"

    def _speaker_ids(self, voice: str | None) -> list[int]:
        """The token of the speaker with the voice's name, else of ANY_SPEAKER; [] for a model without speakers."""
        return self._speakers.get(SPEAKER + (voice or ""), self._speakers.get(ANY_SPEAKER, []))

    def tokenize(
        self, ref_text: str | None, text: str, language: str | None = None, voice: str | None = None
    ) -> tuple[list[int], int, list[int], list[int]]:
        """The ids of the reference followed by those of `text`, how many it has, words and lengths of the others.

        Unknown symbols are 0. The words: for each id of `text` the index of its word in `text`, -1 for pauses and
        marks; [] where that is not known. The lengths: the percentage of its duration that each id of `text` takes; []
        where all take what the model predicts.

        Both texts are normalised. `ref_text`: the words of the voice's clip, which `close_reference` closes; None:
        there is no clip. Models of phones do not need them: a clip has the one token ANY_SPEAKER. `language`: of the
        voice, for models with phones of several languages. `voice`: id of a voice without a clip, for models with named
        speakers. TextError: nothing can be spoken.
        """
        if self.kind == "phones":
            clip = ref_text is not None
            speaker = self._speaker_ids(None if clip else voice)
            spoken = phones.read(text, self._language(text, language))
            ids = speaker + self.vocabulary.ids([name for name, _ in spoken])
            words = [word for _, word in spoken]
            lengths = phones.lengths(text, self._language(text, language), spoken)
            if clip:
                return ids, len(speaker), words, lengths
            return ids, 0, [-1] * len(speaker) + words, [100] * len(speaker) * bool(lengths) + lengths
        reference_text = close_reference(_letters(ref_text or "", language))
        symbols, origin = pinyin.symbols(reference_text + _letters(text, language))
        n_ref = next((i for i, where in enumerate(origin) if where >= len(reference_text)), len(origin))
        return self.vocabulary.ids(symbols), n_ref, [], []


def _letters(text: str, language: str | None) -> str:
    """What a model of letters gets: drawn-out words as they are spelled, acronyms with full stops."""
    return english.dotted(drawn.plain(text, detect.base(language)))


def _readable(entry: Entry) -> bool:
    """Whether an entry can be read; one that cannot any more is left out with a line in the log."""
    try:
        lexicon.check(entry)
    except TextError as error:
        logger.warning("the pronunciation of %r is left out: %s", entry.word, error)
        return False
    return True
