"""An asyncio loop on a thread, on which the doubles of the platforms run while a test waits in the foreground."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

from listening import Certificate


class Background:
    """`start` runs once on the loop, `stop` at the end; `run` is for the test's thread."""

    def __init__(self, certificate: Certificate | None) -> None:
        self.context: ssl.SSLContext | None = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.certificate, certificate.key)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, function: Callable[[], object]) -> None:
        """Runs it on the loop and waits until it has run."""

        async def wrapped() -> None:
            function()

        self.run(wrapped())

    def __enter__(self) -> Self:
        self.thread.start()
        self.run(self.start())
        return self

    def __exit__(self, *unused: object) -> None:
        self.run(self.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()
