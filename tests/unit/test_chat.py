"""The chat queue from Python, with a tiny model."""

from __future__ import annotations

import gc
import json
import os
import select
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

from ishowtts import _chat, _engine, _service, config
from ishowtts.errors import ConfigError, IshowError


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_engine.Engine]:
    model = make(tmp_path_factory.mktemp("model") / "tiny")
    made = _engine.Engine(str(model), threads=1, backend="eager")
    tone = (0.1 * np.sin(2 * np.pi * 220 * np.arange(48000) / 24000)).astype(np.float32)
    made.set_voice("tone", "A tone that lasts for two seconds.", tone, 24000)
    yield made
    made.close()


def live_handles() -> int:
    """Number of live handles, after a collection of reference cycles of earlier tests."""
    gc.collect()
    return _engine.live_handles()


def settings(**fields: Any) -> str:
    made = config.load().to_dict()
    made["chat"] |= {"voices": [], "rate": 0.0, "gap_seconds": 0.0} | fields
    return json.dumps(made | {"default_voice": None})


class Chat:
    """A chat, and the eventfd that wakes its listeners."""

    def __init__(self, engine: _engine.Engine, store: _service.Store | None = None, **fields: Any) -> None:
        self.news = os.eventfd(0)
        self.core = _chat.Chat(settings(**fields), engine.handle(), store and store.handle(), notify=self.news)

    def ask(self, verb: _chat.Verb, body: Any = None) -> dict[str, Any]:
        status, text = self.core.ask(verb, b"" if body is None else json.dumps(body).encode())
        return json.loads(text) | {"status": status}

    def say(self, name: str, text: str, **fields: Any) -> dict[str, Any]:
        message = {"id": name, "platform": "test", "channel": "room", "username": "Anna", "content": text}
        return self.ask("enqueue", message | fields)

    def follow(self, reader: _chat.Reader, until: str, seconds: float = 60) -> list[dict[str, Any]]:
        """Frames up to an event; of audio the header, with the length of its WAV."""
        found: list[dict[str, Any]] = []
        end = time.monotonic() + seconds
        while not found or found[-1]["event"] != until:
            assert time.monotonic() < end, found
            frame = reader.frame()
            if isinstance(frame, bytes):
                (size,) = struct.unpack("<I", frame[:4])
                found.append(json.loads(frame[4 : 4 + size]) | {"wav": len(frame) - 4 - size})
            elif frame is not None:
                found.append(json.loads(frame))
            else:
                select.select([self.news], [], [], 0.05)  # other tests of this process may have handles
        return found

    def close(self) -> None:
        self.core.close()
        os.close(self.news)


@pytest.fixture
def chat(engine: _engine.Engine) -> Iterator[Chat]:
    made = Chat(engine)
    yield made
    made.core.close()
    del made
    gc.collect()


def test_a_message_is_heard(chat: Chat) -> None:
    reader = chat.core.listen()
    verdict = chat.say("a", "Hello there.", metadata={"roles": ["vip"]}, timestamp=5)
    assert verdict == {"status": 202, "id": "a", "merged": False, "held": False, "position": 0, "eta": 0.0}
    heard = chat.follow(reader, "end")
    names = [event["event"] for event in heard if event["event"] != "state"]
    assert names[:3] == ["message", "start", "audio"] and names[-1] == "end"
    assert heard[0]["event"] == "state" and all(event["wav"] > 44 for event in heard if event["event"] == "audio")
    assert chat.ask("status")["counts"]["spoken"] == 1
    again = chat.say("a", "Hello there.")
    assert again == {"status": 200, "skipped": True, "reason": "duplicate", "id": "a"}
    assert b"ishowtts_chat_spoken_total 1\n" in chat.core.metrics()


def test_controls(chat: Chat) -> None:
    assert chat.ask("pause")["paused"] is True
    for n in range(4):
        chat.say(f"m{n}", f"Number {n}.", username=f"user{n}", user_id=f"u{n}")
    chat.say("gift", "", username="Rich", priority="Gift", metadata={"gift": "rose", "count": 2})
    assert [item["id"] for item in chat.ask("queue")["waiting"]] == ["gift", "m0", "m1", "m2", "m3"]
    assert chat.core.delete("m0") == (204, "") and chat.core.delete("m0")[0] == 404
    assert chat.ask("skip", {"id": "m2"})["skipped"] and chat.ask("skip", {"id": "m2"})["status"] == 404
    assert chat.ask("skip")["skipped"] is False and chat.ask("replay")["replayed"] is False
    assert chat.ask("clear")["cleared"] == 3
    counts = chat.ask("status")["counts"]
    assert (
        counts["received"] == 5
        and counts["deleted"] == 1
        and counts["skipped"] == 1
        and counts["dropped"] == {"clear": 3}
    )
    assert chat.ask("resume")["paused"] is False
    assert chat.core.listen().text().startswith(b"event: state\ndata: {")


def test_what_is_wrong_is_said(engine: _engine.Engine, chat: Chat) -> None:
    assert chat.say("a", "Hello.", priority="Urgent")["error"]["field"] == "priority"
    assert chat.say("", "Hello.")["error"]["code"] == "invalid_request"
    assert chat.ask("start", {"platform": "myspace", "channel": "x"})["error"]["code"] == "unsupported"
    with pytest.raises(ValueError, match="shout"):
        chat.core.ask("shout")  # type: ignore[arg-type]
    with pytest.raises(IshowError, match="queue_max"):
        Chat(engine, queue_max=0)
    with pytest.raises(ConfigError):
        config.load(None, ["chat.queue_max=0"])
    chat.core.close()
    with pytest.raises(IshowError, match="closed"):
        chat.ask("status")


