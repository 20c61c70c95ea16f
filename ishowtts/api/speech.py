"""The answers to a request for speech: whole as JSON or audio, or streamed as audio or events."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .. import _audio
from .._engine import FEED_FIELDS
from ..fields import SpeechOptions, speech_options
from ..session import SpeechSession
from ..streams import Samples, Word
from .faults import Fault

if TYPE_CHECKING:
    from .._service import Asked
    from .state import State

logger = logging.getLogger("ishowtts")
ENGINE = "f5"
IDLE_MS = next(int(row["default"]) for row in FEED_FIELDS if row["name"] == "idle_ms")
EVENT_BYTES = 48000
"""Largest number of audio bytes in one event, so that lines stay short."""
EVENT_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}  # media_type would add a charset
_Result = TypeVar("_Result")


class ClientGone(Exception):
    """The client has closed the connection."""


class Speech:
    """An accepted request for speech, which is submitted at once. Call `close` when the answer has ended.

    `asked`: the fields of the request. `form`: the audio format where `asked` has none. `early`: begin with a short
    chunk, because the answer is streamed. `key`: what the speech is cancelled by, "": its id. Fault: the format, the
    text or the voice cannot be used, or the id is taken.
    """

    def __init__(self, state: State, request_id: str, asked: Asked, form: str, *, early: bool, key: str = "") -> None:
        engine = state.speech()
        info = engine.info
        self._state = state
        self.id = request_id
        self._key = key or request_id
        self._form = asked.get("format", form)
        try:
            self._encoder = _audio.Encoder(info["sample_rate"], self._form, out_rate=asked.get("sample_rate", 0))
        except _audio.AudioError as error:
            raise Fault.from_error(error) from None
        self._label = engine_label(info["name"])
        self._samples = 0
        """Samples that were encoded, at the rate of the answer."""
        self._touched = time.monotonic()
        self.words: list[Word] = []
        options: SpeechOptions = {**_options(state, asked), "early": early}
        written = asked.get("idle_ms", IDLE_MS) if asked.get("more") else None
        self._stream = state.submit(self._key, asked.get("text", ""), asked.get("voice_id"), options, written)

    def touch(self) -> None:
        """Something has come: what is written may take as long again."""
        self._touched = time.monotonic()

    def _patience(self) -> float:
        return self._touched + self._state.config.server.request_seconds - time.monotonic()

    @property
    def session(self) -> SpeechSession | None:
        """What more of the text is written to; None where it was whole."""
        return self._stream if isinstance(self._stream, SpeechSession) else None

    def cancel(self) -> None:
        """Stop before the model's next step; a running answer ends with Fault 409."""
        self._stream.cancel()

    def close(self) -> None:
        """Cancel the speech unless it is finished."""
        self._state.release(self._key, self._stream)

    @property
    def frames(self) -> int:
        """Number of mel frames of the speech."""
        return round(self._stream.timings["audio"] * self._stream.sample_rate / self._state.speech().info["hop"])

    # ---- whole answers ----

    async def _file(self) -> bytes:
        pieces = [piece async for piece in self._pieces()]
        return await asyncio.to_thread(self._encode, np.concatenate(pieces))

    def _encode(self, samples: Samples) -> bytes:
        before, after = self._stream.sample_rate, self._encoder.sample_rate
        self._samples = (2 * len(samples) * after + before) // (2 * before)
        return _audio.encode(samples, before, self._form, out_rate=after)

    async def as_json(self) -> Response:
        """The whole speech as JSON, its audio in base64."""
        audio = base64.b64encode(await self._file()).decode()
        return Response(dumps(self._head() | {"audio_base64": audio} | self._tail()), media_type="application/json")

    async def as_audio(self) -> Response:
        """The whole speech as an audio file."""
        file = await self._file()
        t = self._stream.timings
        timing = ", ".join(
            f"{name};dur={1e3 * seconds:.1f}"
            for name, seconds in (
                ("queue", t["queue"]), ("text", t["text"]), ("first", t["first_audio"]), ("total", t["total"]),
            )
        )  # fmt: skip
        return Response(file, headers=self._audio_headers() | {"Server-Timing": timing})

    # ---- streamed answers ----

    async def as_stream(self, events: bool) -> Response:
        """The speech as a stream of audio or of server-sent events.

        It returns with the first audio, so that a speech that fails before is answered by an error status.
        """
        parts = self._lines() if events else self.encoded()
        first = await anext(parts)

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        headers = EVENT_HEADERS if events else self._audio_headers()
        return Closing(self, body(), headers=headers)

    async def encoded(self) -> AsyncIterator[bytes]:
        """The encoded audio in parts, as it is computed; `words` gets the words of each. Fault: the speech failed."""
        async for piece in self._pieces():
            self.words += self._stream.words
            if data := await asyncio.to_thread(self._encoder.push, piece):
                yield data
        yield await asyncio.to_thread(self._encoder.push, last=True)

    async def events(self) -> AsyncIterator[tuple[str, dict[str, Any], bytes]]:
        """The events of the stream: name, data, and audio of an "audio" event: "start", "audio", "word" …, "end"."""
        n = 0
        seconds = 0.0
        async for data in self.encoded():
            if not n:
                encoding = "pcm_s16le" if self._form == "pcm" else self._form
                yield (
                    "start",
                    self._head() | {"seed": self._stream.timings["seed"], "channels": 1, "encoding": encoding},
                    b"",
                )
            for at in range(0, len(data), EVENT_BYTES):
                t0 = seconds + (at / 2 / self._encoder.sample_rate if self._form == "pcm" else 0)
                yield "audio", {"seq": n, "t0": round(t0, 4)}, data[at : at + EVENT_BYTES]
                n += 1
            seconds = self._encoder.length / self._encoder.sample_rate
            for word in self.words:
                times = {"start": round(word.start, 3), "end": round(word.end, 3)}
                yield "word", times | {"offset": word.offset, "length": word.length}, b""
            self.words.clear()
        self._samples = self._encoder.length
        yield "end", {"request_id": self.id} | self._tail(), b""

    async def _lines(self) -> AsyncIterator[bytes]:
        begun = False
        try:
            async for name, data, audio in self.events():
                begun = True
                yield event(name, data | {"audio_base64": base64.b64encode(audio).decode()} if audio else data)
        except Fault as fault:
            if not begun:
                raise
            yield event("error", fault.body())

    async def _pieces(self) -> AsyncIterator[Samples]:
        """The samples of the model in pieces. Fault 502: there are none."""
        spoken = False
        async for piece in self._state.pieces(self._stream, self._patience if self.session else None):
            spoken = True
            self.touch()
            yield piece
        if not spoken:
            raise Fault(502, "model_failed", "The model made no audio.")
        self._state.metrics.speech(self._stream.timings)

    def _audio_headers(self) -> dict[str, str]:
        seed, rate = self._stream.timings["seed"], self._encoder.sample_rate
        headers = {"Content-Type": _audio.FORMATS[self._form], "X-Seed": str(seed), "X-Sample-Rate": str(rate)}
        count, first = self._stream.timings["unspoken"]
        if count:
            headers["X-Unspoken"] = f"{count}; first=" + "".join(f"%{byte:02X}" for byte in first.encode())
        return headers

    def _head(self) -> dict[str, Any]:
        return {
            "request_id": self.id, "voice_id": self._stream.timings["voice"], "engine": ENGINE,
            "engine_label": self._label,
            "sample_rate": self._encoder.sample_rate, "format": _audio.FORMATS[self._form],
        }  # fmt: skip

    def _tail(self) -> dict[str, Any]:
        t = self._stream.timings
        duration = self._samples / self._encoder.sample_rate
        return {
            "waveform_len": self._samples, "seed": t["seed"], "duration": round(duration, 4),
            "timings": {name: round(t[name], 4) for name in ("queue", "text", "first_audio", "total")},  # type: ignore[literal-required]
            "rtf": round(t["total"] / duration, 4), "unspoken": dict(zip(("count", "first"), t["unspoken"],
                    strict=True)),
        }  # fmt: skip


