"""Running it: the port is opened and health answered at once, the model is loaded behind it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from ..config import Config
from ..engine import open_engine
from ..errors import ConfigError, IshowError
from . import protocol
from .access import Access
from .app import create
from .state import State

logger = logging.getLogger("ishowtts")


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT, finishing what runs; returns the exit code."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    bound = _bind(config.server.host, config.server.port)
    host, port = bound.getsockname()[:2]
    state = State(config, Access(config.server, ipaddress.ip_address(host).is_loopback), config.default_voice)
    server = _Server(state, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    try:
        server.run(sockets=[bound])
    finally:
        if state.engine is not None:
            state.engine.close()
    return 1 if server.failed else 0


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"The host {host} cannot be resolved: {error.strerror}.", status="EIO", field="host") from None
    family, kind, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    bound = socket.socket(family, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigError(f"{host} port {port} is in use or cannot be listened on: {error.strerror}.", status="EIO") from None
    return bound


class _Server(uvicorn.Server):
    """uvicorn that loads the engine beside its loop, and says when it is ready."""

    def __init__(self, state: State, url: str) -> None:
        options = protocol.limits()
        super().__init__(
            uvicorn.Config(
                create(state),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=int(state.config.server.drain_seconds),
                backlog=protocol.CONNECTIONS_MAX,
                ws="websockets-sansio",
                ws_max_size=state.config.server.body_bytes_max,
                ws_ping_interval=protocol.IDLE_SECONDS,
                **options,
            )
        )
        self.failed = False
        self._state = state
        self._url = url
        self._loading: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """The first signal asks to stop and a second one ends at once; uvicorn would die by the first when all is done."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + number)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then load."""
        await super().startup(sockets)
        logger.info("health is answered on %s, loading %s", self._url, self._state.config.model.name)
        self._state.listen()
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            engine = await asyncio.to_thread(open_engine, self._state.config)
        except IshowError as error:
            print(f"ishowtts api: {error}", file=sys.stderr)
            self.failed = self.should_exit = True
            return
        self._state.engine = engine
        logger.info("ready after %.2f s", time.monotonic() - began)
        print(f"iShowTTS listens on {self._url}", flush=True)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self._state.connections = len(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what runs."""
        self._state.draining = True
        logger.info("closing: finishing what is being spoken, for %g s at most", self._state.config.server.drain_seconds)
        if self._loading is not None:
            await self._loading
        await super().shutdown(sockets)
        for stream in list(self._state.running.values()):
            stream.cancel()
