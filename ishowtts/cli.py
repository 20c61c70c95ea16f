"""The command line: speak, serve, api, voices, config, and the commands of other rooms: train, quality, sweep, daily.

Options are overrides of the configuration, so one place checks them all. What a user got wrong is answered by one
sentence and status 2; a failure of the program itself is 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ._audio import FORMATS, encode
from .errors import ConfigError, IshowError, TextError
from .extras import MissingPackage, installs
from .fields import REQUEST, SAMPLING, speech_options
from .options import Parser, add_fields, field_overrides, overrides, request_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .config import Config
    from .engine import Engine, SpeechStream

SERVER = Path(__file__).parent / "bin" / "ishowtts-server"
LONG_TEXT = 200
"""Characters from which on a terminal gets a progress bar."""
PLAYERS = (
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),
)
USER_FAULTS = ("EINVAL", "ENOTFOUND", "EFORMAT", "ELIMIT")
_SHORT = {  # options that are settings
    "model": "model.name", "precision": "model.precision", "backend": "model.backend", "compile": "model.compile",
    "threads": "model.threads", "voice": "default_voice", "host": "server.host", "port": "server.port",
}  # fmt: skip


_ROOMS = {  # commands with a parser of their own: module with `main(arguments, prog)`, extra of the package, help
    "quantize": ("ishowtts.quantize", "torch", "prepare a model for the precision int8-static"),
    "train": ("ishowtts.train", "train", "train a voice from recordings"),
    "quality": ("ishowtts.quality.command", "quality", "measure the quality of speech"),
    "text": ("ishowtts.text.command", "train", "show how a text is read: words, phones, what is left out"),
    "sweep": ("ishowtts.sweep.command", "quality", "compare settings: quality against speed"),
    "daily": (
        "ishowtts.daily.command",
        "quality",
        "quick, extended, benchmark, warm-up, samples, regression, profile, doctor",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prog = "ishowtts"
    try:
        if arguments and arguments[0] in _ROOMS:
            prog = f"ishowtts {arguments[0]}"
            return _room(arguments[0], arguments[1:])
        parsed = _parser().parse_args(arguments)
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
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
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
    speak.add_argument("-o", "--output", metavar="FILE", help="where to write; - is standard output; without it: play")
    speak.add_argument("--format", choices=tuple(FORMATS), help="of the output (default: by its name, else wav)")
    speak.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    speak.add_argument("--voice", help="id of a voice; see `ishowtts voices`")
    add_fields(speak, REQUEST)
    speak.add_argument("--precision", help="fp32 or bf16")
    speak.add_argument("--backend", help="auto, cuda, native, package, eager or compile")
    speak.add_argument("--compile", help="wait: make the compiled model first if it is missing (once for each machine)")
    speak.add_argument("--threads", help="0 takes all cores")
    speak.set_defaults(run=_speak)

    serve = commands.add_parser("serve", parents=[settings], help="serve HTTP")
    serve.add_argument("--host", help="name or address to listen on")
    serve.add_argument("--port", help="0 takes any free port")
    serve.set_defaults(run=_serve)

    api = commands.add_parser(
        "api", parents=[settings], help="serve HTTP by FastAPI: the same contract, for development"
    )
    api.add_argument("--host", help="name or address to listen on")
    api.add_argument("--port", help="0 takes any free port")
    api.add_argument(
        "--openapi", metavar="FILE", help="write the description of the contract and leave; - is standard output"
    )
    api.set_defaults(run=_api)

    voices = commands.add_parser("voices", parents=[settings], help="list the voices")
    voices.add_argument("--model", help="demo, a folder, a checkpoint or a hub name")
    voices.add_argument("--json", action="store_true", help="as JSON")
    voices.set_defaults(run=_voices)

    config = commands.add_parser("config", parents=[settings], help="check or show the settings")
    config.add_argument("action", choices=("check", "show", "schema"))
    config.add_argument("file", nargs="?", help="the same as --config")
    config.set_defaults(run=_config)

    for name, (_, _, summary) in _ROOMS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from . import __version__

        print(f"ishowtts {__version__}")
        parser.exit(0)


def _load(arguments: argparse.Namespace) -> Config:
    from . import config

    own = overrides({key: getattr(arguments, name, None) for name, key in _SHORT.items()})
    own += field_overrides(arguments, "sampling", SAMPLING)
    return config.load(arguments.config, [*arguments.set, *own])


# ---- speak -----------------------------------------------------------------------------------------------------------


def _speak(arguments: argparse.Namespace) -> int:
    config = _load(arguments)
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if arguments.text == "-" else arguments.text
    if not text.strip():
        raise TextError("There is no text to speak.", field="text")
    output = arguments.output
    if output not in (None, "-") and not Path(output).absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {Path(output).absolute().parent} to write to", field="output")
    player = None if output else _player()

    import numpy as np

    sampling = config.sampling.model_dump()
    chosen = speech_options(lambda field: sampling[field.setting] if field.setting else request_value(arguments, field))
    chosen["early"] = False
    with _open(config) as engine:
        stream = engine.stream(text, config.default_voice, **chosen)
        samples = np.concatenate([np.zeros(0, np.float32), *_pieces(stream, len(text) >= LONG_TEXT)])
        timings, info = stream.timings, engine.info
    rate = stream.sample_rate
    data = encode(samples, rate, _format(arguments))
    if player is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            path.write_bytes(data)
            subprocess.run([*player, str(path)], check=True, stdin=subprocess.DEVNULL)
    elif output == "-":
        sys.stdout.buffer.write(data)
    else:
        Path(output).write_bytes(data)
    seconds = len(samples) / rate
    print(
        f"{seconds:.2f} s of audio, real-time factor {timings['total'] / max(seconds, 1e-9):.3f}, "
        f"first audio {timings['first_audio']:.2f} s, seed {timings['seed']}, voice {timings['voice']}, "
        f"backend {info['backend']} {info['precision']}",
        file=sys.stderr,
    )
    return 0


def _format(arguments: argparse.Namespace) -> str:
    """Of the output: as asked for, else by the file's name; what is played is WAV."""
    if not arguments.output:
        return "wav"
    suffix = Path(arguments.output).suffix[1:].lower()
    named = "opus" if suffix == "ogg" else suffix if suffix in FORMATS else "wav"
    return arguments.format or named


