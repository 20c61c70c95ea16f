"""A TLS server that sends each client the lines that a test gives it; no packaged IRC server writes Twitch's tags."""

from __future__ import annotations

import asyncio

from background import Background
from listening import Certificate


class IrcDouble(Background):
    """Accepts any number of clients; `lines` are those that they sent, `say` sends to the newest."""

    def __init__(self, certificate: Certificate | None = None, *, greets: bool = True, port: int = 0) -> None:
        super().__init__(certificate)
        self.port = port
        self.greets = greets
        self.lines: list[str] = []
        self.arrived = 0
        self.clients: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        self._hang_up()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"{'ircs' if self.context else 'irc'}://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        self.arrived += 1
        try:
            while raw := await reader.readline():
                line = raw.decode().rstrip("\r\n")
                self.lines.append(line)
                if self.greets:
                    self._greet(writer, line)
        except OSError:
            pass
        finally:
            if writer in self.clients:
                self.clients.remove(writer)
            writer.close()

    @staticmethod
    def _greet(writer: asyncio.StreamWriter, line: str) -> None:
        command, _, rest = line.partition(" ")
        if command == "CAP" and rest.startswith("REQ"):
            writer.write(b":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands\r\n")
        elif command == "NICK":
            writer.write(f":tmi.twitch.tv 001 {rest} :Welcome, GLHF!\r\n:tmi.twitch.tv 376 {rest} :>\r\n".encode())
        elif command == "JOIN":
            writer.write(f"@room-id=1 :tmi.twitch.tv ROOMSTATE {rest}\r\n".encode())
        elif command == "PING":
            writer.write(f":tmi.twitch.tv PONG tmi.twitch.tv {rest}\r\n".encode())

    def send(self, data: bytes) -> None:
        self.call(lambda: self.clients[-1].write(data))

    def say(self, *lines: str) -> None:
        self.send(b"".join(line.encode() + b"\r\n" for line in lines))

    def _hang_up(self) -> None:
        for client in self.clients:
            client.transport.abort()
        self.clients.clear()

    def hang_up(self) -> None:
        self.call(self._hang_up)

    def heard(self, start: str) -> str | None:
        """The latest line that begins with `start`."""
        return next((line for line in reversed(self.lines) if line.startswith(start)), None)