def test_what_waits_survives(engine: _engine.Engine, tmp_path: Path) -> None:
    before = live_handles()
    store = _service.Store(str(tmp_path / "state"))
    first = Chat(engine, store)
    first.ask("pause")
    first.say("kept", "Still here.")
    first.close()
    second = Chat(engine, store)
    assert second.ask("status")["counts"]["recovered"] == 1
    assert "kept" in [event.get("id") for event in second.follow(second.core.listen(), "end")]
    second.close()
    with pytest.raises(IshowError, match="in use by another server"):
        _service.Store(str(tmp_path / "state"))
    del store, first, second
    assert live_handles() == before


def test_other_rules_for_a_chat_that_runs(chat: Chat) -> None:
    """With new options waiting messages stay; later ones are filtered, and clips that have not begun are synthesised,
    by the new ones.
    """
    chat.ask("pause")
    for n in range(4):  # two of them are being synthesised
        assert chat.say(f"m{n}", f"Number {n}.", username=f"user{n}")["status"] == 202
    assert chat.say("b", "Buy a boat.")["status"] == 202
    changed = {"banned_words": ["boat"], "template": "{text} said {user}", "queue_max": 3, "name_again_seconds": 0.0}
    chat.core.configure(settings(**changed))
    waiting = [item["id"] for item in chat.ask("queue")["waiting"]]
    assert waiting == ["m0", "m1", "m2", "m3", "b"], "nothing that was taken is lost, however short the queue is now"
    assert chat.say("c", "Buy a boat again.", username="Cem")["reason"] == "banned_word"
    assert chat.say("d", "One more.", username="Dee")["status"] == 202
    waiting = [item["id"] for item in chat.ask("queue")["waiting"]]
    assert waiting == ["m1", "m2", "m3", "b", "d"], "the oldest has made room for it"
    with pytest.raises(IshowError, match="gap_seconds"):
        chat.core.configure(settings(gap_seconds=61.0))
    reader = chat.core.listen()
    chat.ask("resume")
    said: list[str] = []
    while len(said) < 5:
        said += [event["said"] for event in chat.follow(reader, "end") if event["event"] == "start"]
    assert said[-2:] == ["Buy a boat. said Anna", "One more. said Dee"], said
    assert chat.say("m0", "Number 0.")["reason"] == "duplicate", "what was seen before is remembered"


def test_many_readers_hear_the_same(chat: Chat) -> None:
    readers = [chat.core.listen() for _ in range(4)]
    heard: list[list[dict[str, Any]]] = []
    threads = [
        threading.Thread(target=lambda one: heard.append(chat.follow(one, "end")), args=(reader,)) for reader in readers
    ]
    for thread in threads:
        thread.start()
    chat.say("a", "To all of you.")
    for thread in threads:
        thread.join(60)
    audio = [[event["t0"] for event in one if event["event"] == "audio"] for one in heard]
    assert len(audio) == 4 and audio[0] and all(one == audio[0] for one in audio)


def test_nothing_is_left(engine: _engine.Engine) -> None:
    before = live_handles()
    chat = Chat(engine)
    reader = chat.core.listen()
    chat.core.close()  # the reader keeps the chat until it is freed
    assert reader.frame() is not None
    del reader, chat
    assert live_handles() == before
    assert sys.getrefcount(engine) < 20


ABUSE = {
    "9" * 280: "999999999999 and 268 more digits",
    "xD" * 140: "xDxDxD",
    "buy now " * 35: "buy now buy now buy now",
    "1234567890" * 20: "123456789012 and 188 more digits",
    "a" * 280: "aaa",
    "are you there, are you there, " * 9 + "yes": "are you there, are you there, are you there, yes",
}
"""What was sent in chats to hold the queue, and what is left of it to be read."""


@pytest.mark.parametrize("text", ABUSE)
def test_no_message_holds_the_queue(engine: _engine.Engine, text: str) -> None:
    """With the front end and the model: without limits each of these took up to 70 s."""
    chat = Chat(engine, template="{text}", flood_messages=0)
    reader = chat.core.listen()
    chat.say("a", text)
    heard = chat.follow(reader, "end")
    start = next(event for event in heard if event["event"] == "start")
    audio = [event for event in heard if event["event"] == "audio"]
    assert start["said"] == ABUSE[text]
    assert heard[-1]["at"] <= 6 and audio[-1]["t1"] == pytest.approx(heard[-1]["at"], abs=0.01)
    chat.close()


def test_a_clip_ends_when_it_must(engine: _engine.Engine) -> None:
    """The estimate ignores the voice and abbreviations; the clip is limited nevertheless."""
    chat = Chat(engine, template="{text}", seconds_max=2.0, seconds_max_paid=3.0)
    reader = chat.core.listen()
    for name, most, fields in (("a", 2.0, {}), ("b", 3.0, {"priority": "Paid", "metadata": {"amount": 5}})):
        chat.say(name, "pls brb thx idk " + "ffs omg " * 3, username=name, **fields)
        heard = chat.follow(reader, "end")
        assert heard[-1]["at"] <= most and heard[-1]["reason"] == "spoken"
    chat.close()
