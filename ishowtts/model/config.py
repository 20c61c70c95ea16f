"""The description of a model: its architecture and features as numbers, stored in `model.json`.

These classes need no torch, so the command line and the server can inspect a model without it. All fields are checked
when a file is read, and a ModelError names the wrong one.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from ishowtts._engine import DEFAULTS
from ishowtts.errors import ModelError

MAX_FRAMES = 8192
"""Longest sequence in frames, reference included: the length of the position tables (87 s)."""

GUIDANCE_UNIT = 10.0
"""The guidance strength that the guidance embedding gets as 1; csrc/model/native_text.c has the same number."""

VocoderHead = Literal["spectrum", "source_filter"]
TextLayout = Literal["padded", "average", "aligned"]
TextFrontend = Literal["phones", "pinyin"]
Backbone = Literal["dit", "unett"]
"""Kinds of flow transformers: of F5-TTS (dit.py), of E2 TTS (unett.py)."""
Solver = Literal["euler", "midpoint"]
"""Solvers of the flow's differential equation, named as in csrc/flow/path.c."""
T = TypeVar("T")


@dataclass(frozen=True)
class MelConfig:
    """Log-mel features.

    `sample_rate`: Hz. `n_fft`, `hop`: window and hop in samples. `n_mels`: number of bands. `mean`, `std`: of the
    natural logarithm over the training data; the transformer's features are (log-mel - mean) / std.
    """

    sample_rate: int = 24000
    n_fft: int = 1024
    hop: int = 256
    n_mels: int = 100
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "sample_rate", "n_fft", "hop", "n_mels", "std")


@dataclass(frozen=True)
class DiTConfig:
    """The flow transformer; `backbone`: its kind.

    `dim`, `depth`, `heads`, `dim_head`: width, number of blocks, attention heads and their width. `ff_mult`: width of
    the feed-forward part over `dim`. `text_dim`, `conv_layers`: width and number of ConvNeXt blocks of the text
    embedding. `text_num_embeds`: size of the vocabulary. `text_mask_padding`: padding is hidden from the text blocks.
    `text_layout`: how tokens are assigned to frames, see `FlowNetwork.spread`. `pe_attn_head`: heads with rotary
    embedding, None for all. `qk_norm`, `long_skip_connection`: as in the official package.

    `guidance_max`: strength of guidance up to which the network is guidance-conditioned and gives the guided velocity
    in one pass (Meng et al. 2023, "On Distillation of Guided Diffusion Models", section 3.1); 0: it is not.
    `speakers`: number of symbols at the end of the vocabulary that name speakers, aligned layout only; the vector of
    such a symbol is added to those of the tokens after it.
    """

    dim: int
    depth: int
    heads: int
    dim_head: int = 64
    ff_mult: int = 2
    text_dim: int = 512
    conv_layers: int = 4
    text_num_embeds: int = 2545
    text_mask_padding: bool = True
    text_layout: TextLayout = "padded"
    pe_attn_head: int | None = None
    qk_norm: Literal["rms_norm"] | None = None
    long_skip_connection: bool = False
    guidance_max: float = 0.0
    speakers: int = 0
    backbone: Backbone = "dit"

    def __post_init__(self) -> None:
        _positive(self, "dim", "depth", "heads", "dim_head", "ff_mult", "text_dim", "text_num_embeds")
        if self.conv_layers < 0:
            raise ModelError("DiTConfig.conv_layers must not be negative")
        if self.dim % 16 or self.dim_head % 2 or self.text_dim % 2:
            raise ModelError("DiTConfig: dim must divide by 16, dim_head and text_dim by 2")
        if self.text_layout != "padded" and not self.text_mask_padding:
            raise ModelError(f"DiTConfig.text_layout {self.text_layout!r} needs text_mask_padding")
        if self.pe_attn_head is not None and not 0 < self.pe_attn_head <= self.heads:
            raise ModelError("DiTConfig.pe_attn_head must lie in 1..heads")
        if self.backbone == "unett" and (self.depth % 2 or self.long_skip_connection):
            raise ModelError("DiTConfig.backbone unett needs an even depth and no long_skip_connection")
        if not 0 <= self.speakers < self.text_num_embeds:
            raise ModelError("DiTConfig.speakers must be from 0 to text_num_embeds - 1")
        if self.speakers and self.text_layout != "aligned":
            raise ModelError("DiTConfig.speakers needs the aligned text layout")
        if not 0 <= self.guidance_max <= GUIDANCE_UNIT:
            raise ModelError(f"DiTConfig.guidance_max must lie in 0..{GUIDANCE_UNIT:g}")

    @property
    def first_speaker(self) -> int:
        """The smallest token that names a speaker; a token is an index into the vocabulary + 1."""
        return self.text_num_embeds - self.speakers + 1

    @property
    def modulation(self) -> int:
        """Width M of a modulation row: six vectors [dim] for each block, then scale and shift of the final norm.

        Of the backbone unett: [dim], the embedding of the time.
        """
        if self.backbone == "unett":
            return self.dim
        return (6 * self.depth + 2) * self.dim


