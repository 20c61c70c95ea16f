"""Endpoints of OpenAI's speech API, for OpenAI's own clients and those that follow it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from .._service import openai_field, openai_model, openai_voice, read_openai
from .examples import answers, body_of
from .faults import Fault, given
from .routes import Shared, json_body, needs_key, needs_speech
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
    """All there are: one."""

    object: Literal["list"]
    data: list[Model]


class Named(BaseModel):
    """What Open WebUI lists."""

    id: str
    name: str


class AudioModels(Models):
    """The same under another name too."""

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


@router.post(
    "/v1/audio/speech",
    name="openai_speech",
    response_class=Response,
    responses=answers("openai_speech"),
    openapi_extra=body_of("OpenAISpeech"),
)
async def speech(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """The speech while it is made: audio, or with `stream_format` sse OpenAI's events."""
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
    """Ids to choose from, in two shapes."""
    names = [voice["id"] for voice in state.speech().voices]
    found = {
        "object": "list",
        "data": [{"id": name, "object": "audio.voice", "name": name} for name in names],
        "voices": [{"id": name, "name": name} for name in names],
    }
    return Response(dumps(found), media_type="application/json")
