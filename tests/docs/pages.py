"""The project's Markdown: its files, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.M | re.S)
NAMED = re.compile(r"(?:Save this as|存为) `([^`]+)`[:：]\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its lines, and the file that the text before it names."""

    language: str
    note: str
    body: str
    file: str | None
    line: int


def files() -> list[Path]:
    """Every Markdown file that belongs to the project."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a file, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        language, _, note = fence["info"].partition(" ")
        named = NAMED.search(text[: fence.start()].rstrip() + "\n")
        line = text[: fence.start()].count("\n") + 1
        found.append(Block(language, note, fence["body"], named[1] if named else None, line))
    return found
