"""YouTube's API with the chat as a stream (liveChatMessages.streamList in its HTTP form: an array that does not end),
and channels with their uploads.

Answers are validated by Google's discovery document, like those of `youtube_double`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web
from background import Background
from listening import Certificate
from youtube_double import CHAT, KEY, VIDEO, discovery, validator

CHANNEL, HANDLE = "UCabcdefghijklmnopqrstuv", "@streamer"


class YoutubeStreamDouble(Background):
    """`say` adds a page to all open streams; `finish` ends them."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.paths: list[str] = []
        self.streams: list[web.StreamResponse] = []
        self.tokens: list[str | None] = []
        self.history: list[dict[str, Any]] = []
        self.uploads = ["older000000", VIDEO]
        self.details: dict[str, dict[str, Any]] = {
            VIDEO: {"activeLiveChatId": CHAT, "actualStartTime": "2026-01-02T03:00:00Z"},
            "older000000": {"actualStartTime": "2025-01-02T03:00:00Z", "actualEndTime": "2025-01-02T05:00:00Z"},
        }
        self.page = 0
        self.faults: list[str] = []
        self.ended = asyncio.Event()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/youtube/v3/{rest:.*}", self._answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        self.ended.set()
        await self.runner.cleanup()
        assert self.faults == []

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/youtube/v3"

    def _checked(self, schema: str, answer: dict[str, Any]) -> dict[str, Any]:
        self.faults += [error.message for error in validator(schema).iter_errors(answer)]
        return answer

    def _page(self, items: list[dict[str, Any]], **more: Any) -> bytes:
        self.page += 1
        answer = {
            "kind": "youtube#liveChatMessageListResponse",
            "nextPageToken": f"page-{self.page}",
            "pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)},
            "items": items,
        } | more
        return json.dumps(self._checked("LiveChatMessageListResponse", answer), indent=1).encode()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        what, query = request.match_info["rest"], request.query
        self.paths.append(what)
        if request.headers.get("X-Goog-Api-Key") != KEY:
            self.faults.append("no key")
        if what == "channels":
            items = [{"kind": "youtube#channel", "id": CHANNEL}] if query["forHandle"] == HANDLE else []
            return web.json_response(self._checked("ChannelListResponse", {"items": items}))
        if what == "playlistItems":
            if query["playlistId"] != "UU" + CHANNEL[2:]:
                self.faults.append(f"playlistId is {query['playlistId']}")
            items = [{"kind": "youtube#playlistItem", "contentDetails": {"videoId": video}} for video in self.uploads]
            return web.json_response(self._checked("PlaylistItemListResponse", {"items": items}))
        if what == "videos":
            items = [
                {"kind": "youtube#video", "id": video}
                | ({"liveStreamingDetails": self.details[video]} if video in self.details else {})
                for video in query["id"].split(",")
            ]
            return web.json_response(self._checked("VideoListResponse", {"items": items}))
        method = discovery()["resources"]["youtube"]["resources"]["v3"]["resources"]["liveChat"]["resources"][
            "messages"
        ]["methods"]["stream"]
        if f"youtube/v3/{what}" != method["path"]:
            return web.json_response({"error": {"code": 404}}, status=404)
        self.faults += [f"unknown parameter {name}" for name in query if name not in method["parameters"]]
        self.tokens.append(query.get("pageToken"))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b"[" + self._page([] if query.get("pageToken") else self.history))
        self.streams.append(response)
        await self.ended.wait()
        return response

    def say(self, *items: dict[str, Any], size: int = 1 << 20, **more: Any) -> None:
        async def send() -> None:
            text = b"\n,\r\n" + self._page(list(items), **more)
            for at in range(0, len(text), size):
                await self.streams[-1].write(text[at : at + size])

        self.run(send())

    def finish(self) -> None:
        def end() -> None:
            self.ended.set()
            self.ended = asyncio.Event()

        self.call(end)
