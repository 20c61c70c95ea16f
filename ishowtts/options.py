"""Options and error messages that the parsers of several commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from .fields import Field, read, read_pair
from .fields import options as by_option

if TYPE_CHECKING:
    from .config import Config


class Parser(argparse.ArgumentParser):
    """An argument parser whose error is one line on standard error and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Exit with `message` and a reference to --help."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def overrides(asked: Mapping[str, object]) -> list[str]:
    """Overrides "section.key=value" for `config.load` from values by key; those that are None are left out."""
    return [f"{name}={value}" for name, value in asked.items() if value is not None]


def add_fields(parser: argparse.ArgumentParser, fields: Iterable[Field]) -> None:
    """Add an option for each field of a table, with its name, description, range and default.

    Parsed values are text for `field_overrides` and `request_value`, None where the option is not given.
    """
    for option, parts in by_option(fields).items():
        field = parts[0]
        name, words = "--" + option.replace("_", "-"), "; ".join(part.help for part in parts)
        if field.kind == "boolean" and field.negation:
            name = "--" + field.negation.replace("_", "-")
            effect = words.partition(":")[0]  # what follows is true of the field, not of its absence
            parser.add_argument(name, dest=option, action="store_const", const="false", help=f"do not {effect}")
        elif field.kind == "boolean":
            parser.add_argument(name, action="store_const", const="true", help=words)
        elif len(parts) > 1:
            parser.add_argument(name, metavar="FROM:TO", help=f"times from {field.least:g} to {field.most:g}: {words}")
        else:
            parser.add_argument(name, help=words + _range(field))


def _range(field: Field) -> str:
    """The values and the default of a field, in parentheses; "" for one that has neither."""
    values = ", ".join(field.choices)
    if field.least is not None and field.most is not None:
        values = f"{field.least:g} to {field.most:g}"
    number = isinstance(field.default, float)
    default = "" if field.default is None else f"default {field.default:g}" if number else f"default {field.default}"
    said = "; ".join(filter(None, (values, default)))
    return f" ({said})" if said else ""


def field_overrides(arguments: argparse.Namespace, section: str, fields: Iterable[Field]) -> list[str]:
    """`overrides` from parsed options of `add_fields`, for fields that are settings of `section`.

    ConfigError: as `fields.read_pair`.
    """
    asked: dict[str, object] = {}
    for option, parts in by_option(fields).items():
        given = getattr(arguments, option, None)
        if given is None or not parts[0].setting:
            continue
        values = read_pair(parts, given, "--" + option.replace("_", "-")) if len(parts) > 1 else (given,)
        asked |= {f"{section}.{part.setting}": value for part, value in zip(parts, values, strict=True)}
    return overrides(asked)


def request_value(arguments: argparse.Namespace, field: Field) -> Any:
    """The value of a parsed option of `add_fields` that is no setting, the field's default where it is not given.

    ConfigError: as `fields.read`.
    """
    given = getattr(arguments, field.option)
    if given is None:
        return field.default
    return given == "true" if field.kind == "boolean" else read(field, given, "--" + field.option.replace("_", "-"))


def add_speaker(parser: Parser, lists: bool = False) -> None:
    """Add --config, --model, --voice and --threads, which `speaker` reads; `lists`: the last two may be lists."""
    more = "; several, with commas between them, are an axis" if lists else ""
    parser.add_argument("--config", metavar="FILE", help="settings in TOML, for the model and its voices")
    parser.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    parser.add_argument("--voice", help=f"id of a voice (default: the default one){more}")
    parser.add_argument("--threads", help=f"of the model; 0 takes all cores{more}")


def speaker(options: argparse.Namespace) -> Config:
    """The configuration with the parsed options of `add_speaker`; ConfigError as `config.load`."""
    from . import config

    asked = {"model.name": options.model, "model.threads": options.threads, "default_voice": options.voice}
    return config.load(options.config, overrides(asked))
