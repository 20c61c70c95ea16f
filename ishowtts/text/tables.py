"""Tables of words that a speaker of a language can edit: currencies, units, abbreviations, chat words.

The file `tables/LANGUAGE.tsv` has sections, each with its `[name]` on a line. A row is tab-separated: the first column
is the written form, the others are spoken forms, whose meaning the comment at the head of the section explains. A line
that begins with "# " is a comment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "tables"
Section = dict[str, tuple[str, ...]]


class Table:
    """The sections of a table by name; a section that is not in the file is empty."""

    def __init__(self, sections: dict[str, Section]) -> None:
        self._sections = sections

    def section(self, name: str) -> Section:
        """The rows of a section: the other columns by the first one."""
        return self._sections.get(name, {})

    def words(self, name: str) -> dict[str, str]:
        """The rows of a section of two columns: the second by the first, "" where it is missing."""
        return {written: row[0] if row else "" for written, row in self.section(name).items()}

    def list(self, name: str) -> frozenset[str]:
        """The words of a section that lists them with white space between."""
        return frozenset(word for written in self.section(name) for word in written.split())


def parse(text: str) -> dict[str, Section]:
    """The sections of a table's text. ValueError: a line is outside a section or there twice; it names the line."""
    sections: dict[str, Section] = {}
    section: Section | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("# "):
            continue
        if line.startswith("[") and line.endswith("]") and "\t" not in line:
            section = sections.setdefault(line[1:-1], {})
            continue
        written, *row = line.split("\t")
        if section is None or written in section:
            wrong = "outside a section" if section is None else "there twice"
            raise ValueError(f"line {number} of the table: {written!r} is {wrong}")
        section[written] = tuple(row)
    return sections


@cache
def load(language: str) -> Table:
    """The table of a language; the file is read at the first call."""
    return Table(parse((FOLDER / f"{language}.tsv").read_text(encoding="utf-8")))
