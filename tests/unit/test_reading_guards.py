"""Rules that are skipped for speed would have found nothing: readings are the same with the skipping switched off."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from test_reading import HOSTILE, LANGUAGES, READINGS

from ishowtts.text.grammar import Grammar
from ishowtts.text.languages import GRAMMARS
from ishowtts.text.reading import Reading, read

BEFORE = ("", "Henry ", "in the ", "第")
AFTER = (
    "", "5", " 5", " 4090", "-5", " - b", " – b", " 2025 - b", "-Fr", ". 5", ".5", " so good", " Smith", " II.", "'s 5",
    "$5", " 2nd", "/b", "/5", "&b", "²", "^2", "=5", ": 5", "_b", "@b.de", "(5)", ";5", ", 5", " 12 St", "财报", "章",
)  # fmt: skip
"""What is written behind a word that a rule may read by what is beside it."""


def lines(grammar: Grammar) -> list[str]:
    """All lines of the tables, words that open a token before and behind much else, and units of hostile lines."""
    draw = random.Random(5)
    tables = (READINGS / f"readings.{language}.tsv" for language in LANGUAGES)
    made = [row.split("\t")[1] for table in tables for row in table.read_text(encoding="utf-8").splitlines()[1:]]
    sections = ("chat", "month", "currency", "weekday", "title", "abbreviation", "unit", "scale", "street", "short")
    words = {word.strip(".") for name in sections for word in grammar.table.section(name) if word.isascii()}
    words |= {"II", "IV", "X", "VIII", "KW", "ur", "rtx", "i7", "xD", "o", "Hauptstr", "FY", "Q3", "H1", "AM", "b"}
    for word in sorted(words):
        for form in (word, word.upper(), word.capitalize()):
            made += [draw.choice(BEFORE) + form + after for after in draw.sample(AFTER, 3)]
    made += ["".join(draw.choices(HOSTILE, k=draw.choice((2, 3, 5, 12)))) for _ in range(800)]
    made += ["".join(draw.choice((word, " ")) for word in draw.choices(made[:900], k=3)) for _ in range(300)]
    return made


def without_ordinary(monkeypatch: pytest.MonkeyPatch, grammar: Grammar) -> None:
    """Ask all rules for words, also where a word seems to be read alike whatever is beside it."""
    first, *others = grammar.rules["a"]
    assert first.__name__ == "ordinary"
    monkeypatch.setitem(grammar.rules, "a", tuple(others))


def without_pairs(monkeypatch: pytest.MonkeyPatch, grammar: Grammar) -> None:
    """Ask all rules for a run that look at the next one themselves."""
    told, can_apply = ("ordinary", "symbol", "chat_number", "mention"), grammar.can_apply
    monkeypatch.setattr(grammar, "can_apply", lambda rule, *pair: rule not in told or can_apply(rule, *pair))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("switch_off", [without_ordinary, without_pairs])
def test_rules_that_are_skipped_would_find_nothing(
    language: str, switch_off: Callable[[pytest.MonkeyPatch, Grammar], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_lines = lines(GRAMMARS[language])
    expected = [read(line, language) for line in all_lines]
    for grammar in GRAMMARS.values():
        switch_off(monkeypatch, grammar)
        monkeypatch.setattr(grammar, "_rules_for", {})
    wrong: list[tuple[str, Reading]] = []
    for line, reading in zip(all_lines, expected, strict=True):
        if (found := read(line, language)) != reading:
            wrong.append((line, found))
    assert len(all_lines) > 3000
    assert not wrong, [(line, found.text, read(line, language).text) for line, found in wrong[:5]]
