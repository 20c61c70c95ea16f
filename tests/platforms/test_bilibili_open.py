"""Bilibili's open platform: signed requests, the project's heartbeat, unmasked names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bilibili_commands import OPEN_MEDAL, OPEN_USER, opened
from bilibili_double import ROOM, plain
from bilibili_open_double import APP_ID, CODE, KEY_ID, SECRET, OpenPlatformDouble
from listening import Certificate, Listener

from ishowtts._platforms import Loop


def open_room(listener: Listener, room: OpenPlatformDouble, certificate: Certificate, **options: Any) -> None:
    given = {"app_id": str(APP_ID), "code": CODE, "login": KEY_ID, "token": SECRET} | options
    listener.open("bilibili", str(ROOM), endpoint=room.url, ca_file=str(certificate.certificate), **given)


def test_a_room_by_the_open_platform(
    certificate: Certificate, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    with OpenPlatformDouble(certificate) as room:
        open_room(listener, room, certificate)
        listener.live()
        assert room.posted == [("start", {"code": CODE, "app_id": APP_ID})]
        assert json.loads(room.auths[0])["key"] == "key-1"
        room.send(plain(opened("DM", **OPEN_USER, **OPEN_MEDAL, msg="你好", guard_level=0, dm_type=0, is_admin=0)))
        listener.until(lambda: listener.texts == ["你好"])
        (event,) = listener.of("message")
        assert event["display_name"] == "全名" and not event["masked"]
        # after a lost connection the same project is used again
        room.hang_up()
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)
        assert room.games == 1 and room.auths[1] == room.auths[0]
        # a project that the platform has ended is replaced by another
        room.send(plain(opened("INTERACTION_END", game_id="game-1")))
        listener.until(lambda: listener.loop.stats(0)["connects"] == 3)
        assert room.games == 2 and json.loads(room.auths[2])["key"] == "key-2"
    assert SECRET not in repr(listener.events) + "".join(capfd.readouterr()) and CODE not in repr(listener.events)


def test_the_project_is_ended_when_the_room_is_left(certificate: Certificate, listener: Listener) -> None:
    with OpenPlatformDouble(certificate) as room:
        ended = [("end", {"app_id": APP_ID, "game_id": f"game-{n}"}) for n in (1, 2, 3)]
        open_room(listener, room, certificate)
        listener.live()
        listener.loop.close(0)
        listener.until(lambda: room.posted[1:] == ended[:1])
        open_room(listener, room, certificate)
        listener.live(1)
        room.send(plain(opened("INTERACTION_END", game_id="game-2")))
        listener.until(lambda: room.games == 3)
        listener.live(1)
        listener.loop = Loop()  # frees the old one: what happens when a server closes down
        assert [post for post in room.posted if post[0] == "end"] == [ended[0], ended[2]], "game-2 had ended by itself"


def test_a_wrong_key_is_final(certificate: Certificate, listener: Listener) -> None:
    with OpenPlatformDouble(certificate) as room:
        open_room(listener, room, certificate, token="another")
        assert "4002" in listener.state("failed")


def test_a_project_still_open_is_waited_for(certificate: Certificate, listener: Listener) -> None:
    with OpenPlatformDouble(certificate) as room:
        room.start_codes = [7002, 7001]
        open_room(listener, room, certificate)
        listener.live()
        assert listener.loop.stats(0)["attempts"] == 3
