"""Settings of a sweep, and their notation on the command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

from ishowtts.errors import ConfigError
from ishowtts.fields import SAMPLING, Field, options, read, read_pair

OPTIONS = options(SAMPLING)
"""The axes of a sweep besides precision and backend, each with its field, or the two fields of a pair."""
SWITCH = ("off", "on")


def _written(parts: tuple[Field, ...], chosen: tuple[Any, ...]) -> Any:
    """The notation of a value: booleans are "off" or "on", pairs are "FROM:TO"."""
    if len(parts) > 1:
        return ":".join(f"{value:g}" for value in chosen)
    return SWITCH[chosen[0]] if parts[0].kind == "boolean" else chosen[0]


class _Setting:
    """A setting: `precision`, `backend`, and a value for each of `OPTIONS` in the notation of the command line."""

    precision: str
    backend: str

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The value of one of `OPTIONS`."""

    @property
    def name(self) -> str:
        """A short name that is unique: precision, steps, and the options that are not at their defaults."""
        own = Setting()
        parts = [self.precision, f"nfe {self.nfe}"]
        if self.backend != own.backend:
            parts.append(self.backend)
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
        backend: str = "auto"

        def __init__(self, precision: str = "fp32", backend: str = "auto", **options: Any) -> None: ...
else:
    Setting = make_dataclass(
        "Setting",
        [
            ("precision", str, "fp32"),
            ("backend", str, "auto"),
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
    from ishowtts.model.native import PRECISIONS

    if text not in PRECISIONS:
        raise ConfigError(f"precision must be among {', '.join(PRECISIONS)}, not {text!r}", field="precision")
    return (text,)


def _backend(text: str) -> Iterable[str]:
    from ishowtts.config.sections import BACKENDS

    if text not in BACKENDS:
        raise ConfigError(f"backend must be among {', '.join(BACKENDS)}, not {text!r}", field="backend")
    return (text,)


def _whole(field: Field, text: str) -> Iterable[int]:
    name = field.option
    low, colon, high = text.partition(":")
    high, _, step = high.partition(":")
    try:
        first, last, by = int(low), int(high if colon else low), int(step or 1)
    except ValueError:
        raise ConfigError(
            f"{name} must be a number, or first:last or first:last:step, not {text!r}", field=name
        ) from None
    least, most = int(field.least or 0), int(field.most or 0)
    if not (least <= first <= last <= most and by > 0):
        raise ConfigError(f"{name} must be from {least} to {most}, not {text}", field=name)
    return range(first, last + 1, by)


def _values(name: str, text: str) -> Iterable[Any]:
    if name == "precision":
        return _precision(text)
    if name == "backend":
        return _backend(text)
    parts = OPTIONS[name]
    if len(parts) > 1:
        return (_written(parts, read_pair(parts, text)),)
    return _whole(parts[0], text) if parts[0].kind == "whole" else (_written(parts, (read(parts[0], text),)),)


NAMES = ("precision", "backend", *OPTIONS)
"""Names of the axes: precision, backend and `OPTIONS`."""


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
