"""Reading a WebSocket connection."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.websockets import WebSocket


async def text_messages(socket: WebSocket, refusal: str) -> AsyncIterator[bytes]:
    """The text messages of an accepted connection as UTF-8, until the client leaves.

    A lone surrogate stays as it is, for the JSON parser to refuse. A binary message ends the connection: it is closed
    with code 1003 and the reason `refusal`.
    """
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        if message.get("bytes") is not None:
            await socket.close(1003, refusal)
            return
        yield message["text"].encode("utf-8", "surrogatepass")
