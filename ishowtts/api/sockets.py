"""`GET /api/tts/ws`: many requests for speech on one WebSocket.

A client sends the JSON of `/api/tts/stream` with a `request_id`, or `{"cancel": request_id}`. It gets the events of
that stream as text messages and the audio as binary ones: length of a JSON head as u32, little-endian; the head; the
audio's bytes.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from .._service import read_message
from .examples import answers
from .faults import Fault, given
from .routes import Shared, needs_key, needs_speech
from .speech import Speech, dumps
from .state import State

if TYPE_CHECKING:
    from .._service import Asked

logger = logging.getLogger("ishowtts")
SPEECHES_MAX = 16
"""Largest number of running requests on one connection."""
router = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech)])


@router.get("/api/tts/ws", name="tts_ws", status_code=101, response_class=Response, responses=answers("tts_ws"))
async def without_upgrade() -> Response:
    """WebSocket: many requests on one connection."""
    text = "This address speaks WebSocket: it needs Connection: Upgrade and Upgrade: websocket."
    raise Fault(426, "upgrade_required", text, "Upgrade")


@router.websocket("/api/tts/ws", name="tts_ws")
async def serve(socket: WebSocket, state: Shared) -> None:
    """Serve one connection until either side closes it."""
    await socket.accept()
    talk = _Talk(socket, state)
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await socket.close(1003, "Requests are text.")
                return
            await talk.take(message["text"].encode("utf-8", "surrogatepass"))
    except WebSocketDisconnect:
        pass
    finally:
        talk.end()


class _Talk:
    """The running requests of one connection."""

    def __init__(self, socket: WebSocket, state: State) -> None:
        self._socket = socket
        self._state = state
        self._running: dict[str, tuple[Speech, asyncio.Task[None]]] = {}

    async def take(self, message: bytes) -> None:
        """Start or cancel the request of a message, or answer what is wrong with the message."""
        request_id, read = read_message(message)
        try:
            if read is None:
                self._cancel(request_id)
            else:
                self._speak(given(read), request_id)
        except Fault as fault:
            await self._tell("error", ({"request_id": request_id} if request_id else {}) | fault.body())

    def _cancel(self, request_id: str) -> None:
        if request_id not in self._running:
            raise Fault(404, "not_found", f"No request with the id {request_id} is running here.", "cancel")
        self._running[request_id][0].cancel()

    def _speak(self, asked: Asked, request_id: str) -> None:
        if request_id in self._running:
            raise Fault(409, "duplicate_id", f"A request with the id {request_id} is running.", "request_id")
        if len(self._running) >= SPEECHES_MAX:
            raise Fault(429, "busy", f"{SPEECHES_MAX} requests are running on this connection, which is the most.")
        key = f"{id(self)}/{request_id}"  # differs from the keys of other connections and of HTTP requests
        speech = Speech(self._state, request_id, asked, "pcm", early=True, key=key)
        self._running[request_id] = speech, asyncio.create_task(self._send(speech))

    async def _send(self, speech: Speech) -> None:
        try:
            async for name, data, audio in speech.events():
                if audio:
                    head = dumps({"request_id": speech.id} | data).encode()
                    await self._socket.send_bytes(struct.pack("<I", len(head)) + head + audio)
                else:
                    if name == "end":
                        del self._running[speech.id]
                    await self._tell(name, data)
        except Fault as fault:
            self._running.pop(speech.id, None)
            await self._tell("error", {"request_id": speech.id} | fault.body())
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("%s: the client left", speech.id)
        finally:
            speech.close()

    async def _tell(self, name: str, data: dict[str, Any]) -> None:
        await self._socket.send_text(dumps({"event": name} | data))

    def end(self) -> None:
        """Cancel all running requests; the connection is closed."""
        for speech, task in self._running.values():
            speech.close()
            task.cancel()
