"""`openapi.json` of the endpoints that the C core answers for both servers: own voices, live chat, configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from .._engine import DEFAULTS as D
from .chat_schemas import (
    ChatAccepted,
    ChatApproved,
    ChatCleared,
    ChatConnection,
    ChatFiltered,
    ChatHeldId,
    ChatIngested,
    ChatMessage,
    ChatMessageId,
    ChatMuted,
    ChatPaused,
    ChatPlace,
    ChatQueue,
    ChatRejected,
    ChatReplayed,
    ChatSkipped,
    ChatSource,
    ChatStatus,
    ChatStopped,
    ChatViewer,
    Strict,
)
from .examples import HEAD, KEY, VOICE, error_answers
from .schemas import Error, Voice

_REFERENCE = {
    "voice_id": "me", "engine": "f5", "engine_label": "F5-TTS F5TTS_v1_Base", "language": "en",
    "active_reference_text": "What is said in it.", "baseline_reference_text": "What is said in it.",
    "baseline_audio_available": True, "override_audio_available": False,
}  # fmt: skip
_BUSY = (*KEY, 411, 413, 415, 429, 503)
_CHANGE = (*_BUSY, 404, 409)
_Clip = Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]
_Words = Annotated[str, Field(min_length=1, max_length=D["max_text_chars"])]


class NewVoice(Strict):
    """A new voice, as a form."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")
    audio: _Clip = Field(description="1 to 30 s of clean speech, at most 10 MiB")
    text: _Words | None = Field(None, description="exactly what is said in it; required where clip_needs_text")
    language: str | None = Field(None, max_length=15, description="such as en; left out: guessed")


