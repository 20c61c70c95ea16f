"""Checks of the head of a request before FastAPI sees it, and the headers that every answer has."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .examples import LINES
from .faults import Fault

if TYPE_CHECKING:
    from .state import State

URI_MAX = 2048
HEADER_MAX = 16 * 1024
SWALLOW_MAX = 16 * 1024 * 1024
"""Bytes of a refused request's body that are read and dropped, so that the client reads the answer."""
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FIELD_LIST = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")
"""A list of header field names (RFC 9110, 5.6.2) that is short enough to be repeated in an answer."""
_EXPOSED = "X-Request-Id, X-Seed, X-Sample-Rate, X-Unspoken, Server-Timing, Retry-After, ETag, Content-Range, Location"


class Guard:
    """The outermost ASGI layer: it checks requests, adds headers to answers, and counts them."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if ID.fullmatch(given) else secrets.token_hex(12)
        inner = {**scope, "state": {"request_id": request_id, "only_head": scope.get("method") == "HEAD"}}
        body = _Body(headers, receive)
        answer = _Answer(self._state, request_id, body, send)
        try:
            _check_head(scope, headers)
            answer.origin = self._state.access.check_host(headers.get("host"), headers.get("origin"))
            if "origin" not in headers:
                self._state.access.check_fetch(headers.get("sec-fetch-site"), headers.get("sec-fetch-mode"))
            if scope["type"] == "http":
                if answer.origin and scope["method"] == "OPTIONS":
                    await answer.preflight(headers.get("access-control-request-headers", ""))
                    return
                if scope["method"] == "HEAD":
                    inner["method"] = "GET"  # uvicorn drops the body
            await self._app(inner, body.receive, answer.send)
        except Fault as fault:
            await fault.response()(scope, receive, answer.send)
        finally:
            route = inner.get("route")
            self._state.metrics.request(getattr(route, "name", "other"), answer.status if answer.complete else 0)


class _Body:
    """The body of a request, which knows whether all of it was read."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        length = headers.get("content-length", "")
        self._receive = receive
        self._whole = length in ("", "0") and "transfer-encoding" not in headers
        self.is_lines = headers.get("content-type", "").startswith(LINES)
        """It is spoken while it comes: an answer may begin before it has ended."""
        self._waits = "expect" in headers or (length.isdecimal() and int(length) > SWALLOW_MAX)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body"):
            self._whole = True
        return message

    async def swallow(self) -> None:
        """Read and drop the rest, unless the client waits for 100 Continue or more than SWALLOW_MAX bytes follow."""
        n = 0
        while not self._whole and not self._waits and n <= SWALLOW_MAX:
            n += len((await self.receive()).get("body", b""))


class _Answer:
    """Adds the common headers to an answer and records its status."""

    def __init__(self, state: State, request_id: str, body: _Body, send: Send) -> None:
        self._state = state
        self._id = request_id
        self._body = body
        self._send = send
        self.origin: str | None = None
        self.status = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            if not (self._body.is_lines and self.status == 200):
                await self._body.swallow()
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._id
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin" if self.origin else "same-origin"
            headers.setdefault("Cache-Control", "no-store")
            if self.origin:
                headers["Access-Control-Allow-Origin"] = self.origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED
                headers["Vary"] = "Origin"
            if self.status in (429, 503):
                headers.setdefault("Retry-After", str(self._state.retry_after()))
            if self._state.draining:
                headers["Connection"] = "close"
        await self._send(message)
        if message["type"].endswith("response.body") and not message.get("more_body"):
            self.complete = True
        if message["type"] == "websocket.accept":
            self.status, self.complete = 101, True

    async def preflight(self, asked: str) -> None:
        allowed = asked if _FIELD_LIST.fullmatch(asked) else "Authorization, Content-Type, X-Request-Id"
        headers = [
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"access-control-allow-headers", allowed.encode("ascii")),
            (b"access-control-max-age", b"600"),
        ]
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body"})


def _check_head(scope: Scope, headers: Headers) -> None:
    lengths, encodings = headers.getlist("content-length"), headers.getlist("transfer-encoding")
    if (hosts := len(headers.getlist("host"))) > 1:
        raise Fault(400, "malformed_host", f"A request must have one Host, not {hosts}.", "Host")
    if len(lengths) + len(encodings) > 1:
        name = "Content-Length" if len(lengths) > 1 else "Transfer-Encoding"
        text = "A request must have one Content-Length or one Transfer-Encoding, not several."
        raise Fault(400, "ambiguous_length", text, name)
    if lengths and not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
        raise Fault(400, "ambiguous_length", "Content-Length must be a whole number.", "Content-Length")
    if encodings and encodings[0].lower() != "chunked":
        raise Fault(400, "ambiguous_length", "The only Transfer-Encoding understood is chunked.", "Transfer-Encoding")
    address = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    if len(address) > URI_MAX:
        raise Fault(414, "uri_too_long", f"The address may have {URI_MAX} characters, not {len(address)}.")
    if b"%00" in address:
        raise Fault(400, "malformed_uri", "The address holds a NUL.")
    size = sum(len(name) + len(value) + 4 for name, value in headers.raw)
    if size > HEADER_MAX:
        raise Fault(431, "headers_too_large", f"The header fields may have {HEADER_MAX} bytes, not {size}.")
    if scope["type"] == "http" and scope["http_version"] != "1.0" and "host" not in headers:
        raise Fault(400, "malformed_host", "A request needs a Host.")
