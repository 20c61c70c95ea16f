"""Messages in the shapes of Streamer.bot and Social Stream Ninja, to both servers.

Shapes: docs.streamer.bot/api/websocket/events (`Twitch.ChatMessage` of versions 0.2 and 1.0, `YouTube.SuperChat`,
`Kick.ChatMessage`, `Kofi.Donation` ...) and socialstream.ninja/docs/event-reference.html with `api.md` of
steveseguin/social_stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def api(kind: str) -> Iterator[httpx.Client]:
    options = ["chat.rate=0", "chat.repeat_seconds=0", "chat.flood_messages=0"]
    with (
        Server(*(word for option in options for word in ("--set", option)), kind=kind) as server,
        server.client(120) as client,
    ):
        assert client.post("/api/danmaku/pause").status_code == 200
        yield client


def bot(source: str, type: str, **data: Any) -> dict[str, Any]:
    return {"timeStamp": "2026-11-30T00:00:00.0-05:00", "event": {"source": source, "type": type}, "data": data}


def ninja(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "chatname": name,
        "chatmessage": text,
        "chatbadges": [],
        "backgroundColor": "",
        "textColor": "",
        "nameColor": "",
        "chatimg": "https://example.org/a.png",
        "hasDonation": "",
        "membership": "",
        "contentimg": "",
        "type": "tiktok",
    } | more


OLD = {
    "msgId": "o-1",
    "userId": "7",
    "username": "ann",
    "displayName": "Ann",
    "role": 3,
    "subscriber": True,
    "channel": "chan",
    "message": "hello",
    "isMe": False,
    "bits": 0,
    "emotes": [],
}
USER = {"id": "8", "login": "bob", "name": "Bob", "role": 1, "subscribed": True, "type": "twitch"}
# kind, the request, the message in the queue
READ: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "streamerbot",
        bot("Twitch", "ChatMessage", message=OLD),
        {
            "user": "Ann",
            "text": "hello",
            "platform": "twitch",
            "channel": "chan",
            "priority": "Moderator",
            "roles": ["moderator", "subscriber"],
        },
    ),
    (
        "streamerbot",
        bot("Twitch", "ChatMessage", messageId="n-1", text="new words", user=USER, parts=[], isReply=False),
        {"user": "Bob", "text": "new words", "user_id": "8", "roles": ["subscriber"]},
    ),
    (
        "streamerbot",
        bot("Twitch", "Cheer", message=OLD | {"msgId": "o-2", "bits": 100, "message": "have bits"}),
        {"priority": "Paid", "amount": {"value": 100, "currency": "bits"}},
    ),
    (
        "streamerbot",
        bot("Kick", "ChatMessage", messageId="k-1", text="from Kick", user={"id": 5, "login": "kim", "name": "Kim"}),
        {"platform": "kick", "user": "Kim"},
    ),
    (
        "streamerbot",
        bot(
            "YouTube",
            "Message",
            eventId="y-1",
            message="from YouTube",
            user={"id": "UC1", "name": "Yan", "isModerator": True, "isSponsor": True},
        ),
        {"platform": "youtube", "user": "Yan", "roles": ["moderator", "member"]},
    ),
    (
        "streamerbot",
        bot(
            "YouTube",
            "SuperChat",
            eventId="y-2",
            message="take it",
            amount="$5.00",
            microAmount=5000000,
            currencyCode="USD",
            user={"id": "UC1", "name": "Yan"},
        ),
        {"priority": "Paid", "amount": {"value": 5.0, "currency": "USD"}},
    ),
    (
        "streamerbot",
        bot("StreamElements", "Tip", id="t-1", username="Tipper", amount=2.5, currency="EUR", message="thanks"),
        {"user": "Tipper", "amount": {"value": 2.5, "currency": "EUR"}},
    ),
    (
        "streamerbot",
        {
            "timeStamp": "",
            "event": {"source": "Kofi", "type": "Donation"},
            "data": {"messageId": "f-1", "from": "Fan", "message": "coffee", "amount": "3.00", "currency": "USD"},
        },
        {"user": "Fan", "platform": "kofi", "amount": {"value": 3.0, "currency": "USD"}},
    ),
    (
        "socialstream",
        ninja("Tia", "hi there"),
        {"user": "Tia", "text": "hi there", "platform": "tiktok", "priority": "Normal"},
    ),
    (
        "socialstream",
        ninja("Tia", 'so <b>much</b> fun <img src="x" alt="x"> &amp; 1 &lt; 2'),
        {"text": "so much fun & 1 2"},
    ),
    ("socialstream", ninja("Tia", "as it is", textonly=True), {"text": "as it is"}),
    (
        "socialstream",
        ninja("Mod", "listen", moderator=True, type="discord"),
        {"priority": "Moderator", "platform": "discord"},
    ),
    (
        "socialstream",
        ninja("Pay", "five", hasDonation="$5.00"),
        {"amount": {"value": 5.0, "currency": "USD"}, "priority": "Paid"},
    ),
    ("socialstream", ninja("Pay", "euros", hasDonation="1.234,50 €"), {"amount": {"value": 1234.5, "currency": "EUR"}}),
    ("socialstream", ninja("Pay", "dollars", hasDonation="CA$1,000"), {"amount": {"value": 1000.0, "currency": "CAD"}}),
    ("socialstream", ninja("Pay", "by code", hasDonation="SEK 20"), {"amount": {"value": 20.0, "currency": "SEK"}}),
    ("socialstream", ninja("Pay", "yen", hasDonation="¥500"), {"amount": {"value": 500.0, "currency": "JPY"}}),
    (
        "socialstream",
        ninja("Pay", "bits", hasDonation="100 bits", type="twitch"),
        {"amount": {"value": 100, "currency": "bits"}},
    ),
    ("socialstream", ninja("Rosy", "", hasDonation="3 roses"), {"priority": "Gift", "user": "Rosy"}),
    ("socialstream", ninja("Mem", "members only", membership="MEMBERSHIP", type="youtube"), {"roles": ["member"]}),
    ("socialstream", ninja("New", "New just followed", event="new_follower"), {"user": "New", "text": ""}),
]


@pytest.mark.parametrize(("kind_of", "body", "shown"), READ, ids=[f"{i}-{one[0]}" for i, one in enumerate(READ)])
def test_what_is_read(api: httpx.Client, kind_of: str, body: dict[str, Any], shown: dict[str, Any]) -> None:
    answer = api.post(f"/api/danmaku/ingest/{kind_of}", json=body)
    assert answer.status_code == 202, answer.text
    waiting = api.get("/api/danmaku/queue").json()["waiting"]
    (one,) = (one for one in waiting if one["id"] == answer.json()["id"])
    assert {key: one[key] for key in shown} == shown


def test_messages_of_a_websocket_are_answered_in_order(api: httpx.Client) -> None:
    address = str(api.base_url).replace("http", "ws", 1).rstrip("/") + "/api/danmaku/ingest/"
    with connect(address + "socialstream") as socket:
        sent = [json.dumps(ninja(f"Viewer {n}", f"words number {n}")) for n in range(40)]
        for text in (*sent[:20], "{", json.dumps({"text": "x"}), json.dumps(ninja("Tia", "<img src=x>")), *sent[20:]):
            socket.send(text)
        answers = [json.loads(socket.recv(60)) for _ in range(43)]
        ids = [answer["id"] for answer in answers if "position" in answer]
        shown = {one["id"]: one["text"] for one in api.get("/api/danmaku/queue").json()["waiting"]}
        assert [shown[id] for id in ids] == [f"words number {n}" for n in range(40)]
        assert [answers[n]["error"]["code"] for n in (20, 21)] == ["malformed_json", "missing_field"]
        assert answers[22]["skipped"] is True
        socket.send(b"{}")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1003
    with connect(address + "mixitup") as socket:
        socket.send("{}")
        assert json.loads(socket.recv(60))["error"]["code"] == "not_found"
    assert api.get("/api/danmaku/ingest/socialstream").status_code == 426


@pytest.mark.parametrize(
    ("kind_of", "body"),
    [
        ("streamerbot", bot("Twitch", "Whisper", text="psst", user=USER)),
        ("streamerbot", bot("Obs", "SceneChanged", scene={"name": "x"})),
        ("streamerbot", bot("Twitch", "ChatMessage", messageId="e-1", text="", user=USER)),
        ("socialstream", ninja("", "nobody")),
        ("socialstream", ninja("Tia", "<img src=x>")),
    ],
)
def test_what_is_no_message_is_skipped(api: httpx.Client, kind_of: str, body: dict[str, Any]) -> None:
    answer = api.post(f"/api/danmaku/ingest/{kind_of}", json=body)
    assert answer.status_code == 200 and answer.json()["skipped"] is True, answer.text


@pytest.mark.parametrize(
    ("kind_of", "body", "status", "field"),
    [
        ("streamerbot", {}, 400, "event"),
        ("streamerbot", {"event": "ChatMessage", "data": 5}, 400, "event"),
        ("socialstream", {"text": "x"}, 400, "chatname"),
        ("mixitup", {}, 404, "kind"),
    ],
)
def test_what_is_refused(api: httpx.Client, kind_of: str, body: Any, status: int, field: str) -> None:
    answer = api.post(f"/api/danmaku/ingest/{kind_of}", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_the_same_message_is_read_once(api: httpx.Client) -> None:
    body = bot("Twitch", "ChatMessage", message=OLD | {"msgId": "twice"})
    assert api.post("/api/danmaku/ingest/streamerbot", json=body).status_code == 202
    again = api.post("/api/danmaku/ingest/streamerbot", json=body)
    assert again.status_code == 200 and again.json()["reason"] == "duplicate"
