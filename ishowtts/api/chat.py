"""Endpoints of live chat, which the C core runs (csrc/service/chat.h)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathField
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from .._chat import Reader
from .examples import answers
from .faults import Fault, no_upgrade
from .messages import text_messages
from .routes import Endpoints, Shared, answered, json_body, needs_key, needs_speech, optional_json_body, verb_of
from .speech import EVENT_HEADERS, dumps
from .state import State

if TYPE_CHECKING:
    from .._chat import Verb

PART = 16 * 1024
"""Bytes of events in one part of an answer."""
ALIVE_SECONDS = 15.0
"""Seconds without an event after which a listener gets a comment, so that proxies keep the connection open."""


def needs_chat(
    state: Shared, chat: Annotated[str | None, Query(description="name of the chat; left out: the first")] = None
) -> None:
    """A dependency: Fault 404 for another chat than the one that a server on its own has."""
    if chat not in (None, *state.config.cluster.chats):
        raise Fault(404, "not_found", f'There is no chat "{chat:.64}".', "chat")


router = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech), Depends(needs_chat)])


async def enqueue(state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """Takes a message to read aloud; answered once it is on the disk."""
    return answered(await asyncio.to_thread(state.chat.ask, "enqueue", body))


async def ingest(state: Shared, kind: str, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """A message in another program's shape; answered like `enqueue`."""
    return answered(await asyncio.to_thread(state.chat.ask, f"ingest/{kind}", body))


async def place(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """Joins or leaves a channel."""
    return answered(await asyncio.to_thread(state.chat.ask, cast("Verb", verb_of(request)), body))


async def control(request: Request, state: Shared, body: Annotated[bytes, Depends(optional_json_body)]) -> Response:
    """Skips, pauses, resumes, clears, replays, approves or rejects; the body may be left out."""
    return answered(state.chat.ask(cast("Verb", verb_of(request)), body))


async def command(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """Mutes or unmutes; the body is needed."""
    return answered(state.chat.ask(cast("Verb", verb_of(request)), body))


async def shown(request: Request, state: Shared) -> Response:
    """The queue, or counts and connections."""
    return answered(state.chat.ask(cast("Verb", verb_of(request))))


async def delete(state: Shared, id: str) -> Response:
    """Deletes a message."""
    return answered(state.chat.delete(id))


async def stream(request: Request, state: Shared) -> Response:
    """The chat's events as server-sent events; `Last-Event-ID` resumes after an event."""
    if request.state.only_head:
        return Response(headers=EVENT_HEADERS)
    if state.connections() > (most := state.config.server.connections_max):
        raise Fault(503, "unavailable", f"{most} connections are open, which is the most.")
    return _Listening(state, state.chat.listen(request.headers.get("last-event-id")))


ENDPOINTS: Endpoints = {
    "danmaku_start": place, "danmaku_stop": place, "danmaku_enqueue": enqueue, "danmaku_skip": control,
    "danmaku_ingest": ingest,
    "danmaku_pause": control, "danmaku_resume": control, "danmaku_clear": control, "danmaku_replay": control,
    "danmaku_mute": command, "danmaku_unmute": command, "danmaku_approve": control, "danmaku_reject": control,
    "danmaku_delete": delete, "danmaku_queue": shown, "danmaku_status": shown, "danmaku_stream": stream,
}  # fmt: skip


class _Listening(StreamingResponse):
    """A server-sent event stream that ends when the client leaves or the server closes down."""

    def __init__(self, state: State, reader: Reader) -> None:
        super().__init__(self._events(), headers=EVENT_HEADERS)
        self._state = state
        self._reader: Reader | None = reader

    async def _events(self) -> AsyncIterator[bytes]:
        with self._state.news() as news:
            while not self._state.hung_up and self._reader is not None:
                news.clear()
                if part := self._reader.text(PART):
                    yield part
                else:
                    await _wait(news)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream, counted as a listener."""
        self._state.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._state.listeners -= 1
            self._reader = None  # frees the reader now, not when the generator is garbage-collected


async def _wait(news: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), ALIVE_SECONDS)


@router.get(
    "/api/danmaku/ingest/{kind}",
    name="danmaku_ingest_ws",
    status_code=101,
    response_class=Response,
    responses=answers("danmaku_ingest_ws"),
)
async def ingest_without_upgrade(kind: Annotated[str, PathField(examples=["socialstream"])]) -> Response:
    """WebSocket: each text message is the body of a POST to this address, and is answered with what that answers."""
    raise no_upgrade()


@router.websocket("/api/danmaku/ingest/{kind}", name="danmaku_ingest_ws")
async def ingest_socket(socket: WebSocket, state: Shared, kind: str) -> None:
    """Takes messages in another program's shape, one after another, until either side closes the connection."""
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):  # the program left
        async for body in text_messages(socket, "Messages are text."):
            try:
                answer = bytes(answered(await asyncio.to_thread(state.chat.ask, f"ingest/{kind}", body)).body).decode()
            except Fault as fault:
                answer = dumps(fault.body())
            await socket.send_text(answer)


@router.websocket("/api/danmaku/stream", name="danmaku_stream")
async def listen(socket: WebSocket, state: Shared) -> None:
    """The chat's events as WebSocket messages."""
    reader: Reader | None = state.chat.listen(cast(HTTPConnection, socket).headers.get("last-event-id"))
    await socket.accept()
    received = asyncio.ensure_future(socket.receive())
    try:
        with state.news() as news:
            while not (state.hung_up or received.done()):
                news.clear()
                frame = reader.frame() if reader is not None else None
                if isinstance(frame, str):
                    await socket.send_text(frame)
                elif frame is not None:
                    await socket.send_bytes(frame)
                else:
                    waiting = asyncio.ensure_future(_wait(news))
                    await asyncio.wait((received, waiting), return_when="FIRST_COMPLETED")
                    waiting.cancel()
        if not received.done():
            await socket.close(1001)
        elif received.result()["type"] != "websocket.disconnect":
            await socket.close(1003, "This stream is for listening; commands go to /api/danmaku over HTTP.")
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client left
    finally:
        received.cancel()
        reader = None
