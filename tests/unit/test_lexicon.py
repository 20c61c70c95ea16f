"""The user's own pronunciations, from the configuration into the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import _runtime, config
from ishowtts.errors import ConfigError
from ishowtts.text import Frontend, lexicon
from ishowtts.text.lexicon import Entry, Lexicon

OWN = Lexicon([
    Entry("GIF", "jiff"), Entry("New York", "noo york"), Entry("New", "noo"), Entry("gg", "gut gespielt", "de"),
    Entry("长沙", "长 沙"),
])  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_in_use() -> Iterator[None]:
    yield
    lexicon.use([])


@pytest.mark.parametrize(
    ("written", "language", "said"),
    [
        ("a gif!", "en", "a jiff!"), ("GIFs and gift", "en", "GIFs and gift"),
        ("in new york now", "en", "in noo york now"),
        ("new yorker", "en", "noo yorker"), ("gg", "en", "gg"), ("gg!", "de-AT", "gut gespielt!"),
        ("我在长沙市", "zh", "我在长 沙市"), ("", "en", ""),
    ],
)  # fmt: skip
def test_whole_words_of_the_language_are_replaced(written: str, language: str, said: str) -> None:
    assert OWN.apply(written, language).text == said


def test_places_are_those_of_the_original() -> None:
    applied = OWN.apply("see New York, a gif", "en")
    assert applied.text == "see noo york, a jiff"
    assert [applied.span(*found) for found in ((0, 3), (4, 7), (8, 12), (14, 15), (16, 20))] == [
        (0, 3), (4, 12), (4, 12), (14, 15), (16, 19),
    ]  # fmt: skip


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("gifnewyork GIF长沙İß"))))
def test_any_text_keeps_its_other_characters(text: str) -> None:
    applied = OWN.apply(text, "en")
    at, rest = 0, []
    for change in applied.changes:
        rest.append((text[at : change.start], change))
        at = change.end
    made = "".join(kept + applied.text[change.begin : change.stop] for kept, change in rest) + text[at:]
    assert made == applied.text
    for start in range(len(applied.text)):
        low, high = applied.span(start, start + 1)
        assert 0 <= low <= high <= len(text)


def test_the_front_end_reads_by_it() -> None:
    frontend = Frontend("demo")
    lexicon.use([Entry("kthx", "okay thanks")])
    reading = frontend.read("well kthx bye", "en")
    assert reading.text == "well okay thanks bye"
    assert [(word.text, word.start, word.end) for word in reading.words] == [
        ("well", 0, 4), ("okay", 5, 9), ("thanks", 5, 9), ("bye", 10, 13),
    ]  # fmt: skip


def test_the_configuration_is_in_use_when_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "ishowtts.toml"
    path.write_text('[[pronounce]]\nword = "GIF"\nsaid = "jiff"\n', encoding="utf-8")
    _runtime.config(str(path), [])
    assert lexicon.current().entries == (Entry("GIF", "jiff"),)
    path.write_text('[[pronounce]]\nword = " "\nsaid = "jiff"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="pronounce"):
        _runtime.config(str(path), [])
    assert lexicon.current().entries == (Entry("GIF", "jiff"),), "a bad file changes nothing"
    assert config.load(overrides=['pronounce=[{word="a", said="b"}]']).pronunciations() == [Entry("a", "b")]
