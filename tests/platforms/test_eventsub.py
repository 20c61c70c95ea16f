"""Twitch by EventSub: subscriptions, events, the move to another server, revocation; and the lists of emotes."""

from __future__ import annotations

from typing import Any

import pytest
from eventsub_double import TOKEN, EventSubDouble
from listening import Certificate, Listener
from twitch_commands import BETTER_TTV_GLOBAL, SEVEN_TV, spoken

from ishowtts._platforms import Loop
from ishowtts.errors import IshowError


def open_channel(listener: Listener, server: EventSubDouble, certificate: Certificate, **options: Any) -> None:
    given = {"token": TOKEN, "login": "reader"} | options
    listener.open(
        "twitch", given.pop("channel", "chan"), endpoint=server.url, ca_file=str(certificate.certificate), **given
    )


def message(text: str, number: str) -> dict[str, Any]:
    return spoken(("text", text))[1] | {"message_id": number}


def test_a_chat_by_eventsub(certificate: Certificate, listener: Listener, capfd: pytest.CaptureFixture[str]) -> None:
    with EventSubDouble(certificate) as server:
        open_channel(listener, server, certificate)
        listener.live()
        assert [one["type"] for one in server.subscriptions] == [
            "channel.chat.message",
            "channel.chat.notification",
            "channel.chat.message_delete",
            "channel.chat.clear_user_messages",
            "channel.chat.clear",
        ]
        assert server.subscriptions[0]["condition"] == {"broadcaster_user_id": "1", "user_id": "99"}
        assert server.subscriptions[0]["transport"] == {"method": "websocket", "session_id": "session-1"}
        assert "EventSub" in listener.loop.stats(0)["text"]
        server.notify("channel.chat.message", message("one", "m-1"), "a")
        server.notify("channel.chat.message", message("one", "m-1"), "a")  # sent again
        server.say(server.framed("session_keepalive", {}))
        server.notify("channel.chat.message", message("two", "m-2"), "b")
        listener.until(lambda: len(listener.texts) == 2)
        assert listener.texts == ["one", "two"]
        server.hang_up()
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)
        assert len(server.subscriptions) == 10
        assert listener.loop.stats(0)["malformed"] == 0
    assert TOKEN not in repr(listener.events) + "".join(capfd.readouterr())


def test_it_moves_when_asked(certificate: Certificate, listener: Listener) -> None:
    with EventSubDouble(certificate) as server:
        open_channel(listener, server, certificate)
        listener.live()
        url = server.url.replace("https", "wss") + "/ws?id=2"
        server.say(
            server.framed(
                "session_reconnect", {"session": {"id": "session-1", "status": "reconnecting", "reconnect_url": url}}
            )
        )
        listener.until(lambda: server.sessions == 2 and len(server.sockets) == 1)
        server.notify("channel.chat.message", message("after", "m-3"))
        listener.until(lambda: listener.texts == ["after"])
        stats = listener.loop.stats(0)
        assert (stats["connects"], stats["losses"], len(server.subscriptions)) == (1, 0, 5)


def test_what_is_final(certificate: Certificate) -> None:
    for change, options, words in [
        ({}, {"token": "stale"}, "does not accept the token"),
        ({"scopes": ["chat:read"]}, {}, "user:read:chat"),
        ({}, {"channel": "nobody"}, "no channel nobody"),
        ({"refuses_subscriptions": 1}, {}, "proper authorization"),
    ]:
        listener = Listener()
        with EventSubDouble(certificate) as server:
            for name, value in change.items():
                setattr(server, name, value)
            open_channel(listener, server, certificate, **options)
            assert words in listener.state("failed")


def test_a_revoked_right_is_final(certificate: Certificate, listener: Listener) -> None:
    with EventSubDouble(certificate) as server:
        open_channel(listener, server, certificate)
        listener.live()
        server.say(
            server.framed(
                "revocation", {"subscription": {"type": "channel.chat.message", "status": "authorization_revoked"}}
            )
        )
        assert "authorization_revoked" in listener.state("failed")


def test_emotes_of_other_services_are_asked_for_once(certificate: Certificate, listener: Listener) -> None:
    with EventSubDouble(certificate) as server:
        server.emotes = {"/v3/users/twitch/1": SEVEN_TV, "/3/cached/emotes/global": BETTER_TTV_GLOBAL}
        open_channel(listener, server, certificate, emotes_endpoint=server.url)
        listener.live()
        listener.until(lambda: len(server.emote_paths) == 6)
        assert server.emote_paths[-1] == "/v1/room/id/1"
        listener.until(
            lambda: (
                not server.notify(
                    "channel.chat.message",
                    message("peepoHappy :tf: ok", f"m-{len(listener.texts)}"),
                    str(len(listener.texts)),
                )
                and listener.texts
                and listener.of("message")[-1]["emotes"]
            )
        )
        assert [id for _, _, id in listener.of("message")[-1]["emotes"]] == ["peepoHappy", ":tf:"]
        server.hang_up()
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)
        assert len(server.emote_paths) == 6  # they are young


def test_nobody_is_asked_for_emotes_when_that_is_off(certificate: Certificate, listener: Listener) -> None:
    with EventSubDouble(certificate) as server:
        open_channel(listener, server, certificate, emotes_endpoint=server.url, third_party_emotes=False)
        listener.live()
        server.notify("channel.chat.message", message("one", "m-1"))
        listener.until(lambda: listener.texts)
        assert server.emote_paths == []


def test_it_needs_a_token() -> None:
    with pytest.raises(IshowError) as caught:
        Loop().open("twitch", "chan", endpoint="https://127.0.0.1:1")
    assert caught.value.field == "token"
