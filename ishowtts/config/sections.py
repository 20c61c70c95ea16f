"""The sections of the configuration but for live chat, with their types, ranges, defaults and descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model, model_validator

from .. import fields as _fields
from .. import folders
from .._engine import DEFAULTS as D
from ..errors import ConfigError, TextError
from ..model import recipe
from ..model.compile import DEFAULT_PRECISION, TORCH_PRECISIONS
from ..model.native import PRECISIONS
from ..voices import VOICE_ID

_MEBIBYTE = 1 << 20

VoiceId = Annotated[str, StringConstraints(pattern=VOICE_ID)]
Text = Annotated[str, StringConstraints(min_length=1)]
ChatName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]  # a part of a subject of NATS: no dots

Backend = Literal["auto", "cuda", "native", "package", "eager", "compile"]
THREADS_MAX = 1024
KNOWN = tuple(dict.fromkeys((*TORCH_PRECISIONS, *PRECISIONS)))
"""Precisions of all backends; there are recipes besides."""
DEVICE = r"^(auto|cpu|cuda(:\d{1,3})?)$"
PRECISION = rf"^({'|'.join((DEFAULT_PRECISION, *KNOWN))}|{recipe.PREFIX}.+)$"
BACKENDS: tuple[str, ...] = get_args(Backend)
"""Names of the backends, as `Engine.load` takes them."""


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no conversion between types, NaN and infinity refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_secret(file: str, field: str) -> str:
    """The text of a file that its owner alone may read, without the space around it.

    ConfigError, which names `field`: others may read the file, or it cannot be read.
    """
    path = Path(file).expanduser()
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(
                f"{path} holds a secret and must be readable by its owner alone: chmod 600 {path}", field=field
            )
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", field=field) from None


def _wrong_origin(origin: str) -> str:
    """Why no browser sends `origin` in the header Origin, "" where one may."""
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?", origin, re.IGNORECASE)
    if origin == "*" or (found and (found[1].lower(), found[3]) not in (("http", "80"), ("https", "443"))):
        return ""
    if found:
        return f"leave out :{found[3]}, which is the default of {found[1]}"
    if "*" in origin:
        return 'list each origin, or "*" for all of them'
    if "://" not in origin:
        return "it begins with https:// or http://"
    if origin.endswith("/"):
        return "leave out the slash at its end"
    return "it is a scheme, a host and perhaps a port, such as https://example.org:8443"


class ServerConfig(Section):
    """The HTTP server."""

    host: Text = Field(D["host"], description="name or address to listen on")
    port: int = Field(D["port"], ge=0, le=65535, description="0 takes any free port")
    body_bytes_max: int = Field(
        D["body_bytes_max"], ge=1024, le=64 * _MEBIBYTE, description="largest JSON request, bytes"
    )
    wyoming_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port of Home Assistant's Wyoming protocol, which has no keys; left out: not served",
    )
    api_key: Text | None = Field(
        None, description="key that clients send as `Authorization: Bearer`; required unless the host is loopback"
    )
    api_key_file: Text | None = Field(None, description="file with the key instead, readable by its owner alone")
    insecure: bool = Field(False, description="serve other machines without a key")
    state_dir: Text = Field(
        default_factory=folders.state_dir,
        description="folder of what survives a restart, such as voices created over HTTP; one for each server",
    )
    allowed_hosts: list[Text] = Field([], description="further names that a Host header may carry")
    cors_origins: list[Text] = Field(
        [],
        description="origins of other sites that may call, such as https://example.org; "
        '"*": all, with a key or on loopback',
    )
    request_seconds: float = Field(
        D["request_seconds"], ge=1, le=3600, description="deadline of one synthesis, seconds"
    )
    drain_seconds: float = Field(
        D["drain_seconds"], ge=0, le=3600, description="time to finish running speech after SIGTERM, seconds"
    )
    connections_max: int = Field(D["connections_max"], ge=8, le=1_000_000, description="connections open at once")
    connections_per_client: int = Field(
        D["connections_per_client"], ge=1, le=1_000_000, description="of one address, where other machines are served"
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["text", "json"] = Field(
        "text", description="json: an object on each line, with the request's id"
    )

    @model_validator(mode="after")
    def _guarded(self) -> ServerConfig:
        local = self.host == "localhost" or self.host == "::1" or re.fullmatch(r"127(\.\d{1,3}){3}", self.host)
        if self.api_key and self.api_key_file:
            raise ValueError("api_key and api_key_file cannot both be given")
        if not (local or self.api_key or self.api_key_file or self.insecure):
            raise ValueError(
                f"host {self.host} serves other machines, which needs server.api_key, or server.insecure = true"
            )
        if self.wyoming_port and not (local or self.insecure):
            raise ValueError("wyoming_port has no keys: it needs a host that is loopback, or server.insecure = true")
        if "*" in self.cors_origins and not (local or self.api_key or self.api_key_file):
            raise ValueError(
                'cors_origins "*" lets every page call, which needs server.api_key, or a host that is loopback'
            )
        for origin in self.cors_origins:
            if wrong := _wrong_origin(origin):
                raise ValueError(f'cors_origins has "{origin}", which no browser sends: {wrong}')
        return self

    def secret(self) -> str | None:
        """The API key from `api_key` or `api_key_file`, None: there is none. ConfigError: the file cannot be used."""
        if self.api_key_file is None:
            return self.api_key
        if not (key := read_secret(self.api_key_file, "server.api_key_file")):
            raise ConfigError(f"{self.api_key_file} is empty: there must be a key in it", field="server.api_key_file")
        return key


class ModelSettings(Section):
    """The model and how it is run."""

    name: Text = Field("demo", description="demo, a folder, a checkpoint, F5TTS_v1_Base, or hf://owner/repository/path")
    precision: Annotated[str, StringConstraints(pattern=PRECISION)] = Field(
        DEFAULT_PRECISION,
        description="of weights and products; auto: bf16 where processor or GPU multiply it faster than fp32",
    )
    backend: Backend = Field(
        "auto",
        description="cuda: the first NVIDIA GPU; native: the program's own kernels; package: compiled by torch for "
        "this machine, and eager until then; eager: plain PyTorch; compile: torch.compile; auto: cuda for a large "
        "model where torch can use a GPU, else native where processor and model allow it, else package",
    )
    device: Annotated[str, StringConstraints(pattern=DEVICE)] = Field(
        "auto",
        description="cpu, cuda, or cuda:N for eager and compile; auto: the first GPU for the backends that use one",
    )
    compile: Literal["background", "wait", "off"] = Field(
        "background", description="when a missing package is compiled: while serving, before serving, never"
    )
    threads: int = Field(0, ge=0, le=THREADS_MAX, description="of the model; 0: as many as cores")


def _section(name: str, fields: Iterable[_fields.Field], about: str) -> Any:
    """A class for a section whose settings are the fields of a table; `about`: its docstring."""
    made: dict[str, Any] = {}
    for one in fields:
        kinds = {
            "number": float,
            "whole": int,
            "boolean": bool,
            "choice": Literal[one.choices] if one.choices else None,
        }
        limits: dict[str, Any] = {} if one.least is None else {"ge": one.least, "le": one.most}
        made[one.setting or ""] = (kinds[one.kind], Field(one.default, description=one.help, **limits))
    return create_model(name, __base__=Section, __doc__=about, **made)


if TYPE_CHECKING:

    class SamplingConfig(Section):
        """The fields are those of `fields.SAMPLING`, which type checkers cannot see."""

    class EngineConfig(Section):
        """The fields are those of `fields.ENGINE`, which type checkers cannot see."""
else:
    SamplingConfig = _section("SamplingConfig", _fields.SAMPLING, "Defaults of the fields of a request for speech.")
    EngineConfig = _section("EngineConfig", _fields.ENGINE, "Sizes of the engine.")


class OpenAIConfig(Section):
    """Endpoints for OpenAI's clients."""

    voices: dict[str, VoiceId] = Field(
        {},
        description="our voice for a name that a client sends; other names of OpenAI each stand for one of our voices",
    )


