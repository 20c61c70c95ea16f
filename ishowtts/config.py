"""Settings: a TOML file, then the environment, then the command line, checked once and handed to C as JSON.

Defaults and limits come from `ishowtts.fields` and `ishowtts._engine.DEFAULTS`, which are the C core's own. A wrong
value is refused with the place it was written at, because the person who mistyped it has an editor open, not this
source.
"""

from __future__ import annotations

import copy
import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)

from . import fields as _fields
from . import folders
from ._engine import CHAT_WORDS
from ._engine import DEFAULTS as D
from .errors import ConfigError
from .model.compile import DEFAULT_PRECISION
from .text.lexicon import Entry
from .voices import VOICE_ID, load_voices

ENVIRONMENT = "ISHOWTTS__"
MASK = "********"
_MEBIBYTE = 1 << 20

VoiceId = Annotated[str, StringConstraints(pattern=VOICE_ID)]
Text = Annotated[str, StringConstraints(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _secret_of(file: str, field: str) -> str:
    """What a file holds that its owner alone may read."""
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
    """Why a browser never sends this as its Origin, "" where it may."""
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


class ServerConfig(_Section):
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
    api_key: Text | None = Field(None, description="what clients send as `Authorization: Bearer`; needed off loopback")
    api_key_file: Text | None = Field(None, description="file with the key instead, readable by its owner alone")
    insecure: bool = Field(False, description="serve other machines without a key")
    state_dir: Text = Field(
        default_factory=folders.state_dir,
        description="folder for what outlives the process: voices made over HTTP; one server each",
    )
    allowed_hosts: list[Text] = Field([], description="further names that a Host header may carry")
    cors_origins: list[Text] = Field(
        [],
        description='origins of other sites that may call, such as https://example.org; "*": all, with a key or on loopback',
    )
    request_seconds: float = Field(
        D["request_seconds"], ge=1, le=3600, description="deadline of one synthesis, seconds"
    )
    drain_seconds: float = Field(D["drain_seconds"], ge=0, le=3600, description="patience after SIGTERM, seconds")
    connections_max: int = Field(D["connections_max"], ge=8, le=1_000_000, description="connections open at once")
    connections_per_client: int = Field(
        D["connections_per_client"], ge=1, le=1_000_000, description="of one address, when other machines are served"
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field(
        "info", description="least weight of a line of the log"
    )
    log_format: Literal["text", "json"] = Field("text", description="json: an object a line, with the request's id")

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
        """The API key, wherever it is kept."""
        if self.api_key_file is None:
            return self.api_key
        if not (key := _secret_of(self.api_key_file, "server.api_key_file")):
            raise ConfigError(f"{self.api_key_file} is empty: there must be a key in it", field="server.api_key_file")
        return key


class ModelSettings(_Section):
    """What speaks."""

    name: Text = Field("demo", description="demo, a folder, a checkpoint, F5TTS_v1_Base, or hf://owner/repository/path")
    precision: Literal["auto", "fp32", "bf16", "int8-dynamic", "int8-static"] = (
        Field(  # auto and model.native.PRECISIONS
            cast(Any, DEFAULT_PRECISION),
            description="of weights and products; auto: bf16 where processor or GPU multiply it faster, else fp32",
        )
    )
    backend: Literal["auto", "cuda", "native", "package", "eager", "compile"] = Field(
        "auto",
        description="cuda: the first NVIDIA GPU; native: the program's own kernels; package: compiled for this machine by torch, "
        "eager until it is; eager: plain PyTorch; compile: torch.compile; auto: cuda for a large model where torch can use a "
        "GPU, else native where the processor and the model allow, else package",
    )
    compile: Literal["background", "wait", "off"] = Field(
        "background", description="when a missing package is made: while serving, before serving, never"
    )
    threads: int = Field(0, ge=0, le=1024, description="of the model; 0 takes all cores")


def _section(name: str, fields: Iterable[_fields.Field], about: str) -> Any:
    """A section that consists of fields of a table."""
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
    return create_model(name, __base__=_Section, __doc__=about, **made)


if TYPE_CHECKING:

    class SamplingConfig(_Section):
        """See below."""

    class EngineConfig(_Section):
        """See below."""
else:
    SamplingConfig = _section(
        "SamplingConfig", _fields.SAMPLING, "What a request gets that does not choose for itself."
    )
    EngineConfig = _section("EngineConfig", _fields.ENGINE, "Sizes of the engine.")


class OpenAIConfig(_Section):
    """What OpenAI's clients are served."""

    voices: dict[str, VoiceId] = Field(
        {},
        description="our voice for a name that a client asks for; OpenAI's own names are spread over our voices unless given",
    )


class VoiceConfig(_Section):
    """A voice: a clip of clean speech, and what is said in it."""

    id: VoiceId = Field(description="letters, digits, '.', '_' and '-', at most 64")
    audio: Text | None = Field(
        None,
        description=f"the clip, {D['reference_seconds_min']:g} to {D['reference_seconds_max']:g} s; "
        "may be left out where the model takes no prompt",
    )
    text: str | None = Field(
        None, description="its words, exactly; left out: the file beside the clip that ends in .txt"
    )
    language: Text | None = Field(None, description="such as en or zh; left out: guessed from the text to speak")


_ROLES = tuple(role for role in CHAT_WORDS["roles"] if role != "bot")  # bots are never read
if TYPE_CHECKING:
    Platform: TypeAlias = str
    Role: TypeAlias = str
else:
    Platform = Literal[CHAT_WORDS["platforms"]]
    Role = Literal[_ROLES]


class PronounceConfig(_Section):
    """One word or phrase that is read otherwise than written."""

    word: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)] = Field(
        description="word or phrase, whatever its case; only as whole words"
    )
    said: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)] = Field(
        description="how it is written to be read right"
    )
    language: Text | None = Field(None, description="only in lines of this language; left out: in all")


