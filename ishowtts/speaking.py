"""`ishowtts speak`: speak a text of any length into a file, or play it while it is computed."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._audio import FORMATS, encode
from ._engine import DEFAULTS
from .errors import ConfigError, IshowError, TextError
from .fields import speech_options
from .options import request_value

if TYPE_CHECKING:
    from .config import Config
    from .engine import Engine
    from .streams import Samples, SpeechStream

LONG_TEXT = 200
"""Length in characters from which a progress bar is shown on a terminal."""
SUFFIXES = {**{f".{name}": name for name in FORMATS}, ".ogg": "opus"}
"""Audio formats by the suffix of a file name."""
_ORDERS = 200
"""Characters of a part that are reserved for markup commands before it."""
_CUTS = (  # patterns after which a text may be cut, the best first
    r"\n\s*\n",
    r"\n",
    r"""[.!?…]["')\]”’»]*\s|[。！？][」』”’）]*""",
    r"[,;:]\s|[，；：、]",
    r"\s",
)


def cut(text: str, limit: int, markup: bool = False) -> list[str]:
    """Cut a text into parts of at most `limit` characters that together are the text; parts of white space are dropped.

    A part ends at the last end of a paragraph in its second half, else of a line, sentence, clause or word. `markup`:
    no command is cut in two, and each part begins with the commands in force.
    """
    if markup:
        from .text.markup import carried

        parts = cut(text, limit - _ORDERS)
        for number in range(1, len(parts)):
            begun = parts[number - 1].rfind("[")
            if begun > 0 and "]" not in parts[number - 1][begun:] and len(parts[number - 1]) - begun < _ORDERS:
                parts[number] = parts[number - 1][begun:] + parts[number]
                parts[number - 1] = parts[number - 1][:begun]
            parts[number] = carried(parts[number - 1]) + parts[number]
        return [part for part in parts if part.strip()]
    parts = []
    while len(text) > limit:
        window = text[:limit]
        ends = ([found.end() for found in re.finditer(pattern, window)] for pattern in _CUTS)
        at = next((found[-1] for found in ends if found and found[-1] > limit // 2), limit)
        parts.append(text[:at])
        text = text[at:]
    return [part for part in (*parts, text) if part.strip()]


def speak(arguments: argparse.Namespace, config: Config) -> int:
    """Run the command; the exit status.

    Where nothing can play the speech, it is written to a file in the working folder. TextError: there is no text, or it
    is not UTF-8; ConfigError: the output has an unknown suffix or no folder; IshowError: as `Engine.speak`.
    """
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if arguments.text == "-" else arguments.text
    if not text.strip():
        raise TextError("There is no text to speak.", field="text")
    try:
        text.encode()
    except UnicodeEncodeError:  # Python puts halves of surrogate pairs for bytes of an argument that are not UTF-8
        raise TextError("The text is not UTF-8.", field="text") from None
    output = arguments.output
    if output not in (None, "-") and not Path(output).absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {Path(output).absolute().parent} to write to", field="output")
    form = _format(arguments)
    sampling = config.sampling.model_dump()
    chosen: dict[str, Any] = dict(
        speech_options(lambda field: sampling[field.setting] if field.setting else request_value(arguments, field))
    )
    from . import player

    with open_engine(config) as engine:
        speech = _Speech(
            engine,
            cut(text, DEFAULTS["max_text_chars"], chosen["markup"]),
            config.default_voice,
            chosen | {"early": output is None},
        )
        pieces: list[Samples] = []
        silent = ""
        if output is None:
            try:
                player.play(speech, speech.sample_rate, pieces)
            except player.NoSound as error:
                silent = str(error)
        else:
            pieces.extend(speech)
        about = speech.left_out() + speech.about(pieces)
    if silent:
        output = _free_name()
        print(f"nothing can be played here ({silent}): the speech is in {output}", file=sys.stderr)
    if output is not None:
        data = encode(player.joined(pieces), speech.sample_rate, form)
        if output == "-":
            sys.stdout.buffer.write(data)
        else:
            Path(output).write_bytes(data)
    print(about, file=sys.stderr)
    return 0


def _format(arguments: argparse.Namespace) -> str:
    """Format of the output: --format, else by the file's suffix, else WAV. ConfigError: the suffix is unknown."""
    suffix = Path(arguments.output or "").suffix.lower()
    if arguments.format or not suffix:
        return str(arguments.format or "wav")
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ConfigError(f"{arguments.output} must end in {known}, or name its --format", field="output")
    return SUFFIXES[suffix]


def _free_name() -> str:
    """A name that no file has: speech.wav, else speech2.wav and so on."""
    names = (f"speech{number}.wav" for number in ("", *range(2, 1000)))
    return next((name for name in names if not Path(name).exists()), "speech.wav")


class _Speech:
    """The pieces of all parts of a text. A part is submitted while the one before is read; all use one seed."""

    def __init__(self, engine: Engine, parts: list[str], voice: str | None, options: dict[str, Any]) -> None:
        self._engine = engine
        self._parts = parts
        self._voice = voice
        self._options = options
        self._begun = time.monotonic()
        self._streams = [self._start(0)]
        self._length = sum(map(len, parts))
        self._options = options | {"seed": self._streams[0].timings["seed"]}
        self.sample_rate = self._streams[0].sample_rate

    def _start(self, number: int) -> SpeechStream:
        return self._engine.stream(self._parts[number], self._voice, **self._options)

    def __iter__(self) -> Iterator[Samples]:
        from tqdm import tqdm

        shown = self._length >= LONG_TEXT and sys.stderr.isatty()
        try:
            with tqdm(
                total=100, leave=False, disable=not shown, bar_format="{l_bar}{bar}| {elapsed}<{remaining}"
            ) as bar:
                for number in range(len(self._parts)):
                    if number + 1 < len(self._parts):
                        self._streams.append(self._start(number + 1))
                    yield from self._pieces(number, bar)
        finally:
            for stream in self._streams:
                stream.cancel()  # has no effect on a finished one

    def _pieces(self, number: int, bar: Any) -> Iterator[Samples]:
        before, own = sum(map(len, self._parts[:number])), len(self._parts[number])
        stream = self._streams[number]
        while True:
            try:
                piece = stream.poll(0.1)
            except IshowError as error:
                if error.status != "EAGAIN":
                    raise
            else:
                if piece is None:
                    return
                yield piece.copy()
            bar.update(int(100 * (before + own * stream.progress) / self._length) - bar.n)

    def left_out(self) -> str:
        """A line about the words that the voice cannot read, "" where it reads all of them."""
        timings = [stream.timings for stream in self._streams]
        count = sum(one["unspoken"][0] for one in timings)
        if not count:
            return ""
        first = next(one["unspoken"][1] for one in timings if one["unspoken"][0])
        words = first if count == 1 else f"{count} words, such as {first}"
        return f"the voice {timings[0]['voice']} cannot read {words}; `ishowtts voices` lists others\n"

    def about(self, pieces: list[Samples]) -> str:
        """One line about the speech and the time to compute it, without the time of playing."""
        timings = [stream.timings for stream in self._streams]
        seconds = sum(map(len, pieces)) / self.sample_rate
        total = timings[0]["total"] if len(timings) == 1 else sum(t["model"] + t["text"] for t in timings)
        info = self._engine.info
        return (
            f"{seconds:.2f} s of audio, real-time factor {total / max(seconds, 1e-9):.3f}, "
            f"first audio {timings[0]['first_audio']:.2f} s, seed {timings[0]['seed']}, voice {timings[0]['voice']}, "
            f"backend {info['backend']} {info['precision']}"
        )


def open_engine(config: Config) -> Engine:
    """The engine of a configuration for a process that speaks once: it compiles only if `model.compile` is "wait"."""
    from .engine import open_engine
    from .text import lexicon

    model = config.model
    lexicon.tell(lexicon.stored(config.server.state_dir))
    # Raised inside an import that C asked for, an interrupt would be reported as a broken model.
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        engine = open_engine(config, "off")  # this process ends before a compilation in the background would
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        if engine.compilable and model.compile == "wait":
            print("compiling the model for this machine, once; this takes a few minutes", file=sys.stderr)
            engine.start_compiling()
            if not engine.wait_compiled():
                print(f"not compiled: {engine.compile_state[1]}", file=sys.stderr)
        elif engine.compilable and sys.stderr.isatty():
            print("the model is not compiled for this machine yet; --compile wait does it, once", file=sys.stderr)
    except BaseException:
        engine.close()
        raise
    return engine
