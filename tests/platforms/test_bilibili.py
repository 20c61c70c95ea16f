"""Bilibili: packets of every kind and compression, and a room over HTTP and WebSocket."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import brotli
import pytest
from bilibili_double import (
    BROTLI,
    COMMAND,
    MEDAL,
    OWNER,
    PACKINGS,
    ROOM,
    ZLIB,
    BilibiliDouble,
    danmaku,
    gift,
    guard_buy,
    packet,
    plain,
    squeezed,
    super_chat,
    super_chat_deletion,
    zipped,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Certificate, Listener

from ishowtts._platforms import Decoder, Loop
from ishowtts.errors import IshowError


def decoder(**options: Any) -> Decoder:
    return Decoder("bilibili", "6", room=str(ROOM), owner=str(OWNER), **options)


def decode(*commands: dict[str, Any]) -> list[dict[str, Any]]:
    return decoder().feed(plain(*commands))


def one(command: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    (event,) = decode(command)
    assert {key: event[key] for key in wanted} == wanted
    return event


def test_danmaku() -> None:
    one(
        danmaku("你好", uid=9, name="小明", number=5),
        id="dm-5",
        user_id="9",
        display_name="小明",
        text="你好",
        kind="text",
        level=21,
        timestamp_ms=1700000000005,
        roles=[],
        priority="normal",
    )
    one(
        danmaku("管", admin=1, guard=3, medal=MEDAL),
        roles=["moderator", "member", "guard"],
        guard_level=3,
        priority="moderator",
    )
    one(danmaku("别家的", medal=[*MEDAL[:3], ROOM + 1, *MEDAL[4:]]), roles=[])
    one(danmaku("我", uid=OWNER), roles=["broadcaster"])
    one(danmaku("匿名", uid=0), user_id="", display_name="小明")
    one(danmaku("[打call]", kind=1), emote_only=True, emotes=[(0, 7, "official_13")])
    one(
        danmaku("哈[dog]哈[dog]", extra={"emots": {"[dog]": {"emoticon_unique": "emoji_208"}}}),
        emotes=[(1, 6, "emoji_208"), (7, 12, "emoji_208")],
        emote_only=False,
    )
    one(danmaku("回", extra={"reply_mid": 12, "reply_uname": "某"}), reply_user_id="12", reply_login="某")


def test_an_older_room_gives_no_id_string() -> None:
    first, second = danmaku("一", number=1), danmaku("二", number=2)
    for command in (first, second):
        command["info"][0][15] = {}
    ids = [event["id"] for event in decode(first, second, first)]
    assert ids[0] == ids[2] != ids[1]


def test_money() -> None:
    one(
        super_chat("加油", number=8, price=30),
        id="sc-8",
        text="加油",
        kind="paid",
        amount_micros=30_000_000,
        currency="CNY",
        guard_level=3,
        roles=["member", "guard"],
        level=17,
        priority="paid",
        timestamp_ms=1700000100000,
    )
    one(
        gift("小电视", count=2, total=5000, number=3),
        id="gift-tid-3",
        kind="gift",
        gift_name="小电视",
        count=2,
        amount_micros=5_000_000,
        currency="CNY",
        priority="gift",
        text="",
    )
    one(gift("辣条", coin="silver"), amount_micros=0, currency="")
    one(
        guard_buy(level=2),
        kind="subscription",
        guard_level=2,
        gift_name="舰长",
        count=1,
        amount_micros=198_000_000,
        display_name="舰长君",
        priority="paid",
        roles=["guard"],
    )


def test_deletions() -> None:
    got = decode(
        super_chat_deletion(8, 9),
        {"cmd": "ROOM_BLOCK_MSG", "data": {"uid": 9, "uname": "坏"}},
        {"cmd": "RECALL_DANMU_MSG", "data": {"recall_type": 1, "target_id": 55}},
    )
    assert [(event["type"], event.get("message_id"), event.get("user_id")) for event in got] == [
        ("delete", "sc-8", None),
        ("delete", "sc-9", None),
        ("delete_user", None, "9"),
        ("delete", "55", None),
    ]


@pytest.mark.parametrize("pack", PACKINGS)
def test_packings(pack: Callable[..., bytes]) -> None:
    commands = [danmaku(f"第{number}条", number=number) for number in range(300)]
    frame = pack(*commands[:200]) + pack(*commands[200:])  # several packets, each with several packets
    assert [event["text"] for event in decoder().feed(frame)] == [f"第{number}条" for number in range(300)]


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (b"", "empty"),
        (b"short", "cut short"),
        (packet(COMMAND, b"{}")[:-1], "wrong length"),
        (struct.pack(">IHHII", 8, 16, 0, 5, 1), "wrong length"),
        (struct.pack(">IHHII", 16, 8, 0, 5, 1), "wrong length"),
        (struct.pack(">IHHII", 0xFFFFFFFF, 16, 0, 5, 1), "wrong length"),
        (packet(COMMAND, b"no zlib", ZLIB), "zlib"),
        (packet(COMMAND, zlib.compress(plain(danmaku("x")))[:-3], ZLIB), "zlib"),
        (packet(COMMAND, b"no brotli", BROTLI), "brotli"),
        (packet(COMMAND, brotli.compress(plain(danmaku("x")))[:-3], BROTLI), "brotli"),
        (packet(COMMAND, zlib.compress(zipped(danmaku("x"))), ZLIB), "compressed twice"),
        (packet(COMMAND, brotli.compress(squeezed(danmaku("x"))), BROTLI), "compressed twice"),
        (packet(COMMAND, zlib.compress(b"\0" * 2_000_000), ZLIB), "more than the limit"),
        (packet(COMMAND, brotli.compress(b"\0" * 2_000_000), BROTLI), "more than the limit"),
        (zipped(danmaku("x")) + b"tail", "cut short"),
    ],
)
def test_damaged_frames(frame: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        decoder(inflate_bytes_max=1_000_000).feed(frame)


def test_a_heartbeat_reply_may_have_a_tail() -> None:
    assert decoder().feed(packet(3, struct.pack(">I", 7)) + b"{}") == []


@pytest.mark.parametrize(
    "command",
    [
        {}, {"cmd": 5}, [], {"cmd": "DANMU_MSG"}, {"cmd": "DANMU_MSG", "info": []},
        {"cmd": "DANMU_MSG", "info": [[], 7, []]}, {"cmd": "DANMU_MSG", "info": {"0": 1}},
        {"cmd": "SUPER_CHAT_MESSAGE"}, {"cmd": "SUPER_CHAT_MESSAGE", "data": {"id": 1}},
        {"cmd": "SEND_GIFT", "data": {"giftName": "x", "num": -1}},
        {"cmd": "GUARD_BUY", "data": {"guard_level": 9, "num": 1}},
        {"cmd": "SUPER_CHAT_MESSAGE_DELETE", "data": {"ids": 5}},
    ],
)  # fmt: skip
def test_odd_commands_are_counted_and_skipped(command: Any) -> None:
    reader = decoder()
    assert reader.feed(plain(command, danmaku("danach"))) == decode(danmaku("danach"))
    assert reader.stats()["malformed"] == 1


@settings(deadline=None, database=None)
@given(st.binary(max_size=400), st.sampled_from([0, 1, 2, 3]), st.sampled_from([3, 5, 8]))
def test_any_bytes_are_survived(body: bytes, version: int, operation: int) -> None:
    for frame in (body, packet(operation, body, version)):
        try:
            decoder().feed(frame)
        except ValueError:
            continue


# ---- a room ----


def test_a_room_from_the_first_request_on(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate), heartbeat_seconds=0.1)
        listener.live()
        assert [path.partition("?")[0].rpartition("/")[2] for path in room.asked] == [
            "spi",
            "nav",
            "get_info",
            "getDanmuInfo",
        ]
        assert room.asked[2].endswith("room_id=6")
        assert f"id={ROOM}&type=0&web_location=444.8&wts=" in room.asked[3] and BilibiliDouble.signed(
            room.asked[3].partition("?")[2]
        )
        assert room.cookies[-1] == "buvid3=BUVID-3-infoc; buvid4=BUVID4-0-a%3D%3D"
        assert room.auths == [
            {
                "uid": 0,
                "roomid": ROOM,
                "protover": 3,
                "platform": "web",
                "type": 2,
                "buvid": "BUVID-3-infoc",
                "key": "connection-token",
            }
        ]
        listener.until(lambda: room.heartbeats >= 3)
        room.send(
            squeezed(danmaku("一", number=1), danmaku("二", number=2)),
            zipped(danmaku("三", number=3)),
            b"rubbish",
            plain(danmaku("四", number=4)),
        )
        listener.until(lambda: len(listener.texts) == 4)
        assert listener.texts == ["一", "二", "三", "四"]
        stats = listener.loop.stats(0)
        assert (stats["messages"], stats["malformed"], stats["losses"]) == (4, 1, 0)


def test_it_comes_back_and_reads_nothing_twice(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        room.send(plain(danmaku("vorher", number=1)))
        listener.until(lambda: listener.texts)
        room.hang_up()
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)
        room.send(plain(danmaku("vorher", number=1), danmaku("nachher", number=2)))
        listener.until(lambda: len(listener.texts) == 2)
        assert listener.texts == ["vorher", "nachher"]
        assert listener.loop.stats(0)["duplicates"] == 1


def test_a_login_is_sent_where_it_belongs_and_never_shown(
    certificate: Certificate, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open(
            "bilibili", "6", token="good", login="1234", endpoint=room.url, ca_file=str(certificate.certificate)
        )
        listener.live()
        assert room.auths[0]["uid"] == 1234
        assert all("SESSDATA=good" in cookie for cookie in room.cookies)
        assert not any("good" in path for path in room.asked)
    assert "good" not in repr(listener.events) + "".join(capfd.readouterr())


def test_a_token_that_is_not_accepted_is_final(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open(
            "bilibili", "6", token="stale", login="1234", endpoint=room.url, ca_file=str(certificate.certificate)
        )
        assert "SESSDATA" in listener.state("failed")


def test_no_such_room_is_final(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.room_code = 1
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        assert "房间不存在" in listener.state("failed")


def test_a_refused_auth_asks_for_another_token(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.auth_code = -101
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.until(lambda: len(room.auths) == 2)
        room.auth_code = 0
        listener.live()
        assert sum("getDanmuInfo" in path for path in room.asked) >= 3


def test_a_silent_room_server_is_left(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.answers_heartbeats = False
        listener.open(
            "bilibili",
            "6",
            endpoint=room.url,
            ca_file=str(certificate.certificate),
            heartbeat_seconds=0.1,
            reply_seconds=0.3,
        )
        listener.until(lambda: listener.loop.stats(0)["losses"] == 1)
        assert any("no data for" in event["text"] for event in listener.of("state"))


def test_http_errors_are_told_and_tried_again(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.status = HTTPStatus.SERVICE_UNAVAILABLE
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        assert "HTTP 503" in listener.state("waiting")
        room.status = HTTPStatus.OK
        listener.live()


def test_a_frame_over_the_limit_ends_the_connection_not_the_program(
    certificate: Certificate, listener: Listener
) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate), frame_bytes_max=4096)
        listener.live()
        room.send(plain(danmaku("x" * 5000)))
        listener.until(lambda: listener.loop.stats(0)["losses"] == 1)
        assert any("larger than 4096" in event["text"] for event in listener.of("state"))
        listener.live()


@pytest.mark.parametrize(
    ("field", "channel", "options"),
    [
        ("channel", "six", {}),
        ("channel", "", {}),
        ("token", "6", {"token": "a;b=c", "login": "1"}),
        ("login", "6", {"token": "a"}),
        ("login", "6", {"token": "a", "login": "me"}),
        ("endpoint", "6", {"endpoint": "http://example.org"}),
        ("inflate_bytes_max", "6", {"inflate_bytes_max": 1}),
        ("app_id", "6", {"app_id": "x", "code": "c", "token": "s", "login": "k"}),
        ("app_id", "6", {"code": "c"}),
        ("code", "6", {"app_id": "1", "token": "s", "login": "k"}),
        ("token", "6", {"app_id": "1", "code": "c"}),
        ("login", "6", {"app_id": "1", "code": "c", "token": "s"}),
    ],
)
def test_options_are_checked(field: str, channel: str, options: dict[str, Any]) -> None:
    with pytest.raises(IshowError) as caught:
        Loop().open("bilibili", channel, **options)
    assert caught.value.field == field
