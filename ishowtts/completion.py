"""Shell completions and manual pages, generated from the argument parsers of the command line."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .errors import ConfigError
from .extras import MissingPackage

_PLACES = ("FILE", "DIR", "FOLDER", "PATH")
"""Placeholders of values that are files or folders."""


@dataclass(frozen=True)
class Option:
    """An option or, without `flags`, a positional argument.

    `value`: the placeholder of its value, "" where it takes none. `choices`: its possible values, () for any. `file`:
    the value is a file or a folder. `many`: it takes several values.
    """

    flags: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...]
    file: bool
    many: bool


@dataclass(frozen=True)
class Command:
    """A command: the words that call it, ("ishowtts", "daily", "quick"), its help, options and subcommands."""

    path: tuple[str, ...]
    help: str
    usage: str
    options: tuple[Option, ...]
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """The last word of `path`."""
        return self.path[-1]

    @property
    def words(self) -> list[str]:
        """Words that may follow: subcommands, options, choices of positional arguments."""
        found = [command.name for command in self.commands]
        for option in self.options:
            found += option.flags or option.choices
        return found


def commands(parser: argparse.ArgumentParser, modules: Mapping[str, str]) -> Command:
    """The whole command line: `cli.parser()`, with the options of the commands that have modules of their own.

    `modules`: the module of such a command by the command's name; it has a function `parser(prog)`. A command whose
    module needs a package that is not installed has no options.
    """
    return _command(parser, ("ishowtts",), parser.description or "", modules)


def _command(
    parser: argparse.ArgumentParser, path: tuple[str, ...], summary: str, modules: Mapping[str, str]
) -> Command:
    options: list[Option] = []
    below: list[Command] = []
    formatter = parser._get_formatter()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: str(choice.help or "") for choice in action._choices_actions}
            below += [
                _command(_full(name, one, modules), (*path, name), helps.get(name, ""), modules)
                for name, one in action.choices.items()
            ]
            continue
        if action.help == argparse.SUPPRESS:
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        name = action.dest.upper() if action.option_strings else action.dest
        value = "" if action.nargs == 0 else str(action.metavar or name)
        options.append(
            Option(
                tuple(action.option_strings),
                value,
                formatter._expand_help(action) if action.help else "",
                choices,
                value in _PLACES or action.type is Path,
                action.nargs in ("*", "+"),
            )
        )
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return Command(path, summary, usage, tuple(options), tuple(below))


def _full(name: str, parser: argparse.ArgumentParser, modules: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser of a command, from its own module where it has one."""
    if name not in modules:
        return parser
    try:
        made: argparse.ArgumentParser = importlib.import_module(modules[name]).parser(f"ishowtts {name}")
    except (ModuleNotFoundError, MissingPackage):
        return parser
    return made


def _all(command: Command) -> Iterator[Command]:
    yield command
    for one in command.commands:
        yield from _all(one)


# ---- shells ----------------------------------------------------------------------------------------------------------


