"""How a text is read, step by step: for `ishowtts text`, `POST /api/reading` and the speak page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import pronounce
from .markup import Segment
from .reading import Reading

Part = tuple[Segment, Reading, list[str]]
"""A part between two markup commands, how it is read, and what the model gets."""


def described(parts: Sequence[Part], kind: str) -> dict[str, Any]:
    """The steps as data for JSON; `kind`: "phones" or "pinyin", what symbols are. A text without markup is one part."""
    made: dict[str, Any] = {"language": parts[0][1].language if parts else "en", "text": ""}
    made |= {name: [] for name in ("segments", "tokens", "words", "dropped", "symbols")}
    for segment, reading, symbols in parts:
        said = pronounce.shown(reading.text)
        made["text"] = f"{made['text']} {said}".strip()
        made["segments"].append({"text": said, "pause": segment.pause, "speed": segment.speed, "voice": segment.voice})
        for name in ("tokens", "words", "dropped"):
            made[name] += [_placed(item._asdict(), segment.start) for item in getattr(reading, name)]
        made["symbols"] += symbols
    return made | {"symbols_are": kind}


def _placed(item: dict[str, Any], start: int) -> dict[str, Any]:
    """One token, word or dropped part with its place in the whole text; sounds that the user chose in braces."""
    item |= {"start": item["start"] + start, "end": item["end"] + start}
    return item | {name: pronounce.shown(item[name]) for name in ("text", "spoken") if name in item}


def shown(steps: dict[str, Any]) -> str:
    """The steps as lines of text."""
    out = [f"language  {steps['language']}", f"said      {steps['text'] or '(nothing)'}"]
    for token in steps["tokens"]:
        place = f"{token['start']}-{token['end']}"
        said = f"  →  {token['spoken']}" if token["spoken"] != token["written"] else ""
        out.append(f"token     {place:9} {token['kind']:13} {token['written']}{said}")
    out.append("words     " + " ".join(f"{word['text']}[{word['start']}-{word['end']}]" for word in steps["words"]))
    for segment in steps["segments"] if len(steps["segments"]) > 1 else ():
        settings = (f"{name} {value}" for name, value in segment.items() if name != "text" and value)
        out.append(f"segment   {segment['text'] or '(silence)'}  {', '.join(settings)}".rstrip())
    for part in steps["dropped"]:
        place = f"{part['start']}-{part['end']}"
        out.append(f"dropped   {place:9} {part['why']:13} {part['text']}")
    phones = steps["symbols_are"] == "phones"
    out.append(f"phones    {' '.join(steps['symbols'])}" if phones else f"symbols   {'|'.join(steps['symbols'])}")
    return "\n".join(line.rstrip() for line in out) + "\n"
