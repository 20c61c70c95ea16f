"""The section of live chat: what is read aloud, how, and in which order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from .._engine import CHAT_WORDS
from .._engine import DEFAULTS as D
from .sections import ChatName, Section, Text, VoiceId, read_secret

_ROLES = tuple(role for role in CHAT_WORDS["roles"] if role != "bot")  # bots are never read
if TYPE_CHECKING:
    Platform: TypeAlias = str
    Role: TypeAlias = str
else:
    Platform = Literal[CHAT_WORDS["platforms"]]
    Role = Literal[_ROLES]


Webhook = Annotated[
    str,
    StringConstraints(
        max_length=500, pattern=r"^(https://[^\s/]+|http://(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?)(/\S*)?$"
    ),
]


class ChatSourceConfig(Section):
    """A channel that is read aloud or, without `channel`, the defaults for channels that are joined over HTTP."""

    platform: Platform
    chat: ChatName | None = Field(
        None, description="the chat that reads it, one of cluster.chats (gateways only); left out: the first"
    )
    channel: Text | None = Field(
        None, description="login, room number or video; left out: settings of channels that are joined over HTTP"
    )
    token: Text | None = Field(None, description="Twitch: OAuth token; Bilibili: SESSDATA; YouTube: API key")
    token_file: Text | None = Field(None, description="file with the token, readable by its owner alone")
    token_env: Text | None = Field(None, description="environment variable with the token")
    login: Text | None = Field(
        None, description="owner of the token: Twitch login, Bilibili uid; with app_id the access key's id"
    )
    app_id: Annotated[str, StringConstraints(pattern="^[0-9]{1,18}$")] | None = Field(
        None, description="Bilibili's open platform: number of the project; the token is the access key's secret"
    )
    code: Text | None = Field(None, description="and the streamer's identity code (身份码)")
    code_file: Text | None = Field(None, description="file with the code, readable by its owner alone")
    third_party_emotes: bool | None = Field(
        None, description="Twitch: names of 7TV, BetterTTV and FrankerFaceZ emotes count as emotes; default true"
    )
    reply_mentions: bool | None = Field(
        None, description="Twitch: the @name that a reply begins with is read; default false"
    )
    emotes_endpoint: Text | None = Field(None, description="Twitch: another address for the lists of those emotes")
    endpoint: Text | None = Field(None, description="another address of the platform")
    ca_file: Text | None = Field(None, description="PEM file of authorities to trust instead of the system's")
    connect_seconds: float | None = Field(
        None, ge=1, le=D["chat_seconds_max"], description="time to connect and join the channel"
    )
    heartbeat_seconds: float | None = Field(
        None, ge=1, le=D["chat_seconds_max"], description="silence after which a heartbeat is sent"
    )
    reply_seconds: float | None = Field(
        None, ge=1, le=D["chat_seconds_max"], description="time to wait for the reply to a heartbeat"
    )
    backoff_seconds: float | None = Field(
        None, ge=0.1, le=D["chat_seconds_max"], description="first pause after a lost connection"
    )
    backoff_max_seconds: float | None = Field(None, ge=0.1, le=D["chat_seconds_max"], description="longest pause")
    poll_seconds_min: float | None = Field(
        None, ge=0, le=D["chat_seconds_max"], description="YouTube: between two polls"
    )
    quota_units: int | None = Field(None, ge=0, le=1 << 40, description="YouTube: largest use in one run; 0: no limit")

    def secret(self) -> str | None:
        """The token from `token`, `token_env` or `token_file`, None: there is none. ConfigError: as `read_secret`."""
        if self.token_env is not None and self.token is None:
            return os.environ.get(self.token_env) or None
        if self.token_file is None or self.token is not None:
            return self.token
        return read_secret(self.token_file, "token_file") or None

    def secret_code(self) -> str | None:
        """The identity code, wherever it is kept."""
        if self.code_file is None or self.code is not None:
            return self.code
        return read_secret(self.code_file, "code_file") or None


class ChatConfig(Section):
    """Live chat: what is read aloud, how, and in which order."""

    sources: list[ChatSourceConfig] = Field([], description="joined at the start")
    platforms: list[Text] = Field([], description="read only these; none: all")
    channels: list[Text] = Field([], description="read only these; none: all")
    roles: list[Role] = Field(
        [], description="read only viewers with one of these; none: everyone. Paid messages are always read"
    )
    blocklist: list[Text] = Field(
        [], description='logins, names or user ids that are not read, also as "platform:user"'
    )
    bots: list[Text] = Field(
        ["nightbot", "streamelements", "streamlabs", "moobot", "fossabot", "wizebot", "soundalerts", "sery_bot"],
        description="logins or names of bots",
    )
    banned_words: list[Text] = Field([], description="words or phrases; case, width and accents are ignored")
    banned_level: Literal["exact", "normal", "strict"] = Field(
        "normal", description="normal: also in disguise (baaad, b4d, b a d); strict: also inside longer words"
    )
    rewards: list[Text] = Field(
        [], description='Twitch: read only messages of these channel-point rewards, by id or "highlighted"; none: all'
    )
    webhooks: list[Webhook] = Field(
        [], max_length=8, description="addresses that are called when a clip begins and ends; https, or this machine"
    )
    mentions: list[Text] = Field(
        [], description="names whose @mention raises a message's priority, besides the channel's own"
    )
    languages: list[Text] = Field([], description="read only these, such as en; none: all")
    links: Literal["strip", "read", "refuse"] = "strip"
    emotes: Literal["strip", "read"] = Field("strip", description="pictures, emoji and :codes:")
    kaomoji: Literal["strip", "read"] = Field("strip", description="faces made of characters")
    long_texts: Literal["strip", "refuse"] = Field("strip", description="cut at a word, or refused")
    events: bool = Field(True, description="subscriptions, raids and the like are read")
    words_max: int = Field(
        D["chat_words_max"], ge=1, le=1000, description="of one message; two CJK characters are a word"
    )
    characters_max: int = Field(
        D["chat_graphemes_max"], ge=1, le=2000, description="of one message, counted in graphemes"
    )
    seconds_max: float = Field(D["chat_clip_seconds"], ge=2, le=600, description="of one message as it is heard")
    seconds_max_paid: float = Field(D["chat_clip_seconds_paid"], ge=2, le=600, description="of a paid message")
    command_prefixes: list[Annotated[str, StringConstraints(min_length=1, max_length=8)]] = Field(
        [D["chat_command_prefix"]], description="messages that begin with one of these are not read"
    )
    approval: bool = Field(False, description="messages wait until a moderator approves them")
    voice_command: bool = Field(True, description="!voice ID chooses the viewer's own voice")
    cooldown_seconds: float = Field(
        D["chat_cooldown_seconds"], ge=0, le=86400, description="between messages of a viewer"
    )
    repeat_seconds: float = Field(
        D["chat_repeat_seconds"],
        ge=0,
        le=86400,
        description="time in which a viewer's repeated words are not read; 0: they are read",
    )
    flood_messages: int = Field(
        D["chat_flood_messages"], ge=0, le=1000, description="messages of one viewer within flood_seconds; 0: no limit"
    )
    flood_seconds: float = Field(D["chat_flood_seconds"], ge=0, le=86400)
    rate: float = Field(D["chat_rate"], ge=0, le=1000, description="messages accepted in a second; 0: no limit")
    voices: list[VoiceId] = Field([], description="voices that are assigned to viewers; none: all")
    voice_per_viewer: bool = Field(True, description="each viewer is read in one voice, always the same")
    role_voices: dict[str, VoiceId] = Field({}, description='voices of roles, and of "paid" messages and gifts')
    language: Text = Field(D["chat_language"], description="language of text in Latin script that cannot be recognised")
    template: Text = Field(D["chat_template"], description="{user} {text} {platform} {channel}")
    template_paid: Text = Field(D["chat_template_paid"], description="also {amount}")
    template_gift: Text = Field(D["chat_template_gift"], description="also {count} {gift}")
    template_member: Text = Field(
        D["chat_template_member"], description="for a new member, when the platform sends no sentence"
    )
    template_event: Text = Field(D["chat_template_event"], description="also {event}: the platform's own sentence")
    clean_names: bool = Field(True, description='"xX_Dark_99" is read "Dark"')
    name_again_seconds: float = Field(
        D["chat_name_again_seconds"],
        ge=0,
        le=86400,
        description="time in which the viewer who spoke last is not named again; 0: is always named",
    )
    queue_max: int = Field(D["chat_queue_max"], ge=1, le=65536, description="messages that wait")
    ageing_seconds: float = Field(
        D["chat_ageing_seconds"], ge=1, le=86400, description="waiting time that raises a message by one priority"
    )
    expire_seconds: float = Field(
        D["chat_expire_seconds"], ge=0, le=86400, description="waiting time that drops a normal message; 0: never"
    )
    prefetch: int = Field(D["chat_prefetch"], ge=1, le=8, description="clips computed while one plays")
    gap_seconds: float = Field(D["chat_gap_seconds"], ge=0, le=60, description="between clips")

    @model_validator(mode="after")
    def _roles_exist(self) -> ChatConfig:
        known = (*_ROLES, "paid")
        for name in self.role_voices:
            if name not in known:
                raise ValueError(f"role_voices knows {', '.join(known)}, not {name}")
        return self
