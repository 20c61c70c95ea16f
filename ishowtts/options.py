"""What the parsers of all commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

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
