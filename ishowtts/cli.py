"""The command line `ishowtts`: speak, serve, voices and others here, the rest in modules of their own (`MODULES`).

Options become overrides of the configuration, which validates them. An error is one sentence on standard error; the
exit status is 2 for a fault of the user's, 1 for one of the program's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import speaking
from ._audio import FORMATS
from .errors import ConfigError, IshowError
from .extras import MissingPackage, installs
from .fields import REQUEST, SAMPLING
from .options import Parser, add_fields, field_overrides, overrides

if TYPE_CHECKING:
    from .completion import Command
    from .config import Config

SERVER = Path(__file__).parent / "bin" / "ishowtts-server"
USER_FAULTS = ("EINVAL", "ENOTFOUND", "EFORMAT", "ELIMIT")
_SHORT = {  # options that are settings
    "model": "model.name", "precision": "model.precision", "backend": "model.backend", "compile": "model.compile",
    "threads": "model.threads", "device": "model.device", "voice": "default_voice", "host": "server.host",
    "port": "server.port",
}  # fmt: skip

MODULES = {  # commands with a module of their own, which has `parser(prog)` and `main(arguments, prog)`
    # name: module, extra of the package that it needs, help
    "quantize": ("ishowtts.quantize", "torch", "formats of a model's products: recipes, int8-static"),
    "export": ("ishowtts.export", "onnx", "write a model for other runtimes: ONNX"),
    "train": ("ishowtts.train", "train", "train a voice from recordings"),
    "quality": ("ishowtts.quality.command", "quality", "measure the quality of speech"),
    "text": ("ishowtts.text.command", "train", "show how a text is read: words, phones, what is left out"),
    "cluster": ("ishowtts.cluster", "cluster", "show the workers of a gateway, or take one out"),
    "sweep": ("ishowtts.sweep.command", "quality", "compare settings: quality against speed"),
    "traces": ("ishowtts.traces", "traces", "send a span for each request in a server's log to OpenTelemetry"),
    "report": ("ishowtts.daily.report", "quality", "write goals and the history of the figures as one HTML file"),
    "daily": (
        "ishowtts.daily.command",
        "quality",
        "quick, extended, benchmark, warm-up, samples, regression, profile, doctor",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (None: `sys.argv`); its exit status: 0, 1, 2, 130 (interrupted) or 141 (output closed)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prog = "ishowtts"
    try:
        if arguments and arguments[0] in MODULES:
            prog = f"ishowtts {arguments[0]}"
            return _run_module(arguments[0], arguments[1:])
        parsed = parser().parse_args(arguments)
        prog = f"ishowtts {parsed.command}"
        run: Callable[[argparse.Namespace], int] = parsed.run
        status = run(parsed)
        sys.stdout.flush()
        return status
    except IshowError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2 if error.status in USER_FAULTS else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the program that reads our output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line, without the options of `MODULES`, which are not imported."""
    parser = Parser(prog="ishowtts", description="Speech from text in a chosen voice.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    settings = Parser(add_help=False)
    settings.add_argument("--config", metavar="FILE", help="settings in TOML")
    settings.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting; may be repeated"
    )

    speak = commands.add_parser("speak", parents=[settings], help="speak a text into a file, or aloud")
    speak.add_argument("text", help="what to say; - reads standard input")
    output = "where to write; - is standard output; without it: play while it is spoken"
    speak.add_argument("-o", "--output", metavar="FILE", help=output)
    speak.add_argument("--format", choices=tuple(FORMATS), help="of the output (default: by its name, else wav)")
    speak.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    speak.add_argument("--voice", help="id of a voice; see `ishowtts voices`")
    add_fields(speak, REQUEST)
    speak.add_argument("--precision", help="auto, fp32, bf16, int8-dynamic, int8-static, fp16 or recipe:FILE")
    speak.add_argument("--backend", help="auto, cuda, native, package, eager or compile")
    speak.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    speak.add_argument("--compile", help="wait: make the compiled model first if it is missing (once for each machine)")
    speak.add_argument("--threads", help="0 takes all cores")
    speak.set_defaults(run=_speak)

    serve = commands.add_parser("serve", parents=[settings], help="serve HTTP")
    serve.add_argument("--host", help="name or address to listen on")
    serve.add_argument("--port", help="0 takes any free port")
    serve.add_argument("--wyoming", metavar="PORT", help="serve Home Assistant's Wyoming protocol too")
    serve.set_defaults(run=_serve)

    api = commands.add_parser(
        "api", parents=[settings], help="serve HTTP with FastAPI: the same interface, for development"
    )
    api.add_argument("--host", help="name or address to listen on")
    api.add_argument("--port", help="0 takes any free port")
    api.add_argument("--openapi", metavar="FILE", help="write the OpenAPI description and exit; - is standard output")
    api.set_defaults(run=_api)

    voices = commands.add_parser("voices", parents=[settings], help="list the voices")
    voices.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    voices.add_argument("--json", action="store_true", help="as JSON")
    voices.set_defaults(run=_voices)

    config = commands.add_parser("config", parents=[settings], help="check or show the settings")
    config.add_argument("action", choices=("check", "show", "schema"))
    config.add_argument("file", nargs="?", help="the same as --config")
    config.set_defaults(run=_config)

    for name, (_, _, summary) in MODULES.items():
        commands.add_parser(name, help=summary, add_help=False)

    completion = commands.add_parser("completion", help="print the completion script for a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(run=_completion)

    manual = commands.add_parser("man", help="print a manual page (ishowtts man speak | man -l -)")
    manual.add_argument("page", nargs="?", metavar="COMMAND", help="of one command (default: of the program)")
    manual.set_defaults(run=_manual)
    return parser


def command_tree() -> Command:
    """The whole command line as `completion` describes it, with the options of `MODULES`."""
    from . import completion

    return completion.commands(parser(), {name: module for name, (module, _, _) in MODULES.items()})


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from . import __version__

        print(f"ishowtts {__version__}")
        parser.exit(0)


def _speak(arguments: argparse.Namespace) -> int:
    from . import tracing

    tracing.set_up()
    return speaking.speak(arguments, _load(arguments))


def _load(arguments: argparse.Namespace) -> Config:
    from . import config

    own = overrides({key: getattr(arguments, name, None) for name, key in _SHORT.items()})
    own += field_overrides(arguments, "sampling", SAMPLING)
    return config.load(arguments.config, [*arguments.set, *own])


# ---- other commands --------------------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    if not SERVER.is_file():
        raise ConfigError(f"the server was not built: there is no {SERVER}", status="ENOTFOUND")
    command = [str(SERVER)]
    for name in ("host", "port", "wyoming", "config"):
        if (value := getattr(arguments, name)) is not None:
            command += [f"--{name}", value]
    for override in arguments.set:
        command += ["--set", override]
    sys.stdout.flush()
    os.execve(SERVER, command, os.environ | {"ISHOWTTS_PYTHON": sys.executable})


def _api(arguments: argparse.Namespace) -> int:
    try:
        from .api import app, server
    except ModuleNotFoundError as error:
        raise MissingPackage(f"this command needs the package {error.name}: {installs('api')}") from None
    if arguments.openapi is None:
        return server.serve(_load(arguments), lambda: _load(arguments))
    if arguments.openapi == "-":
        sys.stdout.write(app.openapi())
    else:
        Path(arguments.openapi).write_text(app.openapi(), encoding="utf-8")
    return 0


def _voices(arguments: argparse.Namespace) -> int:
    settings = _load(arguments).to_dict()
    voices = [voice | {"default": voice["id"] == settings["default_voice"]} for voice in settings["voices"]]
    if arguments.json:
        print(json.dumps(voices, ensure_ascii=False, indent=2))
        return 0
    for voice in voices:
        mark = "*" if voice["default"] else " "
        print(f"{mark} {voice['id']:16} {voice['language'] or '-':5} {voice['text']}")
    if not voices:
        raise ConfigError(f"model {settings['model']['name']} has no voices; add [[voices]] to the configuration")
    return 0


def _config(arguments: argparse.Namespace) -> int:
    from . import config

    if arguments.action == "schema":
        print(json.dumps(config.schema(), ensure_ascii=False, indent=2))
        return 0
    arguments.config = arguments.file or arguments.config
    shown = _load(arguments).masked()  # also looks at the voices' files
    if arguments.action == "show":
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        voices, model = len(shown["voices"]), shown["model"]["name"]
        print(f"{arguments.config or 'the defaults'}: good, {voices} voice(s), model {model}")
    return 0


def _completion(arguments: argparse.Namespace) -> int:
    from . import completion

    sys.stdout.write(completion.script(arguments.shell, command_tree()))
    return 0


def _manual(arguments: argparse.Namespace) -> int:
    from . import completion

    sys.stdout.write(completion.manual(command_tree(), arguments.page))
    return 0


def _run_module(name: str, arguments: list[str]) -> int:
    module, extra, _ = MODULES[name]
    try:
        run: Callable[..., int] = importlib.import_module(module).main
        return run(arguments, prog=f"ishowtts {name}")
    except ModuleNotFoundError as error:
        raise MissingPackage(f"this command needs the package {error.name}: {installs(extra)}") from None
