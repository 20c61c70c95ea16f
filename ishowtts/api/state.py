"""What the endpoints share: settings, the engine once it is loaded, and the requests that run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..config import Config
from ..engine import Engine, Samples, SpeechOptions, SpeechStream
from ..errors import IshowError
from .access import Access
from .faults import Fault
from .metrics import Metrics


@dataclass
class State:
    """One server's. All but `engine`, which a loading thread's end sets, belongs to the event loop."""

    config: Config
    access: Access
    default_voice: str | None = None
    engine: Engine | None = None
    draining: bool = False
    connections: int = 0
    began: float = field(default_factory=time.time)
    """When it was started, in seconds of the clock."""
    running: dict[str, SpeechStream] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _news: int = -1

    @property
    def status(self) -> str:
        """As health says it."""
        return "draining" if self.draining else "ready" if self.engine else "loading"

    def speech(self) -> Engine:
        """The engine; Fault 503 while there is none to use."""
        if self.draining:
            raise Fault(503, "draining", "The server is closing down.")
        if self.engine is None:
            raise Fault(503, "loading", "The model is being loaded.")
        return self.engine

    def listen(self) -> None:
        """Let the engine wake this event loop: its threads write to an eventfd, so none waits for the interpreter lock."""
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._news, self._wake)

    def _wake(self) -> None:
        os.eventfd_read(self._news)
        for event in self._waiting:
            event.set()

    def submit(self, request_id: str, text: str, voice: str | None, options: SpeechOptions) -> SpeechStream:
        """Start a speech under its request's id."""
        engine = self.speech()
        if request_id in self.running:
            raise Fault(409, "duplicate_id", f"A request with the id {request_id} is running.", "X-Request-Id")
        try:
            options = {**options, "deadline": self.config.server.request_seconds, "notify": self._news}
            stream = engine.stream(text, voice or self.default_voice, **options)
        except IshowError as error:
            raise Fault.from_error(error) from None
        self.running[request_id] = stream
        return stream

    def release(self, request_id: str, stream: SpeechStream) -> None:
        """The request is over; what still runs of it is cancelled."""
        if self.running.get(request_id) is stream:
            del self.running[request_id]
        stream.cancel()

    async def pieces(self, stream: SpeechStream) -> AsyncIterator[Samples]:
        """The finished audio piece by piece; Fault when the speech fails."""
        with self._waiter() as news:
            while True:
                news.clear()
                try:
                    piece = stream.poll(0)
                except IshowError as error:
                    if error.status != "ETIMEOUT" or error.field == "deadline":
                        raise Fault.from_error(error) from None
                    await news.wait()
                    continue
                if piece is None:
                    return
                yield piece

    @contextmanager
    def _waiter(self) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)