class VoiceConfig(Section):
    """A voice: a clip of clean speech, and what is said in it."""

    id: VoiceId = Field(description="letters, digits, '.', '_' and '-', at most 64")
    audio: Text | None = Field(
        None,
        description=f"the clip, {D['reference_seconds_min']:g} to {D['reference_seconds_max']:g} s; "
        "left out: the voice is one of the model's own, by its id",
    )
    text: str | None = Field(
        None,
        description="the words of the clip; left out: they are in the clip's file with the suffix .txt, or the model "
        "does not need them",
    )
    language: Text | None = Field(None, description="such as en or zh; left out: guessed from the text to speak")


class PronounceConfig(Section):
    """The user's pronunciation of a word or phrase."""

    word: Annotated[str, StringConstraints(min_length=1, max_length=D["lexicon_word_chars"], strip_whitespace=True)] = (
        Field(description="word or phrase, in upper or lower case; applies to whole words only")
    )
    said: Annotated[str, StringConstraints(min_length=1, max_length=D["lexicon_said_chars"], strip_whitespace=True)] = (
        Field(description="how it is written to be read right, `/IPA/`, or `{phones}` of its language")
    )
    language: Text | None = Field(None, description="only in lines of this language; left out: in all lines")

    @model_validator(mode="after")
    def _readable(self) -> PronounceConfig:
        from ..text import lexicon  # loads the tables of the languages, which most configurations do not need

        try:
            lexicon.check(lexicon.Entry(self.word, self.said, self.language))
        except TextError as error:
            raise ValueError(str(error)) from None
        return self


class TextConfig(Section):
    """How text is read."""

    chat_words: bool = Field(True, description="speak chat words and emoticons in full: pls, w/, <3")
