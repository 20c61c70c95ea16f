"""Speech that comes in pieces: iterators over one utterance, with and without asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import tracing
from .errors import IshowError
from .trajectory import Trajectory, trajectories

if TYPE_CHECKING:
    from ._engine import Timings, Utterance

__all__ = ["AsyncSpeechStream", "Samples", "SpeechStream", "Word"]

Samples = NDArray[np.float32]


class Word(NamedTuple):
    """A word of the text and when it is heard: seconds of the speech, characters of the text."""

    start: float
    end: float
    offset: int
    length: int


class SpeechStream(Iterator[Samples]):
    """An iterator over the samples of one utterance in pieces, as they are computed; made by `Engine.stream`.

    Pieces are mono float32 in [-1, 1] and follow one another without gap or overlap. The iterator waits for the next
    piece and raises IshowError where the utterance failed or was cancelled.
    """

    def __init__(self, utterance: Utterance, sample_rate: int) -> None:
        self._utterance = utterance
        self.sample_rate = sample_rate
        self._span = tracing.begin()

    def __next__(self) -> Samples:
        piece = self._next(-1)
        if piece is None:
            raise StopIteration
        return piece

    def poll(self, timeout: float) -> Samples | None:
        """The next piece, None at the end; IshowError with status EAGAIN: none within `timeout` seconds."""
        return self._next(timeout)

    def _next(self, timeout: float) -> Samples | None:
        try:
            piece = self._utterance.next(timeout)
        except BaseException as error:
            if not (isinstance(error, IshowError) and error.status == "EAGAIN"):
                self._traced(error)
            raise
        if piece is None:
            self._traced(None)
        return None if piece is None else np.frombuffer(piece, np.float32)

    def _traced(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is not None:
            tracing.end(span, self.timings, error)

    def __del__(self) -> None:
        if getattr(self, "_span", None) is not None:
            self._traced(None)

    @property
    def words(self) -> list[Word]:
        """The words that begin in the piece that came last. A number or an abbreviation is one word."""
        return [Word(*word) for word in self._utterance.words()]

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """The trajectories of the parts that are finished, in order; none without the option `trajectory`."""
        return trajectories(self._utterance)

    def cancel(self) -> None:
        """Stop before the next step of the model; the iterator then raises IshowError with status ECANCELLED."""
        self._utterance.cancel()

    @property
    def timings(self) -> Timings:
        """Seconds of the stages of the utterance since it was submitted, its seed and voice."""
        return self._utterance.timings()

    @property
    def progress(self) -> float:
        """The share of the solver's steps that are done, from 0 to 1."""
        return self._utterance.progress()


class AsyncSpeechStream(AsyncIterator[Samples]):
    """The pieces of one utterance for `async for`, made by `Engine.stream_async`; waiting occupies no thread.

    It belongs to the event loop on which it was made. The utterance is cancelled by `aclose`, or when the stream is
    garbage-collected before its end.

    >>> from ishowtts import Engine
    >>> async def first_piece(engine: Engine) -> int:
    ...     stream = engine.stream_async("A long story. It comes sentence by sentence.", nfe=3)
    ...     async for piece in stream:
    ...         break
    ...     await stream.aclose()
    ...     return piece.size
    >>> with Engine.load("demo", threads=1) as engine:
    ...     asyncio.run(first_piece(engine)) > 2400
    True
    """

    def __init__(self, start: Callable[[int], SpeechStream]) -> None:
        """`start`: submits the text, with the eventfd that it is given to `notify`."""
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stream: SpeechStream | None = None
        try:
            self._stream = start(self._fd)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        self.sample_rate = self._stream.sample_rate
        self._timings: Timings | None = None
        self._trajectories: tuple[Trajectory, ...] = ()
        self._loop.add_reader(self._fd, _tell, self._fd, self._news)

    async def __anext__(self) -> Samples:
        while self._stream is not None:
            self._news.clear()
            try:
                piece = self._stream.poll(0)
            except IshowError as error:
                if error.status == "EAGAIN":
                    await self._news.wait()
                    continue
                self._end()
                raise
            if piece is not None:
                return piece
            self._end()
        raise StopAsyncIteration

    @property
    def words(self) -> list[Word]:
        """As of `SpeechStream`."""
        return self._stream.words if self._stream else []

    @property
    def timings(self) -> Timings:
        """As `SpeechStream.timings`."""
        found = self._timings if self._stream is None else self._stream.timings
        assert found is not None
        return found

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """As `SpeechStream.trajectories`."""
        return self._trajectories if self._stream is None else self._stream.trajectories

    async def aclose(self) -> None:
        """Cancel the utterance unless it is finished. May be called twice."""
        self._end()

    def _end(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._timings = stream.timings
        self._trajectories = stream.trajectories
        stream.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._news.set()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._end()


def _tell(fd: int, news: asyncio.Event) -> None:
    os.eventfd_read(fd)
    news.set()
