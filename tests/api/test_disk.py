"""A full disk: requests that must be stored are refused, others are served; once there is space, all are."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import httpx
import pytest
from serving import Server, until
from test_cloning import FAST, configuration, create, tiny_model  # noqa: F401
from test_danmaku import NO_LIMITS, counts, message


def limit_files(server: Server, soft: int) -> None:
    """Makes writes beyond `soft` bytes of any file fail, as on a full disk, also for root."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


@pytest.fixture
def arguments(configuration: Path, tmp_path: Path) -> tuple[str, ...]:  # noqa: F811
    return ("--config", str(configuration), "--set", f"server.state_dir={tmp_path / 'state'}", *NO_LIMITS)


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "unavailable", answer.text
    assert int(answer.headers["retry-after"]) >= 1


def test_a_full_disk(kind: str, arguments: tuple[str, ...]) -> None:
    server = Server(*arguments, kind=kind)
    with contextlib.closing(server.client(60)) as api, contextlib.ExitStack() as last:
        last.callback(server.kill)
        api.post("/api/danmaku/pause")
        first = message("This one is kept.")
        assert api.post("/api/danmaku/enqueue", json=first).status_code == 202
        assert create(api, "early").status_code == 201

        limit_files(server, 0)
        sent = [message(f"Number {n}.") for n in range(5)]
        for one in sent:
            refused(api.post("/api/danmaku/enqueue", json=one))
        refused(create(api, "late"))
        for path in ("/readyz", "/api/health"):
            answer = api.get(path)
            assert answer.status_code == 200 and answer.json()["status"] == "degraded"
        assert "ishowtts_store_writable 0" in api.get("/metrics").text
        found = counts(api)
        assert found["waiting"] == 1 and found["dropped"]["storage"] == 5
        assert "late" not in [voice["id"] for voice in api.get("/api/voices").json()]
        assert api.post("/api/tts", json={"text": "Speech goes on.", "voice_id": "early"}).status_code == 200
        assert len([line for line in server.log if "cannot be written" in line]) == 1, server.log

        limit_files(server, resource.RLIM_INFINITY)
        until(lambda: api.get("/readyz").json()["status"] == "ready", 10)
        assert "ishowtts_store_writable 1" in api.get("/metrics").text
        for one in sent:
            assert api.post("/api/danmaku/enqueue", json=one).status_code == 202
        assert create(api, "late", FAST).status_code == 201
    with Server(*arguments, kind=kind) as server, server.client(60) as api:  # after SIGKILL
        waiting = api.get("/api/danmaku/queue").json()
        ids = [one["id"] for one in [waiting["playing"], *waiting["waiting"]] if one]
        assert {first["id"], *(one["id"] for one in sent)} >= set(ids) and counts(api)["recovered"] == 6
        assert {"early", "late"} <= {voice["id"] for voice in api.get("/api/voices").json()}
