"""The section of live chat: what is read aloud, how, and in which order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from .._engine import CHAT_WORDS
from .._engine import DEFAULTS as D
from .sections import Section, Text, VoiceId, read_secret

_ROLES = tuple(role for role in CHAT_WORDS["roles"] if role != "bot")  # bots are never read
if TYPE_CHECKING:
    Platform: TypeAlias = str
    Role: TypeAlias = str
else:
    Platform = Literal[CHAT_WORDS["platforms"]]
    Role = Literal[_ROLES]


class ChatSourceConfig(Section):
    """A channel that is read aloud, or, without `channel`, what any channel of the platform is joined with."""

    platform: Platform
    channel: Text | None = Field(None, description="login, room number or video; left out: for those started over HTTP")
    token: Text | None = Field(None, description="Twitch: OAuth token; Bilibili: SESSDATA; YouTube: API key")
    token_file: Text | None = Field(None, description="file with the token, readable by its owner alone")
    token_env: Text | None = Field(None, description="environment variable with the token")
    login: Text | None = Field(None, description="whose the token is: Twitch login, Bilibili uid")
    endpoint: Text | None = Field(None, description="another address of the platform")
    ca_file: Text | None = Field(None, description="PEM to trust instead of the system's authorities")
    connect_seconds: float | None = Field(None, ge=1, le=D["chat_seconds_max"], description="from look-up to joined")
    heartbeat_seconds: float | None = Field(
        None, ge=1, le=D["chat_seconds_max"], description="of silence before an own one"
    )
    reply_seconds: float | None = Field(None, ge=1, le=D["chat_seconds_max"], description="patience after a heartbeat")
    backoff_seconds: float | None = Field(
        None, ge=0.1, le=D["chat_seconds_max"], description="first pause after a loss"
    )
    backoff_max_seconds: float | None = Field(None, ge=0.1, le=D["chat_seconds_max"], description="longest pause")
    poll_seconds_min: float | None = Field(
        None, ge=0, le=D["chat_seconds_max"], description="YouTube: between two polls"
    )
    quota_units: int | None = Field(None, ge=0, le=1 << 40, description="YouTube: of one run; 0: no bound")

    def secret(self) -> str | None:
        """The token, wherever it is kept."""
        if self.token_env is not None and self.token is None:
            return os.environ.get(self.token_env) or None
        if self.token_file is None or self.token is not None:
            return self.token
        return read_secret(self.token_file, "token_file") or None


class ChatConfig(Section):
    """Live chat: what is read aloud, how, and in which order."""

    sources: list[ChatSourceConfig] = Field([], description="joined at the start")
    platforms: list[Text] = Field([], description="read only these; none: all")
    channels: list[Text] = Field([], description="read only these; none: all")
    roles: list[Role] = Field([], description="read only who has one of these; none: everyone. Who pays is always read")
    blocklist: list[Text] = Field(
        [], description='logins, names or user ids that are not read, also as "platform:user"'
    )
    bots: list[Text] = Field(
        ["nightbot", "streamelements", "streamlabs", "moobot", "fossabot", "wizebot", "soundalerts", "sery_bot"],
        description="logins or names of bots",
    )
    banned_words: list[Text] = Field([], description="words or phrases; case, width and accents make no difference")
    mentions: list[Text] = Field([], description="names whose @mention lifts a message, besides the channel's own")
    languages: list[Text] = Field([], description="read only these, such as en; none: all")
    links: Literal["strip", "read", "refuse"] = "strip"
    emotes: Literal["strip", "read"] = Field("strip", description="pictures, emoji and :codes:")
    kaomoji: Literal["strip", "read"] = Field("strip", description="faces made of signs")
    long_texts: Literal["strip", "refuse"] = Field("strip", description="cut at a word, or refused")
    events: bool = Field(True, description="subscriptions, raids and the like are read")
    words_max: int = Field(
        D["chat_words_max"], ge=1, le=1000, description="of one message; two CJK characters are a word"
    )
    characters_max: int = Field(
        D["chat_graphemes_max"], ge=1, le=2000, description="of one message, as people see them"
    )
    command_prefix: str = Field(
        D["chat_command_prefix"], max_length=8, description="messages that begin so are not read"
    )
    voice_command: bool = Field(True, description="!voice ID chooses the viewer's own voice")
    cooldown_seconds: float = Field(
        D["chat_cooldown_seconds"], ge=0, le=86400, description="between messages of a viewer"
    )
    repeat_seconds: float = Field(
        D["chat_repeat_seconds"],
        ge=0,
        le=86400,
        description="a viewer's same words are not read again within; 0: they are",
    )
    flood_messages: int = Field(
        D["chat_flood_messages"], ge=0, le=1000, description="of a viewer in flood_seconds; 0: any"
    )
    flood_seconds: float = Field(D["chat_flood_seconds"], ge=0, le=86400)
    rate: float = Field(D["chat_rate"], ge=0, le=1000, description="messages a second that are taken; 0: any")
    voices: list[VoiceId] = Field([], description="among which viewers are spread; none: all")
    voice_per_viewer: bool = Field(True, description="each viewer has a voice of their own, and keeps it")
    role_voices: dict[str, VoiceId] = Field({}, description='voices of roles, and of "paid" messages and gifts')
    language: Text = Field(D["chat_language"], description="of Latin text that does not tell")
    template: Text = Field(D["chat_template"], description="{user} {text} {platform} {channel}")
    template_paid: Text = Field(D["chat_template_paid"], description="also {amount}")
    template_gift: Text = Field(D["chat_template_gift"], description="also {count} {gift}")
    template_event: Text = Field(D["chat_template_event"], description="also {event}: the platform's own sentence")
    clean_names: bool = Field(True, description='"xX_Dark_99" is read "Dark"')
    name_again_seconds: float = Field(
        D["chat_name_again_seconds"],
        ge=0,
        le=86400,
        description="a viewer who spoke last is not named again within; 0: always",
    )
    queue_max: int = Field(D["chat_queue_max"], ge=1, le=65536, description="messages that wait")
    ageing_seconds: float = Field(
        D["chat_ageing_seconds"], ge=1, le=86400, description="waiting so long lifts by a priority"
    )
    expire_seconds: float = Field(
        D["chat_expire_seconds"], ge=0, le=86400, description="normal messages go after; 0: never"
    )
    prefetch: int = Field(D["chat_prefetch"], ge=1, le=8, description="clips made while one plays")
    gap_seconds: float = Field(D["chat_gap_seconds"], ge=0, le=60, description="between clips")

    @model_validator(mode="after")
    def _roles_exist(self) -> ChatConfig:
        known = (*_ROLES, "paid")
        for name in self.role_voices:
            if name not in known:
                raise ValueError(f"role_voices knows {', '.join(known)}, not {name}")
        return self
