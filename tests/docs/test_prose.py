"""The documents as text: links have targets, pictures exist, and lines are short."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pages import ROOT, files

from ishowtts import config

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]*`(?!\])")
"""Code inside a line, but for the text of a link."""
HEADING = re.compile(r"^#+\s+(.*)$", re.M)
COLUMNS = 120
SETTING = re.compile(r"`(?P<section>[a-z]+)\.(?P<key>[a-z_]+)(?: = [^`]*)?`")
FILES = {"h", "json", "safetensors"}
UNBREAKABLE = re.compile(r"\||\s*[-*]?\s*\[[^\]]*\]\(\S+\)\S?$")
"""The beginning of a row of a table, or a line that is only a link."""


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a file."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > COLUMNS and not UNBREAKABLE.match(line)]
    assert not long, f"lines {long} have more than {COLUMNS} columns"


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_exist(path: Path) -> None:
    settings = json.loads(config.load(None, []).to_json())
    named = [(one["section"], one["key"]) for one in SETTING.finditer(path.read_text(encoding="utf-8"))]
    known = [name for name in named if isinstance(settings.get(name[0]), dict) and name[1] not in FILES]
    assert not [f"{section}.{key}" for section, key in known if key not in settings[section]]
