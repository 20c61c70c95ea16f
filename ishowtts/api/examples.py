"""Answers, errors and examples in `openapi.json` for the endpoints that FastAPI describes."""

from __future__ import annotations

from typing import Any

from .. import _audio
from .schemas import Error

Responses = dict[int | str, dict[str, Any]]

_ERRORS = {  # status: code, message, field
    400: ("out_of_range", "speed must be between 0.25 and 4, not 9.", "speed"),
    401: ("unauthorized", "This server needs an API key: Authorization: Bearer KEY, or ?key=KEY.", None),
    403: (
        "forbidden_origin",
        "Pages of this origin may not call this server; origins are listed in server.cors_origins.",
        None,
    ),
    404: ("not_found", "There is no voice nobody.", "voice_id"),
    409: ("cancelled", "The request was cancelled.", None),
    411: ("length_required", "A request with a body needs a Content-Length.", "Content-Length"),
    413: ("too_large", "The body may have 65536 bytes, not 70000.", None),
    414: ("uri_too_long", "The address may have 2048 characters, not 3001.", None),
    415: ("unsupported_media_type", "The Content-Type must be application/json.", "Content-Type"),
    416: ("range_not_satisfiable", "Nothing of this range is there.", "Range"),
    426: ("upgrade_required", "This address speaks WebSocket: it needs Connection: Upgrade.", "Upgrade"),
    429: ("busy", "64 utterances are waiting already.", None),
    431: ("headers_too_large", "The header fields may have 16384 bytes, not 20000.", None),
    502: ("model_failed", "The model made no audio.", None),
    503: ("loading", "The model is being loaded.", None),
    504: ("deadline", "The speech was not finished within the deadline of this server.", None),
}
HEAD = (400, 403, 414, 431)
KEY = (*HEAD, 401)
_BODY = (*KEY, 411, 413, 415, 503)
_SPEECH = (*_BODY, 404, 409, 429, 502, 504)

_TIMINGS = {"queue": 0.0004, "text": 0.0009, "first_audio": 0.31, "total": 0.31}
_SPOKEN = {
    "request_id": "speech-1", "voice_id": "hazel", "engine": "f5", "engine_label": "F5-TTS demo",
    "sample_rate": 24000,
    "format": "audio/wav", "audio_base64": "UklGRg==", "waveform_len": 40320, "seed": 7, "duration": 1.68,
    "timings": _TIMINGS,
    "rtf": 0.1845, "unspoken": {"count": 0, "first": ""},
}  # fmt: skip
_HEALTH = {
    "status": "ready", "version": "0.1.0", "voices": ["hazel"], "default_voice": "hazel", "backend": "aoti",
    "model": "demo", "precision": "fp32", "cloning": False, "clip_needs_text": False, "compile": "none",
}  # fmt: skip
VOICE = {
    "id": "hazel", "engine": "f5", "engine_label": "F5-TTS demo", "language": "en",
    "reference_text": "What is said in it.",
    "configured": True, "has_override": False, "sample_url": "/api/voices/hazel/reference/audio?source=baseline",
}  # fmt: skip
_EVENTS = (
    'event: start\ndata: {"request_id":"speech-1","voice_id":"hazel","engine":"f5","engine_label":"F5-TTS demo",'
    '"sample_rate":24000,"format":"audio/pcm","seed":7,"channels":1,"encoding":"pcm_s16le"}\n\n'
    'event: audio\ndata: {"seq":0,"t0":0.0,"audio_base64":"AAAA"}\n\n'
    'event: word\ndata: {"start":0.121,"end":0.345,"offset":0,"length":4}\n\n'
    'event: end\ndata: {"request_id":"speech-1","waveform_len":40320,"seed":7,"duration":1.68,'
    '"timings":{"queue":0.0004,"text":0.0009,"first_audio":0.31,"total":0.31},"rtf":0.1845,'
    '"unspoken":{"count":0,"first":""}}\n\n'
)
_DELTAS = (
    'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
    'data: {"type":"speech.audio.done","usage":{"input_tokens":13,"output_tokens":157,"total_tokens":170}}\n\n'
)
_MODEL = {"id": "demo", "object": "model", "created": 1764079200, "owned_by": "ishowtts"}
_MODELS: dict[str, Any] = {"object": "list", "data": [_MODEL]}
_NAMED = {
    "object": "list",
    "data": [{"id": "hazel", "object": "audio.voice", "name": "hazel"}],
    "voices": [{"id": "hazel", "name": "hazel"}],
}
_AUDIO = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _audio.FORMATS.values()}
_HISTORY = {
    "every": 5,
    "columns": [
        "when", "rtf", "first_audio", "waiting", "in_flight", "completed", "failed", "refused", "cancelled",
        "resident_bytes",
    ],
    "samples": [[1764079200, 0.0312, 0.041, 0, 1, 3, 0, 0, 0, 220000000]],
}  # fmt: skip
_METRICS = "# HELP ishowtts_ready 1 when speech is served.\n# TYPE ishowtts_ready gauge\nishowtts_ready 1\n"


