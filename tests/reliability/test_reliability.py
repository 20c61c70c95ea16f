"""The short forms of scripts/soak and scripts/chaos."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import chaos
import httpx
import pytest
import soak
from faults import ALONE, Absent, waiting
from long_run import message, settings
from serving import Server, until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(*chaos.OPTIONS) as found:
        chaos.speaks(found)
        yield found


def test_everything_at_once_goes_without_an_error(server: Server) -> None:
    before = soak.sample(server)
    load = soak.Soak(server)
    load.fill()
    samples = soak.run(load, 3, 0.5)
    assert not load.errors, load.errors
    assert {"speak", "stream", "websocket", "chat", "voices", "reload", "nonsense"} <= set(load.done)
    assert len(soak.report(load, samples, 3)) == 7
    chaos.clients(server)
    after = soak.sample(server)
    assert after["threads"] <= before["threads"] + 2 and after["descriptors"] <= before["descriptors"] + 12


def test_threads_share_their_memory(server: Server) -> None:
    """Beside the heap of the process glibc has made one arena: its heaps begin at multiples of 64 MiB."""
    maps = Path(f"/proc/{server.process.pid}/maps").read_text().splitlines()
    writable = [line.split()[0].split("-") for line in maps if " rw-p " in line and len(line.split()) == 5]
    arenas = [int(begin, 16) for begin, _ in writable if int(begin, 16) % (64 << 20) == 0]
    assert len(arenas) <= 1, [hex(begin) for begin in arenas]


def test_large_blocks_have_pages_of_their_own(server: Server) -> None:
    """The heap holds small blocks only: with the weights and the speech that was made it is twice as large."""
    maps = Path(f"/proc/{server.process.pid}/smaps").read_text()
    heap = int(maps.split("[heap]\n")[1].split("Rss:")[1].split()[0])
    assert heap < 32 << 10, f"{heap} KiB"


@pytest.mark.parametrize("fault", ALONE, ids=lambda fault: fault.__name__)
def test_it_goes_on_after(fault: Callable[[], None]) -> None:
    try:
        fault()
    except Absent as absent:
        pytest.skip(f"there is no {absent}")


@pytest.mark.parametrize("fault", [chaos.disk, chaos.memory, chaos.pause], ids=lambda fault: fault.__name__)
def test_the_server_outlives(fault: object, server: Server) -> None:
    fault(server)  # type: ignore[operator]


def test_nothing_that_was_promised_is_lost_by_kill() -> None:
    assert chaos.kill(2) == 2


def test_a_message_that_is_read_while_the_server_is_killed_is_reported(tmp_path: Path) -> None:
    arguments = (*chaos.OPTIONS, *settings(f"server.state_dir={tmp_path / 'state'}"))
    first = Server(*arguments)
    try:
        with first.client() as api:
            api.post("/api/danmaku/enqueue", json=message("long") | {"content": soak.LONG}).raise_for_status()
            until(lambda: api.get("/api/danmaku/queue").json()["playing"])
    finally:
        first.kill()
    with Server(*arguments) as server, server.client() as api:
        assert waiting(api) == []
        assert chaos.interrupted(server) == {"long"}


def test_a_stream_that_ends_early_is_reported_with_what_the_server_said() -> None:
    class Cut(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"abc"
            raise httpx.RemoteProtocolError("incomplete chunked read")

    class Cutting:
        def __init__(self) -> None:
            self.log = [
                "12:00 WARN server: stream-0 failed: timeout: too late\n",
                "12:00 WARN server: stream-00 failed\n",
            ]

        def client(self, seconds: float) -> httpx.Client:
            return httpx.Client(
                transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=Cut())), base_url="http://a"
            )

    load = soak.Soak(cast(Server, Cutting()))
    load.start(["stream"])
    for _ in range(100):
        if load.errors:
            break
        time.sleep(0.05)
    load.stop()
    (said,) = load.errors
    assert said.startswith("stream-0: ") and "3 bytes, then incomplete chunked read" in said
    assert "stream-0 failed: timeout: too late" in said and "stream-00" not in said


def test_slopes_are_told_from_noise() -> None:
    level = [(float(i), 100.0 + (i * 7919 % 13)) for i in range(100)]
    growing = [(at, value + at) for at, value in level]
    found, error = soak.slope(level)
    assert abs(found) < error
    found, error = soak.slope(growing)
    assert abs(found - 3600) < error < 1800
