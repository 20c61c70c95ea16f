"""Speech recognisers for error rates: Whisper where its model is installed, else PocketSphinx.

Whisper is a folder with a model of faster-whisper, which `scripts/judge` makes, and recognises the languages of that
model. PocketSphinx recognises English with the model in its package; it makes many errors, so its figures are to be
compared with those of real recordings.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ishowtts.errors import ConfigError
from ishowtts.extras import MissingPackage, require
from ishowtts.folders import cache_dir
from ishowtts.text import detect

from .clips import Samples, at_rate

RATE = 16000
VARIABLE = "ISHOWTTS_WHISPER"
"""Environment variable with the folder of a Whisper model."""
MODEL = "model.bin"
"""The file of a faster-whisper folder that has the weights."""
SPHINX = "pocketsphinx"
PROMPTS = {"zh": "以下是普通话的句子。"}
"""Initial prompts of Whisper by language; the Chinese one makes it write simplified characters."""


class Unheard(MissingPackage):
    """The recogniser does not know the language."""


class Listener(Protocol):
    """A speech recogniser."""

    def check(self, language: str) -> None:
        """Unheard: it does not know the language (BCP 47)."""

    def __call__(self, samples: Samples, sample_rate: int, language: str) -> str:
        """The words in mono samples in [-1, 1] at a rate in Hz. Unheard: as `check`."""


def whisper_folder() -> Path | None:
    """The folder of a Whisper model: ISHOWTTS_WHISPER, else `whisper` in the cache folder; None: there is none.

    ConfigError: ISHOWTTS_WHISPER names a folder without a model.
    """
    own = os.environ.get(VARIABLE)
    place = Path(own) if own else cache_dir() / "whisper"
    if own and not (place / MODEL).is_file():
        raise ConfigError(f"{VARIABLE}: {_no_model(place)}", status="ENOTFOUND", field="whisper")
    return place if (place / MODEL).is_file() else None


def _no_model(place: Path) -> str:
    return f"there is no {MODEL} of faster-whisper in {place}; scripts/judge makes such a folder"


def default() -> str:
    """The name of the best recogniser here: "whisper=FOLDER" where it can be used, else "pocketsphinx"."""
    folder = whisper_folder()
    if folder is None:
        return SPHINX
    try:
        require("faster_whisper", "a Whisper listener")
    except MissingPackage:
        return SPHINX
    return f"whisper={folder}"


def add_options(p: argparse.ArgumentParser) -> None:
    """Add --listener and --whisper, which `chosen` reads."""
    names = ("whisper", SPHINX)
    p.add_argument("--listener", choices=names, help=f"recogniser (default: whisper if installed, else {SPHINX})")
    p.add_argument("--whisper", metavar="DIR", help=f"faster-whisper model (default: ${VARIABLE}, else in the cache)")


def chosen(options: argparse.Namespace) -> str:
    """The name of the recogniser that parsed options ask for. ConfigError: the Whisper model is missing."""
    if options.listener == SPHINX:
        return SPHINX
    if options.whisper is not None:
        return f"whisper={options.whisper}"
    if options.listener is None:
        return default()
    folder = whisper_folder()
    if folder is None:
        why = f"there is no Whisper model: name one with --whisper or {VARIABLE}, or make one with scripts/judge"
        raise ConfigError(f"whisper: {why}", status="ENOTFOUND", field="whisper")
    return f"whisper={folder}"


def hear(decoder: Any, samples: Samples, sample_rate: int) -> str:
    """The words that a decoder of PocketSphinx hears in mono samples in [-1, 1]. Not thread-safe."""
    decoder.start_utt()
    pcm = (np.clip(at_rate(samples, sample_rate, RATE), -1, 1) * 32767).astype("<i2").tobytes()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return str(heard.hypstr) if heard else ""


class PocketSphinx:
    """PocketSphinx with the English model of its package. Not thread-safe."""

    def __init__(self) -> None:
        self._decoder = require(SPHINX, "word error rate").Decoder(samprate=RATE, loglevel="FATAL")

    def check(self, language: str) -> None:
        """As `Listener.check`."""
        if detect.base(language) != "en":
            raise Unheard(
                f"word error rate in {language}: PocketSphinx recognises English only; --whisper DIR recognises more"
            )

    def __call__(self, samples: Samples, sample_rate: int, language: str) -> str:
        """As `Listener.__call__`."""
        self.check(language)
        return hear(self._decoder, samples, sample_rate)


class Whisper:
    """A Whisper model on the processor, in int8; beam search without sampling, so results are repeatable."""

    def __init__(self, folder: Path) -> None:
        package = require("faster_whisper", "a Whisper listener")
        if not (folder / MODEL).is_file():
            raise ConfigError(f"whisper: {_no_model(folder)}", status="ENOTFOUND", field="whisper")
        torch = sys.modules.get("torch")  # a limit of torch's threads also applies to the recogniser
        self._model = package.WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            cpu_threads=torch.get_num_threads() if torch else 0,
            local_files_only=True,
        )

    def check(self, language: str) -> None:
        """As `Listener.check`."""
        if detect.base(language) not in self._model.supported_languages:
            raise Unheard(f"word error rate in {language}: this Whisper model does not know the language")

    def __call__(self, samples: Samples, sample_rate: int, language: str) -> str:
        """As `Listener.__call__`."""
        self.check(language)
        here = detect.base(language)
        wave = at_rate(samples, sample_rate, RATE)
        segments, _ = self._model.transcribe(
            wave,
            language=here,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            initial_prompt=PROMPTS.get(here),
            max_new_tokens=min(200, 16 + 12 * len(wave) // RATE),  # more than speech has; ends a decoder that repeats
        )
        return "".join(segment.text for segment in segments).strip()


@functools.cache
def listener(name: str) -> Listener:
    """The recogniser of a name, "pocketsphinx" or "whisper=FOLDER".

    ConfigError: the name is neither, or there is no model in the folder; MissingPackage: its package is missing.
    """
    kind, _, place = name.partition("=")
    if name == SPHINX:
        return PocketSphinx()
    if kind == "whisper" and place:
        return Whisper(Path(place))
    raise ConfigError(f"listener must be {SPHINX} or whisper=FOLDER, not {name!r}", field="listener")


@functools.cache
def identity(name: str) -> str:
    """A name that identifies the model, not its folder: "pocketsphinx", or "whisper" and a hash of the weights."""
    kind, _, place = name.partition("=")
    if kind != "whisper" or not (Path(place) / MODEL).is_file():
        return name
    with (Path(place) / MODEL).open("rb") as file:
        return f"whisper {hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