@dataclass(frozen=True)
class VocosConfig:
    """The vocoder; the defaults are those of `charactr/vocos-mel-24khz`.

    `dim`, `intermediate_dim`, `num_layers`: width, inner width and number of its ConvNeXt blocks. `head`: "spectrum"
    predicts magnitudes and phases, "source_filter" the filter of a pulse train and the rest (source_filter.py).
    `n_fft`, `hop`: window and hop of its spectrum in samples; 0: those of the mel.
    """

    dim: int = 512
    intermediate_dim: int = 1536
    num_layers: int = 8
    head: VocoderHead = "spectrum"
    n_fft: int = 0
    hop: int = 0

    def __post_init__(self) -> None:
        _positive(self, "dim", "intermediate_dim", "num_layers")
        if (self.n_fft > 0) != (self.hop > 0) or min(self.n_fft, self.hop) < 0:
            raise ModelError("VocosConfig.n_fft and hop must both be positive, or both 0")
        if self.n_fft % 4 or self.hop > self.n_fft // 2:
            raise ModelError("VocosConfig.n_fft must be a multiple of 4, and hop at most half of it")

    def frames(self, mel: MelConfig) -> tuple[int, int]:
        """Window and hop of the spectrum in samples."""
        return self.n_fft or mel.n_fft, self.hop or mel.hop

    def frame_count(self, mel: MelConfig, frames: int) -> int:
        """Frames of the spectrum for `frames` of the mel: ceil((frames-1) * mel.hop / hop) + 1."""
        hop = self.frames(mel)[1]
        return ((frames - 1) * mel.hop + hop - 1) // hop + 1


@dataclass(frozen=True)
class DurationConfig:
    """The duration predictor of an aligned model: width, number of convolutions, their length in phones, odd."""

    dim: int = 192
    layers: int = 4
    kernel: int = 5

    def __post_init__(self) -> None:
        _positive(self, "dim", "layers", "kernel")
        if self.kernel % 2 == 0:
            raise ModelError("DurationConfig.kernel must be odd")


@dataclass(frozen=True)
class ModelConfig:
    """A model: transformer, features, vocoder and duration predictor.

    `text`: the front end that makes its tokens. `prompt`: the model speaks in the voice of a clip, which is part of the
    sequence; False: in the voices of its training alone. `chunk_seconds`: the longest chunk that it speaks well, 0: not
    stated. `nfe`: steps of the solver that suffice for it, 0: not stated.
    """

    name: str
    dit: DiTConfig
    mel: MelConfig = field(default_factory=MelConfig)
    vocos: VocosConfig = field(default_factory=VocosConfig)
    duration: DurationConfig | None = None
    text: TextFrontend = "pinyin"
    prompt: bool = True
    chunk_seconds: float = 0.0
    nfe: int = 0

    def __post_init__(self) -> None:
        if self.chunk_seconds < 0:
            raise ModelError("ModelConfig.chunk_seconds must not be negative")
        if not 0 <= self.nfe <= DEFAULTS["nfe_max"]:
            raise ModelError(f"ModelConfig.nfe must be 0 to {DEFAULTS['nfe_max']}")
        if (self.duration is not None) != (self.dit.text_layout == "aligned"):
            raise ModelError("ModelConfig.duration belongs to the aligned text layout, and to no other")

    @property
    def clip_needs_text(self) -> bool:
        """Whether a clip comes with its words, which are then part of the sequence."""
        return self.prompt and self.dit.text_layout != "aligned"

    def to_json(self) -> str:
        """The text of `model.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "model.json") -> ModelConfig:
        """The configuration in the text of a `model.json`. ModelError names `where` and the field at fault."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{where} is not JSON: {error}") from error
        return _build(cls, data, where)

    def save(self, path: str | Path) -> None:
        """Write the configuration to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> ModelConfig:
        """Read the configuration from a file; ModelError as `from_json`, or the file cannot be read."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        return cls.from_json(text, str(path))


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ModelError(f"{type(config).__name__}.{name} must be positive")


def _build(cls: type[T], data: Any, where: str) -> T:
    if not isinstance(data, dict):
        raise ModelError(f"{where}: expected an object")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ModelError(f"{where}: unknown field {unknown[0]}")
    values = {name: _value(hints[name], value, f"{where}: {name}") for name, value in data.items()}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required and item.name not in values:
            raise ModelError(f"{where}: field {item.name} is missing")
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        arms = typing.get_args(hint)
        if value is None and type(None) in arms:
            return None
        return _value(next(arm for arm in arms if arm is not type(None)), value, where)
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise ModelError(f"{where} must be one of {', '.join(map(str, typing.get_args(hint)))}")
        return value
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ModelError(f"{where} must be of type {hint.__name__}")
    return value


_BASE: dict[str, Any] = {"dim": 1024, "depth": 22, "heads": 16}
_SMALL: dict[str, Any] = {"dim": 768, "depth": 18, "heads": 12}
_V0: dict[str, Any] = {"text_mask_padding": False, "pe_attn_head": 1}
_E2: dict[str, Any] = {**_V0, "backbone": "unett", "ff_mult": 4, "text_dim": 100, "conv_layers": 0}

PRESETS: dict[str, ModelConfig] = {
    "F5TTS_v1_Base": ModelConfig("F5TTS_v1_Base", DiTConfig(**_BASE)),
    "F5TTS_Base": ModelConfig("F5TTS_Base", DiTConfig(**_BASE, **_V0)),
    "F5TTS_v1_Small": ModelConfig("F5TTS_v1_Small", DiTConfig(**_SMALL)),
    "F5TTS_Small": ModelConfig("F5TTS_Small", DiTConfig(**_SMALL, **_V0)),
    "E2TTS_Base": ModelConfig("E2TTS_Base", DiTConfig(**{**_BASE, "depth": 24}, **_E2)),
    "E2TTS_Small": ModelConfig("E2TTS_Small", DiTConfig(**{**_SMALL, "depth": 20}, **_E2)),
}
"""Published architectures by name; `source.resolve` sets `text_num_embeds` to the size of the vocabulary."""
