"""A speech in its shapes: whole as JSON or audio, while it is made as audio or events."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .. import _audio
from ..engine import Samples, SpeechOptions
from .faults import Fault
from .schemas import SpeechRequest

if TYPE_CHECKING:
    from .state import State

logger = logging.getLogger("ishowtts")
ENGINE = "f5"
EVENT_SAMPLES = 24000
"""At most in one event, so that clients parse small lines."""
_Result = TypeVar("_Result")


class ClientGone(Exception):
    """Nobody listens any more."""


def accept_quality(accept: str, main: str, sub: str) -> float:
    """How much a client wants a media type, 0 to 1."""
    best = 0.0
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        if kind not in (f"{main}/{sub}", f"{main}/*"):
            continue
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        best = max(best, quality)
    return best


class Speech:
    """One accepted request. Close it when its answer is over."""

    def __init__(self, state: State, request_id: str, asked: SpeechRequest) -> None:
        self._state = state
        self.id = request_id
        self._stream = state.submit(request_id, asked.text, asked.voice_id, _options(state, asked))
        engine = state.speech()
        self._rate = asked.sample_rate or self._stream.sample_rate
        self._label = engine_label(engine.info["name"])
        self._samples = 0

    def close(self) -> None:
        """Cancels what still runs."""
        self._state.release(self.id, self._stream)

    # ---- whole ----

    async def wav(self) -> bytes:
        """All of it."""
        pieces = [piece async for piece in self._state.pieces(self._stream)]
        samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        if not len(samples):
            raise Fault(502, "model_failed", "The model made no audio.")
        return await asyncio.to_thread(self._encode, samples)

    def _encode(self, samples: Samples) -> bytes:
        if self._rate != self._stream.sample_rate:
            samples = np.asarray(_audio.resample(samples.data, self._stream.sample_rate, self._rate))
        self._samples = len(samples)
        return _audio.wav_encode(samples.data, self._rate)

    async def as_json(self) -> Response:
        """The answer with the audio inside."""
        wav = await self.wav()
        body = self._head() | {"format": "audio/wav", "audio_base64": base64.b64encode(wav).decode()} | self._tail()
        self._state.metrics.speech(self._stream.timings)
        return Response(dumps(body), media_type="application/json")

    async def as_audio(self) -> Response:
        """The file itself."""
        wav = await self.wav()
        t = self._stream.timings
        self._state.metrics.speech(t)
        timing = ", ".join(
            f"{name};dur={1e3 * seconds:.1f}"
            for name, seconds in (
                ("queue", t["queue"]), ("text", t["text"]), ("first", t["first_audio"]), ("total", t["total"]),
            )
        )  # fmt: skip
        headers = {"X-Seed": str(t["seed"]), "X-Sample-Rate": str(self._rate), "Server-Timing": timing}
        return Response(wav, media_type="audio/wav", headers=headers)

    # ---- while it is made ----

    async def as_stream(self, events: bool) -> Response:
        """Audio or events. The first audio is waited for, so that what fails before it has a status of its own."""
        parts = self._events() if events else self._audio()
        first = await anext(parts)

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        headers = {"X-Accel-Buffering": "no"} if events else {}
        headers["Content-Type"] = "text/event-stream" if events else "audio/wav"  # media_type would add a charset
        return _Stream(self, body(), headers=headers)

    async def _audio(self) -> AsyncIterator[bytes]:
        header = _endless_wav(self._rate)
        async for samples in self._at_rate():
            yield header + _pcm(samples)
            header = b""

    async def _events(self) -> AsyncIterator[bytes]:
        n = 0
        try:
            async for samples in self._at_rate():
                if not n:
                    start = self._head() | {"seed": self._stream.timings["seed"], "channels": 1, "encoding": "pcm_s16le"}
                    yield event("start", start)
                for at in range(0, len(samples), EVENT_SAMPLES):
                    part = samples[at : at + EVENT_SAMPLES]
                    t0 = round((self._samples - len(samples) + at) / self._rate, 4)
                    yield event("audio", {"seq": n, "t0": t0, "audio_base64": base64.b64encode(_pcm(part)).decode()})
                    n += 1
        except Fault as fault:
            if not n:
                raise
            yield event("error", fault.body())
        else:
            yield event("end", {"request_id": self.id} | self._tail())

    async def _at_rate(self) -> AsyncIterator[Samples]:
        """Pieces at the rate that was asked for; `_samples` counts them. Fault when there is none at all."""
        pieces = self._state.pieces(self._stream)
        if self._rate != self._stream.sample_rate:
            samples = np.concatenate([piece async for piece in pieces])
            whole = np.asarray(_audio.resample(samples.data, self._stream.sample_rate, self._rate))
            self._samples = len(whole)
            yield whole
        else:
            async for piece in pieces:
                self._samples += len(piece)
                yield piece
        if not self._samples:
            raise Fault(502, "model_failed", "The model made no audio.")
        self._state.metrics.speech(self._stream.timings)

    def _head(self) -> dict[str, Any]:
        return {
            "request_id": self.id, "voice_id": self._stream.timings["voice"], "engine": ENGINE, "engine_label": self._label,
            "sample_rate": self._rate,
        }  # fmt: skip

    def _tail(self) -> dict[str, Any]:
        t = self._stream.timings
        duration = self._samples / self._rate
        return {
            "waveform_len": self._samples, "seed": t["seed"], "duration": round(duration, 4),
            "timings": {name: round(t[name], 4) for name in ("queue", "text", "first_audio", "total")},  # type: ignore[literal-required]
            "rtf": round(t["total"] / duration, 4),
        }  # fmt: skip


class _Stream(StreamingResponse):
    """Closes its speech however it ends."""

    def __init__(self, speech: Speech, body: AsyncIterator[bytes], **options: Any) -> None:
        super().__init__(body, **options)
        self._speech = speech

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. A failure after the first audio ends without the last chunk, and uvicorn closes the connection."""
        try:
            await super().__call__(scope, receive, send)
        except Fault as fault:
            logger.warning("%s failed: %s", self._speech.id, fault)
        finally:
            self._speech.close()