class ChatSourceConfig(_Section):
    """A channel that is read aloud, or, without `channel`, what any channel of the platform is joined with."""

    platform: Platform
    channel: Text | None = Field(None, description="login, room number or video; left out: for those started over HTTP")
    token: Text | None = Field(None, description="Twitch: OAuth token; Bilibili: SESSDATA; YouTube: API key")
    token_file: Text | None = Field(None, description="file with the token, readable by its owner alone")
    token_env: Text | None = Field(None, description="environment variable with the token")
    login: Text | None = Field(None, description="whose the token is: Twitch login, Bilibili uid")
    endpoint: Text | None = Field(None, description="another address of the platform")
    ca_file: Text | None = Field(None, description="PEM to trust instead of the system's authorities")
    connect_seconds: float | None = Field(None, ge=1, le=D["chat_seconds_max"], description="from look-up to joined")
    heartbeat_seconds: float | None = Field(
        None, ge=1, le=D["chat_seconds_max"], description="of silence before an own one"
    )
    reply_seconds: float | None = Field(None, ge=1, le=D["chat_seconds_max"], description="patience after a heartbeat")
    backoff_seconds: float | None = Field(
        None, ge=0.1, le=D["chat_seconds_max"], description="first pause after a loss"
    )
    backoff_max_seconds: float | None = Field(None, ge=0.1, le=D["chat_seconds_max"], description="longest pause")
    poll_seconds_min: float | None = Field(
        None, ge=0, le=D["chat_seconds_max"], description="YouTube: between two polls"
    )
    quota_units: int | None = Field(None, ge=0, le=1 << 40, description="YouTube: of one run; 0: no bound")

    def secret(self) -> str | None:
        """The token, wherever it is kept."""
        if self.token_env is not None and self.token is None:
            return os.environ.get(self.token_env) or None
        if self.token_file is None or self.token is not None:
            return self.token
        return _secret_of(self.token_file, "token_file") or None


