"""Settings of a sweep, and their notation on the command line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

from ishowtts.errors import ConfigError
from ishowtts.fields import SAMPLING, Field, options, read, read_pair

OPTIONS = options(SAMPLING)
"""The axes of a sweep besides those of `PLACE`, each with its field, or the two fields of a pair."""
SWITCH = ("off", "on")
AUTO = "auto"
"""The value of the axes backend, device, threads and voice that leaves them to the configuration; in a name also that
of nfe 0, which leaves the steps to the model."""


def _written(parts: tuple[Field, ...], chosen: tuple[Any, ...]) -> Any:
    """The notation of a value: booleans are "off" or "on", pairs are "FROM:TO"."""
    if len(parts) > 1:
        return ":".join(f"{value:g}" for value in chosen)
    return SWITCH[chosen[0]] if parts[0].kind == "boolean" else chosen[0]


class _Setting:
    """A setting: a value for each of `NAMES`, in the notation of the command line."""

    precision: str
    backend: str
    device: str
    threads: int | str
    voice: str

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The value of one of `OPTIONS`."""

    @property
    def name(self) -> str:
        """A short name that is unique: precision, steps, and the options that are not at their defaults."""
        own = Setting()
        parts = [self.precision, f"nfe {self.nfe or AUTO}"]
        if self.backend != own.backend:
            parts.append(self.backend)
        if self.device != own.device:
            parts.append(self.device)
        if self.threads != own.threads:
            parts.append(f"{self.threads} threads")
        if self.voice != own.voice:
            parts.append(f"voice {self.voice}")
        for option, fields in OPTIONS.items():
            value = getattr(self, option)
            if option == "nfe" or value == getattr(own, option):
                continue
            label = option.removesuffix("_interval").replace("_", " ")
            if fields[0].kind == "boolean":
                parts.append((label if value == "on" else fields[0].negation or f"no {label}").replace("_", " "))
            elif fields[0].kind == "choice":
                parts.append(value)
            else:
                parts.append(f"{label} {value}" if isinstance(value, str) else f"{label} {value:g}")
        return ", ".join(parts)

    @property
    def engine(self) -> dict[str, Any]:
        """The keywords of `Engine.speak`."""
        chosen: dict[str, Any] = {}
        for option, fields in OPTIONS.items():
            value = getattr(self, option)
            if len(fields) > 1:
                value = read_pair(fields, value)
            elif fields[0].kind == "boolean":
                value = value == "on"
            chosen[option] = value
        return chosen


if TYPE_CHECKING:

    @dataclass(frozen=True, order=True)
    class Setting(_Setting):
        """`_Setting` for type checkers: a frozen, ordered dataclass whose options are keywords."""

        precision: str = "fp32"
        backend: str = AUTO
        device: str = AUTO
        threads: int | str = AUTO
        voice: str = AUTO

        def __init__(
            self, precision: str = "fp32", backend: str = AUTO, device: str = AUTO, threads: int | str = AUTO,
            voice: str = AUTO, **options: Any,
        ) -> None: ...  # fmt: skip
else:
    Setting = make_dataclass(
        "Setting",
        [
            ("precision", str, "fp32"),
            ("backend", str, AUTO),
            ("device", str, AUTO),
            ("threads", Any, AUTO),
            ("voice", str, AUTO),
            *(
                (option, Any, _written(parts, tuple(part.default for part in parts)))
                for option, parts in OPTIONS.items()
            ),
        ],
        bases=(_Setting,),
        namespace={"__module__": __name__},
        frozen=True,
        order=True,
    )

BASELINE = Setting(nfe=32)
"""The default baseline of a sweep: fp32 and 32 steps."""


def _precision(text: str) -> Iterable[str]:
    from ishowtts.model.native import PRECISIONS, is_known

    if not is_known(text):
        known = ", ".join((*PRECISIONS, "recipe:FILE"))
        raise ConfigError(f"precision must be among {known}, not {text!r}", field="precision")
    return (text,)


