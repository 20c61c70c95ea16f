"""The time to parse untrusted input is proportional to its length, and limited for a single line or frame."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
from bilibili_double import BROTLI, COMMAND, ZLIB, command, danmaku, packet
from tiny import make

from ishowtts import _chat, _engine, config
from ishowtts._platforms import Decoder
from ishowtts.errors import IshowError
from ishowtts.text.frontend import Frontend

UNITS = (
    *(
        "a",
        "a ",
        "1",
        "1,",
        "1.",
        "1 ",
        "(",
        "((",
        "()",
        "(^_^)",
        "(^_^",
        "[",
        "[a]",
        "[a",
        ":a:",
        ":a",
        "http://a.b ",
        "www.a.com ",
        "a.b.c.",
        "@a ",
        "#a ",
    ),
    *(
        "!",
        "!?",
        "...",
        "…",
        "é",
        "e\u0301",
        "😀",
        "👨\u200d👩\u200d👧",
        "\u200d",
        "中",
        "中1",
        "ab中",
        "$1",
        "€",
        "1/2 ",
        "1-",
        "-",
        "--",
        "\u00ad",
        "~",
        "*a*",
    ),
    *(
        "_",
        "<b>",
        "&lt;",
        "'",
        '"',
        "aA1",
        "xX",
        "lol ",
        "haha",
        "½",
        "①",
        "1:2:3 ",
        "1st ",
        "24/7 ",
        "a@b.c ",
        "a@a.",
        "1e5 ",
        "0x",
        "+",
        "=",
        "|",
        "\\",
        "ß",
        "Ⅷ",
    ),
    *(
        "١",
        "a/",
        "://",
        "\t ",
        "№",
        "°",
        "%",
        "A.",
        "U.S.A.",
        "Mr. ",
        "I'm ",
        "IV ",
        "v1.2.3 ",
        "3pm ",
        "10:30 ",
        "2024-01-02 ",
        "1,000,000 ",
        "9" * 50 + " ",
        "\u202e",
    ),
)
"""What texts are made of: each is repeated to the length wanted."""
GROWTH = 7.0
"""Four times the length may take this many times as long: 4 is linear, 16 quadratic."""
TEXT_MS, FRAME_MS = 50.0, 150.0


def texts(length: int) -> Iterator[tuple[str, str]]:
    for unit in UNITS:
        yield repr(unit), (unit * (length // len(unit) + 1))[:length]


def milliseconds(work: Callable[[Any], object], given: Any, rounds: int = 2) -> float:
    """Least processor time of some rounds on this thread; errors of the parser do not matter."""
    least = float("inf")
    for _ in range(rounds):
        before = time.thread_time()
        with contextlib.suppress(ValueError, IshowError):
            work(given)
        least = min(least, 1e3 * (time.thread_time() - before))
    return least


def check(work: Callable[[Any], object], length: int, limit: float, made: Callable[[str], Any] = str) -> None:
    slow = []
    for (name, short), (_, long) in zip(texts(length // 4), texts(length), strict=True):
        for rounds in (2, 8):  # a processor that other programs use is slow for a moment
            one, four = milliseconds(work, made(short), rounds), milliseconds(work, made(long), rounds)
            if four <= limit and (four <= 2 or four <= GROWTH * max(one, 0.1)):
                break
        else:
            slow.append(f"{name}: {one:.2f} ms, four times as long {four:.2f} ms")
    assert not slow, "\n".join(slow)


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_texts_to_be_spoken(language: str) -> None:
    front = Frontend("demo")
    check(lambda text: front.normalize(text, language), _engine.DEFAULTS["max_text_chars"], 10 * TEXT_MS)


def test_chat_messages(tmp_path: Path) -> None:
    engine = _engine.Engine(str(make(tmp_path / "tiny")), threads=1, backend="eager")
    tone = (0.1 * np.sin(2 * np.pi * 220 * np.arange(48000) / 24000)).astype(np.float32)
    engine.set_voice("tone", "A tone that lasts for two seconds.", tone, 24000)
    made = config.load().to_dict() | {"default_voice": None}
    made["chat"] |= {
        "voices": [],
        "rate": 0.0,
        "repeat_seconds": 0.0,
        "flood_messages": 0,
        "banned_words": ["bad", "a very bad word", "禁"] * 20,
    }
    chat = _chat.Chat(json.dumps(made), engine.handle(), None)
    chat.ask("pause")
    numbers = iter(range(1 << 30))

    def enqueue(text: str) -> object:
        body = {"id": f"m{next(numbers)}", "platform": "t", "channel": "r", "username": "V", "content": text}
        return chat.ask("enqueue", json.dumps(body, ensure_ascii=False).encode())

    try:
        check(enqueue, 4096, TEXT_MS)
    finally:
        chat.close()
        engine.close()


def test_lines_of_irc() -> None:
    decoder = Decoder("twitch", "chan", nick="n")
    check(decoder.count, 16384, TEXT_MS, lambda text: f"@id=1;user-id=2 :a!a@a PRIVMSG #chan :{text}".encode())
    for tag in ("emotes", "badges", "display-name", "reply-parent-msg-body"):
        check(
            decoder.count,
            16384,
            TEXT_MS,
            lambda text, tag=tag: f"@id=1;user-id=2;{tag}={text.replace(' ', '')} :a!a@a PRIVMSG #chan :hello".encode(),
        )


def test_pages_of_youtube() -> None:
    decoder = Decoder("youtube", "v")

    def page(text: str) -> bytes:
        item = {
            "id": "a",
            "snippet": {"type": "textMessageEvent", "displayMessage": text},
            "authorDetails": {"channelId": "c", "displayName": "d"},
        }
        return json.dumps({"items": [item]}).encode()

    check(decoder.count, 16384, TEXT_MS, page)


def test_commands_of_bilibili() -> None:
    decoder = Decoder("bilibili", "6", room="5050", owner="7")
    check(
        decoder.count,
        16384,
        TEXT_MS,
        lambda text: command(danmaku(text, extra={"emots": {"[a]": {"emoticon_unique": "x"}}})),
    )

    def emotes(n: int) -> bytes:
        return command(danmaku("[1" * n, extra={"emots": {f"[{i}": {"emoticon_unique": "x"} for i in range(n)}}))

    few, many = emotes(1000), emotes(8000)
    assert milliseconds(decoder.count, many) < 2 * GROWTH * milliseconds(decoder.count, few)


def bombs() -> dict[str, bytes]:
    """Small frames whose decompressed content would be large."""
    zeros = brotli.compress(bytes(16 << 20))
    empty = brotli.compress(packet(COMMAND, b"") * (1 << 18))
    lists = b'{"cmd":"X","a":[' + b"[]," * 80000 + b"0]}"
    return {
        "100 packets of 16 MiB": packet(COMMAND, zeros, BROTLI) * 100,
        "a row of empty packets": packet(COMMAND, empty, BROTLI),
        "commands of many lists": packet(COMMAND, brotli.compress(packet(COMMAND, lists) * 16), BROTLI),
        "one large command": packet(
            COMMAND, brotli.compress(packet(COMMAND, b'{"cmd":"' + b"x" * (3 << 20) + b'"}')), BROTLI
        ),
        "damaged zlib": packet(COMMAND, b"x\x9c" + bytes(100), ZLIB) * 1000,
    }


def test_frames_of_bilibili() -> None:
    decoder = Decoder("bilibili", "6", room="5050", owner="7")
    took = {name: milliseconds(decoder.count, frame, 1) for name, frame in bombs().items()}
    assert max(took.values()) < FRAME_MS, took
