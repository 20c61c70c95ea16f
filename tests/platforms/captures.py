"""Recorded kinds of messages: `captures/NAME.jsonl`, a line for each, with what is given and which events it makes.

Their shapes are those that current clients read (2026-11); people, rooms and channels are invented.

- bilibili: blivedm 1.1.7 of xfgryujk (`models/web.py`, `models/open_live.py`, `models/pb.py`) for what is decoded,
  lovelyyoshino/Bilibili-Live-API (`API.live_websocket.md`) for what is told or only counted
- twitch_irc: Chatterino 2.5 (`IrcMessageHandler`, `MessageBuilder`) and dev.twitch.tv/docs/chat/irc
- twitch_eventsub: Twurple 8 (`eventsub-base`) and dev.twitch.tv/docs/eventsub
- youtube: the discovery document of google-api-python-client 2 (`youtube.v3.json`, `LiveChatMessage`) and
  developers.google.com/youtube/v3/live/docs/liveChatMessages
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).with_name("captures")


def kinds(name: str) -> list[Any]:
    """Parameters of a test: dictionaries with `given`, `wanted` and, for EventSub, `type`."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    made = [json.loads(line) for line in lines]
    assert len(made) >= 20
    return [pytest.param(one, id=one["what"]) for one in made]


def seen(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of each event that `wanted` names, as types of JSON."""
    pairs = zip(got, wanted, strict=True)
    return [json.loads(json.dumps({key: event[key] for key in wish})) for event, wish in pairs]
