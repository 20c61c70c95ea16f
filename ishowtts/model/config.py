"""What a model is: numbers only, read from and written to `model.json`.

The classes here import nothing heavy, so the command line and the server can look at a model before torch is loaded.
Every field is checked on reading: a wrong file is refused with the name of the field, not met later as a shape error.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from ishowtts.errors import ModelError

MAX_FRAMES = 8192
"""Longest sequence, in frames, that the position tables of a model cover (87 s)."""

GUIDANCE_UNIT = 10.0
"""Strength of guidance that a network sees as 1; csrc/model/native_text.c has the same number."""

VocoderHead = Literal["spectrum", "source_filter"]
TextLayout = Literal["padded", "average", "aligned"]
TextFrontend = Literal["phones", "pinyin"]
Solver = Literal["euler", "midpoint"]
"""Of the flow's equation; csrc/flow/path.c has the same names."""
T = TypeVar("T")


@dataclass(frozen=True)
class MelConfig:
    """Log-mel features; `mean` and `std` (natural log units) standardise them for the model."""

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
    """The flow transformer.

    `pe_attn_head`: heads that get rotary positions, None for all of them. `guidance_max`: the network also takes a
    strength of guidance up to this and gives the guided velocity in one pass (Meng et al. 2023, "On Distillation of
    Guided Diffusion Models", section 3.1); 0: it does not. `speakers`: the last so many symbols of the vocabulary name
    speakers; a speaker's vector is added to those of the tokens that follow it. Needs the aligned layout.
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
        if not 0 <= self.speakers < self.text_num_embeds:
            raise ModelError("DiTConfig.speakers must be from 0 to text_num_embeds - 1")
        if self.speakers and self.text_layout != "aligned":
            raise ModelError("DiTConfig.speakers needs the aligned text layout")
        if not 0 <= self.guidance_max <= GUIDANCE_UNIT:
            raise ModelError(f"DiTConfig.guidance_max must lie in 0..{GUIDANCE_UNIT:g}")

    @property
    def first_speaker(self) -> int:
        """The smallest token that names a speaker; tokens are vocabulary indices + 1."""
        return self.text_num_embeds - self.speakers + 1

    @property
    def modulation(self) -> int:
        """Width M of one row of modulation: six vectors a block, then scale and shift of the final norm."""
        return (6 * self.depth + 2) * self.dim


@dataclass(frozen=True)
class VocosConfig:
    """The vocoder (defaults: `charactr/vocos-mel-24khz`).

    `head`: how its features become a spectrum. "spectrum": magnitudes and phases. "source_filter": filters for a pulse
    train at the pitch that it finds, and noise (see source.py).
    """

    dim: int = 512
    intermediate_dim: int = 1536
    num_layers: int = 8
    head: VocoderHead = "spectrum"

    def __post_init__(self) -> None:
        _positive(self, "dim", "intermediate_dim", "num_layers")


@dataclass(frozen=True)
class DurationConfig:
    """The phone duration predictor of an aligned model; `kernel` is odd, in phones."""

    dim: int = 192
    layers: int = 4
    kernel: int = 5

    def __post_init__(self) -> None:
        _positive(self, "dim", "layers", "kernel")
        if self.kernel % 2 == 0:
            raise ModelError("DurationConfig.kernel must be odd")


@dataclass(frozen=True)
class ModelConfig:
    """A whole voice model.

    `text` names the front end that makes its tokens; `prompt` says whether a reference clip is part of the sequence
    (False: the one voice it was trained on needs none); `chunk_seconds` is the longest chunk it speaks well, 0 when it
    states none.
    """

    name: str
    dit: DiTConfig
    mel: MelConfig = field(default_factory=MelConfig)
    vocos: VocosConfig = field(default_factory=VocosConfig)
    duration: DurationConfig | None = None
    text: TextFrontend = "pinyin"
    prompt: bool = True
    chunk_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.chunk_seconds < 0:
            raise ModelError("ModelConfig.chunk_seconds must not be negative")
        if (self.duration is not None) != (self.dit.text_layout == "aligned"):
            raise ModelError("ModelConfig.duration belongs to the aligned text layout, and to no other")

    def to_json(self) -> str:
        """The text of `model.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "model.json") -> ModelConfig:
        """Parse and check; ModelError names `where` and the field."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{where} is not JSON: {error}") from error
        return _build(cls, data, where)

    def save(self, path: str | Path) -> None:
        """Write `model.json`."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> ModelConfig:
        """Read `model.json`."""
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

PRESETS: dict[str, ModelConfig] = {
    "F5TTS_v1_Base": ModelConfig("F5TTS_v1_Base", DiTConfig(**_BASE)),
    "F5TTS_Base": ModelConfig("F5TTS_Base", DiTConfig(**_BASE, **_V0)),
    "F5TTS_v1_Small": ModelConfig("F5TTS_v1_Small", DiTConfig(**_SMALL)),
    "F5TTS_Small": ModelConfig("F5TTS_Small", DiTConfig(**_SMALL, **_V0)),
}
"""Published architectures by name; `text_num_embeds` follows the vocabulary that is loaded."""
