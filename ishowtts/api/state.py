"""What the endpoints share: settings, the engine once it is loaded, and the requests that run."""

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
from .._service import RETRY_AFTER, Load, Store, Voices
from ..config import Config
from ..engine import Engine, Samples, SpeechStream
from ..errors import IshowError
from ..fields import SpeechOptions
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
    """One server's. All but `engine`, which a loading thread's end sets, belongs to the event loop."""

    config: Config
    access: Access
    loopback: bool
    """Only this machine reaches the server."""
    store: Store
    default_voice: str | None = None
    engine: Engine | None = None
    draining: bool = False
    connections: Callable[[], int] = lambda: 0
    """Open ones."""
    listeners: int = 0
    uploads: int = 0
    """Being received."""
    began: float = field(default_factory=time.time)
    """When it was started, in seconds of the clock."""
    running: dict[str, SpeechStream] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    settings: InForce = field(init=False)
    reload: Callable[[], Awaitable[dict[str, list[str]]]] = field(init=False)
    """Reads the configuration again and puts it into force (`settings.Reloader.reload`)."""
    voices: Voices = field(init=False)
    chat: Chat = field(init=False)
    load: Load = field(init=False)
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _news: int = -1

    def __post_init__(self) -> None:
        self.settings = InForce(self.config.to_json(), self.config.sources)

    @property
    def status(self) -> str:
        """As health says it."""
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
        """The engine; Fault 503 while there is none to use."""
        if self.draining:
            raise Fault(503, "draining", "The server is closing down.")
        if self.engine is None:
            raise Fault(503, "loading", "The model is being loaded.")
        return self.engine

    def listen(self) -> None:
        """Let engine and chat wake this event loop: their threads write to an eventfd, so none waits for the interpreter lock."""
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._news, self._wake)

    def furnish(self, engine: Engine) -> None:
        """What serves requests, with the settings in force; waits. IshowError: a voice or the chat cannot be had."""
        settings, store = self.settings.text, self.store.handle()
        self.voices = Voices(engine.handle(), store)
        self.voices.load(settings)
        self.chat = Chat(settings, engine.handle(), store, notify=self._news)
        self.load = Load(engine.handle())

    def ready(self, engine: Engine) -> None:
        """Speech is served from now on."""
        self.engine = engine

    def drain(self) -> None:
        """Nothing new; who listens without end is let go."""
        self.draining = True
        self._tell()

    def close(self) -> None:
        """Take apart what `furnish` made, before the engine goes."""
        if hasattr(self, "chat"):
            self.chat.close()
        for name in ("chat", "voices", "load"):
            self.__dict__.pop(name, None)

    def retry_after(self) -> int:
        """How long what waits will take, in seconds, as far as is known."""
        if self.engine is None or self.draining:
            return RETRY_AFTER
        return self.load.retry_after(self.config.server.request_seconds)

    def _wake(self) -> None:
        os.eventfd_read(self._news)
        self._tell()

    def _tell(self) -> None:
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
        with self.news() as news:
            while True:
                news.clear()
                try:
                    piece = stream.poll(0)
                except IshowError as error:
                    if error.status != "EAGAIN":
                        raise Fault.from_error(error) from None
                    await news.wait()
                    continue
                if piece is None:
                    return
                yield piece

    @contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """Set whenever there may be something new of a speech or of the chat."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)
