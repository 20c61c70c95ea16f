"""Faults that need a server of their own: a clock that jumps, a full disk, a limit of memory, a broker and a platform
that go away, an interpreter that raises, a backend that computes NaN or never returns."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
from faulty_runtime import WRITTEN, package

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "platforms"))
from irc_double import IrcDouble
from long_run import message, settings, unlimited_chat
from nats import Nats
from serving import ROOT, Server, until

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
"""Of Debian's package libfaketime; None where it is not installed."""
OPTIONS = unlimited_chat()
REFUSED = (429, 500, 502, 503, 504)
"""Statuses of speech that cannot be made because of a fault."""


class Absent(Exception):
    """What a fault needs is not on this machine."""


def speaks(server: Server) -> None:
    """It is ready, and a text is spoken."""
    with server.client(60) as api:
        until(lambda: api.get("/readyz").json()["status"] == "ready", 60)
        answer = api.post("/api/tts", json={"text": "Still here."})
        assert answer.status_code == 200, answer.text


def enqueue(api: httpx.Client, names: list[str]) -> None:
    """Messages that are promised to be read."""
    for name in names:
        answer = api.post("/api/danmaku/enqueue", json=message(name))
        assert answer.status_code == 202, answer.text


def waiting(api: httpx.Client) -> list[str]:
    """The ids in the queue, in its order."""
    listed = api.get("/api/danmaku/queue").json()
    return [one["id"] for one in [listed["playing"], *listed["waiting"]] if one]


def clock() -> None:
    """The wall clock jumps a day ahead, ten years back, and on: nothing expires, is lost or comes in another order."""
    if FAKETIME is None:
        raise Absent("libfaketime")
    with tempfile.TemporaryDirectory() as folder:
        now = Path(folder) / "now"
        now.write_text("+0")
        env = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(now),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        arguments = (*unlimited_chat(expire_seconds=3600), *settings(f"server.state_dir={folder}/state"))
        sent: list[str] = []
        days = set()
        with Server(*arguments, env=env) as server, server.client(60) as api:
            api.post("/api/danmaku/pause").raise_for_status()
            for number, jump in enumerate(("+0", "+1d", "-3650d", "+2d")):
                now.write_text(jump)
                days.add(api.get("/healthz").headers["date"][:16])
                sent.append(f"clock-{number}")
                enqueue(api, sent[-1:])
                assert waiting(api) == sent, f"after the jump by {jump}"
                speaks(server)
        assert len(days) == 4, f"the clock did not jump: {days}"
        now.write_text("-30d")
        with Server(*arguments, env=env) as server, server.client(60) as api:
            api.post("/api/danmaku/pause").raise_for_status()
            assert waiting(api) == sent, "after a restart in the past"
            speaks(server)


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A folder on a disk of so many bytes. Absent: this user may not mount one."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            raise Absent("the right to mount a disk")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def full() -> None:
    """No space is left: what must be kept is refused, speech goes on; with space again everything is served."""
    with small_disk("4m") as disk, Server(*OPTIONS, *settings(f"server.state_dir={disk}/state")) as server:
        with server.client(60) as api:
            api.post("/api/danmaku/pause").raise_for_status()
            enqueue(api, ["before"])
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                for size in (1 << 16, 1):
                    with contextlib.suppress(OSError):
                        while file.write(bytes(size)) == size:
                            pass
            refused = [api.post("/api/danmaku/enqueue", json=message(f"full-{n}")).status_code for n in range(300)]
            assert 503 in refused and set(refused) <= {202, 503}, set(refused)
            assert api.get("/readyz").json()["status"] == "degraded"
            assert api.post("/api/tts", json={"text": "Speech goes on."}).status_code == 200
            kept = [f"full-{n}" for n, status in enumerate(refused) if status == 202]
            filler.unlink()
            until(lambda: api.post("/api/danmaku/enqueue", json=message("after")).status_code == 202, 20)
            assert {"before", "after", *kept} <= set(waiting(api))
        speaks(server)