class ChatConfig(_Section):
    """Live chat: what is read aloud, how, and in which order."""

    sources: list[ChatSourceConfig] = Field([], description="joined at the start")
    platforms: list[Text] = Field([], description="read only these; none: all")
    channels: list[Text] = Field([], description="read only these; none: all")
    roles: list[Role] = Field([], description="read only who has one of these; none: everyone. Who pays is always read")
    blocklist: list[Text] = Field(
        [], description='logins, names or user ids that are not read, also as "platform:user"'
    )
    bots: list[Text] = Field(
        ["nightbot", "streamelements", "streamlabs", "moobot", "fossabot", "wizebot", "soundalerts", "sery_bot"],
        description="logins or names of bots",
    )
    banned_words: list[Text] = Field([], description="words or phrases; case, width and accents make no difference")
    mentions: list[Text] = Field([], description="names whose @mention lifts a message, besides the channel's own")
    languages: list[Text] = Field([], description="read only these, such as en; none: all")
    links: Literal["strip", "read", "refuse"] = "strip"
    emotes: Literal["strip", "read"] = Field("strip", description="pictures, emoji and :codes:")
    kaomoji: Literal["strip", "read"] = Field("strip", description="faces made of signs")
    long_texts: Literal["strip", "refuse"] = Field("strip", description="cut at a word, or refused")
    events: bool = Field(True, description="subscriptions, raids and the like are read")
    words_max: int = Field(
        D["chat_words_max"], ge=1, le=1000, description="of one message; two CJK characters are a word"
    )
    characters_max: int = Field(
        D["chat_graphemes_max"], ge=1, le=2000, description="of one message, as people see them"
    )
    command_prefix: str = Field(
        D["chat_command_prefix"], max_length=8, description="messages that begin so are not read"
    )
    voice_command: bool = Field(True, description="!voice ID chooses the viewer's own voice")
    cooldown_seconds: float = Field(
        D["chat_cooldown_seconds"], ge=0, le=86400, description="between messages of a viewer"
    )
    repeat_seconds: float = Field(
        D["chat_repeat_seconds"],
        ge=0,
        le=86400,
        description="a viewer's same words are not read again within; 0: they are",
    )
    flood_messages: int = Field(
        D["chat_flood_messages"], ge=0, le=1000, description="of a viewer in flood_seconds; 0: any"
    )
    flood_seconds: float = Field(D["chat_flood_seconds"], ge=0, le=86400)
    rate: float = Field(D["chat_rate"], ge=0, le=1000, description="messages a second that are taken; 0: any")
    voices: list[VoiceId] = Field([], description="among which viewers are spread; none: all")
    voice_per_viewer: bool = Field(True, description="each viewer has a voice of their own, and keeps it")
    role_voices: dict[str, VoiceId] = Field({}, description='voices of roles, and of "paid" messages and gifts')
    language: Text = Field(D["chat_language"], description="of Latin text that does not tell")
    template: Text = Field(D["chat_template"], description="{user} {text} {platform} {channel}")
    template_paid: Text = Field(D["chat_template_paid"], description="also {amount}")
    template_gift: Text = Field(D["chat_template_gift"], description="also {count} {gift}")
    template_event: Text = Field(D["chat_template_event"], description="also {event}: the platform's own sentence")
    clean_names: bool = Field(True, description='"xX_Dark_99" is read "Dark"')
    name_again_seconds: float = Field(
        D["chat_name_again_seconds"],
        ge=0,
        le=86400,
        description="a viewer who spoke last is not named again within; 0: always",
    )
    queue_max: int = Field(D["chat_queue_max"], ge=1, le=65536, description="messages that wait")
    ageing_seconds: float = Field(
        D["chat_ageing_seconds"], ge=1, le=86400, description="waiting so long lifts by a priority"
    )
    expire_seconds: float = Field(
        D["chat_expire_seconds"], ge=0, le=86400, description="normal messages go after; 0: never"
    )
    prefetch: int = Field(D["chat_prefetch"], ge=1, le=8, description="clips made while one plays")
    gap_seconds: float = Field(D["chat_gap_seconds"], ge=0, le=60, description="between clips")

    @model_validator(mode="after")
    def _roles_exist(self) -> ChatConfig:
        known = (*_ROLES, "paid")
        for name in self.role_voices:
            if name not in known:
                raise ValueError(f"role_voices knows {', '.join(known)}, not {name}")
        return self


class TextConfig(_Section):
    """How text is read."""

    chat_words: bool = Field(True, description="say chat's own words and emoticons in full: pls, w/, <3")


