"""Lines of IRC version 3, and the events of Twitch's lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts._platforms import Decoder, irc_parse

VECTORS = json.loads((Path(__file__).parent / "irc_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS["lines"], ids=lambda case: case["input"][:40])
def test_vectors_of_ircdocs(case: dict[str, Any]) -> None:
    line = irc_parse(case["input"].encode())
    assert line is not None
    assert {key: line[key] for key in ("tags", "source", "command", "params")} == {
        key: case[key] for key in ("tags", "source", "command", "params")
    }  # type: ignore[literal-required]


@pytest.mark.parametrize("case", VECTORS["sources"], ids=lambda case: case["source"])
def test_vectors_of_sources(case: dict[str, str]) -> None:
    line = irc_parse(f":{case['source']} PING".encode())
    assert line is not None
    assert (line["nick"], line["user"], line["host"]) == (case["nick"], case["user"], case["host"])


@pytest.mark.parametrize("bad", [b"", b" ", b"@a=b", b"@a=b ", b":source", b":source ", b"@" + b"k;" * 200 + b" PING"])
def test_no_irc_line(bad: bytes) -> None:
    assert irc_parse(bad) is None


def escape(value: str) -> str:
    return "".join({";": "\\:", " ": "\\s", "\\": "\\\\", "\r": "\\r", "\n": "\\n"}.get(c, c) for c in value)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n ;=:!@"), min_size=1, max_size=12)


@settings(deadline=None, database=None)
@given(
    st.dictionaries(words, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=8),
    words,
    st.lists(words, max_size=5),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n")),
)
def test_what_was_written_is_read(tags: dict[str, str], command: str, params: list[str], trailing: str | None) -> None:
    text = "@" + ";".join(f"{key}={escape(value)}" for key, value in tags.items()) + " " if tags else ""
    text += " ".join([command, *params]) + ("" if trailing is None else f" :{trailing}")
    line = irc_parse(text.encode())
    assert line is not None
    assert line["tags"] == tags
    assert line["command"] == command
    assert line["params"] == params + ([] if trailing is None else [trailing])


def decode(*lines: str | bytes, **options: str) -> list[dict[str, Any]]:
    data = b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return Decoder("twitch", "chan", **options).feed(data)  # type: ignore[arg-type]


def message(tags: str, text: str, nick: str = "ann") -> dict[str, Any]:
    (event,) = decode(f"@{tags} :{nick}!{nick}@{nick}.tmi.twitch.tv PRIVMSG #chan :{text}")
    assert event["type"] == "message"
    return event


def test_a_message_with_everything() -> None:
    got = message(
        "badge-info=subscriber/22;badges=broadcaster/1,moderator/1,vip/1,founder/0,staff/1,bot-badge/1;bits=100;"
        "color=;display-name=Änn;emotes=25:0-4;first-msg=1;id=m-1;mod=1;reply-parent-msg-id=p-1;"
        "reply-parent-user-id=7;reply-parent-user-login=bob;reply-parent-msg-body=what\\sis\\:it;room-id=10;"
        "source-id=s-1;source-room-id=11;subscriber=1;tmi-sent-ts=1643904084794;user-id=1337",
        "Kappa hello",
    )
    assert (
        got
        | {
            "id": "m-1",
            "user_id": "1337",
            "login": "ann",
            "display_name": "Änn",
            "text": "Kappa hello",
            "kind": "paid",
            "bits": 100,
        }
        == got
    )
    assert got["roles"] == ["broadcaster", "moderator", "vip", "subscriber", "staff", "bot"]
    assert got["priority"] == "paid"
    assert (got["months"], got["first"], got["timestamp_ms"]) == (22, True, 1643904084794)
    assert (got["reply_id"], got["reply_user_id"], got["reply_login"], got["reply_text"]) == (
        "p-1",
        "7",
        "bob",
        "what is;it",
    )
    assert (got["room_id"], got["source_room_id"], got["source_id"]) == ("10", "11", "s-1")
    assert got["emotes"] == [(0, 5, "25")]


@pytest.mark.parametrize(
    ("tags", "priority"),
    [
        ("id=1", "normal"),
        ("id=1;mod=1", "moderator"),
        ("id=1;badges=broadcaster/1", "moderator"),
        ("id=1;bits=1", "paid"),
        ("id=1;reply-parent-user-login=chan", "mention"),
        ("id=1;reply-parent-user-login=bob", "normal"),
    ],
)
def test_priority(tags: str, priority: str) -> None:
    assert message(tags, "hi")["priority"] == priority


@pytest.mark.parametrize(
    ("emotes", "text", "wanted"),
    [
        ("25:0-4,12-16/1902:6-10", "Kappa Keepo Kappa", [(0, 5, "25"), (6, 11, "1902"), (12, 17, "25")]),
        ("25:3-7", "né Kappa", [(3, 8, "25")]),  # code points, not bytes
        ("25:2-6", "😀 Kappa", [(2, 7, "25")]),  # nor UTF-16 units
        ("25:3-99", "no Kappa", [(3, 8, "25")]),  # clamped
        ("25:90-99", "no", []),
        ("25:4-0", "Kappa", []),
        ("25:0-4,0-4/7:2-3", "Kappa", [(0, 5, "25")]),  # no overlap
        ("25:0-99999999999999999999999", "Kappa", [(0, 5, "25")]),
        ("25:/:0-1/x/25:1-/-3", "Kappa", [(0, 2, "")]),
        ("", "Kappa", []),
    ],
)
def test_emotes(emotes: str, text: str, wanted: list[tuple[int, int, str]]) -> None:
    assert message(f"id=1;emotes={emotes}", text)["emotes"] == wanted


def test_me_is_an_action_and_emotes_count_from_its_text() -> None:
    got = message("id=1;emotes=25:6-10", "\x01ACTION waves Kappa\x01")
    assert (got["action"], got["text"], got["emotes"]) == (True, "waves Kappa", [(6, 11, "25")])
    assert message("id=1", "\x01ACTION cut")["text"] == "cut"


def test_only_the_first_colon_is_syntax() -> None:
    assert message("id=1", ":) hello")["text"] == ":) hello"


@pytest.mark.parametrize(
    ("tags", "name"),
    [("display-name=", "ann"), ("id=1", "ann"), ("display-name=安", "安"), ("display-name=A\\sB", "A B")],
)
def test_names(tags: str, name: str) -> None:
    got = message(tags, "hi")
    assert (got["display_name"], got["login"]) == (name, "ann")


def test_a_plain_server_gives_no_id_and_no_time() -> None:
    first, second = decode(":ann!a@b PRIVMSG #chan :one", ":ann!a@b PRIVMSG #chan :one")
    assert first["id"] and second["id"] and first["id"] != second["id"]
    assert first["timestamp_ms"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"bad \xff\xfe end", "bad �� end"),
        (b"cut \xe4\xbd", "cut ��"),
        (b"nul \0 x", "nul � x"),
        (b"surrogate \xed\xa0\x80", "surrogate ���"),
        (b"overlong \xc0\xaf", "overlong ��"),
    ],
)
def test_text_is_always_utf8(bytes_: bytes, text: str) -> None:
    (got,) = decode(b"@id=1;display-name=X :ann!a@b PRIVMSG #chan :" + bytes_)
    assert got["text"] == text


NOTICE = (
    "@badges=;display-name=Ann;id=n-1;login=ann;room-id=10;tmi-sent-ts=1;user-id=7;{} :tmi.twitch.tv USERNOTICE #chan{}"
)


@pytest.mark.parametrize(
    ("tags", "text", "wanted"),
    [
        (
            "msg-id=resub;msg-param-cumulative-months=12;msg-param-sub-plan-name=Tier\\s1;system-msg=Ann\\ssubscribed",
            " :great stream",
            {
                "kind": "subscription",
                "months": 12,
                "text": "great stream",
                "system_text": "Ann subscribed",
                "gift_name": "Tier 1",
                "priority": "paid",
            },
        ),
        ("msg-id=sub;system-msg=x", "", {"kind": "subscription", "text": ""}),
        (
            "msg-id=subgift;msg-param-sub-plan-name=Tier\\s1;system-msg=x",
            "",
            {"kind": "gift", "count": 1, "priority": "gift"},
        ),
        ("msg-id=submysterygift;msg-param-mass-gift-count=50;system-msg=x", "", {"kind": "gift", "count": 50}),
        (
            "msg-id=raid;msg-param-viewerCount=123;system-msg=x",
            "",
            {"kind": "raid", "count": 123, "priority": "moderator"},
        ),
        ("msg-id=announcement", " :hear hear", {"kind": "announcement", "text": "hear hear"}),
        (
            "msg-id=charitydonation;msg-param-donation-amount=550;msg-param-exponent=2;"
            "msg-param-donation-currency=USD;system-msg=x",
            "",
            {"kind": "paid", "amount_micros": 5_500_000, "currency": "USD"},
        ),
        (
            "msg-id=sharedchatnotice;source-msg-id=raid;msg-param-viewerCount=5;system-msg=x;source-id=s",
            "",
            {"kind": "raid", "count": 5, "source_id": "s"},
        ),
        (
            "msg-id=viewermilestone;system-msg=Ann\\swatched\\s10\\sstreams",
            "",
            {"kind": "event", "system_text": "Ann watched 10 streams", "priority": "normal"},
        ),
    ],
)
def test_usernotice(tags: str, text: str, wanted: dict[str, object]) -> None:
    (got,) = decode(NOTICE.format(tags, text))
    assert got | wanted == got
    assert (got["login"], got["display_name"], got["user_id"]) == ("ann", "Ann", "7")


def test_gifts_of_a_mystery_gift_are_not_announced_twice() -> None:
    decoder = Decoder("twitch", "chan")
    assert decoder.feed(NOTICE.format("msg-id=subgift;msg-param-community-gift-id=9;system-msg=x", "").encode()) == []
    assert decoder.stats()["ignored"] == 1


def test_deletions() -> None:
    got = decode(
        "@login=ann;room-id=;target-msg-id=m-1;tmi-sent-ts=1 :tmi.twitch.tv CLEARMSG #chan :bad words",
        "@ban-duration=600;room-id=1;target-user-id=7;tmi-sent-ts=1 :tmi.twitch.tv CLEARCHAT #chan :ann",
        "@room-id=1;target-user-id=8;tmi-sent-ts=1 :tmi.twitch.tv CLEARCHAT #chan :bob",
        "@room-id=1;tmi-sent-ts=1 :tmi.twitch.tv CLEARCHAT #chan",
    )
    assert [(e["type"], e.get("message_id"), e.get("user_id"), e.get("login"), e.get("seconds")) for e in got] == [
        ("delete", "m-1", None, "ann", None),
        ("delete_user", None, "7", "ann", 600),
        ("delete_user", None, "8", "bob", 0),
        ("clear", None, None, None, None),
    ]


def test_what_is_not_for_the_channel_is_not_read() -> None:
    decoder = Decoder("twitch", "chan", nick="me")
    lines = [
        ":ann!a@b PRIVMSG #other :x",
        ":ann!a@b PRIVMSG me :private",
        ":me!m@h JOIN #chan",
        ":tmi.twitch.tv 353 me = #chan :me",
        "@emote-sets=0 :tmi.twitch.tv GLOBALUSERSTATE",
    ]
    assert decoder.feed("\n".join(lines).encode()) == []
    assert decoder.stats()["messages"] == 0
    assert (
        decoder.feed(b"@msg-id=slow_on :tmi.twitch.tv NOTICE #chan :This room is now in slow mode.")[0]["text"]
        == "This room is now in slow mode."
    )


@settings(deadline=None, database=None)
@given(st.binary(max_size=300))
def test_random_bytes_do_not_crash(data: bytes) -> None:
    for event in Decoder("twitch", "chan").feed(data + b"\r\n@id=1;emotes=" + data + b" :a!b@c PRIVMSG #chan :" + data):
        for value in event.values():
            if isinstance(value, str):
                value.encode("utf-8")  # no surrogate escapes: it was valid