def script(shell: str, whole: Command) -> str:
    """The completion script of a command line for a shell: "bash", "zsh" or "fish"."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](whole)


def _bash(whole: Command) -> str:
    paths, values, words = [], [], []
    for command in _all(whole):
        path = " ".join(command.path)
        if len(command.path) > 1:
            paths.append(f"      {shlex.quote(path)}) command={shlex.quote(path)} ;;")
        for option in command.options:
            if not option.flags or not option.value:
                continue
            cases = "|".join(shlex.quote(f"{path} {flag}") for flag in option.flags)
            if option.file:
                what = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$current"))'
            else:
                what = f'COMPREPLY=($(compgen -W {shlex.quote(" ".join(option.choices))} -- "$current"))'
            values.append(f"    {cases}) {what}; return ;;")
        files = any(option.file and not option.flags for option in command.options)
        more = ' compopt -o filenames; COMPREPLY=($(compgen -f -- "$current"));' if files else ""
        words.append(f"    {shlex.quote(path)}){more} words={shlex.quote(' '.join(command.words))} ;;")
    return "\n".join(
        [
            "# bash completion of ishowtts",
            "_ishowtts() {",
            "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=ishowtts words= word",
            "  COMPREPLY=()",
            '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            '    case "$command $word" in',
            *paths,
            "    esac",
            "  done",
            '  case "$command $before" in',
            *values,
            "  esac",
            "  case $command in",
            *words,
            "  esac",
            '  COMPREPLY+=($(compgen -W "$words" -- "$current"))',
            "}",
            "complete -F _ishowtts ishowtts",
            "",
        ]
    )


def _zsh(whole: Command) -> str:
    lines = ["#compdef ishowtts"]
    for command in reversed(list(_all(whole))):
        lines += ["", f"{_zsh_name(command)}() {{"]
        specs = [spec for option in command.options for spec in _zsh_specs(option)]
        if command.commands:
            lines += [
                "  local state line",
                "  local -a commands=(",
                *(
                    f"    {shlex.quote(one.name + ':' + _one_line(one.help).replace(':', ' -'))}"
                    for one in command.commands
                ),
                "  )",
                "  _arguments -C \\",
                *(f"    {spec} \\" for spec in specs),
                "    '1:command:->command' '*::argument:->argument'",
                "  case $state in",
                "    command) _describe command commands ;;",
                "    argument) case $words[1] in",
                *(f"      {one.name}) {_zsh_name(one)} ;;" for one in command.commands),
                "    esac ;;",
                "  esac",
            ]
        else:
            lines.append("  _arguments " + " \\\n    ".join(specs) if specs else "  _arguments")
        lines.append("}")
    # zsh runs the file as the function _ishowtts where it finds it in $fpath; sourced, it only defines the function.
    last = 'if [ "$funcstack[1]" = _ishowtts ]; then _ishowtts "$@"; else compdef _ishowtts ishowtts; fi'
    return "\n".join([*lines, "", last, ""])


def _zsh_name(command: Command) -> str:
    return "_" + "_".join(command.path).replace("-", "_")


def _zsh_specs(option: Option) -> Iterator[str]:
    words = _one_line(option.help).translate({ord("["): "(", ord("]"): ")", ord("\\"): "/"})
    action = "_files" if option.file else f"({' '.join(option.choices)})"
    if not option.flags:
        yield shlex.quote(f"{'*' if option.many else ''}:{option.value.replace(':', ' ')}:{action}")
    for flag in option.flags:
        value = f":{option.value.replace(':', ' ')}:{action}" if option.value else ""
        yield shlex.quote(f"*{flag}[{words}]{value}")


def _fish(whole: Command) -> str:
    lines = ["# fish completion of ishowtts", "complete -c ishowtts -f"]
    for command in _all(whole):
        seen = [f"__fish_seen_subcommand_from {word}" for word in command.path[1:]]
        if command.commands:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(one.name for one in command.commands)}")
        condition = f"-n {shlex.quote('; and '.join(seen))}" if seen else ""
        start = f"complete -c ishowtts {condition}"
        lines += [f"{start} -a {one.name} -d {_fish_quote(one.help)}" for one in command.commands]
        for option in command.options:
            if not option.flags:
                lines += [f"{start} -a {_fish_quote(' '.join(option.choices))}"] if option.choices else []
                lines += [f"{start} -F"] if option.file else []
                continue
            names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            takes = " -rF" if option.file else f" -xa {_fish_quote(' '.join(option.choices))}" if option.value else ""
            lines.append(f"{start} {names}{takes} -d {_fish_quote(option.help)}")
    return "\n".join([*lines, ""])


def _fish_quote(text: str) -> str:
    return "'" + _one_line(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _one_line(text: str) -> str:
    return " ".join(text.split())


# ---- manual pages ----------------------------------------------------------------------------------------------------


def manual(whole: Command, page: str | None = None) -> str:
    """A manual page in roff, of the program (`page` None) or of one of its commands.

    ConfigError: there is no such command; the message lists those that exist.
    """
    if page is None:
        return _page(whole)
    found = next((one for one in whole.commands if one.name == page), None)
    if found is None:
        known = ", ".join(one.name for one in whole.commands)
        raise ConfigError(f"there is no command {page}; there are {known}", field="page")
    return _page(found)


def _page(command: Command) -> str:
    title = "-".join(command.path)
    lines = [
        f'.TH {_roff(title.upper())} 1 "" "iShowTTS {__version__}" "iShowTTS"',
        ".SH NAME",
        f"{_roff(title)} \\- {_roff(_one_line(command.help).rstrip('.'))}",
        ".SH SYNOPSIS",
        _roff(command.usage),
    ]
    if command.options:
        lines += [".SH OPTIONS", *_roff_options(command)]
    if command.commands:
        lines.append(".SH COMMANDS")
        for one in command.commands:
            if len(command.path) > 1:
                lines += [f".SS {_roff(one.name)}", _roff(one.help), *_roff_options(one)]
            else:
                lines += [".TP", f".B {_roff(one.name)}", _roff(one.help)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        ".B ISHOWTTS__SECTION__KEY",
        "A setting of the configuration, such as ISHOWTTS__SAMPLING__NFE. It overrides the file and is overridden by "
        "options.",
        ".SH EXIT STATUS",
        "0: done. 1: a failure of the program. 2: a wrong option, file or setting. 130: interrupted.",
    ]
    if len(command.path) > 1:
        lines += [".SH SEE ALSO", ".BR ishowtts (1)"]
    return "\n".join([*lines, ""])


def _roff_options(command: Command) -> list[str]:
    lines = []
    for option in command.options:
        names = ", ".join(f"\\fB{_roff(flag)}\\fR" for flag in option.flags)
        value = f"\\fI{_roff(option.value)}\\fR" if option.value else ""
        choices = f": one of {', '.join(option.choices)}" if option.choices else ""
        lines += [".TP", " ".join(filter(None, (names, value))), _roff(option.help + choices) or "\\&"]
    return lines


def _roff(text: str) -> str:
    safe = _one_line(text).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + safe if safe.startswith((".", "'")) else safe
