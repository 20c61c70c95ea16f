"""The Python face of the C engine: load a model, give it voices, get speech.

    with Engine.load("demo") as engine:
        speech = engine.speak("Hello there.")

Everything heavy happens on the engine's own threads; any number of Python threads may speak at once and share
the model.
"""

from __future__ import annotations

import atexit
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _audio, _engine, _runtime
from .errors import VoiceError
from .fields import EngineOptions, SpeechOptions

if TYPE_CHECKING:
    from typing_extensions import CapsuleType

    from ._engine import CompileState, ModelInfo, Stats, Timings, VoiceInfo
    from .config import Config

_engine.log_to_stderr("info")

__all__ = ["Engine", "Speech", "SpeechOptions", "SpeechStream", "open_engine"]

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Speech:
    """A finished utterance: mono samples in [-1, 1], their rate in Hz, and the seed that makes it again."""

    samples: Samples
    sample_rate: int
    seed: int
    timings: Timings

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.samples) / self.sample_rate


class SpeechStream(Iterator[Samples]):
    """Pieces of one utterance as they are finished; each follows the one before without a gap."""

    def __init__(self, utterance: _engine.Utterance, sample_rate: int) -> None:
        self._utterance = utterance
        self.sample_rate = sample_rate

    def __next__(self) -> Samples:
        piece = self._utterance.next()
        if piece is None:
            raise StopIteration
        return np.frombuffer(piece, np.float32)

    def poll(self, timeout: float) -> Samples | None:
        """The next piece, None at the end; IshowError, status EAGAIN, when `timeout` seconds brought nothing."""
        piece = self._utterance.next(timeout)
        return None if piece is None else np.frombuffer(piece, np.float32)

    def cancel(self) -> None:
        """Stop at the next step of the model; the iterator then raises IshowError with status ECANCELLED."""
        self._utterance.cancel()

    @property
    def timings(self) -> Timings:
        """Seconds since submission and where they went."""
        return self._utterance.timings()

    @property
    def progress(self) -> float:
        """0 to 1, by steps taken."""
        return self._utterance.progress()


