"""Bilibili's open platform and its WebSocket, as blivedm 1.1.7 of xfgryujk uses them (`clients/open_live.py`)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import WSMessage, WSMsgType, web
from bilibili_double import AUTH, AUTH_REPLY, HEADER, HEARTBEAT, HEARTBEAT_REPLY, ROOM, packet
from listening import Certificate
from web_double import WebDouble

KEY_ID, SECRET, APP_ID, CODE = "key-id", "key-secret", 1700000000001, "C6ZEB0000000A"


class OpenPlatformDouble(WebDouble):
    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.start_codes: list[int] = []  # codes of the next responses to /v2/app/start
        self.beat_code = 0
        self.auths: list[str] = []
        self.games = 0

    def routes(self) -> Iterable[web.RouteDef]:
        return web.post("/v2/app/{what}", self._post), web.get("/sub", self.serve_socket)

    def _answer(self, code: int, data: Any = None) -> web.Response:
        return web.json_response({"code": code, "message": str(code), "request_id": "1", "data": data or {}})

    async def _post(self, request: web.Request) -> web.Response:
        body, headers, what = await request.read(), request.headers, request.match_info["what"]
        names = ["accesskeyid", "content-md5", "signature-method", "signature-nonce", "signature-version", "timestamp"]
        signed = "\n".join(f"x-bili-{name}:{headers[f'x-bili-{name}']}" for name in names)
        signature = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if headers["Authorization"] != signature or headers["x-bili-accesskeyid"] != KEY_ID:
            return self._answer(4002)
        if headers["x-bili-content-md5"] != hashlib.md5(body).hexdigest():
            return self._answer(4012)
        self.posted.append((what, json.loads(body)))
        if what == "heartbeat":
            return self._answer(self.beat_code)
        if self.start_codes:
            return self._answer(self.start_codes.pop(0))
        self.games += 1
        scheme = "wss" if self.context else "ws"
        return self._answer(
            0,
            {
                "game_info": {"game_id": f"game-{self.games}"},
                "websocket_info": {
                    "auth_body": json.dumps(
                        {"roomid": ROOM, "protover": 2, "uid": 1, "key": f"key-{self.games}", "group": "open"}
                    ),
                    "wss_link": [f"{scheme}://127.0.0.1:{self.port}/sub"],
                },
                "anchor_info": {"room_id": ROOM, "uname": "主播", "uface": "", "uid": 1, "open_id": "open-owner"},
            },
        )

    async def received(self, socket: web.WebSocketResponse, message: WSMessage) -> None:
        if message.type != WSMsgType.BINARY:
            return
        total, header, _, operation, _ = HEADER.unpack_from(message.data)
        if operation == AUTH:
            self.auths.append(message.data[header:total].decode())
            await socket.send_bytes(packet(AUTH_REPLY, b'{"code":0}'))
        elif operation == HEARTBEAT:
            await socket.send_bytes(packet(HEARTBEAT_REPLY, b"\0\0\0\1"))

    def send(self, *frames: bytes) -> None:
        async def all_of_them() -> None:
            for frame in frames:
                for socket in list(self.sockets):
                    await socket.send_bytes(frame)

        self.run(all_of_them())