class NewReference(Strict):
    """A new clip, new words, or both, as a form."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    audio: _Clip | None = None
    text: _Words | None = None


class Reference(BaseModel):
    """The reference of a voice."""

    voice_id: str
    engine: Literal["f5"]
    engine_label: str
    language: str | None = None
    active_reference_text: str | None = None
    baseline_reference_text: str | None = None
    override_reference_text: str | None = None
    baseline_audio_available: bool
    override_audio_available: bool
    override_updated_at: str | None = None


class Settings(BaseModel):
    """The settings in force."""

    file: str | None
    settings: dict[str, Any] = Field(description="as in the configuration file, secrets masked")
    sources: dict[str, str] = Field(description="where each setting was set that is not at its default")
    restart_needed: list[str]


class ClusterWorker(BaseModel):
    """A worker, as a gateway knows it."""

    id: str
    name: str
    state: Literal["ready", "leaving", "other labels", "other model", "other protocol"]
    version: str
    model: str
    precision: str
    backend: str
    labels: dict[str, str]
    from_here: int
    utterances: int
    spoken: int
    waiting_seconds: float
    busy_seconds: float
    heard_seconds: float


class ClusterGateway(BaseModel):
    """A gateway, as another one or itself knows it."""

    id: str
    name: str
    state: Literal["ready", "leaving"]
    version: str
    utterances: int
    heard_seconds: float


class ClusterChat(Strict):
    """A chat of this gateway."""

    name: str
    leader: str | None = Field(description="name of the gateway that reads it, where gateways share chats")


class ClusterState(BaseModel):
    """A gateway, its workers, and all gateways."""

    role: Literal["gateway"]
    name: str
    connected: bool
    model: str
    utterances: int
    workers: list[ClusterWorker]
    gateways: list[ClusterGateway]
    chats: list[ClusterChat]


class Reloaded(BaseModel):
    """Names of the settings that a reload changed."""

    changed: list[str]
    restart_needed: list[str]


_MESSAGE = {
    "id": "m1",
    "platform": "twitch",
    "channel": "me",
    "username": "ada",
    "content": "Hello!",
    "priority": "Normal",
}
_EVENT = (
    "id: 7\nevent: message\n"
    'data: {"id":"m1","platform":"twitch","channel":"me","username":"ada","content":"Hello!"}\n\n'
)
_JSON, _FORM = "application/json", "multipart/form-data"
_Body = tuple[str, type[BaseModel], dict[str, Any]] | None
_Answer = tuple[int, Any, Any]
_VOICE_PATH, _REFERENCE_PATH = "/api/voices/{voice_id}", "/api/voices/{voice_id}/reference"
_CLIP = {"id": "me", "audio": "me.wav", "text": "Exactly what is said in me.wav.", "language": "en"}
_CHANNEL = {"platform": "twitch", "channel": "me"}
_CONNECTION = _CHANNEL | {
    "state": "live", "text": "Reading the chat of me.", "seconds": 60.0, "silent_seconds": 2.5, "retry_seconds": 0.0,
    "connects": 1, "losses": 0, "messages": 12, "deletions": 0, "malformed": 0, "quota_used": 0,
}  # fmt: skip
_HEARD = {
    "id": "m1", "platform": "twitch", "channel": "me", "user_id": "", "user": "ada", "text": "Hello!",
    "priority": "Normal",
    "roles": ["vip"], "voice": "hazel", "language": "en", "timestamp": 1769860800000, "amount": None, "merged": [],
}  # fmt: skip
_PLAYING = _HEARD | {
    "said": "ada says: Hello!",
    "sample_rate": 24000,
    "at": 0.4,
    "duration": 1.2,
    "exact": True,
    "replay": False,
}
_WAITING = _HEARD | {"id": "m2", "position": 1, "waited": 0.4, "ready": False}
_REFUSED = _CHANNEL | {
    "id": "m3",
    "user_id": "7",
    "user": "ada",
    "text": "https://example.org",
    "reason": "link",
    "timestamp": 1769860800000,
}
_STATUS = {
    "paused": False, "playing": "m1", "queue": {"Gift": 0, "Paid": 0, "Moderator": 0, "Mention": 0, "Normal": 1},
    "held": 0, "listeners": 2,
    "counts": {
        "received": 3, "spoken": 1, "deleted": 0, "skipped": 0, "waiting": 2, "merged": 0, "recovered": 0,
        "replayed": 0,
        "cut": 0, "commands": 0, "dropped": {"link": 1},
    },
    "connections": [_CONNECTION],
}  # fmt: skip
_CLUSTER = {
    "role": "gateway", "name": "gate", "connected": True, "model": "demo", "utterances": 1,
    "workers": [{
        "id": "0123456789abcdef", "name": "booth-2", "state": "ready", "version": "0.1.0", "model": "demo",
        "precision": "bf16", "backend": "native", "labels": {"site": "studio"}, "from_here": 1, "utterances": 1,
        "spoken": 12, "waiting_seconds": 0.4, "busy_seconds": 9.5, "heard_seconds": 0.2,
    }],
    "gateways": [{
        "id": "fedcba9876543210", "name": "gate", "state": "ready", "version": "0.1.0", "utterances": 1,
        "heard_seconds": 0.1,
    }],
    "chats": [{"name": "main", "leader": "gate"}],
}  # fmt: skip
_VIEWER = {"platform": "twitch", "user": "somebody"}
_CHAT = "/api/danmaku/"
_CHAT_ERRORS = (*KEY, 404, 409, 503)
_CHAT_BODY = (*_CHAT_ERRORS, 411, 413, 415)
TABLE: tuple[tuple[str, str, str, str, _Body, _Answer, tuple[int, ...]], ...] = (
    (
        "post", "/api/voices", "voice_create", "Creates a voice, which survives restarts.",
        (_FORM, NewVoice, _CLIP), (201, Voice, VOICE), _CHANGE,
    ),
    ("delete", _VOICE_PATH, "voice_delete", "Deletes a voice that was created over HTTP.", None, (204, None, None),
     _CHANGE),
    (
        "get", _REFERENCE_PATH, "reference", "The reference of a voice: clip and words.", None,
        (200, Reference, _REFERENCE), (*KEY, 404, 503),
    ),
    (
        "post", _REFERENCE_PATH, "override",
        "Replaces the clip or the words of a voice; a refused request changes nothing.",
        (_FORM, NewReference, {"text": "Other words."}), (200, Reference, _REFERENCE), _CHANGE,
    ),
    (
        "delete", _REFERENCE_PATH, "restore",
        "Removes an override: the voice is again as it was created or configured.", None, (204, None, None), _CHANGE,
    ),
    (
        "get", _REFERENCE_PATH + "/audio", "reference_audio", "The audio of the clip.", None,
        (200, bytes, None), (*KEY, 404, 416, 429, 503),
    ),
    (
        "get", "/api/config", "config", "The settings in force, secrets masked.", None,
        (200, Settings, {"file": "/etc/ishowtts.toml", "settings": {"sampling": {"nfe": 7}},
                         "sources": {"sampling.nfe": "/etc/ishowtts.toml:12"}, "restart_needed": []}), (*KEY, 503),
    ),
    (
        "post", "/api/config/reload", "config_reload", "Reads the settings again; faulty ones change nothing.", None,
        (200, Reloaded, {"changed": ["sampling.nfe"], "restart_needed": []}), (*KEY, 409, 411, 413, 415, 503),
    ),
    (
        "get", "/api/cluster", "cluster", "The workers of a gateway; 404 at other servers.", None,
        (200, ClusterState, _CLUSTER), (*KEY, 404, 503),
    ),
    (
        "delete", "/api/cluster/workers/{id}", "cluster_drain",
        "A worker or a gateway finishes what it has begun, and ends.", None,
        (204, None, None), (*KEY, 404, 503),
    ),
    (
        "post", _CHAT + "start", "danmaku_start", "Joins a channel.",
        (_JSON, ChatSource, _CHANNEL), (202, ChatConnection, _CONNECTION), _CHAT_BODY,
    ),
    (
        "post", _CHAT + "stop", "danmaku_stop", "Leaves a channel.",
        (_JSON, ChatPlace, _CHANNEL), (202, ChatStopped, {"stopped": True}), _CHAT_BODY,
    ),
    (
        "post", _CHAT + "enqueue", "danmaku_enqueue",
        "A message to read aloud; 200 with a reason where it is filtered.",
        (_JSON, ChatMessage, _MESSAGE),
        (202, ChatAccepted, {"id": "m1", "position": 1, "eta": 0.4, "merged": False, "held": False}),
        (*_CHAT_BODY, 429),
    ),
    (
        "post", _CHAT + "ingest/{kind}", "danmaku_ingest",
        "A message as Streamer.bot or Social Stream Ninja sends it; 200 with a reason where it is not read.",
        (_JSON, ChatIngested, {"chatname": "ann", "chatmessage": "Hello!", "type": "tiktok"}),
        (202, ChatAccepted, {"id": "m1", "position": 1, "eta": 0.4, "merged": False, "held": False}),
        (*_CHAT_BODY, 429),
    ),
    (
        "post", _CHAT + "skip", "danmaku_skip", "Skips a message, or what plays.",
        (_JSON, ChatMessageId, {"id": "m1"}), (200, ChatSkipped, {"skipped": True}), _CHAT_BODY,
    ),
    ("post", _CHAT + "pause", "danmaku_pause", "Pauses reading.", None, (200, ChatPaused, {"paused": True}),
     _CHAT_BODY),
    ("post", _CHAT + "resume", "danmaku_resume", "Resumes reading.", None, (200, ChatPaused, {"paused": False}),
     _CHAT_BODY),
    ("post", _CHAT + "clear", "danmaku_clear", "Empties the queue.", None, (200, ChatCleared, {"cleared": 3}),
     _CHAT_BODY),
    (
        "post", _CHAT + "replay", "danmaku_replay", "Plays the last one again.", None,
        (200, ChatReplayed, {"replayed": True}), _CHAT_BODY,
    ),
    (
        "post", _CHAT + "mute", "danmaku_mute", "Refuses all messages of a viewer, across restarts.",
        (_JSON, ChatViewer, _VIEWER), (200, ChatMuted, {"muted": True, "dropped": 2}), (*_CHAT_BODY, 429),
    ),
    (
        "post", _CHAT + "unmute", "danmaku_unmute", "Reads a viewer's messages again.",
        (_JSON, ChatViewer, _VIEWER), (200, ChatMuted, {"muted": False, "dropped": 0}), _CHAT_BODY,
    ),
    (
        "post", _CHAT + "approve", "danmaku_approve", "Queues messages that were held for approval.",
        (_JSON, ChatHeldId, {"id": "m1"}), (200, ChatApproved, {"approved": 1}), _CHAT_BODY,
    ),
    (
        "post", _CHAT + "reject", "danmaku_reject", "Drops messages that were held for approval.",
        (_JSON, ChatHeldId, {"id": "m1"}), (200, ChatRejected, {"rejected": 1}), _CHAT_BODY,
    ),
    ("delete", _CHAT + "messages/{id}", "danmaku_delete", "Deletes a message.", None, (204, None, None),
     _CHAT_ERRORS),
    (
        "get", _CHAT + "queue", "danmaku_queue", "The message that plays and those that wait.", None,
        (200, ChatQueue, {
            "playing": _PLAYING, "waiting": [_WAITING], "held": [], "refused": [_REFUSED], "muted": [_VIEWER],
            "total": 1,
        }), _CHAT_ERRORS,
    ),
    (
        "get", _CHAT + "status", "danmaku_status", "Counts and connections.", None,
        (200, ChatStatus, _STATUS), _CHAT_ERRORS,
    ),
    (
        "get", _CHAT + "stream", "danmaku_stream", "Server-sent events; `Last-Event-ID` resumes after an event.", None,
        (200, str, _EVENT), _CHAT_ERRORS,
    ),
)  # fmt: skip
MODELS = (
    NewVoice, NewReference, Reference, Settings, Reloaded, ClusterState, ChatMessage, ChatIngested, ChatSource,
    ChatPlace, ChatMessageId,
    ChatAccepted, ChatFiltered, ChatConnection, ChatStopped, ChatSkipped, ChatPaused, ChatCleared, ChatReplayed,
    ChatViewer, ChatMuted, ChatHeldId, ChatApproved, ChatRejected, ChatQueue, ChatStatus, Voice,
)  # fmt: skip


def paths() -> dict[str, dict[str, Any]]:
    """The part `paths` of `openapi.json` for the endpoints of `TABLE`: operations by method, by path."""
    made: dict[str, dict[str, Any]] = {}
    for method, path, name, text, body, answer, errors in TABLE:
        operation: dict[str, Any] = {"operationId": name, "description": text, "parameters": _parameters(path)}
        if body is not None:
            kind, model, example = body
            operation["requestBody"] = {
                "required": model not in (ChatMessageId, ChatHeldId),
                "content": {kind: {"schema": _named(model), "example": example}},
            }
        operation["responses"] = {str(answer[0]): _success(*answer)} | {
            str(status): error | {"content": {_JSON: error["content"][_JSON] | {"schema": _named(Error)}}}
            for status, error in error_answers((*HEAD, *errors)).items()
        }
        if name in ("danmaku_enqueue", "danmaku_ingest"):
            operation["responses"]["200"] = _success(200, ChatFiltered, {"skipped": True, "reason": "link", "id": "m1"})
        if name == "reference_audio":
            operation["responses"] |= {
                "206": {"description": "A part"} | _binary(),
                "304": {"description": "Not changed"},
            }
        made.setdefault(path, {})[method] = operation
    return made


def _named(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _success(status: int, model: Any, example: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done" if model is None else "As asked"}
    if model is bytes:
        return answer | _binary()
    if model is str:
        return answer | {"content": {"text/event-stream": {"example": example}}}
    if model is not None:
        answer["content"] = {_JSON: {"schema": _named(model), "example": example}}
    return answer


def _binary() -> dict[str, Any]:
    kinds = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "application/octet-stream")
    return {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}}


def _parameters(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, example in (("voice_id", "hazel"), ("id", "m1"), ("kind", "socialstream")):
        if "{" + name + "}" in path:
            found.append(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": example}
            )
    if path.startswith(_CHAT):
        text = "name of the chat; left out: the first"
        found.append(
            {"name": "chat", "in": "query", "required": False, "schema": {"type": "string"}, "description": text}
        )
    if path.endswith("/audio"):
        schema = {"type": "string", "enum": ["baseline", "override"]}
        found.append({"name": "source", "in": "query", "required": False, "schema": schema})
    return found
