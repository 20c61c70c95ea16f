"""Settings of a sweep, and how a command line writes many of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from ishowtts._engine import DEFAULTS
from ishowtts.errors import ConfigError
from ishowtts.model.config import Solver
from ishowtts.options import read_interval

GRIDS = ("epss", "uniform")
SOLVERS: tuple[str, ...] = get_args(Solver)
SWITCH = ("off", "on")


@dataclass(frozen=True, order=True)
class Setting:
    """One way to speak. `engine`: what `Engine.speak` gets; precision is chosen when a model is loaded."""

    precision: str = "fp32"
    nfe: int = DEFAULTS["nfe"]
    solver: str = DEFAULTS["solver"]
    grid: str = "epss"
    sway: float = DEFAULTS["sway"]
    cfg: float = DEFAULTS["cfg_strength"]
    guidance_interval: str = f"{DEFAULTS['guidance_from']:g}:{DEFAULTS['guidance_to']:g}"
    short_guidance: str = SWITCH[DEFAULTS["short_guidance"]]
    embedded_guidance: str = SWITCH[DEFAULTS["embedded_guidance"]]

    @property
    def name(self) -> str:
        """Short, and different for every setting."""
        parts = [self.precision, f"nfe {self.nfe}"]
        own = Setting()
        for name in ("solver", "grid", "sway", "cfg"):
            if (value := getattr(self, name)) != getattr(own, name):
                parts.append(str(value) if isinstance(value, str) else f"{name} {value:g}")
        if self.guidance_interval != own.guidance_interval:
            parts.append(f"guidance {self.guidance_interval}")
        if self.short_guidance != own.short_guidance:
            parts.append("short guidance")
        if self.embedded_guidance != own.embedded_guidance:
            parts.append("both branches")
        return ", ".join(parts)

    @property
    def engine(self) -> dict[str, Any]:
        """Options of `Engine.speak`."""
        options = {"nfe": self.nfe, "solver": self.solver, "sway": self.sway, "uniform_grid": self.grid == "uniform"}
        options |= {"cfg": self.cfg, "guidance_interval": read_interval(self.guidance_interval)}
        switches = {"short_guidance": self.short_guidance, "embedded_guidance": self.embedded_guidance}
        return options | {name: value == "on" for name, value in switches.items()}


BASELINE = Setting(nfe=32)
"""What settings are compared with unless another one is named."""


def _precisions() -> tuple[str, ...]:
    from ishowtts.model.native import PRECISIONS

    return tuple(PRECISIONS)


def _whole(name: str, text: str) -> Iterable[int]:
    low, colon, high = text.partition(":")
    high, _, step = high.partition(":")
    try:
        first, last, by = int(low), int(high if colon else low), int(step or 1)
    except ValueError:
        raise ConfigError(f"{name} must be a number, or first:last or first:last:step, not {text!r}", field=name) from None
    least, most = DEFAULTS["nfe_min"], DEFAULTS["nfe_max"]
    if not (least <= first <= last <= most and by > 0):
        raise ConfigError(f"{name} must be from {least} to {most}, not {text}", field=name)
    return range(first, last + 1, by)


def _real(least: float, most: float) -> Callable[[str, str], Iterable[float]]:
    def read(name: str, text: str) -> Iterable[float]:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}", field=name)
        return (value,)

    return read


def _interval(name: str, text: str) -> Iterable[str]:
    first, last = read_interval(text, name)
    return (f"{first:g}:{last:g}",)


def _one_of(choices: Callable[[], tuple[str, ...]]) -> Callable[[str, str], Iterable[str]]:
    def read(name: str, text: str) -> Iterable[str]:
        if text not in choices():
            raise ConfigError(f"{name} must be among {', '.join(choices())}, not {text!r}", field=name)
        return (text,)

    return read


_READERS: dict[str, Callable[[str, str], Iterable[Any]]] = {
    "precision": _one_of(_precisions),
    "nfe": _whole,
    "solver": _one_of(lambda: SOLVERS),
    "grid": _one_of(lambda: GRIDS),
    "sway": _real(DEFAULTS["sway_min"], DEFAULTS["sway_max"]),
    "cfg": _real(0, DEFAULTS["cfg_strength_max"]),
    "guidance_interval": _interval,
    "short_guidance": _one_of(lambda: SWITCH),
    "embedded_guidance": _one_of(lambda: SWITCH),
}


def values(name: str, text: str) -> list[Any]:
    """The values of one field from text: comma-separated; for nfe also `first:last` and `first:last:step`, ends included."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigError(f"{name} must have a value", field=name)
    return list(dict.fromkeys(value for part in parts for value in _READERS[name](name, part)))


def setting(text: str) -> Setting:
    """One setting from `field=value,field=value`; what is left out has its default."""
    chosen = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in _READERS:
            raise ConfigError(f"a setting has the fields {', '.join(_READERS)}, not {name!r}", field=name)
        chosen[name] = values(name, value)[0]
    return Setting(**chosen)


def settings(skip: Iterable[str] = (), **lists: str) -> list[Setting]:
    """All combinations of the lists, without those that match one of `skip` (`field=value,field=value`)."""
    names = [field.name for field in fields(Setting)]
    unknown = [name for name in lists if name not in names]
    if unknown:
        raise ConfigError(f"a setting has the fields {', '.join(names)}, not {unknown[0]!r}", field=unknown[0])
    axes = {name: values(name, lists[name]) for name in names if name in lists}
    left_out = []
    for pattern in skip:
        chosen = setting(pattern)
        named = [part.partition("=")[0].strip() for part in pattern.split(",")]
        left_out.append({name: getattr(chosen, name) for name in named})
    made = [Setting(**dict(zip(axes, combination, strict=True))) for combination in itertools.product(*axes.values())]
    return [one for one in made if not any(all(asdict(one)[k] == v for k, v in out.items()) for out in left_out)]