def _open(config: Config) -> Engine:
    from .engine import open_engine

    model = config.model
    # Raised inside an import that C asked for, an interrupt would be reported as a broken model.
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        engine = open_engine(config, "off")  # a package made in the background would outlive this process
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        if engine.compilable and model.compile == "wait":
            print("compiling the model for this machine, once; this takes a few minutes", file=sys.stderr)
            engine.start_compiling()
            if not engine.wait_compiled():
                print(f"not compiled: {engine.compile_state[1]}", file=sys.stderr)
        elif engine.compilable and sys.stderr.isatty():
            print("the model is not compiled for this machine yet; --compile wait does it, once", file=sys.stderr)
    except BaseException:
        engine.close()
        raise
    return engine


def _pieces(stream: SpeechStream, long: bool) -> list[NDArray[np.float32]]:
    """All audio, with a progress bar for long text on a terminal; an interrupt cancels the speech."""
    from tqdm import tqdm

    pieces: list[NDArray[np.float32]] = []
    try:
        shown = long and sys.stderr.isatty()
        with tqdm(
            total=100, unit="%", leave=False, disable=not shown, bar_format="{l_bar}{bar}| {elapsed}<{remaining}"
        ) as bar:
            while True:
                try:
                    piece = stream.poll(0.1)
                except IshowError as error:
                    if error.status != "EAGAIN":
                        raise
                else:
                    if piece is None:
                        return pieces
                    pieces.append(piece.copy())
                bar.update(int(100 * stream.progress) - bar.n)
    except KeyboardInterrupt:
        stream.cancel()
        raise


def _player() -> Sequence[str]:
    found = next((player for player in PLAYERS if shutil.which(player[0])), None)
    if found is None:
        names = ", ".join(player[0] for player in PLAYERS)
        raise ConfigError(f"no audio player was found ({names}); write to a file with -o out.wav", status="ENOTFOUND")
    return found


# ---- the others ------------------------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    if not SERVER.is_file():
        raise ConfigError(f"the server was not built: there is no {SERVER}", status="ENOTFOUND")
    command = [str(SERVER)]
    for name in ("host", "port", "config"):
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
        print(
            f"{arguments.config or 'the defaults'}: good, {len(shown['voices'])} voice(s), model {shown['model']['name']}"
        )
    return 0


def _room(name: str, arguments: list[str]) -> int:
    module, extra, _ = _ROOMS[name]
    try:
        run: Callable[..., int] = importlib.import_module(module).main
        return run(arguments, prog=f"ishowtts {name}")
    except ModuleNotFoundError as error:
        raise MissingPackage(f"this command needs the package {error.name}: {installs(extra)}") from None
