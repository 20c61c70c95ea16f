"""What a speaker of a language can edit: currencies, units, abbreviations, chat words, one file `tables/LANGUAGE.tsv`.

A file has sections, `[name]` on a line of its own; a row is tab-separated, its first column is what is written, the
others what is said (their meaning is given by the comment at the section's head). A line that begins with "# " is a
comment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "tables"
Section = dict[str, tuple[str, ...]]


class Table:
    """The sections of one language, by name; a section that the file lacks is empty."""

    def __init__(self, sections: dict[str, Section]) -> None:
        self._sections = sections

    def section(self, name: str) -> Section:
        """Rows of a section: what is written, and the other columns."""
        return self._sections.get(name, {})

    def words(self, name: str) -> dict[str, str]:
        """A section of two columns: what is written, what is said ("" where the second column is missing)."""
        return {written: row[0] if row else "" for written, row in self.section(name).items()}

    def list(self, name: str) -> frozenset[str]:
        """A section of words with white space between."""
        return frozenset(word for written in self.section(name) for word in written.split())


def parse(text: str) -> dict[str, Section]:
    """Sections of a table's text; ValueError names the line that is outside a section or written twice in one."""
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
            raise ValueError(
                f"line {number} of the table: {written!r} is {'outside a section' if section is None else 'there twice'}"
            )
        section[written] = tuple(row)
    return sections


@cache
def load(language: str) -> Table:
    """The table of a language, read once."""
    return Table(parse((FOLDER / f"{language}.tsv").read_text(encoding="utf-8")))
