"""Lines of Twitch's IRC and events of its EventSub for tests, and lists of emotes as other services return them."""

from __future__ import annotations

from typing import Any

COMMON = "user-id=7;display-name=Ann;room-id=1;tmi-sent-ts=1700000000000"
PRIVMSG = ":ann!ann@ann.tmi.twitch.tv PRIVMSG #chan :"


def said(text: str, tags: str = "", number: str = "1") -> str:
    return f"@id={number};{COMMON}{';' if tags else ''}{tags} {PRIVMSG}{text}"


CHATTER: dict[str, Any] = {
    "broadcaster_user_id": "1",
    "broadcaster_user_login": "chan",
    "broadcaster_user_name": "Chan",
    "chatter_user_id": "7",
    "chatter_user_login": "ann",
    "chatter_user_name": "Ann",
    "message_id": "e-1",
    "color": "#00FF7F",
    "badges": [],
    "source_broadcaster_user_id": None,
    "source_message_id": None,
    "source_badges": None,
}


def fragments(*parts: tuple[str, str]) -> dict[str, Any]:
    """A message of fragments (type, text); the id of an emote is its text."""
    return {
        "text": "".join(text for _, text in parts),
        "fragments": [
            {
                "type": kind,
                "text": text,
                "cheermote": {"prefix": "cheer", "bits": 100, "tier": 100} if kind == "cheermote" else None,
                "emote": {"id": text, "emote_set_id": "0", "owner_id": "0", "format": ["static"]}
                if kind == "emote"
                else None,
                "mention": {"user_id": "8", "user_name": "Bob", "user_login": "bob"} if kind == "mention" else None,
            }
            for kind, text in parts
        ],
    }


def spoken(*parts: tuple[str, str], **more: Any) -> tuple[str, dict[str, Any]]:
    base = {
        "message": fragments(*parts),
        "message_type": "text",
        "cheer": None,
        "reply": None,
        "channel_points_custom_reward_id": None,
        "channel_points_animation_id": None,
        "is_source_only": None,
    }
    return "channel.chat.message", CHATTER | base | more


SEVEN_TV = {
    "id": "1",
    "platform": "TWITCH",
    "username": "chan",
    "emote_set": {
        "id": "s",
        "name": "chan",
        "emotes": [{"id": "a", "name": "peepoHappy", "flags": 0}, {"id": "b", "name": "catJAM"}],
    },
}
SEVEN_TV_GLOBAL = {"id": "g", "name": "Global", "emotes": [{"id": "c", "name": "EZ"}]}
BETTER_TTV = {
    "id": "1",
    "bots": [],
    "avatar": "",
    "channelEmotes": [{"id": "d", "code": "monkaS", "imageType": "png", "userId": "1"}],
    "sharedEmotes": [{"id": "e", "code": "(puke)", "user": {"id": "2"}}],
}
BETTER_TTV_GLOBAL = [{"id": "f", "code": ":tf:", "imageType": "png", "animated": False}]
FRANKER_FACE_Z = {
    "room": {"_id": 1, "twitch_id": 1, "set": 9},
    "sets": {"9": {"id": 9, "emoticons": [{"id": 1, "name": "LilZ", "width": 28}]}},
}
FRANKER_FACE_Z_GLOBAL = {"default_sets": [3], "sets": {"3": {"id": 3, "emoticons": [{"id": 2, "name": "ZrehplaR"}]}}}
