"""Requests and answers of live chat, for `openapi.json`; the C core reads and writes them (csrc/service, csrc/chat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from .._engine import CHAT_WORDS
from ..config import Platform

_Name = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]
if TYPE_CHECKING:
    Priority: TypeAlias = str
    Role: TypeAlias = str
    Reason: TypeAlias = str
    Connection: TypeAlias = str
else:
    Priority = Literal[CHAT_WORDS["priorities"]]
    Role = Literal[CHAT_WORDS["roles"]]
    Reason = Literal[CHAT_WORDS["reasons"]]
    Connection = Literal[CHAT_WORDS["states"]]


class Strict(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ChatMetadata(BaseModel):
    """Further facts about the message; unknown keys are ignored."""

    roles: list[Role] = []
    amount: float = Field(0, ge=0, le=1e9)
    currency: str = Field("USD", pattern="^[A-Z]{3}$")
    gift: str = ""
    count: int = Field(0, ge=0, le=2**53)
    language: str = ""


class ChatMessage(Strict):
    """One message to read aloud."""

    id: _Name
    platform: _Name
    channel: _Name
    username: _Name
    content: str = Field(description="the words; may be empty where a gift speaks for itself")
    user_id: str | None = None
    priority: Priority | None = None
    metadata: ChatMetadata | None = None
    timestamp: Annotated[
        str | float | None,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "number", "minimum": 0, "maximum": 253402300799999},
                    {"type": "null"},
                ],
                "description": "milliseconds since 1970, or like 2026-01-31T12:00:00Z",
            }
        ),
    ] = None


class ChatPlace(Strict):
    """A channel of a platform."""

    platform: Platform
    channel: str


class ChatSource(ChatPlace):
    """A channel to join with its credentials; fields that are left out are taken from the configuration."""

    token: str | None = Field(None, description="Twitch: OAuth token; Bilibili: SESSDATA; YouTube: API key")
    login: str | None = Field(None, description="whose the token is: Twitch login, Bilibili uid")


class ChatIngested(BaseModel):
    """A message as Streamer.bot or Social Stream Ninja sends it."""

    model_config = ConfigDict(extra="allow")


class ChatMessageId(Strict):
    """A waiting or playing message; left out: what plays."""

    id: str | None = None


class ChatViewer(Strict):
    """A viewer of a platform."""

    platform: str = Field(min_length=1, max_length=256, pattern="^[^:]+$")
    user: str = Field(min_length=1, max_length=256, description="id, login or name, in upper or lower case")


class ChatMutedViewer(BaseModel):
    """A viewer who is muted."""

    platform: str
    user: str = Field(description="id, login or name, as it is compared: lower case, without accents")


class ChatHeldId(Strict):
    """A message that waits for approval; left out: all of them."""

    id: str | None = None


class ChatMuted(BaseModel):
    """Whether the viewer is muted now, and how many of their messages were dropped."""

    muted: bool
    dropped: _Count


class ChatApproved(BaseModel):
    """How many messages were added to the queue."""

    approved: _Count


class ChatRejected(BaseModel):
    """How many messages were dropped."""

    rejected: _Count


class ChatAccepted(BaseModel):
    """The message will be read, also after a crash of the server."""

    id: str
    position: _Count = Field(description="messages before it")
    eta: float = Field(description="estimated seconds until it is read")
    merged: bool = Field(description="together with the same words of others")
    held: bool = Field(description="waits for a moderator's approval; position and eta are 0")


class ChatFiltered(BaseModel):
    """The message will not be read."""

    skipped: Literal[True]
    reason: Reason
    id: str


class ChatConnection(BaseModel):
    """A connection to a platform."""

    platform: Platform
    channel: str
    state: Connection
    text: str = Field(description="the state in words")
    seconds: float = Field(description="since this state began")
    silent_seconds: float = Field(description="since the platform last sent anything; -1: never")
    retry_seconds: float = Field(description="until the next attempt")
    connects: _Count
    losses: _Count
    messages: _Count
    deletions: _Count
    malformed: _Count
    quota_used: _Count = Field(description="YouTube: units of this run")


class ChatStopped(BaseModel):
    """The channel was left."""

    stopped: Literal[True]


class ChatSkipped(BaseModel):
    """Whether there was something to skip."""

    skipped: bool


class ChatPaused(BaseModel):
    """Whether reading is paused now."""

    paused: bool


class ChatCleared(BaseModel):
    """How many waiting messages were dropped."""

    cleared: _Count


class ChatReplayed(BaseModel):
    """Whether there was a clip to play again."""

    replayed: bool


class ChatAmount(BaseModel):
    """Money."""

    value: float
    currency: str


class ChatItem(BaseModel):
    """An accepted message."""

    id: str
    platform: str
    channel: str
    user_id: str
    user: str
    text: str = Field(description="as it will be read")
    priority: Priority
    roles: list[Role]
    voice: str | None = Field(description="null: the default one")
    language: str
    timestamp: int = Field(description="milliseconds since 1970")
    amount: ChatAmount | None
    merged: list[str] = Field(description="ids of the same words of others")


class ChatPlaying(ChatItem):
    """The message that is being read."""

    said: str = Field(description="the whole sentence")
    sample_rate: int = Field(description="Hz")
    at: float = Field(description="seconds into the clip")
    duration: float = Field(description="seconds")
    exact: bool = Field(description="false: still being synthesised, `duration` is an estimate")
    replay: bool


class ChatWaiting(ChatItem):
    """A message that waits."""

    position: _Count
    waited: float = Field(description="seconds")
    ready: bool = Field(description="its clip is made")


class ChatRefused(BaseModel):
    """A message that was not read."""

    id: str
    platform: str
    channel: str
    user_id: str
    user: str
    text: str = Field(description="as it was written, at most 500 bytes of it")
    reason: Reason
    timestamp: int = Field(description="milliseconds since 1970")


class ChatQueue(BaseModel):
    """What plays and what waits, in the order in which it will be heard, and what was not read."""

    playing: ChatPlaying | None
    waiting: list[ChatWaiting] = Field(max_length=200)
    held: list[ChatItem] = Field(description="for approval, oldest first", max_length=200)
    refused: list[ChatRefused] = Field(description="the last messages that were not read, oldest first", max_length=50)
    muted: list[ChatMutedViewer]
    total: _Count = Field(description="messages that wait, without those that wait for approval")


class ChatCounts(BaseModel):
    """Every message ends in one way: received = spoken + deleted + skipped + waiting + all that was dropped."""

    received: _Count
    spoken: _Count
    deleted: _Count
    skipped: _Count
    waiting: _Count
    merged: _Count = Field(description="of these, read together with another")
    recovered: _Count = Field(description="messages that waited before the last start and were kept")
    replayed: _Count
    cut: _Count = Field(description="shortened")
    commands: _Count = Field(description="obeyed")
    dropped: dict[Reason, _Count]


class ChatStatus(BaseModel):
    """Counts and connections."""

    paused: bool
    playing: str | None = Field(description="id of what plays")
    queue: dict[Priority, _Count]
    held: _Count = Field(description="messages that wait for approval")
    listeners: _Count
    counts: ChatCounts
    connections: list[ChatConnection]
