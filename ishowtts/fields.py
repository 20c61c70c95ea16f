"""The fields of a request for speech and the sizes of an engine, as tables.

The tables are written in C (csrc/engine/field.c). Configuration, command line, sweeps and both servers take names,
ranges, defaults and descriptions from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from . import _engine
from .errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Kind = Literal["number", "whole", "boolean", "choice", "seed"]
SEED_MAX = (1 << 64) - 1


@dataclass(frozen=True)
class Field:
    """One field.

    `name`: in requests over HTTP and in errors. `option`: keyword of `Engine.speak`, option of the command line, axis
    of a sweep; where two fields have the same option, its value is a pair of both. `setting`: key in the section of the
    configuration, None: only a request sets it. `negation`: the command line's option that switches a boolean off,
    None: `option` switches it on. `restart`: a running server cannot change it. `least`, `most`: the range of a number,
    both included. `choices`: the values of a choice. `help`: a description for people.
    """

    name: str
    option: str
    setting: str | None
    negation: str | None
    kind: Kind
    restart: bool
    least: float | None
    most: float | None
    default: Any
    choices: tuple[str, ...]
    help: str


class SpeechOptions(TypedDict, total=False):
    """Keywords of `Engine.speak` and `Engine.stream`: the options of `REQUEST`, and how the speech is delivered.

    `early`: a long text begins with a short chunk, so that its first audio comes soon (`stream` sets it). `priority`:
    utterances with a higher one are computed first. `deadline`: seconds from now, 0: none. `notify`: file descriptor of
    an eventfd that is written to whenever `SpeechStream.poll` has a result, for event loops; the stream duplicates it;
    below 0: none.

    For research (`ishowtts.trajectory`): `times` [steps + 1]: of the steps, increasing from 0 to 1, instead of `nfe`,
    `grid` and `sway`. `noise` [frames, mels]: x at t = 0, the reference's frames first, instead of noise from the seed;
    each part of the text takes its frames behind those of the part before. `trajectory`: keep the states of all steps.
    """

    nfe: int
    solver: str
    grid: str
    cfg: float
    guidance_interval: tuple[float, float]
    short_guidance: bool
    prompt_cache: bool
    embedded_guidance: bool
    sway: float
    speed: float
    target_rms: float
    cross_fade: float
    fix_duration: float
    remove_silence: bool
    markup: bool
    seed: int | None
    early: bool
    priority: int
    deadline: float
    notify: int
    times: ArrayLike | None
    noise: ArrayLike | None
    trajectory: bool


class SessionOptions(SpeechOptions, total=False):
    """Keywords of `Engine.session`: those of `Engine.stream`, without `fix_duration`, and `idle_ms`."""

    idle_ms: int


class OpenOptions(SessionOptions, total=False):
    """What the core takes besides: whether the text goes on."""

    open: bool


class EngineOptions(TypedDict, total=False):
    """Sizes of an engine: the options of `ENGINE`."""

    queue_capacity: int
    cache_bytes: int
    max_rows: int
    chunk_seconds: float
    retries: int


REQUEST = tuple(Field(**row) for row in _engine.REQUEST_FIELDS)
"""Fields of a request for speech."""
SAMPLING = tuple(field for field in REQUEST if field.setting)
"""Fields of a request whose defaults the section `[sampling]` of the configuration sets."""
ENGINE = tuple(Field(**row) for row in _engine.ENGINE_FIELDS)
"""Sizes of an engine: the section `[engine]` of the configuration."""


def options(fields: Iterable[Field]) -> dict[str, tuple[Field, ...]]:
    """The fields of each option, in the order of the table: one field, or two for a pair."""
    found: dict[str, tuple[Field, ...]] = {}
    for field in fields:
        found[field.option] = (*found.get(field.option, ()), field)
    return found


def speech_options(value: Callable[[Field], Any], fields: Iterable[Field] = REQUEST) -> SpeechOptions:
    """Keywords of `Engine.speak`, with `value(field)` for each field; pairs become tuples."""
    chosen: dict[str, Any] = {}
    for option, parts in options(fields).items():
        values = tuple(value(part) for part in parts)
        chosen[option] = values if len(parts) > 1 else values[0]
    return cast(SpeechOptions, chosen)


def read(field: Field, text: str, name: str = "") -> Any:
    """The value of a field from text, as the command line and sweeps write it; booleans are "on" and "off".

    ConfigError: the text is no value of the field; its message begins with `name` ("": the option).
    """
    name = name or field.option
    if field.kind == "boolean":
        return _one_of(("off", "on"), text, name, field) == "on"
    if field.kind == "choice":
        return _one_of(field.choices, text, name, field)
    if field.kind in ("whole", "seed"):
        least, most = (0, SEED_MAX) if field.kind == "seed" else (int(field.least or 0), int(field.most or 0))
        if not text.removeprefix("-").isdecimal() or not least <= int(text) <= most:
            raise ConfigError(f"{name} must be a whole number from {least} to {most}, not {text!r}", field=name)
        return int(text)
    assert field.least is not None and field.most is not None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not field.least <= value <= field.most:
        raise ConfigError(f"{name} must be a number from {field.least:g} to {field.most:g}, not {text!r}", field=name)
    return value


def _one_of(words: tuple[str, ...], text: str, name: str, field: Field) -> str:
    if text not in words:
        raise ConfigError(f"{name} must be among {', '.join(words)}, not {text!r}", field=name)
    return text


def read_pair(parts: tuple[Field, ...], text: str, name: str = "") -> tuple[float, float]:
    """The two values of a pair written FROM:TO, where FROM may not be later than TO; equal ones are an empty interval.

    ConfigError: as `read`.
    """
    field = parts[0].option
    name = name or field
    try:
        first, last = map(float, text.split(":"))
    except ValueError:
        first = last = float("nan")
    least, most = cast(float, parts[0].least), cast(float, parts[1].most)
    if not (least <= first <= most and least <= last <= most):
        raise ConfigError(
            f"{name} must be FROM:TO, times from {least:g} to {most:g}, such as 0:0.6, not {text!r}", field=field
        )
    if first > last:
        raise ConfigError(f"{name} must not end before it begins: FROM is later than TO in {text!r}", field=field)
    return first, last
