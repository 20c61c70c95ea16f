"""An HTTP server with a WebSocket on one port, for the doubles of platforms that have both."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from aiohttp import WSMessage, web
from background import Background
from listening import Certificate


class WebDouble(Background):
    """A subclass gives the routes, and says what happens on a socket; `sockets` are the open ones, the newest last."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.sockets: list[web.WebSocketResponse] = []

    def routes(self) -> Iterable[web.RouteDef]:
        raise NotImplementedError

    async def opened(self, socket: web.WebSocketResponse) -> None:
        """A client has connected."""

    async def received(self, socket: web.WebSocketResponse, message: WSMessage) -> None:
        """It has sent a message."""

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(self.routes())
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        self._hang_up()
        await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

    async def serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        """The handler of the WebSocket's route."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        with suppress(ConnectionError):
            await self.opened(socket)
            async for message in socket:
                await self.received(socket, message)
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket

    def _hang_up(self) -> None:
        while self.sockets:
            socket = self.sockets.pop()
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    def hang_up(self) -> None:
        """Aborts all connections of sockets."""
        self.call(self._hang_up)
