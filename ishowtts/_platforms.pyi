from typing import Any, Literal, TypedDict, final

Platform = Literal["twitch", "bilibili", "youtube"]

class IrcLine(TypedDict):
    tags: dict[str, str]
    source: str
    nick: str
    user: str
    host: str
    command: str
    params: list[str]

class DecoderStats(TypedDict):
    lines: int
    messages: int
    deletions: int
    notices: int
    duplicates: int
    ignored: int
    malformed: int

class SourceStats(DecoderStats):
    platform: str
    channel: str
    state: Literal["connecting", "live", "waiting", "ended", "failed"]
    text: str
    state_seconds: float
    silent_seconds: float
    retry_seconds: float
    attempts: int
    connects: int
    losses: int
    bytes: int
    heartbeats: int
    quota_used: int

def irc_parse(line: bytes, /) -> IrcLine | None: ...
def youtube_reset_seconds(now: int, /) -> float: ...
def youtube_pace(asked: float, used: int, bound: int, cost: int, reset_seconds: float, /) -> float: ...

@final
class Decoder:
    def __new__(
        cls,
        platform: Platform,
        channel: str,
        nick: str = "",
        room: str = "",
        owner: str = "",
        inflate_bytes_max: int = ...,
    ) -> Decoder: ...
    def feed(self, data: bytes, history: bool = False) -> list[dict[str, Any]]: ...
    def event(self, type: str, data: bytes) -> list[dict[str, Any]]: ...
    def emotes(self, data: bytes, /) -> int: ...
    def flush(self) -> list[dict[str, Any]]: ...
    def count(self, data: bytes, /) -> int: ...
    def stats(self) -> DecoderStats: ...

@final
class Loop:
    def __new__(cls, logins: int = ..., login_seconds: float = ...) -> Loop: ...
    def open(
        self,
        platform: Platform,
        channel: str,
        *,
        token: str | None = None,
        login: str | None = None,
        app_id: str | None = None,
        code: str | None = None,
        emotes_endpoint: str | None = None,
        endpoint: str | None = None,
        ca_file: str | None = None,
        connect_seconds: float = ...,
        heartbeat_seconds: float = ...,
        reply_seconds: float = ...,
        backoff_seconds: float = ...,
        backoff_max_seconds: float = ...,
        poll_seconds_min: float = ...,
        frame_bytes_max: int = ...,
        inflate_bytes_max: int = ...,
        quota_units: int = ...,
        third_party_emotes: bool = ...,
        reply_mentions: bool = ...,
    ) -> int: ...
    def wait(self, seconds: float, /) -> list[dict[str, Any]]: ...
    def stats(self, source: int, /) -> SourceStats: ...
    def close(self, source: int, /) -> None: ...
