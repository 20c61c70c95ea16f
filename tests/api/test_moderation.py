"""Moderation over HTTP: mute, approve, skip by command, and the last clip of a server that ends."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import httpx
from serving import Server, until
from test_danmaku import NO_LIMITS, Listener, counts, message, say


def post(api: httpx.Client, verb: str, **body: Any) -> dict[str, Any]:
    answer = api.post(f"/api/danmaku/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_muted_viewer_stays_muted(kind: str) -> None:
    with tempfile.TemporaryDirectory() as state:
        place = ("--set", f"server.state_dir={state}")
        with Server(*NO_LIMITS, *place, kind=kind) as server, server.client(120) as api:
            api.post("/api/danmaku/pause")
            say(api, "Buy my things.", username="Eve", user_id="7")
            say(api, "Good evening.", username="Anna")
            assert post(api, "mute", platform="test", user="EVE") == {"muted": True, "dropped": 1}
            refused = api.post("/api/danmaku/enqueue", json=message("More.", username="Eve", user_id="7")).json()
            assert refused["reason"] == "muted"
            queue = api.get("/api/danmaku/queue").json()
            assert queue["muted"] == [{"platform": "test", "user": "eve"}]
            assert [item["user"] for item in queue["waiting"]] == ["Anna"]
            assert [(item["user"], item["reason"]) for item in queue["refused"]] == [("Eve", "muted")] * 2
            assert counts(api)["dropped"] == {"muted": 2}
            missing = api.post("/api/danmaku/mute", json={"platform": "test"})
            assert missing.status_code == 400 and missing.json()["error"]["field"] == "user"
            empty = api.post("/api/danmaku/mute", json={"platform": "test", "user": ""})
            assert empty.status_code == 400 and empty.json()["error"]["field"] == "user"
        with Server(*NO_LIMITS, *place, kind=kind) as server, server.client(120) as api:
            again = api.post("/api/danmaku/enqueue", json=message("Again.", username="Eve", user_id="8")).json()
            assert again["reason"] == "muted"
            assert post(api, "unmute", platform="test", user="eve")["muted"] is False
            say(api, "Sorry.", username="Eve", user_id="8")
            assert api.get("/api/danmaku/queue").json()["muted"] == []


def test_messages_wait_for_approval(kind: str) -> None:
    with (
        Server(*NO_LIMITS, "--set", "chat.approval=true", kind=kind) as server,
        server.client(120) as api,
    ):
        listener = Listener(server)
        listener.wait("state")
        held = api.post("/api/danmaku/enqueue", json=message("May I?", id="h1")).json()
        assert held == {"id": "h1", "position": 0, "eta": 0.0, "merged": False, "held": True}
        say(api, "May I not?", id="h2")
        free = api.post(
            "/api/danmaku/enqueue", json=message("I may.", id="m1", metadata={"roles": ["moderator"]})
        ).json()
        assert free["held"] is False
        listener.wait("end", "m1")
        queue = api.get("/api/danmaku/queue").json()
        assert [item["id"] for item in queue["held"]] == ["h1", "h2"] and queue["total"] == 0
        assert api.get("/api/danmaku/status").json()["held"] == 2
        assert "ishowtts_chat_held 2" in api.get("/metrics").text
        assert not listener.of("message", "h1")
        assert post(api, "approve", id="h1") == {"approved": 1}
        assert post(api, "reject") == {"rejected": 1}
        assert api.post("/api/danmaku/approve", json={"id": "h1"}).status_code == 404
        assert listener.wait("end", "h1")["reason"] == "spoken"
        assert [event["id"] for event in listener.of("start")] == ["m1", "h1"]
        assert counts(api)["dropped"] == {"rejected": 1}
        listener.close()


def test_the_clip_that_plays_at_the_end_is_heard(kind: str) -> None:
    """After SIGTERM the clip ends and counts as spoken; waiting messages are read after the next start."""
    with tempfile.TemporaryDirectory() as state:
        place = ("--set", f"server.state_dir={state}")
        server = Server(*NO_LIMITS, *place, kind=kind)
        with server.client(120) as api:
            listener = Listener(server)
            listener.wait("state")
            first = say(
                api, "These are quite some words, which take a while to be said, so that the end comes meanwhile."
            )
            second = say(api, "This one waits.")
            until(lambda: listener.of("audio", first))
            assert server.stop() == 0
            listener.thread.join(30)
        assert [end["reason"] for end in listener.of("end", first)] == ["spoken"]
        start = listener.of("start", first)[0]
        assert len(listener.samples(first)) / start["sample_rate"] > 2
        with Server(*NO_LIMITS, *place, kind=kind) as server, server.client(120) as api:
            again = Listener(server)
            until(lambda: counts(api)["spoken"] == 1)
            assert "interruption" not in counts(api)["dropped"] and counts(api)["recovered"] == 1
            assert second not in [data["id"] for data in listener.of("start")]
            again.close()


def test_the_end_waits_no_longer_than_it_may(kind: str) -> None:
    """A clip longer than `drain_seconds` is cut off, and the log reports it as interrupted."""
    server = Server(*NO_LIMITS, "--set", "server.drain_seconds=1", "--set", "chat.seconds_max=60", kind=kind)
    with server.client(120) as api:
        listener = Listener(server)
        name = say(api, "One sentence follows another, and none of them wants to be the last one. " * 3)
        until(lambda: listener.of("audio", name))
        began = time.monotonic()
        assert server.stop() == 0
        listener.thread.join(30)
        assert time.monotonic() - began < 10
        assert not [end for end in listener.of("end", name) if end["reason"] == "spoken"]
