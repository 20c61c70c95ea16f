"""`ishowtts text`: show how a text is read, step by step."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from ishowtts.options import Parser

from .frontend import Frontend
from .reading import Options, Reading


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(prog=prog, description="Show how a text is read: tokens, words, and the symbols that the model gets.")
    p.add_argument("text", help="what to read; - reads standard input")
    p.add_argument("--language", metavar="TAG", help="of the voice, such as en, de or zh (default: guessed)")
    p.add_argument("--model", default="demo", help="demo, a folder, a checkpoint or a hub name (default: %(default)s)")
    p.add_argument(
        "--no-chat-words", dest="chat", action="store_false", help="do not write out chat slang and emoticons"
    )
    p.add_argument("--markup", action="store_true", help="interpret [pause 500ms], [speed 1.2] and [voice:id]")
    p.add_argument("--json", action="store_true", help="as JSON")
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts text") -> int:
    """Read a text and print the steps; the exit status 0. ModelError, TextError: as `Frontend`."""
    asked = parser(prog).parse_args(arguments)
    text = sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n") if asked.text == "-" else asked.text
    frontend = Frontend(asked.model, Options(chat=asked.chat, markup=asked.markup))
    reading = frontend.read(text, asked.language)
    symbols = frontend.symbols(reading.text, asked.language) if any(map(str.isalnum, reading.text)) else []
    if asked.json:
        print(json.dumps(described(reading, frontend.kind, symbols), ensure_ascii=False, indent=2))
    else:
        print(shown(reading, frontend.kind, symbols), end="")
    return 0


def described(reading: Reading, kind: str, symbols: Sequence[str]) -> dict[str, Any]:
    """The steps as data for JSON; `kind`: "phones" or "pinyin", what the model's `symbols` are."""
    return {
        "language": reading.language,
        "text": reading.text,
        "tokens": [token._asdict() for token in reading.tokens],
        "words": [word._asdict() for word in reading.words],
        "segments": [segment._asdict() for segment in reading.segments],
        "dropped": [part._asdict() for part in reading.dropped],
        kind: list(symbols),
    }


def shown(reading: Reading, kind: str, symbols: Sequence[str]) -> str:
    """The steps as lines of text; arguments as `described`."""
    out = [f"language  {reading.language}", f"said      {reading.text or '(nothing)'}"]
    for token in reading.tokens:
        place, said = f"{token.start}-{token.end}", f"  →  {token.spoken}" if token.spoken != token.written else ""
        out.append(f"token     {place:9} {token.kind:13} {token.written}{said}")
    out.append("words     " + " ".join(f"{word.text}[{word.start}-{word.end}]" for word in reading.words))
    for segment in reading.segments if len(reading.segments) > 1 else ():
        settings = (f"{name} {value}" for name, value in segment._asdict().items() if name != "text" and value)
        out.append(f"segment   {segment.text or '(silence)'}  {', '.join(settings)}".rstrip())
    for part in reading.dropped:
        out.append(f"dropped   {f'{part.start}-{part.end}':9} {part.why:13} {part.text}")
    out.append(f"phones    {' '.join(symbols)}" if kind == "phones" else f"symbols   {'|'.join(symbols)}")
    return "\n".join(line.rstrip() for line in out) + "\n"
