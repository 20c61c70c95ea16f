"""Acknowledged changes survive SIGKILL at any moment, and an ordinary restart."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import httpx
import pytest
from serving import Server
from test_cloning import FAST, FLAC, TEXT, configuration, create, override, speak, tiny_model  # noqa: F401


@pytest.fixture
def arguments(configuration: Path, tmp_path: Path) -> tuple[str, ...]:  # noqa: F811
    return ("--config", str(configuration), "--set", f"server.state_dir={tmp_path / 'state'}")


def clips(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state" / "voices").iterdir())


def test_voices_and_overrides_come_back(kind: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    first = Server(*arguments, kind=kind)
    with first.client(120) as http:
        assert create(http, "bob", FAST, language="en").status_code == 201
        assert override(http, "anna", FAST).status_code == 200
        before = http.get("/api/voices").json(), http.get("/api/voices/anna/reference").json(), speak(http, "bob")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert first.stop() == 0
    with Server(*arguments, kind=kind) as second:
        with second.client(120) as http:
            assert (
                http.get("/api/voices").json(),
                http.get("/api/voices/anna/reference").json(),
                speak(http, "bob"),
            ) == before
            assert (
                http.delete("/api/voices/bob").status_code
                == http.delete("/api/voices/anna/reference").status_code
                == 204
            )
        assert clips(tmp_path) == []


def test_one_server_a_state_directory(kind: str, arguments: tuple[str, ...]) -> None:
    from serving import run

    with Server(*arguments, kind=kind) as first:
        second = run(["--port", "0", *arguments], kind=kind)
        assert (
            second.returncode == 1
            and "in use by another server" in second.stderr
            and str(first.process.pid) in second.stderr
        )


def test_killed_at_any_moment(kind: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The server is killed during uploads: acknowledged ones are complete, and no other is stored in part."""
    made: set[str] = set()
    for round_ in range(5):
        server = Server(*arguments, kind=kind)
        try:
            with server.client(60) as http:
                found = {voice["id"] for voice in http.get("/api/voices").json()} - {"anna"}
                assert made <= found <= made | {f"r{round_ - 1}-{len(made)}"}
                made = found
                for id in found:
                    assert http.get(f"/api/voices/{id}/reference/audio").content == FLAC + id.encode()
                    assert http.get(f"/api/voices/{id}/reference").json()["active_reference_text"] == TEXT
                assert len(clips(tmp_path)) == len(found)
                killer = threading.Timer(0.02 + 0.11 * round_, server.process.kill)
                killer.start()
                with contextlib.suppress(httpx.HTTPError):
                    while True:
                        id = f"r{round_}-{len(made)}"
                        if create(http, id, FLAC + id.encode()).status_code == 201:
                            made.add(id)
                killer.join()
                server.process.wait()
        finally:
            server.kill()
    assert len(made) >= 3
    with Server(*arguments, kind=kind) as last, last.client(60) as http:
        for id in sorted(made):
            assert speak(http, id)


def test_a_damaged_clip_and_a_broken_database_do_not_stop_the_start(
    kind: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    server = Server(*arguments, kind=kind)
    with server.client(60) as http:
        assert override(http, "anna", FAST).status_code == 200
    server.kill()
    (clip,) = clips(tmp_path)
    clip.write_bytes(b"no audio any more")
    server = Server(*arguments, kind=kind)
    try:
        assert any("uploaded clip for voice anna is not used" in line for line in server.log)
        assert httpx.get(server.url + "/api/voices").json()[0]["has_override"] is False
    finally:
        server.kill()
    (tmp_path / "state" / "ishowtts.db-wal").unlink()  # which still holds all of it
    (tmp_path / "state" / "ishowtts.db").write_bytes(b"no database any more" * 1000)
    with Server(*arguments, kind=kind) as server:
        assert any("is broken" in line and "is kept as" in line for line in server.log), server.log
        assert list((tmp_path / "state").glob("ishowtts.db.broken-*")) and list(
            (tmp_path / "state").glob("voices.broken-*/*")
        )
        assert httpx.get(server.url + "/readyz").status_code == 200


def test_a_client_that_leaves_after_sending_has_its_voice(kind: str, arguments: tuple[str, ...]) -> None:
    with Server(*arguments, kind=kind) as server:
        request = httpx.Request(
            "POST", server.url + "/api/voices", data={"id": "bob", "text": TEXT}, files={"audio": ("c", FAST)}
        )
        head = b"POST /api/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n" % (
            request.headers["content-type"].encode(), request.headers["content-length"].encode(),
        )  # fmt: skip
        import socket

        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head + request.read())
        end = time.monotonic() + 30
        while "bob" not in httpx.get(server.url + "/api/health").json()["voices"]:
            assert time.monotonic() < end
            time.sleep(0.05)
