"""OpenAI's shapes of the same speech: the official client works unchanged."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from .._engine import DEFAULTS as D
from .examples import answers, body_of
from .faults import Fault
from .routes import Shared, json_body, speaking
from .schemas import Format, SpeechRequest
from .speech import EVENT_HEADERS, Closing, Speech, dumps, unless_gone
from .strict import parse

MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""OpenAI's names of models: here they mean the one that is loaded."""
_FIELDS = {"text": "input", "voice_id": "voice", "format": "response_format"}


def _voice(value: Any) -> Any:
    if isinstance(value, dict) and list(value) == ["id"]:
        return value["id"]
    return value


class OpenAISpeech(BaseModel):
    """What to say, in OpenAI's words."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"model": "tts-1", "input": "Good evening.", "voice": "kathleen"}]},
    )

    model: str = Field(min_length=1, max_length=64, description="the loaded model's name, or one of OpenAI's")
    input: str = Field(min_length=1, max_length=D["max_text_chars"], description="what to say")
    voice: Annotated[
        str,
        BeforeValidator(_voice),
        Field(min_length=1, max_length=64),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "minLength": 1, "maxLength": 64},
                    {
                        "type": "object",
                        "properties": {"id": {"type": "string", "minLength": 1, "maxLength": 64}},
                        "required": ["id"],
                        "additionalProperties": False,
                    },
                ],
                "description": "an id of `/v1/audio/voices`",
            }
        ),
    ]
    instructions: str | None = Field(None, description="accepted and not used")
    response_format: Format | None = Field(None, description="mp3 where it is left out")
    speed: float | None = Field(None, ge=D["speed_min"], le=D["speed_max"], description="1 is the voice's own")
    stream_format: Literal["audio", "sse"] | None = Field(None, description="audio where it is left out")


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


class NamedVoice(BaseModel):
    """A voice to choose."""

    id: str
    object: Literal["audio.voice"]
    name: str


class NamedVoices(BaseModel):
    """All voices."""

    object: Literal["list"]
    data: list[NamedVoice]


@speaking.post(
    "/v1/audio/speech",
    name="openai_speech",
    response_class=Response,
    responses=answers("openai_speech"),
    openapi_extra=body_of(OpenAISpeech),
)
async def speech(request: Request, state: Shared, body: Annotated[bytes, Depends(json_body)]) -> Response:
    """The speech while it is made: audio, or with `stream_format` sse OpenAI's events."""
    asked = parse(body, OpenAISpeech)
    engine = state.speech()
    name = engine.info["name"]
    if asked.model not in (name, *MODELS):
        raise Fault(404, "model_not_found", f'The model "{asked.model}" does not exist; {name} is loaded.', "model")
    fields = {"text": asked.input, "voice_id": asked.voice, "speed": asked.speed, "format": asked.response_format}
    own = SpeechRequest.model_validate(fields)
    try:
        spoken = Speech(state, request.state.request_id, own, "mp3", early=True)
        try:
            if asked.stream_format == "sse":
                return await unless_gone(request, _events(spoken, len(asked.input)))
            return await unless_gone(request, spoken.as_stream(False))
        except BaseException:
            spoken.close()
            raise
    except Fault as fault:
        fault.field = _FIELDS.get(fault.field, fault.field)
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


@speaking.get("/v1/models", name="openai_models", response_model=Models, responses=answers("openai_models"))
async def models(state: Shared) -> Response:
    """The model that is loaded."""
    model = {"id": state.speech().info["name"], "object": "model", "created": int(state.began), "owned_by": "ishowtts"}
    return Response(dumps({"object": "list", "data": [model]}), media_type="application/json")


@speaking.get("/v1/audio/voices", name="openai_voices", response_model=NamedVoices, responses=answers("openai_voices"))
async def voices(state: Shared) -> Response:
    """Ids to choose from."""
    names = [voice["id"] for voice in state.speech().voices]
    named = [{"id": name, "object": "audio.voice", "name": name} for name in names]
    return Response(dumps({"object": "list", "data": named}), media_type="application/json")
