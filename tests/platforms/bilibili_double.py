"""A live room of Bilibili on one port: its HTTP responses, and a WebSocket that sends packets.

Requests and responses are those of blivedm 1.1.7 of xfgryujk (`clients/web.py`); commands have the fields that the
platform's page receives. In the tests PyPI's `blivedm`, an older and independent client, reads the same commands.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import brotli
from background import Background
from listening import Certificate
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

HEADER = struct.Struct(">IHHII")
JSON, CONTROL, ZLIB, BROTLI = 0, 1, 2, 3
HEARTBEAT, HEARTBEAT_REPLY, COMMAND, AUTH, AUTH_REPLY = 2, 3, 5, 7, 8
ROOM, OWNER = 5050, 433351
MEDAL = [12, "牌子", "主播", ROOM, 1725515, "", 0, 6809855, 1725515, 5414290, 3, 1, OWNER]
IMAGE_KEYS = ("7cd084941338484aae1ad9425b84077c", "4932caff0ff746eab6f01bf08b70ac45")
# Indices into the 64 characters of both names, which give the key of 32.
MIXED = [
    46,
    47,
    18,
    2,
    53,
    8,
    23,
    32,
    15,
    50,
    10,
    31,
    58,
    3,
    45,
    35,
    27,
    43,
    5,
    49,
    33,
    9,
    42,
    19,
    29,
    28,
    14,
    39,
    12,
    38,
    41,
    13,
]


def packet(operation: int, body: bytes, version: int = CONTROL) -> bytes:
    return HEADER.pack(HEADER.size + len(body), HEADER.size, version, operation, 1) + body


def command(data: dict[str, Any]) -> bytes:
    return packet(COMMAND, json.dumps(data, ensure_ascii=False).encode(), JSON)


def plain(*commands: dict[str, Any]) -> bytes:
    return b"".join(map(command, commands))


def zipped(*commands: dict[str, Any]) -> bytes:
    return packet(COMMAND, zlib.compress(plain(*commands)), ZLIB)


def squeezed(*commands: dict[str, Any]) -> bytes:
    return packet(COMMAND, brotli.compress(plain(*commands)), BROTLI)


PACKINGS: list[Callable[..., bytes]] = [plain, zipped, squeezed]


def danmaku(
    text: str,
    uid: int = 1,
    name: str = "小明",
    *,
    number: int = 1,
    admin: int = 0,
    kind: int = 0,
    guard: int = 0,
    medal: list[Any] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    more = {"id_str": f"dm-{number}", "reply_mid": 0, "emots": None} | (extra or {})
    picture: Any = {"emoticon_unique": "official_13", "url": "https://example.org/13.png"} if kind == 1 else "{}"
    head = [
        0,
        1,
        25,
        16777215,
        1700000000000 + number,
        number,
        0,
        f"{uid:08x}",
        0,
        0,
        0,
        "",
        kind,
        picture,
        "{}",
        {"extra": json.dumps(more), "mode": 0},
    ]
    return {
        "cmd": "DANMU_MSG:4:0:2:2:2:0",
        "info": [
            head,
            text,
            [uid, name, admin, 0, 0, 10000, 1, ""],
            medal or [],
            [21, 0, 5805790, ">50000", 0],
            ["", ""],
            0,
            guard,
            None,
            {"ts": 1700000000, "ct": "A"},
            0,
            0,
        ],
    }


def super_chat(text: str, uid: int = 2, name: str = "大方", *, number: int = 77, price: int = 30) -> dict[str, Any]:
    return {
        "cmd": "SUPER_CHAT_MESSAGE",
        "data": {
            "id": number, "uid": uid, "price": price, "message": text, "message_trans": "", "start_time": 1700000100,
            "end_time": 1700000160, "time": 60,
            "gift": {"gift_id": 12000, "gift_name": "醒目留言", "num": 1},
            "user_info": {"uname": name, "face": "", "guard_level": 3, "user_level": 17, "manager": 0},
            "medal_info": {"anchor_roomid": ROOM, "medal_level": 5, "medal_name": "牌"},
            "background_bottom_color": "#2A60B2", "background_color": "#EDF5FF", "background_icon": "",
            "background_image": "", "background_price_color": "#7497CD",
        },
    }  # fmt: skip


def gift(
    name: str,
    count: int = 1,
    uid: int = 3,
    user: str = "土豪",
    *,
    number: int = 1,
    coin: str = "gold",
    total: int = 5000,
) -> dict[str, Any]:
    return {
        "cmd": "SEND_GIFT",
        "data": {
            "giftName": name, "num": count, "uname": user, "face": "", "guard_level": 0, "uid": uid,
            "timestamp": 1700000200, "giftId": 31036, "giftType": 0,
            "action": "投喂", "price": total // count, "rnd": f"{number}", "coin_type": coin, "total_coin": total,
            "tid": f"tid-{number}",
            "medal_info": {"anchor_roomid": 0, "medal_level": 0},
        },
    }  # fmt: skip


def guard_buy(level: int = 3, uid: int = 4, name: str = "舰长君") -> dict[str, Any]:
    return {
        "cmd": "GUARD_BUY",
        "data": {"uid": uid, "username": name, "guard_level": level, "num": 1, "price": 198000, "gift_id": 10003,
            "gift_name": "舰长", "start_time": 1700000300, "end_time": 1700000300},
    }  # fmt: skip


def super_chat_deletion(*numbers: int) -> dict[str, Any]:
    return {"cmd": "SUPER_CHAT_MESSAGE_DELETE", "data": {"ids": list(numbers)}}


class BilibiliDouble(Background):
    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(certificate)
        self.asked: list[str] = []  # paths with their query
        self.cookies: list[str] = []
        self.auths: list[dict[str, Any]] = []
        self.heartbeats = 0
        self.auth_code = 0
        self.room_code = 0
        self.refused: dict[str, list[int]] = {}  # path: codes of its next responses
        self.identities = 0
        self.answers_heartbeats = True
        self.status = HTTPStatus.OK
        self.clients: list[ServerConnection] = []

    async def start(self) -> None:
        self.server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=self.context,
            process_request=self._answer,
            compression=None,
            close_timeout=0.1,
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if url.path == "/sub":
            return None  # a WebSocket
        if codes := self.refused.get(url.path):
            self.asked.append(request.path)
            return self._json({"code": codes.pop(0), "message": "-352"})
        self.asked.append(request.path)
        self.cookies.append(request.headers.get("Cookie", ""))
        query = parse_qs(url.query)
        answers: dict[str, Any] = {
            "/x/frontend/finger/spi": {
                "code": 0,
                "data": {"b_3": f"BUVID-{3 + self.identities}-infoc", "b_4": f"BUVID4-{self.identities}-a%3D%3D"},
            },
            "/x/web-interface/nav": {
                "code": -101,
                "message": "账号未登录",
                "data": {
                    "isLogin": "SESSDATA=good" in self.cookies[-1],
                    "wbi_img": {
                        "img_url": f"https://example.org/wbi/{IMAGE_KEYS[0]}.png",
                        "sub_url": f"https://example.org/wbi/{IMAGE_KEYS[1]}.png",
                    },
                },
            },
            "/room/v1/Room/get_info": {
                "code": self.room_code,
                "message": "ok" if not self.room_code else "房间不存在",
                "data": {"room_id": ROOM, "uid": OWNER, "short_id": 6},
            },
            "/xlive/web-room/v1/index/getInfoByRoom": {
                "code": 0,
                "data": {"room_info": {"room_id": ROOM, "short_id": 6, "uid": OWNER}},
            },
            "/xlive/web-room/v1/index/getDanmuInfo": {
                "code": 0,
                "data": {
                    "token": "connection-token",
                    "host_list": [
                        {"host": "127.0.0.1", "port": self.port, "wss_port": self.port, "ws_port": self.port}
                    ],
                },
            },
        }
        self.identities += url.path.endswith("/spi")
        answer = answers.get(url.path)
        if url.path.endswith("getDanmuInfo") and "wts" in query and not self.signed(url.query):
            answer = {"code": -352, "message": "-352"}
        return self._json(answer, self.status if answer else HTTPStatus.NOT_FOUND)

    @staticmethod
    def _json(answer: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
        body = json.dumps(answer).encode()
        return Response(
            status.value,
            status.phrase,
            Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}),
            body,
        )

    @staticmethod
    def signed(query: str) -> bool:
        text, _, signature = query.partition("&w_rid=")
        both = "".join(IMAGE_KEYS)
        return hashlib.md5((text + "".join(both[i] for i in MIXED)).encode()).hexdigest() == signature

    async def _serve(self, connection: ServerConnection) -> None:
        self.clients.append(connection)
        try:
            async for data in connection:
                assert isinstance(data, bytes)
                total, header, _, operation, _ = HEADER.unpack_from(data)
                body = data[header:total]
                if operation == AUTH:
                    self.auths.append(json.loads(body))
                    await connection.send(packet(AUTH_REPLY, json.dumps({"code": self.auth_code}).encode()))
                elif operation == HEARTBEAT:
                    self.heartbeats += 1
                    if self.answers_heartbeats:  # the client's body follows the packet, not counted
                        await connection.send(packet(HEARTBEAT_REPLY, struct.pack(">I", 4242)) + body)
        except ConnectionClosed:
            pass
        finally:
            self.clients.remove(connection)

    def send(self, *frames: bytes) -> None:
        async def all_of_them() -> None:
            for frame in frames:
                for client in list(self.clients):
                    await client.send(frame)

        self.run(all_of_them())

    def hang_up(self) -> None:
        self.call(lambda: [client.transport.abort() for client in list(self.clients)])
