"""A real nats-server on a free port, and the keys and certificates that it may ask for."""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, Self

from serving import until

PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"  # not on every user's PATH


class Nats:
    """A context manager that runs the server; `url` is its address, and JetStream has a temporary folder."""

    def __init__(self, config: str = "", *, jetstream: bool = True) -> None:
        """config: what a file of the server's configuration says besides."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory(prefix="nats-")
        self.file = Path(self.folder.name) / "nats.conf"
        stored = f'jetstream {{store_dir: "{self.folder.name}"}}\n' if jetstream else ""
        self.file.write_text(f"{stored}{config}\n", encoding="utf-8")
        self.start()

    def start(self) -> None:
        """Again, after `kill`, with what JetStream has stored."""
        self.process = subprocess.Popen(
            [PROGRAM, "-c", str(self.file), "-a", "127.0.0.1", "-p", str(self.port), "-l", "/dev/null"]
        )
        until(self._answers)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "nats-server ended: scripts/setup cluster"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.folder.cleanup()


def openssl(*arguments: str | Path, data: bytes | None = None) -> bytes:
    """What the program prints."""
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Key:
    """A key pair of NATS: Ed25519 in the spelling of its nkeys. kind: user, account or operator."""

    KINDS: ClassVar = {"user": 20 << 3, "account": 0, "operator": 14 << 3}

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.file = folder / f"{kind}-{len(list(folder.iterdir()))}.pem"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.file)
        prefix = self.KINDS[kind]
        raw = openssl("pkey", "-in", self.file, "-outform", "DER")[-32:]
        self.seed = self._spell(bytes([18 << 3 | prefix >> 5, (prefix & 31) << 3]) + raw)
        public = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-32:]
        self.public = self._spell(bytes([prefix]) + public)

    @staticmethod
    def _spell(raw: bytes) -> str:
        return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")

    def token(self, of: Key, **claims: object) -> str:
        """A JWT in which this key vouches for another one."""

        def part(data: bytes) -> str:
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        body = {"iss": self.public, "sub": of.public, "jti": of.public, "iat": 1, "name": of.kind}
        body["nats"] = {"type": of.kind, "version": 2, **claims}  # type: ignore[assignment]
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        text = ".".join(part(json.dumps(each).encode()) for each in (head, body))
        unsigned = self.file.with_suffix(".text")
        unsigned.write_text(text)
        return f"{text}.{part(openssl('pkeyutl', '-sign', '-inkey', self.file, '-rawin', '-in', unsigned))}"


class Accounts:
    """An operator with one account: what the server's configuration says of them, and files of credentials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.operator, self.account = Key(folder, "operator"), Key(folder, "account")
        names = ("subs", "conn", "leaf", "imports", "exports", "data", "payload", "mem_storage", "disk_storage")
        limits = dict.fromkeys(names, -1) | {"wildcards": True}
        account = self.operator.token(self.account, limits=limits)
        self.config = (
            f"operator: {self.operator.token(self.operator)}\nresolver: MEMORY\n"
            f"resolver_preload: {{{self.account.public}: {account}}}\n"
        )

    def credentials(self, name: str, by: Key | None = None) -> Path:
        """A file of a user's JWT and seed. by: who vouches for the user, left out: the account."""
        user = Key(self.folder, "user")
        token = (by or self.account).token(user, pub={}, sub={}, subs=-1, data=-1, payload=-1)
        file = self.folder / name
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        file.chmod(0o600)
        return file


def certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """An authority of its own that says it is 127.0.0.1: certificate and key, both PEM."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
    )  # fmt: skip
    key.chmod(0o600)
    return certificate, key


class Client:
    """A connection to NATS by its own protocol, which is text."""

    def __init__(self, nats: Nats) -> None:
        self.socket = socket.create_connection(("127.0.0.1", nats.port))
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.socket.sendall(b'CONNECT {"verbose":false}\r\n')
        self.wait()

    def wait(self) -> None:
        """Until the server has taken what was sent."""
        self.socket.sendall(b"PING\r\n")
        while (line := self.file.readline()) != b"PONG\r\n":
            assert line, "NATS has closed the connection"

    def subscribe(self, subject: str) -> None:
        """Before anything is published to it."""
        self.socket.sendall(f"SUB {subject} 1\r\n".encode())
        self.wait()

    def publish(self, subject: str, data: bytes) -> None:
        """Hand over a message."""
        self.socket.sendall(f"PUB {subject} {len(data)}\r\n".encode() + data + b"\r\n")

    def receive(self) -> bytes:
        """The next message. The server's PING stays unanswered: it waits for minutes."""
        while not (line := self.file.readline()).startswith(b"MSG "):
            assert line, "NATS has closed the connection"
        size = int(line.split()[-1])
        return self.file.read(size + 2)[:size]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()