def _backend(text: str) -> Iterable[str]:
    from ishowtts.config.sections import BACKENDS

    if text not in BACKENDS:
        raise ConfigError(f"backend must be among {', '.join(BACKENDS)}, not {text!r}", field="backend")
    return (text,)


def _device(text: str) -> Iterable[str]:
    from ishowtts.config.sections import DEVICE

    if not re.fullmatch(DEVICE, text):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, not {text!r}", field="device")
    return (text,)


def _voice(text: str) -> Iterable[str]:
    from ishowtts.voices import VOICE_ID

    if not re.fullmatch(VOICE_ID, text):
        raise ConfigError(f"voice must be the id of a voice, not {text!r}", field="voice")
    return (text,)


def _threads(text: str) -> Iterable[int | str]:
    from ishowtts.config.sections import THREADS_MAX

    return (text,) if text == AUTO else _whole("threads", 0, THREADS_MAX, text)


def _whole(name: str, least: int, most: int, text: str) -> Iterable[int]:
    low, colon, high = text.partition(":")
    high, _, step = high.partition(":")
    try:
        first, last, by = int(low), int(high if colon else low), int(step or 1)
    except ValueError:
        raise ConfigError(
            f"{name} must be a number, or first:last or first:last:step, not {text!r}", field=name
        ) from None
    if not (least <= first <= last <= most and by > 0):
        raise ConfigError(f"{name} must be from {least} to {most}, not {text}", field=name)
    return range(first, last + 1, by)


PLACE: dict[str, Callable[[str], Iterable[Any]]] = {
    "precision": _precision,
    "backend": _backend,
    "device": _device,
    "threads": _threads,
    "voice": _voice,
}
"""The axes that are no options of a request, each with the function that reads a value."""
NAMES = (*PLACE, *OPTIONS)
"""Names of the axes: `PLACE` and `OPTIONS`."""


def _values(name: str, text: str) -> Iterable[Any]:
    if name in PLACE:
        return PLACE[name](text)
    parts = OPTIONS[name]
    if len(parts) > 1:
        return (_written(parts, read_pair(parts, text)),)
    if parts[0].kind == "whole":
        return _whole(name, int(parts[0].least or 0), int(parts[0].most or 0), text)
    return (_written(parts, (read(parts[0], text),)),)


def values(name: str, text: str) -> list[Any]:
    """The values of an axis from a comma-separated list, without repetition.

    Whole numbers may also be ranges "first:last" or "first:last:step", last included. ConfigError: a value is wrong.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigError(f"{name} must have a value", field=name)
    return list(dict.fromkeys(value for part in parts for value in _values(name, part)))


def setting(text: str) -> Setting:
    """A setting from "field=value,field=value"; others have their defaults. ConfigError: a field or value is wrong."""
    chosen = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in NAMES:
            raise ConfigError(f"a setting has the fields {', '.join(NAMES)}, not {name!r}", field=name)
        chosen[name] = values(name, value)[0]
    return Setting(**chosen)


def settings(skip: Iterable[str] = (), **lists: str) -> list[Setting]:
    """All combinations of the lists of values by axis, without those that match one of `skip`.

    A pattern in `skip` is "field=value,field=value". ConfigError: an axis, field or value is wrong.
    """
    unknown = [name for name in lists if name not in NAMES]
    if unknown:
        raise ConfigError(f"a setting has the fields {', '.join(NAMES)}, not {unknown[0]!r}", field=unknown[0])
    axes = {name: values(name, lists[name]) for name in NAMES if name in lists}
    left_out = []
    for pattern in skip:
        chosen = setting(pattern)
        named = [part.partition("=")[0].strip() for part in pattern.split(",")]
        left_out.append({name: getattr(chosen, name) for name in named})
    made = [Setting(**dict(zip(axes, combination, strict=True))) for combination in itertools.product(*axes.values())]
    return [one for one in made if not any(all(asdict(one)[k] == v for k, v in out.items()) for out in left_out)]
