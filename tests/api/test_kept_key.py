"""A key that is entered once is kept in the state directory, readable by its owner only, and used from then on."""

from __future__ import annotations

import stat
from pathlib import Path

from serving import Server

NOWHERE = 'chat.sources=[{platform = "youtube", endpoint = "http://127.0.0.1:1"}]'
PLACE = {"platform": "youtube", "channel": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def test_a_key_is_kept(kind: str, tmp_path: Path) -> None:
    options = ["--set", NOWHERE, "--set", f"server.state_dir={tmp_path}"]
    with Server(*options, kind=kind) as server, server.client(60) as client:
        refused = client.post("/api/danmaku/start", json=PLACE)
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "token")
        assert client.post("/api/danmaku/start", json=PLACE | {"token": "AIza-one"}).status_code == 202
        kept = tmp_path / "youtube-key"
        assert kept.read_text() == "AIza-one" and stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert (
            client.post("/api/danmaku/start", json=PLACE | {"channel": "@other", "token": "AIza-two"}).status_code
            == 202
        )
        assert kept.read_text() == "AIza-two"
        assert "AIza" not in client.get("/api/config").text + client.get("/api/danmaku/status").text
        # an address and the id in it name the same channel
        assert (
            client.post("/api/danmaku/stop", json={"platform": "youtube", "channel": "dQw4w9WgXcQ"}).status_code == 202
        )
    with Server(*options, kind=kind) as server, server.client(60) as client:
        assert client.post("/api/danmaku/start", json=PLACE).status_code == 202
        assert sorted(path.name for path in tmp_path.glob("*key*")) == ["youtube-key"]
