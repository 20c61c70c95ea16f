"""What the parsers of all commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from .errors import ConfigError

if TYPE_CHECKING:
    from .config import Config


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line and status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def overrides(asked: Mapping[str, object]) -> list[str]:
    """`section.key=value` of what was asked for; None was not."""
    return [f"{name}={value}" for name, value in asked.items() if value is not None]


def read_interval(text: str, name: str = "guidance_interval") -> tuple[float, float]:
    """The times of FROM:TO. Both may be the same: there is no guidance then."""
    try:
        first, last = map(float, text.split(":"))
    except ValueError:
        first = last = float("nan")
    if not (0 <= first <= 1 and 0 <= last <= 1):
        raise ConfigError(f"{name} must be FROM:TO, times from 0 to 1, such as 0:0.6, not {text!r}", field="guidance_interval")
    if first > last:
        raise ConfigError(f"{name} must not end before it begins: FROM is later than TO in {text!r}", field="guidance_interval")
    return first, last


def add_speaker(parser: Parser) -> None:
    """Options for the model and the voice that speaks."""
    parser.add_argument("--config", metavar="FILE", help="settings in TOML, for the model and its voices")
    parser.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    parser.add_argument("--voice", help="id of a voice (default: the default one)")
    parser.add_argument("--threads", help="of the model; 0 takes all cores")


def speaker(options: argparse.Namespace) -> Config:
    """The configuration that the options of `add_speaker` ask for."""
    from . import config

    asked = {"model.name": options.model, "model.threads": options.threads, "default_voice": options.voice}
    return config.load(options.config, overrides(asked))
