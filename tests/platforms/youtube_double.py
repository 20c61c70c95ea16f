"""YouTube's API for one video, with answers that are checked against Google's own description of them.

google-api-python-client brings the discovery document of youtube/v3: every answer given here is validated by its
schemas, and every request by the parameters that it lists.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
from background import Background
from listening import Certificate
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

KEY = "AIza-secret-key"
VIDEO, CHAT = "dQw4w9WgXcQ", "Cg0KC2+chat/id=="


@cache
def discovery() -> dict[str, Any]:
    text = files("googleapiclient").joinpath("discovery_cache/documents/youtube.v3.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@cache
def validator(schema: str) -> jsonschema_rs.Validator:
    """The JSON schema of a resource; fields that the document does not have are refused."""

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {
            key: convert(item)
            for key, item in value.items()
            if key not in ("id", "annotations", "enumDescriptions", "default", "required", "deprecated")
        }
        if "$ref" in made:
            made = {"$ref": f"#/$defs/{made['$ref']}"}
        if isinstance(value.get("properties"), dict):
            made["properties"] = {name: convert(item) for name, item in value["properties"].items()}
            made["additionalProperties"] = False
        return made

    definitions = {name: convert(item) for name, item in discovery()["schemas"].items()}
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{schema}", "$defs": definitions})


def item(
    number: int, kind: str, *, name: str = "Ann", user: str = "UC-ann", roles: tuple[str, ...] = (), **details: Any
) -> dict[str, Any]:
    snippet = {
        "type": kind,
        "liveChatId": CHAT,
        "authorChannelId": user,
        "publishedAt": f"2026-01-02T03:04:{number % 60:02d}.5Z",
        "hasDisplayContent": True,
        **details,
    }
    author = {
        "channelId": user,
        "displayName": name,
        "isChatOwner": "owner" in roles,
        "isChatModerator": "moderator" in roles,
        "isChatSponsor": "sponsor" in roles,
        "isVerified": "verified" in roles,
    }
    return {"kind": "youtube#liveChatMessage", "id": f"msg-{number}", "snippet": snippet, "authorDetails": author}


def text(number: int, words: str, **author: Any) -> dict[str, Any]:
    return item(number, "textMessageEvent", textMessageDetails={"messageText": words}, displayMessage=words, **author)


class YoutubeDouble(Background):
    """Returns one of `pages` for each request, then empty ones. `refusal`: (status, reason) instead."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.details: dict[str, Any] | None = {"activeLiveChatId": CHAT, "actualStartTime": "2026-01-02T03:00:00Z"}
        self.pages: list[list[dict[str, Any]]] = []
        self.offline = False
        self.interval = 10
        self.refusal: tuple[int, str] | None = None
        self.asked: list[dict[str, list[str]]] = []
        self.paths: list[str] = []
        self.keys: list[str] = []
        self.turn = 0
        self.faults: list[str] = []

    async def start(self) -> None:
        self.server = await serve(
            self._never, "127.0.0.1", 0, ssl=self.context, process_request=self._answer, close_timeout=0.1
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()
        assert self.faults == []

    async def _never(self, connection: ServerConnection) -> None:
        raise AssertionError("nobody asks for a WebSocket here")

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/youtube/v3"

    def _check(self, method: dict[str, Any], query: dict[str, list[str]], answer: dict[str, Any]) -> None:
        known = method["parameters"] | discovery()["parameters"]
        self.faults += [f"unknown parameter {name}" for name in query if name not in known]
        self.faults += [
            f"missing parameter {name}" for name, rule in known.items() if rule.get("required") and name not in query
        ]
        for name, rule in known.items():
            if (
                name in query
                and rule["type"] == "integer"
                and not int(rule.get("minimum", 0)) <= int(query[name][0]) <= int(rule.get("maximum", 1 << 32))
            ):
                self.faults.append(f"{name} is out of range: {query[name][0]}")
        self.faults += [
            f"{error.message} at {list(error.instance_path)}"
            for error in validator(method["response"]["$ref"]).iter_errors(answer)
        ]

    def _answer(self, connection: ServerConnection, request: Request) -> Response:
        url = urlsplit(request.path)
        query = parse_qs(url.query)
        self.paths.append(request.path)
        self.keys.append(request.headers.get("X-Goog-Api-Key", ""))
        status, answer = 200, {}
        if self.refusal:
            status, reason = self.refusal
            answer = {
                "error": {
                    "code": status,
                    "message": f"told: {reason}",
                    "errors": [{"domain": "youtube", "reason": reason, "message": reason}],
                }
            }
        elif url.path == "/youtube/v3/videos":
            found = query.get("id") == [VIDEO]
            answer = {
                "kind": "youtube#videoListResponse",
                "items": [
                    {
                        "kind": "youtube#video",
                        "id": VIDEO,
                        **({"liveStreamingDetails": self.details} if self.details else {}),
                    }
                ]
                if found
                else [],
            }
            self._check(discovery()["resources"]["videos"]["methods"]["list"], query, answer)
        elif url.path == "/youtube/v3/liveChat/messages":
            self.asked.append(query)
            if query.get("liveChatId") != [CHAT]:
                self.faults.append(f"liveChatId is {query.get('liveChatId')}")
            expected = [f"page+{self.turn}/="] if self.turn else None
            if query.get("pageToken") != expected:
                self.faults.append(f"pageToken is {query.get('pageToken')}, not {expected}")
            self.turn += 1
            items = self.pages.pop(0) if self.pages else []
            answer = {
                "kind": "youtube#liveChatMessageListResponse",
                "nextPageToken": f"page+{self.turn}/=",
                "pollingIntervalMillis": self.interval,
                "pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)},
                "items": items,
            }
            if self.offline and not self.pages:
                answer["offlineAt"] = "2026-01-02T05:00:00Z"
            self._check(discovery()["resources"]["liveChatMessages"]["methods"]["list"], query, answer)
        else:
            status = 404
        body = json.dumps(answer).encode()
        return Response(
            status,
            "OK" if status == 200 else "No",
            Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}),
            body,
        )
