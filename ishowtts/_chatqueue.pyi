"""Filter, queue and feed of live chat: see csrc/pyext/_chatqueue.c."""

from collections.abc import Sequence
from typing import Literal, TypedDict, final

from typing_extensions import CapsuleType

Priority = Literal["Gift", "Paid", "Moderator", "Mention", "Normal"]

class Verdict(TypedDict):
    accepted: bool
    reason: str | None
    merged: bool
    position: int
    eta: float

def live_handles() -> int: ...
@final
class Chat:
    def __new__(
        cls, settings: str, handle: CapsuleType, *, default_voice: str | None = None, state_dir: str | None = None
    ) -> Chat: ...
    def receive(
        self,
        id: str,
        platform: str,
        channel: str,
        username: str,
        content: str,
        *,
        user_id: str = "",
        login: str = "",
        priority: str = "Normal",
        roles: Sequence[str] = (),
        event: str = "",
        amount: float = 0.0,
        currency: str = "",
        gift: str = "",
        count: int = 0,
        language: str = "",
        timestamp: int = 0,
    ) -> Verdict: ...
    def delete(self, id: str, platform: str | None = None, channel: str | None = None) -> int: ...
    def delete_user(self, user: str, platform: str | None = None, channel: str | None = None) -> int: ...
    def delete_all(self, platform: str, channel: str) -> int: ...
    def skip(self, id: str | None = None, /) -> bool: ...
    def pause(self, paused: bool = True, /) -> None: ...
    def clear(self) -> int: ...
    def replay(self) -> bool: ...
    def status(self) -> str: ...
    def queue(self, most: int = 200, /) -> str: ...
    def publish(self, event: str, json: str, /) -> None: ...
    def listen(self, last_event_id: str | None = None, /) -> Reader: ...
    def close(self) -> None: ...

@final
class Reader:
    def text(self, most: int = 65536, timeout: float = 0) -> bytes: ...
    def frame(self, timeout: float = 0) -> str | bytes | None: ...