def _options(state: State, asked: SpeechRequest) -> SpeechOptions:
    default = state.config.sampling

    def chosen(value: _Result | None, otherwise: _Result) -> _Result:
        return otherwise if value is None else value

    return {
        "nfe": chosen(asked.nfe_step, default.nfe),
        "cfg": chosen(asked.cfg_strength, default.cfg_strength),
        "sway": chosen(asked.sway_sampling_coef, default.sway_sampling_coef),
        "speed": chosen(asked.speed, default.speed),
        "target_rms": chosen(asked.target_rms, default.target_rms),
        "cross_fade": chosen(asked.cross_fade_duration, default.cross_fade_duration),
        "fix_duration": chosen(asked.fix_duration, 0.0),
        "remove_silence": chosen(asked.remove_silence, False),
        "seed": asked.seed,
    }


def _pcm(samples: Samples) -> bytes:
    """16-bit little-endian, rounded as in a whole file."""
    return _audio.wav_encode(np.ascontiguousarray(samples).data, 24000)[44:]


def _endless_wav(rate: int) -> bytes:
    """The header of a WAV file whose length is not known."""
    return b"RIFF\xff\xff\xff\xff" + _audio.wav_encode(np.zeros(0, np.float32).data, rate)[8:40] + b"\xff\xff\xff\xff"


def event(name: str, data: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return f"event: {name}\ndata: {dumps(data)}\n\n".encode()


def engine_label(model: str) -> str:
    """The engine's name for people."""
    return f"F5-TTS {model}"


def dumps(value: Any) -> str:
    """JSON as every answer writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def unless_gone(request: Request, work: Awaitable[_Result]) -> _Result:
    """Wait for `work` as long as the client does; ClientGone otherwise. The request's body must have been read."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(request.receive())  # nothing but the disconnection is left to receive
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
