"""Limits below ASGI: connections, heads, requests that never come to their end, and listeners that take nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .faults import Fault

CONNECTIONS_MAX = 512
IDLE_SECONDS = 30.0
HEAD_MAX = 64 * 1024
"""Bytes of a request line and its fields that are read at all; the guard refuses fewer with a status of their own."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, with the C server's limits."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self._give_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_time()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

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

    def _give_time(self) -> None:
        self._stop_time()
        self._timer = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _stop_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def limits() -> dict[str, Any]:
    """Options of uvicorn that belong to this protocol."""
    return {"http": Protocol, "timeout_keep_alive": int(IDLE_SECONDS), "server_header": False}