class MemoryGroup:
    """A control group, whose processes may be given a limit of memory. Absent: this user may not make one."""

    def __init__(self) -> None:
        root, first = Path("/sys/fs/cgroup"), (Path("/sys/fs/cgroup") / "memory").is_dir()
        self._limit, self._used = ("limit_in_bytes", "usage_in_bytes") if first else ("max", "current")
        self.folder = (root / "memory" if first else root) / f"ishowtts-chaos-{os.getpid()}"

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir()
        except OSError:
            raise Absent("a control group of memory") from None
        if not (self.folder / f"memory.{self._limit}").is_file():
            self.folder.rmdir()
            raise Absent("a control group of memory")
        return self

    def __exit__(self, *unused: object) -> None:
        until(lambda: not (self.folder / "cgroup.procs").read_text(), 10)
        self.folder.rmdir()

    def take(self, pid: int) -> None:
        """What the process allocates from now on counts."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def limit(self, more: int) -> None:
        """Allow so many bytes more than are used now."""
        used = int((self.folder / f"memory.{self._used}").read_text())
        (self.folder / f"memory.{self._limit}").write_text(str(used + more))


def group() -> None:
    """A control group ends the process for want of memory: nothing that was promised is lost."""
    with tempfile.TemporaryDirectory() as state:
        arguments, promised = (*OPTIONS, *settings(f"server.state_dir={state}")), [f"group-{n}" for n in range(50)]
        with MemoryGroup() as limited:
            server = Server(*arguments)
            try:
                with server.client(60) as api:
                    api.post("/api/danmaku/pause").raise_for_status()
                    limited.take(server.process.pid)
                    enqueue(api, promised)
                    limited.limit(2 << 20)
                    with contextlib.suppress(httpx.HTTPError):  # an upload is held in memory until it is complete
                        api.post("/api/voices", files={"audio": ("a.wav", bytes(9 << 20), "audio/wav")})
                assert server.process.wait(30) == -signal.SIGKILL, "it kept within the limit"
            finally:
                server.kill()
        with Server(*arguments) as server:
            with server.client(60) as api:
                api.post("/api/danmaku/pause").raise_for_status()
                lost = set(promised) - set(waiting(api))
                assert not lost, f"lost {sorted(lost)[:5]}"
            speaks(server)


def broker() -> None:
    """NATS is killed while a gateway speaks through it; when it is back, so is speech."""
    with Nats() as nats, contextlib.ExitStack() as cluster:
        for role in ("worker", "gateway"):
            given = (f"cluster.role={role}", f"cluster.url={nats.url}", f"cluster.name={role}")
            gateway = cluster.enter_context(Server(*settings(*given, "server.request_seconds=3")))
        speaks(gateway)
        nats.kill()
        with gateway.client(30) as api:
            for _ in range(3):
                answer = api.post("/api/tts", json={"text": "Nobody hears this."})
                assert answer.status_code in REFUSED, answer.text
                assert api.get("/healthz").status_code == 200
            nats.start()
            until(lambda: api.post("/api/tts", json={"text": "Back."}).status_code == 200, 60)


def platform() -> None:
    """A platform goes away in the middle of a chat and comes back at the same address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as last:
        file = Path(folder) / "chat.toml"
        source = f'[[chat.sources]]\nplatform = "twitch"\nendpoint = "irc://127.0.0.1:{port}"\nheartbeat_seconds = 1\n'
        file.write_text(source)
        chat = IrcDouble(port=port)
        with chat:
            server = last.enter_context(Server("--config", str(file)))
            api = last.enter_context(server.client(60))

            def state() -> str:
                return str(api.get("/api/danmaku/status").json()["connections"][0]["state"])

            started = api.post("/api/danmaku/start", json={"platform": "twitch", "channel": "somebody"})
            assert started.status_code == 202
            until(lambda: state() == "live")
            chat.hang_up()
        until(lambda: state() != "live")
        speaks(server)
        with IrcDouble(port=port):
            until(lambda: state() == "live")
            speaks(server)


@contextlib.contextmanager
def faulty(*arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[Server, Path]]:
    """A server whose model and text run in Python, and the file that says what shall fail."""
    with tempfile.TemporaryDirectory() as folder:
        package(Path(folder), ROOT / "ishowtts")
        asked = Path(folder) / "fault"
        asked.write_text("")
        own = {"ISHOWTTS_PATH": folder, "ISHOWTTS_FAULT": str(asked)} | (env or {})
        server = Server(*settings("model.backend=eager"), *arguments, env=own)
        try:
            yield server, asked
            asked.write_text("")
            if server.process.poll() is None:
                server.end()
        finally:
            server.kill()


CALLS = ("speakable", "tokenize", "cut", "ask", "config", *WRITTEN)


def interpreter() -> None:
    """Every call of Python raises, every result of the model is NaN: an error each, and then speech again."""
    with faulty() as (server, asked), server.client(60) as api:
        steps = 2
        for kind, names in (("raise", CALLS), ("nan", WRITTEN)):
            for name in names:
                steps += 1  # a table of times that is not in the cache
                asked.write_text(f"{kind} {name}")
                body = {"text": f"Number {steps}.", "nfe_step": steps, "markup": name == "cut"}
                path = {"ask": "/api/reading", "config": "/api/config/reload"}.get(name, "/api/tts")
                answer = api.post(path, json={"text": body["text"]} if name == "ask" else body)
                assert answer.status_code >= 400 and answer.json()["error"]["message"], f"{kind} {name}: {answer.text}"
                asked.write_text("")
                answer = api.post("/api/tts", json=body)
                assert answer.status_code == 200, f"after {kind} {name}: {answer.text}"


def hang() -> None:
    """A step never returns: HTTP goes on, the watchdog is not fed any more, and a new process speaks."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        env = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "2000000"}
        fed = [0.0]
        """When the watchdog was fed last."""

        def read() -> None:
            while part := manager.recv(4096):
                if part == b"WATCHDOG=1":
                    fed[0] = time.monotonic()

        threading.Thread(target=read, daemon=True).start()
        with faulty(*settings("server.request_seconds=10"), env=env) as (server, asked), server.client(60) as api:
            speaks(server)
            until(lambda: fed[0])
            asked.write_text("hang step")
            answers: list[int] = []
            stuck = {"text": "Stuck."}
            speech = threading.Thread(target=lambda: answers.append(api.post("/api/tts", json=stuck).status_code))
            speech.start()
            began = time.monotonic()
            while time.monotonic() - fed[0] < 4:  # twice as long as the manager waits
                assert time.monotonic() - began < 60, "it is fed though the model does not answer"
                with server.client(60) as other:
                    assert other.get("/healthz").status_code == 200
                time.sleep(0.1)
            speech.join(60)
            assert answers == [504]
            server.process.send_signal(signal.SIGABRT)  # as the service manager does
            assert server.process.wait(30) == -signal.SIGABRT
        with contextlib.suppress(OSError):
            manager.shutdown(socket.SHUT_RD)  # ends the thread
        with Server(*OPTIONS) as again:
            speaks(again)


ALONE = (clock, full, group, broker, platform, interpreter, hang)
