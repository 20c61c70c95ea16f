"""The chat queue as Python has it, with a real (tiny) model."""

from __future__ import annotations

import gc
import json
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import make

from ishowtts import _chatqueue, _engine, config
from ishowtts.errors import ConfigError, IshowError


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_engine.Engine]:
    model = make(tmp_path_factory.mktemp("model") / "tiny")
    made = _engine.Engine(str(model), threads=1, backend="eager")
    tone = (0.1 * np.sin(2 * np.pi * 220 * np.arange(48000) / 24000)).astype(np.float32)
    made.set_voice("tone", "A tone that lasts for two seconds.", tone, 24000)
    yield made
    made.close()


def settings(**fields: Any) -> str:
    chat = config.load().to_dict()["chat"] | {"voices": [], "rate": 0.0, "gap_seconds": 0.0} | fields
    return json.dumps(chat)


@pytest.fixture
def chat(engine: _engine.Engine) -> Iterator[_chatqueue.Chat]:
    made = _chatqueue.Chat(settings(), engine.handle())
    yield made
    made.close()
    del made
    gc.collect()


def follow(reader: _chatqueue.Reader, until: str, seconds: float = 60) -> list[dict[str, Any]]:
    """Frames up to an event; audio as its header with the length of its WAV."""
    found: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while not found or found[-1]["event"] != until:
        assert time.monotonic() < end, found
        frame = reader.frame(timeout=5)
        if isinstance(frame, bytes):
            (size,) = struct.unpack("<I", frame[:4])
            found.append(json.loads(frame[4 : 4 + size]) | {"wav": len(frame) - 4 - size})
        elif frame is not None:
            found.append(json.loads(frame))
    return found


def test_a_message_is_heard(chat: _chatqueue.Chat) -> None:
    reader = chat.listen()
    verdict = chat.receive("a", "test", "room", "Anna", "Hello there.", roles=["vip"], timestamp=5)
    assert verdict == {"accepted": True, "reason": None, "merged": False, "position": 0, "eta": 0.0}
    heard = follow(reader, "end")
    names = [event["event"] for event in heard if event["event"] != "state"]
    assert names[:3] == ["message", "start", "audio"] and names[-1] == "end"
    assert heard[0]["event"] == "state" and all(event["wav"] > 44 for event in heard if event["event"] == "audio")
    assert json.loads(chat.status())["counts"]["spoken"] == 1
    assert chat.receive("a", "test", "room", "Anna", "Hello there.")["reason"] == "duplicate"


def test_controls(chat: _chatqueue.Chat) -> None:
    chat.pause()
    for n in range(4):
        chat.receive(f"m{n}", "test", "room", f"user{n}", f"Number {n}.", user_id=f"u{n}")
    chat.receive("gift", "test", "room", "Rich", "", priority="Gift", gift="rose", count=2)
    waiting = [item["id"] for item in json.loads(chat.queue())["waiting"]]
    assert waiting == ["gift", "m0", "m1", "m2", "m3"] and len(json.loads(chat.queue(2))["waiting"]) == 2
    assert chat.delete("m0") == 1 and chat.delete("m0") == 0 and chat.delete_user("u1", "test") == 1
    assert chat.skip("m2") and not chat.skip("m2") and not chat.skip() and not chat.replay()
    assert chat.delete_all("test", "lounge") == 0 and chat.clear() == 2
    counts = json.loads(chat.status())["counts"]
    assert counts["received"] == 5 and counts["deleted"] == 2 and counts["skipped"] == 1 and counts["dropped"] == {"clear": 2}
    chat.pause(False)
    reader = chat.listen()
    chat.publish("state", '{"source": 1}')
    text = reader.text(timeout=5)
    while b'"source": 1' not in text:
        text += reader.text(timeout=5)
    assert text.startswith(b"event: state\ndata: {")


def test_what_is_wrong_is_said(engine: _engine.Engine, chat: _chatqueue.Chat) -> None:
    with pytest.raises(ValueError, match="Urgent"):
        chat.receive("a", "test", "room", "Anna", "Hello.", priority="Urgent")
    with pytest.raises(ValueError, match="king"):
        chat.receive("a", "test", "room", "Anna", "Hello.", roles=["king"])
    with pytest.raises(IshowError, match="id must not be empty"):
        chat.receive("", "test", "room", "Anna", "Hello.")
    with pytest.raises(IshowError, match="queue_max"):
        _chatqueue.Chat(settings(queue_max=0), engine.handle())
    with pytest.raises(ConfigError):
        config.load(None, ["chat.queue_max=0"])
    chat.close()
    with pytest.raises(IshowError, match="closed"):
        chat.status()


def test_what_waits_survives(engine: _engine.Engine, tmp_path: Path) -> None:
    first = _chatqueue.Chat(settings(), engine.handle(), state_dir=str(tmp_path / "state"))
    first.pause()
    first.receive("kept", "test", "room", "Anna", "Still here.")
    first.close()
    second = _chatqueue.Chat(settings(), engine.handle(), state_dir=str(tmp_path / "state"))
    assert json.loads(second.status())["counts"]["recovered"] == 1
    assert "kept" in [event.get("id") for event in follow(second.listen(), "end")]
    second.close()


def test_readers_wait_without_the_interpreter_lock(chat: _chatqueue.Chat) -> None:
    readers = [chat.listen() for _ in range(4)]
    heard: list[list[dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda one: heard.append(follow(one, "end")), args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    chat.receive("a", "test", "room", "Anna", "To all of you.")
    for thread in threads:
        thread.join(60)
    audio = [[event["t0"] for event in one if event["event"] == "audio"] for one in heard]
    assert len(audio) == 4 and audio[0] and all(one == audio[0] for one in audio)


def test_nothing_is_left(engine: _engine.Engine) -> None:
    chat = _chatqueue.Chat(settings(), engine.handle())
    reader = chat.listen()
    chat.close()  # the reader keeps it until it is gone
    assert reader.frame() is not None
    del reader, chat
    gc.collect()
    assert _chatqueue.live_handles() == 0
    assert sys.getrefcount(engine) < 20
