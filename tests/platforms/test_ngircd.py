"""A real IRC server over TLS, killed and started again in the middle of a flood."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from listening import Certificate, Listener

CONFIGURATION = """
[Global]
Name = irc.test
Info = test
Listen = 127.0.0.1
Ports = {plain}
ServerUID = {user}
ServerGID = {user}
[Limits]
MaxPenaltyTime = 0
MaxConnectionsIP = 0
MaxNickLength = 20
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = {certificate}
KeyFile = {key}
Ports = {secure}
"""
FLOOD = 3000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port


class Ngircd:
    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self.port = free_port()
        self.configuration = folder / "ngircd.conf"
        key = shutil.copy(certificate.key, folder / "key.pem")
        Path(key).chmod(0o644)  # the server reads it after it has dropped its rights
        text = CONFIGURATION.format(
            plain=free_port(), secure=self.port, certificate=certificate.certificate, key=key, user="irc"
        )
        self.configuration.write_text(text, encoding="utf-8")
        self.certificate = certificate
        self.start()

    def start(self) -> None:
        program = shutil.which("ngircd", path="/usr/sbin:/usr/bin")
        assert program
        self.process = subprocess.Popen(
            [program, "--nodaemon", "--config", self.configuration],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Flooder:
    """Another client of the server, which sends numbered lines as fast as it can."""

    def __init__(self, server: Ngircd, nick: str) -> None:
        context = ssl.create_default_context(cafile=str(server.certificate.certificate))
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost"
        )
        self.socket.sendall(f"NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN #chan\r\n".encode())
        reader = self.socket.makefile("rb")
        for line in reader:
            if b" 366 " in line:  # joined
                break
        self.thread: threading.Thread | None = None

    def flood(self, turn: int) -> None:
        def run() -> None:
            try:
                for number in range(FLOOD):
                    self.socket.sendall(f"PRIVMSG #chan :{turn} {number} naïve 🎉\r\n".encode())
            except OSError:
                pass  # the server was killed

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()


@pytest.fixture
def ngircd(tmp_path: Path, certificate: Certificate) -> Iterator[Ngircd]:
    for folder in [tmp_path, *tmp_path.parents[:2], certificate.certificate.parent]:
        folder.chmod(0o755)
    server = Ngircd(tmp_path, certificate)
    yield server
    server.kill()


def test_killed_and_restarted_during_a_flood(ngircd: Ngircd, listener: Listener) -> None:
    listener.open(
        "twitch", "chan", endpoint=f"ircs://127.0.0.1:{ngircd.port}", ca_file=str(ngircd.certificate.certificate)
    )
    listener.live()
    first = Flooder(ngircd, "ann")
    first.flood(1)
    listener.until(lambda: len(listener.texts) >= 200)
    ngircd.kill()
    listener.until(lambda: listener.loop.stats(0)["losses"] == 1)
    before = list(listener.texts)
    assert before == [f"1 {number} naïve 🎉" for number in range(len(before))]  # in order, each once, none damaged
    ngircd.start()
    listener.live()
    second = Flooder(ngircd, "bob")
    second.flood(2)
    listener.until(lambda: len(listener.texts) == len(before) + FLOOD)
    assert listener.texts[len(before) :] == [f"2 {number} naïve 🎉" for number in range(FLOOD)]
    stats = listener.loop.stats(0)
    assert (stats["connects"], stats["losses"], stats["malformed"], stats["messages"]) == (2, 1, 0, len(before) + FLOOD)
    assert {event["display_name"] for event in listener.of("message")} == {"ann", "bob"}
    ids = [event["id"] for event in listener.of("message")]
    assert len(set(ids)) == len(ids)
