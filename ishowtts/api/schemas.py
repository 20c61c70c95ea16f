"""Requests and answers as pydantic models: what is checked, and what `openapi.json` says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from .._engine import DEFAULTS as D
from ..model.config import Solver

SEED_MAX = 2**64 - 1
Format = Literal["wav", "pcm", "flac", "opus", "mp3"]
Rate = Literal[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]


def _seed(value: Any) -> Any:
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) <= 20 and int(value) <= SEED_MAX):
            raise ValueError(f"must be a whole number between 0 and {SEED_MAX}")
        return int(value)
    return value


class SpeechRequest(BaseModel):
    """What to say and how. A field that is left out, or null, takes the server's default."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"text": "Good evening.", "speed": 1.1, "seed": 7}]},
    )

    text: str = Field(min_length=1, max_length=D["max_text_chars"], description="what to say")
    voice_id: str | None = Field(None, min_length=1, max_length=64, description="an id of `/api/voices`")
    engine: Literal["f5"] | None = Field(None, description="the only one there is")
    speed: float | None = Field(None, ge=D["speed_min"], le=D["speed_max"], description="1 is the voice's own")
    target_rms: float | None = Field(None, ge=0, le=1, description="level; 0 leaves it")
    cross_fade_duration: float | None = Field(
        None, ge=0, le=D["cross_fade_max"], description="seconds between the chunks of a long text"
    )
    sway_sampling_coef: float | None = Field(
        None, ge=D["sway_min"], le=D["sway_max"], description="shifts steps towards the beginning"
    )
    cfg_strength: float | None = Field(None, ge=0, le=D["cfg_strength_max"], description="classifier-free guidance")
    nfe_step: int | None = Field(
        None, ge=D["nfe_min"], le=D["nfe_max"], description="steps of the solver: more is slower and finer"
    )
    solver: Solver | None = Field(None, description="midpoint asks the model twice a step")
    fix_duration: float | None = Field(
        None, ge=0, le=D["fix_duration_max"], description="seconds of reference and speech together; 0: by rule"
    )
    remove_silence: bool | None = Field(None, description="shortens pauses")
    seed: Annotated[
        Annotated[int, Field(ge=0, le=SEED_MAX)] | None,
        BeforeValidator(_seed),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": SEED_MAX},
                    {"type": "string", "pattern": "^[0-9]{1,19}$"},
                    {"type": "null"},
                ],
                "description": "the same seed and request give the same samples; left out: drawn, below 2^53",
                "default": None,
            }
        ),
    ] = None
    format: Format | None = Field(None, description="left out: by `Accept`, else wav")
    sample_rate: Rate | None = Field(None, description="Hz, as far as the format takes it; left out: the model's")


class Timings(BaseModel):
    """Seconds since the request was accepted."""

    queue: float
    text: float
    first_audio: float
    total: float


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


class Health(BaseModel):
    """What the server is."""

    status: Literal["loading", "ready", "draining"]
    version: str
    voices: list[str]
    default_voice: str | None
    backend: str | None
    model: str | None
    precision: str | None
    compile: Literal["none", "running", "done", "failed"]
    compile_error: str | None = None


class Voice(BaseModel):
    """One voice."""

    id: str
    engine: Literal["f5"]
    engine_label: str
    language: str | None = None
    reference_text: str | None = None
    has_override: bool
    sample_url: str | None


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["out_of_range"])
    message: str = Field(examples=["speed must be between 0.3 and 3, not 9."])
    field: str | None = Field(None, description="the one field at fault", examples=["speed"])


class Error(BaseModel):
    """The shape of every error."""

    error: ErrorBody
