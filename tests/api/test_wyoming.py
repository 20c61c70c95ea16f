"""Home Assistant's Wyoming protocol, with its own package as the client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from serving import VOICES, Server, until
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

TEXT = "The quick brown fox jumps over the lazy dog."
NOBODY = f"there is no voice 'nobody'; there are {', '.join(VOICES)}"
LONG = " ".join([TEXT] * 40)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    with Server("--wyoming", str(number), "--set", "sampling.nfe=3") as server:
        httpx.get(server.url + "/readyz").raise_for_status()
        yield number


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[AsyncTcpClient]:
    client = AsyncTcpClient("127.0.0.1", port)
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


async def speak(client: AsyncTcpClient, text: str, **voice: str) -> np.ndarray | str:
    """The samples, or the text of the error."""
    await client.write_event(Synthesize(text, SynthesizeVoice(**voice) if voice else None).event())
    parts: list[bytes] = []
    while (event := await asyncio.wait_for(client.read_event(), 60)) is not None:
        if Error.is_type(event.type):
            return Error.from_event(event).text
        if AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.rate, start.width, start.channels) == (24000, 2, 1)
        elif AudioChunk.is_type(event.type):
            parts.append(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type):
            return np.frombuffer(b"".join(parts), "<i2")
    raise EOFError


def test_describes_its_voices(port: int) -> None:
    async def ask() -> Info:
        async with connected(port) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            return Info.from_event(event)

    [program] = asyncio.run(ask()).tts
    assert program.name == "ishowtts" and program.installed
    assert {voice.name: voice.languages for voice in program.voices} == {
        name: [language] for name, language in VOICES.items()
    }


def test_speaks_in_the_voice_that_is_asked_for(port: int) -> None:
    async def talk() -> None:
        async with connected(port) as client:
            for voice in ({}, {"name": "kerstin"}, {"language": "de-DE"}, {"language": "fr"}):
                samples = await speak(client, TEXT, **voice)
                assert isinstance(samples, np.ndarray) and 1 < len(samples) / 24000 < 8
                assert 0.02 < np.sqrt((samples.astype(float) ** 2).mean()) / 32768 < 0.5
            error = await speak(client, TEXT, name="nobody")
            assert error == NOBODY
            assert await speak(client, " ") == "text holds only white space"
            await client.write_event(Ping("still there?").event())
            event = await client.read_event()
            assert event is not None and Pong.from_event(event).text == "still there?"

    asyncio.run(talk())


async def answer(client: AsyncTcpClient) -> tuple[list[str], bytes]:
    """The types of the events of a written text's answer, chunks counted once, and its samples."""
    kinds: list[str] = []
    parts: list[bytes] = []
    while (event := await asyncio.wait_for(client.read_event(), 60)) is not None:
        if AudioChunk.is_type(event.type):
            parts.append(AudioChunk.from_event(event).audio)
        if kinds[-1:] != [event.type]:
            kinds.append(Error.from_event(event).text if Error.is_type(event.type) else event.type)
        if SynthesizeStopped.is_type(event.type):
            return kinds, b"".join(parts)
    raise EOFError


def test_a_text_is_spoken_while_it_is_written(port: int) -> None:
    """As Home Assistant does for its language models: pieces, the whole text for older servers, the end."""

    async def talk() -> None:
        async with connected(port) as client:
            await client.write_event(SynthesizeStart(SynthesizeVoice(name="owen")).event())
            for piece in ("Good evening, every", "body. This is the fir", "st part, "):
                await client.write_event(SynthesizeChunk(piece).event())
            heard: list[str] = []
            while AudioChunk.__name__ not in heard:  # before the text has ended
                event = await asyncio.wait_for(client.read_event(), 60)
                assert event is not None
                heard.append(AudioChunk.__name__ if AudioChunk.is_type(event.type) else event.type)
            assert heard[0] == "audio-start"
            await client.write_event(SynthesizeChunk("and this is the second one.").event())
            await client.write_event(Synthesize(TEXT).event())
            await client.write_event(SynthesizeStop().event())
            kinds, rest = await answer(client)
            assert kinds == ["audio-chunk", "audio-stop", "synthesize-stopped"] and len(rest) > 24000 * 2
            whole = await speak(client, "Yes.")
            assert isinstance(whole, np.ndarray), "the connection serves the next request"

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("voice", "piece", "wrong"),
    [
        ("nobody", "Hello.", NOBODY),
        ("owen", "x" * 5001, "a piece of text must have at most 5000 characters, got 5001"),
        ("owen", " ", "the text ended and held nothing that this voice can speak"),
    ],
)
def test_what_is_wrong_with_a_written_text_is_said(port: int, voice: str, piece: str, wrong: str) -> None:
    async def talk() -> None:
        async with connected(port) as client:
            await client.write_event(SynthesizeStart(SynthesizeVoice(name=voice)).event())
            await client.write_event(SynthesizeChunk(piece).event())
            await client.write_event(SynthesizeChunk("And more.").event() if piece.strip() else Ping().event())
            await client.write_event(SynthesizeStop().event())
            kinds, _ = await answer(client)
            assert kinds[-2:] == [wrong, "synthesize-stopped"]
            assert isinstance(await speak(client, "Yes."), np.ndarray)

    asyncio.run(talk())


