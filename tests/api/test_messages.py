"""The loop that reads text messages of a WebSocket."""

import asyncio
from typing import Any

from starlette.websockets import WebSocket

from ishowtts.api.messages import text_messages


def read(*incoming: dict[str, Any]) -> tuple[list[bytes], list[dict[str, Any]]]:
    """What text_messages yields for these messages of a client, and what the server sent."""
    left, sent = [{"type": "websocket.connect"}, *incoming], []

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> list[bytes]:
        socket = WebSocket({"type": "websocket", "path": "/", "headers": []}, receive, send)
        await socket.accept()
        return [text async for text in text_messages(socket, "Text only.")]

    return asyncio.run(run()), sent[1:]


def text(value: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": value}


def test_text_comes_until_the_client_leaves() -> None:
    gone = {"type": "websocket.disconnect", "code": 1000}
    assert read(text("one"), text("zwei ü"), gone, text("late")) == ([b"one", "zwei ü".encode()], [])


def test_a_lone_surrogate_is_left_to_the_parser() -> None:
    assert read(text("\ud800"), {"type": "websocket.disconnect"})[0] == [b"\xed\xa0\x80"]


def test_a_binary_message_closes_the_connection() -> None:
    heard, sent = read(text("one"), {"type": "websocket.receive", "bytes": b""}, text("late"))
    assert heard == [b"one"]
    assert sent == [{"type": "websocket.close", "code": 1003, "reason": "Text only."}]
