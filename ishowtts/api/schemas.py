"""Requests and answers in `openapi.json`; the C core checks the requests (csrc/service/speech.h)."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from .._service import OPENAI_SCHEMA, SPEECH_SCHEMA

_EXAMPLE = {"text": "Good evening.", "speed": 1.1, "seed": 7}
_OPENAI_EXAMPLE = {"model": "tts-1", "input": "Good evening.", "voice": "hazel"}


def _request(name: str, text: str, checked: str, example: dict[str, Any]) -> dict[str, Any]:
    """A component of `openapi.json` from the JSON schema with which the C core checks a request."""
    schema: dict[str, Any] = json.loads(checked)
    return {"title": name, "description": text, "examples": [example]} | schema


REQUESTS = {
    "SpeechRequest": _request(
        "SpeechRequest",
        "What to say and how. A field that is left out, or null, takes the server's default.",
        SPEECH_SCHEMA,
        _EXAMPLE,
    ),
    "OpenAISpeech": _request("OpenAISpeech", "What to say, in OpenAI's words.", OPENAI_SCHEMA, _OPENAI_EXAMPLE),
    "OpenAISpeechLines": {
        "title": "OpenAISpeechLines",
        "type": "string",
        "description": "A line of JSON for each piece of a text that is being written: first the request, whose "
        "`input` may be missing, then objects with `input` and `flush` alone.",
        "examples": [
            '{"model":"tts-1","voice":"hazel","input":"Good evening, "}\n{"input":"everybody."}\n',
        ],
    },
}
"""JSON schemas of requests for speech, by the names of their components."""


class Timings(BaseModel):
    """Seconds since the request was accepted."""

    queue: float
    text: float
    first_audio: float
    total: float


class Unspoken(BaseModel):
    """Words in a script that the voice does not read: they were left out."""

    count: int
    first: str = Field(description='the first of them, "" for none')


class SpeechAnswer(BaseModel):
    """The whole speech."""

    request_id: str
    voice_id: str
    engine: Literal["f5"]
    engine_label: str
    sample_rate: int = Field(description="Hz")
    format: str = Field(description="media type of the audio", examples=["audio/wav"])
    audio_base64: str = Field(json_schema_extra={"contentEncoding": "base64"})
    waveform_len: int = Field(description="samples")
    seed: int
    duration: float = Field(description="seconds")
    timings: Timings
    rtf: float = Field(description="`total` divided by `duration`")
    unspoken: Unspoken


class Health(BaseModel):
    """The state of the server."""

    status: Literal["loading", "ready", "degraded", "draining"] = Field(
        description="degraded: it speaks, but cannot write the state folder, and answers 503 to what it must store"
    )
    version: str
    voices: list[str]
    default_voice: str | None
    backend: str | None
    model: str | None
    precision: str | None
    cloning: bool | None = Field(description="whether the model can speak in a voice that it is given a clip of")
    clip_needs_text: bool | None = Field(description="whether a clip must come with its words")
    compile: Literal["none", "running", "done", "failed"]
    compile_error: str | None = None


class LoadHistory(BaseModel):
    """The load of the last hour."""

    every: int = Field(description="seconds between two samples")
    columns: list[str] = Field(
        description="when: seconds since 1970; rtf and first_audio: means since the sample before, null where nothing "
        "was spoken; waiting and in_flight: at that moment; completed, failed, refused, cancelled: utterances since "
        "the sample before"
    )
    samples: list[list[float | None]] = Field(description="oldest first, values in the order of columns")


class Voice(BaseModel):
    """One voice."""

    id: str
    engine: Literal["f5"]
    engine_label: str
    language: str | None = None
    reference_text: str | None = None
    configured: bool = Field(description="of the configuration or the model: it cannot be deleted over HTTP")
    has_override: bool
    sample_url: str | None


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["out_of_range"])
    message: str = Field(examples=["speed must be between 0.25 and 4, not 9."])
    field: str | None = Field(None, description="the one field at fault", examples=["speed"])


class Error(BaseModel):
    """The shape of every error."""

    error: ErrorBody
