"""`ishowtts text`: show how a text is read, step by step."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from ishowtts import config
from ishowtts.options import Parser

from . import lexicon, stages
from .frontend import Frontend
from .reading import Options


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(prog=prog, description="Show how a text is read: tokens, words, and the symbols that the model gets.")
    p.add_argument("text", help="what to read; - reads standard input")
    p.add_argument("--language", metavar="TAG", help="of the voice, such as en, de or zh (default: guessed)")
    p.add_argument("--model", default="demo", help="demo, a folder, a checkpoint or a hub name (default: %(default)s)")
    p.add_argument(
        "--config", metavar="FILE", help="settings with [[pronounce]]; the server's pronunciations are read too"
    )
    p.add_argument(
        "--no-chat-words", dest="chat", action="store_false", help="do not write out chat slang and emoticons"
    )
    p.add_argument(
        "--markup", action="store_true", help="interpret [pause 500ms], [speed 1.2], [voice:id] and [word](/ipa/)"
    )
    p.add_argument("--json", action="store_true", help="as JSON")
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts text") -> int:
    """Read a text and print the steps; the exit status 0. ModelError, TextError: as `Frontend`."""
    asked = parser(prog).parse_args(arguments)
    text = sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n") if asked.text == "-" else asked.text
    settings = config.load(asked.config)
    lexicon.use(settings.pronunciations())
    lexicon.tell(lexicon.stored(settings.server.state_dir))
    steps = Frontend(asked.model, Options(chat=asked.chat)).steps(text, asked.language, asked.markup)
    print(json.dumps(steps, ensure_ascii=False, indent=2) if asked.json else stages.shown(steps).rstrip("\n"))
    return 0
