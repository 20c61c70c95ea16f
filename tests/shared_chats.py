"""Messages that are written to chats which gateways share, and what listeners of all gateways hear of them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence

import httpx
from long_run import message, settings, unlimited_chat
from serving import Server

SHARED = (*unlimited_chat(), *settings("cluster.chat=shared", "chat.gap_seconds=0.05"))
AGAIN_SECONDS = 1.5  # gateways tell of the same start within this time
END_SECONDS = 120.0  # without any end, after which what has not ended is lost


def query(chat: str) -> str:
    """Names a chat, unless it is the one that all builds have."""
    return "" if chat == "main" else f"?chat={chat}"


class Listener:
    """What a gateway tells of a chat: `started` messages with their moments, and why they `ended`."""

    def __init__(self, gateway: Server, chat: str) -> None:
        self.started: list[tuple[str, float]] = []
        self.ended: dict[str, str] = {}
        self.client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=120)
        self.client.request("GET", "/api/danmaku/stream" + query(chat))
        threading.Thread(target=self._read, args=(self.client.getresponse(),), daemon=True).start()

    def _read(self, answer: http.client.HTTPResponse) -> None:
        name = ""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            for raw in answer:
                line = raw.decode()
                name = line[7:].strip() if line.startswith("event: ") else name
                if not line.startswith("data: ") or name not in ("start", "end", "deleted"):
                    continue
                data = json.loads(line[6:])
                if name != "start":
                    self.ended[data["id"]] = data["reason"]
                elif not data["at"]:  # else it is told again to one that came late
                    self.started.append((data["id"], time.perf_counter()))


class Chats:
    """Messages that are written to shared chats, and what listeners of all gateways hear of them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.numbers = itertools.count()
        self.accepted: list[str] = []
        self.listeners: dict[tuple[Server, str], Listener] = {}

    def listen(self, gateway: Server) -> None:
        """To every chat."""
        for name in self.names:
            self.listeners[gateway, name] = Listener(gateway, name)

    def say(self, gateway: Server, chat: str) -> tuple[str, int] | None:
        """Write a message: its id, and how many are read before it; None: it was not accepted."""
        number = next(self.numbers)
        name = f"m{number}"
        try:
            with gateway.client() as client:
                answer = client.post("/api/danmaku/enqueue" + query(chat), json=message(name, f"v{number}"))
        except httpx.HTTPError:
            return None
        if answer.status_code != 202:
            return None
        self.accepted.append(name)
        return name, int(answer.json()["position"])

    def write(self, gateways: Callable[[], list[Server]], over: threading.Event) -> None:
        """Write to all chats without pause, until `over`."""
        for turn in itertools.count():
            if over.is_set():
                return
            now = gateways()
            said = self.say(now[turn % len(now)], self.names[turn % len(self.names)])
            time.sleep(0.5 if said is None else 0.2 + said[1])  # slower where more wait

    def ended(self) -> set[str]:
        """Messages that were read, cut off by the death of their gateway, or never read for a known reason."""
        return {message for listener in list(self.listeners.values()) for message in list(listener.ended)}

    def _begins_again(self, listener: Listener, message: str, moment: float) -> bool:
        """Whether it is read later elsewhere, where this listener has heard its beginning but not its end."""
        return listener.ended.get(message) != "spoken" and any(
            other.ended.get(message) == "spoken" and dict(other.started).get(message, 0) > moment + AGAIN_SECONDS
            for other in self.listeners.values()
        )

    def outcome(self) -> dict[str, object]:
        """Once every accepted message has ended, or some never will."""
        left, until = set(self.accepted), time.perf_counter() + END_SECONDS
        while left and time.perf_counter() < until:
            time.sleep(0.1)
            before, left = left, set(self.accepted) - self.ended()
            until = until if left == before else time.perf_counter() + END_SECONDS
        twice = set[str]()
        for listener in self.listeners.values():
            begun = [message for message, _ in listener.started]
            twice |= {message for message in begun if begun.count(message) > 1}
            twice |= {message for message, moment in listener.started if self._begins_again(listener, message, moment)}
        whole = {one for listener in self.listeners.values() for one, why in listener.ended.items() if why == "spoken"}
        cut = set(self.accepted) - whole - left
        return {"messages": len(self.accepted), "cut_off": len(cut), "begun_twice": len(twice), "lost": len(left)}