def test_a_writer_that_leaves_ends_its_speech() -> None:
    """A client that leaves in the middle of its text, and one that takes no audio, leave nothing behind."""
    number = free_port()
    with Server("--wyoming", str(number), "--set", "sampling.nfe=3") as server:

        async def leave() -> None:
            async with connected(number) as client:
                await client.write_event(SynthesizeStart().event())
                await client.write_event(SynthesizeChunk("Good evening, everybody. This goes").event())
                await asyncio.sleep(0.5)

        asyncio.run(leave())
        until(lambda: "ishowtts_queue_in_flight 0" in httpx.get(server.url + "/metrics").text)
        asyncio.run(leave())  # and at the end of the server


def test_clients_do_not_wait_for_each_other(port: int) -> None:
    async def talk() -> None:
        async with connected(port) as slow, connected(port) as quick:
            long = asyncio.create_task(speak(slow, LONG))
            await asyncio.sleep(0.3)
            short = await speak(quick, "Yes.")
            assert isinstance(short, np.ndarray) and not long.done()
            whole = await long
            assert isinstance(whole, np.ndarray) and len(whole) / 24000 > 60

    asyncio.run(talk())


def test_broken_clients_do_not_disturb_others(port: int) -> None:
    for sent in (
        b"no json\n",
        b"{}\n",
        b'{"type": "describe", "data_length": -1}\n',
        b'{"type": "describe", "data_length": 5}\n[1, 2',
        b"x" * 200_000,
        b'{"type": "synthesize", "data_length": 9000000}\n',
    ):
        # It may be reset before all of it was sent.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1000) == b""

    async def leave() -> None:
        async with connected(port) as client:
            await client.write_event(Synthesize(LONG * 3).event())
            assert await client.read_event() is not None
        async with connected(port) as client:
            await client.write_event(Synthesize("").event())
            event = await client.read_event()
            assert event is not None and Error.is_type(event.type)
            assert isinstance(await asyncio.wait_for(speak(client, "Yes."), 30), np.ndarray)

    asyncio.run(leave())


def test_a_client_over_the_limit_is_refused(port: int) -> None:
    held = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(8)]
    with socket.create_connection(("127.0.0.1", port), 30) as more:
        assert more.recv(10) == b""
    for connection in held:
        connection.close()

    async def ask() -> None:
        for _ in range(50):
            try:
                async with connected(port) as client:
                    await client.write_event(Describe().event())
                    if await client.read_event() is not None:
                        return
            except ConnectionError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("nobody is served any more")

    asyncio.run(ask())


def test_a_server_that_closes_down_ends_its_speech() -> None:
    number = free_port()
    with Server("--wyoming", str(number), "--set", "server.drain_seconds=0") as server:

        async def talk() -> None:
            async with connected(number) as client:
                await client.write_event(Synthesize(LONG).event())
                event = await client.read_event()
                assert event is not None and AudioStart.is_type(event.type)
                server.process.terminate()
                while await asyncio.wait_for(client.read_event(), 30) is not None:
                    pass

        asyncio.run(talk())
        assert server.process.wait(30) == 0


def test_other_machines_need_insecure() -> None:
    with pytest.raises(RuntimeError, match="wyoming_port has no keys"):
        Server("--host", "0.0.0.0", "--wyoming", "10200", "--set", "server.api_key=secret")