class Config(_Section):
    """All settings. Make one with `load`."""

    server: ServerConfig = Field(default_factory=ServerConfig)  # type: ignore[arg-type]
    model: ModelSettings = Field(default_factory=ModelSettings)  # type: ignore[arg-type]
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)  # type: ignore[arg-type]
    engine: EngineConfig = Field(default_factory=EngineConfig)  # type: ignore[arg-type]
    openai: OpenAIConfig = Field(default_factory=OpenAIConfig)  # type: ignore[arg-type]
    chat: ChatConfig = Field(default_factory=ChatConfig)  # type: ignore[arg-type]
    text: TextConfig = Field(default_factory=TextConfig)  # type: ignore[arg-type]
    default_voice: VoiceId | None = Field(
        None, description="id of the voice that speaks unless asked; left out: the first"
    )
    voices: list[VoiceConfig] = Field([], description="left out: those that come with the model")
    pronounce: list[PronounceConfig] = Field([], max_length=10000, description="the user's own pronunciations")
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

    def pronunciations(self) -> list[Entry]:
        """`pronounce` as the text front end takes it."""
        return [Entry(one.word, one.said, one.language) for one in self.pronounce]

    @property
    def file(self) -> str | None:
        """The file it was read from."""
        return self._file

    @property
    def sources(self) -> dict[str, str]:
        """Where each setting was set that is not at its default: "file:line", "environment variable NAME", "option KEY"."""
        return dict(self._sources)

    def to_dict(self) -> dict[str, Any]:
        """Plain data as C reads it: every voice with its text and absolute path, and always a default voice."""
        data = self.model_dump(mode="json")
        data["server"]["api_key"] = self.server.secret()
        data["server"]["state_dir"] = str(Path(self.server.state_dir).expanduser().absolute())
        voices = load_voices(self)
        data["voices"] = [voice.to_dict() for voice in voices]
        data["default_voice"] = self.default_voice or (voices[0].id if voices else None)
        chat = data["chat"]
        listed = {voice.id: voice.language for voice in voices}
        for name in [*self.chat.voices, *self.chat.role_voices.values()]:
            if name not in listed:
                raise ConfigError(
                    f"chat speaks in the voice {name}, but the voices are {', '.join(listed)}", field="chat.voices"
                )
        chat["voices"] = [{"id": name, "language": listed[name]} for name in self.chat.voices or listed]
        for source, data_of in zip(self.chat.sources, chat["sources"], strict=True):
            data_of["token"] = source.secret()
        return data

    def to_json(self) -> str:
        """`to_dict` as JSON, secrets included; `shown` is the same without them, `sources` where each setting was set."""
        data = self.to_dict()
        return json.dumps(data | {"shown": _mask(data), "sources": self._sources}, ensure_ascii=False)

    def masked(self) -> dict[str, Any]:
        """`to_dict` for showing: secrets replaced."""
        return _mask(self.to_dict())


def _mask(data: dict[str, Any]) -> dict[str, Any]:
    """A copy without secrets."""
    masked = copy.deepcopy(data)
    for holder, key in [(masked["server"], "api_key"), *((source, "token") for source in masked["chat"]["sources"])]:
        if holder[key]:
            holder[key] = MASK
    return masked


@cache
def schema() -> dict[str, Any]:
    """JSON schema of the file."""
    return Config.model_json_schema()


