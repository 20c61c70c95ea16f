"""Settings: a TOML file, then the environment, then the command line, validated once and handed to C as JSON.

Defaults and limits come from `ishowtts.fields` and `ishowtts._engine.DEFAULTS`, which are the C core's own. The message
about a wrong value begins with the place where the value was written: file and line, variable or option.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from .._engine import DEFAULTS as D
from ..errors import ConfigError, VoiceError
from ..text.lexicon import Entry
from ..voices import Voice, checked_voice, model_voices
from .chat import ChatConfig, Platform
from .cluster import ClusterConfig
from .explain import explain, node_at
from .reading import Keys, put, read_file, shown
from .sections import (
    EngineConfig,
    ModelSettings,
    OpenAIConfig,
    PronounceConfig,
    SamplingConfig,
    Section,
    ServerConfig,
    TextConfig,
    VoiceConfig,
    VoiceId,
)

__all__ = ["Config", "Platform", "ServerConfig", "load", "schema"]

ENVIRONMENT = "ISHOWTTS__"
"""What the names of environment variables that set something begin with."""
MASK = "********"
"""What is shown in place of a secret."""


class Config(Section):
    """All settings. Make one with `load`."""

    server: ServerConfig = Field(default_factory=ServerConfig)  # type: ignore[arg-type]
    model: ModelSettings = Field(default_factory=ModelSettings)  # type: ignore[arg-type]
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)  # type: ignore[arg-type]
    engine: EngineConfig = Field(default_factory=EngineConfig)  # type: ignore[arg-type]
    openai: OpenAIConfig = Field(default_factory=OpenAIConfig)  # type: ignore[arg-type]
    chat: ChatConfig = Field(default_factory=ChatConfig)  # type: ignore[arg-type]
    text: TextConfig = Field(default_factory=TextConfig)  # type: ignore[arg-type]
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)  # type: ignore[arg-type]
    default_voice: VoiceId | None = Field(
        None, description="id of the voice that speaks unless asked; left out: the first"
    )
    voices: list[VoiceConfig] = Field([], description="left out: those that come with the model")
    pronounce: list[PronounceConfig] = Field(
        [], max_length=D["lexicon_max"], description="the user's own pronunciations"
    )
    _file: str | None = PrivateAttr(None)
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _voices_agree(self) -> Config:
        ids = [voice.id for voice in self.voices]
        twice = next((name for name in ids if ids.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"voices: the id {twice} is used twice")
        if ids and self.default_voice is not None and self.default_voice not in ids:
            raise ValueError(f"default_voice must be one of {', '.join(ids)}, not {self.default_voice}")
        return self

    @model_validator(mode="after")
    def _chats_agree(self) -> Config:
        for source in self.chat.sources:
            if source.chat is not None and source.chat not in self.cluster.chats:
                raise ValueError(
                    f"chat.sources names the chat {source.chat}; cluster.chats has {', '.join(self.cluster.chats)}"
                )
        return self

    def pronunciations(self) -> list[Entry]:
        """The entries of `pronounce` as `ishowtts.text.lexicon` takes them."""
        return [Entry(one.word, one.said, one.language) for one in self.pronounce]

    @property
    def file(self) -> str | None:
        """The path of the file that was read, None where there was none."""
        return self._file

    @property
    def sources(self) -> dict[str, str]:
        """Where each setting was set, by its name; settings that nobody set are absent.

        A place is "file:line", "environment variable NAME" or "option KEY".
        """
        return dict(self._sources)

    def load_voices(self) -> list[Voice]:
        """The voices of the configuration or, where it lists none, those that come with its model; files are read.

        VoiceError: a clip or its text cannot be used, or `default_voice` is none of them; ModelError: there is no such
        model.
        """
        if self.voices:
            return [checked_voice(v.id, v.audio, v.text, v.language, self.model.name) for v in self.voices]
        voices = model_voices(self.model.name)
        if self.default_voice is not None and self.default_voice not in [voice.id for voice in voices]:
            names = ", ".join(voice.id for voice in voices) or "none at all"
            raise VoiceError(
                f"there is no voice {self.default_voice!r} (default_voice); there are {names}.",
                status="ENOTFOUND",
                field="default_voice",
            )
        return voices

    def to_dict(self) -> dict[str, Any]:
        """Plain data as C reads it: secrets read from their files, voices with their texts and absolute paths.

        `default_voice` is None only where there is no voice. ConfigError, VoiceError, ModelError: a secret, a voice or
        the model cannot be read, a source lacks its key, or `chat` names a voice that does not exist.
        """
        data = self.model_dump(mode="json")
        data["server"]["api_key"] = self.server.secret()
        data["server"]["state_dir"] = str(Path(self.server.state_dir).expanduser().absolute())
        data["cluster"] |= self.cluster.files()
        gateway = self.cluster.role == "gateway"  # has no model: the voices are those of its workers
        voices = [] if gateway else self.load_voices()
        data["voices"] = [voice.to_dict() for voice in voices]
        data["default_voice"] = self.default_voice or (voices[0].id if voices else None)
        chat = data["chat"]
        listed = {voice.id: voice.language for voice in voices}
        for name in [*self.chat.voices, *self.chat.role_voices.values()]:
            if name not in listed and not gateway:
                raise ConfigError(
                    f"chat speaks in the voice {name}, but the voices are {', '.join(listed)}", field="chat.voices"
                )
        chat["voices"] = [{"id": name, "language": listed.get(name)} for name in self.chat.voices or listed]
        for source, data_of in zip(self.chat.sources, chat["sources"], strict=True):
            data_of["token"] = source.secret()
            data_of["code"] = source.secret_code()
            kept = Path(data["server"]["state_dir"]) / f"{source.platform}-key"  # entered on the chat page
            if source.platform == "youtube" and source.channel and not data_of["token"] and not kept.exists():
                raise ConfigError(
                    f"YouTube answers nobody without an API key: chat.sources needs token, token_file or token_env for "
                    f"{source.channel}",
                    field="chat.sources",
                )
        return data

    def to_json(self) -> str:
        """`to_dict` as JSON, secrets included, with two more keys.

        `shown` is the same data with secrets masked, `sources` is the property of that name.
        """
        data = self.to_dict()
        return json.dumps(data | {"shown": _mask(data), "sources": self._sources}, ensure_ascii=False)

    def masked(self) -> dict[str, Any]:
        """`to_dict` with secrets replaced by `MASK`."""
        return _mask(self.to_dict())


def _mask(data: dict[str, Any]) -> dict[str, Any]:
    """A copy of `to_dict` with secrets replaced by `MASK`."""
    masked = copy.deepcopy(data)
    secrets = [(source, key) for source in masked["chat"]["sources"] for key in ("token", "code")]
    for holder, key in [(masked["server"], "api_key"), *secrets]:
        if holder[key]:
            holder[key] = MASK
    return masked


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    return Config.model_json_schema()


def load(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file, the environment and `overrides`; later ones win.

    `path`: a TOML file, None: none; its relative paths are relative to its folder. Environment variables are named
    `ISHOWTTS__SECTION__KEY`, overrides read "section.key=value". ConfigError names the place, the setting and what it
    may be.
    """
    data: dict[str, Any] = {}
    places: dict[Keys, str] = {}
    file = None if path is None else Path(path)
    if file is not None:
        data, places = read_file(file)
    for name, value in sorted(os.environ.items()):
        if name.startswith(ENVIRONMENT):
            keys = tuple(name[len(ENVIRONMENT) :].lower().split("__"))
            put(data, keys, value, f"environment variable {name}", places, node_at(schema(), keys))
    for item in overrides:
        key, separator, value = item.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"option {item!r} must read section.key=value", field=key.strip())
        keys = tuple(key.strip().split("."))
        put(data, keys, value.strip(), f"option {key.strip()}", places, node_at(schema(), keys))
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise explain(error, schema(), places, file) from None
    config._file = None if file is None else str(file)
    config._sources = {shown(keys): place for keys, place in places.items() if not _is_table(data, keys)}
    return config


def _is_table(data: Any, keys: Iterable[str]) -> bool:
    for key in keys:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return isinstance(data, dict) or (isinstance(data, list) and any(isinstance(item, dict) for item in data))
