"""The C engine: see csrc/pyext/_engine.c."""

from typing import Any, Final, Literal, TypedDict, Unpack, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer, CapsuleType

from .fields import EngineOptions, OpenOptions

class _Defaults(TypedDict):
    nfe: int
    cfg_strength: float
    nfe_min: int
    nfe_max: int
    nfe_default: int
    cfg_strength_max: float
    sway_min: float
    sway_max: float
    target_rms: float
    max_text_chars: int
    reference_seconds_min: float
    reference_seconds_max: float
    clip_seconds_used: float
    reference_rms_min: float
    reference_rms_max: float
    reference_clipped_max: float
    upload_bytes_max: int
    stored_voices_max: int
    stored_bytes_max: int
    lexicon_max: int
    lexicon_word_chars: int
    lexicon_said_chars: int
    early_seconds: float
    host: str
    port: int
    body_bytes_max: int
    request_seconds: int
    drain_seconds: int
    idle_seconds: int
    upload_seconds: int
    upload_rate_min: int
    uploads_max: int
    form_bytes_max: int
    connections_max: int
    connections_per_client: int
    chat_twitch_url: str
    chat_twitch_id_url: str
    chat_twitch_api_url: str
    chat_twitch_events_url: str
    chat_bilibili_url: str
    chat_bilibili_account_url: str
    chat_bilibili_host: str
    chat_bilibili_open_url: str
    chat_youtube_url: str
    chat_connect_seconds: float
    chat_heartbeat_seconds: float
    chat_bilibili_heartbeat_seconds: float
    chat_bilibili_project_seconds: float
    chat_last_seconds: float
    chat_reply_seconds: float
    chat_backoff_seconds: float
    chat_backoff_max_seconds: float
    chat_seconds_max: float
    chat_poll_seconds_min: float
    chat_quota_units: int
    chat_line_bytes_max: int
    chat_frame_bytes_max: int
    chat_inflate_bytes_max: int
    chat_logins: int
    chat_login_seconds: float
    chat_words_max: int
    chat_graphemes_max: int
    chat_clip_seconds: float
    chat_clip_seconds_paid: float
    chat_queue_max: int
    chat_rate: float
    chat_cooldown_seconds: float
    chat_repeat_seconds: float
    chat_flood_messages: int
    chat_flood_seconds: float
    chat_ageing_seconds: float
    chat_expire_seconds: float
    chat_name_again_seconds: float
    chat_gap_seconds: float
    chat_prefetch: int
    chat_command_prefix: str
    chat_language: str
    chat_template: str
    chat_template_paid: str
    chat_template_gift: str
    chat_template_member: str
    chat_template_event: str
    chat_reader_bytes: int

class _ChatWords(TypedDict):
    priorities: tuple[str, ...]
    platforms: tuple[str, ...]
    roles: tuple[str, ...]
    reasons: tuple[str, ...]
    states: tuple[str, ...]

class VoiceInfo(TypedDict):
    id: str
    language: str
    text: str
    seconds: float

class ModelInfo(TypedDict):
    name: str
    backend: str
    precision: str
    content_hash: str
    sample_rate: int
    n_fft: int
    hop: int
    n_mels: int
    dim: int
    mod_width: int
    text_layout: Literal["padded", "average", "aligned"]
    predicts_durations: bool
    uses_prompt: bool
    clip_needs_text: bool
    max_frames: int
    nfe: int
    chunk_frames: int
    max_rows: int

class Stats(TypedDict):
    submitted: int
    completed: int
    failed: int
    cancelled: int
    refused: int
    steps: int
    rows: int
    retries: int
    swaps: int
    audio_seconds: float
    model_seconds: float
    busy_seconds: float
    waiting: int
    in_flight: int
    cache_hits: int
    cache_misses: int
    cache_evictions: int
    cache_bytes: int
    cache_entries: int

class Timings(TypedDict):
    queue: float
    text: float
    first_audio: float
    total: float
    model: float
    audio: float
    chunks: int
    retries: int
    seed: int
    sample_rate: int
    voice: str
    unspoken: tuple[int, str]

CompileState = Literal["none", "running", "swapped", "failed"]

DEFAULTS: Final[_Defaults]
CHAT_WORDS: Final[_ChatWords]
REQUEST_FIELDS: Final[tuple[dict[str, Any], ...]]
FEED_FIELDS: Final[tuple[dict[str, Any], ...]]
ENGINE_FIELDS: Final[tuple[dict[str, Any], ...]]
VERSION: Final[str]
BUILD: Final[str]

def check_reference(samples: Buffer | NDArray[np.float32], sample_rate: int, text: str, /) -> None: ...
def live_handles() -> int: ...
def log_to_stderr(level: str, format: str = "text", /) -> None: ...

@final
class Engine:
    def __new__(
        cls,
        model: str,
        precision: str | None = None,
        threads: int = 0,
        *,
        backend: str = "auto",
        **options: Unpack[EngineOptions],
    ) -> Engine: ...
    @property
    def pending(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    def submit(self, text: str, voice: str | None = None, **options: Unpack[OpenOptions]) -> Utterance: ...
    def set_voice(
        self,
        id: str,
        text: str,
        samples: Buffer | NDArray[np.float32] | None,
        sample_rate: int = 0,
        language: str | None = None,
    ) -> None: ...
    def configure(self, **options: Unpack[EngineOptions]) -> None: ...
    def remove_voice(self, id: str, /) -> None: ...
    def voices(self) -> list[VoiceInfo]: ...
    def info(self) -> ModelInfo: ...
    def stats(self) -> Stats: ...
    def handle(self) -> CapsuleType: ...
    def compile_start(self) -> None: ...
    def compile_state(self) -> tuple[CompileState, str]: ...
    def close(self) -> None: ...

@final
class Utterance:
    def next(self, timeout: float = -1.0) -> bytearray | None: ...
    def trajectory(self, part: int, /) -> tuple[int, int, int, bytearray, bytearray, bytearray]: ...
    def words(self) -> list[tuple[float, float, int, int]]: ...
    def feed(self, text: str, timeout: float = -1.0) -> None: ...
    def set_text(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def end(self) -> None: ...
    def cancel(self) -> None: ...
    def timings(self) -> Timings: ...
    def progress(self) -> float: ...
