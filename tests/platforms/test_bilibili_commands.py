"""Bilibili's commands as current clients get them: each kind, combos, guards, masked viewers, protocol buffers."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from bilibili_commands import click, combo, gift_v2, interaction_v2, toast, toast_v2
from bilibili_double import OWNER, ROOM, danmaku, guard_buy, plain
from captures import kinds, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts._platforms import Decoder


def decoder() -> Decoder:
    return Decoder("bilibili", "6", room=str(ROOM), owner=str(OWNER))


def decode(*commands: dict[str, Any]) -> list[dict[str, Any]]:
    return decoder().feed(plain(*commands))


@pytest.mark.parametrize("one", kinds("bilibili"))
def test_every_kind_of_command(one: dict[str, Any]) -> None:
    reader = decoder()
    got = reader.feed(plain(one["given"])) + reader.flush()
    assert seen(got, one["wanted"]) == one["wanted"]
    assert reader.stats()["malformed"] == 0


def test_thirty_clicks_are_one_gift() -> None:
    reader = decoder()
    assert reader.feed(plain(*[click("小花花", number) for number in range(1, 31)])) == []
    (event,) = reader.feed(plain(combo("小花花", 30)))
    assert (event["count"], event["amount_micros"], event["display_name"]) == (30, 3_000_000, "土豪")
    assert reader.flush() == []
    # combos of two viewers or gifts are not merged, also without an id of the platform
    reader.feed(
        plain(
            click("小花花", 1, "a", uid=1),
            click("小花花", 2, "b", uid=2),
            click("小电视", 3, "a", uid=1),
            click("小花花", 4, "a", uid=1),
        )
    )
    reader.feed(plain(gift_v2("人气票", number=90), gift_v2("人气票", number=91)))
    got = sorted((event["user_id"], event["gift_name"], event["count"]) for event in reader.flush())
    assert got == [("1", "小电视", 1), ("1", "小花花", 2), ("2", "小花花", 1), ("3", "人气票", 4)]


def test_more_combos_than_there_is_room_for_are_read_in_parts() -> None:
    reader = decoder()
    now = reader.feed(plain(*[click("花", number, f"c{number}", uid=number) for number in range(1, 101)]))
    assert len(now) == 100 - 32 and len(reader.flush()) == 32


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_a_guard_is_told_once(order: list[int]) -> None:
    commands = [guard_buy(), toast(at=1700000301), toast_v2(at=1700000302)]
    (event,) = decode(*[commands[i] for i in order])
    assert (event["kind"], event["gift_name"], event["display_name"]) == ("subscription", "舰长", "舰长君")
    assert len(decode(guard_buy(), toast(at=1700009999))) == 2  # another month


def test_a_hidden_uid_is_known_by_its_checksum() -> None:
    first, second, unknown = (danmaku("嗨", uid=0, name="小***", number=number) for number in range(3))
    first["info"][0][7], second["info"][0][7], unknown["info"][0][7] = "a1b2c3d4", "0badcafe", "f4dbdf21"
    got = decode(first, second, unknown)
    assert [(event["user_id"], event["masked"]) for event in got] == [
        ("crc-a1b2c3d4", False),
        ("crc-0badcafe", False),
        ("", True),
    ]


def test_a_storm_of_the_same_words_is_not_read() -> None:
    storm = danmaku("节奏风暴")
    storm["info"][0][9] = 2
    assert decode(storm) == []


def test_damaged_protocol_buffers_are_counted() -> None:
    for command in (gift_v2("花"), interaction_v2(2)):
        whole = base64.b64decode(command["data"]["pb"])
        for cut in range(1, len(whole)):
            reader = decoder()
            reader.feed(plain(command | {"data": {"pb": base64.b64encode(whole[:cut]).decode()}}))
            reader.flush()
        for pb in ("", "=", "====", "!!!!", "/////w==", 5, None):
            reader = decoder()
            assert reader.feed(plain(command | {"data": {"pb": pb}})) == []
            assert reader.stats()["malformed"] == 1


@settings(deadline=None, database=None)
@given(st.binary(max_size=200), st.sampled_from(["SEND_GIFT_V2", "INTERACT_WORD_V2"]))
def test_any_protocol_buffer_is_survived(body: bytes, cmd: str) -> None:
    reader = decoder()
    reader.feed(plain({"cmd": cmd, "data": {"pb": base64.b64encode(body).decode()}}))
    reader.flush()
