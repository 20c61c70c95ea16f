"""Bilibili refuses an identity or gives no token; and combos of gifts over a connection."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from bilibili_commands import click
from bilibili_double import ROOM, BilibiliDouble, danmaku, plain
from listening import Certificate, Listener

HOSTS, ROOM_INFO = "/xlive/web-room/v1/index/getDanmuInfo", "/room/v1/Room/get_info"


@pytest.mark.parametrize("path", [ROOM_INFO, HOSTS, "/x/web-interface/nav"])
def test_an_identity_that_is_not_liked_is_exchanged(path: str, certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.refused[path] = [-352]
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        assert room.identities == 2 and listener.loop.stats(0)["attempts"] == 1
        assert room.auths[0]["buvid"] == "BUVID-4-infoc" and room.auths[0]["key"] == "connection-token"


@pytest.mark.parametrize(
    ("path", "codes"), [(ROOM_INFO, [-352, -352]), (HOSTS, [-412]), (ROOM_INFO, [-412]), (HOSTS, [-799])]
)
def test_without_a_token_the_room_is_joined_all_the_same(
    path: str, codes: list[int], certificate: Certificate, listener: Listener
) -> None:
    with BilibiliDouble(certificate) as room:
        room.refused[path] = codes
        listener.open("bilibili", "5050", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        assert "key" not in room.auths[0] and room.auths[0]["roomid"] == ROOM and room.auths[0]["uid"] == 0
        assert not any("There is no room" in event["text"] for event in listener.of("state"))
        room.send(plain(danmaku("你好")))
        listener.until(lambda: listener.texts == ["你好"])
        room.hang_up()  # the next attempt has another identity, and a token
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)
        assert room.auths[1]["key"] == "connection-token" and room.identities >= 2


def test_a_page_for_people_instead_of_an_answer(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        room.status = HTTPStatus(412)
        listener.open("bilibili", "5050", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        assert "key" not in room.auths[0]


def test_clicks_are_read_when_they_stop(certificate: Certificate, listener: Listener) -> None:
    with BilibiliDouble(certificate) as room:
        listener.open("bilibili", "6", endpoint=room.url, ca_file=str(certificate.certificate))
        listener.live()
        one = click("花", 1)
        one["data"]["combo_stay_time"] = 1
        room.send(plain(one), plain(one), plain(click("花", 2)))  # a repeated click does not count
        listener.until(lambda: listener.of("message"))
        (event,) = listener.of("message")
        assert event["count"] == 2
        room.send(plain(click("电", 3, "b")))
        listener.until(lambda: listener.loop.stats(0)["lines"] == 4)
        room.hang_up()  # a waiting combo is not lost with the connection
        listener.until(lambda: len(listener.of("message")) == 2)
