"""Endpoints of OpenAI's speech API, for OpenAI's own clients and those that follow it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from .._service import openai_field, openai_model, openai_voice, read_openai, read_openai_line
from ..errors import IshowError
from .examples import LINES, answers, body_of
from .faults import Fault, given
from .routes import Shared, json_body, media_type, needs_key, needs_speech
from .speech import EVENT_HEADERS, Closing, Speech, dumps, unless_gone
from .state import State

router = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech)])


class Model(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """The list of models, which has one entry."""

    object: Literal["list"]
    data: list[Model]


class Named(BaseModel):
    """A model as Open WebUI lists it."""

    id: str
    name: str


class AudioModels(Models):
    """The list of models under two names, for different clients."""

    models: list[Named]


class NamedVoice(BaseModel):
    """A voice to choose."""

    id: str
    object: Literal["audio.voice"]
    name: str


class NamedVoices(BaseModel):
    """All voices."""

    object: Literal["list"]
    data: list[NamedVoice]
    voices: list[Named]


async def _body(request: Request, state: Shared) -> bytes | None:
    """A dependency: the body; None where it is lines of JSON, which are spoken while they come."""
    return None if media_type(request) == LINES else await json_body(request, state)


@router.post(
    "/v1/audio/speech",
    name="openai_speech",
    response_class=Response,
    responses=answers("openai_speech"),
    openapi_extra=body_of("OpenAISpeech", lines=True),
)
async def speech(request: Request, state: Shared, body: Annotated[bytes | None, Depends(_body)]) -> Response:
    """The speech while it is synthesised: audio, or with `stream_format` sse OpenAI's events.

    With a body of lines of JSON the text is spoken while it comes.
    """
    if body is None:
        return await _written(request, state)
    engine = state.speech()
    asked = given(read_openai(body, engine.info["name"]))
    asked["voice_id"] = openai_voice(engine.handle(), state.config.openai.voices, asked["voice_id"])
    events = asked.get("stream_format") == "sse"
    # Clients decode a FLAC file once they have all of it, and seeking decoders need its length, so it is not streamed.
    whole = asked.get("format") == "flac" and not events
    try:
        spoken = Speech(state, request.state.request_id, asked, "mp3", early=not whole)
        try:
            if events:
                return await unless_gone(request, _events(spoken, len(asked["text"])))
            if whole:
                return await unless_gone(request, spoken.as_audio())
            return await unless_gone(request, spoken.as_stream(False))
        except BaseException:
            spoken.close()
            raise
    except Fault as fault:
        fault.field = openai_field(fault.field)
        raise


async def _lines(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The lines of a body that are not blank. Fault 413: one has more than `limit` bytes."""
    kept = b""
    async for part in request.stream():
        *whole, kept = (kept + part).split(b"\n")
        for line in (*whole, kept):
            if len(line) > limit:
                raise Fault(413, "too_large", f"A line may have {limit} bytes.")
            if line is not kept and line.strip():
                yield line
    if kept.strip():
        yield kept


async def _written(request: Request, state: State) -> Response:
    """Speak a text that comes in lines of JSON, of which the first is the request."""
    engine = state.speech()
    name = engine.info["name"]
    lines = _lines(request, state.config.server.body_bytes_max)
    try:
        if (line := await anext(lines, None)) is None:
            raise Fault(400, "malformed_json", "The body has no line of JSON.")
        asked = given(read_openai_line(line, True, name))
        asked["voice_id"] = openai_voice(engine.handle(), state.config.openai.voices, asked["voice_id"])
        events = asked.get("stream_format") == "sse"
        whole = asked.get("format") == "flac" and not events
        spoken = Speech(state, request.state.request_id, asked | {"more": True}, "mp3", early=not whole)
    except Fault as fault:
        fault.field = openai_field(fault.field)
        raise
    session = spoken.session
    assert session is not None

    async def feed() -> None:
        try:
            if asked.get("flush"):
                session.flush()
            async for line in lines:
                piece = given(read_openai_line(line, False, name))
                await asyncio.to_thread(session.write, piece.get("text", ""))
                if piece.get("flush"):
                    session.flush()
                spoken.touch()
            session.end()
            await request.receive()  # after the body only the end of the connection comes
            session.cancel()
        except IshowError:
            pass  # the speech has ended already, and its reader is told why
        except BaseException:
            session.cancel()
            raise

    feeding = asyncio.create_task(feed())
    try:
        if events:
            answer = await _events(spoken, len(asked.get("text", "")))
        else:
            answer = await (spoken.as_audio() if whole else spoken.as_stream(False))
    except BaseException as error:
        feeding.cancel()
        spoken.close()
        failed = feeding.exception() if feeding.done() and not feeding.cancelled() else None
        if isinstance(failed, Fault) and isinstance(error, Fault):
            error = failed  # a line that could not be read is why the speech was cancelled
        if isinstance(error, Fault):
            error.field = openai_field(error.field)
        raise error from None
    if isinstance(answer, Closing):
        answer.reads = False  # the body is read by `feed` alone
    return answer


async def _events(spoken: Speech, characters: int) -> Response:
    parts = spoken.encoded()
    first = await anext(parts)

    async def body() -> AsyncIterator[bytes]:
        yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(first).decode()})
        try:
            async for part in parts:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
        except Fault as fault:
            yield _event(fault.body())
            return
        frames = spoken.frames
        usage = {"input_tokens": characters, "output_tokens": frames, "total_tokens": characters + frames}
        yield _event({"type": "speech.audio.done", "usage": usage})

    return Closing(spoken, body(), headers=EVENT_HEADERS)


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {dumps(data)}\n\n".encode()


def _model(state: State, id: str) -> dict[str, Any]:
    return {"id": id, "object": "model", "created": int(state.began), "owned_by": "ishowtts"}


@router.get("/v1/models", name="openai_models", response_model=Models, responses=answers("openai_models"))
async def models(state: Shared) -> Response:
    """The model that is loaded."""
    found = {"object": "list", "data": [_model(state, state.speech().info["name"])]}
    return Response(dumps(found), media_type="application/json")


@router.get("/v1/models/{model}", name="openai_model", response_model=Model, responses=answers("openai_model"))
async def model(model: str, state: Shared) -> Response:
    """The model that is loaded, under its name or one of OpenAI's."""
    if (wrong := openai_model(model, state.speech().info["name"])) is not None:
        given(wrong)
    return Response(dumps(_model(state, model)), media_type="application/json")


@router.get(
    "/v1/audio/models", name="openai_audio_models", response_model=AudioModels, responses=answers("openai_audio_models")
)
async def audio_models(state: Shared) -> Response:
    """The model that is loaded, as Open WebUI asks for it."""
    name = state.speech().info["name"]
    found = {"object": "list", "data": [_model(state, name)], "models": [{"id": name, "name": name}]}
    return Response(dumps(found), media_type="application/json")


@router.get("/v1/audio/voices", name="openai_voices", response_model=NamedVoices, responses=answers("openai_voices"))
async def voices(state: Shared) -> Response:
    """All voices, in two forms for different clients."""
    names = [voice["id"] for voice in state.speech().voices]
    found = {
        "object": "list",
        "data": [{"id": name, "object": "audio.voice", "name": name} for name in names],
        "voices": [{"id": name, "name": name} for name in names],
    }
    return Response(dumps(found), media_type="application/json")
