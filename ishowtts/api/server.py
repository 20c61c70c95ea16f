"""Running the FastAPI server: the port opens and health is answered at once, while the model is loaded."""

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
"""Modules that hold handles of the core while they are loaded; imported here, before handles are counted."""


def serve(config: Config, read: Callable[[], Config]) -> int:
    """Serve until SIGTERM or SIGINT, then finish running speech; the exit status.

    `read`: reads the configuration again for a reload. ConfigError: the address cannot be used, or a setting is wrong.
    """
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
    """Formats log records as JSON lines like those of the C core."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as a JSON object on one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = {"WARNING": "warn", "CRITICAL": "error"}.get(record.levelname, record.levelname.lower())
        line = {"time": moment, "level": level, "module": record.name, "message": super().format(record)}
        return json.dumps(line, ensure_ascii=False)


def _set_log(level: str, format: str) -> None:
    """Set level and format of the log, for Python and for the C core."""
    logging.getLogger().setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Json() if format == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    _engine.log_to_stderr(level, format)


def _tell_of_handles(before: int) -> None:
    """Warn about leaked handles: more of the core's handles are alive than `before`, though all is closed."""
    gc.collect()  # the application and its state refer to one another
    if (alive := _engine.live_handles() - before) > 0:
        logger.warning("%d handles are still alive at the end", alive)


def _raise_descriptors() -> None:
    """Raise the soft limit of file descriptors to the hard one; each connection needs a descriptor."""
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
    """uvicorn's server, which also loads the engine on a thread, reloads the configuration and stops on signals."""

    def __init__(self, state: State, read: Callable[[], Config], url: str) -> None:
        places = protocol.Connections(state)
        super().__init__(
            uvicorn.Config(
                create(state),
                lifespan="off",
                proxy_headers=False,  # whoever connects could name any address
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
        """Install our signal handlers; uvicorn's would raise the signal again after the server has stopped."""
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
        """Open the port and start loading the model."""
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
        asyncio.get_running_loop().add_reader(self._poked, self._reload)  # fires at once for a request made before
        logger.info("ready after %.2f s", time.monotonic() - began)
        print(f"iShowTTS listens on {self._url}", flush=True)

    def _open(self) -> Engine:
        engine = open_engine(self._state.config, voices=False)
        try:
            self._state.load_services(engine)
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
        """Called by uvicorn ten times a second."""
        self._places.give_way()
        if self._state.engine is not None and counter % 5 == 0:
            self._state.load.tick()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, finish running speech, and close."""
        logger.info(
            "closing: finishing what is being spoken, for %g s at most", self._state.config.server.drain_seconds
        )
        self._watcher = None
        if self._loading is not None:
            await self._loading
        self._state.drain()
        end = time.monotonic() + self._state.config.server.drain_seconds
        while self._state.speaks() and time.monotonic() < end:
            await asyncio.sleep(0.1)
        self._state.hang_up()
        await super().shutdown(sockets)
        for stream in list(self._state.running.values()):
            stream.cancel()
