"""A server as a process: started on a free port, its log kept, ended by signal."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("ishowtts/bin/ishowtts-server", "build/release/ishowtts-server")
# One thread and no compilation, since tests run in parallel.
SMALL = ("--set", "model.threads=1", "--set", "model.compile=off")
START_SECONDS = 120.0
DEMO = tomllib.loads((ROOT / "ishowtts" / "voices" / "demo" / "voice.toml").read_text(encoding="utf-8"))
VOICES: dict[str, str] = {voice["id"]: voice["language"] for voice in DEMO["voices"]}  # of the model in this package


def executable(tree: Path = ROOT) -> Path:
    """$ISHOWTTS_SERVER, or the newest file in the folders of a source tree to which a build writes it."""
    if (given := os.environ.get("ISHOWTTS_SERVER")) and tree == ROOT:
        return Path(given)
    found = [tree / place for place in PLACES if (tree / place).is_file()]
    if not found:
        raise FileNotFoundError("there is no server: run `make server`, or set ISHOWTTS_SERVER")
    return max(found, key=lambda place: place.stat().st_mtime)


def environment(state: str | Path, tree: Path = ROOT) -> dict[str, str]:
    own = {
        "ISHOWTTS_PATH": str(tree),
        "PYTHONPATH": str(tree),
        "OMP_NUM_THREADS": "1",
        "ISHOWTTS__SERVER__STATE_DIR": str(state),
    }
    return os.environ | own


def command(kind: str, tree: Path = ROOT) -> list[str]:
    """How a server is started: the C one, or the FastAPI harness."""
    return [sys.executable, "-m", "ishowtts", "api"] if kind == "harness" else [str(executable(tree)), "--verbose"]


class Server:
    """A running server; `lines` are what it printed, `log` what it wrote to standard error.

    tree: the source tree whose build runs.
    """

    def __init__(
        self,
        *arguments: str,
        kind: str = "c",
        wait: bool = True,
        env: dict[str, str] | None = None,
        tree: Path = ROOT,
    ) -> None:
        self.kind = kind
        line = [*command(kind, tree), "--port", "0", *SMALL, *arguments]
        self._state = tempfile.TemporaryDirectory(prefix="ishowtts-state-")
        surroundings = environment(self._state.name, tree) | (env or {})
        self.process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings, bufsize=1
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.log: list[str] = []
        self._port: int | None = None
        self._bound = threading.Event()
        threading.Thread(target=self._read, args=(self.process.stdout, self._printed), daemon=True).start()
        threading.Thread(target=self._read, args=(self.process.stderr, self._logged), daemon=True).start()
        if not self._bound.wait(START_SECONDS):
            self.kill()
            raise TimeoutError("the server opened no port:\n" + "".join(self.log))
        if self._port is None:
            self.process.wait()
            raise RuntimeError("the server ended:\n" + "".join(self.log))
        if wait:
            line = self.lines.get(timeout=START_SECONDS)
            assert line == f"iShowTTS listens on {self.url}\n", line

    def _read(self, stream: object, take: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            take(line)  # type: ignore[operator]
        self._bound.set()

    def _printed(self, line: str) -> None:
        self.lines.put(line)

    def _logged(self, line: str) -> None:
        self.log.append(line)
        if found := re.search(r"http://[^ ]+:(\d+)", line):
            self._port = int(found[1])
            self._bound.set()

    @property
    def port(self) -> int:
        assert self._port is not None
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, seconds: float = 120.0, **options: Any) -> httpx.Client:
        """Without the system's certificates, which take longer to load than most requests last."""
        return httpx.Client(base_url=self.url, timeout=seconds, verify=False, **options)

    def raw(self, data: bytes, *, timeout: float = 60.0) -> bytes:
        """Send bytes, and read until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except ConnectionResetError:
                pass
            return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, fault: type[BaseException] | None, *unused: object) -> None:
        """The exit code must be 0, unless the test has failed already."""
        if fault:
            self.kill()
        else:
            self.end()

    def end(self) -> None:
        """Send SIGTERM, and check that the server ends with 0 and has freed every handle."""
        code = self.stop()
        assert code == 0, "".join(self.log)
        assert not [line for line in self.log if "handles are still alive" in line]

    def stop(self, seconds: float = 60.0) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def run(arguments: Sequence[str], seconds: float = START_SECONDS, kind: str = "c") -> subprocess.CompletedProcess[str]:
    """Wait for a server that is expected to end by itself."""
    with tempfile.TemporaryDirectory(prefix="ishowtts-state-") as state:
        return subprocess.run(
            [*command(kind), *arguments],
            capture_output=True,
            text=True,
            env=environment(state),
            timeout=seconds,
            check=False,
        )


def until(condition: object, seconds: float = 60.0) -> None:
    """Wait for a condition; fails when it does not become true."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "the condition did not come"
        time.sleep(0.02)
