"""Running it: the port is opened and health answered at once, the model is loaded behind it."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import uvicorn

from .. import _audio, _engine, _phones
from .._service import Store, Watcher
from ..config import Config
from ..engine import Engine, open_engine
from ..errors import ConfigError, IshowError
from . import protocol
from .access import Access
from .app import create
from .settings import Reloader
from .state import State

logger = logging.getLogger("ishowtts")
_OF_MODULES = (_audio, _phones)
"""Modules that keep handles as long as they are loaded: they are loaded before handles are counted."""


def serve(config: Config, read: Callable[[], Config]) -> int:
    """Serve until SIGTERM or SIGINT, finishing what runs; returns the exit code. `read`: reads the configuration again."""
    before = _engine.live_handles()
    logging.basicConfig()
    _set_log(config.server.log_level, config.server.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    settings = config.to_dict()
    bound = _bind(config.server.host, config.server.port)
    host, port = bound.getsockname()[:2]
    loopback = ipaddress.ip_address(host).is_loopback
    access = Access(config.server, loopback, settings["server"]["api_key"])
    state = State(config, access, loopback, Store(settings["server"]["state_dir"]), settings["default_voice"])
    _raise_descriptors()
    server = _Server(state, read, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    try:
        server.run(sockets=[bound])
    finally:
        state.close()
        if state.engine is not None:
            state.engine.close()
    failed = server.failed
    del state, server
    _tell_of_handles(before)
    return 1 if failed else 0


class _Json(logging.Formatter):
    """Lines as the core writes them."""

    def format(self, record: logging.LogRecord) -> str:
        """An object on one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = {"WARNING": "warn", "CRITICAL": "error"}.get(record.levelname, record.levelname.lower())
        line = {"time": moment, "level": level, "room": record.name, "message": super().format(record)}
        return json.dumps(line, ensure_ascii=False)


def _set_log(level: str, format: str) -> None:
    """Of what Python writes and of what the core does."""
    logging.getLogger().setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Json() if format == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    _engine.log_to_stderr(level, format)


def _tell_of_handles(before: int) -> None:
    """Everything is closed now; a handle of the core more than there were `before` was leaked."""
    gc.collect()  # the application and its state refer to one another
    if (alive := _engine.live_handles() - before) > 0:
        logger.warning("%d handles are still alive at the end", alive)


def _raise_descriptors() -> None:
    """Each connection is a descriptor, and the usual limit of 1024 was made for programs that use select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(
            f"The host {host} cannot be resolved: {error.strerror}.", status="EIO", field="host"
        ) from None
    family, kind, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    bound = socket.socket(family, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"{host} port {port} is in use or cannot be listened on: {error.strerror}.", status="EIO"
        ) from None
    return bound


class _Server(uvicorn.Server):
    """uvicorn that loads the engine beside its loop, and says when it is ready."""

    def __init__(self, state: State, read: Callable[[], Config], url: str) -> None:
        places = protocol.Connections(state)
        super().__init__(
            uvicorn.Config(
                create(state),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=int(state.config.server.drain_seconds),
                ws="websockets-sansio",
                ws_max_size=state.config.server.body_bytes_max,
                **protocol.limits(places),
            )
        )
        self.failed = False
        self._state = state
        self._url = url
        self._places = places
        self._loading: asyncio.Task[None] | None = None
        self._reloading: set[asyncio.Task[None]] = set()
        self._watcher: Watcher | None = None
        self._poked = -1
        places.open = self.server_state.connections
        state.connections = lambda: len(places)
        self._reloader = Reloader(state, read, self._apply)
        state.reload = self._reloader.reload

    def _apply(self, config: Config) -> None:
        self.config.ws_max_size = config.server.body_bytes_max
        self.config.timeout_graceful_shutdown = int(config.server.drain_seconds)
        _set_log(config.server.log_level, config.server.log_format)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """The first signal asks to stop and a second one ends at once; uvicorn would die by the first when all is done."""
        handlers = {signal.SIGINT: self._stop, signal.SIGTERM: self._stop, signal.SIGHUP: self._hang_up}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + number)
        self.should_exit = True

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        if self._watcher is not None:
            self._watcher.poke()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then load."""
        await super().startup(sockets)
        logger.info("health is answered on %s, loading %s", self._url, self._state.config.model.name)
        self._state.listen()
        self._poked = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._watcher = Watcher(self._state.config.file, self._poked)
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            engine = await asyncio.to_thread(self._open)
        except IshowError as error:
            print(f"ishowtts api: {error}", file=sys.stderr)
            self.failed = self.should_exit = True
            return
        self._state.ready(engine)
        asyncio.get_running_loop().add_reader(self._poked, self._reload)  # also what was asked for meanwhile
        logger.info("ready after %.2f s", time.monotonic() - began)
        print(f"iShowTTS listens on {self._url}", flush=True)

    def _open(self) -> Engine:
        engine = open_engine(self._state.config, voices=False)
        try:
            self._state.furnish(engine)
        except BaseException:
            self._state.close()
            engine.close()
            raise
        return engine

    def _reload(self) -> None:
        os.eventfd_read(self._poked)
        if self._watcher is not None and (why := self._watcher.take()) is not None:
            task = asyncio.create_task(self._reloader.reload_because(why))
            self._reloading.add(task)
            task.add_done_callback(self._reloading.discard)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self._places.give_way()
        if self._state.engine is not None and counter % 5 == 0:
            self._state.load.tick()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what runs."""
        logger.info(
            "closing: finishing what is being spoken, for %g s at most", self._state.config.server.drain_seconds
        )
        self._watcher = None
        if self._loading is not None:
            await self._loading
        self._state.drain()
        await super().shutdown(sockets)
        for stream in list(self._state.running.values()):
            stream.cancel()
