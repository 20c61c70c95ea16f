"""Twitch's EventSub on one port: the token, the channel's number, subscriptions and the WebSocket, as dev.twitch.tv
describes them and Twurple 8 uses them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from listening import Certificate
from web_double import WebDouble

TOKEN, CLIENT = "user-token", "client123"


class EventSubDouble(WebDouble):
    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.scopes = ["user:read:chat"]
        self.users: dict[str, str] = {"chan": "1"}
        self.subscriptions: list[dict[str, Any]] = []
        self.emote_paths: list[str] = []
        self.emotes: dict[str, Any] = {}  # path: answer
        self.sessions = 0
        self.refuses_subscriptions = 0

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/oauth2/validate", self._validate),
            web.get("/helix/users", self._users),
            web.post("/helix/eventsub/subscriptions", self._subscribe),
            web.get("/ws", self.serve_socket),
            web.get("/{rest:.*}", self._emotes),
        )

    async def _validate(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"OAuth {TOKEN}":
            return web.json_response({"status": 401, "message": "invalid access token"}, status=401)
        return web.json_response(
            {"client_id": CLIENT, "login": "reader", "scopes": self.scopes, "user_id": "99", "expires_in": 5000}
        )

    def _signed_in(self, request: web.Request) -> bool:
        return (request.headers.get("Authorization"), request.headers.get("Client-Id")) == (f"Bearer {TOKEN}", CLIENT)

    async def _users(self, request: web.Request) -> web.Response:
        if not self._signed_in(request):
            return web.json_response({"error": "Unauthorized", "status": 401, "message": "?"}, status=401)
        login = request.query["login"]
        return web.json_response({"data": [{"id": self.users[login], "login": login}] if login in self.users else []})

    async def _subscribe(self, request: web.Request) -> web.Response:
        if not self._signed_in(request):
            return web.json_response({"error": "Unauthorized", "status": 401, "message": "?"}, status=401)
        if self.refuses_subscriptions:
            return web.json_response(
                {"error": "Forbidden", "status": 403, "message": "subscription missing proper authorization"},
                status=403,
            )
        self.subscriptions.append(await request.json())
        return web.json_response({"data": [], "total": 1, "total_cost": 0, "max_total_cost": 10}, status=202)

    async def _emotes(self, request: web.Request) -> web.Response:
        self.emote_paths.append(request.path)
        answer = self.emotes.get(request.path)
        return web.json_response(answer, status=200 if answer is not None else 404)

    async def opened(self, socket: web.WebSocketResponse) -> None:
        self.sessions += 1
        session = {
            "id": f"session-{self.sessions}",
            "status": "connected",
            "keepalive_timeout_seconds": 10,
            "reconnect_url": None,
            "connected_at": "2026-11-30T00:00:00Z",
        }
        await socket.send_str(self.framed("session_welcome", {"session": session}))

    @staticmethod
    def framed(kind: str, payload: dict[str, Any], number: str = "1", **more: str) -> str:
        metadata = {
            "message_id": f"{kind}-{number}",
            "message_type": kind,
            "message_timestamp": "2026-11-30T00:00:00.000Z",
        }
        return json.dumps({"metadata": metadata | more, "payload": payload})

    def say(self, text: str) -> None:
        self.run(self.sockets[-1].send_str(text))

    def notify(self, kind: str, event: dict[str, Any], number: str = "1") -> None:
        more = {"subscription_type": kind, "subscription_version": "1"}
        self.say(self.framed("notification", {"subscription": {"type": kind}, "event": event}, number, **more))
