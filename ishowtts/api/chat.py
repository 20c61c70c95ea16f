"""Live chat: requests and listeners of the chat that the C core runs (csrc/service/chat.h)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from .._chat import Reader
from .faults import Fault
from .routes import Endpoints, Shared, answered, json_body, needs_key, needs_speech, optional_json_body, verb_of
from .speech import EVENT_HEADERS
from .state import State

if TYPE_CHECKING:
    from .._chat import Verb

PART = 16 * 1024
"""Bytes that a listener is sent at once."""
ALIVE_SECONDS = 15.0
"""A listener that has heard nothing for long gets a sign of life."""
router = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech)])


async def enqueue(state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """A message to read aloud; answered when it would survive a crash."""
    return answered(await asyncio.to_thread(state.chat.ask, "enqueue", body))


async def place(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """Joins or leaves a channel."""
    return answered(await asyncio.to_thread(state.chat.ask, cast("Verb", verb_of(request)), body))


async def control(request: Request, state: Shared, body: Annotated[bytes, Depends(optional_json_body)]) -> Response:
    """Skip, pause, resume, clear, replay: a body may be left out."""
    return answered(state.chat.ask(cast("Verb", verb_of(request)), body))


async def shown(request: Request, state: Shared) -> Response:
    """What waits and plays; counts and connections."""
    return answered(state.chat.ask(cast("Verb", verb_of(request))))


async def delete(state: Shared, id: str) -> Response:
    """Takes a message back."""
    return answered(state.chat.delete(id))


async def stream(request: Request, state: Shared) -> Response:
    """Events; `Last-Event-ID` resumes."""
    if request.state.only_head:
        return Response(headers=EVENT_HEADERS)
    if state.connections() > (most := state.config.server.connections_max):
        raise Fault(503, "unavailable", f"{most} connections are open, which is the most.")
    return _Listening(state, state.chat.listen(request.headers.get("last-event-id")))


ENDPOINTS: Endpoints = {
    "danmaku_start": place, "danmaku_stop": place, "danmaku_enqueue": enqueue, "danmaku_skip": control,
    "danmaku_pause": control, "danmaku_resume": control, "danmaku_clear": control, "danmaku_replay": control,
    "danmaku_delete": delete, "danmaku_queue": shown, "danmaku_status": shown, "danmaku_stream": stream,
}  # fmt: skip


class _Listening(StreamingResponse):
    """One listener's events, until either side leaves."""

    def __init__(self, state: State, reader: Reader) -> None:
        super().__init__(self._events(), headers=EVENT_HEADERS)
        self._state = state
        self._reader: Reader | None = reader

    async def _events(self) -> AsyncIterator[bytes]:
        with self._state.news() as news:
            while not self._state.draining and self._reader is not None:
                news.clear()
                if part := self._reader.text(PART):
                    yield part
                else:
                    await _wait(news)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self._state.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._state.listeners -= 1
            self._reader = None  # at once, not when the generator is collected


async def _wait(news: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), ALIVE_SECONDS)


@router.websocket("/api/danmaku/stream", name="danmaku_stream")
async def listen(socket: WebSocket, state: Shared) -> None:
    """The same over WebSocket."""
    reader: Reader | None = state.chat.listen(cast(HTTPConnection, socket).headers.get("last-event-id"))
    await socket.accept()
    hears = asyncio.ensure_future(socket.receive())
    try:
        with state.news() as news:
            while not (state.draining or hears.done()):
                news.clear()
                frame = reader.frame() if reader is not None else None
                if isinstance(frame, str):
                    await socket.send_text(frame)
                elif frame is not None:
                    await socket.send_bytes(frame)
                else:
                    await asyncio.wait(
                        (hears, told := asyncio.ensure_future(_wait(news))), return_when="FIRST_COMPLETED"
                    )
                    told.cancel()
        if not hears.done():
            await socket.close(1001)
        elif hears.result()["type"] != "websocket.disconnect":
            await socket.close(1003, "This stream is for listening; commands go to /api/danmaku over HTTP.")
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client left
    finally:
        hears.cancel()
        reader = None
