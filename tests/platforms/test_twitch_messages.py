"""Events of Twitch's lines and notifications, one of each kind; cheermotes, replies, emotes of other services."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captures import kinds, seen
from hypothesis import given, settings
from hypothesis import strategies as st
from twitch_commands import (
    BETTER_TTV,
    BETTER_TTV_GLOBAL,
    FRANKER_FACE_Z,
    FRANKER_FACE_Z_GLOBAL,
    SEVEN_TV,
    SEVEN_TV_GLOBAL,
    said,
    spoken,
)

from ishowtts._platforms import Decoder


@pytest.mark.parametrize("one", kinds("twitch_irc"))
def test_every_kind_of_line(one: dict[str, Any]) -> None:
    reader = Decoder("twitch", "chan")
    assert seen(reader.feed(one["given"].encode()), one["wanted"]) == one["wanted"]
    assert reader.stats()["malformed"] == 0


@pytest.mark.parametrize("one", kinds("twitch_eventsub"))
def test_every_kind_of_event(one: dict[str, Any]) -> None:
    reader = Decoder("twitch", "chan")
    assert seen(reader.event(one["type"], json.dumps(one["given"]).encode()), one["wanted"]) == one["wanted"]
    assert reader.stats()["malformed"] == 0


def test_both_ways_say_the_same() -> None:
    (by_line,) = Decoder("twitch", "chan").feed(said("Kappa hi", "emotes=Kappa:0-4", "e-1").encode())
    kind, event = spoken(("emote", "Kappa"), ("text", " hi"))
    (by_event,) = Decoder("twitch", "chan").event(kind, json.dumps(event).encode())
    assert by_line | {"timestamp_ms": 0} == by_event | {"timestamp_ms": 0}


def test_emotes_of_other_services() -> None:
    reader = Decoder("twitch", "chan")
    answers = [SEVEN_TV, SEVEN_TV_GLOBAL, BETTER_TTV, BETTER_TTV_GLOBAL, FRANKER_FACE_Z, FRANKER_FACE_Z_GLOBAL]
    assert [reader.emotes(json.dumps(answer).encode()) for answer in answers] == [2, 1, 2, 1, 1, 1]
    assert reader.emotes(json.dumps(SEVEN_TV).encode()) == 0
    (event,) = reader.feed(said("so schön peepoHappy :tf: LilZ monkas Kappa", "emotes=25:37-41").encode())
    assert [id for _, _, id in event["emotes"]] == ["peepoHappy", ":tf:", "LilZ", "25"]  # monkaS is another word
    assert [event["text"][start:end] for start, end, _ in event["emotes"]] == ["peepoHappy", ":tf:", "LilZ", "Kappa"]


def test_lists_of_emotes_are_bounded() -> None:
    reader = Decoder("twitch", "chan")
    assert reader.emotes(json.dumps([{"code": f"e{i}"} for i in range(30_000)]).encode()) == 16384
    for odd in [
        [],
        {},
        [1],
        [{"name": 5}],
        [{"name": "two words"}],
        [{"name": "x" * 65}],
        {"sets": [1]},
        {"emote_set": {"emotes": {}}},
    ]:
        assert Decoder("twitch", "chan").emotes(json.dumps(odd).encode()) == 0


@pytest.mark.parametrize(
    "event",
    [{}, {"message_id": "x"}, {"message": 5}, {"message_id": 5, "chatter_user_name": []}, {"notice_type": "raid"}],
)
def test_odd_events_are_counted_and_skipped(event: dict[str, Any]) -> None:
    for kind in ("channel.chat.message", "channel.chat.notification"):
        reader = Decoder("twitch", "chan")
        assert reader.event(kind, json.dumps(event).encode()) == []
        assert reader.stats()["malformed"] == 1


@settings(deadline=None, database=None)
@given(
    st.text(max_size=80), st.integers(0, 300), st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=6)
)
def test_cutting_leaves_emotes_where_they_are(text: str, bits: int, ranges: list[tuple[int, int]]) -> None:
    line = " ".join(text.split())
    tags = f"bits={bits};reply-parent-msg-id=0;emotes=" + "/".join(f"{start}:{start}-{end}" for start, end in ranges)
    for event in Decoder("twitch", "chan").feed(said(line, tags).encode()):
        size = len(event["text"])
        places = [(start, end) for start, end, _ in event["emotes"]]
        assert places == sorted(places) and all(0 <= start < end <= size for start, end in places)
