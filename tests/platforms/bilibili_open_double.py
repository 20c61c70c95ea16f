"""Bilibili's open platform and the WebSocket that it names, as blivedm 1.1.7 of xfgryujk talks to them
(`clients/open_live.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web
from background import Background
from bilibili_double import AUTH, AUTH_REPLY, HEADER, HEARTBEAT, HEARTBEAT_REPLY, ROOM, packet
from listening import Certificate

KEY_ID, SECRET, APP_ID, CODE = "key-id", "key-secret", 1700000000001, "C6ZEB0000000A"


class OpenPlatformDouble(Background):
    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.start_codes: list[int] = []  # of the next answers to /v2/app/start
        self.beat_code = 0
        self.auths: list[str] = []
        self.games = 0
        self.clients: list[web.WebSocketResponse] = []

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v2/app/{what}", self._post)
        app.router.add_get("/sub", self._serve)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        self.hang_up_now()
        await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

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

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.clients.append(socket)
        with suppress(ConnectionError):
            async for one in socket:
                if one.type != WSMsgType.BINARY:
                    continue
                total, header, _, operation, _ = HEADER.unpack_from(one.data)
                if operation == AUTH:
                    self.auths.append(one.data[header:total].decode())
                    await socket.send_bytes(packet(AUTH_REPLY, b'{"code":0}'))
                elif operation == HEARTBEAT:
                    await socket.send_bytes(packet(HEARTBEAT_REPLY, b"\0\0\0\1"))
        if socket in self.clients:
            self.clients.remove(socket)
        return socket

    def send(self, *frames: bytes) -> None:
        async def all_of_them() -> None:
            for frame in frames:
                for client in list(self.clients):
                    await client.send_bytes(frame)

        self.run(all_of_them())

    def hang_up_now(self) -> None:
        while self.clients:
            client = self.clients.pop()
            if client._req is not None and client._req.transport is not None:
                client._req.transport.abort()

    def hang_up(self) -> None:
        self.call(self.hang_up_now)