def _json(example: Any) -> dict[str, Any]:
    return {"application/json": {"example": example}}


def _events(example: str) -> dict[str, Any]:
    return {"text/event-stream": {"example": example}}  # a schema would be taken for one of the single event


def _text(kind: str, example: str) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string"}, "example": example}}


_PRONUNCIATION = {"id": "1", "word": "GIF", "said": "jiff", "language": None}
_READING = {
    "language": "en", "text": "Paid five dollars",
    "segments": [{"text": "Paid five dollars", "pause": 0.0, "speed": None, "voice": None}],
    "tokens": [
        {"written": "Paid", "start": 0, "end": 4, "kind": "word", "spoken": "Paid"},
        {"written": "$5", "start": 5, "end": 7, "kind": "money", "spoken": "five dollars"},
        {"written": ":)", "start": 8, "end": 10, "kind": "emoticon", "spoken": ""},
    ],
    "words": [
        {"text": "Paid", "start": 0, "end": 4, "kind": "word"}, {"text": "five", "start": 5, "end": 7, "kind": "money"},
        {"text": "dollars", "start": 5, "end": 7, "kind": "money"},
    ],
    "dropped": [{"text": ":)", "start": 8, "end": 10, "why": "emoticon"}],
    "symbols": ["pau", "p", "ey1", "d", "f", "ay1", "v", "d", "aa1", "l", "er0", "z", "."], "symbols_are": "phones",
}  # fmt: skip


_ANSWERS: dict[str, tuple[int, str, dict[str, Any], tuple[int, ...]]] = {  # status, what, content, errors
    "tts": (200, "The whole speech", _json(_SPOKEN) | _AUDIO, _SPEECH),
    "tts_stream": (200, "The speech while it is made", _events(_EVENTS) | _AUDIO, _SPEECH),
    "openai_speech": (200, "The speech while it is made", _events(_DELTAS) | _AUDIO, _SPEECH),
    "openai_models": (200, "The model that is loaded", _json(_MODELS), (*KEY, 503)),
    "openai_model": (200, "The model that is loaded", _json(_MODEL), (*KEY, 404, 503)),
    "openai_audio_models": (
        200,
        "The model that is loaded",
        _json(_MODELS | {"models": [{"id": "demo", "name": "demo"}]}),
        (*KEY, 503),
    ),
    "openai_voices": (200, "Ids to choose from", _json(_NAMED), (*KEY, 503)),
    "tts_ws": (101, "WebSocket", {}, (*KEY, 426, 503)),
    "danmaku_ingest_ws": (101, "WebSocket", {}, (*KEY, 426, 503)),
    "tts_cancel": (204, "Cancelled", {}, (*KEY, 404)),
    "voices": (200, "All voices", _json([VOICE]), (*KEY, 503)),
    "lexicon": (200, "All pronunciations", _json([_PRONUNCIATION]), (*KEY, 429, 503)),
    "lexicon_put": (200, "The pronunciation", _json(_PRONUNCIATION), (*_BODY, 429)),
    "lexicon_delete": (204, "Deleted", {}, (*KEY, 404, 429, 503)),
    "reading": (200, "How it is read", _json(_READING), (*_BODY, 404, 429)),
    "health": (200, "The state of the server", _json(_HEALTH), HEAD),
    "readyz": (200, "Speech is served", _json(_HEALTH), (*HEAD, 503)),
    "history": (200, "One sample every few seconds", _json(_HISTORY), (*KEY, 503)),
    "metrics": (200, "Prometheus text", _text("text/plain", _METRICS), KEY),
}


def answers(name: str) -> Responses:
    """All answers of an endpoint, by status, as FastAPI's argument `responses` takes them."""
    status, what, content, errors = _ANSWERS[name]
    made: Responses = {status: {"description": what} | ({"content": content} if content else {})}
    return made | {code: answer | {"model": Error} for code, answer in error_answers(errors).items()}


def error_answers(statuses: tuple[int, ...]) -> Responses:
    """The error answers with these statuses, as FastAPI's argument `responses` takes them."""
    made: Responses = {}
    for status in sorted(set(statuses)):
        code, message, field = _ERRORS[status]
        example = {"error": {"code": code, "message": message} | ({"field": field} if field else {})}
        made[status] = {"description": code, "content": _json(example)}
        if status in (429, 503):
            made[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return made


LINES = "application/x-ndjson"
"""Media type of a body of lines of JSON."""


def body_of(name: str, lines: bool = False) -> dict[str, Any]:
    """A JSON request body that the component `name` describes, as FastAPI's argument `openapi_extra` takes it.

    `lines`: the body may also be lines of JSON, which the component `name`Lines describes.
    """
    names = {"application/json": name} | ({LINES: f"{name}Lines"} if lines else {})
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{one}"}} for kind, one in names.items()}
    return {"requestBody": {"required": True, "content": content}}
