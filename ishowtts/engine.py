"""The Python interface of the C engine: load a model, add voices, speak.

    with Engine.load("demo") as engine:
        speech = engine.speak("Hello there.")

The engine computes on threads of its own; any number of Python threads and asyncio tasks may speak at the same time and
share the model. Errors are subclasses of `IshowError` (`ishowtts.errors`); an argument of a wrong type is a TypeError.
"""

from __future__ import annotations

import atexit
import itertools
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike

from . import _audio, _engine, _runtime
from .errors import ConfigError, VoiceError
from .fields import EngineOptions, SessionOptions, SpeechOptions
from .session import Session
from .streams import AsyncSpeechStream, Samples, SpeechStream, Word
from .trajectory import Trajectory, flattened

if TYPE_CHECKING:
    from typing_extensions import CapsuleType

    from ._engine import CompileState, ModelInfo, Stats, Timings, VoiceInfo
    from .config import Config

_engine.log_to_stderr("info")

__all__ = [
    "AsyncSpeechStream", "Engine", "Speech", "SpeechOptions", "SpeechStream", "Trajectory", "Word", "open_engine",
]  # fmt: skip


@dataclass(frozen=True)
class Speech:
    """A finished utterance: mono samples in [-1, 1], their rate in Hz, the seed that gives it again, and timings.

    `trajectories`: of each part of the text, where `trajectory` was asked for.
    """

    samples: Samples
    sample_rate: int
    seed: int
    timings: Timings
    trajectories: tuple[Trajectory, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration of the audio in seconds."""
        return len(self.samples) / self.sample_rate


def _finished(pieces: list[Samples], stream: SpeechStream | AsyncSpeechStream) -> Speech:
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    timings = stream.timings
    return Speech(samples, stream.sample_rate, timings["seed"], timings, stream.trajectories)


class Engine:
    """A loaded model with its voices and running utterances. Make one with `Engine.load`.

    >>> with Engine.load("demo", threads=1) as engine:
    ...     speech = engine.speak("Hello there.", seed=1, nfe=3)
    >>> speech.sample_rate, speech.samples.dtype.name, 0.3 < speech.seconds < 3
    (24000, 'float32', True)
    """

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
        device: str = "auto",
        backend: Literal["auto", "cuda", "native", "package", "eager", "compile"] = "auto",
        compile: Literal["background", "wait", "off"] = "background",
        voices: bool = True,
        **options: Unpack[EngineOptions],
    ) -> Self:
        """Load a model by name ("demo"), folder, checkpoint or hub name.

        `precision`: "fp32", "bf16", "fp16" (cuda, eager, compile), "int8-dynamic", "int8-static" (prepared by `ishowtts
        quantize --calibrate`), "recipe:FILE" (`ishowtts.model.recipe`), or None for the fastest of fp32 and bf16 on
        this device. `threads`: 0 for all cores. `device`: "cpu", "cuda", "cuda:N" (eager and compile), or "auto": the
        first GPU for the backends that use one.

        `backend`: "cuda", the first NVIDIA GPU; "native", the C core's kernels; "package", a package compiled by torch
        for this machine, and "eager" until it exists; "eager", PyTorch; "compile", torch.compile; "auto", "cuda" for a
        large model where there is a GPU, else "native" where processor and model allow it, else "package".

        `compile`, where a package is needed and does not exist: "background" compiles it while the engine already
        speaks, "wait" before this function returns (if that fails, "eager" stays in use), "off" does not compile.
        `voices`: add the voices that come with the model. `options`: sizes of the engine.

        ModelError: the model does not exist or cannot be used; ConfigError: an option has a wrong value.

        Loading blocks for 0.1 s to minutes; with asyncio, use `await asyncio.to_thread(Engine.load, "demo")`.

        >>> with Engine.load("demo", threads=1, max_rows=2) as engine:
        ...     [voice["id"] for voice in engine.voices][:3], engine.info["backend"]
        (['hazel', 'nora', 'owen'], 'native')
        """
        if compile not in ("background", "wait", "off"):
            raise ConfigError(f"compile must be background, wait or off, not {compile!r}", field="compile")
        if backend not in ("auto", "cuda", "native", "package", "eager", "compile"):
            known = "auto, cuda, native, package, eager or compile"
            raise ConfigError(f"backend must be {known}, not {backend!r}", field="backend")
        with _runtime.on_device(device):
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
            self.add_voice(voice.id, voice.prompt, voice.text, voice.language)

    def speak(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> Speech:
        """Speak a text of 1 to 5000 characters and wait for the whole speech.

        `voice`: id of a voice, None: the first one. TextError: the text cannot be spoken; VoiceError: there is no such
        voice; IshowError: any other fault, whose `field` names the option. KeyboardInterrupt cancels the speech.

        >>> with Engine.load("demo", threads=1) as engine:
        ...     one, again = (engine.speak("Nine viewers.", "hazel", seed=1, nfe=3, speed=1.2) for _ in range(2))
        >>> bool((one.samples == again.samples).all())
        True
        """
        options.setdefault("early", False)
        stream = self.stream(text, voice, **options)
        return _finished(list(stream), stream)

    def stream(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> SpeechStream:
        """Speak a text and get its samples in pieces, the first one while the rest is computed. Errors as `speak`.

        >>> with Engine.load("demo", threads=1) as engine:
        ...     sum(piece.size for piece in engine.stream("One sentence. And another.", nfe=3)) > 24000
        True
        """
        options.setdefault("early", True)
        return SpeechStream(
            self._core.submit(text, voice, **flattened(options, lambda: self.info["n_mels"])), self.info["sample_rate"]
        )

    def speak_many(
        self, texts: Iterable[str], voice: str | None = None, *, waiting: int = 8, **options: Unpack[SpeechOptions]
    ) -> Iterator[Speech]:
        """Speak texts one after another, in their order, `waiting` of them ahead: the next is read while one is made.

        With one seed each text has the same speech as `speak` gives it. Errors as `speak`; what follows is cancelled.

        >>> with Engine.load("demo", threads=1) as engine:
        ...     [round(speech.seconds, 1) > 0 for speech in engine.speak_many(["Hello.", "Good evening."], nfe=3)]
        [True, True]
        """
        options.setdefault("early", False)
        rest, streams = iter(texts), deque[SpeechStream]()
        try:
            while True:
                for text in itertools.islice(rest, max(waiting, 1) - len(streams)):
                    streams.append(self.stream(text, voice, **options))
                if not streams:
                    return
                stream = streams.popleft()
                yield _finished(list(stream), stream)
        finally:
            for stream in streams:
                stream.cancel()

    async def speak_async(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> Speech:
        """`speak` for asyncio; cancelling the task cancels the speech.

        >>> import asyncio
        >>> async def both() -> list[Speech]:
        ...     with await asyncio.to_thread(Engine.load, "demo", threads=1) as engine:
        ...         texts = "Hello.", "Good evening."
        ...         return await asyncio.gather(*(engine.speak_async(text, nfe=3) for text in texts))
        >>> [speech.seconds > 0.2 for speech in asyncio.run(both())]
        [True, True]
        """
        options.setdefault("early", False)
        stream = self.stream_async(text, voice, **options)
        try:
            pieces = [piece async for piece in stream]
        finally:
            await stream.aclose()
        return _finished(pieces, stream)

    def stream_async(self, text: str, voice: str | None = None, **options: Unpack[SpeechOptions]) -> AsyncSpeechStream:
        """`stream` for `async for` on the running event loop; the stream sets the option `notify` itself."""

        def start(fd: int) -> SpeechStream:
            own: SpeechOptions = {**options, "notify": fd}
            return self.stream(text, voice, **own)

        return AsyncSpeechStream(start)

    def session(self, voice: str | None = None, **options: Unpack[SessionOptions]) -> Session:
        """Speak a text while it is written; for `with` and `async with` (`ishowtts.session`). Errors as `speak`.

        `idle_ms`: without a piece for so long, 50 to 60000 milliseconds, what has come is spoken as it is.

        >>> with Engine.load("demo", threads=1) as engine, engine.session("hazel", nfe=3) as session:
        ...     session.write_from(["Good evening, every", "body. How", " are you?"])
        ...     sum(piece.size for piece in session) > 24000
        True
        """
        return Session(self._core, voice, options)

    def add_voice(
        self,
        id: str,
        audio: str | Path | ArrayLike | None,
        text: str = "",
        language: str | None = None,
        *,
        sample_rate: int | None = None,
    ) -> None:
        """Add a voice, or replace the one with this id.

        `audio`: 1 to 30 s of clean speech, as a file or as mono samples with `sample_rate` in Hz, for a model that
        speaks in the voice of a clip (`info["uses_prompt"]`); None: the voice is one of the model's own, by its id.
        `text`: the words of the clip, which are needed where `info["clip_needs_text"]`. `language`: such as "en", None:
        guessed from each text. VoiceError, TextError: the id, the clip or its words cannot be used.
        """
        if audio is None:
            self._core.set_voice(id, text, None, 0, language)
            return
        if isinstance(audio, str | Path):
            samples, sample_rate = _read_audio(id, Path(audio))
        else:
            if sample_rate is None:
                raise VoiceError("samples need their sample_rate", field="audio")
            try:
                samples = np.ascontiguousarray(audio, np.float32)
            except (TypeError, ValueError):
                raise VoiceError(f"Voice {id}: the samples must be numbers.", field="audio") from None
            if samples.ndim != 1:
                raise VoiceError(
                    f"Voice {id}: the samples must be mono, not of {samples.ndim} dimensions.", field="audio"
                )
        self._core.set_voice(id, text, samples, sample_rate, language)

    def remove_voice(self, id: str) -> None:
        """Remove a voice; running utterances keep it. VoiceError: there is no such voice."""
        self._core.remove_voice(id)

    def configure(self, **options: Unpack[EngineOptions]) -> None:
        """Replace all sizes of the engine for new utterances. IshowError: `cache_bytes` or `max_rows` would change."""
        self._core.configure(**options)

    def handle(self) -> CapsuleType:
        """A capsule of the C engine for `ishowtts._service` and `ishowtts._chat`; the engine lives as long as it."""
        return self._core.handle()

    @property
    def voices(self) -> list[VoiceInfo]:
        """All voices in the order in which they were added; the first one is the default."""
        return self._core.voices()

    @property
    def info(self) -> ModelInfo:
        """The model and the active backend, which changes when a compiled package is ready."""
        return self._core.info()

    @property
    def stats(self) -> Stats:
        """Counters since the engine was loaded."""
        return self._core.stats()

    @property
    def compilable(self) -> bool:
        """Whether a compiled package was missing when the model was loaded, and can be compiled on this machine."""
        return self._core.pending

    def start_compiling(self) -> None:
        """Compile the package in another process; the engine uses it once it is ready and no utterance runs."""
        self._core.compile_start()

    @property
    def compile_state(self) -> tuple[CompileState, str]:
        """The state of the compilation ("none", "running", "swapped" or "failed"), and why it failed or ""."""
        return self._core.compile_state()

    def wait_compiled(self, timeout: float | None = None) -> bool:
        """Wait until the compilation has ended, for `timeout` seconds (None: as long as it takes).

        Whether the package is in use: False where none was begun, it failed, or it still runs.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (state := self._core.compile_state()[0]) == "running":
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(0.05)
        return state == "swapped"

    def close(self) -> None:
        """Cancel running utterances, stop a compilation, free the model. May be called twice."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_engine(
    config: Config,
    compile: Literal["background", "wait", "off"] | None = None,
    *,
    voices: bool = True,
    **model: str | int,
) -> Engine:
    """The engine that a configuration describes, with its voices unless `voices` is False.

    `compile` and the keywords `precision`, `backend`, `threads` and `device` replace those of the configuration. Errors
    as `Engine.load` and `Config.load_voices`.
    """
    found = config.load_voices()  # before the model: a wrong path should not cost its loading
    _runtime.use(config)
    asked = config.model.model_copy(update=model)
    engine = Engine.load(
        asked.name,
        precision=asked.precision,
        threads=asked.threads,
        device=asked.device,
        backend=asked.backend,
        compile=compile or asked.compile,
        voices=False,
        **config.engine.model_dump(),
    )
    try:
        for voice in found if voices else ():
            engine.add_voice(voice.id, voice.prompt, voice.text, voice.language)
    except BaseException:
        engine.close()
        raise
    return engine


def open_speaker(config: Config, compile: Literal["background", "wait", "off"] = "off", **model: str | int) -> Engine:
    """The engine that a configuration describes, with the voice that speaks alone: the default one, else the first.

    For measurements; a model that needs no voice may have none. Keywords and errors as `open_engine`.
    """
    engine = open_engine(config, compile, voices=False, **model)
    try:
        for voice in config.load_voices():
            if config.default_voice in (None, voice.id):
                engine.add_voice(voice.id, voice.prompt, voice.text, voice.language)
                break
    except BaseException:
        engine.close()
        raise
    return engine


def _read_audio(id: str, path: Path) -> tuple[Samples, int]:
    try:
        samples, sample_rate = _audio.decode(path.read_bytes())
    except ValueError:  # the path has a NUL or a surrogate
        raise VoiceError(
            f"Voice {id}: {str(path)!r} is no name of a file.", status="ENOTFOUND", field="audio"
        ) from None
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
    # The engine's threads call the interpreter, so they must end before it.
    for engine in list(_open):
        engine.close()
