"""`GET /api/tts/ws`: many requests for speech on one WebSocket.

A client sends the JSON of `/api/tts/stream` with a `request_id`, or `{"cancel": request_id}`. It gets the events of
that stream as text messages and the audio as binary ones: length of a JSON head as u32, little-endian; the head; the
audio's bytes. A request with `"more": true` continues in later messages.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from .._service import read_message
from ..errors import IshowError
from .examples import answers
from .faults import Fault, given, no_upgrade
from .messages import text_messages
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
    raise no_upgrade()


@router.websocket("/api/tts/ws", name="tts_ws")
async def serve(socket: WebSocket, state: Shared) -> None:
    """Serve one connection until either side closes it."""
    await socket.accept()
    talk = _Talk(socket, state)
    try:
        async for message in text_messages(socket, "Requests are text."):
            await talk.take(message)
    except WebSocketDisconnect:
        pass  # the client left
    finally:
        talk.end()


def _is_piece(asked: Asked) -> bool:
    return asked.keys() <= {"text", "set_text", "flush", "more"}


class _Talk:
    """The running requests of one connection."""

    def __init__(self, socket: WebSocket, state: State) -> None:
        self._socket = socket
        self._state = state
        self._running: dict[str, tuple[Speech, asyncio.Task[None]]] = {}
        self._open: set[str] = set()
        """Ids whose text goes on."""
        self._broken: deque[str] = deque(maxlen=SPEECHES_MAX)
        """Ids of requests that failed before their text had ended; a late piece of one must not begin another."""

    async def take(self, message: bytes) -> None:
        """Start, continue or cancel the request of a message, or answer what is wrong with the message."""
        request_id, read = read_message(message, False)
        try:
            if read is None:
                self._cancel(request_id)
            elif request_id in self._running:
                await self._go_on(given(read), request_id)
            elif request_id in self._broken and _is_piece(given(read)):
                if not given(read).get("more"):
                    self._broken.remove(request_id)
                text = f"The request with the id {request_id} failed before its text ended."
                raise Fault(409, "ended", text, "request_id")
            else:
                _, read = read_message(message, True)
                self._speak(given(read or {}), request_id)
        except Fault as fault:
            await self._tell("error", ({"request_id": request_id} if request_id else {}) | fault.body())

    def _cancel(self, request_id: str) -> None:
        if request_id not in self._running:
            raise Fault(404, "not_found", f"No request with the id {request_id} is running here.", "cancel")
        self._open.discard(request_id)
        self._running[request_id][0].cancel()

    async def _go_on(self, piece: Asked, request_id: str) -> None:
        speech = self._running[request_id][0]
        session = speech.session
        if session is None or not _is_piece(piece):
            raise Fault(409, "duplicate_id", f"A request with the id {request_id} is running.", "request_id")
        try:
            kept = session.set_text(piece["set_text"]) if "set_text" in piece else None
            session.write(piece.get("text", ""), 0)
            if piece.get("flush"):
                session.flush()
            if not piece.get("more"):
                session.end()
                self._open.discard(request_id)
        except IshowError as error:
            if error.status == "ESTATE":
                raise Fault(409, "ended", "The text of this request has ended.", "text") from None
            raise Fault.from_error(error) from None
        speech.touch()
        if kept is not None:
            await self._tell("text", {"request_id": request_id, "kept": kept})

    def _speak(self, asked: Asked, request_id: str) -> None:
        if len(self._running) >= SPEECHES_MAX:
            raise Fault(429, "busy", f"{SPEECHES_MAX} requests are running on this connection, which is the most.")
        key = f"{id(self)}/{request_id}"  # differs from the keys of other connections and of HTTP requests
        speech = Speech(self._state, request_id, asked, "pcm", early=True, key=key)
        if speech.session is not None:
            self._open.add(request_id)
            if asked.get("flush"):
                speech.session.flush()
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
                    await self._tell(name, {"request_id": speech.id} | data)
        except Fault as fault:
            self._running.pop(speech.id, None)
            if speech.id in self._open:
                self._broken.append(speech.id)
            await self._tell("error", {"request_id": speech.id} | fault.body())
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("%s: the client left", speech.id)
        finally:
            self._open.discard(speech.id)
            speech.close()

    async def _tell(self, name: str, data: dict[str, Any]) -> None:
        await self._socket.send_text(dumps({"event": name} | data))

    def end(self) -> None:
        """Cancel all running requests; the connection is closed."""
        for speech, task in self._running.values():
            speech.close()
            task.cancel()