class Engine:
    """A loaded model, its voices, and the utterances in flight. Make one with `Engine.load`."""

    def __init__(self, core: _engine.Engine) -> None:
        self._core = core
        _open.add(self)

    @classmethod
    def load(
        cls,
        model: str | Path = "demo",
        *,
        precision: str | None = None,
        threads: int = 0,
        backend: Literal["auto", "cuda", "native", "package", "eager", "compile"] = "auto",
        compile: Literal["background", "wait", "off"] = "background",
        voices: bool = True,
        **options: Unpack[EngineOptions],
    ) -> Self:
        """Load a model by name ("demo"), folder or hub name.

        `precision`: "fp32", "bf16", "int8-dynamic", "int8-static" (which `ishowtts quantize --calibrate` must have
        prepared), None for what suits the device. `threads` 0: all cores. `backend` "cuda": the first NVIDIA GPU;
        "native": the C core's own kernels, ready at once; "package": compiled for this machine by torch, the model as
        Python runs it until there is one; "eager": always Python; "compile": torch.compile; "auto": "cuda" for a large
        model where there is a GPU, else native where the processor and the model allow, else the package. `compile`,
        when there should be a package and is none: "background" makes one and swaps it in, "wait" returns when that is
        done (or failed: then the Python model stays), "off" makes none. `voices`: add those that come with the model.
        """
        if compile not in ("background", "wait", "off"):
            raise ValueError(f"compile must be background, wait or off, not {compile!r}")
        if backend not in ("auto", "cuda", "native", "package", "eager", "compile"):
            raise ValueError(f"backend must be auto, cuda, native, package, eager or compile, not {backend!r}")
        core = _engine.Engine(str(model), precision, threads, backend=backend, **options)
        engine = cls(core)
        try:
            if voices:
                engine._add_own_voices(str(model))
            if compile != "off" and engine.compilable:
                engine.start_compiling()
                if compile == "wait":
                    engine.wait_compiled()
        except BaseException:
            engine.close()
            raise
        return engine

    def _add_own_voices(self, model: str) -> None:
        from .voices import model_voices

        for voice in model_voices(model):
            self.add_voice(voice.id, voice.audio, voice.text, voice.language)

    def speak(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> Speech:
        """Speak a text and wait for all of it. `voice` None: the first one."""
        options.setdefault("early", False)
        stream = self.stream(text, voice, **options)
        pieces = list(stream)
        samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        timings = stream.timings
        return Speech(samples, stream.sample_rate, timings["seed"], timings)

    def stream(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> SpeechStream:
        """Speak a text piece by piece: the first chunk comes while the next ones are still being made."""
        options.setdefault("early", True)
        return SpeechStream(self._core.submit(text, voice, **options), self.info["sample_rate"])

    def add_voice(
        self,
        id: str,
        audio: str | Path | ArrayLike | None,
        text: str,
        language: str | None = None,
        *,
        sample_rate: int | None = None,
    ) -> None:
        """Add or replace a voice: 1 to 30 s of clean speech (a file, or mono samples with their rate) and its words.

        `audio` None suits models that use no reference (`info["uses_prompt"]` is False).
        """
        if audio is None:
            self._core.set_voice(id, text, None, 0, language)
            return
        if isinstance(audio, str | Path):
            samples, sample_rate = _read_audio(id, Path(audio))
        else:
            if sample_rate is None:
                raise VoiceError("samples need their sample_rate", field="audio")
            samples = np.ascontiguousarray(audio, np.float32)
        self._core.set_voice(id, text, samples, sample_rate, language)

    def remove_voice(self, id: str) -> None:
        """Forget a voice; utterances in flight keep it."""
        self._core.remove_voice(id)

    def configure(self, **options: Unpack[EngineOptions]) -> None:
        """Other sizes for the utterances to come, all of them; `cache_bytes` and `max_rows` must stay what they were."""
        self._core.configure(**options)

    def handle(self) -> CapsuleType:
        """What `ishowtts._service` and `ishowtts._chat` take for an engine; keeps it open."""
        return self._core.handle()

    @property
    def voices(self) -> list[VoiceInfo]:
        """All voices in order of arrival; the first one is the default."""
        return self._core.voices()

    @property
    def info(self) -> ModelInfo:
        """What the active backend is; changes when a compiled package is swapped in."""
        return self._core.info()

    @property
    def stats(self) -> Stats:
        """Counters since the engine was loaded."""
        return self._core.stats()

    @property
    def compilable(self) -> bool:
        """Whether a package was missing at loading and could be made for this machine."""
        return self._core.pending

    def start_compiling(self) -> None:
        """Make the package in a process of its own; it is swapped in between utterances."""
        self._core.compile_start()

    @property
    def compile_state(self) -> tuple[CompileState, str]:
        """Where the compilation of the package stands, and why it failed."""
        return self._core.compile_state()

    def wait_compiled(self, timeout: float | None = None) -> bool:
        """Wait for the compilation; False when its package is not in use: none was begun, it failed, or time ran out."""
        end = None if timeout is None else time.monotonic() + timeout
        while (state := self._core.compile_state()[0]) == "running":
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(0.05)
        return state == "swapped"

    def close(self) -> None:
        """Cancel what is in flight, stop a compilation, free the model. May be called twice."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_engine(
    config: Config, compile: Literal["background", "wait", "off"] | None = None, *, voices: bool = True, **model: str
) -> Engine:
    """The engine that a configuration asks for, with its voices unless told otherwise.

    `compile` and `model` (precision, backend) override its own.
    """
    from .voices import load_voices

    found = load_voices(config)  # before the model: a wrong path should not cost its loading
    _runtime.use(config)
    asked = config.model.model_copy(update=model)
    engine = Engine.load(
        asked.name,
        precision=asked.precision,
        threads=asked.threads,
        backend=asked.backend,
        compile=compile or asked.compile,
        voices=False,
        **config.engine.model_dump(),
    )
    try:
        for voice in found if voices else ():
            engine.add_voice(voice.id, voice.audio, voice.text, voice.language)
    except BaseException:
        engine.close()
        raise
    return engine


def _read_audio(id: str, path: Path) -> tuple[Samples, int]:
    try:
        samples, sample_rate = _audio.decode(path.read_bytes())
    except OSError as error:
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EIO"
        raise VoiceError(
            f"Voice {id}: {path} cannot be read: {error.strerror}.", status=status, field="audio"
        ) from None
    except _audio.AudioError as error:
        raise VoiceError(f"Voice {id}, {path}: {error}", status=error.status, field="audio") from None
    return np.asarray(samples), sample_rate


_open: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # The engine's threads must not outlive the interpreter that they call.
    for engine in list(_open):
        engine.close()
