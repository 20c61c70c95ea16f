"""Endpoints of speech, health and metrics, and what all endpoints use: state, keys, bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathField
from starlette.requests import HTTPConnection
from starlette.responses import Response

from .. import _engine
from .._service import accept_audio, accept_quality, read_speech
from . import metrics
from .examples import answers, body_of
from .faults import Fault, given
from .schemas import Health, LoadHistory, SpeechAnswer, Voice
from .speech import Speech, dumps, unless_gone
from .state import State

_COMPILE = {"swapped": "done"}
Endpoints = dict[str, Callable[..., Awaitable[Response]]]
"""Handlers by the name of the route."""


def state_of(connection: HTTPConnection) -> State:
    """The state of the server that got the request."""
    state: State = connection.app.state.ishow
    return state


Shared = Annotated[State, Depends(state_of)]


def needs_key(connection: HTTPConnection, state: Shared) -> None:
    """A dependency: Fault 401 unless the request has the API key that the server asks for; 429 as `check_key`."""
    address = connection.client.host if connection.client else ""
    given = connection.headers.get("authorization")
    state.access.check_key(given, connection.scope["query_string"], state.guesses, address)


def needs_speech(state: Shared) -> None:
    """A dependency: Fault 503 while there is no engine."""
    state.speech()


open_ = APIRouter()
guarded = APIRouter(dependencies=[Depends(needs_key)])
speaking = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech)])


async def json_body(request: Request, state: Shared) -> bytes:
    """A dependency: the bytes of a JSON body of at most `server.body_bytes_max`. Faults as `read_body`."""
    return await read_body(request, "application/json", state.config.server.body_bytes_max)


async def optional_json_body(request: Request, state: Shared) -> bytes:
    """As `json_body`, but b"" for a request without a body."""
    headers = request.headers
    bare = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
    return b"" if bare else await json_body(request, state)


def media_type(request: Request) -> str:
    """The media type of a request's body in small letters, without its parameters."""
    return str(request.headers.get("content-type", "")).partition(";")[0].strip(" ").lower()


async def read_body(request: Request, kind: str, limit: int) -> bytes:
    """The whole body of a request.

    Fault 411: it has no length; 413: it has more than `limit` bytes; 415: its media type is not `kind`.
    """
    headers = request.headers
    if "content-length" not in headers and "transfer-encoding" not in headers:
        raise Fault(411, "length_required", "A request with a body needs a Content-Length.", "Content-Length")
    if media_type(request) != kind:
        raise Fault(415, "unsupported_media_type", f"The Content-Type must be {kind}.", "Content-Type")
    if (length := int(headers.get("content-length", 0))) > limit:
        raise Fault(413, "too_large", f"The body may have {limit} bytes, not {length}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise Fault(413, "too_large", f"The body may have {limit} bytes.")
    return bytes(body)


def answered(answer: tuple[int, str], headers: dict[str, str] | None = None) -> Response:
    """The HTTP answer for a status and a JSON body ("": none) of the C core."""
    status, body = answer
    return Response(body or None, status, headers, media_type="application/json" if body else None)


def verb_of(request: Request) -> str:
    """The chat's verb of an endpoint: "skip" for the route danmaku_skip."""
    return str(request.scope["route"].name).removeprefix("danmaku_")


# ---- speech ----------------------------------------------------------------------------------------------------------


@speaking.post(
    "/api/tts",
    name="tts",
    response_model=SpeechAnswer,
    responses=answers("tts"),
    openapi_extra=body_of("SpeechRequest"),
)
async def tts(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """The whole speech, as JSON or, with an `Accept` that prefers `audio/*`, as audio."""
    accept = request.headers.get("accept")
    quality, form = accept_audio(accept)
    audio = quality > accept_quality(accept, "application", "json")
    speech = Speech(state, request.state.request_id, given(read_speech(body)), form if audio else "wav", early=False)
    try:
        return await unless_gone(request, speech.as_audio() if audio else speech.as_json())
    finally:
        speech.close()


@speaking.post(
    "/api/tts/stream",
    name="tts_stream",
    response_class=Response,
    responses=answers("tts_stream"),
    openapi_extra=body_of("SpeechRequest"),
)
async def tts_stream(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """The speech while it is made, as audio or, with `Accept: text/event-stream`, as events."""
    accept = request.headers.get("accept")
    quality, form = accept_audio(accept)
    wanted = accept_quality(accept, "text", "event-stream")
    events = wanted > 0 and wanted >= quality
    speech = Speech(state, request.state.request_id, given(read_speech(body)), "pcm" if events else form, early=True)
    try:
        return await unless_gone(request, speech.as_stream(events))
    except BaseException:
        speech.close()
        raise


@guarded.delete("/api/tts/{request_id}", name="tts_cancel", status_code=204, responses=answers("tts_cancel"))
async def tts_cancel(state: Shared, request_id: Annotated[str, PathField(examples=["speech-1"])]) -> Response:
    """Cancels a running request; the model stops at its next step."""
    if (stream := state.running.get(request_id)) is None:
        raise Fault(404, "not_found", "No request with this id is running.", "request_id")
    stream.cancel()
    return Response(status_code=204)


# ---- voices and health -----------------------------------------------------------------------------------------------


@speaking.get("/api/voices", name="voices", response_model=list[Voice], responses=answers("voices"))
async def voices(state: Shared) -> Response:
    """All voices, the configured ones first."""
    return answered(state.voices.list())


def health_of(state: State) -> dict[str, Any]:
    """The body of `GET /api/health`."""
    engine = state.engine
    info = engine.info if engine else None
    names = [voice["id"] for voice in engine.voices] if engine else []
    at, why = engine.compile_state if engine else ("none", "")
    body = {
        "status": state.status, "version": _engine.VERSION, "voices": names,
        "default_voice": (state.default_voice or (names[0] if names else None)) if engine else None,
        "backend": info and info["backend"], "model": info and info["name"], "precision": info and info["precision"],
        "cloning": info and info["uses_prompt"], "clip_needs_text": info and info["clip_needs_text"],
        "compile": _COMPILE.get(at, at),
    }  # fmt: skip
    return body | {"compile_error": why} if why else body


@open_.get("/api/health", name="health", response_model=Health, responses=answers("health"))
@open_.get("/healthz", name="healthz", response_model=Health, responses=answers("health"))
async def health(state: Shared) -> Response:
    """200 as soon as the port is open, whatever the state."""
    return Response(dumps(health_of(state)), media_type="application/json")


@open_.get("/readyz", name="readyz", response_model=Health, responses=answers("readyz"))
async def ready(state: Shared) -> Response:
    """200 when speech is served, 503 while the model loads or the server closes down."""
    state.speech()
    return Response(dumps(health_of(state)), media_type="application/json")


@speaking.get("/api/history", name="history", response_model=LoadHistory, responses=answers("history"))
async def history(state: Shared) -> Response:
    """The load of the last hour: one sample every few seconds, oldest first."""
    return Response(state.load.history(), media_type="application/json")


@guarded.get("/metrics", name="metrics", response_class=Response, responses=answers("metrics"))
async def metrics_text(state: Shared) -> Response:
    """Prometheus text."""
    return Response(state.metrics_text(), media_type=metrics.CONTENT_TYPE)