def load(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file (None: none), the environment `ISHOWTTS__SECTION__KEY` and "section.key=value" overrides, later ones winning.

    ConfigError names the place, the field and what it may be. Relative paths of the file are relative to its folder.
    """
    data: dict[str, Any] = {}
    places: dict[tuple[str, ...], str] = {}
    file = None if path is None else Path(path)
    if file is not None:
        data, places = _read(file)
    for name, value in sorted(os.environ.items()):
        if name.startswith(ENVIRONMENT):
            keys = tuple(name[len(ENVIRONMENT) :].lower().split("__"))
            _put(data, keys, value, f"environment variable {name}", places)
    for item in overrides:
        key, separator, value = item.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"option {item!r} must read section.key=value", field=key.strip())
        _put(data, tuple(key.strip().split(".")), value.strip(), f"option {key.strip()}", places)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _explain(error, places, file) from None
    config._file = None if file is None else str(file)
    config._sources = {_shown(keys): place for keys, place in places.items() if not _is_table(data, keys)}
    return config


def _is_table(data: Any, keys: Iterable[str]) -> bool:
    for key in keys:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return isinstance(data, dict) or (isinstance(data, list) and any(isinstance(item, dict) for item in data))


# ---- reading ---------------------------------------------------------------------------------------------------------


def _read(file: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: this is not UTF-8 text") from None
    except OSError as error:
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EIO"
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", status=status) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        what = str(error)[: found.start()] if found else str(error)
        raise ConfigError(f"{file}:{line}: {what[:1].lower()}{what[1:]}") from None
    _anchor(data, file.parent.absolute())
    return data, {keys: f"{file}:{line}" for keys, line in _lines(text).items()}


def _anchor(data: dict[str, Any], folder: Path) -> None:
    """Make the relative paths of a file absolute."""
    voices = data.get("voices")
    for voice in voices if isinstance(voices, list) else []:
        if isinstance(voice, dict) and isinstance(audio := voice.get("audio"), str) and audio:
            voice["audio"] = str(folder / Path(audio).expanduser())
    server = data.get("server")
    for key in ("state_dir", "api_key_file"):
        if isinstance(server, dict) and isinstance(place := server.get(key), str) and place:
            server[key] = str(folder / Path(place).expanduser())
    chat = data.get("chat")
    sources = chat.get("sources") if isinstance(chat, dict) else None
    for source in sources if isinstance(sources, list) else []:
        for key in ("token_file", "ca_file"):
            if isinstance(source, dict) and isinstance(place := source.get(key), str) and place:
                source[key] = str(folder / Path(place).expanduser())
    model = data.get("model")
    if isinstance(model, dict) and isinstance(name := model.get("name"), str):
        preset, separator, place = name.rpartition("=")
        if "/" in place and "://" not in place:
            model["name"] = f"{preset}{separator}{folder / Path(place).expanduser()}"


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Line on which each key and table of a TOML text begins, as far as a look at the lines tells."""
    places: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    count: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = _keys(found[2])
            if found[1] == "[[":
                count[table] = count.get(table, -1) + 1
                places.setdefault(table, number)
                table += (str(count[table]),)
            places.setdefault(table, number)
        elif found := re.match(
            r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=", line
        ):
            places.setdefault(table + _keys(found[1]), number)
    return places


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _put(
    data: dict[str, Any], keys: tuple[str, ...], value: str, place: str, places: dict[tuple[str, ...], str]
) -> None:
    """Set one value that was given as text."""
    target: Any = data
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{place}: {'.'.join(keys)} cannot be set from here", field=".".join(keys))
    for known in [known for known in places if known[: len(keys)] == keys]:
        del places[known]
    places[keys] = place
    target[keys[-1]] = _typed(value, _node(keys))


def _typed(value: str, node: Mapping[str, Any] | None) -> Any:
    """Text as the type that the schema wants; left as text where it does not fit, for the check to refuse."""
    if node is None or node.get("type") == "string" or "enum" in node:
        return value
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return parsed["value"] if len(parsed) == 1 else value


# ---- explaining ------------------------------------------------------------------------------------------------------


def _node(keys: Iterable[str]) -> dict[str, Any] | None:
    """Schema of a field; None when there is none."""
    whole = schema()
    node: dict[str, Any] = whole
    for key in keys:
        following = node.get("items") if key.isdecimal() else node.get("properties", {}).get(key)
        following = following or node.get("additionalProperties")  # of a table with keys of the user's own
        if not following:
            return None
        node = copy.copy(following)
        for arm in node.get("anyOf", []):
            if arm.get("type") != "null":
                node |= arm
        if "$ref" in node:
            node |= whole["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _expected(node: Mapping[str, Any]) -> str:
    """What a field may be, in words."""
    if "enum" in node:
        return f"one of {', '.join(node['enum'])}"
    if "const" in node:
        return str(node["const"])
    kind = str(node.get("type"))
    if kind in ("integer", "number"):
        name = "a whole number" if kind == "integer" else "a number"
        return (
            f"{name} from {node['minimum']:g} to {node['maximum']:g}"
            if kind == "number"
            else (f"{name} from {node['minimum']} to {node['maximum']}")
        )
    if node.get("pattern") == VOICE_ID:
        return "made of letters, digits, '.', '_' and '-', at most 64"
    return {
        "boolean": "true or false", "string": "a text that is not empty", "array": "a list", "object": "a table",
    }.get(kind, kind)  # fmt: skip


def _explain(error: ValidationError, places: Mapping[tuple[str, ...], str], file: Path | None) -> ConfigError:
    """One sentence about the first fault."""
    fault = error.errors()[0]
    keys = tuple(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])
        if found := re.match(r"(\w+)\b", message):  # the field that the sentence is about
            keys += (found[1],)
    else:
        name = _shown(keys)
        if fault["type"] == "extra_forbidden":
            siblings = list((_node(keys[:-1]) or {}).get("properties", {}))
            near = difflib.get_close_matches(keys[-1], siblings, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(siblings)}"
            message = f"{name} is unknown; {hint}"
        elif fault["type"] == "missing":
            message = f"{name} is missing"
        else:
            given = "" if keys[-1] in ("api_key", "token") else f", not {_value(fault['input'])}"
            message = f"{name} must be {_expected(_node(keys) or {})}{given}"
    near_places = [places[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in places]
    near_places += [place for written, place in places.items() if written[: len(keys)] == keys]
    place = near_places[0] if near_places else str(file or "")
    return ConfigError(f"{place}: {message}" if place else message, field=_shown(keys))


def _shown(keys: Iterable[str]) -> str:
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(keys))


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