class Closing(StreamingResponse):
    """A streamed answer that closes its speech when it ends, also by an error."""

    def __init__(self, speech: Speech, body: AsyncIterator[bytes], **options: Any) -> None:
        super().__init__(body, **options)
        self._speech = speech
        self.reads = True
        """Whether the answer looks out for the client's end; nothing else may read the request meanwhile."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the answer. After a failure the last chunk is not sent, and uvicorn closes the connection."""
        try:
            if self.reads:
                await super().__call__(scope, receive, send)
            else:
                await self.stream_response(send)
        except Fault as fault:
            logger.warning("%s failed: %s", self._speech.id, fault)
        finally:
            self._speech.close()


def _options(state: State, asked: Asked) -> SpeechOptions:
    default = state.config.sampling.model_dump()
    return speech_options(
        lambda field: asked.get(field.name, default[field.setting] if field.setting else field.default)
    )


def event(name: str, data: dict[str, Any]) -> bytes:
    """A server-sent event with a name and JSON data."""
    return f"event: {name}\ndata: {dumps(data)}\n\n".encode()


def engine_label(model: str) -> str:
    """The name of engine and model that answers show."""
    return f"F5-TTS {model}"


def dumps(value: Any) -> str:
    """Compact JSON, not escaped to ASCII, as in every answer."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def unless_gone(request: Request, work: Awaitable[_Result]) -> _Result:
    """The result of `work`; ClientGone, and `work` is cancelled, where the client closes the connection first.

    The body of the request must have been read before.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(request.receive())  # after the body only the disconnection is received
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
