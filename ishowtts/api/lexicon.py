"""The user's pronunciations, and how a text is read: the C core does the work (csrc/service/lexicon.h)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi import Path as PathField
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from .._engine import DEFAULTS as D
from .chat_schemas import Strict
from .examples import answers, body_of
from .routes import Shared, answered, json_body, needs_key, needs_speech

router = APIRouter(dependencies=[Depends(needs_key), Depends(needs_speech)])
Body = Annotated[bytes, Depends(json_body)]
Why = Literal["script", "emoji", "emoticon", "markup"]


class NewPronunciation(Strict):
    """How a word or phrase is read."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"word": "GIF", "said": "/dʒɪf/"}]})

    word: str = Field(
        min_length=1,
        max_length=D["lexicon_word_chars"],
        description="in upper or lower case; applies to whole words only",
    )
    said: str = Field(
        min_length=1,
        max_length=D["lexicon_said_chars"],
        description="a respelling, `/IPA/`, or `{phones}` of the language: `{jh ih1 f}`, in Mandarin `{chong2 qing4}`",
    )
    language: str | None = Field(
        None, max_length=15, description="such as de: only in lines that are read in it; left out: in all"
    )


class Pronunciation(BaseModel):
    """A stored pronunciation."""

    id: str
    word: str
    said: str
    language: str | None = None


class Token(BaseModel):
    """A part of the text, its class, and how it is said; "" is not spoken."""

    written: str
    start: int
    end: int
    kind: str
    spoken: str


class Word(BaseModel):
    """A word that is said for text[start:end]."""

    text: str
    start: int
    end: int
    kind: str


class Dropped(BaseModel):
    """A part of the text that is not spoken, and why."""

    text: str
    start: int
    end: int
    why: Why


class Segment(BaseModel):
    """A part between two markup commands: `pause` seconds of silence, then the text; null: as in the request."""

    text: str
    pause: float
    speed: float | None = None
    voice: str | None = None


class Reading(BaseModel):
    """How a text is read, step by step; places are those in the text, in characters."""

    language: str
    text: str = Field(description="what is said; phones that the user chose are in braces")
    segments: list[Segment]
    tokens: list[Token]
    words: list[Word]
    dropped: list[Dropped]
    symbols: list[str] = Field(description="what the model gets")
    symbols_are: Literal["phones", "pinyin"]


MODELS = (NewPronunciation,)
"""Of bodies that the core reads itself."""


@router.get("/api/lexicon", name="lexicon", response_model=list[Pronunciation], responses=answers("lexicon"))
async def entries(state: Shared) -> Response:
    """All pronunciations created over HTTP, by their words."""
    return answered(await asyncio.to_thread(state.lexicon.list))


@router.post(
    "/api/lexicon",
    name="lexicon_put",
    response_model=Pronunciation,
    responses=answers("lexicon_put"),
    openapi_extra=body_of("NewPronunciation"),
)
async def put(state: Shared, body: Body) -> Response:
    """Sets how a word is read from now on; replaces its entry for this language."""
    return answered(await asyncio.to_thread(state.lexicon.put, body))


@router.delete("/api/lexicon/{id}", name="lexicon_delete", status_code=204, responses=answers("lexicon_delete"))
async def remove(state: Shared, id: Annotated[str, PathField(examples=["1"])]) -> Response:
    """Removes a pronunciation; the word is then read as before."""
    return answered(await asyncio.to_thread(state.lexicon.remove, id))


@router.post(
    "/api/reading",
    name="reading",
    response_model=Reading,
    responses=answers("reading"),
    openapi_extra=body_of("SpeechRequest"),
)
async def reading(state: Shared, body: Body) -> Response:
    """How a request of `/api/tts` would be read: its parts, the words, what the model gets and what is left out."""
    return answered(await asyncio.to_thread(state.lexicon.reading, body, state.default_voice or ""))
