"""Limits below ASGI: number of connections, size of heads, time for a request, time for a client to read."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .._engine import DEFAULTS as D
from .examples import LINES
from .faults import Fault

if TYPE_CHECKING:
    from .state import State

UNSENT_MAX = 16 * 1024
"""Bytes that the kernel buffers unsent for a connection, instead of its default of megabytes."""
HEAD_MAX = 64 * 1024
"""Bytes of a request's head at which the connection is closed; the guard answers smaller excesses with an error."""


class Connections:
    """The open connections of a server; those over the limit wait unread until another one is closed.

    Listeners of the chat are not counted here: too many of them are refused by `api.chat`.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.open: set[Any] = set()
        """uvicorn's set of open connections, WebSockets included."""
        self._waiting: deque[Protocol] = deque()

    def __len__(self) -> int:
        return len(self.open) - len(self._waiting)

    def admit(self, new: Protocol) -> None:
        """Serve a new connection now or later, or close it where its client has too many."""
        limits = self._state.config.server
        if not self._state.loopback and self._of(new.client) > limits.connections_per_client:
            new.transport.abort()
        elif self._full(len(self) - 1):
            self._waiting.append(new)
            new.loop.call_soon(self._hold, new)  # the transport starts reading after this call, even if paused now

    def give_way(self, gone: Protocol | None = None) -> None:
        """Serve waiting connections as far as the limit allows; `gone`: a connection that was closed."""
        if gone is not None and gone in self._waiting:
            self._waiting.remove(gone)
        while self._waiting and not self._full(len(self)):
            self._waiting.popleft().transport.resume_reading()

    def _hold(self, new: Protocol) -> None:
        if new in self._waiting:
            new.transport.pause_reading()

    def _full(self, others: int) -> bool:
        return others - self._state.listeners >= self._state.config.server.connections_max

    def _of(self, client: tuple[str, int] | None) -> int:
        return sum(client is not None and one.client is not None and one.client[0] == client[0] for one in self.open)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with the limits of the C server; the methods are callbacks of asyncio and httptools."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def __init__(self, places: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._places = places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MAX)
        self._give_time()
        self._places.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_time()
        super().connection_lost(exc)
        self._places.give_way(self)

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if dict(self.headers).get(b"content-type", b"").startswith(b"multipart/"):
            self._give_time(D["upload_seconds"])
        elif dict(self.headers).get(b"content-type", b"").startswith(LINES.encode()):
            self._stop_time()  # the writer of the text may think; its speech has a deadline
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline:
            self._give_time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._give_time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop_time()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        why = str(sys.exception() or "")
        if "overflow" in why:
            fault = Fault(413, "too_large", "The body is longer than can be counted.", headers={"Connection": "close"})
        elif "Content-Length" in why or "Transfer-Encoding" in why:
            fault = Fault(400, "ambiguous_length", "A request must have one Content-Length or one Transfer-Encoding.")
        else:
            fault = Fault(400, "malformed_http", "This is not an HTTP request that can be understood.")
        body = json.dumps(fault.body()).encode()
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[fault.status] + fields.encode() + body)
        self.transport.close()

    def _count(self, n: int) -> None:
        self._head += n
        if self._head > HEAD_MAX:
            raise ValueError("the head of the request is too long")

    def _give_time(self, seconds: float = D["idle_seconds"]) -> None:
        self._stop_time()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def limits(places: Connections) -> dict[str, Any]:
    """Arguments of `uvicorn.Config` for this protocol."""
    return {
        "http": functools.partial(Protocol, places), "timeout_keep_alive": D["idle_seconds"], "server_header": False,
        "backlog": 512, "ws_ping_interval": float(D["idle_seconds"]),
    }  # fmt: skip
