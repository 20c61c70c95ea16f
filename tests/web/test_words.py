"""The texts of the pages: every one has a Chinese translation, and no translation is unused."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from ishowtts._engine import CHAT_WORDS

WEB = Path(__file__).resolve().parents[2] / "ishowtts" / "web"
CODE = re.compile(r"code:\w+")


class Marked(HTMLParser):
    """Texts and attributes marked with data-t and data-t-attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.words: set[str] = set()
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.inside = "data-t" in known
        for name in (known.get("data-t-attributes") or "").split():
            self.words.add(known[name] or "")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.words.add(" ".join(data.split()))
        self.inside = False


def used() -> set[str]:
    words: set[str] = set()
    for page in WEB.glob("*.html"):
        marked = Marked()
        marked.feed(page.read_text())
        words |= marked.words
    for script in WEB.glob("*.js"):
        if script.name == "zh.js":
            continue
        code = script.read_text()
        words |= {json.loads(found) for found in re.findall(r"\bt\(\s*(\"(?:[^\"\\]|\\.)*\")", code)}
        words |= {json.loads(found) for found in re.findall(r"\bwords?\((\"(?:[^\"\\]|\\.)*\")", code)}
        words |= {found for found in re.findall(r"\"data-t\": true[^}]*\},\s*\"([^\"]+)\"", code)}
        words |= {found for found in re.findall(r"\"aria-label\": \"([^\"]+)\",\s*\"data-t-attributes\"", code)}
        if script.name == "shell.js":
            words |= {name for _, name in re.findall(r"\[\"(/[a-z]*)\",\s*\"([A-Z][a-z]+)\"\]", code)}
    return words


def chinese() -> dict[str, str]:
    entries = re.findall(
        r"^  (\"(?:[^\"\\]|\\.)*\"|\w+):\s+(\"(?:[^\"\\]|\\.)*\"),$", (WEB / "zh.js").read_text(), re.M
    )
    return {json.loads(key) if key.startswith('"') else key: json.loads(value) for key, value in entries}


def test_every_word_has_its_chinese() -> None:
    words, known = used(), chinese()
    assert len(words) > 40
    assert sorted(words - set(known)) == []
    assert sorted(key for key in set(known) - words if not CODE.fullmatch(key)) == []


def test_placeholders_are_the_same() -> None:
    for key, value in chinese().items():
        assert set(re.findall(r"\{\w+\}", key)) == set(re.findall(r"\{\w+\}", value)), key


def test_pages_bring_all_they_need() -> None:
    """Pages load nothing from other sites and have no inline script or style, so they work offline with a strict
    policy.
    """
    for file in [*WEB.glob("*.html"), *WEB.glob("*.js"), *WEB.glob("*.css")]:
        content = file.read_text()
        assert not re.search(r"(?:src|href|import|from|url)[\s=(\"']*https?://", content), file.name
        for name in re.findall(r"/web/([\w.-]+)", content):
            assert (WEB / name).is_file(), f"{file.name} names {name}"
        if file.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)", content), file.name


def test_every_reason_has_its_words() -> None:
    """Every page that shows why a message was not read has a text for each reason."""
    told = set(re.findall(r"^  (\w+): \(\) => t\(", (WEB / "reasons.js").read_text(), re.M))
    assert told == set(CHAT_WORDS["reasons"])


def test_lines_are_short() -> None:
    for file in [*WEB.glob("*.html"), *WEB.glob("*.js"), *WEB.glob("*.css")]:
        long = [n for n, line in enumerate(file.read_text().splitlines(), 1) if len(line) > 120]
        assert not long, f"{file.name}: lines {long} are longer than 120 columns"
