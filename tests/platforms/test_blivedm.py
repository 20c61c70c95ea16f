"""Bilibili: blivedm, an independent client, gives the same events for the same packets and room."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import blivedm
import blivedm.client
import pytest
from bilibili_double import (
    MEDAL,
    OWNER,
    PACKINGS,
    ROOM,
    BilibiliDouble,
    danmaku,
    gift,
    guard_buy,
    plain,
    squeezed,
    super_chat,
    super_chat_deletion,
    zipped,
)  # fmt: skip
from listening import Certificate, Listener

from ishowtts._platforms import Decoder


class Blivedm(blivedm.BaseHandler):  # type: ignore[misc]
    """blivedm's messages as our events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def _add(self, **event: Any) -> None:
        self.events.append(event)

    async def _on_danmaku(self, client: Any, m: Any) -> None:
        self._add(
            type="message",
            kind="text",
            user_id=str(m.uid or ""),
            display_name=m.uname,
            text=m.msg,
            guard_level=m.privilege_type,
            level=m.user_level,
            timestamp_ms=m.timestamp,
            moderator=bool(m.admin),
            emote_only=m.dm_type == 1,
        )

    async def _on_gift(self, client: Any, m: Any) -> None:
        money = m.total_coin * 1000 if m.coin_type == "gold" else 0
        self._add(
            type="message",
            kind="gift",
            user_id=str(m.uid),
            display_name=m.uname,
            gift_name=m.gift_name,
            count=m.num,
            amount_micros=money,
            guard_level=m.guard_level,
            timestamp_ms=m.timestamp * 1000,
        )

    async def _on_buy_guard(self, client: Any, m: Any) -> None:
        self._add(
            type="message",
            kind="subscription",
            user_id=str(m.uid),
            display_name=m.username,
            gift_name=m.gift_name,
            count=m.num,
            amount_micros=m.price * m.num * 1000,
            guard_level=m.guard_level,
            timestamp_ms=m.start_time * 1000,
        )

    async def _on_super_chat(self, client: Any, m: Any) -> None:
        self._add(
            type="message",
            kind="paid",
            id=f"sc-{m.id}",
            user_id=str(m.uid),
            display_name=m.uname,
            text=m.message,
            amount_micros=m.price * 1_000_000,
            guard_level=m.guard_level,
            level=m.user_level,
            timestamp_ms=m.start_time * 1000,
        )

    async def _on_super_chat_delete(self, client: Any, m: Any) -> None:
        for number in m.ids:
            self._add(type="delete", message_id=f"sc-{number}")


RECORDED = [
    danmaku("前方高能", uid=9, number=1),
    danmaku("[妙啊]", uid=10, number=2, kind=1, guard=2, medal=MEDAL),
    danmaku("房管在此 🎉", uid=11, number=3, admin=1),
    {"cmd": "INTERACT_WORD", "data": {"uid": 5, "uname": "路人"}},
    danmaku("没登录", uid=0, number=4),
    super_chat("问个问题：为什么？", number=100, price=50),
    gift("人气票", count=10, number=9, total=1000),
    gift("辣条", count=1, number=10, coin="silver", total=100),
    guard_buy(level=3),
    super_chat_deletion(100),
]


def agree(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        known = mine | {"moderator": "moderator" in mine.get("roles", [])}
        assert {key: known[key] for key in other} == other


# This release of blivedm reads brotli and no zlib: a zlib packet is compared with its reading of the same commands.
@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_blivedm_reads_the_same_in_recorded_packets(pack: Callable[..., bytes]) -> None:
    frame = pack(*RECORDED[:4]) + pack(*RECORDED[4:])
    theirs = frame if pack is not zipped else squeezed(*RECORDED)
    handler = Blivedm()

    async def second() -> None:
        async with aiohttp.ClientSession() as session:
            client = blivedm.BLiveClient(ROOM, session=session)
            client.add_handler(handler)
            await client._parse_ws_message(theirs)

    asyncio.run(second())
    assert len(handler.events) == 9
    agree(Decoder("bilibili", "6", room=str(ROOM), owner=str(OWNER)).feed(frame), handler.events)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_blivedm_hears_the_same_in_the_same_room(
    certificate: Certificate, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BilibiliDouble(certificate) as room:
        monkeypatch.setattr(blivedm.client, "ROOM_INIT_URL", f"{room.url}/xlive/web-room/v1/index/getInfoByRoom")
        monkeypatch.setattr(
            blivedm.client, "DANMAKU_SERVER_CONF_URL", f"{room.url}/xlive/web-room/v1/index/getDanmuInfo"
        )
        handler = Blivedm()
        trust = ssl.create_default_context(cafile=str(certificate.certificate))

        async def begin() -> Any:
            session = aiohttp.ClientSession()
            client = blivedm.BLiveClient(6, session=session, ssl=trust)
            client.add_handler(handler)
            client.start()
            return client, session

        async def end() -> None:
            await client.stop_and_close()
            await session.close()

        client, session = room.run(begin())
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        listener.until(lambda: len(room.auths) == 2)
        # blivedm may read the answer to its authentication after ours.
        listener.until(lambda: room.heartbeats == 2)
        room.send(plain(*RECORDED[:3]), plain(*RECORDED[3:7]), squeezed(*RECORDED[7:]))
        listener.until(lambda: len(listener.of("message", "delete")) == 9 and len(handler.events) == 9)
        agree(listener.of("message", "delete"), handler.events)
        room.run(end())
