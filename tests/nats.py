"""A real nats-server on a free port."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import Self

from serving import until

PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"  # not on the path of everybody


class Nats:
    """Runs from `with` to its end; `url` is its address."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([PROGRAM, "-a", "127.0.0.1", "-p", str(self.port), "-l", "/dev/null"])
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "nats-server ended: scripts/setup cluster"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
