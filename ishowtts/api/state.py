"""The state that all endpoints share: settings, the engine once it is loaded, running requests."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._chat import Chat
from .._service import RETRY_AFTER, Guesses, Lexicon, Load, Store, Voices
from ..config import Config
from ..engine import Engine
from ..errors import IshowError
from ..fields import SpeechOptions
from ..streams import Samples, SpeechStream
from .access import Access
from .faults import Fault
from .metrics import Gauges, Metrics


@dataclass
class InForce:
    """The settings that requests get now. A reload replaces the whole object."""

    text: str
    """`Config.to_json()`, secrets included."""
    sources: dict[str, str]
    """`Config.sources`."""
    restart_needed: list[str] = field(default_factory=list)
    """Settings whose new values wait for a restart."""


@dataclass
class State:
    """The state of one server. It belongs to the event loop; `engine` is None until the model is loaded."""

    config: Config
    access: Access
    loopback: bool
    """The server listens on a loopback address."""
    store: Store
    default_voice: str | None = None
    engine: Engine | None = None
    draining: bool = False
    hung_up: bool = False
    """The streams of the chat's listeners end."""
    connections: Callable[[], int] = lambda: 0
    """The number of open connections."""
    listeners: int = 0
    """The number of listeners of the chat."""
    guesses: Guesses = field(default_factory=Guesses)
    """The wrong API keys, which a reload does not forget."""
    uploads: int = 0
    """The number of uploads that are being received."""
    began: float = field(default_factory=time.time)
    """The time of the start, in seconds since 1970."""
    running: dict[str, SpeechStream] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    settings: InForce = field(init=False)
    reload: Callable[[], Awaitable[dict[str, list[str]]]] = field(init=False)
    """Reads the configuration again and puts it into force (`settings.Reloader.reload`)."""
    voices: Voices = field(init=False)
    lexicon: Lexicon = field(init=False)
    chat: Chat = field(init=False)
    load: Load = field(init=False)
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _news: int = -1

    def __post_init__(self) -> None:
        self.settings = InForce(self.config.to_json(), self.config.sources)

    @property
    def status(self) -> str:
        """The `status` of `GET /api/health`: "loading", "ready", "degraded" or "draining"."""
        if self.draining or self.engine is None:
            return "draining" if self.draining else "loading"
        return "degraded" if self.store.failing() else "ready"

    def shown_settings(self) -> dict[str, Any]:
        """The answer of `GET /api/config`: the settings in force, secrets masked, and where each was set."""
        return {
            "file": self.config.file,
            "settings": json.loads(self.settings.text)["shown"],
            "sources": self.settings.sources,
            "restart_needed": self.settings.restart_needed,
        }

    def metrics_text(self) -> bytes:
        """The answer of `GET /metrics`: counters and gauges of the server, the engine and the chat."""
        gauges = Gauges(
            self.engine, self.status in ("ready", "degraded"), self.store.failing() is None, self.connections()
        )
        return self.metrics.text(gauges) + (self.chat.metrics() if self.engine else b"")

    def speech(self) -> Engine:
        """The engine. Fault 503: the model is being loaded, or the server closes down."""
        if self.draining:
            raise Fault(503, "draining", "The server is closing down.")
        if self.engine is None:
            raise Fault(503, "loading", "The model is being loaded.")
        return self.engine

    def listen(self) -> None:
        """Create the eventfd by which threads of engine and chat wake the event loop without the interpreter lock."""
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._news, self._wake)

    def load_services(self, engine: Engine) -> None:
        """Create voices, chat and load estimate from the settings in force; blocks while files are read.

        IshowError: a voice cannot be used or the chat cannot be opened.
        """
        settings, store = self.settings.text, self.store.handle()
        self.voices = Voices(engine.handle(), store)
        self.voices.load(settings)
        self.lexicon = Lexicon(engine.handle(), store)
        self.chat = Chat(settings, engine.handle(), store, notify=self._news)
        self.load = Load(engine.handle())

    def ready(self, engine: Engine) -> None:
        """Serve speech with this engine from now on."""
        self.engine = engine

    def drain(self) -> None:
        """Refuse new requests; the chat clip that plays is the last one."""
        self.draining = True

    def speaks(self) -> bool:
        """Let no further chat clip begin; whether one still plays."""
        return hasattr(self, "chat") and self.chat.finish()

    def hang_up(self) -> None:
        """End the streams of the chat's listeners."""
        self.hung_up = True
        self._tell()

    def close(self) -> None:
        """Close what `load_services` created; called before the engine is closed."""
        if hasattr(self, "chat"):
            self.chat.close()
        for name in ("chat", "voices", "lexicon", "load"):
            self.__dict__.pop(name, None)

    def retry_after(self) -> int:
        """Seconds for the header Retry-After: the estimated time until waiting requests are done."""
        if self.engine is None or self.draining:
            return RETRY_AFTER
        return self.load.retry_after(self.config.server.request_seconds)

    def _wake(self) -> None:
        os.eventfd_read(self._news)
        self._tell()

    def _tell(self) -> None:
        for event in self._waiting:
            event.set()

    def submit(
        self, request_id: str, text: str, voice: str | None, options: SpeechOptions, idle_ms: int | None = None
    ) -> SpeechStream:
        """Submit a speech and register it as `request_id`, with the server's deadline.

        `voice`: None for the default one. `idle_ms`: not None for a text that comes in pieces, of which `text` is the
        first; the stream is a SpeechSession then. Fault 409: a request with this id is running; other faults: the
        engine refused the speech.
        """
        engine = self.speech()
        if request_id in self.running:
            raise Fault(409, "duplicate_id", f"A request with the id {request_id} is running.", "X-Request-Id")
        try:
            voice = voice or self.default_voice
            options = {**options, "notify": self._news}
            if idle_ms is None:
                options["deadline"] = self.config.server.request_seconds
                stream = engine.stream(text, voice, **options)
            else:
                stream = session = engine.session(voice, **options, idle_ms=idle_ms).begin()
                session.write(text, 0)
        except IshowError as error:
            raise Fault.from_error(error) from None
        self.running[request_id] = stream
        return stream

    def release(self, request_id: str, stream: SpeechStream) -> None:
        """Cancel a speech unless it is finished, and free its request id."""
        if self.running.get(request_id) is stream:
            del self.running[request_id]
        stream.cancel()

    async def pieces(self, stream: SpeechStream, patience: Callable[[], float] | None = None) -> AsyncIterator[Samples]:
        """The samples of a speech in pieces, as they are computed; `patience`: seconds that it may still take.

        Fault: the speech failed.
        """
        with self.news() as news:
            while True:
                news.clear()
                try:
                    piece = stream.poll(0)
                except IshowError as error:
                    if error.status != "EAGAIN":
                        raise Fault.from_error(error) from None
                    await self._wait(news, stream, patience)
                    continue
                if piece is None:
                    return
                yield piece

    async def _wait(self, news: asyncio.Event, stream: SpeechStream, patience: Callable[[], float] | None) -> None:
        try:
            async with asyncio.timeout(patience() if patience else None):
                await news.wait()
        except TimeoutError:
            if patience and patience() <= 0:
                stream.cancel()
                text = "The speech was not finished within the deadline of this server."
                raise Fault(504, "deadline", text) from None

    @contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever a speech may have a new piece or the chat a new event."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)
