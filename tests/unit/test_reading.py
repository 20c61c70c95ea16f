"""The engine that reads a line: what holds for every text, tables of chat lines, places of words, speed."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text.reading import read

LANGUAGES = ("en", "de", "zh")
SIGNS = "0123456789.,:;-–—/%$€£¥#@+=*x°CkKMB<>()[]{}'\"!?~^²½&_|\\\n"
LATIN = "I pm z.B. Mio. Uhr März may 2nd th GPU lol gg km/h EUR hmmm :) <3 <b> www.x.tv ok is".split()  # noqa: SIM905
HAN = "我 有 个 年 月 日 万 点 一二 千克 % -5 ￥ ℃ ， 。 10:30 3/4 2024-03-05".split()  # noqa: SIM905


def pieces(words: list[str]) -> st.SearchStrategy[str]:
    """Words, signs and numbers, with and without spaces between."""
    spaced = [f" {word} " for word in words] if words is LATIN else words
    piece = st.one_of(
        st.sampled_from(spaced),
        st.text(st.sampled_from(SIGNS), max_size=3),
        st.integers(0, 10**6).map(str),
        st.just(" "),
    )
    return st.lists(piece, max_size=10).map("".join)


ANY = st.one_of(pieces(LATIN + HAN), st.text(st.one_of(st.characters(), st.sampled_from(SIGNS)), max_size=40))


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=400, deadline=None, database=None)
@given(text=ANY)
def test_any_text_is_read_into_words_without_digits(language: str, text: str) -> None:
    reading = read(text, language)
    said = reading.text
    assert said == said.strip() and "\n" not in said and "  " not in said
    if reading.language in LANGUAGES:
        assert not any(char in "0123456789" for char in said)
    for word in reading.words:
        assert 0 <= word.start < word.end <= len(text) and word.text and " " not in word.text
    assert [word.start for word in reading.words] == sorted(word.start for word in reading.words)
    joined = "".join(char for word in reading.words for char in word.text if char.isalnum())
    assert joined == "".join(char for char in said if char.isalnum())


@pytest.mark.parametrize("language", LANGUAGES)
@given(words=st.lists(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzäöüß0123456789"), min_size=1), min_size=1))
def test_words_and_numbers_are_never_read_as_nothing(language: str, words: list[str]) -> None:
    reading = read(" ".join(words), language)
    assert len(reading.words) + len(reading.dropped) >= 1
    assert reading.text or reading.dropped


@pytest.mark.parametrize(("language", "words"), [("en", LATIN), ("de", LATIN), ("zh", HAN)])
@settings(max_examples=400, deadline=None, database=None)
@given(data=st.data())
def test_what_was_read_is_read_as_it_is(language: str, words: list[str], data: st.DataObject) -> None:
    text = data.draw(pieces(words))
    said = read(text, language).text
    assert read(said, language).text == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_time_grows_with_the_length_whatever_the_text_holds(language: str) -> None:
    draw = random.Random(7)
    signs = [
        *SIGNS,
        "a",
        "我",
        "é",
        "😀",
        "🇩🇪",
        "e\u0301",
        " ",
        "1a",
        "a.",
        "1.",
        "1,",
        "1/",
        "1-",
        "a@",
        "<b",
        "http://a",
        ":)",
        "z. B. ",
    ]
    hostile = [sign * (5000 // len(sign)) for sign in signs]
    hostile += ["".join(draw.choice(signs) for _ in range(3000))[:5000] for _ in range(10)]
    for text in hostile:
        slowest = min(_seconds(text, language) for _ in range(3))
        assert slowest < 0.1, f"{text[:20]!r} took {1e3 * slowest:.0f} ms"


def _seconds(text: str, language: str) -> float:
    begin = time.process_time()
    read(text, language)
    return time.process_time() - begin
