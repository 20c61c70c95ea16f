"""Text that is spoken while it is written, as a language model writes it.

    with engine.session("hazel") as session:
        session.write_from(words)
        for piece in session:
            play(piece)

Speech begins when the first sentence or clause is over. At most 5000 characters wait to be spoken, and no more speech
is made while 20 seconds of it wait for their reader: a writer that is faster waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from .errors import IshowError
from .streams import AsyncSpeechStream, Samples, SpeechStream
from .trajectory import flattened

if TYPE_CHECKING:
    from ._engine import Engine
    from .fields import SessionOptions

__all__ = ["AsyncSpeechSession", "Session", "SpeechSession"]


class SpeechSession(SpeechStream):
    """An open text and its speech: write in one thread, iterate over the pieces of speech in another.

    IshowError, status ESTATE: the text has ended; a failure of the speech is raised by whichever call comes first.
    """

    _writer: BaseException | None = None
    """What ended `write_from`."""

    def write(self, text: str, timeout: float = -1) -> None:
        """Add a piece of at most 5000 characters; it may end inside a word.

        Waits for room up to `timeout` seconds (below 0: as long as it takes), then IshowError with status EAGAIN, and
        nothing of the piece is taken.
        """
        self._utterance.feed(text, timeout)

    def write_from(self, pieces: Iterable[str]) -> None:
        """Write all pieces and end the text, in a thread of its own. What `pieces` raises, the iteration raises."""

        def work() -> None:
            try:
                for piece in pieces:
                    self.write(piece)
                self.end()
            except IshowError:
                pass  # the reader gets it too
            except BaseException as error:
                self._writer = error
                self.cancel()

        threading.Thread(target=work, name="ishow-writer", daemon=True).start()

    def set_text(self, text: str) -> int:
        """Replace the text that has not begun to be made into speech; returns how many characters before it stay."""
        return self._utterance.set_text(text)

    def flush(self) -> None:
        """Speak what has come as it is, without waiting for the end of a sentence."""
        self._utterance.flush()

    def end(self) -> None:
        """The text is complete. The iteration ends when it is spoken."""
        self._utterance.end()

    def __next__(self) -> Samples:
        try:
            return super().__next__()
        except IshowError:
            if self._writer is not None:
                raise self._writer from None
            raise


class AsyncSpeechSession(AsyncSpeechStream):
    """The same for asyncio: `await write(...)`, and `async for` over the pieces of speech in another task."""

    _task: asyncio.Task[None] | None = None

    async def write(self, text: str) -> None:
        """Add a piece of at most 5000 characters; waits for room."""
        while True:
            self._news.clear()
            try:
                self._session().write(text, 0)
                return
            except IshowError as error:
                if error.status != "EAGAIN":
                    raise
            await self._news.wait()

    def write_from(self, pieces: AsyncIterable[str]) -> None:
        """Write all pieces and end the text, in a task of its own. What `pieces` raises, the iteration raises."""

        async def work() -> None:
            async for piece in pieces:
                await self.write(piece)
            self.end()

        self._task = asyncio.create_task(work())
        self._task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._stream is not None:
            self._stream.cancel()

    def set_text(self, text: str) -> int:
        """As of `SpeechSession`."""
        return self._session().set_text(text)

    def flush(self) -> None:
        """As of `SpeechSession`."""
        self._session().flush()

    def end(self) -> None:
        """As of `SpeechSession`."""
        self._session().end()

    def _session(self) -> SpeechSession:
        if self._stream is None:
            raise IshowError("The session is closed.", status="ESTATE")
        assert isinstance(self._stream, SpeechSession)
        return self._stream

    async def __anext__(self) -> Samples:
        try:
            return await super().__anext__()
        except IshowError:
            if self._task is not None and self._task.done() and not self._task.cancelled():
                failure = self._task.exception()
                if failure is not None and not isinstance(failure, IshowError):
                    raise failure from None
            raise

    async def aclose(self) -> None:
        """Cancel what is not finished. May be called twice."""
        if self._task is not None:
            self._task.cancel()
        await super().aclose()


class Session:
    """A context manager for `with` and `async with`, made by `Engine.session`; leaving it cancels what is left."""

    def __init__(self, engine: Engine, voice: str | None, options: SessionOptions) -> None:
        self._engine, self._voice, self._options = engine, voice, options
        self._open: SpeechSession | None = None
        self._open_async: AsyncSpeechSession | None = None

    def begin(self, **more: Unpack[SessionOptions]) -> SpeechSession:
        """The session itself; cancelled by `cancel` or with its last reference."""
        options: SessionOptions = {"early": True, **self._options, **more}
        utterance = self._engine.submit(
            "", self._voice, open=True, **flattened(options, lambda: self._engine.info()["n_mels"])
        )
        return SpeechSession(utterance, self._engine.info()["sample_rate"])

    def __enter__(self) -> SpeechSession:
        self._open = self.begin()
        return self._open

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.cancel()

    async def __aenter__(self) -> AsyncSpeechSession:
        self._open_async = AsyncSpeechSession(lambda fd: self.begin(notify=fd))
        return self._open_async

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open_async is not None:
            await self._open_async.aclose()
